//! How much of what a room sends may wait until it is read: bytes of memory, for a whole
//! connection.
//!
//! Rooms do not wait for whoever reads: logs, the output of a command and messages of other
//! participants come whenever they come. What came and was not read yet is held, each piece with
//! its share of the budget, which is free again once the piece is read, or its reader is gone. If
//! the budget is used up, the piece that came last waits for its share, and nothing is taken from
//! the connection meanwhile. So the room is slowed down by TCP, and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::content::Content;
use super::message::Message;

/// How many bytes may wait. A larger piece waits until nothing else does.
pub const BUDGET: usize = 8 * 1024 * 1024;

/// What is held of a connection.
#[derive(Debug)]
pub(super) struct Budget {
    shares: Arc<Semaphore>,
    is_used_up: AtomicBool,
}

/// A piece that waits, with its share.
#[derive(Debug)]
pub(super) struct Held<T> {
    piece: T,
    _share: OwnedSemaphorePermit,
}

/// Where pieces wait for one reader.
pub(super) type Sender<T> = mpsc::UnboundedSender<Held<T>>;

/// The reader of pieces that wait.
#[derive(Debug)]
pub(super) struct Receiver<T>(mpsc::UnboundedReceiver<Held<T>>);

/// A place where pieces wait. Only the budget bounds how many.
pub(super) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Receiver(receiver))
}

impl<T> Receiver<T> {
    /// The next piece; none once nothing more can come.
    pub(super) async fn next(&mut self) -> Option<T> {
        self.0.recv().await.map(|held| held.piece)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { shares: Arc::new(Semaphore::new(BUDGET)), is_used_up: AtomicBool::new(false) }
    }
}

impl Budget {
    /// Holds a piece for its reader, as soon as its share is free. A piece whose reader is gone, or
    /// goes meanwhile, is dropped.
    pub(super) async fn hold<T: Weighs>(&self, piece: T, reader: &Sender<T>) {
        let Err(piece) = self.hold_now(piece, reader) else { return };
        self.is_used_up.store(true, Ordering::Relaxed);
        tokio::select! {
            () = reader.closed() => {}
            share = Arc::clone(&self.shares).acquire_many_owned(share(&piece)) => {
                // Nobody closes the semaphore.
                if let Ok(share) = share {
                    let _ = reader.send(Held { piece, _share: share });
                }
            }
        }
        self.is_used_up.store(false, Ordering::Relaxed);
    }

    /// Holds a piece for its reader, if its share is free.
    ///
    /// # Errors
    ///
    /// The piece, if its share is not free.
    pub(super) fn hold_now<T: Weighs>(&self, piece: T, reader: &Sender<T>) -> Result<(), T> {
        if reader.is_closed() {
            return Ok(());
        }
        match Arc::clone(&self.shares).try_acquire_many_owned(share(&piece)) {
            Ok(share) => {
                let _ = reader.send(Held { piece, _share: share });
                Ok(())
            }
            Err(_) => Err(piece),
        }
    }

    /// Whether a piece waits for its share, so that nothing is read from the connection.
    pub(super) fn is_used_up(&self) -> bool {
        self.is_used_up.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.shares.available_permits()
    }
}

fn share(piece: &impl Weighs) -> u32 {
    u32::try_from(piece.weight().min(BUDGET)).unwrap_or(u32::MAX)
}

/// What can wait.
pub(super) trait Weighs {
    /// About how many bytes of memory it takes.
    fn weight(&self) -> usize;
}

/// What a piece takes beside what is in it.
const PIECE: usize = 128;

/// What a member of an object takes beside its name and its value.
const MEMBER: usize = 64;

/// How many members an object has space for when it is made.
const MEMBERS: usize = 4;

impl Weighs for Value {
    fn weight(&self) -> usize {
        let inside = match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => 0,
            Self::String(text) => text.capacity(),
            Self::Array(items) => {
                let spare = items.capacity() - items.len();
                spare * size_of::<Self>() + items.iter().map(Self::weight).sum::<usize>()
            }
            Self::Object(members) => {
                let spare = MEMBERS.saturating_sub(members.len()) * (MEMBER + size_of::<Self>());
                let weights =
                    members.iter().map(|(name, it)| MEMBER + name.capacity() + it.weight());
                if members.is_empty() { 0 } else { spare + weights.sum::<usize>() }
            }
        };
        size_of::<Self>() + inside
    }
}

impl Weighs for Message {
    fn weight(&self) -> usize {
        PIECE + self.kind.capacity() + self.header.weight() + self.bytes.capacity()
    }
}

impl Weighs for Content {
    fn weight(&self) -> usize {
        let inside = match self {
            Self::Json(value) => value.weight(),
            Self::Text(text) => text.capacity(),
            Self::File { name, mime_type, bytes } => {
                name.capacity() + mime_type.capacity() + bytes.capacity()
            }
            Self::Binary { headers, bytes } => headers.weight() + bytes.capacity(),
            Self::Link { name, url } => name.capacity() + url.capacity(),
            Self::Raw(outputs) => outputs.iter().map(Value::weight).sum(),
            Self::Error(refused) => refused.text.capacity(),
            Self::Close { message, .. } => message.as_ref().map_or(0, String::capacity),
            Self::Empty | Self::Open => 0,
        };
        PIECE + inside
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::time::timeout;

    use super::*;

    fn part(size: usize) -> Content {
        Content::part(json!({}), vec![0; size])
    }

    #[test]
    fn what_takes_much_memory_weighs_much() {
        let weight = |value: Value| value.weight();
        assert!(weight(json!("x".repeat(1000))) > 1000);
        assert!(weight(json!(vec![Value::Null; 1000])) >= 1000 * size_of::<Value>());
        assert!(weight(json!([[], [], []])) >= 4 * size_of::<Value>());
        assert!(weight(json!({"name": 1})) > weight(json!(1)) + "name".len());
        let bytes = Message { bytes: vec![0; 5000], ..Message::new(1, "x", json!({})) };
        assert!(bytes.weight() > 5000 && part(0).weight() > 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_is_free_again_once_its_piece_is_read_or_its_reader_is_gone() {
        let budget = Budget::default();
        let (first, mut of_first) = channel();
        let (second, of_second) = channel();
        budget.hold(part(BUDGET / 2), &first).await;
        budget.hold(part(BUDGET / 4), &second).await;
        assert!(budget.free() < BUDGET / 4);
        drop(of_first.next().await);
        assert!(budget.free() > BUDGET / 2);
        drop(of_second);
        assert_eq!(budget.free(), BUDGET);
        // Nobody waits for a reader that is gone.
        budget.hold(part(BUDGET * 2), &second).await;
        assert_eq!(budget.free(), BUDGET);
    }

    #[tokio::test(start_paused = true)]
    async fn a_piece_waits_for_its_share_until_its_reader_is_gone() {
        let budget = Budget::default();
        let (first, mut of_first) = channel();
        let (second, of_second) = channel();
        // A piece that is larger than all that may wait does so alone.
        budget.hold(part(BUDGET * 2), &first).await;
        assert_eq!(budget.free(), 0);
        let held = budget.hold(part(1), &second);
        tokio::pin!(held);
        assert!(timeout(Duration::from_secs(9), &mut held).await.is_err() && budget.is_used_up());
        drop(of_second);
        held.await;
        assert!(!budget.is_used_up());
        assert_eq!(budget.hold_now(part(1), &first), Err(part(1)));
        assert!(of_first.next().await.is_some());
        assert_eq!(budget.hold_now(part(1), &first), Ok(()));
    }
}
