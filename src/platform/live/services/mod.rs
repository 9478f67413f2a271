//! The services of a room while it runs: which ones there are, and how they are.
//!
//! | module | holds |
//! |---|---|
//! | `boxed` | the container of a service: what it is given, and how it works in its room |
//! | `contained` | services in containers that run as long as their room does |
//! | `declared` | *pure*: what a stored service asks for, and what of that there is not here |
//! | `external` | services that run elsewhere |
//! | `journal` | what is told of a service in the log of its room |
//! | `life` | *pure*: when a service is started again, and how its state reads |
//! | `lines` | what containers write, as lines of the log |
//! | `on_demand` | services that run when a participant asks for them |
//! | `site` | a service at URLs, wherever it runs: called to the room, and its tools offered there |
//!
//! A service that changes ends, and starts as it is then; one that stays the same goes on. Must not
//! live here: what an engine is told, which is in `containers` and its crate.

mod boxed;
mod contained;
mod declared;
mod external;
mod journal;
mod life;
mod lines;
pub mod on_demand;
mod site;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OnceCell};
use tokio_util::sync::CancellationToken;

use self::boxed::Boxed;
use self::contained::Contained;
use self::declared::Declared;
use self::external::External;
use self::journal::Journal;
use super::room::Room;
use crate::notice;
use crate::platform::objects::services::{Effective, effective};
use crate::room::services::State;

/// The states of services.
pub mod states {
    /// It is being started or called.
    pub const STARTING: &str = "starting";
    /// It was started or called, and has answered.
    pub const RUNNING: &str = "running";
    /// It has ended, or does not answer, and is started or called again.
    pub const FAILING: &str = "failing";
    /// It starts when somebody asks for it.
    pub const IDLE: &str = "idle";
    /// This platform cannot run it.
    pub const UNAVAILABLE: &str = "unavailable";
}

/// The services of a room.
#[derive(Debug, Default)]
pub struct Services {
    running: Mutex<HashMap<String, Running>>,
    /// Whether what an earlier session left was removed.
    cleared: OnceCell<()>,
    /// Who brings the services in line with what is stored.
    aligning: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Running {
    /// What identifies it as it is declared.
    digest: String,
    state: State,
    /// Ends it here.
    stop: CancellationToken,
    /// Signals that it has ended here.
    gone: CancellationToken,
    /// Has it started or called again.
    again: Arc<Notify>,
    /// The names of the participants that it brings along.
    participants: BTreeSet<String>,
}

/// Whether a service is started again.
#[derive(Debug, PartialEq, Eq)]
pub enum Restarted {
    /// It is.
    Yes,
    /// It does not run here: why.
    NotRun(String),
    /// There is no such service.
    Unknown,
}

impl Services {
    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the services are, where participants with these names are present.
    pub fn states(&self, present: &BTreeSet<String>) -> Vec<State> {
        let state = |it: &Running| {
            let absent = it.participants.difference(present).cloned().collect();
            State { absent: Some(absent), ..it.state.clone() }
        };
        self.running().values().map(state).collect()
    }

    /// Starts or calls a service again.
    pub fn restart(&self, id: &str) -> Restarted {
        let running = self.running();
        let Some(service) = running.get(id) else { return Restarted::Unknown };
        let State { state, message, .. } = &service.state;
        match state.as_str() {
            states::UNAVAILABLE => Restarted::NotRun(
                message.clone().unwrap_or_else(|| "the platform cannot run it".to_owned()),
            ),
            states::IDLE => Restarted::NotRun("it starts when somebody asks for it".to_owned()),
            _ => {
                service.again.notify_one();
                Restarted::Yes
            }
        }
    }

    /// Changes how a service is, if it is still there.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut State)) {
        if let Some(service) = self.running().get_mut(id) {
            change(&mut service.state);
        }
    }

    /// Removes, once, the containers of services that an earlier session of the room left.
    async fn clear(&self, room: &Room) {
        self.cleared.get_or_init(|| room.house.containers.clear_services(room)).await;
    }
}

/// Brings the services of a room in line with what is stored.
pub async fn refresh(room: &Arc<Room>) {
    // What was read first is not put above what was read later.
    let _alone = room.services.aligning.lock().await;
    match effective(&room.house.store, &room.project, &room.id).await {
        Ok(services) => align(room, services),
        Err(refusal) => notice::tell("the services of a room were not read", &refusal),
    }
}

fn align(room: &Arc<Room>, services: Vec<Effective>) {
    let mut running = room.services.running();
    let digests: HashMap<&str, String> =
        services.iter().map(|it| (it.id.as_str(), Declared::digest(it))).collect();
    // The services as they were, until they have ended.
    let mut before = HashMap::new();
    running.retain(|id, it| {
        let stays = digests.get(id.as_str()) == Some(&it.digest);
        if !stays {
            it.stop.cancel();
            before.insert(id.clone(), it.gone.clone());
        }
        stays
    });
    for service in services {
        if running.contains_key(&service.id) {
            continue;
        }
        let id = service.id.clone();
        let declared = match Declared::read(service) {
            Ok(declared) => declared,
            Err(error) => {
                notice::tell("a stored service cannot be read", &error);
                continue;
            }
        };
        let before = before.remove(&id);
        running.insert(id, begin(room, declared, before));
    }
}

/// Starts a service, once it has ended as it was before.
fn begin(room: &Arc<Room>, declared: Declared, before: Option<CancellationToken>) -> Running {
    let stop = room.stop.child_token();
    let (gone, again) = (CancellationToken::new(), Arc::new(Notify::new()));
    let participants = declared.spec.participants().into_iter().map(str::to_owned).collect();
    let (id, digest) = (declared.id.clone(), declared.digest.clone());
    let spec = Arc::clone(&declared.spec);
    let has_ended = gone.clone().drop_guard();
    let mut message = declared.impossible();
    let state = if message.is_some() {
        states::UNAVAILABLE
    } else if spec.is_on_demand() {
        message = declared.missing();
        states::IDLE
    } else if let Some(external) = External::of(room, &id, &spec, &again) {
        let stop = stop.clone();
        room.house.run(async move {
            let _has_ended = has_ended;
            stop.run_until_cancelled(external.run()).await;
        });
        states::STARTING
    } else if spec.container.is_some() {
        let name = spec.metadata.name.clone();
        let journal = Journal { room: Arc::clone(room), id: id.clone(), name };
        let boxed = Boxed { journal, declared: Arc::new(declared) };
        let contained = Contained::new(boxed, (Arc::clone(&again), stop.clone()));
        room.house.run(async move {
            let _has_ended = has_ended;
            contained.run(before).await;
        });
        states::STARTING
    } else {
        // It is of connectors alone: nothing of it runs.
        states::UNAVAILABLE
    };
    let state = State { service_id: id, state: state.to_owned(), message, ..State::default() };
    Running { digest, state, stop, gone, again, participants }
}
