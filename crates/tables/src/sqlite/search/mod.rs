//! Searches: by a filter alone, by words, by the nearest vectors, and by both.
//!
//! A search with an order first finds which rows it is about and how good they are, and keeps no
//! more of them than are wanted. Then it reads these rows, one by one.
//!
//! | module | holds |
//! |---|---|
//! | [`text`] | rows with words |
//! | [`vector`] | rows with near vectors |
//! | [`fusion`] | two orders joined to one |
//!
//! **What must not live here**: queries in SQL, which have no scores.

mod fusion;
mod text;
mod vector;

use rusqlite::Connection;

use super::Tables;
use super::catalog::{self, Table};
use super::readers::Reader;
use super::rows::{self, Sink};
use super::statement::Statement;
use crate::data_type::{Field, Kind};
use crate::engine::{Rows, Search};
use crate::error::{Error, Result};
use crate::names::SCORES;
use crate::sql::{self, Fragment};

/// How many rows a search with an order gives if it is not said.
const LIMIT: u64 = 10;

/// How far down a search with an order goes.
const DEEPEST: u64 = 1_000_000;

/// A row, and how good it is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Hit {
    row: i64,
    score: f64,
}

/// What a search looks through.
#[derive(Clone)]
struct Scope {
    rows: String,
    seen: String,
    filter: Option<Fragment>,
}

/// What gives a search its order.
enum Order {
    Words(text::Words),
    Near(vector::Near),
    Both(text::Words, vector::Near),
}

impl Order {
    fn new(db: &Connection, table: &Table, search: &Search) -> Result<Option<Self>> {
        let words =
            search.text.as_ref().map(|_| text::Words::new(db, table, search)).transpose()?;
        let near = search.vector.as_ref().map(|it| vector::Near::new(db, table, it)).transpose()?;
        Ok(match (words, near) {
            (Some(words), Some(near)) => Some(Self::Both(words, near)),
            (Some(words), None) => Some(Self::Words(words)),
            (None, Some(near)) => Some(Self::Near(near)),
            (None, None) => None,
        })
    }

    fn name(&self) -> &'static str {
        let [words, near, both] = SCORES;
        match self {
            Self::Words(_) => words,
            Self::Near(_) => near,
            Self::Both(..) => both,
        }
    }

    /// The tables of words that it reads.
    fn reads(&self) -> Vec<String> {
        match self {
            Self::Words(words) | Self::Both(words, _) => words.tables.clone(),
            Self::Near(_) => Vec::new(),
        }
    }

    /// The best rows, the best first.
    fn hits(&self, db: &Connection, scope: &Scope, count: usize) -> Result<Vec<Hit>> {
        match self {
            Self::Words(words) => words.hits(db, scope, count),
            Self::Near(near) => near.hits(db, scope, count),
            Self::Both(words, near) => {
                let deep = count.max(fusion::CANDIDATES);
                Ok(fusion::joined(words.hits(db, scope, deep)?, near.hits(db, scope, deep)?))
            }
        }
    }
}

impl Tables {
    pub(super) fn find(&self, search: Search) -> Result<Box<dyn Rows>> {
        let reader = self.reader()?;
        let db = reader.connection()?;
        let table = catalog::table(db, &search.table)?;
        let scope = scope(&table, &search)?;
        let order = Order::new(db, &table, &search)?;
        let (fields, list) = selected(&table, &search, order.as_ref().map(Order::name))?;
        let columns = fields.len();
        let (offset, limit) = (search.offset, search.limit);
        let Some(order) = order else {
            reader.confine(vec![table.rows()])?;
            let statement = scan(scope, &list, offset, limit);
            // What is wrong with it is told at once.
            reader.bound(&statement.0.text)?;
            return rows::answer(reader, fields, &self.shared.limits, move |reader, sink| {
                rows::all(reader, &statement, columns, sink)
            });
        };
        let limit = limit.unwrap_or(LIMIT);
        let deep = offset.saturating_add(limit);
        if deep > DEEPEST {
            let text = format!(
                "the offset and the limit of a search by text or vector are together at most {DEEPEST}"
            );
            return Err(Error::invalid(text));
        }
        let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let (offset, deep) = (place(offset), place(deep));
        let mut tables = order.reads();
        tables.push(table.rows());
        if search.vector.is_some() {
            reader.map()?;
        }
        reader.confine(tables)?;
        reader.bound(&scan(scope.clone(), "row", 0, None).0.text)?;
        let mut fields = fields;
        fields.push(Field { name: order.name().to_owned(), data_type: Kind::Float.into() });
        rows::answer(reader, fields, &self.shared.limits, move |reader, sink| {
            let mut hits = order.hits(reader.connection()?, &scope, deep)?;
            hits.truncate(deep);
            let text = format!("SELECT {list} FROM {} WHERE row = ?", scope.rows);
            best(reader, &text, columns, hits.get(offset..).unwrap_or_default(), sink)
        })
    }

    pub(super) fn how_many(&self, search: &Search) -> Result<u64> {
        let reader = self.reader()?;
        let db = reader.connection()?;
        let table = catalog::table(db, &search.table)?;
        let scope = scope(&table, search)?;
        if let Some(vector) = &search.vector {
            vector::Near::new(db, &table, vector)?;
        }
        let words =
            search.text.as_ref().map(|_| text::Words::new(db, &table, search)).transpose()?;
        let mut tables = vec![table.rows()];
        let mut count =
            Statement::new(format!("SELECT count(*) FROM {} WHERE {}", scope.rows, scope.seen));
        count.and(scope.filter);
        if let Some(words) = words {
            tables.extend(words.tables.iter().cloned());
            count.text(" AND row IN (").part(words.rows()).text(")");
        }
        reader.confine(tables)?;
        reader.bound(&count.0.text)?;
        let counted = || -> Result<i64> {
            let mut statement = reader.connection()?.prepare(&count.0.text)?;
            let values = rusqlite::params_from_iter(&count.0.values);
            Ok(statement.query_row(values, |row| row.get(0))?)
        };
        let count = reader.budget.within(counted)?;
        Ok(count.unsigned_abs())
    }
}

fn scope(table: &Table, search: &Search) -> Result<Scope> {
    let filter = search.filter.as_ref().map(|text| sql::filter(text, &table.named()));
    Ok(Scope { rows: table.rows(), seen: table.seen.clone(), filter: filter.transpose()? })
}

/// The columns that are wanted, and how a statement lists them.
fn selected(table: &Table, search: &Search, score: Option<&str>) -> Result<(Vec<Field>, String)> {
    let mut columns = Vec::new();
    match &search.select {
        None => columns.extend(&table.columns),
        Some(names) => {
            // The score comes in any case.
            for name in names.iter().filter(|name| score != Some(name.as_str())) {
                let column = table.column(name)?;
                if columns.contains(&column) {
                    return Err(Error::invalid(format!("the column {name:?} is selected twice")));
                }
                columns.push(column);
            }
        }
    }
    let list: Vec<String> = columns.iter().map(|column| column.sql()).collect();
    // A table without columns still has rows.
    let list = if list.is_empty() { "NULL".to_owned() } else { list.join(", ") };
    Ok((columns.into_iter().map(|column| column.field.clone()).collect(), list))
}

/// Rows in the order in which they were written.
fn scan(scope: Scope, list: &str, offset: u64, limit: Option<u64>) -> Statement {
    let number = |given: u64| i64::try_from(given).unwrap_or(i64::MAX);
    let mut scan =
        Statement::new(format!("SELECT {list} FROM {} WHERE {}", scope.rows, scope.seen));
    scan.and(scope.filter).text(&format!(
        " ORDER BY row LIMIT {} OFFSET {}",
        limit.map_or(-1, number),
        number(offset)
    ));
    scan
}

fn best(reader: &Reader, text: &str, columns: usize, hits: &[Hit], sink: &mut Sink) -> Result<()> {
    let mut statement = reader.connection()?.prepare(text)?;
    for hit in hits {
        let mut rows = statement.query([hit.row])?;
        let row = rows.next()?.ok_or_else(|| Error::damaged("a row is missing"))?;
        sink.put(row, columns, Some(hit.score))?;
    }
    Ok(())
}
