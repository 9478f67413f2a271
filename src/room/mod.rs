//! What goes over a room's websocket: messages, the client that sends them, and one file for
//! each toolkit of the room. What a room answers at once has a struct for what is asked and one
//! for what is answered; files are sent and read in streams, part by part.
//!
//! Must not live here: what the messages mean to people, which is in `commands`; what works in a
//! room, which is in `agents`; what is asked over HTTP, which is in `api`.

pub mod agents;
pub mod call;
pub mod client;
pub mod content;
pub mod handshake;
pub mod message;
pub mod mime;
pub mod operation;
pub mod storage;
pub mod sync;
pub mod toolkit;
