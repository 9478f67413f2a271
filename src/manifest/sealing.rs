//! *Pure*: where what came from sealed variables of the environment stands in a document. It
//! can be hidden where it is a value, or a part of one. A name, and whatever else tells objects
//! apart, is shown, so there it is refused.

use std::ops::Range;

use super::source::Source;
use super::yaml::{Key, Mark, Node, Value};
use crate::error::Problem;

/// Fields at the top of a document that say what it is, where it belongs and how it is treated.
const SHOWN: [&str; 8] =
    ["version", "kind", "project", "room", "rooms", "template", "values", "lifecycle"];

/// Fields of `metadata` that may be hidden.
const HIDDEN_METADATA: [&str; 4] = ["description", "annotations", "repo", "icon"];

/// From how many bytes on a text that stands in another one does so by no accident.
const NO_ACCIDENT: usize = 6;

/// The values of a document that hold something sealed, as they are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SealedValues {
    /// Texts.
    pub(super) texts: Vec<String>,
    /// Numbers, as they are written in JSON.
    pub(super) numbers: Vec<String>,
}

impl SealedValues {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.numbers.is_empty()
    }

    /// Whether one of them is this text, or a part of it that is no accident.
    pub(super) fn are_in(&self, text: &str) -> bool {
        let is_in = |sealed: &String| {
            sealed.eq_ignore_ascii_case(text)
                || sealed.len() >= NO_ACCIDENT && text.contains(sealed.as_str())
        };
        self.texts.iter().chain(&self.numbers).any(is_in)
    }

    /// A message in which none of them stands.
    pub(super) fn hidden_in(&self, mut message: String) -> String {
        for sealed in self.texts.iter().filter(|sealed| !sealed.trim().is_empty()) {
            message = message.replace(sealed.as_str(), "(secret)");
        }
        message
    }
}

/// Whether something sealed stands in a part of a source.
pub(super) fn is_sealed(source: &Source, part: &Range<usize>) -> bool {
    within(source, part).next().is_some()
}

fn within<'a>(
    source: &'a Source,
    part: &'a Range<usize>,
) -> impl Iterator<Item = &'a Range<usize>> {
    source.sealed.iter().filter(|sealed| sealed.start < part.end && part.start < sealed.end)
}

/// The sealed values of a document.
///
/// # Errors
///
/// Where something sealed is no value, or a value that is shown.
pub(super) fn values(
    source: &Source,
    part: &Range<usize>,
    root: &Node,
) -> Result<SealedValues, Vec<Problem>> {
    let mut places = Vec::new();
    collect(root, &mut Vec::new(), &mut places);
    places.sort_by_key(|place| place.start);
    let mut found = SealedValues::default();
    let mut problems = Vec::new();
    for sealed in within(source, part) {
        let text = source.text.get(sealed.clone()).unwrap_or_default();
        if text.trim().is_empty() {
            continue;
        }
        let next = places.partition_point(|place| place.start <= sealed.start);
        let spreads = places.get(next).is_some_and(|place| place.start < sealed.end);
        let place = next.checked_sub(1).and_then(|index| places.get(index));
        let kept = match place.map(|place| &place.what) {
            _ if spreads => Err("is more than one value"),
            Some(What::Value { path, node }) => keep(path, node, text, &mut found),
            Some(What::Other) | None => Err("is no value"),
        };
        if let Err(why) = kept {
            problems.push(refused(source, sealed, why));
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// The problem of what cannot be sealed where it stands.
pub(super) fn refused(source: &Source, sealed: &Range<usize>, why: &str) -> Problem {
    let before = &source.text[..sealed.start];
    let line = before.matches('\n').count() as u64 + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) as u64 + 1;
    let mark = Mark { line, column, start: sealed.start, end: sealed.end };
    let message = format!("what comes from a sealed variable of the environment {why} here");
    source
        .problem(mark, message)
        .hint("--allow-env NAME=public allows that plans show the variable; else write it as a value, in quotes")
}

/// The problem of a part of a source in which nothing can be sealed.
pub(super) fn refused_part(source: &Source, part: &Range<usize>, why: &str) -> Vec<Problem> {
    within(source, part).map(|sealed| refused(source, sealed, why)).collect()
}

/// Keeps a value that is to be hidden.
fn keep(
    path: &[&str],
    node: &Node,
    sealed: &str,
    found: &mut SealedValues,
) -> Result<(), &'static str> {
    let is_shown = match path {
        ["metadata", name, ..] => !HIDDEN_METADATA.contains(name),
        [name, ..] => *name == "metadata" || SHOWN.contains(name),
        [] => true,
    };
    if is_shown {
        return Err("would be shown");
    }
    // Where the places of the parser were wrong, another value would be hidden.
    let telling = words(sealed).map(str::len).max().unwrap_or_default().min(3);
    let holds = |text: &str| {
        let mut words = words(sealed).filter(|word| word.len() >= telling);
        telling == 0 || words.any(|word| text.contains(word))
    };
    match &node.value {
        Value::String(text) if holds(text) => found.texts.push(text.clone()),
        Value::Number(number) => found.numbers.push(number.to_string()),
        Value::Bool(_) => return Err("is a truth value, which nothing hides,"),
        _ => return Err("is no value"),
    }
    Ok(())
}

/// The words of a text, which YAML leaves as they are.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

/// Something that begins at a byte of the source.
struct Place<'a> {
    start: usize,
    what: What<'a>,
}

enum What<'a> {
    Value {
        path: Vec<&'a str>,
        node: &'a Node,
    },
    /// A key, a list or a map.
    Other,
}

fn collect<'a>(node: &'a Node, path: &mut Vec<&'a str>, places: &mut Vec<Place<'a>>) {
    let start = node.mark.start;
    match &node.value {
        Value::List(items) => {
            places.push(Place { start, what: What::Other });
            items.iter().for_each(|item| collect(item, path, places));
        }
        Value::Map(entries) => {
            places.push(Place { start, what: What::Other });
            for (Key { text, mark }, below) in entries {
                places.push(Place { start: mark.start, what: What::Other });
                path.push(text);
                collect(below, path, places);
                path.pop();
            }
        }
        _ => places.push(Place { start, what: What::Value { path: path.clone(), node } }),
    }
}
