//! Rooms among participants that mean harm, and a room whose process is killed.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::SinkExt;
use meshagent::room::message::{Message, SLICE};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::harness::{Server, token};
use super::process::{Process, server};
use super::rooms::Visitor;

/// Everything that a participant may have.
pub fn every() -> Value {
    json!({
        "queues": {}, "storage": {}, "messaging": {}, "agents": {}, "developer": {}, "sync": {},
    })
}

pub fn invoke(id: u64, toolkit: &str, tool: &str, arguments: Value) -> Message {
    let arguments = json!({"type": "json", "json": arguments});
    let header = json!({"toolkit": toolkit, "tool": tool, "arguments": arguments});
    Message::new(id, "room.invoke_tool", header)
}

pub fn part(id: u64, call: &str, headers: Value, bytes: Vec<u8>) -> Message {
    let chunk = json!({"type": "binary", "headers": headers});
    let header = json!({"tool_call_id": call, "chunk": chunk});
    let kind = "room.tool_call_request_chunk".to_owned();
    Message { id, kind, header, bytes }
}

pub fn closed(id: u64, call: &str) -> Message {
    let chunk = json!({"type": "control", "method": "close", "status_code": 1000});
    let header = json!({"tool_call_id": call, "chunk": chunk});
    Message::new(id, "room.tool_call_request_chunk", header)
}

pub fn opened(id: u64, call: &str, toolkit: &str, tool: &str) -> Message {
    let arguments = json!({"type": "control", "method": "open"});
    let header =
        json!({"toolkit": toolkit, "tool": tool, "arguments": arguments, "tool_call_id": call});
    Message::new(id, "room.invoke_tool", header)
}

/// The answer to a request; whatever else comes before is left out.
pub async fn answer(visitor: &mut Visitor, id: u64) -> Value {
    loop {
        let message = visitor.next().await;
        if message.kind == "__response__" && message.id == id {
            return message.header;
        }
    }
}

/// Sends a part of a stream, and waits until it is acknowledged. Whether the stream was ended with
/// an error before.
async fn acknowledged(visitor: &mut Visitor, message: Message) -> bool {
    visitor.send(&message).await;
    let mut has_failed = false;
    loop {
        let told = visitor.next().await;
        if told.kind == "__response__" && told.id == message.id {
            return has_failed;
        }
        has_failed |= told.header["chunk"]["type"] == "error";
    }
}

pub async fn ask(visitor: &mut Visitor, message: Message) -> Value {
    visitor.send(&message).await;
    answer(visitor, message.id).await
}

/// Stores a file in parts; whether the room has closed the stream without an error.
pub async fn store(visitor: &mut Visitor, path: &str, parts: &[Vec<u8>]) -> bool {
    let size: usize = parts.iter().map(Vec::len).sum();
    let call = "upload";
    ask(visitor, opened(1, call, "storage", "upload")).await;
    let start = json!({"kind": "start", "path": path, "overwrite": true, "size": size});
    ask(visitor, part(2, call, start, Vec::new())).await;
    for (id, bytes) in (3..).zip(parts) {
        let data = part(id, call, json!({"kind": "data"}), bytes.clone());
        if acknowledged(visitor, data).await {
            return false;
        }
    }
    visitor.send(&closed(1000, call)).await;
    loop {
        let message = visitor.next().await;
        let chunk = &message.header["chunk"];
        if chunk["type"] == "error" {
            return false;
        }
        if chunk["method"] == "close" {
            return true;
        }
    }
}

/// The whole text of a file, if there is one.
pub async fn load(visitor: &mut Visitor, path: &str) -> Option<Vec<u8>> {
    ask(visitor, opened(1, "load", "storage", "download")).await;
    let start = json!({"kind": "start", "path": path, "chunk_size": 65536});
    ask(visitor, part(2, "load", start, Vec::new())).await;
    let mut bytes = Vec::new();
    let mut id = 2;
    loop {
        let message = visitor.next().await;
        let chunk = &message.header["chunk"];
        match (chunk["headers"]["kind"].as_str(), chunk["type"].as_str()) {
            (_, Some("error")) => return None,
            _ if chunk["method"] == "close" => return Some(bytes),
            (Some("start" | "data"), _) => {
                bytes.extend(message.bytes);
                id += 1;
                visitor.send(&part(id, "load", json!({"kind": "pull"}), Vec::new())).await;
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_platform_keeps_the_messages_and_files_that_it_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut process = Process::start(&mut server(folder.path(), ""));
    let given = token(&process.reached.key, every());
    let (done, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    let mut working = JoinSet::new();
    for worker in 0..4 {
        let (url, given, done) = (process.reached.url.clone(), given.clone(), done.clone());
        working.spawn(async move {
            let entered = Visitor::try_enter(&url, "demo", &given, false).await;
            let mut visitor = entered.expect("a way in");
            visitor.greeting().await;
            for number in 0_u64.. {
                let name = format!("{worker}-{number}");
                if worker % 2 == 0 {
                    let message = json!({"name": "q", "message": {"from": name}});
                    let sent = ask(&mut visitor, invoke(1, "queues", "send", message)).await;
                    assert_eq!(sent["type"], "empty", "{sent}");
                } else {
                    let parts = vec![name.as_bytes().to_vec(), vec![b'x'; 10_000]];
                    assert!(store(&mut visitor, &format!("f/{name}"), &parts).await);
                }
                let _ = done.send(name);
            }
        });
    }
    drop(done);
    let mut known = BTreeSet::new();
    while let Some(name) = acknowledged.recv().await {
        known.insert(name);
        if known.len() == 200 {
            process.child.kill().expect("a kill");
            break;
        }
    }
    // What was under way ends with the connection, in a panic of its task.
    working.shutdown().await;
    while let Ok(name) = acknowledged.try_recv() {
        known.insert(name);
    }
    drop(process);

    let process = Process::start(&mut server(folder.path(), ""));
    let entered = Visitor::try_enter(&process.reached.url, "demo", &given, false).await;
    let mut visitor = entered.expect("a way in");
    visitor.greeting().await;
    let mut last = [None; 4];
    let mut received = BTreeSet::new();
    loop {
        let asked = json!({"name": "q", "wait": false});
        let told = ask(&mut visitor, invoke(7, "queues", "receive", asked)).await;
        let Some(name) = told["json"]["from"].as_str() else { break };
        let (worker, number) = name.split_once('-').expect("a name");
        let (worker, number): (usize, u64) = (worker.parse().unwrap(), number.parse().unwrap());
        // Each sender's messages are in its order, and each is there once.
        assert_eq!(last[worker].replace(number), number.checked_sub(1), "{name}");
        received.insert(name.to_owned());
    }
    for name in &known {
        if name.starts_with(['0', '2']) {
            assert!(received.contains(name), "message {name} was acknowledged and is gone");
        } else {
            let text = load(&mut visitor, &format!("f/{name}")).await.expect("a file");
            assert_eq!(text.len(), name.len() + 10_000, "{name}");
        }
    }
    let listed = ask(&mut visitor, invoke(8, "storage", "list", json!({"path": "f"}))).await;
    for file in listed["json"]["files"].as_array().expect("files") {
        let name = file["name"].as_str().expect("a name");
        assert_eq!(file["size"], name.len() + 10_000, "{name} is there in part");
    }
}

#[tokio::test]
async fn what_was_received_and_not_read_is_received_again() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let given = token(&key, every());
    let mut sender = Visitor::enter(&server, "demo", &given).await;
    sender.greeting().await;
    // Receivers that wait, and leave.
    for _ in 0..10 {
        let mut receiver = Visitor::enter(&server, "demo", &given).await;
        receiver.greeting().await;
        receiver.send(&invoke(1, "queues", "receive", json!({"name": "q"}))).await;
        receiver.leave().await;
    }
    for number in 0..3 {
        let message = json!({"name": "q", "message": {"n": number}});
        assert_eq!(ask(&mut sender, invoke(1, "queues", "send", message)).await["type"], "empty");
    }
    for number in 0..3 {
        let asked = json!({"name": "q", "wait": false});
        let told = ask(&mut sender, invoke(2, "queues", "receive", asked)).await;
        assert_eq!(told["json"], json!({"n": number}));
    }
}

#[tokio::test]
async fn waiting_receivers_are_served_in_their_order() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let given = token(&key, every());
    let mut sender = Visitor::enter(&server, "demo", &given).await;
    sender.greeting().await;
    let mut receivers = Vec::new();
    for _ in 0..5 {
        let mut receiver = Visitor::enter(&server, "demo", &given).await;
        receiver.greeting().await;
        receiver.send(&invoke(1, "queues", "receive", json!({"name": "q"}))).await;
        // Whatever is asked behind it is answered, so it is waiting by now.
        ask(&mut receiver, invoke(2, "storage", "list", json!({"path": ""}))).await;
        receivers.push(receiver);
    }
    for number in 0..5 {
        let message = json!({"name": "q", "message": {"n": number}});
        ask(&mut sender, invoke(1, "queues", "send", message)).await;
    }
    for (number, receiver) in receivers.iter_mut().enumerate() {
        assert_eq!(answer(receiver, 1).await["json"], json!({"n": number}));
    }
}

#[tokio::test]
async fn paths_lead_nowhere_else() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let mut visitor = Visitor::enter(&server, "demo", &token(&key, every())).await;
    visitor.greeting().await;
    std::fs::write(server.folder().join("secret"), "secret").expect("a file");
    let (deep, long) = ("../".repeat(20) + "etc/passwd", "x".repeat(2000));
    for path in ["..", "../secret", "a/../../../secret", "/../secret", &deep, "a\0b", &long] {
        for tool in ["exists", "stat", "list", "delete", "download_url"] {
            let asked = json!({"path": path, "recursive": true});
            let told = ask(&mut visitor, invoke(1, "storage", tool, asked)).await;
            assert_eq!(told["code"], 3004, "{tool} {path:?}: {told}");
        }
        assert!(!store(&mut visitor, path, &[b"x".to_vec()]).await, "{path:?}");
        assert_eq!(load(&mut visitor, path).await, None, "{path:?}");
    }
    // What looks odd and stays inside is a name like any other.
    for path in ["...", "a b/ü", "%2e%2e/x", "C:\\x", "a/./b", "//c//d/"] {
        assert!(store(&mut visitor, path, &[b"x".to_vec()]).await, "{path:?}");
        assert_eq!(load(&mut visitor, path).await.as_deref(), Some(&b"x"[..]), "{path:?}");
    }
    assert_eq!(std::fs::read_to_string(server.folder().join("secret")).expect("it"), "secret");
}

#[tokio::test]
async fn who_does_not_read_is_dismissed_and_the_others_go_on() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let given = token(&key, every());
    let mut lazy = Visitor::enter(&server, "demo", &given).await;
    lazy.greeting().await;
    assert_eq!(ask(&mut lazy, invoke(1, "messaging", "enable", json!({}))).await["type"], "empty");
    let mut sender = Visitor::enter(&server, "demo", &given).await;
    sender.greeting().await;
    let text = json!({"text": "x".repeat(500_000)}).to_string();
    let letter = json!({"type": "chat", "message_json": text});
    let mut sent = 0;
    // What the system buffers for a connection is limited, and so is what waits in the room.
    while sent < 100 {
        let told = ask(&mut sender, invoke(2, "messaging", "broadcast", letter.clone())).await;
        assert_eq!(told["type"], "empty", "{told}");
        sent += 1;
    }
    // It finds that out when it reads at last: the connection ends long before that many came.
    let heard = timeout(Duration::from_secs(20), async {
        let mut heard = 0;
        while let Some(Ok(Frame::Binary(_))) = futures_util::StreamExt::next(&mut lazy.socket).await
        {
            heard += 1;
        }
        heard
    });
    let heard = heard.await.expect("an end");
    assert!(heard < 50 * 490, "{heard} packets of a message of 490 each");
    let told = ask(&mut sender, invoke(3, "queues", "list", json!({}))).await;
    assert_eq!(told["json"], json!({"queues": []}));
}

#[tokio::test]
async fn calls_have_a_limit_and_parts_must_be_waited_for() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let mut visitor = Visitor::enter(&server, "demo", &token(&key, every())).await;
    visitor.greeting().await;
    for id in 0..256 {
        visitor.send(&invoke(id, "queues", "receive", json!({"name": "q"}))).await;
    }
    let told = ask(&mut visitor, invoke(999, "queues", "receive", json!({"name": "q"}))).await;
    assert_eq!((&told["type"], &told["code"]), (&json!("error"), &json!(1002)), "{told}");
    // What is refused has not begun, and a stream is not said to be open.
    let message = json!({"name": "other", "message": {}});
    assert_eq!(ask(&mut visitor, invoke(1000, "queues", "send", message)).await["code"], 1002);
    let told = ask(&mut visitor, opened(1001, "c", "developer", "logs")).await;
    assert_eq!(told["code"], 1002);
    let told = ask(&mut visitor, part(1002, "c", json!({"kind": "start"}), Vec::new())).await;
    assert_eq!(told["code"], 1003);
    visitor.leave().await;

    let mut visitor = Visitor::enter(&server, "demo", &token(&key, every())).await;
    visitor.greeting().await;
    let told = ask(&mut visitor, invoke(0, "queues", "list", json!({}))).await;
    let names: Vec<_> = told["json"]["queues"].as_array().expect("queues").iter().collect();
    assert!(names.iter().all(|queue| queue["name"] != "other"), "{told}");
    // Parts of no call, of a call that is known already, and of what cannot be read.
    let told = ask(&mut visitor, part(1, "none", json!({"kind": "data"}), vec![0; 10])).await;
    assert_eq!(told["code"], 1003);
    ask(&mut visitor, opened(2, "c", "developer", "logs")).await;
    let told = ask(&mut visitor, opened(3, "c", "developer", "logs")).await;
    assert_eq!(told["code"], 1002);
    let odd = json!({"tool_call_id": "c", "chunk": {"type": "rabbit"}});
    let odd = Message::new(4, "room.tool_call_request_chunk", odd);
    assert_eq!(ask(&mut visitor, odd).await["code"], 1002);
    for header in [json!(null), json!([]), json!({"toolkit": 5}), json!({"arguments": "x"})] {
        let told = ask(&mut visitor, Message::new(5, "room.invoke_tool", header)).await;
        assert_eq!(told["type"], "error", "{told}");
    }
    // What is no JSON to us is refused, and the connection goes on: half of a pair is none.
    let half = br#"{"toolkit": "\ud800"}"#;
    let payload = [&(half.len() as u64).to_be_bytes()[..], half].concat();
    for packet in [
        &b"\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x01room.invoke_tool"[..],
        &[&b"\0\0\0\0\0\0\0\x05\0\0\0\x01"[..], &payload].concat(),
    ] {
        visitor.socket.send(Frame::Binary(packet.to_vec().into())).await.expect("sent");
    }
    assert_eq!(answer(&mut visitor, 5).await["code"], 1002);
    // A stream that does not begin as it must.
    ask(&mut visitor, opened(6, "u", "storage", "upload")).await;
    visitor.send(&part(7, "u", json!({"kind": "data"}), vec![1])).await;
    loop {
        let message = visitor.next().await;
        if message.header["chunk"]["type"] == "error" {
            assert_eq!(message.header["chunk"]["code"], 1002);
            break;
        }
    }
    // Parts that come late are acknowledged, and the room goes on.
    assert_eq!(
        ask(&mut visitor, part(8, "u", json!({"kind": "data"}), vec![1])).await["type"],
        "empty"
    );
    assert_eq!(ask(&mut visitor, closed(9, "u")).await["type"], "empty");
}

/// Offers a toolkit `t` with a tool `f` to everybody.
pub async fn offer(host: &mut Visitor) {
    let offered = json!({"name": "t", "public": true, "tools": {"f": {"name": "f"}}});
    let told = ask(host, Message::new(1, "room.register_toolkit", offered)).await;
    assert_eq!(told["type"], "json", "{told}");
}

#[tokio::test]
async fn calls_that_others_answer_have_a_limit_too_and_end_with_their_host() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let given = token(&key, every());
    let mut host = Visitor::enter(&server, "demo", &given).await;
    host.greeting().await;
    offer(&mut host).await;
    let mut caller = Visitor::enter(&server, "demo", &given).await;
    caller.greeting().await;
    caller.send(&opened(0, "c", "t", "f")).await;
    let long = opened(1, &"c".repeat(257), "t", "f");
    assert_eq!(ask(&mut caller, long).await["code"], 1002);
    // One id stands for one call.
    assert_eq!(ask(&mut caller, opened(1, "c", "t", "f")).await["code"], 1002);
    for id in 1..256 {
        caller.send(&invoke(id, "t", "f", json!({}))).await;
    }
    assert_eq!(ask(&mut caller, invoke(256, "t", "f", json!({}))).await["code"], 1002);
    assert_eq!(ask(&mut caller, invoke(257, "queues", "list", json!({}))).await["code"], 1002);
    // What was answered makes place for another.
    let mut numbers = Vec::new();
    while numbers.len() < 256 {
        let message = host.next().await;
        assert_eq!(message.kind, "room.tool_call.t");
        numbers.push(message.id);
    }
    let done = json!({"type": "empty"});
    host.send(&Message::new(numbers[255], "room.tool_call_response", done)).await;
    assert_eq!(answer(&mut caller, 255).await["type"], "empty");
    let list = || invoke(257, "queues", "list", json!({}));
    assert_eq!(ask(&mut caller, list()).await["type"], "json");
    // A part after the end of a stream is one too many.
    assert_eq!(ask(&mut caller, closed(258, "c")).await["type"], "empty");
    assert_eq!(ask(&mut caller, part(259, "c", json!({}), Vec::new())).await["code"], 1002);
    host.leave().await;
    let mut failed = BTreeSet::new();
    while failed.len() < 255 {
        let message = caller.next().await;
        assert_eq!(message.header["code"], 1008, "{message:?}");
        failed.insert(message.id);
    }
    assert_eq!(ask(&mut caller, list()).await["type"], "json");
    // Its id is free again.
    assert_eq!(ask(&mut caller, opened(260, "c", "developer", "logs")).await["method"], "open");
}

#[tokio::test]
async fn garbage_before_and_after_the_greeting_ends_one_connection_alone() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let given = token(&key, every());
    let mut calm = Visitor::enter(&server, "demo", &given).await;
    calm.greeting().await;
    for is_greeted in [false, true] {
        for seed in 0..20_u8 {
            let mut wild = Visitor::enter(&server, "demo", &given).await;
            if is_greeted {
                wild.greeting().await;
            }
            let garbage: Vec<u8> = (0..seed * 7).map(|it| it.wrapping_mul(seed)).collect();
            let _ = wild.socket.send(Frame::binary(garbage)).await;
            // Half a message, and no more of it.
            let half = Message::new(1, "set_attributes", json!({"a": "x".repeat(5000)}));
            for packet in half.packets(SLICE).take(2) {
                let _ = wild.socket.send(Frame::binary(packet)).await;
            }
        }
    }
    let told = ask(&mut calm, invoke(3, "queues", "list", json!({}))).await;
    assert_eq!(told["json"], json!({"queues": []}));
}

#[tokio::test]
async fn two_thousand_idle_participants_cost_little() {
    const COUNT: u64 = 2000;
    // This process has as many connections open.
    meshagent::serving::descriptors::raise_for(4096);
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = server(folder.path(), "ulimit -n 20000;");
    command.args(["--max-participants", "4000"]);
    let process = Process::start(&mut command);
    let given = token(&process.reached.key, every());
    let enter = || Visitor::try_enter(&process.reached.url, "demo", &given, false);
    let mut first = enter().await.expect("a way in");
    first.greeting().await;
    let before = process.memory().0;
    let mut inside = Vec::new();
    for _ in 0..COUNT {
        let Ok(mut visitor) = enter().await else { panic!("no way in after {}", inside.len()) };
        visitor.greeting().await;
        inside.push(visitor);
    }
    let each = (process.memory().0 - before) / COUNT;
    println!("{each} bytes for each idle participant");
    assert!(each <= 64 * 1024, "{each} bytes for each participant");
    let told = ask(&mut first, invoke(1, "queues", "list", json!({}))).await;
    assert_eq!(told["json"], json!({"queues": []}));
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let mut visitor = Visitor::enter(&server, "demo", &token(&key, every())).await;
    visitor.greeting().await;
    for (status, size, is_there) in
        [(1007, json!(null), false), (1000, json!(5), false), (1000, json!(null), true)]
    {
        ask(&mut visitor, opened(1, "u", "storage", "upload")).await;
        let start = json!({"kind": "start", "path": "f", "overwrite": true, "size": size});
        ask(&mut visitor, part(2, "u", start, Vec::new())).await;
        ask(&mut visitor, part(3, "u", json!({"kind": "data"}), b"ab".to_vec())).await;
        let mut close = closed(4, "u");
        close.header["chunk"]["status_code"] = status.into();
        visitor.send(&close).await;
        while visitor.next().await.header["chunk"]["method"] != "close" {}
        let told = ask(&mut visitor, invoke(5, "storage", "exists", json!({"path": "f"}))).await;
        assert_eq!(told["json"], json!({"exists": is_there}), "{status} {size}");
    }
}
