//! What clients write: filters, expressions and queries.
//!
//! A text is parsed, each name in it is looked up, each part gets a type, and a statement for SQLite
//! is written from that, word by word. Names of columns and tables are those that the catalog says,
//! and every literal is a bound value, so nothing of a client's text is in the statement.
//!
//! | module | holds |
//! |---|---|
//! | `text` | from a text to its syntax, within bounds |
//! | `scope` | which names mean what |
//! | `kinds` | the types of what is computed |
//! | `bind` | expressions: what they mean, and how SQLite computes them |
//! | `query` | queries, which are made of expressions |
//! | `piece` | parts of a statement, of which none can be a client's text |
//! | `functions` | the functions that SQLite gets from us |
//!
//! A text means what it means to DataFusion, which the hosted platform asks, and to LanceDB, whose
//! filters have texts in double quotes. These are known to differ:
//!
//! | what | there | here | why |
//! |---|---|---|---|
//! | a whole number that does not fit | begins again at the other end | an error | a wrong number is worse than none |
//! | what is not finite (`1.0 / 0`) | infinite | the same inside of an expression, null in the answer | JSON has no such number |
//! | what is no number (`0.0 / 0`) | NaN, the greatest number | null | SQLite has none |
//! | zero with a sign | less than zero | equal to it | SQLite compares them so |
//! | whole numbers with others | compared as numbers with a point | compared exactly | SQLite does, and indexes serve it |
//! | texts with numbers in `CASE`, `UNION` | become texts | an error that says to cast | nobody means it |
//! | a timestamp as text | three, six or nine digits behind seconds | as many as it has | that is its form on the wire |
//! | a timestamp as a whole number | its microseconds | an error that says what to use | the unit depends on the column there |
//! | a timestamp less another | a span of time | an error that says what to use | there is no such type on the wire |
//! | a date beside a text with a time (`d = '2026-01-31T13:45:00Z'`) | the time is left out | an error, unless it is midnight; `CAST` leaves it out | a day does not equal one of its moments |
//! | a struct that is null | has parts, zero and empty | its parts are null | that is a fault there |
//! | `NULL NOT IN (SELECT …)` | true if the null stands in the text | null | that is a fault there |
//! | `-(a & b)` | `-a` or `-b` in bits | the negative of `a & b` | that is a fault there |
//! | `avg(NULL)` | an error | null | so it is for a column of nulls |
//! | `FULL JOIN … USING` | the column of the left side | of whichever side has it | as the standard has it |
//! | how a column without alias is called | with the types of literals | as it was written | it is for people |
//! | `"\d"` in a filter | as it is | as JSON has it, and as it is if that fails | the public SDK writes texts as JSON |
//! | `regexp_match` in a filter | a list | yes or no | LanceDB documents it as a condition |
//! | `to_char` | formats of chrono | of jiff, which are those of C | both know the usual ones |
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
use crate::error::{Error, Result};
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
    bounded(of_one_row(typed)?.sql.finished())
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
    Ok(Expression { sql: bounded(sql.finished())?, data_type: kind.map(DataType::from) })
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
    let sql = bounded(answer.sql.finished())?;
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

/// Does something, such as to run a statement, while the functions that [`install`] gave stop as
/// soon as the time is over. SQLite itself asks between steps only, and a call is one.
pub fn watched<T>(over: impl Fn() -> bool + 'static, work: impl FnOnce() -> T) -> T {
    functions::watch::watched(over, work)
}

/// The most values of a statement. SQLite binds 32,766.
const VALUES: usize = 30_000;

/// The most bytes of a statement. SQLite takes 1,000,000.
const LONGEST: usize = 900_000;

fn bounded(sql: Fragment) -> Result<Fragment> {
    let (values, length) = (sql.values.len(), sql.text.len());
    if values > VALUES || length > LONGEST {
        let text = format!(
            "the statement has {values} values and {length} bytes; {VALUES} and {LONGEST} are allowed"
        );
        return Err(Error::invalid(text));
    }
    Ok(sql)
}

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
