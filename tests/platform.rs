//! The embedded platform, over the wire: who may do what, and what it promises to those.

mod access;
mod at_rest;
mod clock;
mod documents;
mod durability;
mod faults;
pub(crate) mod harness;
mod hostile_rooms;
mod limits;
mod lists;
mod matrix;
mod members;
mod neighbours;
pub(crate) mod opened;
mod operations;
mod people;
pub(crate) mod process;
mod promises;
mod reach;
mod revocation;
mod room_secrets;
mod rooms;
mod runtime;
pub(crate) mod sign_in;
mod surface;
mod tampered;
mod webhooks;
