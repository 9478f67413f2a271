//! `kind: Webhook`. A URL that is told what happens in a project's rooms.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::document::{Lifecycle, Metadata};
use super::shape::Shape;
use super::tree::Tree;
use super::{Declared, Fault, Kind, KindName, Seen, Target, kind_tag, text_of, typed};
use crate::api::request::{Listing, Request};
use crate::api::specs::Version;
use crate::api::specs::rules::Event;

kind_tag!(WebhookTag, Webhook);

/// A webhook: a URL that is told what happens in a project's rooms.
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
    /// Where the events are posted.
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

fn body(target: &Target<'_>) -> Value {
    let fields = target.fields;
    json!({
        "name": target.name,
        "description": fields.get("description").map_or_else(|| "".into(), Tree::reveal),
        "url": fields.sent("url"),
        "events": fields.sent("events"),
        "action": fields.sent("action"),
        "payload": fields.sent("payload"),
    })
}

impl Kind for Webhook {
    fn name(&self) -> KindName {
        KindName::Webhook
    }

    fn summary(&self) -> &'static str {
        "a webhook: a URL that is told what happens in a project's rooms"
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

    fn list(&self, project: &str, room: Option<&str>) -> Option<Listing> {
        room.is_none().then(|| Listing {
            request: Request::get(&["accounts", "projects", project, "webhooks"]),
            envelope: "webhooks",
            page: None,
        })
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        Ok(Seen {
            name: text_of(item, "name")?,
            id: Some(text_of(item, "id")?),
            owner: None,
            fields: read(item),
        })
    }

    fn create(&self, target: &Target<'_>) -> Request {
        Request::post(&["accounts", "projects", target.project, "webhooks"], body(target))
    }

    fn update(&self, target: &Target<'_>) -> Request {
        let path =
            ["accounts", "projects", target.project, "webhooks", target.id.unwrap_or_default()];
        Request::put(&path, body(target))
    }

    fn delete(&self, target: &Target<'_>) -> Option<Request> {
        Some(Request::delete(&["accounts", "projects", target.project, "webhooks", target.id?]))
    }
}

/// The fields of a document or an answer; the wire writes an empty text where it has no
/// description, action or payload.
fn read(value: &Value) -> Tree {
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
