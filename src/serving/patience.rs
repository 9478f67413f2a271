//! How long to wait for the other side: each byte that it moves gains it more time, up to a limit.

use std::time::Duration;

use tokio::time::Instant;

/// What is left of the time to wait for the other side.
#[derive(Debug)]
pub struct Patience {
    most: Duration,
    rate: u32,
    left: Duration,
    since: Option<Instant>,
}

impl Patience {
    /// Waits for so long at most, and requires this many bytes per second on average.
    pub const fn new(most: Duration, rate: u32) -> Self {
        Self { most, rate, left: most, since: None }
    }

    /// When the time is over, if the wait begins now.
    pub fn waits(&mut self, now: Instant) -> Instant {
        *self.since.get_or_insert(now) + self.left
    }

    /// This many bytes were moved.
    pub fn moved(&mut self, now: Instant, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(now.duration_since(since));
        }
        let bought = Duration::from_secs_f64(bytes as f64 / f64::from(self.rate));
        self.left = self.most.min(self.left + bought);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_moves_nothing_is_not_waited_for() {
        let (mut patience, start) = (Patience::new(10 * SECOND, 1000), Instant::now());
        assert_eq!(patience.waits(start), start + 10 * SECOND);
        assert_eq!(patience.waits(start + 9 * SECOND), start + 10 * SECOND);
    }

    #[test]
    fn one_byte_now_and_then_buys_next_to_nothing() {
        let (mut patience, start) = (Patience::new(10 * SECOND, 1000), Instant::now());
        patience.waits(start);
        patience.moved(start + 9 * SECOND, 1);
        let end = patience.waits(start + 9 * SECOND);
        assert!(end < start + 10 * SECOND + SECOND / 100, "{end:?}");
    }

    #[test]
    fn who_is_fast_enough_goes_on_and_saves_nothing_up() {
        let (mut patience, start) = (Patience::new(10 * SECOND, 1000), Instant::now());
        let mut now = start;
        for _ in 0..1000 {
            patience.waits(now);
            now += 5 * SECOND;
            patience.moved(now, 6000);
        }
        assert_eq!(patience.waits(now), now + 10 * SECOND);
    }
}
