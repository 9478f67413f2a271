//! How connections are accepted, held and closed, for everything that listens: the platform, the
//! host of agents, and a sign-in that waits for the browser.
//!
//! Clients may open many connections, may send slowly or not at all, and may never read their
//! answer. So everything here has a time limit:
//!
//! | what | how long |
//! |---|---|
//! | the headers of a request | 10 s |
//! | a body pauses | 10 s, and 8 KiB/s on average |
//! | a client does not read its answer | 30 s, and 16 KiB/s on average |
//! | a connection waits for its next request | 75 s |
//!
//! `connections` limits the number of connections. One that becomes a websocket counts while its
//! [`Lasting`] is held, and the holder decides when it ends. What is cut off is logged once a
//! minute at most.

pub mod body;
mod connections;
pub mod descriptors;
pub mod names;
pub mod patience;
pub mod silence;
mod socket;

use std::borrow::Borrow;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nix::errno::Errno;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tower::Service;

use self::body::{Arriving, Leaving};
pub use self::connections::{Admitted, Connection, Connections, Lasting, Taken};
use self::socket::Socket;
use crate::notice;

/// The most that is kept of a connection's bytes, and so the largest headers.
const BUFFER: usize = 64 * 1024;

/// The most connections that may be refused at the same time.
const REFUSALS: usize = 16;

/// One connection may be refused at a time for so many that are served: it is open, too, while
/// that takes.
const SERVED: usize = 4;

/// How long an idle connection may take to end once it was told to.
const ENDING: Duration = Duration::from_secs(1);

/// How long nothing comes before the system asks whether the other end is there, and how often it
/// asks then.
const SILENT: Duration = Duration::from_secs(60);
const ASKED_AGAIN: Duration = Duration::from_secs(15);

/// What answers requests.
pub trait Answer: Send + Sync + 'static {
    /// Answers a request; `is_local` says whether it came over loopback.
    fn answer(&self, request: Request, is_local: bool) -> impl Future<Output = Response> + Send;
}

impl Answer for Router {
    async fn answer(&self, request: Request, _: bool) -> Response {
        match self.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// How much is served, and how it ends.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most connections at once.
    pub connections: usize,
    /// How long running requests may continue after the server was told to stop.
    pub grace: Duration,
}

/// What connections share.
struct Serving<A> {
    answers: Arc<A>,
    connections: Arc<Connections>,
    refusals: Arc<Semaphore>,
    stop: CancellationToken,
}

/// Takes connections until it is told to stop, and then finishes the requests under way, within
/// bounds.
///
/// # Errors
///
/// The listener accepts no more connections.
pub async fn serve(
    listener: impl Borrow<TcpListener>,
    answers: Arc<impl Answer>,
    stop: CancellationToken,
    bounds: Bounds,
) -> std::io::Result<()> {
    let serving = Arc::new(Serving {
        answers,
        connections: Connections::new(bounds.connections, stop.clone()),
        refusals: Arc::new(Semaphore::new((bounds.connections / SERVED).clamp(1, REFUSALS))),
        stop,
    });
    let mut running = JoinSet::new();
    // Connections that are refused, or were told to end, stay open for a moment. A client that
    // opens many must not make the others wait, so there may be as many again.
    let most_open = 2 * bounds.connections + REFUSALS;
    let outcome = loop {
        tokio::select! {
            () = serving.stop.cancelled() => break Ok(()),
            Some(_) = running.join_next() => {}
            taken = listener.borrow().accept(), if running.len() < most_open => match taken {
                Ok((stream, peer)) => {
                    serving.take(stream, peer, &mut running);
                    // The one that makes room closes before the next one is accepted.
                    yield_now().await;
                }
                Err(cause) if is_of_one(&cause) => {}
                Err(cause) if is_short(&cause) => {
                    notice::tell("no connection can be accepted", &cause);
                    serving.connections.free_one();
                    sleep(Duration::from_millis(50)).await;
                }
                Err(cause) => break Err(cause),
            },
        }
    };
    drop(listener);
    serving.stop.cancel();
    let finished = async { while running.join_next().await.is_some() {} };
    if timeout(bounds.grace, finished).await.is_err() {
        tracing::warn!("requests were cut off at the end of the grace period");
        running.shutdown().await;
    }
    outcome
}

/// Has the system look whether the other end of a connection is still there, although nothing is
/// sent: one that lost its power never says that it is gone.
pub fn keep_alive(stream: &TcpStream) {
    let often = TcpKeepalive::new().with_time(SILENT).with_interval(ASKED_AGAIN);
    if let Err(cause) = SockRef::from(stream).set_tcp_keepalive(&often) {
        tracing::debug!(%cause, "failed to set SO_KEEPALIVE");
    }
}

/// Whether only the connection that was to be accepted failed.
fn is_of_one(cause: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    let of_one = [ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted];
    use Errno::{EHOSTUNREACH, ENETDOWN, ENETUNREACH, EPERM, EPROTO};
    let of_network = [EHOSTUNREACH, ENETDOWN, ENETUNREACH, EPERM, EPROTO];
    of_one.contains(&cause.kind()) || is_any(cause, &of_network)
}

/// Whether the system has no room for another connection, which is temporary.
fn is_short(cause: &std::io::Error) -> bool {
    is_any(cause, &[Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM])
}

fn is_any(cause: &std::io::Error, of: &[Errno]) -> bool {
    cause.raw_os_error().is_some_and(|code| of.contains(&Errno::from_raw(code)))
}

impl<A: Answer> Serving<A> {
    /// Gives a new connection a place, or refuses it.
    fn take(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, running: &mut JoinSet<()>) {
        let taken = match self.connections.admit(peer.ip()) {
            Admitted::Free(taken) => taken,
            Admitted::InPlaceOfAnother(taken) => {
                let most = self.connections.most();
                let of_one = self.connections.most_of_one();
                notice::tell(
                    "waiting connections are closed to make room for others",
                    format_args!("at most {most} are allowed at once, {of_one} from one address"),
                );
                taken
            }
            Admitted::Refused => {
                notice::tell("connections are refused", "all that are allowed are in use");
                // If even that is too much, the connection is just closed.
                if let Ok(refusing) = Arc::clone(&self.refusals).try_acquire_owned() {
                    running.spawn(async move {
                        let _ = timeout(ENDING, refuse(stream)).await;
                        drop(refusing);
                    });
                }
                return;
            }
        };
        // Answers are small and wait for nothing, so they are sent at once.
        if let Err(cause) = stream.set_nodelay(true) {
            tracing::debug!(%cause, "failed to set TCP_NODELAY");
        }
        keep_alive(&stream);
        running.spawn(Arc::clone(self).hold(stream, taken));
    }

    /// Answers the requests of a connection, until one side ends it.
    async fn hold(self: Arc<Self>, stream: TcpStream, taken: Taken) {
        let taken = Arc::new(taken);
        let is_local = stream.local_addr().is_ok_and(|address| address.ip().is_loopback());
        let doing = Arc::clone(&taken.doing);
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let answering = doing.answers();
            let is_too_late = answering.is_too_late;
            let mut request =
                request.map(|body| Body::new(Arriving::new(body, Arc::clone(&doing))));
            request.extensions_mut().insert(Connection::new(Arc::clone(&taken)));
            let (answer, doing) = (self.answer(request, is_local), &doing);
            async move {
                let mut response = if is_too_late { no_room() } else { answer.await };
                if !response.status().is_success() && doing.has_unread() {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                Ok::<_, Infallible>(response.map(|body| Leaving::new(body, answering)))
            }
        });
        let mut http = http1::Builder::new();
        http.max_buf_size(BUFFER);
        let socket = Socket::new(stream, Arc::clone(&taken.doing));
        let connection = http.serve_connection(TokioIo::new(socket), service).with_upgrades();
        let mut connection = pin!(connection);
        let mut alarm = pin!(sleep_until(taken.doing.deadline()));
        let mut is_ending = false;
        loop {
            tokio::select! {
                biased;
                // A broken connection only concerns its client.
                _ = connection.as_mut() => return,
                () = taken.give_way.cancelled(), if !is_ending => {
                    if taken.doing.is_asking() && !self.connections.are_ending() {
                        return;
                    }
                    connection.as_mut().graceful_shutdown();
                    is_ending = true;
                    alarm.as_mut().reset(Instant::now() + ENDING);
                }
                () = &mut alarm => {
                    let deadline = match is_ending {
                        true if taken.doing.is_answering() => Instant::now() + ENDING,
                        true => return,
                        false => taken.doing.deadline(),
                    };
                    if deadline <= Instant::now() {
                        return;
                    }
                    alarm.as_mut().reset(deadline);
                }
            }
        }
    }

    /// Answers a request, whatever happens in it.
    async fn answer(&self, request: Request, is_local: bool) -> Response {
        match AssertUnwindSafe(self.answers.answer(request, is_local)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => {
                notice::tell("a request failed", "its handler panicked");
                let json = [(header::CONTENT_TYPE, "application/json")];
                let body = r#"{"error":"the server failed"}"#;
                (StatusCode::INTERNAL_SERVER_ERROR, json, body).into_response()
            }
        }
    }
}

/// The answer to a request if there are too many connections.
const BODY: &str = r#"{"error":"there are too many connections, try again"}"#;

/// The answer to a request on a connection that had to make room.
fn no_room() -> Response {
    let head = [
        (header::CONTENT_TYPE, "application/json"),
        (header::RETRY_AFTER, "1"),
        (header::CONNECTION, "close"),
    ];
    (StatusCode::SERVICE_UNAVAILABLE, head, BODY).into_response()
}

/// Tells a client that there are too many connections, and waits until it has read that.
async fn refuse(mut stream: TcpStream) {
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\nretry-after: 1\r\nconnection: close\r\n\r\n",
        BODY.len()
    );
    let told = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(BODY.as_bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    // A client that is gone need not be told.
    let _ = told.await;
}
