//! How bodies are received: small ones in memory, large ones in an unnamed file.

use std::convert::Infallible;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use futures_util::StreamExt;
use hyper::body::{Frame, SizeHint};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::memory::{Kept, Room, SMALL};
use crate::platform::App;
use crate::platform::error::{Refusal, Result};
use crate::serving::body::Late;

/// The largest body that is read, in bytes.
pub const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// The most values that a body of JSON may hold. Each takes some hundred bytes of memory,
/// however few it takes on the wire.
pub const VALUE_LIMIT: usize = 200_000;

/// A body of JSON. The content type is ignored, because the public SDK sends it on everything.
///
/// Malformed JSON and wrong types are 400 with the path of the field; too much is 413.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let kept = request.extensions().get::<Kept>().cloned().unwrap_or_default();
        let mut values = Values::default();
        let arrived = Arrived::of(request, app.store().folder(), |part| values.count(part)).await?;
        if let Some(room) = app.memory().room(arrived.length, values.seen).await? {
            kept.keep(room);
        }
        let bytes = arrived.content().await?;
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let value =
            serde_path_to_error::deserialize(&mut reader).map_err(|error| super::at(&error))?;
        reader.end().map_err(|error| Refusal::Invalid {
            field: None,
            message: format!("the body is not one JSON document: {error}"),
        })?;
        Ok(Self(value))
    }
}

/// How many values a text of JSON may contain at most. Text in strings does not count.
#[derive(Debug, Default)]
struct Values {
    seen: usize,
    is_text: bool,
    is_escaped: bool,
}

impl Values {
    fn count(&mut self, part: &[u8]) -> Result<()> {
        for byte in part {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.is_text => self.is_escaped = true,
                b'"' => self.is_text = !self.is_text,
                b',' | b':' | b'[' | b'{' if !self.is_text => self.seen += 1,
                _ => {}
            }
        }
        if self.seen <= VALUE_LIMIT {
            return Ok(());
        }
        let message = format!("the body contains more than {VALUE_LIMIT} values");
        Err(Refusal::Invalid { field: None, message })
    }
}

/// A body of bytes that is not parsed.
pub struct Upload {
    arrived: Arrived,
    /// Its digest (SHA-256), in hexadecimal digits.
    pub digest: String,
}

impl FromRequest<App> for Upload {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let mut digest = Sha256::new();
        let arrived = Arrived::of(request, app.store().folder(), |part| {
            digest.update(part);
            Ok(())
        })
        .await?;
        Ok(Self { arrived, digest: format!("{:x}", digest.finalize()) })
    }
}

impl Upload {
    /// What arrived.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub async fn content(self) -> Result<Vec<u8>> {
        self.arrived.content().await
    }
}

/// A body that has arrived completely.
struct Arrived {
    length: usize,
    start: Vec<u8>,
    /// All of it, if that was too much for memory.
    file: Option<File>,
}

impl Arrived {
    /// Waits for a body and keeps it; in a folder if it is large. Each part of it is shown to
    /// `watch`.
    async fn of(
        request: Request,
        folder: &Path,
        mut watch: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Self> {
        let body = request.into_body();
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > BODY_LIMIT {
            return Err(Refusal::TooLarge);
        }
        let mut length = 0;
        let mut start = Vec::with_capacity(announced.min(SMALL));
        let mut file: Option<tokio::fs::File> = None;
        let mut frames = body.into_data_stream();
        while let Some(frame) = frames.next().await {
            let frame = frame.map_err(broken)?;
            length += frame.len();
            if length > BODY_LIMIT {
                return Err(Refusal::TooLarge);
            }
            watch(&frame)?;
            match &mut file {
                None if length <= SMALL => start.extend_from_slice(&frame),
                None => {
                    let mut new = unnamed(folder).await?;
                    new.write_all(&std::mem::take(&mut start)).await?;
                    new.write_all(&frame).await?;
                    file = Some(new);
                }
                Some(file) => file.write_all(&frame).await?,
            }
        }
        let file = match file {
            None => None,
            Some(mut file) => {
                // Bytes that are still on their way to the disk may find it full.
                file.flush().await?;
                Some(file.into_std().await)
            }
        };
        Ok(Self { length, start, file })
    }

    /// All of it, in memory.
    async fn content(self) -> Result<Vec<u8>> {
        let Some(mut file) = self.file else { return Ok(self.start) };
        let read = move || {
            let mut content = Vec::with_capacity(self.length);
            file.rewind()?;
            file.read_to_end(&mut content)?;
            Ok::<_, std::io::Error>(content)
        };
        Ok(tokio::task::spawn_blocking(read).await.map_err(Refusal::internal)??)
    }
}

/// A file that has no name, in a folder.
pub(super) async fn unnamed(folder: &Path) -> Result<tokio::fs::File> {
    let folder = folder.to_owned();
    let made = tokio::task::spawn_blocking(move || tempfile::tempfile_in(folder)).await;
    Ok(tokio::fs::File::from_std(made.map_err(Refusal::internal)??))
}

/// Why a body ended before its end.
fn broken(error: axum::Error) -> Refusal {
    if error.into_inner().is::<Late>() {
        return Refusal::TooSlow;
    }
    Refusal::Invalid { field: None, message: "the body could not be read".into() }
}

/// Bytes to be sent, and the memory that they take until then.
pub struct Download {
    bytes: Bytes,
    _room: Option<Room>,
}

impl Download {
    /// Bytes for which there is room.
    pub fn new(bytes: Vec<u8>, room: Option<Room>) -> Self {
        Self { bytes: bytes.into(), _room: room }
    }
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        // Copies of parts, so that what waits to be sent does not keep the whole in memory.
        let length = self.bytes.len().min(SMALL);
        let part = Bytes::copy_from_slice(&self.bytes.split_to(length));
        Poll::Ready((!part.is_empty()).then(|| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many values are counted, or none where that is too many.
    fn counted(parts: &[&[u8]]) -> Option<usize> {
        let mut values = Values::default();
        parts.iter().try_for_each(|part| values.count(part)).ok()?;
        Some(values.seen)
    }

    #[test]
    fn values_are_counted_and_texts_are_not() {
        assert_eq!(counted(&[br#"{"a":[1,2],"b":{}}"#]), Some(7));
        assert_eq!(counted(&[br#"["a,b:[{","\\","\",["]"#]), Some(3));
        assert_eq!(counted(&[br#"["a\"#, br#"",,,""#, b",1]"]), Some(2));
    }

    #[test]
    fn there_is_an_end_to_values() {
        let list = |count: usize| "1,".repeat(count).into_bytes();
        assert_eq!(counted(&[&list(VALUE_LIMIT)]), Some(VALUE_LIMIT));
        assert_eq!(counted(&[&list(VALUE_LIMIT / 2), &list(VALUE_LIMIT / 2 + 1)]), None);
        assert_eq!(counted(&["[".repeat(VALUE_LIMIT + 1).as_bytes()]), None);
    }
}
