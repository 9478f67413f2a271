//! The further requests of a write, for kinds whose objects are written by more than one. What is
//! missing where one fails is seen by the next run, which writes it.

use serde_json::Value;

use super::execute::{Outcome, Run, locked};
use super::perform::{Write, failed, not_sent, target};
use crate::api::client::Answer;
use crate::api::failure::ApiError;
use crate::api::request::Request;
use crate::dialect::{Speaks, Spelling, Target};
use crate::plan::{Action, Operation};

impl Run<'_> {
    /// Takes note of the revision that a write made. Where revisions are those of a value, a write
    /// of anything else leaves the one that was seen.
    pub(super) fn learn_revision(
        &self,
        operation: &Operation,
        etag: Option<String>,
        answer: &Value,
    ) {
        let spelling = self.client.spelling(operation.key.kind);
        let mut revisions = locked(&self.revisions);
        let revision = match spelling.compares_revisions() {
            true => etag,
            false => spelling.written_revision(answer).or_else(|| {
                let seen = operation.observed().and_then(|observed| observed.revision.clone());
                seen.filter(|_| !revisions.contains_key(&operation.key))
            }),
        };
        if let Some(revision) = revision {
            revisions.insert(operation.key.clone(), revision);
        }
    }

    /// Sends what is left of a write once its first request is done.
    pub(super) async fn send_rest(&self, operation: &Operation, write: &Write) -> Outcome {
        let key = &operation.key;
        let is_new = match operation.action() {
            Action::Create => true,
            Action::Update | Action::Adopt | Action::Rename => false,
            Action::Delete | Action::Release | Action::Record => return Outcome::Done,
        };
        let id = locked(&self.ids).get(key).cloned().filter(|_| is_new);
        let target = Target {
            id: id.as_deref().or(operation.id()),
            changed: &write.changed,
            place_id: write.place_id.as_deref(),
            ..target(key, operation, write)
        };
        let spelling = self.client.spelling(key.kind);
        let Some(requests) = spelling.after(&target, is_new) else {
            let message = "the platform did not say under which id".to_owned();
            return self.half_done(operation, not_sent(message));
        };
        for request in requests {
            match self.send_one_of_the_rest(spelling, &request).await {
                Ok(answer) => {
                    let (etag, answer) = (answer.etag.clone(), answer.json().unwrap_or_default());
                    if let Some(told) = self.told_another(operation, &request, (&target, &answer)) {
                        return self.half_done(operation, not_sent(told));
                    }
                    self.remark_on(operation, &request, &answer);
                    self.learn_revision(operation, etag, &answer);
                }
                Err(error) => {
                    let attempts = error.attempts;
                    return self.half_done(operation, failed(&error, write, attempts));
                }
            }
        }
        Outcome::Done
    }

    /// Whether the first request of a change takes back what is there, for the next ones to write.
    pub(super) fn takes_back(&self, operation: &Operation, write: &Write) -> bool {
        operation.action() != Action::Delete
            && self.client.spelling(operation.key.kind).takes_back(&write.request)
    }

    /// The same of an operation that is not performed yet. Only what somebody may do is written so.
    pub(super) fn takes_back_first(&self, operation: &Operation) -> bool {
        operation.key.kind.kind().is_access()
            && operation.observed().is_some()
            && matches!(self.write(operation), Ok(Some(write)) if self.takes_back(operation, &write))
    }

    /// Sends a further request of a write, again where its answer was lost and that does no harm.
    async fn send_one_of_the_rest(
        &self,
        spelling: &dyn Spelling,
        request: &Request,
    ) -> Result<Answer, ApiError> {
        let (mut wait, mut attempts) = (self.options.first_wait, 0);
        loop {
            attempts += 1;
            match self.client.send(request).await {
                Err(error)
                    if error.is_ambiguous()
                        && spelling.may_repeat(request)
                        && attempts < self.options.attempts =>
                {
                    tracing::debug!(%error, "sent again");
                }
                done => return done,
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }

    /// A write of which a later request failed. Where no set is meant, no apply comes after it.
    fn half_done(&self, operation: &Operation, mut outcome: Outcome) -> Outcome {
        let verb = if operation.action() == Action::Create { "created" } else { "changed" };
        let next = match self.plan.owner() {
            Some(_) => "; the next apply writes the rest",
            None => "",
        };
        if let Outcome::Failed { message, refused, begun, .. } = &mut outcome {
            *message = format!("it was {verb}, but not all of it was written: {message}{next}");
            (*refused, *begun) = (false, true);
        }
        outcome
    }
}
