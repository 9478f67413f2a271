//! *Pure*: which documents are meant, by kind, name and room.

use std::borrow::Cow;

use serde_json::Value as Json;
use wildmatch::WildMatch;

use crate::kinds;
use crate::listed::nearest;
use crate::manifest::yaml::{Node, Value};

/// Which documents are meant: `Kind/name` or `Kind/name@room`, with `*` and `?`.
#[derive(Debug, Clone)]
pub struct Pattern {
    pub(super) text: String,
    wild: WildMatch,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and what to do about it.
    pub fn parse(text: &str) -> Result<Self, (String, String)> {
        let form = || "write Kind/name or Kind/name@room, with * and ?".to_owned();
        let Some((kind, name)) = text.split_once('/') else {
            return Err((format!("`{text}` names no object"), form()));
        };
        let is_pattern = kind.contains(['*', '?']);
        if !is_pattern && kinds::ALL.iter().all(|known| known.name().to_string() != kind) {
            let names: Vec<String> = kinds::ALL.iter().map(|it| it.name().to_string()).collect();
            let hint = match nearest(kind, names.iter().map(String::as_str)) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("use one of {}", names.join(", ")),
            };
            return Err((format!("unknown kind `{kind}`"), hint));
        }
        if name.is_empty() {
            return Err((format!("`{text}` names no object"), form()));
        }
        Ok(Self { text: text.to_owned(), wild: WildMatch::new(text) })
    }

    /// Whether it may mean several.
    pub(super) fn is_wild(&self) -> bool {
        self.text.contains(['*', '?'])
    }

    /// Whether it means a document, or anything of it.
    pub(super) fn matches(&self, named: &Named<'_>) -> bool {
        self.meant(named) != Meant::Nothing
    }

    /// What of a document it means.
    pub(super) fn meant(&self, named: &Named<'_>) -> Meant {
        let plain = format!("{}/{}", named.kind, named.name);
        if self.wild.matches(&plain) {
            return Meant::All;
        }
        let is_it = |room: &&&str| self.wild.matches(&format!("{plain}@{room}"));
        match named.rooms.iter().filter(is_it).count() {
            0 => Meant::Nothing,
            some if some < named.rooms.len() => Meant::Part,
            _ => Meant::All,
        }
    }
}

/// What of a document is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meant {
    Nothing,
    /// The objects in some of its rooms, and not those in the others.
    Part,
    All,
}

/// What a document says that it is.
pub(super) struct Named<'a> {
    pub(super) kind: &'a str,
    /// What it is called in keys: with the namespaces that it is in.
    pub(super) name: Cow<'a, str>,
    pub(super) rooms: Vec<&'a str>,
}

/// What a document in namespaces is called in keys.
fn called<'a>(mut folders: Vec<&'a str>, name: &'a str) -> Cow<'a, str> {
    if folders.is_empty() {
        return name.into();
    }
    folders.push(name);
    folders.join("/").into()
}

impl<'a> Named<'a> {
    pub(super) fn of_node(root: &'a Node) -> Option<Self> {
        let rooms = match root.get("rooms").map(|rooms| &rooms.value) {
            Some(Value::List(rooms)) => rooms.iter().filter_map(Node::as_str).collect(),
            _ => Vec::new(),
        };
        let room = root.get("room").and_then(Node::as_str);
        Some(Self {
            kind: root.get("kind")?.as_str()?,
            name: called(
                match root.get("namespace").map(|namespace| &namespace.value) {
                    Some(Value::List(folders)) => folders.iter().filter_map(Node::as_str).collect(),
                    _ => Vec::new(),
                },
                root.get("metadata")?.get("name")?.as_str()?,
            ),
            rooms: rooms.into_iter().chain(room).collect(),
        })
    }

    pub(super) fn of_json(root: &'a Json) -> Option<Self> {
        let rooms = root.get("rooms").and_then(Json::as_array);
        let rooms = rooms.into_iter().flatten().chain(root.get("room")).filter_map(Json::as_str);
        Some(Self {
            kind: root.get("kind")?.as_str()?,
            name: called(
                root.get("namespace").and_then(Json::as_array).map_or_else(Vec::new, |folders| {
                    folders.iter().filter_map(Json::as_str).collect()
                }),
                root.get("metadata")?.get("name")?.as_str()?,
            ),
            rooms: rooms.collect(),
        })
    }
}
