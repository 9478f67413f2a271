//! The file of a database, before SQLite opens it.

use std::fs::{OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Makes a file that only its owner reads, or lets only its owner read the one that there is. The
/// path that is given back has no links in it, as SQLite wants it when it is to follow none.
///
/// # Errors
///
/// There is a link, or something else than a file of its own: nothing is done to what it leads to.
pub fn prepared(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| Error::from(ErrorKind::InvalidFilename))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let path = folder.canonicalize()?.join(name);
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).read(true).write(true).mode(0o600);
    // A pipe would wait for its other end.
    let options = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(&path).map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => refused("it is a link"),
        _ => error,
    })?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(refused("it is no file"));
    }
    if found.nlink() > 1 {
        return Err(refused("it has another name elsewhere"));
    }
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(path)
}

fn refused(what: &str) -> Error {
    Error::other(format!("{what}, and it is to be a file of its own"))
}
