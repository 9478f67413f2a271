//! Published ports: HTTP for services in containers, by the domains of routes.
//!
//! | module | holds |
//! |---|---|
//! | `forward` | a request on its way to a container, and its answer on the way back |
//! | `headers` | *pure*: which headers go on, and which are put there |
//! | `paths` | *pure*: which path of a route a request is for |
//! | `target` | from a domain to the port of a container |
//!
//! The host of a request names the route, the route a room and a port, and a service of the room
//! publishes that port. If the port is not `public`, the request needs a participant token for the
//! room as bearer. The room must run: nobody starts one by asking for a page.
//!
//! | what | how much |
//! |---|---|
//! | connections | a quarter of all, three quarters of them from one address |
//! | requests under way, and connections that became something else | 512 of a room |
//! | a container takes a connection | 15 s |
//! | a container begins to answer, once the request was sent | 2 min |
//! | headers, either way | 64 KiB |
//!
//! The rest is as everywhere that listens: see `crate::serving`. An unknown host learns nothing but
//! that it is unknown. What the platform itself serves is not served here.

mod forward;
mod headers;
mod paths;
mod target;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::Request;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::target::Finding;
use super::error::{Refusal, Result};
use super::live::Rooms;
use super::store::Store;
use crate::serving::names::host;
use crate::serving::{Answer, Bounds, Connection, serve as serve_on};

/// One of so many connections may be for published ports.
const OF_ALL: usize = 4;

/// How many of all connections are for published ports.
pub fn share(connections: usize) -> usize {
    (connections / OF_ALL).max(1)
}

/// Serves published ports on a listener until it is told to stop.
///
/// # Errors
///
/// The listener accepts no more connections.
pub async fn serve(
    listener: Arc<TcpListener>,
    (store, rooms): (Arc<Store>, Rooms),
    (stop, bounds): (CancellationToken, Bounds),
) -> std::io::Result<()> {
    let published = Published {
        finding: Finding::new(store, rooms),
        key: RandomState::new(),
        last: AtomicU64::new(0),
    };
    serve_on(listener, Arc::new(published), stop, bounds).await
}

/// What answers requests to published ports.
struct Published {
    finding: Finding,
    /// For ids of requests that do not tell how many there were.
    key: RandomState,
    last: AtomicU64,
}

impl Published {
    async fn answered(&self, mut request: Request) -> Result<Response> {
        if request.method() == Method::CONNECT {
            return Err(Refusal::MethodNotAllowed);
        }
        headers::check(request.headers())?;
        let host = host(request.uri(), request.headers())?;
        let connection = request.extensions_mut().remove::<Connection>();
        let connection = connection.ok_or_else(|| Refusal::internal("no connection is known"))?;
        let (uri, headers) = (request.uri().clone(), request.headers().clone());
        let found = self.finding.find(&host, (&uri, &headers)).await?;
        forward::forward(request, found, (&host, connection)).await
    }
}

impl Answer for Published {
    /// Answers a request, and logs its method, path and outcome, never its query, headers or body.
    async fn answer(&self, request: Request, _: bool) -> Response {
        let id = self.key.hash_one(self.last.fetch_add(1, Ordering::Relaxed));
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let start = Instant::now();
        let answer = self.answered(request).await;
        let response = answer.unwrap_or_else(IntoResponse::into_response);
        let milliseconds = start.elapsed().as_secs_f64() * 1000.0;
        let status = response.status().as_u16();
        tracing::info!(id = %format_args!("{id:016x}"), %method, path, status, milliseconds, "published");
        response
    }
}
