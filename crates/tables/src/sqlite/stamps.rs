//! The rows of writers that are still at work, and how they are removed if a writer ends without
//! having finished.

use rusqlite::{Connection, params};

use super::catalog::{self, Table};
use super::file::Shared;
use super::indexes;
use crate::error::Result;
use crate::stored::Stored;

/// So many rows are removed in one transaction, so that others can write between.
const AT_ONCE: i64 = 10_000;

/// Begins to keep rows that nobody sees.
pub(super) fn begin(db: &Connection, table: &Table) -> Result<i64> {
    let stamp = catalog::next_number(db, table)?;
    let first = last_row(db, table.id)? + 1;
    db.execute(
        "INSERT INTO room_stamps (owner, stamp, first_row) VALUES (?, ?, ?)",
        params![table.id, stamp, first],
    )?;
    Ok(stamp)
}

/// The version that shows what was kept under a stamp from now on.
pub(super) fn end(db: &Connection, table: &Table, stamp: i64) -> Result<i64> {
    if stamp > table.latest {
        db.execute(
            "DELETE FROM room_stamps WHERE owner = ? AND stamp = ?",
            params![table.id, stamp],
        )?;
        return Ok(stamp);
    }
    let version = catalog::next_number(db, table)?;
    db.execute(
        "UPDATE room_stamps SET version = ? WHERE owner = ? AND stamp = ?",
        params![version, table.id, stamp],
    )?;
    Ok(version)
}

/// Writes rows, and the words of those columns that are searched for words.
pub(super) fn append(
    db: &Connection,
    id: i64,
    born: i64,
    numbers: &[i64],
    rows: &[Vec<Stored>],
) -> Result<()> {
    let table = catalog::rows(id);
    let columns: String = numbers.iter().map(|number| format!(", c{number}")).collect();
    let marks = ", ?".repeat(numbers.len());
    let text = format!("INSERT INTO {table} (born{columns}) VALUES ({born}{marks})");
    let mut insert = db.prepare(&text)?;
    let mut words = Vec::new();
    for index in indexes::of_words(db, id)? {
        if let Some(place) = numbers.iter().position(|number| *number == index.number) {
            let words_of = indexes::words(id, index.number);
            let text = format!("INSERT INTO {words_of} (rowid, words) VALUES (?, ?)");
            words.push((place, db.prepare(&text)?));
        }
    }
    for row in rows {
        insert.execute(rusqlite::params_from_iter(row))?;
        for (place, statement) in &mut words {
            if row[*place] != Stored::Null {
                statement.execute(params![db.last_insert_rowid(), row[*place]])?;
            }
        }
    }
    Ok(())
}

pub(super) fn last_row(db: &Connection, id: i64) -> Result<i64> {
    let text = format!("SELECT coalesce(max(row), 0) FROM {}", catalog::rows(id));
    Ok(db.query_row(&text, [], |row| row.get(0))?)
}

/// Removes what was kept under a stamp. Until the last of it is gone it is hidden.
pub(super) fn discard(shared: &Shared, id: i64, stamp: i64) -> Result<()> {
    while shared.stage(|db| some(db, id, stamp))? {}
    Ok(())
}

/// Removes some of it, and says whether there may be more.
fn some(db: &Connection, id: i64, stamp: i64) -> Result<bool> {
    let hidden = "owner = ? AND stamp = ? AND version IS NULL";
    let text = format!("SELECT first_row FROM room_stamps WHERE {hidden}");
    let mut statement = db.prepare(&text)?;
    let mut found = statement.query(params![id, stamp])?;
    // A table that is dropped takes its stamps along.
    let Some(found) = found.next()? else { return Ok(false) };
    let first: i64 = found.get(0)?;
    let rows = catalog::rows(id);
    let text = format!(
        "INSERT INTO hits SELECT row FROM {rows} WHERE row >= ? AND born = ? ORDER BY row LIMIT {AT_ONCE}"
    );
    let count = db.execute(&text, params![first, stamp])?;
    for index in indexes::of_words(db, id)? {
        let words = indexes::words(id, index.number);
        db.execute(&format!("DELETE FROM {words} WHERE rowid IN (SELECT hit FROM hits)"), [])?;
    }
    db.execute(&format!("DELETE FROM {rows} WHERE row IN (SELECT hit FROM hits)"), [])?;
    let last: Option<i64> = db.query_row("SELECT max(hit) FROM hits", [], |row| row.get(0))?;
    db.execute("DELETE FROM hits", [])?;
    let more = i64::try_from(count) == Ok(AT_ONCE);
    if let (true, Some(last)) = (more, last) {
        let text = format!("UPDATE room_stamps SET first_row = ? WHERE {hidden}");
        db.execute(&text, params![last + 1, id, stamp])?;
    } else {
        let text = "DELETE FROM room_columns WHERE owner = ? AND born = ?";
        db.execute(text, params![id, stamp])?;
        db.execute(&format!("DELETE FROM room_stamps WHERE {hidden}"), params![id, stamp])?;
    }
    Ok(more)
}

/// Removes what writers of an earlier process left.
pub(super) fn clean(shared: &Shared) -> Result<()> {
    let (tables, stamps) = shared.read(|db| {
        let mut statement = db.prepare("SELECT id FROM room_tables WHERE latest = 0")?;
        let tables = statement.query_map([], |row| row.get::<_, i64>(0))?;
        let tables = tables.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut statement =
            db.prepare("SELECT owner, stamp FROM room_stamps WHERE version IS NULL")?;
        let stamps = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((tables, stamps.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?))
    })?;
    for id in tables {
        shared.stage(|db| catalog::remove(db, id))?;
    }
    for (id, stamp) in stamps {
        discard(shared, id, stamp)?;
    }
    Ok(())
}
