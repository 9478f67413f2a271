//! What statements compute that SQLite does not, or does for ASCII only.

use std::sync::Arc;

use meshagent_tables::{Error, Result};
use regex::{Regex, RegexBuilder};
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error as SqliteError};

use crate::{limits, moments};

/// What is said of a text that is too long for `=~`. A match cannot be interrupted.
pub const TOO_LONG: &str = "=~ looks at texts of 32 KiB at most, and one is longer; use CONTAINS";

/// A pattern that a whole text is to fit.
///
/// # Errors
///
/// It is none, or would take too much memory.
pub fn pattern(text: &str) -> Result<Regex> {
    let build = |text: &str| {
        RegexBuilder::new(text).size_limit(limits::PATTERN).dfa_size_limit(limits::PATTERN).build()
    };
    // Alone first: what has more closing parentheses than opening ones must not end ours.
    build(text).and_then(|_| build(&format!("^(?:{text})$"))).map_err(|error| {
        let why = match error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            other => other.to_string().lines().last().unwrap_or_default().trim().to_owned(),
        };
        Error::invalid(format!("this is no pattern: {why}"))
    })
}

/// Makes the functions known to a connection.
///
/// # Errors
///
/// SQLite refuses.
pub fn register(connection: &Connection) -> Result<()> {
    let tests: [(&str, TextTest); 3] = [
        ("text_starts", |text, part| text.starts_with(part)),
        ("text_ends", |text, part| text.ends_with(part)),
        ("text_contains", |text, part| text.contains(part)),
    ];
    for (name, test) in tests {
        scalar(connection, name, 2, move |context| {
            Ok(texts(context)?.map(|(text, part)| test(text, part)))
        })?;
    }
    scalar(connection, "text_matches", 2, |context| {
        let read = |kept: ValueRef<'_>| -> std::result::Result<Regex, BoxedError> {
            Ok(pattern(kept.as_str()?)?)
        };
        let pattern: Arc<Regex> = context.get_or_create_aux(1, read)?;
        match text(context)? {
            Some(text) if text.len() > limits::MATCHED => {
                Err(SqliteError::UserFunctionError(TOO_LONG.into()))
            }
            found => Ok(found.map(|text| pattern.is_match(text))),
        }
    })?;
    let changes: [(&str, TextChange); 3] = [
        ("text_lower", str::to_lowercase),
        ("text_upper", str::to_uppercase),
        ("text_trim", |text| text.trim().to_owned()),
    ];
    for (name, change) in changes {
        scalar(connection, name, 1, move |context| Ok(text(context)?.map(change)))?;
    }
    scalar(connection, "moment_key", 1, |context| Ok(text(context)?.map(moments::key)))?;
    scalar(connection, "moment_kept", 1, |context| {
        Ok(text(context)?.map(|text| moments::kept(text).unwrap_or_else(|| text.to_owned())))
    })?;
    scalar(connection, "text_size", 1, |context| {
        let size = |text: &str| i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        Ok(text(context)?.map(size))
    })?;
    scalar(connection, "as_truth", 1, |context| {
        Ok(match context.get_raw(0) {
            ValueRef::Integer(0) => Some("false"),
            ValueRef::Integer(_) => Some("true"),
            _ => None,
        })
    })?;
    scalar(connection, "as_text", 1, |context| {
        Ok(match context.get_raw(0) {
            ValueRef::Integer(number) => Some(number.to_string()),
            ValueRef::Real(number) => Some(serde_json::Value::from(number).to_string()),
            ValueRef::Text(text) => Some(utf8(text)?.to_owned()),
            ValueRef::Null | ValueRef::Blob(_) => None,
        })
    })?;
    scalar(connection, "as_integer", 1, |context| {
        Ok(match context.get_raw(0) {
            ValueRef::Integer(number) => Some(number),
            ValueRef::Real(number) => whole(number),
            ValueRef::Text(text) => {
                let text = utf8(text)?.trim();
                text.parse().ok().or_else(|| text.parse().ok().and_then(whole))
            }
            ValueRef::Null | ValueRef::Blob(_) => None,
        })
    })?;
    scalar(connection, "as_float", 1, |context| {
        Ok(match context.get_raw(0) {
            ValueRef::Integer(number) => number.to_string().parse().ok(),
            ValueRef::Real(number) => Some(number),
            ValueRef::Text(text) => {
                utf8(text)?.trim().parse().ok().filter(|it: &f64| it.is_finite())
            }
            ValueRef::Null | ValueRef::Blob(_) => None,
        })
    })
}

type TextTest = fn(&str, &str) -> bool;
type TextChange = fn(&str) -> String;
type BoxedError = Box<dyn std::error::Error + Send + Sync>;

fn scalar<T: rusqlite::functions::SqlFnOutput>(
    connection: &Connection,
    name: &str,
    arguments: i32,
    function: impl Fn(&Context<'_>) -> rusqlite::Result<T> + Send + 'static,
) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    Ok(connection.create_scalar_function(name, arguments, flags, function)?)
}

/// The argument as a text; none if it is none.
fn text<'a>(context: &'a Context<'_>) -> rusqlite::Result<Option<&'a str>> {
    match context.get_raw(0) {
        ValueRef::Text(text) => Ok(Some(utf8(text)?)),
        _ => Ok(None),
    }
}

/// Both arguments as texts; none if one is none.
fn texts<'a>(context: &'a Context<'_>) -> rusqlite::Result<Option<(&'a str, &'a str)>> {
    match (context.get_raw(0), context.get_raw(1)) {
        (ValueRef::Text(first), ValueRef::Text(second)) => Ok(Some((utf8(first)?, utf8(second)?))),
        _ => Ok(None),
    }
}

fn utf8(text: &[u8]) -> rusqlite::Result<&str> {
    std::str::from_utf8(text).map_err(|error| SqliteError::UserFunctionError(error.into()))
}

/// The whole part of a number, if it has 64 bits.
fn whole(number: f64) -> Option<i64> {
    // The first number beyond those of 64 bits.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    let fits = (-BEYOND..BEYOND).contains(&number);
    #[expect(clippy::cast_possible_truncation, reason = "it was looked at")]
    fits.then_some(number as i64)
}
