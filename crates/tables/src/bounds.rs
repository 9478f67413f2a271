//! What a statement may take of memory and of the disk while it is computed.
//!
//! SQLite bounds neither: it bounds the size of one value, and what it sorts goes to files without
//! end. So the size of a value depends on how many of them a statement has at once, and a statement
//! is ended when it has written too much to files.

use std::collections::HashSet;
use std::path::Path;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use rusqlite::limits::Limit;
use rusqlite::{Connection, OptionalExtension as _};

/// The most bytes that a statement writes to temporary files, such as to sort.
pub const TEMPORARY: u64 = 512 << 20;

/// The bytes that all values of a statement may have at once.
const VALUES: usize = 128 << 20;

/// The least that a value may have in any statement.
const LEAST: usize = 64 << 10;

/// How often it is looked at what was written.
const OFTEN: Duration = Duration::from_millis(5);

/// What a statement has written to temporary files. It writes to no others, so this is what the
/// system says that its thread wrote. Where the system does not say it, which is elsewhere than on
/// Linux, nothing is counted.
#[derive(Debug)]
pub struct Temporary {
    looked: Instant,
    thread: Option<(ThreadId, u64)>,
}

impl Temporary {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { looked: Instant::now(), thread: None }
    }

    /// Whether it is more than [`TEMPORARY`]. The thread that computes asks this often.
    pub fn is_too_much(&mut self, now: Instant) -> bool {
        if self.thread.is_some() && now.saturating_duration_since(self.looked) < OFTEN {
            return false;
        }
        self.looked = now;
        let Some(written) = written() else { return false };
        let thread = std::thread::current().id();
        match self.thread {
            Some((same, first)) if same == thread => written.saturating_sub(first) > TEMPORARY,
            // What another thread wrote before is not known any more; it only prepared.
            _ => {
                self.thread = Some((thread, written));
                false
            }
        }
    }
}

impl Default for Temporary {
    fn default() -> Self {
        Self::new()
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
