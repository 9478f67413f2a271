//! *Pure*: who approved a plan. An approver signs a [`statement`] about one saved plan with an SSH
//! key; the file of that is an [`Approval`](signed::Approval). [`approvers`] says whose
//! approvals count, and [`verdict`] which of some approvals do.
//!
//! Must not live here: reading files, asking for keys, starting programs. The time is passed in.

pub mod approvers;
pub mod signed;
pub mod statement;
pub mod verdict;

#[cfg(test)]
mod tests;

/// The namespace of the signatures. A signature for anything else, such as a commit, approves
/// nothing.
pub const NAMESPACE: &str = "meshagent-plan";

/// The largest approval, in bytes.
pub const MAX_APPROVAL: usize = 256 * 1024;

/// The largest file of approvers, in bytes.
pub const MAX_APPROVERS: usize = 1024 * 1024;

/// The most approvals of a plan that are looked at.
pub const MOST: usize = 256;
