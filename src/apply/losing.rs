//! What would be lost with an object inside of a room that a plan deletes: it goes only if it holds what
//! was looked at.

use super::execute::{Outcome, Run};
use crate::plan::{Observed, Operation};

impl Run<'_> {
    /// Whether an object that is to be deleted holds something else than when it was looked at, be it
    /// in none of its fields.
    pub(super) fn holds_other(&self, operation: &Operation, found: &Observed) -> bool {
        let known = operation.observed().and_then(|observed| observed.revision.as_ref());
        operation.deletes_inside()
            && known.is_some_and(|known| found.revision.as_ref() != Some(known))
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
