//! Values, their forms on the wire, and how a column takes them.
//!
//! Clients write values by what they are in their own language, not by the type of the column
//! (public SDK 0.31.4): a moment comes as a text, a vector as a list of numbers, a whole number for
//! a column of numbers with a point. [`Value::taken_as`] makes them what the column has.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::Pieces;
use serde_json::{Value as Json, json};

use crate::data_type::{DataType, Kind};

/// How deep values may be nested.
const DEPTH: usize = 32;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// None.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a point. It is never NaN and never infinite: JSON has neither.
    Float(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// A day.
    Date(Date),
    /// A moment, in UTC. What is finer than a microsecond is cut off when a column takes it. It is no
    /// [`jiff::Timestamp`], for these end a day before the year 9999 does.
    Timestamp(DateTime),
    /// Numbers of 32 bits.
    Vector(Vec<f32>),
    /// Values.
    List(Vec<Value>),
    /// Values with names, in their order.
    Struct(Vec<(String, Value)>),
}

/// A row: values by the names of their columns.
pub type Row = Vec<(String, Value)>;

impl Value {
    /// What it is, in the words of types.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::Binary(_) => "binary",
            Self::Date(_) => "date",
            Self::Timestamp(_) => "timestamp",
            Self::Vector(_) => "vector",
            Self::List(_) => "list",
            Self::Struct(_) => "struct",
        }
    }

    /// Reads a value from its typed form on the wire.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn of_wire(wire: &Json) -> Result<Self, String> {
        Self::read(wire, 0)
    }

    fn read(wire: &Json, depth: usize) -> Result<Self, String> {
        if depth > DEPTH {
            return Err(format!("values are nested at most {DEPTH} deep"));
        }
        let kind = wire["type"].as_str().ok_or("a value has a type")?;
        let value = &wire["value"];
        let wrong = || format!("{} is no {kind}", short(value));
        let text = || value.as_str().ok_or_else(wrong);
        Ok(match kind {
            "null" => Self::Null,
            "bool" => Self::Bool(value.as_bool().ok_or_else(wrong)?),
            "int" => Self::Int(value.as_i64().ok_or_else(wrong)?),
            "float" => Self::Float(value.as_f64().ok_or_else(wrong)?),
            "text" => Self::Text(text()?.to_owned()),
            "binary" => {
                let data = wire["data"].as_str().ok_or("bytes have data")?;
                Self::Binary(STANDARD.decode(data).map_err(|_| "bytes are not base64")?)
            }
            "date" => Self::Date(day(text()?)?),
            "timestamp" => Self::Timestamp(moment(text()?)?),
            "list" => {
                let items = wire["items"].as_array().ok_or("a list has items")?;
                let read = |item| Self::read(item, depth + 1);
                Self::List(items.iter().map(read).collect::<Result<_, _>>()?)
            }
            "struct" => {
                let fields = wire["fields"].as_array().ok_or("a struct has fields")?;
                let read = |field: &Json| {
                    let name = field["name"].as_str().ok_or("a part of a struct has a name")?;
                    Ok::<_, String>((name.to_owned(), Self::read(&field["value"], depth + 1)?))
                };
                Self::Struct(fields.iter().map(read).collect::<Result<_, _>>()?)
            }
            other => return Err(format!("there is no type {other:?}")),
        })
    }

    /// The typed form on the wire.
    #[must_use]
    pub fn to_wire(&self) -> Json {
        match self {
            Self::Null => json!({"type": "null"}),
            Self::Bool(value) => json!({"type": "bool", "value": value}),
            Self::Int(value) => json!({"type": "int", "value": value}),
            Self::Float(value) => json!({"type": "float", "value": value}),
            Self::Text(value) => json!({"type": "text", "value": value}),
            Self::Binary(bytes) => json!({"type": "binary", "data": STANDARD.encode(bytes)}),
            Self::Date(value) => json!({"type": "date", "value": value.to_string()}),
            Self::Timestamp(value) => json!({"type": "timestamp", "value": written(*value)}),
            Self::Vector(numbers) => {
                let number = |it: &f32| json!({"type": "float", "value": widened(*it)});
                json!({"type": "list", "items": numbers.iter().map(number).collect::<Vec<_>>()})
            }
            Self::List(items) => {
                json!({"type": "list", "items": items.iter().map(Self::to_wire).collect::<Vec<_>>()})
            }
            Self::Struct(fields) => {
                let field = |(name, value): &(String, Self)| json!({"name": name, "value": value.to_wire()});
                json!({"type": "struct", "fields": fields.iter().map(field).collect::<Vec<_>>()})
            }
        }
    }

    /// Reads a value from plain JSON, in which an object `{encoding: "base64", data}` is bytes. That
    /// is how clients write parameters and the values of updates.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn of_plain(plain: &Json) -> Result<Self, String> {
        Self::plain(plain, 0)
    }

    fn plain(plain: &Json, depth: usize) -> Result<Self, String> {
        if depth > DEPTH {
            return Err(format!("values are nested at most {DEPTH} deep"));
        }
        Ok(match plain {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Self::Int(whole),
                None if number.is_u64() => {
                    return Err(format!("{number} does not fit a whole number of 64 bits"));
                }
                None => Self::Float(number.as_f64().ok_or("a number cannot be read")?),
            },
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(items) => {
                let read = |item| Self::plain(item, depth + 1);
                Self::List(items.iter().map(read).collect::<Result<_, _>>()?)
            }
            Json::Object(object) => {
                if object.len() == 2
                    && object.get("encoding").is_some_and(|it| it == "base64")
                    && let Some(data) = object.get("data").and_then(Json::as_str)
                {
                    let bytes = STANDARD.decode(data).map_err(|_| "bytes are not base64")?;
                    return Ok(Self::Binary(bytes));
                }
                let read = |(name, it): (&String, &Json)| {
                    Ok::<_, String>((name.clone(), Self::plain(it, depth + 1)?))
                };
                Self::Struct(object.iter().map(read).collect::<Result<_, _>>()?)
            }
        })
    }

    /// Plain JSON, as [`Value::of_plain`] reads it.
    #[must_use]
    pub fn to_plain(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::Text(value) => value.as_str().into(),
            Self::Binary(bytes) => json!({"encoding": "base64", "data": STANDARD.encode(bytes)}),
            Self::Date(value) => value.to_string().into(),
            Self::Timestamp(value) => written(*value).into(),
            Self::Vector(numbers) => numbers.iter().map(|it| Json::from(widened(*it))).collect(),
            Self::List(items) => items.iter().map(Self::to_plain).collect(),
            Self::Struct(fields) => {
                let field = |(name, value): &(String, Self)| (name.clone(), value.to_plain());
                Json::Object(fields.iter().map(field).collect())
            }
        }
    }

    /// The value as a column of a type has it. Whether null is allowed is looked at, inside as well.
    ///
    /// # Errors
    ///
    /// Why the column cannot have it.
    pub fn taken_as(self, wanted: &DataType) -> Result<Self, String> {
        if self == Self::Null {
            return match wanted.is_nullable() {
                true => Ok(Self::Null),
                false => Err("null is not allowed".to_owned()),
            };
        }
        self.taken_as_kind(&wanted.kind)
    }

    /// The value, which is not null, as a column of a kind has it.
    ///
    /// # Errors
    ///
    /// Why the column cannot have it.
    pub fn taken_as_kind(self, wanted: &Kind) -> Result<Self, String> {
        Ok(match (wanted, self) {
            (Kind::Bool, Self::Bool(value)) => Self::Bool(value),
            (Kind::Int, Self::Int(value)) => Self::Int(value),
            (Kind::Int, Self::Float(value)) => Self::Int(whole(value).ok_or_else(|| {
                // Digits that nobody has written would only confuse.
                let shown = match value.abs() < 1e15 {
                    true => value.to_string(),
                    false => format!("about {value:e}"),
                };
                format!("{shown} is not a whole number of 64 bits")
            })?),
            (Kind::Float, Self::Float(value)) if value.is_finite() => Self::Float(value),
            (Kind::Float, Self::Int(value)) => Self::Float(with_point(value)),
            (Kind::Text, Self::Text(value)) => Self::Text(value),
            (Kind::Text, Self::Date(value)) => Self::Text(value.to_string()),
            (Kind::Text, Self::Timestamp(value)) => Self::Text(written(value)),
            (Kind::Binary, Self::Binary(bytes)) => Self::Binary(bytes),
            // The public SDK describes bytes as a list of numbers to models.
            (Kind::Binary, Self::List(items)) => {
                let byte = |item: Self| match item {
                    Self::Int(value) => {
                        u8::try_from(value).map_err(|_| format!("{value} is no byte"))
                    }
                    other => Err(format!("a value of {} is no byte", other.name())),
                };
                Self::Binary(items.into_iter().map(byte).collect::<Result<_, _>>()?)
            }
            (Kind::Date, Self::Date(value)) => Self::Date(value),
            (Kind::Date, Self::Text(text)) => Self::Date(day(&text)?),
            (Kind::Date, Self::Timestamp(value)) if value.time() != Time::midnight() => {
                return Err(has_time(&written(value)));
            }
            (Kind::Date, Self::Timestamp(value)) => Self::Date(value.date()),
            (Kind::Timestamp, Self::Timestamp(value)) => Self::Timestamp(cut(value)),
            (Kind::Timestamp, Self::Text(text)) => Self::Timestamp(cut(moment(&text)?)),
            (Kind::Timestamp, Self::Date(value)) => {
                Self::Timestamp(value.to_datetime(Time::midnight()))
            }
            (Kind::Vector { size, .. }, Self::Vector(numbers)) => {
                sized(numbers.len(), *size)?;
                Self::Vector(numbers)
            }
            (Kind::Vector { size, .. }, Self::List(items)) => {
                sized(items.len(), *size)?;
                Self::Vector(items.into_iter().map(number).collect::<Result<_, _>>()?)
            }
            (Kind::List(element), Self::List(items)) => {
                let take = |(index, item): (usize, Self)| {
                    item.taken_as(element).map_err(|why| format!("item {index}: {why}"))
                };
                Self::List(items.into_iter().enumerate().map(take).collect::<Result<_, _>>()?)
            }
            (Kind::List(_), Self::Vector(numbers)) => {
                let items = numbers.into_iter().map(|it| Self::Float(widened(it)));
                return Self::List(items.collect()).taken_as_kind(wanted);
            }
            (Kind::Struct(fields), Self::Struct(mut given)) => {
                let mut taken = Vec::with_capacity(fields.len());
                for field in fields {
                    let found = given.iter().position(|(name, _)| *name == field.name);
                    let value = found.map_or(Self::Null, |index| given.swap_remove(index).1);
                    let value = value.taken_as(&field.data_type);
                    let value = value.map_err(|why| format!("{:?}: {why}", field.name))?;
                    taken.push((field.name.clone(), value));
                }
                if let Some((name, _)) = given.first() {
                    if fields.iter().any(|field| field.name == *name) {
                        return Err(format!("the struct has the part {name:?} twice"));
                    }
                    return Err(format!("the struct has no part {name:?}"));
                }
                Self::Struct(taken)
            }
            (kind, value) => return Err(format!("a value of {} is no {kind}", value.name())),
        })
    }

    /// The type that a column has if nothing but this value is known of it; none for null.
    #[must_use]
    pub fn inferred(&self) -> Option<Kind> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Float(_) => Kind::Float,
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
            Self::Date(_) => Kind::Date,
            Self::Timestamp(_) => Kind::Timestamp,
            Self::Vector(numbers) => {
                let size = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                Kind::Vector { size, element: Box::new(Kind::Float.into()) }
            }
            Self::List(items) => {
                let element = items.iter().filter_map(Self::inferred).reduce(wider);
                Kind::List(Box::new(element.unwrap_or(Kind::Text).into()))
            }
            Self::Struct(fields) => {
                let field = |(name, value): &(String, Self)| crate::Field {
                    name: name.clone(),
                    data_type: value.inferred().unwrap_or(Kind::Text).into(),
                };
                Kind::Struct(fields.iter().map(field).collect())
            }
        })
    }
}

/// The type for values of either one, as far as there is one: numbers are numbers with a point as
/// soon as one is. Otherwise the first; a value that does not fit it is refused later.
#[must_use]
pub fn wider(one: Kind, other: Kind) -> Kind {
    match (one, other) {
        (Kind::Int, Kind::Float) | (Kind::Float, Kind::Int) => Kind::Float,
        (Kind::List(one), Kind::List(other)) => {
            Kind::List(Box::new(wider(one.kind, other.kind).into()))
        }
        (one, _) => one,
    }
}

/// Reads a day: `2026-11-30`. Clients that have nothing but moments write its midnight, without an
/// offset or in UTC; any other time would be lost, so it is refused.
///
/// # Errors
///
/// It is no day.
pub fn day(text: &str) -> Result<Date, String> {
    let text = text.trim();
    let wrong = |_| format!("{} is no date; write it like 2026-11-30", short(&text.into()));
    let pieces = parsed(text).map_err(wrong)?;
    let in_utc = pieces.to_numeric_offset().is_none_or(|offset| offset.is_zero());
    match in_utc && pieces.time().is_none_or(|time| time == Time::midnight()) {
        true => Ok(pieces.date()),
        false => Err(has_time(text)),
    }
}

/// Reads a moment: with an offset or `Z`, or in UTC without one; a day alone is its beginning.
///
/// # Errors
///
/// It is no moment.
pub fn moment(text: &str) -> Result<DateTime, String> {
    let text = text.trim();
    let shown = || short(&text.into());
    let wrong = |_| format!("{} is no timestamp; write it like 2026-11-30T12:00:00Z", shown());
    let pieces = parsed(text).map_err(wrong)?;
    let there = pieces.date().to_datetime(pieces.time().unwrap_or_default());
    let ahead = pieces.to_numeric_offset().map_or(0, |offset| offset.seconds());
    let moment = there.checked_sub(SignedDuration::from_secs(ahead.into()));
    moment.map_err(|_| format!("{} is out of range: years go to 9999 in UTC", shown()))
}

/// Reads a date, perhaps with a time and an offset. A time zone alone is refused, for the offset that
/// it had is not known.
fn parsed(text: &str) -> Result<Pieces<'_>, ()> {
    let pieces = Pieces::parse(text).map_err(drop)?;
    match pieces.offset().is_none() && pieces.time_zone_annotation().is_some() {
        true => Err(()),
        false => Ok(pieces),
    }
}

/// Why a moment is no day.
fn has_time(text: &str) -> String {
    let text = short(&text.into());
    format!("{text} has a time, which a date cannot keep; write it like 2026-11-30")
}

/// A moment as it is written: `2026-11-30T12:00:00.5Z`.
fn written(moment: DateTime) -> String {
    format!("{moment}Z")
}

/// A moment without what is finer than a microsecond.
fn cut(moment: DateTime) -> DateTime {
    let finer = i64::from(moment.subsec_nanosecond() % 1000);
    moment.checked_sub(SignedDuration::from_nanos(finer)).unwrap_or(moment)
}

/// A number as a whole one, if it is one that 64 bits hold.
fn whole(value: f64) -> Option<i64> {
    // The nearest numbers with a point below and at the ends of what 64 bits hold.
    let fits = value.fract() == 0.0
        && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    #[expect(clippy::cast_possible_truncation, reason = "it was looked at")]
    fits.then_some(value as i64)
}

/// The nearest number with a point.
#[expect(clippy::cast_precision_loss, reason = "the column has numbers of 53 bits")]
const fn with_point(value: i64) -> f64 {
    value as f64
}

/// A number of 32 bits as one of 64 that is written in as few digits: 0.1, and not 0.100000001….
fn widened(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

fn number(item: Value) -> Result<f32, String> {
    let value = match item {
        Value::Int(value) => with_point(value),
        Value::Float(value) => value,
        other => return Err(format!("a value of {} is no number of a vector", other.name())),
    };
    #[expect(clippy::cast_possible_truncation, reason = "vectors have numbers of 32 bits")]
    let short = value as f32;
    if short.is_finite() { Ok(short) } else { Err(format!("{value} is too large for a vector")) }
}

fn sized(given: usize, wanted: u32) -> Result<(), String> {
    match u32::try_from(given) == Ok(wanted) {
        true => Ok(()),
        false => Err(format!("the vector has {given} numbers, and the column wants {wanted}")),
    }
}

/// The beginning of a value, for a message.
fn short(value: &Json) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(value: Value, wanted: Kind) -> Result<Value, String> {
        value.taken_as(&wanted.into())
    }

    #[test]
    fn values_come_back_as_they_went() {
        for wire in [
            json!({"type": "null"}),
            json!({"type": "bool", "value": true}),
            json!({"type": "int", "value": i64::MIN}),
            json!({"type": "float", "value": 0.1}),
            json!({"type": "text", "value": "ä\u{0}\n"}),
            json!({"type": "binary", "data": "AP8="}),
            json!({"type": "date", "value": "2026-11-30"}),
            json!({"type": "timestamp", "value": "2026-11-30T12:00:00.000001Z"}),
            json!({"type": "list", "items": [{"type": "int", "value": 1}, {"type": "null"}]}),
            json!({"type": "struct", "fields": [{"name": "a", "value": {"type": "text", "value": "b"}}]}),
        ] {
            let value = Value::of_wire(&wire).unwrap();
            assert_eq!(value.to_wire(), wire);
            if !matches!(value, Value::Date(_) | Value::Timestamp(_)) {
                assert_eq!(Value::of_plain(&value.to_plain()).unwrap(), value);
            }
        }
    }

    #[test]
    fn a_column_takes_what_clients_write_for_it() {
        let text = |it: &str| Value::Text(it.to_owned());
        let vector = || Kind::Vector { size: 2, element: Box::new(Kind::Float.into()) };
        let list = Value::List(vec![Value::Int(1), Value::Float(0.1)]);
        for (given, wanted, shown) in [
            (Value::Int(3), Kind::Float, json!(3.0)),
            (Value::Float(3.0), Kind::Int, json!(3)),
            (text("2026-11-30"), Kind::Date, json!("2026-11-30")),
            (text("2026-11-30T12:00:00+02:00"), Kind::Timestamp, json!("2026-11-30T10:00:00Z")),
            (
                text("2026-11-30 12:00:00.1234567"),
                Kind::Timestamp,
                json!("2026-11-30T12:00:00.123456Z"),
            ),
            (text("2026-11-30"), Kind::Timestamp, json!("2026-11-30T00:00:00Z")),
            (text("9999-12-31T23:59:59Z"), Kind::Timestamp, json!("9999-12-31T23:59:59Z")),
            (text("9999-12-31T23:59:59.999999Z"), Kind::Text, json!("9999-12-31T23:59:59.999999Z")),
            (text("0001-01-01T01:00:00+01:00"), Kind::Timestamp, json!("0001-01-01T00:00:00Z")),
            // So do clients that have nothing but moments write a date.
            (text("2024-02-29T00:00:00"), Kind::Date, json!("2024-02-29")),
            (text("2024-02-29T00:00:00.000Z"), Kind::Date, json!("2024-02-29")),
            (text("2024-02-29 00:00:00+00:00"), Kind::Date, json!("2024-02-29")),
            (list.clone(), vector(), json!([1.0, 0.1])),
            (list, Kind::List(Box::new(Kind::Float.into())), json!([1.0, 0.1])),
            (
                Value::List(vec![Value::Int(255)]),
                Kind::Binary,
                json!({"encoding": "base64", "data": "/w=="}),
            ),
        ] {
            assert_eq!(taken(given, wanted).unwrap().to_plain(), shown);
        }
    }

    #[test]
    fn a_column_says_why_it_does_not_take_a_value() {
        let never = DataType { nullable: Some(false), ..Kind::Int.into() };
        assert_eq!(Value::Null.taken_as(&never).unwrap_err(), "null is not allowed");
        let part = crate::Field { name: "a".to_owned(), data_type: never };
        let parts = Kind::Struct(vec![part]);
        let extra =
            Value::Struct(vec![("a".to_owned(), Value::Int(1)), ("b".to_owned(), Value::Null)]);
        for (given, wanted, why) in [
            (Value::Float(0.5), Kind::Int, "0.5 is not a whole number"),
            (Value::Float(1e20), Kind::Int, "about 1e20 is not a whole number of 64 bits"),
            (Value::Float(f64::NAN), Kind::Float, "a value of float is no float"),
            (Value::Text("x".to_owned()), Kind::Int, "a value of text is no int"),
            (Value::Text("soon".to_owned()), Kind::Timestamp, "\"soon\" is no timestamp"),
            (Value::Text("2026-13-01".to_owned()), Kind::Date, "is no date"),
            (Value::Text("2024-02-29 13:45".to_owned()), Kind::Date, "13:45\" has a time"),
            (Value::Text("2024-02-29T00:00:00-05:00".to_owned()), Kind::Date, "has a time"),
            (
                Value::Timestamp(DateTime::constant(2024, 2, 29, 13, 45, 0, 0)),
                Kind::Date,
                "\"2024-02-29T13:45:00Z\" has a time, which a date cannot keep",
            ),
            (
                Value::Text("9999-12-31T23:59:59-01:00".to_owned()),
                Kind::Timestamp,
                "is out of range",
            ),
            (
                Value::Text("2026-01-01T00:00[Europe/Berlin]".to_owned()),
                Kind::Timestamp,
                "is no timestamp",
            ),
            (
                Value::List(vec![Value::Int(1)]),
                Kind::Vector { size: 2, element: Box::new(Kind::Float.into()) },
                "has 1 numbers, and the column wants 2",
            ),
            (Value::List(vec![Value::Int(256)]), Kind::Binary, "256 is no byte"),
            (Value::Struct(Vec::new()), parts.clone(), "\"a\": null is not allowed"),
            (extra, parts.clone(), "has no part \"b\""),
            (
                Value::Struct(vec![
                    ("a".to_owned(), Value::Int(1)),
                    ("a".to_owned(), Value::Int(2)),
                ]),
                parts,
                "has the part \"a\" twice",
            ),
        ] {
            let told = taken(given, wanted).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn what_is_no_value_is_told() {
        let deep = (0..50)
            .fold(json!({"type": "null"}), |inner, _| json!({"type": "list", "items": [inner]}));
        for (wire, why) in [
            (json!({"value": 1}), "a value has a type"),
            (json!({"type": "int", "value": 1.5}), "1.5 is no int"),
            (json!({"type": "int", "value": u64::MAX}), "is no int"),
            (json!({"type": "binary", "data": "?"}), "not base64"),
            (json!({"type": "money"}), "there is no type"),
            (deep, "nested at most"),
        ] {
            let told = Value::of_wire(&wire).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
        assert!(Value::of_plain(&json!(u64::MAX)).unwrap_err().contains("does not fit"));
    }
}
