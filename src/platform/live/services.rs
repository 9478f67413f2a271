//! The services of a room while it runs: which ones there are, and how they are. Those that run
//! elsewhere are in [`super::external`]; a service that changes is called anew. This platform runs
//! no containers yet.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::external::External;
use super::room::Room;
use crate::kinds::specs::service::ServiceSpec;
use crate::notice;
use crate::platform::objects::services::{Effective, effective};
use crate::room::services::State;

/// The states of services.
pub mod states {
    /// It is being called.
    pub const STARTING: &str = "starting";
    /// It was called, and has answered.
    pub const RUNNING: &str = "running";
    /// It has not answered yet, and is called again.
    pub const FAILING: &str = "failing";
    /// This platform cannot run it.
    pub const UNAVAILABLE: &str = "unavailable";
}

/// The services of a room.
#[derive(Debug, Default)]
pub struct Services(Mutex<HashMap<String, Running>>);

#[derive(Debug)]
struct Running {
    document: String,
    state: State,
    /// Ends it here: it is not called any more.
    stop: CancellationToken,
    /// Has it called again.
    again: Arc<Notify>,
    is_external: bool,
    /// The names of the participants that it brings along.
    participants: BTreeSet<String>,
}

/// Whether a service is started again.
#[derive(Debug, PartialEq, Eq)]
pub enum Restarted {
    /// It is.
    Yes,
    /// This platform does not run it.
    NotRun,
    /// There is no such service.
    Unknown,
}

impl Services {
    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the services are, where participants with these names are present.
    pub fn states(&self, present: &BTreeSet<String>) -> Vec<State> {
        let state = |it: &Running| {
            let absent = it.participants.difference(present).cloned().collect();
            State { absent: Some(absent), ..it.state.clone() }
        };
        self.running().values().map(state).collect()
    }

    /// Calls a service again.
    pub fn restart(&self, id: &str) -> Restarted {
        match self.running().get(id) {
            None => Restarted::Unknown,
            Some(service) if !service.is_external => Restarted::NotRun,
            Some(service) => {
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
}

/// Brings the services of a room in line with what is stored.
pub async fn refresh(room: &Arc<Room>) {
    match effective(&room.house.store, &room.project, &room.id).await {
        Ok(services) => align(room, services),
        Err(refusal) => notice::tell("the services of a room were not read", &refusal),
    }
}

fn align(room: &Arc<Room>, services: Vec<Effective>) {
    let mut running = room.services.running();
    running.retain(|id, it| {
        let stays = services.iter().any(|of| of.id == *id && of.document == it.document);
        if !stays {
            it.stop.cancel();
        }
        stays
    });
    for service in services {
        if running.contains_key(&service.id) {
            continue;
        }
        let spec = match serde_json::from_str::<ServiceSpec>(&service.document) {
            Ok(spec) => spec,
            Err(error) => {
                notice::tell("a stored service cannot be read", &error);
                continue;
            }
        };
        let participants = spec.participants().into_iter().map(str::to_owned).collect();
        let stop = room.stop.child_token();
        let again = Arc::new(Notify::new());
        let external = External::of(room, &service.id, spec, &again);
        let is_external = external.is_some();
        let state = if is_external { states::STARTING } else { states::UNAVAILABLE };
        let state =
            State { service_id: service.id.clone(), state: state.to_owned(), ..State::default() };
        if let Some(external) = external {
            let stop = stop.clone();
            room.house.run(async move {
                stop.run_until_cancelled(external.run()).await;
            });
        }
        let document = service.document;
        let service_here = Running { document, state, stop, again, is_external, participants };
        running.insert(service.id, service_here);
    }
}
