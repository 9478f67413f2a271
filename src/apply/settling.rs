//! What happened to a write whose answer was lost, or that was refused because something else was
//! there first.

use std::sync::Arc;

use super::absent::hides;
use super::execute::{Outcome, Run, locked};
use super::owners;
use super::perform::{Write, failed};
use super::staleness::{gone, leave_unnamed};
use crate::api::failure::ApiError;
use crate::kinds::recorded::Recorded;
use crate::plan::{Action, Incomplete, Observed, Operation};

impl Run<'_> {
    /// The answer to a create was lost that would make a second object if it were sent again. It
    /// may be done late, so the object is looked for a few times, and then left to the next run.
    pub(super) async fn settle_unknown(
        &self,
        operation: &Operation,
        write: &Write,
        error: &ApiError,
        attempts: u32,
    ) -> Outcome {
        let mut wait = self.options.first_wait;
        for _ in 0..self.options.attempts.max(1) {
            tokio::time::sleep(wait).await;
            wait *= 2;
            match self.look_up(operation, write).await {
                Ok(Some(found)) if self.is_ours(&found, operation, write).await => {
                    self.learn_found(operation, found);
                    return Outcome::Done;
                }
                Ok(_) => {}
                Err(lookup) => tracing::debug!(%lookup, "failed to look an object up"),
            }
        }
        let mut outcome = failed(error, write, attempts);
        if let Outcome::Failed { message, .. } = &mut outcome {
            *message += "; it may have been created all the same, and the platform would create a \
                         second one, so it was not sent again: look for it, and run the command again";
        }
        outcome
    }

    /// Whether an object that was found after a lost create is the one that was sent: it
    /// names the set, or where it cannot, is as it was sent and no other set's.
    pub(super) async fn is_ours(
        &self,
        found: &Observed,
        operation: &Operation,
        write: &Write,
    ) -> bool {
        let key = &operation.key;
        let Some(set) = self.plan.owner() else {
            return self.differences(operation, found).is_empty();
        };
        if key.kind.kind().carries_owner() {
            return found.owner.as_deref() == Some(set);
        }
        self.differences(operation, found).is_empty() && self.is_free(operation, write, found).await
    }

    /// Whether it is sure that no other set has an object.
    async fn is_free(&self, operation: &Operation, write: &Write, found: &Observed) -> bool {
        let key = &operation.key;
        let Some(set) = self.plan.owner() else { return true };
        let project = (key.project.as_str(), write.project.as_str());
        owners::is_free(&self.client.reader(), set, project, (key, found)).await
    }

    /// The platform says that there is nothing to delete. The object is gone if a look-up confirms
    /// it. After a lost answer it was our own write, which may not show yet.
    pub(super) async fn settle_gone(
        &self,
        operation: &Operation,
        write: &Write,
        error: &ApiError,
        attempts: u32,
    ) -> Outcome {
        let mut wait = self.options.first_wait;
        for looks in 1..=self.options.attempts.max(1) {
            match self.look_up(operation, write).await {
                Ok(None) => return Outcome::Done,
                Ok(Some(_)) if attempts == 1 => break,
                Ok(Some(_)) => {}
                Err(lookup) => tracing::debug!(%lookup, "failed to look an object up"),
            }
            if looks < self.options.attempts {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
        }
        failed(error, write, attempts)
    }

    /// The platform says that the object exists already. It may be our own, and what was
    /// written a moment ago may not be shown yet.
    pub(super) async fn settle_existing(
        &self,
        operation: &Operation,
        write: &Write,
        error: &ApiError,
        attempts: u32,
    ) -> Outcome {
        let mut wait = self.options.first_wait;
        for looks in 1.. {
            match self.look_up(operation, write).await {
                // What another run sent may have had other secrets.
                Ok(Some(found))
                    if (attempts > 1 || self.is_as_desired(operation, &found))
                        && self.is_ours(&found, operation, write).await =>
                {
                    self.learn_found(operation, found);
                    return Outcome::Done;
                }
                Ok(None) if looks < self.options.attempts => tokio::time::sleep(wait).await,
                _ => break,
            }
            wait *= 2;
        }
        failed(error, write, attempts)
    }

    /// An object inside of a room exists that a run was to create which was cut off. If it is as that
    /// run would have made it, it becomes what is wanted now.
    pub(super) async fn settle_claimed(
        &self,
        operation: &Operation,
        write: &Write,
        error: &ApiError,
    ) -> Outcome {
        let Ok(Some(found)) = self.look_up(operation, write).await else {
            return failed(error, write, 1);
        };
        if self.is_as_desired(operation, &found) && self.is_ours(&found, operation, write).await {
            self.learn_found(operation, found);
            return Outcome::Done;
        }
        let claimed = operation.before.as_ref().and_then(|entry| entry.claimed.as_ref());
        let fingerprinter = self.fingerprinter(operation).await;
        let is_it = claimed.is_some_and(|claimed| {
            let mut made = found.clone();
            leave_unnamed(&operation.key, &mut made, &[&claimed.tree()]);
            Arc::make_mut(&mut made.fields).seal_recorded(claimed, &fingerprinter);
            *claimed == Recorded::of(&made.fields, &fingerprinter)
        });
        let request = self.changing(operation, write).filter(|_| is_it);
        let (Some(request), true) = (request, self.is_free(operation, write, &found).await) else {
            return failed(error, write, 1);
        };
        match self.client.send(&request).await {
            Ok(_) => {
                self.learn_found(operation, found);
                Outcome::Done
            }
            Err(error) => failed(&error, write, 1),
        }
    }

    /// The platform says that an object exists that its list did not show. If it exists in the
    /// place where it was to be created, and not elsewhere, the list was not complete, and nothing
    /// more is concluded from what it did not show.
    pub(super) async fn settle_hidden(
        &self,
        operation: &Operation,
        write: &Write,
        error: &ApiError,
    ) -> Outcome {
        let mut outcome = failed(error, write, 1);
        if let (Ok(Some(_)), Outcome::Failed { message, .. }) =
            (self.look_up(operation, write).await, &mut outcome)
        {
            let reason = hides(&operation.key);
            *message = format!("{message}; {reason}");
            let key = &operation.key;
            let list = Incomplete::new(key.kind, &key.project, key.place(), reason);
            locked(&self.incomplete).push(list);
        }
        outcome
    }

    /// The revision has changed. If the object already is what was to be sent, our own write did
    /// that, or somebody else did the same. Otherwise the plan is stale.
    pub(super) async fn settle_changed(
        &self,
        operation: &Operation,
        write: &Write,
        error: &ApiError,
        attempts: u32,
    ) -> Outcome {
        match self.look_up(operation, write).await {
            Ok(None) if operation.action() == Action::Delete => Outcome::Done,
            Ok(Some(found))
                if operation.action() != Action::Delete
                    && self.is_as_desired(operation, &found) =>
            {
                Outcome::Done
            }
            // It was our own write whose answer was lost, or somebody else's.
            Ok(Some(found)) if attempts > 1 && self.is_hidden(operation, &found) => {
                Outcome::Failed {
                    message: format!(
                        "the answer to the write was lost, and the platform does not show what {} contains now",
                        operation.key
                    ),
                    request: Some(format!("{} {}", error.method, error.path)),
                    refused: false,
                    begun: false,
                    code: error.status,
                    request_id: error.request_id.clone(),
                    attempts,
                }
            }
            Ok(Some(found)) => self.stale(operation, &found),
            Ok(None) => gone(operation),
            Err(_) => failed(error, write, attempts),
        }
    }
}
