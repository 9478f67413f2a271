//! `kind: Mailbox`. An address whose mail lands in a queue of a room.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::{AnnotatedMetadata, Lifecycle};
use super::relation::to_room;
use super::shape::Shape;
use super::tree::Tree;
use super::{
    By, Declared, Fault, Key, Kind, KindName, NameRule, Reference, Relation, kind_tag, typed,
};
use crate::kinds::specs::Version;
use crate::kinds::specs::rules::Rule;

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

impl Kind for Mailbox {
    fn name(&self) -> KindName {
        KindName::Mailbox
    }

    fn plural(&self) -> String {
        "Mailboxes".to_owned()
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
}
