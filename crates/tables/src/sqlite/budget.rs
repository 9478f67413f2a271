//! How long a statement may compute.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::error::{Error, Reason, Result};

/// After so many steps of SQLite's machine it is looked at whether there is time left: some
/// microseconds.
const STEPS: i32 = 1000;

/// The time that is left for one answer.
pub(super) struct Budget {
    began: Instant,
    allowed: Duration,
    /// Microseconds in which it waited for its reader. They don't count.
    waited: AtomicU64,
    stopped: AtomicBool,
}

impl Budget {
    pub(super) fn new(allowed: Duration) -> Self {
        Self {
            began: Instant::now(),
            allowed,
            waited: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
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
        let waited = Duration::from_micros(self.waited.load(Ordering::Relaxed));
        self.stopped.load(Ordering::Acquire)
            || self.began.elapsed().saturating_sub(waited) > self.allowed
    }

    /// Ends what a connection computes when there is no time left.
    pub(super) fn watch(self: &Arc<Self>, connection: &Connection) -> Result<()> {
        let budget = Arc::clone(self);
        Ok(connection.progress_handler(STEPS, Some(move || budget.over()))?)
    }

    pub(super) fn unwatch(connection: &Connection) -> Result<()> {
        Ok(connection.progress_handler(0, None::<fn() -> bool>)?)
    }

    /// An error with the reason for which it was ended, if that is what it is.
    pub(super) fn explained(&self, error: Error) -> Error {
        if error.reason != Reason::TimedOut || !self.over() {
            return error;
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
