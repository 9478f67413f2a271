//! `kind: Route`. A domain that leads to a published port of a room, or with `backend` and `paths` to
//! whatever its paths say.
//!
//! A route has one of two forms. One whose only path is plain has the first form, also if a document
//! says it in the second, so that one route is one thing.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::document::{AnnotatedMetadata, Lifecycle};
use super::path::{FieldPath, Step};
use super::relation::to_room;
use super::shape::{Broken, Shape};
use super::tree::Tree;
use super::{
    By, Declared, Fault, Key, Kind, KindName, NameRule, Purpose, Reference, ReferredTo, Relation,
    kind_tag, typed,
};
use crate::kinds::specs::Version;
use crate::kinds::specs::route::{self, Backend, RoutePath};
use crate::kinds::specs::rules::Rule;
use crate::kinds::specs::service::PortNumber;

kind_tag!(RouteTag, Route);

/// A route: a domain that leads to a published port of a room, or to what its paths say.
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
    /// The room, by name. A route has `room` and `port`, or `backend` and `paths`.
    #[serde(default)]
    #[schemars(extend("x-rule" = "segment"))]
    room: Option<String>,
    /// The port of a service in the room; the port must be `published`.
    #[serde(default)]
    port: Option<PortNumber>,
    /// What the paths lead into: a room or an agent.
    #[serde(default)]
    backend: Option<Backend>,
    /// Which paths lead where.
    #[serde(default)]
    #[schemars(extend("x-empty" = "absent"))]
    paths: Option<Vec<RoutePath>>,
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
        "a route: a domain that leads to a published port of a room, or to what its paths say"
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
        set_form(&mut fields, form(&document)?);
        Ok(vec![Declared {
            project: document.project,
            room: None,
            name: self.natural_name(&document.domain.unwrap_or(document.metadata.name)),
            fields,
            lifecycle: document.lifecycle.unwrap_or_else(Lifecycle::standard),
        }])
    }

    fn broken_together(&self, fields: &Tree) -> Vec<Broken> {
        let Some(backend) = read_field(fields, "backend") else { return Vec::new() };
        let mut paths: Vec<RoutePath> = read_field(fields, "paths").unwrap_or_default();
        route::settle(&backend, &mut paths)
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
        let backend = FieldPath::of(&["backend", "room", "name"]);
        let of_backend = fields.at(&backend).and_then(Tree::as_str);
        let room = fields.get("room").and_then(Tree::as_str).or(of_backend);
        let to_port = |path, port: &str| {
            let (room, port) = (room?.to_owned(), port.to_owned());
            Some(Reference { path, to: ReferredTo::Port { room, port } })
        };
        let port = fields.get("port").and_then(Tree::as_str);
        let port = port.and_then(|port| to_port(FieldPath::of(&["port"]), port));
        let paths = match fields.get("paths") {
            Some(Tree::List(paths)) => paths.as_slice(),
            _ => &[],
        };
        let ports = paths.iter().enumerate().filter_map(|(index, path)| {
            let target = path.get("targetPort")?.scalar()?;
            let path = FieldPath::of(&["paths"]).join(Step::Index(index)).field("targetPort");
            to_port(path, route::port_number(&target)?)
        });
        let of_backend = of_backend.map(|name| Reference {
            path: backend,
            to: ReferredTo::Object {
                kind: KindName::Room,
                name: name.to_owned(),
                purpose: Purpose::Whole,
            },
        });
        to_room(fields).into_iter().chain(of_backend).chain(port).chain(ports).collect()
    }
}

/// The two forms of a route.
enum Form {
    /// A port of a room.
    Port(String, String),
    /// Paths.
    Paths(Backend, Vec<RoutePath>),
}

/// The form that a document has.
fn form(document: &RouteDocument) -> Result<Form, Vec<Fault>> {
    let RouteDocument { room, port, backend, paths, .. } = document;
    let fault = |field: &str, message: &str| {
        let hint = "say `room` and `port`, or `backend` and `paths`";
        Err(Fault::new(&[field], message).hint(hint).into())
    };
    let is_of_paths = backend.is_some() || paths.is_some();
    if is_of_paths && (room.is_some() || port.is_some()) {
        let field = if room.is_some() { "room" } else { "port" };
        return fault(field, &format!("a route with `backend` and `paths` cannot have `{field}`"));
    }
    match (room, port, backend) {
        (Some(room), Some(PortNumber::Fixed(port)), _) => {
            Ok(Form::Port(room.clone(), port.to_string()))
        }
        (_, Some(PortNumber::Any), _) => {
            let message = "a route needs the number of a port, not `*`";
            Err(Fault::new(&["port"], message).into())
        }
        (_, _, Some(backend)) => {
            Ok(Form::Paths(backend.clone(), paths.clone().unwrap_or_default()))
        }
        (Some(_), None, _) => fault("room", "a route with `room` needs a `port`"),
        (None, Some(_), _) => fault("port", "a route with `port` needs a `room`"),
        (None, None, None) if is_of_paths => {
            fault("paths", "a route with `paths` needs a `backend`")
        }
        (None, None, None) => {
            let message = "a route leads nowhere";
            let hint = "say `room` and `port`, or `backend` and `paths`";
            Err(Fault { hint: Some(hint.to_owned()), ..Fault::new(&[], message) }.into())
        }
    }
}

/// Puts a form into the fields of a route, as the first one where that says it.
fn set_form(fields: &mut Tree, form: Form) {
    let form = match form {
        Form::Paths(backend, mut paths) => {
            route::settle(&backend, &mut paths);
            match (&backend.room, paths.as_slice()) {
                (Some(room), [path]) if path.plain_port().is_some() => {
                    Form::Port(room.name.clone(), path.plain_port().unwrap_or_default())
                }
                _ => Form::Paths(backend, paths),
            }
        }
        port => port,
    };
    let said = match form {
        Form::Port(room, port) => json!({ "room": room, "port": port }),
        Form::Paths(backend, paths) => json!({ "backend": backend, "paths": paths }),
    };
    let said = SHAPE.read(&said);
    for field in ["room", "port", "backend", "paths"] {
        fields.put(&FieldPath::of(&[field]), said.get(field).cloned());
    }
}

fn read_field<T: serde::de::DeserializeOwned>(fields: &Tree, field: &str) -> Option<T> {
    T::deserialize(fields.get(field)?.reveal()).ok()
}

/// The fields of a route as the platform has it, in the form that says it.
#[must_use]
pub fn read(metadata: &Value, backend: &Value, paths: &Value) -> Tree {
    let mut fields =
        SHAPE.read(&json!({ "metadata": metadata, "backend": backend, "paths": paths }));
    if let Some(backend) = read_field(&fields, "backend") {
        let paths = read_field(&fields, "paths").unwrap_or_default();
        set_form(&mut fields, Form::Paths(backend, paths));
    }
    fields
}
