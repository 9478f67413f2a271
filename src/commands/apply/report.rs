//! What became of a plan: as text, and as a document for programs.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::apply::events::Failure;
use crate::apply::execute::{Outcome, Report};
use crate::error::Result;
use crate::listed::at_most;
use crate::output;
use crate::plan::document::PlanDocument;
use crate::plan::{Action, Operation, Plan, text};

fn name(plan: &Plan, operation: &Operation) -> String {
    format!("{} {}", text::verb(operation), plan.address(&operation.key))
}

/// What became of one operation, in a line.
#[must_use]
pub fn line(plan: &Plan, operation: &Operation, outcome: &Outcome) -> String {
    let name = name(plan, operation);
    match outcome {
        Outcome::Done => format!("done: {name}"),
        Outcome::Failed { message, .. } => {
            let place = operation.place.as_ref().map(ToString::to_string);
            let parts = [Some(message.clone()), place, outcome.request_told()];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            format!("failed: {name}: {}", parts.join("; "))
        }
        Outcome::Skipped { because } => format!("skipped: {name}, because it waits for {because}"),
        Outcome::Stale { message } => format!("stale: {name}: {message}"),
        Outcome::NotStarted => format!("not started: {name}"),
    }
}

/// What became of the plan, as text: what an end came before, and how many operations came to
/// what. What failed or was skipped has been told when it happened.
#[must_use]
pub fn summary(plan: &Plan, report: &Report) -> String {
    let outcomes = || told(plan, report).map(|(_, outcome)| outcome);
    let count = |wanted: fn(&Outcome) -> bool| outcomes().filter(|it| wanted(it)).count();
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
    not_started(plan, report) + &format!("Applied: {}.\n", parts.join(", "))
}

/// The operations with what became of them, as a plan counts them: of a replacement whose first
/// half did not fail, the half that creates tells it all.
fn told<'a>(
    plan: &'a Plan,
    report: &'a Report,
) -> impl Iterator<Item = (&'a Operation, &'a Outcome)> {
    plan.operations.iter().zip(&report.outcomes).filter(|(operation, outcome)| {
        let is_half = operation.replaces() && operation.action() == Action::Delete;
        !is_half || !matches!(outcome, Outcome::Done | Outcome::NotStarted)
    })
}

/// What did not start, in one line.
fn not_started(plan: &Plan, report: &Report) -> String {
    let open: Vec<String> = told(plan, report)
        .filter(|(_, outcome)| **outcome == Outcome::NotStarted)
        .map(|(operation, _)| name(plan, operation))
        .collect();
    if open.is_empty() { String::new() } else { format!("not started: {}\n", at_most(3, open)) }
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
                action: operation.action(),
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
