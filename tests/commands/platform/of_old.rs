//! What the platform of 0.31 answers below a project.

use axum::http::Method;
use serde_json::{Value, json};

use super::{created, service};

/// The usual answer; nothing where there is none.
pub fn answer(
    method: &Method,
    project: &str,
    rest: &[&str],
    body: Option<&Value>,
) -> Option<Value> {
    let field = |name: &str| body.and_then(|body| body.get(name)).cloned().unwrap_or_default();
    let room = json!({"id": "room-1", "name": "demo", "metadata": {}, "annotations": {"a": "b"}});
    let mailbox = json!({
        "address": "a@mail.meshagent.com", "room": "demo", "room_id": "room-1", "queue": "old",
        "public": false, "annotations": {"a": "b"},
    });
    let route = json!({
        "domain": "a.meshagent.app", "room_name": "demo", "port": "80", "annotations": {"a": "b"},
    });
    let task = json!({
        "id": "t1", "project_id": project, "room_id": "room-1", "room_name": "demo",
        "queue_name": "q", "payload": {"a": 1}, "schedule": "0 * * * *", "active": true,
        "once": false, "annotations": {}, "last_status": null,
    });
    let webhook = json!({
        "id": "w1", "name": "w", "description": "", "url": "http://x/y",
        "events": ["room.started"], "action": null,
    });
    let session = json!({
        "id": "s1", "room_id": "room-1", "room_name": "demo",
        "created_at": "2026-01-01T00:00:00Z", "is_active": false, "participants": {"user": 1},
    });
    let secret =
        json!({"id": "sec-1", "name": "k", "type": "keys", "data": {"A": "s3cr3t-canary"}});
    let get = *method == Method::GET;
    let post = *method == Method::POST;
    let answer = match rest {
        ["rooms"] if get => json!({"rooms": [room]}),
        ["rooms"] if post => created(room, body),
        ["rooms", "demo"] if get => room,
        ["rooms", "room-1"] if !get => json!({}),
        ["rooms", _, "mailboxes"] | ["mailboxes"] if get => json!({"mailboxes": [mailbox]}),
        ["mailboxes", _] if get => json!({ "mailbox": mailbox }),
        ["rooms", _, "routes"] | ["routes"] if get => json!({"routes": [route]}),
        ["routes", _] if get => json!({ "route": route }),
        ["scheduled-tasks"] if get => json!({"tasks": [task]}),
        ["scheduled-tasks"] if post => json!({"task_id": "t-new"}),
        ["webhooks"] if get => json!({"webhooks": [webhook]}),
        ["webhooks"] if post => created(webhook, body),
        ["api-keys"] if get => {
            json!({"keys": [{"id": "k1", "name": "n", "description": "", "created_by": "u"}]})
        }
        ["api-keys"] if post => {
            json!({"id": "k2", "name": field("name"), "description": "", "value": crate::commands::KEY})
        }
        ["sessions"] if get => json!({"sessions": [session]}),
        ["sessions", _, "events"] if get => {
            json!({"events": [{"type": "room.started", "data": {"room_name": "demo"}}]})
        }
        ["secrets"] if get => json!({"secrets": [secret]}),
        ["secrets"] if post => json!({"id": "sec-2"}),
        ["services"] | ["rooms", _, "services"] if get => json!({"services": []}),
        ["services"] | ["rooms", _, "services"] if post => service(body, "svc-1"),
        ["services", _] | ["rooms", _, "services", _] if *method != Method::DELETE => {
            service(body, "svc-1")
        }
        ["mailboxes" | "routes"] if post => json!({}),
        [
            "mailboxes" | "routes" | "scheduled-tasks" | "webhooks" | "api-keys" | "secrets"
            | "services",
            _,
        ]
        | ["rooms", _, "services", _]
            if !get =>
        {
            json!({})
        }
        _ => return None,
    };
    Some(answer)
}
