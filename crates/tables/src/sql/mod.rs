//! What clients write: filters, expressions and queries.
//!
//! A text is parsed, each name in it is looked up, each part gets a type, and a statement for SQLite
//! is written from that, word by word. Names of columns and tables are those that the catalog says,
//! and every literal is a bound value, so nothing of a client's text is in the statement.
//!
//! | module | holds |
//! |---|---|
//! | [`text`] | from a text to its syntax, within bounds |
//! | [`scope`] | which names mean what |
//! | [`kinds`] | the types of what is computed |
//! | [`bind`] | expressions: what they mean, and how SQLite computes them |
//! | [`query`] | queries, which are made of expressions |
//! | [`piece`] | parts of a statement, of which none can be a client's text |
//! | [`functions`] | the functions that SQLite gets from us |
//!
//! What must not live here: how tables, versions and indexes are kept; a caller says by
//! [`Catalog`] what a name stands for.

mod bind;
mod functions;
mod kinds;
mod piece;
mod query;
mod scope;
mod text;

use self::bind::{Binder, Typed};
use self::kinds::Type;
use self::piece::{Piece, piece};
use self::scope::{Scope, Seen, Table};
use crate::data_type::{DataType, Field, Kind};
use crate::error::{Error, Reason, Result};
use crate::stored::Stored;
use crate::value::Value;

/// How a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Filters and expressions, as LanceDB reads them: `"text"` is a text, and `` `name` `` a name.
    Filter,
    /// Queries, as DataFusion reads them: `"name"` is a name.
    Query,
}

/// A column that a text may name.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name, as clients write it.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// What stands for it in the statement, such as `c4`. It is ours, never a client's.
    pub sql: String,
}

/// What a query reads from.
#[derive(Debug, Clone, PartialEq)]
pub struct Relation {
    /// Its columns.
    pub columns: Vec<Column>,
    /// What stands behind `FROM`, such as `(SELECT c4 FROM t2 WHERE …)`. It is ours.
    pub source: Fragment,
}

/// A part of a statement, with the values for its `?`, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fragment {
    /// The text. It has no word of a client.
    pub text: String,
    /// The values.
    pub values: Vec<Stored>,
}

/// The tables that a query may read.
pub trait Catalog {
    /// The table that a query calls by a name.
    ///
    /// # Errors
    ///
    /// There is none, or it may not be read.
    fn relation(&self, name: &str) -> Result<Relation>;
}

/// An expression with its type.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// How SQLite computes it.
    pub sql: Fragment,
    /// What comes of it; none if that is null in any case.
    pub data_type: Option<DataType>,
}

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// How SQLite answers it.
    pub sql: Fragment,
    /// The columns of the answer. A type that is not known is that of texts.
    pub columns: Vec<Field>,
}

/// Parameters of a query, by their names without `$`.
pub type Parameters = [(String, Value)];

/// Reads a filter: what a row must fulfil.
///
/// # Errors
///
/// It cannot be read, names what is not there, or is no truth value.
pub fn filter(text: &str, columns: &[Column]) -> Result<Fragment> {
    let syntax = text::expression(text)?;
    let mut binder = Binder::new(Dialect::Filter, None, &[]);
    let typed = binder.condition(&syntax, &of_row(columns))?;
    of_one_row(typed).map(|typed| typed.sql.finished())
}

/// Reads an expression over a row.
///
/// # Errors
///
/// It cannot be read, or names what is not there.
pub fn expression(text: &str, columns: &[Column]) -> Result<Expression> {
    let syntax = text::expression(text)?;
    let mut binder = Binder::new(Dialect::Filter, None, &[]);
    let typed = of_one_row(binder.bind(&syntax, &of_row(columns))?)?;
    let kind = typed.kind().cloned();
    let sql = match kind {
        Some(Kind::Float) if typed.sql.is_call() => piece!["m_finite(", typed.sql, ")"],
        _ => typed.sql,
    };
    Ok(Expression { sql: sql.finished(), data_type: kind.map(DataType::from) })
}

/// Reads a query.
///
/// # Errors
///
/// It cannot be read, names what is not there, or does more than read.
pub fn query(text: &str, catalog: &dyn Catalog, parameters: &Parameters) -> Result<Query> {
    let syntax = text::query(text)?;
    let mut binder = Binder::new(Dialect::Query, Some(catalog), parameters);
    let answer = binder.query(&syntax, None)?;
    let sql = answer.sql.finished();
    if sql.values.len() > VALUES || sql.text.len() > LONGEST {
        let text = format!(
            "the statement has {} values and {} bytes; {VALUES} and {LONGEST} are allowed",
            sql.values.len(),
            sql.text.len()
        );
        return Err(Error::new(Reason::TooMuch, text));
    }
    let field = |it: query::Output| Field { name: it.name, data_type: it.kind.shown().into() };
    Ok(Query { sql, columns: answer.columns.into_iter().map(field).collect() })
}

/// Gives a connection the functions that translations call.
///
/// # Errors
///
/// SQLite refuses.
pub fn install(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    functions::install(connection)
}

/// The most values of a statement. SQLite binds 32,766.
const VALUES: usize = 30_000;

/// The most bytes of a statement. SQLite takes 1,000,000.
const LONGEST: usize = 900_000;

/// The columns of a row.
fn of_row(columns: &[Column]) -> Scope<'static> {
    let seen = |column: &Column| Seen {
        name: column.name.clone(),
        kind: Type::Of(column.data_type.kind.clone()),
        sql: Piece::of_column(&column.sql),
        merged: None,
        hidden: false,
    };
    let columns = columns.iter().map(seen).collect();
    Scope { tables: vec![Table { name: None, columns }], ..Scope::default() }
}

/// Refuses what needs more than one row.
fn of_one_row(typed: Typed) -> Result<Typed> {
    if typed.aggregates || typed.windows {
        return Err(Error::invalid("functions of many rows stand in queries only"));
    }
    if typed.kind == Type::Interval {
        return Err(Error::invalid("a span of time is added to a date or timestamp"));
    }
    Ok(typed)
}
