//! What a folder is that an image is built of, in a few bytes: a digest of what it holds, and a stamp
//! that tells that somebody wrote to it. Neither needs an engine.
//!
//! Two folders have one digest if an engine gets the same of both: the same files with the same
//! bytes, the same links and folders, and the same description. Whose they are, when they were
//! written and in which order the system lists them makes no difference; whether a file can be
//! executed does.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat};
use sha2::{Digest, Sha256};

use super::context::{Bounds, Entry, Folder, Look, exactly, file};
use crate::error::{Error, Result};
use crate::mounts;

/// The names that a description has if none is named, in the order in which they are looked for.
pub const DESCRIPTIONS: [&str; 2] = ["Containerfile", "Dockerfile"];

/// What the digest begins with: another way to make one has another text.
const FORM: &[u8] = b"meshagent context 1\0";

/// What is never a part of it, by its name: it is another one in each checkout, and credentials are
/// in it.
const NEVER: &[&str] = &[".git", ".meshagent"];

/// How many bytes of a file are read at once.
const AT_ONCE: usize = 64 * 1024;

/// A folder that an image is built of, and the description in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// The folder, which is opened without following a link that it may be itself. Links on the way
    /// to it are followed.
    pub folder: &'a Path,
    /// The description, seen from the folder.
    pub description: &'a str,
}

/// What was read of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The digest, in hex.
    pub digest: String,
    /// How many bytes its files have together.
    pub bytes: u64,
}

impl Source<'_> {
    /// Opens the folder.
    pub(super) fn open(&self) -> Result<Folder> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open: OwnedFd = rustix::fs::openat(CWD, self.folder, flags, Mode::empty())
            .map_err(|error| self.unread(&io::Error::from(error)))?;
        Folder::new(open, self.description).map(|folder| folder.without(NEVER))
    }

    fn unread(&self, error: &io::Error) -> Error {
        let text = format!("cannot read the folder {}: {error}", self.folder.display());
        match error.kind() {
            ErrorKind::FileTooLarge => Error::TooMuch(text),
            _ => Error::Invalid(text),
        }
    }

    /// The digest over the description and all files, folders and links that `.dockerignore` does
    /// not leave out, and that are not of Git or of this program.
    ///
    /// # Errors
    ///
    /// The folder or the description is not there, is a link, or cannot be read; there is more of
    /// it than the bounds say.
    pub fn digest(&self, bounds: Bounds) -> Result<Contents> {
        mounts::below(self.description)?;
        mounts::open_file(self.folder, self.description)?;
        let folder = self.open()?;
        let mut digesting = Digesting { digest: Sha256::new(), bytes: 0 };
        digesting.digest.update(FORM);
        digesting.text(self.description.as_bytes());
        folder.walk(bounds, &mut digesting).map_err(|error| self.unread(&error))?;
        let hex = digesting.digest.finalize().iter().fold(String::new(), |mut hex, byte| {
            // A text can always be written to.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Ok(Contents { digest: hex, bytes: digesting.bytes })
    }

    /// A number that is another one once somebody has written to what the digest is of. No file is
    /// read for it.
    ///
    /// # Errors
    ///
    /// As [`Self::digest`].
    pub fn stamp(&self, bounds: Bounds) -> Result<u64> {
        let folder = self.open()?;
        let mut stamping = Stamping(DefaultHasher::new());
        folder.walk(bounds, &mut stamping).map_err(|error| self.unread(&error))?;
        Ok(stamping.0.finish())
    }
}

/// The description in a folder, by the usual names.
#[must_use]
pub fn usual_description(folder: &Path) -> Option<&'static str> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = rustix::fs::openat(CWD, folder, flags, Mode::empty()).ok()?;
    DESCRIPTIONS.into_iter().find(|name| file(&open, name.as_bytes()).is_ok())
}

struct Digesting {
    digest: Sha256,
    bytes: u64,
}

impl Digesting {
    /// A text with its length, so that no two texts read as another two.
    fn text(&mut self, text: &[u8]) {
        self.digest.update((text.len() as u64).to_be_bytes());
        self.digest.update(text);
    }

    fn begin(&mut self, kind: u8, path: &[u8]) {
        self.digest.update([kind]);
        self.text(path);
    }
}

impl Look for Digesting {
    fn look(&mut self, path: &[u8], stat: &Stat, entry: Entry) -> io::Result<()> {
        match entry {
            Entry::Folder => self.begin(b'd', path),
            Entry::Link(to) => {
                self.begin(b'l', path);
                self.text(&to);
            }
            Entry::File(open, size) => {
                let is_executable = stat.st_mode & 0o111 != 0;
                self.begin(if is_executable { b'x' } else { b'f' }, path);
                self.digest.update(size.to_be_bytes());
                self.bytes += size;
                let (mut from, mut buffer) = (exactly(open, size), vec![0; AT_ONCE]);
                loop {
                    match from.read(&mut buffer)? {
                        0 => break,
                        read => self.digest.update(&buffer[..read]),
                    }
                }
            }
            // Files are opened for a digest.
            Entry::Unopened => {}
        }
        Ok(())
    }
}

struct Stamping(DefaultHasher);

impl Look for Stamping {
    const OPENS: bool = false;

    fn look(&mut self, path: &[u8], stat: &Stat, entry: Entry) -> io::Result<()> {
        path.hash(&mut self.0);
        (stat.st_mode, stat.st_ino).hash(&mut self.0);
        if let Entry::Link(to) = entry {
            to.hash(&mut self.0);
        }
        // A folder changes with what is in it, which is looked at by itself; what is left out of it
        // must make no difference.
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            (stat.st_size, stat.st_mtime, stat.st_mtime_nsec).hash(&mut self.0);
            (stat.st_ctime, stat.st_ctime_nsec).hash(&mut self.0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs::Permissions;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::time::{Duration, SystemTime};

    use super::*;

    const ENOUGH: Bounds = Bounds { bytes: 1 << 20, entries: 100 };

    fn source(folder: &Path) -> Source<'_> {
        Source { folder, description: "Containerfile" }
    }

    fn digest(folder: &Path) -> String {
        source(folder).digest(ENOUGH).expect("a digest").digest
    }

    /// A folder with files in it, which are written in this order.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            std::fs::write(path, text).expect("a file");
        }
        folder
    }

    const FILES: [(&str, &str); 4] =
        [("Containerfile", "FROM x"), ("a", "1"), ("b/c", "2"), (".dockerignore", "out\n")];

    #[test]
    fn a_digest_is_of_what_is_in_a_folder_and_of_nothing_else() {
        let one = folder(&FILES);
        let mut files = FILES;
        files.reverse();
        let other = folder(&files);
        let whole = digest(one.path());
        assert_eq!(whole.len(), 64);
        assert_eq!(digest(other.path()), whole, "in another order, at another time");
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let a = std::fs::File::options().append(true).open(other.path().join("a"));
        a.expect("a file").set_modified(long_ago).expect("a time");
        std::fs::write(other.path().join("out"), "left out").expect("a file");
        for own in [".git", "b/.git", ".meshagent"] {
            std::fs::create_dir(other.path().join(own)).expect("a folder");
            std::fs::write(other.path().join(own).join("key"), "secret").expect("a file");
        }
        assert_eq!(digest(other.path()), whole);
        let at = |path: &str| other.path().join(path);
        let mut seen = vec![whole];
        let mut differs = |why: &str| {
            let now = digest(other.path());
            assert!(!seen.contains(&now), "{why}");
            seen.push(now);
        };
        std::fs::set_permissions(at("a"), Permissions::from_mode(0o755)).expect("a mode");
        differs("a file that can be executed");
        std::fs::write(at("a"), "12").expect("a file");
        differs("another text");
        std::fs::rename(at("a"), at("d")).expect("a move");
        differs("another name");
        std::fs::create_dir(at("e")).expect("a folder");
        differs("an empty folder");
        symlink("/dev/zero", at("f")).expect("a link");
        differs("a link");
        std::fs::remove_file(at("f")).expect("gone");
        symlink("/dev/full", at("f")).expect("a link");
        differs("a link to somewhere else");
        std::fs::write(at("Containerfile"), "FROM y").expect("a file");
        differs("another description");
        std::fs::write(other.path().join(OsStr::from_bytes(b"\xff\xfe")), "").expect("a file");
        differs("a name that is no text");
        std::fs::write(at("Second"), "FROM y").expect("a file");
        differs("a second description");
        let second = Source { folder: other.path(), description: "Second" };
        let second = second.digest(ENOUGH).expect("a digest").digest;
        assert!(!seen.contains(&second), "the same folder with another description");
    }

    #[test]
    fn what_is_hostile_is_an_error_or_is_not_read() {
        let hostile = folder(&FILES);
        let at = |path: &str| hostile.path().join(path);
        let whole = digest(hostile.path());
        // Nobody writes to it, so whoever opened it to read would wait.
        let pipe = rustix::fs::mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR, 0);
        pipe.expect("a pipe");
        assert_eq!(digest(hostile.path()), whole);
        std::fs::File::create(at("sparse")).and_then(|it| it.set_len(1 << 40)).expect("a file");
        let refused = source(hostile.path()).digest(ENOUGH).expect_err("too large");
        assert!(matches!(refused, Error::TooMuch(_)), "{refused:?}");
        assert!(
            refused.to_string().ends_with("sparse: there are more than 1048576 bytes of files")
        );
        std::fs::remove_file(at("sparse")).expect("gone");
        let few = Bounds { entries: 3, ..ENOUGH };
        let refused = source(hostile.path()).digest(few).expect_err("too many");
        assert!(refused.to_string().ends_with("there are more than 3 files and folders"));
        let elsewhere = tempfile::tempdir().expect("a folder");
        symlink(hostile.path(), elsewhere.path().join("link")).expect("a link");
        assert!(source(&elsewhere.path().join("link")).digest(ENOUGH).is_err(), "it is a link");
        for description in ["../x", "/etc/passwd", "none", "b", "pipe", ""] {
            let source = Source { folder: hostile.path(), description };
            assert!(source.digest(ENOUGH).is_err(), "{description:?}");
        }
        symlink("a", at("described")).expect("a link");
        let source = Source { folder: hostile.path(), description: "described" };
        assert!(source.digest(ENOUGH).is_err(), "the description is a link");
    }

    #[test]
    fn a_stamp_changes_with_what_the_digest_is_of() {
        let here = folder(&FILES);
        let stamp = || source(here.path()).stamp(ENOUGH).expect("a stamp");
        let first = stamp();
        std::fs::write(here.path().join("out"), "left out").expect("a file");
        assert_eq!(stamp(), first);
        // Of another length, as the clock of files may not have moved on since the last look.
        std::fs::write(here.path().join("b/c"), "33").expect("a file");
        let second = stamp();
        assert_ne!(second, first);
        std::fs::remove_file(here.path().join("a")).expect("gone");
        assert_ne!(stamp(), second);
    }

    #[test]
    fn a_description_is_found_by_its_usual_names() {
        let here = folder(&[("Dockerfile", "FROM x")]);
        assert_eq!(usual_description(here.path()), Some("Dockerfile"));
        std::fs::write(here.path().join("Containerfile"), "FROM x").expect("a file");
        assert_eq!(usual_description(here.path()), Some("Containerfile"));
        assert_eq!(usual_description(&here.path().join("none")), None);
    }
}
