//! From syntax to what it means: each name is looked up, each part has a type, and what SQLite
//! computes is written.
//!
//! | module | holds |
//! |---|---|
//! | [`names`] | columns, and parts of structs and lists |
//! | [`literals`] | values that stand in the text, or are given with it |
//! | [`operators`] | operators, comparisons and `CASE` |
//! | [`convert`] | casts, and what becomes which type by itself |
//! | [`calls`] | functions of one row |
//! | [`times`] | functions of dates and timestamps |
//! | [`groups`] | functions of many rows, and windows |
//!
//! What must not live here: queries, which are made of expressions ([`super::query`]).

mod calls;
mod convert;
mod groups;
mod literals;
mod names;
mod operators;
mod times;

pub(super) use groups::direction;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sqlparser::ast::Expr;

use crate::data_type::Kind;
use crate::error::{Error, Result};
use crate::sql::kinds::Type;
use crate::sql::piece::Piece;
use crate::sql::query::Common;
use crate::sql::scope::Scope;
use crate::sql::{Catalog, Dialect, Parameters};
use crate::value::Value;

/// The most parts of a text.
const PARTS: usize = 20_000;

/// How deep parts are nested.
const DEPTH: usize = 100;

/// A part with its type.
#[derive(Debug, Clone)]
pub(super) struct Typed {
    /// How SQLite computes it.
    pub sql: Piece,
    /// What it gives.
    pub kind: Type,
    /// What it is, if that is known already.
    pub constant: Option<Constant>,
    /// A column in it that is neither grouped by nor inside of an aggregate.
    pub loose: Option<String>,
    /// Whether there is an aggregate in it.
    pub aggregates: bool,
    /// Whether there is a function of a window in it.
    pub windows: bool,
    /// How deep it is nested.
    pub depth: usize,
}

/// What is known before anything is asked of SQLite.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Constant {
    /// A value.
    Value(Value),
    /// A span of time.
    Interval(Interval),
}

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Interval {
    /// Months.
    pub months: i64,
    /// Days.
    pub days: i64,
    /// Microseconds.
    pub micros: i64,
}

impl Typed {
    /// What comes of parts.
    pub fn of(sql: Piece, kind: impl Into<Type>, parts: &[&Self]) -> Self {
        Self {
            sql,
            kind: kind.into(),
            constant: None,
            loose: parts.iter().find_map(|it| it.loose.clone()),
            aggregates: parts.iter().any(|it| it.aggregates),
            windows: parts.iter().any(|it| it.windows),
            depth: parts.iter().map(|it| it.depth + 1).max().unwrap_or(0),
        }
    }

    /// A value.
    pub fn value(value: Value) -> Self {
        let kind = Type::of_value(&value);
        Self::value_of(value, kind)
    }

    /// A value that is known to be of a type.
    pub fn value_of(value: Value, kind: Type) -> Self {
        let constant = Some(Constant::Value(value.clone()));
        Self { constant, ..Self::of(Piece::value(value), kind, &[]) }
    }

    /// The value, if it is known.
    pub const fn known(&self) -> Option<&Value> {
        match &self.constant {
            Some(Constant::Value(value)) => Some(value),
            _ => None,
        }
    }

    /// The kind, if it has one.
    pub const fn kind(&self) -> Option<&Kind> {
        self.kind.kind()
    }
}

/// What is known while a text is read.
pub(super) struct Binder<'a> {
    /// How it is read.
    pub dialect: Dialect,
    /// The tables; none where only a row is there.
    pub catalog: Option<&'a dyn Catalog>,
    /// What is given with the text.
    pub parameters: &'a Parameters,
    /// The tables that `WITH` names, the innermost last.
    pub common: Vec<Common>,
    /// How many tables were read from.
    pub tables: usize,
    /// How deep queries are nested.
    pub queries: usize,
    /// When it is.
    now: DateTime,
    names: usize,
    parts: usize,
    depth: usize,
}

impl<'a> Binder<'a> {
    /// Begins.
    pub fn new(
        dialect: Dialect,
        catalog: Option<&'a dyn Catalog>,
        parameters: &'a Parameters,
    ) -> Self {
        Self {
            dialect,
            catalog,
            parameters,
            common: Vec::new(),
            tables: 0,
            queries: 0,
            now: TimeZone::UTC.to_datetime(Timestamp::now()),
            names: 0,
            parts: 0,
            depth: 0,
        }
    }

    /// A name that is not taken.
    pub fn name(&mut self, letter: char) -> Piece {
        self.names += 1;
        Piece::generated(letter, self.names)
    }

    /// Counts parts.
    pub fn count(&mut self, parts: usize) -> Result<()> {
        self.parts += parts;
        if self.parts > PARTS {
            return Err(Error::invalid(format!("the text has more than {PARTS} parts")));
        }
        Ok(())
    }

    /// What an expression means.
    pub fn bind(&mut self, expression: &Expr, scope: &Scope<'_>) -> Result<Typed> {
        self.count(1)?;
        let deep = || Error::invalid(format!("the text is nested more than {DEPTH} deep"));
        if self.depth >= DEPTH {
            return Err(deep());
        }
        self.depth += 1;
        let typed = self.dispatch(expression, scope);
        self.depth -= 1;
        let mut typed = typed?;
        if typed.depth > DEPTH {
            return Err(deep());
        }
        self.count(typed.sql.length() / 1024)?;
        if typed.loose.is_some() && scope.groups.contains(&typed.sql) {
            typed.loose = None;
        }
        Ok(typed)
    }

    /// What an expression means that is yes or no.
    pub fn condition(&mut self, expression: &Expr, scope: &Scope<'_>) -> Result<Typed> {
        let typed = self.bind(expression, scope)?;
        self.truth(typed)
    }

    fn dispatch(&mut self, expression: &Expr, scope: &Scope<'_>) -> Result<Typed> {
        match expression {
            Expr::Nested(inner) => self.bind(inner, scope),
            Expr::Identifier(name) => self.identifier(name, scope),
            Expr::CompoundIdentifier(names) => self.path(names, scope),
            Expr::CompoundFieldAccess { root, access_chain } => {
                self.accesses(root, access_chain, scope)
            }
            Expr::Value(value) => self.literal(value),
            Expr::TypedString(text) => self.typed_literal(text),
            Expr::Interval(interval) => self.interval(interval, scope),
            Expr::Array(array) => self.list(&array.elem, scope),
            Expr::Dictionary(fields) => self.dictionary(fields, scope),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr, scope),
            Expr::BinaryOp { .. } => self.binaries(expression, scope),
            Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_) => self.is(expression, scope),
            Expr::IsDistinctFrom(left, right) => self.distinct(left, right, " IS NOT ", scope),
            Expr::IsNotDistinctFrom(left, right) => self.distinct(left, right, " IS ", scope),
            Expr::In { expr, target, negated, global: false } => {
                self.among(expr, target, *negated, scope)
            }
            Expr::Between { expr, negated, low, high } => {
                self.between(expr, *negated, low, high, scope)
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char.as_deref(), *negated, false, scope)
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char.as_deref(), *negated, true, scope)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref(), scope)
            }
            Expr::Cast { kind, expr, data_type, format: None } => {
                self.cast(kind, expr, data_type, scope)
            }
            Expr::Exists { subquery, negated } => self.exists(subquery, *negated, scope),
            Expr::Subquery(query) => self.scalar(query, scope),
            Expr::Function(function) => self.call(function, scope),
            Expr::Extract { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Position { .. }
            | Expr::Substring { .. }
            | Expr::Trim { .. } => self.special(expression, scope),
            other => Err(refused(other)),
        }
    }

    /// When it is; the same for all of a text.
    const fn now(&self) -> DateTime {
        self.now
    }
}

/// That there is no such expression here.
fn refused(expression: &Expr) -> Error {
    let (what, hint) = match expression {
        Expr::SimilarTo { .. } => ("SIMILAR TO", "; use ~ or regexp_like"),
        Expr::RLike { .. } => ("RLIKE", "; use ~ or regexp_like"),
        Expr::AnyOp { .. } | Expr::AllOp { .. } => ("ANY and ALL", "; use IN or array_has"),
        Expr::Like { .. } | Expr::ILike { .. } => ("LIKE ANY", "; join several LIKE with OR"),
        Expr::AtTimeZone { .. } => ("AT TIME ZONE", "; all timestamps are in UTC"),
        Expr::Tuple(_) => ("a row of values", "; compare each value by itself"),
        Expr::Struct { .. } | Expr::Map(_) | Expr::Named { .. } => ("a struct or map", ""),
        Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) => {
            ("GROUPING SETS, CUBE and ROLLUP", "; join several SELECT with UNION ALL")
        }
        Expr::Cast { .. } => ("CAST with FORMAT", "; use to_char or to_timestamp"),
        Expr::Collate { .. } => ("COLLATE", "; texts are compared by their characters"),
        Expr::Overlay { .. } => ("OVERLAY", "; use substr and concat"),
        Expr::Lambda(_) => ("a lambda", ""),
        Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => ("*", "; name the columns"),
        _ => ("such an expression", ""),
    };
    Error::invalid(format!("{what} is not understood here{hint}"))
}
