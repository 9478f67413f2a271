//! Fields that are left to others, by `lifecycle.ignore` or because drift is left alone. And what
//! cannot be written because of that: the platform takes a secret as a whole and does not give its
//! values back.

use std::sync::Arc;

use super::{Ownership, Planner};
use crate::kinds::Key;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::recorded::Recorded;
use crate::kinds::tree::Tree;
use crate::listed::few;
use crate::manifest::set::Desired;
use crate::plan::diff::has_masked;
use crate::plan::ignored::{self, Ignored, Left};
use crate::plan::{Cause, Entry, FieldChange, Observed};

/// The wanted fields in the spelling that the platform has, where both mean the same.
pub(super) fn spelled(key: &Key, wanted: Arc<Tree>, observed: &Observed) -> Arc<Tree> {
    let spelled = key.kind.kind().spelled_as(&wanted, &observed.fields);
    spelled.map_or(wanted, Arc::new)
}

/// The wanted state of an object that exists.
pub(super) struct Wanted {
    /// The fields to send.
    pub fields: Arc<Tree>,
    /// How they differ from the present fields.
    pub changes: Vec<FieldChange>,
    /// What is ignored and not known: if there is any, the fields must not be sent.
    pub ignored: Vec<FieldPath>,
    /// What is ignored and stays as the platform has it.
    pub kept: Vec<FieldPath>,
    /// What drifted and is left alone.
    pub left_alone: Vec<FieldPath>,
    /// What of that is not known: if there is any, the fields must not be sent.
    pub drifted: Vec<FieldPath>,
}

impl Planner<'_> {
    /// What the manifest wants of an object, without what is left to others.
    pub(super) fn wanted(
        &self,
        desired: &Desired,
        observed: &Observed,
        intended: &Arc<Tree>,
    ) -> Wanted {
        let (mut fields, ignored, kept) = match self.left(desired, &observed.fields, true) {
            Some(Left { fields, untold, kept }) => {
                let fields = self.with_names(&desired.key, fields.into());
                (spelled(&desired.key, fields, observed), untold, kept)
            }
            None => (Arc::clone(intended), Vec::new(), Vec::new()),
        };
        let mut changes = self.changes(desired, observed, &fields);
        // If somebody wrote the secret, it may be only the ignored part.
        if ignored.is_empty() {
            self.tell_rewritten(desired, observed, &mut changes);
        }
        ignored::retain_told(&mut changes, &ignored);
        let (mut left_alone, mut drifted) = (Vec::new(), Vec::new());
        if self.policy.ignore_drift {
            changes.retain(|change| {
                // A value that was not read may also differ from what was applied.
                if change.cause != Some(Cause::Drift) || change.is_uncertain() {
                    return true;
                }
                if has_masked(observed.fields.at(&change.path)) {
                    drifted.push(change.path.clone());
                }
                left_alone.push(change.path.clone());
                ignored::leave_drift(Arc::make_mut(&mut fields), &observed.fields, &change.path);
                false
            });
        }
        Wanted { fields, changes, ignored, kept, left_alone, drifted }
    }

    /// The fields of an object whose document leaves some of the present ones to others. One that
    /// stays keeps also what is only written when it is created.
    fn left(&self, desired: &Desired, observed: &Tree, stays: bool) -> Option<Left> {
        let rules = desired.lifecycle.ignore.iter();
        let mut rules: Vec<_> = rules.filter_map(|rule| FieldPath::parse(rule).ok()).collect();
        let kind = desired.key.kind.kind();
        if kind.keeps_what_others_write() && !desired.lifecycle.overwrite {
            rules.extend(kind.shape().names().map(|name| FieldPath::of(&[name])));
        }
        let once = kind.once(&desired.fields).filter(|_| stays);
        rules.extend(once.map(|(field, _)| FieldPath::of(&[field])));
        if rules.is_empty() {
            return None;
        }
        let applied = self.entry(&desired.key).and_then(|entry| entry.applied.as_ref());
        let applied = applied.map(Recorded::value);
        let shape = desired.key.kind.kind().shape();
        let rules = Ignored { shape, applied: applied.as_ref(), rules: &rules };
        Some(rules.leave(&desired.fields, observed))
    }

    /// The record of ignored values that were not sent stays as it was, or becomes the platform's
    /// value if there was none. Once they are no longer ignored, the value from the document is
    /// sent, as a change of the document.
    pub(super) fn keep_unsent(
        &self,
        key: &Key,
        entry: &mut Entry,
        (observed, unsent): (&Tree, &[FieldPath]),
    ) {
        let Some(applied) = entry.applied.as_ref().filter(|_| !unsent.is_empty()) else { return };
        let before = self.entry(key).and_then(|entry| entry.applied.as_ref());
        let before = before.map(|before| Tree::from(&before.value()));
        let before = before.as_ref().unwrap_or(observed);
        let mut recorded = Tree::from(&applied.value());
        for path in unsent {
            recorded.put(path, before.at(path).cloned());
        }
        let recorded = recorded.recorded(&self.fingerprinter(key));
        *entry = entry.clone().but(|it| it.applied = Some((&recorded).into()));
    }

    /// The fields of an object that replaces another one of the set: the fields that are left to
    /// others are carried over.
    pub(super) fn heir(&self, desired: &Desired, former: Option<&Key>) -> Arc<Tree> {
        let former = former.and_then(|key| Some((key, self.state.objects.get(key)?)));
        let former = former
            .filter(|(key, observed)| matches!(self.ownership(key, observed), Ownership::Ours));
        let left = former.and_then(|(_, observed)| self.left(desired, &observed.fields, false));
        left.map_or_else(|| Arc::clone(&desired.fields), |left| left.fields.into())
    }

    /// Refuses to create an object in the place of another one of the set whose values are left to
    /// others and not known: they would be gone. Returns whether it refused.
    pub(super) fn refuse_loss(&mut self, desired: &Desired, former: &Key) -> bool {
        let Some(observed) = self.state.objects.get(former) else { return false };
        let is_ours = matches!(self.ownership(former, observed), Ownership::Ours);
        if !is_ours || self.desired.contains_key(former) {
            return false;
        }
        let left = self.left(desired, &observed.fields, false);
        let Some(path) = left.and_then(|left| left.untold.into_iter().next()) else { return false };
        let message = format!(
            "{} cannot take the place of {former}: the platform does not show the value of `{path}`, which `lifecycle.ignore` leaves to others, and it would be lost",
            desired.key
        );
        let hint = format!(
            "declare the value of `{path}` and remove it from `lifecycle.ignore`, or keep the former name"
        );
        self.guard(desired, message, &hint);
        true
    }

    /// Refuses a write that would have to send a value that is left to others and not known.
    pub(super) fn refuse_untold(
        &mut self,
        desired: &Desired,
        known_as: &Key,
        (path, changes): (&FieldPath, &[FieldChange]),
    ) {
        let changed = few(changes.iter().map(|change| format!("`{}`", change.path)));
        let mut hint = format!(
            "declare the value of `{path}` and remove it from `lifecycle.ignore`, or do not change {changed}"
        );
        if changes.iter().all(|change| change.cause == Some(Cause::Drift)) {
            hint += ", for example with --ignore-drift";
        }
        let message = format!(
            "{known_as} cannot be changed in {changed}: it is sent as a whole, but the platform does not show the value of `{path}`, which `lifecycle.ignore` leaves to others"
        );
        self.guard(desired, message, &hint);
    }

    /// Refuses to change a field whose other parts are left to others and must be sent too, if the
    /// platform hides the field. Returns whether it refused.
    pub(super) fn refuse_unread(
        &mut self,
        desired: &Desired,
        known_as: &Key,
        (observed, changes): (&Observed, &[FieldChange]),
    ) -> bool {
        let shape = desired.key.kind.kind().shape();
        let unread = changes.iter().find_map(|change| {
            let top = FieldPath(change.path.0.first().cloned().into_iter().collect());
            let is_partial = shape.child(top.0.first()?).is_some_and(|field| field.partial);
            let is_unread = matches!(observed.fields.at(&top), Some(Tree::Secret(_)));
            (is_partial && is_unread).then_some(top)
        });
        let Some(path) = unread else { return false };
        let message = format!(
            "{known_as} cannot be changed: the platform does not show its `{path}`, and a change would remove the values of others"
        );
        let hint = "use the key of somebody who may read it, or remove the field from the document";
        self.guard(desired, message, hint);
        true
    }

    /// Notes that a field of an object that is there is not what its document says, and stays.
    pub(super) fn tell_once(&mut self, desired: &Desired) {
        let (key, fields) = (&desired.key, &desired.fields);
        let Some((field, why)) = key.kind.kind().once(fields) else { return };
        let path = FieldPath::of(&[field]);
        let applied = self.entry(key).and_then(|entry| entry.applied.as_ref()).map(Recorded::tree);
        let was = applied.as_ref().and_then(|applied| applied.get(field));
        if fields.get(field).is_some() && fields.get(field) != was {
            let place = desired.origin.place_of(&path);
            self.plan
                .notes
                .push(format!("the `{field}` of {key} are not applied: they {why} ({place})"));
        }
    }

    /// Notes what becomes of the rest of an object of which no answer tells what is written into it.
    pub(super) fn tell_written_into(&mut self, key: &Key, changes: &[FieldChange]) {
        let kind = key.kind.kind();
        let is_of = |name: &&&str, change: &FieldChange| {
            change.path.0.first() == Some(&Step::Field((**name).to_owned()))
        };
        let written =
            kind.untold().iter().find(|name| changes.iter().any(|change| is_of(name, change)));
        if let Some(told) = written.and_then(|name| kind.written_into(name)) {
            self.plan.notes.push(format!("{key}: {told}"));
        }
    }

    /// Notes what an object has that no document declares: it is left alone if the object stays.
    pub(super) fn tell_added(&mut self, desired: &Desired, observed: &Observed, stays: bool) {
        let key = &desired.key;
        let mut added = key.kind.kind().shape().added(&observed.fields, &[&desired.fields]);
        let applied = self.entry(key).and_then(|entry| entry.applied.as_ref());
        // What was applied is read only where it matters.
        if let Some(applied) = applied.filter(|_| !added.is_empty()).map(Recorded::tree) {
            added.retain(|path| applied.at(path).is_none());
        }
        if !added.is_empty() {
            let told = few(added.iter().map(|path| format!("`{path}`")));
            let becomes = if stays { "it stays" } else { "it is lost" };
            self.plan
                .notes
                .push(format!("{key} has {told}, which no document declares; {becomes}"));
        }
    }

    /// Notes which fields of an object drifted and are left alone.
    pub(super) fn tell_left_alone(&mut self, (key, known_as): (&Key, &Key), fields: &[FieldPath]) {
        let told: Vec<String> = fields.iter().map(|path| format!("`{path}`")).collect();
        self.plan.notes.push(format!(
            "--ignore-drift leaves {} of {known_as} as the platform has it",
            told.join(", ")
        ));
        self.plan.left_drifted.insert(key.clone());
    }

    /// Leaves an object as it is if writing it needs a value that drifted and is not known.
    pub(super) fn wait(&mut self, key: &Key, known_as: &Key, path: &FieldPath) {
        self.plan.notes.push(format!(
            "{known_as} stays as it is, and the changes of its document wait: it is sent as a whole, but the platform does not show the value of `{path}`, which --ignore-drift leaves alone"
        ));
        if let Some(entry) = self.entry(key).cloned() {
            self.plan.kept.insert(known_as.clone(), entry.but(|it| it.was = None));
        }
        self.plan.waiting.insert(key.clone());
    }
}
