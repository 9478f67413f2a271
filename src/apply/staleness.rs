//! What is told of an object that is not what the plan was made for.

use std::sync::Arc;

use super::execute::{Outcome, Run};
use crate::kinds::Key;
use crate::kinds::fingerprint::Fingerprinter;
use crate::kinds::path::Step;
use crate::kinds::tree::Tree;
use crate::plan::diff::{self, Memory};
use crate::plan::{Observed, Operation};
use crate::visible;

/// Whether somebody else renamed an object since it was read.
pub(super) fn is_renamed(operation: &Operation, found: &Observed) -> bool {
    let is_renamable = operation.key.kind.kind().is_renamable();
    let Some(called) = found.called.as_ref().filter(|_| is_renamable) else { return false };
    let now = operation.key.with_name(called.clone()).claim();
    let known = operation.former().into_iter().chain([&operation.key]);
    !known.into_iter().any(|key| key.claim() == now)
}

/// Takes out of an object that was read what its records and documents need not name, and do not
/// name.
pub(super) fn leave_unnamed(key: &Key, found: &mut Observed, named: &[&Tree]) {
    let shape = key.kind.kind().shape();
    let is_unnamed = |name: &str| {
        let shape = shape.child(&Step::Field(name.to_owned()));
        named.iter().all(|it| it.get(name).is_none()) && shape.is_some_and(|shape| shape.partial)
    };
    if let Tree::Map(fields) = Arc::make_mut(&mut found.fields) {
        let unnamed: Vec<Arc<str>> =
            fields.keys().filter(|name| is_unnamed(name)).cloned().collect();
        for name in unnamed {
            fields.shift_remove(&name);
        }
    }
}

/// Somebody else deleted an object since it was read.
pub(super) fn gone(operation: &Operation) -> Outcome {
    let was = match operation.observed().is_some_and(|observed| observed.is_remembered) {
        true => "was applied",
        false => "existed when it was read",
    };
    let message = format!("{} {was}, but no longer exists", operation.key);
    Outcome::Stale { message, unseen: operation.is_unseen }
}

impl Run<'_> {
    /// The outcome for an object that changed since it was looked at.
    pub(super) fn stale(&self, operation: &Operation, found: &Observed) -> Outcome {
        let message = self.staleness(operation, found);
        Outcome::Stale { message, unseen: operation.is_unseen }
    }

    /// Which fields changed since the object was looked at.
    pub(super) fn staleness(&self, operation: &Operation, found: &Observed) -> String {
        if let Some(called) = found.called.as_ref().filter(|_| is_renamed(operation, found)) {
            let called = visible::line(called);
            return format!("{} was renamed to `{called}` since it was read", operation.key);
        }
        let fingerprinter = Fingerprinter::new("");
        let before = operation.observed().map(|observed| &*observed.fields);
        let memory = Memory { fingerprinter: &fingerprinter, applied: None };
        let shape = operation.key.kind.kind().shape();
        let fields: Vec<String> = diff::changes(shape, before, Some(&found.fields), memory)
            .iter()
            .map(|change| change.path.to_string())
            .collect();
        let what = match fields.is_empty() {
            true if self.holds_other(operation, found) => " in what it holds".to_owned(),
            true if self.is_hidden(operation, found) => {
                " in a field that the platform does not show".to_owned()
            }
            true => String::new(),
            false => format!(" in {}", fields.join(", ")),
        };
        let since = match operation.observed().is_some_and(|observed| observed.is_remembered) {
            true => "last applied",
            false => "read",
        };
        format!("{} changed{what} since it was {since}", operation.key)
    }
}
