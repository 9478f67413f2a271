//! A platform that records what it is asked, and answers what a case needs to go on. What only one
//! of the two APIs has is in a file of its own.

#[path = "platform/of_new.rs"]
mod of_new;
#[path = "platform/of_old.rs"]
mod of_old;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use meshagent::api::spoken::Spoken;
use meshagent::room::message::{Assembler, Message, SLICE};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::cases::{Answer, Case};

/// A request, without what two clients may spell differently.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    body: Option<Value>,
    is_signed: bool,
}

impl fmt::Display for Asked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.method, self.path)?;
        for (index, (name, value)) in self.query.iter().enumerate() {
            write!(out, "{}{name}={value}", if index == 0 { '?' } else { '&' })?;
        }
        if let Some(body) = &self.body {
            write!(out, " {body}")?;
        }
        if self.is_signed { write!(out, " (signed)") } else { Ok(()) }
    }
}

#[derive(Default)]
struct Recording {
    answers: HashMap<String, Answer>,
    asked: Vec<Asked>,
}

type Recordings = Arc<Mutex<HashMap<usize, Recording>>>;

/// What the requests of a platform share.
#[derive(Clone)]
struct Shared {
    recordings: Recordings,
    address: std::net::SocketAddr,
    spoken: Spoken,
}

/// The platform, which serves until the end of the test.
pub struct Platform {
    address: std::net::SocketAddr,
    recordings: Recordings,
    _runtime: tokio::runtime::Runtime,
}

/// The requests of one run: each has a base URL of its own.
pub struct Recorded {
    pub url: String,
    index: usize,
    recordings: Recordings,
}

impl Recorded {
    pub fn asked(&self) -> Vec<Asked> {
        self.recordings.lock().unwrap()[&self.index].asked.clone()
    }
}

impl Platform {
    /// Starts one that speaks this API.
    pub fn start(spoken: Spoken) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let recordings = Recordings::default();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared { recordings: recordings.clone(), address, spoken };
        let app = Router::new().fallback(answer).with_state(shared);
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { address, recordings, _runtime: runtime }
    }

    /// Records anew what the case with this number asks. Its base URL is the same each
    /// time, because what is asked may hold it.
    pub fn run(&self, index: usize, case: &Case) -> Recorded {
        let answers = case.answers.clone().into_iter().collect();
        let recording = Recording { answers, asked: Vec::new() };
        self.recordings.lock().unwrap().insert(index, recording);
        let url = format!("http://{}/{index}", self.address);
        Recorded { url, index, recordings: self.recordings.clone() }
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A segment as people read it; what would end it stays encoded.
fn segment(text: &str) -> String {
    decoded(text).replace('/', "%2F").replace('?', "%3F")
}

async fn answer(
    State(Shared { recordings, address, spoken }): State<Shared>,
    mut request: Request,
) -> Response {
    let key = request.headers().get("Sec-WebSocket-Key").cloned();
    let upgrade = key.map(|key| (key, hyper::upgrade::on(&mut request)));
    let (parts, body) = request.into_parts();
    let (method, uri, headers) = (parts.method, parts.uri, parts.headers);
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let (run, path) = uri.path()[1..].split_once('/').unwrap_or((&uri.path()[1..], ""));
    let path = format!("/{path}");
    let mut query: Vec<(String, String)> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
    query.sort();
    // Each run has its own base URL; in a body it is the same one for all.
    let base = format!("{address}/{run}");
    let text = String::from_utf8_lossy(&body).replace(&base, "base");
    let body: Option<Value> = match body.is_empty() {
        true => None,
        false => Some(serde_json::from_str(&text).unwrap_or_else(|_| "not JSON".into())),
    };
    // Which API is spoken is asked without the credential, before all that is compared. The
    // reference of 0.31 does not ask, and that of 0.56 asks for its own release.
    if method == Method::GET && path == "/config" && !headers.contains_key(header::AUTHORIZATION) {
        let domains = json!({"pages": "meshagent.app", "mail": "mail.meshagent.com"});
        let told = match spoken {
            Spoken::V0_31 => json!({"api_version": "0.31.4"}),
            Spoken::V0_56 => json!({"api_version": "0.56.0", "domains": domains}),
        };
        return axum::Json(told).into_response();
    }
    let rooms = recordings.clone();
    let mut recordings = recordings.lock().unwrap();
    let Some(index) = run.parse::<usize>().ok().filter(|run| recordings.contains_key(run)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let recording = recordings.get_mut(&index).unwrap();
    let (answered, asked) = usual(spoken, &method, &path, body.as_ref());
    let asked_for = path
        .strip_prefix("/accounts/projects/11111111-1111-4111-8111-111111111111")
        .unwrap_or(&path);
    let chosen = recording.answers.get(&format!("{method} {}", decoded(asked_for)));
    let chosen_status = chosen.map(|answer| answer.status);
    let (status, mut answer) = match chosen {
        Some(answer) => (answer.status, answer.body.clone()),
        None => (answered, asked),
    };
    // Every list is one page long.
    if query.contains(&("offset".to_owned(), "1".to_owned())) {
        answer["rooms"] = json!([]);
        answer["tasks"] = json!([]);
    }
    recording.asked.push(Asked {
        method: method.to_string(),
        path: path.split('/').map(segment).collect::<Vec<_>>().join("/"),
        query,
        body,
        is_signed: headers.contains_key("Meshagent-Signature"),
    });
    if let (Some((key, upgrade)), None) = (upgrade, chosen_status) {
        tokio::spawn(async move {
            let socket = TokioIo::new(upgrade.await.unwrap());
            room(WebSocketStream::from_raw_socket(socket, Role::Server, None).await, rooms, index)
                .await;
        });
        let headers = [
            (header::CONNECTION, "Upgrade".to_owned()),
            (header::UPGRADE, "websocket".to_owned()),
            (header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes())),
        ];
        return (StatusCode::SWITCHING_PROTOCOLS, headers).into_response();
    }
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

/// A room that records what it is asked, and has nothing to say but what the case answers.
async fn room<S>(mut socket: WebSocketStream<S>, recordings: Recordings, index: usize)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let init = json!({"type": "init", "participantId": "me", "attributes": {"name": "bot"}});
    let ready = json!({"room_name": "demo", "room_url": "ws://x", "session_id": "s1"});
    let status = json!({"status": "starting", "message": "soon"});
    for (id, kind, header) in
        [(0, "room.status", status), (1, "connected", init), (2, "room_ready", ready)]
    {
        for packet in Message::new(id, kind, header).packets(SLICE) {
            socket.send(Frame::binary(packet)).await.unwrap();
        }
    }
    let mut assembler = Assembler::default();
    while let Some(Ok(frame)) = socket.next().await {
        let Frame::Binary(packet) = frame else { continue };
        let Some(message) = assembler.take(&packet).unwrap() else { continue };
        let answer = {
            let mut recordings = recordings.lock().unwrap();
            let recording = recordings.get_mut(&index).unwrap();
            let answer = recording.answers.get(&format!("ROOM {}", message.kind)).cloned();
            recording.asked.push(Asked {
                method: "ROOM".to_owned(),
                path: message.kind,
                query: Vec::new(),
                body: Some(message.header),
                is_signed: false,
            });
            answer.map_or_else(|| json!({"type": "empty"}), |answer| answer.body)
        };
        for packet in Message::new(message.id, "__response__", answer).packets(SLICE) {
            socket.send(Frame::binary(packet)).await.unwrap();
        }
    }
}

/// A project's path.
const PROJECTS: [&str; 3] =
    ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222", "p/1"];

/// What the platform usually answers.
fn usual(spoken: Spoken, method: &Method, path: &str, body: Option<&Value>) -> (u16, Value) {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let projects = json!([{"id": PROJECTS[0], "name": "one"}, {"id": PROJECTS[1], "name": "two"}]);
    let nothing = || (404, json!({"error": "there is nothing here"}));
    let answer = match segments.as_slice() {
        ["accounts", "projects", project, rest @ ..] if PROJECTS.contains(project) => {
            let of = match spoken {
                Spoken::V0_31 => of_old::answer,
                Spoken::V0_56 => of_new::answer,
            };
            return of(method, project, rest, body).map_or_else(nothing, |answer| (200, answer));
        }
        ["accounts", "projects"] if *method == Method::GET => json!({ "projects": projects }),
        ["accounts", "projects"] => {
            let name = body.and_then(|body| body.get("name")).cloned().unwrap_or_default();
            json!({"id": PROJECTS[1], "name": name, "owner_user_id": "u"})
        }
        ["templates", "render"] => {
            return match rendered(body) {
                Ok(template) => (200, template),
                Err(error) => (400, json!({"error": error})),
            };
        }
        ["hook"] => json!({}),
        ["s.yaml"] => json!({
            "version": "v1", "kind": "Service", "metadata": {"name": "fetched"},
            "container": {"image": "x"},
        }),
        ["t.yaml"] => json!({
            "version": "v1", "kind": "ServiceTemplate", "metadata": {"name": "fetched"},
            "variables": [{"name": "x"}], "container": {"image": "x"},
        }),
        [".well-known", "oauth-authorization-server"] => json!({
            "authorization_endpoint": "https://x.y/a", "token_endpoint": "https://x.y/t",
            "registration_endpoint": "https://x.y/r",
            "code_challenge_methods_supported": ["S256"],
        }),
        _ => return nothing(),
    };
    (200, answer)
}

/// An object with the fields of a body, as far as it has them.
fn created(mut object: Value, body: Option<&Value>) -> Value {
    if let (Value::Object(object), Some(Value::Object(body))) = (&mut object, body) {
        for (name, value) in body {
            if object.contains_key(name) && !value.is_null() {
                object.insert(name.clone(), value.clone());
            }
        }
    }
    object
}

/// A service of a body, as the platform answers with it.
fn service(body: Option<&Value>, id: &str) -> Value {
    let mut service = match body {
        Some(body) if body.get("metadata").is_some() => body.clone(),
        _ => json!({
            "version": "v1", "kind": "Service", "metadata": {"name": "svc"},
            "container": {"image": "x"},
        }),
    };
    service["id"] = id.into();
    service
}

/// What the platform makes of a template.
pub fn rendered(body: Option<&Value>) -> Result<Value, String> {
    let text = body.and_then(|body| body["template"].as_str()).unwrap_or_default();
    let values = body.and_then(|body| body["values"].as_object()).cloned().unwrap_or_default();
    let values = values
        .into_iter()
        .map(|(name, value)| (name, value.as_str().unwrap_or_default().to_owned()))
        .collect();
    let spec =
        meshagent::manifest::template::render(text, &values).map_err(|error| error.to_string())?;
    serde_json::to_value(spec).map_err(|error| error.to_string())
}
