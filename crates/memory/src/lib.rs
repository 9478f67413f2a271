//! The memories of a room: graphs of what agents know, in one SQLite file.
//!
//! A memory has a name in a namespace and holds datasets. Two are there from the start: `Entity`,
//! with one record for each thing that is known, and `RELATIONSHIP`, with what is between two of
//! them. Others are made by [`Memories::upsert_table`].
//!
//! **The promise.** What a call returned for is on disk, and is seen whole or not at all. What a
//! client sends as Cypher is parsed and written anew for SQLite: no text of a client ever is a part
//! of a statement ([`cypher`]).
//!
//! | module | holds |
//! |---|---|
//! | [`api`] | what a caller gives and gets |
//! | [`cypher`] | the statements of clients |
//! | [`ingest`] | what is found in texts |
//! | `memories` | [`Memories`]: each operation, as a transaction |
//! | `store` | the file: its connections, and what is in it |
//! | `records` | records as clients write them |
//! | `upsert` | how records are added and merged |
//! | `recall` | the search by words |
//! | `moments` | how moments are kept and compared |
//! | `words` | what a word is, for the search |
//! | `limits` | how much of everything there may be |
//!
//! **What must not live here**: rooms, participants and their grants, messages, the terminal. A
//! caller has checked who asks. Everything here blocks; a caller runs it where that is allowed.

pub mod api;
pub mod cypher;
pub mod ingest;
pub mod limits;
mod memories;
mod moments;
mod recall;
mod records;
mod store;
mod upsert;
mod words;

pub use api::{
    Create, Dataset, DeletedEntities, Details, Ingested, MemoryName, Optimized, Recalled,
    RecalledRelationship, Selector,
};
pub use ingest::{Content, Strategy, text_columns};
pub use memories::Memories;
pub use meshagent_tables::{Error, Reason, Result, Value};
