//! What is found in sources, and what becomes of it in a memory.

use meshagent_memory::{Content, Reason, Strategy, Value};
use serde_json::{Value as Json, json};

use crate::common::{NOTES, Room};

fn ingest(room: &Room, sources: &[Content<'_>]) -> (u64, u64, u64) {
    let done = room.memories.ingest(NOTES, sources, Strategy::Heuristic).unwrap();
    (done.entities, done.relationships, done.sources)
}

fn entities(room: &Room) -> Json {
    room.rows("MATCH (e) RETURN e.name, e.entity_type")
}

fn edges(room: &Room) -> Json {
    room.rows(
        "MATCH (r:RELATIONSHIP) RETURN r.source_entity_name, r.relationship_type, r.target_entity_name",
    )
}

#[test]
fn texts_give_entities_and_relationships() {
    for (text, found, between) in [
        (
            "Ann and Bob work at Acme Inc.",
            json!([["Ann", "Person"], ["Bob", "Person"], ["Acme Inc", "Organization"]]),
            json!([
                ["Ann", "WORKS_AT", "Acme Inc"],
                ["Bob", "WORKS_AT", "Acme Inc"],
                ["Ann", "RELATED_TO", "Bob"]
            ]),
        ),
        (
            "Ann lives in Paris. She works with Bob, Carl and Dora.",
            json!([
                ["Ann", "Person"],
                ["Paris", "Place"],
                ["Bob", "Concept"],
                ["Carl", "Concept"],
                ["Dora", "Concept"]
            ]),
            json!([
                ["Ann", "LIVES_IN", "Paris"],
                ["Bob", "RELATED_TO", "Carl"],
                ["Bob", "RELATED_TO", "Dora"],
                ["Carl", "RELATED_TO", "Dora"]
            ]),
        ),
        (
            "Mail ann@acme.org about #launch on 2026-11-30.",
            json!([
                ["Mail", "Concept"],
                ["ann@acme.org", "Email"],
                ["#launch", "Tag"],
                ["2026-11-30", "Date"]
            ]),
            Json::Null,
        ),
        (
            "the build is slow on mondays",
            json!([["the build is slow on mondays", "Note"]]),
            json!([]),
        ),
        (
            "Rust uses LLVM. LLVM is part of Clang.",
            json!([["Rust", "Concept"], ["LLVM", "Concept"], ["Clang", "Concept"]]),
            json!([["Rust", "USES", "LLVM"], ["LLVM", "PART_OF", "Clang"]]),
        ),
        ("", json!([]), json!([])),
    ] {
        let room = Room::new();
        ingest(&room, &[Content::Text(text)]);
        assert_eq!(entities(&room), found, "{text}");
        if between != Json::Null {
            assert_eq!(edges(&room), between, "{text}");
        }
    }
}

#[test]
fn what_is_known_already_is_not_added_again() {
    let room = Room::new();
    room.nodes(&json!([{"entity_id": "a1", "name": "Ann", "entity_type": "Colleague",
                        "context": "plays chess", "confidence": 1}]));
    let first = Content::Text("Ann works at Acme.");
    assert_eq!(ingest(&room, &[first]), (1, 1, 1));
    assert_eq!(ingest(&room, &[first]), (0, 0, 1));
    let done = room.memories.ingest(NOTES, &[Content::Text("Ann likes Tea.")], Strategy::Heuristic);
    let done = done.unwrap();
    assert_eq!((done.entities, done.entity_ids[0].as_str(), done.entity_ids.len()), (1, "a1", 2));
    assert_eq!(
        room.rows("MATCH (e {entity_id: 'a1'}) RETURN e.entity_type, e.context, e.confidence"),
        json!([["Colleague", "plays chess\nAnn works at Acme.\nAnn likes Tea.", 1.0]])
    );
    assert_eq!(
        room.rows("MATCH (r:RELATIONSHIP) RETURN r.description ORDER BY r.description"),
        json!([["Ann likes Tea."], ["Ann works at Acme."]])
    );
}

#[test]
fn the_words_of_others_are_not_shortened() {
    let room = Room::new();
    for length in [8_000, 20_000] {
        let own = "x".repeat(length);
        room.nodes(&json!([{"entity_id": "a1", "name": "Ann", "context": own}]));
        let text = format!("Ann met {}.", "Bob ".repeat(80));
        ingest(&room, &[Content::Text(&text)]);
        let context = room.rows("MATCH (e {entity_id: 'a1'}) RETURN e.context");
        assert_eq!(context, json!([[own]]));
    }
}

#[test]
fn images_files_and_rows_are_sources() {
    let room = Room::new();
    let annotations = [("place".to_owned(), "Lake Garda".to_owned())];
    let image = Content::Image {
        caption: Some("Ann with Bob at noon"),
        media_type: Some("image/png"),
        source: Some("photos/1.png"),
        annotations: &annotations,
    };
    assert_eq!(ingest(&room, &[image]), (4, 4, 1));
    assert_eq!(
        room.rows(
            "MATCH (i {entity_type: 'Image'})-[:DEPICTS]->(e) RETURN i.name, e.name ORDER BY e.name"
        ),
        json!([["photos/1.png", "Ann"], ["photos/1.png", "Bob"], ["photos/1.png", "Lake Garda"]])
    );
    let nothing =
        Content::Image { caption: None, media_type: None, source: None, annotations: &[] };
    let told = room.memories.ingest(NOTES, &[nothing], Strategy::Heuristic).unwrap_err();
    assert!(told.text.contains("an image has a caption"), "{told}");

    let file = |path, bytes| Content::File { path, media_type: None, bytes };
    let files = [
        file("a.md", &b"# Plan\n\n**Carl** leads `x`."[..]),
        file("b.csv", b"owner,task\nDora,write\n"),
        file("c.html", b"<p>Emil</p><script>Fake()</script>"),
    ];
    assert_eq!(ingest(&room, &files).2, 3);
    for name in ["Plan", "Carl", "Dora", "Emil"] {
        let found = room.memories.recall(NOTES, name, 1, false).unwrap();
        assert_eq!(found[0].name, name);
    }
    let bad = [file("a.txt", &b"Good"[..]), file("x.bin", b"\xff\0")];
    assert!(room.memories.ingest(NOTES, &bad, Strategy::Heuristic).is_err());
    assert!(room.memories.recall(NOTES, "good", 1, false).unwrap().is_empty());

    let text = |it: &str| Value::Text(it.to_owned());
    let rows = [
        vec![
            ("a".to_owned(), text("Frida")),
            ("b".to_owned(), text("Gustav")),
            ("c".to_owned(), Value::Int(1)),
        ],
        vec![("a".to_owned(), Value::Null)],
    ];
    let all = Content::Rows { rows: &rows, text_columns: None };
    assert_eq!(ingest(&room, &[all]), (2, 0, 1));
    let columns = ["b".to_owned()];
    let some = Content::Rows { rows: &rows, text_columns: Some(&columns) };
    assert_eq!(ingest(&room, &[some]), (0, 0, 1));
}

#[test]
fn a_model_is_missing() {
    let room = Room::new();
    let error = room.memories.ingest(NOTES, &[Content::Text("Ann")], Strategy::Llm).unwrap_err();
    assert_eq!(error.reason, Reason::Dependency);
    assert_eq!(Strategy::named("llm").unwrap(), Strategy::Llm);
    assert!(Strategy::named("magic").unwrap_err().text.contains("heuristic and llm"));
}

#[test]
fn long_texts_are_taken_in_linear_time() {
    let room = Room::new();
    let sentence = "Ann works at Acme and sees Bob. ";
    let long = sentence.repeat((1 << 20) / sentence.len());
    assert_eq!(ingest(&room, &[Content::Text(&long)]), (3, 3, 1));
    for text in
        ["](".repeat(1 << 16), "A".repeat(1 << 17), "<a".repeat(1 << 16), "\"A ".repeat(1 << 15)]
    {
        for path in ["a.md", "a.html", "a.json", "a.csv", "a.txt"] {
            let file = Content::File { path, media_type: None, bytes: text.as_bytes() };
            let _ = room.memories.ingest(NOTES, &[file], Strategy::Heuristic);
        }
    }
    let more = "x".repeat((4 << 20) + 1);
    let error = room.memories.ingest(NOTES, &[Content::Text(&more)], Strategy::Heuristic);
    assert!(error.unwrap_err().text.contains("more than 4 MiB"));
    let names: String = (0..60_000).map(|n| format!("Name{n} ran.\n\n")).collect();
    let error = room.memories.ingest(NOTES, &[Content::Text(&names)], Strategy::Heuristic);
    assert_eq!(error.unwrap_err().reason, Reason::Invalid);
}
