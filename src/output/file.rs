//! Files that a command writes on request: complete or not at all, and only for their owner.
//! Something that is not a file is written into: a pipe, a device, the program's own standard
//! output.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Error, ErrorKind, Result, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::target::Target;
use crate::conceal;
use crate::error::{self, Context};
use crate::visible;
use crate::whole_file::Draft;

/// How long the reader of a pipe may keep the program waiting.
pub(super) const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// How long to wait until a pipe is tried again.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// Writes a file for a credential: only its owner can read it, and it is written completely or not
/// at all. A link stays a link: its target is written. A pipe or a device is written into.
///
/// # Errors
/// Errors of the system.
pub fn write_credential(path: &Path, bytes: &[u8]) -> error::Result<()> {
    write(path, |out| out.write_all(bytes))
}

/// Writes a value as JSON in the same way, without the credentials that the program knows.
///
/// # Errors
///
/// Errors of the system; a value that cannot be written as JSON.
pub fn write_json(path: &Path, value: &impl Serialize) -> error::Result<()> {
    let text = serde_json::to_string_pretty(value)
        .context(|| format!("failed to write {}", path.display()))?;
    write(path, |out| {
        out.write_all(conceal::within(visible::json(&text)).as_bytes())?;
        out.write_all(b"\n")
    })
}

fn write(path: &Path, content: impl FnOnce(&mut dyn Write) -> Result<()>) -> error::Result<()> {
    write_to(path, content).context(|| format!("failed to write {}", path.display()))
}

fn write_to(path: &Path, content: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let node = match Target::of(path)? {
        Target::Open(file) => file,
        Target::Node(path) if is_pipe(&path) => {
            return into(Patient(open_pipe(&path)?), content);
        }
        Target::Node(path) => OpenOptions::new().write(true).truncate(true).open(path)?,
        Target::File(path) => return replace(&path, content),
    };
    into(node, content)
}

fn into(out: impl Write, content: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut out = BufWriter::new(out);
    content(&mut out)?;
    out.flush()
}

pub(super) fn is_pipe(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| about.file_type().is_fifo())
}

/// Opens a pipe once somebody reads it, without waiting for that in the system, where no signal
/// would end it.
fn open_pipe(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(nix::libc::O_NONBLOCK);
    patiently(|| match options.open(path) {
        Err(error) if error.raw_os_error() == Some(nix::libc::ENXIO) => Ok(None),
        opened => opened.map(Some),
    })
}

/// The result of something that is tried again and again until somebody reads the pipe.
fn patiently<T>(mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        match attempt()? {
            Some(done) => return Ok(done),
            None if begun.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            None => {
                return Err(unread());
            }
        }
    }
}

/// The error for a pipe that nobody reads.
pub(super) fn unread() -> Error {
    let told = format!("nobody has read this pipe for {} s", PATIENCE.as_secs());
    Error::new(ErrorKind::TimedOut, told)
}

/// A pipe whose reader may take its time, but not for ever.
struct Patient(File);

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        patiently(|| match self.0.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            written => written.map(Some),
        })
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush()
    }
}

fn replace(path: &Path, content: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let draft = Draft::of(path)?;
    let mut out = BufWriter::new(draft.file());
    content(&mut out)?;
    out.flush()?;
    drop(out);
    draft.replace(path)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_file_is_replaced_and_a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("real")).unwrap();
        std::fs::write(at("real/a"), "old").unwrap();
        symlink("real/a", at("link")).unwrap();
        symlink("link", at("chain")).unwrap();
        symlink("real/new", at("dangling")).unwrap();
        symlink("ring", at("ring")).unwrap();
        for (name, real) in [("chain", "real/a"), ("dangling", "real/new"), ("plain", "plain")] {
            write_credential(&at(name), b"new").unwrap();
            assert_eq!(text(&at(real)), "new");
            let mode = at(real).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert_eq!(at(name).is_symlink(), name != real);
        }
        for (name, told) in [("ring", "link"), ("real", "directory"), ("nowhere/x", "No such")] {
            let error = write_credential(&at(name), b"new").unwrap_err();
            let error = error::with_causes(&error);
            assert!(error.contains(told), "{name}: {error}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 6);
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_an_error_and_a_slow_reader_gets_all() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let error = write_credential(&pipe, b"x").unwrap_err();
        assert!(error::with_causes(&error).contains("nobody has read this pipe for 1 s"));
        let reading = pipe.clone();
        let reader = std::thread::spawn(move || {
            let mut file = File::open(reading).unwrap();
            std::thread::sleep(Duration::from_millis(200));
            let mut all = Vec::new();
            file.read_to_end(&mut all).unwrap();
            all.len()
        });
        write_credential(&pipe, &vec![b'x'; 1_000_000]).unwrap();
        assert_eq!(reader.join().unwrap(), 1_000_000);
    }

    #[test]
    fn what_is_no_file_is_written_into() {
        let folder = tempfile::tempdir().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&writer);
        let link = folder.path().join("pipe");
        symlink(format!("/proc/self/fd/{fd}"), &link).unwrap();
        write_json(&link, &serde_json::json!({"a": "\u{202e}"})).unwrap();
        drop(writer);
        let mut got = String::new();
        reader.read_to_string(&mut got).unwrap();
        assert_eq!(got, "{\n  \"a\": \"\\u202e\"\n}\n");
        assert!(link.is_symlink());
        // An open file is written into, too, and is the same file after that.
        let file = folder.path().join("file");
        let open = File::create(&file).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&open);
        write_credential(Path::new(&format!("/proc/self/fd/{fd}")), b"x").unwrap();
        assert_eq!((text(&file).as_str(), open.metadata().unwrap().len()), ("x", 1));
        write_credential(Path::new("/dev/null"), b"x").unwrap();
        assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
    }
}
