//! Connecting to a room: a participant token and the address of the room's websocket.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, header, uri::Authority};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::rooms::Room;
use super::{Route, grants, stored};
use crate::platform::App;
use crate::platform::auth::token::{self, Claims, Grant};
use crate::platform::auth::{Access, Caller, Principal, Role};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::Answer;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::post("/accounts/projects/{project}/rooms/{room}/connect", Access::Read, connect)]
}

/// How long a minted token may be used to connect. A connection that is open outlives it.
const TOKEN_SECONDS: u64 = 24 * 60 * 60;

/// Mints a participant token, signed with the project's own signing key.
///
/// Admins and developers get every scope, a participant with the `admin` scope gets its own
/// scope and end again, and a user who is a mere member gets what was granted in this room;
/// everybody else is 403.
async fn connect(
    State(app): State<App>,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Answer> {
    let room = Room::named(app.store().reads(), &caller.project, &name).await?;
    let (api, role) = scope(&app, &caller, &room).await?;
    let latest = jsonwebtoken::get_current_timestamp() + TOKEN_SECONDS;
    let (participant, exp) = match &caller.principal {
        Principal::Participant(claims) => {
            (claims.name.clone(), claims.exp.map_or(latest, |exp| exp.min(latest)))
        }
        Principal::User { id, .. } => (participant_name(&app, id).await?, latest),
        Principal::Key { id, .. } => (id.clone(), latest),
    };
    let (kid, secret): (String, String) = sqlx::query_as(
        "SELECT id, secret FROM api_keys WHERE project_id = $1 AND purpose = 'signing'",
    )
    .bind(&caller.project)
    .fetch_one(app.store().reads())
    .await?;
    let grant = |name: &str, scope: Value| Grant { name: name.into(), scope };
    let claims = Claims {
        exp: Some(exp),
        name: participant,
        grants: vec![grant("room", json!(room.name)), grant("role", role), grant("api", api)],
        version: token::VERSION.into(),
        kid,
        sub: caller.project.clone(),
    };
    Ok(Answer::json(&json!({
        "jwt": token::sign(&claims, &secret.into())?,
        "room_name": room.name,
        "project_id": caller.project,
        "room_url": room_url(&app, &headers, &room.name),
    })))
}

/// The scope and role that the caller gets in a room.
async fn scope(app: &App, caller: &Caller, room: &Room) -> Result<(Value, Value)> {
    let user = json!("user");
    match &caller.principal {
        Principal::Participant(claims) if caller.role >= Role::Developer => {
            let role = claims.grants.iter().find(|grant| grant.name == "role");
            let api = claims.api().cloned().unwrap_or_default();
            Ok((api, role.map_or(user, |role| role.scope.clone())))
        }
        Principal::User { .. } | Principal::Key { .. } if caller.role >= Role::Developer => {
            Ok((every_scope(), user))
        }
        Principal::User { id, .. } => {
            match grants::permissions(app.store().reads(), &room.id, id).await? {
                Some(permissions) => Ok((present(stored(&permissions)?), user)),
                None => Err(Refusal::Forbidden("nothing is granted to you in this room".into())),
            }
        }
        _ => Err(Refusal::Forbidden("the token does not allow connecting to rooms".into())),
    }
}

/// Every scope with its defaults, as the SDK's full scope writes it into a token.
fn every_scope() -> Value {
    let names = [
        "livekit",
        "queues",
        "messaging",
        "database",
        "memory",
        "sync",
        "storage",
        "containers",
        "developer",
        "agents",
        "admin",
        "secrets",
        "tunnels",
        "services",
    ];
    names.into_iter().map(|name| (name.to_owned(), json!({}))).collect::<Map<_, _>>().into()
}

/// A stored scope without its nulls, as tokens carry it.
fn present(scope: Value) -> Value {
    match scope {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, present(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(present).collect(),
        other => other,
    }
}

async fn participant_name(app: &App, user: &str) -> Result<String> {
    let email: Option<String> = sqlx::query_scalar("SELECT email FROM users WHERE id = $1")
        .bind(user)
        .fetch_optional(app.store().reads())
        .await?;
    Ok(email.filter(|email| !email.is_empty()).unwrap_or_else(|| user.to_owned()))
}

/// What a path segment may hold as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The room's websocket on this server, under the name by which the caller reached it, so
/// that it also works through a forwarded port.
fn room_url(app: &App, headers: &HeaderMap, room: &str) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .and_then(|host| host.parse::<Authority>().ok())
        .map_or_else(|| app.address().to_string(), |host| host.to_string());
    format!("ws://{host}/rooms/{}", utf8_percent_encode(room, SEGMENT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::specs::scope::ApiScope;

    #[test]
    fn tokens_carry_no_nulls() {
        let scope = json!({"queues": {"send": null, "list": true}, "admin": null});
        assert_eq!(present(scope), json!({"queues": {"list": true}}));
    }

    #[test]
    fn every_scope_is_one_that_is_known() {
        let scope: ApiScope = serde_json::from_value(every_scope()).expect("a scope");
        let back = serde_json::to_value(scope).expect("JSON");
        assert!(back.as_object().is_some_and(|members| members.values().all(|one| !one.is_null())));
    }
}
