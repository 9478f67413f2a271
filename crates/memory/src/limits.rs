//! How much of everything there may be. What a client sends is hostile.

use std::time::Duration;

/// Memories of a room.
pub const MEMORIES: u64 = 2_000;
/// Datasets of a memory.
pub const DATASETS: usize = 64;
/// Columns of a dataset.
pub const COLUMNS: usize = 256;
/// Parts of a namespace.
pub const NAMESPACE: usize = 16;
/// Bytes of a name of a memory, a dataset or a column.
pub const NAME: usize = 256;
/// Records in a call.
pub const RECORDS: usize = 200_000;
/// Bytes of the text of the records in a call.
pub const RECORDS_BYTES: usize = 32 << 20;
/// Bytes of a record.
pub const RECORD: usize = 4 << 20;
/// Bytes of an id, a name or a type of an entity or a relationship.
pub const SHORT: usize = 2_048;
/// Ids or selectors in a call that deletes.
pub const DELETIONS: usize = 100_000;
/// Bytes of a statement.
pub const STATEMENT: usize = 64 << 10;
/// How deep the expressions of a statement may be nested.
pub const STATEMENT_DEPTH: usize = 64;
/// Rows of an answer.
pub const ROWS: usize = 10_000;
/// Bytes of an answer.
pub const ANSWER: usize = 16 << 20;
/// Bytes of the program that a pattern of `=~` becomes.
pub const PATTERN: usize = 64 << 10;
/// Bytes of a text that a pattern is looked for in.
pub const MATCHED: usize = 32 << 10;
/// How long a statement or a recall may take.
pub const TIME: Duration = Duration::from_secs(10);
/// Entities that a recall gives.
pub const RECALLED: usize = 1_000;
/// Letters of a context that are looked at for its score.
pub const SCORED: usize = 8 << 10;
/// Relationships that a recall gives with an entity.
pub const RECALLED_RELATIONSHIPS: usize = 100;
/// Bytes of the words of a recall that are looked at.
pub const RECALL_QUERY: usize = 16 << 10;
/// Words of a recall that are searched for.
pub const RECALL_WORDS: usize = 32;
/// Bytes of a source.
pub const SOURCE: usize = 4 << 20;
/// Bytes of all sources in a call.
pub const SOURCES_BYTES: usize = 16 << 20;
/// Sources in a call.
pub const SOURCES: usize = 100_000;
/// Entities that a call may find in its sources.
pub const FOUND: usize = 50_000;
/// Relationships that a call may find in its sources.
pub const FOUND_RELATIONSHIPS: usize = 200_000;
/// Bytes of a context up to which ingestion adds sentences to it.
pub const CONTEXT: usize = 8 << 10;
