//! `RoomRoles` on the wire: one of the documents of a project's settings.

use serde_json::{Value, json};

use super::settings_document::{create, documents, listed, lookup};
use crate::api::request::Request;
use crate::dialect::fields::text_of;
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target};
use crate::kinds::KindName;
use crate::kinds::room_roles::{self as kind, NAME};
use crate::kinds::shape::Shape;
use crate::kinds::tree::Tree;

fn shape() -> &'static Shape {
    KindName::RoomRoles.kind().shape()
}

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&RoomRoles);

/// The spelling.
pub struct RoomRoles;

impl Spelling for RoomRoles {
    fn collection(&self) -> Collection {
        documents(&[NAME])
    }

    fn segment<'a>(&self, target: &'a Target<'_>) -> Option<&'a str> {
        Some(target.name)
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let fields = kind::read(item.get("settings").unwrap_or(&Value::Null));
        Ok(Seen { name: text_of(item, "name")?, id: None, owner: None, fields })
    }

    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        Some(lookup(target))
    }

    fn listed(&self, target: &Target<'_>, answer: Value) -> Value {
        listed(target, &answer)
    }

    /// What this program does not know of it; an update replaces the document as a whole.
    fn sent_back(&self, item: &Value) -> Option<Value> {
        shape().unknown(item.get("settings")?)
    }

    fn body(&self, target: &Target<'_>) -> Value {
        let roles = target.fields.get("roles").map_or_else(|| json!({}), Tree::reveal);
        let mut body = json!({ "roles": roles });
        if let Some(answered) = &target.answered {
            shape().keep_unknown(&mut body, answered);
        }
        body
    }

    fn create(&self, target: &Target<'_>) -> Option<Request> {
        Some(create(target, self.body(target)))
    }

    fn created_id(&self, _answer: &Value) -> Option<String> {
        None
    }

    fn creates_over(&self) -> bool {
        true
    }
}
