//! Checks whether the main file of the database is as SQLite left it.
//!
//! SQLite does not notice if another program overwrites or truncates the file while it is open,
//! and continues with a mixture of both. But in WAL mode only a checkpoint changes that file, and
//! in this program only the end of a write starts one. So each process that has the database open
//! holds a lock while it writes, and notes the state of the file when it is done. The next writer
//! finds the file as noted, or examines it.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The endings of the files beside the database: the note with its lock, and the lock that each
/// process holds while it has the database open.
pub const ENDINGS: [&str; 2] = ["-mark", "-open"];

/// How often a lock is tried that another process holds.
const PAUSE: Duration = Duration::from_millis(5);

/// The size of a note.
const SIZE: usize = 40;

/// The state of a file: its size, the time of its last change, and the size of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct State {
    size: u64,
    seconds: i64,
    nanoseconds: i64,
    log: u64,
}

/// Which file somebody else changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// The database itself.
    Main,
    /// Its log was truncated. A log only grows, until a checkpoint empties it.
    Log,
}

impl State {
    fn of(main: &Path, log: &Path) -> io::Result<Self> {
        // A file that does not exist is empty.
        let metadata = |path| match std::fs::metadata(path) {
            Ok(about) => Ok(Some(about)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let log = metadata(log)?.map_or(0, |about| about.size());
        Ok(metadata(main)?.map_or_else(
            || Self { log, ..Self::default() },
            |about| Self {
                size: about.size(),
                seconds: about.mtime(),
                nanoseconds: about.mtime_nsec(),
                log,
            },
        ))
    }

    /// What somebody else changed since a state.
    fn changed_since(self, noted: Self) -> Option<Changed> {
        if (Self { log: noted.log, ..self }) != noted {
            return Some(Changed::Main);
        }
        (self.log < noted.log).then_some(Changed::Log)
    }
}

/// The state of the file after a write. The number grows, so that a note that was restored with an
/// old copy of the folder is recognized as old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Note {
    number: u64,
    state: State,
}

impl Note {
    fn read(file: &File) -> io::Result<Self> {
        let mut bytes = [0; SIZE];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Self::default());
            }
            Err(error) => return Err(error),
        }
        let mut parts = bytes.as_chunks::<8>().0.iter().copied();
        let mut next = || parts.next().unwrap_or_default();
        Ok(Self {
            number: u64::from_le_bytes(next()),
            state: State {
                size: u64::from_le_bytes(next()),
                seconds: i64::from_le_bytes(next()),
                nanoseconds: i64::from_le_bytes(next()),
                log: u64::from_le_bytes(next()),
            },
        })
    }

    fn write(self, file: &File) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(SIZE);
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.state.size.to_le_bytes());
        bytes.extend(self.state.seconds.to_le_bytes());
        bytes.extend(self.state.nanoseconds.to_le_bytes());
        bytes.extend(self.state.log.to_le_bytes());
        file.write_all_at(&bytes, 0)
    }
}

/// The note of a database that is open.
#[derive(Debug)]
pub struct Mark {
    main: PathBuf,
    log: PathBuf,
    note: File,
    /// Held by each process that has the database open.
    _open: File,
    /// Whether no other process had it open when this one started.
    is_alone: bool,
    known: Mutex<Known>,
}

/// The last note that this process read or made.
#[derive(Debug, Default)]
struct Known {
    note: Note,
    /// Whether it could not be written to the disk.
    is_unwritten: bool,
}

impl Mark {
    /// The note of a database and its log, whose files of [`ENDINGS`] are already open. Two must
    /// not start at once.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new([main, log]: [PathBuf; 2], [note, open]: [File; 2]) -> io::Result<Self> {
        let is_alone = match open.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        open.lock_shared()?;
        Ok(Self { main, log, note, _open: open, is_alone, known: Mutex::default() })
    }

    /// The file that the note is about.
    pub fn main(&self) -> &Path {
        &self.main
    }

    /// Waits until no other process writes; false when that takes too long.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn hold(&self, patience: Duration) -> io::Result<bool> {
        let start = Instant::now();
        loop {
            match self.note.try_lock() {
                Ok(()) => return Ok(true),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if start.elapsed() > patience => return Ok(false),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Lets other processes write.
    pub fn release(&self) {
        // If this fails, the descriptor is broken, and the next hold says so.
        let _ = self.note.unlock();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// While held: what somebody else changed since the last write. If nobody else has the
    /// database open, a process that opens it accepts it as it is.
    pub fn changed(&self) -> Option<Changed> {
        let mut known = self.known();
        if known.note.number == 0 && self.is_alone {
            return None;
        }
        if known.is_unwritten {
            known.is_unwritten = known.note.write(&self.note).is_err();
        }
        let Ok(state) = State::of(&self.main, &self.log) else { return Some(Changed::Main) };
        if !known.is_unwritten {
            let noted = Note::read(&self.note).unwrap_or_default();
            if noted.number < known.note.number {
                return Some(Changed::Main);
            }
            // Only this process knows how far the log has grown since then.
            let log = known.note.state.log.max(noted.state.log);
            let is_same = noted.number == known.note.number;
            known.note = noted;
            if is_same {
                known.note.state.log = log;
            }
        }
        state.changed_since(known.note.state)
    }

    /// While held, after a write to a file that was sound: notes what the file is now. Most writes
    /// go to the log alone. Its growth is only remembered, because a note for each would be one
    /// more file to write each time.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn note(&self) -> io::Result<()> {
        let state = State::of(&self.main, &self.log)?;
        let mut known = self.known();
        if known.note.number > 0 && (State { log: state.log, ..known.note.state }) == state {
            known.note.state.log = state.log;
            return Ok(());
        }
        let before = match known.note.number {
            // The numbers continue where a process before this one ended.
            0 => Note::read(&self.note)?.number,
            number => number,
        };
        known.note = Note { number: before + 1, state };
        let written = known.note.write(&self.note);
        known.is_unwritten = written.is_err();
        written
    }
}
