//! Casts, and what becomes which type by itself.

use sqlparser::ast::{ArrayElemTypeDef, CastKind, DataType as Written, Expr};

use super::{Binder, Typed};
use crate::data_type::Kind;
use crate::error::{Error, Result};
use crate::sql::functions::convert;
use crate::sql::kinds::{Type, code, is_number, is_time, same};
use crate::sql::piece::piece;
use crate::sql::scope::Scope;
use crate::value::Value;

/// Makes microseconds of days.
const MICROS: &str = " * 86400000000)";

impl Binder<'_> {
    /// What is yes or no. `regexp_match` gives a list in queries; filters take it for yes.
    pub(super) fn truth(&self, typed: Typed) -> Result<Typed> {
        match typed.kind() {
            Some(Kind::Bool) => Ok(typed),
            None if typed.kind == Type::Null => Ok(typed),
            _ => Err(Error::invalid(format!(
                "a condition is yes or no, and this is a value of {}; compare it with something",
                typed.kind.name()
            ))),
        }
    }

    /// A part as another kind, where it becomes that by itself.
    pub(super) fn become_kind(&self, typed: Typed, wanted: &Kind, what: &str) -> Result<Typed> {
        let no = |why: &str| {
            let hint = if why.is_empty() { String::new() } else { format!(": {why}") };
            Error::invalid(format!(
                "{what} is a value of {wanted}, and not of {}{hint}",
                typed.kind.name()
            ))
        };
        let kind = match &typed.kind {
            Type::Null => return Ok(typed),
            Type::Interval => return Err(no("a span of time is added to a date or timestamp")),
            Type::Of(kind) => kind,
        };
        if let Some(value) = typed.known() {
            if same(kind, wanted) && !matches!(kind, Kind::List(_) | Kind::Vector { .. }) {
                return Ok(typed);
            }
            let becomes = match (kind, wanted) {
                (
                    Kind::Text,
                    Kind::Bool | Kind::List(_) | Kind::Struct(_) | Kind::Vector { .. },
                ) => false,
                (Kind::Text | Kind::Int, Kind::Float)
                | (Kind::Text, _)
                | (Kind::Date, Kind::Timestamp)
                | (Kind::List(_), Kind::List(_) | Kind::Vector { .. })
                | (Kind::Vector { .. }, Kind::Vector { .. } | Kind::List(_))
                | (Kind::Struct(_), Kind::Struct(_)) => true,
                _ => false,
            };
            if !becomes {
                return Err(no(""));
            }
            let value = convert::taken(value.clone(), wanted).map_err(|why| no(&why))?;
            return Ok(Typed::value_of(value, Type::Of(wanted.clone())));
        }
        let sql = match (kind, wanted) {
            (kind, wanted) if same(kind, wanted) => return Ok(typed),
            (Kind::Int, Kind::Float) => piece!["CAST(", &typed.sql, " AS REAL)"],
            (Kind::Date, Kind::Timestamp) => piece!["(", &typed.sql, MICROS],
            (Kind::Text, Kind::Int | Kind::Float | Kind::Date | Kind::Timestamp) => {
                run_time(&typed, kind, wanted, How::Taken)
            }
            _ => return Err(no("")),
        };
        Ok(Typed::of(sql, wanted.clone(), &[&typed]))
    }

    /// A part as text, if it is a value that has one way to be written.
    pub(super) fn become_text(&self, typed: Typed, what: &str) -> Result<Typed> {
        match typed.kind() {
            Some(Kind::Int | Kind::Float | Kind::Bool | Kind::Date | Kind::Timestamp) => {
                self.cast_to(typed, &Kind::Text, false)
            }
            _ => self.become_kind(typed, &Kind::Text, what),
        }
    }

    /// Both parts as what they are compared as.
    pub(in crate::sql) fn unify(
        &self,
        left: Typed,
        right: Typed,
        what: &str,
    ) -> Result<(Typed, Typed)> {
        let (Some(one), Some(other)) = (left.kind(), right.kind()) else {
            return match (&left.kind, &right.kind) {
                (Type::Interval, _) | (_, Type::Interval) => Err(Error::invalid(format!(
                    "{what} with a span of time is not possible; add it to a date or timestamp"
                ))),
                _ => Ok((left, right)),
            };
        };
        // SQLite compares numbers of both kinds by what they are.
        if is_number(one) && is_number(other) && left.known().is_none() && right.known().is_none() {
            return Ok((left, right));
        }
        let wanted = common(&left, &right)
            .ok_or_else(|| {
                let hint =
                    match is_time(one) && is_number(other) || is_number(one) && is_time(other) {
                        true => "a date or timestamp is in quotes, like '2026-11-30'",
                        false => "CAST one of them",
                    };
                Error::invalid(format!(
                    "{what} of a value of {one} with one of {other} is not possible; {hint}"
                ))
            })?
            .clone();
        let left_is_known = left.known().is_some();
        let left = match one {
            Kind::Int if wanted == Kind::Float && !left_is_known => left,
            _ => self.become_kind(left, &wanted, "the left side")?,
        };
        let right = match right.kind() {
            Some(Kind::Int) if wanted == Kind::Float && right.known().is_none() => right,
            _ => self.become_kind(right, &wanted, "the right side")?,
        };
        Ok((left, right))
    }

    /// All parts as one kind.
    pub(in crate::sql) fn alike(
        &self,
        parts: Vec<Typed>,
        what: &str,
    ) -> Result<(Vec<Typed>, Type)> {
        let mut chosen: Option<&Typed> = None;
        let mut wanted = Type::Null;
        for part in &parts {
            let (Some(before), Some(kind)) = (chosen, part.kind()) else {
                if part.kind == Type::Interval {
                    return Err(Error::invalid(format!("{what} cannot be spans of time")));
                }
                if part.kind != Type::Null {
                    chosen = Some(part);
                    wanted = part.kind.clone();
                }
                continue;
            };
            let mut so_far = before.clone();
            so_far.kind = wanted.clone();
            // A text in the text becomes what the others are; a column of texts does not.
            let texts = |it: &Typed| it.kind() == Some(&Kind::Text) && it.known().is_none();
            let both = common(&so_far, part)
                .filter(|both| **both == Kind::Text || !(texts(&so_far) || texts(part)));
            let Some(both) = both else {
                return Err(Error::invalid(format!(
                    "{what} are of one type, and not {} and {kind}; CAST one of them",
                    wanted.name()
                )));
            };
            wanted = Type::Of(both.clone());
            if before.known().is_some() && part.known().is_none() {
                chosen = Some(part);
            }
        }
        let Some(kind) = wanted.kind() else { return Ok((parts, wanted)) };
        let parts = parts.into_iter().map(|it| self.become_kind(it, kind, what));
        Ok((parts.collect::<Result<_>>()?, wanted))
    }

    /// `CAST`, `TRY_CAST` and `::`.
    pub(super) fn cast(
        &mut self,
        how: &CastKind,
        expression: &Expr,
        written: &Written,
        scope: &Scope<'_>,
    ) -> Result<Typed> {
        let kind = kind_of(written)?;
        let typed = self.bind(expression, scope)?;
        self.cast_to(typed, &kind, matches!(how, CastKind::TryCast | CastKind::SafeCast))
    }

    /// A part as another kind, as it is asked for.
    pub(super) fn cast_to(&self, typed: Typed, wanted: &Kind, lenient: bool) -> Result<Typed> {
        let kind = match &typed.kind {
            Type::Null => {
                return Ok(Typed { kind: Type::Of(wanted.clone()), constant: None, ..typed });
            }
            Type::Interval => {
                return Err(Error::invalid("a span of time cannot be cast; add it to a date"));
            }
            Type::Of(kind) => kind,
        };
        if let Some(value) = typed.known() {
            return match convert::cast(value.clone(), wanted) {
                Ok(value) => Ok(Typed::value_of(value, Type::Of(wanted.clone()))),
                Err(_) if lenient => Ok(Typed::value_of(Value::Null, Type::Of(wanted.clone()))),
                Err(why) => Err(Error::invalid(why)),
            };
        }
        if same(kind, wanted) {
            return Ok(typed);
        }
        if !convert::is_possible(kind, wanted) {
            let hint = match (kind, wanted) {
                (Kind::Int | Kind::Float, Kind::Timestamp) => "; use to_timestamp for seconds",
                (Kind::Timestamp, Kind::Int | Kind::Float) => "; use date_part('epoch', …)",
                _ => "",
            };
            return Err(Error::invalid(format!(
                "a value of {kind} cannot be cast to {wanted}{hint}"
            )));
        }
        let sql = match (kind, wanted) {
            (Kind::Int, Kind::Float) => piece!["CAST(", &typed.sql, " AS REAL)"],
            (Kind::Bool, Kind::Int) => piece!["(", &typed.sql, " + 0)"],
            (Kind::List(_) | Kind::Struct(_), Kind::Text) => typed.sql.clone(),
            _ => run_time(&typed, kind, wanted, if lenient { How::Tried } else { How::Cast }),
        };
        Ok(Typed::of(sql, wanted.clone(), &[&typed]))
    }
}

/// How a value becomes another one while the statement runs.
#[derive(Clone, Copy)]
enum How {
    /// As it is asked for.
    Cast,
    /// The same, and null if it is not possible.
    Tried,
    /// By itself, so that nothing is lost.
    Taken,
}

fn run_time(typed: &Typed, from: &Kind, to: &Kind, how: How) -> crate::sql::piece::Piece {
    let how = match how {
        How::Cast => "0",
        How::Tried => "1",
        How::Taken => "2",
    };
    piece!["m_cast(", &typed.sql, ", ", code(from), ", ", code(to), ", ", how, ")"]
}

/// The kind that both are compared as.
fn common<'t>(left: &'t Typed, right: &'t Typed) -> Option<&'t Kind> {
    let (one, other) = (left.kind()?, right.kind()?);
    let plain = |it: &Kind| is_number(it) || is_time(it) || matches!(it, Kind::Binary);
    Some(match (one, other) {
        // A value in the text becomes what a column is, even if it could be something else.
        (Kind::List(_) | Kind::Vector { .. } | Kind::Struct(_), _) if left.known().is_some() => {
            other
        }
        (_, Kind::List(_) | Kind::Vector { .. } | Kind::Struct(_)) if right.known().is_some() => {
            one
        }
        _ if same(one, other) => one,
        (Kind::Int, Kind::Float) | (Kind::Date, Kind::Timestamp) => other,
        (Kind::Float, Kind::Int) | (Kind::Timestamp, Kind::Date) => one,
        (Kind::Text, it) if plain(it) => other,
        (it, Kind::Text) if plain(it) => one,
        _ => return None,
    })
}

/// The kind of a type that a client writes.
pub(super) fn kind_of(written: &Written) -> Result<Kind> {
    Ok(match written {
        Written::Bool | Written::Boolean => Kind::Bool,
        Written::TinyInt(None)
        | Written::Int2(None)
        | Written::SmallInt(None)
        | Written::MediumInt(None)
        | Written::Int(None)
        | Written::Int4(None)
        | Written::Int8(None)
        | Written::Int16
        | Written::Int32
        | Written::Int64
        | Written::Integer(None)
        | Written::BigInt(None) => Kind::Int,
        Written::Float(_)
        | Written::Float4
        | Written::Float32
        | Written::Float64
        | Written::Real
        | Written::Float8
        | Written::Double(_)
        | Written::DoublePrecision => Kind::Float,
        Written::Text
        | Written::String(None)
        | Written::Varchar(None)
        | Written::CharVarying(None)
        | Written::CharacterVarying(None) => Kind::Text,
        Written::Bytea | Written::Blob(None) | Written::Varbinary(None) | Written::Binary(None) => {
            Kind::Binary
        }
        Written::Date | Written::Date32 => Kind::Date,
        Written::Timestamp(..) | Written::Datetime(_) | Written::TimestampNtz(_) => Kind::Timestamp,
        Written::Array(
            ArrayElemTypeDef::AngleBracket(element)
            | ArrayElemTypeDef::SquareBracket(element, None)
            | ArrayElemTypeDef::Parenthesis(element),
        ) => Kind::List(Box::new(kind_of(element)?.into())),
        Written::Custom(name, rest) if rest.is_empty() => {
            match name.to_string().to_lowercase().as_str() {
                "int" | "long" => Kind::Int,
                "string" | "utf8" => Kind::Text,
                _ => return Err(no_type(written)),
            }
        }
        _ => return Err(no_type(written)),
    })
}

fn no_type(written: &Written) -> Error {
    let text: String = written.to_string().chars().take(60).collect();
    Error::invalid(format!(
        "there is no type {text} here; there are boolean, bigint, double, text, bytea, date and timestamp"
    ))
}
