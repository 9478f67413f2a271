//! Statements: what they answer, and what is said of those that are not understood.

use serde_json::json;

use crate::common::{Room, people};

#[test]
fn the_statements_of_the_public_tools_are_answered() {
    let room = people();
    let recent = "MATCH (e:Entity) WHERE e.entity_type = 'Person' RETURN e.entity_id as entity_id, \
                  e.name as name, e.entity_type as entity_type, e.context as memory, \
                  e.confidence as confidence, e.created_at as created_at, e.valid_at as valid_at \
                  ORDER BY e.valid_at DESC, e.created_at DESC, e.name LIMIT 2";
    assert_eq!(
        room.columns(recent),
        ["entity_id", "name", "entity_type", "memory", "confidence", "created_at", "valid_at"]
    );
    assert_eq!(
        room.rows(recent),
        json!([
            ["zoe", "Zoë", "Person", null, null, "2026-01-03T00:00:00Z", null],
            [
                "ann",
                "Ann",
                "Person",
                "likes tea",
                0.9,
                "2026-01-01T00:00:00Z",
                "2026-03-01T00:00:00Z"
            ],
        ])
    );
    let edges = "MATCH (r:RELATIONSHIP) WHERE (r.source_entity_id = 'ann' OR r.target_entity_id = 'ann') \
                 AND r.relationship_type = 'KNOWS' RETURN r.source_entity_name as source, \
                 r.target_entity_name as target, r.description as description, r.expired_at as gone \
                 ORDER BY r.valid_at DESC, r.created_at DESC, r.relationship_type LIMIT 50";
    assert_eq!(room.rows(edges), json!([["Ann", "Bob", "since school", null]]));
    assert_eq!(room.columns("MATCH (e) RETURN e.name"), ["e.name"]);
}

#[test]
fn conditions_choose_records() {
    let room = people();
    for (condition, names) in [
        ("e.name = 'Ann'", json!(["Ann"])),
        ("e.name <> 'Ann' AND e.entity_type = \"Person\"", json!(["Bob", "Zoë"])),
        ("e.name != 'Ann' AND e.age > 1", json!(["Bob"])),
        ("e.context = 'It\\'s Bob\\'s'", json!(["Bob"])),
        ("e.age < 18", json!(["Bob"])),
        ("e.age >= 41.0", json!(["Ann"])),
        ("e.age <= -1", json!([])),
        // What is not there is neither equal nor unequal.
        ("e.age <> 17", json!(["Ann"])),
        ("e.age = null OR e.age <> null", json!([])),
        ("NOT e.age = 17", json!(["Ann"])),
        ("e.age IS NULL", json!(["Zoë", "Acme"])),
        ("e.age IS NOT NULL AND NOT e.age IS NULL", json!(["Ann", "Bob"])),
        ("e.nothing IS NULL AND e IS NOT NULL", json!(["Ann", "Bob", "Zoë", "Acme"])),
        ("e.nothing = 1 OR e.nothing <> 1", json!([])),
        // Values of different types are different, and none is less.
        ("e.age = '41'", json!([])),
        ("e.age <> '41'", json!(["Ann", "Bob"])),
        ("e.age < 'x' OR e.age > 'x'", json!([])),
        ("e.active = 1", json!([])),
        ("e.active", json!(["Acme"])),
        ("e.active = true", json!(["Acme"])),
        ("e.active IN [1, 'true']", json!([])),
        ("e.name IN ['Bob', 'Acme', 1]", json!(["Bob", "Acme"])),
        ("NOT e.name IN ['Bob', null]", json!([])),
        ("e.name IN []", json!([])),
        ("NOT e.age IN []", json!(["Ann", "Bob", "Zoë", "Acme"])),
        ("e.name STARTS WITH 'A'", json!(["Ann", "Acme"])),
        ("e.name ENDS WITH 'ë'", json!(["Zoë"])),
        ("e.context CONTAINS 'tea'", json!(["Ann"])),
        ("e.name CONTAINS '%' OR e.name CONTAINS '_'", json!([])),
        ("e.age CONTAINS '1'", json!([])),
        ("e.name =~ 'A..'", json!(["Ann"])),
        ("e.name =~ '(?i)a.*|b'", json!(["Ann", "Acme"])),
        ("e.name =~ 'B'", json!([])),
        ("e.name = 'Ann' XOR e.age = 41", json!([])),
        ("e.name = 'Ann' XOR e.age = 17 XOR e.age > 0", json!([])),
        ("(e.name = 'Ann' OR e.name = 'Bob') AND e.age = 17", json!(["Bob"])),
        ("e.name = 'Ann' OR e.name = 'Bob' AND e.age = 0", json!(["Ann"])),
        ("toLower(e.name) = 'zoë' OR TOUPPER(e.name) = 'ZOË'", json!(["Zoë"])),
        ("size(e.name) = 3 AND size(e.context) > 9", json!(["Bob"])),
        ("coalesce(e.age, 0) = 0", json!(["Zoë", "Acme"])),
        ("toString(e.age) = '41' AND toInteger('41') = e.age", json!(["Ann"])),
        ("toFloat('0.5') = e.confidence", json!(["Bob"])),
        ("trim(' Ann ') = e.name", json!(["Ann"])),
        ("e.`name` = 'Ann' // a comment\n /* and\n another */", json!(["Ann"])),
    ] {
        let statement = format!("MATCH (e) WHERE {condition} RETURN e.name ORDER BY e.created_at");
        let names: Vec<_> = names.as_array().unwrap().iter().map(|name| json!([name])).collect();
        assert_eq!(room.rows(&statement), json!(names), "{condition}");
    }
}

#[test]
fn items_are_computed_and_ordered() {
    let room = people();
    for (tail, rows) in [
        (
            "RETURN count(*), count(e), count(e.age), count(DISTINCT e.entity_type)",
            json!([[4, 4, 2, 2]]),
        ),
        ("RETURN min(e.age), max(e.age), sum(e.age), avg(e.age)", json!([[17, 41, 58, 29.0]])),
        (
            "RETURN sum(e.confidence), sum(e.nothing), avg(e.nothing), min(e.name)",
            json!([[1.4, 0, null, "Acme"]]),
        ),
        ("WHERE e.name = 'x' RETURN count(*), sum(e.age), collect(e.age)", json!([[0, 0, []]])),
        (
            "RETURN e.entity_type AS t, count(*) AS n ORDER BY n DESC, t",
            json!([["Person", 3], ["Organization", 1]]),
        ),
        (
            "RETURN DISTINCT e.entity_type ORDER BY e.entity_type",
            json!([["Organization"], ["Person"]]),
        ),
        ("RETURN e.name ORDER BY e.age", json!([["Bob"], ["Ann"], ["Zoë"], ["Acme"]])),
        ("RETURN e.name ORDER BY e.age DESC", json!([["Zoë"], ["Acme"], ["Ann"], ["Bob"]])),
        (
            "RETURN e.name AS x ORDER BY toLower(x) DESCENDING SKIP 1 LIMIT 2",
            json!([["Bob"], ["Ann"]]),
        ),
        ("RETURN e.name ORDER BY 1 LIMIT 1", json!([["Ann"]])),
        ("RETURN e.name LIMIT 0", json!([])),
        (
            "WHERE e.active RETURN e.active, toString(e.active), e.active IS NULL",
            json!([[true, "true", false]]),
        ),
        (
            "WHERE e.name = 'Zoë' RETURN e.metadata, size(e.name), null, -1.5, 'a\\nb'",
            json!([[{"team": "a"}, 3, null, -1.5, "a\nb"]]),
        ),
        (
            "WHERE e.name = 'Bob' RETURN coalesce(e.nothing, e.age, 0.5), coalesce('x')",
            json!([[17.0, "x"]]),
        ),
        (
            "RETURN toInteger('x'), toInteger(1.9), toInteger('2.5'), toFloat(1) LIMIT 1",
            json!([[null, 1, 2, 1.0]]),
        ),
        (
            "RETURN collect(DISTINCT e.entity_type), collect(e.active), collect(e.metadata)",
            json!([[["Person", "Organization"], [true], [{"team": "a"}]]]),
        ),
    ] {
        assert_eq!(room.rows(&format!("MATCH (e:entity) {tail};")), rows, "{tail}");
    }
    assert_eq!(
        room.columns("MATCH (e) RETURN e.name,  count( * ), toLower( e.name ) AS `a b`"),
        ["e.name", "count( * )", "a b"]
    );
}

#[test]
fn paths_join_entities_by_relationships() {
    let room = people();
    for (statement, rows) in [
        (
            "MATCH (a)-[r:KNOWS]->(b) RETURN a.name, b.name, type(r), r.description ORDER BY a.name, b.name",
            json!([
                ["Ann", "Bob", "KNOWS", "since school"],
                ["Bob", "Zoë", "KNOWS", null],
                ["Zoë", "Zoë", "KNOWS", null]
            ]),
        ),
        (
            "MATCH (a)<-[:WORKS_AT]-(b:Entity) RETURN a.name, b.name ORDER BY b.name",
            json!([["Acme", "Ann"], ["Acme", "Zoë"]]),
        ),
        ("MATCH (a {name: 'Bob'})--(b) RETURN b.name ORDER BY b.name", json!([["Ann"], ["Zoë"]])),
        (
            "MATCH (a {name: 'Zoë'})-[r]-(b) RETURN b.name ORDER BY b.name",
            json!([["Acme"], ["Bob"], ["Zoë"]]),
        ),
        ("MATCH (a)-[:KNOWS|:WORKS_AT]->(b {name: 'Acme'}) RETURN count(*)", json!([[2]])),
        ("MATCH (a)-[r:RELATIONSHIP]->() RETURN count(r)", json!([[5]])),
        ("MATCH (a)-[:KNOWS {description: 'since school'}]->(b) RETURN b.name", json!([["Bob"]])),
        (
            "MATCH (a {name: 'Ann'})-[:KNOWS]->(b)-[:KNOWS]->(c) RETURN a.name, b.name, c.name",
            json!([["Ann", "Bob", "Zoë"]]),
        ),
        (
            "MATCH (a)-[:WORKS_AT]->(o)<-[:WORKS_AT]-(b) WHERE a.name < b.name RETURN a.name, b.name",
            json!([["Ann", "Zoë"]]),
        ),
        // A path goes over a relationship once.
        ("MATCH (a {name: 'Ann'})-[:KNOWS]-(b)-[:KNOWS]-(c) RETURN c.name", json!([["Zoë"]])),
        ("MATCH (a)-[:KNOWS]->(a) RETURN a.name", json!([["Zoë"]])),
        ("MATCH (a)-[:KNOWS]->(b) WHERE a = b RETURN a.name", json!([["Zoë"]])),
        ("MATCH (a)-[:KNOWS]->(b) WHERE a <> b RETURN count(*)", json!([[2]])),
        ("MATCH (a)-->(b)-->(c)-->(d)-->(e) RETURN a.name, e.name", json!([["Ann", "Acme"]])),
    ] {
        assert_eq!(room.rows(statement), rows, "{statement}");
    }
}

#[test]
fn whole_records_are_structs() {
    let room = Room::new();
    let notes = crate::common::NOTES;
    let records = json!([{"id": 1, "tags": ["x"], "size": 1}, {"id": 2, "size": 0.5}]);
    room.memories.upsert_table(notes, "Facts", &records.to_string(), true).unwrap();
    assert_eq!(
        room.rows("MATCH (f:FACTS) RETURN f ORDER BY f.id"),
        json!([[{"id": 1, "tags": ["x"], "size": 1.0}], [{"id": 2, "tags": null, "size": 0.5}]])
    );
    assert_eq!(room.columns("MATCH (f:Facts) RETURN *"), ["f"]);
    assert_eq!(
        room.rows("MATCH (f:Facts) WHERE f.tags = 1 OR f.tags < 1 RETURN count(*)"),
        json!([[0]])
    );
    assert_eq!(
        room.rows("MATCH (f:Facts) RETURN DISTINCT f, count(*) ORDER BY count(*)")
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let people = people();
    let row = &people.rows("MATCH (a)-[r]->(b {name: 'Bob'}) RETURN a, r.target_entity_id")[0];
    assert_eq!(row[0]["age"], 41);
    assert_eq!(row[1], "bob");
}

#[test]
fn what_is_not_understood_is_told_with_its_place() {
    let room = people();
    for (statement, told) in [
        ("", "1:1: expected MATCH, and found the end; understood is MATCH"),
        ("SELECT 1", "1:1: expected MATCH, and found SELECT"),
        ("CREATE (e:Entity)", "1:1: CREATE writes, and a query only reads; upsert_nodes"),
        ("MATCH (e)\nSET e.name = 'x'", "2:1: SET writes"),
        (
            "MATCH (e) DETACH DELETE e",
            "1:11: DETACH writes, and a query only reads; delete_entities",
        ),
        ("MATCH (e) WHERE e.name = 'x' delete e", "1:30: DELETE writes"),
        ("MERGE (e)", "1:1: MERGE writes"),
        ("OPTIONAL MATCH (e) RETURN e", "1:1: OPTIONAL is not understood; understood is"),
        ("MATCH (e) WITH e RETURN e", "1:11: WITH is not understood"),
        ("MATCH (e) RETURN e UNION MATCH (e) RETURN e", "1:20: UNION is not understood"),
        ("MATCH (e) MATCH (f) RETURN e", "1:11: a second MATCH"),
        ("MATCH (e), (f) RETURN e", "1:10: several patterns"),
        ("MATCH p = (e) RETURN p", "1:7: a name for a path"),
        ("MATCH shortestPath((a)-->(b)) RETURN a", "1:7: functions of paths"),
        ("MATCH (a)-[*1..3]->(b) RETURN a", "1:12: a path of any length"),
        ("MATCH (a)<-[r]->(b) RETURN a", "1:10: a relationship points one way"),
        ("MATCH (a)-->()-->()-->()-->()-->() RETURN a", "1:30: a path has at most 4"),
        ("MATCH (a:B:C) RETURN a", "1:11: several labels are not understood"),
        (
            "MATCH (e:Person) RETURN e",
            "1:10: dataset 'person' not found; types of entities are asked for",
        ),
        ("MATCH (a:RELATIONSHIP)-->(b) RETURN a", "1:7: the nodes of a path are entities"),
        ("MATCH (e WHERE e.x = 1) RETURN e", "1:10: a condition in a pattern"),
        ("MATCH (a)-[a]->(b) RETURN a", "1:12: the variable \"a\" stands for something else"),
        ("MATCH (a)-[r]->(r) RETURN a", "1:17: the variable \"r\" stands for something else"),
        ("MATCH (e {name: e.x}) RETURN e", "1:17: expected a literal, and found e"),
        ("MATCH (e) WHERE RETURN e", "1:17: expected an expression, and found RETURN"),
        ("MATCH (e) RETURN", "1:17: expected an expression, and found the end"),
        ("MATCH (e) RETURN f.name", "1:18: the pattern has no variable \"f\""),
        ("MATCH () RETURN *", "1:17: the pattern has no variable for *"),
        ("MATCH (e) RETURN e.name, e.name", "1:26: there are two columns \"e.name\""),
        ("MATCH (e) RETURN e.age + 1", "1:24: + is not understood here: there is no arithmetic"),
        ("MATCH (e) WHERE e.name = $name RETURN e", "1:26: parameters are not understood"),
        ("MATCH (e) WHERE e.name IN 'x' RETURN e", "1:27: expected a list"),
        ("MATCH (e) WHERE 1 < e.age < 3 RETURN e", "1:27: comparisons in a row"),
        ("MATCH (e) WHERE e.name RETURN e", "1:17: WHERE takes conditions, and this is text"),
        ("MATCH (e) WHERE e.age AND true RETURN e", "1:17: AND takes conditions, and this is int"),
        ("MATCH (e) WHERE e RETURN e", "1:17: e is a whole record"),
        ("MATCH (a)-->(b) WHERE a < b RETURN a", "1:23: records have no order"),
        ("MATCH (e) WHERE count(*) > 1 RETURN e", "1:17: WHERE looks at one record"),
        (
            "MATCH (e) WHERE e.name =~ '(' RETURN e",
            "1:27: this is no pattern: error: unclosed group",
        ),
        ("MATCH (e) WHERE e.name =~ 'a)(b' RETURN e", "1:27: this is no pattern"),
        (
            "MATCH (e) WHERE e.name =~ '(a{1000}){1000}' RETURN e",
            "1:27: this is no pattern: it is too large",
        ),
        ("MATCH (e) WHERE e.name =~ e.name RETURN e", "1:27: the pattern behind =~ is a text"),
        ("MATCH (e) WHERE e.name STARTS 'A' RETURN e", "1:31: expected WITH behind STARTS"),
        ("MATCH (e) WHERE e.name IS 1 RETURN e", "1:27: expected NULL, and found 1"),
        ("MATCH (e) WHERE exists(e.name) RETURN e", "1:17: EXISTS is not understood"),
        ("MATCH (e) RETURN CASE WHEN true THEN 1 END", "1:18: CASE is not understood"),
        ("MATCH (e) RETURN [1]", "1:18: a list is understood behind IN"),
        ("MATCH (e) RETURN {a: 1}", "1:18: maps are not understood"),
        ("MATCH (e) RETURN e.metadata.team", "1:28: a part of a property"),
        ("MATCH (e) RETURN e{.name}", "1:19: only a property, such as e.name"),
        ("MATCH (e) RETURN labels(e)", "1:18: there is no function labels; there are toLower, "),
        ("MATCH (e) RETURN toLower(e.age)", "1:18: toLower takes no value of int"),
        ("MATCH (e) RETURN sum(e.name)", "1:18: sum takes no value of text"),
        ("MATCH (e) RETURN size(e.name, 1)", "1:18: size takes 1 arguments, and not 2"),
        ("MATCH (e) RETURN size(DISTINCT e.name)", "1:23: size has no DISTINCT"),
        ("MATCH (e) RETURN type(e)", "1:23: e is no relationship"),
        ("MATCH (e) RETURN coalesce(e.name, 1)", "1:35: coalesce takes values of one type"),
        ("MATCH (e) RETURN sum(count(*))", "1:22: an aggregate within another"),
        ("MATCH (e) RETURN coalesce(max(e.age), e.age)", "1:39: beside an aggregate"),
        ("MATCH (e) RETURN DISTINCT e.name ORDER BY e.age", "1:43: with DISTINCT or an aggregate"),
        (
            "MATCH (e) RETURN e.name ORDER BY count(*)",
            "1:34: ORDER BY takes an aggregate that RETURN gives",
        ),
        ("MATCH (e) RETURN e ORDER BY e", "1:29: records have no order"),
        ("MATCH (e) RETURN e.name LIMIT -1", "1:31: - is not understood here"),
        ("MATCH (e) RETURN e.name LIMIT e.age", "1:31: expected a whole number behind LIMIT"),
        ("MATCH (e) RETURN e.name; MATCH (e) RETURN e", "1:26: expected the end of the statement"),
        ("MATCH (e) RETURN e.name AS 'x'", "1:28: expected a name behind AS, and found a text"),
        ("MATCH (e) WHERE e.name = 'x RETURN e", "1:26: the closing ' is missing"),
    ] {
        let refusal = room.refusal(statement);
        assert!(refusal.starts_with(told), "{statement}: {refusal}");
    }
    let deep = format!("MATCH (e) WHERE {}true{} RETURN e", "(".repeat(100), ")".repeat(100));
    assert!(room.refusal(&deep).contains("nested at most 64 deep"));
    let nots = format!("MATCH (e) WHERE {}true RETURN e", "NOT ".repeat(10_000));
    assert!(room.refusal(&nots).contains("nested at most 64 deep"));
    let nulls = format!("MATCH (e) WHERE e{} RETURN e", " IS NULL".repeat(1_000));
    assert!(room.refusal(&nulls).contains("so many operators in a row"));
    assert!(room.refusal(&" ".repeat(70_000)).contains("more than 64 KiB"));
}

#[test]
fn long_conditions_are_answered() {
    let room = people();
    let many = (0..4_000).map(|n| format!("e.age={n}")).collect::<Vec<_>>().join(" OR ");
    let statement = format!("MATCH (e) WHERE {many} RETURN count(*)");
    assert_eq!(room.rows(&statement), json!([[2]]));
    let list = (0..9_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(
        room.rows(&format!("MATCH (e) WHERE e.age IN [{list}] RETURN count(*)")),
        json!([[2]])
    );
}

#[test]
fn an_answer_that_is_too_large_is_told() {
    let room = Room::new();
    let records: Vec<_> = (0..200).map(|n| json!({"name": format!("n{n}")})).collect();
    room.nodes(&json!(records));
    room.edges(&json!(
        (0..101)
            .map(|n| json!({"source_entity_id": "a", "target_entity_id": format!("{n}")}))
            .collect::<Vec<_>>()
    ));
    let long = "x".repeat(200_000);
    let records: Vec<_> = (0..100).map(|n| json!({"id": n, "text": long})).collect();
    let records = json!(records).to_string();
    room.memories.upsert_table(crate::common::NOTES, "Long", &records, true).unwrap();
    let refusal = room.refusal("MATCH (l:Long) RETURN l.text");
    assert!(refusal.contains("more than 16 MiB"), "{refusal}");
    assert_eq!(room.rows("MATCH (l:Long) RETURN count(l.text)"), json!([[100]]));
    // One value that is too large by itself.
    let collected = room.refusal("MATCH (l:Long) RETURN collect(l.text)");
    assert!(collected.contains("a value of the answer has more than 16 MiB"), "{collected}");
}

#[test]
fn a_pattern_is_not_looked_for_in_a_long_text() {
    let room = Room::new();
    room.nodes(&json!([{"name": "a", "context": "x".repeat(40_000)}]));
    let refusal = room.refusal("MATCH (e) WHERE e.context =~ '.*' RETURN e.name");
    assert!(refusal.contains("32 KiB at most"), "{refusal}");
}

#[test]
fn sums_beyond_64_bits_are_told() {
    let room = Room::new();
    room.nodes(
        &json!([{"name": "a", "n": i64::MAX, "x": 1e308}, {"name": "b", "n": 1, "x": 1e308}]),
    );
    assert!(room.refusal("MATCH (e) RETURN sum(e.n)").contains("does not fit"));
    assert!(room.refusal("MATCH (e) RETURN sum(e.x)").contains("too large"));
}

#[test]
fn moments_are_compared_and_ordered_as_what_they_mean_however_they_were_written() {
    let room = Room::new();
    let node = |id: &str, at: &str| json!({"entity_id": id, "name": id, "valid_at": at});
    room.nodes(&json!([
        node("d", "2026-01-01T00:00:00.500Z"),
        node("b", "2026-01-01"),
        node("e", "9999-12-31T23:59:59Z"),
        node("a", "2026-01-01T00:30:00+01:00"),
        node("c", "2026-01-01T01:00:00+01:00"),
    ]));
    room.edges(
        &json!([{"source_entity_id": "a", "target_entity_id": "b", "invalid_at": "2026-01-01"}]),
    );
    let names = |statement: &str| -> String {
        let rows = room.rows(statement);
        rows.as_array().unwrap().iter().map(|row| row[0].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("MATCH (e) RETURN e.name ORDER BY e.valid_at"), "abcde");
    assert_eq!(
        names("MATCH (e) RETURN e.name, e.valid_at AS at ORDER BY at DESC, e.name"),
        "edbca"
    );
    for (condition, wanted) in [
        ("e.valid_at = '2026-01-01T02:00:00+02:00'", "bc"),
        ("e.valid_at > '2026-01-01T00:00:00Z'", "de"),
        ("'2026-01-01' > e.valid_at", "a"),
        ("e.valid_at <= '2026-01-01T00:00:00.5Z'", "abcd"),
        ("e.valid_at IN ['2026-01-01 00:00', '9999-12-31T23:59:59.0Z']", "bce"),
        ("e.valid_at >= '2026'", "bcde"),
        ("e.valid_at STARTS WITH '2026-01'", "bcd"),
    ] {
        let statement = format!("MATCH (e) WHERE {condition} RETURN e.name ORDER BY e.name");
        assert_eq!(names(&statement), wanted, "{condition}");
    }
    assert_eq!(names("MATCH (e {valid_at: '2026-01-01'}) RETURN e.name"), "bc");
    assert_eq!(names("MATCH (a)-[r {invalid_at: '2026-01-01T00:00Z'}]->(b) RETURN a.name"), "a");
    assert_eq!(
        room.rows("MATCH (e) RETURN min(e.valid_at), max(e.valid_at), count(DISTINCT e.valid_at)"),
        json!([["2025-12-31T23:30:00Z", "9999-12-31T23:59:59Z", 4]])
    );
    assert_eq!(
        room.rows("MATCH (e) RETURN DISTINCT e.valid_at AS at ORDER BY at LIMIT 3"),
        json!([["2025-12-31T23:30:00Z"], ["2026-01-01T00:00:00Z"], ["2026-01-01T00:00:00.5Z"]])
    );
}
