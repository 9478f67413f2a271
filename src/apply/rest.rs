//! The further requests of a write, for kinds whose objects are written by more than one. What is
//! missing where one fails is seen by the next run, which writes it.

use super::execute::{Outcome, Run, locked};
use super::perform::{Write, failed, target};
use crate::dialect::{Speaks, Target};
use crate::plan::{Action, Operation};

impl Run<'_> {
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
            ..target(key, operation, write)
        };
        let spelling = self.client.spelling(key.kind);
        let Some(requests) = spelling.after(&target, is_new) else {
            let message = "the platform did not say under which id".to_owned();
            return half_done(operation, not_told(message));
        };
        for request in requests {
            match self.client.send(&request).await {
                Ok(answer) => {
                    let answer = answer.json().unwrap_or_default();
                    if let Some(revision) = spelling.written_revision(&answer) {
                        locked(&self.revisions).insert(key.clone(), revision);
                    }
                }
                Err(error) => return half_done(operation, failed(&error, write, 1)),
            }
        }
        Outcome::Done
    }
}

/// A failure without a request.
fn not_told(message: String) -> Outcome {
    Outcome::Failed {
        message,
        request: None,
        refused: false,
        code: None,
        request_id: None,
        attempts: 1,
    }
}

/// A write of which a later request failed.
fn half_done(operation: &Operation, mut outcome: Outcome) -> Outcome {
    let verb = if operation.action() == Action::Create { "created" } else { "changed" };
    if let Outcome::Failed { message, refused, .. } = &mut outcome {
        *message = format!(
            "it was {verb}, but not all of it was written: {message}; the next apply writes the rest"
        );
        *refused = false;
    }
    outcome
}
