//! Operations of a room that it answers at once: what is asked and what is answered is one struct
//! each, which client and server share, so that neither can spell it otherwise. What is a stream
//! is no operation; [`super::call`] has those.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::client::Room;
use super::content::{Content, Refused};
use crate::error::Error;

/// Where an operation is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Of the room itself, by messages of this kind.
    Room(&'static str),
    /// Of a toolkit, as one of its tools.
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

/// What is asked of a room that answers at once.
pub trait Operation: Serialize + DeserializeOwned {
    /// What is answered.
    type Answer: Serialize + DeserializeOwned;

    /// Where it is asked for.
    const AT: At;

    /// What a message asks for that is such an operation. One whose header is no object says
    /// nothing of what may be said.
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

    /// The answer as it stands in a message.
    fn answer(answer: &Self::Answer) -> Content {
        match serde_json::to_value(answer) {
            Ok(answer) => Content::Json(answer),
            Err(error) => Content::Error(Refused::new(error.to_string())),
        }
    }

    /// What an answer says, which is no error; nothing where it makes no sense.
    fn answered(answer: Content) -> Option<Self::Answer> {
        match answer {
            Content::Json(answer) => Self::Answer::deserialize(answer).ok(),
            _ => None,
        }
    }
}

impl Room {
    /// Asks the room for an operation.
    ///
    /// # Errors
    ///
    /// As [`Room::request`]; an answer that makes no sense.
    pub async fn perform<O: Operation>(&self, asked: &O) -> Result<O::Answer, Refused> {
        let header = serde_json::to_value(asked).map_err(|it| Refused::new(it.to_string()))?;
        let answer = match O::AT {
            At::Room(kind) => self.request(kind, header, Vec::new()).await?,
            At::Tool(toolkit, tool) => self.invoke(toolkit, tool, header).await?,
        };
        O::answered(answer).ok_or_else(|| Refused::unexpected(&O::AT.to_string()))
    }
}

/// What a room did not do, as an error of whoever asked it to.
#[must_use]
pub fn not_done(what: impl fmt::Display, refused: &Refused) -> Error {
    let code = refused.code.map(|code| format!(" ({code})")).unwrap_or_default();
    Error::failed(format!("the room failed to do {what}")).because(format!("{refused}{code}"))
}
