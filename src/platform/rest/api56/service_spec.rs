//! The document of a service in 0.56, beside the one of 0.31.
//!
//! The store keeps the whole document as 0.56 wrote it, and the part of it that 0.31 can say: that
//! is what 0.31 reads, and what rooms run. Where the part is not all, 0.31 cannot change the
//! service; where 0.56 cannot say all that 0.31 wrote, 0.56 cannot.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Refusal, Result};
use crate::dialect::wire::ServiceSpec;
use crate::kinds::specs::rules;
use crate::platform::exchange;

/// The port of the room itself.
const RESERVED: u64 = 8078;

/// A service in both APIs.
pub struct Service {
    /// Its document in 0.56, without an id.
    pub whole: Value,
    /// What 0.31 can say of it.
    pub old: ServiceSpec,
    /// Whether it is started.
    pub enabled: bool,
    /// Whose rights its container has: an address.
    pub run_as: Option<String>,
    /// The secrets that it names: the field and the id.
    pub secrets: Vec<(String, String)>,
}

type Fields = Map<String, Value>;

/// Takes a field out, and decodes it. Null is as absent.
fn take<T: DeserializeOwned>(fields: &mut Fields, at: &str, name: &str) -> Result<Option<T>> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let place = if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
            exchange::decode(value).map(Some).map_err(|refusal| match refusal {
                Refusal::Invalid { field: None, message } => Refusal::field(place, message),
                Refusal::Invalid { field: Some(field), message } => {
                    Refusal::field(format!("{place}.{field}"), message)
                }
                refusal => refusal,
            })
        }
    }
}

/// The objects of a list in a field, each with its place.
fn each<'a>(
    fields: &'a mut Fields,
    at: &'a str,
    name: &'a str,
) -> impl Iterator<Item = (String, &'a mut Fields)> {
    let items = fields.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten();
    let place = move |(number, item): (usize, &'a mut Value)| {
        let dot = if at.is_empty() { "" } else { "." };
        Some((format!("{at}{dot}{name}[{number}]"), item.as_object_mut()?))
    };
    items.enumerate().filter_map(place)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunAs {
    email: String,
    #[serde(default)]
    scopes: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Template {
    Agent,
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identified {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "what is read is checked, and kept as it was given")]
struct File {
    path: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "what is read is checked, and kept as it was given")]
struct Volume {
    name: String,
    path: String,
    subpath: Option<String>,
    #[serde(default)]
    read_only: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "what is read is checked, and kept as it was given")]
struct Config {
    path: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentEmail {
    address: String,
    #[serde(default, rename = "public")]
    _public: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Heartbeat {
    queue: String,
    #[serde(rename = "thread_id")]
    _thread: Option<String>,
    prompt: Vec<Fields>,
    minutes: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Channels {
    #[serde(default)]
    email: Option<Vec<Fields>>,
    #[serde(default)]
    messaging: Option<Vec<Fields>>,
    #[serde(default)]
    queue: Option<Vec<Fields>>,
    #[serde(default)]
    toolkit: Option<Vec<Fields>>,
}

fn not_blank(at: &str, text: &str) -> Result<()> {
    match text.trim().is_empty() {
        true => Err(Refusal::field(at, "must not be blank")),
        false => rules::text(text).map_err(Refusal::at(at)),
    }
}

/// Refuses items without a text that they need, and with fields that there are not.
fn items(at: &str, items: Option<Vec<Fields>>, needed: Option<&str>, known: &[&str]) -> Result<()> {
    for (number, item) in items.into_iter().flatten().enumerate() {
        let at = format!("{at}[{number}]");
        if let Some(needed) = needed
            && !item.get(needed).is_some_and(Value::is_string)
        {
            return Err(Refusal::field(format!("{at}.{needed}"), "is required, as text"));
        }
        let is_known = |name: &&String| needed == Some(name) || known.contains(&name.as_str());
        if let Some(unknown) = item.keys().find(|name| !is_known(name)) {
            return Err(Refusal::field(format!("{at}.{unknown}"), "is not a known field"));
        }
    }
    Ok(())
}

/// Takes what 0.31 does not know out of an agent.
fn agent(at: &str, fields: &mut Fields) -> Result<()> {
    if let Some(email) = take::<AgentEmail>(fields, at, "email")? {
        not_blank(&format!("{at}.email.address"), &email.address)?;
    }
    if let Some(heartbeat) = take::<Heartbeat>(fields, at, "heartbeat")? {
        not_blank(&format!("{at}.heartbeat.queue"), &heartbeat.queue)?;
        if heartbeat.prompt.is_empty() {
            return Err(Refusal::field(format!("{at}.heartbeat.prompt"), "must not be empty"));
        }
        if heartbeat.minutes == 0 {
            return Err(Refusal::field(format!("{at}.heartbeat.minutes"), "must be at least 1"));
        }
    }
    if let Some(channels) = take::<Channels>(fields, at, "channels")? {
        let at = |name: &str| format!("{at}.channels.{name}");
        items(&at("email"), channels.email, Some("address"), &["private", "annotations"])?;
        let known = ["protocol", "prompts", "annotations"];
        items(&at("messaging"), channels.messaging, None, &known)?;
        let known = ["threading_mode", "message_schema", "annotations"];
        items(&at("queue"), channels.queue, Some("queue"), &known)?;
        items(&at("toolkit"), channels.toolkit, Some("name"), &["annotations"])?;
    }
    match fields.keys().find(|name| !["name", "description", "annotations"].contains(&&***name)) {
        Some(unknown) => Err(Refusal::field(format!("{at}.{unknown}"), "is not a known field")),
        None => Ok(()),
    }
}

/// Takes what 0.31 does not know out of a scope. `dataset` was `database`.
fn scope(fields: Option<&mut Value>) {
    let Some(scope) = fields.and_then(Value::as_object_mut) else { return };
    for name in ["datasets", "dataset"] {
        if let Some(dataset) = scope.remove(name).filter(|dataset| !dataset.is_null()) {
            scope.insert("database".to_owned(), dataset);
        }
    }
    for name in ["sqlite", "llm"] {
        scope.remove(name);
    }
    for (member, name) in [("storage", "files"), ("containers", "registry")] {
        if let Some(member) = scope.get_mut(member).and_then(Value::as_object_mut) {
            member.remove(name);
        }
    }
}

/// Takes what 0.31 does not know out of a port.
fn port(at: &str, fields: &mut Fields) -> Result<()> {
    let host: Option<u64> = take(fields, at, "host_port")?;
    if host == Some(0) {
        return Err(Refusal::field(format!("{at}.host_port"), "must be at least 1"));
    }
    let number = fields.get("num");
    let number = number.and_then(|num| num.as_u64().or_else(|| num.as_str()?.trim().parse().ok()));
    if number == Some(RESERVED) {
        let message = format!("{RESERVED} is the room's own");
        return Err(Refusal::field(format!("{at}.num"), message));
    }
    for (at, endpoint) in each(fields, at, "endpoints") {
        if let Some(mcp) = endpoint.get_mut("mcp").and_then(Value::as_object_mut) {
            take::<String>(mcp, &format!("{at}.mcp"), "use_proxy_secret")?;
        }
        if let Some(called) = endpoint.get_mut("meshagent").and_then(Value::as_object_mut) {
            scope(called.get_mut("api"));
        }
    }
    Ok(())
}

/// What a container has that 0.31 does not know.
#[derive(Default)]
struct Container {
    run_as: Option<String>,
    secrets: Vec<(String, String)>,
}

/// Takes what 0.31 does not know out of a container.
fn container(fields: &mut Fields, whole: &mut Fields) -> Result<Container> {
    const AT: &str = "container";
    for (name, instead) in [
        ("secrets", "name secrets in `environment`, and an account in `run_as`"),
        ("api_key", "name an account in `run_as`"),
    ] {
        if fields.contains_key(name) {
            let message = format!("is not a field any more: {instead}");
            return Err(Refusal::field(format!("{AT}.{name}"), message));
        }
    }
    let mut found = Container::default();
    if let Some(RunAs { email, scopes }) = take(fields, AT, "run_as")? {
        let email = email.trim().to_lowercase();
        not_blank("container.run_as.email", &email)?;
        let mut named: Vec<String> = Vec::new();
        for scope in scopes.unwrap_or_else(|| vec!["secrets:proxy".to_owned()]) {
            let scope = scope.trim().to_owned();
            if !named.contains(&scope) {
                named.push(scope);
            }
        }
        whole.insert("run_as".to_owned(), json!({ "email": email, "scopes": named }));
        found.run_as = Some(email);
    }
    if !fields.contains_key("template") {
        whole.insert("template".to_owned(), json!("agent"));
    }
    take::<Template>(fields, AT, "template")?;
    whole.entry("private").or_insert(json!(true));
    if let Some(Identified { id }) = take(fields, AT, "pull_secret")? {
        found.secrets.push((format!("{AT}.pull_secret.id"), id));
    }
    for (at, variable) in each(fields, AT, "environment") {
        if let Some(Identified { id }) = take(variable, &at, "secret")? {
            if found.run_as.is_none() {
                let message = "needs `container.run_as`: the account that may read it";
                return Err(Refusal::field(format!("{at}.secret"), message));
            }
            found.secrets.push((format!("{at}.secret.id"), id));
        }
        let Some(token) = variable.get_mut("token").and_then(Value::as_object_mut) else {
            continue;
        };
        let role = token.get("role").and_then(Value::as_str);
        if role.is_some_and(|role| !["user", "agent", "tool"].contains(&role)) {
            let message = "must be user, agent or tool";
            return Err(Refusal::field(format!("{at}.token.role"), message));
        }
        scope(token.get_mut("api"));
    }
    if let Some(storage) = fields.get_mut("storage").and_then(Value::as_object_mut) {
        const AT: &str = "container.storage";
        if storage.contains_key("project") {
            let message = "is not a field any more";
            return Err(Refusal::field("container.storage.project", message));
        }
        take::<Vec<Volume>>(storage, AT, "volumes")?;
        take::<Vec<Config>>(storage, AT, "configs")?;
    }
    Ok(found)
}

impl Service {
    /// Reads a document of 0.56. 400 names the wrong field.
    pub fn read(body: Value) -> Result<Self> {
        let not_object = || Refusal::Invalid { field: None, message: "must be an object".into() };
        let Value::Object(mut whole) = body else { return Err(not_object()) };
        let mut old = whole.clone();
        if old.get("enabled").is_some_and(Value::is_null) {
            return Err(Refusal::field("enabled", "must be true or false"));
        }
        let enabled = take(&mut old, "", "enabled")?.unwrap_or(true);
        whole.insert("enabled".to_owned(), json!(enabled));
        whole.entry("ports").or_insert(json!([]));
        take::<Vec<File>>(&mut old, "", "files")?;
        for (at, fields) in each(&mut old, "", "agents") {
            agent(&at, fields)?;
        }
        for (at, fields) in each(&mut old, "", "ports") {
            port(&at, fields)?;
        }
        let fields = old.get_mut("container").and_then(Value::as_object_mut);
        let of_whole = whole.get_mut("container").and_then(Value::as_object_mut);
        let Container { run_as, secrets } = match (fields, of_whole) {
            (Some(fields), Some(of_whole)) => container(fields, of_whole)?,
            _ => Container::default(),
        };
        let old: ServiceSpec = exchange::decode(Value::Object(old))?;
        whole.remove("id");
        Ok(Self { whole: Value::Object(whole), old, enabled, run_as, secrets })
    }

    /// Whether 0.31 can say all of it.
    pub fn is_plain(&self) -> Result<bool> {
        Ok(alike(&self.whole) == alike(&of_old(serde_json::to_value(&self.old)?).0))
    }
}

/// A document without what says nothing, for comparing.
fn alike(document: &Value) -> Value {
    match document {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), alike(value)))
            .filter(|(_, value)| !value.is_null())
            .collect(),
        Value::Array(items) => items.iter().map(alike).collect(),
        value => value.clone(),
    }
}

/// Moves what has another name, and takes out what 0.56 does not have; true if that said something.
fn scope_of_old(fields: Option<&mut Value>) -> bool {
    let Some(scope) = fields.and_then(Value::as_object_mut) else { return false };
    if let Some(database) = scope.remove("database").filter(|database| !database.is_null()) {
        scope.insert("dataset".to_owned(), database);
    }
    let secrets = scope.get_mut("secrets").and_then(Value::as_object_mut);
    secrets.is_some_and(|secrets| {
        let said = secrets.values().any(|value| !value.is_null());
        secrets.clear();
        said
    })
}

/// Takes a field out; true if it said something.
fn dropped(fields: &mut Fields, name: &str) -> bool {
    match fields.remove(name) {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    }
}

/// A document of 0.31 as 0.56 reads it, and what of it 0.56 cannot say. Its container has nothing
/// mounted that it did not ask for, so its template is `none`.
pub fn of_old(mut document: Value) -> (Value, Vec<&'static str>) {
    let mut lost = Vec::new();
    let Some(service) = document.as_object_mut() else { return (document, lost) };
    service.insert("enabled".to_owned(), json!(true));
    if service.get("ports").is_none_or(Value::is_null) {
        service.insert("ports".to_owned(), json!([]));
    }
    for (_, port) in each(service, "", "ports") {
        if port.get("num").and_then(Value::as_u64) == Some(RESERVED) {
            lost.push("ports.num");
        }
        for (_, endpoint) in each(port, "", "endpoints") {
            let called = endpoint.get_mut("meshagent").and_then(Value::as_object_mut);
            if scope_of_old(called.and_then(|called| called.get_mut("api"))) {
                lost.push("ports.endpoints.meshagent.api.secrets");
            }
        }
    }
    let Some(container) = service.get_mut("container").and_then(Value::as_object_mut) else {
        return (document, lost);
    };
    container.insert("template".to_owned(), json!("none"));
    for (name, place) in [
        ("secrets", "container.secrets"),
        ("api_key", "container.api_key"),
        ("pull_secret", "container.pull_secret"),
    ] {
        if dropped(container, name) {
            lost.push(place);
        }
    }
    let mut environment = std::mem::take(container.entry("environment").or_insert(Value::Null));
    for variable in environment.as_array_mut().into_iter().flatten() {
        let Some(variable) = variable.as_object_mut() else { continue };
        if dropped(variable, "secret") {
            lost.push("container.environment.secret");
        }
        let Some(token) = variable.get_mut("token").and_then(Value::as_object_mut) else {
            continue;
        };
        let role = token.get("role").and_then(Value::as_str);
        if role.is_some_and(|role| !["user", "agent", "tool"].contains(&role)) {
            token.remove("role");
            lost.push("container.environment.token.role");
        }
        if scope_of_old(token.get_mut("api")) {
            lost.push("container.environment.token.api.secrets");
        }
    }
    container.insert("environment".to_owned(), environment);
    if let Some(storage) = container.get_mut("storage").and_then(Value::as_object_mut)
        && dropped(storage, "project")
    {
        lost.push("container.storage.project");
    }
    (document, lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(rest: &Value) -> Value {
        let mut whole = json!({"version": "v1", "kind": "Service", "metadata": {"name": "a"}});
        if let (Some(whole), Some(rest)) = (whole.as_object_mut(), rest.as_object()) {
            whole.extend(rest.clone());
        }
        whole
    }

    fn refused(rest: &Value) -> Option<String> {
        match Service::read(service(rest)) {
            Err(Refusal::Invalid { field, .. }) => field,
            Err(other) => panic!("{rest}: {other}"),
            Ok(_) => None,
        }
    }

    #[test]
    fn what_the_sdk_refuses_is_refused_with_its_field() {
        let container = |fields: Value| {
            let mut container = json!({"image": "x"});
            container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            json!({ "container": container })
        };
        let variable = |fields: Value| {
            let mut variable = json!({"name": "A"});
            variable.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            json!({ "environment": [variable] })
        };
        for (rest, field) in [
            (json!({"enabled": null}), "enabled"),
            (json!({"files": [{"path": "/a"}]}), "files.[0].text"),
            (json!({"agents": [{"name": "a", "color": "red"}]}), "agents[0].color"),
            (
                json!({"agents": [{"name": "a", "email": {"address": " "}}]}),
                "agents[0].email.address",
            ),
            (
                json!({"agents": [{"name": "a", "heartbeat": {"queue": "q", "prompt": [], "minutes": 1}}]}),
                "agents[0].heartbeat.prompt",
            ),
            (
                json!({"agents": [{"name": "a", "channels": {"queue": [{"threading_mode": null}]}}]}),
                "agents[0].channels.queue[0].queue",
            ),
            (json!({"ports": [{"num": 8078}]}), "ports[0].num"),
            (json!({"ports": [{"num": "8078"}]}), "ports[0].num"),
            (json!({"ports": [{"num": 80, "host_port": 0}]}), "ports[0].host_port"),
            (container(json!({"secrets": null})), "container.secrets"),
            (container(json!({"api_key": null})), "container.api_key"),
            (container(json!({"template": "other"})), "container.template"),
            (container(json!({"run_as": {"email": " "}})), "container.run_as.email"),
            (container(json!({"storage": {"project": null}})), "container.storage.project"),
            (
                container(variable(json!({"secret": {"id": "s"}}))),
                "container.environment[0].secret",
            ),
            (
                container(variable(json!({"token": {"identity": "a", "role": "other"}}))),
                "container.environment[0].token.role",
            ),
        ] {
            assert_eq!(refused(&rest).as_deref(), Some(field), "{rest}");
        }
        let text = container(json!({"pull_secret": "text"}));
        assert!(refused(&text).is_some_and(|field| field.starts_with("container.pull_secret")));
    }

    #[test]
    fn what_0_31_can_say_is_plain_and_comes_back() {
        let plain = service(&json!({
            "container": {
                "image": "x",
                "template": "none",
                "environment": [{"name": "A", "token": {"identity": "i", "api": {"dataset": {}}}}],
            },
            "ports": [{"num": 80, "endpoints": [{"path": "/", "meshagent": {"identity": "i"}}]}],
        }));
        let read = Service::read(plain).unwrap();
        assert!(read.old.container.is_some() && read.enabled);
        let token = &serde_json::to_value(&read.old).unwrap()["container"]["environment"][0];
        assert!(token["token"]["api"]["database"].is_object(), "{token}");
        for beyond in [
            json!({"container": {"image": "x"}}),
            json!({"enabled": false, "container": {"image": "x", "template": "none"}}),
            json!({"files": [{"path": "/a", "text": "b"}], "container": {"image": "x", "template": "none"}}),
            json!({"ports": [{"num": 80, "host_port": 81}], "container": {"image": "x", "template": "none"}}),
        ] {
            assert!(!Service::read(service(&beyond)).unwrap().is_plain().unwrap(), "{beyond}");
        }
    }

    #[test]
    fn what_0_31_wrote_is_read_without_what_is_gone() {
        let old = service(&json!({
            "container": {
                "image": "x",
                "secrets": ["s"],
                "api_key": null,
                "storage": {"project": [{"path": "/p"}]},
                "environment": [{"name": "A", "token": {"identity": "i", "role": "custom"}}],
            },
            "ports": null,
        }));
        let (document, lost) = of_old(old);
        let expected =
            ["container.secrets", "container.environment.token.role", "container.storage.project"];
        assert_eq!(lost, expected);
        assert!(Service::read(document).is_ok());
        let (_, lost) = of_old(service(&json!({"container": {"image": "x", "secrets": []}})));
        assert_eq!(lost, Vec::<&str>::new());
    }
}
