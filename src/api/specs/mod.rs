//! The platform's own documents: services, service templates and API scopes, in the shapes
//! that release 0.31.4 of the public SDK sends and accepts.
//!
//! Lives here: the types and their JSON Schemas. Must not: what a manifest adds to them
//! (`room`, `values`, `lifecycle`), which belongs to `kinds`; requests, which belong to
//! the kind that issues them.
//!
//! The schemas carry what the planner needs to compare two documents without knowing
//! their types: `default`, which is what an absent field means, and the extension
//! [`keywords`].

pub mod keywords;
pub mod rules;
pub mod scope;
pub mod service;
pub mod template;

/// The only document version that release 0.31.4 knows.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub enum Version {
    /// Version 1.
    #[default]
    #[serde(rename = "v1")]
    V1,
}
