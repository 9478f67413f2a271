//! Lists that are longer than there should be memory for.

use serde_json::{Value, json};

use super::process::{Process, server};

/// How many rooms there are, and how much each holds.
const ROOMS: usize = 40;
const EACH: usize = 1024 * 1024;

/// The most memory that a process has had, in MiB.
fn most(process: &Process) -> usize {
    let status = format!("/proc/{}/status", process.child.id());
    let status = std::fs::read_to_string(status).expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a line");
    line.split_whitespace().nth(1).expect("a number").parse::<usize>().expect("kB") / 1024
}

#[tokio::test]
async fn a_list_takes_less_memory_than_it_is_long() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(&mut server(folder.path(), ""));
    let reached = &process.reached;
    let text = "x".repeat(EACH);
    for number in 0..ROOMS {
        let name = format!("room-{number}");
        let body = json!({ "name": name, "metadata": { "text": text } }).to_string();
        let made = reached.own("POST", "/rooms").body(body).send().await.expect("an answer");
        assert_eq!(made.status(), 201);
    }
    let before = most(&process);
    let list = || async {
        let answer = reached.own("GET", "/rooms?limit=1000").send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let length = answer.content_length().expect("a length");
        let body = answer.bytes().await.expect("a body");
        assert_eq!(body.len() as u64, length);
        body
    };
    let (one, other, _) = tokio::join!(list(), list(), list());
    assert_eq!(one, other);
    let listed: Value = serde_json::from_slice(&one).expect("JSON");
    let rooms = listed["rooms"].as_array().expect("a list");
    assert_eq!(rooms.len(), ROOMS);
    assert!(rooms.iter().all(|room| room["metadata"]["text"] == text.as_str()));
    let after = most(&process);
    // Three lists of 40 MiB each, which would be several times that in memory.
    assert!(one.len() > ROOMS * EACH, "{}", one.len());
    assert!(after < before + 80, "{before} MiB, then {after}");
}

#[tokio::test]
async fn lists_of_any_length_are_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(&mut server(folder.path(), ""));
    let reached = &process.reached;
    for path in ["/rooms", "/services", "/webhooks", "/secrets", "/mailboxes", "/users"] {
        let answer = reached.own("GET", path).send().await.expect("an answer");
        let body: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect(path);
        assert!(body.as_object().is_some_and(|it| it.values().all(Value::is_array)), "{path}");
    }
    // Up to, at, and beyond what needs no file.
    for (number, length) in [1, 30_000, 65_000, 65_536, 200_000].into_iter().enumerate() {
        let body = json!({"name": format!("r{number}"), "metadata": {"t": "z".repeat(length)}});
        let made = reached.own("POST", "/rooms").body(body.to_string()).send().await;
        assert_eq!(made.expect("an answer").status(), 201);
        let answer = reached.own("GET", "/rooms?limit=1000").send().await.expect("an answer");
        let listed: Value =
            serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
        assert_eq!(listed["rooms"].as_array().map(Vec::len), Some(number + 1));
        assert_eq!(listed["rooms"][number]["metadata"]["t"].as_str().map(str::len), Some(length));
    }
}
