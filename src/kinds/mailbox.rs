//! `kind: Mailbox`. An address whose mail lands in a queue of a room.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::document::{AnnotatedMetadata, Lifecycle};
use super::relation::to_room;
use super::shape::Shape;
use super::tree::Tree;
use super::{
    By, Declared, Fault, Key, Kind, KindName, Lookup, NameRule, Reference, Relation, Seen, Target,
    annotated, annotations, kind_tag, text_of, typed,
};
use crate::api::request::{Listing, Request};
use crate::api::specs::Version;
use crate::api::specs::rules::Rule;

kind_tag!(MailboxTag, Mailbox);

/// A mailbox: an address whose mail lands in a queue of a room.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Mailbox")]
struct MailboxDocument {
    /// Always `v1`.
    version: Version,
    /// Always `Mailbox`.
    kind: MailboxTag,
    /// The mailbox's name; its address, unless `address` says otherwise.
    metadata: AnnotatedMetadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// The address, unique on the platform; case makes no difference. Default: the name.
    #[serde(default)]
    address: Option<String>,
    /// The room, by name.
    #[schemars(extend("x-rule" = "segment"))]
    room: String,
    /// The queue that mail is put on. Default: the address.
    #[serde(default)]
    #[schemars(extend("x-rule" = "name"))]
    queue: Option<String>,
    /// Whether anyone may write to it; otherwise just members of the room.
    #[serde(default)]
    public: bool,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

static SHAPE: LazyLock<Shape> =
    LazyLock::new(|| super::own_fields::<MailboxDocument>(&["address", "metadata.description"]));

/// The kind.
pub struct Mailbox;

fn body(target: &Target<'_>) -> serde_json::Map<String, Value> {
    let fields = target.fields;
    let public = matches!(fields.get("public"), Some(Tree::Bool(true)));
    serde_json::Map::from_iter([
        ("room".to_owned(), fields.sent("room")),
        ("queue".to_owned(), fields.sent("queue")),
        ("public".to_owned(), public.into()),
        ("annotations".to_owned(), annotations(target)),
    ])
}

/// The address as the platform spells it.
fn spelled<'a>(target: &Target<'a>) -> &'a str {
    let spelled = target.answered.and_then(|answered| answered.get("address"));
    spelled.and_then(Value::as_str).unwrap_or(target.name)
}

impl Kind for Mailbox {
    fn name(&self) -> KindName {
        KindName::Mailbox
    }

    fn summary(&self) -> &'static str {
        "a mailbox: an address whose mail lands in a queue of a room"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<MailboxDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/mailbox.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, document: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let mut fields = SHAPE.read(document);
        let document: MailboxDocument = typed(document)?;
        let address = document.address.unwrap_or(document.metadata.name);
        fields.set("queue", Tree::text(document.queue.unwrap_or_else(|| address.clone())));
        Ok(vec![Declared {
            project: document.project,
            room: None,
            name: self.natural_name(&address),
            fields,
            lifecycle: document.lifecycle.unwrap_or_else(Lifecycle::standard),
        }])
    }

    fn document(&self, key: &Key, fields: &Tree) -> Value {
        let mut document = super::document_of(key, fields);
        if document.get("queue") == Some(&Value::from(key.name.as_str())) {
            document.shift_remove("queue");
        }
        Value::Object(document)
    }

    fn natural_name(&self, name: &str) -> String {
        match name.rsplit_once('@') {
            Some((local, domain)) => {
                format!("{}@{}", local.to_lowercase(), domain.to_ascii_lowercase())
            }
            None => name.to_lowercase(),
        }
    }

    fn is_unique_everywhere(&self) -> bool {
        true
    }

    fn name_rule(&self) -> NameRule {
        NameRule { rule: Rule::Address, field: Some("address") }
    }

    fn relations(&self) -> &'static [Relation] {
        &[Relation { to: KindName::Room, by: By::Name }]
    }

    fn references(&self, fields: &Tree) -> Vec<Reference> {
        to_room(fields).into_iter().collect()
    }

    fn list(&self, project: &str, room: Option<&str>) -> Option<Listing> {
        room.is_none().then(|| Listing {
            request: Request::get(&["accounts", "projects", project, "mailboxes"]),
            envelope: "mailboxes",
            page: None,
        })
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let (metadata, owner) = annotated(item);
        let fields = SHAPE.read(&json!({
            "metadata": metadata,
            "room": item.get("room"),
            "queue": item.get("queue"),
            "public": item.get("public"),
        }));
        Ok(Seen { name: self.natural_name(&text_of(item, "address")?), id: None, owner, fields })
    }

    /// The platform's own spelling, where it is another one.
    fn kept(&self, item: &Value) -> Value {
        match item.get("address").and_then(Value::as_str) {
            Some(given) if given != self.natural_name(given) => json!({ "address": given }),
            _ => Value::Null,
        }
    }

    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        let path = ["accounts", "projects", target.project, "mailboxes", spelled(target)];
        Some(Lookup::One(Request::get(&path), Some("mailbox")))
    }

    fn create(&self, target: &Target<'_>) -> Request {
        let mut body = body(target);
        body.insert("address".to_owned(), target.name.into());
        Request::post(&["accounts", "projects", target.project, "mailboxes"], Value::Object(body))
    }

    fn update(&self, target: &Target<'_>) -> Request {
        Request::put(
            &["accounts", "projects", target.project, "mailboxes", spelled(target)],
            Value::Object(body(target)),
        )
    }

    fn delete(&self, target: &Target<'_>) -> Option<Request> {
        Some(Request::delete(&[
            "accounts",
            "projects",
            target.project,
            "mailboxes",
            spelled(target),
        ]))
    }

    fn created_id(&self, _answer: &Value) -> Option<String> {
        None
    }
}
