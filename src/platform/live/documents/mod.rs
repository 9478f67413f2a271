//! The documents of rooms: several participants edit one at once. Each is a file among those of its
//! room, so that it is listed and deleted like them.
//!
//! | module | holds |
//! |---|---|
//! | `content` | what is in a document, in memory and on disk |
//! | `log` | the file of a document |
//! | `open` | a document that somebody has open |
//!
//! Must not live here: what may be in a document, which is in [`crate::documents`]; how a
//! participant opens one, which is in `toolkits`.

pub mod content;
mod log;
pub mod open;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use self::content::{Content, Memory, New};
use self::open::{Document, Place};
use super::calls::refused;
use super::files::FilePath;
use super::room::Room;
use crate::room::codes;
use crate::room::content::Refused;

/// The open documents of all rooms. They may be open for a moment longer than their room runs.
#[derive(Debug, Default)]
pub struct Documents {
    memory: Memory,
    /// By the ids of the rooms.
    rooms: Mutex<HashMap<String, Arc<InRoom>>>,
}

impl Documents {
    /// Those of a room.
    pub fn of(&self, room: &str) -> Arc<InRoom> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(InRoom { memory: self.memory.of_a_room(), ..InRoom::default() });
        Arc::clone(rooms.entry(room.to_owned()).or_insert_with(new))
    }

    /// Those of a room that is deleted.
    pub fn take(&self, room: &str) -> Arc<InRoom> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.remove(room).unwrap_or_default()
    }
}

/// The open documents of a room.
#[derive(Debug, Default)]
pub struct InRoom {
    memory: Memory,
    open: Mutex<HashMap<String, Entry>>,
    /// Held by what puts documents in their place or removes them, so that nothing is put where
    /// somebody has just removed it.
    changing: Arc<tokio::sync::Mutex<()>>,
}

/// A document that is open, or was until a moment ago.
#[derive(Debug)]
struct Entry {
    document: Weak<Document>,
    /// Signals that nothing is done with its file any more.
    closed: CancellationToken,
}

impl InRoom {
    fn open(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing is put in its place or removed, and keeps it so.
    pub async fn change_files(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.changing).lock_owned().await
    }

    /// Ends the open documents that are meant, because their files were removed or replaced. To be
    /// called while nothing else happens to files.
    pub fn end(&self, is_meant: impl Fn(&str) -> bool, why: &str) {
        let open = self.open();
        let ended = open.iter().filter(|(path, _)| is_meant(path));
        let ended = ended.filter_map(|(_, entry)| entry.document.upgrade());
        ended.for_each(|document| document.end(refused(codes::FILE_NOT_FOUND, why)));
    }
}

/// Opens a document, which many may do at once; none if there is no file. It goes on if whoever wants
/// it leaves: a file that is being read must not be read a second time.
///
/// # Errors
///
/// The file is no document, or damaged; the system's.
pub async fn open(room: &Arc<Room>, path: &FilePath) -> Result<Option<Arc<Document>>, Refused> {
    let (of, path) = (Arc::clone(room), path.clone());
    room.to_the_end(async move { opened(&of, &path).await }).await
}

async fn opened(room: &Room, path: &FilePath) -> Result<Option<Arc<Document>>, Refused> {
    let documents = room.documents();
    loop {
        let changing = documents.change_files().await;
        let known =
            documents.open().get(path.text()).map(|it| (it.document.upgrade(), it.closed.clone()));
        match known {
            Some((Some(document), _)) if !document.is_ended() => return Ok(Some(document)),
            // What was ended does nothing with the file any more.
            Some((Some(_), _)) | None => {}
            Some((None, closed)) if !closed.is_cancelled() => {
                drop(changing);
                closed.cancelled().await;
                continue;
            }
            Some((None, _)) => {}
        }
        return load(room, &documents, path).await;
    }
}

/// Reads a document and keeps it as long as somebody has it open.
async fn load(
    room: &Room,
    documents: &Arc<InRoom>,
    path: &FilePath,
) -> Result<Option<Arc<Document>>, Refused> {
    let place = Place {
        files: room.files(),
        path: path.clone(),
        memory: documents.memory.clone(),
        changing: Arc::clone(&documents.changing),
    };
    let (files, of, memory) = (place.files.clone(), path.clone(), place.memory.clone());
    let read = spawn_blocking(move || match files.stat(&of)? {
        None => Ok(None),
        Some(_) => Content::load(&files, &of, &memory).map(Some),
    });
    let read =
        read.await.map_err(|_| refused(codes::OPERATION_FAILED, "the platform failed"))??;
    let Some(content) = read else { return Ok(None) };
    let (document, keeping) = Document::new(content, place);
    let closed = CancellationToken::new();
    let own = Arc::downgrade(&document);
    let entry = Entry { document: Weak::clone(&own), closed: closed.clone() };
    documents.open().insert(path.text().to_owned(), entry);
    let (documents, name) = (Arc::clone(documents), path.text().to_owned());
    // Also if the platform closes meanwhile.
    let closed = closed.drop_guard();
    room.house.run(async move {
        let _closed = closed;
        keeping.await;
        let mut open = documents.open();
        // Another one may have taken its place.
        if open.get(&name).is_some_and(|entry| entry.document.ptr_eq(&own)) {
            open.remove(&name);
        }
    });
    Ok(Some(document))
}

/// Makes a document, unless there is a file.
///
/// # Errors
///
/// Those of [`Content::create`].
pub async fn create(room: &Room, path: &FilePath, new: New) -> Result<(), Refused> {
    let _changing = room.documents().change_files().await;
    let (files, path) = (room.files(), path.clone());
    let made = spawn_blocking(move || Content::create(&files, &path, new)).await;
    made.map_err(|_| refused(codes::OPERATION_FAILED, "the platform failed"))?
}
