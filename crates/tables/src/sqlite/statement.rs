//! Statements that are put together of ours and of translations of what clients wrote.

use rusqlite::{Connection, params_from_iter};

use super::Limits;
use crate::bounds;
use crate::error::Result;
use crate::sql::Fragment;

/// A statement, with its values in the order of its `?`.
#[derive(Debug, Clone, Default)]
pub(super) struct Statement(pub Fragment);

impl Statement {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(Fragment { text: text.into(), values: Vec::new() })
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.0.text.push_str(text);
        self
    }

    pub(super) fn part(&mut self, part: Fragment) -> &mut Self {
        self.0.text.push_str(&part.text);
        self.0.values.extend(part.values);
        self
    }

    /// What a row must fulfil as well.
    pub(super) fn and(&mut self, filter: Option<Fragment>) -> &mut Self {
        match filter {
            Some(filter) => self.text(" AND (").part(filter).text(")"),
            None => self,
        }
    }

    /// Runs it, and says how many rows it changed. It has parts of a client's, so its values are
    /// bounded together; [`super::file::confined`] lets them be large again.
    pub(super) fn run_bounded(&self, db: &Connection, limits: &Limits) -> Result<u64> {
        let row = limits.row_bytes;
        bounds::values(db, &self.0.text, row, row.saturating_mul(2))?;
        self.run(db)
    }

    /// Runs it, and says how many rows it changed.
    pub(super) fn run(&self, db: &Connection) -> Result<u64> {
        let changed = db.prepare(&self.0.text)?.execute(params_from_iter(&self.0.values))?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }
}
