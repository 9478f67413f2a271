//! A document that is open. One task has it, so that what several want is done one after the other,
//! and what waits is written to disk at once.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use yrs::StateVector;

use super::content::{Content, Done, Failed, Memory, Wanted, deletes, merged};
use crate::documents::schema::Schema;
use crate::notice;
use crate::platform::live::calls::refused;
use crate::platform::live::files::{FilePath, Files};
use crate::room::codes;
use crate::room::content::Refused;

/// How much may wait to be done, and how much of it is done at once.
const WAITING: usize = 256;

/// How much of what was changed is kept for those who are slow, in bytes. Who is slower gets the whole
/// document.
const RECENT: usize = 1024 * 1024;

/// How many changes are told at once: to merge them takes longer the more there are.
const TOLD: usize = 256;

/// An open document, as those who have it open see it.
#[derive(Debug)]
pub struct Document {
    asks: mpsc::Sender<Ask>,
    schema: Arc<Schema>,
    recent: Arc<Recent>,
    numbers: AtomicU64,
}

/// What is asked of a document.
enum Ask {
    Change(Wanted, oneshot::Sender<Result<(), Refused>>),
    State(Option<StateVector>, oneshot::Sender<(Vec<u8>, u64)>),
    Describe(oneshot::Sender<Result<Value, Refused>>),
}

/// What has changed last.
#[derive(Debug)]
struct Recent {
    changes: Mutex<Changes>,
    /// Signals that there is more, or that there is an end to it.
    more: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Changes {
    /// Each with who did it.
    kept: VecDeque<(u64, Arc<[u8]>)>,
    /// How many bytes that is.
    size: usize,
    /// How many there were, those included that are not kept.
    count: u64,
    /// Why there are no more.
    ended: Option<Refused>,
}

impl Recent {
    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, why: Refused) {
        self.changes().ended.get_or_insert(why);
        self.more.send_replace(());
    }
}

impl Changes {
    fn add(&mut self, by: u64, change: Arc<[u8]>) {
        self.count += 1;
        self.size += change.len();
        self.kept.push_back((by, change));
        while self.size > RECENT
            && let Some((_, change)) = self.kept.pop_front()
        {
            self.size -= change.len();
        }
    }

    /// What others have changed since there were so many changes, or some of it, and how many changes
    /// there were then; none if not all of it is kept.
    ///
    /// No more than one of them deletes something. To merge two would join what they delete where it
    /// touches, and clients with yrs up to 0.25, like pycrdt 0.12, skip the whole of what is joined if
    /// they have forgotten the first of it already.
    fn since(&self, count: u64, by: u64) -> Option<(Vec<Arc<[u8]>>, u64)> {
        let missed = usize::try_from(self.count.checked_sub(count)?).ok()?;
        let first = self.kept.len().checked_sub(missed)?;
        let (mut others, mut told, mut has_deleted) = (Vec::new(), 0, false);
        for (who, change) in self.kept.range(first..first + missed.min(TOLD)) {
            if *who != by {
                if has_deleted && deletes(change) {
                    break;
                }
                has_deleted |= deletes(change);
                others.push(Arc::clone(change));
            }
            told += 1;
        }
        Some((others, count + told))
    }
}

/// Somebody who has a document open.
pub struct Opener {
    document: Arc<Document>,
    number: u64,
    may_write: bool,
    /// How many changes there were that the opener has.
    seen: u64,
    more: watch::Receiver<()>,
}

impl Document {
    /// Opens a document that was read, and what keeps it as long as somebody has it open.
    pub fn new(content: Content, place: Place) -> (Arc<Self>, impl Future<Output = ()>) {
        let (asks, asked) = mpsc::channel(WAITING);
        let recent = Arc::new(Recent { changes: Mutex::default(), more: watch::Sender::new(()) });
        let document = Self {
            asks,
            schema: content.schema(),
            recent: Arc::clone(&recent),
            numbers: AtomicU64::new(0),
        };
        (Arc::new(document), Keeper { content: Some(content), place, recent }.keep(asked))
    }

    /// What it may contain.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Ends it for all who have it open.
    pub fn end(&self, why: Refused) {
        self.recent.end(why);
    }

    /// Whether it was ended.
    pub fn is_ended(&self) -> bool {
        self.recent.changes().ended.is_some()
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Refused> {
        let (tell, told) = oneshot::channel();
        let asked = self.asks.send(ask(tell)).await;
        let closed = || refused(codes::OPERATION_FAILED, "the document was closed");
        asked.map_err(|_| closed())?;
        told.await.map_err(|_| closed())
    }

    /// The document as JSON.
    ///
    /// # Errors
    ///
    /// It is nested too deep; the platform closes.
    pub async fn describe(&self) -> Result<Value, Refused> {
        self.ask(Ask::Describe).await?
    }

    /// Opens it for somebody; the state, without what they have already.
    ///
    /// # Errors
    ///
    /// The platform closes.
    pub async fn open(
        self: &Arc<Self>,
        may_write: bool,
        has: Option<StateVector>,
    ) -> Result<(Opener, Vec<u8>), Refused> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let more = self.recent.more.subscribe();
        let (state, seen) = self.ask(|tell| Ask::State(has, tell)).await?;
        let document = Arc::clone(self);
        Ok((Opener { document, number, may_write, seen, more }, state))
    }
}

impl Opener {
    /// Changes the document, unless there is nothing in the update. What the answer says is on disk.
    ///
    /// # Errors
    ///
    /// The update cannot be used, or the opener must not change anything; it could not be written.
    pub async fn change(&self, bytes: Vec<u8>) -> Result<(), Refused> {
        if bytes.is_empty() {
            return Ok(());
        }
        let wanted = Wanted { by: self.number, bytes, may_write: self.may_write };
        self.document.ask(|tell| Ask::Change(wanted, tell)).await?
    }

    /// Waits until others have changed something, and says what; none if not all of it is kept any
    /// more, so that [`Self::whole`] is needed. To wait can be given up.
    ///
    /// # Errors
    ///
    /// The document has ended.
    pub async fn news(&mut self) -> Result<Option<Vec<u8>>, Refused> {
        loop {
            self.more.mark_unchanged();
            let found = {
                let changes = self.document.recent.changes();
                if let Some(why) = &changes.ended {
                    return Err(why.clone());
                }
                changes.since(self.seen, self.number).map(|found| (found, changes.count))
            };
            let Some(((changes, seen), count)) = found else { return Ok(None) };
            if !changes.is_empty() {
                let merged = merged(&changes);
                if merged.is_some() {
                    self.seen = seen;
                }
                return Ok(merged);
            }
            self.seen = seen;
            if seen < count {
                continue;
            }
            // The document is held, so there is somebody who may signal.
            let _ = self.more.changed().await;
        }
    }

    /// The whole document.
    ///
    /// # Errors
    ///
    /// The platform closes.
    pub async fn whole(&mut self) -> Result<Vec<u8>, Refused> {
        let (state, seen) = self.document.ask(|tell| Ask::State(None, tell)).await?;
        self.seen = seen;
        Ok(state)
    }
}

/// Where a document is.
#[derive(Debug, Clone)]
pub struct Place {
    /// The files of its room.
    pub files: Files,
    /// Its path.
    pub path: FilePath,
    /// The memory for open documents.
    pub memory: Memory,
    /// Held by what puts documents in their place or removes them.
    pub changing: Arc<tokio::sync::Mutex<()>>,
}

/// The task that has a document.
struct Keeper {
    /// The document, but while something is done with it.
    content: Option<Content>,
    place: Place,
    recent: Arc<Recent>,
}

impl Keeper {
    async fn keep(mut self, mut asked: mpsc::Receiver<Ask>) {
        let mut waiting = Vec::with_capacity(WAITING);
        while asked.recv_many(&mut waiting, WAITING).await > 0 {
            let (mut wanted, mut tell) = (Vec::new(), Vec::new());
            for ask in waiting.drain(..) {
                if let Ask::Change(one, done) = ask {
                    wanted.push(one);
                    tell.push(done);
                    continue;
                }
                // What was asked before is done before.
                self.change(std::mem::take(&mut wanted), std::mem::take(&mut tell)).await;
                self.show(ask).await;
            }
            self.change(wanted, tell).await;
            self.shorten(false).await;
        }
        self.shorten(true).await;
    }

    /// Does something with the document that blocks; none if that came to no end, and the document
    /// could not be read again.
    async fn with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Content) -> T + Send + 'static,
    ) -> Option<T> {
        let mut content = self.content.take()?;
        let done = spawn_blocking(move || {
            let done = work(&mut content);
            (content, done)
        });
        match done.await {
            Ok((content, done)) => {
                self.content = Some(content);
                Some(done)
            }
            Err(error) => {
                notice::tell("a document of a room could not be used", &error);
                self.read_again().await;
                None
            }
        }
    }

    /// Reads the document from disk: what is in memory is not to be trusted.
    async fn read_again(&mut self) {
        // What it has of the memory is free first.
        self.content = None;
        let place = self.place.clone();
        let read = spawn_blocking(move || Content::load(&place.files, &place.path, &place.memory));
        let failed = |_| refused(codes::OPERATION_FAILED, "the platform failed");
        match read.await.map_err(failed).and_then(|read| read) {
            Ok(content) => self.content = Some(content),
            Err(why) => self.recent.end(why),
        }
    }

    /// Goes on after the document could not be written: it is read again, or has ended.
    async fn failed(&mut self, why: &Refused) {
        if why.code == Some(codes::FILE_NOT_FOUND) {
            self.content = None;
            self.recent.end(why.clone());
        } else {
            self.read_again().await;
        }
    }

    async fn change(
        &mut self,
        mut wanted: Vec<Wanted>,
        mut tell: Vec<oneshot::Sender<Result<(), Refused>>>,
    ) {
        if let Some(why) = self.recent.changes().ended.clone() {
            return tell.into_iter().for_each(|tell| drop(tell.send(Err(why.clone()))));
        }
        while !wanted.is_empty() {
            let who: Vec<u64> = wanted.iter().map(|one| one.by).collect();
            let place = self.place.clone();
            let work = move |content: &mut Content| {
                (content.change(&place.files, &place.path, &wanted), wanted)
            };
            let Some((done, again)) = self.with(work).await else {
                // Who waits is told by the end of the document, or of what they wait for.
                return tell.into_iter().for_each(|tell| drop(tell.send(Err(broken()))));
            };
            wanted = again;
            match done {
                Ok(done) => return self.told(who, done, tell),
                Err(Failed { of: Some(index), why }) => {
                    self.read_again().await;
                    wanted.remove(index);
                    // Nobody may wait for it any more.
                    let _ = tell.remove(index).send(Err(why));
                }
                Err(Failed { of: None, why }) => {
                    self.failed(&why).await;
                    return tell.into_iter().for_each(|tell| drop(tell.send(Err(why.clone()))));
                }
            }
        }
    }

    /// Tells what was done: to the others what has changed, and to each what became of theirs.
    fn told(
        &self,
        who: Vec<u64>,
        done: Vec<Done>,
        tell: Vec<oneshot::Sender<Result<(), Refused>>>,
    ) {
        let mut changes = self.recent.changes();
        let before = changes.count;
        let mut results = Vec::with_capacity(done.len());
        for (by, done) in who.into_iter().zip(done) {
            results.push(done.map(|change| {
                if let Some(change) = change {
                    changes.add(by, change);
                }
            }));
        }
        let is_changed = changes.count > before;
        drop(changes);
        if is_changed {
            self.recent.more.send_replace(());
        }
        for (tell, result) in tell.into_iter().zip(results) {
            let _ = tell.send(result);
        }
    }

    async fn show(&mut self, ask: Ask) {
        match ask {
            Ask::State(has, tell) => {
                let state = self.with(move |content| content.state(has.as_ref())).await;
                let count = self.recent.changes().count;
                if let Some(state) = state {
                    let _ = tell.send((state, count));
                }
            }
            Ask::Describe(tell) => {
                let described = self.with(|content| content.describe()).await;
                let _ = tell.send(described.unwrap_or_else(|| Err(broken())));
            }
            Ask::Change(..) => {}
        }
    }

    /// Writes the file anew if it has become long.
    async fn shorten(&mut self, is_last: bool) {
        if !self.content.as_ref().is_some_and(|content| content.is_long(is_last)) {
            return;
        }
        let _changing = Arc::clone(&self.place.changing).lock_owned().await;
        // What was deleted or replaced must not come back.
        if self.recent.changes().ended.is_some() {
            return;
        }
        let place = self.place.clone();
        let done = self.with(move |content| content.shorten(&place.files, &place.path)).await;
        if let Some(Err(refused)) = done {
            notice::tell("the file of a document could not be shortened", &refused);
            // What it wrote to may not be the file any more.
            self.failed(&refused).await;
        }
    }
}

fn broken() -> Refused {
    refused(codes::OPERATION_FAILED, "the platform could not use the document")
}

#[cfg(test)]
mod tests {
    use yrs::updates::decoder::Decode;

    use super::*;

    #[test]
    fn what_two_delete_is_not_told_at_once() {
        let mut changes = Changes::default();
        // The client has forgotten the element 2 of the writer 1: it has another value. The element 3 is
        // there.
        let add = [1, 1, 2, 0, 4, 1, 3, b'x', b'm', b'l', 1, b'a', 0];
        let (one, other) = ([0, 1, 1, 1, 2, 1], [0, 1, 1, 1, 3, 1]);
        for (by, change) in
            [(1, &add[..]), (1, &one), (2, &add), (3, &other), (2, &one), (1, &add), (1, &other)]
        {
            changes.add(by, change.into());
        }
        let mut told = Vec::new();
        let mut seen = 0;
        while seen < changes.count {
            let (some, count) = changes.since(seen, 2).unwrap();
            told.push(some.iter().map(|change| deletes(change)).collect::<Vec<_>>());
            seen = count;
        }
        assert_eq!(told, [vec![false, true], vec![true, false], vec![true]]);
        for written in [&add[..], &one] {
            assert!(
                yrs::Update::decode_v1(written)
                    .is_ok_and(|update| { update.delete_set().is_empty() != deletes(written) })
            );
        }
    }
}
