//! A request on its way to a container, and its answer on the way back, both as they come.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{StatusCode, Uri, Version};
use axum::response::Response;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;

use super::headers;
use super::target::Found;
use crate::platform::error::{Refusal, Result};
use crate::serving::Connection;
use crate::serving::silence::Silence;

/// How long a container may take to begin its answer, once nothing more of the request was sent.
const ANSWERING: Duration = Duration::from_secs(120);

/// How much is kept of a container's bytes, and so its largest headers.
const BUFFER: usize = 64 * 1024;

/// Hands a request on, and gives its answer.
///
/// # Errors
///
/// 502 if what answers does not speak HTTP, or breaks off; 504 if it does not answer in time.
pub async fn forward(
    mut request: Request,
    found: Found,
    (host, connection): (&str, Connection),
) -> Result<Response> {
    let Found { stream, passage, path, is_ours } = found;
    let is_websocket = headers::is_websocket(request.headers());
    let upgrade = is_websocket.then(|| hyper::upgrade::on(&mut request));
    let (mut head, body) = request.into_parts();
    headers::onward(&mut head.headers, (host, connection.peer()), is_ours);
    head.uri = Uri::try_from(path).map_err(|_| Refusal::Invalid {
        field: None,
        message: "the path cannot be handed on".into(),
    })?;
    head.version = Version::HTTP_11;
    // What was known of the request here is nothing that goes on.
    head.extensions.clear();
    let sent = Arc::new(Silence::default());
    let body = Going { body, sent: Arc::clone(&sent) };
    let mut http = http1::Builder::new();
    http.max_buf_size(BUFFER);
    let broken = |_| Refusal::Unanswered("the service broke off the connection".into());
    let (mut sender, driver) = http.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // The place is taken as long as the connection to the container lasts.
    let passage = Arc::new(passage);
    let place = Arc::clone(&passage);
    passage.run(async move {
        let _ = place.stop.run_until_cancelled(driver.with_upgrades()).await;
    });
    let answer = tokio::select! {
        answer = sender.send_request(Request::from_parts(head, body)) => answer,
        () = sent.lasts(ANSWERING) => {
            return Err(Refusal::Late("the service did not answer in time"));
        }
    };
    let mut response = answer.map_err(|_| {
        Refusal::Unanswered("the service did not answer, or not as HTTP has it".into())
    })?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let is_websocket = headers::is_websocket(response.headers());
        let Some(upgrade) = upgrade.filter(|_| is_websocket) else {
            let text = "the service changed the protocol, which nobody asked for";
            return Err(Refusal::Unanswered(text.into()));
        };
        let (inside, lasting) = (hyper::upgrade::on(&mut response), connection.outlast());
        let place = Arc::clone(&passage);
        passage.run(async move {
            let _lasting = lasting;
            let carried = async {
                let (inside, outside) = tokio::try_join!(inside, upgrade).ok()?;
                let (mut inside, mut outside) = (TokioIo::new(inside), TokioIo::new(outside));
                copy_bidirectional_with_sizes(&mut inside, &mut outside, BUFFER, BUFFER).await.ok()
            };
            place.stop.run_until_cancelled(carried).await;
        });
    }
    headers::back(response.headers_mut());
    Ok(response.map(Body::new))
}

/// The body of a request on its way.
struct Going {
    body: Body,
    sent: Arc<Silence>,
}

impl HttpBody for Going {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.sent.broken();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
