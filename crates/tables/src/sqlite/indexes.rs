//! Indexes. One for filters is SQLite's own; one for words is a table of FTS5 that keeps no texts;
//! one for vectors is only noted, for the search is exact.
//!
//! The words of all rows are kept, also of those that only earlier versions show, so that these can
//! be searched as well.

use rusqlite::{Connection, params};

use super::Tables;
use super::catalog::{self, Column, Index};
use crate::engine::{self, IndexKind, TableName};
use crate::error::{Error, Reason, Result};

/// The table that has the words of a column.
pub(super) fn words(id: i64, number: i64) -> String {
    format!("f{id}_{number}")
}

/// The indexes of words.
pub(super) fn of_words(db: &Connection, id: i64) -> Result<Vec<Index>> {
    let mut indexes = catalog::indexes(db, id)?;
    indexes.retain(|index| index.kind == IndexKind::FullText);
    Ok(indexes)
}

impl Tables {
    pub(super) fn index(
        &self,
        name: &TableName,
        column: &str,
        kind: IndexKind,
        replace: bool,
    ) -> Result<()> {
        self.shared.write(|db| {
            let table = catalog::writable(db, name)?;
            let column = table.column(column)?;
            fits(column, kind)?;
            let indexes = catalog::indexes(db, table.id)?;
            let same = |it: &&Index| it.number == column.number && it.kind == kind;
            if let Some(old) = indexes.iter().find(same) {
                if !replace {
                    let text = format!(
                        "the column {:?} of the table {name} has the index {:?}; set `replace`, or drop it first",
                        column.field.name, old.name
                    );
                    return Err(Error::new(Reason::AlreadyExists, text));
                }
                remove(db, table.id, old)?;
                return make(db, table.id, old);
            }
            let name = free_name(&column.field.name, kind, &indexes);
            make(db, table.id, &Index { number: column.number, kind, name })
        })
    }

    pub(super) fn drop_index_named(&self, name: &TableName, index: &str) -> Result<()> {
        self.shared.write(|db| {
            let table = catalog::writable(db, name)?;
            let indexes = catalog::indexes(db, table.id)?;
            let found = indexes.iter().find(|it| it.name == index).ok_or_else(|| {
                let names: Vec<&str> = indexes.iter().map(|it| it.name.as_str()).collect();
                let text = format!(
                    "the table {name} has no index {index:?}; it has {}",
                    catalog::listed(&names)
                );
                Error::new(Reason::NotFound, text)
            })?;
            remove(db, table.id, found)
        })
    }

    pub(super) fn indexes_of(&self, name: &TableName) -> Result<Vec<engine::Index>> {
        self.shared.read(|db| {
            let table = catalog::table(db, name)?;
            let columns = catalog::columns_at(db, &table, table.latest)?;
            let indexes = catalog::indexes(db, table.id)?.into_iter();
            let shown = indexes.filter_map(|index| {
                let column = columns.iter().find(|column| column.number == index.number)?;
                let (name, kind) = (index.name, index.kind);
                Some(engine::Index { name, column: column.field.name.clone(), kind })
            });
            Ok(shown.collect())
        })
    }

    pub(super) fn tidy(&self, name: &TableName) -> Result<()> {
        self.shared.write(|db| {
            let table = catalog::table(db, name)?;
            for index in of_words(db, table.id)? {
                let words = words(table.id, index.number);
                db.execute(&format!("INSERT INTO {words} ({words}) VALUES ('optimize')"), [])?;
            }
            // Some hundreds of rows tell the planner enough.
            db.pragma_update(None, "analysis_limit", 400)?;
            db.execute_batch(&format!("ANALYZE {}", table.rows()))?;
            Ok(())
        })?;
        // It takes the log into the file as far as readers allow.
        let log = |_: &rusqlite::Row<'_>| Ok(());
        Ok(self.shared.writing().query_row("PRAGMA wal_checkpoint(PASSIVE)", [], log)?)
    }
}

fn fits(column: &Column, kind: IndexKind) -> Result<()> {
    let of = &column.field.data_type.kind;
    let name = &column.field.name;
    let told = |what| Error::invalid(format!("{what}, and the column {name:?} is {of}"));
    kind.fits(of).map_err(told)
}

/// A name that no index has: `body_idx`, or `body_fts_idx` if the column has another index.
fn free_name(column: &str, kind: IndexKind, indexes: &[Index]) -> String {
    let free = |name: &String| indexes.iter().all(|index| index.name != *name);
    let of_kind = kind.name().to_lowercase();
    let mut names = [format!("{column}_idx"), format!("{column}_{of_kind}_idx")]
        .into_iter()
        .chain((2..).map(|number| format!("{column}_{of_kind}_{number}_idx")));
    names.find(free).unwrap_or_default()
}

/// Makes an index over the rows that there are.
pub(super) fn make(db: &Connection, id: i64, index: &Index) -> Result<()> {
    let (rows, number) = (catalog::rows(id), index.number);
    match index.kind {
        IndexKind::Scalar => db.execute_batch(&format!(
            "CREATE INDEX x{id}_{number} ON {rows} (c{number}) WHERE died IS NULL"
        ))?,
        IndexKind::Vector => {}
        IndexKind::FullText => {
            let words = words(id, number);
            db.execute_batch(&format!(
                "CREATE VIRTUAL TABLE {words} USING fts5(words, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2')"
            ))?;
            fill(db, id, number, 0)?;
        }
    }
    db.execute(
        "INSERT INTO room_indexes (owner, number, kind, name) VALUES (?, ?, ?, ?)",
        params![id, number, index.kind.name(), index.name],
    )?;
    Ok(())
}

/// Adds the words of the rows behind one.
fn fill(db: &Connection, id: i64, number: i64, behind: i64) -> Result<()> {
    let (words, rows) = (words(id, number), catalog::rows(id));
    let text = format!(
        "INSERT INTO {words} (rowid, words) SELECT row, c{number} FROM {rows} WHERE row > ? AND c{number} IS NOT NULL"
    );
    db.execute(&text, [behind])?;
    Ok(())
}

/// Adds the words of the rows behind one to all indexes.
pub(super) fn catch_up(db: &Connection, id: i64, behind: i64) -> Result<()> {
    of_words(db, id)?.iter().try_for_each(|index| fill(db, id, index.number, behind))
}

/// Removes an index.
pub(super) fn remove(db: &Connection, id: i64, index: &Index) -> Result<()> {
    let number = index.number;
    match index.kind {
        IndexKind::Scalar => db.execute_batch(&format!("DROP INDEX IF EXISTS x{id}_{number}"))?,
        IndexKind::Vector => {}
        IndexKind::FullText => {
            db.execute_batch(&format!("DROP TABLE IF EXISTS {}", words(id, number)))?;
        }
    }
    db.execute("DELETE FROM room_indexes WHERE owner = ? AND name = ?", params![id, index.name])?;
    Ok(())
}

/// Lets the indexes of a column go over to the one that takes its place, as far as they are for its
/// type.
pub(super) fn move_over(db: &Connection, id: i64, from: i64, to: Option<&Column>) -> Result<()> {
    for index in catalog::indexes(db, id)? {
        if index.number != from {
            continue;
        }
        remove(db, id, &index)?;
        if let Some(to) = to.filter(|to| index.kind.fits(&to.field.data_type.kind).is_ok()) {
            make(db, id, &Index { number: to.number, ..index })?;
        }
    }
    Ok(())
}
