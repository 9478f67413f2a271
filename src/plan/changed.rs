//! *Pure*: how the change of one field is described, for every form of a plan.

use super::shown::{Difference, Part, Whole, difference, whole};
use super::{Cause, FieldChange};
use crate::kinds::tree::Tree;

/// How a field changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// It may change: what it is to be was not read.
    Uncertain,
    /// It gets another value.
    Changes,
    /// It is not there yet.
    Comes,
    /// It goes away.
    Goes,
}

/// How the values are described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// In fixed words.
    Words(&'static str),
    /// The only value, as a whole.
    Value(Whole),
    /// Both values, or the one part of each that differs.
    Pair(String, String),
    /// The parts that differ, and how many more there are.
    Parts(Vec<Part>, usize),
}

/// The text for a field that may change.
pub const MAY_CHANGE: &str = "(not read, may change)";

/// The text for a secret that changes.
pub const SECRET_CHANGED: &str = "(secret, changed)";

impl Sort {
    /// The sign of its line.
    #[must_use]
    pub const fn sign(self) -> char {
        match self {
            Self::Uncertain => '?',
            Self::Changes => '~',
            Self::Comes => '+',
            Self::Goes => '-',
        }
    }
}

/// How a field changes, and how its values are described; `None` if it has none.
#[must_use]
pub fn told(change: &FieldChange) -> Option<(Sort, Said)> {
    Some(match (&change.old, &change.new) {
        _ if change.is_uncertain() => (Sort::Uncertain, Said::Words(MAY_CHANGE)),
        (Some(Tree::Secret(_)), Some(Tree::Secret(_))) => {
            (Sort::Changes, Said::Words(SECRET_CHANGED))
        }
        (None, Some(new)) => (Sort::Comes, Said::Value(whole(new))),
        (Some(old), None) => (Sort::Goes, Said::Value(whole(old))),
        (Some(old), Some(new)) => {
            let said = match difference(old, new) {
                Difference::Pair(old, new) => Said::Pair(old, new),
                Difference::Hidden => Said::Words(SECRET_CHANGED),
                Difference::Parts(parts, more) => Said::Parts(parts, more),
            };
            (Sort::Changes, said)
        }
        (None, None) => return None,
    })
}

/// Where the difference comes from, if not only from the manifest.
#[must_use]
pub const fn cause(change: &FieldChange) -> Option<&'static str> {
    match change.cause {
        Some(Cause::Drift) => Some("drifted"),
        Some(Cause::Both) => Some("drifted, and the manifest changed"),
        Some(Cause::Manifest) | None => None,
    }
}
