//! `kind: Webhook`. A URL that is notified of what happens in a project's rooms.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::{Lifecycle, Metadata};
use super::shape::Shape;
use super::tree::Tree;
use super::{Declared, Fault, Kind, KindName, kind_tag, typed};
use crate::kinds::specs::Version;
use crate::kinds::specs::rules::Event;

kind_tag!(WebhookTag, Webhook);

/// A webhook: a URL that is notified of what happens in a project's rooms.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Webhook")]
struct WebhookDocument {
    /// Always `v1`.
    version: Version,
    /// Always `Webhook`.
    kind: WebhookTag,
    /// The webhook's name.
    metadata: Metadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// The URL that receives the events.
    #[schemars(extend("x-rule" = "web-url"))]
    url: String,
    /// The events, such as `room.started` and `room.ended`; `*` means all.
    #[schemars(with = "Vec<Event>", extend("x-set" = true, "x-rule" = "not-empty"))]
    events: Vec<String>,
    /// What it is for, as the platform shows it.
    #[serde(default)]
    description: Option<String>,
    /// A text that is delivered with each event.
    #[serde(default)]
    action: Option<String>,
    /// An object that is merged with the payload of each event.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent"))]
    payload: Option<serde_json::Map<String, Value>>,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

static SHAPE: LazyLock<Shape> =
    LazyLock::new(|| super::own_fields::<WebhookDocument>(&["metadata", "metadata.description"]));

/// The kind.
pub struct Webhook;

impl Kind for Webhook {
    fn name(&self) -> KindName {
        KindName::Webhook
    }

    fn summary(&self) -> &'static str {
        "a webhook: a URL that is notified of what happens in a project's rooms"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<WebhookDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/webhook.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, document: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let fields = read(document);
        let document: WebhookDocument = typed(document)?;
        Ok(vec![Declared {
            project: document.project,
            room: None,
            name: document.metadata.name,
            fields,
            lifecycle: document.lifecycle.unwrap_or_else(Lifecycle::standard),
        }])
    }

    fn carries_owner(&self) -> bool {
        false
    }

    fn is_renamable(&self) -> bool {
        true
    }
}

/// The fields of a document or an answer; the wire writes an empty text where it has no
/// description, action or payload.
pub fn read(value: &Value) -> Tree {
    let mut value = value.clone();
    if let Value::Object(fields) = &mut value {
        for name in ["description", "action", "payload"] {
            if fields.get(name) == Some(&Value::from("")) {
                fields.shift_remove(name);
            }
        }
    }
    SHAPE.read(&value)
}
