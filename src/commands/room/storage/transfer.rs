//! One file on its way, in parts.

use std::fs;
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context as Turn, Poll};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::sync::mpsc;

use super::location::{INPUT, shown_here};
use super::{Moved, not_moved};
use crate::bounded;
use crate::error::{Context, Error, Result};
use crate::output::Destination;
use crate::room::client::Room;
use crate::room::files::Upload;

/// How much may be on its way between two files of the room, in bytes.
const BUFFER: usize = 256 * 1024;

/// How large the parts are that are read of a stream or a file here, in bytes.
const PART: usize = 64 * 1024;

/// How many parts of a stream may wait to be sent.
const WAITING: usize = 4;

/// A bar on a terminal, and nothing elsewhere.
fn bar(size: Option<u64>, name: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let Some(size) = size else { return ProgressBar::hidden() };
    let bar = ProgressBar::new(size);
    let style = "{bar:30.cyan/dim} {bytes}/{total_bytes} {bytes_per_sec} {wide_msg}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.set_message(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A source whose bytes are counted on a bar.
struct Counted<R>(R, ProgressBar);

impl<R: AsyncRead + Unpin> AsyncRead for Counted<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        turn: &mut Turn<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.0).poll_read(turn, into);
        self.1.inc((into.filled().len() - before) as u64);
        polled
    }
}

/// What a stream brings that this program was given open. A thread of its own reads it: the stream
/// may never end, and nobody waits for the thread.
struct Stream {
    parts: mpsc::Receiver<io::Result<Vec<u8>>>,
    part: io::Cursor<Vec<u8>>,
}

impl Stream {
    fn of(mut from: impl Read + Send + 'static) -> io::Result<Self> {
        let (sent, parts) = mpsc::channel(WAITING);
        let read = move || {
            loop {
                let mut part = vec![0; PART];
                let read = from.read(&mut part).map(|length| {
                    part.truncate(length);
                    part
                });
                let is_over = !read.as_ref().is_ok_and(|part| !part.is_empty());
                if sent.blocking_send(read).is_err() || is_over {
                    break;
                }
            }
        };
        std::thread::Builder::new().name("stream".to_owned()).spawn(read)?;
        Ok(Self { parts, part: io::Cursor::default() })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        turn: &mut Turn<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.part.position() == self.part.get_ref().len() as u64 {
            match std::task::ready!(self.parts.poll_recv(turn)) {
                Some(part) => self.part = io::Cursor::new(part?),
                None => return Poll::Ready(Ok(())),
            }
        }
        Pin::new(&mut self.part).poll_read(turn, into)
    }
}

/// What a file or a stream here is read from, and how many bytes it has if that is known.
type Opened = (Box<dyn AsyncRead + Send + Unpin>, Option<u64>);

/// Opens a file here. A pipe that has its place in the meantime is not waited for.
fn open(path: &Path) -> Result<Opened> {
    let failed = || format!("failed to read {}", shown_here(path));
    if bounded::is_open(path) {
        let stream = match path == Path::new(INPUT) {
            true => Stream::of(io::stdin()),
            false => fs::File::open(path).and_then(Stream::of),
        };
        return Ok((Box::new(stream.context(failed)?), None));
    }
    let flags = nix::libc::O_NONBLOCK;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path).context(failed)?;
    let about = file.metadata().context(failed)?;
    if !about.is_file() {
        return Err(Error::failed(format!("{} is not a file", path.display())));
    }
    Ok((Box::new(tokio::fs::File::from_std(file)), Some(about.len())))
}

/// Copies a file here into the room.
pub async fn upload(room: &Room, from: &Path, to: &str) -> Result<()> {
    let (file, size) = open(from)?;
    let shown = shown_here(from);
    let bar = bar(size, &shown);
    let upload = Upload { path: to, name: None, mime_type: None, overwrite: true, size };
    let sent = room.upload_from(&upload, &mut Counted(file, bar.clone())).await;
    bar.finish_and_clear();
    sent.map(drop).map_err(|error| not_moved(room, Moved::Up, &shown, error))
}

/// Copies a file that is open into the room, as one of several at a time. `shown` is its name in
/// messages.
///
/// # Errors
///
/// A file that cannot be read; what the room refuses.
pub async fn upload_opened(room: &Room, file: fs::File, shown: &str, to: &str) -> Result<()> {
    let failed = || format!("failed to read {shown}");
    let size = Some(file.metadata().context(failed)?.len());
    let upload = Upload { path: to, name: None, mime_type: None, overwrite: true, size };
    let sent = room.upload_from(&upload, &mut tokio::fs::File::from_std(file)).await;
    sent.map(drop).map_err(|error| not_moved(room, Moved::Up, shown, error))
}

/// Writes a text into the room as a file.
///
/// # Errors
///
/// What the room refuses.
pub async fn upload_text(room: &Room, text: &str, to: &str) -> Result<()> {
    let size = Some(text.len() as u64);
    let upload = Upload { path: to, name: None, mime_type: None, overwrite: true, size };
    let sent = room.upload_from(&upload, &mut text.as_bytes()).await;
    sent.map(drop).map_err(|error| not_moved(room, Moved::Up, to, error))
}

fn make_folder_of(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::create_dir_all(folder),
        None => Ok(()),
    }
}

/// Copies a file of the room here.
pub async fn download(room: &Room, from: &str, to: &Path) -> Result<()> {
    let failed = || format!("failed to write {}", shown_here(to));
    make_folder_of(to).context(failed)?;
    let refused = |error| not_moved(room, Moved::Down, from, error);
    let mut download = room.begin_download(from).await.map_err(|it| refused(it.into()))?;
    let mut file = Destination::open(to).await.context(failed)?;
    let bar = bar(Some(download.size), from);
    let done = async {
        while let Some(part) = download.next().await.map_err(|it| refused(it.into()))? {
            file.write(&part).await.context(failed)?;
            bar.inc(part.len() as u64);
        }
        file.finish().await.context(failed)
    };
    let done = done.await;
    bar.finish_and_clear();
    done
}

/// Copies a file of the room to another place there, with its media type.
pub async fn within(room: &Room, from: &str, to: &str) -> Result<()> {
    let refused = |error| not_moved(room, Moved::Down, from, error);
    let mut download = room.begin_download(from).await.map_err(|it| refused(it.into()))?;
    let (mime_type, size) = (download.mime_type.clone(), Some(download.size));
    let (mut reader, mut writer) = tokio::io::duplex(BUFFER);
    let reading = async {
        while let Some(part) = download.next().await.map_err(|it| refused(it.into()))? {
            writer.write_all(&part).await.context(|| format!("failed to copy {from}"))?;
        }
        drop(writer);
        Ok(())
    };
    let mime_type = Some(mime_type.as_str());
    let upload = Upload { path: to, name: None, mime_type, overwrite: true, size };
    let writing = room.upload_from(&upload, &mut reader);
    let (read, written) = tokio::join!(reading, writing);
    written.map_err(|error| not_moved(room, Moved::Up, to, error))?;
    read
}

/// Copies a file here to another place here.
pub async fn copy_here(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("failed to copy {} to {}", shown_here(from), shown_here(to));
    make_folder_of(to).context(failed)?;
    let (mut source, _) = open(from)?;
    let mut file = Destination::open(to).await.context(failed)?;
    let mut part = vec![0; PART];
    loop {
        match source.read(&mut part).await.context(failed)? {
            0 => return file.finish().await.context(failed),
            length => file.write(&part[..length]).await.context(failed)?,
        }
    }
}
