//! The API as the public SDK 0.31.4 spells it: a file a kind, each with its `SPELLING`.
//!
//! Must not live here: what a kind means, and anything that decides what is to be done.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Dialect, Spelling, Target};
use crate::api::request::{Body, Listing, Method, Request};
use crate::kinds::path::FieldPath;
use crate::kinds::specs::template::ServiceTemplateSpec;
use crate::kinds::tree::Tree;
use crate::kinds::{KindName, OWNER_ANNOTATION};

/// Makes the modules of the spellings and the choice between them, of the list of kinds.
macro_rules! spellings {
    ($($(#[doc = $what:literal])+ $kind:ident in $module:ident,)+) => {
        $(mod $module;)+

        /// How a kind is spelled, where it is.
        fn spelling(kind: KindName) -> Option<&'static dyn Spelling> {
            match kind {
                $(KindName::$kind => $module::SPELLING,)+
            }
        }
    };
}

crate::kinds::every_kind!(spellings);
pub mod wire;

/// The dialect.
pub struct V0_31;

impl Dialect for V0_31 {
    fn of(&self, kind: KindName) -> Option<&'static dyn Spelling> {
        spelling(kind)
    }

    fn own_profile(&self) -> Request {
        Request::get(&["accounts", "profiles", "me"])
    }

    fn api_keys(&self, project: &str) -> Listing {
        let request = Request::get(&["accounts", "projects", project, "api-keys"]);
        Listing { request, envelope: "keys", page: None }
    }

    fn make_api_key(&self, project: &str, name: &str, description: &str) -> Request {
        let body = json!({"name": name, "description": description});
        Request::post(&["accounts", "projects", project, "api-keys"], body)
    }

    fn delete_api_key(&self, project: &str, id: &str) -> Request {
        Request::delete(&["accounts", "projects", project, "api-keys", id])
    }

    fn sessions(&self, project: &str) -> Listing {
        let request = Request::get(&["accounts", "projects", project, "sessions"]);
        Listing { request, envelope: "sessions", page: None }
    }

    fn active_sessions(&self, project: &str) -> Listing {
        let request = Request::get(&["accounts", "projects", project, "sessions", "active"]);
        Listing { request, ..self.sessions(project) }
    }

    fn events(&self, project: &str, session: &str) -> Listing {
        let path = ["accounts", "projects", project, "sessions", session, "events"];
        Listing { request: Request::get(&path), envelope: "events", page: None }
    }

    fn download(&self, project: &str, path: &str) -> Request {
        Request::get(&["projects", project, "storage", "download"]).query("path", path)
    }

    fn upload(&self, project: &str, path: &str, bytes: Vec<u8>) -> Request {
        let request = Request::new(Method::Post, &["projects", project, "storage", "upload"]);
        Request { body: Body::Bytes(bytes), ..request.query("path", path) }
    }

    fn connect(&self, project: &str, room: &str) -> Request {
        let path = ["accounts", "projects", project, "rooms", room, "connect"];
        Request::post(&path, json!({}))
    }

    fn config(&self) -> Request {
        Request::get(&["config"])
    }

    fn render(&self, template: &str, values: &Value) -> Request {
        Request::post(&["templates", "render"], json!({"template": template, "values": values}))
    }

    fn rendered(&self, answer: Value) -> serde_json::Result<ServiceTemplateSpec> {
        wire::ServiceTemplateSpec::deserialize(answer)
    }
}

/// The annotations to send: the object's own, and the owner's.
fn annotations(target: &Target<'_>) -> Value {
    let mut annotations =
        match target.fields.at(&FieldPath::of(&["metadata", "annotations"])).map(Tree::reveal) {
            Some(Value::Object(annotations)) => annotations,
            _ => serde_json::Map::new(),
        };
    if let Some(owner) = target.owner {
        annotations.insert(OWNER_ANNOTATION.to_owned(), owner.into());
    }
    Value::Object(annotations)
}

/// The annotations of an answer without the owner's, as a document has them, and the owner.
fn annotated(item: &Value) -> (Value, Option<String>) {
    let mut annotations = item.get("annotations").cloned().unwrap_or(Value::Null);
    let owner = match &mut annotations {
        Value::Object(map) => {
            map.shift_remove(OWNER_ANNOTATION).and_then(|owner| owner.as_str().map(str::to_owned))
        }
        _ => None,
    };
    (json!({ "annotations": annotations }), owner)
}

/// A text field of an answer.
fn text_of(item: &Value, field: &str) -> Result<String, String> {
    match item.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(format!("the answer has no text in `{field}`")),
    }
}

/// The name in an answer where the platform spells it otherwise than names of the kind are
/// compared.
fn own_spelling(kind: KindName, item: &Value, field: &str) -> Option<Value> {
    let given = item.get(field)?.as_str()?;
    (given != kind.kind().natural_name(given)).then(|| json!({ field: given }))
}

/// The name of an object as the platform spells it.
fn spelled<'a>(target: &'a Target<'_>, field: &str) -> &'a str {
    let spelled = target.answered.as_ref().and_then(|answered| answered.get(field));
    spelled.and_then(Value::as_str).unwrap_or(target.name)
}
