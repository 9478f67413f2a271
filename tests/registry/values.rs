//! Values of fields of full documents where the platform, or another document, has a say.

use meshagent::kinds::KindName;
use serde_json::{Value, json};

use super::documents::IN_A_ROOM;
use crate::reconciler::{OTHER_ROBOT, OTHER_SECRET, ROBOT, SECRET};

/// Values where the platform, or another document, has a say.
pub fn known_values(kind: KindName, choice: &str, path: &str) -> Option<[Value; 2]> {
    Some(match (kind, path) {
        (kind, "room") if kind.refers_to(KindName::Room).is_some() => {
            [json!("lobby"), json!("hall")]
        }
        (KindName::Secret, "service_account") | (_, "container.run_as.account") => {
            [json!("support"), json!("other")]
        }
        (_, "container.environment.secret.id") => [json!("support/token"), json!("support/other")],
        (KindName::Route, "port" | "paths.targetPort") | (_, "ports.num") => {
            [json!(5002), json!(5003)]
        }
        (KindName::Route, "backend.room.name") => [json!("lobby"), json!("hall")],
        (KindName::Route, "paths.path") => [json!("/one"), json!("/two")],
        (KindName::Route, "paths.targetContent.cors.allowedMethods") => {
            [json!(["PUT"]), json!(["POST", "PUT"])]
        }
        (KindName::ScheduledTask, "schedule") => [json!("0 7 * * *"), json!("0 8 * * 1-5")],
        (KindName::Webhook, "url") => [json!("https://one.example/a"), json!("http://two/b?c=d")],
        (KindName::RoomFile, "text") => [json!("one\n"), json!("two\n")],
        (KindName::RoomFile | KindName::RoomSecret, "type") => {
            [json!("text/x-one"), json!("text/x-two")]
        }
        (KindName::Document, "schema") => [of_documents("one"), of_documents("two")],
        (KindName::Document, "content") => {
            ["one", "two"].map(|text| json!({"document": {"content": [{"body": {"text": text}}]}}))
        }
        (KindName::Table, "columns.name" | "indexes.column" | "key") => [json!("id"), json!("id")],
        // What one is in either type, so that a row fits both.
        (KindName::Table, "columns.type") => [json!("text"), json!("date")],
        (KindName::Table, "rows") => {
            [json!([{"id": "2026-11-30"}]), json!([{"id": "2026-12-01"}, {"id": "2026-12-02"}])]
        }
        (KindName::Table, "indexes.kind") => [json!("scalar"), json!("scalar")],
        (KindName::Webhook, "events") => {
            [json!(["room.started", "room.ended"]), json!(["room.call"])]
        }
        (_, "container.secrets") => [json!(["model-keys"]), json!(["other-keys", "model-keys"])],
        (_, "container.pull_secret") => [json!("registry"), json!("other-registry")],
        (KindName::Agent, "threading.mode") => match choice {
            "chatbot" | "process" | "codex-chatbot" => [json!("default-new"), json!("none")],
            _ => [json!("auto"), json!("manual")],
        },
        (KindName::Agent, "channels") => {
            [json!(["chat", "mail:a@b.c"]), json!(["queue:jobs", "toolkit:all"])]
        }
        (KindName::Agent, "tools.memory") => [json!("notes"), json!("team/notes")],
        (KindName::Agent, "mounts.shell_image") => [json!(["a=/b:ro"]), json!(["c:1=/d"])],
        (KindName::Agent, "mounts.shell_empty") => [json!(["/a", "/b:ro"]), json!(["/c:rw"])],
        (KindName::Agent, path) if path.starts_with("mounts.") => {
            [json!(["a/b:/c"]), json!(["a:/b:ro", "c:d:/e"])]
        }
        (KindName::Agent, "secrets") => {
            [json!(["model-keys"]), json!(["other-keys", "model-keys"])]
        }
        (KindName::RoleGrant, "roles") if choice == IN_A_ROOM => {
            [json!(["operator"]), json!(["viewer", "developer"])]
        }
        (KindName::RoleGrant, "roles") => [json!(["developer", "room_creator"]), json!(["admin"])],
        (KindName::ManagedAgent, path) => return of_managed_agents(choice, path),
        // An API scope is the same type in two places and has no key of its own.
        _ => return None,
    })
}

/// A schema of documents, with a value of this name.
fn of_documents(value: &str) -> Value {
    let text = json!({"type": "string"});
    let content = json!({"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/body"}]}});
    let body = json!({"properties": {"text": text, value: text}});
    json!({
        "$root_tag_ref": "#/$defs/document",
        "$defs": {
            "document": {"properties": {"document": {"properties": {"content": content}}}},
            "body": {"properties": {"body": body}},
        },
    })
}

/// The same for managed agents, whose fields depend on each other.
fn of_managed_agents(choice: &str, path: &str) -> Option<[Value; 2]> {
    let schema = |name: &str| {
        json!({
            "type": "object", "properties": {name: {"type": "string"}}, "required": [name],
            "additionalProperties": false,
        })
    };
    Some(match path {
        "allowed_models.provider" => [json!("openai"), json!("openai")],
        "run_as.email" if choice == "secrets" => [json!(ROBOT), json!(ROBOT)],
        "run_as.email" => [json!(ROBOT), json!(OTHER_ROBOT)],
        "run_as.scopes" => {
            [json!(["secrets:read", "llm_proxy"]), json!(["secrets:read", "secrets:proxy"])]
        }
        "toolkits.type" => {
            let name = if choice == "secrets" { "web_search" } else { choice };
            [json!(name), json!(name)]
        }
        "tools.name" | "tools.entrypoint" | "environment.name" => [json!("one"), json!("two")],
        "tools.input_schema" => [schema("text"), schema("other")],
        "connections.KEY.headers.name" => [json!("X-One"), json!("X-Two")],
        path if path.ends_with(".secret.id") => [json!(SECRET), json!(OTHER_SECRET)],
        path if path.ends_with(".check.model") => [json!("openai/one"), json!("openai/two")],
        path if path.ends_with(".minimum_allow_probability") => [json!(0.5), json!(0.75)],
        path if path.ends_with(".max_retries") => [json!(1), json!(3)],
        path if path.ends_with(".on_reject.action") => {
            let first = if path.starts_with("guardrails.tools") { "deny" } else { "block" };
            [json!(first), json!("block")]
        }
        path if path.ends_with(".on_error.action") => [json!("pass"), json!("block")],
        path if path.starts_with("guardrails.") && path.ends_with(".name") => {
            [json!(format!("{path}-one")), json!(format!("{path}-two"))]
        }
        _ => return None,
    })
}
