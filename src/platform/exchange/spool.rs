//! Large answers wait on disk until they were sent, in unnamed files, so that slow clients hold no
//! memory.

use std::io::SeekFrom;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::body::unnamed;
use super::memory::SMALL;
use crate::platform::App;
use crate::platform::error::{Refusal, Result};

/// The size of one unit of the room on disk, in bytes.
const UNIT: usize = 64 * 1024;

/// The room on disk that waiting answers share: 1 GiB.
const UNITS: usize = 1024 * 1024 * 1024 / UNIT;

/// The room on disk for answers. Clones share it.
#[derive(Debug, Clone)]
pub struct Spool(Arc<Semaphore>);

impl Default for Spool {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(UNITS)))
    }
}

impl Spool {
    fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).map_err(Refusal::internal)?;
        Arc::clone(&self.0).try_acquire_many_owned(units).map_err(|error| match error {
            TryAcquireError::NoPermits => Refusal::Busy,
            TryAcquireError::Closed => Refusal::internal(error),
        })
    }
}

/// An answer that waits on disk, with its room there.
#[derive(Debug)]
pub struct Spooled {
    file: File,
    length: u64,
    room: Option<OwnedSemaphorePermit>,
}

impl Spooled {
    /// An answer with nothing in it so far.
    ///
    /// # Errors
    ///
    /// There is no room on disk.
    pub async fn new(app: &App) -> Result<Self> {
        Ok(Self { file: unnamed(app.store().folder()).await?, length: 0, room: None })
    }

    /// Adds a part.
    ///
    /// # Errors
    ///
    /// There is no room on disk.
    pub async fn add(&mut self, app: &App, part: &[u8]) -> Result<()> {
        let room = app.spool().room(part.len())?;
        match &mut self.room {
            Some(all) => all.merge(room),
            None => self.room = Some(room),
        }
        self.file.write_all(part).await?;
        self.length += part.len() as u64;
        Ok(())
    }

    /// Ends it, so that it can be sent.
    ///
    /// # Errors
    ///
    /// There is no room on disk.
    pub async fn end(&mut self) -> Result<()> {
        // Bytes that are still on their way to the disk may find it full.
        self.file.flush().await?;
        self.file.seek(SeekFrom::Start(0)).await?;
        Ok(())
    }

    /// What is sent, and how long it is.
    pub fn into_body(self) -> (Body, u64) {
        let length = self.length;
        let parts = stream::try_unfold(self, |mut spooled| async move {
            let mut part = vec![0; SMALL];
            let read = spooled.file.read(&mut part).await?;
            part.truncate(read);
            Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(part), spooled)))
        });
        (Body::from_stream(parts), length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_on_disk_has_an_end_and_is_given_back() {
        let spool = Spool::default();
        let most = spool.room(UNIT * UNITS).expect("room");
        assert!(matches!(spool.room(1), Err(Refusal::Busy)));
        drop(most);
        let mut one = spool.room(1).expect("room");
        one.merge(spool.room(UNIT * (UNITS - 1)).expect("the rest"));
        assert!(matches!(spool.room(1), Err(Refusal::Busy)));
    }
}
