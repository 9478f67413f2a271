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
    /// What the limit is multiplied with, and after which part of the least time.
    change: (f64, f64),
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
    change: (1.0, 0.5),
    share: 0.0,
    requests: 433,
    trip: 0.003,
    asks: None,
};

impl Cell {
    /// What is left of a limit for who does not know when the other client sends.
    fn left_of(&self, limit: f64) -> f64 {
        let left = limit * (1.0 - self.share);
        if self.form == Form::EachSecond { left.floor().max(1.0) } else { left }
    }

    fn limit_at(&self, time: f64, turn: f64) -> f64 {
        let limit = if time < turn { self.limit } else { self.limit * self.change.0 };
        // A second has no half request.
        if self.form == Form::EachSecond { limit.floor().max(1.0) } else { limit }
    }

    /// When the limit changes.
    fn turn(&self) -> f64 {
        let (change, place) = self.change;
        if change == 1.0 { f64::INFINITY } else { self.least(f64::INFINITY) * place }
    }

    /// How many are accepted at once.
    fn burst(&self) -> f64 {
        match self.form {
            Form::Bucket(seconds) => (self.limit * seconds).max(1.0),
            Form::EachSecond => self.limit,
        }
    }

    /// The least time of a run by a client that knows the limit, and not when seconds begin.
    fn least(&self, turn: f64) -> f64 {
        let burst = if self.form == Form::EachSecond { 0.0 } else { self.burst() };
        let (count, rate) = (self.requests as f64 - burst, self.left_of(self.limit));
        let after = self.left_of(self.limit_at(turn, turn));
        let even = count / rate;
        let least = if even <= turn { even } else { turn + (count - rate * turn) / after };
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
        Self { cell, turn, left: (cell.burst(), 0.0), other: 0.0 }
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
    /// How many of those had started before the first of them was answered.
    crowd: usize,
    sent: usize,
    most_attempts: u32,
}

impl Outcome {
    fn longer(&self) -> f64 {
        self.seconds / self.least
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
    let turn = cell.turn();
    let mut platform = Platform::new(cell, turn);
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut rule, retry) = (Rule::new(WORKERS), Retry::default());
    let workers = WORKERS.min(cell.requests);
    let (mut open, mut done) = (cell.requests - workers, 0);
    let mut events: BinaryHeap<_> = (0..workers).map(|_| Reverse((0, Event::Wants(1)))).collect();
    let mut line: VecDeque<u32> = VecDeque::new();
    let mut is_ticking = false;
    let mut first_refused = None;
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
                outcome.crowd += usize::from(started <= *first_refused.get_or_insert(time));
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
/// requests is refused. What is beyond it is what any client pays that does not know the
/// platform; `crowd` and `price` say why.
const AIM: (f64, f64) = (1.15, 0.01);

/// How many are refused at most when a limit is met for the first time: those that are under
/// way then. The lists of a plan start at once, so a burst of fewer refuses the others. After
/// that, with k under way each request is kept back for a part 1/k of a round trip where there
/// is no limit. To lose no more than a quarter of a second by that, k must grow with what was
/// accepted, and no schedule of that is better for one burst without being worse for another.
fn crowd(cell: Cell) -> usize {
    // While they are sent, others are allowed again.
    let fastest = WORKERS as f64 / cell.trip;
    let burst = cell.burst() * fastest / (fastest - cell.limit);
    let at_once = (10.0 - cell.burst()).max(3.0);
    let grown = 1.1 * burst * cell.trip / (0.08 + 1.3 * cell.trip);
    (at_once.max(grown + 1.0) as usize).min(WORKERS + 1)
}

/// How many seconds a client loses at most because it does not know the platform.
///
/// - That a limit was raised is seen only by requests that it would have refused before. With
///   one such in each 200 requests, half of the aim, and a second to see how far, it is used
///   as it was for so long, or until the end of the run.
/// - Where each refusal holds everything back for a second, one shows that there is a limit,
///   one what it is, and one that nothing is saved up meanwhile. If it is not, one in half a
///   minute shows that the limit was not raised.
/// - Each refusal that learning takes is told a round trip late, and the next request goes alone.
fn price(cell: Cell) -> f64 {
    let (change, _) = cell.change;
    let rate = cell.limit * (1.0 - cell.share);
    let left = (cell.least(cell.turn()) - cell.turn()).max(0.0);
    let unseen = (1.0 + 200.0 / rate) * (change - 1.0).max(0.0) / change;
    let saves = matches!(cell.form, Form::Bucket(seconds) if seconds >= 1.0);
    let later = if saves { 0.0 } else { cell.least(cell.turn()) / 30.0 };
    let held = (3.0 + later) * cell.asks.unwrap_or_default() as f64;
    let late = 2.0 * cell.trip * learning(cell) as f64;
    unseen.min(left * (change - 1.0).max(0.0)) + held + late
}

/// How many are refused after the first ones however short the run is, beside half of the aim,
/// which following the limit takes. One shows which limit it is, and two more where bursts and
/// trips hide it. One that counts seconds refuses until a second ends, and nobody knows when.
/// Where the limit is lowered, or another client uses it, or something may have been saved up
/// while everything was held back, that is learned again.
fn learning(cell: Cell) -> usize {
    let one = if cell.form == Form::EachSecond { 4 } else { 3 };
    let again = cell.change.0 < 1.0 || cell.share > 0.0 || cell.asks.is_some();
    if again { 2 * one + 2 } else { one }
}

/// Holds runs to the aim.
#[track_caller]
fn hold(cells: impl IntoIterator<Item = Cell>) {
    hold_to(cells, AIM);
}

/// Holds runs to an aim and to what any client pays, where they are no shorter than two
/// seconds; what is shorter is over before a rate can be learned.
#[track_caller]
fn hold_to(cells: impl IntoIterator<Item = Cell>, aim: (f64, f64)) {
    let mut beyond = Vec::new();
    let cells = cells.into_iter().filter(|cell| cell.least(f64::INFINITY) >= 2.0);
    for (cell, seed) in cells.flat_map(|cell| [(cell, 1), (cell, 2)]) {
        let outcome = run(cell, seed);
        let longest = aim.0 * (1.0 + price(cell) / outcome.least);
        let most =
            ((aim.1 * outcome.sent as f64) as usize).max(learning(cell) + outcome.sent / 200);
        let is_held = outcome.longer() <= longest
            && outcome.crowd <= crowd(cell)
            && outcome.refused - outcome.crowd <= most
            && outcome.most_attempts <= 1 + Retry::default().retries;
        if !is_held {
            beyond.push(format!(
                "{cell:?}: {:.3} of the least time and not {longest:.3}; {} refused at first and \
                 not {}, {} later and not {most}, {} times at most",
                outcome.longer(),
                outcome.crowd,
                crowd(cell),
                outcome.refused - outcome.crowd,
                outcome.most_attempts,
            ));
        }
    }
    assert!(beyond.is_empty(), "{} are beyond:\n{}", beyond.len(), beyond.join("\n"));
}

const LIMITS: [f64; 7] = [5.0, 10.0, 20.0, 60.0, 100.0, 200.0, 500.0];
const FORMS: [Form; 3] = [Form::Bucket(1.0), Form::Bucket(2.0), Form::EachSecond];

/// The cells of some requests, over all limits and forms.
fn cells(requests: usize) -> impl Iterator<Item = Cell> {
    FORMS.into_iter().flat_map(move |form| {
        LIMITS.into_iter().map(move |limit| Cell { limit, form, requests, ..PLAIN })
    })
}

/// Each cell in several ways.
fn each<T: Copy>(
    cells: impl Iterator<Item = Cell>,
    ways: &[T],
    of: impl Fn(Cell, T) -> Cell,
) -> Vec<Cell> {
    cells.flat_map(|cell| ways.iter().map(|way| of(cell, *way)).collect::<Vec<_>>()).collect()
}

#[test]
fn a_run_takes_hardly_longer_than_the_platform_allows() {
    for requests in [200, 433, 2000] {
        let trips = [0.001, 0.003, 0.01, 0.04, 0.15];
        let of = |cell: Cell, trip| Cell { trip, ..cell };
        // Sixteen under way at once must be able to use the limit up.
        let cells = each(cells(requests), &trips, of);
        hold(cells.into_iter().filter(|cell| cell.limit * cell.trip <= 8.0));
    }
}

#[test]
fn a_long_run_takes_as_long_as_the_platform_allows() {
    hold_to(cells(20_000), (1.05, 0.006));
}

#[test]
fn a_long_run_follows_a_limit_that_changes_or_is_shared() {
    let cells = || cells(20_000).filter(|cell| [5.0, 60.0, 500.0].contains(&cell.limit));
    let changes = [(0.5, 0.5), (2.0, 0.25), (3.0, 0.25)];
    hold(each(cells(), &changes, |cell, change| Cell { change, ..cell }));
    hold(each(cells(), &[0.2, 0.5, 0.8], |cell, share| Cell { share, ..cell }));
}

#[test]
fn a_limit_that_changes_is_learned_again() {
    // Two of two hundred may be refused, and one limit takes as many to be learned.
    for requests in [433, 2000] {
        for place in [0.25, 0.5, 0.75] {
            let of = |cell: Cell, by| Cell { change: (by, place), ..cell };
            let cells = each(cells(requests), &[0.3, 0.5, 2.0, 3.0], of);
            // No pace is slower than one a second, so a limit near that is hardly met.
            hold(cells.into_iter().filter(|cell| cell.limit * cell.change.0 >= 2.0));
        }
    }
}

#[test]
fn another_client_that_shares_the_limit_is_made_room_for() {
    for requests in [200, 433, 2000] {
        hold(each(cells(requests), &[0.2, 0.5], |cell, share| Cell { share, ..cell }));
    }
    // Where four of five are another's, each refusal may be because that was first, so few of
    // them do not show what is left.
    hold(cells(2000).map(|cell| Cell { share: 0.8, ..cell }));
}

#[test]
fn holds_that_refusals_ask_for_are_made_up_for() {
    for requests in [433, 2000] {
        hold(cells(requests).map(|cell| Cell { asks: Some(1), ..cell }));
    }
}

#[test]
fn small_bursts_are_learned_in_the_long_run() {
    let cells = [50.0, 100.0, 200.0, 500.0].into_iter().map(|limit: f64| {
        let requests = (limit * 200.0) as usize;
        Cell { limit, form: Form::Bucket(0.1), requests, ..PLAIN }
    });
    hold(each(cells, &[None, Some(1)], |cell, asks| Cell { asks, ..cell }));
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
    // The next ones go one by one, and then few at once, and more the more were accepted.
    let mut counts = Vec::new();
    for now in 1..400 {
        let count = start(&mut rule, now);
        (0..count).for_each(|_| rule.end(at(now), at(now + 1), Ending::Accepted));
        counts.push(count);
    }
    assert_eq!(counts[..20], [1; 20]);
    assert_eq!(counts[20..100], [2; 80]);
    assert!(counts.is_sorted() && counts[399 - 1] == WORKERS, "{counts:?}");

    // Where answers take long, keeping requests back would cost more than it is worth.
    let mut rule = Rule::new(16);
    assert_eq!(start(&mut rule, 0), 10);
    (0..10).for_each(|_| rule.end(at(0), at(200), Ending::Accepted));
    assert_eq!(start(&mut rule, 200), 5);
    (0..5).for_each(|_| rule.end(at(200), at(400), Ending::Accepted));
    assert_eq!(start(&mut rule, 400), 8);
    assert_eq!(rule.pace(at(1000)), None);
}

#[test]
fn caution_ends_where_writes_take_longer_than_the_reads_before_them() {
    let at = Duration::from_millis;
    let mut rule = Rule::new(WORKERS);
    let start = |rule: &mut Rule, now| (0..).take_while(|_| rule.start(at(now)).is_ok()).count();
    (0..start(&mut rule, 0)).for_each(|_| rule.end(at(0), at(1), Ending::Accepted));
    let (mut now, mut done) = (1, 0);
    while done < 200 {
        let count = start(&mut rule, now);
        (0..count).for_each(|_| rule.end(at(now), at(now + 50), Ending::Accepted));
        (now, done) = (now + 50, done + count);
    }
    let least = 200 * 50 / WORKERS as u64;
    // A quarter of a second, and the trips of the first and the last.
    assert!(now <= least + 350, "{now} ms, and {least} ms would have done");
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
