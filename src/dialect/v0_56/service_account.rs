//! `ServiceAccount` on the wire.

use serde_json::{Value, json};

use super::PAGE;
use crate::api::request::Request;
use crate::dialect::fields::{annotated, annotations, text_of};
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target};
use crate::kinds::KindName;
use crate::kinds::specs::rules::Rule;
use crate::kinds::tree::Tree;

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&ServiceAccount);

/// The spelling.
pub struct ServiceAccount;

/// The request for an account by its name, where a path can hold that.
pub(super) fn by_name(project: &str, name: &str) -> Option<Request> {
    let path = ["accounts", "projects", project, "service-accounts", "by-name", name];
    Rule::AccountName.check(name).ok().map(|()| Request::get(&path))
}

/// A text of an answer, unless it is empty.
fn said<'a>(item: &'a Value, field: &str) -> Option<&'a Value> {
    item.get(field).filter(|text| **text != json!(""))
}

impl Spelling for ServiceAccount {
    fn collection(&self) -> Collection {
        let envelope = "service_accounts";
        Collection { noun: "service-accounts", envelope, paging: PAGE }
    }

    fn all(&self, project: &str) -> Request {
        Request::get(&self.collection().path(project, None)).query("view", "all")
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let (metadata, owner) = annotated(item);
        let fields = KindName::ServiceAccount.kind().shape().read(&json!({
            "metadata": metadata,
            "description": said(item, "description"),
            "display_name": said(item, "display_name"),
        }));
        Ok(Seen { name: text_of(item, "name")?, id: Some(text_of(item, "id")?), owner, fields })
    }

    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        match by_name(target.project, target.name) {
            Some(request) => Some(Lookup::One(request, None)),
            None => self.list(target.project, None).map(Lookup::Among),
        }
    }

    /// What containers name it by.
    fn sent_back(&self, item: &Value) -> Option<Value> {
        Some(json!({ "email": item.get("email").filter(|email| email.is_string())? }))
    }

    fn email(&self, answer: &Value) -> Option<String> {
        answer.get("email")?.as_str().map(str::to_owned)
    }

    /// The name and the description are replaced by each update, so both are always said. A name that
    /// people see goes away only where it is said to be empty.
    fn body(&self, target: &Target<'_>) -> Value {
        let text = |field: &str| target.fields.get(field).map_or_else(|| "".into(), Tree::reveal);
        json!({
            "name": target.name,
            "description": text("description"),
            "display_name": text("display_name"),
            "annotations": annotations(target),
        })
    }
}
