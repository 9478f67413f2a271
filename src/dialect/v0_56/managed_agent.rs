//! `ManagedAgent` on the wire: a name, an id, and a configuration that each update replaces.

use serde_json::{Map, Value, json};

use super::PAGE;
use crate::api::request::Request;
use crate::dialect::fields::{annotated, annotations, text_of};
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target};
use crate::kinds::KindName;
use crate::kinds::managed_agent::fields_of;
use crate::kinds::shape::Form;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&ManagedAgent);

/// The spelling.
pub struct ManagedAgent;

impl Spelling for ManagedAgent {
    fn collection(&self) -> Collection {
        Collection { paging: PAGE, ..Collection::plain("agents") }
    }

    /// With those that the caller has not used.
    fn all(&self, project: &str) -> Request {
        Request::get(&self.collection().path(project, None)).query("view", "all")
    }

    fn sorts_by(&self, _field: &str) -> bool {
        false
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let configuration = item.get("configuration").ok_or("the answer has no `configuration`")?;
        let (metadata, owner) = annotated(configuration.get("metadata").unwrap_or(&Value::Null));
        let mut written = configuration.clone();
        if let Value::Object(written) = &mut written {
            written.insert("metadata".to_owned(), metadata);
            // An empty list may be answered as nothing.
            let models = written.entry("allowed_models").or_insert(Value::Null);
            if models.is_null() {
                *models = Value::Array(Vec::new());
            }
        }
        let name = KindName::ManagedAgent.kind().natural_name(&text_of(item, "name")?);
        let fields = fields_of(&written);
        Ok(Seen { name, id: Some(text_of(item, "id")?), owner, fields })
    }

    /// By its name: no path leads to an agent by its id.
    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        // There the sessions of all agents are listed, or nothing at all.
        if matches!(target.name, "sessions" | "." | ".." | "") {
            return self.list(target.project, None).map(Lookup::Among);
        }
        Some(Lookup::One(self.one(target.project, target.name), None))
    }

    fn sent_back(&self, item: &Value) -> Option<Value> {
        let mut configuration = item.get("configuration")?.clone();
        if let Value::Object(fields) = &mut configuration {
            fields.retain(|name, _| !["version", "kind", "id"].contains(&name.as_str()));
            if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
                metadata.shift_remove("name");
            }
        }
        KindName::ManagedAgent.kind().shape().unknown(&configuration)
    }

    /// All fields, with what is null or at its default: an update replaces everything.
    fn body(&self, target: &Target<'_>) -> Value {
        let shape = KindName::ManagedAgent.kind().shape();
        let mut configuration = Map::from_iter([
            ("version".to_owned(), json!("v1")),
            ("kind".to_owned(), json!("ManagedAgent")),
        ]);
        if let Form::Object(fields) = &shape.form {
            for (name, field) in fields {
                let value = target.fields.sent(name);
                let is_said = !value.is_null();
                let usual = || field.default.clone().unwrap_or_default();
                configuration.insert(name.to_string(), if is_said { value } else { usual() });
            }
        }
        configuration.insert(
            "metadata".to_owned(),
            json!({"name": target.name, "annotations": annotations(target)}),
        );
        let mut configuration = Value::Object(configuration);
        if let Some(answered) = &target.answered {
            shape.keep_unknown(&mut configuration, answered);
        }
        json!({ "configuration": configuration })
    }

    /// One that is there already is not taken for the one that is made.
    fn new_body(&self, target: &Target<'_>) -> Value {
        let mut body = self.body(target);
        body["if_not_exists"] = false.into();
        body
    }
}
