//! How long a statement may compute.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::bounds::{Temporary, TooMuch};
use crate::error::{Error, Reason, Result};

/// After so many steps of SQLite's machine it is looked at whether there is time left: a few rows,
/// for each may write megabytes to temporary files.
const STEPS: i32 = 50;

/// The time that is left for one answer.
pub(super) struct Budget {
    began: Instant,
    allowed: Duration,
    /// Microseconds in which it waited for its reader. They don't count.
    waited: AtomicU64,
    stopped: AtomicBool,
    /// Why it may write no more to temporary files.
    spilled: OnceLock<TooMuch>,
}

impl Budget {
    pub(super) fn new(allowed: Duration) -> Self {
        Self {
            began: Instant::now(),
            allowed,
            waited: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            spilled: OnceLock::new(),
        }
    }

    /// Nobody wants the answer any more.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    pub(super) fn waited(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.waited.fetch_add(time, Ordering::Relaxed);
    }

    fn over(&self) -> bool {
        self.over_at(Instant::now())
    }

    fn over_at(&self, now: Instant) -> bool {
        let waited = Duration::from_micros(self.waited.load(Ordering::Relaxed));
        self.stopped.load(Ordering::Acquire)
            || now.saturating_duration_since(self.began).saturating_sub(waited) > self.allowed
    }

    /// Ends what a connection that reads computes when there is no time left, or when it has written
    /// too much to temporary files.
    pub(super) fn watch(self: &Arc<Self>, connection: &Connection) -> Result<()> {
        let budget = Arc::clone(self);
        let mut files = Temporary::new();
        let over = move || {
            let now = Instant::now();
            if let Some(why) = files.is_too_much(now) {
                budget.spilled.get_or_init(|| why);
            }
            budget.spilled.get().is_some() || budget.over_at(now)
        };
        Ok(connection.progress_handler(STEPS, Some(over))?)
    }

    /// The same for a connection that writes. What it writes is bounded by what is in its table.
    pub(super) fn watch_writing(self: &Arc<Self>, connection: &Connection) -> Result<()> {
        let budget = Arc::clone(self);
        Ok(connection.progress_handler(STEPS, Some(move || budget.over()))?)
    }

    /// Does something within this time, also within calls of functions.
    pub(super) fn within<T>(self: &Arc<Self>, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let budget = Arc::clone(self);
        crate::sql::watched(move || budget.over(), work).map_err(|error| self.explained(error))
    }

    pub(super) fn unwatch(connection: &Connection) -> Result<()> {
        Ok(connection.progress_handler(0, None::<fn() -> bool>)?)
    }

    /// An error with the reason for which it was ended, if that is what it is.
    fn explained(&self, error: Error) -> Error {
        let spilled = self.spilled.get();
        if error.reason != Reason::TimedOut || !(spilled.is_some() || self.over()) {
            return error;
        }
        if let Some(why) = spilled {
            return why.error();
        }
        let text = match self.stopped.load(Ordering::Acquire) {
            true => "the answer is not wanted any more".to_owned(),
            false => format!(
                "it takes more than {:?} to compute; ask for less, or make an index on what is filtered by",
                self.allowed
            ),
        };
        Error::new(Reason::TimedOut, text)
    }
}
