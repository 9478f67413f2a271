//! What happened to whole objects outside of the set: one was renamed or deleted. And what is left
//! out of a plan that leaves this as it is.

use std::collections::BTreeSet;

use super::Planner;
use crate::kinds::Key;
use crate::kinds::tree::{Sealed, Tree};
use crate::manifest::set::Desired;
use crate::plan::diff::has_masked;
use crate::plan::references::Resolved;
use crate::plan::renames::former_keys;
use crate::plan::{Cause, FieldChange, Observed, Operation, State};

/// The objects that the platform has under other names than the set knows, although no run of
/// this set renamed them.
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
    /// Adds the values of an object that may differ from what the set wrote: the platform hides
    /// them, but shows that somebody has written the object since.
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
            // What stays as it is, whoever wrote it.
            if matches!(leaf, Tree::Secret(Sealed::Kept(_))) {
                return None;
            }
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

    /// Leaves an object under the name that somebody gave it. Objects in a room, or that name the
    /// room, cannot be written while the room has another name.
    /// The changes of its document wait until it has the declared name again.
    pub(super) fn leave_renamed(&mut self, key: &Key, now: &Key, waits: bool) {
        let rest = if waits {
            "; the changes of its document wait until it has the declared name again"
        } else {
            ""
        };
        self.plan.notes.push(format!(
            "{key} was renamed to {now} on the platform, not by this set, and --ignore-drift keeps that name{rest}"
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

    /// Whether an object was deleted outside of the set and stays deleted.
    pub(super) fn leaves_deleted(&mut self, key: &Key) -> bool {
        let was_applied = self.entry(key).is_some_and(|entry| entry.was_there());
        if !self.policy.ignore_drift || !was_applied {
            return false;
        }
        self.plan.notes.push(format!(
            "{key} was deleted on the platform, not by this set, and --ignore-drift does not create it again"
        ));
        self.plan.left_drifted.insert(key.clone());
        self.keep_recorded(key);
        self.left.insert(key.clone());
        true
    }

    /// Removes operations that need an object that is left as it is; they would fail.
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
                    "{key} stays as it is: it needs something that --ignore-drift leaves alone"
                ));
                if let Some(entry) = self.entry(key).cloned() {
                    let now = operation.former().cloned().unwrap_or_else(|| key.clone());
                    self.plan.kept.insert(now, entry.but(|it| it.was = None));
                }
                self.plan.waiting.insert(operation.key.clone());
                // An object that is not created now is missing for others too.
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
