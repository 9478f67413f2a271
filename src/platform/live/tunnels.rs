//! Ways from outside to ports of containers: tunnels, and what goes over published ports once it is
//! no HTTP any more.
//!
//! A way ends with its room, and when something is taken back that let its participant in. It does
//! not keep the room running: who wants that is in the room.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use meshagent_containers::Error;
use sqlx::SqlitePool;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;

use super::containers::owned::{Ownership, labels};
use super::containers::told;
use super::room::Room;
use super::{House, Rooms};
use crate::kinds::specs::scope::ApiScope;
use crate::platform::auth::Tunneler;
use crate::platform::auth::participant::Participant;
use crate::platform::error::{Refusal, Result};
use crate::platform::objects::rooms::Room as StoredRoom;
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::tunnel::{self, Carrying};
use crate::serving::{Lasting, keep_alive};

/// How many ways a participant may have in a room, and how many there may be in one.
const OF_PARTICIPANT: usize = 128;
const OF_ROOM: usize = 512;

/// How long a connection may take to become a websocket.
const UPGRADING: Duration = Duration::from_secs(10);

/// The ways that are open.
#[derive(Debug, Default)]
pub struct Tunnels(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    all: HashMap<u64, Way>,
}

/// A way that is open.
#[derive(Debug)]
struct Way {
    /// The id of the room.
    room: String,
    /// Who goes there; nobody in particular where everybody may.
    participant: Option<Participant>,
    stop: CancellationToken,
}

/// The place of a way that is open, which is free once this is dropped.
#[derive(Debug)]
pub struct Passage {
    house: Arc<House>,
    number: u64,
    /// Tells it to end.
    pub stop: CancellationToken,
}

impl Tunnels {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the ways of participants who may no longer be in a room.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn remove_unwelcome(&self, reads: &SqlitePool, room: &StoredRoom) -> Result<()> {
        let of_room: Vec<_> = {
            let open = self.open();
            let ways = open.all.values().filter(|way| way.room == room.id);
            ways.filter_map(|way| Some((way.participant.clone()?, way.stop.clone()))).collect()
        };
        for (participant, stop) in of_room {
            if !participant.may_stay(reads, room).await? {
                stop.cancel();
            }
        }
        Ok(())
    }
}

impl Passage {
    /// Runs something that goes on there, until the platform closes.
    pub fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.house.run(task);
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.house.tunnels.open().all.remove(&self.number);
    }
}

impl Room {
    /// A place for a way to a port of its containers.
    ///
    /// # Errors
    ///
    /// 503 if there are too many: of the participant, of the room, or in all.
    pub fn pass(&self, participant: Option<&Participant>) -> Result<Passage> {
        let mut open = self.house.tunnels.open();
        let of_room = || open.all.values().filter(|way| way.room == self.id);
        let name = |it: &Participant| it.claims.name.clone();
        let of_name = |own: String| {
            of_room()
                .filter(|way| way.participant.as_ref().map(name).as_ref() == Some(&own))
                .count()
        };
        let own = participant.map(name).map_or(0, of_name);
        let of_room = of_room().count();
        let full = |what: &str, most| {
            Refusal::Unavailable(format!(
                "{what} {most} connections to containers, which is the most"
            ))
        };
        if own >= OF_PARTICIPANT {
            return Err(full("the participant has", OF_PARTICIPANT));
        }
        if of_room >= OF_ROOM {
            return Err(full("the room has", OF_ROOM));
        }
        if open.all.len() >= self.house.limits.tunnels {
            return Err(full("the platform has", self.house.limits.tunnels));
        }
        open.next += 1;
        let (number, stop) = (open.next, self.stop.child_token());
        let (room, participant) = (self.id.clone(), participant.cloned());
        open.all.insert(number, Way { room, participant, stop: stop.clone() });
        drop(open);
        // It was let in a moment ago, and may have been unwelcome since.
        self.house.entered();
        Ok(Passage { house: Arc::clone(&self.house), number, stop })
    }

    /// Connects to a port of one of its containers.
    ///
    /// # Errors
    ///
    /// 404 if it has no such container, or one that is none of the participant's business; 409 if that
    /// does not run, or cannot be reached from here; 502 if nothing listens there; 503 without an
    /// engine.
    pub async fn dial(
        &self,
        (container, port): (&str, u16),
        may: impl FnOnce(&Ownership) -> bool,
    ) -> Result<TcpStream> {
        let containers = &self.house.containers;
        let found = containers.look_at(&self.id, container).await.map_err(refusal)?;
        if !may(&Ownership::read(&found.labels)) {
            return Err(Refusal::Forbidden(
                "the container is private: it is for who started it".into(),
            ));
        }
        let engine = containers.engine().await.map_err(refusal)?;
        let stream = engine.dial(&found, port).await.map_err(|error| match error {
            Error::NobodyListens { .. } => Refusal::Unanswered(error.to_string()),
            error => refusal(told(error)),
        })?;
        // A container that is gone does not always say so.
        keep_alive(&stream);
        Ok(stream)
    }

    /// The id of the container that runs a service, if one does.
    ///
    /// # Errors
    ///
    /// 503 without an engine; 502 if it fails.
    pub async fn container_of(&self, service: &str) -> Result<Option<String>> {
        let states = self.services.states(&BTreeSet::new());
        let state = states.into_iter().find(|state| state.service_id == service);
        if let Some(container) = state.and_then(|state| state.container_id) {
            return Ok(Some(container));
        }
        let containers = &self.house.containers;
        let mut own = containers.labels(&self.id);
        own.insert(labels::SERVICE.to_owned(), service.to_owned());
        let engine = containers.engine().await.map_err(refusal)?;
        let found = engine.list(&own, false).await.map_err(|error| refusal(told(error)))?;
        Ok(found.into_iter().next().map(|it| it.id))
    }
}

/// What a refusal of an operation is over HTTP.
fn refusal(refused: Refused) -> Refusal {
    match refused.code {
        Some(codes::CONTAINER_NOT_FOUND | codes::NOT_FOUND) => Refusal::NotFound(refused.text),
        Some(codes::PERMISSION_DENIED) => Refusal::Forbidden(refused.text),
        Some(codes::INVALID_STATE) => Refusal::Conflict(refused.text),
        Some(codes::DEPENDENCY_MISSING) => Refusal::Unavailable(refused.text),
        _ => Refusal::Unanswered(refused.text),
    }
}

impl Rooms {
    /// A room that runs.
    pub fn find(&self, room: &str) -> Option<Arc<Room>> {
        self.0.open().rooms.get(room).map(|handle| Arc::clone(&handle.room))
    }

    /// Connects a participant to a port of a container of its room. The tunnel is there once
    /// [`Dug::carry`] runs.
    ///
    /// # Errors
    ///
    /// As [`Room::pass`] and [`Room::dial`]; 404 if the room does not run.
    pub async fn dig(&self, tunneler: &Tunneler, (container, port): (&str, u16)) -> Result<Dug> {
        let Tunneler { participant, scope, room } = tunneler;
        let room = self.find(&room.id).ok_or_else(|| {
            let text = format!("the room {:?} does not run, so it has no containers", room.name);
            Refusal::NotFound(text)
        })?;
        let passage = room.pass(Some(participant))?;
        let may = |of: &Ownership| of.admits(&participant.claims.name, Some::<&ApiScope>(scope));
        let stream = room.dial((container, port), may).await?;
        Ok(Dug { passage, stream })
    }
}

/// A tunnel to a container, before its other end is a websocket.
#[derive(Debug)]
pub struct Dug {
    passage: Passage,
    stream: TcpStream,
}

impl Dug {
    /// Carries bytes both ways until one side ends, in a task of its own. `lasting` is the place of
    /// the connection that becomes a websocket; `halves` says whether the other side says which
    /// direction ends.
    pub fn carry(self, upgrade: OnUpgrade, lasting: Lasting, halves: bool) {
        let Self { passage, stream } = self;
        let house = Arc::clone(&passage.house);
        house.run(async move {
            let _lasting = lasting;
            let upgraded = tokio::select! {
                upgraded = timeout(UPGRADING, upgrade) => upgraded,
                () = passage.stop.cancelled() => return,
            };
            let Ok(Ok(upgraded)) = upgraded else { return };
            let (socket, config) = (TokioIo::new(upgraded), tunnel::config());
            let socket = WebSocketStream::from_raw_socket(socket, Role::Server, Some(config)).await;
            let carrying = Carrying { halves, lingers: Duration::ZERO, stop: &passage.stop };
            // Both sides were told how it ended.
            let _ = carrying.carry(stream, socket).await;
        });
    }
}
