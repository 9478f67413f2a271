//! `kind: Route`. A domain that leads to a published port of a room.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::{AnnotatedMetadata, Lifecycle};
use super::path::FieldPath;
use super::relation::to_room;
use super::shape::Shape;
use super::tree::Tree;
use super::{
    By, Declared, Fault, Key, Kind, KindName, NameRule, Reference, ReferredTo, Relation, kind_tag,
    typed,
};
use crate::kinds::specs::Version;
use crate::kinds::specs::rules::Rule;
use crate::kinds::specs::service::PortNumber;

kind_tag!(RouteTag, Route);

/// A route: a domain that leads to a published port of a room.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Route")]
struct RouteDocument {
    /// Always `v1`.
    version: Version,
    /// Always `Route`.
    kind: RouteTag,
    /// The route's name; its domain, unless `domain` says otherwise.
    metadata: AnnotatedMetadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// The domain, unique on the platform; case makes no difference. Default: the name.
    #[serde(default)]
    domain: Option<String>,
    /// The room, by name.
    #[schemars(extend("x-rule" = "segment"))]
    room: String,
    /// The port of a service in the room; the port must be `published`.
    port: PortNumber,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

static SHAPE: LazyLock<Shape> =
    LazyLock::new(|| super::own_fields::<RouteDocument>(&["domain", "metadata.description"]));

/// The kind.
pub struct Route;

impl Kind for Route {
    fn name(&self) -> KindName {
        KindName::Route
    }

    fn summary(&self) -> &'static str {
        "a route: a domain that leads to a published port of a room"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<RouteDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/route.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, document: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let mut fields = SHAPE.read(document);
        let document: RouteDocument = typed(document)?;
        let PortNumber::Fixed(port) = document.port else {
            let message = "a route needs the number of a port, not `*`";
            return Err(Fault::new(&["port"], message).into());
        };
        fields.set("port", Tree::text(port.to_string()));
        Ok(vec![Declared {
            project: document.project,
            room: None,
            name: self.natural_name(&document.domain.unwrap_or(document.metadata.name)),
            fields,
            lifecycle: document.lifecycle.unwrap_or_else(Lifecycle::standard),
        }])
    }

    fn document(&self, key: &Key, fields: &Tree) -> Value {
        let mut document = super::document_of(key, fields);
        // The platform keeps the number as text; people write a number.
        let port = fields.get("port").and_then(Tree::as_str);
        if let Some(port) = port.and_then(|port| port.parse::<u64>().ok()) {
            document.insert("port".to_owned(), port.into());
        }
        Value::Object(document)
    }

    fn natural_name(&self, name: &str) -> String {
        name.to_ascii_lowercase()
    }

    fn is_unique_everywhere(&self) -> bool {
        true
    }

    fn name_rule(&self) -> NameRule {
        NameRule { rule: Rule::Domain, field: Some("domain") }
    }

    fn relations(&self) -> &'static [Relation] {
        &[
            Relation { to: KindName::Room, by: By::Name },
            Relation { to: KindName::Service, by: By::Port },
        ]
    }

    fn references(&self, fields: &Tree) -> Vec<Reference> {
        let port = fields
            .get("port")
            .and_then(Tree::as_str)
            .zip(fields.get("room").and_then(Tree::as_str))
            .map(|(port, room)| Reference {
                path: FieldPath::of(&["port"]),
                to: ReferredTo::Port { room: room.to_owned(), port: port.to_owned() },
            });
        to_room(fields).into_iter().chain(port).collect()
    }
}
