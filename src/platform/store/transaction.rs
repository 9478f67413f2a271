//! The transaction that writes share, on the one connection that writes.
//!
//! Whoever was told that a write lasts has it on disk, and whoever was refused has nothing
//! there, whatever fails. So:
//!
//! - Nobody is told before the transaction has ended, one way or the other. Then they are
//!   told, and only then it is logged.
//! - A step that fails does not say what was undone: the disk may have taken nothing, the
//!   savepoint or the whole transaction with it. So all that is in the transaction is refused
//!   and rolled back. Where that fails, the connection is closed, which does the same.
//! - A commit that fails may stand whole in SQLite's log, and only could not be synced. The
//!   next process that opens the file would find it. So another commit is written over it;
//!   until one was, nobody is told that nothing was written, and nothing else is.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::oneshot;

use super::files::{Fault, Files};
use super::{PATIENCE, look};
use crate::notice;
use crate::platform::error::{Refusal, Result};

/// How far what is written goes.
const COUNT: &str = "SELECT value FROM revisions WHERE id = 1";

/// How the outcome of a write is told to who waits for it.
pub type Tell = oneshot::Sender<Result<()>>;

/// The statements around writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Begins the transaction and its first write.
    Begin,
    /// Ends a write that is kept and begins the next.
    Next,
    /// Undoes a write that was given up; the next may begin.
    RollBackTo,
    /// Has each commit that keeps anything count, so that what the file holds tells how far
    /// it goes.
    Count,
    Commit,
    RollBack,
    /// Stands in the place of a commit that failed, as a transaction of its own.
    Overwrite,
}

impl Step {
    const fn sql(self) -> &'static str {
        match self {
            // What belongs together goes to the connection's thread at once.
            Self::Begin => "BEGIN IMMEDIATE; SAVEPOINT one",
            Self::Next => "RELEASE one; SAVEPOINT one",
            Self::RollBackTo => "ROLLBACK TO one",
            Self::Commit => "COMMIT",
            Self::RollBack => "ROLLBACK",
            Self::Count | Self::Overwrite => "UPDATE revisions SET value = value + 1 WHERE id = 1",
        }
    }
}

/// What is in the savepoint of an open transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Nothing,
    /// A write that is under way, or was given up.
    Open,
    /// A write that shall last.
    Kept,
}

/// The writes that share a transaction.
#[derive(Debug)]
pub struct Transaction {
    /// The connection that everything runs on.
    pub connection: SqliteConnection,
    options: SqliteConnectOptions,
    files: Files,
    is_open: bool,
    /// What is in the savepoint of the last write.
    content: Content,
    /// Whether the connection may still be in a transaction that should have ended.
    is_astray: bool,
    /// Whether a commit failed that nothing was written over yet.
    leaves_remains: bool,
    /// How far what is written went when that was last looked at.
    count: i64,
    /// How far it goes with those that wait, where one of their writes has counted.
    counted: Option<i64>,
    /// Those whose writes wait for the commit.
    waiting: Vec<Tell>,
    /// What fails in tests.
    #[cfg(test)]
    pub faults: super::writer::tests::Faults,
}

impl Transaction {
    /// None yet, on a connection and with what opens another one.
    pub fn new(connection: SqliteConnection, options: SqliteConnectOptions, files: Files) -> Self {
        Self {
            connection,
            options,
            files,
            is_open: false,
            content: Content::Nothing,
            is_astray: false,
            leaves_remains: false,
            count: 0,
            counted: None,
            waiting: Vec::new(),
            #[cfg(test)]
            faults: Default::default(),
        }
    }

    async fn run(&mut self, step: Step) -> Result<(), sqlx::Error> {
        #[cfg(test)]
        self.faults.before(step)?;
        let done = sqlx::query(step.sql()).execute(&mut self.connection).await;
        if matches!(step, Step::Commit | Step::Overwrite) {
            // Done or not, it may have begun a checkpoint.
            self.files.note();
        }
        done?;
        #[cfg(test)]
        self.faults.after(step)?;
        Ok(())
    }

    /// Starts a write, in a new transaction where none is open.
    ///
    /// # Errors
    ///
    /// What fails; then the write has not begun.
    pub async fn start(&mut self) -> Result<()> {
        self.undo().await;
        if !self.is_open {
            if !self.files.hold(PATIENCE).await? {
                return Err(Refusal::Busy);
            }
            if let Err(refusal) = self.begin().await {
                self.files.release();
                return Err(refusal);
            }
            self.is_open = true;
        } else if self.content == Content::Kept
            && let Err(cause) = self.run(Step::Next).await
        {
            let refusal = refused(&cause);
            self.give_up(&cause).await;
            return Err(refusal);
        }
        self.content = Content::Open;
        Ok(())
    }

    /// While the files are held and no transaction is open: what happened to them, if anything
    /// did. A checkpoint of another program changes the file of the database and nothing in it.
    async fn fault(&mut self) -> Option<Fault> {
        let fault = self.files.fault()?;
        if !matches!(fault, Fault::Overwritten(_)) || self.is_astray || !self.is_all_folded().await
        {
            return Some(fault);
        }
        self.files.note();
        None
    }

    /// Whether the file by itself, without the log, goes as far as both together.
    async fn is_all_folded(&mut self) -> bool {
        let alone = look::file_alone(self.files.database());
        let Ok(mut alone) = alone.connect().await else { return false };
        let of_file: Result<i64, _> = sqlx::query_scalar(COUNT).fetch_one(&mut alone).await;
        let _ = alone.close().await;
        let of_all = self.counted().await;
        // Both may come from the file.
        let least = self.count;
        matches!((of_file, of_all), (Ok(file), Ok(all)) if file == all && file >= least)
    }

    async fn counted(&mut self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(COUNT).fetch_one(&mut self.connection).await
    }

    /// Begins a transaction, while the files are held.
    async fn begin(&mut self) -> Result<()> {
        if let Some(fault) = self.fault().await {
            return Err(Refusal::Gone(fault));
        }
        self.mend().await?;
        if let Err(cause) = self.run(Step::Begin).await {
            // It may have begun all the same.
            self.is_astray = true;
            return Err(cause.into());
        }
        // From its first write on, each tells.
        if self.count == 0 {
            match self.counted().await {
                Ok(count) => self.count = count,
                Err(cause) => {
                    self.is_astray = true;
                    return Err(cause.into());
                }
            }
        }
        Ok(())
    }

    /// Undoes a write that was given up.
    async fn undo(&mut self) {
        if self.content == Content::Open {
            self.content = Content::Nothing;
            if let Err(cause) = self.run(Step::RollBackTo).await {
                self.give_up(&cause).await;
            }
        }
    }

    /// Ends a write that shall last, and has counted as far as this; who waits for it is told
    /// once its transaction has ended.
    pub fn keep(&mut self, tell: Tell, counted: Option<i64>) {
        self.waiting.push(tell);
        self.counted = self.counted.max(counted);
        self.content = Content::Kept;
    }

    /// Commits what is in the transaction, but not a write that was given up.
    pub async fn commit(&mut self) {
        self.undo().await;
        if !self.is_open {
            return;
        }
        if let Some(fault) = self.files.fault() {
            return self.abandon(&fault).await;
        }
        if !self.waiting.is_empty()
            && self.counted.is_none()
            && let Err(cause) = self.run(Step::Count).await
        {
            return self.give_up(&cause).await;
        }
        if let Err(cause) = self.run(Step::Commit).await {
            // A full disk takes no more before the last part of a commit, without which the
            // others count for nothing.
            self.leaves_remains |= !matches!(Refusal::of_store(&cause), Some(Refusal::DiskFull));
            return self.give_up(&cause).await;
        }
        self.is_open = false;
        self.content = Content::Nothing;
        // Who keeps something has counted one on, at least.
        let by_itself = self.count + i64::from(!self.waiting.is_empty());
        self.count = self.counted.take().unwrap_or(by_itself);
        let gone = self.files.missing();
        self.files.release();
        for tell in std::mem::take(&mut self.waiting) {
            // Who does not wait any more is not told.
            let _ = tell.send(gone.clone().map_or(Ok(()), |fault| Err(Refusal::Gone(fault))));
        }
    }

    /// Ends the transaction with nothing of it on disk, because the files are not what they
    /// were, and tells those who wait.
    async fn abandon(&mut self, fault: &Fault) {
        self.counted = None;
        self.is_open = false;
        self.content = Content::Nothing;
        self.is_astray = self.run(Step::RollBack).await.is_err();
        self.files.release();
        for tell in std::mem::take(&mut self.waiting) {
            let _ = tell.send(Err(Refusal::Gone(fault.clone())));
        }
    }

    /// Ends the transaction with nothing of it on disk, tells those who wait, and logs it.
    async fn give_up(&mut self, cause: &sqlx::Error) {
        self.counted = None;
        self.is_open = false;
        self.content = Content::Nothing;
        // It may have ended already; closing the connection makes that certain.
        self.is_astray = self.run(Step::RollBack).await.is_err();
        // Nothing of this program's is to change files that others have changed.
        let mended = match self.files.fault() {
            None => self.mend().await,
            Some(fault) => Err(Refusal::Gone(fault)),
        };
        self.files.release();
        let is_certain = mended.is_ok();
        for tell in std::mem::take(&mut self.waiting) {
            let _ = tell.send(Err(if is_certain { refused(cause) } else { Refusal::Unsure }));
        }
        notice::tell("a transaction was undone", cause);
    }

    /// Makes the connection one that nothing is left on of what failed.
    async fn mend(&mut self) -> Result<()> {
        if self.is_astray {
            let fresh = self.options.connect().await?;
            let astray = std::mem::replace(&mut self.connection, fresh);
            if let Err(cause) = astray.close().await {
                notice::tell("failed to close a connection to the store", &cause);
            }
            self.is_astray = false;
        }
        if self.leaves_remains {
            if let Err(cause) = self.run(Step::Overwrite).await {
                self.is_astray = true;
                return Err(cause.into());
            }
            self.leaves_remains = false;
        }
        Ok(())
    }

    /// What happened to the files, if anything did.
    pub async fn look(&mut self) -> Option<Fault> {
        if self.is_open {
            return self.files.fault();
        }
        // Whoever has them now looks, too.
        if !self.files.hold(PATIENCE).await.unwrap_or(false) {
            return self.files.missing();
        }
        let fault = self.fault().await;
        self.files.release();
        fault
    }

    /// Closes the connection.
    pub async fn close(mut self) {
        self.commit().await;
        // Where this is the last one, it writes, and nobody may begin meanwhile.
        let is_held = self.files.hold(PATIENCE).await.unwrap_or(false);
        let is_whole = is_held && self.fault().await.is_none();
        if let Err(cause) = self.connection.close().await {
            notice::tell("failed to close the store", &cause);
        }
        if is_whole {
            self.files.note();
        }
        if is_held {
            self.files.release();
        }
    }
}

/// What those are told whose writes ended with this.
fn refused(cause: &sqlx::Error) -> Refusal {
    Refusal::of_write(cause).unwrap_or_else(|| Refusal::internal(cause.to_string()))
}
