//! How files are read: never more than a limit, and never one that makes the program wait. A
//! folder may contain what a stranger put there, such as a pipe that nobody writes to or a link to
//! an endless device.

use std::fs::{File, FileType, Metadata};
use std::io::{Error, ErrorKind, Read, Result, Take};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

/// The most that is read of a file by default, in bytes.
pub const STANDARD: usize = 16 * 1024 * 1024;

/// Opens a file. At most `limit` bytes and one more can be read from it.
///
/// # Errors
///
/// What cannot be opened, or is a pipe, a socket or a device.
pub fn open(path: &Path, limit: usize) -> Result<(Take<File>, Metadata)> {
    let about = std::fs::metadata(path)?;
    if let Some(what) = special(about.file_type()).filter(|_| !is_open(path)) {
        return Err(Error::new(ErrorKind::Unsupported, format!("this is {what}, not a file")));
    }
    let file = File::open(path)?;
    Ok((file.take(limit as u64 + 1), about))
}

/// Reads a file.
///
/// # Errors
///
/// As [`open`]; a file that is larger than the limit.
pub fn bytes(path: &Path, limit: usize) -> Result<Vec<u8>> {
    let (file, about) = open(path, limit)?;
    // A buffer of the right size is filled at once; what the system says of the size is
    // not relied on.
    let size = usize::try_from(about.len()).unwrap_or(limit).min(limit);
    all(file, limit, size)
}

/// Reads a file as text.
///
/// # Errors
///
/// As [`bytes`]; a file that is not UTF-8.
pub fn text(path: &Path, limit: usize) -> Result<String> {
    String::from_utf8(bytes(path, limit)?)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Reads a file that is really at this path: if a link has taken the place of a part of it
/// meanwhile, nothing is read.
///
/// # Errors
///
/// As [`bytes`]; a path with a link in it.
pub fn bytes_at(real: &Path, limit: usize) -> Result<Vec<u8>> {
    let file = File::options()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(real)?;
    let about = file.metadata()?;
    if let Some(what) = special(about.file_type()) {
        return Err(Error::new(ErrorKind::Unsupported, format!("this is {what}, not a file")));
    }
    let opened = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    if opened.is_ok_and(|opened| opened != real) {
        return Err(Error::new(ErrorKind::PermissionDenied, "it is reached through a link"));
    }
    let size = usize::try_from(about.len()).unwrap_or(limit).min(limit);
    all(file.take(limit as u64 + 1), limit, size)
}

/// The same of a file that is text.
///
/// # Errors
///
/// As [`bytes_at`]; a file that is not UTF-8.
pub fn text_at(real: &Path, limit: usize) -> Result<String> {
    String::from_utf8(bytes_at(real, limit)?)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Reads standard input.
///
/// # Errors
///
/// What cannot be read, or is larger than the limit.
pub fn stdin(limit: usize) -> Result<Vec<u8>> {
    all(std::io::stdin().lock().take(limit as u64 + 1), limit, 0)
}

fn all(mut from: impl Read, limit: usize, size: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(size + 1);
    from.read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(too_large("the file", limit));
    }
    Ok(bytes)
}

/// The error for something that is larger than its limit.
fn too_large(what: &str, limit: usize) -> Error {
    Error::new(ErrorKind::FileTooLarge, format!("{what} is larger than {}", size(limit)))
}

fn size(bytes: usize) -> String {
    const KIB: usize = 1024;
    match bytes {
        bytes if bytes >= KIB * KIB && bytes % (KIB * KIB) == 0 => {
            format!("{} MiB", bytes / KIB / KIB)
        }
        bytes if bytes >= KIB && bytes % KIB == 0 => format!("{} KiB", bytes / KIB),
        bytes => format!("{bytes} bytes"),
    }
}

/// What a path is, if it is neither a file nor a folder: opening it may block for ever.
#[must_use]
pub fn special(file_type: FileType) -> Option<&'static str> {
    if file_type.is_fifo() {
        Some("a pipe")
    } else if file_type.is_socket() {
        Some("a socket")
    } else if file_type.is_char_device() || file_type.is_block_device() {
        Some("a device")
    } else {
        None
    }
}

/// Whether a path stands for a file that this process was given open, as a shell's `<(…)` does.
#[must_use]
pub fn is_open(path: &Path) -> bool {
    ["/dev/fd", "/proc/self/fd"].iter().any(|folder| path.parent() == Some(Path::new(folder)))
        || path == Path::new("/dev/stdin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "x".repeat(2048)).unwrap();
        assert_eq!(text(&path, 2048).unwrap().len(), 2048);
        for (limit, told) in [(1024, "1 KiB"), (2047, "2047 bytes"), (0, "0 bytes")] {
            let error = bytes(&path, limit).unwrap_err().to_string();
            assert_eq!(error, format!("the file is larger than {told}"));
        }
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(text(&path, 9).unwrap_err().to_string(), "it is not UTF-8");
    }

    #[test]
    fn what_is_reached_through_a_link_is_not_read_where_it_should_be() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("a")).unwrap();
        std::fs::write(real.join("a/file"), "x").unwrap();
        std::os::unix::fs::symlink("a", real.join("b")).unwrap();
        std::os::unix::fs::symlink("file", real.join("a/link")).unwrap();
        assert_eq!(text_at(&real.join("a/file"), 9).unwrap(), "x");
        for path in ["b/file", "a/link", "a"] {
            assert!(text_at(&real.join(path), 9).is_err(), "{path}");
        }
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, link) = (folder.path().join("socket"), folder.path().join("link"));
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        let refused = |path: &Path| bytes(path, 10).unwrap_err().to_string();
        assert_eq!(refused(&socket), "this is a socket, not a file");
        assert_eq!(refused(&link), "this is a device, not a file");
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(refused(&pipe), "this is a pipe, not a file");
    }
}
