//! How a room is entered: with a token that exists already, or with one from the platform.

use secrecy::SecretString;
use serde_json::Value;

use crate::api::token;
use crate::conceal;
use crate::connection::Connection;
use crate::dialect::Speaks;
use crate::error::{Error, Result};
use crate::room::client::{Incoming, Room};
use crate::room::handshake::Unconnected;
use crate::room::lasting::NotEntered;
use crate::settings::{PlatformArgs, is_insecure, room_url, variable};

/// A way into a room.
pub struct Entering {
    url: String,
    token: SecretString,
}

impl Entering {
    /// The way in for a program that was called into this room: its token is in the environment. A
    /// program that names a project, or has an API key, was not called, so the platform is asked.
    pub fn invited(room: &str, platform: &PlatformArgs) -> Option<Self> {
        let is_called = platform.embedded.is_none()
            && platform.project_id.is_none()
            && platform.named_environment().is_none()
            && variable("MESHAGENT_API_KEY").is_none()
            && variable("MESHAGENT_ROOM")? == room;
        let token = variable("MESHAGENT_TOKEN").filter(|_| is_called)?;
        let is_for_room = token::room_of(&token).is_some_and(|of| of == room);
        is_for_room.then(|| Self { url: room_url(&platform.url(), room), token: token.into() })
    }

    /// Asks the platform for a way in. Its answer also says where the room is, but the token is
    /// sent only to [`room_url`]: to the platform that issued it, or to the place for rooms in the
    /// environment.
    ///
    /// # Errors
    /// Errors of the platform.
    pub async fn ask(connection: &Connection, room: &str) -> Result<Self, NotEntered> {
        Self::ask_in(connection, connection.project_id().await?, room).await
    }

    /// The same in the project with this id.
    ///
    /// # Errors
    ///
    /// As [`Self::ask`].
    pub async fn ask_in(
        connection: &Connection,
        project: &str,
        room: &str,
    ) -> Result<Self, NotEntered> {
        let client = &connection.client;
        let request = client.dialect().connect(project, room);
        let answer = client.send_json(&request).await?;
        let token = answer.get("jwt").and_then(Value::as_str).ok_or_else(|| {
            Error::failed(format!("the platform gave no token for the room {room:?}"))
        })?;
        let token = SecretString::from(token);
        conceal::credential(&token);
        Ok(Self { url: room_url(&connection.rooms(), room), token })
    }

    /// The token.
    pub(super) const fn token(&self) -> &SecretString {
        &self.token
    }

    /// Enters.
    ///
    /// # Errors
    ///
    /// As [`Room::enter`].
    pub async fn enter(self, platform: &PlatformArgs) -> Result<(Room, Incoming)> {
        let insecure = platform.insecure || is_insecure();
        Room::enter(&self.url, &self.token, insecure).await.map_err(with_way_out)
    }
}

/// The error for a room that could not be entered, with what to do about it.
fn with_way_out(error: Error) -> Error {
    let status = Unconnected::among_causes(&error).and_then(|it| it.status);
    match status {
        _ if error.hint.is_some() => error,
        Some(401 | 403) => error.hint(
            "the token must be for this room, and its holder a developer of the project or somebody with a grant for the room",
        ),
        Some(503) => error.hint(
            "if it is full, wait or raise --max-participants or --max-rooms of the server; if another process has the rooms, use its URL",
        ),
        _ => error,
    }
}
