//! The tables and memories of rooms: one SQLite file for each, beside the room's files. They are
//! opened when somebody first needs them, and stay open as long as the room runs.
//!
//! Must not live here: what tables and memories are, which is in crates of their own; what a
//! participant may do with them, which is in the table of operations.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use meshagent_memory::Memories;
use meshagent_tables::engine::{Engine, TableName};
use meshagent_tables::names::near;
use meshagent_tables::sqlite::Tables;
use meshagent_tables::{Error, Reason};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::calls::{Caller, refused};
use super::gates;
use super::guest::Guest;
use super::turns::Turns;
use super::writers::{self, Writers, Writing};
use crate::own_folder;
use crate::room::codes;
use crate::room::content::Refused;

/// How many calls may read the tables and memories of a room at once. Further ones wait.
const AT_ONCE: usize = 8;

/// How many answers may be read of the tables of a room at once. Small ones need no time.
const ANSWERS: usize = 8;

/// How much of each a participant may have, so that others get their turn.
const OWN: usize = 4;

/// How long a call waits for its place, or for its turn to read an answer or to write.
const WAITING: Duration = Duration::from_secs(30);

/// The file of a room's tables, and that of its memories.
const TABLES: &str = "tables.sqlite";
const MEMORIES: &str = "memories.sqlite";

/// An answer that nobody has read for so long makes way for one that waits.
const UNREAD: Duration = Duration::from_secs(2);

/// The tables and memories of all rooms. Those of a room may be open for a moment longer than it
/// runs; whoever enters it again meanwhile gets the same ones.
#[derive(Debug, Default)]
pub struct Databases {
    /// By the ids of the rooms.
    rooms: Mutex<HashMap<String, Weak<InRoom>>>,
}

impl Databases {
    /// Those of a room, whose folder this is.
    pub fn of(&self, room: &str, folder: PathBuf) -> Arc<InRoom> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = rooms.get(room).and_then(Weak::upgrade) {
            return open;
        }
        rooms.retain(|_, room| room.strong_count() > 0);
        let own = Arc::new(InRoom::new(folder));
        rooms.insert(room.to_owned(), Arc::downgrade(&own));
        own
    }

    /// Forgets those of a room that is deleted.
    pub fn forget(&self, room: &str) {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).remove(room);
    }
}

/// The tables and memories of a room.
pub struct InRoom {
    folder: PathBuf,
    tables: Mutex<Option<Arc<Tables>>>,
    memories: Mutex<Option<Arc<Memories>>>,
    places: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    unread: Duration,
    writers: Arc<Writers>,
    /// The files of which the log says that they are damaged.
    damaged: Mutex<Vec<&'static str>>,
    tables_turns: Arc<Turns>,
    memories_turns: Arc<Turns>,
    /// What its participants have, by their names.
    shares: Mutex<HashMap<Arc<str>, Weak<Shares>>>,
}

impl fmt::Debug for InRoom {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("InRoom").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl InRoom {
    fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            tables: Mutex::default(),
            memories: Mutex::default(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            answers: Arc::new(Semaphore::new(ANSWERS)),
            unread: UNREAD,
            writers: Arc::default(),
            damaged: Mutex::default(),
            tables_turns: Arc::default(),
            memories_turns: Arc::default(),
            shares: Mutex::default(),
        }
    }

    /// What a participant has, however often it is in the room.
    fn shares(&self, who: &Arc<str>) -> Arc<Shares> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = shares.get(who).and_then(Weak::upgrade) {
            return own;
        }
        shares.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Shares::default());
        shares.insert(Arc::clone(who), Arc::downgrade(&own));
        own
    }

    /// What is open already, or is opened now. What failed is tried again the next time.
    fn opened<T>(
        &self,
        held: &Mutex<Option<Arc<T>>>,
        name: &str,
        open: impl FnOnce(&std::path::Path) -> Result<T, Error>,
    ) -> Result<Arc<T>, Error> {
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &*held {
            return Ok(Arc::clone(open));
        }
        own_folder::create(&self.folder)
            .map_err(|error| Error::new(Reason::Failed, error.to_string()))?;
        let opened = Arc::new(open(&self.folder.join(name))?);
        *held = Some(Arc::clone(&opened));
        Ok(opened)
    }

    fn tables(&self) -> Result<Arc<Tables>, Error> {
        self.opened(&self.tables, TABLES, Tables::open)
    }

    /// The room's word for why something was not done with one of its files. Whoever runs the server
    /// is told once where a damaged one is, which no participant is told.
    fn told(&self, name: &'static str, error: &Error) -> Refused {
        if error.reason == Reason::Damaged {
            let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
            if !damaged.contains(&name) {
                damaged.push(name);
                let path = self.folder.join(name);
                tracing::error!("{} is damaged: {}", path.display(), error.text);
            }
        }
        told(error)
    }

    /// The same for what was to be done with memories.
    fn told_of_memories(&self, error: &Error) -> Refused {
        match error.reason {
            Reason::NotFound => refused(codes::MEMORY_NOT_FOUND, &error.text),
            Reason::AlreadyExists => refused(codes::MEMORY_EXISTS, &error.text),
            _ => self.told(MEMORIES, error),
        }
    }

    fn memories(&self) -> Result<Arc<Memories>, Error> {
        self.opened(&self.memories, MEMORIES, Memories::open)
    }
}

/// What a participant may have going on at once in the tables and memories of its room. It is kept
/// as long as anything of it goes on.
#[derive(Debug)]
struct Shares {
    places: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    writers: Arc<Semaphore>,
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(OWN)),
            answers: Arc::new(Semaphore::new(OWN)),
            writers: Arc::new(Semaphore::new(writers::OWN)),
        }
    }
}

/// A turn to read an answer.
pub struct Reading {
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
    _shares: Arc<Shares>,
}

/// The tables and memories of a room, for one participant.
#[derive(Debug, Clone)]
pub struct Access {
    room: Arc<InRoom>,
    /// The name in its token.
    who: Arc<str>,
    shares: Arc<Shares>,
    /// By whose scope names are told.
    guest: Option<Arc<Guest>>,
}

impl Access {
    /// Those of a caller's room.
    pub fn of(caller: &Caller) -> Self {
        let Caller { room, guest } = caller;
        Self { guest: Some(Arc::clone(guest)), ..Self::named(room.databases(), &guest.name) }
    }

    fn named(room: Arc<InRoom>, who: &str) -> Self {
        let who = Arc::from(who);
        Self { shares: room.shares(&who), room, who, guest: None }
    }

    /// Reads what is small in the tables, in a thread that may block.
    ///
    /// # Errors
    ///
    /// There is no place for it in time; the tables cannot be opened; what the work gives.
    pub async fn on_tables<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Engine) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refused> {
        match self.placed(move |room| work(&*room.tables()?)).await? {
            Ok(done) => Ok(done),
            Err(error) => Err(self.with_a_hint(error).await),
        }
    }

    /// Changes the tables when it is this participant's turn, in a thread that may block.
    ///
    /// # Errors
    ///
    /// The turn does not come in time; the tables cannot be opened; what the work gives.
    pub async fn change_tables<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Engine) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refused> {
        let work = move |room: &InRoom| work(&*room.tables()?);
        match self.in_turn(&self.room.tables_turns, work).await? {
            Ok(done) => Ok(done),
            Err(error) => Err(self.with_a_hint(error).await),
        }
    }

    /// The refusal of a request. If it asks for a table that is not there, the refusal says which is
    /// near, among those that the participant may see.
    async fn with_a_hint(&self, mut error: Error) -> Refused {
        if let (Some(missing), Some(guest)) = (error.missing.take(), self.guest.clone()) {
            let TableName { namespace, name } = *missing;
            let near = self.blocking(move |room| {
                let names = room.tables()?.list(&namespace)?;
                let sees = |name: &&str| {
                    let scope = guest.scope.as_ref();
                    scope.is_some_and(|scope| gates::sees_table(scope, name, &namespace))
                };
                let seen = names.iter().map(String::as_str).filter(sees);
                Ok(near(&name, seen).first().map(|near| (*near).to_owned()))
            });
            if let Ok(Some(near)) = near.await {
                error.text = format!("{}; did you mean {near}?", error.text);
            }
        }
        self.room.told(TABLES, &error)
    }

    /// Begins to read an answer of the tables, or reads one, in a thread that may block. Whoever
    /// waits for their turn holds no place in which others could work.
    ///
    /// # Errors
    ///
    /// Its turn does not come in time; the tables cannot be opened; what the work gives.
    pub async fn on_answers<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Engine) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refused> {
        self.reading(work).await.map(|(done, _)| done)
    }

    /// The same, with the turn, which goes on as long as the answer needs it. Whoever has rows of it on
    /// their way keeps it until they are sent: what is in memory is bounded by it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::on_answers`].
    pub async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Engine) -> Result<T, Error> + Send + 'static,
    ) -> Result<(T, Weak<Reading>), Refused> {
        let tables = self.blocking(InRoom::tables).await?;
        let end = Instant::now() + WAITING;
        let (unread, who) = (self.room.unread, Arc::clone(&self.who));
        let own = || tables.make_way(Some(&who), unread);
        let own = wait(&self.shares.answers, end, unread, own).await?.ok_or_else(|| {
            late(format!(
                "{OWN} of your answers are read already; read them to the end, or end them"
            ))
        })?;
        let all = || tables.make_way(None, unread);
        let all = wait(&self.room.answers, end, unread, all).await?.ok_or_else(|| {
            late(format!("{ANSWERS} answers are read in this room already; try again later"))
        })?;
        let turn = Arc::new(Reading { _permits: (own, all), _shares: Arc::clone(&self.shares) });
        let kept = Arc::downgrade(&turn);
        let work = move || work(&tables.in_turn(who, turn));
        match spawn_blocking(work).await.map_err(|_| ended())? {
            Ok(done) => Ok((done, kept)),
            Err(error) => Err(self.with_a_hint(error).await),
        }
    }

    /// A turn to write a stream of rows, as long as it is kept.
    ///
    /// # Errors
    ///
    /// None of those that are written already ends in time, or makes way.
    pub async fn writing(&self) -> Result<Writing, Refused> {
        let end = Instant::now() + WAITING;
        self.room.writers.turn(&self.who, &self.shares.writers, end).await
    }

    /// Reads the memories, in a thread that may block.
    ///
    /// # Errors
    ///
    /// There is no place for it in time; the memories cannot be opened; what the work gives.
    pub async fn on_memories<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Memories) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refused> {
        let outcome = self.placed(move |room| work(&*room.memories()?)).await?;
        outcome.map_err(|error| self.room.told_of_memories(&error))
    }

    /// Changes the memories when it is this participant's turn, in a thread that may block.
    ///
    /// # Errors
    ///
    /// The turn does not come in time; the memories cannot be opened; what the work gives.
    pub async fn change_memories<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Memories) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refused> {
        let work = move |room: &InRoom| work(&*room.memories()?);
        let outcome = self.in_turn(&self.room.memories_turns, work).await?;
        outcome.map_err(|error| self.room.told_of_memories(&error))
    }

    /// Does with the tables what blocks, once there is a place for it.
    ///
    /// # Errors
    ///
    /// There is none in time; what the work gives.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&InRoom) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refused> {
        self.placed(work).await?.map_err(|error| self.room.told(TABLES, &error))
    }

    /// Does what blocks, once there is a place for it. It keeps the place even if nobody waits for it
    /// any more. The outer error is that it did not end, or found none.
    async fn placed<T: Send + 'static>(
        &self,
        work: impl FnOnce(&InRoom) -> Result<T, Error> + Send + 'static,
    ) -> Result<Result<T, Error>, Refused> {
        let end = Instant::now() + WAITING;
        let place = async |of: &Arc<Semaphore>, whose: &str| {
            let place = timeout_at(end, Arc::clone(of).acquire_owned()).await;
            let place = place.map_err(|_| {
                late(format!("{whose} are at work on tables and memories already; try again later"))
            });
            place?.map_err(|_| ended())
        };
        let own = place(&self.shares.places, "as many calls of yours as may be").await?;
        let all = place(&self.room.places, "as many calls as may be in this room").await?;
        let (room, shares) = (Arc::clone(&self.room), Arc::clone(&self.shares));
        let work = move || {
            let done = work(&room);
            drop((own, all, shares));
            done
        };
        spawn_blocking(work).await.map_err(|_| ended())
    }

    /// Does what changes something when it is this participant's turn. It keeps the turn even if nobody
    /// waits for it any more. The outer error is that it did not end, or that its turn did not come.
    async fn in_turn<T: Send + 'static>(
        &self,
        turns: &Arc<Turns>,
        work: impl FnOnce(&InRoom) -> Result<T, Error> + Send + 'static,
    ) -> Result<Result<T, Error>, Refused> {
        let turn = turns.turn(&self.who, Instant::now() + WAITING).await?;
        let room = Arc::clone(&self.room);
        let work = move || {
            let done = work(&room);
            drop(turn);
            done
        };
        spawn_blocking(work).await.map_err(|_| ended())
    }

    /// Goes on with what of the tables has a place of its own, such as an answer that is being read: whoever waits
    /// for such a place must not keep it from going on.
    ///
    /// # Errors
    ///
    /// What the work gives.
    pub async fn going_on<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refused> {
        let done = spawn_blocking(work).await;
        done.map_err(|_| ended())?.map_err(|error| self.room.told(TABLES, &error))
    }
}

/// Waits for a permission until a moment; none if it is not given by then. Meanwhile it is asked
/// again and again whether somebody makes way.
pub(super) async fn wait(
    of: &Arc<Semaphore>,
    end: Instant,
    unread: Duration,
    make_way: impl Fn(),
) -> Result<Option<OwnedSemaphorePermit>, Refused> {
    let permit = Arc::clone(of).acquire_owned();
    tokio::pin!(permit);
    let mut next = Instant::now();
    loop {
        tokio::select! {
            biased;
            permit = &mut permit => return permit.map(Some).map_err(|_| ended()),
            () = sleep_until(next.min(end)) => {}
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        make_way();
        next = Instant::now() + unread / 4;
    }
}

/// The refusal of a call that has waited too long for its turn.
pub(super) fn late(text: String) -> Refused {
    refused(codes::TIMEOUT, text)
}

/// Something whose end blocks, while nobody works on it: if that is its end, it comes in a thread
/// where it is allowed.
pub struct Parked<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Parked<T> {
    /// Parks something.
    pub const fn new(it: T) -> Self {
        Self(Some(it))
    }

    /// What is parked, for work on it.
    pub const fn take(&mut self) -> Option<T> {
        self.0.take()
    }

    /// Parks it again.
    pub fn put(&mut self, it: T) {
        self.0 = Some(it);
    }
}

impl<T: Send + 'static> Drop for Parked<T> {
    fn drop(&mut self) {
        if let Some(it) = self.0.take() {
            // Without a runtime the process ends, and the next one cleans up.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                drop(runtime.spawn_blocking(move || drop(it)));
            }
        }
    }
}

/// The refusal of work that has ended already.
pub fn ended() -> Refused {
    refused(codes::OPERATION_FAILED, "the platform failed")
}

/// The room's word for why something was not done.
fn told(error: &Error) -> Refused {
    let text = &error.text;
    match error.reason {
        Reason::Invalid => Refused::invalid(text),
        Reason::NotFound => refused(codes::NOT_FOUND, text),
        Reason::AlreadyExists => refused(codes::ALREADY_EXISTS, text),
        // Agents of the public SDK 0.31.4 try again if they find these words.
        Reason::Conflict => {
            let text =
                format!("commit conflict with a concurrent transaction (as of Lance): {text}");
            refused(codes::CONFLICT, text)
        }
        Reason::State => refused(codes::INVALID_STATE, text),
        Reason::TimedOut => refused(codes::TIMEOUT, text),
        Reason::Dependency => refused(codes::DEPENDENCY_MISSING, text),
        Reason::Failed | Reason::Damaged => refused(codes::OPERATION_FAILED, text),
    }
}

#[cfg(test)]
mod tests;
