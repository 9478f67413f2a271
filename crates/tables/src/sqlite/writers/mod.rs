//! How rows come in: taken as the columns have them, kept where nobody sees them, shown at once.
//!
//! | module | holds |
//! |---|---|
//! | [`sheet`] | rows as the columns of a table take them |
//! | [`inference`] | the columns of a table that come of its first rows |
//! | [`create`], [`insert`], [`merge`] | where rows are kept, and what shows them |
//!
//! **What must not live here**: reading.

mod create;
mod inference;
mod insert;
mod merge;
mod sheet;

use std::sync::Arc;

use rusqlite::Connection;

use self::sheet::Sheet;
use super::Tables;
use super::file::{Seat, Shared};
use crate::engine::{NewTable, TableName, Writer, Written};
use crate::error::{Error, Reason, Result};
use crate::stored::Stored;
use crate::value::Row;

/// So many rows are kept in memory at most.
const ROWS: usize = 4096;

/// So many bytes of rows are kept in memory, and one row more.
const BYTES: usize = 1 << 20;

impl Tables {
    pub(super) fn creator(&self, new: NewTable) -> Result<Box<dyn Writer>> {
        let (target, sheet) = create::Create::begin(&self.shared, new)?;
        Ok(Box::new(Writing::new(&self.shared, target, sheet)?))
    }

    pub(super) fn inserter(&self, table: &TableName) -> Result<Box<dyn Writer>> {
        let (target, sheet) = insert::Insert::begin(&self.shared, table)?;
        Ok(Box::new(Writing::new(&self.shared, target, sheet)?))
    }

    pub(super) fn merger(&self, table: &TableName, on: &str) -> Result<Box<dyn Writer>> {
        let (target, sheet) = merge::Merge::begin(&self.shared, table, on)?;
        Ok(Box::new(Writing::new(&self.shared, target, sheet)?))
    }
}

/// Where rows go. What a target notes of itself must be true of the file, so it is put back to what
/// it was when a transaction fails.
trait Target: Clone + Send {
    /// Keeps rows where nobody sees them.
    fn stage(&mut self, db: &Connection, sheet: &Sheet, rows: &[Vec<Stored>]) -> Result<()>;

    /// Shows what was kept, and gives the version that does so.
    fn publish(&mut self, db: &Connection, sheet: Option<&Sheet>) -> Result<i64>;

    /// Removes what was kept.
    fn discard(&mut self, shared: &Shared) -> Result<()>;

    /// Whether rows are left out, for the table is there already.
    fn ignores(&self) -> bool {
        false
    }
}

/// A writer with what it has in memory.
struct Writing<T: Target> {
    shared: Arc<Shared>,
    target: T,
    /// How rows are taken; none as long as the columns are to come of the rows.
    sheet: Option<Sheet>,
    /// Rows that wait for the columns.
    waiting: Vec<Row>,
    /// Rows that wait to be kept.
    taken: Vec<Vec<Stored>>,
    bytes: usize,
    count: u64,
    state: State,
    /// At the end, so that there is room for another when all is removed.
    _seat: Seat,
}

#[derive(PartialEq)]
enum State {
    Open,
    Failed,
    Finished,
}

impl<T: Target> Writing<T> {
    fn new(shared: &Arc<Shared>, target: T, sheet: Option<Sheet>) -> Result<Self> {
        Ok(Self {
            shared: Arc::clone(shared),
            target,
            sheet,
            waiting: Vec::new(),
            taken: Vec::new(),
            bytes: 0,
            count: 0,
            state: State::Open,
            _seat: Seat::take(shared)?,
        })
    }

    fn take(&mut self, rows: Vec<Row>) -> Result<()> {
        for row in rows {
            self.count += 1;
            match &self.sheet {
                Some(sheet) => {
                    let (row, bytes) = sheet.take(row, self.count)?;
                    self.taken.push(row);
                    self.bytes += bytes;
                }
                None => {
                    let most = self.shared.limits.row_bytes;
                    self.bytes += sheet::weight(&row, self.count, most)?;
                    self.waiting.push(row);
                }
            }
            if self.bytes >= BYTES || self.taken.len() + self.waiting.len() >= ROWS {
                self.settle()?;
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Lets the columns come of the rows that wait for them.
    fn settle(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let fields = inference::fields(&self.waiting, &self.shared.limits)?;
        let sheet = Sheet::new(fields, self.shared.limits.row_bytes);
        for (row, number) in self.waiting.drain(..).zip(1..) {
            self.taken.push(sheet.take(row, number)?.0);
        }
        self.sheet = Some(sheet);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let Some(sheet) = &self.sheet else { return Ok(()) };
        let before = self.target.clone();
        let (target, rows) = (&mut self.target, &self.taken);
        if let Err(error) = self.shared.stage(|db| target.stage(db, sheet, rows)) {
            self.target = before;
            return Err(error);
        }
        self.taken.clear();
        self.bytes = 0;
        Ok(())
    }

    fn complete(&mut self) -> Result<Written> {
        self.settle()?;
        let before = self.target.clone();
        let (target, sheet, rows) = (&mut self.target, self.sheet.as_ref(), &self.taken);
        let shown = self.shared.write(|db| {
            if let Some(sheet) = sheet.filter(|_| !rows.is_empty()) {
                target.stage(db, sheet, rows)?;
            }
            target.publish(db, sheet)
        });
        match shown {
            Ok(version) => {
                let rows = if self.target.ignores() { 0 } else { self.count };
                Ok(Written { version: version.unsigned_abs(), rows })
            }
            Err(error) => {
                self.target = before;
                Err(error)
            }
        }
    }

    fn open(&self) -> Result<()> {
        match self.state {
            State::Open => Ok(()),
            State::Failed | State::Finished => {
                Err(Error::new(Reason::State, "this writer has failed before; begin again"))
            }
        }
    }
}

impl<T: Target> Writer for Writing<T> {
    fn write(&mut self, rows: Vec<Row>) -> Result<()> {
        self.open()?;
        if self.target.ignores() {
            return Ok(());
        }
        let taken = self.take(rows);
        if taken.is_err() {
            self.state = State::Failed;
        }
        taken
    }

    fn finish(mut self: Box<Self>) -> Result<Written> {
        self.open()?;
        let written = self.complete()?;
        self.state = State::Finished;
        Ok(written)
    }
}

impl<T: Target> Drop for Writing<T> {
    fn drop(&mut self) {
        if self.state != State::Finished {
            // What cannot be removed now is hidden, and is removed when the file is opened again.
            let _ = self.target.discard(&self.shared);
        }
    }
}
