//! Tables that are made and filled.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_fresh_room_has_no_tables_and_its_file_is_for_its_owner() {
    let room = Room::new();
    assert_eq!(room.tables.list(&[]).unwrap(), Vec::<String>::new());
    let file = room.folder.path().join("tables.db").metadata().unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[test]
fn values_of_all_types_come_back_as_they_were_written() {
    let room = Room::new();
    let vector = json!({"type": "vector", "size": 2, "element_type": {"type": "float"}});
    let list = json!({"type": "list", "element_type": {"type": "date"}});
    let parts = json!({"type": "struct", "fields": {"x": {"type": "timestamp"}}});
    let fields = json!({"a": "bool", "b": "int!", "c": "float", "d": "text", "e": "binary",
        "f": "date", "g": "timestamp", "h": vector, "i": list, "j": parts});
    let full = json!({"a": true, "b": i64::MIN, "c": 1.0, "d": "ä\u{0}", "e": {"encoding": "base64", "data": "AP8="},
        "f": "2026-11-30", "g": "2026-11-30T12:00:00.000001Z", "h": [0.5, 1.0], "i": ["0001-01-01", null],
        "j": {"x": "2026-11-30T12:00:00Z"}});
    let empty = json!({"a": null, "b": 0, "c": null, "d": null, "e": null, "f": null, "g": null,
        "h": null, "i": null, "j": null});
    room.create("t", fields, json!([full, {"b": 0}]));
    assert_eq!(room.all("t"), json!([full, empty]));
    let room = room.again();
    assert_eq!(room.all("t"), json!([full, empty]));
}

#[test]
fn columns_come_of_the_first_rows() {
    let room = Room::new();
    room.create(
        "t",
        Json::Null,
        json!([
            {"n": 1, "never": null, "list": [], "my_vector": [1, 2], "odd_vector": [1]},
            {"n": 0.5, "late": true, "list": [1], "my_vector": [0.5, 1], "odd_vector": [1, 2]},
        ]),
    );
    let wanted = [
        "n float",
        "never text",
        "list list(int)",
        "my_vector vector(2, float)",
        "odd_vector list(int)",
        "late bool",
    ];
    assert_eq!(room.columns("t"), wanted);
    assert_eq!(column(&room.all("t"), "n"), [json!(1.0), json!(0.5)]);
    assert_eq!(column(&room.all("t"), "late"), [json!(null), json!(true)]);
}

#[test]
fn a_table_made_with_nothing_gets_its_columns_with_the_first_insert() {
    let room = Room::new();
    room.create("t", Json::Null, json!([]));
    assert_eq!((room.columns("t"), room.all("t")), (Vec::new(), json!([])));
    assert_eq!(room.insert("t", json!([])).unwrap(), 2);
    assert_eq!(room.insert("t", json!([{"a": 1}])).unwrap(), 3);
    assert_eq!(room.columns("t"), ["a int"]);
    room.insert("t", json!([{"a": 2}])).unwrap();
    assert_eq!(room.all("t"), json!([{"a": 1}, {"a": 2}]));
    room.tables.checkout(&table("t"), 2).unwrap();
    assert_eq!((room.columns("t"), room.all("t")), (Vec::new(), json!([])));
}

#[test]
fn rows_without_values_are_counted_as_others_are() {
    let room = Room::new();
    room.create("t", Json::Null, json!([{}, {}]));
    assert_eq!(room.all("t"), json!([{}, {}]));
    let none = Search { table: table("t"), select: Some(Vec::new()), ..Search::default() };
    assert_eq!(room.search(none).unwrap(), json!([{}, {}]));
}

#[test]
fn the_mode_says_what_becomes_of_the_table_that_is_there() {
    let room = Room::new();
    room.create("t", json!({"a": "int"}), json!([{"a": 1}]));
    let again = room.tables.create(new("t", json!({"b": "int"})));
    assert_eq!(
        refused(again, "drop it, or create it with the mode `overwrite`"),
        Reason::AlreadyExists
    );

    let mode = Mode::CreateIfNotExists;
    let mut kept = room.tables.create(NewTable { mode, ..new("t", Json::Null) }).unwrap();
    kept.write(rows_of(&json!([{"unknown": 1}]))).unwrap();
    let kept = kept.finish().unwrap();
    assert_eq!((kept.version, kept.rows), (1, 0));
    assert_eq!(room.all("t"), json!([{"a": 1}]));

    let writer = room.tables.create(overwrite(new("t", json!({"b": "int"})))).unwrap();
    assert_eq!(room.all("t"), json!([{"a": 1}]));
    assert_eq!(written(writer, &json!([{"b": 2}])).unwrap(), 2);
    assert_eq!(room.all("t"), json!([{"b": 2}]));
    assert_eq!(room.versions("t"), [(2, "create".to_owned())]);
}

#[test]
fn namespaces_have_tables_of_their_own() {
    let room = Room::new();
    let within = |namespace: &[&str], name: &str| TableName {
        namespace: namespace.iter().map(|it| (*it).to_owned()).collect(),
        name: name.to_owned(),
    };
    for (number, name) in
        [within(&[], "t"), within(&["a"], "t"), within(&["a", "b"], "t"), within(&["a"], "s")]
            .into_iter()
            .enumerate()
    {
        let new = NewTable { table: name, ..new("", Json::Null) };
        written(room.tables.create(new).unwrap(), &json!([{"n": number}])).unwrap();
    }
    let list = |namespace: &[&str]| room.tables.list(&within(namespace, "").namespace).unwrap();
    assert_eq!(list(&[]), ["t"]);
    assert_eq!(list(&["a"]), ["s", "t"]);
    assert_eq!(list(&["a", "b"]), ["t"]);
    assert_eq!(list(&["b"]), Vec::<String>::new());
    room.tables.drop_table(&within(&["a"], "t"), false).unwrap();
    assert_eq!(list(&["a"]), ["s"]);
    let deep = Search { table: within(&["a", "b"], "t"), ..Search::default() };
    assert_eq!(room.search(deep).unwrap(), json!([{"n": 2}]));
    let told = room.tables.describe(&within(&["a"], "t"));
    assert_eq!(refused(told, "there is no table a.t"), Reason::NotFound);
}

#[test]
fn metadata_comes_back() {
    let room = Room::new();
    let metadata = vec![("a".to_owned(), "b".to_owned())];
    let new = NewTable { metadata: metadata.clone(), ..new("t", Json::Null) };
    written(room.tables.create(new).unwrap(), &json!([])).unwrap();
    let told = room.tables.describe(&table("t")).unwrap();
    assert_eq!((told.metadata, told.version, told.latest), (metadata, 1, 1));
}

#[test]
fn names_that_cannot_be_are_refused() {
    let room = Room::new();
    let long = "x".repeat(129);
    for name in ["", "a\nb", &long] {
        let made = room.tables.create(new(name, Json::Null));
        assert_eq!(refused(made, "the name of a table"), Reason::Invalid);
        let made = room.tables.create(new("t", json!({name: "int"})));
        assert_eq!(refused(made, "the name of a column"), Reason::Invalid);
        let listed = room.tables.list(&[name.to_owned()]);
        assert_eq!(refused(listed, "the name of a namespace"), Reason::Invalid);
    }
    let made = room.tables.create(new("t", json!({"_score": "int"})));
    assert_eq!(refused(made, "searches give their scores this name"), Reason::Invalid);
    let twice = Field { name: "a".to_owned(), data_type: typed(&json!("int")) };
    let twice = NewTable { fields: Some(vec![twice.clone(), twice]), ..new("t", Json::Null) };
    assert_eq!(refused(room.tables.create(twice), "two columns are called"), Reason::Invalid);
}

#[test]
fn names_of_clients_are_no_sql() {
    let room = Room::new();
    let name = "t\"; DROP TABLE room_tables; --`'";
    room.create(name, json!({name: "int", "room_tables": "int"}), json!([{name: 1}]));
    assert_eq!(room.tables.list(&[]).unwrap(), [name]);
    assert_eq!(room.all(name), json!([{name: 1, "room_tables": null}]));
}

#[test]
fn rows_that_do_not_fit_are_refused_and_nothing_is_seen_of_them() {
    let room = Room::new();
    room.create("t", json!({"a": "int", "b": "text!"}), json!([]));
    for (row, part) in [
        (json!({"a": 1}), "row 2 leaves out the column \"b\""),
        (json!({"a": 1, "b": null}), "row 2, column \"b\": null is not allowed"),
        (json!({"a": "x", "b": "y"}), "row 2, column \"a\": a value of text is no int"),
        (
            json!({"b": "y", "c": 1, "d": 2}),
            "has columns that the table has not: \"c\", \"d\"; it has \"a\", \"b\"",
        ),
    ] {
        let mut writer = room.tables.insert(&table("t")).unwrap();
        writer.write(rows_of(&json!([{"b": "fits"}]))).unwrap();
        assert_eq!(refused(writer.write(rows_of(&json!([row]))), part), Reason::Invalid);
        assert_eq!(refused(writer.finish(), "has failed before"), Reason::State);
    }
    let twice = vec![vec![("b".to_owned(), Value::Text("x".to_owned())); 2]];
    let mut writer = room.tables.insert(&table("t")).unwrap();
    refused(writer.write(twice), "has the column \"b\" twice");
    drop(writer);
    assert_eq!((room.all("t"), room.versions("t").len()), (json!([]), 1));
}

#[test]
fn columns_that_come_of_rows_lose_no_digits() {
    let room = Room::new();
    let long = (1_i64 << 53) + 1;
    for rows in [
        json!([{"a": i64::MAX}, {"a": 0.5}]),
        json!([{"a": 0.5}, {"a": long}]),
        json!([{"a": [long, 0.5]}]),
    ] {
        let mut writer = room.tables.create(new("t", Json::Null)).unwrap();
        let told = writer.write(rows_of(&rows)).and_then(|()| writer.finish());
        assert_eq!(refused(told, "would lose digits as one of them"), Reason::Invalid);
    }
    room.create("t", Json::Null, json!([{"a": long - 1, "b": long}, {"a": 0.5, "b": 1}]));
    assert_eq!(room.columns("t"), ["a float", "b int"]);
}

#[test]
fn a_merge_changes_each_row_with_a_value_of_a_column_and_adds_the_others() {
    let room = Room::new();
    room.create(
        "t",
        json!({"id": "int", "n": "text"}),
        json!([
            {"id": 1, "n": "a"}, {"id": null, "n": "b"}, {"id": 2, "n": "c"}, {"id": 2, "n": "d"},
        ]),
    );
    let merged = json!([
        {"id": 2, "n": "e"}, {"id": 3, "n": "f"}, {"id": null, "n": "g"}, {"id": 2, "n": "h"}, {"n": "i"},
    ]);
    assert_eq!(room.merge("t", "id", merged).unwrap(), 2);
    let wanted = json!([
        {"id": 1, "n": "a"}, {"id": null, "n": "b"}, {"id": 2, "n": "h"}, {"id": 2, "n": "h"},
        {"id": 3, "n": "f"}, {"id": null, "n": "g"}, {"id": null, "n": "i"},
    ]);
    assert_eq!(room.all("t"), wanted);
    assert_eq!(refused(room.merge("t", "x", json!([])), "has no column \"x\""), Reason::NotFound);
    assert_eq!(room.merge("t", "id", json!([])).unwrap(), 3);
    room.tables.checkout(&table("t"), 1).unwrap();
    assert_eq!(column(&room.all("t"), "n"), ["a", "b", "c", "d"]);
}

#[test]
fn a_merged_row_keeps_the_columns_that_are_left_out() {
    let room = Room::new();
    room.create(
        "t",
        json!({"city": "text", "name": "text!", "born": "int"}),
        json!([
            {"city": "Rome", "name": "a", "born": 1}, {"city": "Oslo", "name": "b", "born": 2},
            {"city": "Rome", "name": "c", "born": 3},
        ]),
    );
    let mixed = json!([
        {"city": "Rome", "born": 9}, {"city": "Oslo", "name": "d"}, {"city": "Bern", "name": "e"},
    ]);
    room.merge("t", "city", mixed).unwrap();
    let wanted = json!([
        {"city": "Rome", "name": "a", "born": 9}, {"city": "Oslo", "name": "d", "born": 2},
        {"city": "Rome", "name": "c", "born": 9}, {"city": "Bern", "name": "e", "born": null},
    ]);
    assert_eq!(room.all("t"), wanted);
    room.merge("t", "city", json!([{"city": "Rome", "born": null}])).unwrap();
    assert_eq!(column(&room.all("t"), "born"), [json!(2), Json::Null, Json::Null, Json::Null]);
    let before = room.all("t");
    for (row, part) in [
        (json!({"city": "Rome", "name": null}), "row 2, column \"name\": null is not allowed"),
        (json!({"city": "Wien"}), "row 2 leaves out the column \"name\", which is never null"),
    ] {
        let told = room.merge("t", "city", json!([{"city": "Oslo", "born": 5}, row]));
        assert_eq!(refused(told, part), Reason::Invalid);
        assert_eq!(room.all("t"), before);
    }
}

#[test]
fn a_merge_of_many_rows_waits_outside_of_memory() {
    let room = Room::new();
    room.create("t", json!({"id": "int", "n": "int"}), json!([{"id": 5, "n": 0}]));
    let mut writer = room.tables.merge(&table("t"), "id").unwrap();
    for round in 0..3_i64 {
        let row =
            |id: i64| vec![("id".to_owned(), Value::Int(id)), ("n".to_owned(), Value::Int(round))];
        writer.write((0..5_000).map(row).collect()).unwrap();
    }
    assert_eq!(room.all("t"), json!([{"id": 5, "n": 0}]));
    let done = writer.finish().unwrap();
    assert_eq!((done.version, done.rows), (2, 15_000));
    let all = room.all("t");
    assert_eq!(all.as_array().unwrap().len(), 5_000);
    assert!(column(&all, "n").iter().all(|n| *n == 2));
}

#[test]
fn a_dropped_table_is_gone_with_its_indexes_and_may_come_again() {
    let room = Room::new();
    room.create("t", json!({"a": "text"}), json!([{"a": "x"}]));
    for kind in
        [meshagent_tables::engine::IndexKind::Scalar, meshagent_tables::engine::IndexKind::FullText]
    {
        room.tables.create_index(&table("t"), "a", kind, false).unwrap();
    }
    room.tables.drop_table(&table("t"), false).unwrap();
    assert_eq!(refused(room.tables.drop_table(&table("t"), false), "no table t"), Reason::NotFound);
    room.tables.drop_table(&table("t"), true).unwrap();
    room.create("t", json!({"b": "text"}), json!([]));
    assert_eq!((room.columns("t"), room.all("t")), (vec!["b text".to_owned()], json!([])));
    assert_eq!(room.tables.indexes(&table("t")).unwrap(), []);
}
