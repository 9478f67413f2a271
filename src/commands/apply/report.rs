//! What became of a plan: as text, and as a document for programs.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::apply::events::Failure;
use crate::apply::execute::{Outcome, Report};
use crate::error::Result;
use crate::output;
use crate::plan::document::PlanDocument;
use crate::plan::{Action, Operation, Plan, text};

/// What became of one operation, in a line.
#[must_use]
pub fn line(plan: &Plan, operation: &Operation, outcome: &Outcome) -> String {
    let name = format!("{} {}", text::verb(operation), plan.address(&operation.key));
    match outcome {
        Outcome::Done => format!("done: {name}"),
        Outcome::Failed { message, .. } => format!("failed: {name}: {message}"),
        Outcome::Skipped { because } => format!("skipped: {name}, because it waits for {because}"),
        Outcome::Stale { message } => format!("stale: {name}: {message}"),
        Outcome::NotStarted => format!("not started: {name}"),
    }
}

/// What became of the plan, as text: what is open, and how many operations came to what.
#[must_use]
pub fn summary(plan: &Plan, report: &Report) -> String {
    let open: String = plan
        .operations
        .iter()
        .zip(&report.outcomes)
        .filter(|(_, outcome)| **outcome != Outcome::Done)
        .map(|(operation, outcome)| line(plan, operation, outcome) + "\n")
        .collect();
    let count = |wanted: fn(&Outcome) -> bool| report.count(wanted);
    let parts: Vec<String> = [
        (count(|outcome| *outcome == Outcome::Done), "done"),
        (count(|outcome| matches!(outcome, Outcome::Failed { .. })), "failed"),
        (count(|outcome| matches!(outcome, Outcome::Stale { .. })), "stale"),
        (count(|outcome| matches!(outcome, Outcome::Skipped { .. })), "skipped"),
        (count(|outcome| *outcome == Outcome::NotStarted), "not started"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    open + &format!("Applied: {}.\n", parts.join(", "))
}

/// What `--report` writes: a plan, and what became of each of its operations.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(title = "MeshAgent report")]
pub struct ReportDocument {
    /// `null` where there was none.
    plan: Option<PlanDocument>,
    /// What became of the plan's operations, in their order.
    outcomes: Vec<OutcomeDocument>,
    /// Why not all was done, where it was not.
    error: Option<Failure>,
}

/// What became of one operation.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OutcomeDocument {
    /// The object, as it is shown.
    address: String,
    /// What was to become of it.
    action: Action,
    /// What came of that.
    #[serde(flatten)]
    outcome: Outcome,
}

impl ReportDocument {
    /// The report of a plan that was performed.
    #[must_use]
    pub fn of(plan: &Plan, report: &Report) -> Self {
        let outcomes = plan.operations.iter().zip(&report.outcomes).map(|(operation, outcome)| {
            OutcomeDocument {
                address: plan.address(&operation.key),
                action: operation.action,
                outcome: outcome.clone(),
            }
        });
        Self { outcomes: outcomes.collect(), plan: Some(PlanDocument::of(plan)), error: None }
    }

    /// The same, with the reason why not all was done.
    #[must_use]
    pub fn because(mut self, error: Option<Failure>) -> Self {
        self.error = error;
        self
    }

    /// Writes it where no half of it can be met.
    ///
    /// # Errors
    ///
    /// The file system's.
    pub fn write(&self, path: &Path) -> Result<()> {
        output::write_json(path, self)
    }
}
