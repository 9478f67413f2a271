//! Tables that are made, with their rows.

use rusqlite::Connection;

use super::super::file::Shared;
use super::super::{catalog, stamps};
use super::Target;
use super::sheet::Sheet;
use crate::engine::{Mode, NewTable};
use crate::error::{Error, Reason, Result};
use crate::names;
use crate::stored::Stored;

/// The version that a table begins with, if none of its name was there before.
const FIRST: i64 = 1;

#[derive(Clone)]
pub(super) struct Create {
    new: NewTable,
    /// How many tables a room may have.
    most: usize,
    /// The table that nobody sees yet, with its columns.
    made: Option<(i64, Vec<i64>)>,
    /// Whether there was such a table at the beginning, and it stays.
    kept: bool,
}

impl Create {
    pub(super) fn begin(shared: &Shared, new: NewTable) -> Result<(Self, Option<Sheet>)> {
        names::table(&new.table)?;
        names::metadata(&new.metadata)?;
        let fields = new.fields.as_deref().unwrap_or_default();
        shared.limits.columns(fields)?;
        let old = shared.read(|db| catalog::find(db, &new.table))?;
        if old.is_some() && new.mode == Mode::Create {
            return Err(there_is(&new));
        }
        if let (Some(old), Mode::Overwrite) = (&old, new.mode) {
            catalog::refuse_earlier(old)?;
        }
        let kept = old.is_some() && new.mode == Mode::CreateIfNotExists;
        let sheet =
            (!fields.is_empty()).then(|| Sheet::new(fields.to_vec(), shared.limits.row_bytes));
        Ok((Self { new, most: shared.limits.tables, made: None, kept }, sheet))
    }

    /// The table that nobody sees yet. It is made if it is not there.
    fn make(&mut self, db: &Connection, sheet: Option<&Sheet>) -> Result<(i64, Vec<i64>)> {
        if let Some(made) = &self.made {
            return Ok(made.clone());
        }
        let count: i64 = db.query_row("SELECT count(*) FROM room_tables", [], |row| row.get(0))?;
        if usize::try_from(count).unwrap_or(usize::MAX) >= self.most {
            let text = format!("the room has {count} tables, and no more than {}", self.most);
            return Err(Error::new(Reason::State, text));
        }
        let id = catalog::create(db, &self.new.table, &self.new.metadata)?;
        let fields = sheet.map(|sheet| sheet.fields.as_slice()).unwrap_or_default();
        let numbers = catalog::add(db, id, FIRST, fields)?;
        Ok(self.made.insert((id, numbers)).clone())
    }
}

fn there_is(new: &NewTable) -> Error {
    let text = format!(
        "there is a table {} already; drop it, or create it with the mode `overwrite`, or with `create_if_not_exists` to keep it",
        new.table
    );
    Error::new(Reason::AlreadyExists, text)
}

impl Target for Create {
    fn stage(&mut self, db: &Connection, sheet: &Sheet, rows: &[Vec<Stored>]) -> Result<()> {
        let (id, numbers) = self.make(db, Some(sheet))?;
        stamps::append(db, id, FIRST, &numbers, rows)
    }

    fn publish(&mut self, db: &Connection, sheet: Option<&Sheet>) -> Result<i64> {
        if let Some(old) = catalog::find(db, &self.new.table)? {
            match self.new.mode {
                Mode::Create => return Err(there_is(&self.new)),
                Mode::Overwrite => {
                    catalog::refuse_earlier(&old)?;
                    catalog::remember(db, &old)?;
                    catalog::remove(db, old.id)?;
                }
                Mode::CreateIfNotExists => {
                    if let Some((id, _)) = self.made.take() {
                        catalog::remove(db, id)?;
                    }
                    self.kept = true;
                    return Ok(old.version());
                }
            }
        }
        let (id, _) = self.make(db, sheet)?;
        // What was kept until now is of the first version, and so of this one.
        let version = catalog::remembered(db, &self.new.table)? + FIRST;
        catalog::commit(db, id, version, "create")?;
        Ok(version)
    }

    fn discard(&mut self, shared: &Shared) -> Result<()> {
        match self.made.take() {
            Some((id, _)) => shared.stage(|db| catalog::remove(db, id)),
            None => Ok(()),
        }
    }

    fn ignores(&self) -> bool {
        self.kept
    }
}
