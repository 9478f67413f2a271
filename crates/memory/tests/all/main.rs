//! The memories of a room, from outside.

mod common;
mod cypher;
mod datasets;
mod hostile;
mod ingest;
mod memories;
mod model;
mod recall;
