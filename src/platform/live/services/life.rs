//! *Pure*: when a service is started again, and how its state reads meanwhile. What happened comes
//! in, and what is to be done comes out; nothing here waits or asks.

use std::time::Duration;

use super::states;
use crate::room::services::State;

/// How long to wait before a service is started or called again, at first and at most.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// How long a service must have run for its next end to count as the first.
const SETTLED: Duration = Duration::from_secs(60);

/// How long a container may take to be live for the first time: it may install something first.
const TO_BEGIN: Duration = Duration::from_secs(180);

/// How long a container that was live may answer nothing before it counts as dead.
const TO_ANSWER: Duration = Duration::from_secs(30);

/// The longest reason that is told, in characters.
const MESSAGE: usize = 500;

/// How long to wait each time.
#[derive(Debug)]
pub struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(PAUSE)
    }
}

impl Backoff {
    /// How long to wait this time, after something that went well for so long.
    pub fn after(&mut self, well: Duration) -> Duration {
        if well >= SETTLED {
            self.0 = PAUSE;
        }
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST);
        pause
    }
}

/// How a run of a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// This platform cannot run it as it is declared, whenever.
    Impossible(String),
    /// There is no engine for it.
    Unequipped(String),
    /// It was not started this time.
    NotStarted(String),
    /// It ended by itself, with a code.
    Exited(i64),
    /// Somebody removed it.
    Removed,
    /// It did not answer for too long, and was ended.
    Dead(String),
    /// Somebody asked for a restart.
    Asked,
    /// The service or its room is over.
    Over,
}

/// What is done then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It is started again after a pause.
    Start(Duration),
    /// It rests until it is declared otherwise.
    Rest,
    /// Nothing: it is over.
    Leave,
}

/// Decides what becomes of a container that ended.
#[derive(Debug, Default)]
pub struct Life(Backoff);

impl Life {
    /// What is done after a run that took so long.
    pub fn decide(&mut self, end: &End, ran: Duration) -> Next {
        match end {
            End::Over => Next::Leave,
            End::Impossible(_) => Next::Rest,
            // One may come.
            End::Unequipped(_) => Next::Start(LONGEST),
            // Who asks does not wait, and what went wrong before is not held against it.
            End::Asked => {
                self.0 = Backoff::default();
                Next::Start(Duration::ZERO)
            }
            End::NotStarted(_) | End::Exited(_) | End::Removed | End::Dead(_) => {
                Next::Start(self.0.after(ran))
            }
        }
    }
}

/// Writes into a state how a run ended, and what is next. Times are seconds since 1970.
pub fn note(state: &mut State, (end, next): (&End, &Next), now: f64) {
    let message = match end {
        End::Over | End::Asked => None,
        End::Impossible(why) | End::Unequipped(why) | End::NotStarted(why) | End::Dead(why) => {
            Some(brief(why))
        }
        End::Exited(code) => Some(format!("it ended with the code {code}")),
        End::Removed => Some("its container was removed".to_owned()),
    };
    if matches!(end, End::Exited(_) | End::Removed | End::Dead(_) | End::Asked) {
        state.last_exit_at = Some(now);
        state.last_exit_code = match end {
            End::Exited(code) => Some(*code),
            _ => None,
        };
    }
    state.message = message;
    state.restart_scheduled_at = None;
    match next {
        Next::Start(_) if matches!(end, End::Unequipped(_)) => {
            states::UNAVAILABLE.clone_into(&mut state.state);
        }
        Next::Start(pause) => {
            state.restart_count += 1;
            state.state = match pause.is_zero() {
                true => states::STARTING.to_owned(),
                false => {
                    state.restart_scheduled_at = Some(now + pause.as_secs_f64());
                    states::FAILING.to_owned()
                }
            };
        }
        Next::Rest => states::UNAVAILABLE.clone_into(&mut state.state),
        Next::Leave => {}
    }
}

/// Follows whether a container is live.
#[derive(Debug)]
pub struct Pulse {
    /// When it was live last, or started; since the start.
    last: Duration,
    was_live: bool,
}

/// What a look at a container tells.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// It is live.
    Live,
    /// It is not live yet.
    Begins,
    /// It was live, and does not answer now.
    Silent,
    /// It has not answered for too long.
    Dead,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { last: Duration::ZERO, was_live: false }
    }
}

impl Pulse {
    /// Takes in whether it answered, so long after its start.
    pub fn look(&mut self, is_live: bool, at: Duration) -> Found {
        if is_live {
            (self.last, self.was_live) = (at, true);
            return Found::Live;
        }
        let patience = if self.was_live { TO_ANSWER } else { TO_BEGIN };
        match (at.saturating_sub(self.last) >= patience, self.was_live) {
            (true, _) => Found::Dead,
            (false, true) => Found::Silent,
            (false, false) => Found::Begins,
        }
    }
}

/// The beginning of a reason, which may hold what a stranger answered.
pub fn brief(why: &str) -> String {
    why.chars().take(MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn pauses_double_up_to_half_a_minute_and_begin_anew_after_a_good_while() {
        let mut life = Life::default();
        let mut pause = |ran| match life.decide(&End::Exited(1), ran) {
            Next::Start(pause) => pause.as_millis(),
            other => panic!("{other:?}"),
        };
        let pauses: Vec<u128> = (0..9).map(|_| pause(seconds(1))).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        assert_eq!(pause(SETTLED), 500);
        assert_eq!(pause(seconds(59)), 1000);
    }

    #[test]
    fn who_asks_for_a_restart_does_not_wait() {
        let mut life = Life::default();
        for _ in 0..5 {
            life.decide(&End::NotStarted("no".to_owned()), Duration::ZERO);
        }
        assert_eq!(life.decide(&End::Asked, seconds(1)), Next::Start(Duration::ZERO));
        let next = life.decide(&End::Removed, seconds(1));
        assert_eq!(next, Next::Start(PAUSE));
    }

    #[test]
    fn what_cannot_run_rests_and_what_is_over_ends() {
        let mut life = Life::default();
        let never = End::Impossible("no".to_owned());
        assert_eq!(life.decide(&never, Duration::ZERO), Next::Rest);
        assert_eq!(life.decide(&End::Over, Duration::ZERO), Next::Leave);
    }

    fn noted(end: &End, next: &Next) -> State {
        let mut state = State { restart_count: 2, last_exit_code: Some(9), ..State::default() };
        note(&mut state, (end, next), 100.0);
        state
    }

    #[test]
    fn a_state_tells_how_it_ended_and_when_it_starts_again() {
        let state = noted(&End::Exited(3), &Next::Start(seconds(2)));
        assert_eq!((state.state.as_str(), state.restart_count), (states::FAILING, 3));
        assert_eq!((state.last_exit_code, state.last_exit_at), (Some(3), Some(100.0)));
        assert_eq!(state.restart_scheduled_at, Some(102.0));
        assert_eq!(state.message.as_deref(), Some("it ended with the code 3"));

        // What did not start did not end, either.
        let state = noted(&End::NotStarted("x".repeat(MESSAGE + 1)), &Next::Start(seconds(1)));
        assert_eq!((state.last_exit_code, state.last_exit_at), (Some(9), None));
        assert_eq!(state.message.map(|it| it.len()), Some(MESSAGE));

        let state = noted(&End::Asked, &Next::Start(Duration::ZERO));
        assert_eq!((state.state.as_str(), state.message), (states::STARTING, None));
        assert_eq!((state.last_exit_code, state.restart_scheduled_at), (None, None));

        for (end, next) in [
            (End::Impossible("no".to_owned()), Next::Rest),
            (End::Unequipped("no".to_owned()), Next::Start(LONGEST)),
        ] {
            let state = noted(&end, &next);
            assert_eq!((state.state.as_str(), state.restart_count), (states::UNAVAILABLE, 2));
            assert_eq!(state.restart_scheduled_at, None);
        }
    }

    #[test]
    fn a_container_has_long_to_begin_and_less_to_answer() {
        let mut pulse = Pulse::default();
        assert_eq!(pulse.look(false, seconds(179)), Found::Begins);
        assert_eq!(pulse.look(true, seconds(179)), Found::Live);
        assert_eq!(pulse.look(false, seconds(208)), Found::Silent);
        assert_eq!(pulse.look(true, seconds(208)), Found::Live);
        assert_eq!(pulse.look(false, seconds(237)), Found::Silent);
        assert_eq!(pulse.look(false, seconds(238)), Found::Dead);
        assert_eq!(Pulse::default().look(false, TO_BEGIN), Found::Dead);
    }
}
