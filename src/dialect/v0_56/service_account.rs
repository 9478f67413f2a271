//! `ServiceAccount` on the wire.

use serde_json::{Value, json};

use super::role_grant::RoleGrant;
use super::{PAGE, V0_56};
use crate::api::request::Request;
use crate::dialect::fields::{annotated, annotations, text_of};
use crate::dialect::{Collection, Dialect, GoesWith, Holder, Lookup, Seen, Spelling, Target};
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

/// The roles that accounts have in a project.
fn roles(project: &str) -> Option<GoesWith> {
    Some(GoesWith {
        one: "grant of",
        several: "grants",
        listing: RoleGrant.list(project, None)?,
        kind: Some(KindName::RoleGrant),
        room: |_| None,
        named: |grant, id| {
            let roles = grant.get("direct_roles")?.as_array()?.iter().filter_map(Value::as_str);
            let is_its = grant.pointer("/subject/id")?.as_str() == id;
            is_its.then(|| roles.collect::<Vec<_>>().join(", "))
        },
    })
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

    fn goes_with(&self, target: &Target<'_>) -> Vec<GoesWith> {
        let of = Holder { project: target.project, account: target.id };
        let keys = V0_56.api_keys(of).map(|listing| GoesWith {
            one: "API key",
            several: "API keys",
            listing,
            kind: None,
            room: |_| None,
            named: |key, _| Some(key.get("name")?.as_str()?.to_owned()),
        });
        keys.into_iter().chain(roles(target.project)).collect()
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
