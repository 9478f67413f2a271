//! Searches, scores, indexes, queries.

use meshagent_tables::engine::IndexKind;

use super::*;

fn vectors(size: u32) -> Json {
    json!({"type": "vector", "size": size, "element_type": {"type": "float"}})
}

/// Some notes with words and places.
fn notes() -> Room {
    let room = Room::new();
    let fields = json!({"id": "int", "title": "text", "body": "text", "at": vectors(2)});
    room.create(
        "t",
        fields,
        json!([
            {"id": 1, "title": "apples", "body": "red apples and green apples", "at": [0, 0]},
            {"id": 2, "title": "pears", "body": "green pears", "at": [3, 4]},
            {"id": 3, "title": "Äpfel", "body": "apples, in another language", "at": [1, 0]},
            {"id": 4, "title": null, "body": null, "at": null},
            {"id": 5, "title": "plums", "body": "nothing that is green", "at": [1, 0]},
        ]),
    );
    room
}

fn indexed() -> Room {
    let room = notes();
    for column in ["body", "title"] {
        room.tables.create_index(&table("t"), column, IndexKind::FullText, false).unwrap();
    }
    room
}

fn search() -> Search {
    Search { table: table("t"), ..Search::default() }
}

fn words(text: &str) -> Search {
    Search { text: Some(text.to_owned()), ..search() }
}

fn near(vector: &[f32]) -> Search {
    Search { vector: Some(vector.to_vec()), ..search() }
}

fn ids(room: &Room, search: Search) -> Vec<Json> {
    column(&room.search(search).unwrap(), "id")
}

#[test]
fn a_filter_gives_rows_in_their_order_with_offset_limit_and_columns() {
    let room = notes();
    let filtered = |filter: &str| Search { filter: Some(filter.to_owned()), ..search() };
    assert_eq!(ids(&room, filtered("id >= 2")), [2, 3, 4, 5]);
    assert_eq!(ids(&room, filtered("title = \"pears\"")), [2]);
    assert_eq!(ids(&room, filtered("title = \"pears\" AND id = 1")), [0; 0]);
    let page = Search { offset: 1, limit: Some(2), ..filtered("id >= 2") };
    assert_eq!(ids(&room, page.clone()), [3, 4]);
    assert_eq!(room.tables.count(&page).unwrap(), 4);
    let select = Some(vec!["title".to_owned(), "id".to_owned()]);
    let found = room.search(Search { select, limit: Some(1), ..search() }).unwrap();
    assert_eq!(found.to_string(), r#"[{"title":"apples","id":1}]"#);
    assert_eq!(ids(&room, Search { limit: Some(0), ..search() }), [0; 0]);
    assert_eq!(ids(&room, Search { offset: u64::MAX, limit: Some(u64::MAX), ..search() }), [0; 0]);
    let unknown = Search { select: Some(vec!["x".to_owned()]), ..search() };
    assert_eq!(
        refused(room.search(unknown), "has no column \"x\"; it has \"id\""),
        Reason::NotFound
    );
    refused(room.search(filtered("nothing = 1")), "nothing");
}

#[test]
fn words_find_rows_with_any_of_them_the_best_first() {
    let room = indexed();
    let found = room.search(words("apples pears")).unwrap();
    assert_eq!(column(&found, "id"), [2, 1, 3]);
    let scores: Vec<f64> = column(&found, "_score").iter().map(|it| it.as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|one, other| one >= other) && scores[2] > 0.0, "{scores:?}");
    let body = Search { text_columns: Some(vec!["body".to_owned()]), ..words("apfel pears") };
    assert_eq!(ids(&room, body), [2]);
    // Letters count without their marks, and nothing is syntax.
    assert_eq!(ids(&room, words("APFEL")), [3]);
    for nothing in ["", "\"", "NEAR(", "title:", "* - ^"] {
        assert_eq!(ids(&room, words(nothing)), [0; 0], "{nothing}");
        assert_eq!(room.tables.count(&words(nothing)).unwrap(), 0);
    }
    let filter = Some("id > 2".to_owned());
    let both = Search { filter, limit: Some(1), ..words("apples green") };
    assert_eq!(ids(&room, both.clone()).len(), 1);
    assert_eq!(room.tables.count(&both).unwrap(), 2);
}

#[test]
fn words_are_found_in_rows_that_came_after_the_index() {
    let room = indexed();
    let more = (0..6_000).map(|id| json!({"id": id + 10, "body": format!("many{}", id % 3)}));
    room.insert("t", more.collect()).unwrap();
    assert_eq!(room.tables.count(&words("many1")).unwrap(), 2_000);
    room.merge("t", "id", json!([{"id": 1, "body": "merged"}])).unwrap();
    assert_eq!(ids(&room, words("merged")), [1]);
    let values = vec![("body".to_owned(), Value::Text("changed".to_owned()))];
    room.tables.update(&table("t"), "id = 2", values, Vec::new()).unwrap();
    assert_eq!(ids(&room, words("changed")), [2]);
    assert_eq!(
        ids(&room, Search { text_columns: Some(vec!["body".to_owned()]), ..words("pears") }),
        [0; 0]
    );
    room.tables.checkout(&table("t"), 1).unwrap();
    assert_eq!(ids(&room, words("pears")), [2]);
    assert_eq!(ids(&room, words("merged")), [0; 0]);
    room.tables.restore(&table("t"), 1).unwrap();
    assert_eq!(ids(&room, words("pears")), [2]);
}

#[test]
fn a_text_without_an_index_says_how_to_make_one() {
    let room = notes();
    let told = room.search(words("apples"));
    assert_eq!(
        refused(
            told,
            "make one (create_full_text_search_index, on the command line \"room database index-create --kind fts\")"
        ),
        Reason::NotFound
    );
    room.tables.create_index(&table("t"), "body", IndexKind::FullText, false).unwrap();
    let title = Search { text_columns: Some(vec!["title".to_owned()]), ..words("apples") };
    refused(room.search(title), "the column \"title\" of the table t has no full-text index");
}

#[test]
fn the_nearest_vectors_come_first() {
    let room = notes();
    let found = room.search(near(&[0.0, 0.0])).unwrap();
    assert_eq!(column(&found, "id"), [1, 3, 5, 2]);
    assert_eq!(column(&found, "_distance"), [0.0, 1.0, 1.0, 25.0]);
    assert_eq!(ids(&room, Search { limit: Some(2), ..near(&[3.0, 4.0]) }), [2, 3]);
    assert_eq!(ids(&room, Search { offset: 1, limit: Some(2), ..near(&[3.0, 4.0]) }), [3, 5]);
    let filter = Some("id <> 1".to_owned());
    let filtered =
        Search { filter, limit: Some(1), select: Some(vec!["id".to_owned()]), ..near(&[0.0, 0.0]) };
    assert_eq!(room.search(filtered).unwrap(), json!([{"id": 3, "_distance": 1.0}]));
    assert_eq!(
        refused(room.search(near(&[1.0])), "no column of vectors with 1 numbers"),
        Reason::Invalid
    );
    refused(room.search(near(&[f32::NAN, 0.0])), "no number");
    let deep = Search { offset: u64::MAX, ..near(&[0.0, 0.0]) };
    assert_eq!(refused(room.search(deep), "at most 1000000"), Reason::Invalid);
    room.create("two", json!({"one": vectors(2), "other": vectors(2)}), json!([]));
    let told = room.search(Search { table: table("two"), ..near(&[0.0, 0.0]) });
    refused(told, "\"one\", \"other\"");
}

#[test]
fn distances_are_exact_for_vectors_of_any_size() {
    let mut random = fastrand::Rng::with_seed(19);
    for size in [1, 3, 16, 17, 100, 2_000] {
        let room = Room::new();
        room.create("t", json!({"at": vectors(size)}), json!([]));
        let mut vector = || -> Vec<f32> { (0..size).map(|_| random.f32() - 0.5).collect() };
        let rows: Vec<Vec<f32>> = (0..50).map(|_| vector()).collect();
        let wanted = vector();
        let mut writer = room.tables.insert(&table("t")).unwrap();
        let row = |it: &Vec<f32>| vec![("at".to_owned(), Value::Vector(it.clone()))];
        writer.write(rows.iter().map(row).collect()).unwrap();
        writer.finish().unwrap();
        let distance = |row: &Vec<f32>| -> f64 {
            row.iter().zip(&wanted).map(|(one, other)| f64::from(one - other).powi(2)).sum()
        };
        let mut distances: Vec<f64> = rows.iter().map(distance).collect();
        distances.sort_by(f64::total_cmp);
        let found =
            column(&room.search(Search { limit: Some(50), ..near(&wanted) }).unwrap(), "_distance");
        for (found, wanted) in found.iter().zip(distances) {
            let found = found.as_f64().unwrap();
            assert!((found - wanted).abs() <= 1e-4 * wanted.max(1.0), "{found} {wanted}");
        }
    }
    let room = Room::new();
    room.create("t", json!({"at": vectors(1)}), json!([{"at": [-3e38]}]));
    let far = column(&room.search(near(&[3e38])).unwrap(), "_distance")[0].as_f64().unwrap();
    assert!((far / 3.6e77 - 1.0).abs() < 1e-6, "{far}");
}

#[test]
fn words_and_vectors_are_joined_by_their_ranks() {
    let room = indexed();
    let found = room.search(Search { vector: Some(vec![0.0, 0.0]), ..words("apples") }).unwrap();
    // 1 is the first of both; 3 the second of both; 5 and 2 are near only.
    assert_eq!(column(&found, "id"), [1, 3, 5, 2]);
    let scores = column(&found, "_relevance_score");
    assert_eq!(scores, [1.0 / 60.0 * 2.0, 1.0 / 61.0 * 2.0, 1.0 / 62.0, 1.0 / 63.0]);
    let page =
        Search { vector: Some(vec![0.0, 0.0]), offset: 1, limit: Some(2), ..words("apples") };
    assert_eq!(ids(&room, page), [3, 5]);
}

#[test]
fn without_a_limit_a_text_or_a_vector_gives_ten_rows_and_a_filter_all() {
    let room = Room::new();
    room.create("t", json!({"id": "int", "body": "text", "at": vectors(1)}), json!([]));
    room.tables.create_index(&table("t"), "body", IndexKind::FullText, false).unwrap();
    let rows = (0..25).map(|id| json!({"id": id, "body": "word", "at": [1]}));
    room.insert("t", rows.collect()).unwrap();
    let first: Vec<i64> = (0..10).collect();
    assert_eq!(ids(&room, words("word")), first);
    assert_eq!(ids(&room, near(&[1.0])), first);
    assert_eq!(ids(&room, search()).len(), 25);
    assert_eq!(room.tables.count(&words("word")).unwrap(), 25);
}

#[test]
fn indexes_have_names_and_kinds_and_are_replaced_only_when_it_is_asked_for() {
    let room = Room::new();
    let t = table("t");
    room.create("t", json!({"id": "int", "body": "text", "at": vectors(2)}), json!([]));
    for (column, kind) in
        [("id", IndexKind::Scalar), ("at", IndexKind::Vector), ("body", IndexKind::FullText)]
    {
        room.tables.create_index(&t, column, kind, false).unwrap();
        let again = room.tables.create_index(&t, column, kind, false);
        assert_eq!(refused(again, "set `replace`, or drop it first"), Reason::AlreadyExists);
        room.tables.create_index(&t, column, kind, true).unwrap();
    }
    room.tables.create_index(&t, "body", IndexKind::Scalar, false).unwrap();
    room.tables.optimize(&t).unwrap();
    let listed = |room: &Room| -> Vec<(String, String, &str)> {
        let indexes = room.tables.indexes(&t).unwrap().into_iter();
        indexes.map(|it| (it.name, it.column, it.kind.name())).collect()
    };
    let named = |name: &str, column: &str, kind| (name.to_owned(), column.to_owned(), kind);
    let wanted = [
        named("at_idx", "at", "IVF_FLAT"),
        named("body_btree_idx", "body", "BTREE"),
        named("body_idx", "body", "FTS"),
        named("id_idx", "id", "BTREE"),
    ];
    assert_eq!(listed(&room), wanted);
    for (column, kind, part) in [
        (
            "at",
            IndexKind::Scalar,
            "for columns with one value, and the column \"at\" is vector(2, float)",
        ),
        ("id", IndexKind::Vector, "is for columns of vectors"),
        ("id", IndexKind::FullText, "is for columns of text"),
    ] {
        assert_eq!(
            refused(room.tables.create_index(&t, column, kind, true), part),
            Reason::Invalid
        );
    }
    room.tables.drop_index(&t, "id_idx").unwrap();
    let told = room.tables.drop_index(&t, "id_idx");
    assert_eq!(refused(told, "has no index \"id_idx\"; it has \"at_idx\""), Reason::NotFound);
    room.tables.drop_columns(&t, &["body".to_owned()]).unwrap();
    assert_eq!(listed(&room), [named("at_idx", "at", "IVF_FLAT")]);
}

#[test]
fn a_column_of_another_type_keeps_the_indexes_that_are_for_it() {
    let room = Room::new();
    let t = table("t");
    room.create("t", json!({"a": "text"}), json!([{"a": "1"}]));
    for kind in [IndexKind::Scalar, IndexKind::FullText] {
        room.tables.create_index(&t, "a", kind, false).unwrap();
    }
    let field = |kind: &str| vec![Field { name: "a".to_owned(), data_type: typed(&json!(kind)) }];
    room.tables.alter_columns(&t, field("int")).unwrap();
    let kinds: Vec<IndexKind> = room.tables.indexes(&t).unwrap().iter().map(|it| it.kind).collect();
    assert_eq!((room.all("t"), kinds), (json!([{"a": 1}]), vec![IndexKind::Scalar]));
}

#[test]
fn an_index_on_what_is_filtered_by_is_used() {
    let room = Room::new();
    room.create("t", json!({"a": "int", "b": "text"}), json!([]));
    let rows = (0..5_000).map(|a| json!({"a": a % 10, "b": format!("b{a}")}));
    room.insert("t", rows.collect()).unwrap();
    room.tables.create_index(&table("t"), "a", IndexKind::Scalar, false).unwrap();
    room.tables.optimize(&table("t")).unwrap();
    let file = rusqlite::Connection::open(room.folder.path().join("tables.db")).unwrap();
    let text = "EXPLAIN QUERY PLAN SELECT c2 FROM t1 WHERE died IS NULL AND born <= 2 AND (c1 = 5) ORDER BY row";
    let plan: String = file.query_row(text, [], |row| row.get(3)).unwrap();
    assert!(plan.contains("USING INDEX x1_1 (c1=?)"), "{plan}");
    let filter = Some("a = 5".to_owned());
    let found = room.search(Search { filter, limit: Some(3), ..search() }).unwrap();
    assert_eq!(column(&found, "b"), ["b5", "b15", "b25"]);
}

#[test]
fn of_several_columns_with_vectors_of_one_size_an_index_says_which_is_meant() {
    let room = Room::new();
    let vector =
        |size: u32| json!({"type": "vector", "size": size, "element_type": {"type": "float"}});
    room.create(
        "t",
        json!({"a": vector(2), "b": vector(2), "c": vector(3)}),
        json!([{"a": [0, 0], "b": [1, 1]}, {"a": [1, 1], "b": [0, 0]}]),
    );
    let near = || Search { vector: Some(vec![1.0, 1.0]), limit: Some(1), ..search() };
    let index = |name: &str| room.tables.create_index(&table("t"), name, IndexKind::Vector, false);
    let out = "\"a\", \"b\"; the one that is meant has a vector index, and the others have none";
    index("c").unwrap();
    assert_eq!(refused(room.search(near()), out), Reason::Invalid);
    index("b").unwrap();
    assert_eq!(column(&room.search(near()).unwrap(), "b"), [json!([1.0, 1.0])]);
    assert_eq!(room.tables.count(&near()).unwrap(), 2);
    index("a").unwrap();
    assert_eq!(refused(room.tables.count(&near()), out), Reason::Invalid);
}

#[test]
fn a_query_joins_tables_by_their_names_in_it() {
    let room = notes();
    room.create("s", Json::Null, json!([{"id": 1, "n": 10}, {"id": 2, "n": 20}]));
    room.insert("s", json!([{"id": 1, "n": 30}])).unwrap();
    let tables = || vec![(table("t"), "notes".to_owned()), (table("s"), "s".to_owned())];
    let query = "SELECT notes.title, s.n FROM notes JOIN s ON notes.id = s.id WHERE s.n > $least ORDER BY s.n DESC";
    let parameters = [("least".to_owned(), Value::Int(10))];
    let found = read(room.tables.query(query, tables(), &parameters).unwrap()).unwrap();
    assert_eq!(found, json!([{"title": "apples", "n": 30}, {"title": "pears", "n": 20}]));
    let named = "WITH few AS (SELECT id FROM s WHERE n > 10) SELECT count(*) AS n FROM few";
    let found = read(room.tables.query(named, tables(), &[]).unwrap()).unwrap();
    assert_eq!(found, json!([{"n": 2}]));
    room.tables.checkout(&table("s"), 1).unwrap();
    let found =
        read(room.tables.query("SELECT sum(n) AS n FROM s", tables(), &[]).unwrap()).unwrap();
    assert_eq!(found, json!([{"n": 30}]));
    let other = room.tables.query("SELECT * FROM t", tables(), &[]);
    refused(other, "\"t\"");
    let twice = room.tables.query(
        "SELECT 1",
        vec![(table("t"), "a".to_owned()), (table("s"), "a".to_owned())],
        &[],
    );
    assert_eq!(refused(twice, "two tables of the query are called \"a\""), Reason::Invalid);
    let missing = room.tables.query("SELECT 1", vec![(table("x"), "a".to_owned())], &[]);
    assert_eq!(refused(missing, "there is no table x"), Reason::NotFound);
    for text in [
        "DELETE FROM s",
        "DROP TABLE s",
        "SELECT * FROM room_tables",
        "PRAGMA user_version",
        "ATTACH 'x' AS y",
        "SELECT 1; SELECT 2",
        "SELECT c1 FROM s",
        "SELECT born FROM s",
    ] {
        assert!(room.tables.query(text, tables(), &[]).is_err(), "{text}");
    }
}

#[test]
fn columns_that_differ_only_in_capitals_are_told_with_the_quotes_for_them() {
    let room = Room::new();
    room.create("t", json!({"imageId": "int", "ImageId": "int"}), json!([{"imageId": 1}]));
    let filtered = |filter: &str| {
        let filter = Some(filter.to_owned());
        room.search(Search { table: table("t"), filter, ..Search::default() })
    };
    let part = "could be \"imageId\" or \"ImageId\", which differ only in capitals; put the name in quotes, like `imageId`";
    assert_eq!(refused(filtered("imageid = 1"), part), Reason::Invalid);
    assert_eq!(column(&filtered("`imageId` = 1").unwrap(), "imageId"), [1]);
    for query in ["SELECT imageid FROM t", "SELECT t.imageid FROM t"] {
        let tables = vec![(table("t"), "t".to_owned())];
        let told = room.tables.query(query, tables, &[]);
        assert_eq!(refused(told, "put the name in quotes, like \"imageId\""), Reason::Invalid);
    }
}

#[test]
fn a_table_that_is_missing_is_told_apart() {
    let room = Room::new();
    let missing = room.tables.count(&Search { table: table("poeple"), ..Search::default() });
    assert_eq!(missing.unwrap_err().missing, Some(Box::new(table("poeple"))));
}

#[test]
fn a_parameter_of_no_type_is_named() {
    let room = Room::new();
    let asked = |value: Json| {
        let parameter = ("a".to_owned(), Value::of_plain(&value).unwrap());
        room.tables.query("SELECT $a AS x", Vec::new(), &[parameter]).and_then(read)
    };
    assert_eq!(refused(asked(json!([1, "x"])), "the parameter \"a\": "), Reason::Invalid);
    assert_eq!(asked(json!([1, 2])).unwrap(), json!([{"x": [1, 2]}]));
}
