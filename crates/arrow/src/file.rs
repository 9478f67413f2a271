//! Files of either kind, by what they begin with.

use std::fs::File;
use std::io::BufRead;

use meshagent_tables::Field;
use meshagent_tables::value::Row;

use crate::{parquet, stream};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A stream or a file of Arrow.
    Arrow,
    /// A file of Parquet.
    Parquet,
}

impl Kind {
    /// How many bytes tell what a file is.
    pub const TOLD: usize = 8;

    /// What a file is that begins so; none if it is neither.
    #[must_use]
    pub fn of(begins: &[u8]) -> Option<Self> {
        match begins {
            it if it.starts_with(parquet::MAGIC) => Some(Self::Parquet),
            it if it.starts_with(stream::MAGIC) || it.starts_with(stream::MESSAGE) => {
                Some(Self::Arrow)
            }
            _ => None,
        }
    }
}

/// The rows of a file, of which the columns are known.
pub enum Table {
    /// A stream or a file of Arrow.
    Stream(Box<stream::Reader<Box<dyn BufRead + Send>>>),
    /// A file of Parquet.
    Parquet(Box<parquet::Reader>),
}

impl Table {
    /// Opens a stream or a file of Arrow.
    ///
    /// # Errors
    ///
    /// It is neither, is damaged, or has a column of a type that rooms have not got.
    pub fn stream(from: Box<dyn BufRead + Send>) -> Result<Self, String> {
        stream::Reader::new(from).map(Box::new).map(Self::Stream)
    }

    /// Opens a file of Parquet.
    ///
    /// # Errors
    ///
    /// It is none, is damaged, or has a column of a type that rooms have not got.
    pub fn parquet(file: File) -> Result<Self, String> {
        parquet::Reader::new(file).map(Box::new).map(Self::Parquet)
    }

    /// Its columns.
    #[must_use]
    pub fn columns(&self) -> &[Field] {
        match self {
            Self::Stream(reader) => reader.columns(),
            Self::Parquet(reader) => reader.columns(),
        }
    }

    /// Reads its rows, and gives each to `put`, until that says that nobody wants more.
    ///
    /// # Errors
    ///
    /// What cannot be read, and where.
    pub fn rows(self, put: &mut dyn FnMut(Row) -> bool) -> Result<(), String> {
        match self {
            Self::Stream(reader) => reader.rows(put),
            Self::Parquet(reader) => reader.rows(put),
        }
    }
}
