//! `Service` on the wire: the document of 0.31, with other secrets, keys and mounts.
//!
//! What 0.31 meant by a container that says no more is `template: none`, and that is written: by
//! default, one is given the storage of the room and a token.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::room::said_enabled;
use crate::api::request::{Listing, Request};
use crate::dialect::v0_31::service::{self as former, Service as Former};
use crate::dialect::{Collection, Lookup, Seen, Spelling, Target, Unsaid, Words};
use crate::kinds::account_secret::other_owner;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::tree::Tree;
use crate::kinds::{Fault, KindName};

/// How it is spelled.
pub const SPELLING: Option<&dyn Spelling> = Some(&Service);

/// The spelling.
pub struct Service;

/// The fields of 0.31 that are gone, with what is in them.
const GONE: [&str; 6] = [
    "ports.endpoints.meshagent.api.secrets.request_oauth_token",
    "container.environment.token.api.secrets.request_oauth_token",
    "container.environment.secret.identity",
    "container.secrets",
    "container.storage.project",
    "container.api_key",
];

/// The fields that 0.31 does not have.
const NEW: [&str; 11] = [
    "enabled",
    "container.run_as",
    "container.run_as.account",
    "container.run_as.scopes",
    "container.storage.volumes",
    "container.storage.volumes.name",
    "container.storage.volumes.path",
    "container.storage.volumes.subpath",
    "container.storage.volumes.read_only",
    "container.storage.configs",
    "container.storage.configs.path",
];

/// The fields of manifests that 0.56 has.
static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let kept = former::FIELDS.lines().filter(|line| !GONE.contains(line)).chain(NEW);
    Words::of(KindName::Service.kind().shape(), &kept.collect::<Vec<_>>().join("\n"))
});

/// The roles that a token of a container may have.
const ROLES: [&str; 3] = ["user", "agent", "tool"];

/// The port at which the room itself listens.
const PORT_OF_THE_ROOM: u64 = 8078;

impl Spelling for Service {
    fn collection(&self) -> Collection {
        Former.collection()
    }

    fn list(&self, project: &str, room: Option<&str>) -> Option<Listing> {
        Former.list(project, room)
    }

    fn seen(&self, item: &Value) -> Result<Seen, String> {
        former::seen(&as_of_manifests(item), WORDS.said())
    }

    /// A list comes in one answer, which nothing proves to be whole, so a service is asked for by
    /// its name.
    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        if target.id.is_some() {
            return Former.lookup(target);
        }
        // No path leads to a service that is called so, nor into such a room.
        let is_unreachable = |name: &str| matches!(name, "." | "..");
        if is_unreachable(target.name) || target.room.is_some_and(is_unreachable) {
            return self.list(target.project, target.room).map(Lookup::Among);
        }
        let path = [&former::path(target, None)[..], &["by-name", target.name]].concat();
        Some(Lookup::One(Request::get(&path), None))
    }

    fn unsaid(&self) -> &'static Unsaid {
        WORDS.unsaid()
    }

    fn instead_of(&self, field: &FieldPath) -> &'static str {
        instead_of(field)
    }

    fn untaken(&self, fields: &Tree) -> Vec<Fault> {
        untaken(fields)
    }

    fn sent_back(&self, item: &Value) -> Option<Value> {
        let mut item = as_of_manifests(item);
        // What an older platform left there is refused.
        without(&mut item, "/container", &["secrets", "api_key"]);
        without(&mut item, "/container/storage", &["project"]);
        let unknown = WORDS.said().unknown(&item);
        // An update replaces it, also if nobody says it.
        match item.get("enabled") {
            Some(Value::Bool(false)) => {
                let mut kept = unknown.unwrap_or_else(|| json!({}));
                kept["enabled"] = false.into();
                Some(kept)
            }
            _ => unknown,
        }
    }

    fn body(&self, target: &Target<'_>) -> Value {
        former::of_template(target).unwrap_or_else(|| {
            let mut body = former::whole(target);
            WORDS.spell(&mut body, target.answered.as_ref());
            let answered = target.answered.as_ref().and_then(|it| it.get("enabled")?.as_bool());
            body["enabled"] = said_enabled(target).or(answered).unwrap_or(true).into();
            spell(body)
        })
    }

    /// Without an id, and without what is not said.
    fn new_body(&self, target: &Target<'_>) -> Value {
        former::of_template(target).unwrap_or_else(|| {
            let mut body = former::whole(target);
            WORDS.spell(&mut body, None);
            without(&mut body, "", &["id"]);
            if let Value::Object(body) = &mut body {
                body.entry("enabled").or_insert(Value::Bool(true));
            }
            without_nulls(&mut body);
            spell(body)
        })
    }

    fn create(&self, target: &Target<'_>) -> Option<Request> {
        Some(Request::post(&former::path(target, None), self.new_body(target)))
    }

    fn update(&self, target: &Target<'_>) -> Option<Request> {
        let path = former::path(target, Some(target.id.unwrap_or_default()));
        Some(Request::put(&path, self.body(target)))
    }

    fn delete(&self, target: &Target<'_>) -> Option<Request> {
        Former.delete(target)
    }
}

/// What to do instead of a field that is gone.
fn instead_of(field: &FieldPath) -> &'static str {
    let named =
        |name: &str| field.0.iter().any(|step| matches!(step, Step::Field(it) if it == name));
    match () {
        () if named("api_key") => {
            "give the container a token in `environment` instead: `token: {identity: NAME}`. Where the service was made in 0.31, apply its document without `api_key` there first: what the platform still has of it may keep 0.56 from changing the service"
        }
        () if named("project") => {
            "mount files of the room with `storage.room`, or texts with `storage.files`; what is in the project's files is not copied"
        }
        () if named("request_oauth_token") => "remove it: a scope grants `secrets` as a whole",
        () if named("identity") => {
            "name a secret of a service account instead: `secret: {id: ACCOUNT/NAME}`"
        }
        () => {
            "say in the document of the secret which service account it belongs to (`service_account: NAME`), in the same set; or name the variables one by one in `environment`: `secret: {id: ACCOUNT/NAME}`"
        }
    }
}

/// The values that 0.31 took and 0.56 does not.
fn untaken(fields: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    let items = |path: &[&str]| match fields.at(&FieldPath::of(path)) {
        Some(Tree::List(items)) => items.as_slice(),
        _ => &[],
    };
    let place = |list: &[&str], index: usize, field: &[&str]| {
        let steps = field.iter().map(|name| Step::Field((*name).to_owned()));
        steps.fold(FieldPath::of(list).join(Step::Index(index)), |path, step| path.join(step))
    };
    for (index, port) in items(&["ports"]).iter().enumerate() {
        let number = port.get("num").and_then(Tree::scalar);
        if number.is_some_and(|number| number == PORT_OF_THE_ROOM.to_string()) {
            faults.push(Fault {
                path: place(&["ports"], index, &["num"]),
                message: format!("port {PORT_OF_THE_ROOM} belongs to the room on this platform"),
                hint: Some("let the service listen on another port".to_owned()),
            });
        }
    }
    let pulled = FieldPath::of(&["container", "pull_secret"]);
    if fields.at(&pulled).and_then(Tree::as_str).is_some_and(|name| !name.contains('/')) {
        faults.push(Fault {
            path: pulled,
            message: "a project has no secrets on this platform".to_owned(),
            hint: Some(
                "say in the document of the secret which service account it belongs to (`service_account: NAME`), in the same set; or name one of an account: `ACCOUNT/NAME`"
                    .to_owned(),
            ),
        });
    }
    let acts_for = fields.at(&FieldPath::of(&["container", "run_as"]));
    let account = acts_for.and_then(|it| it.get("account")?.as_str());
    for (index, variable) in items(&["container", "environment"]).iter().enumerate() {
        let is_of_account = |it: &Tree| it.get("identity").is_none();
        if variable.get("secret").is_some_and(is_of_account)
            && acts_for.is_none_or(|it| *it == Tree::Null)
        {
            faults.push(Fault {
                path: place(&["container", "environment"], index, &["secret"]),
                message: "a secret needs a service account that may read it".to_owned(),
                hint: Some(
                    "say for whom the container acts: `run_as: {account: NAME, scopes: [secrets:read]}`"
                        .to_owned(),
                ),
            });
        }
        let secret = variable.at(&FieldPath::of(&["secret", "id"])).and_then(Tree::as_str);
        if let (Some(account), Some(secret)) = (account, secret)
            && let Some(owner) = other_owner(secret, account)
        {
            faults.push(Fault {
                path: place(&["container", "environment"], index, &["secret", "id"]),
                message: format!(
                    "the secret `{secret}` belongs to the service account `{owner}`, and the container acts for `{account}`"
                ),
                hint: Some(format!(
                    "let the container act for `{owner}` (`container.run_as`), or name a secret of `{account}`"
                )),
            });
        }
        let role = variable.at(&FieldPath::of(&["token", "role"])).and_then(Tree::scalar);
        if role.is_some_and(|role| !ROLES.contains(&role.as_str())) {
            faults.push(Fault {
                path: place(&["container", "environment"], index, &["token", "role"]),
                message: "a token cannot have a role of its own on this platform".to_owned(),
                hint: Some(format!("use one of {}", ROLES.join(", "))),
            });
        }
    }
    faults
}

/// A service as a platform answers with it, with what manifests call otherwise by their name.
fn as_of_manifests(item: &Value) -> Value {
    let mut item = item.clone();
    each_scope(&mut item, |scope| rename(scope, "dataset", "database"));
    if let Some(Value::Object(container)) = item.get_mut("container") {
        if let Some(id) = container.get("pull_secret").and_then(|it| it.get("id")).cloned() {
            container.insert("pull_secret".to_owned(), id);
        }
        if let Some(Value::Object(run_as)) = container.get_mut("run_as") {
            rename(run_as, "email", "account");
        }
    }
    item
}

/// The body of a service with what manifests call otherwise by its name on the wire.
fn spell(mut body: Value) -> Value {
    each_scope(&mut body, |scope| rename(scope, "database", "dataset"));
    if let Some(Value::Object(container)) = body.get_mut("container") {
        container.entry("template").or_insert_with(|| json!("none"));
        if let Some(id) = container.get("pull_secret").filter(|id| id.is_string()).cloned() {
            container.insert("pull_secret".to_owned(), json!({ "id": id }));
        }
        if let Some(Value::Object(run_as)) = container.get_mut("run_as") {
            rename(run_as, "account", "email");
        }
    }
    body
}

/// Gives a field another name. One that has that name already stays.
fn rename(fields: &mut Map<String, Value>, from: &str, to: &str) {
    if fields.get(to).is_none_or(Value::is_null)
        && let Some(value) = fields.shift_remove(from)
    {
        fields.insert(to.to_owned(), value);
    }
}

/// Goes through the scopes of a service: of its endpoints, and of the tokens of its container.
fn each_scope(service: &mut Value, change: impl Fn(&mut Map<String, Value>)) {
    let of = |item: &mut Value, path: &str| {
        if let Some(Value::Object(scope)) = item.pointer_mut(path) {
            change(scope);
        }
    };
    fn items(value: Option<&mut Value>) -> std::slice::IterMut<'_, Value> {
        value.and_then(Value::as_array_mut).map(|items| items.iter_mut()).unwrap_or_default()
    }
    for port in items(service.get_mut("ports")) {
        items(port.get_mut("endpoints")).for_each(|it| of(it, "/meshagent/api"));
    }
    items(service.pointer_mut("/container/environment")).for_each(|it| of(it, "/token/api"));
}

/// Takes fields out of an object.
fn without(value: &mut Value, at: &str, names: &[&str]) {
    if let Some(Value::Object(fields)) = value.pointer_mut(at) {
        fields.retain(|name, _| !names.contains(&name.as_str()));
    }
}

/// Takes out what is null.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}
