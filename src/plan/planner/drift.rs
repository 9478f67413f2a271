//! What somebody did on the platform behind the set's back to whole objects: gave one another
//! name, or deleted it; and what is left out of a plan that leaves that as it is.

use std::collections::BTreeSet;

use super::Planner;
use crate::kinds::Key;
use crate::kinds::tree::Tree;
use crate::manifest::set::Desired;
use crate::plan::diff::has_masked;
use crate::plan::references::Resolved;
use crate::plan::renames::former_keys;
use crate::plan::{Cause, FieldChange, Observed, Operation, State};

/// The objects that the set knows and the platform has under other names, though no run of this
/// set renamed them.
#[must_use]
pub fn renamed_by_hand(state: &State) -> BTreeSet<Key> {
    let entries = state.inventories.values().flat_map(|inventory| &inventory.entries);
    entries
        .filter(|(key, entry)| {
            let there = state.objects.get(*key).and_then(|observed| observed.id.as_ref());
            key.kind.kind().is_renamable()
                && entry.was.is_none()
                && entry.id.is_some()
                && there != entry.id.as_ref()
        })
        .map(|(key, _)| key.clone())
        .collect()
}

impl Planner<'_> {
    /// Adds the values of an object that may not be what the set wrote: the platform keeps them
    /// to itself, and tells that somebody wrote the object since.
    pub(super) fn tell_rewritten(
        &self,
        desired: &Desired,
        observed: &Observed,
        changes: &mut Vec<FieldChange>,
    ) {
        let recorded = self.entry(&desired.key).and_then(|entry| entry.revision.as_ref());
        let is_rewritten =
            matches!((recorded, &observed.revision), (Some(one), Some(other)) if one != other);
        if !is_rewritten || !desired.key.kind.kind().hides_values() {
            return;
        }
        let mut hidden = Vec::new();
        Tree::clone(&desired.fields).rewrite_leaves(&mut |way, leaf| {
            let path = way.path();
            if !matches!(leaf, Tree::Secret(_)) || !has_masked(observed.fields.at(&path)) {
                return None;
            }
            match changes.iter_mut().find(|change| change.path == path) {
                // That it was not read here does not change what happened there.
                Some(known) if known.is_uncertain() => known.cause = Some(Cause::Drift),
                Some(_) => {}
                None => hidden.push((path, leaf.clone())),
            }
            None
        });
        changes.extend(hidden.into_iter().map(|(path, new)| FieldChange {
            place: desired.origin.places(std::iter::once(&path)).pop().flatten(),
            old: observed.fields.at(&path).cloned(),
            new: Some(new.sealed()),
            cause: Some(Cause::Drift),
            path,
        }));
    }

    /// Whether the name that an object has was given to it by hand.
    pub(super) fn is_renamed_by_hand(&self, desired: &Desired, now: &Key) -> bool {
        self.renamed_by_hand.contains(&desired.key) && !former_keys(desired).contains(now)
    }

    /// Leaves an object under the name that somebody gave it. What is in a room, or says its
    /// name, cannot be written while the room is called otherwise.
    /// What its document changes of it waits until it has its name again.
    pub(super) fn leave_renamed(&mut self, key: &Key, now: &Key, waits: bool) {
        let rest =
            if waits { "; what its document changes waits until it has its name" } else { "" };
        self.plan.notes.push(format!(
            "{key} was renamed to {now} behind the set's back, and --ignore-drift leaves it so{rest}"
        ));
        if waits {
            self.plan.waiting.insert(key.clone());
        }
        self.plan.left_drifted.insert(key.clone());
        self.keep_recorded(key);
        if key.kind.kind().is_named_by_others() {
            self.left.insert(key.clone());
        }
    }

    /// Whether an object was deleted behind the set's back and is left so.
    pub(super) fn leaves_deleted(&mut self, key: &Key) -> bool {
        let was_applied = self.entry(key).is_some_and(|entry| entry.applied.is_some());
        if !self.policy.ignore_drift || !was_applied {
            return false;
        }
        self.plan.notes.push(format!(
            "{key} was deleted behind the set's back, and --ignore-drift does not create it again"
        ));
        self.plan.left_drifted.insert(key.clone());
        self.keep_recorded(key);
        self.left.insert(key.clone());
        true
    }

    /// Takes out what needs an object that is left as it is; it would fail.
    pub(super) fn leave_what_needs_it(&mut self) {
        loop {
            let (stays, goes): (Vec<Operation>, Vec<Operation>) =
                std::mem::take(&mut self.operations)
                    .into_iter()
                    .partition(|operation| !self.needs_what_is_left(operation));
            self.operations = stays;
            if goes.is_empty() {
                break;
            }
            for operation in goes {
                let key = &operation.key;
                self.plan.notes.push(format!(
                    "{key} stays as it is: it needs what --ignore-drift leaves alone"
                ));
                if let Some(entry) = self.entry(key).cloned() {
                    let now = operation.former().cloned().unwrap_or_else(|| key.clone());
                    self.plan.kept.insert(now, entry.but(|it| it.was = None));
                }
                self.plan.waiting.insert(operation.key.clone());
                // What would have been created is not there for others either.
                if operation.observed().is_none() {
                    self.left.insert(operation.key);
                }
            }
        }
        self.by_key.clear();
        for (index, operation) in self.operations.iter().enumerate() {
            self.by_key.entry(operation.key.clone()).or_default().push(index);
        }
    }

    fn needs_what_is_left(&self, operation: &Operation) -> bool {
        let observed = operation.observed().map(|observed| &observed.fields);
        operation.fields().into_iter().chain(observed).any(|fields| {
            self.known.references(&operation.key, fields).iter().any(
                |(_, resolved)| matches!(resolved, Resolved::Object(to) if self.left.contains(to)),
            )
        })
    }

    /// What the inventory says of an object stays as it is.
    fn keep_recorded(&mut self, key: &Key) {
        if let Some(entry) = self.entry(key).cloned() {
            self.plan.kept.insert(key.clone(), entry.but(|it| it.was = None));
        }
    }
}
