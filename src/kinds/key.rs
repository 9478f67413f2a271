//! What identifies an object.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::KindName;
use crate::listed::word;
use crate::visible;

/// What identifies an object: its kind, its project, its room if it has one, and its name. It is
/// used in many places at once, so its clones share their parts.
#[derive(Clone)]
pub struct Key(Arc<Parts>);

/// What identifies an object: its kind, its project, its room if it has one, and its name.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[schemars(rename = "Key")]
#[serde(rename = "Key")]
pub struct Parts {
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

impl From<Parts> for Key {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for Key {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, out)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.0.cmp(&other.0)
    }
}

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Parts::deserialize(deserializer).map(Self::from)
    }
}

impl JsonSchema for Key {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Parts::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        Parts::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Parts::json_schema(generator)
    }
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
    /// The key of an object.
    pub fn new(
        kind: KindName,
        project: impl Into<String>,
        room: Option<String>,
        name: impl Into<String>,
    ) -> Self {
        Parts { kind, project: project.into(), room, name: name.into() }.into()
    }

    /// The same with another name.
    #[must_use]
    pub fn with_name(&self, name: impl Into<String>) -> Self {
        Parts { name: name.into(), ..Parts::clone(self) }.into()
    }

    /// The same in a room, or in none.
    #[must_use]
    pub fn with_room(&self, room: Option<String>) -> Self {
        Parts { room, ..Parts::clone(self) }.into()
    }

    /// The same in another project.
    #[must_use]
    pub fn with_project(&self, project: impl Into<String>) -> Self {
        Parts { project: project.into(), ..Parts::clone(self) }.into()
    }

    /// The text of all its parts from which inventories make salts and seals. It must stay as
    /// it is: another text would make every fingerprint of every set anew, which takes long.
    #[must_use]
    pub fn in_fingerprints(&self) -> String {
        let Parts { kind, project, room, name } = &**self;
        format!("Key {{ kind: {kind:?}, project: {project:?}, room: {room:?}, name: {name:?} }}")
    }

    /// Whether it is of a kind whose objects may be in a room, and is in none: it works in every
    /// room of its project.
    #[must_use]
    pub fn is_in_every_room(&self) -> bool {
        self.room.is_none() && self.kind.fills_rooms()
    }

    /// A `Kind/name` that somebody typed, or a pattern of one, spelled as names of this
    /// key's kind are compared.
    #[must_use]
    pub fn spelled(&self, typed: &str) -> String {
        match typed.split_once('/') {
            Some((kind, name)) => format!("{kind}/{}", self.kind.kind().natural_name(name)),
            None => typed.to_owned(),
        }
    }

    /// The message if another project has the name, and names are unique on the whole platform.
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
            true => Self::of(self.kind, "", &self.name),
            false => self.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fingerprints_are_made_of_stays_as_it_is() {
        let key = Key::of(KindName::Service, "p \"1\"", "é\n");
        let text = r#"Key { kind: Service, project: "p \"1\"", room: None, name: "é\n" }"#;
        assert_eq!(key.in_fingerprints(), text);
        let text = r#"Key { kind: Service, project: "p \"1\"", room: Some("r"), name: "é\n" }"#;
        assert_eq!(key.with_room(Some("r".to_owned())).in_fingerprints(), text);
    }

    #[test]
    fn keys_are_equal_and_ordered_by_their_parts() {
        let key = |project: &str, name: &str| Key::of(KindName::Room, project, name);
        assert_eq!(key("p", "a"), key("p", "a"));
        assert_ne!(key("p", "a"), key("q", "a"));
        assert!(key("p", "b") < key("q", "a") && key("p", "a") < key("p", "b"));
        assert_eq!(key("p", "a").with_name("b"), key("p", "b"));
        assert_eq!(key("p", "a").with_project("q"), key("q", "a"));
    }
}
