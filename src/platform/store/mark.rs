//! Whether the main file of the database is as SQLite left it.
//!
//! SQLite does not notice when another program overwrites or cuts the file while it is open,
//! and goes on with what is then a mixture of two. But in WAL mode nothing but a checkpoint
//! changes that file, and in this program nothing but the end of a write begins one. So each
//! process that has the database open holds a lock while it writes, and notes there what the
//! file was when it was done. Whoever writes next finds it as noted, or looks into it.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the names of the files beside the database end with: of the note and its lock, and of
/// the lock that each process holds while it has the database open.
pub const ENDINGS: [&str; 2] = ["-mark", "-open"];

/// How often a lock is tried that another process has.
const PAUSE: Duration = Duration::from_millis(5);

/// The size of a note.
const SIZE: usize = 40;

/// What a file is by its size and the time of its last change, and the size of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct State {
    size: u64,
    seconds: i64,
    nanoseconds: i64,
    log: u64,
}

/// Which of the files somebody else changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// The database itself.
    Main,
    /// Its log was cut. A log only grows, until a checkpoint that leaves nothing in it.
    Log,
}

impl State {
    fn of(main: &Path, log: &Path) -> io::Result<Self> {
        // A file that is not there has nothing in it.
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

/// What the file was after a write. The number grows, so that a note that is put back with an
/// old copy of the folder is known as old.
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
    /// Whether no other process had it open when this one began.
    is_alone: bool,
    known: Mutex<Known>,
}

/// The last note that this process read or made.
#[derive(Debug, Default)]
struct Known {
    note: Note,
    /// Whether the disk did not take it.
    is_unwritten: bool,
}

impl Mark {
    /// The note of a database and its log, whose files of [`ENDINGS`] are open already. Two may
    /// not begin at once.
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
        // Where this fails the descriptor is broken, and the next hold says so.
        let _ = self.note.unlock();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// While held: what somebody else changed since the last write. What nobody else has open
    /// is taken as it is by whoever opens it.
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
            // How far the log grew since then only this process knows.
            let log = known.note.state.log.max(noted.state.log);
            let is_same = noted.number == known.note.number;
            known.note = noted;
            if is_same {
                known.note.state.log = log;
            }
        }
        state.changed_since(known.note.state)
    }

    /// While held, after a write to a file that was sound: notes what the file is now. Most
    /// writes go to the log alone. That it grew is kept in mind, since a note of each would be
    /// one more file for the disk to keep up with.
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
            // The numbers go on where a process before this one ended.
            0 => Note::read(&self.note)?.number,
            number => number,
        };
        known.note = Note { number: before + 1, state };
        let written = known.note.write(&self.note);
        known.is_unwritten = written.is_err();
        written
    }
}
