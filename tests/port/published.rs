//! Published ports: which host leads where, who may ask, and what goes on.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{HEAD, SERVES, SOON, World};
use crate::engine_here::IMAGE;
use crate::needs;

/// The name of the host that leads to a port for participants, and to one for everybody.
const CLOSED: &str = "closed.meshagent.app";
const OPEN: &str = "open.meshagent.app";

/// A server with a service that publishes two ports.
struct Site {
    world: World,
    address: String,
}

impl Site {
    async fn start() -> Self {
        let world = World::start().await;
        let said = world.wait_for("said", "published ports are served on http://").await;
        let address = said.split("served on http://").nth(1).expect("an address");
        let address = address.split(',').next().expect("an address").to_owned();
        let reached = &world.server.reached;
        let send = async |path: &str, body: serde_json::Value| {
            let request = reached.own("POST", path).header("content-type", "application/json");
            let answer = request.body(body.to_string()).send().await.expect("an answer");
            let status = answer.status().as_u16();
            let text = answer.text().await.expect("a body");
            assert!((200..300).contains(&status), "{path}: {status} {text}");
        };
        for (domain, port) in [(CLOSED, "80"), (OPEN, "81"), ("none.meshagent.app", "7")] {
            let route =
                json!({"domain": domain, "room_name": "lobby", "port": port, "annotations": {}});
            send("/routes", route).await;
        }
        let route = json!({"domain": "asleep.meshagent.app", "room_name": "attic", "port": "81", "annotations": {}});
        assert_eq!(reached.create_room("attic").await, Some(201));
        send("/routes", route).await;
        let service = json!({
            "version": "v1", "kind": "Service", "metadata": {"name": "web"},
            "container": {"image": IMAGE, "command": SERVES, "environment": [{"name": "HEAD", "value": HEAD}]},
            "ports": [
                {"num": 80, "type": "http", "published": true},
                {"num": 81, "type": "http", "published": true, "public": true},
                {"num": 7, "type": "tcp"},
            ],
        });
        send("/services", service).await;
        Self { world, address }
    }

    /// Sends bytes, and gives all that comes back until the end.
    async fn raw(&self, sent: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).await.expect("a connection");
        stream.write_all(sent.as_bytes()).await.expect("a way out");
        let mut back = Vec::new();
        // A connection that is reset said what it had to say.
        let _ = timeout(SOON, stream.read_to_end(&mut back)).await.expect("an end");
        String::from_utf8_lossy(&back).into_owned()
    }

    /// What a request with these lines is answered.
    async fn asked(&self, lines: &[&str]) -> String {
        self.raw(&format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"))).await
    }

    /// Waits until the service answers.
    async fn ready(&self) {
        let until = std::time::Instant::now() + SOON;
        loop {
            let answer = self.asked(&["GET / HTTP/1.1", &format!("Host: {OPEN}")]).await;
            if answer.starts_with("HTTP/1.1 200") {
                return;
            }
            assert!(std::time::Instant::now() < until, "{answer}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

/// The status line's number.
fn status(answer: &str) -> u16 {
    let number = answer.split(' ').nth(1).unwrap_or_default();
    number.parse().unwrap_or_else(|_| panic!("no status: {answer:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_port_is_reached_by_its_host_and_nothing_else_is() {
    if !needs::podman("published ports") {
        return;
    }
    let site = Site::start().await;
    site.ready().await;
    let of = async |host: &str| {
        let answer = site.asked(&["GET /x?y=1 HTTP/1.1", host]).await;
        (status(&answer), answer)
    };
    for (host, expected) in [
        ("Host: OPEN.meshagent.app:8080", 200),
        ("Host: open.meshagent.app.", 200),
        ("Host: nobody.meshagent.app", 404),
        ("Host: 127.0.0.1", 404),
        ("Host: localhost", 404),
        ("Host: [::1]:80", 404),
        ("Host: open.meshagent.app@evil", 400),
        ("Host:", 400),
        ("X-None: 1", 400),
        ("Host: open.meshagent.app\r\nHost: open.meshagent.app", 400),
        ("Host: none.meshagent.app", 503),
        ("Host: asleep.meshagent.app", 503),
        ("Host: closed.meshagent.app", 401),
    ] {
        let (status, answer) = of(host).await;
        assert_eq!(status, expected, "{host}: {answer}");
    }
    // Hosts that lead nowhere cannot be told apart.
    let body = |answer: String| answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned();
    let unknown = body(of("Host: nobody.meshagent.app").await.1);
    assert_eq!(unknown, body(of("Host: *").await.1));
    assert_eq!(unknown, r#"{"error":"nothing is published under this host"}"#);
    let other = site.asked(&["GET http://evil.test/ HTTP/1.1", "Host: open.meshagent.app"]).await;
    assert_eq!(status(&other), 400, "{other}");
    let connect = site
        .asked(&["CONNECT open.meshagent.app:80 HTTP/1.1", "Host: open.meshagent.app:80"])
        .await;
    assert!([400, 405].contains(&status(&connect)), "{connect}");

    // Who may ask.
    let closed = async |token: &str| {
        let bearer = format!("Authorization: Bearer {token}");
        status(&site.asked(&["GET /cat HTTP/1.1", &format!("Host: {CLOSED}"), &bearer]).await)
    };
    let world = &site.world;
    assert_eq!(closed(&world.token("lobby", json!({}))).await, 200);
    assert_eq!(closed(&world.token("attic", json!({}))).await, 403);
    assert_eq!(closed("x").await, 401);
    assert_eq!(closed(&world.server.reached.key).await, 403);

    // What goes on.
    let lines = [
        "POST /a/../b?c=%20d HTTP/1.1",
        "Host: open.meshagent.app",
        "Authorization: Basic own",
        "X-Forwarded-For: 9.9.9.9",
        "X-Forwarded-User: root",
        "Forwarded: for=9.9.9.9",
        "Keep-Alive: 1",
        "Proxy-Authorization: Basic secret",
        "TE: trailers",
        "Upgrade: h2c",
        "Content-Length: 0",
    ];
    let answer = site.asked(&lines).await;
    let (head, seen) = answer.split_once("\r\n\r\n").expect("a body");
    let seen = seen.to_lowercase();
    assert!(!head.to_lowercase().contains("x-own"), "{head}");
    for line in [
        "post /a/../b?c=%20d http/1.1",
        "host: open.meshagent.app",
        "authorization: basic own",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: open.meshagent.app",
        "x-forwarded-proto: http",
    ] {
        assert!(seen.contains(line), "{line}: {answer}");
    }
    for word in ["9.9.9.9", "root", "keep-alive", "secret", "trailers", "h2c"] {
        assert!(!seen.contains(word), "{word}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_proper_request_reaches_no_container() {
    if !needs::podman("published ports") {
        return;
    }
    let site = Site::start().await;
    site.ready().await;
    let host = format!("Host: {OPEN}");
    let smuggled = format!(
        "POST / HTTP/1.1\r\n{host}\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"
    );
    // The chunks count, the container gets one request with one length, and nothing is read behind.
    let answer = site.raw(&smuggled).await.to_lowercase();
    assert_eq!(answer.matches("http/1.1 200").count(), 1, "{answer}");
    let (_, seen) = answer.split_once("\r\n\r\n").expect("a body");
    assert!(seen.contains("transfer-encoding") && !seen.contains("content-length"), "{answer}");
    for lines in [
        &["POST / HTTP/1.1", &host, "Content-Length: 1", "Content-Length: 2"][..],
        &["POST / HTTP/1.1", &host, "Content-Length: -1"],
        &["POST / HTTP/1.1", &host, "Transfer-Encoding: chunked, gzip"],
        &["GET / HTTP/1.1", &host, "X: a\r\n folded"],
        &["GET /\0 HTTP/1.1", &host],
    ] {
        let answer = site.asked(lines).await;
        assert!(answer.is_empty() || status(&answer) == 400, "{lines:?}: {answer}");
    }
    let huge = format!("X-Huge: {}", "x".repeat(1_000_000));
    let answer = site.asked(&["GET / HTTP/1.1", &host, &huge]).await;
    assert!(answer.is_empty() || status(&answer) == 431, "{answer}");
    // Who says nothing more keeps nobody else waiting.
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(&site.address).await.expect("a connection");
        stream.write_all(b"GET / HT").await.expect("a way out");
        slow.push(stream);
    }
    site.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_goes_through_both_ways_and_ends_with_the_room() {
    if !needs::podman("published ports") {
        return;
    }
    let mut site = Site::start().await;
    site.ready().await;
    let ask = format!(
        "GET /socket HTTP/1.1\r\nHost: {OPEN}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    let mut stream = TcpStream::connect(&site.address).await.expect("a connection");
    stream.write_all(ask.as_bytes()).await.expect("a way out");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    let head = String::from_utf8(head).expect("text");
    assert_eq!(status(&head), 101, "{head}");
    let sent: Vec<u8> = (0..3_000_000_u32).map(|it| (it % 251) as u8).collect();
    let mut back = vec![0; sent.len()];
    let (mut reader, mut writer) = stream.split();
    let (sending, reading) = tokio::join!(writer.write_all(&sent), reader.read_exact(&mut back));
    sending.expect("a way out");
    reading.expect("a way back");
    assert!(back == sent, "what comes back is something else");
    // Whoever leaves last ends the room, and what goes on in it.
    site.world.present.kill().expect("it is killed");
    let _ = timeout(SOON, stream.read_to_end(&mut back)).await.expect("an end");
    let answer = site.asked(&["GET / HTTP/1.1", &format!("Host: {OPEN}")]).await;
    assert_eq!(status(&answer), 503, "{answer}");
}
