//! Participants of this process: what the platform itself offers in a room enters as anybody else
//! does, over a connection within the process. The room does not go on for it.

use std::sync::Arc;

use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;

use super::connection::{Comer, converse};
use super::room::Room;
use crate::agents::{Callee, host};
use crate::platform::auth::participant::Participant;
use crate::room::client;
use crate::room::message::LARGE;

/// How much may be on its way between a room and a participant of this process, in bytes.
const BUFFER: usize = 256 * 1024;

/// Works in a room, which the participant knows by this name and URL, until it is stopped, is
/// dismissed, or the room ends.
///
/// # Errors
///
/// Why it could not work, as a phrase.
pub async fn work(
    room: &Arc<Room>,
    participant: Participant,
    known: (String, String),
    callee: &dyn Callee,
    stop: &CancellationToken,
) -> Result<(), String> {
    let (own, other) = tokio::io::duplex(BUFFER);
    let comer = Comer { participant, room: known, slices: BUFFER };
    room.house.run(converse(own, comer, Arc::clone(room), None));
    let socket = WebSocketStream::from_raw_socket(other, Role::Client, None).await;
    let (room, incoming) = client::Room::over(socket, LARGE).await?;
    let worked = host::work(callee, &room, incoming, stop).await;
    room.leave().await;
    worked.map_err(|refused| refused.to_string())
}
