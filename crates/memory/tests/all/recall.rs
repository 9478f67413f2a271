//! The search by words.

use serde_json::json;

use crate::common::{NOTES, Room, people};

fn names(room: &Room, query: &str, limit: usize) -> Vec<String> {
    let found = room.memories.recall(NOTES, query, limit, false).unwrap();
    assert!(found.iter().all(|item| (0.0..=1.0).contains(&item.score)));
    // Nothing is told of a score that only comes of adding binary numbers.
    assert!(found.iter().all(|item| item.score.to_string().len() <= "0.1234".len()));
    assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
    found.into_iter().map(|item| item.name).collect()
}

#[test]
fn those_that_fit_best_come_first() {
    let room = Room::new();
    room.nodes(&json!([
        {"name": "Build server", "context": "runs in the cellar"},
        {"name": "Ann", "entity_type": "Person", "context": "looks after the build server"},
        {"name": "Deployment", "context": "on mondays"},
        {"name": "Zoë", "context": "日本語"},
    ]));
    for (query, wanted) in [
        ("build server", vec!["Build server", "Ann"]),
        ("Who looks after the server?", vec!["Ann", "Build server"]),
        ("ANN", vec!["Ann"]),
        ("zoe", vec!["Zoë"]),
        ("本", vec!["Zoë"]),
        ("person", vec!["Ann"]),
        // The beginning of a word finds it, too.
        ("deploy", vec!["Deployment"]),
        ("the", vec!["Build server", "Ann"]),
        ("nothing", vec![]),
        ("  ?!  ", vec![]),
        // What FTS5 would read as operators.
        ("\"ann\" OR NEAR(x) AND -y * a:b ^c {d}", vec!["Ann"]),
    ] {
        let mut found = names(&room, query, 10);
        let mut wanted: Vec<_> = wanted.into_iter().map(str::to_owned).collect();
        if query == "the" {
            found.sort();
            wanted.sort();
        }
        assert_eq!(found, wanted, "{query}");
    }
    assert_eq!(names(&room, "build server", 1), ["Build server"]);
    assert!(names(&room, "build", 0).is_empty());
    let best = &room.memories.recall(NOTES, "build server", 1, false).unwrap()[0];
    assert!((best.score - 1.0).abs() < 1e-9, "{}", best.score);
    assert_eq!(best.entity_type, "Entity");
}

#[test]
fn words_that_are_everywhere_choose_nothing_among_many() {
    let room = Room::new();
    let records: Vec<_> =
        (0..1_200).map(|n| json!({"name": format!("n{n}"), "context": "common words"})).collect();
    room.nodes(&json!(records));
    assert_eq!(names(&room, "common n77", 1), ["n77"]);
    // What is no word may be the beginning of some.
    assert_eq!(names(&room, "common n119", 3)[0], "n119");
    room.nodes(&json!([{"name": "Deployment"}]));
    assert_eq!(names(&room, "n77 common deploy", 20).last().unwrap(), "Deployment");
    assert_eq!(names(&room, "common", 7).len(), 7);
    assert_eq!(names(&room, "common nowhere", 7).len(), 7);
}

#[test]
fn relationships_come_along_if_asked_for() {
    let room = people();
    let item = &room.memories.recall(NOTES, "bob", 5, true).unwrap()[0];
    let between: Vec<_> = item
        .relationships
        .iter()
        .map(|it| (it.source_entity_id.as_str(), it.target_entity_id.as_str()))
        .collect();
    assert_eq!(between, [("ann", "bob"), ("bob", "zoe")]);
    assert_eq!(item.relationships[0].description.as_deref(), Some("since school"));
    assert_eq!(
        (item.confidence, item.valid_at.as_deref()),
        (Some(0.5), Some("2026-02-01T00:00:00Z"))
    );
    assert!(room.memories.recall(NOTES, "bob", 5, false).unwrap()[0].relationships.is_empty());
}

#[test]
fn what_is_recalled_is_what_a_path_finds() {
    let room = people();
    room.edges(&json!([
        {"source_entity_id": "ann", "target_entity_id": "nobody", "relationship_type": "KNOWS"},
    ]));
    let paths =
        room.rows("MATCH (a {name: 'Ann'})-[r]->(b) RETURN b.entity_id ORDER BY b.name DESC");
    let found = room.memories.recall(NOTES, "Ann", 1, true).unwrap();
    let recalled = found[0].relationships.iter().filter(|it| it.source_entity_id == "ann");
    let recalled: Vec<_> = recalled.map(|it| json!([it.target_entity_id])).collect();
    assert_eq!(json!(recalled), paths);
    // It is kept all the same.
    let all = "MATCH (r:RELATIONSHIP {target_entity_id: 'nobody'}) RETURN count(*)";
    assert_eq!(room.rows(all), json!([[1]]));
}
