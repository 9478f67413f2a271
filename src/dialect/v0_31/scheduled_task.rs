//! `ScheduledTask` on the wire.

use serde_json::{Value, json};

use crate::api::request::{Listing, Paging, Request};
use crate::dialect::fields::{annotated, annotations, text_of};
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target};
use crate::kinds::KindName;
use crate::kinds::shape::Shape;
use crate::kinds::tree::Tree;

fn shape() -> &'static Shape {
    KindName::ScheduledTask.kind().shape()
}

/// All that is sent of a task.
fn whole(target: &Target<'_>) -> serde_json::Map<String, Value> {
    let fields = target.fields;
    serde_json::Map::from_iter([
        ("room_name".to_owned(), fields.sent("room")),
        ("queue_name".to_owned(), fields.sent("queue")),
        ("payload".to_owned(), fields.get("payload").map_or_else(|| json!({}), Tree::reveal)),
        ("schedule".to_owned(), fields.sent("schedule")),
        ("active".to_owned(), (!matches!(fields.get("active"), Some(Tree::Bool(false)))).into()),
        ("annotations".to_owned(), annotations(target)),
    ])
}

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&ScheduledTask);

/// The spelling.
pub struct ScheduledTask;

impl Spelling for ScheduledTask {
    fn collection(&self) -> Collection {
        Collection { noun: "scheduled-tasks", envelope: "tasks", paging: Paging::Offset(500) }
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let (metadata, owner) = annotated(item);
        let fields = shape().read(&json!({
            "metadata": metadata,
            "room": item.get("room_name"),
            "queue": item.get("queue_name"),
            "schedule": item.get("schedule"),
            "payload": item.get("payload"),
            "active": item.get("active"),
            "once": item.get("once"),
        }));
        Ok(Seen { name: text_of(item, "id")?, id: None, owner, fields })
    }

    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        let request = Request::get(&["accounts", "projects", target.project, "scheduled-tasks"]);
        let request = request.query("task_id", target.name);
        Some(Lookup::Among(Listing {
            request,
            envelope: "tasks",
            paging: Paging::Offset(50),
            below: None,
        }))
    }

    fn segment<'a>(&self, target: &'a Target<'_>) -> Option<&'a str> {
        Some(target.name)
    }

    fn body(&self, target: &Target<'_>) -> Value {
        let mut body = whole(target);
        body.retain(|name, _| match name.as_str() {
            "room_name" => target.sends("room"),
            "queue_name" => target.sends("queue"),
            "annotations" => target.sends("metadata"),
            name => target.sends(name),
        });
        Value::Object(body)
    }

    fn new_body(&self, target: &Target<'_>) -> Value {
        let mut body = whole(target);
        // Without an id the platform makes one up.
        if !target.name.is_empty() {
            body.insert("id".to_owned(), target.name.into());
        }
        let once = matches!(target.fields.get("once"), Some(Tree::Bool(true)));
        body.insert("once".to_owned(), once.into());
        Value::Object(body)
    }

    fn created_id(&self, _answer: &Value) -> Option<String> {
        None
    }
}
