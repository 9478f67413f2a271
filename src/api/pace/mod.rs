//! How many requests are under way at once, and how fast they follow each other.
//!
//! The rule of the pace:
//!
//! - Nobody knows whether a platform has a limit, and which one, until it refuses a request for
//!   coming too fast (429). Then all requests that are under way are refused. So ten requests
//!   start at once, because the lists of a plan do. After them requests go one by one, then two at
//!   a time, and then as many as are a small part of what was accepted. That may cost a quarter of
//!   a second in all; after that only the ceiling counts.
//! - The first refusal also says how much was accepted until then. A platform that allows a
//!   second's worth at once has the rate that this makes; from half of that, each request follows
//!   the one before a little faster, until one is refused. If the next request after the first
//!   refusals is refused, too, the platform starts a new count each second, and allows as much as
//!   was accepted within one.
//! - At a refusal nothing is left of the allowance. So what was accepted between two of them,
//!   and what was lost because a bucket of that size was full, over the time between them is
//!   the rate, whatever the pace was meanwhile. Where nothing is saved up, it is the pace.
//! - From a little below the measured rate the pace climbs to a little above it: slowly near
//!   the rate, and ever faster beyond it, where the limit must have been raised. Climbs are so
//!   long that about one request in two hundred is refused, and longer where a refusal holds
//!   everything back. A measurement of few requests begins a new search.
//! - `Retry-After` holds every request back. What is saved up during that time is caught up, until
//!   that was refused once. If it is missing, the pace waits for the end of a second that was used
//!   up too early, and if nothing at all is accepted between two refusals, holds double. After a
//!   refusal one request goes alone; the others follow once one was accepted.
//! - A 503 takes three tenths off the window of requests under way; each round trip of accepted
//!   requests adds one back. Answers to requests that started before the last refusal change
//!   nothing: one burst, one decrease.
//!
//! [`Rule`] is that rule without a clock; [`Pace`] is the gate that requests wait at.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

pub use rule::{Ending, Rule, Wait};

mod learned;
mod rule;
mod seen;
#[cfg(test)]
mod simulation;

/// The gate that all requests of a client pass, in the order in which they arrive.
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

/// A request that is under way. If it is dropped without an ending, it only makes room.
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
            let (pace, window) = (rule.pace(now), rule.window());
            tracing::debug!(pace, window, "the platform slows us down");
        }
        drop(rule);
        self.gate.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// Sixty requests a second, sixty at once, and how many are left to send.
    struct Limited {
        began: Instant,
        open: usize,
        left: f64,
        at: Duration,
        refused: usize,
    }

    impl Limited {
        fn next(&mut self) -> bool {
            let is_open = self.open > 0;
            self.open = self.open.saturating_sub(1);
            is_open
        }

        fn takes(&mut self) -> bool {
            let now = self.began.elapsed();
            self.left = (self.left + (now - self.at).as_secs_f64() * 60.0).min(60.0);
            self.at = now;
            let takes = self.left >= 1.0;
            self.left -= if takes { 1.0 } else { 0.0 };
            self.refused += usize::from(!takes);
            takes
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_wait_at_the_gate_are_sent_as_the_rule_says() {
        const REQUESTS: usize = 433;
        let (pace, began) = (Pace::new(16), Instant::now());
        let platform =
            Limited { began, open: REQUESTS, left: 60.0, at: Duration::ZERO, refused: 0 };
        let platform = Arc::new(Mutex::new(platform));
        let locked = |platform: &Arc<Mutex<Limited>>, ask: fn(&mut Limited) -> bool| {
            ask(&mut platform.lock().unwrap_or_else(PoisonError::into_inner))
        };
        let workers: Vec<_> = (0..16)
            .map(|_| {
                let (pace, platform) = (pace.clone(), Arc::clone(&platform));
                tokio::spawn(async move {
                    while locked(&platform, Limited::next) {
                        loop {
                            let request = pace.start().await;
                            tokio::time::sleep(Duration::from_millis(2)).await;
                            let takes = locked(&platform, Limited::takes);
                            tokio::time::sleep(Duration::from_millis(1)).await;
                            if takes {
                                request.end(Ending::Accepted);
                                break;
                            }
                            request.end(Ending::TooFast(None));
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            assert!(worker.await.is_ok());
        }
        let (least, took) = ((REQUESTS as f64 - 60.0) / 60.0, began.elapsed().as_secs_f64());
        let refused = platform.lock().unwrap_or_else(PoisonError::into_inner).refused;
        assert!(took < 1.1 * least, "{took} s, and {least} s would have done");
        assert!(refused <= 6, "{refused} were refused");
    }
}
