//! What earlier versions show.

use meshagent_tables::engine::{IndexKind, NewColumn};

use super::*;

#[test]
fn every_write_makes_one_version_that_can_be_read_and_restored() {
    let room = Room::new();
    let t = table("t");
    room.create("t", json!({"a": "int"}), json!([{"a": 1}]));
    room.insert("t", json!([{"a": 2}, {"a": 3}])).unwrap();
    room.merge("t", "a", json!([{"a": 1}])).unwrap();
    room.tables
        .add_columns(&t, vec![("b".to_owned(), NewColumn::Typed(typed(&json!("int"))))])
        .unwrap();
    room.tables.drop_columns(&t, &["a".to_owned()]).unwrap();
    room.tables.restore(&t, 2).unwrap();
    let operations = ["create", "insert", "merge", "add columns", "drop columns", "restore"];
    let numbered = (1..).zip(operations.map(str::to_owned)).collect::<Vec<(u64, String)>>();
    assert_eq!(room.versions("t"), numbered);
    let shown = [
        json!([{"a": 1}]),
        json!([{"a": 1}, {"a": 2}, {"a": 3}]),
        json!([{"a": 2}, {"a": 3}, {"a": 1}]),
        json!([{"a": 2, "b": null}, {"a": 3, "b": null}, {"a": 1, "b": null}]),
        json!([{"b": null}, {"b": null}, {"b": null}]),
        json!([{"a": 1}, {"a": 2}, {"a": 3}]),
    ];
    let room = room.again();
    for (version, rows) in (1..).zip(shown) {
        room.tables.checkout(&t, version).unwrap();
        assert_eq!((version, room.all("t")), (version, rows));
        let told = room.tables.describe(&t).unwrap();
        assert_eq!((told.version, told.latest), (version, 6));
    }
}

#[test]
fn a_table_at_an_earlier_version_is_not_written_until_it_is_restored_or_left() {
    let room = Room::new();
    let t = table("t");
    room.create("t", json!({"a": "int", "b": "int"}), json!([{"a": 1}]));
    room.insert("t", json!([{"a": 2}])).unwrap();
    room.tables.create_index(&t, "a", IndexKind::Scalar, false).unwrap();
    let overwriting = room.tables.create(overwrite(new("t", json!({"a": "int"})))).unwrap();
    room.tables.checkout(&t, 1).unwrap();
    let part = "is checked out at version 1, so it cannot be written; restore version 1, or check out the latest one, 2";
    for told in [
        room.insert("t", json!([])).map(drop),
        room.merge("t", "a", json!([])).map(drop),
        room.tables.drop_columns(&t, &["a".to_owned()]),
        room.tables.update(&t, "true", vec![("a".to_owned(), Value::Int(1))], Vec::new()).map(drop),
        room.tables.delete(&t, "true").map(drop),
        room.tables.create_index(&t, "b", IndexKind::Scalar, false),
        room.tables.drop_index(&t, "a_idx"),
        room.tables.drop_table(&t, true),
        room.tables.create(overwrite(new("t", json!({"a": "int"})))).map(drop),
    ] {
        assert_eq!(refused(told, part), Reason::State);
    }
    assert_eq!(refused(overwriting.finish(), part), Reason::State);
    room.tables.checkout(&t, 2).unwrap();
    room.insert("t", json!([{"a": 3}])).unwrap();
    room.tables.checkout(&t, 1).unwrap();
    room.tables.restore(&t, 2).unwrap();
    room.insert("t", json!([{"a": 4}])).unwrap();
    assert_eq!(column(&room.all("t"), "a"), [1, 2, 4]);
    assert_eq!(refused(room.tables.checkout(&t, 9), "has no version 9"), Reason::NotFound);
    assert_eq!(refused(room.tables.restore(&t, u64::MAX), "has no version"), Reason::NotFound);
}

#[test]
fn a_checkout_while_rows_are_written_refuses_them() {
    let room = Room::new();
    room.create("t", json!({"a": "int"}), json!([{"a": 1}]));
    room.insert("t", json!([{"a": 2}])).unwrap();
    let writer = room.tables.insert(&table("t")).unwrap();
    room.tables.checkout(&table("t"), 1).unwrap();
    assert_eq!(refused(writer.finish(), "is checked out"), Reason::State);
}

#[test]
fn an_answer_stays_at_its_moment() {
    let room = Room::new();
    room.create("t", json!({"a": "int"}), json!([]));
    let row = |a: i64| vec![("a".to_owned(), Value::Int(a))];
    let mut writer = room.tables.insert(&table("t")).unwrap();
    writer.write((0..20_000).map(row).collect()).unwrap();
    writer.finish().unwrap();
    let mut answer = room.tables.search(Search { table: table("t"), ..Search::default() }).unwrap();
    let first = answer.next(1).unwrap().unwrap();
    assert_eq!(first, [[Value::Int(0)]]);
    room.insert("t", json!([{"a": -1}])).unwrap();
    room.tables.drop_table(&table("t"), false).unwrap();
    let mut count = 1;
    while let Some(part) = answer.next(1000).unwrap() {
        count += part.len();
    }
    assert_eq!(count, 20_000);
}

#[test]
fn a_table_that_is_made_anew_goes_on_with_the_numbers() {
    let room = Room::new();
    room.create("t", json!({"a": "int"}), json!([{"a": 1}]));
    room.insert("t", json!([{"a": 2}])).unwrap();
    let again = overwrite(new("t", json!({"a": "int"})));
    let version = written(room.tables.create(again).unwrap(), &json!([{"a": 3}])).unwrap();
    assert_eq!(version, 3);
    assert_eq!(room.all("t"), json!([{"a": 3}]));
    room.insert("t", json!([{"a": 4}])).unwrap();
    room.tables.checkout(&table("t"), 3).unwrap();
    assert_eq!(room.all("t"), json!([{"a": 3}]));
    assert_eq!(refused(room.tables.checkout(&table("t"), 2), "no version 2"), Reason::NotFound);
    room.tables.restore(&table("t"), 3).unwrap();
    room.tables.drop_table(&table("t"), false).unwrap();
    let room = room.again();
    room.create("t", json!({"b": "int"}), json!([{"b": 1}]));
    assert_eq!(room.versions("t"), [(6, "create".to_owned())]);
    room.create("s", json!({"b": "int"}), json!([]));
    assert_eq!(room.versions("s"), [(1, "create".to_owned())]);
}

#[test]
fn only_the_latest_versions_are_listed() {
    let room = Room::new();
    room.create("t", json!({"a": "int"}), json!([]));
    let Room { tables, folder } = room;
    drop(tables);
    // Each on its own would take a minute.
    let file = rusqlite::Connection::open(folder.path().join("tables.db")).unwrap();
    file.execute_batch(
        "WITH RECURSIVE numbers (value) AS
             (SELECT 2 UNION ALL SELECT value + 1 FROM numbers WHERE value < 10005)
         INSERT INTO room_versions SELECT owner, value, at, operation
         FROM room_versions, numbers;
         UPDATE room_tables SET latest = 10005;",
    )
    .unwrap();
    drop(file);
    let room = Room { tables: Tables::open(&folder.path().join("tables.db")).unwrap(), folder };
    let versions = room.versions("t");
    assert_eq!((versions.len(), versions[0].0, versions[9_999].0), (10_000, 6, 10_005));
}
