//! Rows of a room's tables as other programs keep them in columns: Arrow streams go out, and Arrow and
//! Parquet files come in.
//!
//! **The promise.** What is written is exactly what the room told, or it is refused. One batch of rows
//! is in memory at a time. A file is hostile: whatever is in it, there are rows or an error.
//!
//! | module | holds |
//! |---|---|
//! | [`types`] | types of columns, here and in Arrow |
//! | [`mod@write`] | rows become a stream |
//! | [`read`] | values of rows, out of batches |
//! | [`stream`] | streams and files of Arrow |
//! | [`parquet`] | files of Parquet |
//! | [`mod@file`] | files of either kind, by what they begin with |
//! | [`guard`] | what keeps a reader's panic from being the program's |
//!
//! **What must not live here**: where files are, where rows go, and what a column of a table takes,
//! which is in `meshagent_tables`. Everything here blocks.

pub mod file;
pub mod guard;
pub mod parquet;
pub mod read;
pub mod stream;
pub mod types;
pub mod write;
