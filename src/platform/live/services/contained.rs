//! Services in containers that run as long as their room does: started with it, started again when
//! they end, and removed with it. What is decided is in [`super::life`]; here it is done.

use std::sync::Arc;
use std::time::Duration;

use meshagent_containers::{Engine, Error};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::super::room::now;
use super::boxed::{Boxed, Made, News};
use super::life::{Backoff, End, Life, Next, brief, note};
use super::{lines, states};
use crate::notice;
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::services::State;

/// How long a container has to end by itself when its service is changed, removed or started again.
const GRACE: Duration = Duration::from_secs(10);

/// How long what a container wrote last may take to arrive after its end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A service in a container.
pub struct Contained {
    boxed: Boxed,
    /// Has it started again.
    again: Arc<Notify>,
    /// Signals that it is over: it is changed or removed, or the room ends.
    stop: CancellationToken,
    /// The container that ended last. It stays until the next one starts, so that people see what it
    /// wrote.
    last: Option<Made>,
}

impl Contained {
    /// A service that has not started yet. One signal has it started again, one ends it.
    pub fn new(boxed: Boxed, (again, stop): (Arc<Notify>, CancellationToken)) -> Self {
        Self { boxed, again, stop, last: None }
    }

    /// Runs it until it is over. `before` is the service as it was before, which ends first.
    pub async fn run(mut self, before: Option<CancellationToken>) {
        if let Some(before) = before {
            before.cancelled().await;
        }
        let room = Arc::clone(&self.boxed.journal.room);
        room.services.clear(&room).await;
        let mut life = Life::default();
        let mut was = None;
        loop {
            self.change(|state| state.state = states::STARTING.to_owned());
            let (end, ran) = self.once().await;
            let next = life.decide(&end, ran);
            self.change(|state| note(state, (&end, &next), now()));
            // That there is no engine is told once.
            if was.as_ref() != Some(&end) || !matches!(end, End::Unequipped(_)) {
                self.tell(&end);
            }
            was = Some(end);
            let pause = match next {
                Next::Leave => break,
                Next::Rest => Duration::MAX,
                Next::Start(pause) => pause,
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.again.notified() => {}
                () = self.stop.cancelled() => break,
            }
        }
        self.remove_last().await;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.boxed.journal.room.services.change(&self.boxed.declared.id, change);
    }

    /// Tells those who watch the room how it ended.
    fn tell(&self, end: &End) {
        let journal = &self.boxed.journal;
        match end {
            End::Over => {}
            End::Asked => journal.log("INFO", "the service is started again"),
            End::Unequipped(why) | End::Impossible(why) | End::NotStarted(why) => {
                journal.log("ERROR", &format!("the service was not started: {why}"));
            }
            End::Exited(code) => {
                journal.log("ERROR", &format!("the service ended with the code {code}"));
            }
            End::Removed => journal.log("ERROR", "the container of the service was removed"),
            End::Dead(why) => journal.log("ERROR", &format!("the service was ended: {why}")),
        }
    }

    /// Starts it and looks after it until it ends; how it did, and how long it ran.
    async fn once(&mut self) -> (End, Duration) {
        let fetched = tokio::select! {
            fetched = self.boxed.fetch() => fetched,
            () = self.stop.cancelled() => return (End::Over, Duration::ZERO),
        };
        self.remove_last().await;
        self.change(|state| state.container_id = None);
        if self.stop.is_cancelled() {
            return (End::Over, Duration::ZERO);
        }
        // It is not interrupted: what is made is known, and removed if it is over meanwhile.
        let made = match fetched {
            Ok(()) => self.boxed.make(None, Vec::new()).await,
            Err(why) => Err(why),
        };
        let made = match made {
            Ok(made) => made,
            Err(why) => return (not_started(why), Duration::ZERO),
        };
        self.change(|state| {
            state.container_id = Some(made.id.clone());
            state.started_at = Some(now());
            state.restart_scheduled_at = None;
        });
        let begun = Instant::now();
        let room = Arc::clone(&self.boxed.journal.room);
        let end = match room.house.containers.engine().await {
            Ok(engine) => {
                let end = self.attend(engine, &made).await;
                let ends = matches!(end, End::Asked | End::Dead(_) | End::Over);
                // All containers of a room that ends are removed at once.
                if ends && !room.stop.is_cancelled() {
                    stop(engine, &made.id).await;
                }
                end
            }
            Err(why) => not_started(why),
        };
        self.last = Some(made);
        (end, begun.elapsed())
    }

    async fn attend(&self, engine: &Engine, made: &Made) -> End {
        let mut logs = JoinSet::new();
        let journal = self.boxed.journal.clone();
        logs.spawn(lines::follow(engine.clone(), journal, made.id.clone()));
        let missing = self.boxed.declared.missing();
        let tell = |news: News<'_>| {
            self.change(|state| {
                let (word, message) = match news {
                    News::Works => (states::RUNNING, missing.clone()),
                    News::Begins(why) => (states::STARTING, Some(brief(why))),
                    News::Silent(why) => (states::FAILING, Some(brief(why))),
                };
                word.clone_into(&mut state.state);
                state.message = message;
            });
        };
        tokio::select! {
            end = exit(engine, &made.id) => {
                let _ = timeout(LAST_WORDS, logs.join_next()).await;
                end
            }
            why = self.boxed.work(made, tell) => End::Dead(why),
            () = self.again.notified() => End::Asked,
            () = self.stop.cancelled() => End::Over,
        }
    }

    /// Removes the container that ended last, unless its room ends, which removes all.
    async fn remove_last(&mut self) {
        let Some(made) = self.last.take() else { return };
        let room = &self.boxed.journal.room;
        if room.stop.is_cancelled() {
            return;
        }
        if let Ok(engine) = room.house.containers.engine().await {
            remove(engine, &made.id).await;
        }
    }
}

/// How the container of a service ends. An engine that is gone is asked again: the container may
/// still run.
pub async fn exit(engine: &Engine, container: &str) -> End {
    let mut backoff = Backoff::default();
    loop {
        match engine.wait(container).await {
            Ok(code) => return End::Exited(code),
            Err(Error::NoContainer { .. }) => return End::Removed,
            Err(error) => notice::tell("a container is not waited for", &error),
        }
        sleep(backoff.after(Duration::ZERO)).await;
    }
}

async fn stop(engine: &Engine, container: &str) {
    match engine.stop(container, GRACE).await {
        // It has ended, or is gone.
        Ok(()) | Err(Error::Conflict { .. } | Error::NoContainer { .. }) => {}
        Err(error) => notice::tell("a container was not stopped", &error),
    }
}

async fn remove(engine: &Engine, container: &str) {
    match engine.remove(container, true).await {
        Ok(()) | Err(Error::NoContainer { .. }) => {}
        Err(error) => notice::tell("a container was not removed", &error),
    }
}

/// How a start failed: what lies in the request is never otherwise.
fn not_started(why: Refused) -> End {
    match why.code {
        Some(codes::INVALID_REQUEST) => End::Impossible(why.text),
        Some(codes::DEPENDENCY_MISSING) => End::Unequipped(why.text),
        _ => End::NotStarted(why.text),
    }
}
