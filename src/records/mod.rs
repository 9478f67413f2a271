//! *Pure*: rows of tables as they are written in files. They are read one by one: a file may be larger
//! than the memory.
//!
//! | module | holds |
//! |---|---|
//! | `csv` | records of CSV and TSV files |
//! | `json` | records in JSON: a list of objects, or objects one after another |
//!
//! Must not live here: where files are, and where rows go.

pub mod csv;
pub mod json;
