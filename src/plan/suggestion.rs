//! Which rule of `lifecycle.ignore` would leave a difference as it is.

use super::ignored::{self, Ignored};
use super::{Action, FieldChange, Operation, Plan, diff};
use crate::kinds::fingerprint::Fingerprinter;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::recorded::Recorded;
use crate::kinds::tree::Tree;

/// The narrowest rule that makes a change disappear, if there is one. The rule is tried before it
/// is shown. Positions shift when items come and go, so a rule ignores a list whose items have no
/// names as a whole. There is no rule for what the program itself writes: a name, the mark of the
/// set, and the inventory.
#[must_use]
pub fn rule(plan: &Plan, operation: &Operation, change: &FieldChange) -> Option<FieldPath> {
    let fields = operation.fields()?;
    let observed = match (operation.observed(), operation.action()) {
        (_, Action::Delete | Action::Release) => return None,
        (Some(observed), _) => Tree::clone(&observed.fields),
        // For the half of a replacement that creates, the changes say what was there.
        (None, _) if operation.replaces() => {
            let mut observed = Tree::clone(fields);
            for change in &operation.changes {
                observed.put(&change.path, change.old.clone());
            }
            observed
        }
        (None, _) => return None,
    };
    let no_key = Fingerprinter::new("");
    let before = operation.before.as_ref();
    let kept = plan.fingerprints.get(&operation.key.project);
    let kept = kept.map(|it| it.of(&operation.key, before));
    let applied =
        operation.before.as_ref().and_then(|entry| entry.applied.as_ref()).map(Recorded::value);
    let memory =
        diff::Memory { fingerprinter: kept.as_ref().unwrap_or(&no_key), applied: applied.as_ref() };
    let shape = operation.key.kind.kind().shape();
    let observed = &shape.normalize(observed).unwrap_or_else(|| Tree::map([]));
    let is_settled_by = |rules: &[FieldPath]| {
        let left = Ignored { shape, applied: applied.as_ref(), rules }.leave(fields, observed);
        let mut open = diff::changes(shape, Some(observed), Some(&left.fields), memory);
        ignored::retain_told(&mut open, &left.untold);
        // With a rule for a value that the platform hides, nothing else of the field can be
        // written.
        (left.untold.is_empty() || open.is_empty())
            && !open.iter().any(|open| {
                open.path.0.starts_with(&change.path.0) || change.path.0.starts_with(&open.path.0)
            })
    };
    if is_settled_by(&[]) {
        return None;
    }
    let is_position = |step: &Step| matches!(step, Step::Index(_));
    let most = change.path.0.iter().position(is_position).unwrap_or(change.path.0.len());
    (1..=most).rev().map(|length| FieldPath(change.path.0[..length].to_vec())).find(|rule| {
        shape.has(rule)
            && FieldPath::parse(&rule.to_string()).as_ref() == Ok(rule)
            && is_settled_by(std::slice::from_ref(rule))
    })
}

/// The rule as it stands in a manifest.
#[must_use]
pub fn line(rule: &FieldPath) -> String {
    // Quotes of YAML, since a selector has brackets.
    let text = rule.to_string();
    let quoted = match text.contains(['[', '"', '\'']) {
        true => format!("'{}'", text.replace('\'', "''")),
        false => text,
    };
    format!("lifecycle: {{ignore: [{quoted}]}}")
}
