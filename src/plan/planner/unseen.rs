//! What is inside of rooms counts as it was last applied, unless somebody looks: looking starts the
//! rooms. The plan says so.

use std::collections::BTreeSet;

use super::{Planner, Policy};
use crate::error::Problem;
use crate::kinds::Key;
use crate::listed::few;
use crate::plan::{Operation, Why};

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

impl Planner<'_> {
    /// Refuses to write what is not at hand: of large files, only digests are kept.
    pub(super) fn check_content(&mut self) {
        let lacks = |operation: &&Operation| {
            let content = self.desired.get(&operation.key).and_then(|it| it.content.as_ref());
            let kind = operation.key.kind.kind();
            let needs = operation.sent().is_some_and(|sent| kind.needs_content(&sent.fields));
            needs && content.is_none()
        };
        let lacking: Vec<Key> =
            self.operations.iter().filter(lacks).map(|operation| operation.key.clone()).collect();
        self.guards.extend(lacking.into_iter().map(|key| {
            let told = format!("what is in {key} is not known any more, but for its digest");
            Problem::new(told)
                .hint("leave it out with --exclude, and put the file back by its document")
        }));
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
