//! `kind: Room`. Found by name, changed and deleted by id.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::document::{AnnotatedMetadata, Lifecycle};
use super::shape::Shape;
use super::tree::Tree;
use super::{
    Declared, Fault, Holds, Kind, KindName, Lookup, NameRule, Seen, Target, annotated, annotations,
    kind_tag, text_of, typed,
};
use crate::api::request::{Listing, Request};
use crate::api::specs::Version;
use crate::api::specs::rules::Rule;

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
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

static SHAPE: LazyLock<Shape> =
    LazyLock::new(|| super::own_fields::<RoomDocument>(&["metadata.description"]));

/// The kind.
pub struct Room;

fn room_metadata(target: &Target<'_>) -> Option<Value> {
    target.fields.get("room_metadata").map(Tree::reveal)
}

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

    fn list(&self, project: &str, room: Option<&str>) -> Option<Listing> {
        room.is_none().then(|| Listing {
            request: Request::get(&["accounts", "projects", project, "rooms"])
                .query("order_by", "room_name"),
            envelope: "rooms",
            page: Some(500),
        })
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let (metadata, owner) = annotated(item);
        let fields =
            SHAPE.read(&json!({ "metadata": metadata, "room_metadata": item.get("metadata") }));
        Ok(Seen { name: text_of(item, "name")?, id: Some(text_of(item, "id")?), owner, fields })
    }

    /// The platform answers with one room by its name only, where a path can hold the name.
    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        if Rule::Segment.check(target.name).is_err() {
            return self.list(target.project, None).map(Lookup::Among);
        }
        Some(Lookup::One(
            Request::get(&["accounts", "projects", target.project, "rooms", target.name]),
            None,
        ))
    }

    /// What a new room does not have is null, as the reference sends it.
    fn create(&self, target: &Target<'_>) -> Request {
        let annotations = annotations(target);
        let has_any = annotations.as_object().is_some_and(|annotations| !annotations.is_empty());
        let body = json!({
            "name": target.name,
            "if_not_exists": target.asked.may_exist,
            "metadata": room_metadata(target),
            "annotations": has_any.then_some(annotations),
            "permissions": null,
        });
        Request::post(&["accounts", "projects", target.project, "rooms"], body)
    }

    fn update(&self, target: &Target<'_>) -> Request {
        let mut body = Map::from_iter([("name".to_owned(), target.name.into())]);
        if target.sends("room_metadata") {
            let metadata = room_metadata(target).unwrap_or_else(|| json!({}));
            body.insert("metadata".to_owned(), metadata);
        }
        if target.sends("metadata") {
            body.insert("annotations".to_owned(), annotations(target));
        }
        Request::put(
            &["accounts", "projects", target.project, "rooms", target.id.unwrap_or_default()],
            Value::Object(body),
        )
    }

    fn delete(&self, target: &Target<'_>) -> Option<Request> {
        Some(Request::delete(&["accounts", "projects", target.project, "rooms", target.id?]))
    }
}
