//! `kind: ScheduledTask`. A payload that is put on a queue of a room on a schedule.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::{AnnotatedMetadata, Lifecycle};
use super::path::FieldPath;
use super::relation::to_room;
use super::shape::Shape;
use super::tree::Tree;
use super::{By, Declared, Fault, Kind, KindName, NameRule, Reference, Relation, kind_tag, typed};
use crate::kinds::specs::Version;
use crate::kinds::specs::rules::{self, Rule};
use crate::kinds::specs::service::yes;

kind_tag!(ScheduledTaskTag, ScheduledTask);

/// A scheduled task: a payload that is put on a queue of a room on a schedule.
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
    /// When: five cron fields in UTC, or `@hourly`, `@daily`, `@weekly`, `@monthly` or `@yearly`.
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

impl Kind for ScheduledTask {
    fn name(&self) -> KindName {
        KindName::ScheduledTask
    }

    fn summary(&self) -> &'static str {
        "a scheduled task: a payload that is put on a queue of a room on a schedule"
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

    /// An id is the platform's own in 0.56.
    fn found_again_by(&self) -> &'static [&'static str] {
        &["room", "queue", "schedule", "payload"]
    }

    fn immutable(&self) -> &'static [&'static str] {
        &["once"]
    }
}
