//! A connection as the HTTP library sees it: it cannot be blocked, and it ends properly.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::connections::Doing;
use super::patience::Patience;
use crate::notice;

/// How long a client may pause while it reads its answer, and how many bytes per second it must
/// read on average.
const TAKING: Duration = Duration::from_secs(30);
const TAKING_RATE: u32 = 16 * 1024;

/// How long to go on reading what a client sends after its answer. If the connection is closed
/// before that, it is reset, and a client that is still sending never sees why it was refused.
const LINGER: Duration = Duration::from_secs(5);

/// A TCP connection.
pub struct Socket {
    stream: TcpStream,
    doing: Arc<Doing>,
    patience: Patience,
    alarm: Option<Pin<Box<Sleep>>>,
    closing: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    /// Wraps a connection together with the record of what it does.
    pub const fn new(stream: TcpStream, doing: Arc<Doing>) -> Self {
        let patience = Patience::new(TAKING, TAKING_RATE);
        Self { stream, doing, patience, alarm: None, closing: None }
    }

    /// The result of an attempt to write: one that waits too long fails.
    fn written(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<Result<usize>>,
    ) -> Poll<Result<usize>> {
        let now = Instant::now();
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.patience.moved(now, bytes);
                self.alarm = None;
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let end = self.patience.waits(now);
                let alarm =
                    self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
                ready!(alarm.as_mut().poll(cx));
                notice::tell(
                    "a connection was closed",
                    "its client did not read the answer in time",
                );
                Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the answer was not read in time")))
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.doing.came();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Says that nothing more is sent. If a client may still be sending, its bytes are read and
    /// discarded until it has seen that.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = &mut *self;
        if this.closing.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.doing.has_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        let end = this.closing.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut forgotten = [0; 8 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut forgotten);
            match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}
