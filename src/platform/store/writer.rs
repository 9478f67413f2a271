//! The one connection that writes.
//!
//! What costs in a write is the wait until it is on disk, and that wait is the same for one
//! write and for many. So writes that queue here share a transaction: each runs in a
//! savepoint of its own, which alone is undone when that write is given up, and the commit
//! that ends the transaction goes to the end of the queue. Whoever stands in the queue
//! before it is committed with it. None is acknowledged before that commit is on disk.
//!
//! A handler is dropped when its client goes away. What must not be cut off in the middle
//! (the start and the end of transactions and savepoints) therefore runs in tasks.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard, oneshot};

use crate::platform::error::{Refusal, Result};

/// The queue of writes. Clones share it.
#[derive(Debug, Clone)]
pub struct Writer(Arc<Mutex<Option<Group>>>);

/// The writes that share a transaction.
#[derive(Debug)]
struct Group {
    connection: SqliteConnection,
    /// Whether a transaction is open.
    is_open: bool,
    /// Whether a savepoint is open: of the write under way, or of one that was given up.
    has_savepoint: bool,
    /// Those whose writes wait for the commit.
    waiting: Vec<oneshot::Sender<Result<()>>>,
}

/// A write under way: everything in it happens, or nothing.
pub struct Write {
    group: OwnedMappedMutexGuard<Option<Group>, Group>,
    writer: Writer,
    is_settled: bool,
}

impl Writer {
    /// A queue in front of a connection.
    pub fn new(connection: SqliteConnection) -> Self {
        let group = Group { connection, is_open: false, has_savepoint: false, waiting: Vec::new() };
        Self(Arc::new(Mutex::new(Some(group))))
    }

    /// Waits for its turn, for so long at most, and starts a write.
    ///
    /// # Errors
    ///
    /// The turn or the write lock did not come in time; the store is closed.
    pub async fn start(&self, patience: Duration) -> Result<Write> {
        let writer = self.clone();
        let start = async move {
            let turn = tokio::time::timeout(patience, Arc::clone(&writer.0).lock_owned());
            let turn = turn.await.map_err(|_| Refusal::Busy)?;
            let group = OwnedMutexGuard::try_map(turn, Option::as_mut)
                .map_err(|_| Refusal::internal("the store is closed"))?;
            let mut write = Write { group, writer, is_settled: false };
            write.group.start().await?;
            Ok(write)
        };
        tokio::spawn(start).await.map_err(Refusal::internal)?
    }

    /// Commits what is written by the time its turn comes.
    async fn commit(self) {
        if let Some(group) = &mut *self.0.lock().await {
            group.commit().await;
        }
    }

    /// Commits what is written and closes the connection, which folds the write-ahead log
    /// into the file.
    pub async fn close(&self) {
        if let Some(mut group) = self.0.lock().await.take() {
            group.commit().await;
            if let Err(cause) = group.connection.close().await {
                tracing::warn!(%cause, "failed to close the store");
            }
        }
    }
}

impl Group {
    async fn run(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(statement).execute(&mut self.connection).await.map(|_| ())
    }

    async fn start(&mut self) -> Result<(), sqlx::Error> {
        self.undo().await;
        if !self.is_open {
            self.run("BEGIN IMMEDIATE").await?;
            self.is_open = true;
        }
        self.run("SAVEPOINT one").await?;
        self.has_savepoint = true;
        Ok(())
    }

    /// Undoes a write that was given up. A failure of the disk may have undone all of the
    /// transaction already; then this fails, and so does the commit, which tells everyone.
    async fn undo(&mut self) {
        if std::mem::take(&mut self.has_savepoint) {
            for statement in ["ROLLBACK TO one", "RELEASE one"] {
                if let Err(cause) = self.run(statement).await {
                    tracing::error!(%cause, "failed to undo a write");
                }
            }
        }
    }

    async fn commit(&mut self) {
        self.undo().await;
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        let outcome = self.run("COMMIT").await;
        if let Err(cause) = &outcome {
            tracing::error!(%cause, "failed to commit");
            // Nothing is left to undo when the failure has ended the transaction.
            let _ = self.run("ROLLBACK").await;
        }
        for waiting in self.waiting.drain(..) {
            // Who does not wait any more is not told.
            let _ = waiting.send(match &outcome {
                Ok(()) => Ok(()),
                Err(cause) => Err(Refusal::internal(cause.to_string())),
            });
        }
    }
}

impl Write {
    /// The connection to run statements on.
    pub fn on(&mut self) -> &mut SqliteConnection {
        &mut self.group.connection
    }

    /// The next revision. It never repeats, whatever is deleted and made again.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn revision(&mut self) -> Result<i64> {
        Ok(sqlx::query_scalar(
            "UPDATE revisions SET value = value + 1 WHERE id = 1 RETURNING value",
        )
        .fetch_one(self.on())
        .await?)
    }

    /// Makes it last. Once this has begun, it goes on even when nobody waits for it.
    ///
    /// # Errors
    ///
    /// The store failed; nothing was written.
    pub async fn commit(mut self) -> Result<()> {
        let (tell, told) = oneshot::channel();
        let commit = async move {
            let released = self.group.run("RELEASE one").await;
            match released {
                Ok(()) => {
                    self.group.has_savepoint = false;
                    self.group.waiting.push(tell);
                }
                Err(cause) => {
                    let _ = tell.send(Err(cause.into()));
                }
            }
            self.is_settled = true;
            let writer = self.writer.clone();
            drop(self);
            writer.commit().await;
        };
        tokio::spawn(commit);
        told.await.map_err(Refusal::internal)?
    }
}

impl Drop for Write {
    /// Given up: the savepoint is undone at the next turn, at the latest by the commit that
    /// is queued here, so that the write lock is not held on to.
    fn drop(&mut self) {
        if !self.is_settled
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(self.writer.clone().commit());
        }
    }
}
