//! Who comes to a room, and to what is in it: with which token, and what that must say.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::Deserialize;

use super::participant::Participant;
use super::{authenticate, bearer, is_of_holder};
use crate::kinds::specs::scope::ApiScope;
use crate::platform::error::{Refusal, Result};
use crate::platform::live::TUNNELS;
use crate::platform::objects::rooms::Room;
use crate::platform::store::Store;

/// A participant that may enter a room.
#[derive(Debug, Clone)]
pub struct Entrant {
    /// The participant.
    pub participant: Participant,
    /// The room; none if it does not exist yet, and the participant may create it.
    pub room: Option<Room>,
}

impl Entrant {
    /// The participant that asks to enter the room with this name.
    ///
    /// # Errors
    ///
    /// 401 without a valid participant token; 403 if the token is not for this room; 404 if it is,
    /// and the room neither exists nor may be created by the holder of the token; 423 if the room is
    /// disabled.
    pub(super) async fn of(store: &Store, credential: &str, name: &str) -> Result<Self> {
        let participant = participant(store, credential).await?;
        if participant.claims.room() != Some(name) {
            return Err(Refusal::Forbidden("the token is not for this room".into()));
        }
        let room = room(store, &participant, name).await?;
        if room.is_none() && !participant.may_create_rooms() {
            return Err(Refusal::missing("room", name));
        }
        Ok(Self { participant, room })
    }
}

/// The participant of a token for rooms.
///
/// # Errors
///
/// 401 without a valid token; 403 for a credential that is none.
async fn participant(store: &Store, credential: &str) -> Result<Participant> {
    if is_of_holder(credential) {
        authenticate(store, credential, None).await?;
        let what = "a participant token is required to enter a room; `connect` gives one";
        return Err(Refusal::Forbidden(what.into()));
    }
    Participant::in_rooms(store, credential).await
}

/// The room with this name, if there is one; the participant may enter it.
async fn room(store: &Store, participant: &Participant, name: &str) -> Result<Option<Room>> {
    let room = Room::find(store.reads(), &participant.claims.sub, name).await?;
    if let Some(room) = &room {
        participant.may_enter(store.reads(), room).await?;
        room.require_enabled()?;
    }
    Ok(room)
}

/// A participant that may connect to a port of the containers of its room.
#[derive(Debug, Clone)]
pub struct Tunneler {
    /// The participant.
    pub participant: Participant,
    /// What its token grants.
    pub scope: ApiScope,
    /// The room that its token names.
    pub room: Room,
}

impl Tunneler {
    /// The participant of a token, which grants this port.
    ///
    /// # Errors
    ///
    /// 401 without a valid participant token; 403 if it does not grant the port, names no room, or if
    /// its holder may not enter that; 404 if there is no such room; 423 if it is disabled.
    pub(super) async fn of(store: &Store, credential: &str, port: &str) -> Result<Self> {
        let participant = participant(store, credential).await?;
        let scope = participant.scope().and_then(|scope| ApiScope::deserialize(scope).ok());
        let asked = serde_json::json!({ "port": port });
        let scope = scope.filter(|scope| TUNNELS.admits(scope, &asked)).ok_or_else(|| {
            Refusal::Forbidden(format!("the token does not grant {}", TUNNELS.grant))
        })?;
        let no_room = || Refusal::Forbidden("the token is not for a room".into());
        let name = participant.claims.room().ok_or_else(no_room)?.to_owned();
        let room = room(store, &participant, &name).await?;
        let room = room.ok_or_else(|| Refusal::missing("room", &name))?;
        Ok(Self { participant, scope, room })
    }
}

/// The participant that asks for something that a room of a project shows to its participants, with
/// the bearer token in these headers. Nothing in particular has to be granted.
///
/// # Errors
///
/// 401 without a valid participant token; 403 if it is not for this room, or its holder may not
/// enter that; 423 if it is disabled.
pub async fn visitor(
    store: &Store,
    headers: &HeaderMap,
    (project, room): (&str, &Room),
) -> Result<Participant> {
    let participant = participant(store, bearer(headers)?).await?;
    if participant.project() != project || participant.claims.room() != Some(&room.name) {
        return Err(Refusal::Forbidden("the token is not for this room".into()));
    }
    participant.may_enter(store.reads(), room).await?;
    room.require_enabled()?;
    Ok(participant)
}

impl<S: Send + Sync> FromRequestParts<S> for Tunneler {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parts.extensions.get().cloned().ok_or(Refusal::Unauthenticated("a credential is required"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Entrant {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parts.extensions.get().cloned().ok_or(Refusal::Unauthenticated("a credential is required"))
    }
}
