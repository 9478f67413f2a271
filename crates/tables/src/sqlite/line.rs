//! What is between the thread that reads an answer and whoever takes its rows.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::part::Part;
use crate::error::{Error, Reason, Result};

/// How many parts the thread is ahead.
const AHEAD: usize = 4;

/// The parts of an answer that were read, and not taken yet.
#[derive(Default)]
pub(super) struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    parts: VecDeque<Part>,
    /// How it ended.
    end: Option<Result<()>>,
    /// Nobody wants it any more.
    closed: bool,
    /// Since when it is as far ahead as it may be.
    unread: Option<Instant>,
    /// For how long nobody had read it when it had to make way for another one.
    made_way: Option<Duration>,
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until whoever takes the parts is near, and adds one.
    pub(super) fn put(&self, part: Part, idle: Duration) -> Result<()> {
        let far = |state: &mut State| {
            state.parts.len() >= AHEAD && !state.closed && state.made_way.is_none()
        };
        let mut state = self.state();
        if far(&mut state) {
            state.unread = Some(Instant::now());
        }
        let waited = self.changed.wait_timeout_while(state, idle, far);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        state.unread = None;
        if state.closed {
            return Err(Error::new(Reason::TimedOut, "the answer is not wanted any more"));
        }
        if let Some(unread) = state.made_way {
            state.parts.clear();
            let text = format!(
                "nothing of the answer was read for {unread:.1?}, and others waited for their turn; read it faster, or ask for less at once"
            );
            return Err(Error::new(Reason::TimedOut, text));
        }
        if timeout.timed_out() && far(&mut state) {
            let text = format!("nothing of the answer was read for {idle:?}");
            return Err(Error::new(Reason::TimedOut, text));
        }
        state.parts.push_back(part);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits for the next part; none at the end.
    pub(super) fn take(&self) -> Result<Option<Part>> {
        let waits = |state: &mut State| state.parts.is_empty() && state.end.is_none();
        let state = self.changed.wait_while(self.state(), waits);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        match (state.parts.pop_front(), &state.end) {
            (Some(part), _) => {
                self.changed.notify_all();
                Ok(Some(part))
            }
            (None, Some(Err(error))) => Err(error.clone()),
            (None, _) => Ok(None),
        }
    }

    /// For how long nobody has read it, if it waits for that.
    pub(super) fn unread(&self) -> Option<Duration> {
        let state = self.state();
        state.unread.filter(|_| state.made_way.is_none()).map(|since| since.elapsed())
    }

    /// Ends the work on it, for others wait and nobody has read it for so long.
    pub(super) fn make_way(&self, unread: Duration) {
        self.state().made_way = Some(unread);
        self.changed.notify_all();
    }

    /// Ends the work on it, for nobody wants it any more.
    pub(super) fn close(&self, why: Option<Error>) {
        let mut state = self.state();
        state.closed = true;
        state.parts.clear();
        if let Some(why) = why {
            state.end = Some(Err(why));
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Says how it ended.
    pub(super) fn end(&self, how: Result<()>) {
        self.state().end = Some(how);
        self.changed.notify_all();
    }
}
