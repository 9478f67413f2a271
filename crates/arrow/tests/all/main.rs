//! Rows through Arrow: what comes back, what hostile files do, and what pyarrow reads and writes, where
//! there is a Python that has it.

mod common;
mod hostile;
#[path = "../../../../tests/needs.rs"]
#[expect(dead_code, reason = "the tests of the program need more")]
mod needs;
mod parquet;
mod pyarrow;
mod streams;
