//! *Pure*: what a scalar means, by its form or by its tag.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{ScalarStyle, Tag};
use serde_json::{Number, Value};

use super::super::exact;

/// The namespace of the tags that YAML itself defines.
const OWN_TAGS: &str = "tag:yaml.org,2002:";

/// What YAML itself calls a tag: `str` for `!!str`, and an empty text for a lone `!`.
pub(super) fn own_name(tag: &Tag) -> Option<Cow<'_, str>> {
    match tag.parts() {
        ("", "!") | ("!", "") => Some(Cow::Borrowed("")),
        _ => tag.suffix_in_namespace(OWN_TAGS),
    }
}

/// Whether a scalar without quotes is null.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Whether a key merges other maps into its own.
pub(super) fn is_merge(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> bool {
    text == "<<"
        && match tag {
            None => style == ScalarStyle::Plain,
            Some(tag) => own_name(tag).is_some_and(|name| name == "merge"),
        }
}

/// The text of a key; `None` where it is null.
pub(super) fn key_text(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Option<String> {
    let is_null = match tag.and_then(own_name) {
        Some(name) => name == "null",
        None => style == ScalarStyle::Plain && is_null(text),
    };
    (!is_null).then(|| text.to_owned())
}

/// What a key means where an alias repeats it as a value.
///
/// # Errors
///
/// A number that cannot be held.
pub(super) fn key_value(key: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    match (tag, style) {
        (None, ScalarStyle::Plain) => by_look(Cow::Borrowed(key)),
        _ => Ok(Value::String(key.to_owned())),
    }
}

/// What a scalar without quotes and without a tag means, by the core schema of YAML 1.2.
///
/// # Errors
///
/// A number that cannot be sent, or would be another one.
pub(super) fn by_look(text: Cow<'_, str>) -> Result<Value, String> {
    if let Some(truth) = truth(&text) {
        return Ok(Value::Bool(truth));
    }
    if is_null(&text) {
        return Ok(Value::Null);
    }
    // Most numbers are counts.
    let bytes = text.as_bytes();
    let is_count = bytes.len() < 19 && bytes.iter().all(u8::is_ascii_digit);
    if is_count
        && (bytes.len() == 1 || bytes[0] != b'0')
        && let Ok(count) = text.parse::<u64>()
    {
        return Ok(Value::from(count));
    }
    let may_be_number = matches!(bytes[0], b'0'..=b'9' | b'+' | b'-' | b'.');
    Ok(match may_be_number.then(|| number(&text)).transpose()?.flatten() {
        Some(number) => Value::Number(number),
        None => Value::String(text.into_owned()),
    })
}

/// What a scalar of one of YAML's own tags means, whatever it looks like.
///
/// # Errors
///
/// It is not what its tag says.
pub(super) fn by_tag(text: Cow<'_, str>, name: &str, is_plain: bool) -> Result<Value, String> {
    let trimmed = text.trim_matches([' ', '\t', '\r', '\n']);
    let found = match name {
        "" | "str" => return Ok(Value::String(text.into_owned())),
        "null" => is_null(trimmed).then_some(Value::Null),
        "bool" => truth(trimmed).map(Value::Bool),
        "int" => number(trimmed)?.filter(|it| !it.is_f64()).map(Value::Number),
        "float" => {
            number(trimmed)?.and_then(|it| Number::from_f64(it.as_f64()?)).map(Value::Number)
        }
        "binary" => decoded(&text).map(Value::String),
        "seq" | "map" | "timestamp" => None,
        _ if is_plain => return by_look(text),
        _ => return Ok(Value::String(text.into_owned())),
    };
    found.ok_or_else(|| format!("`{text}` does not match its tag `!!{name}`"))
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

fn decoded(text: &str) -> Option<String> {
    let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    String::from_utf8(STANDARD.decode(packed).ok()?).ok()
}

/// The number that a text is, if it is one.
///
/// # Errors
///
/// One that JSON does not hold as it is written.
fn number(text: &str) -> Result<Option<Number>, String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let too_large = || {
        format!(
            "`{text}` has more than 64 bits, so it cannot be sent as a number; put it in quotes to make it a text"
        )
    };
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let is_integer = !digits.is_empty() && digits.chars().all(|it| it.is_digit(radix));
            let number = is_integer.then(|| u64::from_str_radix(digits, radix));
            return number.transpose().map_err(|_| too_large()).map(|it| it.map(Number::from));
        }
    }
    let begins = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    if !begins || !unsigned.bytes().all(|it| it.is_ascii_digit() || b".eE+-".contains(&it)) {
        return not_sent(text, unsigned);
    }
    if unsigned.bytes().all(|it| it.is_ascii_digit()) {
        return match unsigned.len() > 1 && unsigned.starts_with('0') {
            // `010` is eight to some and ten to others, so it stays a text.
            true => Ok(None),
            false if text.starts_with('-') => {
                text.parse::<i64>().map(|it| Some(it.into())).map_err(|_| too_large())
            }
            false => unsigned.parse::<u64>().map(|it| Some(it.into())).map_err(|_| too_large()),
        };
    }
    let Ok(held) = text.parse::<f64>() else { return Ok(None) };
    match Number::from_f64(held) {
        None => Err(format!("`{text}` is not a number that can be sent")),
        Some(_) if exact::is_rounded(text) => Err(format!(
            "`{text}` has more digits than a number that is sent can hold; put it in quotes to make it a text"
        )),
        number => Ok(number),
    }
}

/// Refuses what YAML calls a number and JSON has no sign for.
fn not_sent(text: &str, unsigned: &str) -> Result<Option<Number>, String> {
    match matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        true => Err(format!("`{text}` is not a number that can be sent")),
        false => Ok(None),
    }
}
