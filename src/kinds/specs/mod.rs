//! The parts of documents: those of services and their templates, what tokens grant, and the rules
//! of form for all of it. This is the format that people write. An API may have other names for a
//! part, or none; how it spells them is in its dialect.
//!
//! Lives here: the types and their JSON Schemas, from which the published ones are made. Must
//! not: where a document is placed and how it is treated (`room`, `values`, `lifecycle`), which
//! stands with its kind; anything of one API.
//!
//! The schemas carry what the planner needs to compare two documents without knowing
//! their types: `default`, which is what an absent field means, and the extension
//! [`keywords`].

pub mod keywords;
pub mod managed_agent;
pub mod mounts;
pub mod roles;
pub mod route;
pub mod rules;
pub mod schedule;
pub mod scope;
pub mod service;
pub mod template;
pub mod token;

/// The version of documents.
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
