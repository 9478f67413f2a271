//! What happens to declared objects that exist.

use std::sync::Arc;

use super::kept_back::{Wanted, spelled};
use super::{Planner, fingerprint, name_change};
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::tree::Tree;
use crate::kinds::{Held, Key};
use crate::listed::{few, word};
use crate::manifest::set::Desired;
use crate::plan::{Cause, Effect, FieldChange, Observed, Operation, Reason, Sent, Why};

/// A declared object that is on the platform.
struct Found<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    /// The key under which the platform knows it, where that is another one.
    former: Option<Key>,
    /// Whether somebody gave it that name outside of the set.
    is_by_hand: bool,
    /// Whether the set takes it over.
    adopts: bool,
}

impl Found<'_> {
    /// The key under which the platform knows it.
    fn known_as(&self) -> &Key {
        self.former.as_ref().unwrap_or(&self.desired.key)
    }
}

/// How an object differs from its document.
struct Difference {
    /// The fields as the document has them.
    intended: Arc<Tree>,
    /// The fields to send.
    fields: Arc<Tree>,
    changes: Vec<FieldChange>,
    /// Whether fields of the kind are among them.
    is_of_fields: bool,
    /// Whether something is sent.
    sends: bool,
    is_uncertain: bool,
    /// What is left to others, and not sent.
    unsent: Vec<FieldPath>,
}

impl<'a> Planner<'a> {
    /// Decides on what is declared.
    pub(super) fn decide(&mut self, desired: &'a Desired) {
        let Some(observed) = self.state.objects.get(&desired.key) else {
            self.decide_absent(desired);
            return;
        };
        if let Some(found) = self.found(desired, observed)
            && let Some(difference) = self.difference(&found)
        {
            self.settle(&found, difference);
        }
    }

    /// A declared object, unless another set owns it or it must not be taken over.
    fn found(&mut self, desired: &'a Desired, observed: &'a Observed) -> Option<Found<'a>> {
        let key = &desired.key;
        let former = self.renames.now(key).cloned();
        let known_as = former.as_ref().unwrap_or(key);
        if let Some((message, hint)) = self.claims_of_others(desired, known_as) {
            self.guard(desired, message, &hint);
            return None;
        }
        if self.is_foreign(desired, known_as) {
            return None;
        }
        let other = self.other_files(desired).next().filter(|_| key != known_as);
        let folder = other.map(|file| file.folder(&self.policy.looked_at));
        if let Some(folder) = folder {
            self.plan.notes.push(format!(
                "{known_as} is renamed to {key}; {folder}, which was not given, also declares it under its former name"
            ));
        }
        match self.adopts(desired, observed, known_as) {
            Ok(adopts) => {
                let is_by_hand =
                    former.as_ref().is_some_and(|it| self.is_renamed_by_hand(desired, it));
                Some(Found { desired, observed, former, is_by_hand, adopts })
            }
            Err((message, hint)) => {
                self.guard(desired, message, &hint);
                None
            }
        }
    }

    /// Why the set must leave an object alone that it owns: another set is taking it over.
    fn claims_of_others(&self, desired: &Desired, known_as: &Key) -> Option<(String, String)> {
        let key = &desired.key;
        if let Some(to) = self.entry(key).and_then(|entry| entry.moving_to.as_ref()) {
            let (set, project, flags) = (&self.policy.set, &key.project, &self.policy.flags);
            return Some((
                format!("{known_as} is being moved to the set `{to}`"),
                format!(
                    "finish the move with `meshagent set move {} --set {set} --to {} --project-id {}{flags}`; then remove its document from this set",
                    known_as.as_word(),
                    word(to),
                    word(project)
                ),
            ));
        }
        None
    }

    /// How the object differs from its document; `None` if it is left as it is, or cannot be
    /// written.
    fn difference(&mut self, found: &Found<'_>) -> Option<Difference> {
        let Found { desired, observed, former, .. } = found;
        let (key, known_as) = (&desired.key, found.known_as());
        let intended = self.with_names(key, Arc::clone(&desired.fields));
        let intended = spelled(key, intended, observed);
        let Wanted { fields, mut changes, ignored, kept, left_alone, drifted } =
            self.wanted(desired, observed, &intended);
        let is_left = found.is_by_hand && self.policy.ignore_drift;
        if let Some(former) = former.as_ref().filter(|_| is_left) {
            self.leave_renamed(key, former, !changes.is_empty());
            return None;
        }
        if !left_alone.is_empty() {
            self.tell_left_alone((key, known_as), &left_alone);
        }
        let is_of_fields = !changes.is_empty();
        let cause = found.is_by_hand.then_some(Cause::Drift);
        changes.extend(former.as_ref().map(|former| name_change(key, former, cause)));
        changes.extend(self.owner_change(key, observed));
        // It has another id than in the former API, and no name yet.
        if let Some(called) = observed.called.as_ref().filter(|_| self.is_migrated(key)) {
            changes.push(name_change(key, &key.with_name(called.clone()), None));
        }
        let is_uncertain = changes.iter().all(FieldChange::is_uncertain);
        let sends = !changes.is_empty();
        if self.refuse_unread(desired, known_as, (observed, &changes)) {
            return None;
        }
        if let Some(path) = ignored.first().filter(|_| sends && !is_uncertain) {
            self.refuse_untold(desired, known_as, (path, &changes));
            return None;
        }
        if let Some(path) = drifted.first().filter(|_| sends && !is_uncertain) {
            self.wait(key, known_as, path);
            return None;
        }
        let sent = changes.len();
        if let Some(known) = self.entry(key).filter(|_| !found.adopts) {
            changes.extend(super::lifecycle::changes(desired, known));
        }
        // A change of the inventory is certain.
        let sends = sends && (!is_uncertain || changes.len() == sent);
        let unsent = ignored.into_iter().chain(kept).collect();
        Some(Difference { intended, fields, changes, is_of_fields, sends, is_uncertain, unsent })
    }

    /// Plans the operation that makes the object match its document, if one is needed.
    fn settle(&mut self, found: &Found<'_>, difference: Difference) {
        let Found { desired, observed, adopts, .. } = found;
        let key = &desired.key;
        let frozen = self.frozen(key, &difference.changes);
        self.tell_added(desired, observed, frozen.is_empty());
        if frozen.is_empty() {
            self.tell_once(desired);
        }
        let mut entry = self.entry_for(desired, observed.id.clone(), &difference.intended);
        self.keep_unsent(key, &mut entry, (&observed.fields, &difference.unsent));
        if key.kind.kind().hides_values() && entry.revision.is_none() {
            entry = entry.but(|it| it.revision = observed.revision.clone());
        }
        let migrates = self.is_migrated(key);
        if !adopts && difference.changes.is_empty() && !migrates {
            if !self.plan.left_drifted.contains(key) {
                self.plan.unchanged += 1;
                self.plan.as_declared.insert(key.clone());
            }
            self.plan.kept.insert(key.clone(), entry);
            return;
        }
        if !frozen.is_empty() {
            self.replace(found, difference, &frozen);
            return;
        }
        if self.refuse_change(desired, &difference.changes) {
            return;
        }
        self.tell_written_into(key, &difference.changes);
        let reason = match difference.changes.is_empty() && migrates {
            true => Why::Migrated.into(),
            false => why(found, &difference),
        };
        let Difference { fields, changes, sends, .. } = difference;
        let sent = |fields: Arc<Tree>| Sent::new(fields.clone(), self.known.by_id(key, &fields));
        let of = Observed::clone(observed);
        let effect = match &found.former {
            Some(former) => {
                Effect::Rename { of: of.into(), former: former.clone(), sent: sent(fields) }
            }
            None if *adopts => Effect::Adopt { of: of.into(), sent: sent(fields) },
            None if sends => Effect::Update { of: of.into(), sent: sent(fields) },
            None if migrates => Effect::Record { of: Some(of.into()), fields: None },
            None => Effect::Record { of: Some(of.into()), fields: Some(fields) },
        };
        self.push(Operation {
            changes,
            place: Some(desired.origin.place()),
            derived_from: desired.origin.derived_from.clone(),
            fingerprint: Some(fingerprint(observed, &self.fingerprinter(key), false)),
            entry: Some(entry),
            ..Operation::new(key.clone(), effect, reason)
        });
    }

    /// The fields that would change and cannot.
    fn frozen(&self, key: &Key, changes: &[FieldChange]) -> Vec<String> {
        let first = |change: &FieldChange, name: &str| {
            change.path.0.first() == Some(&Step::Field(name.to_owned()))
        };
        let of_api = self.state.immutable.get(&key.kind).copied();
        let immutable = of_api.unwrap_or_else(|| key.kind.kind().immutable());
        let is_changed = |name: &&str| changes.iter().any(|change| first(change, name));
        let is_taken_back = |name: &&str| {
            let was_set = |it: &&FieldChange| it.old == Some(Tree::Bool(true)) && first(it, name);
            changes.iter().any(|it| was_set(&it))
        };
        let flags = key.kind.kind().final_flags().iter().copied().filter(is_taken_back);
        let named = immutable.iter().copied().filter(is_changed).chain(flags).map(str::to_owned);
        let parts = changes.iter().filter(|FieldChange { path, old, new, .. }| {
            key.kind.kind().takes_its_place(path, old.as_ref(), new.as_ref())
        });
        named.chain(parts.map(|change| change.path.to_string())).collect()
    }

    /// Refuses a change of an object that stays the same object, where its kind cannot have it so.
    /// Returns whether it refused.
    fn refuse_change(&mut self, desired: &Desired, changes: &[FieldChange]) -> bool {
        let before = self.guards.len();
        for FieldChange { path, old, new, .. } in changes {
            let refused = desired.key.kind.kind().refused_change(path, old.as_ref(), new.as_ref());
            self.guards.extend(refused.map(|(what, instead)| {
                let told = format!("{} cannot be changed: {what}", desired.key);
                desired.origin.problem_at(path, told).hint(instead)
            }));
        }
        self.guards.len() > before
    }

    /// A delete, then a create, because a field cannot be changed in place.
    fn replace(&mut self, found: &Found<'_>, mut difference: Difference, frozen: &[String]) {
        let desired = found.desired;
        let key = &desired.key;
        let is_protected = desired.lifecycle.prevent_destroy
            || self.entry(key).is_some_and(|entry| entry.protected);
        let fields = frozen.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        if is_protected {
            self.guard(
                desired,
                format!("{key} must be replaced, because {fields} cannot be changed in place, but it is protected"),
                "remove `prevent_destroy` from it and apply first",
            );
            return;
        }
        let dependents = self.dependents(key);
        let mut told = format!("{fields} cannot be changed in place");
        let held = found.observed.sent_back();
        let held = held.as_ref().map_or(Held::Unseen, Held::Known);
        if let Some(lost) = key.kind.kind().lost_with(held) {
            told += &format!("; {lost}");
        }
        // Nothing of the former object is left that others could have written there.
        for field in key.kind.kind().untold() {
            let written = desired.fields.get(field).cloned();
            let fields = Arc::make_mut(&mut difference.fields);
            fields.put(&FieldPath::of(&[field]), written);
        }
        if !dependents.is_empty() {
            told += &format!("; it is used by {}", few(dependents));
        }
        let reason = Reason::new(Why::Frozen, told);
        let of = Observed::clone(found.observed).into();
        let delete = Effect::Delete { of, former: found.former.clone(), replaces: true };
        let both = Operation {
            place: Some(desired.origin.place()),
            derived_from: desired.origin.derived_from.clone(),
            ..Operation::new(key.clone(), delete, reason)
        };
        let is_lost = key.kind.kind().is_inside_rooms();
        self.push(Operation {
            fingerprint: Some(fingerprint(found.observed, &self.fingerprinter(key), is_lost)),
            ..both.clone()
        });
        let by_id = self.known.by_id(key, &difference.fields);
        let sent = Sent::new(difference.fields, by_id);
        self.push(Operation {
            effect: Effect::Create { sent, replaces: true },
            changes: difference.changes,
            entry: Some(self.entry_for(desired, None, &desired.fields)),
            ..both
        });
    }
}

fn why(found: &Found<'_>, difference: &Difference) -> Reason {
    match &found.former {
        Some(former) if found.is_by_hand => Reason::new(
            Why::RenamedByHand,
            format!("it was renamed to {former} on the platform, not by this set"),
        ),
        Some(former) => Reason::new(Why::Renamed, format!("renamed from {former}")),
        None if found.adopts => Why::TakenOver.into(),
        None if !difference.sends => Why::Lifecycle.into(),
        None if !difference.is_of_fields => Why::Unmarked.into(),
        None if difference.is_uncertain => Why::MayDiffer.into(),
        None => Why::Differs.into(),
    }
}
