//! *Pure*: what was accepted lately, and which platform would have accepted just that.

use std::collections::VecDeque;
use std::time::Duration;

use super::learned::{ENOUGH, SLOWEST};

/// How many accepted requests are remembered.
const REMEMBERED: usize = 1024;

/// For how long a platform counts that counts anew again and again.
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// The range in which a rate is searched begins with the mean and ends with so many times
/// that. It is halved so often.
const ABOVE_MEAN: f64 = 100.0;
const STEPS: u32 = 24;

/// What a platform saves up of what is not used.
#[derive(Debug, Clone, Copy)]
enum Allowance {
    /// It was used up by so many requests in so many seconds, while it was filled up again.
    UsedUp { count: f64, seconds: f64 },
    /// So many seconds' worth.
    Seconds(f64),
}

/// The accepted requests of late.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// When they started, in the order of their answers.
    starts: VecDeque<Duration>,
    /// How many there were in all.
    count: usize,
    /// When the first of all started.
    first: Option<Duration>,
    allowance: Option<Allowance>,
}

impl Seen {
    /// A request was accepted that started at this time.
    pub fn accept(&mut self, started: Duration) {
        if self.starts.len() == REMEMBERED {
            self.starts.pop_front();
        }
        self.starts.push_back(started);
        self.count += 1;
        self.first.get_or_insert(started);
    }

    /// How many requests were accepted in all.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The allowance was used up for the first time, by a request that started at this time.
    pub fn use_up(&mut self, empty: Duration) {
        let took = empty.saturating_sub(self.first.unwrap_or(empty));
        let (count, seconds) = (self.count as f64, took.as_secs_f64());
        self.allowance = Some(Allowance::UsedUp { count, seconds });
    }

    /// The rate, in requests a second, of the allowance that what was accepted used up, where
    /// it saves up one second's worth: the fastest that fits.
    pub fn guess(&self, empty: Duration) -> f64 {
        let count = self.starts.len();
        let fits = self.starts.iter().enumerate().map(|(index, started)| {
            let since = empty.saturating_sub(*started) + SECOND;
            (count - index) as f64 / since.as_secs_f64()
        });
        fits.fold(SLOWEST, f64::max)
    }

    /// The rate of a bucket that was empty at one time and again at another: all that fell
    /// into it was taken or, where it was full, lost. Nothing where too many were accepted to
    /// remember them, or none.
    pub fn rate_between(&mut self, empty: Duration, again: Duration) -> Option<f64> {
        let since = |time: Duration| time.saturating_sub(empty).as_secs_f64();
        let starts = self.starts.iter().filter(|started| **started > empty);
        let mut starts: Vec<f64> = starts.map(|started| since(*started)).collect();
        let count = starts.len();
        if count == 0 || count == REMEMBERED {
            return None;
        }
        starts.sort_by(f64::total_cmp);
        let end = since(again).max(0.001);
        let mean = count as f64 / end;
        let holds = |rate: f64| match self.allowance {
            Some(Allowance::UsedUp { count, seconds }) => (count - mean * seconds).max(1.0),
            Some(Allowance::Seconds(seconds)) => (seconds * rate).max(1.0),
            None => f64::INFINITY,
        };
        let left = |rate: f64| {
            let (mut left, mut at) = (0.0, 0.0);
            for start in &starts {
                left = f64::min(left + (start - at) * rate, holds(rate)) - 1.0;
                at = *start;
            }
            left + (end - at) * rate
        };
        let (mut low, mut high) = (mean, ABOVE_MEAN * mean);
        for _ in 0..STEPS {
            let middle = (low * high).sqrt();
            *(if left(middle) < 0.0 { &mut low } else { &mut high }) = middle;
        }
        if matches!(self.allowance, Some(Allowance::UsedUp { .. })) && count >= ENOUGH as usize {
            self.allowance = Some(Allowance::Seconds(holds(low) / low));
        }
        Some(low)
    }

    /// The most requests that were accepted within one second.
    pub fn busiest(&self) -> f64 {
        let (mut first, mut most) = (0, 0);
        for (index, started) in self.starts.iter().enumerate() {
            while *started >= self.starts[first] + SECOND {
                first += 1;
            }
            most = most.max(index + 1 - first);
        }
        most as f64
    }

    /// When the second ends that began with the first of those that were accepted within a
    /// second of this time.
    pub fn second_ends(&self, time: Duration) -> Duration {
        let began = self.starts.iter().find(|start| **start + SECOND > time);
        began.map_or(time, |began| *began) + SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// A bucket of ten that ten at once used up.
    fn used_up() -> Seen {
        let mut seen = Seen::default();
        (0..10).for_each(|_| seen.accept(Duration::ZERO));
        seen.use_up(Duration::ZERO);
        seen
    }

    #[test]
    fn the_rate_between_two_refusals_is_what_was_accepted_and_what_was_lost() {
        // Eight in two seconds, and nothing was lost: four a second, whenever they came.
        let mut seen = used_up();
        (1..=8).for_each(|index| seen.accept(at(0.24 * f64::from(index))));
        let rate = seen.rate_between(Duration::ZERO, at(2.0)).unwrap_or_default();
        assert!((rate - 4.0).abs() < 0.01, "{rate}");

        // Nobody came for five seconds. The bucket was full by then, and then twelve came
        // within half a second: its ten, and four a second.
        let mut seen = used_up();
        (0..12).for_each(|index| seen.accept(at(5.0 + 0.04 * f64::from(index))));
        let rate = seen.rate_between(Duration::ZERO, at(5.5)).unwrap_or_default();
        assert!((rate - 4.0).abs() < 0.01, "{rate}");
    }

    #[test]
    fn nothing_is_measured_of_nothing_or_of_too_much_to_remember() {
        let mut seen = used_up();
        assert_eq!(seen.rate_between(Duration::ZERO, at(1.0)), None);
        (0..REMEMBERED).for_each(|index| seen.accept(at(1.0 + 0.01 * index as f64)));
        assert_eq!(seen.rate_between(Duration::ZERO, at(12.0)), None);
    }
}
