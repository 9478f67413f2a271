//! Documents of rooms: several who edit one at once, a process that is killed meanwhile, and updates
//! that mean harm.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meshagent::documents::{places, replica::Replica};
use meshagent::room::message::Message;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use yrs::updates::decoder::Decode;
use yrs::{Doc, GetString, ReadTxn, StateVector, Transact, Update, WriteTxn};
use yrs::{Xml, XmlElementPrelim, XmlFragment};

use super::harness::{Server, token};
use super::hostile_rooms::{answer, ask, closed, every, invoke, opened, part, store};
use super::process::{Process, server};
use super::rooms::Visitor;

/// A schema with one element in itself.
fn schema() -> Value {
    let list = json!({"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/n"}]}});
    let properties = json!({"n": {"properties": {"v": {"type": "string"}, "of": list}}});
    json!({"$root_tag_ref": "#/$defs/n", "$defs": {"n": {"properties": properties}}})
}

/// Somebody who has a document open.
struct Opener {
    visitor: Visitor,
    doc: Doc,
    next: u64,
    /// The parts that were sent and not acknowledged yet.
    waiting: usize,
}

impl Opener {
    async fn open(url: &str, given: &str, path: &str) -> Self {
        let entered = Visitor::try_enter(url, "demo", given, false).await;
        let mut visitor = entered.expect("a way in");
        visitor.greeting().await;
        ask(&mut visitor, opened(1, "open", "sync", "open")).await;
        let start = json!({"kind": "start", "path": path, "create": true, "schema": schema()});
        visitor.send(&part(2, "open", start, Vec::new())).await;
        let mut opener = Self { visitor, doc: Replica::default().doc, next: 3, waiting: 1 };
        while !opener.hear().await {}
        opener
    }

    /// Hears one message; whether it was one of the document.
    async fn hear(&mut self) -> bool {
        let message = self.visitor.next().await;
        let chunk = &message.header["chunk"];
        assert_ne!(chunk["type"], "error", "{chunk}");
        if message.kind == "__response__" {
            assert_ne!(message.header["type"], "error", "{}", message.header);
            self.waiting -= 1;
        }
        let kind = chunk["headers"]["kind"].as_str();
        if let Some("state" | "sync") = kind {
            let bytes = STANDARD.decode(&message.bytes).expect("base64");
            let update = Update::decode_v1(&bytes).expect("an update");
            self.doc.transact_mut().apply_update(update).expect("it fits");
        }
        kind.is_some()
    }

    /// Sends an update, once few enough wait to be acknowledged.
    async fn send(&mut self, update: &[u8]) {
        while self.waiting >= 4 {
            self.hear().await;
        }
        let data = STANDARD.encode(update).into_bytes();
        self.visitor.send(&part(self.next, "open", json!({"kind": "sync"}), data)).await;
        self.next += 1;
        self.waiting += 1;
    }

    /// Waits until everything that was sent is acknowledged.
    async fn settle(&mut self) {
        while self.waiting > 0 {
            self.hear().await;
        }
    }

    /// Changes something; the update.
    fn edit(&self, drawn: &mut fastrand::Rng) -> Vec<u8> {
        let mut txn = self.doc.transact_mut();
        let root = txn.get_or_insert_xml_fragment("xml");
        let count = root.len(&txn);
        match drawn.u8(..4) {
            0 if count > 0 => root.remove(&mut txn, drawn.u32(..count)),
            1 if count > 0 => {
                let one = root.get(&txn, drawn.u32(..count)).and_then(|it| it.into_xml_element());
                one.expect("an element").insert_attribute(&mut txn, "v", drawn.u32(..).to_string());
            }
            _ => {
                root.insert(&mut txn, drawn.u32(..=count), XmlElementPrelim::empty("n"));
            }
        }
        txn.commit();
        txn.encode_update_v1()
    }

    /// Everything that it has.
    fn state(&self) -> Vec<u8> {
        self.doc.transact().encode_state_as_update_v1(&StateVector::default())
    }

    fn text(&self) -> String {
        let txn = self.doc.transact();
        txn.get_xml_fragment("xml").map(|root| root.get_string(&txn)).unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_writers_end_equal_although_the_platform_is_killed() {
    const WRITERS: u64 = 10;
    let folder = tempfile::tempdir().expect("a folder");
    let mut process = Process::start(&mut server(folder.path(), ""));
    let given = token(&process.reached.key, every());
    let (done, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    let mut working = JoinSet::new();
    for seed in 0..WRITERS {
        let (url, given, done) = (process.reached.url.clone(), given.clone(), done.clone());
        working.spawn(async move {
            let mut opener = Opener::open(&url, &given, "a.n").await;
            let mut drawn = fastrand::Rng::with_seed(seed);
            loop {
                let update = opener.edit(&mut drawn);
                opener.send(&update).await;
                opener.settle().await;
                // It ends with its connection, in a panic of its task, and what it has so far is here.
                if done.send((seed, opener.state())).is_err() {
                    return;
                }
            }
        });
    }
    let mut states = vec![Vec::new(); usize::try_from(WRITERS).expect("few")];
    for count in 0.. {
        let (seed, state) = acknowledged.recv().await.expect("more");
        states[usize::try_from(seed).expect("few")] = state;
        if count == 300 {
            process.child.kill().expect("a kill");
            break;
        }
    }
    working.shutdown().await;
    while let Ok((seed, state)) = acknowledged.try_recv() {
        states[usize::try_from(seed).expect("few")] = state;
    }
    drop(process);

    let process = Process::start(&mut server(folder.path(), ""));
    let mut openers = Vec::new();
    for state in &states {
        let opener = Opener::open(&process.reached.url, &given, "a.n").await;
        // What was acknowledged is there: nothing of it is new, and nothing is deleted by it.
        let before = (opener.doc.transact().state_vector(), opener.text());
        let update = Update::decode_v1(state).expect("an update");
        opener.doc.transact_mut().apply_update(update).expect("it fits");
        assert_eq!((opener.doc.transact().state_vector(), opener.text()), before);
        openers.push(opener);
    }
    let mut drawn = fastrand::Rng::with_seed(7);
    for _ in 0..20 {
        for opener in &mut openers {
            let update = opener.edit(&mut drawn);
            opener.send(&update).await;
        }
    }
    for opener in &mut openers {
        opener.settle().await;
    }
    // Each hears the rest of the others.
    let last = Opener::open(&process.reached.url, &given, "a.n").await;
    for opener in &mut openers {
        let heard = async {
            while opener.text() != last.text() {
                opener.hear().await;
            }
        };
        let heard = tokio::time::timeout(Duration::from_secs(20), heard).await;
        assert!(heard.is_ok(), "{} is not {}", opener.text(), last.text());
    }
    let writers = last.doc.transact().state_vector().len();
    assert!(writers >= 10 && last.text().len() > 100, "{writers}: {}", last.text());
    // The file is read again, by whoever opens it next.
    let mut visitor = openers.remove(0).visitor;
    drop((openers, last));
    visitor.send(&closed(9000, "open")).await;
    let described =
        ask(&mut visitor, invoke(9001, "sync", "describe", json!({"path": "a.n"}))).await;
    assert!(
        described["json"]["n"]["of"].as_array().is_some_and(|of| !of.is_empty()),
        "{described}"
    );
}

/// Sends something as an update; the code with which it is refused.
async fn refused(url: &str, given: &str, update: &[u8]) -> Option<i64> {
    refused_at(&mut Opener::open(url, given, "a.n").await, update).await
}

async fn refused_at(opener: &mut Opener, update: &[u8]) -> Option<i64> {
    let id = opener.next;
    opener.send(update).await;
    let mut answered = None;
    loop {
        let message = opener.visitor.next().await;
        if message.kind == "__response__" && message.id == id {
            answered = message.header["code"].as_i64();
            answered?;
        }
        // Its stream ends for the same reason.
        if message.header["chunk"]["type"] == "error" {
            assert_eq!(message.header["chunk"]["code"].as_i64(), answered);
            return answered;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_that_mean_harm_end_their_own_stream_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(&mut server(folder.path(), ""));
    let (url, given) = (&process.reached.url, token(&process.reached.key, every()));
    let mut good = Opener::open(url, &given, "a.n").await;
    let root = [1, 1, 7, 0, 8, 1, 3, b'x', b'm', b'l', 1];
    let nested = |depth: usize| [&root[..], &[117, 1].repeat(depth), &[126, 0]].concat();
    let huge = |kind: u8| [&root[..], &[kind, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    let deep = |depth: usize| {
        let doc = Replica::default().doc;
        let mut txn = doc.transact_mut();
        let root = txn.get_or_insert_xml_fragment("xml");
        let mut at = root.push_back(&mut txn, XmlElementPrelim::empty("n"));
        (1..depth).for_each(|_| at = at.push_back(&mut txn, XmlElementPrelim::empty("n")));
        txn.encode_update_v1()
    };
    assert!(Replica::default().apply(&deep(places::DEPTH)).is_ok());
    for update in
        [nested(1_000_000), huge(117), huge(118), huge(119), deep(5000), vec![1], vec![9; 99]]
    {
        assert_eq!(refused(url, &given, &update).await, Some(1002), "{} bytes", update.len());
    }
    // Deeper by little each time: what would be too deep is refused, and the others go on.
    let mut deeper = Opener::open(url, &given, "a.n").await;
    let mut at = None;
    let mut is_refused = false;
    for _ in 0..100 {
        let update = {
            let mut txn = deeper.doc.transact_mut();
            let root = txn.get_or_insert_xml_fragment("xml");
            let one = XmlElementPrelim::empty("n");
            at = Some(match at.take() {
                None => root.push_back(&mut txn, one),
                Some(above) => XmlFragment::push_back(&above, &mut txn, one),
            });
            txn.commit();
            txn.encode_update_v1()
        };
        deeper.send(&update).await;
        while deeper.waiting > 0 && !is_refused {
            let message = deeper.visitor.next().await;
            deeper.waiting -= usize::from(message.kind == "__response__");
            is_refused |= message.header["chunk"]["type"] == "error";
        }
        if is_refused {
            break;
        }
    }
    assert!(is_refused);
    // From the innermost on: nothing that builds on what is not there is taken.
    let doc = Replica::default().doc;
    let mut updates = Vec::new();
    let mut at: Option<yrs::XmlElementRef> = None;
    for _ in 0..2 {
        let mut txn = doc.transact_mut();
        let root = txn.get_or_insert_xml_fragment("xml");
        let one = XmlElementPrelim::empty("n");
        at = Some(match at.take() {
            None => root.push_back(&mut txn, one),
            Some(above) => XmlFragment::push_back(&above, &mut txn, one),
        });
        txn.commit();
        updates.push(txn.encode_update_v1());
    }
    let mut inside_out = Opener::open(url, &given, "b.n").await;
    assert_eq!(refused_at(&mut inside_out, &updates[1]).await, Some(1002));
    let mut drawn = fastrand::Rng::with_seed(1);
    let update = good.edit(&mut drawn);
    good.send(&update).await;
    good.settle().await;
    let mut visitor = Visitor::try_enter(url, "demo", &given, false).await.expect("a way in");
    visitor.greeting().await;
    let gone = invoke(1, "storage", "delete", json!({"path": "a.n"}));
    assert_eq!(ask(&mut visitor, gone).await["type"], "empty");
    // Who has it open is told.
    loop {
        let message: Message = good.visitor.next().await;
        if message.header["chunk"]["type"] == "error" {
            assert_eq!(message.header["chunk"]["code"], 3001);
            break;
        }
    }
    visitor.send(&invoke(2, "sync", "describe", json!({"path": "a.n"}))).await;
    assert_eq!(answer(&mut visitor, 2).await["code"], 1003);
}

/// An update that would take the room minutes is refused at once, and the document goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_too_long_is_refused_and_the_document_still_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(&mut server(folder.path(), ""));
    let (url, given) = (&process.reached.url, token(&process.reached.key, every()));
    let mut good = Opener::open(url, &given, "a.n").await;
    let mut drawn = fastrand::Rng::with_seed(1);
    let update = good.edit(&mut drawn);
    good.send(&update).await;
    good.settle().await;
    // One writer sets one value of the first element 40,000 times, each time as if there were none.
    let element = good.doc.client_id().get();
    let number = |mut number: u64| {
        let mut bytes = Vec::new();
        while number > 0x7f {
            bytes.push(u8::try_from(number & 0x7f).expect("a byte") | 0x80);
            number >>= 7;
        }
        bytes.push(u8::try_from(number).expect("a byte"));
        bytes
    };
    let set = [&[0x28, 0][..], &number(element), &[0, 1, b'v', 1, 126]].concat();
    let harm = [&[1][..], &number(40_000), &[1, 0], &set.repeat(40_000), &[0]].concat();
    let begun = std::time::Instant::now();
    assert_eq!(refused(url, &given, &harm).await, Some(1002));
    let update = good.edit(&mut drawn);
    good.send(&update).await;
    good.settle().await;
    drop(Opener::open(url, &given, "a.n").await);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// What is written where nobody finds it is not acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_ends_when_its_file_is_removed_or_replaced_from_outside() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(&mut server(folder.path(), ""));
    let (url, given) = (&process.reached.url, token(&process.reached.key, every()));
    let mut drawn = fastrand::Rng::with_seed(1);
    for path in ["removed.n", "replaced.n", "written.n"] {
        let mut opener = Opener::open(url, &given, path).await;
        let update = opener.edit(&mut drawn);
        opener.send(&update).await;
        opener.settle().await;
        let rooms = std::fs::read_dir(folder.path().join("rooms")).expect("a folder");
        let mut files = rooms.map(|room| room.expect("a room").path().join("files").join(path));
        let file = files.find(|file| file.exists()).expect("the file");
        let content = std::fs::read(&file).expect("the file");
        match path {
            "removed.n" => std::fs::remove_file(&file).expect("to remove it"),
            "replaced.n" => {
                std::fs::write(file.with_extension("new"), &content).expect("to write it");
                std::fs::rename(file.with_extension("new"), &file).expect("to rename it");
            }
            _ => std::fs::write(&file, "other").expect("to write it"),
        }
        let update = opener.edit(&mut drawn);
        assert_eq!(refused_at(&mut opener, &update).await, Some(3001), "{path}");
        // What was put there is left alone, and opened as it is.
        drop(opener);
        match path {
            "removed.n" => assert!(!file.exists()),
            "replaced.n" => {
                assert_eq!(std::fs::read(&file).expect("the file"), content);
                Opener::open(url, &given, path).await;
            }
            _ => assert_eq!(std::fs::read(&file).expect("the file"), b"other"),
        }
    }
}

/// The file of a document with a long past, as the room writes one.
fn long_past() -> Vec<u8> {
    let record = |parts: &[Vec<u8>]| {
        let bytes = |count: usize| u32::try_from(count).expect("few").to_le_bytes();
        let payload: Vec<u8> =
            parts.iter().flat_map(|part| [&bytes(part.len()), &part[..]].concat()).collect();
        let sum = |of: &[u8]| crc32fast::hash(of).to_le_bytes();
        let head = [bytes(payload.len()), sum(&payload)].concat();
        [&head[..], &sum(&head), &payload].concat()
    };
    let about = json!({"schema": schema(), "values": {}}).to_string().into_bytes();
    let doc = Replica::default().doc;
    let updates = (0..300_000_u32).map(|number| {
        let mut txn = doc.transact_mut();
        let root = txn.get_or_insert_xml_fragment("xml");
        let element = match root.get(&txn, 0).and_then(|node| node.into_xml_element()) {
            Some(element) => element,
            None => root.push_back(&mut txn, XmlElementPrelim::empty("n")),
        };
        element.insert_attribute(&mut txn, "v", (number % 10).to_string());
        txn.commit();
        txn.encode_update_v1()
    });
    let updates: Vec<Vec<u8>> = updates.collect();
    [b"meshagent document 1\n", &record(&[about])[..], &record(&updates)].concat()
}

/// A server ends within the two seconds that it gives to what goes on, and what is read in the
/// meantime is whole the next time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_ends_while_it_reads_a_document() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut process = Process::start(&mut server(folder.path(), ""));
    let (url, given) = (process.reached.url.clone(), token(&process.reached.key, every()));
    let mut visitor = Visitor::try_enter(&url, "demo", &given, false).await.expect("a way in");
    visitor.greeting().await;
    let parts: Vec<Vec<u8>> = long_past().chunks(1024 * 1024).map(<[u8]>::to_vec).collect();
    assert!(store(&mut visitor, "long.n", &parts).await);
    visitor.send(&invoke(2000, "sync", "describe", json!({"path": "long.n"}))).await;
    // What comes behind it was heard, so this was, too.
    let asked = invoke(2001, "storage", "exists", json!({"path": "long.n"}));
    visitor.send(&asked).await;
    loop {
        let message = visitor.next().await;
        assert_ne!(
            (message.kind.as_str(), message.id),
            ("__response__", 2000),
            "it was read already"
        );
        if message.kind == "__response__" && message.id == 2001 {
            break;
        }
    }
    let begun = std::time::Instant::now();
    process.terminate();
    process.ends(Duration::from_secs(20));
    // The two seconds, and as much for a slow machine.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

/// The schema that a file contains is told to whoever opens the document, so it is for those alone
/// who may read the file.
#[tokio::test]
async fn a_schema_is_read_only_for_who_may_read_its_file() {
    let server = Server::start().await;
    let key = server.key_of(&server.project).await;
    let mut owner = Visitor::enter(&server, "demo", &token(&key, every())).await;
    owner.greeting().await;
    let source = schema().to_string().into_bytes();
    for path in ["open/schema.json", "kept/schema.json"] {
        assert!(store(&mut owner, path, std::slice::from_ref(&source)).await);
    }
    let api = json!({"sync": {}, "storage": {"paths": [{"path": "open", "read_only": true}]}});
    let mut guest = Visitor::enter(&server, "demo", &token(&key, api)).await;
    guest.greeting().await;
    let rows = [
        ("a", "open/schema.json", None),
        ("b", "kept/schema.json", Some(1001)),
        ("c", "kept/none.json", Some(1001)),
        ("d", "open/../kept/schema.json", Some(3004)),
        ("e", "open/none.json", Some(3001)),
    ];
    for (id, (path, named, code)) in (1..).zip(rows) {
        let asked = json!({"path": path, "schema_path": named});
        let told = ask(&mut guest, invoke(id, "sync", "create", asked)).await;
        assert_eq!(told["code"], json!(code), "{named}: {told}");
    }
    // The same on the way of those who open it.
    ask(&mut guest, opened(20, "open", "sync", "open")).await;
    let start = json!({
        "kind": "start", "path": "f", "create": true, "schema_path": "kept/schema.json",
    });
    guest.send(&part(21, "open", start, Vec::new())).await;
    let ended = loop {
        let message = guest.next().await;
        if message.header["chunk"]["type"] == "error" {
            break message.header["chunk"]["code"].clone();
        }
    };
    assert_eq!(ended, 1001);
}
