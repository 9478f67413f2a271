//! `ScheduledTask` on the wire: a specification, with an id that the platform makes up. A task is
//! known by the name in its metadata, and by the mark of the set that owns it; one without a name by
//! its id.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::PAGE;
use crate::api::request::{Listing, Request};
use crate::dialect::fields::{annotated, annotations, text_of};
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target};
use crate::kinds::specs::rules;
use crate::kinds::specs::schedule::shortest_interval;
use crate::kinds::tree::Tree;
use crate::kinds::{Fault, KindName};

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&ScheduledTask);

/// The spelling.
pub struct ScheduledTask;

/// The shortest time between two runs of a task.
const SHORTEST: Duration = Duration::from_secs(15 * 60);

impl Spelling for ScheduledTask {
    fn collection(&self) -> Collection {
        Collection { noun: "scheduled-tasks", envelope: "tasks", paging: PAGE }
    }

    /// What runs a container has no queue, and stays as it is.
    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let spec = item.get("spec").ok_or("the answer has no `spec`")?;
        let (metadata, owner) = annotated(spec.get("metadata").unwrap_or(&Value::Null));
        let fields = KindName::ScheduledTask.kind().shape().read(&json!({
            "metadata": metadata,
            "room": item.get("room_name"),
            "queue": spec.pointer("/queue/name"),
            "schedule": spec.get("schedule"),
            "payload": spec.pointer("/queue/payload"),
            "active": spec.get("active"),
            "once": spec.get("once"),
        }));
        let id = text_of(item, "id")?;
        let named = spec.pointer("/metadata/name").and_then(Value::as_str);
        let name = named.filter(|name| !name.is_empty()).unwrap_or(&id).to_owned();
        Ok(Seen { name, id: Some(id), owner, fields })
    }

    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        let mut listing = self.list(target.project, None)?;
        if let Some(id) = target.id {
            listing.request = listing.request.query("task_id", id);
        }
        Some(Lookup::Among(listing))
    }

    /// The list of one room is divided by other parameters, and is no shorter to read.
    fn list_naming(&self, _project: &str, _room: &str) -> Option<Listing> {
        None
    }

    fn untaken(&self, fields: &Tree) -> Vec<Fault> {
        let Some(schedule) = fields.get("schedule").and_then(Tree::as_str) else {
            return Vec::new();
        };
        let fault = |message: &str, hint: &str| vec![Fault::new(&["schedule"], message).hint(hint)];
        match shortest_interval(schedule) {
            Some(interval) if interval < SHORTEST => fault(
                "fires more often than every 15 minutes, which this platform does not take",
                "let 15 minutes or more be between two runs, as in `*/15 * * * *`",
            ),
            None if rules::never_fires(schedule) => {
                fault("never fires, and this platform does not take that", "name days that come")
            }
            _ => Vec::new(),
        }
    }

    fn updates_partly(&self) -> bool {
        false
    }

    /// The room is in the path, where a task is created; whether it runs once is in what an update
    /// replaces.
    fn immutable(&self) -> Option<&'static [&'static str]> {
        Some(&["room"])
    }

    /// The whole specification: an update replaces it.
    fn sent_back(&self, item: &Value) -> Option<Value> {
        item.get("spec").cloned()
    }

    fn body(&self, target: &Target<'_>) -> Value {
        let mut spec = match &target.answered {
            Some(Value::Object(spec)) => spec.clone(),
            _ => Map::from_iter([
                ("version".to_owned(), "v1".into()),
                ("kind".to_owned(), "ScheduledTask".into()),
            ]),
        };
        // What was read and is not to be changed is in the specification already.
        let is_sent = |field: &str| target.answered.is_none() || target.sends(field);
        let fields = target.fields;
        let flag = |field: &str, default: bool| match fields.get(field) {
            Some(Tree::Bool(value)) => *value,
            _ => default,
        };
        if is_sent("metadata") {
            // One that has no name is known by its id, and keeps none; one that was known by another
            // id before gets that as its name.
            let is_known_by_id = target.answered.is_some() && target.id == Some(target.name);
            if !is_known_by_id && !target.name.is_empty() {
                put(&mut spec, "metadata", "name", target.name.into());
            }
            put(&mut spec, "metadata", "annotations", annotations(target));
        }
        if is_sent("schedule") {
            spec.insert("schedule".to_owned(), fields.sent("schedule"));
        }
        for (field, default) in [("active", true), ("once", false)] {
            if is_sent(field) {
                spec.insert(field.to_owned(), flag(field, default).into());
            }
        }
        if is_sent("queue") {
            put(&mut spec, "queue", "name", fields.sent("queue"));
        }
        if is_sent("payload") {
            let payload = fields.get("payload").map_or_else(|| json!({}), Tree::reveal);
            put(&mut spec, "queue", "payload", payload);
        }
        // A task has a queue or a container.
        if spec.get("queue").is_some_and(Value::is_object) {
            spec.shift_remove("container");
        }
        json!({ "spec": spec })
    }

    fn create(&self, target: &Target<'_>) -> Option<Request> {
        let room = target.fields.get("room").and_then(Tree::as_str)?;
        let path = ["accounts", "projects", target.project, "rooms", room, "scheduled-tasks"];
        Some(Request::post(&path, self.new_body(target)))
    }

    /// The name in its metadata is not unique.
    fn makes_doubles(&self) -> bool {
        true
    }

    fn created_id(&self, answer: &Value) -> Option<String> {
        answer.get("task_id")?.as_str().map(str::to_owned)
    }
}

/// Puts a value into a field that is an object, or is made one.
fn put(spec: &mut Map<String, Value>, field: &str, name: &str, value: Value) {
    match spec.get_mut(field) {
        Some(Value::Object(fields)) => drop(fields.insert(name.to_owned(), value)),
        _ => drop(spec.insert(field.to_owned(), json!({ name: value }))),
    }
}
