//! What lives in memory: the rooms that somebody is in.
//!
//! | module | holds |
//! |---|---|
//! | `calls` | what participants ask: from the message to the answer |
//! | `clock` | runs scheduled tasks when they are due |
//! | `connection` | the websocket of a participant: what it receives and sends, how it ends |
//! | `deliveries` | what happens is told to webhooks |
//! | `containers` | the containers of rooms |
//! | `databases` | the tables and memories of rooms |
//! | `documents` | documents that several edit at once |
//! | `downloads` | addresses from which files can be downloaded for a while |
//! | `files` | the files of rooms, on disk |
//! | `gates` | who may do what, by the scope of the token |
//! | `guest` | a participant, as long as its connection lasts |
//! | `hosted` | toolkits that participants offer, and the calls that are forwarded to them |
//! | `inside` | participants of this process |
//! | `keeper` | looks after the queues of a room, in the store |
//! | `lease` | which process has the rooms of a data folder |
//! | `limits` | what rooms may use |
//! | `localhost` | what agents call to a room by URLs of the room's machine |
//! | `operations` | the one table of what a room does |
//! | `outgoing` | what waits for a participant to read it |
//! | `queues` | the queues of rooms, as operations use them |
//! | `requests` | what participants are asked for, and have not answered yet |
//! | `room` | a room: who is in it, and what they are told |
//! | `servers` | MCP servers of services, whose tools are toolkits of a room |
//! | `services` | the services of a room while it runs: in containers, and elsewhere |
//! | `session` | the record of a room's run |
//! | `tokens` | tokens for which people have signed in elsewhere: codes become tokens, and old ones new |
//! | `toolkits` | one file for each toolkit that every room has |
//! | `tunnels` | ways from outside to ports of containers |
//! | `turns` | turns to change the tables or memories of a room, which go round by participant |
//! | `unwelcome` | participants who may no longer be where they are |
//! | `writers` | the streams of rows that are written in a room, and which makes way for another |
//!
//! What outlives a room is a row in `objects`, or a file. `auth` decides who may enter before
//! anything here is called. Nothing here knows about routes.

mod calls;
mod clock;
mod connection;
mod containers;
mod databases;
pub mod deliveries;
mod documents;
pub mod downloads;
pub mod files;
mod gates;
mod guest;
mod hosted;
mod inside;
mod keeper;
pub mod lease;
mod limits;
mod localhost;
pub mod operations;
mod outgoing;
mod queues;
mod requests;
mod room;
mod servers;
mod services;
mod session;
mod tokens;
mod toolkits;
mod tunnels;
mod turns;
mod unwelcome;
mod writers;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use secrecy::SecretString;
use tokio::sync::{OnceCell, Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use self::calls::refused;
use self::containers::Containers;
pub use self::containers::Settings as ContainerSettings;
use self::databases::Databases;
use self::deliveries::Deliveries;
use self::documents::Documents;
use self::downloads::Downloads;
use self::files::Files;
pub use self::gates::TUNNELS;
use self::lease::Lease;
pub use self::limits::Limits;
use self::queues::RoomQueues;
use self::room::Room;
pub use self::room::Room as LiveRoom;
pub use self::tunnels::Passage;
use self::tunnels::Tunnels;
use super::auth::participant::Participant;
use super::error::{Refusal, Result};
use super::host::reachable;
use super::objects::rooms::Room as StoredRoom;
use super::objects::sessions::{self, Session};
use super::store::Store;
use crate::listed::{counted, few};
use crate::notice;
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::queues::Send as Put;
use crate::serving::Lasting;

/// How long participants have to disconnect when the platform closes.
const FAREWELL: Duration = Duration::from_secs(2);

/// The folder of the files of rooms, beside the store.
const FOLDER: &str = "rooms";

/// Somebody entered a room since who may be where was checked.
const UNCHECKED: i64 = -1;

/// What all rooms share.
#[derive(Debug)]
pub struct House {
    /// The store.
    pub store: Arc<Store>,
    /// Signs addresses of files.
    pub downloads: Downloads,
    /// Tells webhooks what happens.
    pub deliveries: Deliveries,
    /// What rooms may use.
    pub limits: Limits,
    /// What may be parsed at once, with a permit for each byte. Parsed, a message may take many
    /// times as much memory.
    reading: Arc<Semaphore>,
    folder: PathBuf,
    /// The queues of rooms that were used since the start, by the ids of the rooms.
    queues: Mutex<HashMap<String, RoomQueues>>,
    /// The documents that are open in rooms.
    documents: Documents,
    /// The tables and memories of the rooms that run.
    databases: Databases,
    /// The containers of the rooms that run.
    pub containers: Containers,
    /// The ways to ports of containers that are open.
    tunnels: Tunnels,
    /// Up to which revision of the store it is known that everybody may be where they are.
    checked: AtomicI64,
    /// Where this process is reached.
    url: String,
    /// The rooms of the folder, once this process has them.
    lease: OnceCell<Lease>,
    /// Signals that the platform closes.
    closing: CancellationToken,
    open: Mutex<Open>,
}

/// The rooms that run. Clones share them.
#[derive(Debug, Clone)]
pub struct Rooms(Arc<House>);

#[derive(Debug, Default)]
struct Open {
    /// By the ids of their rows.
    rooms: HashMap<String, Handle>,
    /// The tasks of rooms and of connections.
    tasks: JoinSet<()>,
    is_closed: bool,
}

impl Open {
    /// Whether a participant may enter a room, given by its id if it has one yet.
    fn has_place(&self, limits: &Limits, room: Option<&str>) -> bool {
        let seats: usize = self.rooms.values().map(|handle| handle.seats).sum();
        let has_room = match room.and_then(|room| self.rooms.get(room)) {
            Some(_) => true,
            None => self.rooms.len() < limits.rooms,
        };
        !self.is_closed && seats < limits.participants && has_room
    }
}

/// A room that runs, and how many are in it.
#[derive(Debug)]
struct Handle {
    room: Arc<Room>,
    /// Signals that its beginning is recorded.
    begun: CancellationToken,
    seats: usize,
    /// How many of them the room goes on for.
    keeping: usize,
    /// How long it goes on without participants.
    lingers: Duration,
    /// How often it has become empty.
    emptied: u64,
}

/// A participant's place in a room.
#[derive(Debug)]
struct Seat {
    room: Arc<Room>,
    begun: CancellationToken,
    /// Whether the room goes on for it. For those whom its services bring along it does not.
    keeps: bool,
}

/// A participant that arrives.
pub struct Arrival {
    /// Who.
    pub participant: Participant,
    /// Where.
    pub room: StoredRoom,
    /// The room's URL as it was reached.
    pub url: String,
    /// The connection, once it is a websocket.
    pub upgrade: OnUpgrade,
    /// Its place among connections.
    pub lasting: Lasting,
    /// How large the slices may be that it is sent, in bytes.
    pub slices: usize,
}

impl House {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs something for a room, until the platform closes.
    fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut open = self.open();
        while open.tasks.try_join_next().is_some() {}
        if !open.is_closed {
            open.tasks.spawn(task);
        }
    }

    /// The session of a room, if it runs.
    fn session_of(&self, room: &str) -> Option<String> {
        self.open().rooms.get(room).map(|handle| handle.room.session.clone())
    }

    /// Notes that somebody has entered a room who was let in a moment ago.
    fn entered(&self) {
        self.checked.store(UNCHECKED, Ordering::SeqCst);
    }

    /// The queues of a room.
    fn queues(&self, room: &str) -> RoomQueues {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queues) = queues.get(room) {
            return queues.clone();
        }
        let (own, keeping) = RoomQueues::of(Arc::clone(&self.store), room.to_owned());
        self.run(keeping);
        queues.insert(room.to_owned(), own.clone());
        own
    }

    /// The files of a room.
    pub fn files(&self, room: &str) -> Files {
        Files::of(&self.folder, room)
    }

    /// Removes the files of rooms that were deleted while nobody could remove them.
    async fn remove_deleted(&self) -> Result<()> {
        for room in Files::rooms(&self.folder) {
            // A room has a row before it has files.
            if !StoredRoom::is_there(self.store.reads(), &room).await? {
                let files = self.files(&room);
                let removed = tokio::task::spawn_blocking(move || files.remove()).await;
                removed.map_err(Refusal::internal)?.map_err(Refusal::internal)?;
            }
        }
        Ok(())
    }

    /// Takes the rooms of the folder for this process, if it has not got them yet.
    async fn hold(self: &Arc<Self>) -> Result<()> {
        let take = async {
            let lease = Lease::take(self.store.folder(), &self.url).await?;
            // What an earlier process left is ended: nothing of it can still be going on.
            Files::sweep(&self.folder);
            self.run(clock::run(Arc::downgrade(self), self.closing.clone()));
            let (house, now) = (Arc::clone(self), sessions::now());
            self.run(async move {
                match sessions::end_all(&house.store, &now).await {
                    Ok(ended) => {
                        for session in ended {
                            let events = [session::ended(&session.room_name)];
                            house.deliveries.tell(&session.project, &events).await;
                        }
                    }
                    Err(refusal) => {
                        notice::tell("the sessions of an earlier process were not ended", &refusal);
                    }
                }
                house.deliveries.resume().await;
                if let Err(refusal) = house.remove_deleted().await {
                    notice::tell("files of deleted rooms were not removed", &refusal);
                }
            });
            self.run(containers::sweep_later(Arc::downgrade(self), self.closing.clone()));
            Ok(lease)
        };
        self.lease.get_or_try_init(|| take).await.map(drop)
    }
}

impl Rooms {
    /// No rooms yet.
    ///
    /// # Errors
    ///
    /// The system has no random bytes.
    pub fn new(
        store: Arc<Store>,
        address: SocketAddr,
        limits: Limits,
        secret: Option<SecretString>,
        containers: ContainerSettings,
    ) -> Result<Self> {
        let folder = store.folder().join(FOLDER);
        let containers = Containers::new(containers, store.folder());
        Ok(Self(Arc::new(House {
            downloads: Downloads::new()?,
            deliveries: Deliveries::new(Arc::clone(&store), secret),
            limits,
            reading: Arc::new(Semaphore::new(limits.message * 2)),
            folder,
            store,
            queues: Mutex::default(),
            documents: Documents::default(),
            databases: Databases::default(),
            containers,
            tunnels: Tunnels::default(),
            checked: AtomicI64::new(UNCHECKED),
            url: format!("http://{}", reachable(address)),
            lease: OnceCell::new(),
            closing: CancellationToken::new(),
            open: Mutex::default(),
        })))
    }

    /// What all rooms share.
    pub fn house(&self) -> &House {
        &self.0
    }

    /// The ids of the rooms that run.
    pub fn running(&self) -> Vec<String> {
        self.0.open().rooms.keys().cloned().collect()
    }

    /// Whether a participant could enter a room that does not run now.
    pub fn has_place(&self) -> bool {
        self.0.open().has_place(&self.0.limits, None)
    }

    /// Lets a participant in. The first one starts the room, and after the last it has ended.
    ///
    /// # Errors
    ///
    /// 503 while the platform closes, if there are too many participants or rooms, and if another
    /// process has the rooms of this folder.
    pub async fn enter(&self, arrival: Arrival) -> Result<()> {
        let house = &self.0;
        house.hold().await?;
        let mut open = house.open();
        if !open.has_place(&house.limits, Some(&arrival.room.id)) {
            return Err(Refusal::Busy);
        }
        let Open { rooms, tasks, .. } = &mut *open;
        let id = arrival.room.id.clone();
        // A room that starts goes on for whoever starts it.
        let keeps = !arrival.participant.is_of_service() || !rooms.contains_key(&id);
        let handle = rooms.entry(id).or_insert_with(|| self.begin(&arrival, tasks));
        handle.seats += 1;
        handle.keeping += usize::from(keeps);
        let seat = Seat { room: Arc::clone(&handle.room), begun: handle.begun.clone(), keeps };
        tasks.spawn(connection::attend(arrival, seat));
        Ok(())
    }

    /// Starts a room, and what belongs to it.
    fn begin(&self, arrival: &Arrival, tasks: &mut JoinSet<()>) -> Handle {
        let (row, url) = (&arrival.room, arrival.url.clone());
        let (records, recorded) = session::records();
        let project = arrival.participant.claims.sub.clone();
        let (id, name) = (row.id.clone(), row.name.clone());
        let about = (id.clone(), project.clone(), name.clone(), url.clone());
        let room = Arc::new(Room::new(about, Arc::clone(&self.0), records));
        let session = Session { id: room.session.clone(), project, room_id: id, room_name: name };
        let begun = CancellationToken::new();
        let (tell, told) = oneshot::channel();
        let (signal, of) = (begun.clone(), Arc::clone(&room));
        tasks.spawn(async move {
            // If it fails, the room goes on without it.
            let _ = told.await;
            signal.cancel();
            services::refresh(&of).await;
        });
        tasks.spawn(session::keep(session, url, Arc::clone(&self.0), recorded, tell));
        tasks.spawn(containers::end_with(Arc::clone(&room)));
        let (runtime, unread) = row.runtime();
        for problem in unread {
            notice::tell(&format!("an annotation of the room {:?} is ignored", room.name), problem);
        }
        if let Some(most) = runtime.most {
            let (house, id, stop) = (Arc::downgrade(&self.0), room.id.clone(), room.stop.clone());
            tasks.spawn(async move {
                if stop.run_until_cancelled(tokio::time::sleep(most)).await.is_some()
                    && let Some(house) = house.upgrade()
                {
                    Self(house).end(&id);
                }
            });
        }
        Handle { room, begun, seats: 0, keeping: 0, lingers: runtime.lingers, emptied: 0 }
    }

    /// Brings the services of the running rooms of a project in line with what is stored. Callers
    /// do not wait for that.
    pub fn services_changed(&self, project: &str) {
        let open = self.0.open();
        let rooms = open.rooms.values().map(|handle| &handle.room);
        let rooms: Vec<_> = rooms.filter(|room| room.project == project).cloned().collect();
        drop(open);
        for room in rooms {
            self.0.run(async move { services::refresh(&room).await });
        }
    }

    /// Ends a room, if it runs.
    pub fn end(&self, room: &str) {
        if let Some(handle) = self.0.open().rooms.remove(room) {
            handle.room.end();
        }
    }

    /// Ends a room that was deleted, and removes what it kept on disk.
    pub fn delete(&self, room: &str) {
        self.end(room);
        self.0.queues.lock().unwrap_or_else(PoisonError::into_inner).remove(room);
        self.0.databases.forget(room);
        let (files, documents) = (self.0.files(room), self.0.documents.take(room));
        self.0.run(async move {
            // Otherwise a document could be put where everything was removed.
            let _changing = documents.change_files().await;
            documents.end(|_| true, "the room was deleted");
            let removed = tokio::task::spawn_blocking(move || files.remove()).await;
            // What stays is removed when a process starts.
            if let Err(error) = removed.unwrap_or_else(|error| Err(error.into())) {
                notice::tell("files of a deleted room were not removed", &error);
            }
        });
    }

    /// Ends the room whose session this is, if it runs.
    pub fn end_session(&self, session: &str) {
        let mut open = self.0.open();
        for (_, handle) in open.rooms.extract_if(|_, handle| handle.room.session == session) {
            handle.room.end();
        }
    }

    /// Puts a message into a queue of a room, whether or not it runs. It is on disk then.
    ///
    /// # Errors
    ///
    /// Another process has the rooms of this folder; the queue is closed, or one too many; the store
    /// failed: nothing was put.
    pub async fn put(&self, room: &str, message: Put) -> Result<(), Refused> {
        let unheld = |refusal: Refusal| refused(codes::OPERATION_FAILED, refusal.to_string());
        self.0.hold().await.map_err(unheld)?;
        self.0.queues(room).send(message).await
    }

    /// Takes the rooms of the folder for this process, if no other one has them.
    pub async fn take_over(&self) {
        match self.0.hold().await {
            // They are taken when somebody wants to enter one.
            Ok(()) | Err(Refusal::Elsewhere) => {}
            Err(refusal) => notice::tell("the rooms of the data folder cannot be used", &refusal),
        }
    }

    /// Ends all rooms, and lets nobody in any more. It takes no longer than participants have to
    /// disconnect.
    pub async fn close(&self) {
        self.0.closing.cancel();
        let (rooms, mut tasks, was_closed) = {
            let mut open = self.0.open();
            let was_closed = std::mem::replace(&mut open.is_closed, true);
            let rooms = open.rooms.drain().map(|(_, handle)| {
                handle.room.end();
                // The record of a room ends when nothing has the room any more.
                Arc::downgrade(&handle.room)
            });
            (rooms.collect::<Vec<_>>(), std::mem::take(&mut open.tasks), was_closed)
        };
        self.0.queues.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let until = Instant::now() + FAREWELL;
        let ended = async { while tasks.join_next().await.is_some() {} };
        if timeout_at(until, ended).await.is_err() {
            let left = rooms.iter().filter_map(Weak::upgrade);
            let left = few(left.map(|room| {
                let present = counted(room.state().present.len(), "participant");
                format!("{:?} with {present}", room.name)
            }));
            let left = match left.is_empty() {
                true => format!("{} of rooms that had ended", counted(tasks.len(), "task")),
                false => left,
            };
            tracing::warn!("rooms did not close in time, and were cut off: {left}");
            tasks.shutdown().await;
        }
        // Neither waits for the other.
        let deliveries = self.0.deliveries.close(until);
        let ((), waiting) = tokio::join!(self.0.containers.close(&self.0), deliveries);
        // What another process has is its own.
        let is_told = was_closed || !self.0.lease.initialized();
        if waiting > 0 && !is_told {
            let events = counted(waiting, "event");
            tracing::warn!(
                "{events} could not be delivered to webhooks in time: they wait in the store, and \
                 are sent when it runs again"
            );
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let house = &self.room.house;
        let mut open = house.open();
        let Open { rooms, tasks, .. } = &mut *open;
        // A room that was ended is not in the list, but another one with its id may be.
        let Some(handle) = rooms.get_mut(&self.room.id) else { return };
        if !Arc::ptr_eq(&handle.room, &self.room) {
            return;
        }
        handle.seats -= 1;
        handle.keeping -= usize::from(self.keeps);
        if handle.keeping > 0 || !self.keeps {
            return;
        }
        handle.emptied += 1;
        if handle.lingers.is_zero() {
            rooms.remove(&self.room.id);
            // Helpers may still be there.
            self.room.end();
            return;
        }
        let (lingers, emptied, room) = (handle.lingers, handle.emptied, Arc::clone(&self.room));
        tasks.spawn(async move {
            if room.stop.run_until_cancelled(tokio::time::sleep(lingers)).await.is_none() {
                return;
            }
            let mut open = room.house.open();
            let is_still_empty = open.rooms.get(&room.id).is_some_and(|handle| {
                Arc::ptr_eq(&handle.room, &room) && handle.keeping == 0 && handle.emptied == emptied
            });
            if is_still_empty {
                open.rooms.remove(&room.id);
                room.end();
            }
        });
    }
}
