//! Rooms that run: who comes in, what they hear, and how it ends.

use futures_util::{SinkExt, StreamExt};
use meshagent::platform::Platform;
use meshagent::room::client::Room;
use meshagent::room::content::Content;
use meshagent::room::invocation::Invocation;
use meshagent::room::message::{Assembler, Message, SLICE};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

use super::harness::{Server, client, token, token_for};
use super::process::{Process, server};

/// A participant that shows what goes over the wire.
pub struct Visitor {
    pub socket: WebSocketStream<TcpStream>,
    assembler: Assembler,
}

impl Visitor {
    /// Enters a room, with the token in the query or, where it is told so, in a header; or says
    /// with which status it was refused.
    pub async fn try_enter(
        url: &str,
        room: &str,
        token: &str,
        by_header: bool,
    ) -> Result<Self, u16> {
        let address = url.strip_prefix("http://").expect("a URL");
        let query = if by_header { String::new() } else { format!("?token={token}&v=0.31.4") };
        let request = format!("ws://{address}/rooms/{room}{query}");
        let mut request = request.into_client_request().expect("a request");
        if by_header {
            let bearer = format!("Bearer {token}").parse().expect("a header");
            request.headers_mut().insert("authorization", bearer);
        }
        let stream = TcpStream::connect(address).await.expect("a connection");
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self { socket, assembler: Assembler::default() }),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn enter(server: &Server, room: &str, token: &str) -> Self {
        Self::try_enter(&server.url, room, token, false).await.expect("a way in")
    }

    /// The next message.
    pub async fn next(&mut self) -> Message {
        loop {
            match self.socket.next().await.expect("more").expect("a frame") {
                Frame::Binary(packet) => {
                    if let Some(message) = self.assembler.take(&packet).expect("a packet") {
                        return message;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// What the room says to whoever comes in: who that is, and the session.
    pub async fn greeting(&mut self) -> (Value, Value) {
        let (first, second) = (self.next().await, self.next().await);
        assert_eq!((first.kind.as_str(), second.kind.as_str()), ("connected", "room_ready"));
        (first.header, second.header)
    }

    pub async fn send(&mut self, message: &Message) {
        for packet in message.packets(SLICE) {
            self.socket.send(Frame::binary(packet)).await.expect("a way out");
        }
    }

    /// The code with which the platform closes, after whatever else comes.
    pub async fn end(&mut self) -> Option<u16> {
        while let Some(Ok(frame)) = self.socket.next().await {
            if let Frame::Close(close) = frame {
                return close.map(|close| close.code.into());
            }
        }
        None
    }

    /// Leaves, and waits until the platform has seen it.
    pub async fn leave(mut self) {
        self.socket.close(None).await.expect("a way out");
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

#[tokio::test]
async fn a_room_greets_who_enters_and_refuses_what_it_does_not_know() {
    let server = Server::start().await;
    server.room("demo").await;
    let key = server.key_of(&server.project).await;
    let token = token(&key, json!({"queues": {}}));
    let mut visitor = Visitor::enter(&server, "demo", &token).await;
    let (connected, ready) = visitor.greeting().await;
    let participant = connected["participantId"].as_str().expect("an id");
    assert!(!participant.is_empty());
    let attributes = json!({"name": "ada"});
    let init = json!({"type": "init", "participantId": participant, "attributes": attributes});
    assert_eq!(connected, init);
    let session = ready["session_id"].as_str().expect("a session");
    let url = format!("{}/rooms/demo", server.url.replace("http", "ws"));
    let expected = json!({"room_name": "demo", "room_url": url, "session_id": session});
    assert_eq!(ready, expected);

    // What has no answer gets none, so the next message answers the call.
    visitor.send(&Message::new(1, "set_attributes", json!({"name": "eve", "mood": "good"}))).await;
    let call = json!({"toolkit": "rabbit", "tool": "list", "arguments": {"type": "empty"}});
    visitor.send(&Message::new(9, "room.invoke_tool", call)).await;
    let answer = visitor.next().await;
    assert_eq!((answer.id, answer.kind.as_str()), (9, "__response__"));
    assert_eq!((&answer.header["type"], &answer.header["code"]), (&json!("error"), &json!(1003)));
    visitor.leave().await;

    // The program's own client.
    let secret = SecretString::from(token);
    let (room, _incoming) = Room::enter(&url, &secret, true).await.expect("a room");
    let listed = room.ask("room.list_toolkits", json!({})).await.expect("an answer");
    assert_eq!(listed, json!({"type": "json", "json": {"tools": {}}}));
    let call = |toolkit: &str, tool: &str| Invocation::new(toolkit, tool, Content::Json(json!({})));
    let listed = room.invoke(call("queues", "list")).await.expect("an answer");
    assert_eq!(listed, Content::Json(json!({"queues": []})));
    let refused = room.invoke(call("queues", "rabbit")).await.expect_err("no tool");
    assert_eq!(refused.code, Some(1003));
    let refused = room.invoke(call("livekit", "connect")).await.expect_err("no toolkit");
    assert_eq!(refused.code, Some(1007));
    let refused = room.request("room.rabbit", json!({}), Vec::new()).await.expect_err("nothing");
    assert_eq!(refused.code, Some(1002));
    room.leave().await;
}

#[tokio::test]
async fn a_token_without_an_api_grant_enters_and_calls_nothing() {
    let server = Server::start().await;
    server.room("demo").await;
    let key = server.key_of(&server.project).await;
    let claims = super::harness::claims(&key, None);
    let token = super::harness::signed(jsonwebtoken::Algorithm::HS256, &claims, &key);
    let mut visitor = Visitor::enter(&server, "demo", &token).await;
    visitor.greeting().await;
    visitor.send(&Message::new(1, "room.list_toolkits", json!({}))).await;
    let answer = visitor.next().await.header;
    assert_eq!(answer["code"], 1001);
    let text = "you do not have permission to perform the requested action";
    assert_eq!(answer["text"], text);
}

#[tokio::test]
async fn a_room_is_entered_by_a_token_in_the_query_or_in_a_header() {
    let server = Server::start().await;
    server.room("demo").await;
    let given = server.connect(&server.owner, "demo").await;
    for by_header in [false, true] {
        let entered = Visitor::try_enter(&server.url, "demo", &given, by_header).await;
        entered.expect("a way in").greeting().await;
        let none = Visitor::try_enter(&server.url, "demo", "None", by_header).await;
        assert_eq!(none.err(), Some(401));
        let key = Visitor::try_enter(&server.url, "demo", &server.owner, by_header).await;
        assert_eq!(key.err(), Some(403));
        let other = Visitor::try_enter(&server.url, "other", &given, by_header).await;
        assert_eq!(other.err(), Some(403));
    }
    // A header that is no credential is not made up for by a query.
    let path = format!("/rooms/demo?token={given}");
    let asked = server.ask("GET", &path);
    asked.header("authorization", "Basic x").send().await.expect(401);
    server.ask("GET", &format!("{path}&token=x")).send().await.expect(401);
    server.ask("GET", "/rooms/demo").send().await.expect(401);
    // Who may enter is told what is missing for that.
    let told = server.ask("GET", &path).send().await.expect(400).json();
    assert_eq!(told["error"], "the headers Connection and Upgrade do not ask for a websocket");
    let asked = client().head(format!("{}{path}", server.url)).send().await.expect("an answer");
    assert_eq!(asked.status(), 405);
    // A token of a project's key creates the room that it is for; another one does not.
    let key = server.key_of(&server.project).await;
    let nowhere = token_for(&key, "nowhere", json!({}));
    let created = Visitor::try_enter(&server.url, "nowhere", &nowhere, false).await;
    created.expect("a way in").greeting().await;
    assert_eq!(server.read("/rooms/nowhere").await.expect(200).json()["name"], "nowhere");
    let bad = token_for(&key, "No%20where", json!({}));
    let refused = Visitor::try_enter(&server.url, "No%2520where", &bad, false).await;
    assert_eq!(refused.err(), Some(400));
    server.send("POST", "/users", json!({"user_id": "ada"})).await.expect(201);
    let member = token_for(&server.key_for_user("ada").await, "elsewhere", json!({}));
    let missing = Visitor::try_enter(&server.url, "elsewhere", &member, false).await;
    assert_eq!(missing.err(), Some(404));
}

#[tokio::test]
async fn what_a_member_signs_opens_what_was_granted_and_no_more() {
    let server = Server::start().await;
    let room = server.room("demo").await;
    server.room("other").await;
    server.send("POST", "/users", json!({"user_id": "ada"})).await.expect(201);
    let key = server.key_for_user("ada").await;
    let entered = async |room: &str, scope: Value| {
        let token = token_for(&key, room, scope);
        Visitor::try_enter(&server.url, room, &token, false).await.err()
    };
    assert_eq!(entered("demo", json!({"queues": {}})).await, Some(403));
    let grant = json!({
        "room_id": room, "user_id": "ada", "permissions": {"queues": {"send": ["a"]}},
    });
    server.send("POST", "/room-grants", grant).await.expect(201);
    assert_eq!(entered("demo", json!({"queues": {"send": ["a"]}})).await, None);
    assert_eq!(entered("demo", json!({})).await, None);
    for more in [json!({"queues": {}}), json!({"admin": {}}), json!({"queues": 5})] {
        assert_eq!(entered("demo", more.clone()).await, Some(403), "{more}");
    }
    assert_eq!(entered("other", json!({"queues": {"send": ["a"]}})).await, Some(403));
    // What the platform gave for a grant ends with it.
    let given = server.connect(&key, "demo").await;
    let path = format!("/room-grants/{room}/ada");
    server.own("DELETE", &path).send().await.expect(204);
    let ended = Visitor::try_enter(&server.url, "demo", &given, false).await;
    assert_eq!(ended.err(), Some(401));
}

#[tokio::test]
async fn a_room_runs_from_the_first_to_the_last() {
    let server = Server::start().await;
    server.room("demo").await;
    let given = server.connect(&server.owner, "demo").await;
    let mut first = Visitor::enter(&server, "demo", &given).await;
    let (me, ready) = first.greeting().await;
    let mut second = Visitor::enter(&server, "demo", &given).await;
    let (other, again) = second.greeting().await;
    assert_ne!(me["participantId"], other["participantId"]);
    assert_eq!(ready["session_id"], again["session_id"]);
    first.leave().await;
    let mut third = Visitor::enter(&server, "demo", &given).await;
    assert_eq!(third.greeting().await.1["session_id"], ready["session_id"]);
    second.leave().await;
    third.leave().await;
    let mut next = Visitor::enter(&server, "demo", &given).await;
    assert_ne!(next.greeting().await.1["session_id"], ready["session_id"]);
}

#[tokio::test]
async fn who_enters_a_room_under_its_new_name_is_told_that_name() {
    let server = Server::start().await;
    let room = server.room("demo").await;
    let given = server.connect(&server.owner, "demo").await;
    let mut first = Visitor::enter(&server, "demo", &given).await;
    assert_eq!(first.greeting().await.1["room_name"], "demo");
    let renamed = server.own("PUT", &format!("/rooms/{room}")).json(&json!({"name": "hall"}));
    renamed.send().await.expect(200);
    let given = server.connect(&server.owner, "hall").await;
    let mut second = Visitor::enter(&server, "hall", &given).await;
    let (_, ready) = second.greeting().await;
    assert_eq!(ready["room_name"], "hall");
    assert!(ready["room_url"].as_str().is_some_and(|url| url.ends_with("/rooms/hall")), "{ready}");
    // Who is called to the room by somebody who entered it as `demo` can enter it, too.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let call = json!({"name": "bot", "url": url, "arguments": {}});
    first.send(&Message::new(7, "room.call", call)).await;
    let (mut stream, _) = listener.accept().await.expect("a call");
    let mut told = Vec::new();
    let called: Value = loop {
        assert_ne!(stream.read_buf(&mut told).await.expect("a request"), 0);
        let text = String::from_utf8_lossy(&told);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| serde_json::from_str(body));
        if let Some(Ok(body)) = body {
            break body;
        }
    };
    let called = &called["data"];
    assert_eq!(called["room_name"], "hall");
    assert!(
        called["room_url"].as_str().is_some_and(|url| url.ends_with("/rooms/hall")),
        "{called}"
    );
    let token = called["token"].as_str().expect("a token");
    Visitor::enter(&server, "hall", token).await.greeting().await;
}

#[tokio::test]
async fn the_files_of_a_room_that_was_deleted_are_gone_after_a_start_at_the_latest() {
    let server = Server::start().await;
    let room = server.room("demo").await;
    let rooms = server.folder().join("rooms");
    let (stays, goes) = (rooms.join(&room), rooms.join("413e7d0c-3b0e-4a0e-9a3a-1f1b0c8b7a55"));
    let other = rooms.join("mine");
    for folder in [&stays, &goes, &other] {
        std::fs::create_dir_all(folder.join("files")).expect("a folder");
    }
    // The first participant has this process take the rooms.
    let given = server.connect(&server.owner, "demo").await;
    let mut visitor = Visitor::enter(&server, "demo", &given).await;
    visitor.greeting().await;
    while goes.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(stays.exists() && other.exists());
}

/// Another process of the same store deletes it: nothing of that is heard, so it is looked for.
#[tokio::test]
async fn a_room_that_another_process_deleted_ends() {
    let server = Server::start().await;
    let room = server.room("demo").await;
    let given = server.connect(&server.owner, "demo").await;
    let mut visitor = Visitor::enter(&server, "demo", &given).await;
    visitor.greeting().await;
    let same = Platform::open(&server.folder()).await.expect("the same store");
    let beside = Server::of(same, tempfile::tempdir().expect("a folder")).await;
    beside.own("DELETE", &format!("/rooms/{room}")).send().await.expect(204);
    assert_eq!(visitor.end().await, Some(1001));
}

/// The status of an upgrade that is written by hand.
async fn upgraded(server: &Server, line: &str, key: &str, token: &str) -> String {
    let address = server.url.strip_prefix("http://").expect("a URL");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!(
        "{line}\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n{key}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("a way out");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("a status");
    String::from_utf8_lossy(&answer[9..]).into_owned()
}

#[tokio::test]
async fn what_asks_for_no_websocket_gets_none() {
    let server = Server::start().await;
    server.room("demo").await;
    let given = server.connect(&server.owner, "demo").await;
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    for (line, key, status) in [
        ("GET /rooms/demo HTTP/1.1", key, "101"),
        ("GET /rooms/demo HTTP/1.0", key, "400"),
        ("GET /rooms/demo HTTP/1.1", "Sec-WebSocket-Key: x", "400"),
        ("GET /rooms/demo HTTP/1.1", &format!("{key}\r\n{key}"), "400"),
        ("GET /rooms/demo HTTP/1.1", "X: y", "400"),
        ("GET /rooms/%ff HTTP/1.1", key, "400"),
    ] {
        assert_eq!(upgraded(&server, line, key, &given).await, status, "{line} {key}");
    }
    // Who is not let in creates no room either.
    let own = server.key_of(&server.project).await;
    let given = token_for(&own, "new", json!({}));
    let asked = upgraded(&server, "GET /rooms/new HTTP/1.1", "X: y", &given).await;
    assert_eq!(asked, "400");
    let rooms = server.read("/rooms").await.json();
    assert_eq!(rooms["rooms"].as_array().map(Vec::len), Some(1), "{rooms}");
}

/// How much memory this process holds, in bytes.
fn held() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("a system with /proc");
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number") * 4096
}

/// Answers to pings wait for who does not take them, up to a bound.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_takes_take_no_room() {
    let server = Server::start().await;
    server.room("demo").await;
    let given = server.connect(&server.owner, "demo").await;
    let mut visitor = Visitor::enter(&server, "demo", &given).await;
    visitor.greeting().await;
    let before = held();
    // 100 MB of them.
    for _ in 0..800_000 {
        let ping = Frame::Ping(vec![b'x'; 125].into());
        if visitor.socket.feed(ping).await.is_err() {
            break;
        }
    }
    let after = held();
    assert!(after < before + 50_000_000, "{before} bytes before, {after} after");
}

#[tokio::test]
async fn who_is_in_a_room_that_is_deleted_must_leave() {
    let server = Server::start().await;
    let (room, _) = (server.room("demo").await, server.room("other").await);
    let given = server.connect(&server.owner, "demo").await;
    let beside = server.connect(&server.owner, "other").await;
    let mut visitor = Visitor::enter(&server, "demo", &given).await;
    let mut beside = Visitor::enter(&server, "other", &beside).await;
    visitor.greeting().await;
    beside.greeting().await;
    server.own("DELETE", &format!("/rooms/{room}")).send().await.expect(204);
    assert_eq!(visitor.end().await, Some(1001));
    let again = Visitor::try_enter(&server.url, "demo", &given, false).await;
    assert_eq!(again.err(), Some(404));
    // Another room goes on.
    beside.send(&Message::new(1, "room.list_toolkits", json!({}))).await;
    assert_eq!(beside.next().await.id, 1);
}

#[tokio::test]
async fn what_is_not_the_protocol_ends_the_connection() {
    let server = Server::start().await;
    server.room("demo").await;
    let given = server.connect(&server.owner, "demo").await;
    // Of a message that is announced, more comes than there is room for.
    let long = Message::new(1, "x", json!("x".repeat(5 * 1024 * 1024)));
    let many = json!({"x": "x".repeat(70 * 1024)});
    let many = Message::new(1, "set_attributes", many);
    for (packets, code) in [
        (vec![Frame::text("{}")], 1003),
        (vec![Frame::binary(b"short".to_vec())], 1002),
        (vec![Frame::binary(vec![0; 5 * 1024 * 1024])], 1009),
        (long.packets(SLICE).map(Frame::binary).collect(), 1009),
        (many.packets(SLICE).map(Frame::binary).collect(), 1008),
    ] {
        let mut visitor = Visitor::enter(&server, "demo", &given).await;
        visitor.greeting().await;
        for packet in packets {
            // It may be closed before all of it was sent.
            let _ = visitor.socket.send(packet).await;
        }
        assert_eq!(visitor.end().await, Some(code));
    }
}

#[tokio::test]
async fn participants_have_half_of_the_connections_at_most() {
    let folder = tempfile::tempdir().expect("a folder");
    // Eight connections.
    let process = Process::start(&mut server(&folder.path().join("data"), "ulimit -n 80;"));
    let reached = &process.reached;
    assert_eq!(reached.create_room("demo").await, Some(201));
    let given = token(&reached.key, json!({}));
    let mut inside = Vec::new();
    for _ in 0..4 {
        let entered = Visitor::try_enter(&reached.url, "demo", &given, false).await;
        inside.push(entered.expect("a way in"));
    }
    let full = Visitor::try_enter(&reached.url, "demo", &given, false).await;
    assert_eq!(full.err(), Some(503));
    // Whoever asks for something else still gets it.
    assert_eq!(reached.create_room("other").await, Some(201));
    for mut visitor in inside.drain(2..) {
        visitor.greeting().await;
        visitor.leave().await;
    }
    let entered = Visitor::try_enter(&reached.url, "demo", &given, false).await;
    entered.expect("a place").greeting().await;
    for visitor in &mut inside {
        visitor.greeting().await;
    }
}

#[tokio::test]
async fn rooms_close_before_requests_are_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let platform = Platform::open(&folder.path().join("data")).await.expect("a platform");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (url, known) = (format!("http://{address}"), platform.bootstrap());
    let (key, project) = (known.api_key.expose_secret().to_owned(), known.project_id);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(platform.serve(listener, async {
        let _ = stopped.await;
    }));
    let made = client().post(format!("{url}/accounts/projects/{project}/rooms"));
    let made = made.bearer_auth(&key).body(r#"{"name":"demo"}"#).send().await.expect("an answer");
    assert_eq!(made.status(), 201);
    let given = token(&key, json!({}));
    let entered = Visitor::try_enter(&url, "demo", &given, false).await;
    let mut visitor = entered.expect("a way in");
    visitor.greeting().await;

    // A request that is under way: its body is asked for.
    let mut upload = TcpStream::connect(&address).await.expect("a connection");
    let head = format!(
        "POST /projects/{project}/storage/upload?path=a HTTP/1.1\r\nhost: {address}\r\n\
         authorization: Bearer {key}\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n"
    );
    upload.write_all(head.as_bytes()).await.expect("a head");
    let mut told = vec![0; 1024];
    let length = upload.read(&mut told).await.expect("an answer");
    assert!(told[..length].starts_with(b"HTTP/1.1 100 "), "{:?}", &told[..length]);

    stop.send(()).expect("a platform");
    assert_eq!(visitor.end().await, Some(1001));
    while let Some(Ok(_)) = visitor.socket.next().await {}
    // The room is closed, and the request is still being waited for.
    assert!(!serving.is_finished());
    upload.write_all(b"hello").await.expect("a body");
    let length = upload.read(&mut told).await.expect("an answer");
    assert!(told[..length].starts_with(b"HTTP/1.1 201 "), "{:?}", &told[..length]);
    serving.await.expect("an end").expect("no error");
}

#[tokio::test]
async fn who_may_no_longer_be_in_a_room_is_removed_from_it() {
    let server = Server::start().await;
    let room = server.room("demo").await;
    server.send("POST", "/users", json!({"user_id": "ada"})).await.expect(201);
    let key = server.key_for_user("ada").await;
    let grant = json!({"room_id": room, "user_id": "ada", "permissions": {"queues": {}}});
    server.send("POST", "/room-grants", grant).await.expect(201);
    let given = server.connect(&key, "demo").await;
    let signed = token_for(&key, "demo", json!({"queues": {}}));
    let mut inside = Vec::new();
    for token in [&given, &signed] {
        let mut visitor = Visitor::enter(&server, "demo", token).await;
        visitor.greeting().await;
        inside.push(visitor);
    }
    let given = server.connect(&server.owner, "demo").await;
    let mut owner = Visitor::enter(&server, "demo", &given).await;
    owner.greeting().await;
    server.own("DELETE", &format!("/room-grants/{room}/ada")).send().await.expect(204);
    for visitor in &mut inside {
        assert_eq!(visitor.end().await, Some(1008));
    }
    owner.send(&Message::new(1, "room.list_toolkits", json!({}))).await;
    assert_eq!(owner.next().await.id, 1);
}
