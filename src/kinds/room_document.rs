//! `kind: Document`. A document of a room, which several edit at once: what it may contain, and what
//! it begins with. What people make of it afterwards stays, unless `lifecycle.overwrite` says
//! otherwise.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use yrs::Transact;

use super::document::{Lifecycle, Metadata};
use super::inside::rooms;
use super::service::in_rooms;
use super::shape::Shape;
use super::tree::Tree;
use super::{Declared, Fault, Kind, KindName, NameRule, kind_tag, typed};
use crate::documents::replica::Replica;
use crate::documents::schema::Schema;
use crate::documents::shape;
use crate::kinds::specs::Version;
use crate::kinds::specs::rules::Rule;

kind_tag!(DocumentTag, Document);

/// The most bytes that a document begins with, and that its schema has, as JSON: the inventory keeps
/// them.
const MOST: usize = 128 * 1024;

/// A document of a room, which several edit at once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Document")]
struct RoomDocument {
    /// Always `v1`.
    version: Version,
    /// Always `Document`.
    #[allow(dead_code, reason = "read for its schema")]
    kind: DocumentTag,
    /// The document's name; its path, unless `path` says otherwise.
    metadata: Metadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// The path in the room's storage, such as `plans/today.document`. Default: the name.
    #[serde(default)]
    path: Option<String>,
    /// The room, by name.
    #[serde(default)]
    #[schemars(extend("x-rule" = "segment"))]
    room: Option<String>,
    /// The rooms, by name: each gets a document of its own.
    #[serde(default)]
    rooms: Option<Vec<String>>,
    /// What it may contain, as a schema of MeshAgent. Default: the one that its name stands for, such
    /// as `.thread` and `.document`.
    #[serde(default)]
    #[schemars(extend("x-partial" = true))]
    schema: Option<Map<String, Value>>,
    /// What it contains when it is created: an object with its root element.
    #[serde(default)]
    content: Option<Map<String, Value>>,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
    let left_out = ["path", "room", "rooms", "metadata", "metadata.description"];
    super::own_fields::<RoomDocument>(&left_out)
});

/// What a document contains, in the form in which rooms tell it.
///
/// # Errors
///
/// It is not as the schema wants it.
pub fn as_told(schema: &Schema, content: &Value) -> Result<Value, String> {
    let (values, children) = shape::given(schema, content)?;
    let mut replica = Replica::default();
    replica.change(|txn| shape::append(txn, schema, &children))?;
    shape::project(&replica.doc.transact(), schema, &values, false)
}

/// What a field says, if that is not too much: it takes long to check it.
fn bounded(field: &str, value: Value) -> Result<Value, Fault> {
    match value.to_string().len() > MOST {
        true => {
            let told = format!("`{field}` is longer than {} KiB as JSON", MOST / 1024);
            let hint =
                "write what is longer once the document is there: `meshagent room sync update`";
            Err(Fault::new(&[field], told).hint(hint))
        }
        false => Ok(value),
    }
}

/// What a document contains that is given nothing.
#[must_use]
pub fn nothing(schema: &Schema) -> Value {
    Value::Object([(schema.root().to_owned(), Value::Object(Map::new()))].into_iter().collect())
}

/// The kind.
pub struct Document;

impl Kind for Document {
    fn name(&self) -> KindName {
        KindName::Document
    }

    fn summary(&self) -> &'static str {
        "a document of a room, which several edit at once"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<RoomDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/room_document.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, written: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let document: RoomDocument = typed(written)?;
        let _ = document.version;
        let rooms = rooms(document.room, document.rooms)?;
        let name = document.path.unwrap_or(document.metadata.name);
        let is_given = document.schema.is_some();
        let schema = match document.schema {
            Some(schema) => {
                Schema::parse(bounded("schema", Value::Object(schema))?).map_err(|what| {
                    Fault::new(&["schema"], format!("`schema` is not a schema: {what}"))
                })?
            }
            None => Schema::built_in(&name).ok_or_else(|| {
                Fault::new(&["schema"], format!("no schema goes with the name `{name}`"))
                    .hint("say what the document may contain in `schema`")
            })?,
        };
        let content = document.content.map_or_else(|| nothing(&schema), Value::Object);
        let content = bounded("content", content)?;
        let content = as_told(&schema, &content).map_err(|what| {
            Fault::new(&["content"], format!("`content` does not fit the schema: {what}"))
        })?;
        let mut fields = Tree::map([("content", Tree::from(&content))]);
        if is_given {
            fields.set("schema", Tree::from(schema.source()));
        }
        let lifecycle = document.lifecycle.unwrap_or_else(Lifecycle::standard);
        let (project, room) = (document.project, None);
        Ok(in_rooms(Declared { project, room, name, fields, lifecycle }, rooms))
    }

    /// What a document contains cannot become what another schema wants.
    fn immutable(&self) -> &'static [&'static str] {
        &["schema"]
    }

    fn name_rule(&self) -> NameRule {
        NameRule { rule: Rule::FilePath, field: Some("path") }
    }

    fn placed_in(&self) -> Option<KindName> {
        Some(KindName::Room)
    }

    fn is_inside_rooms(&self) -> bool {
        true
    }

    fn keeps_what_others_write(&self) -> bool {
        true
    }

    fn carries_owner(&self) -> bool {
        false
    }
}
