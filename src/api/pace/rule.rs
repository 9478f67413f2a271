//! *Pure*: the rule of the pace, without a clock. See [the module above](super).

use std::collections::VecDeque;
use std::time::Duration;

use super::learned::{Learned, Refused, SLOWEST};

/// How many accepted requests are remembered until a rate was learned.
const REMEMBERED: usize = 1024;

/// What a window keeps when it is decreased.
const KEPT: f64 = 0.7;

/// How many requests start at once before the first of them was answered: the lists of a
/// plan do not wait for each other.
const AT_ONCE: usize = 10;

/// How many may be under way after those while no limit is known, and after how many
/// accepted requests it is one more. As many are refused when a limit is met.
const FEW: f64 = 2.0;
const ONE_MORE: f64 = 70.0;

/// How long that may keep requests back, all in all, where there is no limit.
const CAUTION: Duration = Duration::from_millis(250);

/// The first hold where the platform asks for none, and the longest.
const HOLD: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// For how long a platform counts that counts anew again and again.
const SECOND: Duration = Duration::from_secs(1);

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
    /// How many were accepted, and how long they were kept back, while no limit is known.
    accepted: usize,
    kept_back: Duration,
    /// When the last accepted requests started, until a rate was learned.
    recent: VecDeque<Duration>,
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
            accepted: 0,
            kept_back: Duration::ZERO,
            recent: VecDeque::new(),
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
            self.learned = Some(Learned::guess(self.guess(empty), empty, held));
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
                    let held_until = self.held_until;
                    self.learn(Refused { started, now, asked, held_until });
                }
                self.hold(now, asked.unwrap_or_default());
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
        if is_limit_known || self.kept_back > CAUTION || self.accepted + self.under_way < AT_ONCE {
            return ceiling;
        }
        (FEW + self.accepted as f64 / ONE_MORE).min(ceiling)
    }

    fn accept(&mut self, started: Duration, now: Duration) {
        if self.is_news(started) {
            self.alone = false;
        }
        let trip = now.saturating_sub(started);
        self.trip =
            if self.trip.is_zero() { trip } else { self.trip.mul_f64(0.9) + trip.mul_f64(0.1) };
        let ceiling = self.ceiling as f64;
        if self.window < ceiling {
            self.window = (self.window + 1.0 / self.window).min(ceiling);
        }
        if let Some(learned) = &mut self.learned {
            learned.accept(started);
            return;
        }
        self.kept_back += trip.mul_f64((1.0 / self.cautious().floor() - 1.0 / ceiling).max(0.0));
        self.accepted += 1;
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(started);
    }

    /// Whether a refusal belongs to a round trip that has not been answered to yet.
    fn is_news(&self, started: Duration) -> bool {
        self.decreased.is_none_or(|decreased| started > decreased)
    }

    fn hold(&mut self, now: Duration, asked: Duration) {
        self.held_until = self.held_until.max(now + asked);
    }

    fn learn(&mut self, refused: Refused) {
        self.decreased = Some(refused.now);
        self.alone = true;
        let Some(mut learned) = self.learned else {
            self.first_refused = Some(refused.started);
            return;
        };
        match learned.shut() {
            // That says when to come back, not how fast.
            Some(shut) => {
                if refused.asked.is_none() {
                    self.hold(refused.now, self.hold_after(shut, refused));
                }
                learned.refuse_again(refused, self.busiest());
                self.learned = Some(learned);
            }
            None => {
                if learned.counts_seconds() && refused.asked.is_none() {
                    self.hold(refused.now, HOLD.0);
                }
                self.learned = Some(learned.refuse(refused, self.trip));
            }
        }
    }

    /// How long everything is held where nothing was let through. Where it is the first time,
    /// the platform may count anew each second, which ends with the second that began with
    /// the first request of those that were accepted.
    fn hold_after(&self, shut: u32, refused: Refused) -> Duration {
        if shut > 0 {
            return HOLD.0.saturating_mul(1 << shut.min(16)).min(HOLD.1);
        }
        let began = self.recent.iter().find(|start| **start + SECOND > refused.started);
        let ends = began.map_or(refused.started, |began| *began) + SECOND;
        ends.saturating_sub(refused.now).clamp(HOLD.0, SECOND)
    }

    /// The rate, in requests a second, of the allowance that what was accepted used up, where
    /// it saves up one second's worth: the fastest that fits.
    fn guess(&self, empty: Duration) -> f64 {
        let count = self.recent.len();
        let fits = self.recent.iter().enumerate().map(|(index, started)| {
            let since = empty.saturating_sub(*started) + SECOND;
            (count - index) as f64 / since.as_secs_f64()
        });
        fits.fold(SLOWEST, f64::max)
    }

    /// The most requests that were accepted within one second.
    fn busiest(&self) -> f64 {
        let (mut first, mut most) = (0, 0);
        for (index, started) in self.recent.iter().enumerate() {
            while *started >= self.recent[first] + SECOND {
                first += 1;
            }
            most = most.max(index + 1 - first);
        }
        most as f64
    }
}
