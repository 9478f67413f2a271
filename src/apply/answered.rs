//! Whether the answer to a write is about what was asked. One that names another object is recorded as
//! nobody's, and nothing more is sent to what it names.

use serde_json::Value;

use super::execute::{Outcome, Run, locked};
use super::perform::{Write, target};
use super::telling::told;
use crate::api::request::{Body, Request};
use crate::dialect::{Speaks, Target};
use crate::plan::{Action, Operation};
use crate::visible;

impl Run<'_> {
    /// What became of a create whose answer names another object; `None` where it does not.
    pub(super) fn made_another(
        &self,
        operation: &Operation,
        write: &Write,
        answer: &Value,
    ) -> Option<Outcome> {
        if operation.action() != Action::Create {
            return None;
        }
        let target = target(&operation.key, operation, write);
        let message = self.told_another(operation, &write.request, (&target, answer))?;
        let request = Some(format!("{} {}", write.request.method, write.request.path));
        let (refused, begun, code, request_id) = (false, false, None, None);
        Some(Outcome::Failed { message, request, refused, begun, code, request_id, attempts: 1 })
    }

    /// Takes note of what is odd about the answer to a write that was done.
    pub(super) fn remark_on(&self, operation: &Operation, request: &Request, answer: &Value) {
        let Body::Json(sent) = &request.body else { return };
        if let Some(what) = self.client.spelling(operation.key.kind).remark((sent, answer)) {
            let address = self.plan.address(&operation.key);
            let told = format!(
                "{address} was written, but {what}: check that what reads it is given the right one"
            );
            locked(&self.remarks).push(told);
        }
    }

    /// What is told where an answer is about something else than its request.
    pub(super) fn told_another(
        &self,
        operation: &Operation,
        request: &Request,
        (target, answer): (&Target<'_>, &Value),
    ) -> Option<String> {
        let Body::Json(sent) = &request.body else { return None };
        let another = self.client.spelling(operation.key.kind).another(target, (sent, answer))?;
        let another = told(visible::line(&another).into_owned(), target.fields);
        Some(format!(
            "the platform answered with {another}, which is not what was sent, so it is not known what it made"
        ))
    }
}
