//! The file of a room's memories: its connections, and what is in it.
//!
//! | table | holds |
//! |---|---|
//! | `memory` | the names of memories |
//! | `dataset` | their datasets, and what a record of each is known by |
//! | `field` | the columns of datasets |
//! | `d1`, `d2`, … | the records of a dataset: `row`, `c0`, `c1`, … and, without a key, `k` |
//! | `f1`, `f2`, … | the words of the entities of a memory |
//! | `v1`, `v2`, … | in how many of them each word is |
//!
//! **What must not live here**: what an operation does; records as clients write them.

pub mod catalog;
mod names;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use meshagent_tables::bounds::{self, Temporary};
use meshagent_tables::{Error, Reason, Result, own_file};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::cypher::functions;
use crate::limits;

pub use names::{Column, Table};

/// What marks a file as one of memories, and the form that this program writes.
const APPLICATION: i64 = 0x6d65_6d31;
const FORM: i64 = 1;

/// Whose file it is, in errors.
const WHOSE: &str = "the memories of this room";

/// How many connections that read are kept for later.
const READERS: usize = 4;

/// How often a statement looks at its time: after so many steps of SQLite. Each row may be written to
/// temporary files.
const STEPS: i32 = 50;

/// How long one writer waits for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the connection that writes keeps in memory, in KiB, which SQLite takes as a negative number.
const CACHE: i64 = -16_384;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS memory (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (namespace, name)
);
CREATE TABLE IF NOT EXISTS dataset (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    memory INTEGER NOT NULL REFERENCES memory (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    folded TEXT NOT NULL,
    keyed TEXT NOT NULL,
    UNIQUE (memory, folded)
);
CREATE TABLE IF NOT EXISTS field (
    dataset INTEGER NOT NULL REFERENCES dataset (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (dataset, place),
    UNIQUE (dataset, name)
);
";

/// The open file.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

impl Store {
    /// Opens the file. It is made if it isn't there, for its owner alone.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |why: &dyn std::fmt::Display| {
            let text = format!("the file of the memories of this room cannot be opened: {why}");
            Error::new(Reason::Failed, text)
        };
        // SQLite gives the files beside this one the same permissions.
        let path = own_file::prepared(path).map_err(|error| failed(&error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let open = || -> Result<Connection> {
            let opened = Connection::open_with_flags(&path, flags)?;
            bounds::temporary_beside(&opened, &path)?;
            prepare(&opened)?;
            Ok(opened)
        };
        let opened = open().map_err(|error| error.of_database(WHOSE))?;
        Ok(Self { path, writer: Mutex::new(opened), readers: Mutex::new(Vec::new()) })
    }

    /// Does something that is seen whole or not at all, and is on disk when this returns.
    pub fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut connection = locked(&self.writer);
        let done = || -> Result<T> {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        done().map_err(|error| told(error, "a record", limits::RECORD))
    }

    /// Does something with the connection that writes, outside of a transaction.
    pub fn tend<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        work(&locked(&self.writer)).map_err(|error| error.of_database(WHOSE))
    }

    /// Reads one state of the file, in bounded time.
    pub fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let kept = locked(&self.readers).pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.reader().map_err(|error| error.of_database(WHOSE))?,
        };
        let end = Instant::now() + limits::TIME;
        let spilled = Arc::new(OnceLock::new());
        let (spills, mut files) = (Arc::clone(&spilled), Temporary::new());
        let over = move || {
            let now = Instant::now();
            if let Some(why) = files.is_too_much(now) {
                spills.get_or_init(|| why);
            }
            now > end || spills.get().is_some()
        };
        connection.progress_handler(STEPS, Some(over))?;
        let done = {
            let transaction = connection.transaction()?;
            work(&transaction)
        };
        // What it wrote to temporary files is gone.
        connection.progress_handler(0, None::<fn() -> bool>)?;
        unbound(&connection)?;
        let mut readers = locked(&self.readers);
        if readers.len() < READERS {
            readers.push(connection);
        }
        done.map_err(|error| match (error.reason, spilled.get()) {
            (Reason::TimedOut, Some(why)) => why.error(),
            (Reason::TimedOut, None) if Instant::now() > end => {
                let most = limits::TIME.as_secs();
                Error::new(Reason::TimedOut, format!("this took longer than {most} seconds"))
            }
            _ => told(error, "a value of the answer", limits::ANSWER),
        })
    }

    fn reader(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        unbound(&connection)?;
        functions::register(&connection)?;
        Ok(connection)
    }
}

/// Lets values be as large as an answer. A row is read before its size can be looked at.
fn unbound(connection: &Connection) -> Result<()> {
    let most = i32::try_from(limits::ANSWER).unwrap_or(i32::MAX);
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, most)?;
    Ok(())
}

/// The error of what SQLite finds too large, in words that help.
fn told(error: Error, what: &str, most: usize) -> Error {
    if !error.text.starts_with("a value is too large") {
        return error.of_database(WHOSE);
    }
    Error::invalid(format!("{what} has more than {} MiB", most >> 20))
}

/// A lock holds even if a thread ended within it: its transaction was undone.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn prepare(connection: &Connection) -> Result<()> {
    connection.busy_timeout(PATIENCE)?;
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let form: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, form) {
        (APPLICATION, FORM) => {}
        (0, 0) if tables == 0 => {}
        (APPLICATION, later) => {
            return Err(Error::new(
                Reason::Failed,
                format!(
                    "the memories of this room are in form {later}, and this program knows form {FORM}"
                ),
            ));
        }
        _ => {
            let text = "the file of the memories of this room is another program's file";
            return Err(Error::new(Reason::Failed, text));
        }
    }
    connection.pragma_update(None, "auto_vacuum", "incremental")?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    let most = i32::try_from(limits::RECORD).unwrap_or(i32::MAX);
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, most)?;
    if form == 0 {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION}; \
             PRAGMA user_version = {FORM}; COMMIT;"
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_files_are_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memories");
        let store = Store::open(&path).unwrap();
        store.write(|tx| Ok(tx.execute_batch("CREATE TABLE x (y)")?)).unwrap();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_of_another_sort_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let told = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            Store::open(&path).unwrap_err().text
        };
        let text = told("text", b"this is no database, it is a text of some length");
        assert!(text.starts_with("the memories of this room are damaged: "), "{text}");
        let other = folder.path().join("other");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE x (y)").unwrap();
        assert!(Store::open(&other).unwrap_err().text.ends_with("another program's file"));
        let later = folder.path().join("later");
        drop(Store::open(&later).unwrap());
        Connection::open(&later).unwrap().pragma_update(None, "user_version", 9).unwrap();
        assert!(Store::open(&later).unwrap_err().text.contains("form 9"));
    }

    #[test]
    fn a_link_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "").unwrap();
        let path = folder.path().join("memories");
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        let text = Store::open(&path).unwrap_err().text;
        assert!(text.contains("the memories of this room") && text.contains("is a link"), "{text}");
        assert_eq!(std::fs::metadata(&victim).unwrap().len(), 0);
    }

    #[test]
    fn what_fails_half_way_is_not_seen() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("memories")).unwrap();
        let failed: Result<()> = store.write(|tx| {
            tx.execute("INSERT INTO memory (namespace, name) VALUES ('[]', 'a')", [])?;
            Err(Error::invalid("no"))
        });
        assert!(failed.is_err());
        let count = store.read(|tx| {
            Ok(tx.query_row("SELECT count(*) FROM memory", [], |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(count.unwrap(), 0);
    }

    #[test]
    fn who_reads_cannot_write_and_cannot_take_forever() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("memories")).unwrap();
        let written = store.read(|tx| Ok(tx.execute("DELETE FROM memory", [])?));
        assert!(written.unwrap_err().text.contains("readonly"));
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                       SELECT count(*) FROM n";
        let endless = store.read(|tx| {
            tx.progress_handler(100, Some(|| true))?;
            Ok(tx.query_row(endless, [], |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(endless.unwrap_err().reason, Reason::TimedOut);
    }
}
