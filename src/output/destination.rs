//! Where a file goes that arrives part by part. A file is replaced when it is whole, and not before;
//! a link stays a link, and its target is replaced. What is no file is written into: a pipe, a
//! device, the program's own standard output.

use std::fs::OpenOptions;
use std::io::Result;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

use super::file::{PATIENCE, PAUSE, is_pipe, unread};
use super::target::Target;
use crate::whole_file::Draft;

/// A file that is being written, or something that is written into. If this is dropped before it is
/// finished, a file stays as it was.
#[derive(Debug)]
pub struct Destination {
    out: Out,
    /// The file that is not in its place yet, and its place.
    draft: Option<(Draft, PathBuf)>,
}

#[derive(Debug)]
enum Out {
    File(File),
    /// A pipe, which nothing waits for in the system: a signal ends the wait.
    Pipe(pipe::Sender),
}

impl Destination {
    /// Begins to write to a path. A file that is there keeps its mode.
    ///
    /// # Errors
    ///
    /// The system's; a pipe that nobody reads.
    pub async fn open(path: &Path) -> Result<Self> {
        Self::begin(path, Draft::like).await
    }

    /// The same for what only its owner may read. A file that is there is replaced by one like that.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub async fn private(path: &Path) -> Result<Self> {
        Self::begin(path, Draft::of).await
    }

    async fn begin(path: &Path, draft: fn(&Path) -> Result<Draft>) -> Result<Self> {
        let into = |file| Self { out: Out::File(File::from_std(file)), draft: None };
        Ok(match Target::of(path)? {
            Target::Open(file) => into(file),
            Target::Node(path) if is_pipe(&path) => {
                Self { out: Out::Pipe(open_pipe(&path).await?), draft: None }
            }
            Target::Node(path) => into(OpenOptions::new().write(true).truncate(true).open(path)?),
            Target::File(path) => {
                let draft = draft(&path)?;
                let file = File::from_std(draft.file().try_clone()?);
                Self { out: Out::File(file), draft: Some((draft, path)) }
            }
        })
    }

    /// Writes the next part.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn write(&mut self, part: &[u8]) -> Result<()> {
        match &mut self.out {
            Out::File(file) => file.write_all(part).await,
            Out::Pipe(pipe) => pipe.write_all(part).await,
        }
    }

    /// Puts a file in its place. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn finish(mut self) -> Result<()> {
        if let Out::File(file) = &mut self.out {
            file.flush().await?;
        }
        match self.draft {
            Some((draft, path)) => draft.replace(&path),
            None => Ok(()),
        }
    }
}

/// Opens a pipe once somebody reads it.
async fn open_pipe(path: &Path) -> Result<pipe::Sender> {
    let begun = Instant::now();
    loop {
        match pipe::OpenOptions::new().open_sender(path) {
            Err(error) if error.raw_os_error() == Some(nix::libc::ENXIO) => {}
            opened => return opened,
        }
        if begun.elapsed() >= PATIENCE {
            return Err(unread());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::io::Read;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    use super::*;

    async fn write(path: &Path, parts: &[&[u8]]) -> Result<()> {
        let mut out = Destination::open(path).await?;
        for part in parts {
            out.write(part).await?;
        }
        out.finish().await
    }

    #[tokio::test]
    async fn a_file_keeps_its_mode_and_a_link_leads_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "old").unwrap();
        std::fs::set_permissions(at("file"), Permissions::from_mode(0o600)).unwrap();
        symlink("file", at("link")).unwrap();
        // What is given up leaves everything as it was.
        let mut given_up = Destination::open(&at("link")).await.unwrap();
        given_up.write(b"half").await.unwrap();
        drop(given_up);
        assert_eq!(std::fs::read_to_string(at("file")).unwrap(), "old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        write(&at("link"), &[b"n", b"ew"]).await.unwrap();
        assert!(at("link").is_symlink());
        assert_eq!(std::fs::read_to_string(at("file")).unwrap(), "new");
        assert_eq!(at("file").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_pipe_is_written_into_and_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let unread = write(&pipe, &[b"x"]).await.unwrap_err();
        assert_eq!(unread.to_string(), "nobody has read this pipe for 1 s");
        let reading = pipe.clone();
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            std::fs::File::open(reading).unwrap().read_to_end(&mut all).unwrap();
            all.len()
        });
        write(&pipe, &[&[b'x'; 300_000], b"y"]).await.unwrap();
        assert_eq!(reader.join().unwrap(), 300_001);
        assert!(pipe.metadata().unwrap().file_type().is_fifo());
    }
}
