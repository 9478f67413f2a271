//! `AccountSecret` on the wire: a secret without a value, and versions of its value below it. A write
//! of both is two requests, and an attachment for pulling images a third one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{PAGE, service_account};
use crate::api::request::{Below, Listing, Marked, Request};
use crate::dialect::fields::{annotated, annotations, other_name, text_of};
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target};
use crate::kinds::KindName;
use crate::kinds::account_secret::{DOCKER, OPAQUE, PARTS, called, parts_of};
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::tree::{Sealed, Tree};

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&AccountSecret);

/// The spelling.
pub struct AccountSecret;

/// The list of an account's secrets, which is below its id.
fn of_account(project: &str) -> Below {
    Below {
        project: project.to_owned(),
        list: |project, account| below(project, account, "secrets"),
        told_in: "account",
        known: None,
        marked: Some(Marked {
            list: |project, account| below(project, account, "pull-secrets"),
            envelope: "secrets",
            told_in: "pulls_images",
        }),
    }
}

fn below(project: &str, account: &Value, noun: &str) -> Option<Request> {
    let id = account.get("id")?.as_str()?;
    let path = ["accounts", "projects", project, "service-accounts", id, noun];
    Some(Request::get(&path))
}

/// The id of the account that a secret belongs to: as it was seen, or as the fields refer to it.
fn account<'a>(target: &'a Target<'_>) -> Option<&'a str> {
    let seen = target.answered.as_ref().and_then(|answered| answered.get("account")?.as_str());
    seen.or_else(|| target.fields.get("account").and_then(Tree::as_str))
}

/// A path below the account that a secret belongs to.
fn path<'a>(target: &'a Target<'_>, more: &[&'a str]) -> Option<Vec<&'a str>> {
    let mut path = vec!["accounts", "projects", target.project, "service-accounts"];
    path.push(account(target)?);
    path.extend(more);
    Some(path)
}

/// The bytes of a value.
fn bytes(fields: &Tree) -> Option<Vec<u8>> {
    let text = |part: &str| match fields.get(part)? {
        Tree::Secret(Sealed::Known(text)) => Some(text.expose_secret().to_owned()),
        _ => None,
    };
    if let Some(value) = text("value") {
        return Some(value.into_bytes());
    }
    // What container engines read credentials from.
    let (server, username, password) = (text("server")?, text("username")?, text("password")?);
    let auth = STANDARD.encode(format!("{username}:{password}"));
    let email = text("email");
    let one = json!({"username": username, "password": password, "email": email, "auth": auth});
    let all = json!({ "auths": Map::from_iter([(server, one)]) });
    Some(all.to_string().into_bytes())
}

/// The request that writes a version of the value.
fn version(target: &Target<'_>) -> Option<Request> {
    let value = STANDARD.encode(bytes(target.fields)?);
    let path = path(target, &["secrets", target.id?, "versions"])?;
    Some(Request::post(&path, json!({ "value_base64": value, "set_current": true })))
}

/// The request that has images pulled with a secret, or not any more.
fn attachment(target: &Target<'_>) -> Option<Request> {
    let path = path(target, &["pull-secrets", target.id?])?;
    Some(match target.fields.get("pulls_images") {
        Some(Tree::Bool(true)) => Request::put_empty(&path),
        _ => Request::delete(&path),
    })
}

/// What is to be written of a secret.
struct Writes {
    itself: bool,
    value: bool,
    attachment: bool,
}

impl Writes {
    fn of(target: &Target<'_>) -> Self {
        let is_of = |path: &FieldPath, names: &[&str]| {
            path.0.first().is_some_and(
                |step| matches!(step, Step::Field(name) if names.contains(&name.as_str())),
            )
        };
        let changes = |names: &[&str]| target.changed.iter().any(|path| is_of(path, names));
        let attached: &[&str] = &["pulls_images"];
        Self {
            value: changes(&PARTS),
            attachment: changes(attached),
            itself: target
                .changed
                .iter()
                .any(|path| !is_of(path, &PARTS) && !is_of(path, attached)),
        }
    }
}

impl Spelling for AccountSecret {
    fn collection(&self) -> Collection {
        Collection { noun: "secrets", envelope: "secrets", paging: PAGE }
    }

    /// The list of one account, which is named by the place.
    fn list(&self, project: &str, place: Option<&str>) -> Option<Listing> {
        let request = service_account::by_name(project, place?)?;
        let below = Some(of_account(project));
        Some(Listing { request, envelope: "secrets", paging: PAGE, below })
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        let (metadata, owner) = annotated(item);
        // One that is asked for by its id says only the id of its account.
        let account = match item.get("account") {
            Some(account) => text_of(account, "name")?,
            None => text_of(item, "owner_service_account_id")?,
        };
        let secret_type = text_of(item, "type")?;
        let mut fields = KindName::AccountSecret.kind().shape().read(&json!({
            "metadata": metadata,
            "account": account,
            "type": secret_type,
            "http_only": item.get("http_only"),
            "pulls_images": item.get("pulls_images"),
        }));
        // A secret whose value was never written has none.
        if item.get("current_version_id").is_some_and(Value::is_string) {
            let parts = if secret_type == DOCKER { &PARTS[1..] } else { &PARTS[..1] };
            for part in parts {
                fields.set(part, Tree::Secret(Sealed::Masked));
            }
        }
        let name = called(&account, &text_of(item, "name")?);
        Ok(Seen { name, id: Some(text_of(item, "id")?), owner, fields })
    }

    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        let Some((account, id)) = target.place_id.zip(target.id) else {
            return self.list(target.project, target.room).map(Lookup::Among);
        };
        let path = ["accounts", "projects", target.project, "service-accounts", account];
        Some(Lookup::One(Request::get(&[&path[..], &["secrets", id]].concat()), None))
    }

    /// Its name is not unique.
    fn makes_doubles(&self) -> bool {
        true
    }

    fn sent_back(&self, item: &Value) -> Option<Value> {
        Some(json!({ "account": item.pointer("/account/id")? }))
    }

    fn revision(&self, item: &Value) -> Option<String> {
        item.get("current_version_id")?.as_str().map(str::to_owned)
    }

    fn writes_values_apart(&self) -> bool {
        true
    }

    fn compares_revisions(&self) -> bool {
        false
    }

    fn written_revision(&self, answer: &Value) -> Option<String> {
        answer.get("secret_id")?;
        answer.get("id")?.as_str().map(str::to_owned)
    }

    /// Neither one of another account, nor a value of another secret.
    fn another(&self, target: &Target<'_>, (sent, answer): (&Value, &Value)) -> Option<String> {
        let text = |said: &Value, field: &str| Some(said.get(field)?.as_str()?.to_owned());
        let told = |field: &str, meant: Option<&str>| {
            let said = text(answer, field)?;
            (Some(said.as_str()) != meant).then(|| format!("another `{field}`"))
        };
        match sent.get("value_base64") {
            Some(_) => told("secret_id", target.id),
            None => told("owner_service_account_id", account(target))
                .or_else(|| other_name((sent, answer))),
        }
    }

    /// What the platform fills `value_sha256` with is not known, so only what can be the sum of a
    /// value is compared.
    fn remark(&self, (sent, answer): (&Value, &Value)) -> Option<&'static str> {
        let value = STANDARD.decode(sent.get("value_base64")?.as_str()?).ok()?;
        let said = answer.get("value_sha256")?.as_str()?;
        let is_sum = said.len() == 64 && said.bytes().all(|byte| byte.is_ascii_hexdigit());
        let sum = format!("{:x}", Sha256::digest(value));
        (is_sum && !said.eq_ignore_ascii_case(&sum))
            .then_some("the `value_sha256` in the answer is not that of the value that was sent")
    }

    fn body(&self, target: &Target<'_>) -> Value {
        let name = parts_of(target.name).map_or(target.name, |(_, name)| name);
        json!({
            "name": name,
            "type": target.fields.get("type").and_then(Tree::as_str).unwrap_or(OPAQUE),
            "http_only": matches!(target.fields.get("http_only"), Some(Tree::Bool(true))),
            "annotations": annotations(target),
        })
    }

    fn create(&self, target: &Target<'_>) -> Option<Request> {
        Some(Request::post(&path(target, &["secrets"])?, self.body(target)))
    }

    /// The first request of a change; [`Self::after`] has the others.
    fn update(&self, target: &Target<'_>) -> Option<Request> {
        let writes = Writes::of(target);
        match () {
            // Where nothing is said to differ, the secret is written as a whole, without its value.
            () if writes.itself || !writes.value && !writes.attachment => {
                let path = path(target, &["secrets", target.id?])?;
                Some(Request::patch(&path, self.body(target)))
            }
            () if writes.value => version(target),
            () => attachment(target),
        }
    }

    fn after(&self, target: &Target<'_>, is_new: bool) -> Option<Vec<Request>> {
        if is_new {
            let pulls = matches!(target.fields.get("pulls_images"), Some(Tree::Bool(true)));
            let attached = if pulls { Some(attachment(target)?) } else { None };
            return Some([version(target)?].into_iter().chain(attached).collect());
        }
        let writes = Writes::of(target);
        let mut after = Vec::new();
        if writes.value && writes.itself {
            after.push(version(target)?);
        }
        if writes.attachment && (writes.value || writes.itself) {
            after.push(attachment(target)?);
        }
        Some(after)
    }

    fn delete(&self, target: &Target<'_>) -> Option<Request> {
        Some(Request::delete(&path(target, &["secrets", target.id?])?))
    }
}
