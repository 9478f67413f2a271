//! The API as the public SDK 0.31.4 spells it: a file a kind.
//!
//! Must not live here: what a kind means, and anything that decides what is to be done.

use serde_json::Value;

use super::{Dialect, Spelling, Target};
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{KindName, OWNER_ANNOTATION};

mod mailbox;
mod project;
mod room;
mod route;
mod scheduled_task;
mod secret;
mod service;
mod webhook;

/// The dialect.
pub struct V0_31;

impl Dialect for V0_31 {
    fn of(&self, kind: KindName) -> Option<&'static dyn Spelling> {
        Some(match kind {
            KindName::Project => &project::Project,
            KindName::Room => &room::Room,
            KindName::Secret => &secret::Secret,
            KindName::Service => &service::Service,
            // What is made of a template are services.
            KindName::ServiceTemplate => return None,
            KindName::Mailbox => &mailbox::Mailbox,
            KindName::Route => &route::Route,
            KindName::ScheduledTask => &scheduled_task::ScheduledTask,
            KindName::Webhook => &webhook::Webhook,
        })
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
    (serde_json::json!({ "annotations": annotations }), owner)
}

/// A text field of an answer.
fn text_of(item: &Value, field: &str) -> Result<String, String> {
    match item.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(format!("the answer has no text in `{field}`")),
    }
}
