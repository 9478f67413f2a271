//! Watches services in one room until they work.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::seen::{Entered, Seen};
use super::{Awaited, Health, Patience};
use crate::error::{Error, with_causes};
use crate::room::client::{Incoming, Room};
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::lasting::{News, NotEntered, lasting};

/// Since when a service works.
#[derive(Debug)]
pub(super) struct Watched<'a> {
    awaited: &'a Awaited,
    told: Option<Health>,
    since: Option<(Instant, Option<u64>)>,
    /// Whether the room was looked at before.
    is_known: bool,
    pub is_settled: bool,
}

impl<'a> Watched<'a> {
    pub const fn new(awaited: &'a Awaited) -> Self {
        Self { awaited, told: None, since: None, is_known: false, is_settled: false }
    }

    /// Takes what is seen now. Returns what is news about it.
    pub fn look(&mut self, seen: &Seen, now: Instant, grace: Duration) -> Option<Health> {
        if self.is_settled {
            return None;
        }
        // A room that has just started may not know its services yet.
        if !std::mem::replace(&mut self.is_known, true) && !seen.tells_of(self.awaited) {
            return None;
        }
        let mut health = seen.health(self.awaited);
        let restarts = seen.restarts(self.awaited);
        if health == Health::Works {
            let since = self.since.filter(|(_, count)| *count == restarts);
            let (since, _) = *self.since.insert(since.unwrap_or((now, restarts)));
            match now.duration_since(since) >= grace {
                true => self.is_settled = true,
                false => health = Health::Waits("it works, for a moment so far".to_owned()),
            }
        } else {
            self.since = None;
            self.is_settled = matches!(health, Health::Broken(_));
        }
        self.news(health)
    }

    /// Nothing is known of it any more, for this reason. Returns what is news about it.
    fn lose(&mut self, health: &Health) -> Option<Health> {
        if matches!(self.told, Some(Health::Broken(_))) {
            return None;
        }
        self.since = None;
        self.is_settled = matches!(health, Health::Broken(_));
        self.news(health.clone())
    }

    fn news(&mut self, health: Health) -> Option<Health> {
        (self.told.as_ref() != Some(&health)).then(|| self.told.insert(health).clone())
    }
}

/// The services of a room that are watched.
struct Watching<'a, F> {
    services: Mutex<Vec<Watched<'a>>>,
    grace: Duration,
    tell: F,
}

impl<'a, F: Fn(&Awaited, &Health)> Watching<'a, F> {
    fn services(&self) -> MutexGuard<'_, Vec<Watched<'a>>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_settled(&self) -> bool {
        self.services().iter().all(|it| it.is_settled)
    }

    fn each(&self, look: impl Fn(&mut Watched<'a>) -> Option<Health>) {
        for one in self.services().iter_mut() {
            if let Some(health) = look(one) {
                (self.tell)(one.awaited, &health);
            }
        }
    }

    fn see(&self, seen: &Seen) {
        let now = Instant::now();
        self.each(|one| one.look(seen, now, self.grace));
    }

    fn lose(&self, health: &Health) {
        self.each(|one| one.lose(health));
    }
}

/// Why it is not looked any more.
enum Ended {
    /// The room does not let the caller in, and another try would change nothing.
    NotLetIn(Error),
    /// The room refuses what it is asked, or has ended properly.
    Refused(Refused),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::NotLetIn(error)
    }
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl Ended {
    /// What is known of the services then.
    fn health(&self) -> Health {
        match self {
            Self::NotLetIn(error) => {
                Health::Broken(format!("its room cannot be entered: {}", with_causes(error)))
            }
            Self::Refused(refused) if refused.code == Some(codes::PERMISSION_DENIED) => {
                Health::Broken(format!("its room does not tell how it is: {}", refused.text))
            }
            Self::Refused(refused) => {
                Health::Waits(format!("its room does not tell how it is: {}", refused.text))
            }
        }
    }
}

/// Watches services in one room until all work, none of those that do not can, the time is over or
/// somebody stops it; how they are then. `tell` gets each change. A room that cannot be entered, or
/// whose connection is lost, is entered again meanwhile.
pub async fn watch(
    services: &[Awaited],
    patience: Patience,
    enter: impl AsyncFn() -> Result<(Room, Incoming), NotEntered>,
    stop: &CancellationToken,
    tell: impl Fn(&Awaited, &Health),
) -> Vec<Health> {
    let due = Instant::now() + patience.most;
    let watched = services.iter().map(Watched::new).collect();
    let watching = Watching { services: Mutex::new(watched), grace: patience.grace, tell };
    let over = stop.child_token();
    let look = async {
        while !over.is_cancelled() && !watching.is_settled() {
            let work = async |room: &Room, incoming: Incoming| {
                let mut entered = Entered::new(room, incoming);
                loop {
                    watching.see(&entered.look(services).await?);
                    if watching.is_settled() {
                        return Ok(());
                    }
                    sleep(patience.pause).await;
                }
            };
            let ended: Result<Option<()>, Ended> =
                lasting(async || enter().await, work, &over, |news| hear(&watching, &news)).await;
            if let Err(ended) = ended {
                watching.lose(&ended.health());
                over.run_until_cancelled(sleep(patience.pause)).await;
            }
        }
        over.cancel();
    };
    let time = async {
        tokio::select! {
            () = sleep_until(due) => over.cancel(),
            () = over.cancelled() => {}
        }
    };
    tokio::join!(look, time);
    let late = || Health::Waits("nothing was seen of it".to_owned());
    watching.services().drain(..).map(|it| it.told.unwrap_or_else(late)).collect()
}

/// Takes what becomes of the connection to a room.
fn hear<F: Fn(&Awaited, &Health)>(watching: &Watching<'_, F>, news: &News) {
    match news {
        News::Lost { why, .. } => {
            let told = format!("the connection to its room was lost: {why}");
            watching.lose(&Health::Waits(told));
        }
        News::NotEntered { why, .. } => {
            watching.lose(&Health::Waits(format!("its room cannot be entered now: {why}")));
        }
        News::Returned => {}
    }
}
