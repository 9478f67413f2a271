//! `Service` on the wire.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

use super::text_of;
use super::wire::ServiceSpec;
use crate::api::request::{Listing, Request};
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target, Unsaid};
use crate::kinds::path::FieldPath;
use crate::kinds::shape::Shape;
use crate::kinds::tree::Tree;
use crate::kinds::{KindName, OWNER_ANNOTATION};

fn shape() -> &'static Shape {
    KindName::Service.kind().shape()
}

fn path<'a>(target: &Target<'a>, id: Option<&'a str>) -> Vec<&'a str> {
    let mut path = vec!["accounts", "projects", target.project];
    if let Some(room) = target.room {
        path.extend(["rooms", room]);
    }
    path.push("services");
    path.extend(id);
    path
}

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Service);

/// The spelling.
pub struct Service;

/// The fields of manifests that 0.31 does not have.
static UNSAID: LazyLock<Unsaid> =
    LazyLock::new(|| Unsaid::of(shape(), include_str!("service_fields.txt")));

impl Spelling for Service {
    fn collection(&self) -> Collection {
        Collection::plain("services")
    }

    /// No path can lead to the services of a room that is called `.` or `..`, so nobody can
    /// have made any.
    fn list(&self, project: &str, room: Option<&str>) -> Option<Listing> {
        if room.is_some_and(|room| matches!(room, "." | "..")) {
            return None;
        }
        let request = match room {
            None => Request::get(&["accounts", "projects", project, "services"]),
            Some(room) => {
                Request::get(&["accounts", "projects", project, "rooms", room, "services"])
            }
        };
        Some(Listing { request, envelope: "services", page: None })
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let metadata = item.get("metadata").ok_or("the answer has no `metadata`")?;
        let mut fields = shape().read(item);
        let annotations = FieldPath::of(&["metadata", "annotations"]);
        let mut owner = None;
        if let Some(Tree::Map(annotations)) = fields.at_mut(&annotations) {
            owner = annotations.shift_remove(OWNER_ANNOTATION).and_then(|owner| owner.scalar());
            // A map that lost its last field is as absent as one that never had any.
            if annotations.is_empty() {
                fields = shape().normalize(fields).unwrap_or_else(|| Tree::map([]));
            }
        }
        Ok(Seen { name: text_of(metadata, "name")?, id: Some(text_of(item, "id")?), owner, fields })
    }

    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        match target.id {
            Some(id) => Some(Lookup::One(Request::get(&path(target, Some(id))), None)),
            None => self.list(target.project, target.room).map(Lookup::Among),
        }
    }

    fn unsaid(&self) -> &'static Unsaid {
        &UNSAID
    }

    fn sent_back(&self, item: &Value) -> Option<Value> {
        shape().unknown(item)
    }

    /// What is sent is the service as it was planned. A template is sent as such, because the
    /// platform makes the planned service of it; but not where a set owns the service, whose
    /// mark no template can carry.
    fn body(&self, target: &Target<'_>) -> Value {
        if let (Some(template), None) = (&target.asked.template, target.owner) {
            return json!({ "template": template.text, "values": template.values });
        }
        let mut body = match target.fields.reveal() {
            Value::Object(fields) => fields,
            _ => serde_json::Map::new(),
        };
        let mut metadata = match body.remove("metadata") {
            Some(Value::Object(metadata)) => metadata,
            _ => serde_json::Map::new(),
        };
        metadata.insert("name".to_owned(), target.name.into());
        if let Some(owner) = target.owner {
            let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
            if let Value::Object(annotations) = annotations {
                annotations.insert(OWNER_ANNOTATION.to_owned(), owner.into());
            }
        }
        body.insert("metadata".to_owned(), Value::Object(metadata));
        body.insert("version".to_owned(), "v1".into());
        body.insert("kind".to_owned(), "Service".into());
        if let Some(id) = target.id {
            body.insert("id".to_owned(), id.into());
        }
        // The reference always sends the whole document, nulls included, in the model's order.
        let body = Value::Object(body);
        let mut whole = ServiceSpec::deserialize(&body)
            .ok()
            .and_then(|spec| serde_json::to_value(spec).ok())
            .unwrap_or(body);
        UNSAID.leave_out(&mut whole);
        if let Some(answered) = &target.answered {
            shape().keep_unknown(&mut whole, answered);
        }
        whole
    }

    fn create(&self, target: &Target<'_>) -> Option<Request> {
        Some(Request::post(&path(target, None), self.body(target)))
    }

    fn update(&self, target: &Target<'_>) -> Option<Request> {
        let path = path(target, Some(target.id.unwrap_or_default()));
        Some(Request::put(&path, self.body(target)))
    }

    fn delete(&self, target: &Target<'_>) -> Option<Request> {
        Some(Request::delete(&path(target, Some(target.id?))))
    }
}
