//! Files become documents with positions, documents become a set.

mod jinja;
pub mod template;
pub mod yaml;
