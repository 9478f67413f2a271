//! The tables of a room: typed columns, versions, indexes, search and SQL, in one SQLite file.
//!
//! **The promise.** What a call returned for is on disk. A write is seen whole or not at all, and
//! each one makes a version that can be read and restored. What a client sends as SQL is parsed,
//! checked against the columns that there are, and written anew for SQLite: no text of a client ever
//! is a part of a statement ([`sql`]).
//!
//! | module | holds |
//! |---|---|
//! | [`data_type`] | the types of columns, and their form on the wire |
//! | [`engine`] | what can be done with tables |
//! | [`sqlite`] | how it is done with SQLite |
//! | [`columns`] | columns as they are written on a command line |
//! | [`names`] | what may be called how, and what columns a table may have |
//! | [`bounds`] | how much memory and disk a statement takes |
//! | [`value`] | values, their form on the wire, and how a column takes them |
//! | [`error`] | why something was not done |
//! | [`own_file`] | the file of a database, before SQLite opens it |
//! | [`stored`] | how SQLite keeps values |
//! | [`quoted`] | names and texts as a caller writes them in SQL |
//! | [`sql`] | what clients write: filters, expressions and queries |
//!
//! **What must not live here**: rooms, participants and their grants, messages, the terminal. A
//! caller has checked who asks. Everything here blocks; a caller runs it where that is allowed.

pub mod bounds;
pub mod columns;
pub mod data_type;
pub mod engine;
pub mod error;
pub mod names;
pub mod own_file;
pub mod quoted;
pub mod sql;
pub mod sqlite;
pub mod stored;
pub mod value;

pub use data_type::{DataType, Field, Kind};
pub use error::{Error, Reason, Result};
pub use value::Value;
