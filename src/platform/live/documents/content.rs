//! What is in an open document, and on disk of it. All of it blocks.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use yrs::{ReadTxn, StateVector, Transact};

use super::log::{self, About, Log, Unreadable};
use crate::documents::replica::{NotApplied, Replica};
use crate::documents::schema::Schema;
use crate::documents::shape;
use crate::platform::live::calls::{denied, refused};
use crate::platform::live::files::{FilePath, Files, failed};
use crate::room::codes;
use crate::room::content::Refused;

/// How long the state of a document may be, in bytes.
pub const STATE: u64 = 4 * 1024 * 1024;

/// How much longer its file may become before it is written anew: so many times as long as it was, and
/// so many bytes.
const TIMES: u64 = 1;
const BESIDES: u64 = 256 * 1024;

/// How long the file of a document may be: as long as its share of the memory.
const FILE: u64 = (OF_A_ROOM as u64) * 1024;

/// How many bytes more than its state a document may have before it is looked how long that is.
const UNSEEN: u64 = 64 * 1024;

/// What all open documents may take, in KiB of their files. In memory it is many times as much.
const ALL: usize = 64 * 1024;

/// What even an empty document takes.
const LEAST: u64 = 32 * 1024;

/// What the documents of one room may take of that.
const OF_A_ROOM: usize = ALL / 4;

/// What is left of the memory for open documents: in all, and in a room. Clones share it.
#[derive(Debug, Clone)]
pub struct Memory {
    all: Arc<Semaphore>,
    room: Arc<Semaphore>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(ALL)), room: Arc::new(Semaphore::new(OF_A_ROOM)) }
    }
}

impl Memory {
    /// The memory for another room.
    pub fn of_a_room(&self) -> Self {
        Self { all: Arc::clone(&self.all), ..Self::default() }
    }

    fn take(&self, kib: u32) -> Result<[OwnedSemaphorePermit; 2], Refused> {
        let take = |of: &Arc<Semaphore>, whose: &str| {
            let permit = Arc::clone(of).try_acquire_many_owned(kib);
            permit.map_err(|_| {
                let what = format!("the documents that are open {whose} take all memory for them");
                refused(codes::OPERATION_FAILED, what)
            })
        };
        Ok([take(&self.room, "in the room")?, take(&self.all, "in all rooms")?])
    }
}

/// A document.
pub struct Content {
    replica: Replica,
    schema: Arc<Schema>,
    values: Map<String, Value>,
    log: Log,
    share: Share,
    /// Up to which length of the file the state is known not to be too long.
    fits_until: u64,
}

/// What a document has of the memory for all.
struct Share {
    memory: Memory,
    permits: [OwnedSemaphorePermit; 2],
}

impl Share {
    fn of(memory: &Memory, bytes: u64) -> Result<Self, Refused> {
        let permits = memory.take(kib(bytes.max(LEAST)))?;
        Ok(Self { memory: memory.clone(), permits })
    }

    /// How many KiB it has.
    fn size(&self) -> u32 {
        u32::try_from(self.permits[0].num_permits()).unwrap_or(u32::MAX)
    }

    /// Gives back what is not needed for a file of so many bytes.
    fn shrink(&mut self, bytes: u64) {
        let needed = usize::try_from(kib(bytes.max(LEAST))).unwrap_or(usize::MAX);
        for permit in &mut self.permits {
            drop(permit.split(permit.num_permits().saturating_sub(needed)));
        }
    }

    /// Takes more if that is needed for a file of so many bytes.
    fn cover(&mut self, bytes: u64) -> Result<(), Refused> {
        let more = kib(bytes).saturating_sub(self.size());
        if more > 0 {
            // Some more at once, so that it is not asked for each update.
            let more = self.memory.take(more.max(kib(LEAST)))?;
            for (permit, more) in self.permits.iter_mut().zip(more) {
                permit.merge(more);
            }
        }
        Ok(())
    }
}

fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

/// Something that somebody wants to change.
pub struct Wanted {
    /// Who.
    pub by: u64,
    /// The update.
    pub bytes: Vec<u8>,
    /// Whether they may change the document.
    pub may_write: bool,
}

/// Why nothing could be changed. What is in memory is not what is on disk then.
pub struct Failed {
    /// Which of what was wanted is the reason, if one is.
    pub of: Option<usize>,
    /// What went wrong.
    pub why: Refused,
}

/// What became of it: what has changed, if anything did.
pub type Done = Result<Option<Arc<[u8]>>, Refused>;

/// What a new document is made of.
pub struct New {
    /// What it may contain.
    pub schema: Schema,
    /// What it contains.
    pub json: Option<Value>,
}

impl Content {
    /// Makes a document. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// Its contents are not as the schema wants them; a file is there; the system's.
    pub fn create(files: &Files, path: &FilePath, new: New) -> Result<(), Refused> {
        let New { schema, json } = new;
        let (values, children) = match &json {
            Some(json) => shape::given(&schema, json).map_err(Refused::invalid)?,
            None => (Map::new(), Vec::new()),
        };
        let mut replica = Replica::default();
        let made = replica.change(|txn| shape::append(txn, &schema, &children));
        made.map_err(Refused::invalid)?;
        let state = replica.state();
        if state.len() as u64 > STATE {
            return Err(too_long());
        }
        let about = About { schema: schema.source().clone(), values };
        let draft = files.begin(path.clone(), false)?;
        log::write(&mut draft.file()?, &about, &state).map_err(|error| failed(&error))?;
        draft.publish(false)
    }

    /// Reads a document.
    ///
    /// # Errors
    ///
    /// There is none, or a file that is none; it is damaged; the system's.
    pub fn load(files: &Files, path: &FilePath, memory: &Memory) -> Result<Self, Refused> {
        let name = path.text();
        let file = files.open_to_change(path)?;
        let share = Share::of(memory, file.metadata().map_err(|error| failed(&error))?.len())?;
        let (about, updates, log) = log::read(file, FILE).map_err(|why| match why {
            Unreadable::NoDocument => {
                refused(codes::INVALID_STATE, format!("the file {name:?} is not a document"))
            }
            Unreadable::Damaged(what) => damaged(name, &what),
            Unreadable::Failed(error) => failed(&error),
        })?;
        let schema = Schema::parse(about.schema).map_err(|what| damaged(name, &what))?;
        let mut replica = Replica::default();
        for update in updates {
            replica.restore(&update).map_err(|wrong| damaged(name, &wrong.what))?;
        }
        let (schema, values) = (Arc::new(schema), about.values);
        Ok(Self { replica, schema, values, log, share, fits_until: STATE })
    }

    /// What it may contain.
    pub fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.schema)
    }

    /// Its state, without what the one who asks has already.
    pub fn state(&self, has: Option<&StateVector>) -> Vec<u8> {
        let nothing = StateVector::default();
        self.replica.doc.transact().encode_state_as_update_v1(has.unwrap_or(&nothing))
    }

    /// The document as JSON.
    ///
    /// # Errors
    ///
    /// Its elements are nested too deep.
    pub fn describe(&self) -> Result<Value, Refused> {
        let described =
            shape::project(&self.replica.doc.transact(), &self.schema, &self.values, false);
        described.map_err(|what| refused(codes::OPERATION_FAILED, what))
    }

    /// Changes the document as several want it, one after the other. What is done is on disk when
    /// this returns.
    ///
    /// # Errors
    ///
    /// It could not be written, or something came in the way. The document has to be read again, unless
    /// its file is gone.
    pub fn change(
        &mut self,
        files: &Files,
        path: &FilePath,
        wanted: &[Wanted],
    ) -> Result<Vec<Done>, Failed> {
        let mut to_write: Vec<Arc<[u8]>> = Vec::new();
        let mut length = self.log.length();
        let mut done = Vec::with_capacity(wanted.len());
        for (index, one) in wanted.iter().enumerate() {
            let applied = self.apply(one, &mut length, &mut to_write);
            done.push(applied.map_err(|why| Failed { of: Some(index), why })?);
        }
        if !to_write.is_empty() {
            self.is_in_place(files, path).map_err(|why| Failed { of: None, why })?;
            let updates: Vec<&[u8]> = to_write.iter().map(|update| &**update).collect();
            let written = self.log.append(&updates);
            written.map_err(|error| Failed { of: None, why: failed(&error) })?;
        }
        Ok(done)
    }

    /// Refuses to write where nobody would find it, or over what somebody else has put there.
    fn is_in_place(&self, files: &Files, path: &FilePath) -> Result<(), Refused> {
        match files.is_same(path, self.log.file(), self.log.length()) {
            true => Ok(()),
            false => {
                let what = "the file of the document was removed or changed by another program";
                Err(refused(codes::FILE_NOT_FOUND, what))
            }
        }
    }

    /// Applies what one wants, in memory.
    fn apply(
        &mut self,
        wanted: &Wanted,
        length: &mut u64,
        to_write: &mut Vec<Arc<[u8]>>,
    ) -> Result<Done, Refused> {
        let Wanted { bytes, may_write, .. } = wanted;
        if !may_write {
            // Clients send back what they were sent. That changes nothing.
            return Ok(match self.replica.has(bytes) {
                Ok(true) => Ok(None),
                Ok(false) => Err(denied()),
                Err(what) => Err(unusable(&what)),
            });
        }
        let more = bytes.len() as u64;
        if *length + more > self.fits_until {
            let state = self.state(None).len() as u64;
            if state + more > STATE {
                return Ok(Err(too_long()));
            }
            // The state grows no faster than the file.
            self.fits_until = *length + (STATE - state).max(UNSEEN);
        }
        if let Err(refused) = self.share.cover(*length + more) {
            return Ok(Err(refused));
        }
        let change: Option<Arc<[u8]>> = match self.replica.apply(bytes) {
            Ok(change) => change.map(Into::into),
            Err(NotApplied { what, is_broken: true }) => return Err(unusable(&what)),
            Err(NotApplied { what, .. }) => return Ok(Err(unusable(&what))),
        };
        if let Some(change) = &change {
            *length += change.len() as u64;
            to_write.push(Arc::clone(change));
        }
        Ok(Ok(change))
    }

    /// Whether the file should be written anew: it has much that is in the state already, or it is much
    /// work to read it.
    pub fn is_long(&self, is_last: bool) -> bool {
        let (length, written) = (self.log.length(), self.log.written());
        let allowed = if is_last { BESIDES / 8 } else { written * TIMES + BESIDES };
        length > written + allowed || self.replica.is_worn()
    }

    /// Writes the file anew, with the state alone.
    ///
    /// # Errors
    ///
    /// The system's. The document has to be read again.
    pub fn shorten(&mut self, files: &Files, path: &FilePath) -> Result<(), Refused> {
        self.is_in_place(files, path)?;
        let about = About { schema: self.schema.source().clone(), values: self.values.clone() };
        let draft = files.begin(path.clone(), true)?;
        log::write(&mut draft.file()?, &about, &self.state(None))
            .map_err(|error| failed(&error))?;
        draft.publish(true)?;
        self.log = Log::new(files.open_to_change(path)?).map_err(|error| failed(&error))?;
        let length = self.log.length();
        self.fits_until = length + STATE.saturating_sub(length).max(UNSEEN);
        self.share.shrink(length);
        self.replica.shorten();
        Ok(())
    }
}

/// Several changes as one update; none if they cannot be merged.
pub fn merged(changes: &[Arc<[u8]>]) -> Option<Vec<u8>> {
    match changes {
        [one] => Some(one.to_vec()),
        several => yrs::merge_updates_v1(several.iter().map(|it| &**it)).ok(),
    }
}

/// Whether an update deletes something. It ends with what it deletes: with the number 0 if that is
/// nothing.
pub fn deletes(update: &[u8]) -> bool {
    update.last().is_some_and(|last| *last != 0)
}

fn unusable(what: &str) -> Refused {
    Refused::invalid(format!("the update cannot be used: {what}"))
}

fn too_long() -> Refused {
    let what = format!("a document has at most {} MiB", STATE / 1024 / 1024);
    refused(codes::OPERATION_FAILED, what)
}

fn damaged(path: &str, what: &str) -> Refused {
    let what = format!("the document {path:?} is damaged: {what}");
    refused(codes::OPERATION_FAILED, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_takes_nothing_of_the_share_of_another_one() {
        let all = Memory::default();
        let (one, other) = (all.of_a_room(), all.of_a_room());
        let most = u64::try_from(OF_A_ROOM).unwrap() * 1024;
        let mut share = Share::of(&one, most / 2).unwrap();
        assert!(share.cover(most).is_ok());
        assert!(Share::of(&one, 1).is_err() && share.cover(most + 1).is_err());
        assert!(Share::of(&other, most).is_ok());
        share.shrink(1);
        assert!(Share::of(&one, most - LEAST).is_ok());
        let rooms: Vec<_> = (0..ALL / OF_A_ROOM).map(|_| all.of_a_room()).collect();
        drop(share);
        let shares: Vec<_> = rooms.iter().map(|room| Share::of(room, most).unwrap()).collect();
        assert!(Share::of(&other, 1).is_err());
        drop(shares);
        assert!(Share::of(&other, 1).is_ok());
    }
}
