//! Documents that several edit at once: what may be in them, what is in them, and what their updates
//! are. A room and its clients share this.
//!
//! | module | holds |
//! |---|---|
//! | `built_in` | the schemas that need not be given |
//! | `conflicts` | how much work it is to bring in order what several wrote at one place |
//! | `edit` | the smallest edit that makes a document what it should be |
//! | `grep` | which elements of a document a pattern matches |
//! | `places` | where everything was put, and whether it is worth to count how much work that is |
//! | `replica` | a copy of a document that updates are applied to |
//! | `schema` | what a document may contain |
//! | `shape` | a document as JSON, and JSON as a document |
//! | `update` | whether an update can be applied without harm |
//!
//! Must not live here: how a document is kept, which is the platform's; how one is opened in a room,
//! which is in [`crate::room::sync`].

mod built_in;
mod conflicts;
pub mod edit;
pub mod grep;
pub mod places;
pub mod replica;
pub mod schema;
pub mod shape;
pub mod update;
