//! What would be lost with an object inside of a room that a plan deletes, or into which it writes: it
//! holds what was looked at, or it stays as it is.

use super::execute::{Outcome, Run};
use crate::kinds::path::Step;
use crate::plan::{FieldChange, Observed, Operation};

impl Run<'_> {
    /// Whether an object that is to be deleted, or into which a saved plan writes, holds something
    /// else than when it was looked at, be it in none of its fields.
    pub(super) fn holds_other(&self, operation: &Operation, found: &Observed) -> bool {
        let known = operation.observed().and_then(|observed| observed.revision.as_ref());
        let counts = operation.deletes_inside() || self.options.bound && writes_into(operation);
        counts && known.is_some_and(|known| found.revision.as_ref() != Some(known))
    }

    /// Why an object stays that is to be deleted: it holds something, and nobody looked at that.
    pub(super) fn loses_unseen(&self, operation: &Operation, found: &Observed) -> Option<Outcome> {
        if !operation.deletes_inside() || !operation.is_unseen {
            return None;
        }
        let holding = operation.key.kind.kind().holding(&found.sent_back()?)?;
        let message = format!("{} has {holding}, and nobody looked at that", operation.key);
        Some(Outcome::Stale { message, unseen: true })
    }
}

/// Whether an operation writes something that an object holds beside its fields, such as rows.
fn writes_into(operation: &Operation) -> bool {
    let untold = operation.key.kind.kind().untold();
    let is_untold = |change: &FieldChange| match change.path.0.first() {
        Some(Step::Field(field)) => untold.contains(&field.as_str()),
        _ => false,
    };
    operation.changes.iter().any(is_untold)
}
