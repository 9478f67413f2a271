//! Whatever a client sends: an answer or an error, and never more.

use meshagent_memory::{Content, Strategy as How};
use proptest::prelude::*;

use crate::common::{NOTES, Room, people};

#[path = "../../../../fuzz/inputs/cypher.rs"]
mod input;

/// Words that statements are made of.
const WORDS: [&str; 52] = [
    "MATCH",
    "(e",
    "(e:Entity",
    ")",
    "(a)",
    "-[r",
    "-[",
    ":KNOWS",
    "]->",
    "]-",
    "<-[",
    "-->",
    "--",
    "(b)",
    "WHERE",
    "RETURN",
    "DISTINCT",
    "ORDER BY",
    "SKIP",
    "LIMIT",
    "AS",
    "e",
    "e.name",
    "e.age",
    "e.active",
    "e.metadata",
    "a.name",
    "b.nothing",
    "r.description",
    "=",
    "<>",
    "<",
    ">=",
    "=~",
    "IN",
    "[1, 'x']",
    "STARTS WITH",
    "CONTAINS",
    "IS NULL",
    "NOT",
    "AND",
    "OR",
    "XOR",
    "'x'",
    "1",
    "-2.5",
    "true",
    "null",
    ",",
    "count(*)",
    "toLower(",
    "collect(",
];

fn statement() -> impl Strategy<Value = String> {
    let word = prop::sample::select(&WORDS[..]);
    let free = prop::collection::vec(word.clone(), 0..24).prop_map(|words| words.join(" "));
    let tail = prop::collection::vec(word, 0..10).prop_map(|words| words.join(" "));
    let begun = tail.prop_map(|tail| format!("MATCH (e) WHERE {tail} RETURN e.name"));
    let value = prop::sample::select(
        &[
            "e.name",
            "e.age",
            "e.active",
            "e.metadata",
            "'x'",
            "1",
            "2.5",
            "null",
            "true",
            "e.nothing",
        ][..],
    );
    let pair = (
        value.clone(),
        prop::sample::select(&["=", "<>", "<", ">=", "CONTAINS", "ENDS WITH"][..]),
        value,
    )
        .prop_map(|(a, by, b)| format!("{a} {by} {b}"));
    let tree = pair.prop_recursive(4, 24, 2, |inner| {
        let join = prop::sample::select(&["AND", "OR", "XOR", "=", "<>"][..]);
        (inner.clone(), join, inner).prop_map(|(a, by, b)| format!("({a}) {by} NOT ({b})"))
    });
    let whole =
        tree.prop_map(|tree| format!("MATCH (e) WHERE {tree} RETURN e, {tree} AS t ORDER BY t"));
    prop_oneof![free, begun, whole]
}

#[test]
fn the_values_of_a_row_share_their_memory() {
    let room = people();
    let large = serde_json::json!([{"name": "large", "context": "X".repeat(4_000_000)}]);
    room.memories.upsert_nodes(NOTES, &large.to_string(), false).unwrap();
    let columns = |count: usize| {
        let columns: Vec<String> =
            (0..count).map(|at| format!("toLower(e.context) <> '{at}' AS c{at}")).collect();
        format!("MATCH (e:Entity) WHERE e.name = 'large' RETURN {}", columns.join(", "))
    };
    room.memories.query(NOTES, &columns(3)).unwrap();
    let told = room.memories.query(NOTES, &columns(90)).unwrap_err();
    assert!(told.text.contains("too much for so many at once"), "{told}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_statement_is_answered_or_refused(statements in prop::collection::vec(prop_oneof![statement(), any::<String>()], 20)) {
        for statement in &statements {
            input::feed(statement.as_bytes());
        }
    }

    #[test]
    fn any_words_are_searched_for(query in any::<String>(), more in "[\"*:^(){}+\\-a-zA-Z ]{0,40}") {
        thread_local! { static ROOM: Room = people(); }
        ROOM.with(|room| {
            room.memories.recall(NOTES, &query, 5, true).unwrap();
            room.memories.recall(NOTES, &more, 5, true).unwrap();
        });
    }

    #[test]
    fn any_text_is_ingested(text in any::<String>(), more in "[A-Za-z .,'\"@#<>&;\\[\\]()*_`~0-9\n-]{0,200}", path in prop::sample::select(&["a", "a.md", "a.html", "a.json", "a.csv"][..])) {
        thread_local! { static ROOM: Room = people(); }
        ROOM.with(|room| {
            let file = |text: &str| {
                let _ = room.memories.ingest(NOTES, &[Content::File { path, media_type: None, bytes: text.as_bytes() }], How::Heuristic);
            };
            file(&text);
            file(&more);
            room.memories.ingest(NOTES, &[Content::Text(&text), Content::Text(&more)], How::Heuristic).unwrap();
            let _ = room.memories.upsert_nodes(NOTES, &text, true);
        });
    }
}

#[test]
fn what_others_found_is_answered_or_refused() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/cypher");
    let mut answered = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        answered += usize::from(input::feed(&std::fs::read(file.unwrap().path()).unwrap()));
    }
    assert_eq!(answered, 3);
}

#[test]
fn what_is_long_or_nested_ends_soon() {
    let parts = "(a)-->(b)-->(c)-->(d)-->(e)";
    for statement in [
        format!("MATCH {parts} RETURN count(*)"),
        format!("MATCH (e) WHERE {}true{} RETURN e", "NOT (".repeat(5_000), ")".repeat(5_000)),
        format!("MATCH (e) WHERE {} RETURN e", vec!["e.age = 1"; 5_000].join(" OR ")),
        format!("MATCH (e) WHERE e.name IN [{}] RETURN e", vec!["'x'"; 20_000].join(", ")),
        format!("MATCH (e) RETURN {}", "toLower(".repeat(20_000)),
        format!("MATCH (e) WHERE e.name =~ '{}' RETURN e", "(a*)*".repeat(2_000)),
        "'".repeat(100_000),
    ] {
        input::feed(statement.as_bytes());
    }
}
