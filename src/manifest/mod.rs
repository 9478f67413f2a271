//! Files become documents with positions, documents become a set.

pub mod template;
pub mod yaml;
