//! *Pure*: the rate that a platform was seen to allow, and how it is tried out.

use std::time::Duration;

/// No pace is slower, in requests a second; holds are for slower platforms.
pub(super) const SLOWEST: f64 = 1.0;

/// No pace is faster; it only keeps the numbers sound.
const FASTEST: f64 = 100_000.0;

/// Fewer accepted requests than this between two refusals measure no rate.
pub(super) const ENOUGH: u32 = 8;

/// Where the search for the rate begins, as a part of what was guessed.
const SEARCH_FROM: f64 = 0.5;

/// By how much each request of a search is faster than the one before: at first, and where
/// searches were refused too early. Then the next one begins below what was measured.
const GROWTH: (f64, f64) = (0.06, 0.01);
const SEARCH_AGAIN: f64 = 0.8;

/// How much faster than what was accepted on average a pace may be: as a part of it, or by
/// so many requests in a round trip, because those are refused all at once.
const AHEAD: (f64, f64) = (1.5, 0.3);

/// A climb that measures less or more than these parts of its rate met another limit.
const SAME: (f64, f64) = (0.9, 1.1);

/// What a pace may be ahead of the mean rate that was measured under it. Where it is further
/// ahead, the rate lies between both.
const AGREE: f64 = 1.2;

/// Where nothing is saved up, the rate is this part of the most that was accepted in a second.
const BUSIEST: f64 = 0.95;

/// How far below the learned rate a climb starts, and how much of the error of a measurement
/// is added to that.
const DEPTH: f64 = 0.06;
const DOUBT: f64 = 2.0;
const DEEPEST: f64 = 0.2;

/// How fast a climb becomes steeper when it is as far above the rate as it began below.
const STEEPNESS: f64 = 4.0;

/// How many requests a climb to the learned rate takes, where what is not used is saved up and
/// where each refusal costs a part of a second; or how many seconds where those are more, and
/// how many for each second that a refusal holds everything back.
const CLIMB: (f64, f64) = (100.0, 150.0);
const CLIMB_SECONDS: f64 = 0.5;
const CLIMB_SECONDS_HELD: f64 = 15.0;

/// How much longer a climb is for each request that is under way, because more are refused.
const CROWD: f64 = 0.2;

/// How many times the distance to the next request passes after a refusal before one is sent.
const PATIENCE: f64 = 2.0;

/// Starts that are late by no more than this are caught up.
const CAUGHT_UP: Duration = Duration::from_millis(20);

/// What of the allowance that is saved up during a hold is used at once, and how much faster.
const SAVED: f64 = 0.9;
const CATCH_UP: f64 = 3.0;

/// In no more seconds than this it is counted how many allowances of a second were used up.
const COUNTED: Duration = Duration::from_secs(4);

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
    /// How long a round trip takes.
    pub trip: Duration,
    /// The rate of a bucket that would have been empty just then and at the refusal before.
    pub bucket: Option<f64>,
    /// The most requests that were accepted within one second.
    pub busiest: f64,
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
    /// How many those were right after the hold.
    debt: f64,
    /// Whether the platform saves up what is not used. One that counts anew each second does
    /// not, and one that allows no bursts hardly does.
    saves: bool,
    /// Whether nothing was measured yet.
    is_guess: bool,
}

impl Learned {
    /// Begins with a guess: the rate of an allowance that is used up by what was accepted
    /// when it is no more than a second's worth. `held` is what the refusal asked for.
    pub fn guess(rate: f64, empty: Duration, held: Duration) -> Self {
        let rate = (rate * SEARCH_FROM).max(SLOWEST);
        let debt = held.as_secs_f64() * rate * SAVED;
        Self {
            rate,
            way: Way::Search { growth: GROWTH.0 },
            paced: 0,
            next: empty + Duration::from_secs_f64(PATIENCE / rate),
            empty,
            accepted: 0,
            opened: None,
            idle: Duration::ZERO,
            shut: 0,
            owed: debt,
            debt,
            saves: true,
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
                let beyond = if position <= 1.0 {
                    position.powi(3)
                } else {
                    (STEEPNESS * (position - 1.0)).exp()
                };
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
        // What was late because of a refusal is not caught up.
        if self.opened.is_none() {
            (self.opened, self.next) = (Some(now), now);
        }
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

    /// When the request started that was refused last.
    pub fn empty(&self) -> Duration {
        self.empty
    }

    /// The rate, in requests a second.
    pub fn rate(&self) -> f64 {
        self.rate
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

    /// Nothing is let through at all. Where the most that was accepted within one second was
    /// a second's allowance, that comes back as a whole.
    pub fn refuse_again(&mut self, refused: Refused) {
        self.shut += 1;
        if self.shut == 1 && self.is_guess {
            self.saves = false;
            self.rate = refused.busiest.max(SLOWEST);
            self.way = Way::Climb { length: self.length(self.rate, refused), depth: DEPTH };
        } else if self.shut > 2 {
            self.rate = (self.rate / 2.0).max(SLOWEST);
            self.way = Way::Search { growth: GROWTH.0 };
        }
        (self.paced, self.next, self.empty) = (0, refused.now, refused.started);
        (self.opened, self.idle) = (None, Duration::ZERO);
        (self.owed, self.debt) = (0.0, 0.0);
    }

    /// The allowance is used up, after some requests were accepted.
    pub fn refuse(&mut self, refused: Refused) {
        let accepted = f64::from(self.accepted);
        // What should have been saved up during a hold could not be caught up.
        let is_in_vain = self.debt >= 1.0 && accepted < 2.0 * self.debt + 2.0;
        self.saves &= !is_in_vain;
        (self.rate, self.way) = match self.way {
            Way::Climb { .. } if is_in_vain => (self.rate.max(BUSIEST * refused.busiest), self.way),
            _ if self.accepted >= ENOUGH => {
                let rate = self.learn(refused).max(SLOWEST);
                let depth = (DOUBT / accepted).clamp(DEPTH, DEEPEST);
                (rate, Way::Climb { length: self.length(rate, refused), depth })
            }
            way => {
                let growth = if let Way::Search { growth } = way { growth } else { GROWTH.0 };
                let pace = self.pace(refused.now, refused.trip);
                let rate = self.measured(refused).max(pace / 2.0).min(pace) * SEARCH_AGAIN;
                (rate.max(SLOWEST), Way::Search { growth: (growth / 2.0).max(GROWTH.1) })
            }
        };
        let held = refused.asked.filter(|_| self.saves).unwrap_or_default();
        (self.paced, self.accepted, self.shut, self.is_guess) = (0, 0, 0, false);
        self.next = refused.now + Duration::from_secs_f64(PATIENCE / self.rate);
        self.empty = refused.started;
        (self.opened, self.idle) = (None, Duration::ZERO);
        self.debt = held.as_secs_f64() * self.rate * SAVED;
        self.owed = self.debt;
    }

    /// Whether nothing was measured yet.
    pub fn is_guess(&self) -> bool {
        self.is_guess
    }

    /// Whether the platform saves up what is not used.
    pub fn saves(&self) -> bool {
        self.saves
    }

    /// The rate that a refusal shows.
    fn learn(&self, refused: Refused) -> f64 {
        let pace = self.pace(refused.now, refused.trip);
        let measured = self.measured(refused).min(pace);
        let (is_lowered, is_exact) = match self.way {
            Way::Climb { .. } => {
                (measured < SAME.0 * self.rate, self.saves && measured <= SAME.1 * self.rate)
            }
            // A platform that asks for holds may count seconds and not have shown it yet.
            Way::Search { .. } => (false, self.saves && refused.asked.is_none()),
        };
        if is_lowered || is_exact {
            measured
        } else if pace > AGREE * measured {
            (pace * measured).sqrt()
        } else if self.saves {
            measured
        } else {
            // A second's allowance was used up by a pace that is just above it.
            pace * (1.0 - DEPTH / 2.0)
        }
    }

    /// What was accepted over the time since the last refusal: at both ends nothing was left
    /// of the allowance. Where it is not saved up during a hold, how much of that counts is
    /// not known; the mean of both answers closes in on the right one.
    fn measured(&self, refused: Refused) -> f64 {
        if let Some(rate) = refused.bucket.filter(|_| self.saves) {
            return rate;
        }
        let (accepted, tiny) = (f64::from(self.accepted), Duration::from_millis(1));
        let whole = refused.started.saturating_sub(self.empty).saturating_sub(self.idle).max(tiny);
        if self.saves {
            return accepted / whole.as_secs_f64();
        }
        let held = refused.held_until.saturating_sub(self.empty);
        let open = whole.saturating_sub(held).max(tiny);
        if whole < COUNTED && refused.asked.is_none() {
            return accepted / open.as_secs_f64().round().max(1.0);
        }
        accepted / (whole.as_secs_f64() * open.as_secs_f64()).sqrt()
    }

    /// How long the next climb is: refusals are rare, and their holds cost little.
    fn length(&self, rate: f64, refused: Refused) -> f64 {
        let held = refused.asked.unwrap_or_default().as_secs_f64();
        let seconds = CLIMB_SECONDS.max(CLIMB_SECONDS_HELD * held);
        let least = if self.saves { CLIMB.0 } else { CLIMB.1 };
        let under_way = rate * refused.trip.as_secs_f64();
        least.max(seconds * rate) * (1.0 + CROWD * under_way)
    }
}
