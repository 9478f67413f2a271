//! `Webhook` on the wire.

use serde_json::{Value, json};

use crate::dialect::fields::text_of;
use crate::dialect::{Collection, Seen, Spelling, Target};
use crate::kinds::tree::Tree;
use crate::kinds::webhook;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Webhook);

/// The spelling.
pub struct Webhook;

impl Spelling for Webhook {
    fn collection(&self) -> Collection {
        Collection::plain("webhooks")
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        Ok(Seen {
            name: text_of(item, "name")?,
            id: Some(text_of(item, "id")?),
            owner: None,
            fields: webhook::read(item),
        })
    }

    fn body(&self, target: &Target<'_>) -> Value {
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
}
