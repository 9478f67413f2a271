//! *Pure*: how many operations of each sort a plan has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Effect, Operation};

/// How many operations a plan has of each sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Objects that are created.
    pub create: usize,
    /// Objects that are changed.
    pub update: usize,
    /// Objects of which only the inventory entry changes.
    pub record: usize,
    /// Objects that get another name.
    pub rename: usize,
    /// Objects that are deleted and created again.
    pub replace: usize,
    /// Objects that the set takes over.
    pub adopt: usize,
    /// Objects that are deleted.
    pub delete: usize,
    /// Objects that stay and are no longer owned.
    pub release: usize,
    /// Objects that may differ, but only in values that were not read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub may_update: usize,
    /// Objects that are as they should be.
    pub unchanged: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Counts {
    /// Adds the operations of another part of the same plan. What is unchanged is counted in both.
    pub fn add(&mut self, other: &Self) {
        let Self { create, update, record, rename, replace, .. } = *other;
        let Self { adopt, delete, release, may_update, unchanged, .. } = *other;
        self.create += create;
        self.update += update;
        self.record += record;
        self.rename += rename;
        self.replace += replace;
        self.adopt += adopt;
        self.delete += delete;
        self.release += release;
        self.may_update += may_update;
        self.unchanged = self.unchanged.max(unchanged);
    }

    /// Counts operations; a replacement counts once, as the half that creates.
    #[must_use]
    pub fn of<'a>(operations: impl IntoIterator<Item = &'a Operation>) -> Self {
        let mut counts = Self::default();
        for operation in operations {
            match &operation.effect {
                Effect::Create { replaces: true, .. } => counts.replace += 1,
                Effect::Delete { replaces: true, .. } => {}
                Effect::Create { .. } => counts.create += 1,
                Effect::Update { .. } if operation.is_uncertain() => counts.may_update += 1,
                Effect::Update { .. } => counts.update += 1,
                Effect::Record { .. } => counts.record += 1,
                Effect::Rename { .. } => counts.rename += 1,
                Effect::Adopt { .. } => counts.adopt += 1,
                Effect::Delete { .. } => counts.delete += 1,
                Effect::Release { .. } => counts.release += 1,
            }
        }
        counts
    }

    /// One sentence: `2 to create, 1 to delete, 5 unchanged`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let parts: Vec<String> = [
            (self.create, "to create"),
            (self.update, "to update"),
            (self.may_update, "that may change"),
            (self.record, "to record"),
            (self.rename, "to rename"),
            (self.replace, "to replace"),
            (self.adopt, "to adopt"),
            (self.delete, "to delete"),
            (self.release, "to release"),
            (self.unchanged, "unchanged"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") }
    }
}
