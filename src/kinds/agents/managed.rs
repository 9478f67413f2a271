//! *Pure*: the agent without a container that an agent of options becomes where that is asked for. It
//! is run by the platform itself, so it has what a managed agent can have, and every other field is
//! refused.

use serde_json::{Map, Value, json};

use super::family::{Action, Family};
use super::options::AgentOption;
use super::said::Said;
use crate::kinds::Fault;
use crate::kinds::path::{FieldPath, Step};

/// The families whose agents people talk to, as they do to managed ones.
const FAMILIES: [Family; 2] = [Family::Chatbot, Family::Process];

/// The options that a managed agent can have.
const OPTIONS: [&str; 7] = [
    "agent-name",
    "channel",
    "model",
    "rule",
    "require-web-search",
    "require-web-fetch",
    "require-image-generation",
];

/// The fields beside the options that belong to a room or a container, and what to do instead.
const OF_A_CONTAINER: [(&str, &str); 4] = [
    ("room", "remove it: a managed agent is one of the project"),
    ("rooms", "remove it: a managed agent is one of the project"),
    ("image", "remove it: the platform runs a managed agent by itself"),
    ("secrets", "describe it as a `ManagedAgent`, whose `environment` names secrets of an account"),
];

const INSTEAD: &str = "remove it, or leave out `managed` for an agent in a container";

fn refused(path: FieldPath, hint: &str) -> Fault {
    let message = format!("a managed agent has no `{path}`");
    Fault { path, message, hint: Some(hint.to_owned()) }
}

fn field(option: &AgentOption) -> FieldPath {
    super::document::field_of(option)
}

/// Why an agent cannot be a managed one: each field that those do not have.
#[must_use]
pub fn faults(family: Family, document: &Map<String, Value>, said: &Said) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !FAMILIES.contains(&family) {
        let message = format!("an agent of type `{}` cannot be managed", family.name());
        let names = FAMILIES.map(Family::name).join(" or ");
        faults.push(Fault::new(&["type"], message).hint(format!("use {names}")));
        return faults;
    }
    let is_said = |name: &str| document.get(name).is_some_and(|value| !value.is_null());
    for (name, hint) in OF_A_CONTAINER {
        if is_said(name) {
            faults.push(refused(FieldPath::of(&[name]), hint));
        }
    }
    for name in ["repo", "icon"] {
        if document.get("metadata").and_then(|it| it.get(name)).is_some_and(|it| !it.is_null()) {
            faults.push(refused(FieldPath::of(&["metadata", name]), "remove it"));
        }
    }
    for option in family.options(Action::Spec) {
        // What is off in a container is not there without one either.
        let value = said.get(option.name).filter(|value| **value != Value::Bool(false));
        let is_listed = document.contains_key("secrets") && option.name == "secret";
        if value.is_some() && !OPTIONS.contains(&option.name) && !is_listed {
            faults.push(refused(field(&option), INSTEAD));
        }
        match (option.name, value) {
            ("channel", Some(Value::Array(channels))) => {
                let others = channels.iter().enumerate().filter(|(_, it)| *it != "chat");
                faults.extend(others.map(|(index, _)| {
                    let path = field(&option).join(Step::Index(index));
                    let message =
                        format!("`{path}` is a channel that a managed agent does not have");
                    Fault { path, message, hint: Some("leave `chat` only, or nothing".to_owned()) }
                }));
            }
            ("agent-name", Some(name)) if *name != document["metadata"]["name"] => {
                let path = field(&option);
                let message = "a managed agent is called by its `metadata.name`".to_owned();
                let hint = Some("remove `agent_name`, or write the same".to_owned());
                faults.push(Fault { path, message, hint });
            }
            _ => {}
        }
    }
    let variables = document.get("environment").and_then(Value::as_array).into_iter().flatten();
    for (index, variable) in variables.enumerate() {
        for name in ["token", "secret"] {
            if variable.get(name).is_some_and(|it| !it.is_null()) {
                let path = FieldPath::of(&["environment"]).join(Step::Index(index)).field(name);
                let hint = "write its text as `value`, or describe the agent as a `ManagedAgent`";
                faults.push(refused(path, hint));
            }
        }
    }
    faults
}

/// The fields of the managed agent, as its own documents have them. `said` has the default of what
/// has one.
#[must_use]
pub fn fields(document: &Map<String, Value>, said: &Said, model: &str) -> Value {
    let provider = if model.starts_with("claude-") { "anthropic" } else { "openai" };
    let is_on = |name: &str| said.get(name) == Some(&Value::Bool(true));
    let mut toolkits = Vec::new();
    for (option, name) in [("require-web-search", "web_search"), ("require-web-fetch", "web_fetch")]
    {
        if is_on(option) {
            toolkits.push(json!({ "type": name }));
        }
    }
    if let Some(model) = said.get("require-image-generation") {
        toolkits.push(json!({ "type": "image_generation", "model": model }));
    }
    let rules = said.get("rule").and_then(Value::as_array);
    let rules: Vec<&str> = rules.into_iter().flatten().filter_map(Value::as_str).collect();
    let variables = document.get("environment").and_then(Value::as_array).into_iter().flatten();
    let variables = variables.map(|it| json!({ "name": it["name"], "value": it["value"] }));
    let annotations = document.get("metadata").and_then(|it| it.get("annotations"));
    let mut fields = json!({
        "metadata": { "annotations": annotations },
        "allowed_models": [{ "provider": provider, "model": model }],
        "environment": variables.collect::<Vec<_>>(),
    });
    if !rules.is_empty() {
        fields["instructions"] = rules.join("\n").into();
    }
    if !toolkits.is_empty() {
        fields["toolkits"] = toolkits.into();
    }
    fields
}

/// The field of a document that says what is in a field of the managed agent.
#[must_use]
pub fn written_at(path: &FieldPath) -> Option<FieldPath> {
    let Some(Step::Field(name)) = path.0.first() else { return None };
    match name.as_str() {
        "allowed_models" => Some(FieldPath::of(&["model"])),
        "instructions" => Some(FieldPath::of(&["rules"])),
        "toolkits" => Some(FieldPath::of(&["tools"])),
        _ => None,
    }
}
