//! An object under a new name looks like one object that is created and one that is deleted. This
//! explains `moved_from` to people who renamed a document without it.

use std::collections::BTreeMap;

use super::Planner;
use crate::kinds::Key;
use crate::kinds::tree::Tree;
use crate::manifest::edit;
use crate::manifest::set::Desired;
use crate::plan::diff::{self, Memory};
use crate::plan::renames::former_keys;
use crate::plan::{Action, Operation};

/// One in this many values may differ in two objects that are taken for the same.
const SHARE: usize = 3;

/// The most pairs of a created and a deleted object that are compared, per kind and place.
const MOST: usize = 400;

impl Planner<'_> {
    /// Adds a note when a created object is nearly equal to a deleted one of its kind, and no
    /// document says whether it is the same. If there are several candidates, there is no note.
    pub(super) fn hint_at_unsaid_renames(&mut self) {
        let is_meant = |operation: &&Operation, action: Action| {
            operation.action() == action
                && !operation.replaces()
                && operation.key.kind.kind().is_renamable()
                && !self.renames.displaces(&operation.key)
        };
        let grouped = |action: Action| {
            let mut groups: BTreeMap<_, Vec<&Key>> = BTreeMap::new();
            for Operation { key, .. } in self.operations.iter().filter(|it| is_meant(it, action)) {
                groups.entry((key.kind, &key.project, &key.room)).or_default().push(key);
            }
            groups
        };
        let deleted = grouped(Action::Delete);
        if deleted.is_empty() {
            return;
        }
        let mut notes = Vec::new();
        for (group, created) in grouped(Action::Create) {
            let Some(gone) = deleted.get(&group) else { continue };
            // So many pairs are not renamed documents, and comparing them would take a while.
            if gone.len() * created.len() > MOST {
                continue;
            }
            let created = created.iter().filter_map(|key| self.desired.get(key));
            let unsaid = created.filter(|desired| former_keys(desired).is_empty());
            let pairs = unsaid.flat_map(|new| gone.iter().map(move |old| (new, *old)));
            let pairs: Vec<_> = pairs.filter(|(new, old)| self.is_nearly(old, new)).collect();
            let is_only = |(new, old): &&(&Desired, &Key)| {
                pairs.iter().filter(|pair| pair.0.key == new.key || pair.1 == *old).count() == 1
            };
            notes.extend(pairs.iter().filter(is_only).map(|(new, old)| told(new, old)));
        }
        self.plan.notes.extend(notes);
    }

    /// Whether an object of the platform has nearly the fields that a document declares.
    fn is_nearly(&self, key: &Key, desired: &Desired) -> bool {
        let Some(observed) = self.state.objects.get(key) else { return false };
        let fingerprinter = self.fingerprinter(key);
        let memory = Memory { fingerprinter: &fingerprinter, applied: None };
        let (old, new) = (&observed.fields, &desired.fields);
        let changes = diff::changes(key.kind.kind().shape(), Some(old), Some(new), memory);
        let differing = changes.iter().filter(|it| !diff::is_untold(old, &it.path)).count();
        differing * SHARE <= values(new)
    }
}

fn told(new: &Desired, old: &Key) -> String {
    format!(
        "{} is created and {old} is deleted, and they are nearly the same; if it is one object under a new name, add `lifecycle: {{moved_from: {}}}` to its document ({})",
        new.key,
        edit::in_flow(&old.name),
        new.origin.place()
    )
}

/// How many values there are in a tree.
fn values(tree: &Tree) -> usize {
    match tree {
        Tree::List(items) => items.iter().map(values).sum(),
        Tree::Map(fields) => fields.values().map(values).sum(),
        _ => 1,
    }
}
