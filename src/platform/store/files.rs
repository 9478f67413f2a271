//! Whether the files that are open are still those that their names lead to.
//!
//! SQLite goes on with a file that was deleted or replaced, and what it writes there is gone
//! with the process. So each commit looks, before it is acknowledged.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What SQLite keeps beside the file of a database: its log, and the index of that.
const ENDINGS: [&str; 3] = ["", "-wal", "-shm"];

/// The files of an open database.
#[derive(Debug, Clone)]
pub struct Files(Vec<(PathBuf, Identity)>);

/// Which file it is, whatever it is called.
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

impl Files {
    /// The files of a database as they are now, while it is open.
    pub fn of(database: &Path) -> Self {
        let named = ENDINGS.map(|ending| {
            let mut path = database.as_os_str().to_owned();
            path.push(ending);
            PathBuf::from(path)
        });
        let known = named.into_iter().filter_map(|path| {
            let identity = Identity::of(&std::fs::metadata(&path).ok()?);
            Some((path, identity))
        });
        Self(known.collect())
    }

    /// The name of the first file that was removed or replaced, if there is one. What cannot
    /// be looked at for another reason counts as there.
    pub fn missing(&self) -> Option<String> {
        let gone = self.0.iter().find(|(path, identity)| match std::fs::metadata(path) {
            Ok(about) => Identity::of(&about) != *identity,
            Err(cause) => cause.kind() == std::io::ErrorKind::NotFound,
        });
        let (path, _) = gone?;
        Some(path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_removed_or_replaced_is_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["a", "a-wal"] {
            std::fs::write(path(name), "").expect("a file");
        }
        let files = Files::of(&path("a"));
        assert_eq!(files.missing(), None);
        // A file that came later belongs to nobody.
        std::fs::write(path("a-shm"), "").expect("a file");
        std::fs::remove_file(path("a-shm")).expect("gone");
        assert_eq!(files.missing(), None);

        std::fs::rename(path("a-wal"), path("elsewhere")).expect("moved");
        assert_eq!(files.missing(), Some("a-wal".to_owned()));
        std::fs::write(path("a-wal"), "").expect("another file");
        assert_eq!(files.missing(), Some("a-wal".to_owned()));
        std::fs::rename(path("elsewhere"), path("a-wal")).expect("moved back");
        assert_eq!(files.missing(), None);
        std::fs::remove_file(path("a")).expect("gone");
        assert_eq!(files.missing(), Some("a".to_owned()));
    }
}
