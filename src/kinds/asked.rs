//! What a command asks for beyond the fields of an object.

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
}

impl Asked {
    /// Nothing.
    pub const NOTHING: Self = Self { only: None, may_exist: false, template: None };
}
