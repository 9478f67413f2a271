//! Which rule of `lifecycle.ignore` leaves a difference as it is.

use super::{Action, FieldChange, Operation, diff};
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::tree::{Fingerprinter, Tree};

/// The narrowest rule that makes a change disappear, if one does. The rule is tried before
/// it is told. Positions shift when items come and go, so a list whose items have no name
/// is left alone as a whole.
#[must_use]
pub fn rule(operation: &Operation, change: &FieldChange) -> Option<FieldPath> {
    let (observed, fields) = match (&operation.work.observed, &operation.work.fields) {
        (Some(observed), Some(fields)) => (&observed.fields, fields),
        _ => return None,
    };
    if matches!(operation.action, Action::Create | Action::Delete | Action::Release) {
        return None;
    }
    let is_position = |step: &Step| matches!(step, Step::Index(_));
    let most = change.path.0.iter().position(is_position).unwrap_or(change.path.0.len());
    (1..=most).rev().map(|length| FieldPath(change.path.0[..length].to_vec())).find(|rule| {
        let shape = operation.key.kind.kind().shape();
        let mut left = fields.clone();
        leave(&mut left, observed, rule);
        shape.has(rule)
            && FieldPath::parse(&rule.to_string()).as_ref() == Ok(rule)
            && is_settled(operation, change, observed, &left)
    })
}

/// Puts what the platform has where the manifest says something else, because a rule says
/// to leave it so.
pub fn leave(fields: &mut Tree, observed: &Tree, rule: &FieldPath) {
    fields.put(rule, observed.at(rule).cloned());
}

fn is_settled(operation: &Operation, change: &FieldChange, observed: &Tree, fields: &Tree) -> bool {
    let fingerprinter = Fingerprinter::new("");
    let applied = operation.work.before.as_ref().and_then(|entry| entry.applied.as_ref());
    let memory = diff::Memory { fingerprinter: &fingerprinter, applied };
    let shape = operation.key.kind.kind().shape();
    !diff::changes(shape, Some(observed), Some(fields), memory).iter().any(|open| {
        open.path.0.starts_with(&change.path.0) || change.path.0.starts_with(&open.path.0)
    })
}
