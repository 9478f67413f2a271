//! How a path is followed on disk: each part is opened in the folder that was opened before it, and
//! no link is followed, not even one that a container puts there in this moment.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use super::path::FilePath;

/// How a folder is opened: as a folder, and as itself.
const AS_FOLDER: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// How something is looked at that may be anything; a pipe is not waited for.
#[cfg(target_os = "linux")]
const TO_LOOK: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
#[cfg(not(target_os = "linux"))]
const TO_LOOK: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// What only some systems refuse for a link, and others for a file system without them.
const NO_LINKS: [Errno; 3] = [Errno::EPERM, Errno::EOPNOTSUPP, Errno::ENOSYS];

/// How deep folders may be in a folder that is deleted. Paths of a room are never as deep.
const DEEPEST: usize = 600;

/// Why a path was not followed.
#[derive(Debug)]
pub enum Stopped {
    /// A part of it is a link.
    Link,
    /// The system's reason.
    System(io::Error),
}

impl From<Errno> for Stopped {
    fn from(error: Errno) -> Self {
        Self::System(error.into())
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// A folder that is open.
#[derive(Debug)]
pub struct Folder(File);

impl Folder {
    /// A folder that is trusted, and so is the way to it.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn trusted(path: &Path) -> io::Result<Self> {
        let way = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self(openat(AT_FDCWD, path, way, Mode::empty())?.into()))
    }

    /// The folder in it that has a name.
    fn folder(&self, name: &str) -> Result<Self, Stopped> {
        match openat(&self.0, name, AS_FOLDER, Mode::empty()) {
            Ok(open) => Ok(Self(open.into())),
            Err(error @ (Errno::ENOTDIR | Errno::ELOOP)) => match self.look(name) {
                Ok(about) if about.is_symlink() => Err(Stopped::Link),
                _ => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// The folder below it at a path.
    ///
    /// # Errors
    ///
    /// A link is on the way; the system's.
    pub fn below(self, path: &FilePath) -> Result<Self, Stopped> {
        path.parts().try_fold(self, |folder, part| folder.folder(part))
    }

    /// The same, where folders that are missing are made. They are on disk when this returns.
    ///
    /// # Errors
    ///
    /// A link is on the way; the system's.
    pub fn made_below(self, path: &FilePath) -> Result<Self, Stopped> {
        path.parts().try_fold(self, |folder, part| match folder.folder(part) {
            Err(Stopped::System(error)) if error.kind() == ErrorKind::NotFound => {
                match mkdirat(&folder.0, part, Mode::from_bits_truncate(0o777)) {
                    // Somebody else was faster.
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                folder.sync();
                folder.folder(part)
            }
            opened => opened,
        })
    }

    /// What is known of what has a name in it; of a link, it is the link.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn look(&self, name: &str) -> io::Result<Metadata> {
        let opened = openat(&self.0, name, TO_LOOK, Mode::empty());
        File::from(opened?).metadata()
    }

    /// What is known of it.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn about(&self) -> io::Result<Metadata> {
        self.0.metadata()
    }

    /// Opens a file in it, to be written too if that is wanted. What it is must be looked at afterwards.
    ///
    /// # Errors
    ///
    /// It is a link; the system's.
    pub fn file(&self, name: &str, is_changed: bool) -> io::Result<File> {
        let access = if is_changed { OFlag::O_RDWR } else { OFlag::O_RDONLY };
        // Whatever waits until somebody writes to it is no file.
        let how = access | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(openat(&self.0, name, how, Mode::empty())?.into())
    }

    /// The names in it, as far as they are text.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut open = Dir::openat(&self.0, ".", AS_FOLDER, Mode::empty())?;
        let mut names = Vec::new();
        for found in open.iter() {
            let found = found?;
            let name = OsStr::from_bytes(found.file_name().to_bytes());
            if let Some(name) = name.to_str().filter(|name| !matches!(*name, "." | "..")) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// The paths of the files below it, each with `before` in front.
    ///
    /// # Errors
    ///
    /// Folders are too deep; the system's.
    pub fn files(&self, before: &str) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        self.collect(before, DEEPEST, &mut found)?;
        Ok(found)
    }

    fn collect(&self, before: &str, deeper: usize, found: &mut Vec<String>) -> io::Result<()> {
        let Some(deeper) = deeper.checked_sub(1) else {
            return Err(io::Error::other("folders are too deep"));
        };
        for name in self.names()? {
            let about = match self.look(&name) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                about => about?,
            };
            let path = format!("{before}/{name}");
            if about.is_file() {
                found.push(path);
            } else if about.is_dir()
                && let Ok(folder) = self.folder(&name)
            {
                folder.collect(&path, deeper, found)?;
            }
        }
        Ok(())
    }

    /// Removes a file from it, or a folder if it is empty.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn remove(&self, name: &str, is_folder: bool) -> io::Result<()> {
        let what = if is_folder { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
        unlinkat(&self.0, name, what)?;
        self.sync();
        Ok(())
    }

    /// Takes what has a name out of it, to a path that is trusted.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn take(&self, name: &str, to: &Path) -> io::Result<()> {
        renameat(&self.0, name, AT_FDCWD, to)?;
        self.sync();
        Ok(())
    }

    /// Puts a file from a path that is trusted into it. What has the name is replaced.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn put(&self, from: &Path, name: &str) -> io::Result<()> {
        renameat(AT_FDCWD, from, &self.0, name)?;
        self.sync();
        Ok(())
    }

    /// The same, if nothing has the name. The file may be left where it was, too.
    ///
    /// # Errors
    ///
    /// Something has the name; the system's.
    pub fn put_new(&self, from: &Path, name: &str) -> io::Result<()> {
        match linkat(AT_FDCWD, from, &self.0, name, AtFlags::empty()) {
            Ok(()) => self.sync(),
            Err(error) if NO_LINKS.contains(&error) => {
                if self.look(name).is_ok() {
                    return Err(Errno::EEXIST.into());
                }
                self.put(from, name)?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Has its names on disk.
    pub fn sync(&self) {
        // Some file systems cannot; what is in the files is on disk in any case.
        let _ = self.0.sync_all();
    }
}
