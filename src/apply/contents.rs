//! Checks what is in a room, or in a service account, right before that is deleted. What is in it
//! goes with it, and the plan did not decide on what somebody has put there since.

use super::execute::{Outcome, Run};
use super::observe::{read_lists, unreadable};
use super::perform::{Write, not_sent};
use super::staleness::is_renamed;
use crate::dialect::{Seen, Speaks};
use crate::kinds::{By, Key, KindName};
use crate::listed::few;
use crate::plan::{Action, Operation};

impl Run<'_> {
    /// Refuses to delete a place in which there is more than what the plan saw.
    pub(super) async fn check_contents(
        &self,
        operation: &Operation,
        write: &Write,
    ) -> Result<(), Outcome> {
        let key = &operation.key;
        // Whoever deletes a place by a command of its own means all that is in it.
        let is_planned = self.plan.owner().is_some();
        if !key.kind.is_place() || operation.action() != Action::Delete || !is_planned {
            return Ok(());
        }
        let id = operation.id().map(str::to_owned);
        let inside = key.kind.contents().map(|kind| (kind, Some(key.name.clone()), id.clone()));
        let naming = key.kind.referrers().filter(|(_, by)| *by == By::Name);
        let lists = naming.map(|(kind, _)| (kind, None, None)).chain(inside).collect();
        let reader = self.client.reader();
        let read = match read_lists(&reader, &write.project, lists).await {
            Ok(read) => read,
            Err(error) => match self.look_up(operation, write).await {
                // In a place that is gone there is nothing.
                Ok(None) => return Ok(()),
                Ok(Some(found)) if is_renamed(operation, &found) => {
                    return Err(self.stale(operation, &found));
                }
                _ => return Err(not_sent(format!("failed to read its contents: {error}"))),
            },
        };
        let mut strangers = Vec::new();
        for (kind, room, items) in read {
            for item in items {
                let seen = reader.spelling(kind).seen(&item);
                let seen = seen.map_err(|what| not_sent(unreadable(kind, &what).to_string()))?;
                let is_in_it = room.is_some() || refers_to(kind, &seen, key);
                if is_in_it && !self.was_seen(kind, &key.project, &seen) {
                    strangers.push(format!("{kind}/{}", seen.name));
                }
            }
        }
        match strangers.is_empty() {
            true => Ok(()),
            false => Err(Outcome::stale(format!(
                "{key} contains more than when it was read: {}",
                few(strangers)
            ))),
        }
    }

    /// Whether the plan has an operation for this object, and has therefore seen it.
    fn was_seen(&self, kind: KindName, project: &str, seen: &Seen) -> bool {
        self.plan.operations.iter().any(|operation| {
            let key = &operation.key;
            let is_it = |id: Option<&str>| match (id, seen.id.as_deref()) {
                (Some(known), Some(id)) => known == id,
                _ => key.name == seen.name,
            };
            let observed = operation.observed();
            key.kind == kind
                && key.project == project
                && observed.is_some_and(|observed| is_it(observed.id.as_deref()))
        })
    }
}

/// Whether an object says that it belongs to another one.
fn refers_to(kind: KindName, seen: &Seen, key: &Key) -> bool {
    kind.kind().references(&seen.fields).iter().any(|reference| reference.to.is(key))
}
