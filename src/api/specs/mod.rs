//! The platform's own documents: services, service templates and API scopes, in the shapes
//! that release 0.31.4 of the public SDK sends and accepts.
//!
//! Lives here: the types and their JSON Schemas. Must not: what a manifest adds to them
//! (`room`, `values`, `lifecycle`), which belongs to `kinds`; requests, which belong to
//! the kind that issues them.
//!
//! The schemas carry what the planner needs to compare two documents without knowing
//! their types, as extension keywords:
//!
//! | keyword | on | meaning |
//! |---|---|---|
//! | `default` | a field | absent means this value |
//! | `x-empty: "absent"` | a list or map | `null`, `[]`, `{}` and absent are one and the same |
//! | `x-key: NAME` | a list | items are told apart by this field; order carries no meaning |
//! | `x-set: true` | a list of scalars | order carries no meaning |
//! | `x-repeats: true` | a list with `x-key` | the platform takes several items of one key |
//! | `x-unique: [NAMES]` | a list | its order matters, and no two items agree in these fields |
//! | `x-secret: true` | any | its text is never shown |
//! | `x-rule: NAME` | any | what it must look like; see [`rules`] |

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
