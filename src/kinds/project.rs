//! `kind: Project`. The platform has no call that renames or deletes a project.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::document::{Lifecycle, Metadata, SecretFrom};
use super::path::Step;
use super::shape::Shape;
use super::tree::{Sealed, Tree};
use super::{Declared, Fault, Holds, Kind, KindName, Seen, Target, kind_tag, text_of, typed};
use crate::api::request::{Listing, Request};
use crate::api::specs::Version;

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
fn settings(value: &Value) -> Tree {
    match value {
        Value::Object(fields) => match source(fields) {
            Some(source) => Tree::Secret(Sealed::Source(source)),
            None => fields.iter().map(|(name, value)| (name.clone(), settings(value))).collect(),
        },
        Value::Array(items) => Tree::List(items.iter().map(settings).collect()),
        other => Tree::from(other),
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

    fn holds(&self) -> Option<Holds> {
        Some(Holds::Project)
    }

    fn is_deletable(&self) -> bool {
        false
    }

    fn carries_owner(&self) -> bool {
        false
    }

    fn list(&self, _project: &str, room: Option<&str>) -> Option<Listing> {
        room.is_none().then(|| Listing {
            request: Request::get(&["accounts", "projects"]),
            envelope: "projects",
            page: None,
        })
    }

    /// The list need not hold the settings; the answer for one project does.
    fn detail(&self, project: &str) -> Option<Request> {
        Some(Request::get(&["accounts", "projects", project]))
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let mut fields = Tree::map([]);
        match item.get("settings") {
            Some(Value::Object(settings)) if !settings.is_empty() => {
                fields.set("settings", Tree::from(&item["settings"]).sealed());
            }
            Some(_) => {}
            None => fields.set("settings", Tree::Secret(Sealed::Masked)),
        }
        Ok(Seen {
            name: text_of(item, "name")?,
            id: Some(text_of(item, "id")?),
            owner: None,
            fields,
        })
    }

    fn kept(&self, item: &Value) -> Value {
        item.get("settings").map_or(Value::Null, |settings| json!({ "settings": settings }))
    }

    fn create(&self, target: &Target<'_>) -> Request {
        let settings = target.fields.get("settings").map(Tree::reveal);
        Request::post(
            &["accounts", "projects"],
            json!({ "name": target.name, "settings": settings }),
        )
    }

    /// The body is the settings themselves; those that the manifest does not name are sent
    /// back as they were answered.
    fn update(&self, target: &Target<'_>) -> Request {
        let mut body = match target.answered.and_then(|answered| answered.get("settings")) {
            Some(Value::Object(settings)) => settings.clone(),
            _ => serde_json::Map::new(),
        };
        let wanted = match target.fields.get("settings").map(Tree::reveal) {
            Some(Value::Object(settings)) => settings,
            _ => serde_json::Map::new(),
        };
        // A setting goes away as a whole, also where what is told are the fields in it.
        for path in target.removed {
            if let [Step::Field(_), Step::Field(name), ..] = path.0.as_slice()
                && !wanted.contains_key(name)
            {
                body.shift_remove(name);
            }
        }
        body.extend(wanted);
        Request::put(
            &["accounts", "projects", target.id.unwrap_or_default(), "settings"],
            Value::Object(body),
        )
    }

    fn delete(&self, _target: &Target<'_>) -> Option<Request> {
        None
    }
}
