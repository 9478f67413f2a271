//! What happens to declared objects that were not found on the platform.

use std::sync::Arc;

use super::Planner;
use crate::error::Problem;
use crate::kinds::Key;
use crate::kinds::tree::Tree;
use crate::listed::few;
use crate::manifest::set::Desired;
use crate::plan::renames;
use crate::plan::{Effect, Observed, Operation, Reason, Sent, Why};

impl<'a> Planner<'a> {
    /// Refuses to plan objects that may or may not exist, in one sentence per kind and project.
    pub(super) fn refuse_doubted(&mut self) {
        for ((_, _, hint), (reason, objects)) in std::mem::take(&mut self.doubted) {
            let exist = if objects.len() == 1 { "exists" } else { "exist" };
            let names = few(objects.iter().map(|desired| &desired.key));
            let message = format!("it is not known whether {names} {exist}: {reason}");
            if let Some(first) = objects.first() {
                self.guard(first, message, &hint);
                self.doubt.get_or_insert(reason);
            }
        }
    }

    /// Decides about an object that was not found on the platform.
    pub(super) fn decide_absent(&mut self, desired: &'a Desired) {
        let key = &desired.key;
        if let Some(doubt) = self.state.doubt(key) {
            let (reason, hint) = (doubt.reason.clone(), doubt.hint.clone());
            let alike = (key.project.clone(), key.kind, hint);
            self.doubted.entry(alike).or_insert((reason, Vec::new())).1.push(desired);
            return;
        }
        if self.state.alike.contains(key) && !self.policy.lets_go {
            self.tell_alike(key);
            return;
        }
        if self.refuse_other_name(key) || self.leaves_deleted(key) {
            return;
        }
        let former = renames::open_former_keys(self.state, desired);
        let there: Vec<Key> =
            former.iter().filter(|key| self.state.objects.contains_key(key)).cloned().collect();
        let is_renamable = key.kind.kind().is_renamable();
        if let Some(problem) = renames::ambiguous(desired, &there).filter(|_| !is_renamable) {
            self.guards.push(problem);
            return;
        }
        let reason = match (there.first(), self.entry(key)) {
            (Some(former), _) if !is_renamable => {
                let told = format!(
                    "{former} cannot be renamed in place, so {key} is created in its place"
                );
                Reason::new(Why::InItsStead, told)
            }
            (None, None) if !former.is_empty() => {
                self.plan.notes.push(format!(
                    "{key} does not exist, under this name or its former {names} {}, so it is created",
                    few(&former),
                    names = if former.len() == 1 { "name" } else { "names" },
                ));
                Why::NotThere.into()
            }
            (_, Some(entry)) if entry.was_there() => Why::Deleted.into(),
            _ => Why::NotThere.into(),
        };
        let former = there.first().filter(|_| !is_renamable);
        let replaced = former.cloned().or_else(|| self.in_former_place(key));
        if replaced.is_some_and(|replaced| self.refuse_loss(desired, &replaced)) {
            return;
        }
        if former.is_some_and(|former| self.refuses_blind_move(desired, former)) {
            return;
        }
        let operation = self.create(desired, reason, self.heir(desired, former));
        self.push(operation);
    }

    /// The object of the same name in the place that this one's place takes the place of, if that is
    /// there.
    fn in_former_place(&self, key: &Key) -> Option<Key> {
        let place = key.place_key().filter(|place| !place.kind.kind().is_renamable())?;
        let rest = key.name.strip_prefix(place.name.as_str())?;
        let former = renames::former_keys(self.desired.get(&place)?);
        let keys = former.iter().map(|former| key.with_name(format!("{}{rest}", former.name)));
        keys.into_iter().find(|former| self.state.objects.contains_key(former))
    }

    /// Refuses to take an object of the set for gone that somebody called otherwise, if it cannot be
    /// renamed. Returns whether it refused.
    pub(super) fn refuse_other_name(&mut self, key: &Key) -> bool {
        let id = self.entry(key).and_then(|entry| entry.id.as_ref());
        let Some(id) = id.filter(|_| !key.kind.kind().is_renamable()) else { return false };
        let is_it = |(other, observed): &(&Key, &Observed)| {
            (other.kind, &other.project) == (key.kind, &key.project)
                && observed.id.as_ref() == Some(id)
        };
        let Some((other, _)) = self.state.objects.iter().find(is_it) else { return false };
        // Whoever declares it by its new name has seen that.
        if self.desired.contains_key(other) {
            return false;
        }
        self.guards.push(
            Problem::new(format!("{key} is called {other} on the platform now")).hint(format!(
                "give it the name `{}` again where that was changed, or give its document the new name and say --adopt",
                key.name
            )),
        );
        true
    }

    /// The operation that creates an object with these fields.
    fn create(&self, desired: &Desired, reason: Reason, fields: Arc<Tree>) -> Operation {
        let key = &desired.key;
        let intended = self.with_names(key, Arc::clone(&desired.fields));
        let fields = self.with_names(key, fields);
        let mut changes = self.field_changes(desired, None, &fields);
        // Before the object exists, its fields have no defaults either.
        changes.retain_mut(|change| {
            change.old = None;
            change.new.is_some() && !change.path.0.is_empty()
        });
        let by_id = self.known.by_id(key, &fields);
        let effect = Effect::Create { sent: Sent::new(fields, by_id), replaces: false };
        Operation {
            changes,
            place: Some(desired.origin.place()),
            derived_from: desired.origin.derived_from.clone(),
            entry: Some(self.entry_for(desired, None, &intended)),
            ..Operation::new(key.clone(), effect, reason)
        }
    }
}
