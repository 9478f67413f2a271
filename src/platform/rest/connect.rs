//! Connecting to a room: a participant token and the address of the room's websocket, and
//! the websocket itself.

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, header, uri::Authority};
use axum::response::Response;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::Route;
use crate::platform::App;
use crate::platform::auth::holder::Holder;
use crate::platform::auth::participant::Given;
use crate::platform::auth::token::{self, Claims, Grant};
use crate::platform::auth::{Access, Caller, Entrant, Principal, Role, scope};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::Answer;
use crate::platform::exchange::websocket::Upgrade;
use crate::platform::live::Arrival;
use crate::platform::objects::rooms::Room;
use crate::platform::objects::{grants, keys, people, stored};
use crate::room::handshake;
use crate::room::message::LARGE;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/accounts/projects/{project}/rooms/{room}/connect", Access::Read, connect),
        Route::get("/rooms/{room}", Access::Participant, enter),
    ]
}

/// How long a new token may be used to connect. An open connection outlives it.
const TOKEN_SECONDS: u64 = 24 * 60 * 60;

/// Creates a participant token, signed with the project's own signing key.
///
/// Admins and developers get every scope. A participant with the `admin` scope gets its own scope
/// and expiry again, only for its own room if its token names one. A user who is just a member
/// gets what was granted in this room. Everybody else gets 403. The token names its holder and
/// what it was given for, and ends with either.
async fn connect(
    State(app): State<App>,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Answer> {
    let room = Room::named(app.store().reads(), &caller.project, &name).await?;
    if let Principal::Participant(participant) = &caller.principal
        && participant.claims.room().is_some_and(|only| only != room.name)
    {
        return Err(Refusal::Forbidden("the token is for another room".into()));
    }
    let scope = Scope::of(&app, &caller, &room).await?;
    room.require_enabled()?;
    let latest = jsonwebtoken::get_current_timestamp() + TOKEN_SECONDS;
    let (participant, exp) = match &caller.principal {
        Principal::Participant(participant) => {
            let claims = &participant.claims;
            (claims.name.clone(), claims.exp.map_or(latest, |exp| exp.min(latest)))
        }
        Principal::Holder(Holder { person: Some(person), .. }) => {
            let email = people::email(app.store().reads(), &person.id).await?;
            (email.unwrap_or_else(|| person.id.clone()), latest)
        }
        Principal::Holder(holder) => (holder.key.clone(), latest),
    };
    let (kid, secret) = keys::signing(app.store(), &caller.project).await?;
    let grant = |name: &str, scope: Value| Grant { name: name.into(), scope };
    let claims = Claims {
        exp: Some(exp),
        name: participant,
        grants: vec![
            grant("room", json!(room.name)),
            grant("role", scope.role),
            grant("api", scope.api),
        ],
        version: token::VERSION.into(),
        kid,
        sub: caller.project.clone(),
        principal: Some(serde_json::to_value(scope.given)?),
    };
    Ok(Answer::json(&json!({
        "jwt": token::sign(&claims, &secret)?,
        "room_name": room.name,
        "project_id": caller.project,
        "room_url": room_url(&app, &headers, &room.name),
    })))
}

/// What the caller gets in a room, and on which basis.
struct Scope {
    api: Value,
    role: Value,
    given: Given,
}

impl Scope {
    async fn of(app: &App, caller: &Caller, room: &Room) -> Result<Self> {
        let (user, reads) = (json!("user"), app.store().reads());
        match &caller.principal {
            Principal::Participant(participant) if caller.role >= Role::Developer => {
                let claims = &participant.claims;
                let role = claims.grants.iter().find(|grant| grant.name == "role");
                let role = role.map_or(user, |role| role.scope.clone());
                let api = claims.api().cloned().unwrap_or_default();
                Ok(Self { api, role, given: participant.given(reads).await? })
            }
            Principal::Holder(holder) if caller.role >= Role::Developer => {
                let given = Given::to(reads, &caller.project, holder, None).await?;
                Ok(Self { api: scope::every(), role: user, given })
            }
            Principal::Holder(holder @ Holder { person: Some(person), .. }) => {
                let granted = grants::granted(reads, (&room.id, &person.id)).await?;
                let Some((permissions, revision)) = granted else {
                    let message = "you have no grant in this room".into();
                    return Err(Refusal::Forbidden(message));
                };
                let api = scope::present(stored(&permissions)?);
                let given = Given::to(reads, &caller.project, holder, Some(revision)).await?;
                Ok(Self { api, role: user, given })
            }
            _ => {
                let message = "the token does not allow connecting to rooms".into();
                Err(Refusal::Forbidden(message))
            }
        }
    }
}

/// What may be in a path segment without encoding.
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

/// Lets a participant into a room, over a websocket.
async fn enter(
    State(app): State<App>,
    Path(name): Path<String>,
    entrant: Entrant,
    mut request: Request,
) -> Result<Response> {
    let upgrade = Upgrade::of(&mut request)?;
    let Entrant { participant, room } = entrant;
    let room = match room {
        Some(room) => room,
        // Who is not let in creates no room.
        None if !app.rooms().has_place() => return Err(Refusal::Busy),
        None => Room::ensure(app.store(), &participant.claims.sub, &name).await?,
    };
    let (upgrade, lasting, mut response) = upgrade.accept();
    let arrival = Arrival {
        url: room_url(&app, request.headers(), &room.name),
        participant,
        room,
        lasting,
        slices: handshake::slices(request.headers()),
        upgrade,
    };
    app.rooms().enter(arrival).await?;
    response.headers_mut().insert(handshake::SLICES, LARGE.into());
    Ok(response)
}
