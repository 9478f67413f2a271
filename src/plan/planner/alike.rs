//! An object under a new name looks like one that is created and one that is deleted: whoever
//! renamed a document and did not say so is told how.

use std::collections::BTreeMap;

use super::Planner;
use crate::kinds::Key;
use crate::kinds::tree::Tree;
use crate::manifest::set::Desired;
use crate::plan::diff::{self, Memory};
use crate::plan::renames::former_keys;
use crate::plan::{Action, Operation};

/// Of so many values one may be another in what is taken for the same object.
const SHARE: usize = 3;

/// With how many deleted objects one that is created is compared.
const MOST: usize = 50;

impl Planner<'_> {
    /// Says where an object is created that is nearly what one of its kind is that is deleted, and
    /// no document says whether it is that one. Where several could be meant, nothing is said.
    pub(super) fn hint_at_unsaid_renames(&mut self) {
        let is_meant = |operation: &&Operation, action: Action| {
            operation.action() == action
                && !operation.replaces()
                && operation.key.kind.kind().is_renamable()
                && !self.renames.displaces(&operation.key)
        };
        let mut deleted: BTreeMap<_, Vec<&Key>> = BTreeMap::new();
        for Operation { key, .. } in
            self.operations.iter().filter(|it| is_meant(it, Action::Delete))
        {
            deleted.entry((key.kind, &key.project, &key.room)).or_default().push(key);
        }
        if deleted.is_empty() {
            return;
        }
        let mut pairs: Vec<(&Key, &Key)> = Vec::new();
        for Operation { key, .. } in
            self.operations.iter().filter(|it| is_meant(it, Action::Create))
        {
            let gone = deleted.get(&(key.kind, &key.project, &key.room));
            let (Some(gone), Some(desired)) = (gone, self.desired.get(key)) else { continue };
            if former_keys(desired).is_empty() && gone.len() <= MOST {
                let alike = gone.iter().filter(|gone| self.is_nearly(gone, desired));
                pairs.extend(alike.map(|gone| (key, *gone)));
            }
        }
        let is_only = |pair: &&(&Key, &Key)| {
            pairs.iter().filter(|(new, old)| *new == pair.0 || *old == pair.1).count() == 1
        };
        let notes = pairs.iter().filter(is_only).filter_map(|(new, old)| {
            Some(format!(
                "{new} is created and {old} is deleted, and they are nearly the same; if it is one object under a new name, add `lifecycle: {{moved_from: {}}}` to its document ({})",
                old.name,
                self.desired.get(new)?.origin.place()
            ))
        });
        let notes: Vec<String> = notes.collect();
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

/// How many values there are in a tree.
fn values(tree: &Tree) -> usize {
    match tree {
        Tree::List(items) => items.iter().map(values).sum(),
        Tree::Map(fields) => fields.values().map(values).sum(),
        _ => 1,
    }
}
