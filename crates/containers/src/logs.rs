//! What containers have written.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::frames::{Channel, Frames};
use crate::wire::{Call, Pieces};

/// What a container writes, piece by piece. Nothing is read ahead of whoever reads.
#[derive(Debug)]
pub struct Logs {
    pieces: Pieces,
    frames: Frames,
    piece: Bytes,
    is_over: bool,
}

impl Engine {
    /// What a container has written; with `follow`, also what it writes until it ends.
    pub async fn logs(&self, id: &str, follow: bool) -> Result<Logs> {
        self.read_logs(id, &[("follow", if follow { "true" } else { "false" })]).await
    }

    /// What a container writes from now on, until it ends.
    pub async fn news(&self, id: &str) -> Result<Logs> {
        self.read_logs(id, &[("follow", "true"), ("tail", "0")]).await
    }

    async fn read_logs(&self, id: &str, how: &[(&str, &str)]) -> Result<Logs> {
        let call = Self::of_container(id, Call::get, "/logs", "read the log of")?;
        let call = call.with("stdout", "true").with("stderr", "true");
        let call = how.iter().fold(call, |call, (name, value)| call.with(name, value));
        let pieces = self.wire.stream(call).await?;
        let frames = Frames::default();
        Ok(Logs { pieces, frames, piece: Bytes::new(), is_over: false })
    }
}

impl Logs {
    /// The next piece, or nothing at the end.
    pub async fn next(&mut self) -> Option<Result<(Channel, Bytes)>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    fn failed(&mut self, error: Error) -> Poll<Option<Result<(Channel, Bytes)>>> {
        self.is_over = true;
        Poll::Ready(Some(Err(error)))
    }
}

impl Stream for Logs {
    type Item = Result<(Channel, Bytes)>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if this.is_over {
                return Poll::Ready(None);
            }
            match this.frames.next(&mut this.piece) {
                Ok(Some(read)) => return Poll::Ready(Some(Ok(read))),
                Ok(None) => {}
                Err(error) => {
                    let error = Error::nonsense(&this.pieces.what, error.to_string());
                    return this.failed(error);
                }
            }
            match ready!(this.pieces.poll_piece(context)) {
                Some(Ok(piece)) => this.piece = piece,
                Some(Err(error)) => return this.failed(error),
                None if this.frames.is_between() => this.is_over = true,
                None => {
                    let error = Error::nonsense(&this.pieces.what, "it ends in the middle");
                    return this.failed(error);
                }
            }
        }
    }
}
