//! How long rooms run, how many of them, and how large their messages may be: what the settings
//! say, and what the annotations of a room say.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use meshagent::room::message::Message;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::harness::{Server, token, token_for};
use super::hostile_rooms::invoke;
use super::process::{Process, server};
use super::rooms::Visitor;

const EMPTY_TIMEOUT: &str = "meshagent.room.empty-room-timeout";
const MAX_RUNTIME: &str = "meshagent.room.max-runtime-seconds";

/// A room with annotations, and a token for it.
async fn room(server: &Server, annotations: Value) -> String {
    let body = json!({"name": "demo", "annotations": annotations});
    server.send("POST", "/rooms", body).await.expect(201);
    token(&server.key_of(&server.project).await, json!({"queues": {}}))
}

/// Enters, and says in which session.
async fn session(server: &Server, given: &str) -> (Visitor, String) {
    let mut visitor = Visitor::enter(server, "demo", given).await;
    let (_, ready) = visitor.greeting().await;
    (visitor, ready["session_id"].as_str().expect("a session").to_owned())
}

/// Waits until no session goes on.
async fn all_have_ended(server: &Server) {
    for _ in 0..2000 {
        let active = server.read("/sessions/active").await.expect(200).json();
        if active["sessions"] == json!([]) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a session goes on");
}

#[tokio::test]
async fn an_empty_room_goes_on_for_as_long_as_its_annotation_says() {
    let server = Server::start().await;
    let given = room(&server, json!({EMPTY_TIMEOUT: "3600"})).await;
    let (visitor, first) = session(&server, &given).await;
    visitor.leave().await;
    let (visitor, second) = session(&server, &given).await;
    assert_eq!(first, second);
    visitor.leave().await;
    let active = server.read("/sessions/active").await.expect(200).json();
    assert_eq!(active["sessions"][0]["id"], json!(first));
}

#[tokio::test]
async fn an_empty_room_ends_when_its_time_is_over_and_at_once_without_one() {
    for annotations in [json!({EMPTY_TIMEOUT: "1"}), json!({EMPTY_TIMEOUT: "0"}), json!({})] {
        let server = Server::start().await;
        let given = room(&server, annotations).await;
        let (visitor, first) = session(&server, &given).await;
        visitor.leave().await;
        all_have_ended(&server).await;
        assert_ne!(session(&server, &given).await.1, first);
    }
}

#[tokio::test]
async fn a_room_ends_after_its_longest_time_whoever_is_in_it() {
    let server = Server::start().await;
    let given = room(&server, json!({MAX_RUNTIME: "1", EMPTY_TIMEOUT: "3600"})).await;
    let (mut visitor, first) = session(&server, &given).await;
    assert_eq!(visitor.end().await, Some(1001));
    all_have_ended(&server).await;
    // It begins again, with its time.
    let (mut visitor, second) = session(&server, &given).await;
    assert_ne!(first, second);
    assert_eq!(visitor.end().await, Some(1001));
}

#[tokio::test]
async fn annotations_about_how_long_a_room_runs_must_be_numbers() {
    let server = Server::start().await;
    let id = server.room("demo").await;
    for (name, text, told) in [
        (EMPTY_TIMEOUT, "abc", "must be a whole number of seconds"),
        (EMPTY_TIMEOUT, "1.5", "must be a whole number of seconds"),
        (MAX_RUNTIME, "-1", "must be a whole number of seconds"),
        (MAX_RUNTIME, "0", "must be at least 1: nobody could stay in the room"),
    ] {
        let field = format!("annotations.{name}");
        let body = |room: &str| json!({"name": room, "annotations": {name: text}});
        for (method, path, name) in
            [("POST", "/rooms".to_owned(), "new"), ("PUT", format!("/rooms/{id}"), "demo")]
        {
            let refused = server.send(method, &path, body(name)).await.refuses(&field);
            assert!(refused.text.contains(told), "{}", refused.text);
        }
    }
    server.read("/rooms/new").await.expect(404);
}

/// A room that an earlier platform stored.
#[tokio::test]
async fn a_stored_annotation_that_cannot_be_read_says_nothing() {
    let server = Server::start().await;
    let given = room(&server, json!({})).await;
    let pool = server.store().await;
    sqlx::query("UPDATE rooms SET annotations = $1")
        .bind(json!({EMPTY_TIMEOUT: "soon", MAX_RUNTIME: "0"}).to_string())
        .execute(&pool)
        .await
        .expect("a change");
    pool.close().await;
    let (visitor, _) = session(&server, &given).await;
    visitor.leave().await;
    all_have_ended(&server).await;
}

#[tokio::test]
async fn no_more_rooms_run_than_the_setting_allows() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = server(&folder.path().join("data"), "");
    let process = Process::start(command.args(["--max-rooms", "1"]));
    let given = |room: &str| token_for(&process.reached.key, room, json!({"queues": {}}));
    let enter = async |room: &str| {
        Visitor::try_enter(&process.reached.url, room, &given(room), false).await
    };
    let mut first = enter("a").await.expect("a way in");
    first.greeting().await;
    assert_eq!(enter("b").await.err(), Some(503));
    // The room that runs has more places.
    let second = enter("a").await.expect("a way in");
    first.leave().await;
    assert_eq!(enter("b").await.err(), Some(503));
    second.leave().await;
    let mut entered = enter("b").await;
    for _ in 0..500 {
        if entered.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        entered = enter("b").await;
    }
    panic!("the room that ended still counts");
}

#[tokio::test]
async fn no_more_calls_run_than_the_setting_allows() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = server(&folder.path().join("data"), "");
    let process = Process::start(command.args(["--max-calls", "2"]));
    let given = token(&process.reached.key, json!({"queues": {}}));
    let mut visitor =
        Visitor::try_enter(&process.reached.url, "demo", &given, false).await.expect("a way in");
    visitor.greeting().await;
    for id in 1..=3 {
        visitor.send(&invoke(id, "queues", "receive", json!({"name": "q"}))).await;
    }
    let told = visitor.next().await;
    assert_eq!((told.id, &told.header["code"]), (3, &json!(1002)), "{told:?}");
    visitor.leave().await;
}

#[tokio::test]
async fn large_messages_wait_for_the_room_that_the_setting_allows() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = server(&folder.path().join("data"), "");
    let process = Process::start(command.args(["--max-arriving", "1", "--max-message", "1"]));
    let given = token(&process.reached.key, json!({"queues": {}}));
    let message = json!({"name": "q", "message": {"text": "x".repeat(900_000)}});
    let packets: Vec<_> = invoke(1, "queues", "send", message).packets(64 * 1024).collect();
    let mut visitors = Vec::new();
    for _ in 0..3 {
        let entered = Visitor::try_enter(&process.reached.url, "demo", &given, false).await;
        let mut visitor = entered.expect("a way in");
        visitor.greeting().await;
        visitors.push(visitor);
    }
    // There is room for two messages; those that have begun have it.
    for visitor in &mut visitors {
        for packet in &packets[..packets.len() - 1] {
            visitor.socket.send(Frame::Binary(packet.clone())).await.expect("sent");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let last = packets.last().expect("a packet");
    let mut third = visitors.pop().expect("a third one");
    third.socket.send(Frame::Binary(last.clone())).await.expect("sent");
    assert!(timeout(Duration::from_millis(300), third.next()).await.is_err());
    visitors[0].socket.send(Frame::Binary(last.clone())).await.expect("sent");
    assert_eq!(visitors[0].next().await.header["type"], "empty");
    assert_eq!(third.next().await.header["type"], "empty");
}

#[tokio::test]
async fn a_message_is_no_larger_than_the_setting_allows() {
    const MIB: usize = 1024 * 1024;
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = server(&folder.path().join("data"), "");
    let process = Process::start(command.args(["--max-message", "1"]));
    let given = token(&process.reached.key, json!({"queues": {}}));
    let entered = Visitor::try_enter(&process.reached.url, "demo", &given, false).await;
    let mut visitor = entered.expect("a way in");
    visitor.greeting().await;
    let message = |id: u64, size: usize| {
        let arguments = json!({"name": "q", "create": true, "message": "x".repeat(size)});
        let arguments = json!({"type": "json", "json": arguments});
        let header = json!({"toolkit": "queues", "tool": "send", "arguments": arguments});
        Message::new(id, "room.invoke_tool", header)
    };
    // The packets of a message have headers of their own, which count.
    visitor.send(&message(1, MIB - 20_000)).await;
    let answer = visitor.next().await;
    assert_eq!((answer.id, &answer.header["type"]), (1, &json!("empty")), "{answer:?}");
    visitor.send(&message(2, MIB)).await;
    let close = loop {
        match visitor.socket.next().await {
            Some(Ok(Frame::Close(close))) => break close.expect("a reason"),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(u16::from(close.code), 1009);
    assert_eq!(close.reason.as_str(), "the message is larger than the platform allows");
}
