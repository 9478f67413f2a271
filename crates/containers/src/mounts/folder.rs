//! Folders of this machine, opened without following links, and found again in a container.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// How a folder is opened: as a folder, and as itself.
const AS_FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What a file or a folder is, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    number: u64,
}

impl Identity {
    pub fn of(file: &OwnedFd) -> io::Result<Self> {
        let stat = rustix::fs::fstat(file)?;
        // The types of the two differ between systems.
        #[allow(clippy::unnecessary_cast)]
        Ok(Self { device: stat.st_dev as u64, number: stat.st_ino as u64 })
    }
}

/// The parts of a path that leads down only.
pub(super) fn parts(below: &str) -> Result<Vec<&str>> {
    let parts: Vec<&str> = below.split('/').filter(|_| !below.is_empty()).collect();
    let odd = |part: &&str| matches!(*part, "" | "." | "..") || part.contains('\0');
    if parts.iter().any(odd) || below.len() > 4096 {
        let text = format!(
            "{below:?} is no path below a folder: it leads elsewhere, or holds empty parts, . or .."
        );
        return Err(Error::Invalid(text));
    }
    Ok(parts)
}

/// A folder as it was found: where it is, and what it is.
pub(super) struct Found {
    pub path: PathBuf,
    pub identity: Identity,
    /// Keeps its number from being given to another one.
    pub open: OwnedFd,
}

/// Opens the folder `below` one that is trusted. Each part of the path is opened in the one before
/// it, so that no link is followed, also none that another program puts there meanwhile.
pub(super) fn find(trusted: &Path, below: &str) -> Result<Found> {
    let parts = parts(below)?;
    let cannot = |path: &Path, error: io::Error| {
        let why = match Errno::from_io_error(&error) {
            Some(Errno::NOENT) => "it is not there".to_owned(),
            Some(Errno::NOTDIR | Errno::LOOP) => "it is a link or no folder".to_owned(),
            _ => error.to_string(),
        };
        Error::Invalid(format!("cannot use the folder {}: {why}", path.display()))
    };
    let mut path = trusted.canonicalize().map_err(|error| cannot(trusted, error))?;
    let opened = rustix::fs::openat(CWD, &path, AS_FOLDER, Mode::empty());
    let mut open = opened.map_err(|error| cannot(&path, error.into()))?;
    for part in parts {
        path.push(part);
        let opened = rustix::fs::openat(&open, part, AS_FOLDER, Mode::empty());
        open = opened.map_err(|error| cannot(&path, error.into()))?;
    }
    let identity = Identity::of(&open).map_err(|error| cannot(&path, error))?;
    Ok(Found { path, identity, open })
}

/// What a process has at a path. Nothing, where that cannot be seen from here: the engine runs
/// in another machine, or with rights that this process does not have.
#[cfg(target_os = "linux")]
pub(super) fn seen_by(process: i32, target: &str) -> io::Result<Option<Identity>> {
    use rustix::fs::{ResolveFlags, openat2};

    let root = format!("/proc/{process}/root");
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = match rustix::fs::open(root, flags | OFlags::DIRECTORY, Mode::empty()) {
        Ok(root) => root,
        Err(Errno::NOENT | Errno::ACCESS | Errno::PERM) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Links of the image on the way lead to somewhere in the container, as the engine took them.
    let found = openat2(&root, target, flags, Mode::empty(), ResolveFlags::IN_ROOT)?;
    Identity::of(&found).map(Some)
}

/// What a process has at a path: containers run in another machine here.
#[cfg(not(target_os = "linux"))]
pub(super) fn seen_by(_process: i32, _target: &str) -> io::Result<Option<Identity>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_is_found_and_no_link_on_the_way_is_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a path");
        std::fs::create_dir_all(root.join("a/b")).expect("folders");
        std::fs::write(root.join("file"), "").expect("a file");
        symlink("a", root.join("link")).expect("a link");
        symlink("/etc", root.join("a/away")).expect("a link");
        assert_eq!(find(&root, "a/b").expect("a folder").path, root.join("a/b"));
        assert_eq!(find(&root, "").expect("a folder").path, root);
        for odd in ["link", "link/b", "a/away", "file"] {
            let Err(Error::Invalid(text)) = find(&root, odd).map(drop) else { panic!("{odd}") };
            assert!(text.ends_with("it is a link or no folder"), "{text}");
        }
        let Err(Error::Invalid(text)) = find(&root, "none").map(drop) else { panic!() };
        assert!(text.ends_with("it is not there"), "{text}");
    }

    #[test]
    fn a_folder_is_the_same_by_another_name_and_another_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("a")).expect("a folder");
        let before = find(folder.path(), "a").expect("a folder").identity;
        std::fs::rename(folder.path().join("a"), folder.path().join("b")).expect("a move");
        std::fs::create_dir_all(folder.path().join("a")).expect("a folder");
        assert_eq!(find(folder.path(), "b").expect("a folder").identity, before);
        assert_ne!(find(folder.path(), "a").expect("a folder").identity, before);
    }
}
