//! Operations that a room answers at once. The request and the answer are one struct each, which
//! client and server share, so that both spell them the same way. Streams are not operations;
//! [`super::call`] has those.

use std::fmt;

use secrecy::{ExposeSecret, SecretBox};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::client::Room;
use super::content::{Content, Refused};
use super::invocation::{ANSWER, Invocation};
use crate::error::Error;

/// Where an operation belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// To the room itself, with messages of this kind.
    Room(&'static str),
    /// To a toolkit, as one of its tools.
    Tool(&'static str, &'static str),
}

impl fmt::Display for At {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Room(kind) => out.write_str(kind),
            Self::Tool(toolkit, tool) => write!(out, "{toolkit}.{tool}"),
        }
    }
}

/// Bytes that cannot be printed.
pub type Secret = SecretBox<Vec<u8>>;

/// A request that a room answers once.
pub trait Operation: Serialize + DeserializeOwned {
    /// The answer.
    type Answer: Serialize + DeserializeOwned;

    /// Where it belongs.
    const AT: At;

    /// Whether the answer may take any time, because the request waits for something, or is for
    /// work that grows with what the room has.
    fn waits(&self) -> bool {
        false
    }

    /// The bytes that go beside the arguments, if the operation takes any.
    fn bytes(&self) -> Option<&Secret> {
        None
    }

    /// The same with the bytes that came beside the arguments.
    #[must_use]
    fn with_bytes(self, _bytes: Secret) -> Self {
        self
    }

    /// Reads the request from a message. A header that is not an object has no arguments.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn read(asked: &Value) -> Result<Self, Refused> {
        let nothing = Value::Object(Map::new());
        Self::deserialize(if asked.is_object() { asked } else { &nothing }).map_err(|error| {
            Refused::invalid(format!("the arguments of {} are not valid: {error}", Self::AT))
        })
    }

    /// The answer in the form of a message.
    fn answer(answer: &Self::Answer) -> Content {
        match serde_json::to_value(answer) {
            Ok(answer) => Content::Json(answer),
            Err(error) => Content::Error(Refused::new(error.to_string())),
        }
    }

    /// Reads an answer that is not an error; `None` if it does not fit.
    fn answered(answer: Content) -> Option<Self::Answer> {
        match answer {
            Content::Json(answer) => Self::Answer::deserialize(answer).ok(),
            _ => None,
        }
    }
}

/// Declares operations whose answer says nothing but that they were done. Behind one that may take
/// any time stands `; waits = true`.
macro_rules! done {
    ($($asked:ty => $at:expr $(; waits = $waits:literal)?),+ $(,)?) => {$(
        impl $crate::room::operation::Operation for $asked {
            type Answer = ();
            const AT: At = $at;

            $(fn waits(&self) -> bool {
                $waits
            })?

            fn answer((): &()) -> $crate::room::content::Content {
                $crate::room::content::Content::Empty
            }

            /// Whatever the answer is, it is done.
            fn answered(_answer: $crate::room::content::Content) -> Option<()> {
                Some(())
            }
        }
    )+};
}
pub(crate) use done;

/// Reads null as a missing value: as nothing.
pub(super) fn or_nothing<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads null as a missing value, which means yes here.
pub(super) fn yes_unless_false<'de, D>(deserializer: D) -> Result<bool, D::Error>
where
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(|given| given.unwrap_or(true))
}

/// What is meant if nothing is said.
pub(super) const fn yes() -> bool {
    true
}

impl Room {
    /// Performs an operation in the room. One that does not wait for anything must be answered
    /// within two minutes.
    ///
    /// # Errors
    ///
    /// As [`Room::request`]; an answer that does not fit.
    pub async fn perform<O: Operation>(&self, asked: &O) -> Result<O::Answer, Refused> {
        let header = serde_json::to_value(asked).map_err(|it| Refused::new(it.to_string()))?;
        let patience = if asked.waits() { None } else { Some(ANSWER) };
        let answer = match O::AT {
            At::Room(kind) => self.request_within(patience, (kind, header, Vec::new())).await?,
            At::Tool(toolkit, tool) => {
                let arguments = match asked.bytes() {
                    Some(bytes) => Content::part(header, bytes.expose_secret().clone()),
                    None => Content::Json(header),
                };
                let invocation = Invocation::new(toolkit, tool, arguments);
                self.invoke(Invocation { patience, ..invocation }).await?
            }
        };
        O::answered(answer).ok_or_else(|| Refused::unexpected(&O::AT.to_string()))
    }
}

/// The error of a caller for an operation that a room did not perform.
#[must_use]
pub fn not_done(what: impl fmt::Display, refused: &Refused) -> Error {
    let code = refused.code.map(|code| format!(" ({code})")).unwrap_or_default();
    Error::failed(format!("{what} failed in the room")).because(format!("{refused}{code}"))
}
