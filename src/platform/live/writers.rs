//! The streams of rows that are written in a room. There are only so many at once, and one that
//! waits for its client makes way for another one that waits for its turn.
//!
//! Must not live here: rows, and how tables take them.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meshagent_tables::sqlite::Limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::databases::{late, wait};
use crate::room::content::Refused;

/// How many streams of rows a participant may write at once.
pub const OWN: usize = 16;

/// A stream to which its client has sent nothing for so long makes way for one that waits. Clients of
/// the public SDK 0.31.4 answer each pull at once, unless their own source of rows is slower.
const IDLE: Duration = Duration::from_secs(10);

/// Those who write in a room.
#[derive(Debug)]
pub struct Writers {
    places: Arc<Semaphore>,
    idle: Duration,
    pauses: Mutex<Vec<Arc<Pause>>>,
}

impl Default for Writers {
    fn default() -> Self {
        Self::making_way_after(IDLE)
    }
}

/// A stream, and since when it waits for its client.
#[derive(Debug)]
struct Pause {
    who: Arc<str>,
    state: Mutex<Option<Waits>>,
}

#[derive(Debug)]
struct Waits {
    since: Instant,
    /// Takes for how long it has waited when it has to make way.
    make_way: oneshot::Sender<Duration>,
}

impl Pause {
    fn state(&self) -> MutexGuard<'_, Option<Waits>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> Option<Duration> {
        self.state().as_ref().map(|waits| waits.since.elapsed())
    }
}

impl Writers {
    fn making_way_after(idle: Duration) -> Self {
        let places = Arc::new(Semaphore::new(Limits::default().writers));
        Self { places, idle, pauses: Mutex::default() }
    }

    /// A turn to write, of which a participant has only so many.
    ///
    /// # Errors
    ///
    /// It does not come until `end`.
    pub async fn turn(
        self: &Arc<Self>,
        who: &Arc<str>,
        share: &Arc<Semaphore>,
        end: Instant,
    ) -> Result<Writing, Refused> {
        let own = wait(share, end, self.idle, || self.make_way(Some(who))).await?;
        let own = own.ok_or_else(|| {
            late(format!("you write {OWN} streams of rows already; end one of them"))
        })?;
        let all = wait(&self.places, end, self.idle, || self.make_way(None)).await?;
        let all = all.ok_or_else(|| {
            let most = Limits::default().writers;
            late(format!(
                "{most} streams of rows are written in this room already; try again later"
            ))
        })?;
        let pause = Arc::new(Pause { who: Arc::clone(who), state: Mutex::default() });
        self.pauses().push(Arc::clone(&pause));
        Ok(Writing { writers: Arc::clone(self), pause, _permits: (own, all) })
    }

    /// Ends the stream, of all or of one participant, that has waited longest for its client, if it
    /// has waited for long.
    fn make_way(&self, who: Option<&Arc<str>>) {
        let pauses = self.pauses();
        let meant = pauses.iter().filter(|pause| who.is_none_or(|who| pause.who == *who));
        let idle = meant.filter_map(|pause| Some((pause.idle()?, pause)));
        let longest = idle.filter(|(time, _)| *time >= self.idle).max_by_key(|(time, _)| *time);
        if let Some((time, pause)) = longest
            && let Some(waits) = pause.state().take()
        {
            // If something has just come, it goes on, and whoever waits asks again.
            let _ = waits.make_way.send(time);
        }
    }

    fn pauses(&self) -> MutexGuard<'_, Vec<Arc<Pause>>> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn to write a stream of rows.
#[derive(Debug)]
pub struct Writing {
    writers: Arc<Writers>,
    pause: Arc<Pause>,
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Writing {
    /// Waits for the client, which is to be something that can be given up.
    ///
    /// # Errors
    ///
    /// Nothing comes, and the stream makes way for another one.
    pub async fn client<T>(&self, next: impl Future<Output = T>) -> Result<T, Refused> {
        let (make_way, told) = oneshot::channel();
        *self.pause.state() = Some(Waits { since: Instant::now(), make_way });
        let came = tokio::select! {
            biased;
            came = next => Ok(came),
            Ok(idle) = told => Err(late(format!(
                "no rows came for {} seconds, and others waited for their turn to write, so none of this stream was written; write the rows again, without such a pause",
                idle.as_secs()
            ))),
        };
        *self.pause.state() = None;
        came
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.writers.pauses().retain(|pause| !Arc::ptr_eq(pause, &self.pause));
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::room::codes;

    struct Participant(Arc<str>, Arc<Semaphore>);

    impl Participant {
        fn new(who: impl ToString) -> Self {
            Self(who.to_string().into(), Arc::new(Semaphore::new(OWN)))
        }

        async fn turn(&self, of: &Arc<Writers>) -> Writing {
            let end = Instant::now() + Duration::from_secs(30);
            of.turn(&self.0, &self.1, end).await.unwrap()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_waits_for_its_client_makes_way_for_another() {
        let writers = Arc::new(Writers::default());
        let mut idle = tokio::task::JoinSet::new();
        for who in 0..4 {
            let busy = Participant::new(who);
            for number in 0..OWN {
                let turn = busy.turn(&writers).await;
                idle.spawn(async move {
                    let told = turn.client(pending::<()>()).await.unwrap_err();
                    (who, number, told)
                });
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        assert_eq!(writers.places.available_permits(), 0);
        let began = Instant::now();
        let newcomer = Participant::new("newcomer");
        let turn = newcomer.turn(&writers).await;
        assert!(began.elapsed() >= IDLE - Duration::from_secs(1), "{:?}", began.elapsed());
        let (who, number, told) = idle.join_next().await.unwrap().unwrap();
        assert_eq!((who, number, told.code), (0, 0, Some(codes::TIMEOUT)));
        assert!(told.text.starts_with("no rows came for 1"), "{told:?}");
        assert_eq!(idle.len(), 63);
        drop(turn);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_writes_slowly_goes_on_while_there_are_turns() {
        let writers = Arc::new(Writers::default());
        let slow = Participant::new("slow");
        let turn = slow.turn(&writers).await;
        let hour = tokio::time::sleep(Duration::from_secs(3600));
        let newcomer = Participant::new("newcomer");
        let (came, _other) = tokio::join!(turn.client(hour), newcomer.turn(&writers));
        came.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_works_on_rows_makes_no_way() {
        let writers = Arc::new(Writers::default());
        let busy = Participant::new("busy");
        let mut turns = Vec::new();
        for _ in 0..OWN {
            let turn = busy.turn(&writers).await;
            turn.client(ready(())).await.unwrap();
            turns.push(turn);
        }
        let end = Instant::now() + Duration::from_secs(30);
        let told = writers.turn(&busy.0, &busy.1, end).await.unwrap_err();
        assert!(told.text.contains("you write 16 streams"), "{told:?}");
    }
}
