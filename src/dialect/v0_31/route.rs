//! `Route` on the wire.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::api::request::{Listing, Paging, Request};
use crate::dialect::fields::{annotated, annotations, own_spelling, spelled, text_of};
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target, Unsaid};
use crate::kinds::KindName;
use crate::kinds::path::FieldPath;
use crate::kinds::shape::Shape;

fn shape() -> &'static Shape {
    KindName::Route.kind().shape()
}

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Route);

/// The spelling.
pub struct Route;

/// The fields of manifests that 0.31 lacks.
static UNSAID: LazyLock<Unsaid> =
    LazyLock::new(|| Unsaid::of(shape(), "metadata\nmetadata.annotations\nroom\nport"));

impl Spelling for Route {
    fn collection(&self) -> Collection {
        Collection::plain("routes")
    }

    fn list_naming(&self, project: &str, room: &str) -> Option<Listing> {
        let request = Request::get(&["accounts", "projects", project, "rooms", room, "routes"]);
        Some(Listing { request, envelope: "routes", paging: Paging::Whole, below: None })
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let (metadata, owner) = annotated(item);
        let fields = shape()
            .read(&json!({ "metadata": metadata, "room": item.get("room_name"), "port": item.get("port") }));
        Ok(Seen {
            name: KindName::Route.kind().natural_name(&text_of(item, "domain")?),
            id: None,
            owner,
            fields,
        })
    }

    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        let path = ["accounts", "projects", target.project, "routes", self.segment(target)?];
        Some(Lookup::One(Request::get(&path), Some("route")))
    }

    fn unsaid(&self) -> &'static Unsaid {
        &UNSAID
    }

    fn instead_of(&self, _field: &FieldPath) -> &'static str {
        "say `room` and `port`, or use a platform with a later release"
    }

    fn sent_back(&self, item: &Value) -> Option<Value> {
        own_spelling(KindName::Route, item, "domain")
    }

    fn segment<'a>(&self, target: &'a Target<'_>) -> Option<&'a str> {
        Some(spelled(target, "domain"))
    }

    fn body(&self, target: &Target<'_>) -> Value {
        json!({
            "room_name": target.fields.sent("room"),
            "port": target.fields.sent("port"),
            "annotations": annotations(target),
        })
    }

    fn new_body(&self, target: &Target<'_>) -> Value {
        let mut body = self.body(target);
        body["domain"] = target.name.into();
        body
    }

    fn created_id(&self, _answer: &Value) -> Option<String> {
        None
    }
}
