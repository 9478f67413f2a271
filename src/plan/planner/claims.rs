//! How far a claim is trusted. An apply that was about to create an object, and never learned
//! whether it did, leaves a claim in the inventory. A claim is not ownership: somebody else may
//! have created the object that is found under its key.

use serde_json::Value;

use super::Planner;
use crate::kinds::Key;
use crate::kinds::fingerprint::Fingerprinter;
use crate::kinds::recorded::fingerprint_in;
use crate::kinds::tree::Tree;
use crate::plan::Observed;
use crate::plan::diff::{self, Memory};

impl Planner<'_> {
    /// Whether an object without an owner mark, found under a claim, is the one that was to be
    /// created. For kinds whose objects carry an owner mark, only the mark counts. Others are
    /// identified by their fields, unless another set has them; hidden values are assumed to be
    /// as they were sent.
    pub(super) fn is_as_claimed(&self, key: &Key, observed: &Observed) -> bool {
        let kind = key.kind.kind();
        if kind.carries_owner() || self.state.unknown_owners.contains_key(&self.named_now(key)) {
            return false;
        }
        let fingerprinter = self.fingerprinter(key);
        let claimed = self.entry(key).and_then(|entry| entry.claimed.as_ref());
        // A claim from an earlier version of this program does not say what was sent.
        let sent = match (claimed, self.declared.get(key)) {
            (Some(claimed), _) => claimed.value(),
            (None, Some(declared)) => declared.fields.recorded(&fingerprinter),
            (None, None) => return false,
        };
        let Some(sent) = as_shown(&sent, Some(&observed.fields), &fingerprinter) else {
            return false;
        };
        let applied = sent.recorded(&fingerprinter);
        let memory = Memory { fingerprinter: &fingerprinter, applied: Some(&applied) };
        diff::changes(kind.shape(), Some(&observed.fields), Some(&sent), memory).is_empty()
    }
}

/// What was sent, with each secret as the object shows it; `None` if it shows another secret.
fn as_shown(sent: &Value, shown: Option<&Tree>, fingerprinter: &Fingerprinter) -> Option<Tree> {
    let below = |value, shown| as_shown(value, shown, fingerprinter);
    if let Some(fingerprint) = fingerprint_in(sent) {
        let shown = shown?;
        let is_it = diff::has_masked(Some(shown))
            || fingerprint_in(&shown.clone().sealed().recorded(fingerprinter)) == Some(fingerprint);
        return is_it.then(|| shown.clone());
    }
    match sent {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                Some((name.as_str(), below(value, shown.and_then(|tree| tree.get(name)))?))
            })
            .collect(),
        Value::Array(items) => {
            let shown = match shown {
                Some(Tree::List(shown)) => shown.as_slice(),
                _ => &[],
            };
            let items = items.iter().enumerate();
            let items = items.map(|(index, value)| below(value, shown.get(index)));
            items.collect::<Option<_>>().map(Tree::List)
        }
        other => Some(Tree::from(other)),
    }
}
