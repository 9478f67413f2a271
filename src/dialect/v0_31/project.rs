//! `Project` on the wire.

use serde_json::{Value, json};

use crate::api::request::Request;
use crate::dialect::fields::text_of;
use crate::dialect::{Collection, Seen, Spelling, Target};
use crate::kinds::path::Step;
use crate::kinds::tree::{Sealed, Tree};

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Project);

/// The spelling.
pub struct Project;

impl Spelling for Project {
    fn collection(&self) -> Collection {
        Collection::plain("projects")
    }

    /// They are in no project.
    fn all(&self, _project: &str) -> Request {
        Request::get(&["accounts", "projects"])
    }

    /// The list need not hold the settings; the answer for one project does.
    fn detail(&self, project: &str) -> Option<Request> {
        Some(Request::get(&["accounts", "projects", project]))
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let mut fields = Tree::map([]);
        match item.get("settings") {
            Some(Value::Object(settings)) if !settings.is_empty() => {
                fields.set("settings", Tree::from(&item["settings"]).sealed());
            }
            Some(_) => {}
            None => fields.set("settings", Tree::Secret(Sealed::Masked)),
        }
        Ok(Seen {
            name: text_of(item, "name")?,
            id: Some(text_of(item, "id")?),
            owner: None,
            fields,
        })
    }

    fn sent_back(&self, item: &Value) -> Option<Value> {
        item.get("settings").map(|settings| json!({ "settings": settings }))
    }

    fn create(&self, target: &Target<'_>) -> Option<Request> {
        Some(Request::post(&["accounts", "projects"], self.new_body(target)))
    }

    fn new_body(&self, target: &Target<'_>) -> Value {
        let settings = target.fields.get("settings").map(Tree::reveal);
        json!({ "name": target.name, "settings": settings })
    }

    /// The body is the settings themselves; those that the manifest does not name are sent
    /// back as they were answered.
    fn body(&self, target: &Target<'_>) -> Value {
        let mut body = match target.answered.as_ref().and_then(|answered| answered.get("settings"))
        {
            Some(Value::Object(settings)) => settings.clone(),
            _ => serde_json::Map::new(),
        };
        let wanted = match target.fields.get("settings").map(Tree::reveal) {
            Some(Value::Object(settings)) => settings,
            _ => serde_json::Map::new(),
        };
        // A setting goes away as a whole, also where what is told are the fields in it.
        for path in target.removed {
            if let [Step::Field(_), Step::Field(name), ..] = path.0.as_slice()
                && !wanted.contains_key(name)
            {
                body.shift_remove(name);
            }
        }
        body.extend(wanted);
        Value::Object(body)
    }

    fn update(&self, target: &Target<'_>) -> Option<Request> {
        let path = ["accounts", "projects", target.id.unwrap_or_default(), "settings"];
        Some(Request::put(&path, self.body(target)))
    }

    fn delete(&self, _target: &Target<'_>) -> Option<Request> {
        None
    }
}
