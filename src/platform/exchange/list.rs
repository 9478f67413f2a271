//! Lists on their way out. A list may be longer than there is memory for, so what is more than
//! a small answer waits in a file that has no name until it was taken.

use std::fmt::{Display, Write};
use std::io::SeekFrom;
use std::pin::pin;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use futures_util::{Stream, TryStreamExt, stream};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::body::unnamed;
use super::memory::SMALL;
use crate::platform::App;
use crate::platform::error::{Refusal, Result};

/// What counts as one in the room on disk, in bytes.
const UNIT: usize = 64 * 1024;

/// The room on disk that lists share which wait to be taken: 1 GiB.
const UNITS: usize = 1024 * 1024 * 1024 / UNIT;

/// The room on disk for lists. Clones share it.
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

/// A list as JSON text: all of it in memory, or what did not fit there in a file.
#[derive(Debug)]
pub struct Listing {
    part: String,
    is_empty: bool,
    spooled: Option<Spooled>,
}

#[derive(Debug)]
struct Spooled {
    file: File,
    length: u64,
    room: OwnedSemaphorePermit,
}

impl Listing {
    /// The list `{name: []}`.
    pub fn new(name: &str) -> Self {
        Self { part: format!("{{\"{name}\":["), is_empty: true, spooled: None }
    }

    /// The list of what a query finds, row by row.
    ///
    /// # Errors
    ///
    /// The store's; there is no room on disk.
    pub async fn of<R, T: Display>(
        app: &App,
        name: &str,
        rows: impl Stream<Item = std::result::Result<R, sqlx::Error>>,
        item: impl Fn(&R) -> Result<T>,
    ) -> Result<Self> {
        let mut list = Self::new(name);
        let mut rows = pin!(rows);
        while let Some(row) = rows.try_next().await? {
            list.push(app, item(&row)?).await?;
        }
        list.end(app).await?;
        Ok(list)
    }

    /// Adds an item, which is JSON.
    ///
    /// # Errors
    ///
    /// There is no room on disk.
    pub async fn push(&mut self, app: &App, item: impl Display) -> Result<()> {
        let comma = if std::mem::take(&mut self.is_empty) { "" } else { "," };
        write!(self.part, "{comma}{item}").map_err(Refusal::internal)?;
        if self.part.len() > SMALL { self.spool(app).await } else { Ok(()) }
    }

    /// Ends the list.
    ///
    /// # Errors
    ///
    /// There is no room on disk.
    pub async fn end(&mut self, app: &App) -> Result<()> {
        self.part.push_str("]}");
        if self.spooled.is_none() {
            return Ok(());
        }
        self.spool(app).await?;
        if let Some(spooled) = &mut self.spooled {
            // What is still on its way to the disk may find it full.
            spooled.file.flush().await?;
            spooled.file.seek(SeekFrom::Start(0)).await?;
        }
        Ok(())
    }

    async fn spool(&mut self, app: &App) -> Result<()> {
        let room = app.spool().room(self.part.len())?;
        let spooled = match &mut self.spooled {
            Some(spooled) => {
                spooled.room.merge(room);
                spooled
            }
            None => {
                let file = unnamed(app.store().folder()).await?;
                self.spooled.insert(Spooled { file, length: 0, room })
            }
        };
        spooled.file.write_all(self.part.as_bytes()).await?;
        spooled.length += self.part.len() as u64;
        // One large item does not leave its room behind.
        self.part = String::new();
        Ok(())
    }

    /// What is sent, and how long it is.
    pub fn into_body(self) -> (Body, u64) {
        let Some(spooled) = self.spooled else {
            let length = self.part.len() as u64;
            return (Body::from(self.part), length);
        };
        let length = spooled.length;
        let parts = stream::try_unfold(spooled, |mut spooled| async move {
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
