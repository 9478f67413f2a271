//! How SQLite keeps values: one form for each type, which sorts and compares as the type does.

use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Span};
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::data_type::Kind;
use crate::error::{Error, Reason, Result};
use crate::value::Value;

/// A value as SQLite keeps it.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// None.
    Null,
    /// Whole numbers; yes and no as 1 and 0; days since 1970; microseconds since 1970.
    Int(i64),
    /// Numbers with a point.
    Real(f64),
    /// Texts; lists and structs as plain JSON.
    Text(String),
    /// Bytes; vectors as numbers of 32 bits, the lowest byte first.
    Blob(Vec<u8>),
}

impl From<Value> for Stored {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Int(value.into()),
            Value::Int(value) => Self::Int(value),
            Value::Float(value) => Self::Real(value),
            Value::Text(text) => Self::Text(text),
            Value::Binary(bytes) => Self::Blob(bytes),
            Value::Date(day) => Self::Int(days(day)),
            Value::Timestamp(moment) => Self::Int(micros(moment)),
            Value::Vector(numbers) => Self::Blob(bytes(&numbers)),
            nested @ (Value::List(_) | Value::Struct(_)) => {
                Self::Text(nested.to_plain().to_string())
            }
        }
    }
}

impl rusqlite::ToSql for Stored {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Reads what SQLite keeps as a value of a type.
///
/// # Errors
///
/// It is not what this type is kept as: the file was changed by somebody else.
pub fn loaded(kept: ValueRef<'_>, kind: &Kind) -> Result<Value> {
    let wrong = || {
        let text = format!("the tables hold a value that is no {kind}");
        Error::new(Reason::Failed, text)
    };
    Ok(match (kind, kept) {
        (_, ValueRef::Null) => Value::Null,
        (Kind::Bool, ValueRef::Integer(value)) => Value::Bool(value != 0),
        (Kind::Int, ValueRef::Integer(value)) => Value::Int(value),
        (Kind::Float, ValueRef::Real(value)) => Value::Float(value),
        (Kind::Text, ValueRef::Text(text)) => Value::Text(text_of(text).ok_or_else(wrong)?),
        (Kind::Binary, ValueRef::Blob(bytes)) => Value::Binary(bytes.to_vec()),
        (Kind::Date, ValueRef::Integer(value)) => Value::Date(day_of(value).ok_or_else(wrong)?),
        (Kind::Timestamp, ValueRef::Integer(value)) => {
            Value::Timestamp(moment_of(value).ok_or_else(wrong)?)
        }
        (Kind::Vector { .. }, ValueRef::Blob(bytes)) => {
            Value::Vector(numbers(bytes).ok_or_else(wrong)?)
        }
        (Kind::List(_) | Kind::Struct(_), ValueRef::Text(text)) => {
            let plain = serde_json::from_slice(text).map_err(|_| wrong())?;
            let value = Value::of_plain(&plain).map_err(|_| wrong())?;
            value.taken_as_kind(kind).map_err(|_| wrong())?
        }
        _ => return Err(wrong()),
    })
}

/// Vectors as bytes.
#[must_use]
pub fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Bytes as a vector; none if they are none.
#[must_use]
pub fn numbers(bytes: &[u8]) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks();
    rest.is_empty().then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

/// Days since 1970.
#[must_use]
pub fn days(day: Date) -> i64 {
    let first = Date::constant(1970, 1, 1);
    let hours = day.duration_since(first).as_hours();
    hours / 24
}

/// The day that is so many days after the first of 1970; none beyond the calendar.
#[must_use]
pub fn day_of(days: i64) -> Option<Date> {
    let span = Span::new().try_days(days).ok()?;
    Date::constant(1970, 1, 1).checked_add(span).ok()
}

/// Microseconds since 1970, of a moment in UTC.
#[must_use]
pub fn micros(moment: DateTime) -> i64 {
    // All moments of the calendar fit.
    i64::try_from(moment.duration_since(FIRST).as_micros()).unwrap_or_default()
}

/// The moment that is so many microseconds after the first one of 1970; none beyond the calendar.
#[must_use]
pub fn moment_of(micros: i64) -> Option<DateTime> {
    FIRST.checked_add(SignedDuration::from_micros(micros)).ok()
}

/// The first moment of 1970.
const FIRST: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

fn text_of(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_type::{DataType, Field};

    fn there_and_back(value: Value, kind: &Kind) -> Value {
        let stored = Stored::from(value);
        let ToSqlOutput::Borrowed(kept) = rusqlite::ToSql::to_sql(&stored).unwrap() else {
            panic!("it is borrowed")
        };
        loaded(kept, kind).unwrap()
    }

    #[test]
    fn values_are_kept_as_they_are() {
        let text = |it: &str| Value::Text(it.to_owned());
        let date = |it: &str| text(it).taken_as(&Kind::Date.into()).unwrap();
        let moment = |it: &str| text(it).taken_as(&Kind::Timestamp.into()).unwrap();
        let nested = Kind::List(Box::new(DataType::from(Kind::Struct(vec![Field {
            name: "when".to_owned(),
            data_type: Kind::Timestamp.into(),
        }]))));
        let struct_of = Value::Struct(vec![("when".to_owned(), moment("1969-12-31T23:59:59Z"))]);
        for (value, kind) in [
            (Value::Null, Kind::Int),
            (Value::Bool(true), Kind::Bool),
            (Value::Int(i64::MIN), Kind::Int),
            (Value::Float(-0.5), Kind::Float),
            (text("a\u{0}ä"), Kind::Text),
            (Value::Binary(vec![0, 255]), Kind::Binary),
            (date("0001-01-01"), Kind::Date),
            (date("1969-12-31"), Kind::Date),
            (date("9999-12-31"), Kind::Date),
            (moment("2026-11-30T12:00:00.000001Z"), Kind::Timestamp),
            (moment("0001-01-01T00:00:00Z"), Kind::Timestamp),
            (moment("1969-12-31T23:59:59.999999Z"), Kind::Timestamp),
            (moment("9999-12-31T23:59:59.999999Z"), Kind::Timestamp),
            (
                Value::Vector(vec![0.1, -2.0]),
                Kind::Vector { size: 2, element: Box::new(Kind::Float.into()) },
            ),
            (Value::List(vec![struct_of, Value::Null]), nested),
        ] {
            assert_eq!(there_and_back(value.clone(), &kind), value);
        }
    }

    #[test]
    fn what_was_changed_by_others_is_told() {
        for (kept, kind) in [
            (ValueRef::Text(b"x"), Kind::Int),
            (ValueRef::Integer(i64::MAX), Kind::Date),
            (ValueRef::Integer(i64::MAX), Kind::Timestamp),
            (ValueRef::Text(&[255]), Kind::Text),
            (
                ValueRef::Blob(&[1, 2, 3]),
                Kind::Vector { size: 1, element: Box::new(Kind::Float.into()) },
            ),
            (ValueRef::Text(b"{"), Kind::List(Box::new(Kind::Int.into()))),
        ] {
            assert!(loaded(kept, &kind).is_err());
        }
    }
}
