//! Bodies on their way in and out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::connections::{Answering, Doing};
use super::patience::Patience;
use crate::notice;

/// How long a body may pause, and how many bytes per second must arrive on average.
const COMING: Duration = Duration::from_secs(10);
const COMING_RATE: u32 = 8 * 1024;

/// The body of a request, with time limits.
pub struct Arriving {
    body: Incoming,
    doing: Arc<Doing>,
    patience: Patience,
    alarm: Option<Pin<Box<Sleep>>>,
    has_ended: bool,
}

/// A body did not arrive in time.
#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
pub struct Late;

impl Arriving {
    /// The body of a request on a connection.
    pub const fn new(body: Incoming, doing: Arc<Doing>) -> Self {
        let patience = Patience::new(COMING, COMING_RATE);
        Self { body, doing, patience, alarm: None, has_ended: false }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        let now = Instant::now();
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.patience.moved(now, frame.data_ref().map_or(0, Bytes::len));
                this.alarm = None;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.has_ended = true;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Pending => {
                let end = this.patience.waits(now);
                let alarm = this.alarm.get_or_insert_with(|| Box::pin(sleep_until(end)));
                ready!(alarm.as_mut().poll(cx));
                notice::tell("a request was refused", &Late);
                Poll::Ready(Some(Err(Late.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.has_ended && !self.body.is_end_stream() {
            self.doing.left_unread();
        }
    }
}

/// The body of an answer, and what is held until it was sent.
pub struct Leaving {
    body: Body,
    _answering: Answering,
}

impl Leaving {
    /// The body of the answer to a request.
    pub const fn new(body: Body, answering: Answering) -> Self {
        Self { body, _answering: answering }
    }
}

impl HttpBody for Leaving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
