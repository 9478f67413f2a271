//! Where the platform keeps its objects: one SQLite file in one folder.
//!
//! Reads go through several connections that cannot write; writes go through one (see [`writer`]),
//! so that they queue in this process instead of failing as busy, and wait for another process
//! that has the same folder open. A commit is on disk before it is acknowledged (WAL, `synchronous
//! = FULL`), so a killed process loses nothing that it acknowledged.
//!
//! Secrets are kept encrypted (see [`vault`]), and what is deleted or replaced is overwritten.
//!
//! The SQL of a resource is beside its handlers in `rest`, or in `objects` if others need its
//! rows, too. It uses only what PostgreSQL also understands. A [`Write`] reads and adds rows.
//! Updates and deletes need a [`Change`], which comes from the check of the request's condition.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

pub use self::files::Fault;
use self::files::Files;
use self::migrations::MIGRATIONS;
pub(crate) use self::statement::of_row;
pub use self::statement::{OfRow, Reads, insert, insert_with, select};
use self::transaction::{COUNT, Transaction};
pub use self::vault::{
    Column, HELD_VALUE, KEY_SECRET, ROOM_SECRET, SECRET_DATA, SETTINGS, SETTINGS_DOCUMENT, Vault,
};
use self::writer::Writer;
pub use self::writer::{Change, Write};
use super::error::Result;
use crate::error::{self, Class, Context};
use crate::own_folder;

mod files;
mod look;
mod mark;
mod migrations;
mod modes;
mod statement;
mod transaction;
mod vault;
mod writer;

const READERS: u32 = 4;

/// How many rows of an answer wait in memory to be sent.
const ROWS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(20);

/// The path of a file beside the database, named after it.
fn with_ending(database: &Path, ending: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(ending);
    PathBuf::from(path)
}

/// What to do if the folder cannot be written.
const ELSEWHERE: &str =
    "use a writable folder: --embedded=DIR, and --data DIR of `meshagent server`";

/// Why a database was not opened, with a hint if it is not a database.
fn unopened(path: &Path, error: sqlx::Error) -> error::Error {
    let is_broken = look::is_broken(&error);
    let failed = error::Error::failed(format!("failed to open {}", path.display())).because(error);
    match is_broken {
        true => failed.hint(
            "restore a copy of the database, with its key file; or start over in another folder: --embedded=DIR, and --data DIR of `meshagent server`",
        ),
        false => failed,
    }
}

/// The database, in its folder.
const DATABASE: &str = "platform.sqlite";

/// The key file, unless another place is named.
const KEY_FILE: &str = "platform.key";

/// Where a platform keeps its data.
#[derive(Debug, Clone)]
pub struct Place {
    /// The folder with the database.
    pub data: PathBuf,
    /// The file with the encryption key, if it is elsewhere.
    pub key_file: Option<PathBuf>,
}

impl Place {
    fn database(&self) -> PathBuf {
        self.data.join(DATABASE)
    }

    /// Whether there is a database.
    pub fn has_database(&self) -> bool {
        self.database().exists()
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Place {
    /// A folder, with the key file in it.
    fn from(data: &P) -> Self {
        Self { data: data.as_ref().to_owned(), key_file: None }
    }
}

/// The store: a pool of read connections, a queue of writes, and encryption.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    readers: SqlitePool,
    writer: Writer,
    vault: Vault,
    lock: PathBuf,
}

impl Store {
    /// Opens the store in a folder, creates both if they are missing, and migrates.
    ///
    /// The folder is made for its owner alone, and so is the file: it holds secrets. For the same
    /// reason a new folder keeps itself out of Git. An existing folder keeps its mode, because it
    /// may be shared on purpose. There is a warning, and it is refused if anybody may change what
    /// is in it.
    ///
    /// # Errors
    ///
    /// The folder or file cannot be created, opened or migrated; anybody may change them; the key
    /// file is missing, or exists without its database.
    pub async fn open(place: &Place) -> error::Result<Self> {
        let (path, vault) = prepared(place)?;
        let folder = &place.data;
        // SQLite has no lock around a migration, so two processes that open a new folder at
        // once would both create the tables. The lock is released when the file is dropped.
        let lock_path = folder.join("migrate.lock");
        // A process that creates a platform has the lock from the start. So if there is no lock
        // file, a refusal is final and leaves none behind.
        if !lock_path.exists()
            && let Err(refusal) = look::judge(&path, &vault).await
            && !lock_path.exists()
        {
            return Err(refusal);
        }
        own_folder::create(folder)
            .context(|| format!("failed to create the data folder {}", folder.display()))
            .map_err(|error| error.hint(ELSEWHERE))?;
        let lock = locked(&lock_path).await?;
        look::judge(&path, &vault).await?;
        let failed = || format!("failed to open {}", path.display());
        let mark = files::mark(&path).context(failed)?;
        if !mark.hold(PATIENCE).await.context(failed)? {
            return Err(error::Error::failed(failed()).because("another process is writing to it"));
        }
        if mark.changed().is_some() {
            let told =
                format!("{} was overwritten while another platform had it open", path.display());
            return Err(error::Error::new(Class::Refused, told)
                .hint("stop that platform, restore a copy of the database, and start again"));
        }
        // Closing a descriptor of the database would drop the locks that SQLite holds on it
        // elsewhere in this process, so an existing file is not opened here.
        if !path.exists() {
            create_file(&path).context(|| format!("failed to create {}", path.display()))?;
        }
        let options = options(&path);
        let mut first = options.connect().await.map_err(|error| unopened(&path, error))?;
        MIGRATIONS
            .run(&mut first)
            .await
            .context(|| format!("failed to migrate {}", path.display()))?;
        vault.open(&mut first).await?;
        let readers = readers(&options).await.context(failed)?;
        let files = Files::of(&path, mark, Some(vault.path().to_owned())).context(failed)?;
        files.release();
        let writer = Writer::new(Transaction::new(first, options, files));
        drop(lock);
        Ok(Self { folder: folder.to_owned(), readers, writer, vault, lock: lock_path })
    }

    /// The folder of the store, for files that others must not read.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What happened to its files, if anything did.
    pub async fn fault(&self) -> Option<Fault> {
        self.writer.look().await
    }

    /// What encrypts and decrypts.
    pub const fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Replaces the key file, and encrypts everything again.
    ///
    /// # Errors
    ///
    /// The system's; then everything is as it was.
    pub async fn replace_key_file(&self) -> error::Result<()> {
        // If two replace it at once, neither may remove the other's key.
        let lock = locked(&self.lock).await?;
        let failed = || "failed to replace the key file".to_owned();
        let done = self.vault.rotate(self.write().await.context(failed)?).await;
        drop(lock);
        done
    }

    /// The connections to read from. Each statement sees everything that was acknowledged before
    /// it.
    pub fn reads(&self) -> &SqlitePool {
        &self.readers
    }

    /// How many commits there were. Each one that keeps anything raises it, in every process.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub async fn revision(&self) -> Result<i64> {
        Ok(sqlx::query_scalar(COUNT).fetch_one(self.reads()).await?)
    }

    /// Starts a write. Dropping it without [`Write::commit`] undoes everything in it.
    ///
    /// # Errors
    ///
    /// The write lock was not free in time; the files or the key file were changed.
    pub async fn write(&self) -> Result<Write> {
        self.vault.look(&self.readers).await?;
        self.writer.start(PATIENCE * 2).await
    }

    /// Waits until everything that was written so far is on disk, whoever wrote it.
    pub async fn settled(&self) {
        self.writer.clone().commit().await;
    }

    /// Closes all connections, which folds the write-ahead log into the file, unless somebody
    /// overwrote the file: then the log stays as it is, for a copy of the database.
    pub async fn close(&self) {
        // The last connection folds, and a read-only one cannot.
        if self.writer.look().await.is_some() {
            self.writer.close().await;
            self.readers.close().await;
        } else {
            self.readers.close().await;
            self.writer.close().await;
        }
    }
}

/// Checks who else may change what is in a folder, and returns the path of its database and its
/// vault, which is not open yet. It changes nothing.
fn prepared(place: &Place) -> error::Result<(PathBuf, Vault)> {
    let folder = &place.data;
    let path = place.database();
    own_folder::refuse_links(folder)
        .context(|| format!("failed to create the data folder {}", folder.display()))
        .map_err(|error| error.hint(ELSEWHERE))?;
    let beside = ["", "-wal", "-shm"].into_iter().chain(mark::ENDINGS);
    let beside: Vec<_> = beside.map(|ending| with_ending(&path, ending)).collect();
    modes::look_at(folder)?;
    beside.iter().try_for_each(|it| modes::look_at(it))?;
    for it in beside.iter().chain([&folder.join(KEY_FILE)]) {
        own_folder::refuse_links(it)
            .context(|| format!("failed to open the data folder {}", folder.display()))?;
    }
    let key_file = place.key_file.clone().unwrap_or_else(|| folder.join(KEY_FILE));
    modes::look_above(folder);
    modes::look_above(&key_file);
    if let Some(folder) = place.key_file.as_ref().filter(|path| path.is_dir()) {
        let (shown, named) = (folder.display(), folder.join(KEY_FILE));
        return Err(error::Error::usage(format!("the key file {shown} is a folder"))
            .hint(format!("name a file, such as {}", named.display())));
    }
    Ok((path, Vault::new(key_file)))
}

/// How the database is opened to write.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("secure_delete", "ON")
        .busy_timeout(PATIENCE)
        // Rows are passed on one by one, because each may be as large as a body.
        .row_buffer_size(ROWS)
        // A slow disk would cause a warning for each statement.
        .disable_statement_logging()
}

/// The read connections. A connection to a file does not go stale, so none is tested before each
/// use. All are open from the start: SQLite removes its log with the last connection, and a later
/// connection to a file that somebody emptied meanwhile would remove it, too.
async fn readers(options: &SqliteConnectOptions) -> sqlx::Result<SqlitePool> {
    SqlitePoolOptions::new()
        .acquire_timeout(PATIENCE * 2)
        .acquire_slow_threshold(PATIENCE * 2)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .min_connections(READERS)
        .max_connections(READERS)
        .connect_with(options.clone().read_only(true).pragma("query_only", "ON"))
        .await
}

/// Waits until no other process holds the lock. It ends when the file is dropped.
async fn locked(path: &Path) -> error::Result<File> {
    let lock = create_file(path)
        .context(|| format!("failed to create {}", path.display()))
        .map_err(|error| error.hint(ELSEWHERE))?;
    tokio::task::spawn_blocking(move || lock.lock().map(|()| lock))
        .await
        .context(|| "failed to wait for the data folder".to_owned())?
        .context(|| format!("failed to lock {}", path.display()))
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
