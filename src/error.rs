//! Classes of error, their hints, their places, and the exit codes they lead to.
//!
//! A message is lower case, says what failed and to what, and never starts with "error".
//! The cause is a source, never repeated in the message. One renderer, in `output`.

use std::fmt;
use std::sync::Arc;

use crate::visible;

/// What an error means for the caller of the program; each class has its own exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Something failed. Exit code 1.
    Failed,
    /// The arguments, the settings or the manifests are wrong. Exit code 2.
    Usage,
    /// Changes are pending and the caller asked to be told. Exit code 3.
    Pending,
    /// Some operations were done and some were not. Exit code 4.
    Partial,
    /// The plan no longer fits the platform; nothing was written. Exit code 5.
    Stale,
    /// A guard refused, or the manifests are wrong or cannot be read, so there is no plan; nothing
    /// was written. Exit code 6.
    Refused,
    /// Everything was done, and something of it does not work. Exit code 7.
    Unhealthy,
}

/// The exit codes of the program. There is no other list of them.
pub const CODES: [ExitCode; 8] = [
    ExitCode { code: 0, word: "done", meaning: "done, or nothing to change, or nothing to list" },
    ExitCode {
        code: Class::Failed.exit_code(),
        word: "failed",
        meaning: "failed; also when the output cannot be written, for example because the disk is full, and when something that is named, such as a project, does not exist on the platform",
    },
    ExitCode {
        code: Class::Usage.exit_code(),
        word: "wrong usage",
        meaning: "wrong usage: arguments, settings, or manifests that are only checked (`validate`)",
    },
    ExitCode {
        code: Class::Pending.exit_code(),
        word: "changes pending (--exit-code)",
        meaning: "changes are pending, or may be pending because a value was not read (`plan` and `diff` with `--exit-code`)",
    },
    ExitCode {
        code: Class::Partial.exit_code(),
        word: "partly applied",
        meaning: "partly applied",
    },
    ExitCode {
        code: Class::Stale.exit_code(),
        word: "stale plan",
        meaning: "stale: the manifests, the platform or an object changed since the plan was made; nothing was written",
    },
    ExitCode {
        code: Class::Refused.exit_code(),
        word: "refused by a guard",
        meaning: "refused by a guard, or the manifests are wrong or cannot be read, so there is no plan; nothing was written",
    },
    ExitCode {
        code: Class::Unhealthy.exit_code(),
        word: "applied, not healthy (--wait)",
        meaning: "applied, and some of it did not work in time (`--wait`)",
    },
];

/// An exit code with what it means.
#[derive(Debug, Clone, Copy)]
pub struct ExitCode {
    /// The code.
    pub code: u8,
    /// What it means, in a few words.
    pub word: &'static str,
    /// What it means, for the documentation.
    pub meaning: &'static str,
}

/// All exit codes in one sentence.
#[must_use]
pub fn codes_told() -> String {
    let told = CODES.map(|it| format!("{} {}", it.code, it.word));
    format!("Exit codes: {}.", told.join(", "))
}

impl Class {
    /// The exit code of the program.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Pending => 3,
            Self::Partial => 4,
            Self::Stale => 5,
            Self::Refused => 6,
            Self::Unhealthy => 7,
        }
    }
}

/// The suffix of a template's name if the lines are those of its rendered text.
pub const RENDERED: &str = " (rendered)";

/// A place in a manifest. Lines and columns count from one.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub struct Place {
    /// The file as the user named it, or `-` for standard input.
    pub file: String,
    /// The line, from one.
    pub line: u64,
    /// The column in characters, from one.
    pub column: u64,
    /// What says it in the place of the manifest, such as `environment prod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Arc<str>>,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", visible::line(&self.file), self.line, self.column)
    }
}

/// One thing that is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The place, if it is known.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line of the source at the place, to be shown below the message.
    pub source_line: Option<Box<str>>,
}

impl Problem {
    /// A problem at no particular place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { place: None, message: message.into(), hint: None, source_line: None }
    }

    /// The same, with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Problem {
    /// Does not show the line of the source if it contains this text, which is a secret.
    pub fn hide_line_with(&mut self, text: &str) {
        // A text that is written in parts, or with escapes, shows in none of them as it is.
        let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() > 3);
        let is_in =
            |line: &str| line.contains(text) || words.clone().any(|word| line.contains(word));
        if !text.is_empty() && self.source_line.as_deref().is_some_and(is_in) {
            self.source_line = None;
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(out, "{place}: ")?;
        }
        out.write_str(&self.message)
    }
}

/// An error of the program: a class, a message, a cause chain, places and a hint.
#[derive(Debug)]
pub struct Error {
    /// What it means for the caller.
    pub class: Class,
    /// What failed, and to what.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// What is wrong with the manifests, if they are at fault.
    pub problems: Vec<Problem>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The program's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of a class.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), hint: None, problems: Vec::new(), source: None }
    }

    /// Something failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Class::Failed, message)
    }

    /// The arguments, the settings or the manifests are wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Class::Usage, message)
    }

    /// The manifests are wrong in these ways.
    #[must_use]
    pub fn manifests(problems: Vec<Problem>) -> Self {
        let message = match problems.len() {
            1 => "1 problem in the manifests".to_owned(),
            count => format!("{count} problems in the manifests"),
        };
        Self { problems, ..Self::usage(message) }
    }

    /// Nothing is there of what the user asked for by these patterns.
    #[must_use]
    pub fn scope(problems: Vec<Problem>) -> Self {
        let message = match problems.len() {
            1 => "1 pattern matches nothing".to_owned(),
            count => format!("{count} patterns match nothing"),
        };
        Self { problems, ..Self::usage(message) }
    }

    /// The same, for a plan: a file that is wrong or cannot be read would look like deleted
    /// objects, so this counts as a refusal by a guard.
    #[must_use]
    pub fn refusing_plan(mut self) -> Self {
        if self.class == Class::Usage && !self.problems.is_empty() {
            self.class = Class::Refused;
        }
        self
    }

    /// The plan no longer fits, for these reasons; nothing was written.
    #[must_use]
    pub fn stale(problems: Vec<Problem>) -> Self {
        Self { problems, ..Self::new(Class::Stale, "the plan is stale, so nothing was written") }
    }

    /// A guard refused for these reasons; nothing was written.
    #[must_use]
    pub fn refused(problems: Vec<Problem>) -> Self {
        Self { problems, ..Self::new(Class::Refused, "refused, so nothing was written") }
    }

    /// The same in other words.
    #[must_use]
    pub fn saying(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// The same, with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, caused by another error. What is wrong in detail there, and what to do about it, is
    /// this one's, unless it has its own.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let mut cause = cause.into();
        if let Some(cause) = cause.downcast_mut::<Self>() {
            if self.problems.is_empty() {
                self.problems = std::mem::take(&mut cause.problems);
            }
            self.hint = self.hint.or_else(|| cause.hint.take());
        }
        self.source = Some(cause);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// The causes of an error, the nearest first.
pub fn causes<'a>(
    error: &'a dyn std::error::Error,
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| cause.source())
}

/// An error with its causes, on one line. A cause that a message already ends with is not repeated.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    causes(error).map(ToString::to_string).fold(error.to_string(), |told, cause| {
        if told.ends_with(&cause) { told } else { format!("{told}: {cause}") }
    })
}

/// Adds what was being done to a library's error.
pub trait Context<T> {
    /// Turns the error into one that says what failed, with the original as its cause.
    ///
    /// # Errors
    ///
    /// The original error, wrapped.
    fn context(self, message: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Context<T>
    for std::result::Result<T, E>
{
    fn context(self, message: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::failed(message()).because(cause))
    }
}
