//! What is in the files of a room: it is sent and read in parts, of which one at a time is held.
//!
//! The room asks for each part of a file that it stores, and is asked for each part of a file that
//! it sends.

use std::io;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::call::Call;
use super::client::Room;
use super::content::{Content, Refused};
use super::invocation::Invocation;
use super::message::MAX_BYTES;
use super::mime;
use super::wishes::Wishes;

/// The largest part of a file that is sent or requested, in bytes.
const PART: usize = 64 * 1024;

/// A file of a room, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name without folders.
    pub name: String,
    /// Its media type, as the room gives it.
    pub mime_type: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Where and how a file is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload<'a> {
    /// The file's path.
    pub path: &'a str,
    /// Its name; without it, the last part of its path.
    pub name: Option<&'a str>,
    /// Its media type; without it, the one that follows from its name.
    pub mime_type: Option<&'a str>,
    /// Whether a file that is there is replaced.
    pub overwrite: bool,
    /// How many bytes it has, if that is known.
    pub size: Option<u64>,
}

/// Why a file was not sent or read.
#[derive(Debug, thiserror::Error)]
pub enum NotMoved {
    /// What it was to be read from, or written to, failed.
    #[error(transparent)]
    Here(#[from] io::Error),
    /// The room refused, is gone, or makes no sense.
    #[error(transparent)]
    There(#[from] Refused),
}

impl From<NotMoved> for Refused {
    fn from(error: NotMoved) -> Self {
        match error {
            NotMoved::Here(error) => Self::new(error.to_string()),
            NotMoved::There(refused) => refused,
        }
    }
}

/// Where the bytes of an upload come from.
struct Source<'a, R: ?Sized> {
    from: &'a mut R,
    size: Option<u64>,
    /// How many bytes were read.
    at: u64,
}

impl<R: AsyncRead + Unpin + ?Sized> Source<'_, R> {
    /// The next part; empty at the end.
    async fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut part = Vec::with_capacity(PART);
        (&mut *self.from).take(PART as u64).read_to_end(&mut part).await?;
        self.at += part.len() as u64;
        match self.size {
            Some(size) if self.at > size || (part.is_empty() && self.at < size) => {
                let at = self.at;
                let what = format!("{at} bytes were read of what had {size} bytes before");
                Err(io::Error::new(io::ErrorKind::InvalidData, what))
            }
            _ => Ok(part),
        }
    }
}

/// A file that is read from a room.
pub struct Download {
    /// Its name without folders.
    pub name: String,
    /// Its media type, as the room gives it.
    pub mime_type: String,
    /// How many bytes it has.
    pub size: u64,
    call: Call,
    at: u64,
    is_over: bool,
}

impl Download {
    /// The next part; none at the end of the file. A part is never empty.
    ///
    /// # Errors
    ///
    /// The room refuses, is gone, or sends more or less than the file has.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Refused> {
        if self.is_over {
            return Ok(None);
        }
        let part = self.part().await;
        if !matches!(part, Ok(Some(_))) {
            self.is_over = true;
            self.call.input.close().await;
        }
        part
    }

    async fn part(&mut self) -> Result<Option<Vec<u8>>, Refused> {
        if self.at == self.size {
            // Nothing may follow.
            return match self.call.output.next().await? {
                None => Ok(None),
                Some(_) => Err(unexpected()),
            };
        }
        self.call.input.send(Content::part(json!({"kind": "pull"}), Vec::new())).await?;
        match self.call.output.next().await? {
            // A part without bytes would be requested again for ever.
            Some(Content::Binary { headers, bytes })
                if headers["kind"] == "data" && !bytes.is_empty() =>
            {
                self.at += bytes.len() as u64;
                if self.at > self.size { Err(unexpected()) } else { Ok(Some(bytes)) }
            }
            _ => Err(unexpected()),
        }
    }
}

fn unexpected() -> Refused {
    Refused::unexpected("storage.download")
}

/// What is in files. The errors are those of [`Room::open`], and an answer that does not fit.
impl Room {
    /// Stores a file, whatever its size, and returns that. The room must not store it if it is not
    /// sent whole.
    ///
    /// # Errors
    ///
    /// The source fails, or has more or fewer bytes than were told; the room refuses, for example
    /// because there is a file already; the room stops before it has taken all.
    pub async fn upload_from<R>(&self, to: &Upload<'_>, from: &mut R) -> Result<u64, NotMoved>
    where
        R: AsyncRead + Unpin + ?Sized,
    {
        let name = to.name.unwrap_or_else(|| to.path.rsplit('/').next().unwrap_or_default());
        let start = json!({
            "kind": "start",
            "path": to.path,
            "overwrite": to.overwrite,
            "name": name,
            "mime_type": to.mime_type.unwrap_or_else(|| mime::of_name(name)),
            "size": to.size,
        });
        let Call { mut input, output } = self.open(Invocation::stream("storage", "upload")).await?;
        input.fails_unless_closed("the upload was given up");
        let mut wishes = Wishes::new("storage.upload", output);
        wishes.during(input.send(Content::part(start, Vec::new()))).await?.transpose()?;
        let mut source = Source { from, size: to.size, at: 0 };
        let mut is_whole = false;
        // The room asks for each part, and once more to hear that there is none.
        while wishes.next().await? {
            if is_whole {
                continue;
            }
            let Some(part) = wishes.during(source.next()).await? else { break };
            let part = part?;
            if part.is_empty() {
                is_whole = true;
                input.close().await;
            } else {
                let part = Content::part(json!({"kind": "data"}), part);
                wishes.during(input.send(part)).await?.transpose()?;
            }
        }
        // A room that knows the size need not ask what follows the last part.
        if !is_whole && to.size != Some(source.at) {
            return Err(Refused::unexpected("storage.upload").into());
        }
        input.close().await;
        Ok(source.at)
    }

    /// Stores a file, with the media type that follows from its name.
    ///
    /// # Errors
    ///
    /// As all operations; without `overwrite`, a file that already exists.
    pub async fn upload(
        &self,
        path: &str,
        mut bytes: &[u8],
        overwrite: bool,
    ) -> Result<(), Refused> {
        let size = Some(bytes.len() as u64);
        let to = Upload { path, name: None, mime_type: None, overwrite, size };
        Ok(self.upload_from(&to, &mut bytes).await.map(drop)?)
    }

    /// Begins to read a file, whatever its size.
    ///
    /// # Errors
    ///
    /// As all operations, with the code 3001 for a file that does not exist.
    pub async fn begin_download(&self, path: &str) -> Result<Download, Refused> {
        let mut call = self.open(Invocation::stream("storage", "download")).await?;
        let start = json!({"kind": "start", "path": path, "chunk_size": PART});
        call.input.send(Content::part(start, Vec::new())).await?;
        let Some(Content::Binary { headers, .. }) = call.output.next().await? else {
            return Err(unexpected());
        };
        let (name, mime_type, size) = started(&headers).ok_or_else(unexpected)?;
        Ok(Download { name, mime_type, size, call, at: 0, is_over: false })
    }

    /// Reads a file, whatever its size, and returns that.
    ///
    /// # Errors
    ///
    /// As [`Self::begin_download`] and [`Download::next`]; what it is written to fails. What was
    /// written before is not the whole file.
    pub async fn download_into<W>(&self, path: &str, into: &mut W) -> Result<u64, NotMoved>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        let mut download = self.begin_download(path).await?;
        while let Some(part) = download.next().await? {
            into.write_all(&part).await?;
        }
        into.flush().await?;
        Ok(download.size)
    }

    /// Reads a whole file.
    ///
    /// # Errors
    ///
    /// As [`Self::begin_download`] and [`Download::next`]; a file of more than [`MAX_BYTES`].
    pub async fn download(&self, path: &str) -> Result<File, Refused> {
        let mut download = self.begin_download(path).await?;
        let size = download.size;
        if size > MAX_BYTES as u64 {
            let text = format!("{path} has {size} bytes, more than the {MAX_BYTES} allowed");
            return Err(Refused::new(text));
        }
        let mut bytes = Vec::new();
        while let Some(part) = download.next().await? {
            bytes.extend(part);
        }
        Ok(File { name: download.name, mime_type: download.mime_type, bytes })
    }
}

/// What a room says about a file before it sends it: its name, its media type, and its size.
fn started(headers: &Value) -> Option<(String, String, u64)> {
    let text = |name: &str| headers[name].as_str().map(str::to_owned);
    let is_start = headers["kind"] == "start";
    is_start.then(|| Some((text("name")?, text("mime_type")?, headers["size"].as_u64()?)))?
}

#[cfg(test)]
mod tests;
