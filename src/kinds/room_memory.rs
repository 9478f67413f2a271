//! `kind: Memory`. A memory of a room. What is in it is written by people and agents, so its document
//! only says that there is one.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::document::{Lifecycle, Metadata};
use super::inside::{former_in, in_folders, in_folders_of, rooms};
use super::service::in_rooms;
use super::shape::Shape;
use super::tree::Tree;
use super::{Declared, Fault, Key, Kind, KindName, kind_tag, typed};
use crate::kinds::specs::Version;

kind_tag!(MemoryTag, Memory);

/// A memory of a room: what is known there of people and things.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Memory")]
struct MemoryDocument {
    /// Always `v1`.
    version: Version,
    /// Always `Memory`.
    #[allow(dead_code, reason = "read for its schema")]
    kind: MemoryTag,
    /// The memory's name.
    metadata: Metadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// The room, by name.
    #[serde(default)]
    #[schemars(extend("x-rule" = "segment"))]
    room: Option<String>,
    /// The rooms, by name: each gets a memory of its own.
    #[serde(default)]
    rooms: Option<Vec<String>>,
    /// The namespaces that the memory is in, from the outermost. Default: none. In another one it is
    /// another memory.
    #[serde(default)]
    namespace: Option<Vec<String>>,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
    let left_out = ["room", "rooms", "namespace", "metadata", "metadata.description"];
    super::own_fields::<MemoryDocument>(&left_out)
});

/// The kind.
pub struct Memory;

impl Kind for Memory {
    fn name(&self) -> KindName {
        KindName::Memory
    }

    fn plural(&self) -> String {
        "Memories".to_owned()
    }

    fn summary(&self) -> &'static str {
        "a memory of a room"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<MemoryDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/room_memory.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, written: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let document: MemoryDocument = typed(written)?;
        let _ = document.version;
        let rooms = rooms(document.room, document.rooms)?;
        let namespace = document.namespace.unwrap_or_default();
        let mut lifecycle = document.lifecycle.unwrap_or_else(Lifecycle::standard);
        former_in(&namespace, &mut lifecycle);
        let declared = Declared {
            project: document.project,
            room: None,
            name: in_folders(&namespace, &document.metadata.name)?,
            fields: Tree::map([]),
            lifecycle,
        };
        Ok(in_rooms(declared, rooms))
    }

    fn document(&self, key: &Key, fields: &Tree) -> Value {
        let mut document = super::document_of(key, fields);
        in_folders_of(&mut document, &key.name);
        Value::Object(document)
    }

    fn placed_in(&self) -> Option<KindName> {
        Some(KindName::Room)
    }

    fn is_inside_rooms(&self) -> bool {
        true
    }

    fn lost_with_name(&self) -> Option<&'static str> {
        Some("all that the former one holds is lost")
    }

    fn lost_with(&self, held: Option<&Value>) -> Option<String> {
        let count = |what: &str| held?.get(what)?.as_u64();
        let told = |one: &str, more: &str, count: u64| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {more}"),
        };
        Some(match (count("entities"), count("relationships")) {
            (Some(entities), relationships) => format!(
                "all that it holds is lost: {} and {}",
                told("entity", "entities", entities),
                told("relationship", "relationships", relationships.unwrap_or_default())
            ),
            (None, _) => "it stays if it holds anything, because nobody looked at that".to_owned(),
        })
    }

    fn holding(&self, held: &Value) -> Option<String> {
        let count = |what: &str| held.get(what)?.as_u64();
        match (count("entities"), count("relationships")) {
            (Some(0), Some(0)) => None,
            (Some(1), _) => Some("1 entity".to_owned()),
            (Some(entities), _) => Some(format!("{entities} entities")),
            (None, _) => Some("entities".to_owned()),
        }
    }

    fn carries_owner(&self) -> bool {
        false
    }
}
