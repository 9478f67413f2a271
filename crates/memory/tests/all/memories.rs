//! Memories as a whole: names, what they hold, and what is on disk.

use std::sync::Arc;

use meshagent_memory::{Create, Memories, MemoryName, Reason, Selector, Strategy};
use serde_json::json;

use crate::common::{NOTES, Room, people};

const OVERWRITE: Create = Create { overwrite: true, ignore_exists: false };
const IGNORE: Create = Create { overwrite: false, ignore_exists: true };

#[test]
fn memories_are_made_listed_and_dropped() {
    let room = Room::new();
    let memories = &room.memories;
    let team = ["team".to_owned()];
    // Two ways to write a path are two namespaces.
    let joined = ["team/x".to_owned()];
    let parts = ["team".to_owned(), "x".to_owned()];
    for namespace in [&team[..], &joined, &parts] {
        memories.create(MemoryName { namespace, name: "b" }, Create::default()).unwrap();
    }
    memories.create(MemoryName { namespace: &team, name: "a" }, Create::default()).unwrap();
    assert_eq!(memories.list(&team).unwrap(), ["a", "b"]);
    assert_eq!(memories.list(&parts).unwrap(), ["b"]);
    assert_eq!(memories.list(&[]).unwrap(), ["notes"]);
    assert!(memories.list(&["nowhere".to_owned()]).unwrap().is_empty());

    memories.drop(MemoryName { namespace: &joined, name: "b" }, false).unwrap();
    assert!(memories.list(&joined).unwrap().is_empty());
    assert_eq!(memories.list(&parts).unwrap(), ["b"]);
    let missing = MemoryName { namespace: &team, name: "c" };
    let error = memories.drop(missing, false).unwrap_err();
    assert_eq!(error.reason, Reason::NotFound);
    assert_eq!(error.text, "memory does not exist: team/c");
    memories.drop(missing, true).unwrap();
}

#[test]
fn one_that_is_there_is_kept_emptied_or_an_error() {
    let room = people();
    let error = room.memories.create(NOTES, Create::default()).unwrap_err();
    assert_eq!(error.reason, Reason::AlreadyExists);
    room.memories.create(NOTES, IGNORE).unwrap();
    assert_eq!(room.rows("MATCH (e) RETURN count(*)"), json!([[4]]));
    room.memories.create(NOTES, OVERWRITE).unwrap();
    assert_eq!(room.rows("MATCH (e) RETURN count(*)"), json!([[0]]));
    assert!(room.memories.recall(NOTES, "Ann", 5, true).unwrap().is_empty());
}

#[test]
fn names_that_cannot_be_are_told() {
    let room = Room::new();
    for name in ["", " ", "a\nb", &"x".repeat(300)] {
        let error = room.memories.create(MemoryName { namespace: &[], name }, IGNORE).unwrap_err();
        assert_eq!(error.reason, Reason::Invalid);
    }
    let deep: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert!(room.memories.list(&deep).is_err());
    // Others are names, whatever they look like.
    let name = "d1\"; DROP TABLE memory; --";
    room.memories.create(MemoryName { namespace: &[], name }, Create::default()).unwrap();
    assert_eq!(room.memories.list(&[]).unwrap(), [name, "notes"]);
}

#[test]
fn a_memory_says_what_it_holds() {
    let room = people();
    let details = room.memories.inspect(NOTES).unwrap();
    assert_eq!(details.path, "notes");
    let counts: Vec<_> = details.datasets.iter().map(|it| (it.name.as_str(), it.rows)).collect();
    assert_eq!(counts, [("Entity", 4), ("RELATIONSHIP", 5)]);
    assert_eq!(
        details.datasets[0].columns,
        [
            "entity_id",
            "name",
            "entity_type",
            "context",
            "confidence",
            "created_at",
            "valid_at",
            "metadata",
            "age",
            "active"
        ]
    );
    assert_eq!(details.datasets[1].columns.len(), 12);
}

#[test]
fn each_operation_says_that_there_is_no_memory() {
    let room = Room::new();
    let memories = &room.memories;
    let none = MemoryName { namespace: &[], name: "none" };
    let reasons = [
        memories.inspect(none).map(drop),
        memories.query(none, "MATCH (e) RETURN e").map(drop),
        memories.upsert_table(none, "a", "[]", true).map(drop),
        memories.upsert_nodes(none, "[]", true).map(drop),
        memories.upsert_relationships(none, "[]", true).map(drop),
        memories.ingest(none, &[], Strategy::Heuristic).map(drop),
        memories.recall(none, "a", 5, true).map(drop),
        memories.delete_entities(none, &[]).map(drop),
        memories.delete_relationships(none, &[]).map(drop),
        memories.optimize(none, true, true).map(drop),
    ];
    for reason in reasons {
        let error = reason.unwrap_err();
        assert_eq!(error.reason, Reason::NotFound);
        assert_eq!(error.text, "memory does not exist: none");
    }
}

#[test]
fn deletions_count_what_goes() {
    let room = people();
    let memories = &room.memories;
    let selector = |source_entity_id, target_entity_id, relationship_type| Selector {
        source_entity_id,
        target_entity_id,
        relationship_type,
    };
    room.edges(&json!([{"source_entity_id": "ann", "target_entity_id": "bob"}]));
    for (selectors, count) in [
        (vec![selector("ann", "bob", Some("WORKS_AT")), selector("bob", "ann", None)], 0),
        (vec![selector("ann", "bob", Some("KNOWS")), selector("ann", "bob", Some("KNOWS"))], 1),
        (vec![selector("ann", "bob", None), selector("ann", "acme", None)], 2),
    ] {
        assert_eq!(memories.delete_relationships(NOTES, &selectors).unwrap(), count);
    }
    let ids = ["zoe".to_owned(), "nobody".to_owned(), "zoe".to_owned()];
    let deleted = memories.delete_entities(NOTES, &ids).unwrap();
    // Of the one that begins and ends at the entity there is one.
    assert_eq!((deleted.entities, deleted.relationships), (1, 3));
    assert!(memories.recall(NOTES, "Zoë", 5, true).unwrap().is_empty());
    assert_eq!(room.rows("MATCH (r:RELATIONSHIP) RETURN count(*)"), json!([[0]]));
}

#[test]
fn what_was_acknowledged_is_there_after_the_end_of_the_process() {
    let room = people();
    // As after `kill -9`: what is in the file and its log, and nothing that a process held.
    let copy = tempfile::tempdir().unwrap();
    for end in ["", "-wal"] {
        let name = format!("memories.db{end}");
        std::fs::copy(room.path().with_file_name(&name), copy.path().join(&name)).unwrap();
    }
    let again = Memories::open(&copy.path().join("memories.db")).unwrap();
    let rows = again.query(NOTES, "MATCH (e)-[r]->(f) RETURN e.name, f.name").unwrap();
    assert_eq!(rows.len(), 5);
    assert_eq!(again.recall(NOTES, "tea", 5, false).unwrap()[0].name, "Ann");

    let path = room.path();
    std::mem::forget(room.memories);
    let second = Memories::open(&path).unwrap();
    assert_eq!(second.inspect(NOTES).unwrap().datasets[0].rows, 4);
}

#[test]
fn threads_write_and_read_at_the_same_time() {
    let room = Arc::new(Room::new());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let room = Arc::clone(&room);
            scope.spawn(move || {
                for n in 0..25 {
                    room.nodes(&json!([{"name": format!("n{thread}-{n}")}, {"name": "shared"}]));
                    let rows = room.rows("MATCH (e) RETURN count(*)");
                    assert!(rows[0][0].as_u64().unwrap() > n);
                    room.memories.recall(NOTES, "shared", 5, true).unwrap();
                }
            });
        }
    });
    assert_eq!(room.rows("MATCH (e) RETURN count(*)"), json!([[101]]));
}

#[test]
fn optimizing_merges_the_index_and_shrinks_the_file() {
    let room = Room::new();
    for n in 0..40 {
        room.nodes(&json!([{"name": format!("n{n}"), "context": "x".repeat(5_000)}]));
    }
    let merged = room.memories.optimize(NOTES, true, false).unwrap();
    assert_eq!((merged.len(), merged[0].dataset.as_str()), (2, "Entity"));
    assert!(merged[0].fragments_removed > 1 && merged[0].fragments_added == 1, "{merged:?}");
    let all = room.rows("MATCH (e) WHERE e.name <> 'n0' RETURN collect(e.entity_id)");
    let ids: Vec<String> = serde_json::from_value(all[0][0].clone()).unwrap();
    room.memories.delete_entities(NOTES, &ids).unwrap();
    let stats = room.memories.optimize(NOTES, true, true).unwrap();
    assert!(stats[0].bytes_removed > 100_000 && stats[1].bytes_removed == 0, "{stats:?}");
    assert_eq!(room.memories.recall(NOTES, "n0", 5, true).unwrap().len(), 1);
    assert_eq!(room.memories.optimize(NOTES, false, false).unwrap()[0].bytes_removed, 0);
}

#[test]
fn a_damaged_file_is_an_error() {
    let room = people();
    let path = room.path();
    let folder = tempfile::tempdir().unwrap();
    room.memories.optimize(NOTES, true, true).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for seed in 0..100_usize {
        let mut broken = bytes.clone();
        let at = (seed * 7_919 + 100) % broken.len();
        let end = (at + 64).min(broken.len());
        broken[at..end].fill(0xa5);
        let file = folder.path().join(format!("{seed}"));
        std::fs::write(&file, broken).unwrap();
        let Ok(memories) = Memories::open(&file) else { continue };
        let _ = memories.inspect(NOTES);
        let _ = memories.query(NOTES, "MATCH (e)-[r]->(f) RETURN e, r, f ORDER BY e.name");
        let _ = memories.recall(NOTES, "Ann Bob", 5, true);
        let _ = memories.upsert_nodes(NOTES, r#"[{"name": "Eve"}]"#, true);
        let _ = memories.delete_entities(NOTES, &["ann".to_owned()]);
    }
}
