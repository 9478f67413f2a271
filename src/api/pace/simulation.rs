//! The rule of the pace on simulated platforms, by a simulated clock: over limits, runs,
//! changes of the limit, and other clients that share it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::{Ending, Rule, Wait};
use crate::api::retry::Retry;

/// How many workers send, each one request after the other.
const WORKERS: usize = 16;

/// How a platform keeps to its limit.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    /// A bucket that fills evenly and holds so many seconds' worth.
    Bucket(f64),
    /// So many in each second.
    EachSecond,
}

/// One run on one platform.
#[derive(Debug, Clone, Copy)]
struct Cell {
    /// Requests a second.
    limit: f64,
    form: Form,
    /// What the limit is multiplied with in the middle of the run.
    change: f64,
    /// The part of the limit that another client sends, evenly.
    share: f64,
    requests: usize,
    /// How long a round trip takes, in seconds.
    trip: f64,
    /// The `Retry-After` of refusals, in seconds.
    asks: Option<u64>,
}

const PLAIN: Cell = Cell {
    limit: 60.0,
    form: Form::Bucket(1.0),
    change: 1.0,
    share: 0.0,
    requests: 433,
    trip: 0.003,
    asks: None,
};

impl Cell {
    fn limit_at(&self, time: f64, turn: f64) -> f64 {
        if time < turn { self.limit } else { self.limit * self.change }
    }

    /// The least time of a run by a client that knows the limit, and not when seconds begin.
    fn least(&self, turn: f64) -> f64 {
        let burst = match self.form {
            Form::Bucket(seconds) => (self.limit * seconds).max(1.0),
            Form::EachSecond => 0.0,
        };
        let (count, rate) = (self.requests as f64 - burst, self.limit * (1.0 - self.share));
        let even = count / rate;
        let least =
            if even <= turn { even } else { turn + (count - rate * turn) / (rate * self.change) };
        least.max(self.requests as f64 * self.trip / WORKERS as f64)
    }
}

/// What a simulated platform allows.
struct Platform {
    cell: Cell,
    /// When the limit changes.
    turn: f64,
    /// What is left, and when it was.
    left: (f64, f64),
    /// When the other client sent last.
    other: f64,
}

impl Platform {
    fn new(cell: Cell, turn: f64) -> Self {
        let left = match cell.form {
            Form::Bucket(seconds) => (cell.limit * seconds).max(1.0),
            Form::EachSecond => cell.limit,
        };
        Self { cell, turn, left: (left, 0.0), other: 0.0 }
    }

    fn takes(&mut self, now: f64) -> bool {
        while self.cell.share > 0.0 {
            let rate = self.cell.limit_at(self.other, self.turn) * self.cell.share;
            let next = self.other + 1.0 / rate;
            if next > now {
                break;
            }
            self.other = next;
            self.takes_one(next);
        }
        self.takes_one(now)
    }

    fn takes_one(&mut self, now: f64) -> bool {
        let limit = self.cell.limit_at(now, self.turn);
        let (left, at) = self.left;
        let now = now.max(at);
        let left = match self.cell.form {
            Form::Bucket(seconds) => (left + (now - at) * limit).min((limit * seconds).max(1.0)),
            Form::EachSecond if now.floor() > at.floor() => limit,
            Form::EachSecond => left,
        };
        let takes = left >= 1.0;
        self.left = (if takes { left - 1.0 } else { left }, now);
        takes
    }
}

/// What came of a run.
#[derive(Debug, Default)]
struct Outcome {
    seconds: f64,
    least: f64,
    refused: usize,
    sent: usize,
    most_attempts: u32,
}

impl Outcome {
    fn longer(&self) -> f64 {
        self.seconds / self.least
    }

    fn share(&self) -> f64 {
        self.refused as f64 / self.sent as f64
    }
}

/// What happens next.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Wants(u32),
    Answered(u64, bool, u32),
    Tick,
}

fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

fn run(cell: Cell, seed: u64) -> Outcome {
    let unchanged = Cell { change: 1.0, ..cell };
    let turn =
        if cell.change == 1.0 { f64::INFINITY } else { unchanged.least(f64::INFINITY) / 2.0 };
    let mut platform = Platform::new(cell, turn);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut rule, retry) = (Rule::new(WORKERS), Retry::default());
    let workers = WORKERS.min(cell.requests);
    let (mut open, mut done) = (cell.requests - workers, 0);
    let mut events: BinaryHeap<_> = (0..workers).map(|_| Reverse((0, Event::Wants(1)))).collect();
    let mut line: VecDeque<u32> = VecDeque::new();
    let mut is_ticking = false;
    let mut outcome = Outcome { least: cell.least(turn), ..Outcome::default() };
    while let Some(Reverse((time, event))) = events.pop() {
        let now = Duration::from_nanos(time);
        match event {
            Event::Tick => is_ticking = false,
            Event::Wants(attempt) => line.push_back(attempt),
            Event::Answered(started, true, _) => {
                rule.end(Duration::from_nanos(started), now, Ending::Accepted);
                done += 1;
                outcome.seconds = now.as_secs_f64();
                if open > 0 {
                    open -= 1;
                    line.push_back(1);
                }
            }
            Event::Answered(started, false, attempt) => {
                let asked = cell.asks.map(Duration::from_secs);
                rule.end(Duration::from_nanos(started), now, Ending::TooFast(asked));
                outcome.refused += 1;
                // As the client waits.
                let jitter = retry.wait(attempt, &mut random);
                let wait = asked.map_or(jitter, |asked| asked + jitter / 4);
                events.push(Reverse((time + wait.as_nanos() as u64, Event::Wants(attempt + 1))));
            }
        }
        while let Some(attempt) = line.front().copied() {
            match rule.start(now) {
                Ok(()) => {
                    line.pop_front();
                    outcome.sent += 1;
                    outcome.most_attempts = outcome.most_attempts.max(attempt);
                    // Requests overtake each other a little.
                    let mut way = || cell.trip * (0.4 + 0.2 * random.f64());
                    let there = now.as_secs_f64() + way();
                    let takes = platform.takes(there);
                    events.push(Reverse((
                        nanos(there + way()),
                        Event::Answered(time, takes, attempt),
                    )));
                }
                Err(Wait::Full) => break,
                Err(Wait::Until(until)) => {
                    // Timers are as coarse as milliseconds.
                    if !std::mem::replace(&mut is_ticking, true) {
                        let next = (until.as_nanos() as u64 / 1_000_000 + 1) * 1_000_000;
                        events.push(Reverse((next, Event::Tick)));
                    }
                    break;
                }
            }
        }
    }
    assert_eq!(done, cell.requests);
    outcome
}

/// The aim of every run: how much longer than the least time it takes, and which part of its
/// requests is refused. Where a bound below is wider than this, its place says why; where the
/// rule does better, the bound is what it does.
const AIM: (f64, f64) = (1.15, 0.01);

/// Holds a run to its bounds: how much longer than the least time, and which part refused,
/// where those are more than `few` answers.
#[track_caller]
fn hold(cell: Cell, longest: f64, most: f64, few: usize) {
    for seed in 1..=3 {
        let outcome = run(cell, seed);
        let told = format!(
            "{cell:?}: {:.3} of the least time, {} of {} refused",
            outcome.longer(),
            outcome.refused,
            outcome.sent
        );
        assert!(outcome.longer() <= longest, "{told}");
        assert!(outcome.refused <= few || outcome.share() <= most, "{told}");
        assert!(outcome.most_attempts <= 1 + Retry::default().retries, "{told}");
    }
}

const LIMITS: [f64; 5] = [5.0, 20.0, 60.0, 200.0, 500.0];
const FORMS: [Form; 3] = [Form::Bucket(1.0), Form::Bucket(2.0), Form::EachSecond];

/// The cells of some requests, over all limits and forms.
fn cells(requests: usize) -> impl Iterator<Item = Cell> {
    FORMS.into_iter().flat_map(move |form| {
        LIMITS.into_iter().map(move |limit| Cell { limit, form, requests, ..PLAIN })
    })
}

/// How many refusals there may be however short the run is. As many as are under way are
/// refused when a limit is met, and a few more until the rate is learned. At sixty a second
/// the allowance is used up while few are under way; at two hundred, when caution has ended
/// and the whole ceiling is. Nobody can know before that there is a limit.
fn few(limit: f64) -> usize {
    if limit < 100.0 { 8 } else { 26 }
}

#[test]
fn a_run_of_seconds_takes_hardly_longer_than_the_platform_allows() {
    for requests in [200, 433] {
        for cell in cells(requests) {
            // What is shorter than this is over before a rate can be learned.
            if cell.least(f64::INFINITY) >= 2.0 {
                // Two seconds' worth that were saved up hide a slow limit for most of so
                // short a run: 1.21 beside the aim of 1.15.
                let is_hidden = cell.limit < 10.0 && cell.form == Form::Bucket(2.0);
                hold(cell, if is_hidden { 1.21 } else { AIM.0 }, AIM.1, few(cell.limit));
            }
        }
    }
    hold(PLAIN, 1.02, AIM.1, 5);
}

#[test]
fn a_run_of_minutes_is_hardly_refused() {
    for cell in cells(2000).filter(|cell| cell.least(f64::INFINITY) >= 2.0) {
        hold(cell, 1.05, AIM.1, few(cell.limit));
    }
}

#[test]
fn a_long_run_takes_as_long_as_the_platform_allows() {
    for cell in cells(20_000).filter(|cell| cell.form != Form::Bucket(2.0)) {
        hold(cell, 1.04, 0.003, 0);
    }
}

#[test]
fn a_limit_that_changes_in_the_middle_is_learned_again() {
    for (limit, form) in [(5.0, FORMS[0]), (60.0, FORMS[0]), (60.0, FORMS[2]), (500.0, FORMS[0])] {
        let cell = Cell { limit, form, requests: 20_000, ..PLAIN };
        hold(Cell { change: 0.5, ..cell }, 1.15, 0.01, 0);
        hold(Cell { change: 2.0, ..cell }, 1.09, 0.003, 0);
        // Two limits are met, so twice as many are refused, of which sixty a second are 1.1 %.
        hold(Cell { change: 0.5, requests: 2000, ..cell }, 1.12, 0.011, 2 * few(limit));
        // Nobody knows that a limit was raised until the pace exceeds it, and in seconds
        // that cannot be tried out often: 1.35 and 1.24 beside the aim of 1.15.
        let longest = if limit > 100.0 { 1.35 } else { 1.24 };
        hold(Cell { change: 2.0, requests: 2000, ..cell }, longest, AIM.1, 2 * few(limit));
    }
}

#[test]
fn another_client_that_shares_the_limit_is_made_room_for() {
    for requests in [2000, 20_000] {
        for (limit, form) in
            [(20.0, FORMS[0]), (60.0, FORMS[0]), (60.0, FORMS[2]), (500.0, FORMS[0])]
        {
            let cell = Cell { limit, form, requests, share: 0.5, ..PLAIN };
            hold(cell, 1.05, AIM.1, few(limit));
        }
    }
}

#[test]
fn where_answers_take_long_the_first_crowd_is_the_ceiling() {
    for limit in [20.0, 60.0, 200.0] {
        let cell = Cell { limit, trip: 0.04, ..PLAIN };
        // A quarter of a second of caution is much in a run of one second: 1.37 beside the aim
        // of 1.15.
        hold(cell, if limit > 100.0 { 1.37 } else { 1.08 }, 0.0, WORKERS + 2);
        hold(Cell { requests: 20_000, ..cell }, 1.05, 0.005, 0);
    }
}

#[test]
fn holds_that_refusals_ask_for_are_made_up_for() {
    for limit in [5.0, 20.0, 60.0, 200.0, 500.0] {
        let cell = Cell { limit, asks: Some(1), requests: 20_000, ..PLAIN };
        hold(cell, 1.01, 0.003, 0);
        // Nothing can be made up for where nothing is saved up, and a whole second is lost with
        // each refusal: 1.31 and 1.2 % beside the aim of 1.15 and 1 %.
        hold(Cell { form: Form::EachSecond, ..cell }, 1.31, 0.012, 0);
    }
}

#[test]
fn small_bursts_are_learned_in_the_long_run() {
    for (limit, asks, longest) in
        // A second is held for a tenth of one that is saved up: 1.2 beside the aim of 1.15.
        [
            (50.0, None, 1.09),
            (100.0, None, 1.09),
            (500.0, None, 1.09),
            (100.0, Some(1), 1.2),
        ]
    {
        let requests = (limit * 200.0) as usize;
        hold(Cell { limit, form: Form::Bucket(0.1), asks, requests, ..PLAIN }, longest, 0.003, 0);
    }
}

/// The time that caution costs where there is no limit at all.
#[test]
fn without_a_limit_nothing_is_lost_but_a_quarter_of_a_second() {
    for trip in [0.001, 0.003, 0.01, 0.04, 0.2] {
        for requests in [10, 100, 433, 5000] {
            let cell = Cell { limit: 1e9, form: Form::Bucket(1.0), trip, requests, ..PLAIN };
            let outcome = run(cell, 1);
            // The last requests are answered a round trip after they started.
            let least = requests as f64 * trip / WORKERS as f64 + trip;
            assert!(outcome.seconds < 1.1 * least + 0.27 + trip, "{cell:?}: {outcome:?} {least}");
        }
    }
}

#[test]
fn while_no_limit_is_known_few_are_under_way_but_not_for_long() {
    let at = Duration::from_millis;
    let mut rule = Rule::new(16);
    let start = |rule: &mut Rule, now| (0..).take_while(|_| rule.start(at(now)).is_ok()).count();
    assert_eq!(start(&mut rule, 0), 10);
    (0..10).for_each(|_| rule.end(at(0), at(1), Ending::Accepted));
    assert_eq!(start(&mut rule, 1), 2);
    // One more for each seventy that were accepted.
    for now in 2..46 {
        (0..2).for_each(|_| rule.end(at(now - 1), at(now), Ending::Accepted));
        assert_eq!(start(&mut rule, now), 2 + usize::from(now >= 31), "{now}");
        (2..2 + usize::from(now >= 31)).for_each(|_| rule.end(at(now), at(now), Ending::Other));
    }
    // Where answers take long, keeping requests back would cost more than it is worth.
    (0..2).for_each(|_| rule.end(at(45), at(700), Ending::Accepted));
    assert_eq!(start(&mut rule, 700), 16);
    assert_eq!(rule.pace(at(1000)), None);
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
    assert_eq!(rule.window(), 7);
    // A round trip of accepted requests adds about one.
    for _ in 0..7 {
        assert_eq!(rule.start(at(6)), Ok(()));
    }
    assert_eq!(rule.start(at(6)), Err(Wait::Full));
    for _ in 0..7 {
        rule.end(at(6), at(9), Ending::Accepted);
    }
    assert_eq!(rule.pace(at(1000)), None);
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
