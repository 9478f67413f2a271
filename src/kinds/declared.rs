//! What documents declare: objects with their keys and fields, and what is wrong with them.

use serde_json::Value;

use super::Kind;
use super::document::Lifecycle;
use super::path::{FieldPath, Step};
use super::shape::Broken;
use super::tree::Tree;
use crate::kinds::specs::rules::Rule;

/// One object that a document declares.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The project it names, if it names one.
    pub project: Option<String>,
    /// The room it is placed in, for a service of one room.
    pub room: Option<String>,
    /// The natural key: name, address, domain or id.
    pub name: String,
    /// Its fields, read through the kind's shape.
    pub fields: Tree,
    /// How the reconciler treats it.
    pub lifecycle: Lifecycle,
}

impl Declared {
    /// What of it breaks a rule of form.
    #[must_use]
    pub fn broken(&self, kind: &dyn Kind) -> Vec<Broken> {
        broken(kind, (self.room.as_deref(), &self.name), &self.fields)
    }
}

/// What of an object breaks a rule of form: its fields, its name, and the room that it is
/// placed in.
#[must_use]
pub fn broken(kind: &dyn Kind, (room, name): (Option<&str>, &str), fields: &Tree) -> Vec<Broken> {
    let mut broken = kind.shape().broken(fields);
    let mut together = kind.broken_together(fields);
    together.retain(|it| broken.iter().all(|other| other.path != it.path));
    broken.extend(together);
    let of_name = kind.name_rule();
    if let Err(message) = of_name.rule.check(name) {
        broken.push(Broken { path: of_name.path(), message, hint: of_name.rule.hint(name) });
    }
    if let Some(Err(message)) = room.map(|room| Rule::Segment.check(room)) {
        let is_empty = room.is_some_and(|room| room.trim().is_empty());
        let hint =
            is_empty.then(|| "name a room, or leave the field out for every room".to_owned());
        broken.push(Broken { path: FieldPath::of(&["room"]), message, hint });
    }
    broken
}

/// What the natural key of a kind must look like.
#[derive(Debug, Clone, Copy)]
pub struct NameRule {
    /// The rule.
    pub rule: Rule,
    /// The field that may say it instead of `metadata.name`.
    pub field: Option<&'static str>,
}

impl NameRule {
    /// The field that says the natural key, where both are there.
    #[must_use]
    pub fn path(&self) -> FieldPath {
        match self.field {
            Some(field) => FieldPath::of(&[field]),
            None => FieldPath::of(&["metadata", "name"]),
        }
    }
}

/// What is wrong with a document beyond its schema.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The field at fault.
    pub path: FieldPath,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault of a field.
    pub fn new(path: &[&str], message: impl Into<String>) -> Self {
        Self { path: FieldPath::of(path), message: message.into(), hint: None }
    }

    /// The same, with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Fault> for Vec<Fault> {
    fn from(fault: Fault) -> Self {
        vec![fault]
    }
}

impl From<Broken> for Fault {
    fn from(Broken { path, message, hint }: Broken) -> Self {
        Self { path, message, hint }
    }
}

/// Defines the type of a document's `kind` field, which has one value.
macro_rules! kind_tag {
    ($tag:ident, $kind:ident) => {
        #[doc = concat!("The literal `", stringify!($kind), "`.")]
        #[derive(
            Debug, Clone, Copy, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        enum $tag {
            #[doc = "The only value."]
            $kind,
        }
    };
}
pub(crate) use kind_tag;

/// Reads a document that passed its schema into its type.
pub(super) fn typed<T: serde::de::DeserializeOwned>(document: &Value) -> Result<T, Fault> {
    // Keeping track of the path is costly, so it is done only for a document at fault.
    if let Ok(read) = T::deserialize(document) {
        return Ok(read);
    }
    serde_path_to_error::deserialize(document).map_err(|error| {
        let steps = error
            .path()
            .iter()
            .filter_map(|segment| match segment {
                serde_path_to_error::Segment::Map { key } => Some(Step::Field(key.clone())),
                serde_path_to_error::Segment::Seq { index } => Some(Step::Index(*index)),
                _ => None,
            })
            .collect();
        Fault { path: FieldPath(steps), message: error.inner().to_string(), hint: None }
    })
}
