//! The tables and memories of rooms: one SQLite file for each, beside the room's files. They are
//! opened when somebody first needs them, and stay open as long as the room runs.
//!
//! Must not live here: what tables and memories are, which is in crates of their own; what a
//! participant may do with them, which is in the table of operations.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use meshagent_memory::Memories;
use meshagent_tables::engine::Engine;
use meshagent_tables::sqlite::Tables;
use meshagent_tables::{Error, Reason};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::calls::refused;
use crate::own_folder;
use crate::room::codes;
use crate::room::content::Refused;

/// How much may be going on in the tables and memories of a room at once. Further calls wait.
const AT_ONCE: usize = 8;

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
        }
    }

    /// Works on the tables, in a thread that may block.
    ///
    /// # Errors
    ///
    /// The tables cannot be opened; what the work gives.
    pub async fn on_tables<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&dyn Engine) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refused> {
        self.blocking(move |own| {
            let tables = own.opened(&own.tables, "tables.sqlite", Tables::open)?;
            work(&*tables)
        })
        .await
    }

    /// Works on the memories, in a thread that may block.
    ///
    /// # Errors
    ///
    /// The memories cannot be opened; what the work gives.
    pub async fn on_memories<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Memories) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refused> {
        let work = move |own: &Self| {
            let memories = own.opened(&own.memories, "memories.sqlite", Memories::open)?;
            work(&memories)
        };
        let outcome = self.placed(work).await?;
        outcome.map_err(|error| match error.reason {
            Reason::NotFound => refused(codes::MEMORY_NOT_FOUND, error.text),
            Reason::AlreadyExists => refused(codes::MEMORY_EXISTS, error.text),
            _ => told(&error),
        })
    }

    /// Does what blocks, once there is a place for it.
    ///
    /// # Errors
    ///
    /// What the work gives.
    pub async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refused> {
        self.placed(work).await?.map_err(|error| told(&error))
    }

    /// Does what blocks, once there is a place for it; the outer error is that it did not end.
    async fn placed<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<Result<T, Error>, Refused> {
        let _place = self.places.acquire().await.map_err(|_| ended())?;
        let own = Arc::clone(self);
        spawn_blocking(move || work(&own)).await.map_err(|_| ended())
    }

    /// Goes on with what has a place of its own, such as an answer that is being read: whoever waits
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
        done.map_err(|_| ended())?.map_err(|error| told(&error))
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
        Reason::TooMuch => refused(codes::TIMEOUT, text),
        Reason::Dependency => refused(codes::DEPENDENCY_MISSING, text),
        Reason::Failed => refused(codes::OPERATION_FAILED, text),
    }
}
