//! Tables in one SQLite file.
//!
//! The catalog says which tables there are and what their columns are; each table has its rows in
//! a table `t{n}` of SQLite, with its columns `c{n}`. Names of clients are values in the catalog,
//! and never names of SQLite. Rows are never changed: a version takes some and brings others
//! (`catalog` says which are seen when).
//!
//! One connection writes, and waits for nobody but the disk: what clients send is kept outside of
//! transactions, or in short ones under a number that nobody sees. Few connections read, each at one
//! moment, and they can do nothing else.
//!
//! | module | holds |
//! |---|---|
//! | `file` | opening, the schema, transactions |
//! | `catalog` | tables, columns, versions, and what a version shows |
//! | `stamps` | rows that nobody sees yet |
//! | `writers` | rows that come in |
//! | `change`, `columns`, `cast` | what is changed in place of what was |
//! | `history` | versions, and how they come back |
//! | `indexes` | indexes |
//! | `readers`, `budget`, `rows`, `line`, `part` | answers, and their bounds |
//! | `search`, `query`, `statement` | what is asked |
//!
//! **What must not live here**: how texts of clients are read (that is [`crate::sql`]), and the
//! wire.

mod budget;
mod cast;
mod catalog;
mod change;
mod columns;
mod file;
mod history;
mod indexes;
mod line;
mod part;
mod query;
mod readers;
mod rows;
mod search;
mod stamps;
mod statement;
mod writers;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::file::Shared;
use self::readers::{Reader, Turn};
use crate::data_type::Field;
use crate::engine::{
    Description, Engine, Index, IndexKind, NewColumn, NewTable, Rows, Search, TableName, Version,
    Writer,
};
use crate::error::{Error, Result};
use crate::names;
use crate::value::Value;

/// What the tables of a room may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many answers are read at once.
    pub readers: usize,
    /// How long an answer waits for its turn when others are read.
    pub waiting: Duration,
    /// How long a statement with parts of a client's computes. Time in which it waits for its reader
    /// does not count.
    pub computing: Duration,
    /// The same for one that changes rows. Meanwhile nobody else changes anything in the file.
    pub changing: Duration,
    /// How long an answer waits for its reader.
    pub idle: Duration,
    /// How many bytes of all answers may be left to be taken when they have given their turns back.
    pub left_bytes: usize,
    /// How many writers there are at once.
    pub writers: usize,
    /// How many tables a room has.
    pub tables: usize,
    /// How many columns a table has.
    pub columns: usize,
    /// How many bytes a row has.
    pub row_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            readers: 8,
            waiting: Duration::from_secs(30),
            computing: Duration::from_secs(30),
            changing: Duration::from_secs(5),
            idle: Duration::from_secs(300),
            left_bytes: 16 << 20,
            writers: 64,
            tables: 10_000,
            columns: names::MOST_COLUMNS,
            row_bytes: 16 << 20,
        }
    }
}

impl Limits {
    /// Whether these can be the columns of a table.
    fn columns<'a>(&self, fields: impl IntoIterator<Item = &'a Field>) -> Result<()> {
        names::columns_up_to(self.columns, fields).map_err(|(_, why)| Error::invalid(why))
    }
}

/// Tables in one file. A file is open once at a time: opening removes what writers left that died,
/// if it can.
pub struct Tables {
    shared: Arc<Shared>,
    turn: Turn,
}

impl Tables {
    /// Opens a file, or makes one that only its owner reads. Its folder is there.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or is no file of tables.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, Limits::default())
    }

    /// Opens a file with other limits.
    ///
    /// # Errors
    ///
    /// Those of [`Tables::open`].
    pub fn open_with(path: &Path, limits: Limits) -> Result<Self> {
        let shared = Shared::open(path, limits)?;
        // What is left of earlier writers is hidden in any case. What there is can be read even if
        // nothing can be written, such as while the disk is full.
        let _ = stamps::clean(&shared);
        Ok(Self { shared: Arc::new(shared), turn: Turn::anybody() })
    }

    /// The same tables for somebody whose turn it is to read. What is held for the turn is dropped
    /// once the answers that began by this have given their connections back, which they do when all
    /// rows were taken, or few bytes are left. If there are no more turns than [`Limits::readers`],
    /// nobody who has one waits.
    #[must_use]
    pub fn in_turn(&self, who: Arc<str>, held: Arc<dyn Send + Sync>) -> Self {
        Self { shared: Arc::clone(&self.shared), turn: Turn::new(who, held) }
    }

    /// Makes way for somebody who waits for a turn: it ends the answer that nobody has read for
    /// longest, if that is so long. With `who`, only those of one reader are looked at.
    pub fn make_way(&self, who: Option<&str>, unread: Duration) {
        self.shared.readers.make_way(who, unread);
    }

    fn reader(&self) -> Result<Reader> {
        self.shared.readers.take(self.turn.clone())
    }
}

impl Engine for Tables {
    fn list(&self, namespace: &[String]) -> Result<Vec<String>> {
        names::namespace(namespace)?;
        self.shared.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT name FROM room_tables WHERE namespace = ? AND latest > 0 ORDER BY name",
            )?;
            let names = statement.query_map([catalog::namespace(namespace)], |row| row.get(0))?;
            Ok(names.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn describe(&self, table: &TableName) -> Result<Description> {
        let table = self.shared.read(|db| catalog::table(db, table))?;
        Ok(Description {
            version: table.version().unsigned_abs(),
            latest: table.latest.unsigned_abs(),
            fields: table.columns.into_iter().map(|column| column.field).collect(),
            metadata: table.metadata,
        })
    }

    fn create(&self, new: NewTable) -> Result<Box<dyn Writer>> {
        self.creator(new)
    }

    fn insert(&self, table: &TableName) -> Result<Box<dyn Writer>> {
        self.inserter(table)
    }

    fn merge(&self, table: &TableName, on: &str) -> Result<Box<dyn Writer>> {
        self.merger(table, on)
    }

    fn drop_table(&self, table: &TableName, ignore_missing: bool) -> Result<()> {
        self.shared.write(|db| match catalog::find(db, table)? {
            Some(table) => {
                catalog::refuse_earlier(&table)?;
                catalog::remember(db, &table)?;
                catalog::remove(db, table.id)
            }
            None if ignore_missing => Ok(()),
            None => Err(Error::no_table(table)),
        })
    }

    fn add_columns(&self, table: &TableName, columns: Vec<(String, NewColumn)>) -> Result<()> {
        self.widen(table, columns)
    }

    fn alter_columns(&self, table: &TableName, columns: Vec<Field>) -> Result<()> {
        self.retype(table, columns)
    }

    fn drop_columns(&self, table: &TableName, columns: &[String]) -> Result<()> {
        self.narrow(table, columns)
    }

    fn update(
        &self,
        table: &TableName,
        filter: &str,
        values: Vec<(String, Value)>,
        expressions: Vec<(String, String)>,
    ) -> Result<u64> {
        self.change(table, filter, values, expressions)
    }

    fn delete(&self, table: &TableName, filter: &str) -> Result<u64> {
        self.remove_rows(table, filter)
    }

    fn count(&self, search: &Search) -> Result<u64> {
        self.how_many(search)
    }

    fn search(&self, search: Search) -> Result<Box<dyn Rows>> {
        self.find(search)
    }

    fn query(
        &self,
        text: &str,
        tables: Vec<(TableName, String)>,
        parameters: &[(String, Value)],
    ) -> Result<Box<dyn Rows>> {
        self.ask(text, tables, parameters)
    }

    fn optimize(&self, table: &TableName) -> Result<()> {
        self.tidy(table)
    }

    fn versions(&self, table: &TableName) -> Result<Vec<Version>> {
        self.history(table)
    }

    fn checkout(&self, table: &TableName, version: u64) -> Result<()> {
        self.read_at(table, version)
    }

    fn restore(&self, table: &TableName, version: u64) -> Result<()> {
        self.bring_back(table, version)
    }

    fn create_index(
        &self,
        table: &TableName,
        column: &str,
        kind: IndexKind,
        replace: bool,
    ) -> Result<()> {
        self.index(table, column, kind, replace)
    }

    fn drop_index(&self, table: &TableName, name: &str) -> Result<()> {
        self.drop_index_named(table, name)
    }

    fn indexes(&self, table: &TableName) -> Result<Vec<Index>> {
        self.indexes_of(table)
    }
}
