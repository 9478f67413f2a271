//! The changes when only the lifecycle of an object changes. They are shown like any other change:
//! somebody who adds a protection wants to see it.

use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::manifest::set::Desired;
use crate::plan::{Entry, FieldChange};

/// The changes of an object's lifecycle since it was last recorded.
pub(super) fn changes(desired: &Desired, known: &Entry) -> Vec<FieldChange> {
    let rules = |rules: &[String]| {
        let rules: Vec<Tree> = rules.iter().map(|rule| Tree::text(rule.as_str())).collect();
        (!rules.is_empty()).then_some(Tree::List(rules))
    };
    let truth = |truth: bool| truth.then_some(Tree::Bool(true));
    let orphan = |orphan: bool| orphan.then(|| Tree::text("orphan"));
    [
        ("prevent_destroy", truth(known.protected), truth(desired.lifecycle.prevent_destroy)),
        ("delete", orphan(known.orphan), orphan(desired.is_orphaned())),
        ("ignore", rules(&known.ignore), rules(&desired.lifecycle.ignore)),
        ("overwrite", truth(known.overwrite), truth(desired.lifecycle.overwrite)),
    ]
    .into_iter()
    .filter(|(_, old, new)| old != new)
    .map(|(name, old, new)| FieldChange {
        path: FieldPath::of(&["lifecycle", name]),
        old,
        new,
        place: None,
        cause: None,
    })
    .collect()
}
