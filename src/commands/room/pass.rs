//! What a participant shows where it is not the room's websocket that it uses.

use secrecy::SecretString;

use super::entering::Entering;
use crate::connection::Connection;
use crate::settings::{PlatformArgs, is_insecure};

/// The token of a participant that is in a room, and where it is good.
pub struct Pass<'a> {
    room: String,
    token: SecretString,
    platform: String,
    is_insecure: bool,
    connection: Option<&'a Connection>,
}

impl<'a> Pass<'a> {
    /// The pass of a participant that enters a room. With a connection to the platform, it can be
    /// renewed.
    pub(super) fn of(
        entering: &Entering,
        room: String,
        connection: Option<&'a Connection>,
        platform: &PlatformArgs,
    ) -> Self {
        Self {
            room,
            token: entering.token().clone(),
            platform: connection.map_or_else(|| platform.url(), Connection::rooms),
            is_insecure: platform.insecure || is_insecure(),
            connection,
        }
    }

    /// The room's name.
    pub fn room(&self) -> &str {
        &self.room
    }

    /// The token.
    pub fn token(&self) -> SecretString {
        self.token.clone()
    }

    /// The URL of the platform that has the room.
    pub fn platform(&self) -> &str {
        &self.platform
    }

    /// Whether the token may go to another machine without TLS.
    pub const fn is_insecure(&self) -> bool {
        self.is_insecure
    }

    /// Another token in the place of one that has expired; none if the platform gives none.
    pub async fn renew(&mut self) -> Option<SecretString> {
        let entering = Entering::ask(self.connection?, &self.room).await.ok()?;
        self.token = entering.token().clone();
        Some(self.token.clone())
    }
}
