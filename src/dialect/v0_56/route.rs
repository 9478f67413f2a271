//! `Route` on the wire: a specification. One with a single path to a port of a room is our route; of
//! any other, an update changes the room and the port of the first path, and leaves the rest.

use serde_json::{Map, Value, json};

use super::PAGE;
use crate::api::request::{Listing, Request};
use crate::dialect::fields::{annotated, annotations, text_of};
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target};
use crate::kinds::KindName;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Route);

/// The spelling.
pub struct Route;

impl Spelling for Route {
    fn collection(&self) -> Collection {
        Collection { paging: PAGE, ..Collection::plain("routes") }
    }

    /// The list of one room is divided by other parameters, and is no shorter to read.
    fn list_naming(&self, _project: &str, _room: &str) -> Option<Listing> {
        None
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let spec = item.get("spec").ok_or("the answer has no `spec`")?;
        let (metadata, owner) = annotated(spec.get("metadata").unwrap_or(&Value::Null));
        let fields = KindName::Route.kind().shape().read(&json!({
            "metadata": metadata,
            "room": spec.pointer("/backend/room/name"),
            "port": spec.pointer("/paths/0/targetPort"),
        }));
        let domain = text_of(spec, "domain").or_else(|_| text_of(item, "domain"))?;
        Ok(Seen { name: KindName::Route.kind().natural_name(&domain), id: None, owner, fields })
    }

    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        let path = ["accounts", "projects", target.project, "routes", self.segment(target)?];
        Some(Lookup::One(Request::get(&path), Some("route")))
    }

    /// The whole specification: an update replaces it.
    fn sent_back(&self, item: &Value) -> Option<Value> {
        item.get("spec").cloned()
    }

    fn segment<'a>(&self, target: &'a Target<'_>) -> Option<&'a str> {
        let spelled = target.answered.as_ref().and_then(|spec| spec.get("domain")?.as_str());
        Some(spelled.unwrap_or(target.name))
    }

    fn body(&self, target: &Target<'_>) -> Value {
        let mut spec = match &target.answered {
            Some(Value::Object(spec)) => spec.clone(),
            _ => Map::from_iter([
                ("version".to_owned(), "v1".into()),
                ("kind".to_owned(), "Route".into()),
                ("metadata".to_owned(), json!({ "name": target.name })),
                ("domain".to_owned(), target.name.into()),
            ]),
        };
        let metadata = spec.entry("metadata").or_insert_with(|| json!({ "name": target.name }));
        if let Value::Object(metadata) = metadata {
            metadata.insert("annotations".to_owned(), annotations(target));
        }
        spec.insert(
            "backend".to_owned(),
            json!({ "room": { "name": target.fields.sent("room") }, "agent": null }),
        );
        let port = target.fields.sent("port");
        match spec.get_mut("paths").and_then(Value::as_array_mut).and_then(|it| it.first_mut()) {
            // What leads to content leads to a port now.
            Some(Value::Object(first)) => {
                first.shift_remove("targetContent");
                let kept = first.get("targetPort").filter(|it| is_same(it, &port)).cloned();
                first.insert("targetPort".to_owned(), kept.unwrap_or(port));
            }
            _ => {
                let path = json!({ "path": "/", "pathType": "prefix", "targetPort": port });
                spec.insert("paths".to_owned(), json!([path]));
            }
        }
        json!({ "spec": spec })
    }

    fn created_id(&self, _answer: &Value) -> Option<String> {
        None
    }
}

/// Whether two ports are the same, as a number or as a text.
fn is_same(one: &Value, other: &Value) -> bool {
    let text = |port: &Value| match port {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text(one) == text(other)
}
