//! What lives in memory: the rooms that somebody is in, each a task of its own.
//!
//! | module | holds |
//! |---|---|
//! | `connection` | the websocket of a participant: what it receives and sends, how it ends |
//! | `room` | a room: who is in it, and what it answers |
//!
//! A toolkit of rooms is a file here. What outlives a room is a row in `objects`. `auth` decides
//! who may enter before anything here is called. Nothing here knows about routes.

mod connection;
mod room;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::room::{Event, Running};
use super::auth::Entrant;
use super::error::{Refusal, Result};
use crate::serving::Lasting;

/// How many events of its participants may wait for a room before further senders have to wait.
const WAITING: usize = 64;

/// How long participants have to disconnect when the platform closes.
const FAREWELL: Duration = Duration::from_secs(2);

/// How many bytes of messages are parsed at once. The parsed messages may be a hundred times as
/// large until their room has handled them.
const READING: usize = 1024 * 1024;

/// The rooms that run. Clones share them.
#[derive(Debug, Clone)]
pub struct Rooms {
    open: Arc<Mutex<Open>>,
    /// What may be parsed at once, with a permit for each byte.
    reading: Arc<Semaphore>,
    /// How many participants there may be, in all rooms.
    most: usize,
}

#[derive(Debug, Default)]
struct Open {
    /// By the ids of their rows.
    rooms: HashMap<String, Handle>,
    /// The tasks of rooms and of connections.
    tasks: JoinSet<()>,
    is_closed: bool,
}

/// A room that runs: how it is reached, how it is ended, how many are in it.
#[derive(Debug)]
struct Handle {
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
    seats: usize,
}

/// A participant's place in a room. The room runs as long as there is one.
#[derive(Debug)]
struct Seat {
    rooms: Rooms,
    /// The id of the room's row.
    room: String,
    /// The participant's id.
    participant: String,
    events: mpsc::Sender<Event>,
    /// Signals that the room ends.
    stop: CancellationToken,
}

/// A participant that arrives.
pub struct Arrival {
    /// Who, and where.
    pub entrant: Entrant,
    /// The room's URL as it was reached.
    pub url: String,
    /// The connection, once it is a websocket.
    pub upgrade: OnUpgrade,
    /// Its place among connections.
    pub lasting: Lasting,
}

impl Rooms {
    /// No rooms yet, for a platform with so many connections. Participants get half of them, so
    /// that others can still reach it.
    pub fn new(connections: usize) -> Self {
        let reading = Arc::new(Semaphore::new(READING));
        Self { open: Arc::default(), reading, most: (connections / 2).max(1) }
    }

    /// The ids of the rooms that run.
    pub fn running(&self) -> Vec<String> {
        self.open().rooms.keys().cloned().collect()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a participant in. The first one starts the room, and after the last it has ended.
    ///
    /// # Errors
    ///
    /// 503 while the platform closes, and if there are too many participants.
    pub fn enter(&self, arrival: Arrival) -> Result<()> {
        let mut open = self.open();
        let seats: usize = open.rooms.values().map(|handle| handle.seats).sum();
        if open.is_closed || seats >= self.most {
            return Err(Refusal::Busy);
        }
        let Open { rooms, tasks, .. } = &mut *open;
        while tasks.try_join_next().is_some() {}
        let room = &arrival.entrant.room;
        let handle = rooms.entry(room.id.clone()).or_insert_with(|| {
            let (events, taken) = mpsc::channel(WAITING);
            tasks.spawn(Running::begin().run(taken));
            Handle { events, stop: CancellationToken::new(), seats: 0 }
        });
        handle.seats += 1;
        let seat = Seat {
            rooms: self.clone(),
            room: room.id.clone(),
            participant: uuid::Uuid::new_v4().to_string(),
            events: handle.events.clone(),
            stop: handle.stop.clone(),
        };
        tasks.spawn(connection::attend(arrival, seat));
        Ok(())
    }

    /// Ends a room that was deleted, if it runs.
    pub fn end(&self, room: &str) {
        if let Some(handle) = self.open().rooms.remove(room) {
            handle.stop.cancel();
        }
    }

    /// Ends all rooms, and lets nobody in any more. It takes no longer than participants have to
    /// disconnect.
    pub async fn close(&self) {
        let mut tasks = {
            let mut open = self.open();
            open.is_closed = true;
            open.rooms.drain().for_each(|(_, handle)| handle.stop.cancel());
            std::mem::take(&mut open.tasks)
        };
        let ended = async { while tasks.join_next().await.is_some() {} };
        if timeout(FAREWELL, ended).await.is_err() {
            tracing::warn!("participants were disconnected when their rooms closed");
            tasks.shutdown().await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.rooms.open();
        // A room that was ended is not in the list, but another one with its id may be.
        let Some(handle) = open.rooms.get_mut(&self.room) else { return };
        if !handle.events.same_channel(&self.events) {
            return;
        }
        handle.seats -= 1;
        if handle.seats == 0 {
            open.rooms.remove(&self.room);
        }
    }
}
