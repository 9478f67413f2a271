//! What an engine says while it works on an image: lines of JSON, of which one may be an error,
//! after an answer that began well.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use futures_core::Stream;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::wire::Pieces;

/// How long a line may be.
const LONGEST_LINE: usize = 1 << 20;

/// One thing that an engine says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// What it does, in its words. Control characters and line breaks are those of the engine, and
    /// of programs that run while an image is built.
    pub text: String,
    /// The layer that this is about.
    pub layer: Option<String>,
    /// Bytes of the layer that are there, and all of them.
    pub bytes: Option<(u64, Option<u64>)>,
    /// What identifies the image that was made.
    pub digest: Option<String>,
}

/// What an engine says while it works. It is done at the end, and has failed if that is an error.
/// Engines stop their work when this is dropped.
#[derive(Debug)]
pub struct Progress {
    pieces: Pieces,
    lines: BytesMut,
    is_over: bool,
    is_ended: bool,
}

#[derive(Deserialize)]
struct Said {
    status: Option<String>,
    stream: Option<String>,
    id: Option<String>,
    #[serde(rename = "progressDetail")]
    bytes: Option<Bytes>,
    error: Option<String>,
    aux: Option<Aux>,
}

#[derive(Deserialize)]
struct Bytes {
    current: Option<u64>,
    total: Option<u64>,
}

#[derive(Deserialize)]
struct Aux {
    #[serde(rename = "ID")]
    id: Option<String>,
    #[serde(rename = "Digest")]
    digest: Option<String>,
}

impl Progress {
    pub(super) fn new(pieces: Pieces) -> Self {
        Self { pieces, lines: BytesMut::new(), is_over: false, is_ended: false }
    }

    /// The next thing that is said, or nothing at the end.
    pub async fn next(&mut self) -> Option<Result<Step>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Waits for the end, and has the last thing of each kind that was said: what is made, and how
    /// it is called.
    pub async fn done(mut self) -> Result<Step> {
        let mut last = Step::default();
        while let Some(step) = self.next().await.transpose()? {
            last.digest = step.digest.or(last.digest);
            if !step.text.trim().is_empty() {
                last.text = step.text;
            }
        }
        Ok(last)
    }

    /// The next line, if it is whole.
    fn line(&mut self) -> Option<Result<Step>> {
        loop {
            let end = self.lines.iter().position(|&it| it == b'\n');
            let line = match end {
                Some(end) => self.lines.split_to(end + 1),
                None if self.is_ended && !self.lines.is_empty() => self.lines.split(),
                None if self.lines.len() > LONGEST_LINE => {
                    return Some(Err(Error::nonsense(&self.pieces.what, "a line does not end")));
                }
                None => return None,
            };
            if !line.trim_ascii().is_empty() {
                return Some(read(&line, &self.pieces.what));
            }
        }
    }
}

/// What a line says.
fn read(line: &[u8], what: &str) -> Result<Step> {
    let said: Said =
        serde_json::from_slice(line).map_err(|error| Error::nonsense(what, error.to_string()))?;
    if let Some(error) = said.error {
        return Err(Error::refused(what, error));
    }
    let bytes = said.bytes.and_then(|it| Some((it.current?, it.total)));
    let digest = said.aux.and_then(|it| it.id.or(it.digest));
    let text = said.stream.or(said.status).unwrap_or_default();
    Ok(Step { text, layer: said.id, bytes, digest })
}

impl Stream for Progress {
    type Item = Result<Step>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if this.is_over {
                return Poll::Ready(None);
            }
            if let Some(step) = this.line() {
                this.is_over = step.is_err();
                return Poll::Ready(Some(step));
            }
            if this.is_ended {
                this.is_over = true;
                continue;
            }
            match ready!(this.pieces.poll_piece(context)) {
                Some(Ok(piece)) => this.lines.extend_from_slice(&piece),
                Some(Err(error)) => {
                    this.is_over = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => this.is_ended = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_engines_are_read() {
        let layer = r#"{"status":"Downloading","progressDetail":{"current":5,"total":9},"progress":"[=> ]","id":"a1"}"#;
        let step = read(layer.as_bytes(), "pull").expect("a step");
        assert_eq!((step.text.as_str(), step.layer.as_deref()), ("Downloading", Some("a1")));
        assert_eq!(step.bytes, Some((5, Some(9))));
        let made = read(br#"{"aux":{"ID":"sha256:1"}}"#, "build").expect("a step");
        assert_eq!(made.digest.as_deref(), Some("sha256:1"));
        let said =
            read(br#"{"stream":"STEP 1/2\n","progressDetail":{}}"#, "build").expect("a step");
        assert_eq!(said.text, "STEP 1/2\n");
        let failed = read(br#"{"errorDetail":{"message":"no"},"error":"no"}"#, "build it");
        assert_eq!(failed, Err(Error::refused("build it", "no")));
        assert!(matches!(read(b"nonsense", "build"), Err(Error::Nonsense { .. })));
    }
}
