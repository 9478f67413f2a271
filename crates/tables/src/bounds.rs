//! What a statement may take of memory and of the disk while it is computed.
//!
//! SQLite bounds neither: it bounds the size of one value, and what it sorts goes to files without
//! end. So the size of a value depends on how many of them a statement has at once, and a statement
//! is ended when it has written too much to files, or all together have.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use rusqlite::limits::Limit;
use rusqlite::{Connection, OptionalExtension as _};

use crate::error::{Error, Reason};

/// The most bytes that a statement writes to temporary files, such as to sort.
const TEMPORARY: u64 = 512 << 20;

/// The bytes that all values of a statement may have at once.
const VALUES: usize = 128 << 20;

/// The least that a value may have in any statement.
const LEAST: usize = 64 << 10;

/// How often it is looked at what was written.
const OFTEN: Duration = Duration::from_millis(5);

/// The bytes that temporary files of this process may have.
const ALL: u64 = 2 << 30;

/// What the statements of this process share.
static SHARED: Shared = Shared { most: ALL, used: AtomicU64::new(0) };

/// How many bytes all temporary files may have, and how many they have.
#[derive(Debug)]
struct Shared {
    most: u64,
    used: AtomicU64,
}

/// Why a statement may write no more to temporary files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMuch {
    /// It has written more than `TEMPORARY`.
    Itself,
    /// It has written more than others have left free.
    WithOthers,
}

impl TooMuch {
    /// The error of a statement that is ended for it.
    #[must_use]
    pub fn error(self) -> Error {
        match self {
            Self::Itself => Error::invalid(format!(
                "it needs more than {} MiB of temporary files; sort, group or join less",
                TEMPORARY >> 20
            )),
            Self::WithOthers => Error::new(
                Reason::TimedOut,
                format!(
                    "it needs more temporary files than others leave free, of {} MiB for all; try again later, or sort, group or join less",
                    ALL >> 20
                ),
            ),
        }
    }
}

/// What a statement has written to temporary files. It writes to no others, so this is what the
/// system says that its thread wrote. Where the system does not say it, which is elsewhere than on
/// Linux, nothing is counted. It counts until this is dropped.
#[derive(Debug)]
pub struct Temporary {
    shared: &'static Shared,
    looked: Instant,
    thread: Option<(ThreadId, u64)>,
    /// How much of what is shared is its own.
    own: u64,
}

impl Temporary {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::of(&SHARED)
    }

    fn of(shared: &'static Shared) -> Self {
        Self { shared, looked: Instant::now(), thread: None, own: 0 }
    }

    /// Whether it is too much. The thread that computes asks this often.
    pub fn is_too_much(&mut self, now: Instant) -> Option<TooMuch> {
        if self.thread.is_some() && now.saturating_duration_since(self.looked) < OFTEN {
            return None;
        }
        self.looked = now;
        let written = written()?;
        let thread = std::thread::current().id();
        match self.thread {
            Some((same, first)) if same == thread => self.has(written.saturating_sub(first)),
            // What another thread wrote before is not known any more; it only prepared.
            _ => {
                self.thread = Some((thread, written));
                self.has(0)
            }
        }
    }

    /// Takes so much of what is shared. A statement may have no more than it leaves free, so the more
    /// there are, the less each may have, and one that needs little always gets it.
    fn has(&mut self, bytes: u64) -> Option<TooMuch> {
        let more = bytes.saturating_sub(self.own);
        if more == 0 {
            return None;
        }
        self.own = bytes;
        let used = self.shared.used.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        if bytes > TEMPORARY {
            return Some(TooMuch::Itself);
        }
        (bytes > self.shared.most.saturating_sub(used)).then_some(TooMuch::WithOthers)
    }
}

impl Default for Temporary {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.shared.used.fetch_sub(self.own, Ordering::Relaxed);
    }
}

/// How many bytes this thread has written, ever.
fn written() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/io").ok()?;
    text.lines().find_map(|line| line.strip_prefix("wchar:"))?.trim().parse().ok()
}

/// Lets no value of a statement be larger than what all of them can be at once. All columns of a row
/// have at most `row` bytes, and a value in any statement `most`. Gives
/// what a value may have.
///
/// # Errors
///
/// The statement is wrong.
pub fn values(
    connection: &Connection,
    statement: &str,
    row: usize,
    most: usize,
) -> rusqlite::Result<usize> {
    let mut program = connection.prepare(&format!("EXPLAIN {statement}"))?;
    let mut steps = program.raw_query();
    // Values that a column gave are no more than its row, as long as each column is read once.
    let (mut rows, mut single, mut made) = (HashSet::new(), HashSet::new(), 0);
    while let Some(step) = steps.next()? {
        let code = step.get_ref(1)?.as_str().unwrap_or_default();
        match code {
            "Column" => {
                let (cursor, column): (i64, i64) = (step.get(2)?, step.get(3)?);
                rows.insert(cursor);
                if !single.insert((cursor, column)) {
                    made += 1;
                }
            }
            "Function" | "PureFunc" | "AggStep" | "AggValue" | "Concat" | "Copy" => made += 1,
            _ => {}
        }
    }
    let of_rows = rows.len().saturating_mul(row);
    let each = match VALUES.checked_sub(of_rows).filter(|rest| *rest >= VALUES / 2) {
        Some(rest) => rest / made.max(1),
        None => VALUES / (made + single.len()).max(1),
    };
    let each = each.clamp(LEAST, most.max(LEAST));
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, i32::try_from(each).unwrap_or(i32::MAX))?;
    Ok(each)
}

/// Lets SQLite keep its temporary files beside a database, instead of in a folder that all programs
/// share. There is one such folder for all databases of a process, so it is the first that is still
/// there.
///
/// # Errors
///
/// The folder cannot be written.
pub fn temporary_beside(connection: &Connection, path: &Path) -> rusqlite::Result<()> {
    let folder = "PRAGMA temp_store_directory";
    let folder: Option<String> = connection.query_row(folder, [], |row| row.get(0)).optional()?;
    if folder.is_some_and(|folder| Path::new(&folder).is_dir()) {
        return Ok(());
    }
    match path.parent().and_then(Path::to_str) {
        Some(folder) => connection.pragma_update(None, "temp_store_directory", folder),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_statements_write_temporary_files_the_less_each_may_have() {
        static SHARED: Shared = Shared { most: 4 * TEMPORARY, used: AtomicU64::new(0) };
        let new = || Temporary::of(&SHARED);
        let mut several: Vec<Temporary> = (0..3).map(|_| new()).collect();
        for one in &mut several {
            assert_eq!(one.has(TEMPORARY), None);
        }
        assert_eq!(several[0].has(TEMPORARY + 1), Some(TooMuch::Itself));
        let mut next = new();
        assert_eq!(next.has(TEMPORARY / 4), None);
        // It is not ended if it writes no more.
        assert_eq!(several[1].has(TEMPORARY), None);
        assert_eq!(next.has(TEMPORARY * 3 / 4), Some(TooMuch::WithOthers));
        drop((several, next));
        assert_eq!(SHARED.used.load(Ordering::Relaxed), 0);
        assert_eq!(new().has(TEMPORARY), None);
    }
}
