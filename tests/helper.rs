//! `helper service`: the host, what it hosts, and what it makes of rooms that behave badly.

mod comparison;
pub(crate) mod program;
pub mod room;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::cli::{Run, Sandbox};
use program::{Program, TOKEN, host, webhook};
use room::{Manner, Rooms, answering, is_end};

const STORAGE: &str = "/toolkits/storage";

/// Waits until a program has said something, or until it must have.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_webhook_is_told_by_name() {
    let program = Program::start().await;
    let data = json!({"room_name": "demo", "room_url": "ws://x", "token": TOKEN});
    let call = json!({"event": "room.call", "data": data}).to_string();
    let upgrade = program.request("GET", STORAGE).header("Upgrade", "websocket");
    let answer = upgrade.header("Meshagent-Webhook", webhook("ws://x")).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let long = format!("{{\"event\": \"{}\"}}", "x".repeat(1024 * 1024));
    for (method, path, body, status, told) in [
        ("POST", STORAGE, call.as_str(), 400, "the key data.arguments is missing"),
        ("POST", STORAGE, "{\"event", 400, "the webhook is not JSON"),
        ("POST", STORAGE, "[]", 400, "the webhook is not an object"),
        ("POST", "/schemas/rabbit", &call, 404, "nothing is served at /schemas/rabbit"),
        ("DELETE", STORAGE, &call, 405, "only GET,HEAD,POST are allowed here"),
        ("POST", "/", &call, 405, "only GET,HEAD are allowed here"),
        ("POST", STORAGE, &long, 413, "the webhook is larger than 1048576 bytes"),
    ] {
        let request = program.request(method, path).header("Content-Type", "application/json");
        let answer = request.body(body.to_owned()).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path} {told}");
        let body: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert!(body["error"].as_str().unwrap().starts_with(told), "{body}");
    }
    let (code, said) = program.end(Signal::SIGTERM);
    assert_eq!(code, Some(0));
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[tokio::test]
async fn web_pages_of_others_call_nothing() {
    let program = Program::start().await;
    for (name, value, status) in [
        ("Host", "evil.example", 421),
        ("Host", "localhost:9000", 200),
        ("Origin", "http://evil.example", 403),
        ("Origin", "null", 403),
        ("Origin", "http://localhost:3000", 200),
    ] {
        for path in ["/", "/.well-known/meshagent-service.json"] {
            let answer = program.request("GET", path).header(name, value).send().await.unwrap();
            assert_eq!(answer.status(), status, "{name}: {value}");
        }
        let call = program.request("POST", "/schemas/thread").header(name, value);
        let call = call.header("Content-Type", "application/json").body("{\"event\": \"x\"}");
        // What is called says itself what it lacks.
        let expected = if status == 200 { 400 } else { status };
        assert_eq!(call.send().await.unwrap().status(), expected, "{name}: {value}");
    }
}

/// Connects and sends a part of a request.
fn begin(address: &str, start: &str) -> std::net::TcpStream {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    stream.write_all(start.as_bytes()).unwrap();
    stream
}

/// What still comes until the other side closes, and how long that takes.
fn until_closed(mut stream: std::net::TcpStream) -> (String, Duration) {
    let (start, mut text) = (Instant::now(), String::new());
    let read = stream.read_to_string(&mut text);
    assert!(
        !read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
        "held: {text}"
    );
    (text, start.elapsed())
}

#[tokio::test]
async fn who_asks_for_nothing_or_slowly_is_let_go() {
    let program = Program::start().await;
    let address = program.address.clone();
    let head =
        format!("POST {STORAGE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n");
    let silent = begin(&address, "");
    let unfinished = begin(&address, &head);
    let bodiless = begin(&address, &format!("{head}content-length: 1000\r\n\r\n{{"));
    let large = begin(&address, &format!("{head}x: {}\r\n\r\n", "y".repeat(300_000)));
    let (told, _) = tokio::task::spawn_blocking(move || until_closed(large)).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 431 "), "{told}");
    for stream in [silent, unfinished, bodiless] {
        let (_, took) = tokio::task::spawn_blocking(move || until_closed(stream)).await.unwrap();
        assert!(took < Duration::from_secs(30), "{took:?}");
    }
    assert_eq!(program.request("GET", "/").send().await.unwrap().status(), 200);
    assert_eq!(program.end(Signal::SIGTERM).0, Some(0));
}

#[tokio::test]
async fn every_signal_to_end_leaves_the_rooms_first() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGABRT] {
        let mut rooms = Rooms::open().await;
        let program = Program::start().await;
        assert_eq!(program.call(STORAGE, &rooms.url(Manner::Good)).await, 200);
        let mut session = rooms.entered().await;
        assert_eq!(session.query["token"], TOKEN);
        assert_eq!(session.next().await.unwrap().kind, "room.register_toolkit");
        // Somebody still waits for an answer, and a room is not ready yet.
        session.call(
            7,
            "list_files_in_room",
            &json!({"type": "json", "json": {"path": "slow"}}),
            b"",
        );
        assert_eq!(session.next().await.unwrap().header["tool"], "list");
        assert_eq!(program.call(STORAGE, &rooms.url(Manner::Silent)).await, 200);
        settle().await;
        let begun = Instant::now();
        let ended = tokio::task::spawn_blocking(move || program.end(signal));
        let leaving = session.next().await.unwrap();
        assert_eq!(leaving.kind, "room.unregister_toolkit");
        assert_eq!(leaving.header, json!({"id": "reg1"}));
        let left = session.next().await.unwrap();
        assert_eq!((left.kind.as_str(), left.header), ("left", json!({"code": 1000})));
        let (code, said) = ended.await.unwrap();
        assert_eq!(code, Some(0), "{signal}: {said}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{signal}: {:?}", begun.elapsed());
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_told() {
    let host = host();
    let _taken = tokio::net::TcpListener::bind((host.as_str(), 9000)).await.unwrap();
    let sandbox = Sandbox::new();
    let run = |host: &str| {
        Run::of(
            sandbox.command(&["helpers", "service"]).env("MESHAGENT_HOST", host).output().unwrap(),
        )
    };
    let taken = run(&host);
    assert_eq!(taken.code, 1);
    let told = format!("error: failed to listen on {host}:9000: ");
    assert!(taken.stderr.starts_with(&told), "{}", taken.stderr);
    assert!(
        taken.stderr.contains("\nhint: stop the program that listens there"),
        "{}",
        taken.stderr
    );
    assert_eq!(taken.stderr.lines().count(), 2, "{}", taken.stderr);
    // An address of somebody else.
    let foreign = run("192.0.2.1");
    assert_eq!((foreign.code, foreign.stderr.lines().count()), (1, 2), "{}", foreign.stderr);
}

#[tokio::test]
async fn a_bad_room_costs_one_line_and_no_more() {
    for (manner, path, why) in [
        (Manner::Refuses, STORAGE, "it answered with 401 Unauthorized"),
        (Manner::Closes, STORAGE, "the connection was lost"),
        (Manner::Cuts, STORAGE, "a packet is too short"),
        (Manner::Babbles, STORAGE, "there is no content type \"rabbit\""),
        (Manner::Leaves, STORAGE, "the connection was lost"),
        (Manner::Leaves, "/schemas/widget", "the connection was lost"),
        (Manner::Denies, STORAGE, "no way"),
        (Manner::Denies, "/schemas/widget", "no way"),
        (Manner::Sleeps, STORAGE, "nothing was received for 0.4 s"),
        (Manner::Dies, STORAGE, "the connection was lost"),
    ] {
        let rooms = Rooms::open().await;
        let program = match manner {
            Manner::Sleeps => Program::impatient().await,
            _ => Program::start().await,
        };
        assert_eq!(program.call(path, &rooms.url(manner)).await, 200);
        program.lines(2).await;
        assert_eq!(program.request("GET", "/").send().await.unwrap().status(), 200);
        let (code, said) = program.end(Signal::SIGTERM);
        assert_eq!(code, Some(0));
        let lines: Vec<&str> = said.lines().skip(1).collect();
        let [line] = lines[..] else { panic!("{manner:?} {path}: {said}") };
        let told = format!("error: {path} was called to the room \"demo\" and failed there: ");
        assert!(line.starts_with(&told) && line.contains(why), "{manner:?}: {line}");
        assert!(!said.contains(TOKEN), "{said}");
    }
}

/// A room may ask for more parts than there are, and says so before it answers anything.
#[tokio::test]
async fn a_room_that_says_much_at_once_is_heard_to_its_end_and_not_kept() {
    let mut rooms = Rooms::open().await;
    let program = Program::start().await;
    let before = program.most_memory();
    assert_eq!(program.call("/schemas/widget", &rooms.url(Manner::Floods)).await, 200);
    let mut session = rooms.entered().await;
    let heard = session.until(is_end).await;
    assert_eq!(heard.last().unwrap().header["chunk"]["status_code"], 1000);
    let sent: usize = heard.iter().map(|message| message.bytes.len()).sum();
    assert_eq!(heard[1].header["chunk"]["headers"]["size"], sent);
    // It is let go only once it has heard that the file is stored.
    session.dismiss();
    assert_eq!(session.next().await.unwrap().header, json!({"code": 1000}));
    // As objects, what the room said takes about 80 MB.
    let memory = program.most_memory() - before;
    assert!(memory < 32 * 1024, "{memory} KiB");
    let (code, said) = program.end(Signal::SIGTERM);
    assert_eq!((code, said.lines().count()), (Some(0), 1), "{said}");
}

#[tokio::test]
async fn a_room_that_closes_is_left_without_a_word() {
    let mut rooms = Rooms::open().await;
    let program = Program::start().await;
    for path in [STORAGE, "/schemas/thread"] {
        assert_eq!(program.call(path, &rooms.url(Manner::Good)).await, 200);
        let mut session = rooms.entered().await;
        session.until(|message| message.kind == "room.register_toolkit" || is_end(message)).await;
        settle().await;
        session.close();
        assert_eq!(session.next().await, None);
    }
    let (code, said) = program.end(Signal::SIGTERM);
    assert_eq!((code, said.lines().count()), (Some(0), 1), "{said}");
}

/// What asks must listen meanwhile, and one that waits must not keep the others waiting.
#[tokio::test]
async fn calls_are_answered_as_they_are_done_and_not_without_bound() {
    let mut rooms = Rooms::open().await;
    let program = Program::start().await;
    let mut session = answering(program.connect(STORAGE).await).await;
    session.next().await.unwrap();
    let list = |path: &str| json!({"type": "json", "json": {"path": path}});
    for id in 0..31 {
        session.call(id, "list_files_in_room", &list("slow"), b"");
        assert_eq!(session.next().await.unwrap().header["tool"], "list");
    }
    session.call(100, "list_files_in_room", &list("quick"), b"");
    let answer = session.until(|message| message.kind == "room.tool_call_response").await;
    assert_eq!(answer.last().unwrap().id, 100);
    session.call(31, "list_files_in_room", &list("slow"), b"");
    assert_eq!(session.next().await.unwrap().header["tool"], "list");
    session.call(101, "list_files_in_room", &list("quick"), b"");
    let refused = session.next().await.unwrap();
    assert_eq!((refused.id, &refused.header["type"]), (101, &json!("error")));
    // The same path works in another room meanwhile.
    assert_eq!(program.call(STORAGE, &rooms.url(Manner::Good)).await, 200);
    let mut other = rooms.entered().await;
    other.next().await.unwrap();
    other.call(5, "list_files_in_room", &list("quick"), b"");
    let answer = other.until(|message| message.kind == "room.tool_call_response").await;
    assert_eq!(answer.last().unwrap().id, 5);
}

#[tokio::test]
async fn files_that_are_not_what_they_say_are_refused() {
    let program = Program::start().await;
    let mut session = answering(program.connect(STORAGE).await).await;
    session.next().await.unwrap();
    for (path, told) in [
        ("short.bin", "makes no sense"),
        ("hollow.bin", "makes no sense"),
        ("endless.bin", "more than the 67108864 allowed"),
    ] {
        let arguments = json!({"type": "json", "json": {"path": path}});
        session.call(7, "read_file", &arguments, b"");
        let heard = session.until(|message| message.kind == "room.tool_call_response").await;
        let text = heard.last().unwrap().header["text"].as_str().unwrap();
        assert!(text.contains(told), "{path}: {text}");
        // The room is told that no more is wanted, whatever came.
        assert!(heard.iter().any(is_end), "{path}");
    }
}

/// Both halves of a call are ours here.
#[tokio::test]
async fn what_calls_is_understood_by_what_is_called() {
    let mut rooms = Rooms::open().await;
    let program = Program::start().await;
    let base = rooms.url(Manner::Good);
    let (base, _) = base.split_once("/rooms/").unwrap();
    let url = format!("http://{}/schemas/transcript", program.address);
    let words = ["call", "schema", "--room", "Good", "--participant-name", "bot", "--url", &url];
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&words);
    command.envs([
        ("MESHAGENT_ROOM_URL", base),
        ("MESHAGENT_TOKEN", TOKEN),
        ("MESHAGENT_PROJECT_ID", "11111111-1111-4111-8111-111111111111"),
    ]);
    let run = Run::of(command.output().unwrap());
    assert_eq!((run.code, run.stderr.as_str()), (0, "bot is called into the room Good\n"));
    let mut session = rooms.entered().await;
    assert_eq!(session.query["token"], TOKEN);
    let heard = session.until(is_end).await;
    assert_eq!(heard[1].header["chunk"]["headers"]["path"], ".schemas/transcript.json");
}

#[tokio::test]
async fn rooms_are_bounded() {
    let rooms = Rooms::open().await;
    let program = Program::start().await;
    for _ in 0..256 {
        assert_eq!(program.call("/schemas/thread", &rooms.url(Manner::Silent)).await, 200);
    }
    assert_eq!(program.call("/schemas/thread", &rooms.url(Manner::Silent)).await, 503);
    assert_eq!(program.request("GET", "/").send().await.unwrap().status(), 200);
    assert_eq!(program.end(Signal::SIGTERM).0, Some(0));
}
