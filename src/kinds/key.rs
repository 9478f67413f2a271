//! What tells an object apart from all others.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KindName;
use crate::listed::word;
use crate::visible;

/// What tells an object apart from all others: kind, project, room where it has one, name.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Key {
    /// The kind.
    pub kind: KindName,
    /// The project's name, or its id where the name is not known; a project's own name.
    pub project: String,
    /// The room's name, for a service of one room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// The name, address, domain or id.
    pub name: String,
}

impl fmt::Display for Key {
    /// `Kind/name`, or `Kind/name@room` for a service of one room; just the kind where the
    /// platform has yet to give the name.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            return write!(out, "{}", self.kind);
        }
        write!(out, "{}/{}", self.kind, visible::line(&self.name))?;
        match &self.room {
            Some(room) => write!(out, "@{}", visible::line(room)),
            None => Ok(()),
        }
    }
}

impl Key {
    /// A `Kind/name` that somebody typed, or a pattern of one, spelled as names of this
    /// key's kind are compared.
    #[must_use]
    pub fn spelled(&self, typed: &str) -> String {
        match typed.split_once('/') {
            Some((kind, name)) => format!("{kind}/{}", self.kind.kind().natural_name(name)),
            None => typed.to_owned(),
        }
    }

    /// What is said where another project has the name, and names are one on the whole platform.
    #[must_use]
    pub fn held_by_another(&self) -> String {
        format!("{self} is taken: another project has it")
    }

    /// As one word of a command line, for hints.
    #[must_use]
    pub fn as_word(&self) -> String {
        word(&self.to_string())
    }

    /// What no other object may hold at the same time: the key itself, but for names that
    /// are one on the whole platform.
    #[must_use]
    pub fn claim(&self) -> Self {
        match self.kind.kind().is_unique_everywhere() {
            true => Self { project: String::new(), room: None, ..self.clone() },
            false => self.clone(),
        }
    }
}
