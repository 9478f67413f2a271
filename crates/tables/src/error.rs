//! Why something was not done.

use crate::engine::TableName;

/// What kind of reason it is. A caller chooses what it does next by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The request cannot be done by anybody: it is wrong in itself, or does not fit the table.
    Invalid,
    /// There is no such table, column, index or version.
    NotFound,
    /// There is one of this name.
    AlreadyExists,
    /// Another writer was faster. The same request may succeed when it is made again.
    Conflict,
    /// The table is not in the state for it, such as one that is read at an earlier version.
    State,
    /// It took longer than is allowed, also to wait for others. Later, or with less to do, the same
    /// request may succeed. What is too much in itself is [`Reason::Invalid`].
    TimedOut,
    /// It needs something that this platform does not have, such as a model.
    Dependency,
    /// The system failed: the disk, or SQLite.
    Failed,
}

/// Why something was not done, in words for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    /// What kind of reason it is.
    pub reason: Reason,
    /// One line.
    pub text: String,
    /// The table that was looked for and is not there. Who may say so can tell which is near.
    pub missing: Option<Box<TableName>>,
}

/// What most of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A reason with its kind.
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into(), missing: None }
    }

    /// There is no table of this name.
    #[must_use]
    pub fn no_table(name: &TableName) -> Self {
        let missing = Some(Box::new(name.clone()));
        Self { missing, ..Self::new(Reason::NotFound, format!("there is no table {name}")) }
    }

    /// A request that nobody could do.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(Reason::Invalid, text)
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let reason = match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Reason::TimedOut,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Reason::Conflict,
            // A number or a value that is too large, a division by zero: what was asked for cannot be
            // computed.
            // Statements themselves are ours, and none is wrong.
            Some(ErrorCode::Unknown | ErrorCode::TooBig) => Reason::Invalid,
            _ => Reason::Failed,
        };
        Self::new(reason, error.to_string())
    }
}
