//! What goes over a room's websocket: messages, the client that sends them, and one file for
//! each toolkit of the room, with a struct for what is asked and one for what is answered. What the messages mean to people lives in `commands`; what works
//! in a room lives in `agents`; whatever is asked over HTTP lives in `api`.

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
