//! Rows that are added to a table.

use rusqlite::Connection;

use super::super::catalog::{self, Table};
use super::super::file::Shared;
use super::super::stamps;
use super::Target;
use super::sheet::Sheet;
use crate::engine::TableName;
use crate::error::{Error, Reason, Result};
use crate::stored::Stored;

#[derive(Clone)]
pub(super) struct Insert {
    table: Opened,
    /// The columns, in the order of the sheet; none as long as the table has none.
    numbers: Vec<i64>,
    /// What the rows are kept under; none as long as there are none.
    stamp: Option<i64>,
    /// Whether the columns come of the rows.
    first: bool,
}

/// A table as it was when a writer began.
#[derive(Clone)]
pub(super) struct Opened {
    pub id: i64,
    pub name: TableName,
    shape: i64,
}

impl Opened {
    pub(super) fn new(table: &Table) -> Self {
        Self { id: table.id, name: table.name.clone(), shape: table.shape }
    }

    /// The table as it is now, if it still takes what the writer has.
    pub(super) fn again(&self, db: &Connection) -> Result<Table> {
        let name = &self.name;
        let conflict = |what: &str| {
            let text = format!("the table {name} {what} while rows were written; try again");
            Error::new(Reason::Conflict, text)
        };
        let table = catalog::by_id(db, self.id, name)?;
        let table = table.ok_or_else(|| conflict("was dropped or made anew"))?;
        if table.shape != self.shape {
            return Err(conflict("got other columns"));
        }
        catalog::refuse_earlier(&table)?;
        Ok(table)
    }
}

impl Insert {
    pub(super) fn begin(shared: &Shared, name: &TableName) -> Result<(Self, Option<Sheet>)> {
        let table = shared.read(|db| catalog::writable(db, name))?;
        let numbers: Vec<i64> = table.columns.iter().map(|column| column.number).collect();
        let first = numbers.is_empty();
        let fields = table.columns.iter().map(|column| column.field.clone()).collect();
        let sheet = (!first).then(|| Sheet::new(fields, shared.limits.row_bytes));
        Ok((Self { table: Opened::new(&table), numbers, stamp: None, first }, sheet))
    }
}

impl Target for Insert {
    fn stage(&mut self, db: &Connection, sheet: &Sheet, rows: &[Vec<Stored>]) -> Result<()> {
        let table = self.table.again(db)?;
        let stamp = match self.stamp {
            Some(stamp) => stamp,
            None => {
                let stamp = stamps::begin(db, &table)?;
                if self.first {
                    self.numbers = catalog::add(db, table.id, stamp, &sheet.fields)?;
                }
                *self.stamp.insert(stamp)
            }
        };
        stamps::append(db, table.id, stamp, &self.numbers, rows)
    }

    fn publish(&mut self, db: &Connection, _: Option<&Sheet>) -> Result<i64> {
        let table = self.table.again(db)?;
        let version = match self.stamp {
            Some(stamp) => stamps::end(db, &table, stamp)?,
            None => catalog::next_number(db, &table)?,
        };
        catalog::commit(db, table.id, version, "insert")?;
        if self.first && self.stamp.is_some() {
            catalog::reshape(db, table.id, version)?;
        }
        Ok(version)
    }

    fn discard(&mut self, shared: &Shared) -> Result<()> {
        match self.stamp.take() {
            Some(stamp) => stamps::discard(shared, self.table.id, stamp),
            None => Ok(()),
        }
    }
}
