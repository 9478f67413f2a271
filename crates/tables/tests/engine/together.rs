//! Several writers at once.

use std::sync::Barrier;

use meshagent_tables::engine::NewColumn;

use super::*;

/// More than a writer keeps in memory.
const MANY: i64 = 10_000;

/// What somebody else does.
type Change = fn(&Room);

fn numbers(from: i64, to: i64) -> Vec<Row> {
    (from..to).map(|a| vec![("a".to_owned(), Value::Int(a))]).collect()
}

fn sorted(rows: &Json) -> Vec<i64> {
    let mut all: Vec<i64> = column(rows, "a").iter().map(|a| a.as_i64().unwrap()).collect();
    all.sort_unstable();
    all
}

#[test]
fn rows_that_wait_are_seen_by_no_version_that_others_make_meanwhile() {
    let room = Room::new();
    let t = table("t");
    room.create("t", json!({"a": "int"}), json!([]));
    let mut slow = room.tables.insert(&t).unwrap();
    slow.write(numbers(0, MANY)).unwrap();
    let mut other = room.tables.insert(&t).unwrap();
    other.write(numbers(MANY, 2 * MANY)).unwrap();
    let between = room.insert("t", json!([{"a": -1}])).unwrap();
    assert_eq!(room.all("t"), json!([{"a": -1}]));
    assert_eq!(room.merge("t", "a", json!([{"a": 5}])).unwrap(), between + 1);
    assert_eq!(sorted(&room.all("t")), [-1, 5]);
    room.tables.restore(&t, between).unwrap();
    assert_eq!(sorted(&room.all("t")), [-1]);
    let second = other.finish().unwrap().version;
    let first = slow.finish().unwrap().version;
    assert!(first > second && second > between + 2);
    assert_eq!(sorted(&room.all("t")), (-1..2 * MANY).collect::<Vec<_>>());
    for (version, rows) in [
        (1, 0),
        (between, 1),
        (between + 1, 2),
        (between + 2, 1),
        (second, MANY + 1),
        (first, 2 * MANY + 1),
    ] {
        room.tables.checkout(&t, version).unwrap();
        let count = room.tables.count(&Search { table: t.clone(), ..Search::default() });
        assert_eq!(count.unwrap(), rows.unsigned_abs(), "version {version}");
    }
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing() {
    let room = Room::new();
    room.create("t", json!({"a": "int"}), json!([{"a": -1}]));
    let t = table("t");
    let kinds = meshagent_tables::engine::IndexKind::Scalar;
    room.tables.create_index(&t, "a", kinds, false).unwrap();
    let mut dropped: Box<dyn Writer> = room.tables.insert(&t).unwrap();
    dropped.write(numbers(0, 3 * MANY)).unwrap();
    drop(dropped);
    let mut dropped = room.tables.create(new("s", Json::Null)).unwrap();
    dropped.write(numbers(0, MANY)).unwrap();
    drop(dropped);
    let mut dropped = room.tables.merge(&t, "a").unwrap();
    dropped.write(numbers(0, MANY)).unwrap();
    drop(dropped);
    assert_eq!(room.insert("t", json!([{"a": -2}])).unwrap(), 2);
    assert_eq!(
        (room.all("t"), room.tables.list(&[]).unwrap()),
        (json!([{"a": -1}, {"a": -2}]), vec!["t".to_owned()])
    );
    let path = room.folder.path().join("tables.db");
    let file = rusqlite::Connection::open(path).unwrap();
    let one = |text: &str| file.query_row(text, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(one("SELECT count(*) FROM t1"), 2);
    assert_eq!(one("SELECT count(*) FROM room_stamps"), 0);
    assert_eq!(one("SELECT count(*) FROM sqlite_schema WHERE name LIKE 't_'"), 1);
}

#[test]
fn a_writer_whose_table_changed_under_it_is_told_to_try_again() {
    let changes: [(&str, Change); 4] = [
        ("was dropped or made anew", |room| room.tables.drop_table(&table("t"), false).unwrap()),
        ("was dropped or made anew", |room| {
            let new = overwrite(new("t", json!({"a": "int"})));
            room.tables.create(new).unwrap().finish().unwrap();
        }),
        ("got other columns", |room| {
            let column = ("b".to_owned(), NewColumn::Typed(typed(&json!("int"))));
            room.tables.add_columns(&table("t"), vec![column]).unwrap();
        }),
        ("got other columns", |room| {
            let field = Field { name: "a".to_owned(), data_type: typed(&json!("text")) };
            room.tables.alter_columns(&table("t"), vec![field]).unwrap();
        }),
    ];
    for (part, change) in changes {
        for rows in [1, MANY] {
            let room = Room::new();
            room.create("t", json!({"a": "int"}), json!([]));
            let mut insert = room.tables.insert(&table("t")).unwrap();
            insert.write(numbers(0, rows)).unwrap();
            let mut merge = room.tables.merge(&table("t"), "a").unwrap();
            merge.write(numbers(0, rows)).unwrap();
            change(&room);
            for writer in [insert, merge] {
                let error = writer.finish().unwrap_err();
                assert_eq!(error.reason, Reason::Conflict);
                assert!(error.text.contains(part) && error.text.contains("try again"), "{error}");
            }
        }
    }
}

#[test]
fn of_two_that_make_a_table_one_is_refused() {
    let room = Room::new();
    let mut first = room.tables.create(new("t", json!({"a": "int"}))).unwrap();
    first.write(numbers(0, MANY)).unwrap();
    let second = room.tables.create(new("t", json!({"a": "int"}))).unwrap();
    let mode = Mode::CreateIfNotExists;
    let mut third = room.tables.create(NewTable { mode, ..new("t", Json::Null) }).unwrap();
    third.write(numbers(0, MANY)).unwrap();
    second.finish().unwrap();
    assert_eq!(refused(first.finish(), "there is a table t already"), Reason::AlreadyExists);
    assert_eq!(third.finish().unwrap().rows, 0);
    assert_eq!((room.all("t"), room.versions("t").len()), (json!([]), 1));
}

#[test]
fn two_that_give_a_table_its_first_columns_do_not_mix_them() {
    let room = Room::new();
    room.create("t", Json::Null, json!([]));
    let mut one = room.tables.insert(&table("t")).unwrap();
    one.write(numbers(0, MANY)).unwrap();
    let mut other = room.tables.insert(&table("t")).unwrap();
    other.write(numbers(0, 1)).unwrap();
    assert_eq!(room.columns("t"), Vec::<String>::new());
    other.finish().unwrap();
    assert_eq!(room.columns("t"), ["a int"]);
    assert_eq!(refused(one.finish(), "got other columns"), Reason::Conflict);
    assert_eq!((room.all("t"), room.columns("t")), (json!([{"a": 0}]), vec!["a int".to_owned()]));
}

#[test]
fn threads_lose_no_rows_and_every_version_is_whole() {
    const THREADS: i64 = 4;
    const ROUNDS: i64 = 5;
    const EACH: i64 = 5_000;
    let room = Room::new();
    room.create("t", json!({"a": "int"}), json!([]));
    let start = Barrier::new(usize::try_from(THREADS).unwrap());
    let (tables, start) = (&room.tables, &start);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                start.wait();
                for round in 0..ROUNDS {
                    let first = (thread * ROUNDS + round) * EACH;
                    let mut writer = match round % 2 {
                        0 => tables.insert(&table("t")).unwrap(),
                        _ => tables.merge(&table("t"), "a").unwrap(),
                    };
                    writer.write(numbers(first, first + EACH)).unwrap();
                    writer.finish().unwrap();
                }
            });
        }
    });
    assert_eq!(sorted(&room.all("t")), (0..THREADS * ROUNDS * EACH).collect::<Vec<_>>());
    let versions = room.versions("t");
    assert_eq!(versions.len(), usize::try_from(THREADS * ROUNDS + 1).unwrap());
    for ((version, _), whole) in versions.into_iter().zip(0..) {
        room.tables.checkout(&table("t"), version).unwrap();
        let count = room.tables.count(&Search { table: table("t"), ..Search::default() });
        assert_eq!(count.unwrap(), whole * EACH.unsigned_abs());
    }
}
