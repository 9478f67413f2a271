//! What waits for a participant to read it, bounded in bytes.
//!
//! News of the room is put in without waiting: a participant that does not read enough of it is
//! dismissed, and others do not notice. What another participant sends waits for room, for a
//! while: a stream is as fast as its reader. What the participant asked for itself waits as long
//! as it reads at all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Bytes;

use crate::room::message::{Message, SLICE};

/// How many bytes of each sort may wait.
pub const MOST: usize = 4 * 1024 * 1024;

/// What a packet costs besides its bytes.
const PACKET: usize = 64;

/// How long what another participant sends waits for its reader.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is called once a message has been handed to the system; or dropped if it never is.
pub type Sent = Box<dyn FnOnce() + Send>;

/// A message, cut at most once for each size of slices, however many get it.
#[derive(Debug)]
pub struct Letter {
    message: Message,
    small: OnceLock<Arc<[Bytes]>>,
    large: OnceLock<Arc<[Bytes]>>,
}

impl From<Message> for Letter {
    fn from(message: Message) -> Self {
        Self { message, small: OnceLock::new(), large: OnceLock::new() }
    }
}

impl Letter {
    fn packets(&self, slice: usize) -> Arc<[Bytes]> {
        let cut = if slice > SLICE { &self.large } else { &self.small };
        let packets = || self.message.packets(slice).collect();
        Arc::clone(cut.get_or_init(packets))
    }
}

/// A message on its way to a participant.
pub struct Parcel {
    /// Its packets.
    pub packets: Arc<[Bytes]>,
    /// What is called once they were sent.
    pub sent: Option<Sent>,
    _share: OwnedSemaphorePermit,
}

/// The way to a participant. Clones lead to the same one.
#[derive(Debug, Clone)]
pub struct Outgoing {
    parcels: mpsc::UnboundedSender<Parcel>,
    news: Arc<Semaphore>,
    relayed: Arc<Semaphore>,
    slice: Arc<AtomicUsize>,
}

/// Something was not taken: the participant does not read, or is gone.
#[derive(Debug, PartialEq, Eq)]
pub struct NotTaken;

impl Outgoing {
    /// A new way, and its other end.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Parcel>) {
        let (parcels, taken) = mpsc::unbounded_channel();
        let budget = || Arc::new(Semaphore::new(MOST));
        let slice = Arc::new(AtomicUsize::new(SLICE));
        (Self { parcels, news: budget(), relayed: budget(), slice }, taken)
    }

    /// Says how large the slices may be that this participant is sent, in bytes.
    pub fn takes_slices(&self, bytes: usize) {
        self.slice.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Sends a message without waiting.
    ///
    /// # Errors
    ///
    /// Too much waits already; the participant is gone.
    pub fn push(&self, letter: &Letter) -> Result<(), NotTaken> {
        let packets = letter.packets(self.slice.load(Ordering::Relaxed));
        let share = Arc::clone(&self.news).try_acquire_many_owned(weight(&packets));
        self.hand(packets, share.map_err(|_| NotTaken)?, None)
    }

    /// Sends a message of another participant if there is room for it now; none if it has to wait.
    pub fn relay_at_once(&self, letter: &Letter) -> Option<Result<(), NotTaken>> {
        let packets = letter.packets(self.slice.load(Ordering::Relaxed));
        let share = Arc::clone(&self.relayed).try_acquire_many_owned(weight(&packets)).ok()?;
        Some(self.hand(packets, share, None))
    }

    /// Sends a message of another participant when there is room for it. While it waits it counts
    /// towards `held`, what may wait like that, in bytes.
    ///
    /// # Errors
    ///
    /// There is none for too long, or too much waits already; the participant is gone.
    pub async fn relay(&self, letter: &Letter, held: &Arc<Semaphore>) -> Result<(), NotTaken> {
        if let Some(done) = self.relay_at_once(letter) {
            return done;
        }
        let packets = letter.packets(self.slice.load(Ordering::Relaxed));
        let weight = weight(&packets);
        let waits = Arc::clone(held).try_acquire_many_owned(weight).map_err(|_| NotTaken)?;
        let share = timeout(PATIENCE, self.share(weight)).await.map_err(|_| NotTaken)??;
        drop(waits);
        self.hand(packets, share, None)
    }

    /// Sends what the participant asked for, when there is room for it. While it waits it counts
    /// towards `held`, too.
    ///
    /// # Errors
    ///
    /// Too much waits already; the participant is gone.
    pub async fn reply(
        &self,
        letter: Letter,
        sent: Option<Sent>,
        held: &Arc<Semaphore>,
    ) -> Result<(), NotTaken> {
        let packets = letter.packets(self.slice.load(Ordering::Relaxed));
        // What waits are the packets alone.
        drop(letter);
        let weight = weight(&packets);
        let share = match Arc::clone(&self.relayed).try_acquire_many_owned(weight) {
            Ok(share) => share,
            Err(_) => {
                let waits = Arc::clone(held).try_acquire_many_owned(weight);
                let _waits = waits.map_err(|_| NotTaken)?;
                self.share(weight).await?
            }
        };
        self.hand(packets, share, sent)
    }

    async fn share(&self, weight: u32) -> Result<OwnedSemaphorePermit, NotTaken> {
        tokio::select! {
            share = Arc::clone(&self.relayed).acquire_many_owned(weight) => share.map_err(|_| NotTaken),
            () = self.parcels.closed() => Err(NotTaken),
        }
    }

    fn hand(
        &self,
        packets: Arc<[Bytes]>,
        share: OwnedSemaphorePermit,
        sent: Option<Sent>,
    ) -> Result<(), NotTaken> {
        self.parcels.send(Parcel { packets, sent, _share: share }).map_err(|_| NotTaken)
    }
}

/// What a message counts, in bytes. One that is larger than everything that may wait still goes
/// out by itself.
fn weight(packets: &[Bytes]) -> u32 {
    let bytes: usize = packets.iter().map(|packet| packet.len() + PACKET).sum();
    u32::try_from(bytes.min(MOST)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn letter(size: usize) -> Letter {
        Message { id: 1, kind: "x".to_owned(), header: json!({}), bytes: vec![0; size] }.into()
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_bounded_and_each_sort_by_itself() {
        let (outgoing, mut taken) = Outgoing::new();
        let part = letter(MOST / 4);
        let mut count = 0;
        while outgoing.push(&part).is_ok() {
            count += 1;
        }
        assert_eq!(count, 3);
        // A stream has room of its own, and waits when that is full.
        let held = Arc::new(Semaphore::new(MOST));
        for _ in 0..3 {
            assert_eq!(outgoing.relay(&part, &held).await, Ok(()));
        }
        let before = tokio::time::Instant::now();
        assert_eq!(outgoing.relay(&part, &held).await, Err(NotTaken));
        assert_eq!(before.elapsed(), PATIENCE);
        // What waits is bounded as well, over all participants.
        let none = Arc::new(Semaphore::new(0));
        assert_eq!(outgoing.relay(&part, &none).await, Err(NotTaken));
        assert_eq!(before.elapsed(), PATIENCE);
        for _ in 0..6 {
            assert!(taken.recv().await.is_some());
        }
        assert_eq!(outgoing.relay(&part, &none).await, Ok(()));
        assert_eq!(outgoing.push(&part), Ok(()));
        drop(taken);
        assert_eq!(outgoing.push(&part), Err(NotTaken));
        assert_eq!(outgoing.relay(&part, &held).await, Err(NotTaken));
        assert_eq!(held.available_permits(), MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_participant_asked_for_waits_until_it_has_read_or_is_gone() {
        let (outgoing, mut taken) = Outgoing::new();
        let held = Arc::new(Semaphore::new(MOST));
        assert_eq!(outgoing.reply(letter(MOST / 2), None, &held).await, Ok(()));
        let second = outgoing.reply(letter(MOST * 2), None, &held);
        let reader = async {
            tokio::time::sleep(PATIENCE * 100).await;
            assert!(taken.recv().await.is_some());
            taken
        };
        let (second, taken) = tokio::join!(second, reader);
        assert_eq!(second, Ok(()));
        let third = outgoing.reply(letter(1), None, &held);
        let gone = async { drop(taken) };
        assert_eq!(tokio::join!(third, gone).0, Err(NotTaken));
    }

    #[tokio::test]
    async fn what_is_larger_than_all_that_may_wait_goes_alone() {
        let (outgoing, mut taken) = Outgoing::new();
        assert_eq!(outgoing.push(&letter(MOST * 2)), Ok(()));
        assert_eq!(outgoing.push(&letter(1)), Err(NotTaken));
        assert!(taken.recv().await.is_some());
        assert_eq!(outgoing.push(&letter(1)), Ok(()));
    }

    #[tokio::test]
    async fn a_message_is_cut_once_for_each_size() {
        let (small, mut of_small) = Outgoing::new();
        let (large, mut of_large) = Outgoing::new();
        large.takes_slices(64 * 1024);
        let letter = letter(100_000);
        for _ in 0..2 {
            small.push(&letter).unwrap();
            large.push(&letter).unwrap();
        }
        let (first, second) = (of_small.recv().await.unwrap(), of_small.recv().await.unwrap());
        assert!(Arc::ptr_eq(&first.packets, &second.packets));
        assert_eq!(first.packets.len(), 99);
        assert_eq!(of_large.recv().await.unwrap().packets.len(), 3);
    }
}
