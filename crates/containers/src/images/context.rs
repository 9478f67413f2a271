//! The folder that an image is built of, read without following a link: its files, folders and
//! links as they are, in an order of their own. What is made of them is for whoever looks: an
//! archive here, a digest or a stamp elsewhere.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use tar::{Builder, EntryType, Header};

use super::ignored::Ignored;
use crate::error::{Error, Result};

/// How many folders may be in each other. All of them are open at once.
const DEEPEST: usize = 100;

/// How long `.dockerignore` may be.
const LONGEST_IGNORED: u64 = 1 << 20;

/// How many times a path is compared with a pattern at most.
const MOST_COMPARED: usize = 1 << 28;

/// The file that says what is left out.
const IGNORED: &str = ".dockerignore";

/// How much of a folder is read at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How many bytes its files may have together.
    pub bytes: u64,
    /// How many files and folders may be in it, with those that are left out.
    pub entries: usize,
}

/// What is sent to an engine at most.
const SENT: Bounds = Bounds { bytes: 8 << 30, entries: 1 << 20 };

/// A folder that an image is built of.
pub(super) struct Folder {
    open: OwnedFd,
    ignored: Ignored,
    /// What is sent although it is left out: engines need it to build.
    needed: [String; 2],
    /// The names of what is left out wherever it is.
    never: &'static [&'static str],
}

/// One thing of a folder.
pub(super) enum Entry {
    /// A folder, without what is in it.
    Folder,
    /// A link, with where it leads as it is written.
    Link(Vec<u8>),
    /// A file that is open, and how many bytes it has.
    File(File, u64),
    /// A file that is not opened.
    Unopened,
}

/// Who looks at a folder.
pub(super) trait Look {
    /// Whether files are opened. Else they come as [`Entry::Unopened`].
    const OPENS: bool = true;

    /// Looks at one thing, by its path in the folder.
    fn look(&mut self, path: &[u8], stat: &Stat, entry: Entry) -> io::Result<()>;
}

impl Folder {
    /// Reads what is left out.
    pub fn new(open: OwnedFd, dockerfile: &str) -> Result<Self> {
        let ignored = match file(&open, IGNORED.as_bytes()) {
            Ok(file) => {
                let mut text = String::new();
                let read = File::from(file).take(LONGEST_IGNORED + 1).read_to_string(&mut text);
                let length = read
                    .map_err(|error| Error::Invalid(format!("cannot read {IGNORED}: {error}")))?;
                if length as u64 > LONGEST_IGNORED {
                    let text = format!("{IGNORED} is longer than {LONGEST_IGNORED} bytes");
                    return Err(Error::Invalid(text));
                }
                Ignored::read(&text)?
            }
            Err(_) => Ignored::default(),
        };
        let needed = [dockerfile.to_owned(), IGNORED.to_owned()];
        Ok(Self { open, ignored, needed, never: &[] })
    }

    /// The same without what has one of these names, wherever it is.
    pub fn without(self, never: &'static [&'static str]) -> Self {
        Self { never, ..self }
    }

    /// Writes all that is not left out as an archive.
    pub fn write(&self, to: impl Write) -> io::Result<()> {
        let mut archive = Archive(Builder::new(to));
        self.walk(SENT, &mut archive)?;
        archive.0.into_inner()?.flush()
    }

    /// Has somebody look at all that is not left out: what is in a folder comes after the folder,
    /// in the order of the bytes of names.
    pub fn walk(&self, bounds: Bounds, look: &mut impl Look) -> io::Result<()> {
        let mut walk = Walk { folder: self, look, bounds, left: bounds, compared: 0 };
        walk.all_of(self.open.try_clone()?, &mut Vec::new(), 0)
    }
}

/// An archive that is being written.
struct Archive<W: Write>(Builder<W>);

impl<W: Write> Look for Archive<W> {
    fn look(&mut self, path: &[u8], stat: &Stat, entry: Entry) -> io::Result<()> {
        let mut header = Header::new_gnu();
        // It is smaller on other systems.
        #[allow(clippy::useless_conversion)]
        header.set_mode(u32::from(stat.st_mode) & 0o7777);
        header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or_default());
        header.set_size(0);
        match entry {
            Entry::Folder => {
                header.set_entry_type(EntryType::Directory);
                self.0.append_data(&mut header, as_path(path), io::empty())
            }
            Entry::Link(to) => {
                header.set_entry_type(EntryType::Symlink);
                self.0.append_link(&mut header, as_path(path), as_path(&to))
            }
            Entry::File(open, size) => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(size);
                self.0.append_data(&mut header, as_path(path), exactly(open, size))
            }
            // Files are opened for an archive.
            Entry::Unopened => Ok(()),
        }
    }
}

/// As many bytes of a file as were told, also if somebody writes to it meanwhile.
pub(super) fn exactly(open: File, size: u64) -> impl Read {
    open.take(size).chain(io::repeat(0)).take(size)
}

struct Walk<'a, L> {
    folder: &'a Folder,
    look: &'a mut L,
    bounds: Bounds,
    /// What is left of the bounds.
    left: Bounds,
    /// How many times a path was compared with a pattern.
    compared: usize,
}

impl<L: Look> Walk<'_, L> {
    /// Looks at what is in a folder.
    fn all_of(&mut self, open: OwnedFd, path: &mut Vec<u8>, depth: usize) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(odd(path, &format!("more than {DEEPEST} folders are in each other")));
        }
        let mut names = Vec::new();
        for entry in Dir::read_from(&open)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name == b"." || name == b".." {
                continue;
            }
            let left = self.left.entries.checked_sub(1);
            self.left.entries = left.ok_or_else(|| {
                let most = self.bounds.entries;
                too_much(path, &format!("there are more than {most} files and folders"))
            })?;
            names.push(name);
        }
        names.sort_unstable();
        for name in names {
            let length = path.len();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&name);
            self.one(&open, &name, path, depth)?;
            path.truncate(length);
        }
        Ok(())
    }

    /// Whether a path is left out.
    fn leaves_out(&mut self, path: &[u8], depth: usize) -> io::Result<bool> {
        let text = String::from_utf8_lossy(path);
        let needed = &self.folder.needed;
        if needed.iter().any(|it| *it == text || it.starts_with(&format!("{text}/"))) {
            return Ok(false);
        }
        self.compared = self.compared.saturating_add(self.folder.ignored.len() * (depth + 1));
        if self.compared > MOST_COMPARED {
            let why = format!("{IGNORED} has too many patterns for so many files");
            return Err(odd(path, &why));
        }
        Ok(self.folder.ignored.leaves_out(&text))
    }

    fn one(
        &mut self,
        above: &OwnedFd,
        name: &[u8],
        path: &mut Vec<u8>,
        depth: usize,
    ) -> io::Result<()> {
        if self.folder.never.iter().any(|never| never.as_bytes() == name) {
            return Ok(());
        }
        let is_left_out = self.leaves_out(path, depth)?;
        let stat = match rustix::fs::statat(above, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Somebody has removed it meanwhile.
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            Err(error) => return Err(odd(path, &error.to_string())),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                if !is_left_out {
                    self.look.look(path, &stat, Entry::Folder)?;
                }
                if !is_left_out || self.folder.ignored.takes_back() {
                    let flags =
                        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let open = rustix::fs::openat(above, name, flags, Mode::empty());
                    let open = open.map_err(|error| odd(path, &error.to_string()))?;
                    self.all_of(open, path, depth + 1)?;
                }
            }
            FileType::Symlink if !is_left_out => {
                let link = rustix::fs::readlinkat(above, name, Vec::new());
                let link = link.map_err(|error| odd(path, &error.to_string()))?;
                self.look.look(path, &stat, Entry::Link(link.into_bytes()))?;
            }
            FileType::RegularFile if !is_left_out && L::OPENS => {
                let open = file(above, name).map_err(|error| odd(path, &error.to_string()))?;
                let open = File::from(open);
                let size = open.metadata()?.len();
                let most = self.bounds.bytes;
                self.left.bytes = self.left.bytes.checked_sub(size).ok_or_else(|| {
                    too_much(path, &format!("there are more than {most} bytes of files"))
                })?;
                self.look.look(path, &stat, Entry::File(open, size))?;
            }
            FileType::RegularFile if !is_left_out => {
                self.look.look(path, &stat, Entry::Unopened)?;
            }
            // Pipes, sockets and devices are no part of an image.
            _ => {}
        }
        Ok(())
    }
}

/// Opens a file that is one: no link, and nothing that waits for somebody to write.
pub(super) fn file(above: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(above, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(file),
        _ => Err(io::Error::other("it is no file")),
    }
}

fn as_path(bytes: &[u8]) -> PathBuf {
    std::ffi::OsString::from_vec(bytes.to_vec()).into()
}

fn odd(path: &[u8], why: &str) -> io::Error {
    io::Error::other(format!("{}: {why}", String::from_utf8_lossy(path)))
}

/// [`odd`], for what is more than may be: [`ErrorKind::FileTooLarge`].
fn too_much(path: &[u8], why: &str) -> io::Error {
    io::Error::new(ErrorKind::FileTooLarge, odd(path, why))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    /// What is in the archive of a folder: what each path is, with its text or its link.
    fn archived(folder: &Path) -> io::Result<BTreeMap<String, String>> {
        let open = File::open(folder)?.into();
        let folder = Folder::new(open, "docker/Dockerfile").map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        folder.write(&mut bytes)?;
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut found = BTreeMap::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            let link = entry.link_name()?.map(|it| format!("-> {}", it.display()));
            let is_folder = entry.header().entry_type().is_dir();
            found.insert(path, link.unwrap_or(if is_folder { "/".to_owned() } else { text }));
        }
        Ok(found)
    }

    #[test]
    fn a_folder_is_archived_without_what_is_left_out_and_no_link_is_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |path: &str| folder.path().join(path);
        let long = "n".repeat(200);
        std::fs::create_dir_all(at("docker")).expect("a folder");
        std::fs::create_dir_all(at("node_modules/a")).expect("a folder");
        std::fs::write(at("docker/Dockerfile"), "FROM x").expect("a file");
        std::fs::write(at("node_modules/a/b"), "").expect("a file");
        std::fs::write(at("node_modules/keep"), "kept").expect("a file");
        std::fs::write(at(&long), "long").expect("a file");
        std::fs::write(at(IGNORED), "docker\nnode_modules\n!node_modules/keep\n.dockerignore\n")
            .expect("a file");
        symlink("/etc/passwd", at("link")).expect("a link");
        symlink("/etc", at("folder")).expect("a link");
        // Nobody listens at it, and whoever opened it would fail.
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("a socket");
        let text = |text: &str| text.to_owned();
        let wanted = [
            (
                text(".dockerignore"),
                text("docker\nnode_modules\n!node_modules/keep\n.dockerignore\n"),
            ),
            (text("docker/"), text("/")),
            (text("docker/Dockerfile"), text("FROM x")),
            (text("folder"), text("-> /etc")),
            (text("link"), text("-> /etc/passwd")),
            (text("node_modules/keep"), text("kept")),
            (long, text("long")),
        ];
        let found: BTreeMap<String, String> = archived(folder.path())
            .expect("an archive")
            .into_iter()
            .map(|(path, it)| {
                if it == "/" {
                    (format!("{}/", path.trim_end_matches('/')), it)
                } else {
                    (path, it)
                }
            })
            .collect();
        assert_eq!(found, wanted.into());
    }

    #[test]
    fn folders_that_are_in_each_other_without_end_are_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("a/".repeat(DEEPEST))).expect("folders");
        archived(folder.path()).expect("an archive");
        std::fs::create_dir_all(folder.path().join("a/".repeat(DEEPEST + 2))).expect("folders");
        assert!(archived(folder.path()).is_err());
    }

    #[test]
    fn an_endless_list_of_what_is_left_out_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let long = "a\n".repeat(usize::try_from(LONGEST_IGNORED).expect("a number") / 2 + 1);
        std::fs::write(folder.path().join(IGNORED), long).expect("a file");
        let told = archived(folder.path()).expect_err("too long").to_string();
        assert!(told.starts_with(".dockerignore is longer than"), "{told}");
    }

    #[test]
    fn a_list_of_what_is_left_out_that_is_a_link_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let outside = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(outside.path(), "*").expect("a file");
        std::fs::write(folder.path().join("a"), "").expect("a file");
        symlink(outside.path(), folder.path().join(IGNORED)).expect("a link");
        assert!(archived(folder.path()).expect("an archive").contains_key("a"));
    }
}
