//! `meshagent room`: what is done in a room from the command line.

use std::sync::LazyLock;

use futures_util::{SinkExt, StreamExt};
use meshagent::api::token::{Signer, Token};
use meshagent::room::client::Room;
use meshagent::room::message::{Assembler, Message, SLICE};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::cli::{Run, Sandbox};
use crate::platform::harness::Server;

const LIST: [&str; 3] = ["room", "agent", "list-toolkits"];

/// Runs the program with an environment, besides what every run has.
async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Run {
    let mut command = Sandbox::new().command(arguments);
    command.current_dir("/").envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    Run::of(output.unwrap())
}

/// Runs the program as the owner of a platform.
async fn run_at(server: &Server, arguments: &[&str]) -> Run {
    let environment = [
        ("MESHAGENT_API_URL", server.url.as_str()),
        ("MESHAGENT_API_KEY", &server.owner),
        ("MESHAGENT_PROJECT_ID", &server.project),
    ];
    run(arguments, &environment).await
}

#[tokio::test(flavor = "multi_thread")]
async fn toolkits_are_listed_beside_another_participant() {
    let server = Server::start().await;
    server.room("demo").await;
    let token = SecretString::from(server.connect(&server.owner, "demo").await);
    let url = format!("{}/rooms/demo", server.url.replace("http", "ws"));
    let (other, _pushed) = Room::enter(&url, &token, true).await.expect("a room");
    // The embedded platform's rooms have no toolkits.
    let listed = run_at(&server, &[&LIST[..], &["--room", "demo"]].concat()).await;
    assert_eq!((listed.code, listed.json(), listed.stderr.as_str()), (0, json!([]), ""));
    let table = run_at(&server, &[&LIST[..], &["--room", "demo", "-o", "table"]].concat()).await;
    assert_eq!((table.code, table.stdout.as_str()), (0, ""));
    assert_eq!(table.stderr, "there are no toolkits in the room\n");
    // Who was there still is, and is answered the same.
    let answer = other.ask("room.list_toolkits", json!({})).await.expect("an answer");
    assert_eq!(answer, json!({"type": "json", "json": {"tools": {}}}));
    other.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_entered_is_told_in_a_line() {
    let server = Server::start().await;
    server.room("demo").await;
    let absent = run_at(&server, &[&LIST[..], &["--room", "hall"]].concat()).await;
    assert_eq!((absent.code, absent.stdout.as_str()), (1, ""), "{}", absent.stderr);
    assert!(
        absent.stderr.contains("hall") || absent.stderr.contains("not found"),
        "{}",
        absent.stderr
    );
    let unnamed = run_at(&server, &LIST).await;
    assert_eq!(unnamed.code, 2);
    assert_eq!(
        unnamed.stderr,
        "error: no room is given\nhint: give --room, or set MESHAGENT_ROOM\n"
    );
}

#[test]
fn the_embedded_platform_has_rooms_to_enter() {
    let sandbox = Sandbox::new();
    sandbox.embedded(0, &["rooms", "create", "--name", "hall"]);
    let listed = sandbox.embedded(0, &["room", "agents", "list-toolkits", "--room", "hall", "-q"]);
    assert_eq!((listed.stdout.as_str(), listed.stderr.as_str()), ("", ""));
}

/// A room that answers one question, and what it was asked.
async fn answering(answer: Value) -> (String, tokio::task::JoinHandle<Message>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let init = json!({"type": "init", "participantId": "me", "attributes": {"name": "bot"}});
        let ready = json!({"room_name": "demo", "room_url": "ws://x", "session_id": "s"});
        let mut say =
            Vec::from([Message::new(1, "connected", init), Message::new(2, "room_ready", ready)]);
        let mut assembler = Assembler::default();
        let mut heard = None;
        loop {
            for packet in say.drain(..).flat_map(|it| it.packets(SLICE).collect::<Vec<_>>()) {
                socket.send(Frame::binary(packet)).await.unwrap();
            }
            let Some(Ok(frame)) = socket.next().await else { break };
            let Frame::Binary(packet) = frame else { continue };
            let Some(message) = assembler.take(&packet).unwrap() else { continue };
            say.push(Message::new(message.id, "__response__", answer.clone()));
            heard = Some(message);
        }
        heard.expect("a question")
    });
    (url, asked)
}

/// How much of its memory a process has used at most, in KiB.
pub fn most_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// What a room tells all who are in it comes before the answer, is passed over, and is not kept.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_through_behind_all_that_the_room_tells() {
    const MESSAGES: usize = 2_000;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let mut command = Sandbox::new().command(&[&LIST[..], &["-q"]].concat());
    command.current_dir("/").envs(called(&url));
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let process = child.id();
    let room = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let init = json!({"type": "init", "participantId": "me", "attributes": {"name": "bot"}});
        let ready = json!({"room_name": "demo", "room_url": "ws://x", "session_id": "s"});
        let told =
            json!({"from_participant_id": "other", "type": "chat", "text": "x".repeat(100_000)});
        let told = |id| Message::new(id, "messaging.send", told.clone());
        let mut assembler = Assembler::default();
        let greeting = [Message::new(1, "connected", init), Message::new(2, "room_ready", ready)];
        let before = greeting.into_iter().chain((0..500).map(|at| told(3 + at)));
        for packet in before.flat_map(|it| it.packets(SLICE).collect::<Vec<_>>()) {
            socket.send(Frame::binary(packet)).await.unwrap();
        }
        let question = loop {
            let Some(Ok(frame)) = socket.next().await else { panic!("no question") };
            let Frame::Binary(packet) = frame else { continue };
            if let Some(message) = assembler.take(&packet).unwrap() {
                break message;
            }
        };
        for packet in
            (0..MESSAGES as u64).flat_map(|at| told(1_000 + at).packets(SLICE).collect::<Vec<_>>())
        {
            socket.send(Frame::binary(packet)).await.unwrap();
        }
        // All but what lies in the buffers of the system was taken by now.
        let memory = most_memory(process);
        let answer = json!({"type": "json", "json": {"tools": {"eyes": {"title": "Eyes"}}}});
        let answer = Message::new(question.id, "__response__", answer);
        for packet in answer.packets(SLICE) {
            socket.send(Frame::binary(packet)).await.unwrap();
        }
        while let Some(Ok(_)) = socket.next().await {}
        memory
    });
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap();
    let run = Run::of(ended.unwrap());
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "eyes\n", ""));
    let memory = room.await.unwrap();
    assert!(memory < 100 * 1024, "{memory} KiB were used for {MESSAGES} messages of 100 KB");
}

/// A token for the room `demo`, which no platform knows.
static TOKEN: LazyLock<String> = LazyLock::new(|| {
    let signer = Signer::Secret(SecretString::from("secret"));
    Token::new("bot").grant("role", "agent").grant("room", "demo").sign(&signer)
});

/// The environment of whoever was called into a room.
fn called(url: &str) -> [(&str, &str); 3] {
    [("MESHAGENT_ROOM", "demo"), ("MESHAGENT_TOKEN", &TOKEN), ("MESHAGENT_ROOM_URL", url)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_is_a_way_in_only_where_it_is_a_token_for_the_room_and_nothing_else_is_said() {
    let server = Server::start().await;
    server.room("demo").await;
    let (other, _key) = server.other_project("other").await;
    let path = format!("/accounts/projects/{other}/rooms");
    let made = server.ask("POST", &path).bearer(&server.owner).json(&json!({"name": "demo"}));
    made.send().await.expect(201);
    let token = server.connect(&server.owner, "demo").await;
    let listed = async |words: &[&str], more: &[(&str, &str)]| {
        let platform = [("MESHAGENT_API_URL", server.url.as_str()), ("MESHAGENT_ROOM", "demo")];
        run(&[&LIST, words].concat(), &[&platform, more].concat()).await
    };
    let project = ("MESHAGENT_PROJECT_ID", server.project.as_str());
    let key = ("MESHAGENT_API_KEY", server.owner.as_str());
    for environment in [
        // Nobody is asked for a token that is there: no project is known.
        &[("MESHAGENT_TOKEN", token.as_str())][..],
        &[("MESHAGENT_TOKEN", &server.owner), project],
        &[("MESHAGENT_TOKEN", &TOKEN), key, project],
        &[("MESHAGENT_TOKEN", "t"), key, project],
    ] {
        let run = listed(&[], environment).await;
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{environment:?}");
        assert_eq!(run.json(), json!([]));
    }
    // A token of one project opens no room of another that is called the same.
    let elsewhere = listed(&["--project-id", &other], &[("MESHAGENT_TOKEN", &token)]).await;
    assert_eq!((elsewhere.code, elsewhere.stdout.as_str()), (1, ""), "{}", elsewhere.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_called_into_a_room_asks_no_platform_and_sees_what_is_there() {
    let schema = json!({"type": "object"});
    let tools = json!({"look": {
        "title": "Look\u{1b}[31m", "input_spec": {"types": ["json"], "stream": false, "schema": schema},
        "supports_context": true, "strict": true,
    }});
    let toolkits = json!({"eyes": {"title": "Eyes", "participant_id": "p", "tools": tools}});
    let answer = json!({"type": "json", "json": {"tools": toolkits}});

    let (url, asked) = answering(answer.clone()).await;
    let words = [&LIST[..], &["--participant-id", "p1"]].concat();
    let listed = run(&words, &called(&url)).await;
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    let tool = json!({
        "name": "look", "title": "Look\u{1b}[31m", "description": "", "input_schema": schema,
        "thumbnail_url": null, "defs": null, "supports_context": true,
    });
    let toolkit = json!({
        "name": "eyes", "title": "Eyes", "description": "", "thumbnail_url": null, "tools": [tool],
    });
    assert_eq!(listed.json(), json!([toolkit]));
    assert!(!listed.stdout.contains('\u{1b}'));
    let asked = asked.await.unwrap();
    assert_eq!(asked.kind, "room.list_toolkits");
    assert_eq!(asked.header, json!({"participant_id": "p1"}));

    let (url, _asked) = answering(answer).await;
    let table = run(&[&LIST[..], &["-o", "table"]].concat(), &called(&url)).await;
    let row = table.stdout.lines().find(|line| line.contains("eyes")).expect("a row");
    assert!(row.contains("Eyes") && row.contains("look"), "{}", table.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_room_refuses_or_babbles_is_told_in_a_line() {
    let refused = json!({"type": "error", "text": "you\u{7}may\nnot", "code": 1001});
    for (answer, told) in [
        (refused, "error: room.list_toolkits failed in the room: you may not (1001)\n"),
        (
            json!({"type": "json", "json": {"tools": 5}}),
            "error: room.list_toolkits failed in the room: the room's answer to room.list_toolkits makes no sense (1100)\n",
        ),
    ] {
        let (url, asked) = answering(answer).await;
        let run = run(&LIST, &called(&url)).await;
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (1, "", told));
        assert_eq!(asked.await.unwrap().header, json!({}));
    }
}
