//! The types of what is computed, and which become which by themselves.

use crate::data_type::{DataType, Field, Kind};
use crate::value::Value;

/// What an expression gives.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    /// Null in any case.
    Null,
    /// A span of time, which is only added to dates and timestamps.
    Interval,
    /// A value.
    Of(Kind),
}

impl From<Kind> for Type {
    fn from(kind: Kind) -> Self {
        Self::Of(kind)
    }
}

impl Type {
    /// The type of a value; lists of nothing are lists of texts.
    pub fn of_value(value: &Value) -> Self {
        value.inferred().map_or(Self::Null, Self::Of)
    }

    /// The kind; none for null and spans of time.
    pub const fn kind(&self) -> Option<&Kind> {
        match self {
            Self::Of(kind) => Some(kind),
            Self::Null | Self::Interval => None,
        }
    }

    /// The kind that clients see: that of texts for null.
    pub fn shown(&self) -> Kind {
        self.kind().cloned().unwrap_or(Kind::Text)
    }

    /// Its name, for messages.
    pub fn name(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Interval => "interval".to_owned(),
            Self::Of(kind) => kind.to_string(),
        }
    }
}

/// Whether values of both are kept in the same way, whatever may be null.
pub(super) fn same(one: &Kind, other: &Kind) -> bool {
    match (one, other) {
        (Kind::Vector { size, .. }, Kind::Vector { size: also, .. }) => size == also,
        (Kind::List(one), Kind::List(other)) => same(&one.kind, &other.kind),
        (Kind::Struct(one), Kind::Struct(other)) => {
            let alike = |(a, b): (&Field, &Field)| {
                a.name == b.name && same(&a.data_type.kind, &b.data_type.kind)
            };
            one.len() == other.len() && one.iter().zip(other).all(alike)
        }
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

/// Whether it is a number.
pub(super) const fn is_number(kind: &Kind) -> bool {
    matches!(kind, Kind::Int | Kind::Float)
}

/// Whether it is a day or a moment.
pub(super) const fn is_time(kind: &Kind) -> bool {
    matches!(kind, Kind::Date | Kind::Timestamp)
}

/// The number by which own functions know a kind.
pub(super) const fn code(kind: &Kind) -> &'static str {
    match kind {
        Kind::Bool => "1",
        Kind::Int => "2",
        Kind::Float => "3",
        Kind::Text => "4",
        Kind::Binary => "5",
        Kind::Date => "6",
        Kind::Timestamp => "7",
        Kind::Vector { .. } => "8",
        Kind::List(_) | Kind::Struct(_) => "9",
    }
}

/// The kind of a number that own functions got. What is in lists and structs is left as it is.
pub(super) fn of_code(code: i64) -> Option<Kind> {
    Some(match code {
        1 => Kind::Bool,
        2 => Kind::Int,
        3 => Kind::Float,
        4 => Kind::Text,
        5 => Kind::Binary,
        6 => Kind::Date,
        7 => Kind::Timestamp,
        8 => Kind::Vector { size: 1, element: Box::new(DataType::from(Kind::Float)) },
        9 => Kind::Struct(Vec::new()),
        _ => return None,
    })
}
