//! *Pure*: how often a request is tried, for how long, and after which waits.

use std::time::Duration;

/// How often a request is tried and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often it is tried again.
    pub retries: u32,
    /// How long one request may take with all its retries, from its first start on. The
    /// time that it waits for its turn does not count.
    pub timeout: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { retries: 5, timeout: Duration::from_secs(60) }
    }
}

/// The longest wait before the first retry; each next one may be twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// No wait before a retry is longer, unless the platform asks for it.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A read is given up and tried again after this part of the timeout, so that one lost
/// answer does not use all of it up.
const TRIES_IN_TIMEOUT: u32 = 3;

impl Retry {
    /// The wait before the retry after the attempt of this number, counted from one:
    /// anything up to a bound that doubles, so that many clients do not come back at once.
    #[must_use]
    pub fn wait(&self, attempt: u32, random: &mut fastrand::Rng) -> Duration {
        let doubled = FIRST_WAIT.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        doubled.min(LONGEST_WAIT).mul_f64(random.f64())
    }

    /// How long one try of a read may take.
    #[must_use]
    pub fn read_try(&self) -> Duration {
        self.timeout / TRIES_IN_TIMEOUT
    }
}

/// Reads a `Retry-After`: seconds, or a date as HTTP has it.
#[must_use]
pub fn retry_after(text: &str, now: jiff::Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    // A date that has passed asks for no wait.
    Some(Duration::try_from(date(text)?.duration_since(now)).unwrap_or_default())
}

/// A date as HTTP has it.
#[must_use]
pub fn date(text: &str) -> Option<jiff::Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_are_spread() {
        let retry = Retry::default();
        let mut random = fastrand::Rng::with_seed(7);
        let mut longest =
            |attempt| (0..500).map(|_| retry.wait(attempt, &mut random)).max().unwrap_or_default();
        for (attempt, bound) in [(1, 200), (2, 400), (3, 800), (9, 10_000), (4_000_000, 10_000)] {
            let (longest, bound) = (longest(attempt), Duration::from_millis(bound));
            assert!(longest <= bound && longest > bound.mul_f64(0.95), "{attempt}: {longest:?}");
        }
    }

    #[test]
    fn a_time_to_come_back_is_read_in_both_forms() {
        let now = jiff::Timestamp::from_second(784_111_777).unwrap_or_default();
        let wait = |text| retry_after(text, now);
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait(" 0 "), Some(Duration::ZERO));
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:07 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-1"), None);
    }
}
