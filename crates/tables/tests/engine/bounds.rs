//! What hostile or slow clients can do, and what a damaged file does.

use std::sync::Arc;
use std::time::Duration;

use super::costs::numbers;
use super::*;

fn limits() -> Limits {
    Limits { waiting: Duration::from_secs(20), ..Limits::default() }
}

/// A room with a table of rows that are more than an answer is ahead of its reader.
fn large(limits: Limits) -> Room {
    let room = Room::with(limits);
    let row = |a: i64| {
        vec![("a".to_owned(), Value::Int(a)), ("b".to_owned(), Value::Text("x".repeat(1000)))]
    };
    let mut writer = room.tables.create(new("t", Json::Null)).unwrap();
    writer.write((0..10_000).map(row).collect()).unwrap();
    writer.finish().unwrap();
    room
}

fn everything() -> Search {
    Search { table: table("t"), ..Search::default() }
}

#[test]
fn an_answer_that_nobody_reads_any_more_gives_its_place_back() {
    let room = large(Limits { readers: 1, ..limits() });
    for read in [0, 1, 100, 5_000] {
        let mut answer = room.tables.search(everything()).unwrap();
        if read > 0 {
            answer.next(read).unwrap().unwrap();
        }
        drop(answer);
    }
    assert_eq!(room.tables.count(&everything()).unwrap(), 10_000);
}

#[test]
fn an_answer_does_not_wait_for_its_reader_forever() {
    let room = large(Limits { readers: 1, idle: Duration::from_millis(20), ..limits() });
    let mut slow = room.tables.search(everything()).unwrap();
    // There is room for this one as soon as the other has given up.
    assert_eq!(room.tables.count(&everything()).unwrap(), 10_000);
    let error = loop {
        match slow.next(1000) {
            Ok(part) => assert!(part.is_some(), "the answer ends as if it were whole"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason, Reason::TimedOut);
    assert_eq!(error.text, "nothing of the answer was read for 20ms");
}

#[test]
fn more_answers_at_once_than_are_allowed_are_refused() {
    let room = large(Limits { readers: 2, waiting: Duration::from_millis(20), ..limits() });
    let one = room.tables.search(everything()).unwrap();
    let other = room.tables.search(everything()).unwrap();
    let third = room.tables.search(everything());
    assert_eq!(refused(third, "2 answers are read in this room"), Reason::TimedOut);
    drop((one, other));
    // What is small never waits for them.
    assert_eq!(room.tables.describe(&table("t")).unwrap().version, 1);
}

#[test]
fn an_answer_that_nobody_reads_makes_way_for_one_that_waits() {
    let room = large(Limits { readers: 2, ..limits() });
    let search = |who: &str| {
        let turn = Arc::new(());
        let held = Arc::downgrade(&turn);
        let tables = room.tables.in_turn(who.into(), turn);
        (tables.search(everything()).unwrap(), held)
    };
    let ((mut hers, hers_held), (mut his, his_held)) = (search("her"), search("him"));
    hers.next(1).unwrap().unwrap();
    // Long enough for nobody, and nothing is read by anybody else.
    room.tables.make_way(None, Duration::from_secs(60));
    room.tables.make_way(Some("them"), Duration::ZERO);
    assert!(hers_held.strong_count() > 0 && his_held.strong_count() > 0);
    // As soon as its thread waits for her, the answer is ended, and its turn given back.
    while hers_held.strong_count() > 0 {
        room.tables.make_way(Some("her"), Duration::ZERO);
        std::thread::yield_now();
    }
    assert_eq!(refused(read(hers), "others waited for their turn"), Reason::TimedOut);
    assert_eq!(room.tables.count(&everything()).unwrap(), 10_000);
    // His is whole.
    let mut count = 0;
    while let Some(part) = his.next(1000).unwrap() {
        count += part.len();
    }
    assert_eq!(count, 10_000);
}

#[test]
fn an_answer_of_few_large_rows_has_its_turn_until_they_were_taken() {
    let room = Room::new();
    let row = |_| vec![("b".to_owned(), Value::Text("x".repeat(2 << 20)))];
    let mut writer = room.tables.create(new("t", Json::Null)).unwrap();
    writer.write((0..2).map(row).collect()).unwrap();
    writer.finish().unwrap();
    let search = || {
        let turn = Arc::new(());
        let held = Arc::downgrade(&turn);
        (room.tables.in_turn("her".into(), turn).search(everything()).unwrap(), held)
    };
    let (whole, held) = search();
    assert_eq!(read(whole).unwrap().as_array().unwrap().len(), 2);
    assert_eq!(held.strong_count(), 0);
    for taken in 0..2 {
        let (mut answer, held) = search();
        for _ in 0..taken {
            answer.next(1).unwrap().unwrap();
        }
        while held.strong_count() > 0 {
            room.tables.make_way(None, Duration::ZERO);
            std::thread::yield_now();
        }
        assert_eq!(refused(read(answer), "others waited for their turn"), Reason::TimedOut);
    }
}

#[test]
fn more_writers_at_once_than_are_allowed_are_refused() {
    let room = Room::with(Limits { writers: 2, ..limits() });
    room.create("t", json!({"a": "int"}), json!([]));
    let one = room.tables.insert(&table("t")).unwrap();
    let other = room.tables.merge(&table("t"), "a").unwrap();
    let third = room.tables.create(new("s", Json::Null));
    assert_eq!(refused(third, "2 writers are at work"), Reason::TimedOut);
    drop(one);
    room.insert("t", json!([{"a": 1}])).unwrap();
    drop(other);
}

#[test]
fn tables_rows_and_columns_have_sizes() {
    let room = Room::with(Limits { tables: 2, columns: 2, row_bytes: 1000, ..limits() });
    room.create("t", json!({"a": "text", "b": "text"}), json!([]));
    let half = "x".repeat(501);
    let told = room.insert("t", json!([{"a": half}, {"a": half, "b": half}]));
    assert_eq!(refused(told, "row 2 has more than 1000 bytes"), Reason::Invalid);
    let wide = json!([{"a": 1, "b": 2, "c": 3}]);
    let told = written(room.tables.create(new("s", Json::Null)).unwrap(), &wide);
    assert_eq!(refused(told, "at most 2 columns"), Reason::Invalid);
    room.create("s", Json::Null, json!([]));
    let told = written(room.tables.create(new("r", Json::Null)).unwrap(), &json!([]));
    assert_eq!(refused(told, "the room has 2 tables"), Reason::State);
}

#[test]
fn what_computes_too_long_is_ended() {
    let room = large(Limits { computing: Duration::from_millis(50), ..limits() });
    let named = |name: &str| (table("t"), name.to_owned());
    let query = "SELECT count(*) FROM a, b, c WHERE a.a + b.a + c.a = -1";
    let answer = room.tables.query(query, vec![named("a"), named("b"), named("c")], &[]).unwrap();
    assert_eq!(refused(read(answer), "takes more than 50ms to compute"), Reason::TimedOut);
    // Its connection does as well as before.
    for _ in 0..10 {
        assert_eq!(
            read(room.tables.search(Search { limit: Some(1), ..everything() }).unwrap()).unwrap()
                [0]["a"],
            0
        );
    }
}

#[test]
fn a_link_or_what_is_no_file_is_refused_and_left_alone() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    let path = folder.path().join("tables.db");
    std::fs::write(&victim, "").unwrap();
    std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o644)).unwrap();
    symlink(&victim, &path).unwrap();
    refused(Tables::open(&path), "it is a link");
    std::fs::remove_file(&path).unwrap();
    std::fs::hard_link(&victim, &path).unwrap();
    refused(Tables::open(&path), "another name");
    let found = std::fs::metadata(&victim).unwrap();
    assert_eq!((found.len(), found.permissions().mode() & 0o777), (0, 0o644));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    refused(Tables::open(&path), "cannot be opened");
    // A folder above may be a link.
    let other = folder.path().join("other");
    let linked = folder.path().join("linked");
    std::fs::create_dir(&other).unwrap();
    symlink(&other, &linked).unwrap();
    Tables::open(&linked.join("tables.db")).unwrap();
    assert!(other.join("tables.db").is_file());
}

#[test]
fn a_file_that_is_something_else_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tables.db");
    std::fs::write(
        &path,
        "this is no database at all, but longer than one hundred bytes ".repeat(9),
    )
    .unwrap();
    let told = "the tables of this room are damaged: file is not a database";
    assert_eq!(refused(Tables::open(&path), told), Reason::Damaged);
    std::fs::remove_file(&path).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA user_version = 7").unwrap();
    drop(other);
    assert_eq!(refused(Tables::open(&path), "has form 7"), Reason::Failed);
    assert_eq!(refused(Tables::open(&path.join("below")), "cannot be opened"), Reason::Failed);
}

#[test]
fn a_damaged_file_gives_errors_and_no_panic() {
    let room = Room::new();
    let fields = json!({"a": "int", "b": "text", "v": {"type": "vector", "size": 3, "element_type": {"type": "float"}}, "l": {"type": "list", "element_type": {"type": "int"}}});
    let row = |a: i64| json!({"a": a, "b": format!("word{a}"), "v": [a, 1, 2], "l": [a]});
    room.create("t", fields, (0..300).map(row).collect());
    room.tables
        .create_index(&table("t"), "b", meshagent_tables::engine::IndexKind::FullText, false)
        .unwrap();
    let Room { tables, folder } = room;
    drop(tables);
    let path = folder.path().join("tables.db");
    let whole = std::fs::read(&path).unwrap();
    assert!(whole.len() > 20_000);
    let mut random = fastrand::Rng::with_seed(19);
    let mut failed = 0;
    for _ in 0..200 {
        let mut bytes = whole.clone();
        for _ in 0..random.usize(1..40) {
            let place = random.usize(100..bytes.len());
            bytes[place] = random.u8(..);
        }
        if random.bool() {
            bytes.truncate(random.usize(100..whole.len()));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tables.db");
        std::fs::write(&path, bytes).unwrap();
        let visit = || -> Result<()> {
            let room = Tables::open(&path)?;
            read(room.search(everything())?)?;
            read(room.search(Search { vector: Some(vec![1.0; 3]), ..everything() })?)?;
            read(room.search(Search { text: Some("word7".to_owned()), ..everything() })?)?;
            let mut writer = room.merge(&table("t"), "a")?;
            writer.write(rows_of(&json!([row(7), row(1000)])))?;
            writer.finish()?;
            room.restore(&table("t"), 1)?;
            room.optimize(&table("t"))
        };
        if let Err(error) = visit() {
            assert!(!error.text.is_empty());
            failed += 1;
        }
    }
    assert!(failed > 50, "{failed}");
}

/// As on a full disk, on which what nobody sees cannot be removed either.
#[test]
fn what_there_is_can_be_read_while_nothing_can_be_written() {
    let Room { tables, folder } = numbers(limits(), 3);
    let mut writer = tables.insert(&table("t")).unwrap();
    writer.write((0..5_000).map(|id| vec![("id".to_owned(), Value::Int(id))]).collect()).unwrap();
    // Its process ends as if it were killed.
    std::mem::forget(writer);
    drop(tables);
    let path = folder.path().join("tables.db");
    let file = rusqlite::Connection::open(&path).unwrap();
    let stop = "BEGIN SELECT RAISE(ABORT, 'no room'); END";
    file.execute_batch(&format!("CREATE TRIGGER stop BEFORE DELETE ON t1 {stop}")).unwrap();
    drop(file);
    let tables = Tables::open(&path).unwrap();
    assert_eq!(tables.count(&everything()).unwrap(), 3);
}
