//! How records are added and merged.

use meshagent_memory::Reason;
use serde_json::{Value as Json, json};

use crate::common::{NOTES, Room};

fn upsert(room: &Room, table: &str, records: &Json, merge: bool) -> u64 {
    room.memories.upsert_table(NOTES, table, &records.to_string(), merge).unwrap()
}

#[test]
fn a_merge_changes_what_is_said_and_leaves_the_rest() {
    let room = Room::new();
    room.nodes(&json!([{"entity_id": "a", "name": "Ann", "entity_type": "Person",
        "context": "old", "confidence": 1, "created_at": "2026-01-01", "metadata": {"k": "v"}}]));
    room.nodes(&json!([{"entity_id": "a", "name": "Anna", "entity_type": null,
        "context": "new", "confidence": null, "created_at": null, "metadata": null}]));
    assert_eq!(
        room.rows("MATCH (e) RETURN e.name, e.entity_type, e.context, e.confidence, e.created_at, e.metadata"),
        json!([["Anna", "Person", "new", 1.0, "2026-01-01T00:00:00Z", {"k": "v"}]])
    );
    // The search knows it as well.
    assert!(room.memories.recall(NOTES, "old", 5, true).unwrap().is_empty());
    assert_eq!(room.memories.recall(NOTES, "new", 5, true).unwrap().len(), 1);
}

#[test]
fn the_same_record_twice_is_one_entity_if_it_is_merged() {
    let room = Room::new();
    let record = json!([{"name": "Ann", "entity_type": "Person"}, {"name": "Ann"}]);
    assert_eq!(room.nodes(&record), 2);
    room.nodes(&record);
    assert_eq!(
        room.rows("MATCH (e) RETURN count(*), count(DISTINCT e.entity_id)"),
        json!([[2, 2]])
    );
    room.memories.upsert_nodes(NOTES, &record.to_string(), false).unwrap();
    assert_eq!(
        room.rows("MATCH (e) RETURN count(*), count(DISTINCT e.entity_id)"),
        json!([[4, 2]])
    );
    // A merge changes all that have the key.
    room.nodes(&json!([{"name": "Ann", "context": "x"}]));
    assert_eq!(room.rows("MATCH (e) RETURN count(e.context)"), json!([[2]]));
}

#[test]
fn a_merge_empties_a_text_and_replaces_metadata_as_a_whole() {
    let room = Room::new();
    let node = |context: &str, metadata: Json| json!([{"name": "Ann", "context": context, "metadata": metadata}]);
    room.nodes(&node("tea", json!({"a": "1", "b": "2"})));
    room.nodes(&node("", json!({"b": "3"})));
    let asked = "MATCH (e) RETURN e.context, e.metadata";
    assert_eq!(room.rows(asked), json!([["", {"b": "3"}]]));
    room.nodes(&node("", json!({})));
    assert_eq!(room.rows(asked), json!([["", {}]]));
}

#[test]
fn an_entity_is_created_when_it_is_first_said() {
    let room = Room::new();
    room.nodes(&json!([{"name": "Ann"}]));
    let first = room.rows("MATCH (e) RETURN e.created_at, e.valid_at");
    let moment = first[0][0].as_str().unwrap();
    assert!(moment.starts_with("20") && moment.ends_with('Z'), "{moment}");
    assert_eq!(first[0][1], Json::Null);
    room.nodes(&json!([{"name": "Ann", "context": "x"}]));
    assert_eq!(room.rows("MATCH (e) RETURN e.created_at, e.valid_at"), first);
}

#[test]
fn relationships_are_known_by_their_ends_and_their_type() {
    let room = Room::new();
    room.nodes(&json!([{"entity_id": "a", "name": "Ann"}]));
    let edge = |kind: Json, description: &str| {
        json!([{"source_entity_id": "a", "target_entity_id": "b", "relationship_type": kind,
                "description": description}])
    };
    room.edges(&edge(json!("KNOWS"), "one"));
    room.edges(&edge(json!("KNOWS"), "two"));
    room.edges(&edge(Json::Null, "three"));
    assert_eq!(
        room.rows(
            "MATCH (r:RELATIONSHIP) RETURN r.relationship_type, r.description, \
                   r.source_entity_name, r.target_entity_name ORDER BY r.description"
        ),
        json!([["RELATED_TO", "three", "Ann", null], ["KNOWS", "two", "Ann", null]])
    );
    let text = edge(json!("KNOWS"), "four").to_string();
    room.memories.upsert_relationships(NOTES, &text, false).unwrap();
    assert_eq!(room.rows("MATCH (r:RELATIONSHIP) RETURN count(*)"), json!([[3]]));
}

#[test]
fn a_dataset_of_a_clients_own_knows_its_records_by_a_key() {
    for (first, second, rows) in [
        // By the first of the usual names that all of them have.
        (
            json!([{"id": 1, "name": "a", "x": 1}]),
            json!([{"id": 1, "name": "b"}]),
            json!([[1, "b", 1]]),
        ),
        (json!([{"id": 1}, {"id": "x"}]), json!([]), Json::Null),
        (json!([{"name": "a", "x": 1}]), json!([{"name": "a", "x": 2}]), json!([[null, "a", 2]])),
        (
            json!([{"name": "a", "x": 1}, {"name": "b", "id": 1}]),
            json!([{"name": "b", "x": 2}]),
            json!([[null, "a", 1], [1, "b", 2]]),
        ),
        // By all that they say.
        (
            json!([{"x": 1}, {"x": 2}]),
            json!([{"x": 1, "name": null}, {"x": 3}]),
            json!([[null, null, 1], [null, null, 2], [null, null, 3]]),
        ),
    ] {
        let room = Room::new();
        let tried = room.memories.upsert_table(NOTES, "T", &first.to_string(), true);
        if rows == Json::Null {
            let told = tried.unwrap_err().text;
            assert_eq!(told, "record 2: column \"id\" of \"T\" is int, and a value of text is not");
            continue;
        }
        tried.unwrap();
        upsert(&room, "t", &second, true);
        let answer = room.rows("MATCH (t:T) RETURN t.id, t.name, t.x ORDER BY t.x, t.name");
        assert_eq!(answer, rows, "{first} {second}");
        assert_eq!(room.memories.inspect(NOTES).unwrap().datasets.len(), 3);
    }
}

#[test]
fn without_a_merge_records_are_added() {
    let room = Room::new();
    for _ in 0..2 {
        assert_eq!(upsert(&room, "T", &json!([{"id": 1}, {"id": 1}]), false), 2);
    }
    assert_eq!(room.rows("MATCH (t:T) RETURN count(*)"), json!([[4]]));
}

#[test]
fn a_record_without_its_key_is_told() {
    let room = Room::new();
    upsert(&room, "T", &json!([{"id": 1}]), true);
    let error =
        room.memories.upsert_table(NOTES, "T", r#"[{"id": 2}, {"x": 1}]"#, true).unwrap_err();
    assert_eq!(error.text, "record 2 has no \"id\", by which the records of \"T\" are known");
    // None of them was taken, and neither was the column.
    assert_eq!(room.rows("MATCH (t:T) RETURN t"), json!([[{"id": 1}]]));
}

#[test]
fn columns_grow_with_the_records() {
    let room = Room::new();
    upsert(&room, "T", &json!([{"id": 1, "a": null, "n": 1}]), true);
    upsert(&room, "T", &json!([{"id": 2, "a": "x", "n": 0.5, "b": [1]}]), true);
    upsert(&room, "T", &json!([{"id": 3, "n": 2, "c": true}]), true);
    let details = room.memories.inspect(NOTES).unwrap();
    assert_eq!(details.datasets[2].columns, ["id", "a", "n", "b", "c"]);
    assert_eq!(
        room.rows("MATCH (t:T) RETURN t.a, t.n, t.b, t.c ORDER BY t.id"),
        json!([[null, 1.0, null, null], ["x", 0.5, [1], null], [null, 2.0, null, true]])
    );
}

#[test]
fn values_come_back_as_they_went() {
    let room = Room::new();
    let records = json!([
        {"id": 1, "n": 1, "f": 0.1, "b": true, "t": "ä\u{0}'\"", "l": [1, {"c": null}],
         "z": {"encoding": "base64", "data": "AP8="}, "o": null},
        {"id": 2, "n": 0.5, "f": -1e300, "b": false, "t": "", "l": [], "z": null, "o": null},
    ]);
    upsert(&room, "T", &records, true);
    let mut wanted = records.clone();
    // Whole numbers have a point where others have one.
    wanted[0]["n"] = json!(1.0);
    assert_eq!(room.rows("MATCH (t:T) RETURN t ORDER BY t.id"), json!([[wanted[0]], [wanted[1]]]));
    upsert(&room, "T", &json!([{"id": 1, "o": 5, "f": 2}]), true);
    assert_eq!(room.rows("MATCH (t:T {id: 1.0}) RETURN t.o, t.f, t.b"), json!([[5, 2.0, true]]));
}

#[test]
fn records_that_do_not_fit_are_told_and_none_is_taken() {
    let room = Room::new();
    room.nodes(&json!([{"name": "Ann"}]));
    for (records, told) in [
        (
            json!([{"name": "Bob"}, {"name": "Eve", "confidence": "high"}]),
            "record 2: column \"confidence\" of \"Entity\" is float, and a value of text is not",
        ),
        (
            json!([{"name": "Bob"}, {"name": "Eve", "created_at": 5}]),
            "record 2: column \"created_at\" of \"Entity\" is text, and a value of int is not",
        ),
        (json!([{"name": "Bob"}, {}]), "record 2 says nothing"),
        (
            json!([{"name": "Bob"}, {"name": "Eve", "confidence": 7}]),
            "record 2: \"confidence\" is a number from 0 to 1",
        ),
        (json!([{"name": "Bob", "confidence": -0.1}]), "record 1: \"confidence\" is a number"),
        (
            json!([{"name": "Bob"}, {"name": "Eve", "created_at": "yesterday"}]),
            "record 2: \"created_at\" is a time like \"2026-11-30T12:00:00Z\" or \"2026-11-30\", and not \"yesterday\"",
        ),
        (json!([{"name": "Bob", "x\ny": 1}]), "the name of a column has a control character"),
        (
            json!([{"name": "Bob", "entity_id": "x".repeat(3_000)}]),
            "record 1: \"entity_id\" has more",
        ),
        (json!([{"name": "Bob", "context": "x".repeat(5 << 20)}]), "a record has more than 4 MiB"),
    ] {
        let error = room.memories.upsert_nodes(NOTES, &records.to_string(), true).unwrap_err();
        assert!(error.text.starts_with(told), "{error}");
    }
    let wide: serde_json::Map<_, _> = (0..300)
        .map(|n| (format!("c{n}"), json!(n)))
        .chain([("id".to_owned(), json!(1))])
        .collect();
    let error =
        room.memories.upsert_table(NOTES, "T", &json!([wide]).to_string(), true).unwrap_err();
    assert!(error.text.contains("more than 256 columns"), "{error}");
    assert_eq!(room.rows("MATCH (e) RETURN collect(e.name)"), json!([[["Ann"]]]));
    assert_eq!(room.memories.inspect(NOTES).unwrap().datasets.len(), 2);
}

#[test]
fn the_two_datasets_are_taken_by_their_names() {
    let room = Room::new();
    assert_eq!(upsert(&room, "entity", &json!([{"name": "Ann", "mood": "good"}]), true), 1);
    assert_eq!(
        upsert(
            &room,
            "Relationship",
            &json!([{"source_entity_id": "a", "target_entity_id": "b"}]),
            true
        ),
        1
    );
    assert_eq!(room.memories.recall(NOTES, "ann", 1, true).unwrap()[0].name, "Ann");
    assert_eq!(
        room.rows("MATCH (r:RELATIONSHIP) RETURN r.relationship_type"),
        json!([["RELATED_TO"]])
    );
    let error =
        room.memories.upsert_table(NOTES, "Entity", r#"[{"mood": "x"}]"#, true).unwrap_err();
    assert_eq!((error.reason, error.text.as_str()), (Reason::Invalid, "record 1 has no \"name\""));
    assert_eq!(upsert(&room, "Nothing", &json!([]), true), 0);
}

#[test]
fn no_number_changes_when_a_column_gets_one_with_a_point() {
    let room = Room::new();
    let told = |records: &Json| {
        let told = room.memories.upsert_table(NOTES, "z", &records.to_string(), true);
        told.unwrap_err().text
    };
    upsert(&room, "z", &json!([{"id": 1, "n": 9_007_199_254_740_993_i64, "m": 2}]), true);
    let text = told(&json!([{"id": 2, "n": 1.5}]));
    assert!(text.contains("column \"n\" of \"z\" has whole numbers that would lose"), "{text}");
    // Too large for 64 bits, and so a number with a point.
    let text = told(&serde_json::from_str(r#"[{"id": 1, "n": 1180591620717411303424}]"#).unwrap());
    assert!(text.contains("would lose digits"), "{text}");
    for key in ["1.5", "1180591620717411303424"] {
        let text = told(&serde_json::from_str(&format!(r#"[{{"id": {key}}}]"#)).unwrap());
        assert!(text.contains("column \"id\" of \"z\" is int"), "{text}");
    }
    upsert(&room, "z", &json!([{"id": 3, "m": 0.5}]), true);
    for lost in [9_007_199_254_740_993, i64::MAX] {
        let text = told(&json!([{"id": 1, "m": lost}]));
        assert!(text.contains("record 1: column \"m\" has numbers with a point"), "{text}");
    }
    assert_eq!(
        room.rows("MATCH (z:z) RETURN z.id, z.n, z.m ORDER BY z.id"),
        json!([[1, 9_007_199_254_740_993_i64, 2.0], [3, null, 0.5]])
    );
    upsert(&room, "y", &json!([{"id": 1, "n": i64::MAX}]), true);
    let text = room.memories.upsert_table(NOTES, "y", r#"[{"id": 1, "n": 0.5}]"#, true);
    assert!(text.unwrap_err().text.contains("would lose digits"));
}
