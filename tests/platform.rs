//! The embedded platform, over the wire: who may do what, and what it promises to those.

mod access;
mod at_rest;
mod durability;
pub(crate) mod harness;
mod matrix;
pub(crate) mod opened;
mod promises;
mod revocation;
pub(crate) mod sign_in;
mod surface;
