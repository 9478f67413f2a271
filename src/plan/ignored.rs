//! What `lifecycle.ignore` leaves as it is on the platform.

use serde_json::Value;

use super::FieldChange;
use super::diff;
use crate::kinds::path::FieldPath;
use crate::kinds::shape::Shape;
use crate::kinds::tree::Tree;

/// The rules of an object.
#[derive(Clone, Copy)]
pub struct Ignored<'a> {
    /// The shape of its kind.
    pub shape: &'a Shape,
    /// What was last applied, where that is known.
    pub applied: Option<&'a Value>,
    /// The fields that are left to others.
    pub rules: &'a [FieldPath],
}

/// The wanted state of an object whose rules leave some of its fields to others.
#[derive(Debug)]
pub struct Left {
    /// The fields as the manifest has them, or as the platform has them where a rule says so.
    pub fields: Tree,
    /// The rules for values that the platform hides. It is not known what to send there, so the
    /// fields must not be sent.
    pub untold: Vec<FieldPath>,
    /// The rules for what stays as the platform has it.
    pub kept: Vec<FieldPath>,
}

impl Ignored<'_> {
    /// Puts what the platform has where the manifest says something else and a rule says to
    /// leave it so.
    #[must_use]
    pub fn leave(&self, wanted: &Tree, observed: &Tree) -> Left {
        let mut bare = wanted.clone();
        self.rules.iter().for_each(|rule| bare.put(rule, None));
        let bare = self.shape.normalize(bare);
        let (mut fields, mut untold, mut kept) = (wanted.clone(), Vec::new(), Vec::new());
        for rule in self.rules {
            if diff::is_untold(observed, rule) {
                untold.push(rule.clone());
            } else if !self.comes_with_it(rule, observed, bare.as_ref()) {
                fields.put(rule, observed.at(rule).cloned());
                kept.push(rule.clone());
            }
        }
        // A map that lost its last field this way is as absent as one that never had any.
        let fields = self.shape.normalize(fields).unwrap_or_else(|| Tree::map([]));
        Left { fields, untold, kept }
    }

    /// Whether the field is part of something that the platform lacks and the manifest adds: then
    /// there is nothing yet that could be left as it is. `bare` is what the manifest says
    /// without the ignored fields.
    fn comes_with_it(&self, rule: &FieldPath, observed: &Tree, bare: Option<&Tree>) -> bool {
        let Some((_, above @ [_, ..])) = rule.0.split_last() else { return false };
        let above = FieldPath(above.to_vec());
        if observed.at(&above).is_some() {
            return false;
        }
        let was_there = self.applied.is_some_and(|it| Tree::from(it).at(&above).is_some());
        !was_there || bare.is_some_and(|bare| bare.at(&above).is_some())
    }
}

/// Puts the platform's value at a path. A map that loses its last field by that is removed too
/// if the platform has no such map: an empty map may mean something else than no map.
pub fn leave_drift(fields: &mut Tree, observed: &Tree, path: &FieldPath) {
    fields.put(path, observed.at(path).cloned());
    for length in (1..path.0.len()).rev() {
        let above = FieldPath(path.0[..length].to_vec());
        let is_empty = fields.at(&above).and_then(Tree::fields).is_some_and(|it| it.is_empty());
        if !is_empty || observed.at(&above).is_some() {
            return;
        }
        fields.put(&above, None);
    }
}

/// Removes the changes to values that the platform hides and rules leave to others.
pub fn retain_told(changes: &mut Vec<FieldChange>, untold: &[FieldPath]) {
    changes.retain(|change| !untold.iter().any(|rule| change.path.0.starts_with(&rule.0)));
}
