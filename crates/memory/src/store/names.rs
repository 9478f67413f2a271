//! What tables and columns are called in the file. These names are all that a statement ever has of
//! a dataset.

use std::fmt;

/// A table of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// The records of a dataset.
    Records(i64),
    /// The words of the entities of a memory.
    Words(i64),
    /// In how many entities of a memory each word is.
    Vocabulary(i64),
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records(id) => write!(out, "d{}", id.unsigned_abs()),
            Self::Words(id) => write!(out, "f{}", id.unsigned_abs()),
            Self::Vocabulary(id) => write!(out, "v{}", id.unsigned_abs()),
        }
    }
}

/// A column of the records of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// One that clients see, by its place.
    At(usize),
    /// What is the same in two records that are the same, if the dataset has no key.
    Whole,
}

impl fmt::Display for Column {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(place) => write!(out, "c{place}"),
            Self::Whole => out.write_str("k"),
        }
    }
}
