//! What is inside of rooms counts as it was last applied, unless somebody looks: looking starts the
//! rooms. The plan says so.

use std::collections::BTreeSet;

use super::{Planner, Policy};
use serde_json::Value;

use crate::error::Problem;
use crate::kinds::Key;
use crate::kinds::path::Step;
use crate::kinds::recorded::Recorded;
use crate::listed::few;
use crate::manifest::set::Desired;
use crate::plan::{Action, Entry, FieldChange, Observed, Operation, Why};

/// Marks an operation on something that nobody looked at.
pub(super) fn mark(operation: &mut Operation, policy: &Policy) {
    let is_inside = operation.key.kind.kind().is_inside_rooms();
    operation.is_unseen = is_inside && !policy.enters_rooms;
    if !operation.is_unseen {
        return;
    }
    let reason = &mut operation.reason;
    match reason.why {
        Why::NotThere => "this set has not applied it yet".clone_into(&mut reason.text),
        Why::Deleted => {
            "its room is not the one in which it was applied".clone_into(&mut reason.text)
        }
        Why::Differs => "its fields differ from what was last applied".clone_into(&mut reason.text),
        _ => {}
    }
    reason.text += "; nobody looked into the room";
}

/// Whether a document has the content with a digest.
fn has_content(desired: &Desired, digest: Option<&str>) -> bool {
    let own = desired.key.kind.kind().content_digest(&desired.fields);
    desired.content.is_some() && digest.is_some() && own == digest
}

/// Gives an operation the bytes of which its fields have just the digest.
pub(super) fn give_content(operation: &mut Operation, desired: &Desired) {
    let kind = operation.key.kind.kind();
    if let Some(sent) = operation.sent_mut()
        && has_content(desired, kind.content_digest(&sent.fields))
    {
        sent.asked.content.clone_from(&desired.content);
    }
}

impl Planner<'_> {
    /// Refuses to write what is not at hand: of large files, only digests are kept.
    pub(super) fn check_content(&mut self) {
        let lacks = |operation: &&Operation| {
            let kind = operation.key.kind.kind();
            // What no answer tells is sent where it changed.
            let is_of = |name: &&str, change: &FieldChange| {
                change.path.0.first() == Some(&Step::Field((*name).to_owned()))
            };
            let changes = |name: &&str| operation.changes.iter().any(|change| is_of(name, change));
            let untold = kind.untold();
            if operation.action() != Action::Create
                && !untold.is_empty()
                && !untold.iter().any(changes)
            {
                return false;
            }
            let sent = operation.sent().and_then(|sent| kind.content_digest(&sent.fields));
            let desired = self.desired.get(&operation.key);
            sent.is_some() && !desired.is_some_and(|desired| has_content(desired, sent))
        };
        let lacking: Vec<Key> =
            self.operations.iter().filter(lacks).map(|operation| operation.key.clone()).collect();
        self.guards.extend(lacking.into_iter().map(|key| {
            let told = format!("what is in {key} is not known any more, but for its digest");
            Problem::new(told).hint(format!(
                "leave it out with --exclude '{key}', and apply the files that declare it as it should be"
            ))
        }));
    }

    /// What somebody changed in an object since it was last applied, as the end of a sentence about
    /// it: no other read of it would show that before it is deleted.
    pub(super) fn changed_inside(&self, key: &Key, entry: &Entry, observed: &Observed) -> String {
        let applied = entry.applied.as_ref().map(Recorded::value);
        let now = observed.fields.recorded(&self.fingerprinter(key));
        let (Some(Value::Object(applied)), Value::Object(now)) = (applied, now) else {
            return String::new();
        };
        let names: BTreeSet<&String> = applied.keys().chain(now.keys()).collect();
        let changed = names.into_iter().filter(|name| applied.get(*name) != now.get(*name));
        let changed: Vec<String> = changed.map(|name| format!("`{name}`")).collect();
        match changed.is_empty() {
            true => String::new(),
            false => format!("; somebody changed {} since it was last applied", few(changed)),
        }
    }

    /// Refuses to make a document anew under another name, so that what people wrote goes along.
    pub(super) fn refuses_blind_move(&mut self, desired: &Desired, former: &Key) -> bool {
        let keeps = desired.key.kind.kind().keeps_what_others_write();
        let refuses = keeps && !desired.lifecycle.overwrite && !self.policy.enters_rooms;
        if refuses {
            let told = format!(
                "{former} becomes {}, and nobody looked at what people wrote into it",
                desired.key
            );
            self.guard(desired, told, "say --enter-rooms, so that it goes along");
        }
        refuses
    }

    /// Notes that what is inside of rooms is not taken over unless somebody looks.
    pub(super) fn tell_unadopted(&mut self) {
        let is_covered = |operation: &&Operation| {
            let key = &operation.key;
            let is_new = operation.action() == Action::Create && !operation.replaces();
            is_new && key.kind.kind().is_inside_rooms() && self.policy.adopt.covers(key)
        };
        let any = self.operations.iter().any(|operation| is_covered(&operation));
        if any && !self.policy.enters_rooms {
            let told = "--adopt takes over what is inside of rooms only with --enter-rooms";
            self.plan.notes.push(told.to_owned());
        }
    }

    /// Notes what nobody looked at.
    pub(super) fn tell_unseen(&mut self) {
        if self.policy.enters_rooms {
            return;
        }
        let is_inside = |key: &&Key| key.kind.kind().is_inside_rooms() && self.is_selected(key);
        let owned = self.state.inventories.values().flat_map(|inventory| inventory.entries.keys());
        let unseen: BTreeSet<&Key> = self.desired.keys().chain(owned).filter(is_inside).collect();
        let (count, verb) = match unseen.len() {
            0 => return,
            1 => ("1 object is".to_owned(), "counts"),
            count => (format!("{count} objects are"), "count"),
        };
        self.plan.notes.push(format!(
            "{count} inside of rooms and {verb} as last applied, not looked at: {}; --enter-rooms looks, which starts the rooms",
            few(unseen)
        ));
    }
}
