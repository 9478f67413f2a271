//! The one connection that writes.
//!
//! The cost of a write is the wait until it is on disk, which is the same for one write and for
//! many. So writes in this queue share a transaction. Each runs in a savepoint of its own, and
//! only that is undone if the write is given up. The commit that ends the transaction goes to the
//! end of the queue, and everything before it is committed with it. No write is acknowledged
//! before that commit is on disk. [`super::transaction`] explains what happens if a step fails.
//!
//! A handler is dropped when its client goes away. What must not be cut off in the middle
//! (the start and the end of transactions and savepoints) therefore runs in tasks.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqliteConnection;
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard, oneshot};

use super::files::Fault;
use super::statement::Rows;
use super::transaction::Transaction;
use crate::platform::error::{Refusal, Result};

#[cfg(test)]
pub mod tests;

/// The queue of writes. Clones share it.
#[derive(Debug, Clone)]
pub struct Writer(Arc<Mutex<Option<Transaction>>>);

/// A write under way: everything in it happens, or nothing.
pub struct Write {
    transaction: OwnedMappedMutexGuard<Option<Transaction>, Transaction>,
    writer: Writer,
    is_settled: bool,
    /// The last revision that it used.
    counted: Option<i64>,
}

impl Writer {
    /// A queue in front of a transaction.
    pub fn new(transaction: Transaction) -> Self {
        Self(Arc::new(Mutex::new(Some(transaction))))
    }

    /// Waits for its turn, with a time limit, and starts a write.
    ///
    /// # Errors
    ///
    /// The turn or the write lock was not free in time; the store failed, or is closed.
    pub async fn start(&self, patience: Duration) -> Result<Write> {
        let writer = self.clone();
        let start = async move {
            let turn = tokio::time::timeout(patience, Arc::clone(&writer.0).lock_owned());
            let turn = turn.await.map_err(|_| Refusal::Busy)?;
            let transaction = OwnedMutexGuard::try_map(turn, Option::as_mut)
                .map_err(|_| Refusal::internal("the store is closed"))?;
            let mut write = Write { transaction, writer, is_settled: false, counted: None };
            write.transaction.start().await?;
            Ok(write)
        };
        tokio::spawn(start).await.map_err(Refusal::internal)?
    }

    /// Commits what is written by the time its turn comes.
    pub async fn commit(self) {
        if let Some(transaction) = &mut *self.0.lock().await {
            transaction.commit().await;
        }
    }

    /// What happened to the files, if anything did.
    pub async fn look(&self) -> Option<Fault> {
        match &mut *self.0.lock().await {
            Some(transaction) => transaction.look().await,
            None => None,
        }
    }

    /// Commits what is written and closes the connection, which folds the write-ahead log
    /// into the file.
    pub async fn close(&self) {
        if let Some(transaction) = self.0.lock().await.take() {
            transaction.close().await;
        }
    }
}

impl Write {
    /// The connection to run statements on.
    pub(super) fn on(&mut self) -> &mut SqliteConnection {
        &mut self.transaction.connection
    }

    /// The rows, including what was written so far.
    pub fn reads(&mut self) -> Rows<'_> {
        Rows(self.on())
    }

    /// The write as one that may change existing rows, because there is no condition: no request
    /// updates or deletes these rows by their entity tag. Handlers get a [`Change`] from the check
    /// of the request's condition and not from here.
    pub fn without_condition(self) -> Change {
        Change(self)
    }

    /// The next revision. It never repeats, whatever is deleted and created again.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn revision(&mut self) -> Result<i64> {
        let revision = sqlx::query_scalar(
            "UPDATE revisions SET value = value + 1 WHERE id = 1 RETURNING value",
        )
        .fetch_one(self.on())
        .await?;
        self.counted = Some(revision);
        Ok(revision)
    }

    /// Commits it. Once this has begun, it continues even if nobody waits for it.
    ///
    /// # Errors
    ///
    /// The store failed; nothing was written.
    pub async fn commit(mut self) -> Result<()> {
        let (tell, told) = oneshot::channel();
        let commit = async move {
            self.is_settled = true;
            let counted = self.counted;
            self.transaction.keep(tell, counted);
            let writer = self.writer.clone();
            drop(self);
            writer.commit().await;
        };
        tokio::spawn(commit);
        told.await.map_err(Refusal::internal)?
    }
}

/// A write that may update and delete: the row, as it is in this write, meets the condition of the
/// request, or there is no condition.
pub struct Change(Write);

impl Change {
    /// The connection to run statements on.
    pub fn on(&mut self) -> &mut SqliteConnection {
        self.0.on()
    }

    /// Commits it, as [`Write::commit`].
    ///
    /// # Errors
    ///
    /// The store failed; nothing was written.
    pub async fn commit(self) -> Result<()> {
        self.0.commit().await
    }
}

impl Deref for Change {
    type Target = Write;

    fn deref(&self) -> &Write {
        &self.0
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut Write {
        &mut self.0
    }
}

impl Drop for Write {
    /// The write was given up: the savepoint is undone at the next turn, at the latest by the
    /// commit that is queued here, so that the write lock is released.
    fn drop(&mut self) {
        if !self.is_settled
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(self.writer.clone().commit());
        }
    }
}
