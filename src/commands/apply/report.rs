//! The outcome of a plan, as text.

use crate::apply::execute::{Outcome, Report};
use crate::listed::at_most;
use crate::plan::{Action, Operation, Plan, text};

/// What is done, to what. The halves of a replacement are told apart: between them nothing is there.
fn name(plan: &Plan, operation: &Operation) -> String {
    let address = plan.address(&operation.key);
    match (operation.action(), operation.replaces()) {
        (Action::Delete, true) => format!("delete {address}, to be created again"),
        (Action::Create, true) => format!("create {address} again"),
        _ => format!("{} {address}", text::verb(operation)),
    }
}

/// The outcome of one operation, on one line.
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
        Outcome::Stale { message, .. } => format!("stale: {name}: {message}"),
        Outcome::NotStarted => format!("not started: {name}"),
    }
}

/// The outcome of the plan, as text: the operations that were not started, and how many ended in
/// which way. Failed and skipped operations were reported when that happened.
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

/// The operations with their outcomes, as a plan counts them: if the first half of a replacement
/// did not fail, only the half that creates is counted.
fn told<'a>(
    plan: &'a Plan,
    report: &'a Report,
) -> impl Iterator<Item = (&'a Operation, &'a Outcome)> {
    plan.operations.iter().zip(&report.outcomes).filter(|(operation, outcome)| {
        let is_half = operation.replaces() && operation.action() == Action::Delete;
        !is_half || !matches!(outcome, Outcome::Done | Outcome::NotStarted)
    })
}

/// The operations that did not start, on one line.
fn not_started(plan: &Plan, report: &Report) -> String {
    let open: Vec<String> = told(plan, report)
        .filter(|(_, outcome)| **outcome == Outcome::NotStarted)
        .map(|(operation, _)| name(plan, operation))
        .collect();
    if open.is_empty() { String::new() } else { format!("not started: {}\n", at_most(3, open)) }
}
