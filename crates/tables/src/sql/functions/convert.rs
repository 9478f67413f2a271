//! Values of one type as another, as `CAST` has it.

use rusqlite::types::ValueRef;

use super::{Function, Given, Gives, Ran, Takes};
use crate::data_type::{DataType, Kind};
use crate::sql::kinds::{of_code, same};
use crate::stored::{Stored, day_of, days, loaded, moment_of};
use crate::value::{self, Value};

/// What translations call.
pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        names: &[],
        sql: "m_cast",
        takes: &[Takes::Any, Takes::Int, Takes::Int, Takes::Int],
        required: 4,
        more: None,
        gives: Gives::Text,
        strict: true,
        run: run_time,
    },
    Function {
        names: &[],
        sql: "m_finite",
        takes: &[Takes::Float],
        required: 1,
        more: None,
        gives: Gives::Float,
        strict: true,
        run: |given| {
            let value = given.float(0)?;
            Ok(if value.is_finite() { Stored::Real(value) } else { Stored::Null })
        },
    },
];

/// Whether there is a cast between two types.
pub(in crate::sql) const fn is_possible(from: &Kind, to: &Kind) -> bool {
    use Kind::{Binary, Bool, Date, Float, Int, List, Struct, Text, Timestamp, Vector};
    matches!(
        (from, to),
        (Bool, Int | Float | Text)
            | (Int, Bool | Float | Text | Date)
            | (Float, Bool | Int | Text)
            | (Text, Bool | Int | Float | Date | Timestamp | Binary)
            | (Binary, Text)
            | (Date, Text | Timestamp | Int)
            | (Timestamp, Text | Date)
            | (List(_) | Struct(_) | Vector { .. }, Text)
    )
}

/// A value as another type, where nobody asked for it: nothing of it may be lost.
pub(in crate::sql) fn taken(value: Value, to: &Kind) -> Result<Value, String> {
    match (&value, to) {
        (Value::Text(_) | Value::Timestamp(_), Kind::Date) => value.taken_as(&to.clone().into()),
        _ => cast(value, to),
    }
}

/// A value as another type, as it is asked for.
pub(in crate::sql) fn cast(value: Value, to: &Kind) -> Result<Value, String> {
    let shown = |text: &str| text.chars().take(60).collect::<String>();
    Ok(match (value, to) {
        (Value::Null, _) => Value::Null,
        (Value::Bool(value), Kind::Int) => Value::Int(value.into()),
        (Value::Bool(value), Kind::Float) => Value::Float(f64::from(u8::from(value))),
        (Value::Bool(value), Kind::Text) => Value::Text(value.to_string()),
        (Value::Int(value), Kind::Bool) => Value::Bool(value != 0),
        (Value::Int(value), Kind::Text) => Value::Text(value.to_string()),
        (Value::Int(value), Kind::Date) => {
            Value::Date(day_of(value).ok_or_else(|| format!("there is no day {value}"))?)
        }
        (Value::Float(value), Kind::Bool) => Value::Bool(value != 0.0),
        (Value::Float(value), Kind::Int) => {
            return Value::Float(value.trunc()).taken_as(&to.clone().into());
        }
        // As in Rust, Arrow writes a point even if nothing is behind it.
        (Value::Float(value), Kind::Text) => Value::Text(format!("{value:?}")),
        (Value::Text(text), Kind::Bool) => Value::Bool(
            truth(&text).ok_or_else(|| format!("{:?} is neither true nor false", shown(&text)))?,
        ),
        (Value::Text(text), Kind::Int) => Value::Int(
            text.trim()
                .parse()
                .map_err(|_| format!("{:?} is no whole number of 64 bits", shown(&text)))?,
        ),
        (Value::Text(text), Kind::Float) => Value::Float(
            finite(text.trim()).ok_or_else(|| format!("{:?} is no number", shown(&text)))?,
        ),
        (Value::Text(text), Kind::Binary) => Value::Binary(text.into_bytes()),
        (Value::Binary(bytes), Kind::Text) => {
            Value::Text(String::from_utf8(bytes).map_err(|_| "the bytes are no UTF-8")?)
        }
        (Value::Date(day), Kind::Int) => Value::Int(days(day)),
        (Value::Timestamp(moment), Kind::Date) => Value::Date(moment.date()),
        (Value::Text(text), Kind::Date) => match value::moment(&text) {
            Ok(moment) => Value::Date(moment.date()),
            // It says what a date is like.
            Err(_) => Value::Date(value::day(&text)?),
        },
        (value @ (Value::List(_) | Value::Struct(_) | Value::Vector(_)), Kind::Text) => {
            Value::Text(value.to_plain().to_string())
        }
        (value, to) => return value.taken_as(&to.clone().into()),
    })
}

fn finite(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => Some(true),
        "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// What SQLite gave, as a value of a kind.
pub(super) fn value_of(raw: ValueRef<'_>, kind: &Kind) -> Result<Value, String> {
    match (kind, raw) {
        (Kind::Struct(_) | Kind::List(_), ValueRef::Text(text)) => {
            let plain = serde_json::from_slice(text).map_err(|_| "a list or struct is no JSON")?;
            Value::of_plain(&plain)
                .map_err(|_| "a list or struct has a value of no type".to_owned())
        }
        (Kind::Float, ValueRef::Integer(value)) => Value::Int(value).taken_as(&Kind::Float.into()),
        _ => loaded(raw, kind).map_err(|error| error.text),
    }
}

fn run_time(given: &Given<'_, '_>) -> Ran {
    let kind = |index| {
        let code = given.int(index)?;
        of_code(code).ok_or_else(|| format!("there is no type {code}"))
    };
    let (from, to) = (kind(1)?, kind(2)?);
    let value = value_of(given.raw(0), &from)?;
    let how = given.int(3)?;
    let made = if how == 2 { taken(value, &to) } else { cast(value, &to) };
    match made {
        Ok(value) => Ok(value.into()),
        Err(_) if how == 1 => Ok(Stored::Null),
        // The reason has the value in it, and this may be told to somebody who may not read it.
        Err(_) => Err(format!("a value of {from} is no {to}; TRY_CAST gives null for such ones")),
    }
}

/// A part of a list or struct as SQLite keeps a value of its own.
pub(super) fn kept(plain: &serde_json::Value, code: i64) -> Ran {
    let kind = of_code(code).ok_or_else(|| format!("there is no type {code}"))?;
    let wrong = format!("a part of a list or struct is no {kind}");
    let kept = || -> Result<Value, String> {
        let value = Value::of_plain(plain)?;
        Ok(match kind {
            Kind::Struct(_) => value,
            Kind::Vector { .. } => {
                let kind = value.inferred().unwrap_or(Kind::Text);
                let size = match &value {
                    Value::List(items) => u32::try_from(items.len()).unwrap_or(u32::MAX),
                    _ => 0,
                };
                let element = Box::new(DataType::from(Kind::Float));
                let vector = Kind::Vector { size, element };
                if same(&kind, &vector) { value } else { value.taken_as(&vector.into())? }
            }
            kind => value.taken_as(&kind.into())?,
        })
    };
    kept().map(Stored::from).map_err(|_| wrong)
}

/// A moment from microseconds.
pub(super) fn moment(micros: i64) -> Result<jiff::civil::DateTime, String> {
    moment_of(micros).ok_or_else(|| "a timestamp is out of range".to_owned())
}

/// A day from days.
pub(super) fn day(days: i64) -> Result<jiff::civil::Date, String> {
    day_of(days).ok_or_else(|| "a date is out of range".to_owned())
}
