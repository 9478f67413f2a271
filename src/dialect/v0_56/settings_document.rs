//! `SettingsDocument` on the wire: a document for each of some names, which no list tells. A PUT
//! makes or replaces it as a whole.

use serde_json::{Value, json};

use crate::api::request::{Paging, Precondition, Request};
use crate::dialect::fields::text_of;
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target};
use crate::kinds::settings_document::{self as kind, NAMES};
use crate::kinds::tree::Tree;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&SettingsDocument);

/// The spelling.
pub struct SettingsDocument;

/// Documents of a project that are asked for by these names.
pub(super) const fn documents(names: &'static [&'static str]) -> Collection {
    Collection { noun: "settings", envelope: "settings", paging: Paging::Named(names) }
}

/// The request that makes a document. One that somebody else made meanwhile is not replaced, where
/// the platform looks at such a condition.
pub(super) fn create(target: &Target<'_>, body: Value) -> Request {
    let path = ["accounts", "projects", target.project, "settings", target.name];
    Request { precondition: Precondition::Absent, ..Request::put(&path, body) }
}

/// How one document is read.
pub(super) fn lookup(target: &Target<'_>) -> Lookup {
    let path = ["accounts", "projects", target.project, "settings", target.name];
    Lookup::One(Request::get(&path), None)
}

/// A document as it stands in a list, made of itself alone.
pub(super) fn listed(target: &Target<'_>, document: &Value) -> Value {
    json!({ "name": target.name, "settings": document })
}

impl Spelling for SettingsDocument {
    fn collection(&self) -> Collection {
        documents(&NAMES)
    }

    fn segment<'a>(&self, target: &'a Target<'_>) -> Option<&'a str> {
        Some(target.name)
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let name = text_of(item, "name")?;
        let fields = kind::read(&name, item.get("settings").unwrap_or(&Value::Null));
        Ok(Seen { name, id: None, owner: None, fields })
    }

    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        Some(lookup(target))
    }

    fn listed(&self, target: &Target<'_>, answer: Value) -> Value {
        listed(target, &answer)
    }

    fn sent_back(&self, item: &Value) -> Option<Value> {
        kind::unknown(item.get("name")?.as_str()?, item.get("settings")?)
    }

    fn body(&self, target: &Target<'_>) -> Value {
        let mut body = target.fields.get("settings").map_or_else(|| json!({}), Tree::reveal);
        if let Some(unknown) = &target.answered {
            kind::keep_unknown(target.name, &mut body, unknown);
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
