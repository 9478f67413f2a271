//! Why a template is not rendered, and where.

use std::borrow::Cow;
use std::fmt;

/// The result of an operation.
pub(crate) type Outcome<T = crate::value::Value> = Result<T, Failure>;

/// What kind of reason there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Jinja2 would refuse it as well.
    Failed,
    /// Jinja2 may render it, but this engine does not promise the same output.
    Refused,
    /// It takes too long, or produces too much.
    Spent,
}

/// Why a template is not rendered, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The kind of reason.
    pub reason: Reason,
    /// What is wrong.
    pub message: String,
    /// The line, from one, when it is known.
    pub line: Option<u64>,
    /// The column in characters, from one, when it is known.
    pub column: Option<u64>,
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The same while a template is read and run: its place is a byte offset in the template.
#[derive(Debug)]
pub(crate) struct Failure {
    reason: Reason,
    message: Cow<'static, str>,
    at: Option<usize>,
}

impl Failure {
    pub(crate) fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, message: message.into(), at: None }
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.reason == Reason::Spent
    }

    /// The same at a place, unless one further inside is known.
    pub(crate) fn at(self, at: usize) -> Self {
        Self { at: self.at.or(Some(at)), ..self }
    }

    /// The error with its place in the template.
    pub(crate) fn located(self, source: &str) -> Error {
        let place = self.at.map(|at| {
            let before = &source[..source.floor_char_boundary(at)];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
            (line as u64, column as u64)
        });
        let (line, column) = place.unzip();
        Error { reason: self.reason, message: self.message.into_owned(), line, column }
    }
}

/// An error that Jinja2 reports as well.
pub(crate) fn fail(message: impl Into<Cow<'static, str>>) -> Failure {
    Failure::new(Reason::Failed, message)
}

/// The error for what Jinja2 accepts, if the same output is not promised.
pub(crate) fn refuse(what: impl fmt::Display) -> Failure {
    Failure::new(Reason::Refused, format!("{what} is not supported offline"))
}

/// A use of an undefined value.
pub(crate) fn undefined(what: impl fmt::Display) -> Failure {
    fail(format!("{what} of an undefined value"))
}
