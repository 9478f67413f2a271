//! Answers that are read bit by bit.
//!
//! Each has a thread with a connection of its own, for what SQLite reads belongs to its connection.
//! It is ahead of its reader by few bytes, or by one row. It ends when nobody reads, and doesn't wait
//! forever. Until the last row was taken it keeps its connection, and so its turn; only small rests of
//! answers are left to be taken later, and all of these together are bounded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;

use super::Limits;
use super::budget::Budget;
use super::line::{Left, Line};
use super::part::Part;
use super::readers::Reader;
use super::statement::Statement;
use crate::data_type::{Field, Kind};
use crate::engine::Rows;
use crate::error::{Error, Reason, Result};
use crate::value::Value;

/// So many bytes are handed over at once, and one row more.
const BYTES: usize = 256 << 10;

/// An answer.
pub(super) struct Answer {
    columns: Vec<Field>,
    kinds: Vec<Kind>,
    line: Arc<Line>,
    budget: Arc<Budget>,
    part: Part,
}

/// Where the thread puts rows.
pub(super) struct Sink {
    line: Arc<Line>,
    budget: Arc<Budget>,
    idle: Duration,
    left: Arc<Left>,
    /// How many bytes a row has.
    most: usize,
    part: Part,
}

impl Sink {
    /// The first values of a row, and a score if it has one.
    pub(super) fn put(
        &mut self,
        row: &rusqlite::Row<'_>,
        count: usize,
        score: Option<f64>,
    ) -> Result<()> {
        self.part.begin();
        let before = self.part.size();
        for place in 0..count {
            self.part.put(row.get_ref(place)?);
            // What says what a value is counts as well, so there is some more room for that.
            if self.part.size() - before > self.most + 16 * count {
                let text = format!("a row of the answer has more than {} bytes", self.most);
                return Err(Error::invalid(text));
            }
        }
        if let Some(score) = score {
            self.part.put(ValueRef::Real(score));
        }
        match self.part.size() >= BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// Hands over what comes last, and waits until all was taken, unless it is little.
    fn settle(&mut self) -> Result<()> {
        self.flush()?;
        let began = Instant::now();
        let settled = self.line.settle(self.idle, &self.left);
        self.budget.waited(began.elapsed());
        settled
    }

    /// Hands over, and waits until the reader is near.
    fn flush(&mut self) -> Result<()> {
        let part = std::mem::take(&mut self.part);
        if part.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let put = self.line.put(part, self.idle);
        self.budget.waited(began.elapsed());
        put
    }
}

/// Says how it ended, also if the thread dies.
struct End(Arc<Line>, Option<Result<()>>);

impl End {
    fn is(&mut self, done: Result<()>) {
        self.1 = Some(done);
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let died = || Err(Error::new(Reason::Failed, "the thread that read the answer died"));
        self.0.end(self.1.take().unwrap_or_else(died));
    }
}

/// Begins to work on an answer.
pub(super) fn answer(
    reader: Reader,
    columns: Vec<Field>,
    limits: &Limits,
    work: impl FnOnce(&Reader, &mut Sink) -> Result<()> + Send + 'static,
) -> Result<Box<dyn Rows>> {
    let line = Arc::clone(&reader.line);
    let budget = Arc::clone(&reader.budget);
    let mut sink = Sink {
        line: Arc::clone(&line),
        budget: Arc::clone(&budget),
        idle: limits.idle,
        left: reader.left(),
        most: limits.row_bytes,
        part: Part::default(),
    };
    let mut end = End(Arc::clone(&line), None);
    let thread = std::thread::Builder::new().name("table-rows".to_owned());
    let started = thread.spawn(move || {
        let done = reader.budget.within(|| work(&reader, &mut sink).and_then(|()| sink.settle()));
        // Whoever sees the end may count on the connection. It is kept until there is little left.
        drop(reader);
        end.is(done);
    });
    started.map_err(|error| {
        Error::new(Reason::Failed, format!("no thread can be started for an answer: {error}"))
    })?;
    let kinds = columns.iter().map(|field| field.data_type.kind.clone()).collect();
    Ok(Box::new(Answer { columns, kinds, line, budget, part: Part::default() }))
}

/// Puts all rows of a statement, with so many values.
pub(super) fn all(
    reader: &Reader,
    statement: &Statement,
    count: usize,
    sink: &mut Sink,
) -> Result<()> {
    let mut prepared = reader.connection()?.prepare(&statement.0.text)?;
    let mut rows = prepared.query(rusqlite::params_from_iter(&statement.0.values))?;
    while let Some(row) = rows.next()? {
        sink.put(row, count, None)?;
    }
    Ok(())
}

impl Answer {
    /// Waits for the next part, and says whether there is one.
    fn wait(&mut self) -> Result<bool> {
        let next = self.line.take()?;
        let is_there = next.is_some();
        self.part = next.unwrap_or_default();
        Ok(is_there)
    }

    fn close(&self, why: Option<Error>) {
        self.budget.stop();
        self.line.close(why);
    }
}

impl Rows for Answer {
    fn columns(&self) -> &[Field] {
        &self.columns
    }

    fn next(&mut self, at_most: usize) -> Result<Option<Vec<Vec<Value>>>> {
        if self.part.is_empty() && !self.wait()? {
            return Ok(None);
        }
        let mut rows = Vec::new();
        while rows.len() < at_most.max(1) && !self.part.is_empty() {
            match self.part.take(&self.kinds) {
                Ok(row) => rows.push(row),
                Err(error) => {
                    // What comes behind a row that cannot be read is not read either.
                    self.part = Part::default();
                    self.close(Some(error.clone()));
                    return Err(error);
                }
            }
        }
        Ok(Some(rows))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.close(None);
    }
}
