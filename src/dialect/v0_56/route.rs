//! `Route` on the wire: a specification, which an update replaces. Ports stay numbers or texts, as the
//! platform has them.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::PAGE;
use crate::api::request::{Listing, Request};
use crate::dialect::fields::{annotated, annotations, text_of};
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target};
use crate::kinds::path::Step;
use crate::kinds::specs::route::{RoutePath, TargetPort};
use crate::kinds::tree::Tree;
use crate::kinds::{KindName, route};

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Route);

/// The spelling.
pub struct Route;

impl Spelling for Route {
    fn collection(&self) -> Collection {
        Collection { paging: PAGE, ..Collection::plain("routes") }
    }

    /// The list of one room is divided by other parameters, and is no shorter to read.
    fn list_naming(&self, _project: &str, _room: &str) -> Option<Listing> {
        None
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let spec = item.get("spec").ok_or("the answer has no `spec`")?;
        let (metadata, owner) = annotated(spec.get("metadata").unwrap_or(&Value::Null));
        let part = |name: &str| spec.get(name).unwrap_or(&Value::Null);
        let fields = route::read(&metadata, part("backend"), part("paths"));
        let domain = text_of(spec, "domain").or_else(|_| text_of(item, "domain"))?;
        Ok(Seen { name: KindName::Route.kind().natural_name(&domain), id: None, owner, fields })
    }

    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        let path = ["accounts", "projects", target.project, "routes", self.segment(target)?];
        Some(Lookup::One(Request::get(&path), Some("route")))
    }

    /// The whole specification: an update replaces it.
    fn sent_back(&self, item: &Value) -> Option<Value> {
        item.get("spec").cloned()
    }

    fn segment<'a>(&self, target: &'a Target<'_>) -> Option<&'a str> {
        let spelled = target.answered.as_ref().and_then(|spec| spec.get("domain")?.as_str());
        Some(spelled.unwrap_or(target.name))
    }

    fn body(&self, target: &Target<'_>) -> Value {
        let mut spec = match &target.answered {
            Some(Value::Object(spec)) => spec.clone(),
            _ => Map::from_iter([
                ("version".to_owned(), "v1".into()),
                ("kind".to_owned(), "Route".into()),
                ("metadata".to_owned(), json!({ "name": target.name })),
                ("domain".to_owned(), target.name.into()),
            ]),
        };
        let metadata = spec.entry("metadata").or_insert_with(|| json!({ "name": target.name }));
        if let Value::Object(metadata) = metadata {
            metadata.insert("annotations".to_owned(), annotations(target));
        }
        let (fields, before) = (target.fields, spec.shift_remove("paths"));
        let before = before.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or(&[]);
        if let Some(room) = fields.get("room").map(Tree::reveal) {
            spec.insert("backend".to_owned(), json!({ "room": { "name": room }, "agent": null }));
        } else if let Some(backend) = fields.get("backend").map(Tree::reveal) {
            let part = |name: &str| backend.get(name).cloned().unwrap_or_default();
            let backend = json!({ "room": part("room"), "agent": part("agent") });
            spec.insert("backend".to_owned(), backend);
        }
        let mut paths: Vec<RoutePath> = fields
            .get("paths")
            .and_then(|paths| Vec::deserialize(paths.reveal()).ok())
            .unwrap_or_default();
        if let Some(port) = fields.get("port").and_then(Tree::as_str) {
            // A command may say a port of what has more paths: that of the first one.
            match paths.first_mut() {
                Some(first) => {
                    first.target_content = None;
                    first.target_port = Some(TargetPort::Text(port.to_owned()));
                }
                None => paths.push(RoutePath::plain(port)),
            }
        }
        let paths: Vec<Value> = paths.iter().map(|path| spelled(path, before)).collect();
        spec.insert("paths".to_owned(), paths.into());
        json!({ "spec": spec })
    }

    fn created_id(&self, _answer: &Value) -> Option<String> {
        None
    }
}

/// A path with what this program does not know of the one that the platform has in its place, and
/// with its port as it is there, where both are the same.
fn spelled(path: &RoutePath, before: &[Value]) -> Value {
    let mut body = serde_json::to_value(path).unwrap_or_default();
    let place = |path: &Value| (path.get("path").cloned(), path.get("pathType").cloned());
    let answered = before.iter().find(|it| {
        let whole = RoutePath::deserialize(*it).and_then(serde_json::to_value);
        place(&body) == place(whole.as_ref().unwrap_or(it))
    });
    let Some(answered) = answered else { return body };
    let same = answered.get("targetPort").filter(|port| is_same(port, &body["targetPort"]));
    if let Some(port) = same {
        body["targetPort"] = port.clone();
    }
    let known = KindName::Route.kind().shape().child(&Step::Field("paths".to_owned()));
    if let Some(known) = known.and_then(|paths| paths.child(&Step::Index(0))) {
        known.keep_unknown(&mut body, answered);
    }
    body
}

/// Whether two ports are the same, as a number or as a text.
fn is_same(one: &Value, other: &Value) -> bool {
    let text = |port: &Value| match port {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text(one) == text(other)
}
