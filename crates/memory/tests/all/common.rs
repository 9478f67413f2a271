//! A file of memories for a test.

use std::path::PathBuf;

use meshagent_memory::{Create, Memories, MemoryName, Value};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// The memory that most tests use.
pub const NOTES: MemoryName<'static> = MemoryName { namespace: &[], name: "notes" };

/// Memories in a folder that goes with them.
pub struct Room {
    pub memories: Memories,
    folder: TempDir,
}

impl Room {
    /// With one empty memory, [`NOTES`].
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let memories = Memories::open(&folder.path().join("memories.db")).unwrap();
        memories.create(NOTES, Create::default()).unwrap();
        Self { memories, folder }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("memories.db")
    }

    pub fn nodes(&self, records: &Json) -> u64 {
        self.memories.upsert_nodes(NOTES, &records.to_string(), true).unwrap()
    }

    pub fn edges(&self, records: &Json) -> u64 {
        self.memories.upsert_relationships(NOTES, &records.to_string(), true).unwrap()
    }

    /// The rows of an answer, as arrays of their values.
    pub fn rows(&self, statement: &str) -> Json {
        let rows = self.memories.query(NOTES, statement);
        let rows = rows.unwrap_or_else(|error| panic!("{statement}: {error}"));
        let row = |row: Vec<(String, Value)>| -> Json {
            row.iter().map(|(_, value)| value.to_plain()).collect()
        };
        rows.into_iter().map(row).collect()
    }

    /// The names of the columns of an answer that has rows.
    pub fn columns(&self, statement: &str) -> Vec<String> {
        let rows = self.memories.query(NOTES, statement).unwrap();
        rows[0].iter().map(|(name, _)| name.clone()).collect()
    }

    pub fn refusal(&self, statement: &str) -> String {
        match self.memories.query(NOTES, statement) {
            Err(error) => error.text,
            Ok(rows) => panic!("{statement}: {rows:?}"),
        }
    }
}

/// Four people and a firm, and what is between them.
pub fn people() -> Room {
    let room = Room::new();
    room.nodes(&json!([
        {"entity_id": "ann", "name": "Ann", "entity_type": "Person", "context": "likes tea",
         "confidence": 0.9, "created_at": "2026-01-01", "valid_at": "2026-03-01", "age": 41},
        {"entity_id": "bob", "name": "Bob", "entity_type": "Person", "context": "It's Bob's",
         "confidence": 0.5, "created_at": "2026-01-02", "valid_at": "2026-02-01", "age": 17},
        {"entity_id": "zoe", "name": "Zoë", "entity_type": "Person", "created_at": "2026-01-03",
         "metadata": {"team": "a"}},
        {"entity_id": "acme", "name": "Acme", "entity_type": "Organization",
         "created_at": "2026-01-04", "valid_at": "2026-02-01", "active": true},
    ]));
    room.edges(&json!([
        {"source_entity_id": "ann", "target_entity_id": "bob", "relationship_type": "KNOWS",
         "description": "since school"},
        {"source_entity_id": "bob", "target_entity_id": "zoe", "relationship_type": "KNOWS"},
        {"source_entity_id": "ann", "target_entity_id": "acme", "relationship_type": "WORKS_AT"},
        {"source_entity_id": "zoe", "target_entity_id": "acme", "relationship_type": "WORKS_AT"},
        {"source_entity_id": "zoe", "target_entity_id": "zoe", "relationship_type": "KNOWS"},
    ]));
    room
}
