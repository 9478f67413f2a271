//! *Pure*: which operation starts next.
//!
//! Of the operations that wait for nothing any more, the one with the longest chain of
//! operations behind it starts first, so that a long chain is not begun last and then
//! waited for while the other workers have nothing to do. Ties go to the one with more
//! operations behind it, then to the order of the plan. How long an operation will take is
//! not known, so that each counts as one.

use std::collections::BTreeSet;

use crate::plan::waits::Waits;

/// The state of a run: what may start, what waits, what is over.
#[derive(Debug)]
pub struct Schedule {
    waits: Waits,
    ready: BTreeSet<(Rank, usize)>,
    ranks: Vec<Rank>,
    states: Vec<State>,
    /// How many are neither done nor failed nor skipped.
    open: usize,
}

/// What is behind an operation; more comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// The longest chain, this operation included.
    chain: std::cmp::Reverse<usize>,
    /// All operations behind it. One that is reached on several ways counts for each, which
    /// keeps the count cheap on large plans.
    behind: std::cmp::Reverse<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Running,
    Over,
}

impl Schedule {
    /// A schedule of operations, each with the positions of those that it waits for. An
    /// operation that waits for itself or in a circle never starts, and neither does one
    /// that waits for a position that does not exist.
    #[must_use]
    pub fn new(waits_for: &[Vec<usize>]) -> Self {
        let count = waits_for.len();
        let waits = Waits::new(waits_for);
        let ranks = ranks(waits_for, &waits);
        let ready = waits.free().map(|index| (ranks[index], index)).collect();
        Self { waits, ready, ranks, states: vec![State::Open; count], open: count }
    }

    /// The operation to start now; `None` when none can.
    #[expect(clippy::should_implement_trait, reason = "what comes next depends on `done`")]
    pub fn next(&mut self) -> Option<usize> {
        let (_, index) = self.ready.pop_first()?;
        self.states[index] = State::Running;
        Some(index)
    }

    /// The operation among these to start now; `None` when none can.
    pub fn next_of(&mut self, these: &BTreeSet<usize>) -> Option<usize> {
        let next = *self.ready.iter().find(|(_, index)| these.contains(index))?;
        self.ready.remove(&next);
        self.states[next.1] = State::Running;
        Some(next.1)
    }

    /// An operation that was started is done.
    pub fn done(&mut self, index: usize) {
        if !self.end(index) {
            return;
        }
        let free = self.waits.settle(index).into_iter();
        let free = free.filter(|index| self.states[*index] == State::Open);
        self.ready.extend(free.map(|index| (self.ranks[index], index)));
    }

    /// An operation that was started failed. Gives those that will not be started for that,
    /// directly or through others, in the order of the plan.
    pub fn failed(&mut self, index: usize) -> Vec<usize> {
        if !self.end(index) {
            return Vec::new();
        }
        let mut skipped = BTreeSet::new();
        let mut causes = vec![index];
        while let Some(cause) = causes.pop() {
            for follower in self.waits.followers(cause) {
                if self.states[*follower] == State::Open {
                    self.states[*follower] = State::Over;
                    self.open -= 1;
                    skipped.insert(*follower);
                    causes.push(*follower);
                }
            }
        }
        skipped.into_iter().collect()
    }

    /// Whether every operation is done, failed or skipped.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.open == 0
    }

    /// Ends an operation once; another end of it changes nothing.
    fn end(&mut self, index: usize) -> bool {
        let is_running = self.states.get(index) == Some(&State::Running);
        if is_running {
            self.states[index] = State::Over;
            self.open -= 1;
        }
        is_running
    }
}

/// The rank of each operation, from the last ones back.
fn ranks(waits_for: &[Vec<usize>], waits: &Waits) -> Vec<Rank> {
    let mut left: Vec<usize> = waits.counts().collect();
    let mut chains = vec![1_usize; left.len()];
    let mut behind = vec![0_u64; left.len()];
    let mut settled: Vec<usize> = (0..left.len()).filter(|index| left[*index] == 0).collect();
    while let Some(index) = settled.pop() {
        for before in waits_for[index].iter().copied() {
            let Some(left) = left.get_mut(before) else { continue };
            chains[before] = chains[before].max(chains[index] + 1);
            behind[before] = behind[before].saturating_add(behind[index]).saturating_add(1);
            *left -= 1;
            if *left == 0 {
                settled.push(before);
            }
        }
    }
    chains
        .into_iter()
        .zip(behind)
        .map(|(chain, behind)| Rank {
            chain: std::cmp::Reverse(chain),
            behind: std::cmp::Reverse(behind),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    fn order(waits_for: &[Vec<usize>]) -> Vec<usize> {
        let mut schedule = Schedule::new(waits_for);
        std::iter::from_fn(|| {
            let index = schedule.next()?;
            schedule.done(index);
            Some(index)
        })
        .collect()
    }

    #[test]
    fn the_longest_chain_goes_first_and_ties_keep_the_order_of_the_plan() {
        let none = Vec::new;
        assert_eq!(order(&[none(), none(), none()]), [0, 1, 2]);
        assert_eq!(order(&[none(), none(), vec![1]]), [1, 0, 2]);
        assert_eq!(order(&[none(), none(), vec![0], vec![1], vec![1]]), [1, 0, 2, 3, 4]);
        assert_eq!(order(&[vec![0], none(), vec![3], vec![2], vec![9]]), [1]);
    }

    #[test]
    fn what_waits_for_a_failure_is_skipped_and_the_rest_goes_on() {
        let mut schedule = Schedule::new(&[vec![], vec![], vec![0], vec![2, 1], vec![1]]);
        assert_eq!(schedule.next(), Some(0));
        assert_eq!(schedule.next(), Some(1));
        assert_eq!(schedule.next(), None);
        assert_eq!(schedule.failed(0), [2, 3]);
        assert_eq!(schedule.failed(0), [0; 0]);
        assert!(!schedule.is_over());
        schedule.done(1);
        schedule.done(1);
        assert_eq!(schedule.next(), Some(4));
        schedule.done(3);
        assert!(!schedule.is_over());
        schedule.done(4);
        assert!(schedule.is_over());
    }

    /// How long a run takes on so many workers, and the least that it could take.
    fn makespan(waits_for: &[Vec<usize>], durations: &[u64], workers: usize) -> (u64, f64) {
        let mut schedule = Schedule::new(waits_for);
        let mut running = BinaryHeap::new();
        let mut now = 0;
        loop {
            while running.len() < workers
                && let Some(index) = schedule.next()
            {
                for before in &waits_for[index] {
                    assert_eq!(schedule.states[*before], State::Over);
                }
                running.push(Reverse((now + durations[index], index)));
            }
            let Some(Reverse((time, index))) = running.pop() else { break };
            now = time;
            schedule.done(index);
        }
        assert!(schedule.is_over());
        let mut ends = vec![0; waits_for.len()];
        for (index, before) in waits_for.iter().enumerate() {
            let start = before.iter().map(|before| ends[*before]).max().unwrap_or_default();
            ends[index] = start + durations[index];
        }
        let critical = ends.into_iter().max().unwrap_or_default() as f64;
        let share = durations.iter().sum::<u64>() as f64 / workers as f64;
        (now, critical.max(share))
    }

    /// Graphs as plans have them: some projects at the start, rooms and secrets that wait
    /// for a project, services and routes that wait for one or two of those, and what waits
    /// for services; or, for adversaries, graphs in which each operation waits for up to
    /// three random earlier ones at some distance. All have at least fifty operations a
    /// worker, so that what is left over at the end weighs little. A request takes 20 to
    /// 200 ms, most of them less than 80.
    fn plans() -> impl Strategy<Value = (Vec<Vec<usize>>, Vec<u64>, usize)> {
        (1_usize..=32, 50_usize..80, any::<bool>(), any::<u64>()).prop_map(
            |(workers, each, is_layered, seed)| {
                let mut random = fastrand::Rng::with_seed(seed);
                let count = workers * each;
                let projects = 1 + count / 200;
                let waits_for = (0..count)
                    .map(|index| {
                        let mut before: Vec<usize> = if !is_layered {
                            let far = 1 + workers * random.usize(1..4);
                            (0..random.usize(0..=3))
                                .filter_map(|_| index.checked_sub(far + random.usize(0..40)))
                                .collect()
                        } else if index < projects {
                            Vec::new()
                        } else if index < count / 3 {
                            vec![random.usize(0..projects)]
                        } else if index < count * 5 / 6 {
                            (0..random.usize(1..=2)).map(|_| random.usize(0..count / 3)).collect()
                        } else {
                            vec![random.usize(count / 3..count * 5 / 6)]
                        };
                        before.sort_unstable();
                        before.dedup();
                        before
                    })
                    .collect();
                let durations =
                    (0..count).map(|_| 20 + (random.f64().powi(3) * 180.0) as u64).collect();
                (waits_for, durations, workers)
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        #[test]
        fn a_run_takes_hardly_longer_than_it_must((waits_for, durations, workers) in plans()) {
            let (took, least) = makespan(&waits_for, &durations, workers);
            prop_assert!(took as f64 <= 1.1 * least, "{}", took as f64 / least);
        }
    }
}
