//! Work in a room that goes on after a lost connection.
//!
//! The room is entered again, after a wait that is longer each time, and the work begins anew in
//! it. So the work itself must know what it has done already.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::client::{Incoming, Room};
use super::connection::Ended;
use super::handshake::Unconnected;
use crate::api::failure::ApiError;
use crate::error::{Error, with_causes};

/// No wait is shorter.
const SHORTEST: Duration = Duration::from_millis(500);

/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(30);

/// A connection that held so long was a good one, and the waits begin with the shortest again.
const LASTED: Duration = Duration::from_secs(60);

/// The statuses of a room, or of the platform before it, that another try does not change: the
/// token is not valid, allows nothing, or there is no such room.
const FOR_GOOD: [u16; 3] = [401, 403, 404];

/// Why a room was not entered.
#[derive(Debug)]
pub struct NotEntered {
    /// What went wrong.
    pub error: Error,
    /// Whether another try would change nothing.
    pub is_for_good: bool,
}

impl From<NotEntered> for Error {
    fn from(refused: NotEntered) -> Self {
        refused.error
    }
}

fn is_for_good(status: Option<u16>) -> bool {
    status.is_some_and(|status| FOR_GOOD.contains(&status))
}

impl From<Error> for NotEntered {
    /// Of an error of [`Room::enter`].
    fn from(error: Error) -> Self {
        let unconnected = Unconnected::among_causes(&error);
        let is_for_good = unconnected.is_some_and(|it| !it.is_transient || is_for_good(it.status));
        Self { error, is_for_good }
    }
}

impl From<ApiError> for NotEntered {
    /// Of an error of the platform, which was asked for a token.
    fn from(error: ApiError) -> Self {
        Self { is_for_good: is_for_good(error.status), error: error.into() }
    }
}

/// What happens to work that goes on after a lost connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The connection was lost, and the room is entered again after a wait.
    Lost {
        /// Why.
        why: String,
        /// How long the wait is.
        wait: Duration,
    },
    /// The room could not be entered, and that is tried again after a wait.
    NotEntered {
        /// Why.
        why: String,
        /// How long the wait is.
        wait: Duration,
    },
    /// The room was entered again.
    Returned,
}

/// The waits before a room is entered again: each may be up to twice as long as the one before it,
/// and is spread so that many participants do not come back at once.
#[derive(Debug, Default)]
struct Waits {
    random: fastrand::Rng,
    count: u32,
}

impl Waits {
    fn next(&mut self) -> Duration {
        let doubled = SHORTEST.saturating_mul(2 << self.count.min(16)).min(LONGEST);
        self.count = self.count.saturating_add(1);
        doubled.mul_f64(0.5 + self.random.f64() / 2.0)
    }
}

/// Enters a room, works in it, and leaves it; enters it again and works anew if the connection is
/// lost. `tell` hears of each loss, of each vain try, and of each return.
///
/// It ends with what the work returns, unless the connection ended too early and the work failed;
/// and with `None` when it is told to stop, which drops the work. The work must fail if the
/// connection is lost, as everything that a [`Room`] does.
///
/// # Errors
///
/// The room, or the platform before it, does not let the participant in, and another try would
/// change nothing: the statuses 401, 403 and 404, or a fault on this side; the work fails while the
/// connection is well.
pub async fn lasting<T, E: From<Error>>(
    mut enter: impl AsyncFnMut() -> Result<(Room, Incoming), NotEntered>,
    mut work: impl AsyncFnMut(&Room, Incoming) -> Result<T, E>,
    stop: &CancellationToken,
    mut tell: impl FnMut(News),
) -> Result<Option<T>, E> {
    let mut waits = Waits::default();
    let mut was_there = false;
    loop {
        let entered = tokio::select! {
            entered = enter() => entered,
            () = stop.cancelled() => return Ok(None),
        };
        let wait;
        let news = match entered {
            Ok((room, incoming)) => {
                if was_there {
                    tell(News::Returned);
                }
                was_there = true;
                let begun = Instant::now();
                let worked = tokio::select! {
                    worked = work(&room, incoming) => Some(worked),
                    () = stop.cancelled() => None,
                };
                let ended = room.ended().filter(Ended::is_too_early);
                room.leave().await;
                let why = match (worked, ended) {
                    (None, _) => return Ok(None),
                    (Some(Err(_)), Some(ended)) => ended.to_string(),
                    (Some(worked), _) => return worked.map(Some),
                };
                if begun.elapsed() >= LASTED {
                    waits.count = 0;
                }
                wait = waits.next();
                News::Lost { why, wait }
            }
            Err(refused) if refused.is_for_good => return Err(refused.error.into()),
            Err(NotEntered { error, .. }) => {
                wait = waits.next();
                News::NotEntered { why: with_causes(&error), wait }
            }
        };
        tell(news);
        tokio::select! {
            () = sleep(wait) => {}
            () = stop.cancelled() => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
