//! Documents: ten writers of one, beside the library alone; and one with a long past is opened.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meshagent::documents::replica::Replica;
use meshagent::room::message::{LARGE, Message};
use serde_json::{Value, json};
use yrs::updates::decoder::Decode;
use yrs::{Doc, ReadTxn, Transact, Update, WriteTxn, Xml, XmlElementPrelim, XmlFragment};

use super::platform::Served;
use super::rooms::{enter, invoke, part, token};
use super::table::{Table, time};
use super::wire::Wire;

/// How many write, and how often each does.
const WRITERS: usize = 10;
const EDITS: usize = 1_000;

/// How many edits are in the past of a document, and how many elements they are made to.
const PAST: usize = 100_000;
const ELEMENTS: u32 = 1_000;

/// How many edits of one writer may wait to be acknowledged: as many as the room lets wait.
const WAITING: usize = 4;

/// Takes the figures.
pub fn figures() -> Table {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut table = Table::default();
        writers(&mut table).await;
        past(&mut table).await;
        table.note(
            "The library alone is one process, in which each edit is applied to a document in the \
             middle and to those of the other writers. The platform has each edit on disk before it \
             acknowledges it, and its writers are in a process of their own.",
        );
        table
    })
}

/// Adds an element; the update.
fn edit(doc: &Doc) -> Vec<u8> {
    let mut txn = doc.transact_mut();
    txn.get_or_insert_xml_fragment("xml").push_back(&mut txn, XmlElementPrelim::empty("n"));
    txn.commit();
    txn.encode_update_v1()
}

fn apply(doc: &Doc, update: &[u8]) {
    let update = Update::decode_v1(update).expect("an update");
    doc.transact_mut().apply_update(update).expect("it fits");
}

fn elements(doc: &Doc) -> usize {
    let txn = doc.transact();
    let count = txn.get_xml_fragment("xml").map_or(0, |root| root.len(&txn));
    usize::try_from(count).expect("few")
}

fn alone() -> Duration {
    let middle = Replica::default().doc;
    let writers: Vec<Doc> = (0..WRITERS).map(|_| Replica::default().doc).collect();
    let start = Instant::now();
    for _ in 0..EDITS {
        for (number, writer) in writers.iter().enumerate() {
            let update = edit(writer);
            apply(&middle, &update);
            let others = writers.iter().enumerate().filter(|(other, _)| *other != number);
            others.for_each(|(_, other)| apply(other, &update));
        }
    }
    let taken = start.elapsed();
    assert!(writers.iter().all(|writer| elements(writer) == WRITERS * EDITS));
    taken
}

/// Somebody who has a document open.
struct Writer {
    wire: Wire,
    doc: Doc,
    next: u64,
    waiting: usize,
}

impl Writer {
    async fn open(served: &Served, token: &str, path: &str) -> Self {
        let mut wire = enter(served, token).await;
        let open = json!({"type": "control", "method": "open"});
        send(&mut wire, &invoke(1, "sync", "open", open)).await;
        let list = json!({"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/n"}]}});
        let properties = json!({"n": {"properties": {"v": {"type": "string"}, "of": list}}});
        let schema =
            json!({"$root_tag_ref": "#/$defs/n", "$defs": {"n": {"properties": properties}}});
        let start = json!({"kind": "start", "path": path, "create": true, "schema": schema});
        send(&mut wire, &part(2, start, Vec::new())).await;
        let mut writer = Self { wire, doc: Replica::default().doc, next: 3, waiting: 2 };
        while writer.hear().await != "state" {}
        writer
    }

    /// Hears one message; of which kind it is, if it is of the document.
    async fn hear(&mut self) -> String {
        let message = self.wire.message().await;
        let chunk: &Value = &message.header["chunk"];
        assert_ne!(chunk["type"], "error", "{chunk}");
        if message.kind == "__response__" {
            assert_ne!(message.header["type"], "error", "{}", message.header);
            self.waiting -= 1;
        }
        let kind = chunk["headers"]["kind"].as_str().unwrap_or_default().to_owned();
        if !kind.is_empty() {
            apply(&self.doc, &STANDARD.decode(&message.bytes).expect("base64"));
        }
        kind
    }

    async fn send(&mut self, update: &[u8]) {
        while self.waiting >= WAITING {
            self.hear().await;
        }
        let data = STANDARD.encode(update).into_bytes();
        send(&mut self.wire, &part(self.next, json!({"kind": "sync"}), data)).await;
        self.next += 1;
        self.waiting += 1;
    }
}

async fn send(wire: &mut Wire, message: &Message) {
    wire.send(&message.packets(LARGE).collect::<Vec<_>>()).await;
}

async fn writers(table: &mut Table) {
    let alone = alone();
    let served = Served::start("warn");
    let token = token(&served);
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        writers.push(Writer::open(&served, &token, "a.n").await);
    }
    let start = Instant::now();
    let writing = writers.into_iter().map(|mut writer| {
        tokio::spawn(async move {
            for _ in 0..EDITS {
                let update = edit(&writer.doc);
                writer.send(&update).await;
            }
            while writer.waiting > 0 || elements(&writer.doc) < WRITERS * EDITS {
                writer.hear().await;
            }
        })
    });
    for writer in writing.collect::<Vec<_>>() {
        writer.await.expect("a writer");
    }
    let taken = start.elapsed();
    table.row(
        format!("{WRITERS} writers, {EDITS} edits each, the library alone"),
        time(alone.as_secs_f64()),
    );
    table.row("the same in a room", time(taken.as_secs_f64()));
    table.aimed("ratio", format!("{:.2}", taken.as_secs_f64() / alone.as_secs_f64()), "≤ 2");
}

async fn past(table: &mut Table) {
    let served = Served::start("warn");
    let token = token(&served);
    let mut writer = Writer::open(&served, &token, "b.n").await;
    for _ in 0..ELEMENTS {
        let update = edit(&writer.doc);
        writer.send(&update).await;
    }
    let start = Instant::now();
    for number in 0..PAST {
        let update = {
            let mut txn = writer.doc.transact_mut();
            let root = txn.get_or_insert_xml_fragment("xml");
            let place = u32::try_from(number).expect("few") % ELEMENTS;
            let element = root.get(&txn, place).and_then(|node| node.into_xml_element());
            element.expect("an element").insert_attribute(&mut txn, "v", number.to_string());
            txn.commit();
            txn.encode_update_v1()
        };
        writer.send(&update).await;
    }
    while writer.waiting > 0 {
        writer.hear().await;
    }
    table.row(format!("{PAST} edits of one writer"), time(start.elapsed().as_secs_f64()));
    writer.wire.close().await;
    // It is closed a moment later, and its file written anew.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut wire = enter(&served, &token).await;
    let open = json!({"type": "control", "method": "open"});
    let begin = Instant::now();
    send(&mut wire, &invoke(1, "sync", "open", open)).await;
    send(&mut wire, &part(2, json!({"kind": "start", "path": "b.n"}), Vec::new())).await;
    while wire.message().await.header["chunk"]["headers"]["kind"] != "state" {}
    let taken = begin.elapsed();
    table.aimed("opening it afterwards", time(taken.as_secs_f64()), "≤ 100 ms");
}
