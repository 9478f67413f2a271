//! Rooms: calls, broadcasts, files and participants, beside a bare peer over the same frames.

use std::time::{Duration, Instant};

use meshagent::api::key::ApiKey;
use meshagent::api::token::{Signer, Token};
use meshagent::room::message::{LARGE, Message};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Bytes;

use super::platform::Served;
use super::table::Table;
use super::wire::{Peer, Wire};

/// How many calls are made, one after the other.
const CALLS: usize = 20_000;

/// How many messages are broadcast, and to how many.
const BROADCASTS: usize = 500;
const LISTENERS: usize = 100;

/// How large the file is, and its parts, in bytes.
const FILE: usize = 1024 * 1024 * 1024;
const PART: usize = 64 * 1024;

/// How many enter, one after the other; and how many stay.
const ENTER: usize = 300;
const STAY: u64 = 400;

/// A token of a participant.
pub fn token(served: &Served) -> String {
    let key = ApiKey::parse(served.variable("MESHAGENT_API_KEY")).expect("a key");
    let scope = json!({"storage": {}, "messaging": {}, "agents": {}, "queues": {}, "sync": {}});
    Token::new("ada").grant("room", "demo").api(scope).sign(&Signer::Key(key))
}

/// A participant that is in the room.
pub async fn enter(served: &Served, token: &str) -> Wire {
    let address = served.variable("MESHAGENT_API_URL").trim_start_matches("http://");
    let mut wire = Wire::connect(address, &format!("/rooms/demo?token={token}")).await;
    wire.message().await;
    wire.message().await;
    wire
}

/// A call of a tool.
pub fn invoke(id: u64, toolkit: &str, tool: &str, arguments: Value) -> Message {
    let header = json!({
        "toolkit": toolkit, "tool": tool, "arguments": arguments, "tool_call_id": "call",
    });
    Message::new(id, "room.invoke_tool", header)
}

/// A part of a stream.
pub fn part(id: u64, headers: Value, bytes: Vec<u8>) -> Message {
    let chunk = json!({"type": "binary", "headers": headers});
    let header = json!({"tool_call_id": "call", "chunk": chunk});
    Message { id, kind: "room.tool_call_request_chunk".to_owned(), header, bytes }
}

/// The packets of a message, with large slices.
trait Frames {
    fn frames(&self) -> Vec<Bytes>;
}

impl Frames for Message {
    fn frames(&self) -> Vec<Bytes> {
        self.packets(LARGE).collect()
    }
}

fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Takes the figures.
pub fn figures() -> Table {
    meshagent::serving::descriptors::raise();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut table = Table::default();
        calls(&mut table).await;
        broadcasts(&mut table).await;
        files(&mut table).await;
        participants(&mut table).await;
        table.note(
            "The bare peer is a process of its own, too: tokio-tungstenite that sends frames back, \
             hands them to all others, or takes parts and acknowledges them, as many and as large \
             as the room's.",
        );
        table
    })
}

async fn calls(table: &mut Table) {
    let frames = Message::new(1, "room.list_toolkits", json!({})).frames();
    let peer = Peer::start();
    let mut bare = Wire::connect(&peer.address, "/").await;
    let start = Instant::now();
    for _ in 0..CALLS {
        bare.send(&frames).await;
        bare.frames(frames.len()).await;
    }
    let bare = rate(CALLS, start.elapsed());
    let served = Served::start("warn");
    let mut wire = enter(&served, &token(&served)).await;
    let start = Instant::now();
    for _ in 0..CALLS {
        wire.send(&frames).await;
        wire.frames(2).await;
    }
    let room = rate(CALLS, start.elapsed());
    table.row("bare echo of the frames of a call", format!("{bare:.0} per second"));
    table.aimed("calls of a room, one after the other", format!("{room:.0} per second"), "");
    table.aimed("ratio", format!("{:.2}", room / bare), "≥ 0.5");
}

async fn broadcasts(table: &mut Table) {
    let text = json!({"text": "x".repeat(200)}).to_string();
    let letter = json!({"type": "json", "json": {"type": "chat", "message_json": text}});
    let frames = invoke(9, "messaging", "broadcast", letter).frames();
    let peer = Peer::start();
    let mut listeners = Vec::new();
    for _ in 0..LISTENERS {
        listeners.push(Wire::connect(&peer.address, "/listen").await);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut sender = Wire::connect(&peer.address, "/all").await;
    let start = Instant::now();
    let heard = heard(listeners, BROADCASTS * frames.len());
    for _ in 0..BROADCASTS {
        sender.send(&frames).await;
    }
    heard.await;
    let bare = rate(BROADCASTS * LISTENERS, start.elapsed());

    let served = Served::start("warn");
    let token = token(&served);
    let mut listeners = Vec::new();
    let enable = invoke(1, "messaging", "enable", json!({"type": "json", "json": {}}));
    for _ in 0..LISTENERS {
        let mut wire = enter(&served, &token).await;
        wire.send(&enable.frames()).await;
        while wire.message().await.kind != "__response__" {}
        listeners.push(wire);
    }
    // What they hear of each other comes before.
    for (index, wire) in listeners.iter_mut().enumerate() {
        for _ in index + 1..LISTENERS {
            wire.message().await;
        }
    }
    let mut sender = enter(&served, &token).await;
    let start = Instant::now();
    let heard = self::heard(listeners, BROADCASTS * 2);
    for _ in 0..BROADCASTS {
        sender.send(&frames).await;
        sender.message().await;
    }
    heard.await;
    let room = rate(BROADCASTS * LISTENERS, start.elapsed());
    table.row(format!("bare fan-out to {LISTENERS}"), format!("{bare:.0} deliveries per second"));
    table.row(
        format!("broadcasts to {LISTENERS} participants"),
        format!("{room:.0} deliveries per second"),
    );
    table.aimed("ratio", format!("{:.2}", room / bare), "≥ 0.5");
}

/// Reads so many frames on each connection.
fn heard(listeners: Vec<Wire>, frames: usize) -> impl Future<Output = ()> {
    let reading = listeners.into_iter().map(|mut wire| {
        tokio::spawn(async move {
            wire.frames(frames).await;
            wire
        })
    });
    let reading: Vec<_> = reading.collect();
    async {
        for one in reading {
            one.await.expect("a reader");
        }
    }
}

async fn files(table: &mut Table) {
    let parts = FILE / PART;
    let data = part(1, json!({"kind": "data"}), vec![b'x'; PART]).frames();
    let peer = Peer::start();
    let mut bare = Wire::connect(&peer.address, &format!("/{}/4/0", data.len())).await;
    let start = Instant::now();
    for _ in 0..parts {
        bare.send(&data).await;
        bare.frames(4).await;
    }
    let bare_up = start.elapsed();

    let served = Served::start("warn");
    let before = served.memory();
    let mut wire = enter(&served, &token(&served)).await;
    let start = Instant::now();
    let open = || json!({"type": "control", "method": "open"});
    wire.send(&invoke(1, "storage", "upload", open()).frames()).await;
    wire.message().await;
    let begin = json!({"kind": "start", "path": "large", "overwrite": true, "size": FILE});
    wire.send(&part(2, begin, Vec::new()).frames()).await;
    wire.frames(4).await;
    for _ in 0..parts {
        wire.send(&data).await;
        wire.frames(4).await;
    }
    let close = json!({"tool_call_id": "call", "chunk": {"type": "control", "method": "close"}});
    let close = Message::new(3, "room.tool_call_request_chunk", close);
    wire.send(&close.frames()).await;
    while wire.message().await.header["chunk"]["method"] != "close" {}
    let up = start.elapsed();

    let pull = part(1, json!({"kind": "pull"}), Vec::new()).frames();
    // Of the room come an acknowledgement of two frames, and a part of three, one of them large.
    let mut bare = Wire::connect(&peer.address, &format!("/{}/4/{PART}", pull.len())).await;
    let start = Instant::now();
    for _ in 0..parts {
        bare.send(&pull).await;
        bare.frames(5).await;
    }
    let bare_down = start.elapsed();
    let mut wire = enter(&served, &token(&served)).await;
    let start = Instant::now();
    wire.send(&invoke(1, "storage", "download", open()).frames()).await;
    wire.message().await;
    let begin = json!({"kind": "start", "path": "large", "chunk_size": PART});
    wire.send(&part(2, begin, Vec::new()).frames()).await;
    let mut bytes = 0;
    while bytes < FILE {
        let message = wire.message().await;
        let kind = message.header["chunk"]["headers"]["kind"].as_str();
        if matches!(kind, Some("start" | "data")) {
            bytes += message.bytes.len();
            if bytes < FILE {
                wire.send(&pull).await;
            }
        }
    }
    let down = start.elapsed();
    let mib = |time: Duration| FILE as f64 / 1024.0 / 1024.0 / time.as_secs_f64();
    table.row("a bare copy up, over the same frames", format!("{:.0} MiB/s", mib(bare_up)));
    table.row("1 GiB up", format!("{:.0} MiB/s", mib(up)));
    table.aimed("ratio", format!("{:.2}", mib(up) / mib(bare_up)), "≥ 0.5");
    table.row("a bare copy down", format!("{:.0} MiB/s", mib(bare_down)));
    table.row("1 GiB down", format!("{:.0} MiB/s", mib(down)));
    table.aimed("ratio", format!("{:.2}", mib(down) / mib(bare_down)), "≥ 0.5");
    let more = served.most_memory().saturating_sub(before);
    table.aimed(
        "memory for both, at most",
        format!("{:.1} MiB", more as f64 / 1048576.0),
        "≤ 64 MiB",
    );
}

async fn participants(table: &mut Table) {
    let served = Served::start("warn");
    let token = token(&served);
    let first = enter(&served, &token).await;
    let mut times = Vec::new();
    for _ in 0..ENTER {
        let start = Instant::now();
        let wire = enter(&served, &token).await;
        times.push(start.elapsed());
        wire.close().await;
    }
    times.sort();
    table.aimed(
        "entering a room, median",
        format!("{:.2} ms", times[ENTER / 2].as_secs_f64() * 1000.0),
        "≤ 5 ms",
    );
    let before = served.memory();
    let mut inside = Vec::new();
    for _ in 0..STAY {
        inside.push(enter(&served, &token).await);
    }
    let each = served.memory().saturating_sub(before) / STAY;
    table.aimed("an idle participant", format!("{:.1} KiB", each as f64 / 1024.0), "≤ 64 KiB");
    drop((first, inside));
}
