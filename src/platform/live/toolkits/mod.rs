//! The toolkits that every room has, one file each: what its operations do; `oauth` has those of
//! `secrets` that are about tokens. What goes over the wire is in `crate::room`; who may call them is
//! in the table of operations.

pub mod agents;
pub mod containers;
pub mod database;
pub mod developer;
pub mod images;
pub mod memory;
pub mod messaging;
pub mod oauth;
pub mod queues;
pub mod secrets;
pub mod services;
pub mod storage;
pub mod sync;
