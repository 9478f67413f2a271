//! `Room` on the wire.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::api::request::{Listing, Paging, Request};
use crate::dialect::fields::{annotated, annotations, text_of};
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target, Unsaid};
use crate::kinds::KindName;
use crate::kinds::shape::Shape;
use crate::kinds::specs::rules::Rule;
use crate::kinds::tree::Tree;

fn shape() -> &'static Shape {
    KindName::Room.kind().shape()
}

fn room_metadata(target: &Target<'_>) -> Option<Value> {
    target.fields.get("room_metadata").map(Tree::reveal)
}

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Room);

/// The spelling.
pub struct Room;

/// The fields of manifests that 0.31 lacks.
static UNSAID: LazyLock<Unsaid> =
    LazyLock::new(|| Unsaid::of(shape(), "metadata\nmetadata.annotations\nroom_metadata"));

impl Spelling for Room {
    fn collection(&self) -> Collection {
        Collection { noun: "rooms", envelope: "rooms", paging: Paging::Offset(500) }
    }

    fn list(&self, project: &str, room: Option<&str>) -> Option<Listing> {
        room.is_none().then(|| Listing {
            request: self.all(project).query("order_by", "room_name"),
            envelope: "rooms",
            paging: Paging::Offset(500),
            below: None,
        })
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let (metadata, owner) = annotated(item);
        let fields =
            shape().read(&json!({ "metadata": metadata, "room_metadata": item.get("metadata") }));
        Ok(Seen { name: text_of(item, "name")?, id: Some(text_of(item, "id")?), owner, fields })
    }

    fn unsaid(&self) -> &'static Unsaid {
        &UNSAID
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
    fn new_body(&self, target: &Target<'_>) -> Value {
        let annotations = annotations(target);
        let has_any = annotations.as_object().is_some_and(|annotations| !annotations.is_empty());
        json!({
            "name": target.name,
            "if_not_exists": target.asked.may_exist,
            "metadata": room_metadata(target),
            "annotations": has_any.then_some(annotations),
            "permissions": null,
        })
    }

    fn body(&self, target: &Target<'_>) -> Value {
        let mut body = serde_json::Map::from_iter([("name".to_owned(), target.name.into())]);
        if target.sends("room_metadata") {
            let metadata = room_metadata(target).unwrap_or_else(|| json!({}));
            body.insert("metadata".to_owned(), metadata);
        }
        if target.sends("metadata") {
            body.insert("annotations".to_owned(), annotations(target));
        }
        Value::Object(body)
    }
}
