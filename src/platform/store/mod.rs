//! Where the platform keeps its objects: one SQLite file in one folder.
//!
//! Reads go through several connections that cannot write; writes go through one (see
//! [`writer`]), so that they queue in this process instead of failing as busy, and wait for
//! another process that has the same folder open. A commit is on disk before it is
//! acknowledged (WAL, `synchronous = FULL`), so a killed process loses nothing that it
//! answered for.
//!
//! The SQL of a resource stands beside its handlers in `rest`. It is kept to what
//! PostgreSQL understands too.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, SqliteConnection};

pub use self::writer::Write;
use self::writer::Writer;
use super::error::Result;
use crate::error::{self, Context};
use crate::own_folder;

mod writer;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

const READERS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(20);

/// What to do where the folder cannot be written.
const ELSEWHERE: &str =
    "name a folder that can be written: --embedded=DIR, and --data DIR of `meshagent server`";

/// The store: a pool to read from and a queue of writes.
#[derive(Debug)]
pub struct Store {
    readers: SqlitePool,
    writer: Writer,
}

impl Store {
    /// Opens the store in a folder, creates both when they are missing and migrates.
    ///
    /// The folder is made for its owner alone, and so is the file: it holds secrets. For the
    /// same reason a new folder keeps itself out of Git.
    /// An existing folder keeps its mode, because it may be shared on purpose.
    ///
    /// # Errors
    ///
    /// The folder or file cannot be made, opened or migrated.
    pub async fn open(folder: &Path) -> error::Result<Self> {
        let shown = folder.display();
        own_folder::create(folder)
            .context(|| format!("failed to create the data folder {shown}"))
            .map_err(|error| error.hint(ELSEWHERE))?;
        let path = folder.join("platform.sqlite");
        // SQLite has no lock around a migration, so two processes that open a new folder at
        // once would both create the tables. The lock is released when the file is dropped.
        let lock_path = folder.join("migrate.lock");
        let lock = create_file(&lock_path)
            .context(|| format!("failed to create {}", lock_path.display()))
            .map_err(|error| error.hint(ELSEWHERE))?;
        let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
            .await
            .context(|| "failed to wait for the data folder".to_owned())?
            .context(|| format!("failed to lock {}", lock_path.display()))?;
        // A descriptor of the database that is closed would drop the locks that SQLite holds on
        // it elsewhere in this process, so an existing file is left alone.
        if !path.exists() {
            create_file(&path).context(|| format!("failed to create {}", path.display()))?;
        }

        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE);
        let failed = || format!("failed to open {}", path.display());
        let mut writer: SqliteConnection = options.connect().await.context(failed)?;
        MIGRATIONS
            .run(&mut writer)
            .await
            .context(|| format!("failed to migrate {}", path.display()))?;
        // A connection to a file does not go stale, so none is tested before each use.
        let readers = SqlitePoolOptions::new()
            .acquire_timeout(PATIENCE * 2)
            .test_before_acquire(false)
            .max_connections(READERS)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .context(failed)?;
        drop(lock);
        Ok(Self { readers, writer: Writer::new(writer) })
    }

    /// Where to read from. Each statement sees everything that was acknowledged before it.
    pub fn reads(&self) -> &SqlitePool {
        &self.readers
    }

    /// Starts a write. Dropping it without [`Write::commit`] undoes everything in it.
    ///
    /// # Errors
    ///
    /// The write lock was not free in time.
    pub async fn write(&self) -> Result<Write> {
        self.writer.start(PATIENCE * 2).await
    }

    /// Closes all connections, which folds the write-ahead log into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Creates the file before SQLite does, so that it is never readable by others; the
/// write-ahead log takes over its mode.
fn create_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
