//! How long memories take: `cargo bench -p meshagent-memory`.
#![expect(clippy::print_stdout, reason = "figures are for whoever runs this")]

use std::time::{Duration, Instant};

use meshagent_memory::{Content, Create, Memories, MemoryName, Strategy};
use serde_json::json;

const NOTES: MemoryName<'static> = MemoryName { namespace: &[], name: "notes" };
const COUNT: usize = 100_000;
const WORDS: [&str; 16] = [
    "build", "server", "garden", "river", "invoice", "meeting", "coffee", "release", "planet",
    "engine", "letter", "window", "market", "music", "forest", "bridge",
];

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("memories.db");
    let memories = Memories::open(&path).expect("memories");
    memories.create(NOTES, Create::default()).expect("a memory");
    let word = |n: usize| WORDS[n % WORDS.len()];
    let records: Vec<_> = (0..COUNT)
        .map(|n| {
            json!({
                "entity_id": format!("id{n}"), "name": format!("Name{n} {}", word(n)),
                "entity_type": "Thing", "confidence": 0.5,
                "context": format!("the {} of number {n} is near the {}", word(n / 7), word(n / 3)),
            })
        })
        .collect();
    let records = json!(records).to_string();
    let edges: Vec<_> = (0..COUNT)
        .map(|n| json!({"source_entity_id": format!("id{n}"), "target_entity_id": format!("id{}", n / 2)}))
        .collect();
    let edges = json!(edges).to_string();

    once("upsert 100,000 new nodes", || {
        assert_eq!(memories.upsert_nodes(NOTES, &records, true).expect("done"), 100_000)
    });
    once("upsert them again", || {
        assert_eq!(memories.upsert_nodes(NOTES, &records, true).expect("done"), 100_000)
    });
    once("upsert 100,000 relationships", || {
        assert_eq!(memories.upsert_relationships(NOTES, &edges, true).expect("done"), 100_000);
    });
    one("upsert one node", 200, |n| {
        let record = json!([{"name": format!("New{n}")}]).to_string();
        memories.upsert_nodes(NOTES, &record, true).expect("done");
    });
    for (what, query) in [
        ("recall a rare word", "name4711"),
        ("recall two words of many", "garden bridge"),
        ("recall a question", "Which invoice is near the river of number 99?"),
    ] {
        one(what, 50, |_| drop(memories.recall(NOTES, query, 5, true).expect("done")));
    }
    for (what, statement) in [
        ("query by id", "MATCH (e) WHERE e.entity_id = 'id500' RETURN e"),
        (
            "query the latest",
            "MATCH (e:Entity) RETURN e.name ORDER BY e.valid_at DESC, e.created_at DESC, e.name LIMIT 50",
        ),
        (
            "query by a text within",
            "MATCH (e) WHERE e.context CONTAINS 'number 77' RETURN count(*)",
        ),
        ("query two hops", "MATCH (a {entity_id: 'id500'})<-[]-(b)<-[]-(c) RETURN c.name"),
    ] {
        one(what, 50, |_| drop(memories.query(NOTES, statement).expect("done")));
    }
    let text =
        "Ann works at Acme Inc in Paris. Bob likes Rust and \"War and Peace\". ".repeat(64_000);
    once("ingest 4 MiB of text", || {
        let source = Content::Text(&text[..4 << 20]);
        drop(memories.ingest(NOTES, &[source], Strategy::Heuristic).expect("done"));
    });
    once("optimize", || drop(memories.optimize(NOTES, true, true).expect("done")));
    let size = std::fs::metadata(&path).expect("a file").len();
    println!("{:<32} {:>9} KiB", "size of the file", size >> 10);
}

fn once(what: &str, run: impl FnOnce()) {
    let begin = Instant::now();
    run();
    println!("{what:<32} {:>9.1} ms", milliseconds(begin.elapsed()));
}

/// The median of several.
fn one(what: &str, times: usize, mut run: impl FnMut(usize)) {
    let mut taken: Vec<Duration> = (0..times)
        .map(|n| {
            let begin = Instant::now();
            run(n);
            begin.elapsed()
        })
        .collect();
    taken.sort();
    println!("{what:<32} {:>9.3} ms", milliseconds(taken[times / 2]));
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
