//! The connections that answers are read on. They can do nothing but read, and there are few.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, OpenFlags};

use super::budget::Budget;
use super::line::{Left, Line};
use super::{Limits, file};
use crate::bounds;
use crate::error::{Error, Reason, Result};

/// So many bytes of the file are mapped at most.
const MAPPED: i64 = 1 << 30;

/// All connections of a file that read.
pub(super) struct Readers {
    path: PathBuf,
    limits: Limits,
    state: Mutex<State>,
    back: Condvar,
    left: Arc<Left>,
}

#[derive(Default)]
struct State {
    free: Vec<Connection>,
    taken: Vec<Taken>,
}

/// A connection that somebody reads on.
struct Taken {
    who: Arc<str>,
    line: Arc<Line>,
}

/// Somebody's turn to read. It is kept as long as an answer has its connection.
#[derive(Clone)]
pub(super) struct Turn {
    who: Arc<str>,
    _held: Option<Arc<dyn Send + Sync>>,
}

impl Turn {
    pub(super) fn new(who: Arc<str>, held: Arc<dyn Send + Sync>) -> Self {
        Self { who, _held: Some(held) }
    }

    /// That of whoever does not say who reads.
    pub(super) fn anybody() -> Self {
        Self { who: Arc::from(""), _held: None }
    }
}

impl Readers {
    pub(super) fn new(path: &Path, limits: Limits) -> Self {
        Self {
            path: path.to_owned(),
            limits,
            state: Mutex::new(State::default()),
            back: Condvar::new(),
            left: Left::new(limits.left_bytes),
        }
    }

    pub(super) fn connect(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        file::prepared(&connection, &self.limits)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    /// A connection that reads the file as it is now, for as long as it is kept. It waits for one
    /// that comes back if there are too many.
    pub(super) fn take(self: &Arc<Self>, turn: Turn) -> Result<Reader> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |state: &mut State| state.taken.len() >= self.limits.readers;
        let waited = self.back.wait_timeout_while(state, self.limits.waiting, full);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() && full(&mut state) {
            let text = format!(
                "{} answers are read in this room, and none has ended for {:?}; try again later",
                self.limits.readers, self.limits.waiting
            );
            return Err(Error::new(Reason::TimedOut, text));
        }
        let line = Arc::new(Line::default());
        state.taken.push(Taken { who: Arc::clone(&turn.who), line: Arc::clone(&line) });
        let free = state.free.pop();
        drop(state);
        // From here on, its end gives the place back.
        let budget = Arc::new(Budget::new(self.limits.computing));
        let readers = Arc::clone(self);
        let mut reader = Reader { connection: free, readers, line, budget, _turn: turn };
        let connection = match reader.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let connection = reader.connection.insert(connection);
        connection.execute_batch("BEGIN")?;
        reader.budget.watch(connection)?;
        Ok(reader)
    }

    /// Ends the answer, of all or of one who reads, that was not read for longest, if it was not for
    /// so long.
    pub(super) fn make_way(&self, who: Option<&str>, unread: Duration) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let meant = state.taken.iter().filter(|taken| who.is_none_or(|who| *taken.who == *who));
        let waits = meant.filter_map(|taken| Some((taken.line.unread()?, &taken.line)));
        let longest = waits.filter(|(time, _)| *time >= unread).max_by_key(|(time, _)| *time);
        if let Some((time, line)) = longest {
            line.make_way(time);
        }
    }
}

/// A connection that reads, with its moment and its time.
pub(super) struct Reader {
    connection: Option<Connection>,
    readers: Arc<Readers>,
    /// Where the rows go that it reads.
    pub line: Arc<Line>,
    pub budget: Arc<Budget>,
    /// At the end, so that its connection is free for whoever gets the next turn.
    _turn: Turn,
}

impl Reader {
    /// What may be left of answers that have ended.
    pub(super) fn left(&self) -> Arc<Left> {
        Arc::clone(&self.readers.left)
    }

    pub(super) fn connection(&self) -> Result<&Connection> {
        let gone = || Error::new(Reason::Failed, "a connection to the tables is gone");
        self.connection.as_ref().ok_or_else(gone)
    }

    /// Lets the file be read where the system has it in memory already, as long as this is kept. That
    /// is for what looks at all of a table, and keeps nothing of it.
    pub(super) fn map(&self) -> Result<()> {
        Ok(self.connection()?.pragma_update(None, "mmap_size", MAPPED)?)
    }

    /// Bounds what the values of a statement have. It is wrong if the statement is.
    pub(super) fn bound(&self, statement: &str) -> Result<()> {
        let row = self.readers.limits.row_bytes;
        bounds::values(self.connection()?, statement, row, row.saturating_mul(2))?;
        Ok(())
    }

    /// From now on only these tables can be read, and nothing else be done. What clients asked for
    /// is prepared after that: even a statement that is wrong reaches nothing else.
    pub(super) fn confine(&self, tables: Vec<String>) -> Result<()> {
        let allowed = move |table: &str| {
            tables.iter().any(|one| {
                // The index of words `f1_2` is kept in `f1_2_data` and others.
                let rest = table.strip_prefix(one.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
            })
        };
        let judge = move |context: AuthContext<'_>| match context.action {
            AuthAction::Select | AuthAction::Function { .. } | AuthAction::Recursive => {
                Authorization::Allow
            }
            AuthAction::Read { table_name, .. }
                if allowed(table_name)
                    || context.database_name.is_none() && of_statement(table_name) =>
            {
                Authorization::Allow
            }
            // The index of words asks whether the file has changed.
            AuthAction::Pragma { pragma_name: "data_version", pragma_value: None } => {
                Authorization::Allow
            }
            _ => Authorization::Deny,
        };
        Ok(self.connection()?.authorizer(Some(judge))?)
    }
}

/// Whether a name is one that a statement gives to a part of itself: `WITH w1 AS …`, or that of
/// [`super::search`]. No table in the file has such a name.
fn of_statement(name: &str) -> bool {
    let number = name.strip_prefix('w');
    name == "found" || number.is_some_and(|rest| rest.bytes().all(|it| it.is_ascii_digit()))
}

impl Drop for Reader {
    fn drop(&mut self) {
        let connection = self.connection.take().filter(|connection| {
            let free = connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>);
            let free = free.is_ok() && Budget::unwatch(connection).is_ok();
            let ended = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
            let whole = file::unbound(connection, &self.readers.limits).is_ok();
            free && ended && whole && connection.pragma_update(None, "mmap_size", 0).is_ok()
        });
        let mut state = self.readers.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.free.extend(connection);
        state.taken.retain(|taken| !Arc::ptr_eq(&taken.line, &self.line));
        drop(state);
        self.readers.back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::Turn;
    use crate::engine::{Engine as _, IndexKind, NewTable, TableName};
    use crate::sqlite::Tables;
    use crate::value::Value;

    /// Whatever a translation were to let through, a statement reaches nothing but its tables.
    #[test]
    fn a_statement_reaches_only_the_tables_that_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let tables = Tables::open(&folder.path().join("tables.db")).unwrap();
        for name in (0..11).map(|number| format!("table{number}")) {
            let new = NewTable { table: TableName::new(name), ..NewTable::default() };
            let mut writer = tables.create(new).unwrap();
            writer.write(vec![vec![("a".to_owned(), Value::Text("x".to_owned()))]]).unwrap();
            writer.finish().unwrap();
        }
        let first = TableName::new("table0");
        tables.create_index(&first, "a", IndexKind::FullText, false).unwrap();
        let readers = &tables.shared.readers;
        let reader = readers.take(Turn::anybody()).unwrap();
        reader.confine(vec!["t1".to_owned()]).unwrap();
        let db = reader.connection().unwrap();
        let count = |text: &str| db.query_row(text, [], |row| row.get::<_, i64>(0));
        assert_eq!(count("SELECT count(*) FROM (SELECT c1 FROM t1) AS a"), Ok(1));
        for text in [
            "SELECT count(*) FROM t2",
            "SELECT count(*) FROM t11",
            "SELECT count(*) FROM t1, t2",
            "SELECT count(*) FROM room_tables",
            "SELECT count(*) FROM sqlite_schema",
            "SELECT count(*) FROM pragma_table_list",
            "SELECT count(*) FROM f1_1",
            "PRAGMA user_version",
            "PRAGMA query_only = 0",
            "ATTACH ':memory:' AS other",
            "DELETE FROM t1",
            "INSERT INTO t1 (born) VALUES (1)",
            "CREATE TEMP TABLE t3 (a)",
            "DROP TABLE t1",
            "COMMIT",
            "VACUUM INTO 'x'",
        ] {
            assert!(count(text).is_err(), "{text}");
        }
        drop(reader);
        let reader = readers.take(Turn::anybody()).unwrap();
        reader.confine(vec!["t1".to_owned(), "f1_1".to_owned()]).unwrap();
        let text = "SELECT count(*) FROM f1_1 WHERE f1_1 MATCH 'x'";
        let found = reader.connection().unwrap().query_row(text, [], |row| row.get::<_, i64>(0));
        assert_eq!(found, Ok(1));
    }
}
