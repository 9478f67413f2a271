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
use super::{Declared, Fault, Held, Key, Kind, KindName, kind_tag, typed};
use crate::kinds::specs::Version;
use crate::listed::few;

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

/// The tables that every memory has.
const ENTITIES: &str = "entity";
const RELATIONSHIPS: &str = "relationship";

/// What a memory holds, from how many records each of its tables has; none if it is empty.
fn told(held: &Value) -> Option<String> {
    let held = held.as_object()?;
    let some = held.iter().filter_map(|(what, count)| {
        let count = count.as_u64().filter(|count| *count > 0)?;
        Some(match (what.to_ascii_lowercase().as_str(), count) {
            (ENTITIES, 1) => "1 entity".to_owned(),
            (ENTITIES, _) => format!("{count} entities"),
            (RELATIONSHIPS, 1) => "1 relationship".to_owned(),
            (RELATIONSHIPS, _) => format!("{count} relationships"),
            (_, 1) => format!("1 record of `{what}`"),
            (_, _) => format!("{count} records of `{what}`"),
        })
    });
    let some: Vec<String> = some.collect();
    (!some.is_empty()).then(|| few(some))
}

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

    fn lost_with(&self, held: Held<'_>) -> Option<String> {
        Some(match held {
            Held::Known(held) => format!(
                "all that it holds is lost: {}",
                told(held).unwrap_or_else(|| "nothing was found in it".to_owned())
            ),
            Held::Unseen => {
                "it stays if it holds anything, because nobody looked at that".to_owned()
            }
            Held::Gone => {
                "it goes with its room, with all that it holds, and nobody looked at that"
                    .to_owned()
            }
        })
    }

    fn holding(&self, held: &Value) -> Option<String> {
        told(held)
    }

    fn carries_owner(&self) -> bool {
        false
    }
}
