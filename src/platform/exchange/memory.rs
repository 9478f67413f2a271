//! The memory that large bodies share, whoever sends or receives them.
//!
//! A small body costs no more than its connection. A large one waits until there is room for it;
//! meanwhile the part that has arrived is on disk.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::BODY_LIMIT;
use crate::platform::error::{Refusal, Result};

/// Up to this size a body needs no memory of its own, in bytes.
pub const SMALL: usize = 64 * 1024;

/// How many copies of the bytes of a body may be in memory while it is processed.
const COPIES: usize = 2;

/// What a value of JSON takes besides its bytes.
const VALUE: usize = 100;

/// How long to wait for memory.
const PATIENCE: Duration = Duration::from_secs(20);

/// The size of one unit, in bytes.
const UNIT: usize = 1024;

/// How many units there are: enough for the largest body.
const UNITS: usize = BODY_LIMIT * COPIES / UNIT;

/// The memory that is left. Clones share it.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Semaphore>);

/// Room for a large body, until this is dropped.
pub type Room = OwnedSemaphorePermit;

impl Default for Memory {
    /// Room for the largest body at a time, or for several that are smaller.
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(UNITS)))
    }
}

impl Memory {
    /// Waits for room for a body of so many bytes and values; there is always enough for a
    /// small one.
    ///
    /// # Errors
    ///
    /// There was none in time.
    pub async fn room(&self, bytes: usize, values: usize) -> Result<Option<Room>> {
        let needed = bytes * COPIES + values * VALUE;
        if needed <= SMALL * COPIES {
            return Ok(None);
        }
        let units = needed.div_ceil(UNIT).min(UNITS);
        let room = Arc::clone(&self.0)
            .acquire_many_owned(u32::try_from(units).map_err(Refusal::internal)?);
        let room = tokio::time::timeout(PATIENCE, room).await.map_err(|_| Refusal::Busy)?;
        Ok(Some(room.map_err(Refusal::internal)?))
    }
}

/// The room that a request has taken. It is kept until the request is answered.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<Mutex<Vec<Room>>>);

impl Kept {
    /// Keeps it.
    pub fn keep(&self, room: Room) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_each_other_and_small_ones_for_nobody() {
        let memory = Memory::default();
        let largest = memory.room(BODY_LIMIT, 200_000).await.expect("room").expect("some");
        assert!(memory.room(SMALL, 0).await.expect("room").is_none());
        assert!(matches!(memory.room(SMALL + 1, 0).await, Err(Refusal::Busy)));
        assert!(matches!(memory.room(2 * 10_000, 10_000).await, Err(Refusal::Busy)));
        let waiting = memory.room(BODY_LIMIT / 2, 0);
        let freeing = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(largest);
        };
        let (half, ()) = tokio::join!(waiting, freeing);
        let half = half.expect("room").expect("some");
        memory.room(BODY_LIMIT / 2, 0).await.expect("room for two halves");
        drop(half);
    }
}
