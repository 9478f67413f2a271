//! `kind: Project`. The platform has no call that renames or deletes a project.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::{Lifecycle, Metadata, SecretFrom};
use super::path::{FieldPath, Step};
use super::shape::Shape;
use super::tree::{Sealed, Tree};
use super::{Declared, Fault, Holds, Kind, KindName, kind_tag, typed};
use crate::kinds::specs::Version;

kind_tag!(ProjectTag, Project);

/// A project: rooms, services and secrets under one roof.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Project")]
struct ProjectDocument {
    /// Always `v1`.
    version: Version,
    /// Always `Project`.
    kind: ProjectTag,
    /// The project's name.
    metadata: Metadata,
    /// The platform's settings of the project, such as keys of model providers. A value
    /// may be read from elsewhere: `{from: {env: NAME}}`. Settings that are not named here
    /// are left alone.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent", "x-secret" = true, "x-partial" = true))]
    settings: Option<serde_json::Map<String, Value>>,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

static SHAPE: LazyLock<Shape> =
    LazyLock::new(|| super::own_fields::<ProjectDocument>(&["metadata.description"]));

/// The kind.
pub struct Project;

/// Settings as a tree: a map with `from`, and nothing else but `allow_empty`, is where a
/// secret is read from.
pub(super) fn settings(value: &Value) -> Tree {
    match value {
        Value::Object(fields) => match source(fields) {
            Some(source) => Tree::Secret(Sealed::Source(Box::new(source))),
            None => fields.iter().map(|(name, value)| (name.clone(), settings(value))).collect(),
        },
        Value::Array(items) => Tree::List(items.iter().map(settings).collect()),
        other => Tree::from(other),
    }
}

/// What is meant as the source of a secret and is none: a map with `from` and hardly anything else.
pub(super) fn misspelled_sources(value: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    find_misspelled(value, &FieldPath::of(&["settings"]), &mut faults);
    faults
}

fn find_misspelled(value: &Value, at: &FieldPath, faults: &mut Vec<Fault>) {
    match value {
        Value::Object(fields) if fields.contains_key("from") => {
            let is_alone =
                fields.keys().all(|name| matches!(name.as_str(), "from" | "allow_empty"));
            if is_alone && source(fields).is_none() {
                let message = "is not a source that a secret can be read from".to_owned();
                let hint = "write `{from: {env: NAME}}`, `{from: {file: PATH}}` or `{from: {command: [PROGRAM]}}`; `allow_empty` stands beside `from`".to_owned();
                faults.push(Fault { path: at.clone(), message, hint: Some(hint) });
            }
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| find_misspelled(value, &at.field(name), faults));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, item)| {
                find_misspelled(item, &at.join(Step::Index(index)), faults)
            });
        }
        _ => {}
    }
}

fn source(fields: &serde_json::Map<String, Value>) -> Option<SecretFrom> {
    fields.get("from")?;
    SecretFrom::deserialize(&Value::Object(fields.clone())).ok()
}

impl Kind for Project {
    fn name(&self) -> KindName {
        KindName::Project
    }

    fn summary(&self) -> &'static str {
        "a project: rooms, services and secrets under one roof"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<ProjectDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/project.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, document: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let document: ProjectDocument = typed(document)?;
        let mut fields = Tree::map([]);
        if let Some(given) = document.settings.filter(|given| !given.is_empty()) {
            fields.set("settings", settings(&Value::Object(given)).sealed());
        }
        Ok(vec![Declared {
            project: None,
            room: None,
            name: document.metadata.name,
            fields,
            lifecycle: document.lifecycle.unwrap_or_else(Lifecycle::standard),
        }])
    }

    fn is_for_secrets(&self) -> bool {
        true
    }

    fn holds(&self) -> Option<Holds> {
        Some(Holds::Project)
    }

    fn is_deletable(&self) -> bool {
        false
    }

    fn carries_owner(&self) -> bool {
        false
    }
}
