//! What the platform of 0.56 answers below a project. Every list is one page long.

use axum::http::Method;
use serde_json::{Value, json};

use super::{created, service};

/// A service's id: who gives anything else means a name.
const SERVICE: &str = "44444444-4444-4444-8444-444444444444";

/// A moment.
const TIME: &str = "2026-01-01T00:00:00Z";

/// The usual answer; nothing where there is none.
pub fn answer(
    method: &Method,
    project: &str,
    rest: &[&str],
    body: Option<&Value>,
) -> Option<Value> {
    let get = *method == Method::GET;
    let answer = match rest {
        [] if get => json!({"id": project, "name": "one", "project_key": "one"}),
        ["rooms", rest @ ..] => return in_rooms(method, project, rest, body),
        ["service-accounts", rest @ ..] => return of_accounts(method, project, rest, body),
        ["mailboxes"] if get => json!({"mailboxes": [mailbox()]}),
        ["mailboxes", _] if get => json!({ "mailbox": mailbox() }),
        ["routes"] if get => json!({"routes": [route()]}),
        ["routes", _] if get => json!({ "route": route() }),
        ["scheduled-tasks"] if get => json!({"tasks": [task(project)]}),
        ["sessions"] if get => json!({"sessions": [session()]}),
        ["sessions", _, "events"] if get => {
            json!({"events": [{"type": "room.started", "data": {"room_name": "demo"}}]})
        }
        ["services", rest @ ..] => return of_services(method, rest, body),
        ["mailboxes" | "routes"] => json!({}),
        ["mailboxes" | "routes" | "scheduled-tasks", _] => json!({}),
        _ => return None,
    };
    Some(answer)
}

fn in_rooms(method: &Method, project: &str, rest: &[&str], body: Option<&Value>) -> Option<Value> {
    let get = *method == Method::GET;
    let room = json!({
        "id": "room-1", "name": "demo", "metadata": {}, "annotations": {"a": "b"}, "enabled": true,
    });
    Some(match rest {
        [] if get => json!({"rooms": [room]}),
        [] => created(room, body),
        ["demo"] if get => room,
        ["room-1"] if !get => json!({}),
        [_, "mailboxes"] if get => json!({"mailboxes": [mailbox()], "total": 1}),
        [_, "routes"] if get => json!({"routes": [route()], "total": 1}),
        [_, "scheduled-tasks"] if !get => json!({"task_id": "t-new"}),
        [_, "services", rest @ ..] => return of_services(method, rest, body),
        [_, "scheduled-tasks"] => json!({"tasks": [task(project)]}),
        _ => return None,
    })
}

fn of_services(method: &Method, rest: &[&str], body: Option<&Value>) -> Option<Value> {
    Some(match rest {
        [] if *method == Method::GET => json!({"services": []}),
        [] | ["by-name", "svc"] => service(body, SERVICE),
        [id] if *method != Method::DELETE && *id != "svc" => service(body, id),
        [_] if *method == Method::DELETE => json!({}),
        _ => return None,
    })
}

/// Service accounts with their keys and secrets.
fn of_accounts(
    method: &Method,
    project: &str,
    rest: &[&str],
    body: Option<&Value>,
) -> Option<Value> {
    let get = *method == Method::GET;
    let account = json!({
        "id": "sa-1", "project_id": project, "key": "ci", "name": "ci", "description": "",
        "email": "ci@service.one.example.test", "display_name": null, "metadata": {},
        "annotations": {"a": "b"}, "created_at": TIME, "updated_at": TIME,
    });
    let key = json!({
        "id": "k1", "name": "n", "description": "", "project_id": project,
        "service_account_id": "sa-1", "created_at": TIME,
    });
    let secret = json!({
        "id": "sec-1", "project_id": project, "type": "opaque", "name": "k", "http_only": false,
        "owner_service_account_id": "sa-1", "current_version_id": "v1", "metadata": {},
        "annotations": {}, "created_at": TIME, "updated_at": TIME,
    });
    let version = json!({"id": "v2", "secret_id": "sec-1", "version": 2, "created_at": TIME});
    Some(match rest {
        [] if get => json!({"service_accounts": [account]}),
        [] => created(account, body),
        ["by-name", "ci"] | ["sa-1"] if get => account,
        ["sa-1"] => json!({}),
        ["sa-1", "api-keys"] if get => json!({"keys": [key]}),
        ["sa-1", "api-keys"] => {
            let mut key = created(key, body);
            key["value"] = crate::commands::KEY.into();
            key
        }
        ["sa-1", "secrets"] if get => json!({"secrets": [secret]}),
        ["sa-1", "secrets"] => created(secret, body),
        ["sa-1", "secrets", "sec-1"] if *method != Method::DELETE => secret,
        ["sa-1", "pull-secrets"] => json!({"secrets": []}),
        ["sa-1", "pull-secrets", _] => json!({}),
        ["sa-1", "secrets", "sec-1", "versions"] if get => json!({"versions": [version]}),
        ["sa-1", "secrets", "sec-1", "versions"] => version,
        ["sa-1", "api-keys" | "secrets", _] if *method == Method::DELETE => json!({}),
        _ => return None,
    })
}

fn mailbox() -> Value {
    json!({
        "address": "a@mail.meshagent.com", "room": "demo", "room_id": "room-1", "queue": "old",
        "public": false, "annotations": {"a": "b"},
    })
}

fn route() -> Value {
    let spec = json!({
        "version": "v1", "kind": "Route", "domain": "a.meshagent.app",
        "metadata": {"name": "a.meshagent.app", "annotations": {"a": "b"}},
        "backend": {"room": {"name": "demo"}},
        "paths": [{"path": "/", "pathType": "prefix", "targetPort": "80"}],
    });
    json!({"domain": "a.meshagent.app", "spec": spec})
}

fn task(project: &str) -> Value {
    let spec = json!({
        "version": "v1", "kind": "ScheduledTask", "metadata": {"name": "t1", "annotations": {}},
        "schedule": "0 * * * *", "active": true, "once": false,
        "queue": {"name": "q", "payload": {"a": 1}},
    });
    json!({
        "id": "t1", "project_id": project, "room_id": "room-1", "room_name": "demo",
        "spec": spec, "queue_name": "q", "payload": {"a": 1}, "schedule": "0 * * * *",
        "active": true, "once": false, "annotations": {}, "last_status": null,
    })
}

fn session() -> Value {
    json!({
        "id": "s1", "room_id": "room-1", "room_name": "demo", "created_at": TIME,
        "is_active": false, "participants": {"user": 1},
    })
}
