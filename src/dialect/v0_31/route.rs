//! `Route` on the wire.

use serde_json::{Value, json};

use super::{annotated, annotations, text_of};
use crate::api::request::{Listing, Request};
use crate::dialect::{Lookup, Place, Seen, Spelling, Target};
use crate::kinds::KindName;
use crate::kinds::shape::Shape;

fn shape() -> &'static Shape {
    KindName::Route.kind().shape()
}

/// The spelling.
pub struct Route;

impl Spelling for Route {
    fn place(&self) -> Place {
        Place::plain("routes")
    }

    fn list_naming(&self, project: &str, room: &str) -> Option<Listing> {
        let request = Request::get(&["accounts", "projects", project, "rooms", room, "routes"]);
        Some(Listing { request, envelope: "routes", page: None })
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

    /// The platform's own spelling, where it is another one.
    fn kept(&self, item: &Value) -> Value {
        match item.get("domain").and_then(Value::as_str) {
            Some(given) if given != KindName::Route.kind().natural_name(given) => {
                json!({ "domain": given })
            }
            _ => Value::Null,
        }
    }

    /// The domain as the platform spells it.
    fn segment<'a>(&self, target: &Target<'a>) -> Option<&'a str> {
        let spelled = target.answered.and_then(|answered| answered.get("domain"));
        Some(spelled.and_then(Value::as_str).unwrap_or(target.name))
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
