//! Which object gives up a name and which one takes it: the steps of a rename, and their order.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Planner, fingerprint, name_change};
use crate::error::Problem;
use crate::kinds::Key;
use crate::kinds::path::FieldPath;
use crate::listed::few;
use crate::manifest::set::Desired;
use crate::plan::order::Edge;
use crate::plan::renames::{former_keys, open_former_keys, stand_in};
use crate::plan::{Action, Effect, Entry, Operation, Reason, Sent, Why};

impl Planner<'_> {
    /// The key under which the platform has an object before the plan.
    pub(super) fn named_now(&self, key: &Key) -> Key {
        self.renames.now(key).unwrap_or(key).clone()
    }

    /// The operations of an object.
    fn operations_of(&self, key: &Key) -> impl Iterator<Item = usize> + '_ {
        self.by_key.get(key).into_iter().flatten().copied()
    }

    /// Adds a note if a document gives a former name that no object has, and an object of the kind
    /// is deleted: the former name may be wrong.
    pub(super) fn hint_at_renames(&mut self) {
        let is_whole = |operation: &&Operation| !operation.replaces();
        let mut deleted: BTreeMap<_, Vec<&Key>> = BTreeMap::new();
        for operation in self.operations.iter().filter(is_whole) {
            let key = &operation.key;
            if operation.action() == Action::Delete && !self.renames.displaces(key) {
                deleted.entry((key.kind, &key.project, &key.room)).or_default().push(key);
            }
        }
        let mut hints = Vec::new();
        for operation in self.operations.iter().filter(is_whole) {
            let key = &operation.key;
            let gone = deleted.get(&(key.kind, &key.project, &key.room));
            let (Some(gone), Some(desired)) = (gone, self.desired.get(key)) else { continue };
            let says_so = !open_former_keys(self.state, desired).is_empty();
            if operation.action() != Action::Create || !says_so || !key.kind.kind().is_renamable() {
                continue;
            }
            let path = FieldPath::of(&["lifecycle", "moved_from"]);
            let place = desired.origin.places(std::iter::once(&path)).pop().flatten();
            let place = place.unwrap_or_else(|| desired.origin.place());
            hints.push(match gone.as_slice() {
                [one] => format!(
                    "{key} is created and {one} is deleted; if that is one object, `moved_from` must name `{}` ({place})",
                    one.name
                ),
                several => format!(
                    "{key} is created and {} are deleted; if it is one of them, `moved_from` must name that one ({place})",
                    few(several)
                ),
            });
        }
        self.plan.notes.extend(hints);
    }

    /// Refuses to delete an object that a document may mean under another name.
    pub(super) fn is_wanted_elsewhere(&mut self, key: &Key, entry: &Entry) -> bool {
        if self.policy.destroy || self.renames.displaces(key) || !key.kind.kind().is_renamable() {
            return false;
        }
        let known_as = entry.was.as_ref().map(|was| key.with_name(was.clone()));
        let by_name = known_as.and_then(|key| self.desired.get(&key));
        // A document with a former name is for another object.
        if let Some(desired) = by_name.filter(|desired| former_keys(desired).is_empty()) {
            let message =
                format!("{key} would be deleted, but the set knows it as {}", desired.key);
            let hint = format!(
                "write `moved_from: {}` into the document of {}, or delete {key} first",
                key.name, desired.key
            );
            self.guard(desired, message, &hint);
            return true;
        }
        let by_document = self.desired.values().find(|desired| former_keys(desired).contains(key));
        let Some(desired) = by_document.filter(|desired| self.is_selected(&desired.key)) else {
            return false;
        };
        let path = FieldPath::of(&["lifecycle", "moved_from"]);
        let message = format!(
            "{key} would be deleted, but {} names {key} in `moved_from`; that was another object, which has already been renamed",
            desired.key
        );
        let problem = desired.origin.problem_at(&path, message);
        self.guards.push(problem.hint(
            "remove `moved_from` if it should be deleted; to rename it, remove `moved_from`, apply with --no-prune, and write `moved_from` again",
        ));
        true
    }

    /// Adds the steps that free names: displaced objects give up their names, and so does one
    /// object of each ring.
    pub(super) fn make_room(&mut self) {
        let displaced: Vec<Key> = self.renames.displaced().cloned().collect();
        for key in displaced {
            let deleted = self
                .operations_of(&key)
                .find(|index| self.operations[*index].action() == Action::Delete);
            let name = self.named_now(&key);
            let Some(index) = deleted else {
                self.refuse_name(&name);
                continue;
            };
            self.operations[index].reason = Reason::new(
                Why::Undeclared,
                format!(
                    "no document declares it any more, and {} gets its name",
                    self.named_now(&name)
                ),
            );
            if key.kind.kind().is_named_by_others() {
                self.operations[index].reason = Reason::new(
                    Why::Undeclared,
                    format!("it was {name}; no document declares it any more"),
                );
                self.step_aside(&key);
            } else {
                self.leave_early(&name);
            }
        }
        for (key, stand_in) in self.renames.rings(self.state) {
            let rename = self
                .operations_of(&key)
                .find(|index| self.operations[*index].action() == Action::Rename);
            if let Some(index) = rename {
                self.go_through(index, stand_in);
            }
        }
    }

    /// Refuses a name whose present object stays.
    fn refuse_name(&mut self, name: &Key) {
        let Some(desired) = self.desired.get(name) else { return };
        let former = self.named_now(name);
        let path = FieldPath::of(&["lifecycle", "moved_from"]);
        let displaced = self.renames.becomes(name).unwrap_or(name);
        let (stays, hint) = self.stays_because((displaced, name), &former);
        let message = format!("{former} cannot be renamed to {name}: {stays}");
        let problem = desired.origin.problem_at(&path, message);
        self.guards.push(problem.hint(hint));
    }

    /// Objects in a room or that name it would be renamed with it, so a room that will be deleted
    /// gets another name first.
    fn step_aside(&mut self, key: &Key) {
        let name = self.named_now(key);
        let Some(observed) = self.state.objects.get(key) else { return };
        let index = self.operations.len();
        self.by_key.entry(key.clone()).or_default().insert(0, index);
        let told = format!("it was {name}, and {} gets that name", self.named_now(&name));
        let by_id = self.known.by_id(key, &observed.fields);
        let effect = Effect::Rename {
            of: observed.clone().into(),
            former: name.clone(),
            sent: Sent::new(Arc::clone(&observed.fields), by_id),
        };
        self.operations.push(Operation {
            changes: vec![name_change(key, &name, None)],
            fingerprint: Some(fingerprint(observed, &self.fingerprinter(key), false)),
            ..Operation::new(key.clone(), effect, Reason::new(Why::NameWanted, told))
        });
    }

    /// An object that gets the name of a deleted one gives up its own name early if others want it:
    /// the deletion may wait for those.
    fn leave_early(&mut self, name: &Key) {
        let former = self.named_now(name);
        let rename = self
            .operations_of(name)
            .find(|index| self.operations[*index].action() == Action::Rename);
        if let Some(index) = rename.filter(|_| self.by_key.contains_key(&former)) {
            self.go_through(index, stand_in(name, self.state));
        }
    }

    /// A rename in two steps: the first one, which writes the fields too, gives it a name
    /// that nobody else has.
    fn go_through(&mut self, index: usize, stand_in: Key) {
        let last = &mut self.operations[index];
        let mut first = last.clone();
        let Effect::Rename { former: last_former, .. } = &mut last.effect else { return };
        let former = std::mem::replace(last_former, stand_in.clone());
        first.reason = Reason::new(
            Why::NameWanted,
            format!("it was {former}, and becomes {} when that name is free", last.key),
        );
        let name =
            |change: &crate::plan::FieldChange| change.path == FieldPath::of(&["metadata", "name"]);
        let cause = first.changes.iter().find(|change| name(change)).and_then(|it| it.cause);
        first.changes.retain(|change| !name(change));
        first.changes.push(name_change(&stand_in, &former, cause));
        first.entry = None;
        first.key.clone_from(&stand_in);
        last.reason = Reason::new(Why::Renamed, format!("renamed from {former}"));
        last.changes = vec![name_change(&last.key, &stand_in, cause)];
        last.sequel.is_second = true;
        last.sequel.follows_rename = true;
        self.by_key.entry(stand_in).or_default().push(self.operations.len());
        self.operations.push(first);
    }

    /// The order between operations that give the same name up and take it, and between
    /// those on one object.
    pub(super) fn name_edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        let mut free: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for (index, operation) in self.operations.iter().enumerate() {
            if let Some(name) = self.given_up(operation) {
                free.entry(name.claim()).or_default().push(index);
            }
        }
        for (index, operation) in self.operations.iter().enumerate() {
            if matches!(operation.action(), Action::Create | Action::Rename) {
                let before = free.get(&operation.key.claim()).into_iter().flatten();
                edges.extend(before.map(|before| (*before, index)));
            }
            // The step before, which gives the name that this one gives up again.
            if let Some(stand_in) = self.stand_in(operation) {
                let steps = self.operations_of(&stand_in);
                edges.extend(steps.filter(|step| *step != index).map(|step| (step, index)));
            }
        }
        edges
    }

    /// The name that an operation frees, unless only the plan gave it.
    fn given_up(&self, operation: &Operation) -> Option<Key> {
        if self.stand_in(operation).is_some() {
            return None;
        }
        match operation.action() {
            Action::Delete => {
                let former = operation.former().cloned();
                Some(former.unwrap_or_else(|| self.named_now(&operation.key)))
            }
            Action::Rename => operation.former().cloned(),
            _ => None,
        }
    }

    /// The name that an earlier step of the plan gave to the object of this one.
    fn stand_in(&self, operation: &Operation) -> Option<Key> {
        match operation.action() {
            Action::Rename if operation.sequel.is_second => operation.former().cloned(),
            Action::Delete if self.steps_aside(&operation.key) => Some(operation.key.clone()),
            _ => None,
        }
    }

    fn steps_aside(&self, key: &Key) -> bool {
        self.renames.displaces(key) && key.kind.kind().is_named_by_others()
    }

    /// An object that is displaced and deleted at once keeps its present name in the plan. The
    /// inventory keeps it beside the object that gets the name.
    pub(super) fn name_displaced(&mut self) {
        for operation in &mut self.operations {
            if operation.action() == Action::Delete
                && self.renames.displaces(&operation.key)
                && !operation.key.kind.kind().is_named_by_others()
                && let Some(name) = self.renames.now(&operation.key)
            {
                operation.sequel.kept_as =
                    Some(std::mem::replace(&mut operation.key, name.clone()));
            }
        }
    }

    /// Checks names that are unique on the whole platform: another project's object must not keep a
    /// name that this plan takes.
    pub(super) fn check_shared_names(&mut self) {
        let created = self.operations.iter().filter(|operation| {
            operation.action() == Action::Create
                && !operation.replaces()
                && operation.key.kind.kind().is_unique_everywhere()
        });
        let created: BTreeMap<Key, Key> =
            created.map(|operation| (operation.key.claim(), operation.key.clone())).collect();
        if created.is_empty() {
            return;
        }
        let mut refused: Vec<(&Desired, Problem)> = Vec::new();
        for wanted in created.values().filter(|key| self.state.taken.contains(key)) {
            let Some(desired) = self.desired.get(wanted) else { continue };
            let message = wanted.held_by_another();
            let path = FieldPath::of(&["metadata", "name"]);
            refused.push((desired, desired.origin.problem_at(&path, message)));
        }
        for key in self.state.objects.keys() {
            let Some(wanted) = created.get(&key.claim()) else { continue };
            let is_deleted = self
                .operations_of(key)
                .any(|index| self.operations[index].action() == Action::Delete);
            if key == wanted || is_deleted {
                continue;
            }
            let Some(desired) = self.desired.get(wanted) else { continue };
            let message = format!(
                "{wanted} is taken: project `{}` has it, and this plan does not delete it there",
                key.project
            );
            let path = FieldPath::of(&["metadata", "name"]);
            refused.push((desired, desired.origin.problem_at(&path, message)));
        }
        self.guards.extend(refused.into_iter().map(|(_, problem)| {
            problem.hint("names of this kind are unique on the whole platform; delete the object there first")
        }));
    }
}
