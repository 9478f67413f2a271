//! `kind: Room`. Found by name, changed and deleted by id.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::{AnnotatedMetadata, Lifecycle};
use super::shape::Shape;
use super::{Declared, Fault, Holds, Kind, KindName, NameRule, kind_tag, typed};
use crate::kinds::specs::Version;
use crate::kinds::specs::rules::Rule;

kind_tag!(RoomTag, Room);

/// A room: where people and agents meet.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Room")]
struct RoomDocument {
    /// Always `v1`.
    version: Version,
    /// Always `Room`.
    kind: RoomTag,
    /// The room's name, unique in its project: 1 to 63 of a-z, 0-9 and -, with a letter or
    /// digit at both ends.
    metadata: AnnotatedMetadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// Free JSON that the platform keeps with the room, such as `displayName`.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent"))]
    room_metadata: Option<serde_json::Map<String, Value>>,
    /// Whether the room can be entered. Left as it is on the platform if it is not said.
    #[serde(default)]
    #[schemars(extend("x-partial" = true))]
    enabled: Option<bool>,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

static SHAPE: LazyLock<Shape> =
    LazyLock::new(|| super::own_fields::<RoomDocument>(&["metadata.description"]));

/// The kind.
pub struct Room;

impl Kind for Room {
    fn name(&self) -> KindName {
        KindName::Room
    }

    fn summary(&self) -> &'static str {
        "a room: where people and agents meet"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<RoomDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/room.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, document: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let fields = SHAPE.read(document);
        let document: RoomDocument = typed(document)?;
        Ok(vec![Declared {
            project: document.project,
            room: None,
            name: document.metadata.name,
            fields,
            lifecycle: document.lifecycle.unwrap_or_else(Lifecycle::standard),
        }])
    }

    fn name_rule(&self) -> NameRule {
        NameRule { rule: Rule::RoomName, field: None }
    }

    fn holds(&self) -> Option<Holds> {
        Some(Holds::Room)
    }

    fn is_renamable(&self) -> bool {
        true
    }

    fn is_named_by_others(&self) -> bool {
        true
    }

    fn updates_partly(&self) -> bool {
        true
    }
}
