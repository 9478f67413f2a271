//! Rooms that do what rooms do for a service, and rooms that do worse.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use meshagent::room::message::{Assembler, Message, SLICE};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Bytes, Message as Frame};

/// How long anything that must happen may take.
const SOON: Duration = Duration::from_secs(20);

/// How a room behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Manner {
    /// As it should.
    Good,
    /// It lets nobody in.
    Refuses,
    /// It closes the connection as soon as it is there.
    Closes,
    /// It is never ready.
    Silent,
    /// It cuts a packet.
    Cuts,
    /// It says that a packet is longer than any can be.
    Boasts,
    /// It answers questions with what is no answer.
    Babbles,
    /// It closes the connection in the middle of a question.
    Leaves,
    /// It refuses whatever it is asked.
    Denies,
    /// It asks for more of a stream than there is, before it takes anything.
    Floods,
    /// It no longer listens once somebody has entered.
    Sleeps,
    /// It is gone once somebody has entered.
    Dies,
}

impl Manner {
    const ALL: [Self; 12] = [
        Self::Good,
        Self::Refuses,
        Self::Closes,
        Self::Silent,
        Self::Cuts,
        Self::Boasts,
        Self::Babbles,
        Self::Leaves,
        Self::Denies,
        Self::Floods,
        Self::Sleeps,
        Self::Dies,
    ];
}

/// What is said in a room.
#[derive(Debug)]
enum Say {
    Message(Message),
    Close,
}

/// Somebody in a good room.
pub struct Session {
    /// The token and the version that it came with.
    pub query: BTreeMap<String, String>,
    seen: UnboundedReceiver<Message>,
    say: UnboundedSender<Say>,
}

impl Session {
    /// The next message; none once the participant has left.
    pub async fn next(&mut self) -> Option<Message> {
        self.within(SOON).await.expect("nothing comes, and nobody leaves")
    }

    /// The next message, if it comes in time.
    pub async fn within(&mut self, time: Duration) -> Option<Option<Message>> {
        timeout(time, self.seen.recv()).await.ok()
    }

    /// The messages up to one, with that one.
    pub async fn until(&mut self, is_last: impl Fn(&Message) -> bool) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let message = self.next().await.expect("the participant left too early");
            let is_last = is_last(&message);
            messages.push(message);
            if is_last {
                return messages;
            }
        }
    }

    pub fn say(&self, message: Message) {
        self.say.send(Say::Message(message)).unwrap();
    }

    pub fn close(&self) {
        self.say.send(Say::Close).unwrap();
    }

    pub fn dismiss(&self) {
        let header = json!({"from_participant_id": "c1", "type": "dismiss", "message": {}});
        self.say(Message::new(900, "messaging.send", header));
    }

    /// Calls a tool of the toolkit `storage`.
    pub fn call(&self, id: u64, tool: &str, arguments: &Value, bytes: &[u8]) {
        let header = json!({"name": tool, "arguments": arguments, "caller_id": "c1"});
        let kind = "room.tool_call.storage".to_owned();
        self.say(Message { id, kind, header, bytes: bytes.to_vec() });
    }
}

/// Whether a message ends what a participant streams.
pub fn is_end(message: &Message) -> bool {
    message.kind == "room.tool_call_request_chunk" && message.header["chunk"]["method"] == "close"
}

/// The rooms, each on a path that ends with its manner.
pub struct Rooms {
    address: SocketAddr,
    entered: UnboundedReceiver<Session>,
}

impl Rooms {
    pub async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (enter, entered) = unbounded_channel();
        let app = Router::new().fallback(move |request| answer(request, enter.clone()));
        let listener = listener.tap_io(|socket| socket.set_nodelay(true).unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, entered }
    }

    pub fn url(&self, manner: Manner) -> String {
        format!("ws://{}/rooms/{manner:?}?a=b&token=other", self.address)
    }

    /// Whoever enters a good room next.
    pub async fn entered(&mut self) -> Session {
        timeout(SOON, self.entered.recv()).await.expect("nobody enters").unwrap()
    }
}

async fn answer(mut request: Request, enter: UnboundedSender<Session>) -> Response {
    let path = request.uri().path().to_owned();
    match path.as_str() {
        "/file" => return "fetched".into_response(),
        "/missing" => return (StatusCode::NOT_FOUND, "nothing").into_response(),
        _ => {}
    }
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
    let manner = path.rsplit('/').next().unwrap();
    let is_known = |known: &&Manner| format!("{known:?}").eq_ignore_ascii_case(manner);
    let manner = *Manner::ALL.iter().find(is_known).unwrap();
    if manner == Manner::Refuses {
        return (StatusCode::UNAUTHORIZED, query["token"].clone()).into_response();
    }
    let key = request.headers()["Sec-WebSocket-Key"].clone();
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let socket = TokioIo::new(upgrade.await.unwrap());
        let socket = WebSocketStream::from_raw_socket(socket, Role::Server, None).await;
        serve(socket, manner, query, &enter).await;
    });
    let headers = [
        (header::CONNECTION, "Upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes())),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// A service that was called over a websocket, in a good room.
pub async fn answering<S>(socket: WebSocketStream<S>) -> Session
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (enter, mut entered) = unbounded_channel();
    tokio::spawn(async move { serve(socket, Manner::Good, BTreeMap::new(), &enter).await });
    entered.recv().await.unwrap()
}

/// Is the room for one participant.
async fn serve<S>(
    socket: WebSocketStream<S>,
    manner: Manner,
    query: BTreeMap<String, String>,
    enter: &UnboundedSender<Session>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut stream) = socket.split();
    let mut packets: Vec<Bytes> = Vec::new();
    match manner {
        Manner::Closes => return,
        Manner::Silent => {}
        Manner::Cuts => packets.push(vec![0; 7].into()),
        Manner::Boasts => packets.push([&[0; 12][..], &[0xff; 4], b"connected"].concat().into()),
        _ => packets.extend(greeting()),
    }
    for packet in packets {
        if sink.send(Frame::binary(packet)).await.is_err() {
            return;
        }
    }
    let (saw, seen) = unbounded_channel();
    let (say, mut said) = unbounded_channel();
    if matches!(manner, Manner::Good | Manner::Floods) {
        enter.send(Session { query, seen, say: say.clone() }).unwrap();
    }
    let mut assembler = Assembler::default();
    let mut files = Files::new();
    let mut late = None;
    loop {
        tokio::select! {
            frame = stream.next() => {
                let Some(Ok(frame)) = frame else { return };
                let packet = match frame {
                    Frame::Binary(packet) => packet,
                    Frame::Close(Some(frame)) => {
                        // Who leaves says so.
                        let code = json!({"code": u16::from(frame.code)});
                        let _ = saw.send(Message::new(0, "left", code));
                        return;
                    }
                    _ => continue,
                };
                let Some(message) = assembler.take(&packet).unwrap() else { continue };
                let is_offer = message.kind == "room.register_toolkit";
                for answer in files.answers(&message, manner) {
                    say.send(Say::Message(answer)).unwrap();
                }
                if manner == Manner::Leaves {
                    return;
                }
                late = is_offer.then_some(manner);
                let _ = saw.send(message);
            }
            Some(said) = said.recv() => {
                let Say::Message(message) = said else {
                    let _ = sink.send(Frame::Close(None)).await;
                    return;
                };
                for packet in message.packets(SLICE) {
                    if sink.feed(Frame::binary(packet)).await.is_err() {
                        return;
                    }
                }
                if sink.flush().await.is_err() {
                    return;
                }
                match late {
                    Some(Manner::Sleeps) => std::future::pending().await,
                    Some(Manner::Dies) => return,
                    _ => {}
                }
            }
        }
    }
}

fn greeting() -> Vec<Bytes> {
    let init = json!({"type": "init", "participantId": "me", "attributes": {"name": "bot"}});
    let ready = json!({"room_name": "demo", "room_url": "ws://x", "session_id": "s1"});
    let status = json!({"status": "starting", "message": "soon"});
    [(1, "room.status", status), (2, "connected", init), (3, "room_ready", ready)]
        .into_iter()
        .flat_map(|(id, kind, header)| {
            Message::new(id, kind, header).packets(SLICE).collect::<Vec<_>>()
        })
        .collect()
}

/// The files of a room, and what is being done with them.
struct Files {
    files: BTreeMap<String, (String, Vec<u8>)>,
    streams: BTreeMap<String, Stream>,
    pushed: u64,
}

#[derive(Default)]
struct Stream {
    is_upload: bool,
    path: String,
    mime_type: String,
    bytes: Vec<u8>,
    at: usize,
}

impl Files {
    fn new() -> Self {
        let file = |path: &str, mime_type: &str, bytes: &[u8]| {
            (path.to_owned(), (mime_type.to_owned(), bytes.to_vec()))
        };
        let files = [
            file("a.txt", "text/plain", b"hello\nworld\nfoo\n"),
            file("odd.txt", "text/plain", "\na\rb\u{c}c\u{2028}d\r\n\r\ne\n".as_bytes()),
            file("b.bin", "application/octet-stream", &[0, 1, 255]),
            file("long.bin", "application/octet-stream", &[7; 200_000]),
            file("short.bin", "application/octet-stream", b"long"),
            file("hollow.bin", "application/octet-stream", b""),
            file("endless.bin", "application/octet-stream", b""),
            file("p.png", "image/png", b"x"),
            file("e.md", "text/markdown", b""),
            file(".schemas/doc.json", "application/json", b"{}"),
        ];
        Self { files: files.into(), streams: BTreeMap::new(), pushed: 1_000_000 }
    }

    /// A part of a stream.
    fn part(&mut self, call: &str, chunk: Value, bytes: Vec<u8>) -> Message {
        self.pushed += 1;
        let header = json!({"tool_call_id": call, "chunk": chunk});
        let kind = "room.tool_call_response_chunk".to_owned();
        Message { id: self.pushed, kind, header, bytes }
    }

    fn answers(&mut self, message: &Message, manner: Manner) -> Vec<Message> {
        let respond = |header: Value| Message::new(message.id, "__response__", header);
        let header = &message.header;
        let empty = json!({"type": "empty"});
        match (manner, message.kind.as_str()) {
            (Manner::Babbles, _) => return vec![respond(json!({"type": "rabbit"}))],
            (Manner::Denies, _) => {
                return vec![respond(json!({"type": "error", "text": "no\nway", "code": 1001}))];
            }
            (_, "room.register_toolkit") => {
                return vec![respond(json!({"type": "json", "json": {"id": "reg1"}}))];
            }
            (_, "room.tool_call_response") => return Vec::new(),
            (_, "room.invoke_tool" | "room.tool_call_request_chunk") => {}
            _ => return vec![respond(empty)],
        }
        let call = header["tool_call_id"].as_str().unwrap();
        let arguments = &header["arguments"]["json"];
        let path = arguments["path"].as_str().unwrap_or_default();
        let answer = match header["tool"].as_str() {
            Some(tool @ ("upload" | "download")) => {
                let stream = Stream { is_upload: tool == "upload", ..Stream::default() };
                self.streams.insert(call.to_owned(), stream);
                json!({"type": "control", "method": "open"})
            }
            Some("exists") => {
                json!({"type": "json", "json": {"exists": self.files.contains_key(path)}})
            }
            // Whoever asks for this folder waits.
            Some("list") if path == "slow" => return Vec::new(),
            Some("list") => {
                let file = json!({
                    "name": "a.txt", "is_folder": false, "size": 16,
                    "created_at": "2026-01-01T00:00:00Z",
                });
                let folder = json!({"name": "d", "is_folder": true});
                json!({"type": "json", "json": {"files": [file, folder]}})
            }
            Some("describe") if path == "broken.thread" => empty,
            Some("describe") => json!({"type": "json", "json": {"root": [{"text": "ä"}]}}),
            _ => {
                let mut answers = vec![respond(empty)];
                answers.extend(self.stream(call, &header["chunk"], &message.bytes, manner));
                return answers;
            }
        };
        vec![respond(answer)]
    }

    /// What a part of a stream leads to.
    fn stream(&mut self, call: &str, chunk: &Value, bytes: &[u8], manner: Manner) -> Vec<Message> {
        let mut stream = self.streams.remove(call).unwrap_or_default();
        let close = json!({"type": "control", "method": "close"});
        let part = |kind: &str| json!({"type": "binary", "headers": {"kind": kind}});
        let headers = &chunk["headers"];
        let mut parts: Vec<(Value, Vec<u8>)> = Vec::new();
        match (stream.is_upload, headers["kind"].as_str()) {
            (true, Some("start")) => {
                stream.path = headers["path"].as_str().unwrap().to_owned();
                stream.mime_type = headers["mime_type"].as_str().unwrap().to_owned();
                let pulls = if manner == Manner::Floods { 100_000 } else { 1 };
                parts.extend(std::iter::repeat_n((part("pull"), Vec::new()), pulls));
            }
            (true, Some(_)) => {
                stream.bytes.extend(bytes);
                parts.push((part("pull"), Vec::new()));
            }
            (true, None) => {
                self.files
                    .insert(stream.path.clone(), (stream.mime_type.clone(), stream.bytes.clone()));
                parts.push((close, Vec::new()));
            }
            (false, Some("start")) => {
                let path = headers["path"].as_str().unwrap();
                match self.files.get(path) {
                    None => {
                        let error = json!({"type": "error", "text": "no such file", "code": 3001});
                        parts.extend([(error, Vec::new()), (close, Vec::new())]);
                    }
                    Some((mime_type, bytes)) => {
                        stream.bytes.clone_from(bytes);
                        // Some say something else of themselves than what they are.
                        let size = match path {
                            "short.bin" => 1,
                            "hollow.bin" => 3,
                            "endless.bin" => u64::MAX,
                            _ => bytes.len() as u64,
                        };
                        let told = json!({
                            "kind": "start", "name": path.rsplit('/').next(),
                            "mime_type": mime_type, "size": size,
                        });
                        parts.push((json!({"type": "binary", "headers": told}), Vec::new()));
                        if size == 0 {
                            parts.push((close, Vec::new()));
                        }
                    }
                }
            }
            (false, Some(_)) => {
                let end = (stream.at + 65_536).min(stream.bytes.len());
                parts.push((part("data"), stream.bytes[stream.at..end].to_vec()));
                stream.at = end;
                if end == stream.bytes.len() && end > 0 {
                    parts.push((close, Vec::new()));
                }
            }
            (false, None) => {}
        }
        self.streams.insert(call.to_owned(), stream);
        parts.into_iter().map(|(chunk, bytes)| self.part(call, chunk, bytes)).collect()
    }
}
