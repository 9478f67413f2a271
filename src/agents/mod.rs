//! Services that work in rooms: the host through which they are called there, and the built-in
//! ones.
//!
//! | module | holds |
//! |---|---|
//! | `host` | the HTTP server: paths, webhooks, the rooms that were entered |
//! | `mcp` | MCP servers, whose tools are offered as a toolkit |
//! | `schema` | schemas of documents, which are stored in the rooms that call for them |
//! | `storage` | the toolkit that reads and writes the files of a room |
//! | `toolkit` | how any toolkit is offered to a room, and its calls are answered |
//!
//! Must not live here: what goes over the wire (`room`), and arguments of commands
//! (`commands`).

pub mod host;
pub mod mcp;
pub mod schema;
pub mod storage;
pub mod toolkit;

use futures_util::future::BoxFuture;

use crate::room::client::Room;
use crate::room::content::Refused;
use crate::room::message::Message;

/// A service that works in the room that it was called to; created for each call.
pub trait Callee: Send + Sync {
    /// Starts to work. Messages are handled meanwhile.
    fn start<'a>(&'a self, room: &'a Room) -> BoxFuture<'a, Result<(), Refused>>;

    /// Handles a message that the room pushed. Longer work must be done separately, because the
    /// next message waits.
    fn take<'a>(&'a self, _room: &'a Room, _message: Message) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    /// Ends the work, before the room is left. It is not called once the room is gone.
    fn stop<'a>(&'a self, _room: &'a Room) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}
