//! The one YAML parser: text becomes a tree in which every value knows its place, or values
//! alone. `read` makes them of the parser's events, and `scalar` says what a scalar means.
//!
//! YAML 1.2 decides what a plain scalar is: `yes`, `on` and `010` stay the text that the
//! writer sees. Duplicate keys, aliases that explode and non-finite numbers are errors.
//! JSON is YAML, so the same parser reads it.

mod read;
mod scalar;

use std::fmt;

use self::read::Reader;

/// The largest text that is read, in bytes.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

/// How deep lists and maps may stand in each other.
pub const MAX_DEPTH: usize = 128;

/// How many values and keys a text may have, with those that its aliases repeat.
pub const MAX_EVENTS: usize = 1_000_000;

/// Where something stands in its text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// The line, from one; zero when unknown.
    pub line: u64,
    /// The column in characters, from one.
    pub column: u64,
    /// The byte offset in the text.
    pub start: usize,
    /// The byte offset after its end.
    pub end: usize,
    /// Which override it is of, from one, where another file says what stands here; else zero.
    pub over: u16,
}

impl From<&granit_parser::Span> for Mark {
    fn from(place: &granit_parser::Span) -> Self {
        let bytes = place.byte_range().unwrap_or_default();
        Self {
            line: place.start.line() as u64,
            column: place.start.col() as u64 + 1,
            start: bytes.start,
            end: bytes.end,
            over: 0,
        }
    }
}

impl From<&granit_parser::Marker> for Mark {
    fn from(place: &granit_parser::Marker) -> Self {
        let start = place.byte_offset().unwrap_or_default();
        Self {
            line: place.line() as u64,
            column: place.col() as u64 + 1,
            start,
            end: start,
            over: 0,
        }
    }
}

/// A value with its place and, when it was tagged, its tag (`!template`).
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What stands there.
    pub value: Value,
    /// The tag as written; core tags such as `!!str` are resolved and not kept.
    pub tag: Option<String>,
    /// Where it stands.
    pub mark: Mark,
}

/// A key of a map with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The key's text.
    pub text: String,
    /// Where it stands.
    pub mark: Mark,
}

/// What stands at a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// Text.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the text; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlError {
    /// What is wrong.
    pub message: String,
    /// Where, when known.
    pub mark: Option<Mark>,
    /// The key that stands twice in a map, where that is what is wrong.
    pub duplicate: Option<String>,
}

impl YamlError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), mark: None, duplicate: None }
    }

    fn duplicate(key: String) -> Self {
        Self { duplicate: Some(key.clone()), ..Self::new(format!("duplicate key `{key}`")) }
    }

    /// The error at a place, unless it has one.
    fn or_at(self, mark: Mark) -> Self {
        Self { mark: self.mark.or(Some(mark)), ..self }
    }
}

impl fmt::Display for YamlError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for YamlError {}

/// Reads all documents of a text, in order; empty documents are left out.
///
/// # Errors
///
/// Text that is not YAML, has duplicate keys, expands beyond the limits, or is longer
/// than [`MAX_BYTES`].
pub fn parse(text: &str) -> Result<Vec<Node>, YamlError> {
    parse_noting(text, false).map(|(documents, _)| documents)
}

/// The same, with all numbers in their order.
///
/// # Errors
///
/// As [`parse`].
pub(super) fn parse_with_numbers(text: &str) -> Result<(Vec<Node>, Numbers), YamlError> {
    let (documents, numbers) = parse_noting(text, true)?;
    let mut numbers = numbers.unwrap_or_default();
    numbers.sort_by_key(|(mark, _)| mark.start);
    Ok((documents, numbers))
}

/// Where the numbers of a text stand, and how they are written.
pub(super) type Numbers = Vec<(Mark, String)>;

fn parse_noting(text: &str, notes: bool) -> Result<(Vec<Node>, Option<Numbers>), YamlError> {
    let mut reader = Reader::new(fitting(text)?, notes);
    let documents = reader.documents()?;
    Ok((documents, reader.numbers))
}

/// Reads all documents of a text as values alone, which takes a fraction of the time and of
/// the memory. A tag is refused.
///
/// # Errors
///
/// As [`parse`].
pub(super) fn values(text: &str) -> Result<Vec<serde_json::Value>, YamlError> {
    Reader::new(fitting(text)?, false).documents()
}

fn fitting(text: &str) -> Result<&str, YamlError> {
    match text.len() {
        0..=MAX_BYTES => Ok(text),
        length => Err(YamlError::new(format!(
            "the text has {length} bytes, more than the limit of {MAX_BYTES}"
        ))),
    }
}

impl Node {
    /// A map with no entries, at no place.
    #[must_use]
    pub fn empty() -> Self {
        Self { value: Value::Map(Vec::new()), tag: None, mark: Mark::default() }
    }

    /// The value without its places; a tag is dropped.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(value) => serde_json::Value::Number(value.clone()),
            Value::String(value) => value.clone().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.text.clone(), value.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// The value under a key, when this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|(_, node)| node)
    }

    /// The key and value under a key, when this is a map that has it.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<(&Key, &Self)> {
        match &self.value {
            Value::Map(entries) => {
                entries.iter().find(|(entry, _)| entry.text == key).map(|(key, node)| (key, node))
            }
            _ => None,
        }
    }

    /// The text, when this is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// A scalar as text, to tell the items of a list apart.
    #[must_use]
    pub fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            _ => None,
        }
    }

    /// The first tag anywhere in the tree.
    #[must_use]
    pub fn first_tag(&self) -> Option<(&str, Mark)> {
        if let Some(tag) = &self.tag {
            return Some((tag, self.mark));
        }
        match &self.value {
            Value::List(items) => items.iter().find_map(Self::first_tag),
            Value::Map(entries) => entries.iter().find_map(|(_, node)| node.first_tag()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
