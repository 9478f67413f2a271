//! Checks whether the open files are still those under their names, and still what SQLite wrote.
//!
//! SQLite continues with a file that was deleted, replaced or overwritten, and what it writes
//! there is lost with the process or mixed with foreign data. The key file is not held open while
//! the platform runs, and without it nothing can be read after the next start. So each commit
//! checks the files before it is acknowledged.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::mark::{self, Changed, Mark};
use super::{create_file, with_ending};

/// What SQLite keeps beside the file of a database: its log, and the index of that.
const ENDINGS: [&str; 3] = ["", LOG, "-shm"];

/// What the name of the log ends with.
const LOG: &str = "-wal";

/// The files of an open database.
#[derive(Debug, Clone)]
pub struct Files {
    named: Vec<(PathBuf, Identity)>,
    key: Option<PathBuf>,
    mark: Arc<Mark>,
}

/// The identity of a file, independent of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    number: u64,
}

impl Identity {
    fn of(about: &Metadata) -> Self {
        Self { device: about.dev(), number: about.ino() }
    }
}

/// What somebody did to a file while it was open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It was removed, or another file has its name.
    #[error(
        "the platform's {0} was removed while it was open: nothing can be saved until the platform is restarted"
    )]
    Removed(String),
    /// It is the same file with other contents.
    #[error(
        "the platform's {0} was overwritten by another program while it was open: nothing can be saved until the platform is stopped, a copy of the database is put back, and the platform is started again"
    )]
    Overwritten(String),
    /// The key file was removed, emptied, or holds another key.
    #[error(
        "the platform's key file {0} was removed or changed while it was needed: nothing can be saved until it is put back"
    )]
    Key(String),
}

/// The last part of a path.
pub fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Opens the files that hold the mark of a database.
///
/// # Errors
///
/// The system's.
pub fn mark(database: &Path) -> std::io::Result<Mark> {
    let [note, open] = mark::ENDINGS.map(|ending| create_file(&with_ending(database, ending)));
    let log = with_ending(database, LOG);
    Mark::new([database.to_owned(), log], [note?, open?])
}

impl Files {
    /// The files of a database as they are now, while it is open and its mark is held, and the
    /// key file that it needs.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn of(database: &Path, mark: Mark, key: Option<PathBuf>) -> std::io::Result<Self> {
        let known = ENDINGS.iter().filter_map(|ending| {
            let path = with_ending(database, ending);
            let identity = Identity::of(&std::fs::metadata(&path).ok()?);
            Some((path, identity))
        });
        mark.note()?;
        Ok(Self { named: known.collect(), key, mark: Arc::new(mark) })
    }

    /// The first file that was removed or replaced, if there is one. A file that cannot be checked
    /// for another reason counts as present.
    pub fn missing(&self) -> Option<Fault> {
        let gone = self.named.iter().find(|(path, identity)| match std::fs::metadata(path) {
            Ok(about) => Identity::of(&about) != *identity,
            Err(cause) => cause.kind() == std::io::ErrorKind::NotFound,
        });
        if let Some((path, _)) = gone {
            return Some(Fault::Removed(name(path)));
        }
        // It may be replaced on purpose; the vault knows whether by the right one.
        let key = self.key.as_ref().filter(|path| match std::fs::metadata(path) {
            Ok(about) => about.len() == 0,
            Err(cause) => cause.kind() == std::io::ErrorKind::NotFound,
        });
        key.map(|path| Fault::Key(name(path)))
    }

    /// The file of the database.
    pub fn database(&self) -> &Path {
        self.mark.main()
    }

    /// Waits until no other process writes; false when that takes too long. It ends with
    /// [`Files::release`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn hold(&self, patience: Duration) -> std::io::Result<bool> {
        self.mark.hold(patience).await
    }

    /// Lets other processes write.
    pub fn release(&self) {
        self.mark.release();
    }

    /// While held: what happened to the files since the last write, if anything did.
    pub fn fault(&self) -> Option<Fault> {
        self.missing().or_else(|| {
            let main = self.mark.main();
            Some(Fault::Overwritten(match self.mark.changed()? {
                Changed::Main => name(main),
                Changed::Log => name(&with_ending(main, LOG)),
            }))
        })
    }

    /// While held, after a write to files that were intact: notes their new state.
    pub fn note(&self) {
        if let Err(cause) = self.mark.note() {
            crate::notice::tell("failed to note the state of the database", &cause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(path: &Path) -> Files {
        Files::of(path, mark(path).expect("a mark"), None).expect("files")
    }

    fn removed(name: &str) -> Option<Fault> {
        Some(Fault::Removed(name.to_owned()))
    }

    #[test]
    fn a_file_that_was_removed_or_replaced_is_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["a", "a-wal"] {
            std::fs::write(path(name), "").expect("a file");
        }
        let files = files(&path("a"));
        assert_eq!(files.missing(), None);
        // A file that came later belongs to nobody.
        std::fs::write(path("a-shm"), "").expect("a file");
        std::fs::remove_file(path("a-shm")).expect("gone");
        assert_eq!(files.missing(), None);

        std::fs::rename(path("a-wal"), path("elsewhere")).expect("moved");
        assert_eq!(files.missing(), removed("a-wal"));
        std::fs::write(path("a-wal"), "").expect("another file");
        assert_eq!(files.missing(), removed("a-wal"));
        std::fs::rename(path("elsewhere"), path("a-wal")).expect("moved back");
        assert_eq!(files.missing(), None);
        std::fs::remove_file(path("a")).expect("gone");
        assert_eq!(files.missing(), removed("a"));
    }

    #[test]
    fn a_file_that_others_wrote_into_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        std::fs::write(&path, "one").expect("a file");
        let (one, two) = (files(&path), files(&path));
        for files in [&one, &two] {
            assert_eq!(files.fault(), None);
        }
        // What one of them does in its turn is known to the other.
        std::fs::write(&path, "of the first").expect("written");
        one.note();
        assert_eq!((one.fault(), two.fault()), (None, None));
        std::fs::write(&path, "of the second").expect("written");
        two.note();
        assert_eq!((one.fault(), two.fault()), (None, None));

        let note = std::fs::read(folder.path().join("a-mark")).expect("a note");
        std::fs::write(&path, "").expect("cut");
        let overwritten = Some(Fault::Overwritten("a".to_owned()));
        assert_eq!((one.fault(), two.fault()), (overwritten.clone(), overwritten.clone()));
        // Who comes later does not hide it, and neither does an old note.
        assert_eq!(mark(&path).expect("a mark").changed(), Some(Changed::Main));
        std::fs::write(folder.path().join("a-mark"), note).expect("an old note");
        assert_eq!(two.fault(), overwritten);
        // Who finds it alone takes it as it is.
        drop((one, two));
        assert_eq!(mark(&path).expect("a mark").changed(), None);
    }

    #[test]
    fn a_log_that_was_cut_is_overwritten_and_one_that_grows_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a"), "one").expect("a file");
        std::fs::write(path("a-wal"), "log").expect("a log");
        let files = files(&path("a"));
        assert_eq!(files.fault(), None);
        std::fs::write(path("a-wal"), "longer").expect("a log");
        files.note();
        std::fs::write(path("a-wal"), "longest").expect("a log");
        assert_eq!(files.fault(), None);
        for cut in ["longe", ""] {
            std::fs::write(path("a-wal"), cut).expect("a log");
            assert_eq!(files.fault(), Some(Fault::Overwritten("a-wal".to_owned())));
        }
    }

    #[test]
    fn a_key_file_that_is_gone_or_empty_is_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, key) = (folder.path().join("a"), folder.path().join("key"));
        std::fs::write(&path, "").expect("a file");
        std::fs::write(&key, "key").expect("a file");
        let mark = mark(&path).expect("a mark");
        let files = Files::of(&path, mark, Some(key.clone())).expect("files");
        let gone = Some(Fault::Key("key".to_owned()));
        assert_eq!(files.missing(), None);
        std::fs::write(&key, "").expect("emptied");
        assert_eq!(files.missing(), gone);
        std::fs::remove_file(&key).expect("gone");
        assert_eq!(files.missing(), gone);
        std::fs::write(&key, "another").expect("a file");
        assert_eq!(files.missing(), None);
    }
}
