//! Values that stand in the text, or are given with it.

use sqlparser::ast::{
    DateTimeField, DictionaryField, Expr, Interval as Span, TypedString, Value as Literal,
    ValueWithSpan,
};

use super::{Binder, Constant, Interval, Typed};
use crate::data_type::Kind;
use crate::error::{Error, Reason, Result};
use crate::sql::functions::convert;
use crate::sql::kinds::Type;
use crate::sql::piece::Piece;
use crate::sql::scope::Scope;
use crate::sql::text::place;
use crate::value::Value;

impl Binder<'_> {
    /// A value in the text.
    pub(super) fn literal(&mut self, literal: &ValueWithSpan) -> Result<Typed> {
        let wrong = |text: String| Error::invalid(format!("{text}{}", place(literal.span)));
        Ok(Typed::value(match &literal.value {
            Literal::Null => Value::Null,
            Literal::Boolean(value) => Value::Bool(*value),
            Literal::Number(text, false) => number(text).map_err(wrong)?,
            Literal::SingleQuotedString(text)
            | Literal::DoubleQuotedString(text)
            | Literal::NationalStringLiteral(text)
            | Literal::EscapedStringLiteral(text)
            | Literal::UnicodeStringLiteral(text)
            | Literal::TripleSingleQuotedString(text)
            | Literal::TripleDoubleQuotedString(text)
            | Literal::SingleQuotedRawStringLiteral(text)
            | Literal::DoubleQuotedRawStringLiteral(text) => Value::Text(text.clone()),
            Literal::DollarQuotedString(text) => Value::Text(text.value.clone()),
            Literal::HexStringLiteral(text) => Value::Binary(bytes(text).map_err(wrong)?),
            Literal::Placeholder(name) => return self.parameter(name, literal),
            _ => return Err(wrong("such a literal is not understood here".to_owned())),
        }))
    }

    fn parameter(&self, name: &str, literal: &ValueWithSpan) -> Result<Typed> {
        let at = place(literal.span);
        let Some(bare) = name.strip_prefix('$') else {
            return Err(Error::invalid(format!(
                "a parameter is written as $name, not {name:?}{at}"
            )));
        };
        match self.parameters.iter().find(|(given, _)| given == bare) {
            Some((_, value)) => Ok(Typed::value(value.clone())),
            None => {
                let given: Vec<_> = self.parameters.iter().map(|(name, _)| name.as_str()).collect();
                let hint = match given[..] {
                    [] => "none are given".to_owned(),
                    _ => format!("given are {}", given.join(", ")),
                };
                Err(Error::new(
                    Reason::NotFound,
                    format!("there is no parameter {bare:?}{at}; {hint}"),
                ))
            }
        }
    }

    /// A value with its type before it, like `date '2026-01-01'`.
    pub(super) fn typed_literal(&mut self, text: &TypedString) -> Result<Typed> {
        let kind = super::convert::kind_of(&text.data_type)?;
        let value = self.literal(&text.value)?;
        self.cast_to(value, &kind, false)
    }

    /// A list in the text.
    pub(super) fn list(&mut self, items: &[Expr], scope: &Scope<'_>) -> Result<Typed> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            match self.bind(item, scope)?.constant {
                Some(Constant::Value(value)) => values.push(value),
                _ => {
                    return Err(Error::invalid(
                        "a list in the text has values only, such as [1, 2]; use make_array for others",
                    ));
                }
            }
        }
        let value = Value::List(values);
        let Some(kind) = value.inferred() else { return Ok(Typed::value(value)) };
        match value.taken_as(&kind.into()) {
            Ok(value) => Ok(Typed::value(value)),
            Err(why) => Err(Error::invalid(format!("a list has values of one type: {why}"))),
        }
    }

    /// A struct in the text, as JSON has it.
    pub(super) fn dictionary(
        &mut self,
        fields: &[DictionaryField],
        scope: &Scope<'_>,
    ) -> Result<Typed> {
        let mut values = Vec::with_capacity(fields.len());
        for field in fields {
            let value = self.bind(&field.value, scope)?;
            let Some(Constant::Value(value)) = value.constant else {
                return Err(Error::invalid("a struct in the text has values only"));
            };
            values.push((field.key.value.clone(), value));
        }
        Ok(Typed::value(Value::Struct(values)))
    }

    /// A span of time.
    pub(super) fn interval(&mut self, span: &Span, scope: &Scope<'_>) -> Result<Typed> {
        if span.last_field.is_some() || span.leading_precision.is_some() {
            return Err(Error::invalid("a span of time is written like INTERVAL '1 day 2 hours'"));
        }
        let value = self.bind(&span.value, scope)?;
        let text = match value.known() {
            Some(Value::Text(text)) => text.clone(),
            Some(Value::Int(number)) => number.to_string(),
            _ => return Err(Error::invalid("a span of time is written in the text itself")),
        };
        let unit = span.leading_field.as_ref().map(DateTimeField::to_string);
        let read = interval(&text, unit.as_deref());
        let interval = read.ok_or_else(|| {
            Error::invalid(format!(
                "{text:?} is no span of time; write it like '1 month', '2 days 3 hours' or '90 minutes'"
            ))
        })?;
        Ok(interval.into())
    }
}

impl From<Interval> for Typed {
    fn from(interval: Interval) -> Self {
        let constant = Some(Constant::Interval(interval));
        Self { constant, ..Self::of(Piece::from("NULL"), Type::Interval, &[]) }
    }
}

/// A number: whole if it is written so.
pub(super) fn number(text: &str) -> std::result::Result<Value, String> {
    if text.bytes().all(|it| it.is_ascii_digit() || it == b'-') {
        return text
            .parse()
            .map(Value::Int)
            .map_err(|_| format!("{text} does not fit a whole number of 64 bits"));
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Value::Float(value)),
        _ => Err(format!("{text} is no number of 64 bits")),
    }
}

fn bytes(text: &str) -> std::result::Result<Vec<u8>, String> {
    let digit = |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? * 16 + digit(*low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
    bytes.ok_or_else(|| {
        "bytes are written as pairs of digits, like X'00FF' or 0x00FF; a number has decimal digits only"
            .to_owned()
    })
}

/// Reads a span of time.
fn interval(text: &str, unit: Option<&str>) -> Option<Interval> {
    let mut all = Interval::default();
    let words: Vec<&str> = text.split_whitespace().collect();
    match (&words[..], unit) {
        ([number], Some(unit)) => add(&mut all, number, unit)?,
        ([], _) | (_, Some(_)) => return None,
        (words, None) => {
            let mut rest = words;
            loop {
                match rest {
                    [] => break,
                    [clock, more @ ..] if clock.contains(':') => {
                        let sign = if clock.starts_with('-') { "-" } else { "" };
                        let parts = clock.trim_start_matches(['-', '+']).split(':');
                        for (part, unit) in parts.zip(["hour", "minute", "second", ""]) {
                            add(&mut all, &format!("{sign}{part}"), unit)?;
                        }
                        rest = more;
                    }
                    [number, unit, more @ ..] => {
                        add(&mut all, number, unit)?;
                        rest = more;
                    }
                    [_] => return None,
                }
            }
        }
    }
    Some(all)
}

fn add(to: &mut Interval, number: &str, unit: &str) -> Option<()> {
    const SECOND: i64 = 1_000_000;
    let unit = unit.to_ascii_lowercase();
    let unit = unit.strip_suffix('s').filter(|it| it.len() > 1).unwrap_or(&unit);
    let (place, scale) = match unit {
        "millennium" => (&mut to.months, 12_000),
        "century" | "centurie" => (&mut to.months, 1_200),
        "decade" => (&mut to.months, 120),
        "year" | "yr" | "y" => (&mut to.months, 12),
        "quarter" => (&mut to.months, 3),
        "month" | "mon" => (&mut to.months, 1),
        "week" | "w" => (&mut to.days, 7),
        "day" | "d" => (&mut to.days, 1),
        "hour" | "hr" | "h" => (&mut to.micros, 3600 * SECOND),
        "minute" | "min" | "m" => (&mut to.micros, 60 * SECOND),
        "second" | "sec" | "s" => (&mut to.micros, SECOND),
        "millisecond" | "ms" => (&mut to.micros, 1000),
        "microsecond" | "us" => (&mut to.micros, 1),
        _ => return None,
    };
    let amount = match number.parse::<i64>() {
        Ok(whole) => whole.checked_mul(scale)?,
        Err(_)
            if scale >= 1000
                && (unit.starts_with('h') || unit.starts_with('m') || unit.starts_with('s')) =>
        {
            let scale = Value::Int(scale).taken_as(&Kind::Float.into()).ok()?;
            let (Value::Float(scale), Ok(amount)) = (scale, number.parse::<f64>()) else {
                return None;
            };
            match convert::cast(Value::Float((amount * scale).round()), &Kind::Int).ok()? {
                Value::Int(micros) => micros,
                _ => return None,
            }
        }
        Err(_) => return None,
    };
    *place = place.checked_add(amount)?;
    Some(())
}
