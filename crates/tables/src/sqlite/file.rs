//! The file: opening it, and the transactions in which it is written.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::Limits;
use super::budget::Budget;
use super::readers::Readers;
use crate::bounds;
use crate::error::{Error, Reason, Result};
use crate::own_file;

/// `mesh`, so that the file can be told from others.
const APPLICATION: i32 = 0x6d65_7368;

/// The form of the file. It is raised when an older program could not read it any more.
const FORM: i32 = 1;

/// How long SQLite waits for itself, such as while it takes the log into the file.
const BUSY: Duration = Duration::from_secs(10);

/// How many bytes a page has. Vectors of usual sizes fit into one.
const PAGE: i64 = 8192;

/// What the log is cut to after it was larger.
const LOG_BYTES: i64 = 64 << 20;

const SCHEMA: &str = "
CREATE TABLE room_tables (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    metadata TEXT NOT NULL,
    latest INTEGER NOT NULL,
    reading INTEGER,
    shape INTEGER NOT NULL,
    next_column INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX room_names ON room_tables (namespace, name) WHERE latest > 0;
CREATE TABLE room_columns (
    owner INTEGER NOT NULL,
    number INTEGER NOT NULL,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    data_type TEXT NOT NULL,
    born INTEGER NOT NULL,
    died INTEGER,
    PRIMARY KEY (owner, number, born)
) STRICT, WITHOUT ROWID;
CREATE TABLE room_versions (
    owner INTEGER NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    operation TEXT NOT NULL,
    PRIMARY KEY (owner, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE room_indexes (
    owner INTEGER NOT NULL,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE room_stamps (
    owner INTEGER NOT NULL,
    stamp INTEGER NOT NULL,
    first_row INTEGER NOT NULL,
    version INTEGER,
    PRIMARY KEY (owner, stamp)
) STRICT, WITHOUT ROWID;
CREATE INDEX room_stamps_shown ON room_stamps (owner, version);
";

/// What files of the same form may lack, for an older program made them. It goes on without.
const LATER: &str = "
CREATE TABLE IF NOT EXISTS room_removed (
    id INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    last INTEGER NOT NULL,
    UNIQUE (namespace, name)
) STRICT;
";

/// The rows that one statement of the writing connection is about.
const HITS: &str = "CREATE TEMP TABLE hits (hit INTEGER PRIMARY KEY) STRICT;";

/// What all parts of an engine share.
pub(super) struct Shared {
    pub limits: Limits,
    pub readers: Arc<Readers>,
    /// Reads what is small and quick, and so never waits for those who write or read long answers.
    desk: Mutex<Connection>,
    /// The only connection that writes. It is closed after the others, and then takes the log into
    /// the file.
    writing: Mutex<Connection>,
    /// How many writers there are.
    writers: AtomicUsize,
    /// The next number for a name in the temporary schema.
    next: AtomicU64,
}

impl Shared {
    pub(super) fn open(path: &Path, limits: Limits) -> Result<Self> {
        let path = own_file::prepared(path).map_err(|error| {
            let text = format!("the file of the tables of this room cannot be opened: {error}");
            Error::new(Reason::Failed, text)
        })?;
        let path = path.as_path();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut writing = Connection::open_with_flags(path, flags)?;
        writing.pragma_update(None, "page_size", PAGE)?;
        writing.pragma_update(None, "journal_mode", "WAL")?;
        writing.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
        writing.pragma_update(None, "synchronous", "FULL")?;
        prepared(&writing, &limits)?;
        bounds::temporary_beside(&writing, path)?;
        create(&mut writing)?;
        writing.execute_batch(HITS)?;
        let readers = Arc::new(Readers::new(path, limits));
        let desk = readers.connect()?;
        Ok(Self {
            limits,
            readers,
            writing: Mutex::new(writing),
            desk: Mutex::new(desk),
            writers: AtomicUsize::new(0),
            next: AtomicU64::new(1),
        })
    }

    /// Reads something small, all of it at one moment.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = desk.transaction()?;
        work(&moment)
    }

    /// Writes in one transaction. When it returns, all that was written before is on disk.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        transact(&mut self.writing(), "FULL", work)
    }

    /// Writes in one transaction what need not be on disk yet, for nobody sees it.
    pub(super) fn stage<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        transact(&mut self.writing(), "NORMAL", work)
    }

    /// The connection that writes, without a transaction.
    pub(super) fn writing(&self) -> MutexGuard<'_, Connection> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that nobody else has, as long as the file is open.
    pub(super) fn unique(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// One of the writers that there may be at once.
pub(super) struct Seat(Arc<Shared>);

impl Seat {
    pub(super) fn take(shared: &Arc<Shared>) -> Result<Self> {
        let most = shared.limits.writers;
        let seat = Self(Arc::clone(shared));
        if shared.writers.fetch_add(1, Ordering::AcqRel) >= most {
            let text = format!("{most} writers are at work in this room; try again later");
            return Err(Error::new(Reason::TimedOut, text));
        }
        Ok(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.writers.fetch_sub(1, Ordering::AcqRel);
    }
}

fn transact<T>(
    connection: &mut Connection,
    synchronous: &str,
    work: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    connection.pragma_update(None, "synchronous", synchronous)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

fn create(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |name: &str| transaction.pragma_query_value(None, name, |row| row.get(0));
    let (application, form): (i32, i32) = (number("application_id")?, number("user_version")?);
    if (application, form) == (0, 0) {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", FORM)?;
    } else if application != APPLICATION || form != FORM {
        let text = format!(
            "the file of the tables has form {form} of application {application:#x}, and this program reads form {FORM} of {APPLICATION:#x}"
        );
        return Err(Error::new(Reason::Failed, text));
    }
    transaction.execute_batch(LATER)?;
    Ok(transaction.commit()?)
}

/// Gives any connection to the file what all have.
pub(super) fn prepared(connection: &Connection, limits: &Limits) -> Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "cache_size", -8 * 1024)?;
    unbound(connection, limits)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_WORKER_THREADS, 0)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(crate::sql::install(connection)?)
}

/// Lets values be as large as any.
pub(super) fn unbound(connection: &Connection, limits: &Limits) -> Result<()> {
    let longest = i32::try_from(limits.row_bytes.saturating_mul(2)).unwrap_or(i32::MAX);
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, longest)?;
    Ok(())
}

/// Runs what has parts of a client's on the writing connection. It has little time, and reaches
/// nothing but the rows of one table.
pub(super) fn confined<T>(
    db: &Connection,
    rows: &str,
    limits: &Limits,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let budget = Arc::new(Budget::new(limits.changing));
    budget.watch_writing(db)?;
    let rows = rows.to_owned();
    let allowed = move |table: &str| table == rows || table == "hits";
    db.authorizer(Some(move |context: AuthContext<'_>| match context.action {
        AuthAction::Select | AuthAction::Function { .. } => Authorization::Allow,
        AuthAction::Read { table_name, .. }
        | AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
            if allowed(table_name) =>
        {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }))?;
    let done = budget.within(work);
    db.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    Budget::unwatch(db)?;
    unbound(db, limits)?;
    done
}

#[cfg(test)]
mod tests {
    use crate::engine::{Engine as _, NewTable, Search, TableName};
    use crate::sqlite::Tables;
    use crate::value::Value;
    use crate::{Reason, Result};

    fn write(tables: &Tables, name: &str, count: i64) -> Result<u64> {
        let table = TableName::new(name);
        let mut writer = tables.create(NewTable { table, ..NewTable::default() })?;
        for id in 0..count {
            let text = Value::Text("z".repeat(1000));
            writer.write(vec![vec![("id".to_owned(), Value::Int(id)), ("x".to_owned(), text)]])?;
        }
        Ok(writer.finish()?.rows)
    }

    #[test]
    fn a_full_disk_is_told_and_what_there_is_can_be_read_and_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let tables = Tables::open(&folder.path().join("tables.db")).unwrap();
        write(&tables, "keep", 3).unwrap();
        write(&tables, "large", 1000).unwrap();
        let pages = |most: i64| {
            let db = tables.shared.writing();
            db.pragma_update_and_check(None, "max_page_count", most, |_| Ok(())).unwrap();
        };
        let now: i64 = {
            let db = tables.shared.writing();
            db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap()
        };
        pages(now + 20);
        let told = write(&tables, "more", 10_000).unwrap_err();
        assert_eq!(told.reason, Reason::Failed);
        assert!(told.text.contains("the tables of this room cannot be changed"), "{told}");
        assert!(told.text.contains("make room there"), "{told}");
        let keep = TableName::new("keep");
        let search = || Search { table: keep.clone(), ..Search::default() };
        assert_eq!(tables.count(&search()).unwrap(), 3);
        let found = tables.search(search()).unwrap().next(10).unwrap().unwrap();
        assert_eq!(found.len(), 3);
        tables.drop_table(&TableName::new("large"), false).unwrap();
        assert_eq!(write(&tables, "after", 500).unwrap(), 500);
    }
}
