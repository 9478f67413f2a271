//! `kind: ScheduledTask`. A payload that is put on a queue of a room by the clock.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::document::{AnnotatedMetadata, Lifecycle};
use super::path::FieldPath;
use super::relation::to_room;
use super::shape::Shape;
use super::tree::Tree;
use super::{
    By, Declared, Fault, Kind, KindName, Lookup, NameRule, Reference, Relation, Seen, Target,
    annotated, annotations, kind_tag, text_of, typed,
};
use crate::api::request::{Listing, Request};
use crate::api::specs::Version;
use crate::api::specs::rules::{self, Rule};
use crate::api::specs::service::yes;

kind_tag!(ScheduledTaskTag, ScheduledTask);

/// A scheduled task: a payload that is put on a queue of a room by the clock.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "ScheduledTask")]
struct ScheduledTaskDocument {
    /// Always `v1`.
    version: Version,
    /// Always `ScheduledTask`.
    kind: ScheduledTaskTag,
    /// The task's name; its id, unless `id` says otherwise.
    metadata: AnnotatedMetadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// The task's id, unique in its project. Default: the name.
    #[serde(default)]
    id: Option<String>,
    /// The room, by name.
    #[schemars(extend("x-rule" = "segment"))]
    room: String,
    /// The queue that the payload is put on.
    #[schemars(extend("x-rule" = "name"))]
    queue: String,
    /// When: five cron fields, in UTC.
    #[schemars(extend("x-rule" = "schedule"))]
    schedule: String,
    /// What is put on the queue.
    #[serde(default)]
    payload: serde_json::Map<String, Value>,
    /// Whether it runs; `false` keeps it without running it.
    #[serde(default = "yes")]
    active: bool,
    /// Whether it runs one time only. Cannot be changed.
    #[serde(default)]
    once: bool,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

static SHAPE: LazyLock<Shape> =
    LazyLock::new(|| super::own_fields::<ScheduledTaskDocument>(&["id", "metadata.description"]));

/// The kind.
pub struct ScheduledTask;

fn body(target: &Target<'_>) -> serde_json::Map<String, Value> {
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

impl Kind for ScheduledTask {
    fn name(&self) -> KindName {
        KindName::ScheduledTask
    }

    fn summary(&self) -> &'static str {
        "a scheduled task: a payload that is put on a queue of a room by the clock"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<ScheduledTaskDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/scheduled_task.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, document: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let fields = SHAPE.read(document);
        let document: ScheduledTaskDocument = typed(document)?;
        Ok(vec![Declared {
            project: document.project,
            room: None,
            name: document.id.unwrap_or(document.metadata.name),
            fields,
            lifecycle: document.lifecycle.unwrap_or_else(Lifecycle::standard),
        }])
    }

    fn name_rule(&self) -> NameRule {
        NameRule { rule: Rule::Segment, field: Some("id") }
    }

    fn relations(&self) -> &'static [Relation] {
        &[Relation { to: KindName::Room, by: By::Name }]
    }

    fn references(&self, fields: &Tree) -> Vec<Reference> {
        to_room(fields).into_iter().collect()
    }

    fn updates_partly(&self) -> bool {
        true
    }

    fn remarks(&self, fields: &Tree) -> Vec<(FieldPath, &'static str)> {
        let schedule = fields.get("schedule").and_then(Tree::as_str);
        match schedule.is_some_and(rules::never_fires) {
            true => vec![(FieldPath::of(&["schedule"]), "names a day that never comes")],
            false => Vec::new(),
        }
    }

    fn immutable(&self) -> &'static [&'static str] {
        &["once"]
    }

    fn list(&self, project: &str, room: Option<&str>) -> Option<Listing> {
        room.is_none().then(|| Listing {
            request: Request::get(&["accounts", "projects", project, "scheduled-tasks"]),
            envelope: "tasks",
            page: Some(500),
        })
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let (metadata, owner) = annotated(item);
        let fields = SHAPE.read(&json!({
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
        Some(Lookup::Among(Listing { request, envelope: "tasks", page: Some(50) }))
    }

    fn create(&self, target: &Target<'_>) -> Request {
        let mut body = body(target);
        // Without an id the platform makes one up.
        if !target.name.is_empty() {
            body.insert("id".to_owned(), target.name.into());
        }
        let once = matches!(target.fields.get("once"), Some(Tree::Bool(true)));
        body.insert("once".to_owned(), once.into());
        Request::post(
            &["accounts", "projects", target.project, "scheduled-tasks"],
            Value::Object(body),
        )
    }

    fn update(&self, target: &Target<'_>) -> Request {
        let path = ["accounts", "projects", target.project, "scheduled-tasks", target.name];
        let mut body = body(target);
        body.retain(|name, _| match name.as_str() {
            "room_name" => target.sends("room"),
            "queue_name" => target.sends("queue"),
            "annotations" => target.sends("metadata"),
            name => target.sends(name),
        });
        Request::put(&path, Value::Object(body))
    }

    fn delete(&self, target: &Target<'_>) -> Option<Request> {
        Some(Request::delete(&[
            "accounts",
            "projects",
            target.project,
            "scheduled-tasks",
            target.name,
        ]))
    }

    fn created_id(&self, _answer: &Value) -> Option<String> {
        None
    }
}
