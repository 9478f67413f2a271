//! Participants of which some are slow, some may do less, and some say what is not so: the others
//! do not notice, and nobody gets further than the scope of the token.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::SinkExt;
use meshagent::room::message::Message;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::harness::{Server, token, token_for};
use super::hostile_rooms::{ask, every, invoke, load, offer, store};
use super::rooms::Visitor;

/// Who reads gets everything, however much comes at once: it is not taken for somebody who does
/// not read.
#[tokio::test]
async fn who_reads_is_sent_what_it_asked_for_and_what_others_send_at_their_pace() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let given = token(&key, every());
    let mut sender = Visitor::enter(&server, "demo", &given).await;
    sender.greeting().await;
    let large = "x".repeat(2_500_000);
    for _ in 0..6 {
        let message = json!({"name": "q", "message": {"text": large}});
        assert_eq!(ask(&mut sender, invoke(1, "queues", "send", message)).await["type"], "empty");
    }
    let mut reader = Visitor::enter(&server, "demo", &given).await;
    let (hello, _) = reader.greeting().await;
    for id in 1..7 {
        reader.send(&invoke(id, "queues", "receive", json!({"name": "q"}))).await;
    }
    for _ in 1..7 {
        let told = reader.next().await;
        assert_eq!(told.header["json"]["text"].as_str().map(str::len), Some(large.len()));
    }
    ask(&mut reader, invoke(7, "messaging", "enable", json!({}))).await;
    let id = hello["participantId"].as_str().expect("an id").to_owned();
    let letter =
        json!({"type": "chat", "message_json": "{}", "attachment_base64": "A".repeat(1 << 20)});
    let mut to_one = letter.clone();
    to_one["to_participant_id"] = json!(id);
    let reads = async {
        let mut heard = 0;
        while heard < 60 {
            heard += usize::from(reader.next().await.header["type"] == "chat");
            // It is slower than the sender.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let sends = async {
        for number in 0..30 {
            let tool = invoke(number, "messaging", "send", to_one.clone());
            assert_eq!(ask(&mut sender, tool).await["type"], "empty");
            let tool = invoke(100 + number, "messaging", "broadcast", letter.clone());
            assert_eq!(ask(&mut sender, tool).await["type"], "empty");
        }
    };
    tokio::join!(reads, sends);
}

#[tokio::test]
async fn news_of_the_room_comes_from_the_room_alone() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let mut forger = Visitor::enter(&server, "demo", &token(&key, every())).await;
    let (hello, _) = forger.greeting().await;
    ask(&mut forger, invoke(1, "messaging", "enable", json!({}))).await;
    for kind in meshagent::room::messaging::news::ALL {
        for tool in ["send", "broadcast"] {
            let news = json!({
                "to_participant_id": hello["participantId"], "type": kind, "message_json": "{}",
            });
            let told = ask(&mut forger, invoke(2, "messaging", tool, news)).await;
            assert_eq!(told["code"], 1002, "{tool} {kind}");
        }
    }
}

/// Calls a helper of the room's machine.
fn helper(id: u64, path: &str, api: Value) -> Message {
    let url = format!("http://localhost:8080/{path}");
    Message::new(
        id,
        "room.call",
        json!({"name": "helper", "url": url, "arguments": {}, "api": api}),
    )
}

#[tokio::test]
async fn helpers_do_nothing_that_their_caller_may_not() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let mut owner = Visitor::enter(&server, "demo", &token(&key, every())).await;
    owner.greeting().await;
    assert!(store(&mut owner, ".schemas/thread.json", &[b"mine".to_vec()]).await);
    assert!(store(&mut owner, "secret.txt", &[b"secret".to_vec()]).await);
    let read_only = json!({"paths": [{"path": "", "read_only": true}]});
    for api in [json!({"agents": {}}), json!({"agents": {}, "storage": read_only})] {
        let mut guest = Visitor::enter(&server, "demo", &token(&key, api)).await;
        guest.greeting().await;
        let told = ask(&mut guest, helper(1, "schemas/transcript", Value::Null)).await;
        assert_eq!(told["code"], 1001, "{told}");
    }
    // A schema that somebody has put there stays.
    assert_eq!(ask(&mut owner, helper(1, "schemas/thread", Value::Null)).await["type"], "empty");
    assert_eq!(load(&mut owner, ".schemas/thread.json").await.as_deref(), Some(&b"mine"[..]));
    assert_eq!(
        ask(&mut owner, helper(1, "schemas/transcript", Value::Null)).await["type"],
        "empty"
    );
    assert!(load(&mut owner, ".schemas/transcript.json").await.is_some());

    // The toolkit for files is there once, and works for those who have its rights.
    for id in 1..100 {
        let told = ask(&mut owner, helper(id, "toolkits/storage", every())).await;
        assert_eq!(told["type"], "empty", "{told}");
    }
    let list = Message::new(1, "room.list_toolkits", json!({}));
    while ask(&mut owner, list.clone()).await["json"]["tools"]["storage"].is_null() {}
    let read = invoke(2, "storage", "read_file", json!({"path": "secret.txt"}));
    let told = ask(&mut owner, read.clone()).await;
    assert_eq!(told["text"], "secret", "{told}");
    let mut guest = Visitor::enter(&server, "demo", &token(&key, json!({"agents": {}}))).await;
    guest.greeting().await;
    assert_eq!(ask(&mut guest, read.clone()).await["code"], 1001);
    let active = server.read("/sessions/active").await.json();
    let tools = active["sessions"][0]["participants"]["tool"].clone();
    assert_eq!(tools, 1, "{active}");
    // What could not be offered is refused.
    let told = ask(&mut owner, helper(5, "toolkits/storage", json!({"storage": {}}))).await;
    assert_eq!(told["code"], 1001, "{told}");
    // Who may do more is served by the one that may do more, and nobody has it with many scopes.
    let mut other = Visitor::enter(&server, "demo", &token(&key, every())).await;
    other.greeting().await;
    for number in 0..6 {
        let paths = json!([{"path": format!("p{number}")}]);
        let api = json!({"agents": {}, "storage": {"paths": paths}});
        let told = ask(&mut other, helper(number, "toolkits/storage", api)).await;
        assert_eq!(told["type"] == "empty", number < 4, "{number}: {told}");
    }
    assert_eq!(ask(&mut other, read).await["text"], "secret");
}

#[tokio::test]
async fn a_folder_is_deleted_only_with_the_right_to_all_of_it() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let mut owner = Visitor::enter(&server, "demo", &token(&key, every())).await;
    owner.greeting().await;
    assert!(store(&mut owner, "keep/secret/x", &[b"x".to_vec()]).await);
    let paths = json!([{"path": "keep/secret/", "read_only": true}, {"path": "keep"}]);
    let api = json!({"storage": {"paths": paths}});
    let mut guest = Visitor::enter(&server, "demo", &token(&key, api)).await;
    guest.greeting().await;
    for path in ["keep/secret/x", "keep/secret", "keep"] {
        let asked = json!({"path": path, "recursive": true});
        let told = ask(&mut guest, invoke(1, "storage", "delete", asked)).await;
        assert_eq!(told["code"], 1001, "{path}: {told}");
    }
    assert_eq!(load(&mut owner, "keep/secret/x").await.as_deref(), Some(&b"x"[..]));
}

/// What is done is told, even if who did it leaves at once.
#[tokio::test]
async fn who_leaves_at_once_has_told_what_it_did() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let given = token(&key, every());
    let mut other = Visitor::enter(&server, "demo", &given).await;
    other.greeting().await;
    for number in 0..20 {
        assert!(store(&mut other, &format!("f{number}"), &[b"x".to_vec()]).await);
    }
    for number in 0..20 {
        let mut visitor = Visitor::enter(&server, "demo", &given).await;
        visitor.greeting().await;
        let asked = json!({"path": format!("f{number}")});
        visitor.send(&invoke(1, "storage", "delete", asked)).await;
        drop(visitor);
    }
    // What arrived at all is done by the time at which nothing more is told.
    let mut deleted = BTreeSet::new();
    while let Ok(told) = timeout(Duration::from_secs(1), other.next()).await {
        if told.kind == "storage.file.deleted" {
            deleted.insert(told.header["path"].as_str().expect("a path").to_owned());
        }
    }
    let list = ask(&mut other, invoke(1, "storage", "list", json!({"path": ""}))).await;
    let there = list["json"]["files"].as_array().expect("files").len();
    assert_eq!(there + deleted.len(), 20, "{deleted:?} {list}");
}

/// Sends a message but for the last packets, as far as it is taken.
async fn pour(visitor: &mut Visitor, message: &Message, but: usize) {
    let packets: Vec<_> = message.packets(64 * 1024).collect();
    for packet in &packets[..packets.len() - but] {
        let sent = visitor.socket.send(Frame::Binary(packet.clone()));
        if timeout(Duration::from_millis(50), sent).await.is_err() {
            return;
        }
    }
}

/// Participants that do not read, and some that stop in the middle of what they send, are in one
/// room; in another one nobody notices.
#[tokio::test]
async fn what_is_slow_in_one_room_holds_up_no_other() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let given = token_for(&key, "slow", every());
    let mut host = Visitor::enter(&server, "slow", &given).await;
    host.greeting().await;
    offer(&mut host).await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut caller = Visitor::enter(&server, "slow", &given).await;
        caller.greeting().await;
        // The host does not read its calls.
        let large = json!({"text": "x".repeat(4_000_000)});
        pour(&mut caller, &invoke(1, "t", "f", large.clone()), 0).await;
        pour(&mut caller, &invoke(2, "t", "f", large), 0).await;
        slow.push(caller);
    }
    for _ in 0..20 {
        let mut half = Visitor::enter(&server, "slow", &given).await;
        half.greeting().await;
        let message = Message::new(1, "set_attributes", json!({"x": "x".repeat(4_000_000)}));
        pour(&mut half, &message, 1).await;
        slow.push(half);
    }
    let mut other = Visitor::enter(&server, "quick", &token_for(&key, "quick", every())).await;
    other.greeting().await;
    let quick = async {
        for number in 0..20 {
            let message = json!({"name": "q", "message": {"text": "x".repeat(300_000)}});
            let told = ask(&mut other, invoke(number, "queues", "send", message)).await;
            assert_eq!(told["type"], "empty");
            assert!(store(&mut other, "f", &[vec![0; 200_000]]).await);
        }
    };
    // Those who do not read would be waited for ten seconds, and what is half there for thirty.
    timeout(Duration::from_secs(8), quick).await.expect("the other room is not held up");
}

/// Large messages that arrive slowly at the same time wait for each other, and not for ever.
#[tokio::test]
async fn large_messages_that_arrive_together_all_arrive() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let given = token(&key, every());
    let message = json!({"name": "q", "message": {"text": "x".repeat(3_900_000)}});
    let message = invoke(1, "queues", "send", message);
    let packets: Vec<_> = message.packets(64 * 1024).collect();
    let mut senders = Vec::new();
    for _ in 0..8 {
        let mut sender = Visitor::enter(&server, "demo", &given).await;
        sender.greeting().await;
        senders.push(sender);
    }
    let send = async |sender: &mut Visitor| {
        for packet in &packets {
            sender.socket.send(Frame::Binary(packet.clone())).await.expect("sent");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        sender.next().await.header["type"].clone()
    };
    let told = futures_util::future::join_all(senders.iter_mut().map(send));
    let told = timeout(Duration::from_secs(20), told).await.expect("all arrive");
    assert_eq!(told, vec![json!("empty"); 8]);
}
