//! Values as they are given on a command line: `name=text` and `name=JSON`.

use serde_json::{Map, Value};

use super::super::{exact, repeated, spelling};

/// Reads a pair; a dot in the name goes one level down.
pub(super) fn parse_pair(
    pair: &str,
    read: impl Fn(&str) -> Result<Value, String>,
) -> Result<Map<String, Value>, String> {
    let (name, text) = pair.split_once('=').ok_or("there is no `=`")?;
    if name.split('.').any(str::is_empty) {
        return Err("the name is empty".to_owned());
    }
    let nested = name
        .rsplit('.')
        .fold(read(text)?, |value, part| Value::Object(Map::from_iter([(part.to_owned(), value)])));
    match nested {
        Value::Object(map) => Ok(map),
        _ => Err("the name is empty".to_owned()),
    }
}

/// What the user should know of a pair `name=JSON`: numbers in it that templates write in
/// another way than they are given.
#[must_use]
pub fn lost_spelling(pair: &str) -> Option<String> {
    spelling::in_argument(pair)
}

/// What is said first of a number that cannot be held.
pub(super) const INEXACT: &str = "not exact";

/// Reads JSON that means what is written: a number that would be rounded is refused, and so is
/// a name that stands twice, of which one would win.
///
/// # Errors
///
/// What the text is, rather than JSON that can be read.
pub fn exact_json(text: &str) -> Result<Value, String> {
    let value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    if let Some(name) = repeated::name_in(text) {
        return Err(format!("ambiguous: {name:?} occurs twice in one object"));
    }
    // Every second piece between quotes is a text.
    let unescaped = text.replace("\\\\", "").replace("\\\"", "");
    let beside_texts = unescaped.split('"').step_by(2);
    let mut words = beside_texts
        .flat_map(|piece| piece.split(|c: char| c.is_ascii_whitespace() || ",:[]{}".contains(c)));
    let inexact = |number: &str| {
        let digits = number.strip_prefix('-').unwrap_or(number);
        if !digits.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        let is_integer = digits.chars().all(|c| c.is_ascii_digit());
        let is_large = number.parse::<i64>().is_err() && number.parse::<u64>().is_err();
        match is_integer {
            true => is_large.then_some("more than 64 bits"),
            false => exact::is_rounded(number).then_some("more digits than a number can hold"),
        }
    };
    match words.find_map(|word| Some((word, inexact(word)?))) {
        Some((number, why)) => {
            Err(format!("{INEXACT}: `{number}` has {why}; put it in quotes to make it a text"))
        }
        None => Ok(value),
    }
}
