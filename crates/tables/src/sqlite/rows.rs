//! Answers that are read bit by bit.
//!
//! Each has a thread with a connection of its own, for what SQLite reads belongs to its connection.
//! It is ahead of its reader by few rows, ends when nobody reads, and doesn't wait forever.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::readers::Reader;
use super::statement::Statement;
use super::writers::heavy;
use crate::data_type::{Field, Kind};
use crate::engine::Rows;
use crate::error::{Error, Reason, Result};
use crate::stored::loaded;
use crate::value::Value;

/// So many rows are handed over at once, at most.
const ROWS: usize = 1024;

/// So many bytes are handed over at once, and one row more.
const BYTES: usize = 512 << 10;

/// How many times as much it is ahead.
const AHEAD: usize = 4;

/// An answer.
pub(super) struct Answer {
    columns: Vec<Field>,
    line: Arc<Line>,
    budget: Arc<Budget>,
    left: VecDeque<Vec<Value>>,
}

/// What is between the thread and its reader.
struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    parts: VecDeque<VecDeque<Vec<Value>>>,
    end: Option<Result<()>>,
    closed: bool,
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the thread puts rows.
pub(super) struct Sink {
    line: Arc<Line>,
    budget: Arc<Budget>,
    idle: Duration,
    part: VecDeque<Vec<Value>>,
    bytes: usize,
}

impl Sink {
    pub(super) fn put(&mut self, row: Vec<Value>) -> Result<()> {
        self.bytes += row.iter().map(heavy).sum::<usize>();
        self.part.push_back(row);
        match self.part.len() >= ROWS || self.bytes >= BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// Waits until the reader is near, and hands over.
    fn flush(&mut self) -> Result<()> {
        self.bytes = 0;
        let part = std::mem::take(&mut self.part);
        if part.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let far = |state: &mut State| state.parts.len() >= AHEAD && !state.closed;
        let waited = self.line.changed.wait_timeout_while(self.line.state(), self.idle, far);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        self.budget.waited(began.elapsed());
        if state.closed {
            return Err(Error::new(Reason::TooMuch, "the answer is not wanted any more"));
        }
        if timeout.timed_out() && far(&mut state) {
            let text = format!("nothing of the answer was read for {:?}", self.idle);
            return Err(Error::new(Reason::TooMuch, text));
        }
        state.parts.push_back(part);
        self.line.changed.notify_all();
        Ok(())
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
        self.0.state().end = Some(self.1.take().unwrap_or_else(died));
        self.0.changed.notify_all();
    }
}

/// Begins to work on an answer.
pub(super) fn answer(
    reader: Reader,
    columns: Vec<Field>,
    idle: Duration,
    work: impl FnOnce(&Reader, &mut Sink) -> Result<()> + Send + 'static,
) -> Result<Box<dyn Rows>> {
    let line = Arc::new(Line { state: Mutex::new(State::default()), changed: Condvar::new() });
    let budget = Arc::clone(&reader.budget);
    let mut sink = Sink {
        line: Arc::clone(&line),
        budget: Arc::clone(&budget),
        idle,
        part: VecDeque::new(),
        bytes: 0,
    };
    let mut end = End(Arc::clone(&line), None);
    let thread = std::thread::Builder::new().name("table-rows".to_owned());
    let started = thread.spawn(move || {
        let done = work(&reader, &mut sink).and_then(|()| sink.flush());
        let done = done.map_err(|error| reader.budget.explained(error));
        // Whoever sees the end may count on the connection.
        drop(reader);
        end.is(done);
    });
    started.map_err(|error| {
        Error::new(Reason::Failed, format!("no thread can be started for an answer: {error}"))
    })?;
    Ok(Box::new(Answer { columns, line, budget, left: VecDeque::new() }))
}

/// Puts all rows of a statement.
pub(super) fn all(
    reader: &Reader,
    statement: &Statement,
    kinds: &[Kind],
    sink: &mut Sink,
) -> Result<()> {
    let mut prepared = reader.connection()?.prepare(&statement.0.text)?;
    let mut rows = prepared.query(rusqlite::params_from_iter(&statement.0.values))?;
    while let Some(row) = rows.next()? {
        sink.put(values(row, kinds)?)?;
    }
    Ok(())
}

/// The first columns of a row.
pub(super) fn values(row: &rusqlite::Row<'_>, kinds: &[Kind]) -> Result<Vec<Value>> {
    let mut values = Vec::with_capacity(kinds.len() + 1);
    for (place, kind) in kinds.iter().enumerate() {
        values.push(loaded(row.get_ref(place)?, kind)?);
    }
    Ok(values)
}

impl Rows for Answer {
    fn columns(&self) -> &[Field] {
        &self.columns
    }

    fn next(&mut self, at_most: usize) -> Result<Option<Vec<Vec<Value>>>> {
        if self.left.is_empty() {
            let waits = |state: &mut State| state.parts.is_empty() && state.end.is_none();
            let state = self.line.changed.wait_while(self.line.state(), waits);
            let mut state = state.unwrap_or_else(PoisonError::into_inner);
            match (state.parts.pop_front(), &state.end) {
                (Some(part), _) => self.left = part,
                (None, Some(Err(error))) => return Err(error.clone()),
                (None, _) => return Ok(None),
            }
            self.line.changed.notify_all();
        }
        let count = self.left.len().min(at_most.max(1));
        Ok(Some(self.left.drain(..count).collect()))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.budget.stop();
        let mut state = self.line.state();
        state.closed = true;
        state.parts.clear();
        self.line.changed.notify_all();
    }
}
