//! The functions that translations call and SQLite does not have, or has with another meaning.
//!
//! | module | holds |
//! |---|---|
//! | [`convert`] | values of one type as another |
//! | [`text`] | functions of texts |
//! | [`patterns`] | `LIKE` and regular expressions |
//! | [`numbers`] | functions of numbers |
//! | [`times`] | functions of dates and timestamps |
//! | [`nested`] | functions of lists, structs and vectors |
//! | [`aggregates`] | functions of many rows |
//! | [`watch`] | when they stop, and how much they keep |
//!
//! All begin with `m_`, always give the same for the same, touch nothing but what they are given,
//! and end with an error instead of a panic. What they make is bounded by [`LARGEST`]. A call takes
//! time in proportion to what it is given, or asks [`watch`] whether there is any left. What is
//! stored is never in an error: whoever may change a table need not be one who may read it.

pub(super) mod aggregates;
pub(super) mod convert;
pub(super) mod nested;
pub(super) mod numbers;
pub(super) mod patterns;
pub(super) mod text;
pub(super) mod times;
pub(super) mod watch;

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

use self::watch::Meter;
use crate::stored::Stored;

/// The most bytes that a function gives.
pub(super) const LARGEST: usize = 4 * 1024 * 1024;

/// What comes of a call, or why nothing does.
pub(super) type Ran = Result<Stored, String>;

/// A function of one row.
pub(super) struct Function {
    /// What clients call it; nothing for what only translations call.
    pub names: &'static [&'static str],
    /// What statements call it.
    pub sql: &'static str,
    /// What it takes.
    pub takes: &'static [Takes],
    /// How many of these there must be.
    pub required: usize,
    /// What it takes behind these, as often as it is given.
    pub more: Option<Takes>,
    /// What it gives.
    pub gives: Gives,
    /// Whether null for any argument gives null, without a call.
    pub strict: bool,
    /// How it is computed.
    pub run: fn(&Given<'_, '_>) -> Ran,
}

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// A text.
    Text,
    /// A value that is written as text.
    Written,
    /// A whole number.
    Int,
    /// A number, with a point.
    Float,
    /// What only translations give.
    Any,
}

/// What a function gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    /// Yes or no.
    Bool,
    /// A whole number.
    Int,
    /// A number with a point.
    Float,
    /// A text.
    Text,
    /// A list of texts.
    Texts,
}

/// The arguments of a call.
pub(super) struct Given<'c, 'a>(pub &'c Context<'a>, pub &'c Meter);

impl Given<'_, '_> {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// One of them; null beyond the last.
    pub fn raw(&self, index: usize) -> ValueRef<'_> {
        if index < self.0.len() { self.0.get_raw(index) } else { ValueRef::Null }
    }

    /// Whether one is null.
    pub fn is_null(&self, index: usize) -> bool {
        matches!(self.raw(index), ValueRef::Null)
    }

    /// A text.
    pub fn text(&self, index: usize) -> Result<&str, String> {
        match self.raw(index) {
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map_err(|_| "a text is no UTF-8".to_owned())
            }
            _ => Err("a function was given something else than a text".to_owned()),
        }
    }

    /// A whole number.
    pub fn int(&self, index: usize) -> Result<i64, String> {
        match self.raw(index) {
            ValueRef::Integer(value) => Ok(value),
            _ => Err("a function was given something else than a whole number".to_owned()),
        }
    }

    /// A number.
    pub fn float(&self, index: usize) -> Result<f64, String> {
        match self.raw(index) {
            ValueRef::Real(value) => Ok(value),
            #[expect(clippy::cast_precision_loss, reason = "numbers with a point have 53 bits")]
            ValueRef::Integer(value) => Ok(value as f64),
            _ => Err("a function was given something else than a number".to_owned()),
        }
    }

    /// Bytes.
    pub fn bytes(&self, index: usize) -> Result<&[u8], String> {
        match self.raw(index) {
            ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(bytes),
            _ => Err("a function was given something else than bytes".to_owned()),
        }
    }
}

/// All functions of one row.
pub(super) fn all() -> impl Iterator<Item = &'static Function> {
    [
        convert::FUNCTIONS,
        text::FUNCTIONS,
        patterns::FUNCTIONS,
        numbers::FUNCTIONS,
        times::FUNCTIONS,
        nested::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

/// The function that clients call by a name.
pub(super) fn named(name: &str) -> Option<&'static Function> {
    all().find(|it| it.names.contains(&name))
}

/// Gives a connection the functions.
pub(super) fn install(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    let meter = Meter::default();
    for function in all() {
        let meter = meter.clone();
        connection.create_scalar_function(function.sql, -1, flags, move |context| {
            let given = Given(context, &meter);
            if function.strict && (0..given.count()).any(|index| given.is_null(index)) {
                return Ok(Stored::Null);
            }
            (function.run)(&given).and_then(bounded).map_err(told)
        })?;
    }
    aggregates::install(connection, flags, &meter)
}

/// An error of SQLite with a text.
pub(super) fn told(text: String) -> rusqlite::Error {
    if watch::is_over() {
        let interrupted = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERRUPT);
        return rusqlite::Error::SqliteFailure(interrupted, None);
    }
    rusqlite::Error::UserFunctionError(text.into())
}

fn bounded(stored: Stored) -> Ran {
    let length = match &stored {
        Stored::Text(text) => text.len(),
        Stored::Blob(bytes) => bytes.len(),
        _ => 0,
    };
    fits(length)?;
    Ok(stored)
}

/// Whether so many bytes may be made.
pub(super) fn fits(length: usize) -> Result<(), String> {
    if length > LARGEST {
        return Err(format!("a function made a value of more than {LARGEST} bytes"));
    }
    Ok(())
}
