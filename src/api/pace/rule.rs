//! *Pure*: the rule of the pace, without a clock. See [the module above](super).

use std::time::Duration;

use super::learned::{Learned, Refused};
use super::seen::{SECOND, Seen};

/// What a window keeps when it is decreased.
const KEPT: f64 = 0.7;

/// How many requests start at once before the first of them was answered: the lists of a
/// plan do not wait for each other.
const AT_ONCE: usize = 10;

/// While no limit is known, one request after those goes alone until so many were accepted,
/// and then few are under way. As many are refused when a limit is met.
const ALONE: usize = 30;
const FEW: f64 = 2.0;

/// More may be under way the more were accepted: as many as round trips of all of those fit
/// into this time and so many trips. So those that are refused when a limit is met are the
/// same part of what was accepted, whenever that is. Where there is no limit, it costs a
/// quarter of a second.
const CAUTION: Duration = Duration::from_millis(80);
const CAUTIOUS_TRIPS: f64 = 1.3;

/// How long that may keep requests back, all in all, whatever their trips are.
const KEPT_BACK: Duration = Duration::from_millis(280);

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
    /// The platform took it, whatever it said to it.
    Accepted,
    /// It came too fast (429); the platform may have said when to come back.
    TooFast(Option<Duration>),
    /// The platform is overloaded (503); it may have said when to come back.
    Overloaded(Option<Duration>),
    /// It ended in a way that says nothing of the pace.
    Other,
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
    /// Whether a request waits to start.
    is_awaited: bool,
    /// How long an accepted request takes, smoothed.
    trip: Duration,
    /// The shortest that one took, and how long requests were kept back by caution.
    shortest: Option<Duration>,
    kept_back: Duration,
    seen: Seen,
    /// When the request started that was refused first, until all of its crowd are answered.
    first_refused: Option<Duration>,
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
            is_awaited: false,
            trip: Duration::ZERO,
            shortest: None,
            kept_back: Duration::ZERO,
            seen: Seen::default(),
            first_refused: None,
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
        let started = self.try_start(now);
        self.is_awaited = started.is_err();
        started
    }

    fn try_start(&mut self, now: Duration) -> Result<(), Wait> {
        let window = if self.alone { 1 } else { self.window.min(self.cautious()) as usize };
        if self.under_way >= window.max(1) {
            return Err(Wait::Full);
        }
        if now < self.held_until {
            return Err(Wait::Until(self.held_until));
        }
        // Only now all requests are answered that were sent before the first refusal.
        if let Some(empty) = self.first_refused.take() {
            let held = self.held_until.saturating_sub(empty);
            self.seen.use_up(empty);
            self.learned = Some(Learned::guess(self.seen.guess(empty), empty, held));
        }
        if let Some(learned) = &mut self.learned {
            learned.start(now, self.is_awaited, self.trip).map_err(Wait::Until)?;
        }
        self.under_way += 1;
        Ok(())
    }

    /// Ends a request that started at `started`.
    pub fn end(&mut self, started: Duration, now: Duration, ending: Ending) {
        self.under_way = self.under_way.saturating_sub(1);
        match ending {
            Ending::Other => {}
            Ending::Accepted => self.accept(started, now),
            Ending::Overloaded(asked) => {
                self.hold(now, asked.unwrap_or_default());
                if self.is_news(started) {
                    self.decreased = Some(now);
                    self.window = (self.window * KEPT).max(1.0);
                }
            }
            Ending::TooFast(asked) => {
                // What was measured ends before the hold that this refusal asks for.
                if self.is_news(started) {
                    self.learn(started, now, asked);
                }
                if let Some(asked) = asked {
                    self.hold(now, asked);
                }
            }
        }
    }

    /// The learned pace in requests a second; `None` while there is none.
    #[must_use]
    pub fn pace(&self, now: Duration) -> Option<f64> {
        self.learned.as_ref().map(|learned| learned.pace(now, self.trip))
    }

    /// How many requests may be under way at once.
    #[must_use]
    pub fn window(&self) -> usize {
        self.window as usize
    }

    /// How many may be under way while it is not known whether there is a limit.
    fn cautious(&self) -> f64 {
        let ceiling = self.ceiling as f64;
        let is_limit_known = self.learned.is_some() || self.first_refused.is_some();
        let accepted = self.seen.count();
        let is_over = is_limit_known || self.kept_back > KEPT_BACK;
        if is_over || accepted + self.under_way < AT_ONCE {
            return ceiling;
        }
        let trip = self.shortest.unwrap_or_default().as_secs_f64();
        let few = if accepted < ALONE { 1.0 } else { FEW.min(ceiling) };
        let grown = accepted as f64 * trip / (CAUTION.as_secs_f64() + CAUTIOUS_TRIPS * trip);
        grown.clamp(few, ceiling)
    }

    fn accept(&mut self, started: Duration, now: Duration) {
        if self.is_news(started) {
            self.alone = false;
        }
        let trip = now.saturating_sub(started);
        self.trip =
            if self.trip.is_zero() { trip } else { self.trip.mul_f64(0.9) + trip.mul_f64(0.1) };
        self.shortest = Some(self.shortest.map_or(trip, |shortest| shortest.min(trip)));
        let ceiling = self.ceiling as f64;
        self.kept_back += trip.mul_f64((1.0 / self.cautious().floor() - 1.0 / ceiling).max(0.0));
        if self.window < ceiling {
            self.window = (self.window + 1.0 / self.window).min(ceiling);
        }
        self.seen.accept(started);
        if let Some(learned) = &mut self.learned {
            learned.accept(started);
        }
    }

    /// Whether a refusal belongs to a round trip that has not been answered to yet.
    fn is_news(&self, started: Duration) -> bool {
        self.decreased.is_none_or(|decreased| started > decreased)
    }

    fn hold(&mut self, now: Duration, asked: Duration) {
        self.held_until = self.held_until.max(now + asked);
    }

    fn learn(&mut self, started: Duration, now: Duration, asked: Option<Duration>) {
        self.decreased = Some(now);
        self.alone = true;
        let Some(mut learned) = self.learned else {
            self.first_refused = Some(started);
            return;
        };
        let bucket = self.seen.rate_between(learned.empty(), started);
        let (held_until, trip, busiest) = (self.held_until, self.trip, self.seen.busiest());
        let refused = Refused { started, now, asked, held_until, trip, bucket, busiest };
        let hold = match learned.shut() {
            // The platform may count anew each second, which ends with the second that began
            // with the first request of those that were accepted.
            Some(0) if learned.is_guess() => {
                learned.refuse_again(refused);
                self.seen.second_ends(started).saturating_sub(now).clamp(HOLD.0, SECOND)
            }
            Some(shut) => {
                learned.refuse_again(refused);
                HOLD.0.saturating_mul(2 << shut.min(16)).min(HOLD.1)
            }
            None => {
                let pace = learned.pace(now, trip);
                learned.refuse(refused);
                // The rest of the second that the pace used up too early.
                let rest = SECOND.mul_f64((1.0 - learned.rate() / pace).max(0.0));
                if learned.saves() { Duration::ZERO } else { rest.max(HOLD.0) }
            }
        };
        // What the platform asks for says when to come back, not how fast.
        if asked.is_none() {
            self.hold(now, hold);
        }
        self.learned = Some(learned);
    }
}
