//! What became of a plan, as a document for programs, with a published schema
//! (`schemas/report.json`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::events::Failure;
use super::restarts::{Restart, Restarted};
use crate::apply::execute::{Outcome, Report};
use crate::approval::verdict::ApprovalsDocument;
use crate::plan::document::PlanDocument;
use crate::plan::{Action, Plan};

/// What `--report` writes: a plan, and what became of each of its operations.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "MeshAgent report")]
pub struct ReportDocument {
    /// `null` if there was none.
    pub plan: Option<PlanDocument>,
    /// What became of the plan's operations, in their order.
    pub outcomes: Vec<OutcomeDocument>,
    /// What became of the services that were to be started again, in each room; left out if there
    /// are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<Restart>,
    /// The files that were to be copied into a room, in their order; left out if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileDocument>,
    /// Who approved the plan, if approvals were required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<ApprovalsDocument>,
    /// Why not everything was done, if so.
    pub error: Option<Failure>,
}

/// What became of one operation.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeDocument {
    /// The object, as it is shown.
    address: String,
    /// What was to be done with it.
    action: Action,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// A file that was to be copied into a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDocument {
    /// Its path in the room.
    pub path: String,
    /// Whether it is there as it is here.
    pub uploaded: bool,
}

impl ReportDocument {
    /// The report of a plan that was performed.
    #[must_use]
    pub fn of(plan: &Plan, report: &Report) -> Self {
        let outcomes = plan.operations.iter().zip(&report.outcomes).map(|(operation, outcome)| {
            OutcomeDocument {
                address: plan.address(&operation.key),
                action: operation.action(),
                outcome: outcome.clone(),
            }
        });
        let plan = Some(PlanDocument::of(plan));
        Self { plan, outcomes: outcomes.collect(), ..Self::default() }
    }

    /// Whether something was written, or may have been.
    #[must_use]
    pub fn has_written(&self) -> bool {
        let is_written = |outcome: &Outcome| match outcome {
            Outcome::Done => true,
            Outcome::Failed { refused, begun, .. } => *begun || !refused,
            Outcome::Stale { .. } | Outcome::Skipped { .. } | Outcome::NotStarted => false,
        };
        self.outcomes.iter().any(|it| is_written(&it.outcome))
            || self.files.iter().any(|it| it.uploaded)
            || self.restarts.iter().any(|it| it.restart == Restarted::Done)
    }

    /// The same, with the reason why not all was done.
    #[must_use]
    pub fn because(mut self, error: Option<Failure>) -> Self {
        self.error = error;
        self
    }
}
