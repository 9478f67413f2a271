//! Documents that say everything a kind can say, grown from its schema, so that a field
//! that is added tomorrow is in them.

use meshagent::api::spoken::Spoken;
use meshagent::kinds::agents::family::{Action, Family};
use meshagent::kinds::agents::options::{AgentOption, MAPS};
use meshagent::kinds::{Kind, KindName, schema};
use serde_json::{Map, Value, json};

use super::values::known_values;
use crate::spoken::has;

/// A field of a kind's documents.
#[derive(Debug, Clone)]
pub struct Field {
    /// The way to it in the document, list items by their position.
    pub pointer: String,
    /// The names on the way.
    pub names: Vec<String>,
    /// What it is in the full document, and something else where that can be.
    pub values: Vec<Value>,
    /// Whether a document without it is no document.
    pub required: bool,
    /// Whether it tells the items of its list apart.
    pub identity: bool,
    /// Whether its texts are never shown.
    pub secret: bool,
    /// What it means when it is absent.
    pub default: Value,
    /// Whether it has fields of its own.
    pub composite: bool,
}

/// One full document of a kind. Fields that exclude each other stand in several.
pub struct Variant {
    pub kind: &'static dyn Kind,
    pub label: &'static str,
    pub document: Value,
    pub fields: Vec<Field>,
}

/// What stands in a variant: its fixed fields, and what it leaves out.
struct Choice {
    label: &'static str,
    fixed: Value,
    without: Vec<String>,
}

fn paths(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

/// Agents of every type, with all that it can have. Another participant cannot do what needs a
/// model of OpenAI, so these have documents of their own.
fn agents() -> Vec<Choice> {
    let of_others = ["llm_participant".to_owned()];
    let of_openai = ["image_generation", "local_shell", "apply_patch", "computer_use"];
    let of_openai = of_openai
        .into_iter()
        .flat_map(|tool| ["", "offers.", "tools."].map(|above| format!("{above}{tool}")));
    let of_openai: Vec<String> = of_openai.collect();
    let mut all = Vec::new();
    for family in Family::ALL {
        let name: &'static str = family.name().leak();
        let fixed = json!({"metadata": {"name": "full"}, "type": name});
        let own: Vec<_> =
            family.options(Action::Spec).iter().filter_map(AgentOption::field).collect();
        let known = Family::ALL.into_iter().flat_map(|family| family.options(Action::Spec));
        let foreign = known.filter_map(|it| it.field()).filter(|field| !own.contains(field));
        let empty = MAPS.iter().map(|(map, _)| (*map).to_owned());
        let empty = empty.filter(|map| own.iter().all(|field| field[0] != *map));
        let foreign: Vec<String> = foreign.map(|field| field.join(".")).chain(empty).collect();
        let mut of = |more: &[String]| {
            let without = [&foreign[..], more].concat();
            all.push(Choice { label: name, fixed: fixed.clone(), without });
        };
        of(&of_others);
        if own.contains(&vec!["llm_participant".to_owned()]) {
            of(&of_openai);
        }
    }
    all
}

/// Managed agents with each toolkit that has fields, and one whose texts are secrets.
fn managed_agents() -> Vec<Choice> {
    let of_toolkits = [
        ("web_search", &["allowed_domains", "blocked_domains"][..]),
        (
            "image_generation",
            &[
                "background",
                "input_image_mask_url",
                "model",
                "moderation",
                "output_compression",
                "output_format",
                "partial_images",
                "quality",
                "size",
            ],
        ),
        ("mcp", &["servers"]),
    ];
    let secrets = ["environment.secret", "connections.KEY.headers.secret"];
    let texts = ["environment.value", "connections.KEY.headers.value"];
    let choice = |label: &'static str, toolkit: &str, without: &[&str]| {
        let others = of_toolkits.iter().filter(|(name, _)| *name != toolkit);
        let others = others.flat_map(|(_, fields)| *fields).map(|it| format!("toolkits.{it}"));
        let without = others.chain(paths(without)).collect();
        Choice { label, fixed: json!({"metadata": {"name": "full"}}), without }
    };
    let prefixed = [&secrets[..], &["connections.KEY.headers.prefix"]].concat();
    let mut all: Vec<Choice> =
        of_toolkits.iter().map(|(name, _)| choice(name, name, &prefixed)).collect();
    all.push(choice("secrets", "web_search", &texts));
    all
}

/// The full documents of a kind.
pub fn variants(kind: &'static dyn Kind) -> Vec<Variant> {
    let schema = schema::inlined(kind);
    choices(kind.name())
        .into_iter()
        .map(|choice| {
            let mut grower = Grower { kind: kind.name(), choice: &choice, fields: Vec::new() };
            let mut document = grower.object(schema, "", &[], false);
            let fields = grower.fields;
            merge(&mut document, json!({"version": "v1", "kind": kind.name().to_string()}));
            merge(&mut document, choice.fixed.clone());
            Variant { kind, label: choice.label, document, fields }
        })
        .collect()
}

/// Routes to a port, and those that say paths.
fn routes() -> Vec<Choice> {
    let of = |label, without: &[&str]| Choice {
        label,
        fixed: json!({"metadata": {"name": "full.meshagent.app"}}),
        without: paths(without),
    };
    let of_port = ["paths.targetPort", "paths.stripPrefix", "paths.unavailable"];
    let to_files = [&["room", "port", "backend.agent"], &of_port[..]].concat();
    let to_agent = ["room", "port", "backend.room", "paths.targetContent.iap"];
    vec![
        of("to a port", &["backend", "paths"]),
        of("to services", &["room", "port", "backend.agent", "paths.targetContent"]),
        of("to files", &to_files),
        of(TO_AN_AGENT, &[&to_agent[..], &of_port].concat()),
    ]
}

/// A route or a grant that no platform here takes: its managed agents do not run.
const TO_AN_AGENT: &str = "to an agent";

/// Whether an API has anything of a full document, and the platform takes it.
pub fn is_in(spoken: Spoken, variant: &Variant) -> bool {
    match (variant.kind.name(), variant.label) {
        (KindName::Route, "to a port") => true,
        (KindName::Route, label) => spoken == Spoken::V0_56 && label != TO_AN_AGENT,
        (KindName::RoleGrant, label) => label != TO_AN_AGENT,
        _ => true,
    }
}

/// A grant in a room, to somebody in the project.
pub const IN_A_ROOM: &str = "in a room";

/// The ways in which a kind's fields can stand together, with the object's key.
fn choices(kind: KindName) -> Vec<Choice> {
    let one = |fixed: Value| vec![Choice { label: "", fixed, without: Vec::new() }];
    let named = |name: &str| json!({"metadata": {"name": name}});
    match kind {
        KindName::Mailbox => one(named("full@mail.meshagent.com")),
        KindName::Route => routes(),
        KindName::SettingsDocument => one(named("openai")),
        KindName::RoomRoles => one(named("room-roles")),
        KindName::RoleGrant => {
            let of = |label, name: &str| Choice { label, fixed: named(name), without: Vec::new() };
            let mut in_room = of(IN_A_ROOM, "user:ada@example.com");
            in_room.fixed["room"] = json!("lobby");
            vec![
                of("", "user:bob@example.com"),
                of("an account", "service_account:support"),
                of(TO_AN_AGENT, "agent:full"),
                in_room,
            ]
        }
        KindName::Service => vec![
            Choice { label: "container", fixed: named("full"), without: paths(&["external"]) },
            Choice { label: "external", fixed: named("full"), without: paths(&["container"]) },
        ],
        KindName::ServiceTemplate => {
            let placed = json!({"metadata": {"name": "full"}, "room": "lobby"});
            vec![
                Choice { label: "container", fixed: placed.clone(), without: paths(&["external"]) },
                Choice { label: "external", fixed: placed, without: paths(&["container"]) },
            ]
        }
        // Where a field stands that is inside of a room.
        KindName::RoomFile
        | KindName::RoomSecret
        | KindName::Document
        | KindName::Table
        | KindName::Memory => {
            let mut fixed = json!({"metadata": {"name": "full.document"}, "room": "lobby"});
            match kind {
                KindName::RoomSecret => fixed["identity"] = json!("support"),
                KindName::Document => fixed["lifecycle"] = json!({"overwrite": true}),
                _ => {}
            }
            one(fixed)
        }
        KindName::Agent => agents(),
        KindName::ManagedAgent => managed_agents(),
        KindName::AccountSecret => {
            let parts = ["server", "username", "password", "email"];
            let docker =
                json!({"metadata": {"name": "full"}, "account": "support", "type": "docker"});
            let opaque = json!({"metadata": {"name": "full"}, "account": "support", "type": "key"});
            vec![
                Choice { label: "value", fixed: opaque, without: paths(&parts) },
                Choice { label: "docker", fixed: docker, without: paths(&["value"]) },
            ]
        }
        KindName::Secret => {
            let of = |name: &str| json!({"metadata": {"name": "full"}, "type": name});
            vec![
                Choice {
                    label: "keys",
                    fixed: of("keys"),
                    without: paths(&["server", "username", "password", "json_key", "email"]),
                },
                Choice {
                    label: "docker",
                    fixed: of("docker"),
                    without: paths(&["data", "json_key"]),
                },
                Choice {
                    label: "acr",
                    fixed: of("acr"),
                    without: paths(&["data", "json_key", "email"]),
                },
                Choice {
                    label: "gar",
                    fixed: of("gar"),
                    without: paths(&["data", "username", "password", "email"]),
                },
            ]
        }
        _ => one(named("full")),
    }
}

/// Fields that make no difference on the platform: they name the object, place it, or
/// speak to the reconciler. A new field that belongs here has to be put here.
pub fn is_reconcilers_own(kind: KindName, path: &str) -> bool {
    let own: &[&str] = match kind {
        KindName::Secret => &["metadata.description", "type"],
        KindName::AccountSecret => &["metadata.description", "type", "account"],
        KindName::Service => &["id", "room", "rooms", "template", "values", "build"],
        KindName::RoleGrant => &["metadata.description", "room"],
        KindName::RoomFile => &["metadata.description", "room", "rooms", "file"],
        KindName::RoomSecret => &["metadata.description", "room", "rooms", "identity"],
        KindName::Document => &["metadata.description", "room", "rooms"],
        KindName::Table => &["metadata.description", "room", "rooms", "namespace", "rows.file"],
        KindName::Memory => &["metadata.description", "room", "rooms", "namespace"],
        KindName::ServiceTemplate => &["room", "rooms", "values", "variables"],
        // Of another image, what is said counts, also where it is the default.
        KindName::Agent => &["room", "rooms", "managed", "type", "image"],
        // There is one language, and one sort of checks.
        KindName::ManagedAgent => &[
            "metadata.description",
            "tools.type",
            "guardrails.input.check.type",
            "guardrails.output.checks.check.type",
            "guardrails.tools.input.check.type",
            "guardrails.tools.output.check.type",
        ],
        _ => &["metadata.description"],
    };
    own.contains(&path)
        || kind.kind().name_rule().field == Some(path)
        || ["version", "kind", "project", "lifecycle", "metadata.name"].contains(&path)
}

/// The documents that full documents and examples refer to, as far as an API has their kinds.
pub fn surroundings(spoken: Spoken) -> Vec<Value> {
    let of = |kind: &str, name: &str, rest: Value| {
        let mut document = json!({"version": "v1", "kind": kind, "metadata": {"name": name}});
        merge(&mut document, rest);
        document
    };
    let docker = || json!({"type": "docker", "server": "ghcr.io", "username": "ada", "password": "let-me-in"});
    let keys = || json!({"type": "keys", "data": {"TOKEN": "open-sesame"}});
    let rooms = [of("Room", "lobby", json!({})), of("Room", "hall", json!({}))];
    let mut secrets = [
        of("Secret", "model-keys", keys()),
        of("Secret", "other-keys", keys()),
        of("Secret", "registry", docker()),
        of("Secret", "other-registry", docker()),
    ];
    if has(spoken, KindName::Secret) {
        return rooms.into_iter().chain(secrets).collect();
    }
    // There they belong to an account.
    secrets.iter_mut().for_each(|secret| secret["service_account"] = json!("support"));
    let value = |name: &str| {
        of("AccountSecret", name, json!({"account": "support", "value": "open-sesame"}))
    };
    let accounts = ["support", "other"].map(|name| of("ServiceAccount", name, json!({})));
    let values = ["token", "other"].map(value);
    rooms.into_iter().chain(secrets).chain(accounts).chain(values).collect()
}

/// The surroundings of one document, with the document at their end.
pub fn surrounded(spoken: Spoken, document: &Value) -> Vec<Value> {
    let is_same = |other: &Value| {
        other["kind"] == document["kind"]
            && other["metadata"]["name"] == document["metadata"]["name"]
    };
    let mut all = surroundings(spoken);
    all.retain(|other| !is_same(other));
    all.push(document.clone());
    all
}

struct Grower<'a> {
    kind: KindName,
    choice: &'a Choice,
    fields: Vec<Field>,
}

impl Grower<'_> {
    fn object(&mut self, schema: &Value, pointer: &str, names: &[String], secret: bool) -> Value {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let mut object = Map::new();
        for (name, below) in schema["properties"].as_object().unwrap() {
            let mut names = names.to_vec();
            names.push(name.clone());
            let path = names.join(".");
            if is_reconcilers_own(self.kind, &path) || self.choice.without.contains(&path) {
                continue;
            }
            let pointer = format!("{pointer}/{name}");
            let is_required = required.contains(&json!(name)) || self.is_needed(&path);
            object.insert(name.clone(), self.field(below, &pointer, &names, is_required, secret));
        }
        Value::Object(object)
    }

    /// What a schema calls optional and the choice needs all the same.
    fn is_needed(&self, path: &str) -> bool {
        match self.kind {
            KindName::Service | KindName::ServiceTemplate => {
                // Without the first, a secret belongs to an account, which one API has only.
                let needed = ["container.environment.secret.identity", "container.image"];
                path == self.choice.label || needed.contains(&path)
            }
            KindName::Secret | KindName::AccountSecret => path != "email",
            // Otherwise a file beside the manifest says it.
            KindName::RoomFile => path == "text",
            // Rows that no document has any more stay.
            KindName::Table => path == "rows" || path == "key",
            KindName::Route => {
                let parts = ["room", "port", "backend", "backend.room", "backend.agent", "paths"];
                let targets = ["paths.targetPort", "paths.targetContent"];
                parts.iter().chain(&targets).any(|part| *part == path)
            }
            KindName::ManagedAgent => {
                let of_secrets = [
                    "run_as",
                    "run_as.scopes",
                    "environment.secret",
                    "connections.KEY.headers.secret",
                ];
                let of_texts = ["environment.value", "connections.KEY.headers.value"];
                match self.choice.label {
                    "secrets" => of_secrets.contains(&path),
                    _ => of_texts.contains(&path) || path == "toolkits.servers",
                }
            }
            KindName::Agent => {
                let needs_queue = self.choice.label.ends_with("worker");
                path == "email_address" || path == "queue" && needs_queue
            }
            _ => false,
        }
    }

    fn field(
        &mut self,
        schema: &Value,
        pointer: &str,
        names: &[String],
        required: bool,
        secret: bool,
    ) -> Value {
        let secret = secret || schema["x-secret"] == true;
        let path = names.join(".");
        let position = self.fields.len();
        let has = |name: &str| match &schema["type"] {
            Value::String(text) => text == name,
            Value::Array(types) => types.contains(&json!(name)),
            _ => false,
        };
        // A text that follows its rule of form.
        let text = |which: &str| match schema["x-rule"].as_str() {
            Some("absolute-path") => json!(format!("/{which}/{path}")),
            Some("image" | "variable") => json!(format!("{which}-{path}")),
            Some("web-url") => json!(format!("https://{which}.example/{path}")),
            // In a template it may hold placeholders, and what it makes is a URL all the same.
            None if path == "external.url" => json!(format!("https://{which}.example/{path}")),
            _ => json!(format!("{which} {path}")),
        };
        let mut composite = false;
        let values = if let Some(values) = known_values(self.kind, self.choice.label, &path) {
            values.to_vec()
        } else if let Some(options) = schema["enum"].as_array() {
            let options = options.iter().filter(|option| !option.is_null());
            let mut options: Vec<Value> = options.cloned().collect();
            // What stands in the full document is not what is meant without it.
            options.sort_by_key(|option| *option == schema["default"]);
            options.truncate(2);
            options
        } else if !schema["const"].is_null() {
            vec![schema["const"].clone()]
        } else if has("string") {
            vec![text("one"), text("two")]
        } else if has("boolean") {
            let base = schema["default"] != true;
            vec![json!(base), json!(!base)]
        } else if has("integer") || has("number") {
            vec![json!(11), json!(12)]
        } else if has("array") && schema["items"]["properties"].is_object() {
            composite = true;
            let item = &schema["items"];
            let first = self.fields.len();
            let grown = self.object(item, &format!("{pointer}/0"), names, secret);
            for field in &mut self.fields[first..] {
                let is_own = field.names.len() == names.len() + 1;
                field.identity |= is_own && schema["x-key"] == field.names[names.len()].as_str();
            }
            vec![json!([grown])]
        } else if has("array") {
            vec![json!([text("one"), text("more")]), json!([text("two")])]
        } else if schema["properties"].is_object() {
            composite = true;
            vec![self.object(schema, pointer, names, secret)]
        } else if schema["additionalProperties"].is_object() {
            composite = true;
            let mut names = names.to_vec();
            names.push("KEY".to_owned());
            let below = &schema["additionalProperties"];
            let value = self.field(below, &format!("{pointer}/KEY"), &names, false, secret);
            vec![json!({"KEY": value})]
        } else if has("object") {
            ["one", "two"].map(free).to_vec()
        } else {
            panic!("{}: no value is known for `{path}`: {schema}", self.kind);
        };
        let field = Field {
            pointer: pointer.to_owned(),
            names: names.to_vec(),
            values: values.clone(),
            required,
            identity: false,
            secret,
            default: schema["default"].clone(),
            composite,
        };
        self.fields.insert(position, field);
        values[0].clone()
    }
}

/// Free JSON of every type.
fn free(which: &str) -> Value {
    json!({
        "text": which, "number": 5, "fraction": 1.5, "flag": true, "list": [1, "a", {"b": "c"}],
        "nested": {"deeper": {"text": "d"}}, "empty": {}, "none": [],
    })
}

/// Puts `from` into `into`, map by map.
pub fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// The document with one field changed, or without it.
pub fn with(document: &Value, pointer: &str, value: Option<&Value>) -> Value {
    let mut document = document.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(name.to_owned(), value.clone()),
        None => parent.shift_remove(name),
    };
    document
}
