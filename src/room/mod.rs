//! What goes over a room's websocket: messages, and the client that sends them. What the
//! messages mean to people lives in `commands`; whatever is asked over HTTP lives in `api`.

pub mod client;
pub mod message;
