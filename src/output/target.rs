//! What a path that is written to stands for: a file that is replaced, or something to write into.

use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How many links are followed; Linux has the same limit.
const LINKS: usize = 40;

/// The target of a path.
pub(super) enum Target {
    /// A stream that this program has open.
    Open(File),
    /// Something to write into.
    Node(PathBuf),
    /// A file that is replaced in one step, or created.
    File(PathBuf),
}

impl Target {
    pub(super) fn of(path: &Path) -> Result<Self> {
        let is_link = path.symlink_metadata().is_ok_and(|about| about.is_symlink());
        match path.metadata() {
            Ok(about) if about.is_dir() => Err(ErrorKind::IsADirectory.into()),
            Ok(about) if is_link || !about.is_file() => {
                // A second look at what standard output is would begin at its start again.
                match own_stream(&about)? {
                    Some(stream) => Ok(Self::Open(stream)),
                    None if about.is_file() => Self::behind_links(path),
                    None => Ok(Self::Node(path.to_owned())),
                }
            }
            Ok(_) => Ok(Self::File(path.to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::behind_links(path),
            Err(error) => Err(error),
        }
    }

    /// The file that a link points to, whether it exists or not.
    fn behind_links(path: &Path) -> Result<Self> {
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            if !path.symlink_metadata().is_ok_and(|about| about.is_symlink()) {
                return Ok(Self::File(path));
            }
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).canonicalize()?;
            if folder.starts_with("/proc") {
                // It stands for an open file, whatever that is called.
                return Ok(Self::Node(path));
            }
            path = folder.join(path.read_link()?);
        }
        Err(Error::other("too many levels of symbolic links"))
    }
}

/// Standard output or standard error, if the path names it.
fn own_stream(about: &Metadata) -> Result<Option<File>> {
    let same = |stream: BorrowedFd<'_>| -> Result<Option<File>> {
        let file = File::from(stream.try_clone_to_owned()?);
        let own = file.metadata()?;
        Ok(((own.dev(), own.ino()) == (about.dev(), about.ino())).then_some(file))
    };
    match same(std::io::stdout().as_fd())? {
        Some(file) => Ok(Some(file)),
        None => same(std::io::stderr().as_fd()),
    }
}
