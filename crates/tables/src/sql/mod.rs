//! What clients write: filters, expressions and queries.
//!
//! A text is parsed, each name in it is looked up, each part gets a type, and a statement for SQLite
//! is written from that, word by word. Names of columns and tables are those that the catalog says,
//! and every literal is a bound value, so nothing of a client's text is in the statement.
//!
//! | module | holds |
//! |---|---|

use crate::data_type::{DataType, Field};
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
    let _ = (text, columns);
    Err(Error::invalid("filters are not read yet"))
}

/// Reads an expression over a row.
///
/// # Errors
///
/// It cannot be read, or names what is not there.
pub fn expression(text: &str, columns: &[Column]) -> Result<Expression> {
    let _ = (text, columns);
    Err(Error::invalid("expressions are not read yet"))
}

/// Reads a query.
///
/// # Errors
///
/// It cannot be read, names what is not there, or does more than read.
pub fn query(text: &str, catalog: &dyn Catalog, parameters: &Parameters) -> Result<Query> {
    let _ = (text, catalog, parameters);
    Err(Error::invalid("queries are not read yet"))
}

/// Gives a connection the functions that translations call.
///
/// # Errors
///
/// SQLite refuses.
pub fn install(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    let _ = connection;
    Ok(())
}
