//! Rows that change those with the same value in a column, or are added.
//!
//! They wait in a temporary table, which nobody else sees and which is gone when the process ends.

use std::fmt;

use rusqlite::{Connection, params_from_iter};

use super::super::catalog::{self, Table};
use super::super::file::Shared;
use super::super::{change, indexes, stamps};
use super::Target;
use super::insert::Opened;
use super::sheet::{Sheet, leaves_out};
use crate::engine::TableName;
use crate::error::Result;
use crate::stored::Stored;

#[derive(Clone)]
pub(super) struct Merge {
    table: Opened,
    /// The column with the values that are compared.
    on: i64,
    numbers: Vec<i64>,
    /// The table that the rows wait in.
    waiting: Waiting,
    begun: bool,
}

impl Merge {
    pub(super) fn begin(
        shared: &Shared,
        name: &TableName,
        on: &str,
    ) -> Result<(Self, Option<Sheet>)> {
        let table = shared.read(|db| catalog::writable(db, name))?;
        let on = table.column(on)?.number;
        let numbers = table.columns.iter().map(|column| column.number).collect();
        let waiting = Waiting(shared.unique());
        let fields = table.columns.iter().map(|column| column.field.clone()).collect();
        let sheet = Sheet::of_parts(fields, shared.limits.row_bytes);
        Ok((Self { table: Opened::new(&table), on, numbers, waiting, begun: false }, Some(sheet)))
    }

    fn columns(&self) -> String {
        self.numbers.iter().map(|number| format!(", c{number}")).collect()
    }

    /// Leaves the last row of each value to wait, and all without one.
    fn keep_last(&self, db: &Connection) -> Result<()> {
        let (Self { waiting, on, .. }, index) = (self, self.waiting.index());
        Ok(db.execute_batch(&format!(
            "CREATE INDEX temp.{index} ON {waiting:#} (c{on}, place);
             DELETE FROM {waiting} WHERE c{on} IS NOT NULL AND place NOT IN
                 (SELECT max(place) FROM {waiting} WHERE c{on} IS NOT NULL GROUP BY c{on})"
        ))?)
    }

    /// Lets a version have the rows with a value that waits, with what they are given. They come
    /// behind the others, in the order that they had, as those of an update do.
    fn change(&self, db: &Connection, table: &Table, version: i64) -> Result<()> {
        let (Self { waiting, on, .. }, columns) = (self, self.columns());
        let (rows, seen) = (table.rows(), &table.seen);
        let taken = |(number, place): (&i64, usize)| {
            format!(", iif(substr(w.given, {place}, 1) = x'01', w.c{number}, r.c{number})")
        };
        let taken: String = self.numbers.iter().zip(1..).map(taken).collect();
        db.execute_batch(&format!(
            "INSERT INTO hits SELECT row FROM {rows} WHERE {seen} AND c{on} IN
                 (SELECT c{on} FROM {waiting} WHERE c{on} IS NOT NULL);
             INSERT INTO {rows} (born{columns}) SELECT {version}{taken}
                 FROM hits CROSS JOIN {rows} AS r ON r.row = hit
                 CROSS JOIN {waiting} AS w ON w.c{on} = r.c{on} ORDER BY hit;
             DELETE FROM {waiting} WHERE c{on} IN
                 (SELECT c{on} FROM {rows} WHERE row IN (SELECT hit FROM hits))"
        ))?;
        change::end_hits(db, table, version)
    }

    /// Lets a version have the rows that still wait.
    fn add(&self, db: &Connection, table: &Table, version: i64) -> Result<()> {
        let (waiting, columns, rows) = (&self.waiting, self.columns(), table.rows());
        for (column, place) in table.columns.iter().zip(1..) {
            if !column.field.data_type.is_nullable() {
                let lacks = format!(
                    "SELECT min(place) FROM {waiting} WHERE substr(given, {place}, 1) = x'00'"
                );
                let lacks: Option<i64> = db.query_row(&lacks, [], |row| row.get(0))?;
                if let Some(number) = lacks {
                    return Err(leaves_out(number.unsigned_abs(), &column.field.name));
                }
            }
        }
        Ok(db.execute_batch(&format!(
            "INSERT INTO {rows} (born{columns})
                 SELECT {version}{columns} FROM {waiting} ORDER BY place;
             DROP TABLE {waiting}"
        ))?)
    }
}

/// The table that rows wait in: `place` is the number of the row, and `given` says which columns it
/// gives.
#[derive(Clone, Copy)]
struct Waiting(u64);

impl Waiting {
    fn index(self) -> String {
        format!("m{}_on", self.0)
    }
}

impl fmt::Display for Waiting {
    /// `temp.m1`, or `m1` as `CREATE INDEX` has it, with `#`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let temp = if out.alternate() { "" } else { "temp." };
        write!(out, "{temp}m{}", self.0)
    }
}

impl Target for Merge {
    fn stage(&mut self, db: &Connection, _: &Sheet, rows: &[Vec<Stored>]) -> Result<()> {
        self.table.again(db)?;
        let (waiting, columns) = (&self.waiting, self.columns());
        if !self.begun {
            db.execute_batch(&format!(
                "CREATE TABLE {waiting} (place INTEGER PRIMARY KEY{columns}, given)"
            ))?;
            self.begun = true;
        }
        let marks = ", ?".repeat(self.numbers.len());
        let text = format!("INSERT INTO {waiting} (place{columns}, given) VALUES (NULL{marks}, ?)");
        let mut insert = db.prepare(&text)?;
        for row in rows {
            insert.execute(params_from_iter(row))?;
        }
        Ok(())
    }

    fn publish(&mut self, db: &Connection, _: Option<&Sheet>) -> Result<i64> {
        let table = self.table.again(db)?;
        let version = catalog::next_number(db, &table)?;
        if self.begun {
            let last = stamps::last_row(db, table.id)?;
            self.keep_last(db)?;
            self.change(db, &table, version)?;
            self.add(db, &table, version)?;
            indexes::catch_up(db, table.id, last)?;
        }
        catalog::commit(db, table.id, version, "merge")?;
        Ok(version)
    }

    fn discard(&mut self, shared: &Shared) -> Result<()> {
        match self.begun {
            true => Ok(shared
                .writing()
                .execute_batch(&format!("DROP TABLE IF EXISTS {}", self.waiting))?),
            false => Ok(()),
        }
    }
}
