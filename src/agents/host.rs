//! The HTTP server through which hosted services are called to rooms.
//!
//! A call is a webhook; its answer says only that it was understood. The room is entered
//! separately; if the caller asks for a websocket, the caller is the room itself. Webhooks are not
//! signed: whoever reaches the server can have it enter rooms, with a token of their own.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Callee;
use crate::api::webhook::{self, Event, RoomCall};
use crate::error::{Context, Error, Result, with_causes};
use crate::kinds::specs::scope::ApiScope;
use crate::output;
use crate::room::client::{Incoming, Room};
use crate::room::content::Refused;
use crate::room::handshake;
use crate::room::message::{LARGE, Message};
use crate::serving::names::{Names, Unknown};
use crate::serving::{self, Answer, Bounds, descriptors};
use crate::settings;

/// The largest webhook, in bytes.
const MAX_WEBHOOK: usize = 1024 * 1024;

/// How long a webhook may take to arrive.
const ARRIVING: Duration = Duration::from_secs(30);

/// How many rooms may be open at once.
const MAX_ROOMS: usize = 256;

/// How long requests may run once the host is told to stop.
const ANSWERING: Duration = Duration::from_secs(1);

/// How long it may take to leave the rooms.
const LEAVING: Duration = Duration::from_secs(5);

/// A path, and the service behind it.
pub struct Endpoint {
    /// The path, which starts with a slash.
    pub path: String,
    /// The name of the participant that enters the room.
    pub identity: String,
    /// The scope that it needs there; `None` for the usual scope of agents.
    pub scope: Option<ApiScope>,
    /// Makes the service that is called.
    pub callee: Box<dyn Fn() -> Box<dyn Callee> + Send + Sync>,
}

/// Paths on one port.
pub struct Host {
    /// The port, as it is reported to clients that ask what is served.
    pub port: u16,
    /// The paths.
    pub endpoints: Vec<Endpoint>,
    /// The names for requests over loopback, besides `localhost` and addresses.
    pub names: Names,
}

/// Answers requests that are for this server: a web page can make a browser send requests to a
/// server on the same machine, but not under the names of that.
struct Answering {
    router: Router,
    names: Names,
}

impl Answer for Answering {
    async fn answer(&self, request: Request, is_local: bool) -> Response {
        if is_local && let Err(unknown) = self.names.check(request.uri(), request.headers()) {
            return match unknown {
                Unknown::Unclear => {
                    refusal(StatusCode::BAD_REQUEST, "the request must name one host")
                }
                Unknown::Other(name) => refusal(
                    StatusCode::MISDIRECTED_REQUEST,
                    format!("this is not {name:?}; --allow-host lets it answer to that name"),
                ),
            };
        }
        if is_local && self.names.check_origin(request.headers()).is_err() {
            return refusal(StatusCode::FORBIDDEN, "web pages of other sites may not call this");
        }
        self.router.answer(request, is_local).await
    }
}

/// What requests share.
struct Shared {
    host: Host,
    rooms: Mutex<JoinSet<()>>,
    stop: CancellationToken,
}

/// Listens on the address of a service.
///
/// # Errors
///
/// The address is not this machine's, or somebody already listens on it.
pub async fn listen(host: &str, port: u16) -> Result<TcpListener> {
    TcpListener::bind((host, port)).await.map_err(|cause| {
        let is_taken = cause.kind() == ErrorKind::AddrInUse;
        let error = Error::failed(format!("failed to listen on {host}:{port}")).because(cause);
        if is_taken {
            error.hint(
                "stop the program that listens there, or set another address in MESHAGENT_HOST",
            )
        } else {
            error.hint("set the address to listen on in MESHAGENT_HOST")
        }
    })
}

impl Host {
    /// Serves until it is told to stop, and leaves every room before it returns.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> Result<()> {
        let names = self.names.clone();
        let shared = Arc::new(Shared { host: self, rooms: Mutex::default(), stop: stop.clone() });
        let router = Router::new().fallback(dispatch).with_state(shared.clone());
        let app = Arc::new(Answering { router, names });
        descriptors::raise();
        let bounds = Bounds { connections: descriptors::connections()?, grace: ANSWERING };
        let served = serving::serve(listener, app, stop.clone(), bounds).await;
        let served = served.context(|| "failed to serve".to_owned());
        stop.cancel();
        let rooms = std::mem::take(&mut *shared.rooms());
        // Rooms that take too long are left when the connection is cut.
        let _ = timeout(LEAVING, rooms.join_all()).await;
        served
    }

    /// A description of what is served, in the form of a stored service.
    fn described(&self) -> Value {
        let endpoints: Vec<Value> = self
            .endpoints
            .iter()
            .map(|endpoint| {
                json!({
                    "path": endpoint.path,
                    "meshagent": {"identity": endpoint.identity, "api": endpoint.scope},
                    "mcp": null,
                    "annotations": null,
                })
            })
            .collect();
        json!({
            "version": "v1",
            "kind": "Service",
            "id": null,
            "metadata": {
                "name": "<YOUR_SERVICE_NAME>",
                "description": null,
                "repo": null,
                "icon": null,
                "annotations": null,
            },
            "agents": [],
            "ports": [{
                "num": self.port,
                "type": "http",
                "endpoints": endpoints,
                "liveness": null,
                "published": null,
                "public": null,
                "annotations": null,
            }],
            "container": {
                "image": "",
                "command": null,
                "working_dir": null,
                "environment": null,
                "secrets": null,
                "pull_secret": null,
                "storage": null,
                "api_key": null,
                "on_demand": null,
                "writable_root_fs": null,
                "private": true,
            },
            "external": null,
        })
    }
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn ok() -> Response {
    answer(StatusCode::OK, &json!({"ok": true}))
}

fn refusal(status: StatusCode, what: impl Into<String>) -> Response {
    answer(status, &json!({"error": what.into()}))
}

async fn dispatch(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Infallible> {
    let path = request.uri().path();
    let endpoint = shared.host.endpoints.iter().position(|endpoint| endpoint.path == path);
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    Ok(match (path, endpoint) {
        (_, Some(endpoint)) if is_read || request.method() == Method::POST => {
            called(shared, endpoint, request).await
        }
        ("/", _) if is_read => ok(),
        ("/.well-known/meshagent-service.json", _) if is_read => {
            answer(StatusCode::OK, &shared.host.described())
        }
        (_, Some(_)) => not_allowed("GET,HEAD,POST"),
        ("/" | "/.well-known/meshagent-service.json", None) => not_allowed("GET,HEAD"),
        (path, None) => refusal(StatusCode::NOT_FOUND, format!("nothing is served at {path}")),
    })
}

fn not_allowed(methods: &'static str) -> Response {
    let what = format!("only {methods} are allowed here");
    let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, what);
    answer.headers_mut().insert(header::ALLOW, axum::http::HeaderValue::from_static(methods));
    answer
}

/// Answers a webhook.
async fn called(shared: Arc<Shared>, endpoint: usize, mut request: Request) -> Response {
    let upgrade = request.headers().contains_key(header::UPGRADE).then(|| {
        let accepted = handshake::accepted(request.headers());
        (accepted, hyper::upgrade::on(&mut request))
    });
    let (parts, body) = request.into_parts();
    let text = match text(&parts.headers, body).await {
        Ok(text) => text,
        Err(refused) => return refused,
    };
    let event = match webhook::parse(&text) {
        Ok(event) => event,
        Err(what) => return refusal(StatusCode::BAD_REQUEST, what),
    };
    let (call, upgrade) = match (event, upgrade) {
        (Event::Call(call), upgrade) => (call, upgrade),
        (Event::Other, None) => return ok(),
        (Event::Other, Some(_)) => {
            return refusal(StatusCode::BAD_REQUEST, "only room.call can be sent over a websocket");
        }
    };
    let RoomCall { room, url, token } = call;
    let Some((accepted, upgrade)) = upgrade else {
        let entering = async move {
            Room::enter(&url, &token, settings::is_insecure())
                .await
                .map_err(|error| with_causes(&error))
        };
        return shared.attend(endpoint, room, entering, ok);
    };
    let accepted = match accepted {
        Ok(accepted) => accepted,
        Err(what) => return refusal(StatusCode::BAD_REQUEST, what),
    };
    let slices = handshake::slices(&parts.headers);
    let entering = async move {
        let socket = timeout(ARRIVING, upgrade).await.map_err(|_| "the caller went away")?;
        let socket = handshake::answer(socket.map_err(|error| error.to_string())?).await;
        Room::over(socket, slices).await
    };
    shared.attend(endpoint, room, entering, || {
        let headers = [
            (header::CONNECTION, "Upgrade".to_owned()),
            (header::UPGRADE, "websocket".to_owned()),
            (header::SEC_WEBSOCKET_ACCEPT, accepted),
            (handshake::SLICES, LARGE.to_string()),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    })
}

/// The text of a webhook.
async fn text(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Response> {
    if let Some(text) = headers.get(webhook::HEADER) {
        return Ok(text.as_bytes().to_vec());
    }
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    if !kind.is_some_and(|kind| kind.starts_with(b"application/json")) {
        let what = format!(
            "send a webhook as a body of type application/json, or in the header {}",
            webhook::HEADER
        );
        return Err(refusal(StatusCode::BAD_REQUEST, what));
    }
    match timeout(ARRIVING, axum::body::to_bytes(body, MAX_WEBHOOK)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(_)) => {
            let what = format!("the webhook is larger than {MAX_WEBHOOK} bytes, or was cut off");
            Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, what))
        }
        Err(_) => Err(refusal(StatusCode::REQUEST_TIMEOUT, "the webhook took too long to arrive")),
    }
}

impl Shared {
    fn rooms(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the called service work in a room, separately from the answer.
    fn attend(
        self: Arc<Self>,
        endpoint: usize,
        name: String,
        entering: impl Future<Output = Result<(Room, Incoming), String>> + Send + 'static,
        answer: impl FnOnce() -> Response,
    ) -> Response {
        let shared = self.clone();
        let mut rooms = self.rooms();
        while rooms.try_join_next().is_some() {}
        if rooms.len() >= MAX_ROOMS || self.stop.is_cancelled() {
            let what = format!("there is no capacity for another room: {} are open", rooms.len());
            return refusal(StatusCode::SERVICE_UNAVAILABLE, what);
        }
        rooms.spawn(async move {
            let endpoint = &shared.host.endpoints[endpoint];
            let entered = tokio::select! {
                entered = entering => entered,
                () = shared.stop.cancelled() => return,
            };
            let worked = match entered {
                Ok((room, incoming)) => {
                    let callee = (endpoint.callee)();
                    let worked = work(callee.as_ref(), &room, incoming, &shared.stop).await;
                    room.leave().await;
                    worked.map_err(|refused| refused.to_string())
                }
                Err(what) => Err(what),
            };
            if let Err(what) = worked {
                let path = &endpoint.path;
                let failed = format!("{path} was called to the room {name:?} and failed there");
                output::error(&Error::failed(failed).because(what));
            }
        });
        answer()
    }
}

/// Works in a room until it closes, somebody dismisses the service, or the host stops.
pub(crate) async fn work(
    callee: &dyn Callee,
    room: &Room,
    mut incoming: Incoming,
    stop: &CancellationToken,
) -> Result<(), Refused> {
    let starting = callee.start(room);
    tokio::pin!(starting);
    let (mut is_started, mut is_dismissed) = (false, false);
    while !(is_started && is_dismissed) {
        tokio::select! {
            started = &mut starting, if !is_started => {
                started?;
                is_started = true;
            }
            message = incoming.next() => match message {
                Some(message) if is_dismissal(&message) => is_dismissed = true,
                Some(message) => callee.take(room, message).await,
                None => {
                    // The work that was under way says how it failed, or was done just before.
                    if !is_started {
                        starting.await?;
                    }
                    return room.what_went_wrong().map_or(Ok(()), |what| Err(Refused::new(what)));
                }
            },
            () = stop.cancelled() => break,
        }
    }
    // What the work still waits for must not be behind what nobody reads any more.
    drop(incoming);
    callee.stop(room).await;
    Ok(())
}

/// Whether somebody in the room dismisses the service.
fn is_dismissal(message: &Message) -> bool {
    message.kind == "messaging.send" && message.header["type"] == "dismiss"
}
