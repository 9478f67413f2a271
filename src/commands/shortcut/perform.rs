//! Performing the one operation of a shortcut, and reporting the result.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::Value;

use super::writing::WriteArgs;
use super::{Shortcut, Written, reading};
use crate::api::failure;
use crate::apply::execute::{Listeners, Options, Outcome, Progress, Report, execute};
use crate::connection::Connection;
use crate::error::{Class, Error, Result};
use crate::kinds::{KindName, OWNER_ANNOTATION};
use crate::output;
use crate::plan::{Action, Operation, Plan};
use crate::reconcile::report::ReportDocument;
use crate::visible;

impl Shortcut {
    /// Performs the plan of this one operation.
    pub(super) async fn perform(
        &self,
        connection: &Connection,
        plan: &Plan,
        args: &WriteArgs,
    ) -> Result<Written> {
        let mut options = Options { attempts: connection.client.tries(), ..Options::standard(1) };
        if self.action == Action::Create && !self.is_found_by_name {
            options.attempts = 1;
        }
        let progress = Answered::default();
        let listeners = Listeners { progress: &progress, journal: None };
        let report =
            execute(&connection.client, plan, BTreeMap::new(), &options, listeners).await?;
        if let Some(kept) = &args.kept {
            kept.add(plan, &report);
        } else if let Some(path) = &args.report {
            output::write_json(path, &ReportDocument::of(plan, &report))?;
        }
        let code = report.outcomes.first().and_then(Outcome::refused_with);
        let written = progress.written.into_inner().unwrap_or_default();
        if let Err(error) = self.conclude(report, written.as_ref()) {
            // In a room its name is its own, and the platform does not say that another has it.
            if self.key.kind == KindName::Service
                && matches!(self.action, Action::Create | Action::Rename)
                && code == Some(409)
            {
                let name = visible::line(&self.key.name);
                return Err(error.saying(format!("the service name `{name}` is already in use")));
            }
            return Err(self.told_as_foreseen(connection, code).await.unwrap_or(error));
        }
        let written = written.unwrap_or_default();
        if self.action != Action::Create {
            self.tell_owner(&written.answer);
        }
        Ok(written)
    }

    /// Why a name could not be used or an object could not be changed, in the words of a dry run;
    /// `None` if that does not depend on who has the name.
    async fn told_as_foreseen(&self, connection: &Connection, code: Option<u16>) -> Option<Error> {
        if !matches!(code, Some(403 | 409)) || !self.has_own_name() || self.id.is_some() {
            return None;
        }
        match reading::look_up(connection, &self.key, None).await {
            Ok(Some(_)) if self.action == Action::Create => Some(self.exists_already()),
            Ok(_) => None,
            Err(error) => (error.message == self.key.held_by_another()).then_some(error),
        }
    }

    /// Whether it was done. What the platform answered with shows that at least a part of it was.
    fn conclude(&self, report: Report, written: Option<&Written>) -> Result<()> {
        let failed = || {
            let verb = self.action;
            Error::failed(format!("failed to {verb} {}", self.address()))
        };
        let outcome = report.outcomes.into_iter().next();
        let request = outcome.as_ref().and_then(Outcome::request_told);
        match outcome {
            Some(Outcome::Done) => Ok(()),
            Some(Outcome::Failed { message, refused, code, .. }) => {
                let request = request.map(|request| format!("; {request}")).unwrap_or_default();
                let error = failed().because(message + &request);
                Err(match failure::hint(code) {
                    _ if !refused && let Some(written) = written => {
                        error.hint(self.way_on(written))
                    }
                    _ if !refused => {
                        error.hint("it is unknown whether it was done: check before you try again")
                    }
                    Some(hint) => error.hint(hint),
                    None => error,
                })
            }
            Some(Outcome::Stale { message, .. }) => {
                Err(Error::new(Class::Stale, message).hint("run the same command again"))
            }
            _ => Err(failed()),
        }
    }

    /// What to do about a write of which the platform did only the first part.
    fn way_on(&self, written: &Written) -> String {
        match (self.action, &written.id) {
            (Action::Create, Some(id)) => format!(
                "it has the id {}: write it with an update of that id, or delete it; to create it again would make a second one",
                visible::line(id)
            ),
            _ => "run the same command again".to_owned(),
        }
    }

    /// Warns if a set owns the object, as far as that was read or is in the answer.
    pub(super) fn tell_owner(&self, answer: &Value) {
        let observed = self.observed.as_ref().and_then(|observed| observed.owner.clone());
        if let Some(owner) = observed.or_else(|| owner(answer)) {
            output::warning(&format!(
                "{} is owned by the set `{owner}`: its next apply will undo this, except for ignored fields; change the manifest, too",
                self.address()
            ));
        }
    }
}

/// The set that owns an object in an answer.
fn owner(object: &Value) -> Option<String> {
    let annotations =
        object.get("annotations").or_else(|| object.get("metadata")?.get("annotations"));
    annotations?.get(OWNER_ANNOTATION)?.as_str().map(str::to_owned)
}

/// Keeps the platform's answer.
#[derive(Default)]
struct Answered {
    written: Mutex<Option<Written>>,
}

impl Progress for Answered {
    fn started(&self, _operation: &Operation) {}
    fn finished(&self, _operation: &Operation, _outcome: &Outcome) {}
    fn answered(&self, operation: &Operation, id: Option<&str>, answer: &Value) {
        let mut written = self.written.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let changes = operation.changes.clone();
        *written = Some(Written { id: id.map(str::to_owned), answer: answer.clone(), changes });
    }
}
