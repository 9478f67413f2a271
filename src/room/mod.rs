//! What goes over a room's websocket: messages, the client that sends them, and one file for each
//! toolkit of the room. A request that a room answers at once has one struct for the request and
//! one for the answer; files are sent and read in streams, part by part. `client` is what others
//! use; `connection` and `budget` are what is behind it.
//!
//! Must not live here: what the messages mean to people, which is in `commands`; what works in a
//! room, which is in `agents`; requests over HTTP, which are in `api`.

pub mod agents;
pub mod budget;
pub mod call;
pub mod client;
pub mod codes;
pub mod connection;
pub mod containers;
pub mod content;
pub mod database;
pub mod developer;
pub mod files;
pub mod handshake;
pub mod invocation;
pub mod lasting;
pub mod memory;
pub mod message;
pub mod messaging;
pub mod mime;
pub mod operation;
pub mod queues;
pub mod secrets;
pub mod services;
pub mod storage;
pub mod sync;
pub mod toolkit;
pub mod tunnel;
mod wishes;

#[cfg(test)]
pub mod played;
