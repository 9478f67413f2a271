//! Versions that are listed, read and restored.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::catalog::{self, Table};
use super::{Tables, change, indexes, stamps};
use crate::engine::{TableName, Version};
use crate::error::{Error, Reason, Result};

/// How many versions are listed, so that the list fits into one message.
const VERSIONS: u32 = 10_000;

impl Tables {
    pub(super) fn history(&self, name: &TableName) -> Result<Vec<Version>> {
        self.shared.read(|db| {
            let table = catalog::table(db, name)?;
            let mut statement = db.prepare_cached(
                "SELECT version, at, operation FROM room_versions WHERE owner = ? ORDER BY version DESC LIMIT ?",
            )?;
            let mut rows = statement.query(params![table.id, VERSIONS])?;
            let mut versions = Vec::new();
            while let Some(row) = rows.next()? {
                let moment = Timestamp::from_microsecond(row.get(1)?);
                let timestamp = moment.map_err(|_| Error::damaged("a version has no moment"))?;
                let version = row.get::<_, i64>(0)?.unsigned_abs();
                versions.push(Version { version, timestamp, operation: row.get(2)? });
            }
            versions.reverse();
            Ok(versions)
        })
    }

    pub(super) fn read_at(&self, name: &TableName, version: u64) -> Result<()> {
        self.shared.write(|db| {
            let table = catalog::table(db, name)?;
            let version = known(db, &table, version)?;
            let reading = (version != table.latest).then_some(version);
            let text = "UPDATE room_tables SET reading = ? WHERE id = ?";
            db.execute(text, params![reading, table.id])?;
            Ok(())
        })
    }

    pub(super) fn bring_back(&self, name: &TableName, version: u64) -> Result<()> {
        self.shared.write(|db| {
            let mut now = catalog::table(db, name)?;
            let wanted = known(db, &now, version)?;
            now.reading = None;
            now.seen = catalog::seen_at(db, &now, now.latest)?;
            now.columns = catalog::columns_at(db, &now, now.latest)?;
            let then = Table {
                seen: catalog::seen_at(db, &now, wanted)?,
                columns: catalog::columns_at(db, &now, wanted)?,
                ..now.clone()
            };
            let new = catalog::next_number(db, &now)?;
            bring_rows(db, &now, &then, new)?;
            if now.columns != then.columns {
                bring_columns(db, &now, &then, new)?;
                catalog::reshape(db, now.id, new)?;
            }
            catalog::commit(db, now.id, new, "restore")?;
            db.execute("UPDATE room_tables SET reading = NULL WHERE id = ?", [now.id])?;
            Ok(())
        })
    }
}

/// A version that there is.
fn known(db: &Connection, table: &Table, version: u64) -> Result<i64> {
    let missing = || {
        let text = format!("the table {} has no version {version}; list its versions", table.name);
        Error::new(Reason::NotFound, text)
    };
    let version = i64::try_from(version).map_err(|_| missing())?;
    let text = "SELECT version FROM room_versions WHERE owner = ? AND version = ?";
    let found = db.query_row(text, [table.id, version], |row| row.get(0)).optional()?;
    found.ok_or_else(missing)
}

/// Lets a new version show the rows of an earlier one, in their order.
///
/// Rows that are still there stay. From the first one on that is gone, all are copied behind the
/// others, for the order is that of their places.
fn bring_rows(db: &Connection, now: &Table, then: &Table, new: i64) -> Result<()> {
    let (rows, seen_now, seen_then) = (now.rows(), &now.seen, &then.seen);
    let gone = format!("SELECT min(row) FROM {rows} WHERE ({seen_then}) AND died IS NOT NULL");
    let gone: Option<i64> = db.query_row(&gone, [], |row| row.get(0))?;
    let first = gone.unwrap_or(i64::MAX);
    let last = stamps::last_row(db, now.id)?;
    db.execute(
        &format!(
            "INSERT INTO hits SELECT row FROM {rows}
             WHERE {seen_now} AND (NOT ({seen_then}) OR row >= ?)"
        ),
        [first],
    )?;
    // The columns that are copied are those of the earlier version.
    let columns = then.list();
    db.execute(
        &format!(
            "INSERT INTO {rows} (born{columns}) SELECT {new}{columns} FROM {rows}
             WHERE {seen_then} AND row >= ? ORDER BY row"
        ),
        [first],
    )?;
    change::end_hits(db, now, new)?;
    indexes::catch_up(db, now.id, last)
}

/// Lets a new version have the columns of an earlier one.
fn bring_columns(db: &Connection, now: &Table, then: &Table, new: i64) -> Result<()> {
    let numbers: Vec<i64> = now.columns.iter().map(|column| column.number).collect();
    for number in &numbers {
        if then.columns.iter().all(|column| column.number != *number) {
            indexes::move_over(db, now.id, *number, None)?;
        }
    }
    catalog::undefine(db, now, new, &numbers)?;
    for (column, place) in then.columns.iter().zip(1..) {
        catalog::define(db, now.id, new, column, place)?;
    }
    Ok(())
}
