//! What an engine of tables does. [`crate::sqlite`] is one.
//!
//! **Versions.** Every call that changes a table makes exactly one version of it, and the numbers
//! of versions only grow; they may leave some out. A table that is made anew goes on with the numbers
//! of the one before. The rows and columns of each version stay, and can be read again after
//! [`Engine::checkout`].
//!
//! **Blocking.** All calls block. Those who wait for each other wait within bounds.

use std::fmt;

use jiff::Timestamp;

use crate::data_type::{DataType, Field, Kind};
use crate::error::Result;
use crate::value::{Row, Value};

/// Which table is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TableName {
    /// The names of the namespaces that it is in, the outermost first. Most tables are in none.
    pub namespace: Vec<String>,
    /// Its own name.
    pub name: String,
}

impl TableName {
    /// A table that is in no namespace.
    pub fn new(name: impl Into<String>) -> Self {
        Self { namespace: Vec::new(), name: name.into() }
    }
}

impl fmt::Display for TableName {
    /// As messages name it: `outer.inner.name`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.namespace {
            write!(out, "{part}.")?;
        }
        out.write_str(&self.name)
    }
}

/// What happens if there is a table of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It is an error.
    #[default]
    Create,
    /// The new table takes its place; its versions and indexes are gone. The numbers of versions go
    /// on.
    Overwrite,
    /// It stays as it is, and the rows that are written are left out.
    CreateIfNotExists,
}

/// A table that is to be made.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewTable {
    /// Its name.
    pub table: TableName,
    /// Its columns. Without them, they come of the first rows that are written: at once, or, if
    /// the table is made without rows, with those of the first insert.
    pub fields: Option<Vec<Field>>,
    /// What happens if there is one.
    pub mode: Mode,
    /// What clients keep with it: keys and texts.
    pub metadata: Vec<(String, String)>,
}

/// What a table is like.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Its columns at the version that is read.
    pub fields: Vec<Field>,
    /// What clients keep with it.
    pub metadata: Vec<(String, String)>,
    /// The version that is read. It is the latest one unless another is checked out.
    pub version: u64,
    /// The latest version.
    pub latest: u64,
}

/// What a column that is added has in the rows that there are.
#[derive(Debug, Clone, PartialEq)]
pub enum NewColumn {
    /// Nothing: it is null, and of this type.
    Typed(DataType),
    /// What this expression gives for each row, such as `price * 2`. Its type is the column's.
    Computed(String),
}

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Search {
    /// Where.
    pub table: TableName,
    /// Only rows for which this holds, such as `id = 1 AND name LIKE 'a%'`.
    pub filter: Option<String>,
    /// Words, of which at least one is in a row. The answer has `_score`, and the best comes first.
    /// At least one column needs a full-text index.
    pub text: Option<String>,
    /// The columns in which the words are; all that have a full-text index if it is not said.
    pub text_columns: Option<Vec<String>>,
    /// The rows whose vector is nearest to this one. The answer has `_distance`, the square of the
    /// distance, and the nearest comes first.
    pub vector: Option<Vec<f32>>,
    /// The columns that are wanted; all if it is not said. Those of scores come in any case.
    pub select: Option<Vec<String>>,
    /// How many rows are left out at the beginning.
    pub offset: u64,
    /// How many rows are wanted at most. With a text or a vector it is 10 if it is not said,
    /// otherwise all.
    pub limit: Option<u64>,
}

/// What a writer has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The version that shows it.
    pub version: u64,
    /// How many rows were written.
    pub rows: u64,
}

/// A version of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub version: u64,
    /// When it was made.
    pub timestamp: Timestamp,
    /// What made it, such as `insert`.
    pub operation: String,
}

/// What an index is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKind {
    /// Filters.
    Scalar,
    /// Nearest vectors.
    Vector,
    /// Words.
    FullText,
}

impl IndexKind {
    /// What it is called in lists of indexes. These are LanceDB's names; a search for vectors is
    /// exact, which LanceDB calls flat.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "BTREE",
            Self::Vector => "IVF_FLAT",
            Self::FullText => "FTS",
        }
    }

    /// Whether a column of this type can have such an index.
    ///
    /// # Errors
    ///
    /// What it is for instead: `a full-text index is for columns of text`.
    pub const fn fits(self, kind: &Kind) -> std::result::Result<(), &'static str> {
        match (self, kind) {
            (Self::Scalar, Kind::Vector { .. } | Kind::List(_) | Kind::Struct(_)) => {
                Err("a scalar index is for columns with one value")
            }
            (Self::Scalar, _)
            | (Self::Vector, Kind::Vector { .. })
            | (Self::FullText, Kind::Text) => Ok(()),
            (Self::Vector, _) => Err("a vector index is for columns of vectors"),
            (Self::FullText, _) => Err("a full-text index is for columns of text"),
        }
    }
}

/// An index of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its name: that of its column with `_idx` behind it.
    pub name: String,
    /// The column.
    pub column: String,
    /// What it is for.
    pub kind: IndexKind,
}

/// An engine of tables.
///
/// Errors have a [`crate::Reason`]. All calls but [`Engine::list`] and [`Engine::query`] give
/// `NotFound` if there is no such table. Calls that write give `State` if the table is checked out at
/// an earlier version, and `Conflict` if another writer was faster: then nothing was written, and
/// the same call may be made again.
pub trait Engine: Send + Sync {
    /// The names of the tables in a namespace, sorted. A namespace without tables has none.
    ///
    /// # Errors
    ///
    /// The namespace has a name that none may have.
    fn list(&self, namespace: &[String]) -> Result<Vec<String>>;

    /// What a table is like, at the version that is read.
    ///
    /// # Errors
    ///
    /// There is no such table.
    fn describe(&self, table: &TableName) -> Result<Description>;

    /// Makes a table. Nobody sees it before the writer has finished.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, or names or columns that cannot be.
    fn create(&self, new: NewTable) -> Result<Box<dyn Writer>>;

    /// Adds rows.
    ///
    /// # Errors
    ///
    /// Those of all writers.
    fn insert(&self, table: &TableName) -> Result<Box<dyn Writer>>;

    /// Changes each row that has the same value in a column as one that is written: it gets what
    /// that one gives, and keeps its other columns. Rows that are written with a value that no row
    /// has, or with null, are added. Of several written rows with one value, the last one counts.
    ///
    /// # Errors
    ///
    /// There is no such column. A row that is added lacks a column that is never null.
    fn merge(&self, table: &TableName, on: &str) -> Result<Box<dyn Writer>>;

    /// Removes a table with all of its versions.
    ///
    /// # Errors
    ///
    /// There is no such table, unless that is to be ignored.
    fn drop_table(&self, table: &TableName, ignore_missing: bool) -> Result<()>;

    /// Adds columns.
    ///
    /// # Errors
    ///
    /// There is a column of this name, or an expression cannot be computed.
    fn add_columns(&self, table: &TableName, columns: Vec<(String, NewColumn)>) -> Result<()>;

    /// Gives columns other types. The values are changed with them.
    ///
    /// # Errors
    ///
    /// There is no such column, or a value does not fit the new type.
    fn alter_columns(&self, table: &TableName, columns: Vec<Field>) -> Result<()>;

    /// Removes columns and their indexes.
    ///
    /// # Errors
    ///
    /// There is no such column, or none would be left.
    fn drop_columns(&self, table: &TableName, columns: &[String]) -> Result<()>;

    /// Changes the rows for which a filter holds, and says how many they were. Expressions see the
    /// rows as they were before.
    ///
    /// # Errors
    ///
    /// A column, the filter or an expression is wrong, or a value does not fit its column.
    fn update(
        &self,
        table: &TableName,
        filter: &str,
        values: Vec<(String, Value)>,
        expressions: Vec<(String, String)>,
    ) -> Result<u64>;

    /// Removes the rows for which a filter holds, and says how many they were.
    ///
    /// # Errors
    ///
    /// The filter is wrong.
    fn delete(&self, table: &TableName, filter: &str) -> Result<u64>;

    /// How many rows a search finds. Its limit and offset are not looked at, and a vector has no
    /// say either.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::search`].
    fn count(&self, search: &Search) -> Result<u64>;

    /// Looks for rows. Without a text or a vector they come in the order in which they were
    /// written. With both, the two orders are joined by their ranks, and the answer has
    /// `_relevance_score`.
    ///
    /// # Errors
    ///
    /// A column or the filter is wrong, no column has a full-text index for a text, or it is not clear
    /// which column a vector is for: not exactly one has vectors of this size, or, if there are
    /// several, not exactly one of them has a vector index.
    fn search(&self, search: Search) -> Result<Box<dyn Rows>>;

    /// Answers a query over tables, each with the name that the query has for it.
    ///
    /// # Errors
    ///
    /// The query is wrong or reads another table.
    fn query(
        &self,
        text: &str,
        tables: Vec<(TableName, String)>,
        parameters: &[(String, Value)],
    ) -> Result<Box<dyn Rows>>;

    /// Brings a table and its indexes in good order. What is read stays the same.
    ///
    /// # Errors
    ///
    /// There is no such table.
    fn optimize(&self, table: &TableName) -> Result<()>;

    /// The latest 10,000 versions of a table, in their order.
    ///
    /// # Errors
    ///
    /// There is no such table.
    fn versions(&self, table: &TableName) -> Result<Vec<Version>>;

    /// Lets everybody read a table at a version, until another is checked out. Meanwhile it cannot
    /// be written, unless the version is the latest one.
    ///
    /// # Errors
    ///
    /// There is no such version.
    fn checkout(&self, table: &TableName, version: u64) -> Result<()>;

    /// Makes a new version that has the rows and columns of an earlier one, and reads it. Indexes of
    /// columns that go are gone, and those of columns that come back are not made again.
    ///
    /// # Errors
    ///
    /// There is no such version.
    fn restore(&self, table: &TableName, version: u64) -> Result<()>;

    /// Makes an index on a column, also on a table without rows.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if the column has an index and it is not to be replaced; the column is of a
    /// type for which there is no such index.
    fn create_index(
        &self,
        table: &TableName,
        column: &str,
        kind: IndexKind,
        replace: bool,
    ) -> Result<()>;

    /// Removes an index by its name.
    ///
    /// # Errors
    ///
    /// There is no such index.
    fn drop_index(&self, table: &TableName, name: &str) -> Result<()>;

    /// The indexes of a table, in the order of their names.
    ///
    /// # Errors
    ///
    /// There is no such table.
    fn indexes(&self, table: &TableName) -> Result<Vec<Index>>;
}

/// Where rows are written. Nothing is seen of them before [`Writer::finish`] has returned, and
/// nothing at all if it is dropped.
///
/// After an error it has nothing more to give: what follows fails as well. To drop one that has not
/// finished blocks as other calls do: it removes what was written.
pub trait Writer: Send {
    /// Writes rows. Columns that a row leaves out are null, but for rows that [`Engine::merge`]
    /// changes.
    ///
    /// # Errors
    ///
    /// There is no such column, or a value does not fit it.
    fn write(&mut self, rows: Vec<Row>) -> Result<()>;

    /// Shows everything that was written, in one version.
    ///
    /// # Errors
    ///
    /// `Conflict` if the table is not what it was when the writer began.
    fn finish(self: Box<Self>) -> Result<Written>;
}

/// The rows of an answer. All are of one moment, however long they are read. When it is dropped,
/// the work on the answer ends.
pub trait Rows: Send {
    /// The columns of the answer.
    fn columns(&self) -> &[Field];

    /// The next rows, at least one and at most so many; none when there are no more. Each row has
    /// the values of the columns in their order. Few large rows come at a time.
    ///
    /// # Errors
    ///
    /// The answer takes longer than is allowed, or cannot be read.
    fn next(&mut self, at_most: usize) -> Result<Option<Vec<Vec<Value>>>>;
}
