//! What a command asks for beyond the fields of an object.

use std::sync::Arc;

use super::path::FieldPath;
use super::service::Template;

/// What a command asks for beyond the fields of an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// Just these fields are changed; see [`super::Kind::updates_partly`].
    pub only: Option<Vec<FieldPath>>,
    /// An object that already exists is as good as a new one.
    pub may_exist: bool,
    /// What the platform makes the fields of.
    pub template: Option<Template>,
    /// The bytes of which the fields have just the digest.
    pub content: Option<Arc<[u8]>>,
}

impl Asked {
    /// Nothing.
    pub const NOTHING: Self = Self { only: None, may_exist: false, template: None, content: None };
}
