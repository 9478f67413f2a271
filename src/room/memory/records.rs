//! *Pure*: what memories hold, and what they answer of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::listed::nearest;
use crate::room::operation::or_nothing;

/// Something of which a memory knows. All that is not said is null on its way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// Its id; without one, the room chooses.
    #[serde(default)]
    pub entity_id: Option<String>,
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(default)]
    pub entity_type: Option<String>,
    /// What is known of it.
    #[serde(default)]
    pub context: Option<String>,
    /// How certain that is.
    #[serde(default)]
    pub confidence: Option<f64>,
    /// When it was written down, in ISO 8601.
    #[serde(default)]
    pub created_at: Option<String>,
    /// Since when it is so, in ISO 8601.
    #[serde(default)]
    pub valid_at: Option<String>,
    /// What else is kept with it.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// What one entity has to do with another one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Relationship {
    /// The one.
    pub source_entity_id: String,
    /// The other.
    pub target_entity_id: String,
    /// What kind of relationship it is.
    #[serde(default = "related", deserialize_with = "related_unless_said")]
    pub relationship_type: String,
    /// What is known of it.
    #[serde(default)]
    pub description: Option<String>,
    /// How certain that is.
    #[serde(default)]
    pub confidence: Option<f64>,
    /// When it was written down, in ISO 8601.
    #[serde(default)]
    pub created_at: Option<String>,
    /// Since when it is so, in ISO 8601.
    #[serde(default)]
    pub valid_at: Option<String>,
    /// When it ceased to be known, in ISO 8601.
    #[serde(default)]
    pub expired_at: Option<String>,
    /// Since when it is no longer so, in ISO 8601.
    #[serde(default)]
    pub invalid_at: Option<String>,
    /// The name of the one.
    #[serde(default)]
    pub source_entity_name: Option<String>,
    /// The name of the other.
    #[serde(default)]
    pub target_entity_name: Option<String>,
    /// What else is kept with it.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// What records of a kind can say.
pub trait Fields {
    /// The names of their fields.
    const NAMES: &'static [&'static str];
}

impl Fields for Entity {
    const NAMES: &'static [&'static str] = &[
        "entity_id",
        "name",
        "entity_type",
        "context",
        "confidence",
        "created_at",
        "valid_at",
        "metadata",
    ];
}

impl Fields for Relationship {
    const NAMES: &'static [&'static str] = &[
        "source_entity_id",
        "target_entity_id",
        "relationship_type",
        "description",
        "confidence",
        "created_at",
        "valid_at",
        "expired_at",
        "invalid_at",
        "source_entity_name",
        "target_entity_name",
        "metadata",
    ];
}

/// What is said of a field that records of a kind do not have, if a record has one.
pub fn unknown<T: Fields>(record: &Map<String, Value>) -> Option<String> {
    let unknown = record.keys().find(|name| !T::NAMES.contains(&name.as_str()))?;
    let shown: String = unknown.chars().take(40).collect();
    let hint = match nearest(unknown, T::NAMES.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there are {}", T::NAMES.join(", ")),
    };
    Some(format!("there is no field {shown:?}; {hint}"))
}

impl Fields for Selector {
    const NAMES: &'static [&'static str] =
        &["source_entity_id", "target_entity_id", "relationship_type"];
}

/// The kind of a relationship of which nothing else is said.
pub const RELATED: &str = "RELATED_TO";

fn related() -> String {
    RELATED.to_owned()
}

fn related_unless_said<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Option::deserialize(from).map(|kind| kind.unwrap_or_else(related))
}

/// Which relationships are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// Those of this entity,
    pub source_entity_id: String,
    /// with that one,
    pub target_entity_id: String,
    /// of this kind; without it, of any.
    #[serde(default)]
    pub relationship_type: Option<String>,
}

/// A part of a memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
    /// Its columns.
    #[serde(default, deserialize_with = "or_nothing")]
    pub columns: Vec<String>,
}

/// An entity that is recalled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recalled {
    /// Its id.
    pub entity_id: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub entity_type: String,
    /// What is known of it.
    #[serde(default)]
    pub context: Option<String>,
    /// How certain that is.
    #[serde(default)]
    pub confidence: Option<f64>,
    /// When it was written down, in ISO 8601.
    #[serde(default)]
    pub created_at: Option<String>,
    /// Since when it is so, in ISO 8601.
    #[serde(default)]
    pub valid_at: Option<String>,
    /// How well it fits.
    pub score: f64,
    /// What it has to do with others.
    #[serde(default, deserialize_with = "or_nothing")]
    pub relationships: Vec<RecalledRelationship>,
}

/// A relationship of an entity that is recalled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecalledRelationship {
    /// The one.
    pub source_entity_id: String,
    /// The other.
    pub target_entity_id: String,
    /// What kind of relationship it is.
    pub relationship_type: String,
    /// What is known of it.
    #[serde(default)]
    pub description: Option<String>,
    /// When it was written down, in ISO 8601.
    #[serde(default)]
    pub created_at: Option<String>,
    /// Since when it is so, in ISO 8601.
    #[serde(default)]
    pub valid_at: Option<String>,
    /// When it ceased to be known, in ISO 8601.
    #[serde(default)]
    pub expired_at: Option<String>,
    /// Since when it is no longer so, in ISO 8601.
    #[serde(default)]
    pub invalid_at: Option<String>,
}

/// What an optimization changed in a part of a memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tidied {
    /// The part.
    pub dataset: String,
    /// How many fragments are new.
    #[serde(default, deserialize_with = "or_nothing")]
    pub fragments_added: u64,
    /// How many are gone.
    #[serde(default, deserialize_with = "or_nothing")]
    pub fragments_removed: u64,
    /// How many files are new.
    #[serde(default, deserialize_with = "or_nothing")]
    pub files_added: u64,
    /// How many are gone.
    #[serde(default, deserialize_with = "or_nothing")]
    pub files_removed: u64,
    /// How many old versions are gone.
    #[serde(default, deserialize_with = "or_nothing")]
    pub old_versions_removed: u64,
    /// How many bytes that was.
    #[serde(default, deserialize_with = "or_nothing")]
    pub bytes_removed: u64,
}
