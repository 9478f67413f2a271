//! *Pure*: the rate that a platform was seen to allow, and how it is tried out.

use std::time::Duration;

/// No pace is slower, in requests a second; holds are for slower platforms.
pub(super) const SLOWEST: f64 = 1.0;

/// No pace is faster; it only keeps the numbers sound.
const FASTEST: f64 = 100_000.0;

/// Fewer accepted requests than this between two refusals measure no rate.
const ENOUGH: u32 = 8;

/// Where the search for the rate begins, as a part of what was guessed.
const SEARCH_FROM: f64 = 0.5;

/// By how much each request of a search is faster than the one before: at first, and where
/// searches were refused too early.
const GROWTH: (f64, f64) = (0.06, 0.01);

/// How much faster than what was accepted on average a search may be: as a part of it, or by
/// so many requests in a round trip, because those are refused all at once.
const AHEAD: (f64, f64) = (1.5, 0.3);

/// What a pace may be ahead of the mean rate that was measured under it. Where it is further
/// ahead, much was allowed and not used, and the rate lies between them. Of a search, and of
/// a climb, which was slow for longer.
const AGREE: (f64, f64) = (3.2, 1.2);

/// How far below the learned rate a climb starts, and how much of the error of a measurement
/// is added to that.
const DEPTH: f64 = 0.06;
const DOUBT: f64 = 2.0;
const DEEPEST: f64 = 0.2;

/// How many requests a climb to the learned rate takes: the first of them at least, the
/// later ones at most, or so many seconds' worth where those are more, and more again for
/// each second that a refusal holds everything back.
const FIRST_CLIMB: f64 = 100.0;
const CLIMB: f64 = 250.0;
const CLIMB_SECONDS: f64 = 2.5;
const CLIMB_SECONDS_HELD: f64 = 10.0;

/// How many times the distance to the next request passes after a refusal before one is sent.
const PATIENCE: f64 = 2.0;

/// Starts that are late by no more than this are caught up.
const CAUGHT_UP: Duration = Duration::from_millis(20);

/// What of the allowance that is saved up during a hold is used at once, and how much faster.
const SAVED: f64 = 0.9;
const CATCH_UP: f64 = 3.0;

/// How the rate is tried out.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// From well below a guess, faster with each request.
    Search { growth: f64 },
    /// From a little below what was measured to a little above it, over so many requests:
    /// slowly near the rate, and faster the longer nothing is refused.
    Climb { length: f64, depth: f64 },
}

/// A refusal that the allowance was used up at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused {
    /// When the refused request started.
    pub started: Duration,
    /// When it was answered.
    pub now: Duration,
    /// How long the platform wants to be left alone.
    pub asked: Option<Duration>,
    /// Until when everything was held before.
    pub held_until: Duration,
}

/// The rate that was learned. All times are since the same start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Learned {
    /// Requests a second.
    rate: f64,
    way: Way,
    /// How many requests started since the last refusal that the pace held back.
    paced: u32,
    /// When the next request may start.
    next: Duration,
    /// When the request started that was refused last: nothing was left of the allowance.
    empty: Duration,
    /// How many were accepted since.
    accepted: u32,
    /// When the first request started since.
    opened: Option<Duration>,
    /// For how long nobody wanted to send anything since.
    idle: Duration,
    /// How many refusals followed each other with nothing accepted between them.
    shut: u32,
    /// How many requests are still to catch up after a hold.
    owed: f64,
    /// Whether the platform saves up what is not used during a hold.
    saves: bool,
    /// Whether it counts anew each second instead of filling up evenly.
    counts_seconds: bool,
    /// Whether nothing was measured yet.
    is_guess: bool,
}

impl Learned {
    /// Begins with a guess: the rate of an allowance that is used up by what was accepted
    /// when it is no more than a second's worth. `held` is what the refusal asked for.
    pub fn guess(rate: f64, empty: Duration, held: Duration) -> Self {
        let rate = (rate * SEARCH_FROM).max(SLOWEST);
        Self {
            rate,
            way: Way::Search { growth: GROWTH.0 },
            paced: 0,
            next: empty + Duration::from_secs_f64(1.0 / rate),
            empty,
            accepted: 0,
            opened: None,
            idle: Duration::ZERO,
            shut: 0,
            owed: held.as_secs_f64() * rate * SAVED,
            saves: true,
            counts_seconds: false,
            is_guess: true,
        }
    }

    /// The pace at a time, in requests a second, where a round trip takes so long.
    pub fn pace(&self, now: Duration, trip: Duration) -> f64 {
        let (pace, least) = match self.way {
            Way::Search { growth } => {
                (self.rate * (1.0 + growth).powf(f64::from(self.paced)), self.rate)
            }
            Way::Climb { length, depth } => {
                let position = f64::from(self.paced) / length - 1.0;
                let beyond =
                    if position <= 1.0 { position.powi(3) } else { (3.0 * (position - 1.0)).exp() };
                (self.rate * (1.0 + depth * beyond), self.rate * (1.0 - depth))
            }
        };
        let open = now.saturating_sub(self.opened.unwrap_or(now)).saturating_sub(self.idle);
        // The few that are on their way count, too.
        let mean = (f64::from(self.accepted) + 4.0) / open.as_secs_f64().max(0.001);
        let crowd = AHEAD.1 / trip.as_secs_f64().max(0.0005);
        let most = (AHEAD.0 * mean).max(mean + crowd);
        pace.min(most).max(least).clamp(SLOWEST, FASTEST)
    }

    /// Starts a request, which had to wait or not, or says when it may start.
    pub fn start(
        &mut self,
        now: Duration,
        has_waited: bool,
        trip: Duration,
    ) -> Result<(), Duration> {
        if now < self.next {
            return Err(self.next);
        }
        self.opened.get_or_insert(now);
        let earliest = now.saturating_sub(CAUGHT_UP);
        // A pace that nobody wants to exceed is not tried out, so it does not climb.
        if self.next >= earliest && self.owed < 1.0 {
            self.paced = self.paced.saturating_add(1);
        } else if !has_waited {
            self.idle += earliest.saturating_sub(self.next);
        }
        let mut pace = self.pace(now, trip);
        if self.owed >= 1.0 {
            pace *= CATCH_UP;
            // In the time of one request the even pace would have sent a part of another.
            self.owed -= 1.0 - 1.0 / CATCH_UP;
        }
        self.next = self.next.max(earliest) + Duration::from_secs_f64(1.0 / pace);
        Ok(())
    }

    /// A request was accepted that started at this time.
    pub fn accept(&mut self, started: Duration) {
        // What was sent before the refusal was for the allowance before it.
        if started > self.empty {
            self.accepted = self.accepted.saturating_add(1);
            self.shut = 0;
        }
    }

    /// How often the platform refused with nothing accepted in between; nothing where it
    /// accepted something.
    pub fn shut(&self) -> Option<u32> {
        (self.accepted == 0).then_some(self.shut)
    }

    /// Nothing is let through at all. `busiest` is the most that was accepted within one
    /// second so far: where that was a second's allowance, it comes back as a whole.
    pub fn refuse_again(&mut self, refused: Refused, busiest: f64) {
        self.shut += 1;
        if self.shut == 1 && self.is_guess {
            self.counts_seconds = true;
            self.rate = busiest.max(SLOWEST);
            let length = FIRST_CLIMB.max(4.0 * self.rate);
            self.way = Way::Climb { length, depth: DEPTH };
        } else if self.shut > 2 {
            self.rate = (self.rate / 2.0).max(SLOWEST);
            self.way = Way::Search { growth: GROWTH.0 };
        }
        (self.paced, self.next, self.empty) = (0, refused.now, refused.started);
        (self.opened, self.idle, self.owed) = (None, Duration::ZERO, 0.0);
    }

    /// The allowance is used up, after some requests were accepted.
    pub fn refuse(&self, refused: Refused, trip: Duration) -> Self {
        let pace = self.pace(refused.now, trip);
        let saves = self.saves && self.owed < 1.0;
        let measured = self.measured(refused, saves).min(pace).max(SLOWEST);
        let agree = if matches!(self.way, Way::Search { .. }) { AGREE.0 } else { AGREE.1 };
        let is_enough = self.accepted >= ENOUGH;
        let (rate, way) = if is_enough {
            let rate = if self.counts_seconds {
                // A second's allowance was used up by a pace that is just above it.
                pace * (1.0 - DEPTH / 2.0)
            } else if pace > agree * measured {
                (pace * measured).sqrt()
            } else {
                measured
            };
            let depth = (DOUBT / f64::from(self.accepted)).clamp(DEPTH, DEEPEST);
            (rate, Way::Climb { length: self.next_length(rate, refused.asked), depth })
        } else {
            let growth = match self.way {
                Way::Search { growth } => growth / 2.0,
                Way::Climb { .. } => GROWTH.0 / 2.0,
            };
            let rate = measured.max(pace / 2.0) * 0.8;
            (rate, Way::Search { growth: growth.max(GROWTH.1) })
        };
        let rate = rate.max(SLOWEST);
        let held = refused.asked.filter(|_| saves).unwrap_or_default();
        Self {
            rate,
            way,
            paced: 0,
            next: refused.now + Duration::from_secs_f64(PATIENCE / rate),
            empty: refused.started,
            accepted: 0,
            opened: None,
            idle: Duration::ZERO,
            shut: 0,
            owed: held.as_secs_f64() * rate * SAVED,
            saves,
            is_guess: false,
            ..*self
        }
    }

    /// Whether the platform counts anew each second.
    pub fn counts_seconds(&self) -> bool {
        self.counts_seconds
    }

    /// What was accepted over the time since the last refusal: at both ends nothing was left
    /// of the allowance. Where it is not saved up during a hold, how much of that counts is
    /// not known; the mean of both answers closes in on the right one.
    fn measured(&self, refused: Refused, saves: bool) -> f64 {
        let tiny = Duration::from_millis(1);
        let whole = refused.started.saturating_sub(self.empty).saturating_sub(self.idle).max(tiny);
        let held = refused.held_until.saturating_sub(self.empty).min(whole);
        let open = if saves { whole } else { whole.saturating_sub(held).max(tiny) };
        f64::from(self.accepted) / (whole.as_secs_f64() * open.as_secs_f64()).sqrt()
    }

    /// How long the next climb is: each good measurement makes it longer, up to a bound that
    /// keeps refusals rare and the cost of their holds small.
    fn next_length(&self, rate: f64, asked: Option<Duration>) -> f64 {
        let held = asked.unwrap_or_default().as_secs_f64();
        let seconds = CLIMB_SECONDS.max(CLIMB_SECONDS_HELD * held);
        let most = CLIMB.max(seconds * rate) * if self.counts_seconds { 2.0 } else { 1.0 };
        let length = match self.way {
            Way::Search { .. } => FIRST_CLIMB.max(4.0 * f64::from(self.accepted)),
            Way::Climb { length, .. } => length * 2.0,
        };
        length.min(most)
    }
}
