//! What a plan shows one by one, and what it sums up. All writes to the platform are shown.
//! Thousands of objects that the set only forgets may be shown as one line.

use std::collections::BTreeMap;

use super::{Action, Operation};
use crate::kinds::KindName;
use crate::listed::FEW;

/// What stands in one place of a plan.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    /// An operation.
    One(&'a Operation),
    /// So many more operations like this one.
    More(&'a Operation, usize),
}

/// What operations that are summed up have in common; `None` for all others.
fn common(operation: &Operation) -> Option<(KindName, &str)> {
    let is_forgotten = operation.action() == Action::Release && operation.changes.is_empty();
    is_forgotten.then_some((operation.key.kind, operation.reason.text.as_str()))
}

/// The rows of these operations, in their order; all of them where the whole is wanted.
#[must_use]
pub fn rows<'a>(operations: &[&'a Operation], is_whole: bool) -> Vec<Row<'a>> {
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for common in operations.iter().filter_map(|operation| common(operation)) {
        *counts.entry(common).or_default() += 1;
    }
    let mut seen: BTreeMap<_, usize> = BTreeMap::new();
    let mut rows = Vec::new();
    for operation in operations {
        let Some(common) = common(operation) else {
            rows.push(Row::One(operation));
            continue;
        };
        let (count, seen) = (counts[&common], seen.entry(common).or_default());
        *seen += 1;
        // One more line is as short as the line that would count it.
        if is_whole || count <= FEW + 1 || *seen <= FEW {
            rows.push(Row::One(operation));
        } else if *seen == count {
            rows.push(Row::More(operation, count - FEW));
        }
    }
    rows
}
