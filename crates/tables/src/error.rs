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
    /// The file is not what this program wrote. Whoever runs the server has to look at it.
    Damaged,
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

    /// What is wrong with the file of the tables.
    #[must_use]
    pub fn damaged(what: &str) -> Self {
        Self::new(Reason::Damaged, format!("the file of the tables is damaged: {what}"))
    }

    /// A request that nobody could do.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(Reason::Invalid, text)
    }
}

/// Whose file it is, in errors of SQLite.
const WHOSE: &str = "the tables of this room";

impl Error {
    /// The same error of SQLite in another database than that of tables.
    #[must_use]
    pub fn of_database(self, whose: &str) -> Self {
        match self.text.strip_prefix(WHOSE) {
            Some(rest) if matches!(self.reason, Reason::Failed | Reason::Damaged) => {
                Self { text: format!("{whose}{rest}"), ..self }
            }
            _ => self,
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let code = error.sqlite_error_code();
        let reason = match code {
            Some(ErrorCode::OperationInterrupted) => Reason::TimedOut,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Reason::Conflict,
            // A number or a value that is too large, a division by zero: what was asked for cannot be
            // computed.
            // Statements themselves are ours, and none is wrong.
            Some(ErrorCode::Unknown | ErrorCode::TooBig) => Reason::Invalid,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Reason::Damaged,
            _ => Reason::Failed,
        };
        let text = match code {
            Some(ErrorCode::TooBig) => {
                "a value is too large for what is asked; ask for fewer or shorter values at once"
                    .to_owned()
            }
            Some(ErrorCode::DiskFull) => format!(
                "{WHOSE} cannot be changed: the disk with them is full; make room there and try again, and read meanwhile what there is"
            ),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => format!(
                "{WHOSE} are damaged: {error}; whoever runs the server brings their file back from a copy, or takes it away to begin anew"
            ),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => {
                // The text of such an error may have a path.
                let why = error.sqlite_error().map(ToString::to_string).unwrap_or_default();
                format!("{WHOSE} cannot be read or written: {why}")
            }
            _ => error.to_string(),
        };
        Self::new(reason, text)
    }
}
