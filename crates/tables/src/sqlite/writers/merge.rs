//! Rows that take the place of those with the same value in a column.
//!
//! They wait in a temporary table, which nobody else sees and which is gone when the process ends.

use rusqlite::{Connection, params_from_iter};

use super::super::catalog;
use super::super::file::Shared;
use super::super::{indexes, stamps};
use super::Target;
use super::insert::Opened;
use super::sheet::Sheet;
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
    waiting: String,
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
        let waiting = format!("temp.m{}", shared.unique());
        let fields = table.columns.iter().map(|column| column.field.clone()).collect();
        let sheet = Sheet::new(fields, shared.limits.row_bytes);
        Ok((Self { table: Opened::new(&table), on, numbers, waiting, begun: false }, Some(sheet)))
    }

    fn columns(&self) -> String {
        self.numbers.iter().map(|number| format!(", c{number}")).collect()
    }
}

impl Target for Merge {
    fn stage(&mut self, db: &Connection, _: &Sheet, rows: &[Vec<Stored>]) -> Result<()> {
        self.table.again(db)?;
        let (waiting, columns) = (&self.waiting, self.columns());
        if !self.begun {
            db.execute_batch(&format!(
                "CREATE TABLE {waiting} (place INTEGER PRIMARY KEY{columns})"
            ))?;
            self.begun = true;
        }
        let marks = ", ?".repeat(self.numbers.len());
        let text = format!("INSERT INTO {waiting} (place{columns}) VALUES (NULL{marks})");
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
            let (waiting, columns, on) = (&self.waiting, self.columns(), self.on);
            let (rows, seen) = (table.rows(), &table.seen);
            let last = stamps::last_row(db, table.id)?;
            // The last row of each value, and all without one.
            db.execute_batch(&format!(
                "DELETE FROM {waiting} WHERE c{on} IS NOT NULL AND place NOT IN
                     (SELECT max(place) FROM {waiting} WHERE c{on} IS NOT NULL GROUP BY c{on});
                 UPDATE {rows} SET died = {version} WHERE {seen} AND c{on} IN
                     (SELECT c{on} FROM {waiting} WHERE c{on} IS NOT NULL);
                 INSERT INTO {rows} (born{columns})
                     SELECT {version}{columns} FROM {waiting} ORDER BY place;
                 DROP TABLE {waiting}"
            ))?;
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
