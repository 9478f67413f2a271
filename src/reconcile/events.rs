//! What happens while a plan is performed, as data. `apply -o json` prints it as lines of JSON:
//! one object a line, each with `event`, with a published schema (`schemas/events.json`). The
//! order is `planned`, `approved` where approvals are required, then
//! `started` and `finished` of each operation as they happen, `restarted` and `health` of
//! services after that, `note` at any time, and at the end `summary`, or `error` where nothing was
//! performed. `dev -o json` prints `ready` first, and after that the same for round after round, with
//! `image` and `log` between them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::health::Health;
use super::restarts::{Restart, Restarted};
use crate::apply::execute::{Outcome, Progress, Report};
use crate::approval::verdict::ApprovalsDocument;
use crate::error::{Error, Place, causes};
use crate::kinds::Key;
use crate::plan::document::PlanDocument;
use crate::plan::{Action, Operation, Plan};

/// One line.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[schemars(title = "MeshAgent events")]
pub enum Event {
    /// What is about to be done. The first event of every run that gets that far.
    Planned {
        /// The plan.
        plan: Box<PlanDocument>,
    },
    /// Who approved the plan, where approvals are required.
    Approved(ApprovalsDocument),
    /// An operation starts.
    Started {
        /// The operation.
        #[serde(flatten)]
        operation: Subject,
    },
    /// An operation is done, or was not done.
    Finished {
        /// The operation.
        #[serde(flatten)]
        operation: Subject,
        /// What became of it.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// What became of a service that was to be started again.
    Restarted(Restart),
    /// How a service is, when it is waited for. The last one of each service is not `waiting`.
    Health {
        /// The object, as it is shown.
        address: String,
        /// The object.
        key: Key,
        /// How it is.
        #[serde(flatten)]
        health: HealthDocument,
    },
    /// What the user should know and need not act on.
    Note {
        /// One sentence.
        message: String,
    },
    /// Where a platform of one's own is reached. The first event of `dev`.
    Ready {
        /// The URL of the platform.
        url: String,
        /// The folder of its data.
        data: String,
        /// The file with the variables of a client, as commands of a shell.
        variables: String,
    },
    /// An image was built of a folder, or could not be built. Of `dev`.
    Image {
        /// The image, with its tag.
        image: String,
        /// The objects that are run from it.
        addresses: Vec<String>,
        /// Why it was not built; left out if it was.
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// A line that was logged in a room. Of `dev`.
    Log {
        /// The room.
        room: String,
        /// The service or participant whose it is, if it is known.
        service: Option<String>,
        /// When it was logged, if it is known.
        time: Option<String>,
        /// How bad it is, such as `INFO` or `ERROR`.
        severity: String,
        /// What is said.
        message: String,
    },
    /// How it ended. The last event of a run that performed its plan.
    Summary(Summary),
    /// Why nothing was performed. The last event, instead of the summary.
    Error(Failure),
}

/// An error, as programs read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What failed.
    pub message: String,
    /// Why, from the outermost cause to the innermost.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// What is wrong in detail.
    pub problems: Vec<Fault>,
    /// How many more problems there are; left out if these are all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_problems: usize,
}

/// How many problems are told.
const MOST_PROBLEMS: usize = 1000;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// Where, when a place is known.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// An error as it is told on standard error.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        let causes = causes(error).map(ToString::to_string).collect();
        let problems = error.problems.iter().take(MOST_PROBLEMS).map(|problem| Fault {
            place: problem.place.clone(),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
        });
        Self {
            code: error.class.exit_code(),
            message: error.message.clone(),
            causes,
            hint: error.hint.clone(),
            problems: problems.collect(),
            more_problems: error.problems.len().saturating_sub(MOST_PROBLEMS),
        }
    }
}

/// How something is, as programs read it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HealthDocument {
    /// A word.
    pub health: HealthWord,
    /// Why it does not work, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Whether something works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthWord {
    /// It works.
    Healthy,
    /// It does not work yet.
    Waiting,
    /// It cannot work.
    Broken,
    /// It did not work in time, or until the wait was stopped.
    Unhealthy,
}

impl HealthDocument {
    /// How something is that is not waited for any longer.
    #[must_use]
    pub fn last(health: &Health) -> Self {
        match Self::from(health) {
            Self { health: HealthWord::Waiting, message } => {
                Self { health: HealthWord::Unhealthy, message }
            }
            settled => settled,
        }
    }
}

impl From<&Health> for HealthDocument {
    fn from(health: &Health) -> Self {
        let (health, message) = match health {
            Health::Works => (HealthWord::Healthy, None),
            Health::Waits(message) => (HealthWord::Waiting, Some(message.clone())),
            Health::Broken(message) => (HealthWord::Broken, Some(message.clone())),
        };
        Self { health, message }
    }
}

/// An operation as the events name it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Subject {
    /// The object, as it is shown.
    pub address: String,
    /// The object.
    pub key: Key,
    /// What becomes of it.
    pub action: Action,
    /// Whether it is one half of a replacement.
    pub replaces: bool,
}

/// How many operations had which outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Summary {
    /// Operations that were done.
    pub done: usize,
    /// Operations that failed.
    pub failed: usize,
    /// Operations whose object was not what the plan was made for.
    pub stale: usize,
    /// Operations that depended on one of these.
    pub skipped: usize,
    /// Operations that were not started, because the run was stopped.
    pub not_started: usize,
    /// Whether every operation was done and recorded.
    pub complete: bool,
    /// How many services were to be started again and were not; left out if there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restarts_failed: usize,
    /// Whether every service that was waited for works; left out if none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// Why what was done could not be recorded, if it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory_error: Option<String>,
    /// Why the run lost the lease of its set and started nothing more, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_lease: Option<String>,
}

impl Subject {
    /// Names an operation of a plan.
    #[must_use]
    pub fn of(plan: &Plan, operation: &Operation) -> Self {
        Self {
            address: plan.address(&operation.key),
            key: operation.key.clone(),
            action: operation.action(),
            replaces: operation.replaces(),
        }
    }
}

impl Summary {
    /// Counts the outcomes of a report.
    #[must_use]
    pub fn of(report: &Report, restarts: &[Restart]) -> Self {
        let is_failed = |it: &&Restart| it.restart == Restarted::Failed;
        Self {
            restarts_failed: restarts.iter().filter(is_failed).count(),
            done: report.count(|outcome| *outcome == Outcome::Done),
            failed: report.count(|outcome| matches!(outcome, Outcome::Failed { .. })),
            stale: report.count(|outcome| matches!(outcome, Outcome::Stale { .. })),
            skipped: report.count(|outcome| matches!(outcome, Outcome::Skipped { .. })),
            not_started: report.count(|outcome| *outcome == Outcome::NotStarted),
            complete: report.is_complete(),
            healthy: None,
            inventory_error: report.inventory_error.as_ref().map(ToString::to_string),
            lost_lease: report.lost_lease.clone(),
        }
    }
}

impl Event {
    /// An image that was built, or was not.
    #[must_use]
    pub fn image<'a>(
        image: &str,
        by: impl IntoIterator<Item = &'a Key>,
        failed: Option<&Error>,
    ) -> Self {
        Self::Image {
            image: image.to_owned(),
            addresses: by.into_iter().map(ToString::to_string).collect(),
            failure: failed.map(Failure::of),
        }
    }

    /// The event that comes first.
    #[must_use]
    pub fn planned(plan: &Plan) -> Self {
        Self::Planned { plan: Box::new(PlanDocument::of(plan)) }
    }
}

/// Tells of each operation that starts and ends as an event.
pub struct Events<'a, F> {
    /// The plan that is performed.
    pub plan: &'a Plan,
    /// Who is told.
    pub tell: F,
}

impl<F: Fn(Event) + Sync> Progress for Events<'_, F> {
    fn started(&self, operation: &Operation) {
        (self.tell)(Event::Started { operation: Subject::of(self.plan, operation) });
    }

    fn finished(&self, operation: &Operation, outcome: &Outcome) {
        let operation = Subject::of(self.plan, operation);
        (self.tell)(Event::Finished { operation, outcome: outcome.clone() });
    }
}
