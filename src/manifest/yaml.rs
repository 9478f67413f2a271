//! The one YAML parser: text becomes a tree in which every value knows its place.
//!
//! YAML 1.2 decides what a plain scalar is: `yes`, `on` and `010` stay the text that the
//! writer sees. Duplicate keys, aliases that explode and non-finite numbers are errors.
//! JSON is YAML, so the same parser reads it.

mod library;

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{Location, Spanned, Tagged};

use self::library::{options, yaml_error};
use super::{exact, merges};
use crate::limited;

/// The largest text that is read, in bytes.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

/// How deep lists and maps may stand in each other.
pub const MAX_DEPTH: usize = 128;

/// How many values a text may have, with those that its aliases repeat.
pub const MAX_NODES: usize = 1_000_000;

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
}

impl From<Location> for Mark {
    fn from(location: Location) -> Self {
        let span = location.span();
        let start = span.byte_offset().unwrap_or_default() as usize;
        let length = span.byte_len().unwrap_or_default() as usize;
        Self { line: location.line(), column: location.column(), start, end: start + length }
    }
}

impl From<&granit_parser::Span> for Mark {
    fn from(place: &granit_parser::Span) -> Self {
        let bytes = place.byte_range().unwrap_or_default();
        Self {
            line: place.start.line() as u64,
            column: place.start.col() as u64 + 1,
            start: bytes.start,
            end: bytes.end,
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
    if text.len() > MAX_BYTES {
        return Err(YamlError {
            message: format!(
                "the text has {} bytes, more than the {MAX_BYTES} that are read",
                text.len()
            ),
            mark: None,
        });
    }
    if let Some(second) = merges::second_merge(text) {
        let message = "duplicate key `<<`; one `<<` merges several maps, as a list".to_owned();
        return Err(YamlError { message, mark: Some(Mark::from(&second)) });
    }
    let (mut documents, numbers) = match text.bytes().filter(|byte| b"[{-?:".contains(byte)).count()
    {
        0..=SHALLOW => documents(text, notes)?,
        _ => limited::deep(|| documents(text, notes))?,
    };
    documents.retain(|node| !matches!(node, Node { value: Value::Null, tag: None, .. }));
    if !text.ends_with('\n')
        && let Some(last) = documents.last_mut()
    {
        last.end_without_line_feed(text);
    }
    Ok((documents, numbers))
}

/// How many signs that begin a list or a map a text may have for any stack to be enough.
const SHALLOW: usize = 16;

fn documents(text: &str, notes: bool) -> Result<(Vec<Node>, Option<Numbers>), YamlError> {
    let documents: Vec<Raw> = serde_yaml::from_multiple_with_options(text, options())
        .map_err(|error| yaml_error(&error))?;
    let mut numbers = notes.then(Numbers::new);
    let settled = documents.into_iter().map(|document| document.settle(text, &mut numbers));
    let settled = settled.collect::<Result<_, _>>()?;
    Ok((settled, numbers))
}

/// A node as the library reads it, with the place of its text: where an alias stands for it,
/// that is another place than the node's.
struct Raw {
    value: RawValue,
    tag: Option<String>,
    mark: Mark,
    written: Mark,
}

/// Whether a plain scalar is an integer that is not written in the decimal system and has more
/// than 64 bits.
fn is_too_large(written: &str) -> bool {
    let digits = |prefix: &str, radix: u32| {
        let digits = written.strip_prefix(prefix).filter(|digits| !digits.is_empty())?;
        digits
            .chars()
            .all(|digit| digit.is_digit(radix))
            .then(|| u64::from_str_radix(digits, radix))
    };
    digits("0x", 16).or_else(|| digits("0o", 8)).is_some_and(|held| held.is_err())
}

fn too_large(written: &str, mark: Mark) -> YamlError {
    let message = format!(
        "`{written}` has more than 64 bits, so it cannot be sent as a number; in quotes it is a text"
    );
    YamlError { message, mark: Some(mark) }
}

enum RawValue {
    Scalar(Value),
    List(Vec<Raw>),
    Map(Vec<(Key, Raw)>),
}

impl Raw {
    /// The node. What the library takes for a number, beyond YAML 1.2, is the text that the
    /// writer sees.
    fn settle(self, text: &str, numbers: &mut Option<Numbers>) -> Result<Node, YamlError> {
        let written = text.get(self.written.start..self.written.end).unwrap_or_default();
        let value = match self.value {
            RawValue::Scalar(Value::Number(number)) if self.tag.is_none() => {
                match Plain::of(written) {
                    Plain::Text => Value::String(written.to_owned()),
                    Plain::Integer if number.is_f64() => {
                        return Err(too_large(written, self.mark));
                    }
                    Plain::Fraction if exact::is_rounded(written) => {
                        return Err(YamlError {
                            message: format!(
                                "`{written}` has more digits than a number that is sent can hold; in quotes it is a text"
                            ),
                            mark: Some(self.mark),
                        });
                    }
                    Plain::Integer | Plain::Fraction => {
                        if let Some(numbers) = numbers {
                            numbers.push((self.mark, written.to_owned()));
                        }
                        Value::Number(number)
                    }
                }
            }
            // The library leaves as text what it cannot hold.
            RawValue::Scalar(Value::String(held))
                if self.tag.is_none() && held == written && is_too_large(written) =>
            {
                return Err(too_large(written, self.mark));
            }
            RawValue::Scalar(value) => value,
            RawValue::List(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| item.settle(text, numbers))
                    .collect::<Result<_, _>>()?,
            ),
            RawValue::Map(entries) => {
                one_of_each(&entries)?;
                Value::Map(
                    entries
                        .into_iter()
                        .map(|(key, value)| Ok((key, value.settle(text, numbers)?)))
                        .collect::<Result<_, _>>()?,
                )
            }
        };
        let tag = self.tag.filter(|tag| !tag.starts_with("tag:yaml.org,2002:") && tag != "!");
        Ok(Node { value, tag, mark: self.mark })
    }
}

/// A key is its text, so that `1` and `"1"` are one; the library tells them apart.
fn one_of_each(entries: &[(Key, Raw)]) -> Result<(), YamlError> {
    let mut seen = HashSet::with_capacity(entries.len());
    match entries.iter().find(|(key, _)| !seen.insert(key.text.as_str())) {
        Some((key, _)) => Err(YamlError {
            message: format!("duplicate key `{}`", key.text),
            mark: Some(key.mark),
        }),
        None => Ok(()),
    }
}

/// What a plain scalar that may be a number is in the core schema of YAML 1.2.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plain {
    Integer,
    Fraction,
    Text,
}

impl Plain {
    fn of(text: &str) -> Self {
        let are = |digits: &str, radix: u32| {
            !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix))
        };
        if let Some(digits) = text.strip_prefix("0x") {
            return if are(digits, 16) { Self::Integer } else { Self::Text };
        }
        if let Some(digits) = text.strip_prefix("0o") {
            return if are(digits, 8) { Self::Integer } else { Self::Text };
        }
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        if are(unsigned, 10) {
            return Self::Integer;
        }
        // The library has read it as a number, so what is left to rule out are other bases.
        let is_fraction = unsigned
            .starts_with(|first: char| first.is_ascii_digit() || first == '.')
            && unsigned.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
        if is_fraction { Self::Fraction } else { Self::Text }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Spanned::<Tagged<RawValue>>::deserialize(deserializer)?;
        let Tagged(value, tag) = read.value;
        Ok(Self {
            value,
            tag,
            mark: Mark::from(read.referenced),
            written: Mark::from(read.defined),
        })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self { mark: Mark::from(key.referenced), text: key.value })
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Builder)
    }
}

struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = RawValue;
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a YAML value")
    }
    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Null))
    }
    fn visit_none<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Null))
    }
    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<RawValue, D::Error> {
        inner.deserialize_any(self)
    }
    fn visit_bool<E>(self, value: bool) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Bool(value)))
    }
    fn visit_i64<E>(self, value: i64) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Number(value.into())))
    }
    fn visit_u64<E>(self, value: u64) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Number(value.into())))
    }
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<RawValue, E> {
        serde_json::Number::from_f64(value)
            .map(|number| RawValue::Scalar(Value::Number(number)))
            .ok_or_else(|| E::custom(format!("{value} is not a number that can be sent")))
    }
    fn visit_str<E>(self, value: &str) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::String(value.to_owned())))
    }
    fn visit_string<E>(self, value: String) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::String(value)))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        list.shrink_to_fit();
        Ok(RawValue::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RawValue, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        map.shrink_to_fit();
        Ok(RawValue::Map(map))
    }
}

impl Node {
    /// A map with no entries, at no place.
    #[must_use]
    pub fn empty() -> Self {
        Self { value: Value::Map(Vec::new()), tag: None, mark: Mark::default() }
    }

    /// A block scalar at the end of a text that has no line feed there has none either;
    /// the library adds one.
    fn end_without_line_feed(&mut self, text: &str) {
        match &mut self.value {
            Value::List(items) => {
                if let Some(last) = items.last_mut() {
                    last.end_without_line_feed(text);
                }
            }
            Value::Map(entries) => {
                if let Some((_, last)) = entries.last_mut() {
                    last.end_without_line_feed(text);
                }
            }
            Value::String(scalar) if scalar.ends_with('\n') => {
                // The place of a block scalar is its header or the start of its text.
                let from = text.get(self.mark.start..).unwrap_or_default();
                let before = text.get(..self.mark.start).unwrap_or_default().trim_end();
                let header = before.lines().last().unwrap_or_default();
                let header = header.split(" #").next().unwrap_or_default().trim_end();
                let header = header.trim_end_matches(|next: char| "+123456789".contains(next));
                let block = from.starts_with(['|', '>']) || header.ends_with(['|', '>']);
                if block {
                    scalar.pop();
                }
            }
            _ => {}
        }
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
mod tests {
    use super::*;

    fn json(text: &str) -> serde_json::Value {
        parse(text).unwrap().remove(0).to_json()
    }

    fn refusal(text: &str) -> String {
        let error = parse(text).unwrap_err();
        let mark = error.mark.unwrap_or_default();
        format!("{}:{}: {}", mark.line, mark.column, error.message)
    }

    #[test]
    fn a_block_scalar_ends_as_its_text_ends() {
        for (text, expected) in [
            ("a: |\n  b\n  c", "b\nc"),
            ("a: |\n  b\n  c\n", "b\nc\n"),
            ("a: |+\n  b\n\n", "b\n\n"),
            ("a: |-\n  b", "b"),
            ("a: >\n  b\n  c", "b c"),
            ("a: \"b\\n\"", "b\n"),
            ("a: 'b\n\n  c'", "b\nc"),
            ("b: [x]\na: |2 # note\n    b: |\n     c", "  b: |\n   c"),
            ("a: |+\n  b", "b"),
        ] {
            assert_eq!(json(text)["a"], expected, "{text:?}");
        }
    }

    #[test]
    fn plain_scalars_stay_what_the_writer_sees() {
        assert_eq!(
            json("[yes, on, 010, 1_000, 2026-01-01, True, ~, 1:20, 0x10, '1', !!str 5]\n"),
            serde_json::json!([
                "yes",
                "on",
                "010",
                "1_000",
                "2026-01-01",
                true,
                null,
                "1:20",
                16,
                "1",
                "5"
            ])
        );
    }

    #[test]
    fn only_what_yaml_1_2_calls_a_number_is_one() {
        for text in ["0b11", "0B1", "0X1f", "-0x1F", "+0x1F", "0O17", "-0o7", "+0o7"] {
            for yaml in [
                format!("a: {text}\n"),
                format!("b: &b {text}\na: *b\n"),
                format!("b: &b {{a: {text}}}\n<<: *b\n"),
                format!("{{\"a\": {text}}}"),
            ] {
                assert_eq!(json(&yaml)["a"], text, "{yaml}");
            }
        }
        for (text, number) in [
            ("0x1F", serde_json::json!(31)),
            ("0o17", serde_json::json!(15)),
            ("+1", serde_json::json!(1)),
            ("-.5", serde_json::json!(-0.5)),
            ("1.e3", serde_json::json!(1000.0)),
            ("1E+3", serde_json::json!(1000.0)),
            ("0xFFFFFFFFFFFFFFFF", serde_json::json!(u64::MAX)),
            ("18446744073709551615", serde_json::json!(u64::MAX)),
            ("-9223372036854775808", serde_json::json!(i64::MIN)),
        ] {
            assert_eq!(json(&format!("b: &b {text}\na: *b\n"))["a"], number, "{text}");
        }
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_refused_and_not_rounded() {
        for text in [
            "18446744073709551616",
            "-9223372036854775809",
            "+123456789012345678901234",
            "0x1FFFFFFFFFFFFFFFF",
            "0o7777777777777777777777777",
        ] {
            for yaml in [format!("b:\n- a: {text}\n"), format!("b:\n- &a {text}\nc: *a\n")] {
                let refusal = refusal(&yaml);
                assert!(refusal.starts_with("2:"), "{refusal}");
                assert!(refusal.contains(&format!("`{text}` has more than 64 bits")), "{refusal}");
            }
            assert_eq!(json(&format!("a: '{text}'\n"))["a"], text);
        }
        assert_eq!(refusal("a: 1e400"), "1:4: `1e400` is not a number that can be sent");
    }

    #[test]
    fn places_are_those_of_the_text() {
        let node = parse("a: 1\nbö:\n  - x\n  - c: !template y\n").unwrap().remove(0);
        let (key, list) = node.entry("bö").unwrap();
        assert_eq!((key.mark.line, key.mark.column), (2, 1));
        let Value::List(items) = &list.value else { panic!("not a list") };
        let inner = items[1].get("c").unwrap();
        assert_eq!((inner.mark.line, inner.mark.column), (4, 18));
        assert_eq!(inner.tag.as_deref(), Some("!template"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        insta::assert_snapshot!(
            [
                "a: 1\na: 2",
                "null: b",
                "[1]: a",
                "a: .nan",
                "a: [1, 2\nb: 3",
                "a: *missing",
                "a: 'x",
                "a: b: c",
                "%FOO",
            ]
            .map(refusal)
            .join("\n")
        );
    }

    #[test]
    fn aliases_that_explode_and_deep_nesting_are_refused() {
        let bomb = ('b'..='i').fold("a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, name| {
            let last = (name as u8 - 1) as char;
            text + &format!("{name}: &{name} [{}]\n", vec![format!("*{last}"); 9].join(","))
        });
        assert!(
            refusal(&bomb).contains("expan") || refusal(&bomb).contains("alias"),
            "{}",
            refusal(&bomb)
        );
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
