//! How often a wrong key may be tried on the page to sign in.
//!
//! A key cannot be guessed, so this is the second fence. All callers share one count: on
//! loopback they have one address, and whoever has the right key need not use the page.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const MOST: usize = 10;
const WITHIN: Duration = Duration::from_secs(60);

/// The failed attempts of the last minute.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<VecDeque<Instant>>);

impl Attempts {
    /// How long nobody may try; `None` when one may. An attempt counts as failed until
    /// [`Attempts::succeeded`], so that many at once do not slip through.
    pub fn begin(&self) -> Option<Duration> {
        self.begin_at(Instant::now())
    }

    fn begin_at(&self, now: Instant) -> Option<Duration> {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while failed.front().is_some_and(|first| now.duration_since(*first) >= WITHIN) {
            failed.pop_front();
        }
        if failed.len() >= MOST {
            return failed.front().map(|first| WITHIN.saturating_sub(now.duration_since(*first)));
        }
        failed.push_back(now);
        None
    }

    /// Takes back the last attempt.
    pub fn succeeded(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_minute_may_fail() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        for _ in 0..50 {
            assert_eq!(attempts.begin_at(start), None);
            attempts.succeeded();
        }
        for _ in 0..MOST {
            assert_eq!(attempts.begin_at(start), None);
        }
        let soon = start + Duration::from_secs(20);
        assert_eq!(attempts.begin_at(soon), Some(Duration::from_secs(40)));
        assert_eq!(attempts.begin_at(start + WITHIN), None);
    }
}
