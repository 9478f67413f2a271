//! Files become documents with positions, documents become a set.
//!
//! Lives here: which files are read, the one YAML parser, templates, validation, and what
//! the documents of a set declare together. Must not: anything that asks the platform.

pub mod age;
mod agreement;
pub mod beside;
pub mod brought;
mod conformity;
pub mod declared_in;
pub mod document;
pub mod edit;
pub(crate) mod engine;
mod exact;
pub mod export;
mod form;
mod habits;
pub mod imported;
mod jinja_differences;
mod lifecycle;
mod literals;
pub mod located;
mod measured;
mod null;
pub mod of_accounts;
pub mod overrides;
pub mod own_files;
pub mod pack;
pub mod placement;
pub mod placing_manifest;
pub mod process;
pub mod quoting;
pub mod reach;
mod repeated;
pub mod repository;
mod sealing;
pub mod secrets;
pub mod set;
pub mod signs;
pub mod source;
mod spelling;
mod split;
pub mod template;
mod tokens;
pub mod values;
pub mod variables;
pub mod walk;
pub mod yaml;
