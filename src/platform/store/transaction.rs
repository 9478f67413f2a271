//! The transaction that writes share, on the one connection that writes.
//!
//! A write that was acknowledged is on disk, and a write that was refused is not, whatever fails.
//! So:
//!
//! - Nobody gets an answer before the transaction has ended, one way or the other. Then the
//!   answers are sent, and only then it is logged.
//! - A step that fails does not say what was undone: nothing, the savepoint, or the whole
//!   transaction. So everything in the transaction is refused and rolled back. If that fails, the
//!   connection is closed, which does the same.
//! - A commit that fails may be complete in SQLite's log and only not synced. The next process
//!   that opens the file would find it. So another commit is written over it; until then, no
//!   answer says that nothing was written, and nothing else is written.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::oneshot;

use super::files::{Fault, Files};
use super::{PATIENCE, look};
use crate::notice;
use crate::platform::error::{Refusal, Result};

/// Reads the last revision, which shows up to which commit the database goes.
pub const COUNT: &str = "SELECT value FROM revisions WHERE id = 1";

/// How the outcome of a write reaches the caller that waits for it.
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
    /// Counts each commit that keeps anything, so that the contents of the file show the last one.
    Count,
    Commit,
    RollBack,
    /// Replaces a commit that failed, as a transaction of its own.
    Overwrite,
}

impl Step {
    const fn sql(self) -> &'static str {
        match self {
            // Statements that belong together go to the connection's thread at once.
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
    /// A write that will be committed.
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
    /// Whether a commit failed that has not been overwritten yet.
    leaves_remains: bool,
    /// The number of the last commit when it was last read.
    count: i64,
    /// The number with the waiting writes, if one of them has counted.
    counted: Option<i64>,
    /// Those whose writes wait for the commit.
    waiting: Vec<Tell>,
    /// What fails in tests.
    #[cfg(test)]
    pub faults: super::writer::tests::Faults,
}

impl Transaction {
    /// No writes yet, with a connection and the means to open another one.
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
            // Whether it was done or not, it may have started a checkpoint.
            self.files.note();
        }
        done?;
        #[cfg(test)]
        self.faults.after(step)?;
        Ok(())
    }

    /// Starts a write, in a new transaction if none is open.
    ///
    /// # Errors
    ///
    /// The store failed; then the write has not begun.
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
    /// did. A checkpoint of another program changes the file of the database, but not its
    /// contents.
    async fn fault(&mut self) -> Option<Fault> {
        let fault = self.files.fault()?;
        if !matches!(fault, Fault::Overwritten(_)) || self.is_astray || !self.is_all_folded().await
        {
            return Some(fault);
        }
        self.files.note();
        None
    }

    /// Whether the file alone, without the log, has the same last commit as both together.
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

    /// Ends a write that will be committed, and has counted up to this number; its caller gets the
    /// answer once the transaction has ended.
    pub fn keep(&mut self, tell: Tell, counted: Option<i64>) {
        self.waiting.push(tell);
        self.counted = self.counted.max(counted);
        self.content = Content::Kept;
    }

    /// Commits the transaction, without a write that was given up.
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
            // A full disk fails before the last part of a commit, without which the other parts
            // are ignored.
            self.leaves_remains |= !matches!(Refusal::of_store(&cause), Some(Refusal::DiskFull));
            return self.give_up(&cause).await;
        }
        self.is_open = false;
        self.content = Content::Nothing;
        // A write that keeps something has counted at least one.
        let by_itself = self.count + i64::from(!self.waiting.is_empty());
        self.count = self.counted.take().unwrap_or(by_itself);
        let gone = self.files.missing();
        self.files.release();
        for tell in std::mem::take(&mut self.waiting) {
            // A caller that no longer waits gets no answer.
            let _ = tell.send(gone.clone().map_or(Ok(()), |fault| Err(Refusal::Gone(fault))));
        }
    }

    /// Ends the transaction with nothing of it on disk, because the files were changed, and
    /// answers the waiting callers.
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

    /// Ends the transaction with nothing of it on disk, answers the waiting callers, and logs it.
    async fn give_up(&mut self, cause: &sqlx::Error) {
        self.counted = None;
        self.is_open = false;
        self.content = Content::Nothing;
        // It may have ended already; closing the connection makes that certain.
        self.is_astray = self.run(Step::RollBack).await.is_err();
        // This program must not change files that others have changed.
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

    /// Makes sure that the connection has nothing left of what failed.
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
        // The process that holds them now checks them, too.
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
        // The last connection writes when it closes, and nobody may start meanwhile.
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

/// The answer for the callers whose writes ended with this.
fn refused(cause: &sqlx::Error) -> Refusal {
    Refusal::of_write(cause).unwrap_or_else(|| Refusal::internal(cause.to_string()))
}
