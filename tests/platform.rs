//! The embedded platform, over the wire: who may do what, and what it promises to those.

mod access;
mod durability;
pub(crate) mod harness;
mod promises;
pub(crate) mod sign_in;
mod surface;
