//! What clients write as Cypher. Whatever it is, it is answered or refused, soon, and nothing is read
//! or changed but the records of the memory that is asked.

use std::time::{Duration, Instant};

use meshagent_memory::{Create, Memories, MemoryName, Reason};
use tempfile::TempDir;

const ASKED: MemoryName<'static> = MemoryName { namespace: &[], name: "asked" };
const OTHER: MemoryName<'static> = MemoryName { namespace: &[], name: "other" };

/// What stands in the memory that nobody asks.
const SECRET: &str = "qcvjzxsecret";

/// How long an answer takes at most. Usual ones take less than a millisecond.
const SOON: Duration = Duration::from_secs(8);

/// A file with two memories, one of which is asked.
struct Room {
    memories: Memories,
    _folder: TempDir,
}

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is a folder");
        let memories = Memories::open(&folder.path().join("memories.sqlite")).expect("it opens");
        for name in [ASKED, OTHER] {
            memories.create(name, Create::default()).expect("it is made");
        }
        let nodes = r#"[
            {"entity_id": "ann", "name": "Ann", "entity_type": "Person", "confidence": 0.9, "age": 41},
            {"entity_id": "bob", "name": "Bob", "context": "It's Bob's", "metadata": {"team": "a"}},
            {"entity_id": "acme", "name": "Acme", "entity_type": "Firm", "active": true}
        ]"#;
        let edges = r#"[
            {"source_entity_id": "ann", "target_entity_id": "bob", "relationship_type": "KNOWS"},
            {"source_entity_id": "ann", "target_entity_id": "acme", "relationship_type": "WORKS_AT"}
        ]"#;
        let secret = format!(r#"[{{"entity_id": "s", "name": "{SECRET}"}}]"#);
        memories.upsert_nodes(ASKED, nodes, true).expect("they are written");
        memories.upsert_relationships(ASKED, edges, true).expect("they are written");
        memories.upsert_nodes(OTHER, &secret, true).expect("it is written");
        Self { memories, _folder: folder }
    }

    /// How many records each dataset of the two memories has.
    fn counts(&self) -> Vec<u64> {
        let told = [ASKED, OTHER].map(|name| self.memories.inspect(name).expect("it is there"));
        told.iter().flat_map(|it| &it.datasets).map(|it| it.rows).collect()
    }
}

/// Feeds it in, and tells whether it was answered.
pub fn feed(bytes: &[u8]) -> bool {
    thread_local! {
        static ROOM: Room = Room::new();
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    ROOM.with(|room| {
        let began = Instant::now();
        let answer = room.memories.query(ASKED, text);
        assert!(began.elapsed() < SOON, "it took {:?}: {text}", began.elapsed());
        let told = match &answer {
            Ok(rows) => format!("{rows:?}"),
            Err(error) => {
                // A statement that SQLite does not take would be ours.
                assert_ne!(error.reason, Reason::Failed, "{text}: {error}");
                assert!(error.text.contains(':'), "no place is told: {text}: {error}");
                for wrong in ["syntax error", "no such", "prohibited", "not authorized"] {
                    assert!(!error.text.contains(wrong), "{text}: {error}");
                }
                String::new()
            }
        };
        assert!(text.contains(SECRET) || !told.contains(SECRET), "{text}: {told}");
        assert_eq!(room.counts(), [3, 2, 1, 0], "{text}");
        answer.is_ok()
    })
}
