//! `kind: Route`. A domain that leads to a published port of a room.

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
    By, Declared, Fault, Key, Kind, KindName, Lookup, NameRule, Reference, ReferredTo, Relation,
    Seen, Target, annotated, annotations, kind_tag, text_of, typed,
};
use crate::api::request::{Listing, Request};
use crate::api::specs::Version;
use crate::api::specs::rules::Rule;
use crate::api::specs::service::PortNumber;

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
    /// The port of a service of the room that is `published`.
    port: PortNumber,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

static SHAPE: LazyLock<Shape> =
    LazyLock::new(|| super::own_fields::<RouteDocument>(&["domain", "metadata.description"]));

/// The kind.
pub struct Route;

fn body(target: &Target<'_>) -> serde_json::Map<String, Value> {
    serde_json::Map::from_iter([
        ("room_name".to_owned(), target.fields.sent("room")),
        ("port".to_owned(), target.fields.sent("port")),
        ("annotations".to_owned(), annotations(target)),
    ])
}

/// The domain as the platform spells it.
fn spelled<'a>(target: &Target<'a>) -> &'a str {
    let spelled = target.answered.and_then(|answered| answered.get("domain"));
    spelled.and_then(Value::as_str).unwrap_or(target.name)
}

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

    fn list(&self, project: &str, room: Option<&str>) -> Option<Listing> {
        room.is_none().then(|| Listing {
            request: Request::get(&["accounts", "projects", project, "routes"]),
            envelope: "routes",
            page: None,
        })
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let (metadata, owner) = annotated(item);
        let fields = SHAPE
            .read(&json!({ "metadata": metadata, "room": item.get("room_name"), "port": item.get("port") }));
        Ok(Seen { name: self.natural_name(&text_of(item, "domain")?), id: None, owner, fields })
    }

    /// The platform's own spelling, where it is another one.
    fn kept(&self, item: &Value) -> Value {
        match item.get("domain").and_then(Value::as_str) {
            Some(given) if given != self.natural_name(given) => json!({ "domain": given }),
            _ => Value::Null,
        }
    }

    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        let path = ["accounts", "projects", target.project, "routes", spelled(target)];
        Some(Lookup::One(Request::get(&path), Some("route")))
    }

    fn create(&self, target: &Target<'_>) -> Request {
        let mut body = body(target);
        body.insert("domain".to_owned(), target.name.into());
        Request::post(&["accounts", "projects", target.project, "routes"], Value::Object(body))
    }

    fn update(&self, target: &Target<'_>) -> Request {
        Request::put(
            &["accounts", "projects", target.project, "routes", spelled(target)],
            Value::Object(body(target)),
        )
    }

    fn delete(&self, target: &Target<'_>) -> Option<Request> {
        Some(Request::delete(&["accounts", "projects", target.project, "routes", spelled(target)]))
    }

    fn created_id(&self, _answer: &Value) -> Option<String> {
        None
    }
}
