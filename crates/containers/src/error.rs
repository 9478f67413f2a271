//! Why something was not done.

use std::time::Duration;

/// How much of an engine's own words an error holds.
const MOST_TEXT: usize = 2048;

/// What most of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something was not done, and to what.
///
/// What an engine says is in `text`: it is bounded, but otherwise as it came, so that whoever shows
/// it makes control characters harmless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The engine does not answer, or left in the middle.
    #[error("the container engine does not answer: cannot {what}: {text}; is it running?")]
    Gone {
        /// What was asked for.
        what: String,
        /// What the system said.
        text: String,
    },
    /// The engine took too long.
    #[error("the container engine took longer than {} s to {what}", patience.as_secs_f32())]
    TimedOut {
        /// What was asked for.
        what: String,
        /// How long it had.
        patience: Duration,
    },
    /// There is no such container.
    #[error("there is no container {id}")]
    NoContainer {
        /// Its id or name.
        id: String,
    },
    /// There is no such image here. It is pulled, built or loaded first.
    #[error("there is no image {image} here; pull, build or load it first")]
    NoImage {
        /// The image.
        image: String,
    },
    /// There is no such network.
    #[error("there is no network {name} of containers")]
    NoNetwork {
        /// The network.
        name: String,
    },
    /// The request cannot be done, whoever asks and whenever.
    #[error("{0}")]
    Invalid(String),
    /// It does not go with how things are now: a name that is taken, a container that has stopped.
    #[error("cannot {what}: {text}")]
    Conflict {
        /// What was asked for.
        what: String,
        /// What the engine said.
        text: String,
    },
    /// The container runs, and does not take connections there.
    #[error("nothing takes connections on port {port} of the container {id}")]
    NobodyListens {
        /// The container's id.
        id: String,
        /// The port.
        port: u16,
    },
    /// The engine said no.
    #[error("the container engine cannot {what}: {text}")]
    Refused {
        /// What was asked for.
        what: String,
        /// What the engine said.
        text: String,
    },
    /// The engine's answer is not one that it documents.
    #[error("cannot {what}: the answer of the container engine is not understood: {text}")]
    Nonsense {
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        text: String,
    },
    /// What was mounted is not the folder that was meant. The container did not stay.
    #[error(
        "what is mounted at {target} is not the folder that was meant; did another program replace it?"
    )]
    Swapped {
        /// Where it was mounted.
        target: String,
    },
    /// There is more of something than may be.
    #[error("{0}")]
    TooMuch(String),
    /// The system failed.
    #[error("cannot {what}: {text}")]
    System {
        /// What was asked for.
        what: String,
        /// What the system said.
        text: String,
    },
}

impl Error {
    /// Whether the same request may succeed when it is made again.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::TimedOut { .. } | Self::Swapped { .. })
    }

    pub(crate) fn gone(what: &str, error: &dyn std::error::Error) -> Self {
        // The layers of HTTP say what went wrong in the innermost of their errors.
        let mut innermost = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        Self::Gone { what: what.to_owned(), text: bounded(&innermost.to_string()) }
    }

    pub(crate) fn nonsense(what: &str, text: impl AsRef<str>) -> Self {
        Self::Nonsense { what: what.to_owned(), text: bounded(text.as_ref()) }
    }

    pub(crate) fn refused(what: &str, text: impl AsRef<str>) -> Self {
        Self::Refused { what: what.to_owned(), text: bounded(text.as_ref()) }
    }

    pub(crate) fn conflict(what: &str, text: impl AsRef<str>) -> Self {
        Self::Conflict { what: what.to_owned(), text: bounded(text.as_ref()) }
    }

    pub(crate) fn system(what: impl Into<String>, error: impl std::fmt::Display) -> Self {
        Self::System { what: what.into(), text: bounded(&error.to_string()) }
    }
}

/// The beginning of a text, where it is long.
fn bounded(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(MOST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_of_an_engine_is_cut_between_characters() {
        let error = Error::refused("pull an image", "ä".repeat(1 << 20));
        let Error::Refused { text, .. } = &error else { panic!("{error}") };
        assert_eq!(text.chars().count(), MOST_TEXT + 1);
        assert!(text.ends_with("ä…"));
    }
}
