//! The services of a room while it runs. Those that run elsewhere (`external`) are called when the
//! room starts, and again until they answer; a service that changes is called anew. This platform
//! runs no containers yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::room::Room;
use super::toolkits::agents::{admit, invite};
use crate::api::http;
use crate::error::with_causes;
use crate::kinds::specs::service::{MeshagentEndpointSpec, ServiceSpec};
use crate::notice;
use crate::platform::auth::participant::Given;
use crate::platform::auth::scope;
use crate::platform::error::Result;
use crate::platform::objects::services::{Effective, effective};
use crate::room::developer::Event;
use crate::room::services::State;

/// How long to wait before a service is called again, at first and at most.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// How long a service may take to say that it is alive.
const ALIVE: Duration = Duration::from_secs(5);

/// The states of services.
mod states {
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

    /// How the services are.
    pub fn states(&self) -> Vec<State> {
        self.running().values().map(|it| it.state.clone()).collect()
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

    fn change(&self, id: &str, change: impl FnOnce(&mut State)) {
        if let Some(service) = self.running().get_mut(id) {
            change(&mut service.state);
        }
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
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
        let Ok(spec) = serde_json::from_str::<ServiceSpec>(&service.document) else { continue };
        let url = spec.external.as_ref().and_then(|external| external.url.clone());
        let stop = room.stop.child_token();
        let again = Arc::new(Notify::new());
        let state = if url.is_some() { states::STARTING } else { states::UNAVAILABLE };
        let state =
            State { service_id: service.id.clone(), state: state.to_owned(), ..State::default() };
        if let Some(url) = &url {
            let attending = Attending {
                room: Arc::clone(room),
                id: service.id.clone(),
                name: spec.metadata.name.clone(),
                url: url.trim_end_matches('/').to_owned(),
                spec,
                again: Arc::clone(&again),
            };
            let stop = stop.clone();
            room.house.run(async move {
                stop.run_until_cancelled(attending.run()).await;
            });
        }
        let is_external = url.is_some();
        let document = service.document;
        running.insert(service.id, Running { document, state, stop, again, is_external });
    }
}

/// A service that runs elsewhere.
struct Attending {
    room: Arc<Room>,
    id: String,
    name: String,
    url: String,
    spec: ServiceSpec,
    again: Arc<Notify>,
}

impl Attending {
    /// Calls the service, again and again until it answers; and once more when that is asked for.
    async fn run(self) {
        loop {
            self.reach().await;
            let started_at = Some(now());
            self.room.services.change(&self.id, |state| {
                state.state = states::RUNNING.to_owned();
                state.started_at = started_at;
                state.restart_scheduled_at = None;
            });
            self.log("INFO", "the service was called to the room");
            self.again.notified().await;
            self.room.services.change(&self.id, |state| {
                state.state = states::STARTING.to_owned();
                state.restart_count += 1;
            });
        }
    }

    async fn reach(&self) {
        let mut pause = PAUSE;
        while let Err(what) = self.call().await {
            self.log("ERROR", &format!("the service was not called to the room: {what}"));
            let at = Some(now() + pause.as_secs_f64());
            self.room.services.change(&self.id, |state| {
                state.state = states::FAILING.to_owned();
                state.restart_scheduled_at = at;
                state.restart_count += 1;
            });
            tokio::select! {
                () = sleep(pause) => {}
                () = self.again.notified() => {}
            }
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Calls each of its endpoints that is an agent's.
    async fn call(&self) -> Result<(), String> {
        for port in self.spec.ports.iter().flatten() {
            if let Some(path) = &port.liveness {
                self.is_alive(path).await?;
            }
            for endpoint in &port.endpoints {
                if let Some(agent) = &endpoint.meshagent {
                    self.invite(&endpoint.path, agent).await?;
                }
            }
        }
        Ok(())
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{}", self.url, path.trim_start_matches('/'))
    }

    async fn is_alive(&self, path: &str) -> Result<(), String> {
        let url = self.at(path);
        let client = http::build(http::of_platform(&url)).map_err(|error| with_causes(&error))?;
        let answer = timeout(ALIVE, http::send(client.get(&url))).await;
        let answer = answer.map_err(|_| "it does not say that it is alive".to_owned())?;
        let status = answer.map_err(|unanswered| unanswered.to_string())?.status();
        match status.as_u16() {
            200 => Ok(()),
            _ => Err(format!("it is not alive: {path} answered with {status}")),
        }
    }

    async fn invite(&self, path: &str, agent: &MeshagentEndpointSpec) -> Result<(), String> {
        let api = match &agent.api {
            Some(api) => serde_json::to_value(api).map_err(|error| error.to_string())?,
            None => scope::usual(),
        };
        let store = &self.room.house.store;
        let signed = async {
            let given = Given::of_owner(store.reads(), &self.room.project).await?;
            let who = (agent.identity.as_str(), "agent");
            admit(&self.room, given, who, scope::present(api)).await
        };
        let token = signed.await.map_err(|refusal| refusal.to_string())?;
        let room = (self.room.name.clone(), self.room.url.clone());
        let invited = invite(&self.room, &room, &token, (&self.at(path), json!({}))).await;
        invited.map_err(|refused| refused.text)
    }

    /// Logs a line for those who watch the room.
    fn log(&self, severity: &str, body: &str) {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let about = [
            ("service.name", self.name.as_str()),
            ("meshagent.room", self.room.name.as_str()),
            ("meshagent.session", self.room.session.as_str()),
        ];
        let extra = Map::from_iter([("service_id".to_owned(), Value::from(self.id.clone()))]);
        self.room.log(&Event::logged(nanos, severity, body, &extra, &about));
    }
}
