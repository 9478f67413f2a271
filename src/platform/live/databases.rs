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
use tokio::time::{Instant, sleep_until};

use super::calls::{Caller, refused};
use super::gates;
use super::guest::Guest;
use super::writers::{self, Writers, Writing};
use crate::own_folder;
use crate::room::codes;
use crate::room::content::Refused;

/// How much may be going on in the tables and memories of a room at once. Further calls wait.
const AT_ONCE: usize = 8;

/// How many answers may be read of the tables of a room at once. Small ones need no time.
const ANSWERS: usize = 8;

/// How much of each a participant may have, so that others get their turn.
const OWN: usize = 4;

/// How long a call waits for its turn to read an answer, or to write rows.
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
    places: Semaphore,
    answers: Arc<Semaphore>,
    unread: Duration,
    writers: Arc<Writers>,
    /// The files of which the log says that they are damaged.
    damaged: Mutex<Vec<&'static str>>,
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
            places: Semaphore::new(AT_ONCE),
            answers: Arc::new(Semaphore::new(ANSWERS)),
            unread: UNREAD,
            writers: Arc::default(),
            damaged: Mutex::default(),
        }
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
}

/// What a participant may have going on at once in the tables and memories of its room.
#[derive(Debug)]
pub struct Shares {
    places: Semaphore,
    answers: Arc<Semaphore>,
    writers: Arc<Semaphore>,
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            places: Semaphore::new(OWN),
            answers: Arc::new(Semaphore::new(OWN)),
            writers: Arc::new(Semaphore::new(writers::OWN)),
        }
    }
}

/// The tables and memories of a room, for one participant.
#[derive(Debug, Clone)]
pub struct Access {
    room: Arc<InRoom>,
    who: Arc<str>,
    shares: Arc<Shares>,
    /// By whose scope names are told.
    guest: Option<Arc<Guest>>,
}

impl Access {
    /// Those of a caller's room.
    pub fn of(caller: &Caller) -> Self {
        let Caller { room, guest } = caller;
        let (who, shares) = (Arc::from(guest.id.as_str()), Arc::clone(&guest.shares));
        Self { room: room.databases(), who, shares, guest: Some(Arc::clone(guest)) }
    }

    /// Works on the tables, in a thread that may block.
    ///
    /// # Errors
    ///
    /// The tables cannot be opened; what the work gives.
    pub async fn on_tables<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Engine) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refused> {
        match self.placed(move |room| work(&*room.tables()?)).await? {
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
        let work = move || work(&tables.in_turn(who, Arc::new((own, all))));
        match spawn_blocking(work).await.map_err(|_| ended())? {
            Ok(done) => Ok(done),
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

    /// Works on the memories, in a thread that may block.
    ///
    /// # Errors
    ///
    /// The memories cannot be opened; what the work gives.
    pub async fn on_memories<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Memories) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refused> {
        let work = move |room: &InRoom| {
            let memories = room.opened(&room.memories, MEMORIES, Memories::open)?;
            work(&memories)
        };
        let outcome = self.placed(work).await?;
        outcome.map_err(|error| match error.reason {
            Reason::NotFound => refused(codes::MEMORY_NOT_FOUND, error.text),
            Reason::AlreadyExists => refused(codes::MEMORY_EXISTS, error.text),
            _ => self.room.told(MEMORIES, &error),
        })
    }

    /// Does with the tables what blocks, once there is a place for it.
    ///
    /// # Errors
    ///
    /// What the work gives.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&InRoom) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refused> {
        self.placed(work).await?.map_err(|error| self.room.told(TABLES, &error))
    }

    /// Does what blocks, once there is a place for it; the outer error is that it did not end.
    async fn placed<T: Send + 'static>(
        &self,
        work: impl FnOnce(&InRoom) -> Result<T, Error> + Send + 'static,
    ) -> Result<Result<T, Error>, Refused> {
        let _own = self.shares.places.acquire().await.map_err(|_| ended())?;
        let _place = self.room.places.acquire().await.map_err(|_| ended())?;
        let room = Arc::clone(&self.room);
        spawn_blocking(move || work(&room)).await.map_err(|_| ended())
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
mod tests {
    use meshagent_tables::Value;
    use meshagent_tables::engine::{NewTable, Rows, Search};

    use super::*;

    fn participant(room: &Arc<InRoom>, who: &str) -> Access {
        let (room, who) = (Arc::clone(room), Arc::from(who));
        Access { room, who, shares: Arc::default(), guest: None }
    }

    /// A room with a table of rows that are more than an answer is ahead of its reader.
    async fn room(folder: &tempfile::TempDir) -> Arc<InRoom> {
        let unread = Duration::from_millis(1);
        let room = Arc::new(InRoom { unread, ..InRoom::new(folder.path().to_owned()) });
        let fill = |tables: &dyn Engine| {
            let new = NewTable { table: TableName::new("t"), ..NewTable::default() };
            let mut writer = tables.create(new)?;
            let row = |_| vec![("b".to_owned(), Value::Text("x".repeat(10_000)))];
            writer.write((0..500).map(row).collect())?;
            writer.finish()
        };
        participant(&room, "whoever fills it").on_tables(fill).await.unwrap();
        room
    }

    async fn first(access: &Access) -> Result<Box<dyn Rows>, Refused> {
        let table = TableName::new("t");
        let search = move |tables: &dyn Engine| {
            let mut rows = tables.search(Search { table, ..Search::default() })?;
            rows.next(1)?;
            Ok(rows)
        };
        access.on_answers(search).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_reads_no_further_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let room = room(&folder).await;
        let idle = participant(&room, "idle");
        let mut kept = Vec::new();
        // Four are its own, and each of the others takes the turn of one before.
        for _ in 0..10 {
            kept.push(first(&idle).await.unwrap());
        }
        assert_eq!(room.answers.available_permits(), ANSWERS - OWN);
        for who in 0..10 {
            kept.push(first(&participant(&room, &who.to_string())).await.unwrap());
        }
        assert_eq!(room.answers.available_permits(), 0);
        // Nothing that is no answer waits for any of them.
        let tables = participant(&room, "other").on_tables(|tables| tables.list(&[])).await;
        assert_eq!(tables.unwrap(), ["t"]);
        drop(kept);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_participant_does_not_take_all_places() {
        let folder = tempfile::tempdir().unwrap();
        let room = room(&folder).await;
        let busy = participant(&room, "busy");
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let work: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (busy, held) = (busy.clone(), Arc::clone(&held));
                tokio::spawn(async move {
                    busy.blocking(move |_| {
                        let _ = held.lock().unwrap().recv();
                        Ok(())
                    })
                    .await
                })
            })
            .collect();
        while busy.shares.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let tables = participant(&room, "other").on_tables(|tables| tables.list(&[])).await;
        assert_eq!(tables.unwrap(), ["t"]);
        drop(release);
        for one in work {
            one.await.unwrap().unwrap();
        }
    }

    /// What is logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_log_says_once_where_a_damaged_file_is_and_no_participant_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        let _logged = tracing::subscriber::set_default(subscriber.finish());
        let paths = [folder.path().join(TABLES), folder.path().join(MEMORIES)];
        for path in &paths {
            std::fs::write(path, "no database, and longer than one hundred bytes ".repeat(9))
                .unwrap();
        }
        let room = Arc::new(InRoom::new(folder.path().to_owned()));
        let participant = participant(&room, "somebody");
        for _ in 0..2 {
            let tables = participant.on_tables(|tables| tables.list(&[])).await.unwrap_err();
            let memories = participant.on_memories(|it| it.list(&[])).await.unwrap_err();
            for told in [tables, memories] {
                assert!(told.text.contains("damaged"), "{told:?}");
                assert!(!told.text.contains(folder.path().to_str().unwrap()), "{told:?}");
            }
        }
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        for path in &paths {
            assert_eq!(log.matches(path.to_str().unwrap()).count(), 1, "{log}");
        }
    }

    #[test]
    fn only_what_may_succeed_later_is_a_time_out() {
        let code = |reason| told(&Error::new(reason, "")).code;
        assert_eq!(code(Reason::TimedOut), Some(codes::TIMEOUT));
        assert_eq!(code(Reason::Invalid), Refused::invalid("").code);
    }
}
