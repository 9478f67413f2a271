//! What is between the thread that reads an answer and whoever takes its rows.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::part::Part;
use crate::error::{Error, Reason, Result};

/// The thread goes on while it is ahead by fewer bytes than these. One row may have more.
const AHEAD: usize = 1 << 20;

/// The parts of an answer that were read, and not taken yet.
#[derive(Default)]
pub(super) struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    parts: VecDeque<Part>,
    /// How many bytes these parts have.
    bytes: usize,
    /// The share of what is left, if the thread has ended before everything was taken.
    left: Option<Share>,
    /// How it ended.
    end: Option<Result<()>>,
    /// Nobody wants it any more.
    closed: bool,
    /// Since when it is as far ahead as it may be.
    unread: Option<Instant>,
    /// For how long nobody had read it when it had to make way for another one.
    made_way: Option<Duration>,
}

impl State {
    fn clear(&mut self) {
        self.parts.clear();
        (self.bytes, self.left) = (0, None);
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a part, and waits until whoever takes them is near.
    pub(super) fn put(&self, part: Part, idle: Duration) -> Result<()> {
        let mut state = self.state();
        if !state.closed {
            state.bytes += part.size();
            state.parts.push_back(part);
            self.changed.notify_all();
        }
        self.wait(state, idle, |state| state.bytes >= AHEAD)
    }

    /// Waits, behind the last part, until all were taken. Few bytes are left to be taken later, if they
    /// get a share of what may be left.
    pub(super) fn settle(&self, idle: Duration, left: &Arc<Left>) -> Result<()> {
        let mut state = self.state();
        if state.parts.is_empty() || state.closed {
            return Ok(());
        }
        state.left = left.share(state.bytes);
        match state.left {
            Some(_) => Ok(()),
            None => self.wait(state, idle, |state| !state.parts.is_empty()),
        }
    }

    /// Waits for whoever takes the parts, as long as something is so.
    fn wait(
        &self,
        mut state: MutexGuard<'_, State>,
        idle: Duration,
        is_far: impl Fn(&State) -> bool,
    ) -> Result<()> {
        let far = |state: &mut State| is_far(state) && !state.closed && state.made_way.is_none();
        if far(&mut state) {
            state.unread = Some(Instant::now());
        }
        let waited = self.changed.wait_timeout_while(state, idle, far);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        state.unread = None;
        if state.closed {
            return Err(Error::new(Reason::TimedOut, "the answer is not wanted any more"));
        }
        let is_late = timeout.timed_out() && far(&mut state);
        let text = match state.made_way {
            Some(unread) => format!(
                "nothing of the answer was read for {unread:.1?}, and others waited for their turn; read it faster, or ask for less at once"
            ),
            None if is_late => format!("nothing of the answer was read for {idle:?}"),
            None => return Ok(()),
        };
        state.clear();
        Err(Error::new(Reason::TimedOut, text))
    }

    /// Waits for the next part; none at the end.
    pub(super) fn take(&self) -> Result<Option<Part>> {
        let waits = |state: &mut State| state.parts.is_empty() && state.end.is_none();
        let state = self.changed.wait_while(self.state(), waits);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        match (state.parts.pop_front(), &state.end) {
            (Some(part), _) => {
                state.bytes -= part.size();
                // Whoever waits goes on from here, with what is not taken yet.
                if state.unread.is_some() {
                    state.unread = Some(Instant::now());
                }
                self.changed.notify_all();
                Ok(Some(part))
            }
            (None, Some(Err(error))) => Err(error.clone()),
            (None, _) => {
                state.left = None;
                Ok(None)
            }
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
        state.clear();
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

/// How many bytes of answers may be left to be taken, of which the threads have ended.
pub(super) struct Left(AtomicUsize);

/// A share of that. It is given back once the answer was read to its end, or is not wanted any more.
struct Share(Arc<Left>, usize);

impl Left {
    pub(super) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(bytes)))
    }

    fn share(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let less = |free: usize| free.checked_sub(bytes);
        let taken = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        taken.ok().map(|_| Share(Arc::clone(self), bytes))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.0.fetch_add(self.1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::types::ValueRef;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn part(bytes: usize) -> Part {
        let mut part = Part::default();
        part.begin();
        part.put(ValueRef::Blob(&vec![0; bytes]));
        part
    }

    fn wait_for(is_so: impl Fn() -> bool) {
        while !is_so() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_thread_is_ahead_by_one_large_row_or_by_few_bytes() {
        for (bytes, ahead) in [(16 * AHEAD, 1), (AHEAD, 1), (AHEAD / 4, 4)] {
            let line = Line::default();
            let waits = || {
                let state = line.state();
                assert!(state.parts.len() <= ahead);
                state.unread.is_some() && state.parts.len() == ahead
            };
            std::thread::scope(|scope| {
                scope.spawn(|| while line.put(part(bytes), LONG).is_ok() {});
                for _ in 0..6 {
                    wait_for(waits);
                    assert!(line.take().unwrap().is_some());
                }
                line.close(None);
            });
            assert_eq!(line.state().bytes, 0);
        }
    }

    #[test]
    fn what_is_left_of_all_answers_is_bounded() {
        let left = Left::new(2500);
        let small = || {
            let line = Arc::new(Line::default());
            line.put(part(1000), LONG).unwrap();
            line
        };
        let (first, second, third) = (small(), small(), small());
        first.settle(LONG, &left).unwrap();
        second.settle(LONG, &left).unwrap();
        std::thread::scope(|scope| {
            let settled = scope.spawn(|| third.settle(LONG, &left));
            wait_for(|| third.unread().is_some());
            assert!(third.take().unwrap().is_some());
            settled.join().unwrap().unwrap();
        });
        // What was taken counts until the end is seen, for it may be on its way.
        first.end(Ok(()));
        assert!(first.take().unwrap().is_some());
        assert!(left.share(1000).is_none());
        assert!(first.take().unwrap().is_none());
        second.close(None);
        assert!(left.share(2500).is_some());
    }
}
