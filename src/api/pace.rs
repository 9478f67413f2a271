//! How many requests are under way at once, and how fast they follow each other.
//!
//! The rule of the pace:
//!
//! - Until the platform refuses a request for coming too fast (429), requests start at
//!   once, up to the ceiling. Nothing is measured but the times of the last few starts.
//! - A 429 or 503 takes three tenths off the window of requests under way; each round trip
//!   of accepted requests adds one back. Answers to requests that started before the last
//!   decrease cause no other: one crowd, one decrease.
//! - A 429 also teaches a rate, and from then on requests start evenly spaced. Where
//!   enough were accepted since the 429 before, their number over that time is the
//!   platform's rate, because at both ends its allowance was used up. Where fewer were,
//!   the pace is halved at most.
//! - From a little below the learned rate the pace climbs back on a cubic curve: slowly
//!   near the learned rate, faster the longer nothing is refused. Each good measurement
//!   makes the curve flatter and longer, so that a settled pace is refused once in many
//!   hundreds of requests and at most once in half a minute.
//! - `Retry-After` holds every request back. Where it is missing and nothing at all is
//!   accepted between two refusals, holds double instead. After a hold one request goes
//!   alone; the others follow once one was accepted.
//!
//! [`Rule`] is that rule without a clock; [`Pace`] is the gate that requests wait at.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Fewer accepted requests than this between two refusals measure no rate.
const ENOUGH: u32 = 20;

/// A measurement misses no more than this part of the rate.
const MISSED: f64 = 1.1;

/// How many starts are remembered to know the pace before one was learned.
const REMEMBERED: usize = 64;

/// What a window keeps when it is decreased.
const KEPT: f64 = 0.7;

/// How far below the learned rate the pace starts again, at first and at least.
const DEPTH: (f64, f64) = (0.3, 0.03);

/// How many requests the pace takes to climb to the learned rate, at first.
const FIRST_CLIMB: f64 = 50.0;

/// How many good measurements settle the pace.
const SETTLED: u32 = 4;

/// A settled pace climbs to the learned rate in this many seconds, or this many requests
/// when those take longer.
const SETTLED_CLIMB: (f64, f64) = (30.0, 500.0);

/// No pace is slower, in requests a second; holds are for slower platforms.
const SLOWEST: f64 = 1.0;

/// Starts that are late by no more than this are caught up.
const CAUGHT_UP: Duration = Duration::from_millis(20);

/// The first hold where the platform asks for none, and the longest.
const HOLD: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Why a request may not start yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Until this time.
    Until(Duration),
    /// Until one that is under way ends.
    Full,
}

/// How a request ended, as far as the pace is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The platform took it.
    Accepted,
    /// It came too fast (429); the platform may have said when to come back.
    TooFast(Option<Duration>),
    /// The platform is overloaded (503); it may have said when to come back.
    Overloaded(Option<Duration>),
    /// It ended in a way that says nothing of the pace.
    Other,
}

/// The rate that was learned.
#[derive(Debug, Clone, Copy)]
struct Learned {
    /// Requests a second.
    rate: f64,
    /// How many good measurements followed each other.
    confidence: u32,
    /// How many requests started since that the pace held back.
    paced: u32,
    /// When the next request may start.
    next: Duration,
    /// How many were accepted since the last refusal.
    accepted: u32,
    /// When the last refusal was.
    refused: Duration,
    /// How many refusals followed each other with nothing accepted between them.
    shut: u32,
}

impl Learned {
    /// The pace now, in requests a second.
    fn pace(&self) -> f64 {
        let depth = (DEPTH.0 / f64::from(1_u32 << self.confidence.min(16))).max(DEPTH.1);
        let climb = if self.confidence < SETTLED {
            FIRST_CLIMB * f64::from(1_u32 << self.confidence)
        } else {
            SETTLED_CLIMB.1.max(SETTLED_CLIMB.0 * self.rate)
        };
        let position = f64::from(self.paced) / climb - 1.0;
        (self.rate * (1.0 + depth * position.powi(3))).max(SLOWEST)
    }
}

/// The rule of the pace. It has no clock: every call is told the time since some start.
#[derive(Debug)]
pub struct Rule {
    ceiling: usize,
    window: f64,
    under_way: usize,
    /// Requests that started until then cause no other decrease.
    decreased: Option<Duration>,
    held_until: Duration,
    /// Whether one request goes alone until one was accepted.
    alone: bool,
    recent: VecDeque<Duration>,
    learned: Option<Learned>,
}

impl Rule {
    /// A rule that lets this many requests be under way at once, at least one.
    #[must_use]
    pub fn new(ceiling: usize) -> Self {
        let ceiling = ceiling.max(1);
        Self {
            ceiling,
            window: ceiling as f64,
            under_way: 0,
            decreased: None,
            held_until: Duration::ZERO,
            alone: false,
            recent: VecDeque::with_capacity(REMEMBERED),
            learned: None,
        }
    }

    /// Changes the ceiling; a window that was at the old one goes to the new one.
    pub fn set_ceiling(&mut self, ceiling: usize) {
        let is_open = self.window >= self.ceiling as f64;
        self.ceiling = ceiling.max(1);
        self.window =
            if is_open { self.ceiling as f64 } else { self.window.min(self.ceiling as f64) };
    }

    /// Starts a request, or says what it has to wait for.
    ///
    /// # Errors
    ///
    /// What to wait for; then ask again.
    pub fn start(&mut self, now: Duration) -> Result<(), Wait> {
        let window = if self.alone { 1 } else { self.window as usize };
        if self.under_way >= window.max(1) {
            return Err(Wait::Full);
        }
        if now < self.held_until {
            return Err(Wait::Until(self.held_until));
        }
        if let Some(learned) = &mut self.learned {
            if now < learned.next {
                return Err(Wait::Until(learned.next));
            }
            // A pace that nobody wants to exceed is not tried out, so it does not climb.
            let earliest = now.saturating_sub(CAUGHT_UP);
            if learned.next >= earliest {
                learned.paced = learned.paced.saturating_add(1);
            }
            learned.next =
                learned.next.max(earliest) + Duration::from_secs_f64(1.0 / learned.pace());
        }
        self.under_way += 1;
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        Ok(())
    }

    /// Ends a request that started at `started`.
    pub fn end(&mut self, started: Duration, now: Duration, ending: Ending) {
        self.under_way = self.under_way.saturating_sub(1);
        match ending {
            Ending::Other => {}
            Ending::Accepted => {
                self.alone = false;
                if self.window < self.ceiling as f64 {
                    self.window = (self.window + 1.0 / self.window).min(self.ceiling as f64);
                }
                if let Some(learned) = &mut self.learned {
                    learned.accepted = learned.accepted.saturating_add(1);
                    learned.shut = 0;
                }
            }
            Ending::Overloaded(asked) => {
                self.hold(now, asked.unwrap_or_default());
                if self.is_news(started) {
                    self.decrease(now);
                }
            }
            Ending::TooFast(asked) => {
                // What was measured ends before the hold that this refusal asks for.
                if self.is_news(started) {
                    self.learn(now, asked.is_some());
                }
                self.hold(now, asked.unwrap_or_default());
            }
        }
    }

    /// The learned pace in requests a second; `None` while there is none.
    #[must_use]
    pub fn pace(&self) -> Option<f64> {
        self.learned.as_ref().map(Learned::pace)
    }

    /// Whether a refusal belongs to a round trip that has not been answered to yet.
    fn is_news(&self, started: Duration) -> bool {
        self.decreased.is_none_or(|decreased| started > decreased)
    }

    fn hold(&mut self, now: Duration, asked: Duration) {
        self.held_until = self.held_until.max(now + asked);
    }

    fn decrease(&mut self, now: Duration) {
        self.decreased = Some(now);
        self.window = (self.window * KEPT).max(1.0);
    }

    fn learn(&mut self, now: Duration, is_told_when: bool) {
        self.alone = true;
        let learned = match self.learned.take() {
            // Nothing is let through at all: that says when to come back, not how fast.
            Some(learned) if learned.accepted == 0 => {
                self.decreased = Some(now);
                if !is_told_when {
                    let hold = HOLD.0.saturating_mul(1 << learned.shut.min(16)).min(HOLD.1);
                    self.hold(now, hold);
                }
                Learned { shut: learned.shut + 1, ..learned }
            }
            learned => {
                self.decrease(now);
                let (rate, confidence) = match learned {
                    None => (self.recent_pace(now) / 2.0, 0),
                    Some(learned) => {
                        let pace = learned.pace();
                        let measured = self.measured(&learned, now).min(pace);
                        if learned.accepted >= ENOUGH && learned.rate < pace {
                            // The learned rate was fine and this pace was not, so it lies
                            // between them; the measurement missed what a hold cost.
                            let between = (learned.rate * pace).sqrt();
                            let rate = between.clamp(measured, measured * MISSED);
                            (rate, learned.confidence + 1)
                        } else if learned.accepted >= ENOUGH {
                            (measured, learned.confidence + 1)
                        } else {
                            (measured.max(pace / 2.0), 0)
                        }
                    }
                };
                Learned {
                    rate: rate.max(SLOWEST),
                    confidence,
                    paced: 0,
                    next: now,
                    accepted: 0,
                    refused: now,
                    shut: 0,
                }
            }
        };
        self.learned = Some(learned);
    }

    /// What was accepted over the time since the last refusal. How much of a hold counts
    /// depends on whether the platform saves up what is not used meanwhile, which nobody
    /// says; the mean of both answers closes in on the right one.
    fn measured(&self, learned: &Learned, now: Duration) -> f64 {
        let tiny = Duration::from_millis(1);
        let whole = now.saturating_sub(learned.refused).max(tiny);
        let held = self.held_since(learned.refused).min(whole);
        let open = whole.saturating_sub(held).max(tiny);
        f64::from(learned.accepted) / (whole.as_secs_f64() * open.as_secs_f64()).sqrt()
    }

    fn held_since(&self, refused: Duration) -> Duration {
        self.held_until.saturating_sub(refused)
    }

    fn recent_pace(&self, now: Duration) -> f64 {
        let Some(first) = self.recent.front() else { return SLOWEST };
        let time = now.saturating_sub(*first).max(Duration::from_millis(1));
        self.recent.len() as f64 / time.as_secs_f64()
    }
}

/// The gate that all requests of a client pass, in the order in which they come.
#[derive(Debug, Clone)]
pub struct Pace(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    rule: Mutex<Rule>,
    /// Whoever holds it is the next to start; the others wait in line.
    turn: tokio::sync::Mutex<()>,
    freed: Notify,
    began: Instant,
}

impl Gate {
    fn rule(&self) -> MutexGuard<'_, Rule> {
        self.rule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

/// A request that is under way. Dropped without an ending it only makes room.
#[derive(Debug)]
pub struct UnderWay {
    gate: Arc<Gate>,
    started: Duration,
    ending: Ending,
}

impl Pace {
    /// A gate that lets this many requests be under way at once.
    #[must_use]
    pub fn new(ceiling: usize) -> Self {
        Self(Arc::new(Gate {
            rule: Mutex::new(Rule::new(ceiling)),
            turn: tokio::sync::Mutex::new(()),
            freed: Notify::new(),
            began: Instant::now(),
        }))
    }

    /// Changes how many requests may be under way at once.
    pub fn set_ceiling(&self, ceiling: usize) {
        self.0.rule().set_ceiling(ceiling);
        self.0.freed.notify_one();
    }

    /// Waits until a request may start.
    pub async fn start(&self) -> UnderWay {
        let gate = &self.0;
        let _turn = gate.turn.lock().await;
        loop {
            let now = gate.now();
            // The guard of the rule must not live across the wait.
            let start = gate.rule().start(now);
            match start {
                Ok(()) => {
                    return UnderWay {
                        gate: Arc::clone(gate),
                        started: now,
                        ending: Ending::Other,
                    };
                }
                Err(Wait::Until(time)) => tokio::time::sleep_until(gate.began + time).await,
                // Only the one whose turn it is waits here, so no wake-up is lost.
                Err(Wait::Full) => gate.freed.notified().await,
            }
        }
    }
}

impl UnderWay {
    /// Ends the request.
    pub fn end(mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let now = self.gate.now();
        let mut rule = self.gate.rule();
        rule.end(self.started, now, self.ending);
        if matches!(self.ending, Ending::TooFast(_) | Ending::Overloaded(_)) {
            tracing::debug!(pace = rule.pace(), window = rule.window, "the platform slows us down");
        }
        drop(rule);
        self.gate.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::retry::Retry;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    /// What a simulated platform allows.
    enum Allows {
        /// A bucket that fills at a rate: rate, size, level, time of the level.
        Bucket(f64, f64, f64, f64),
        /// So many in each second: number, second, used.
        EachSecond(f64, f64, f64),
    }

    impl Allows {
        fn takes(&mut self, now: f64) -> bool {
            match self {
                Self::Bucket(rate, size, level, at) => {
                    let now = now.max(*at);
                    *level = (*level + (now - *at) * *rate).min(*size);
                    *at = now;
                    let takes = *level >= 1.0;
                    if takes {
                        *level -= 1.0;
                    }
                    takes
                }
                Self::EachSecond(number, second, used) => {
                    if now.floor() > *second {
                        *second = now.floor();
                        *used = 0.0;
                    }
                    let takes = *used < *number;
                    if takes {
                        *used += 1.0;
                    }
                    takes
                }
            }
        }
    }

    struct Outcome {
        seconds: f64,
        refused: usize,
        sent: usize,
        most_attempts: u32,
    }

    impl Outcome {
        fn refused_share(&self) -> f64 {
            self.refused as f64 / self.sent as f64
        }
    }

    /// Sends `count` requests by `workers` that each send one after the other, on a
    /// platform that answers after about `latency` seconds.
    fn simulate(
        mut allows: Allows,
        asks: Option<u64>,
        (count, workers, latency): (usize, usize, f64),
        seed: u64,
    ) -> Outcome {
        /// What happens next.
        #[derive(PartialEq, Eq, PartialOrd, Ord)]
        enum Event {
            Wants(u32),
            Answered(u64, bool, u32),
            Tick,
        }
        let mut random = fastrand::Rng::with_seed(seed);
        let nanos = |seconds: f64| (seconds * 1e9) as u64;
        let mut rule = Rule::new(workers);
        let retry = Retry::default();
        let mut events = BinaryHeap::new();
        for _ in 0..workers.min(count) {
            events.push(Reverse((0, Event::Wants(1))));
        }
        let (mut open, mut done) = (count - workers.min(count), 0);
        let mut line: VecDeque<u32> = VecDeque::new();
        let mut tick = None;
        let mut outcome = Outcome { seconds: 0.0, refused: 0, sent: 0, most_attempts: 0 };
        while let Some(Reverse((time, event))) = events.pop() {
            let now = Duration::from_nanos(time);
            match event {
                Event::Tick => tick = None,
                Event::Wants(attempt) => line.push_back(attempt),
                Event::Answered(started, accepted, attempt) => {
                    let asked = asks.map(Duration::from_secs);
                    let ending = if accepted { Ending::Accepted } else { Ending::TooFast(asked) };
                    rule.end(Duration::from_nanos(started), now, ending);
                    if accepted {
                        done += 1;
                        outcome.seconds = now.as_secs_f64();
                        if open > 0 {
                            open -= 1;
                            line.push_back(1);
                        }
                    } else {
                        outcome.refused += 1;
                        let wait = asked.unwrap_or_else(|| retry.wait(attempt, &mut random));
                        let again = time + wait.as_nanos() as u64;
                        events.push(Reverse((again, Event::Wants(attempt + 1))));
                    }
                }
            }
            while let Some(attempt) = line.front().copied() {
                match rule.start(now) {
                    Ok(()) => {
                        line.pop_front();
                        outcome.sent += 1;
                        outcome.most_attempts = outcome.most_attempts.max(attempt);
                        let there = now.as_secs_f64() + latency * (0.4 + 0.2 * random.f64());
                        // Requests overtake each other a little; the platform's clock
                        // must not run backwards for that.
                        let accepted = allows.takes(there);
                        let back = nanos(there + latency * (0.4 + 0.2 * random.f64()));
                        events.push(Reverse((back, Event::Answered(time, accepted, attempt))));
                    }
                    Err(Wait::Full) => break,
                    Err(Wait::Until(until)) => {
                        // Timers are as coarse as milliseconds.
                        if tick.is_none() {
                            let next = (until.as_nanos() as u64 / 1_000_000 + 1) * 1_000_000;
                            events.push(Reverse((next, Event::Tick)));
                            tick = Some(next);
                        }
                        break;
                    }
                }
            }
        }
        assert_eq!(done, count);
        outcome
    }

    #[test]
    fn a_large_run_takes_hardly_longer_than_the_platform_allows() {
        for (rate, latency) in
            [(50.0, 0.002), (50.0, 0.03), (100.0, 0.002), (100.0, 0.1), (500.0, 0.002)]
        {
            // The shortest burst is a tenth of a second's worth. Where each refusal also
            // holds everything back for a second, that leaves nothing to catch up with.
            for (burst, asks, longest) in [
                (2.0, None, 1.1),
                (1.0, None, 1.1),
                (0.1, None, 1.1),
                (2.0, Some(1), 1.1),
                (1.0, Some(1), 1.1),
                (0.1, Some(1), 1.25),
            ] {
                let (count, size) = ((rate * 200.0) as usize, rate * burst);
                let least = (count as f64 - size) / rate;
                let allows = Allows::Bucket(rate, size, size, 0.0);
                let outcome = simulate(allows, asks, (count, 16, latency), 1);
                let (longer, refused) = (outcome.seconds / least, outcome.refused_share());
                let told = format!(
                    "{rate}/s, bursts of {size}, {latency} s, Retry-After {asks:?}: \
                     {longer:.3} of the least time, {:.2} % refused",
                    100.0 * refused
                );
                assert!(longer < longest && refused < 0.01, "{told}");
                assert!(outcome.most_attempts <= 1 + Retry::default().retries, "{told}");
            }
        }
    }

    #[test]
    fn an_allowance_for_each_second_is_learned_too() {
        for (number, asks) in [(20.0, None), (20.0, Some(1)), (100.0, None), (100.0, Some(1))] {
            let count = (number * 200.0) as usize;
            let allows = Allows::EachSecond(number, 0.0, 0.0);
            let outcome = simulate(allows, asks, (count, 16, 0.002), 1);
            let (longer, refused) = (outcome.seconds / 200.0, outcome.refused_share());
            assert!(longer < 1.25 && refused < 0.02, "{number} {asks:?}: {longer} {refused}");
        }
    }

    #[test]
    fn without_a_refusal_every_request_starts_at_once() {
        let mut rule = Rule::new(3);
        let at = Duration::from_millis;
        for _ in 0..3 {
            assert_eq!(rule.start(at(1)), Ok(()));
        }
        assert_eq!(rule.start(at(1)), Err(Wait::Full));
        for time in 2..1000 {
            rule.end(at(1), at(time), Ending::Accepted);
            assert_eq!(rule.start(at(time)), Ok(()));
        }
        assert_eq!(rule.pace(), None);
    }

    #[test]
    fn one_crowd_of_refusals_is_one_decrease() {
        let at = Duration::from_millis;
        let mut rule = Rule::new(10);
        for _ in 0..10 {
            assert_eq!(rule.start(at(0)), Ok(()));
        }
        for _ in 0..10 {
            rule.end(at(0), at(5), Ending::Overloaded(None));
        }
        assert_eq!(rule.window as usize, 7);
        // A round trip of accepted requests adds about one.
        for _ in 0..7 {
            assert_eq!(rule.start(at(6)), Ok(()));
        }
        assert_eq!(rule.start(at(6)), Err(Wait::Full));
        for _ in 0..7 {
            rule.end(at(6), at(9), Ending::Accepted);
        }
        assert_eq!((rule.window + 0.1) as usize, 8);
        assert_eq!(rule.pace(), None);
    }

    #[test]
    fn a_platform_that_says_when_to_come_back_is_left_alone_until_then() {
        let at = Duration::from_millis;
        let mut rule = Rule::new(4);
        assert_eq!(rule.start(at(0)), Ok(()));
        rule.end(at(0), at(10), Ending::TooFast(Some(at(2000))));
        assert_eq!(rule.start(at(11)), Err(Wait::Until(at(2010))));
        assert_eq!(rule.start(at(2010)), Ok(()));
        // One goes alone until one was accepted.
        assert_eq!(rule.start(at(3000)), Err(Wait::Full));
        rule.end(at(2010), at(3000), Ending::Accepted);
        assert_eq!(rule.start(at(3001)), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn requests_start_in_the_order_in_which_they_came() {
        let pace = Pace::new(1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..20)
            .map(|index| {
                let (pace, order) = (pace.clone(), Arc::clone(&order));
                tokio::spawn(async move {
                    let request = pace.start().await;
                    order.lock().unwrap_or_else(PoisonError::into_inner).push(index);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    // The first is refused, the others are paced.
                    request.end(if index == 0 { Ending::TooFast(None) } else { Ending::Accepted });
                })
            })
            .collect();
        for task in tasks {
            assert!(task.await.is_ok());
        }
        let order = order.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert_eq!(order, (0..20).collect::<Vec<_>>());
    }
}
