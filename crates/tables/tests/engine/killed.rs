//! Processes that are killed in the middle of writing.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use meshagent_tables::engine::IndexKind;

use super::*;

/// The database, to a child that writes to it; how many rows an insert has stands behind it.
const ROOM: &str = "MESHAGENT_TEST_KILLED_ROOM";
const ROWS: &str = "MESHAGENT_TEST_KILLED_ROWS";

/// How many parts an insert comes in.
const PARTS: i64 = 10;

/// Writes until it is killed, and tells each insert that it finished.
fn write(path: &Path, each: i64) {
    let mut out = std::io::stdout();
    let tables = Tables::open(path).unwrap();
    let fields = json!({"round": "int", "n": "int", "words": "text"});
    tables.create(new("t", fields)).unwrap().finish().unwrap();
    tables.create_index(&table("t"), "words", IndexKind::FullText, false).unwrap();
    for round in 0_i64.. {
        let row = |n: i64| {
            let words = Value::Text(format!("round{round} {n}"));
            vec![
                ("round".to_owned(), Value::Int(round)),
                ("n".to_owned(), Value::Int(n)),
                ("words".to_owned(), words),
            ]
        };
        // A merge changes no row here, but ends in one large transaction.
        let mut writer = match round % 3 {
            2 => tables.merge(&table("t"), "words").unwrap(),
            _ => tables.insert(&table("t")).unwrap(),
        };
        let mut made = tables.create(overwrite(new(&format!("made{round}"), Json::Null))).unwrap();
        let of_a_part = each / PARTS;
        for part in 0..PARTS {
            for first in (part * of_a_part..(part + 1) * of_a_part).step_by(1_000) {
                let rows = || (first..first + 1_000).map(row).collect();
                writer.write(rows()).unwrap();
                made.write(rows()).unwrap();
            }
            writeln!(out, "\nwrote {round} {part}").unwrap();
        }
        let written = writer.finish().unwrap();
        writeln!(out, "\nfinished {round} {}", written.version).unwrap();
        drop(made);
    }
}

#[test]
fn what_was_finished_is_there_after_a_kill_and_nothing_else() {
    let name = "killed::what_was_finished_is_there_after_a_kill_and_nothing_else";
    // More rows than are kept in memory, in the middle of an insert, of a merge, and at about the end
    // of each.
    for last in ["wrote 1 5", "wrote 2 6", "wrote 2 9", "finished 2 4"] {
        killed(name, 10_000, last);
    }
}

#[test]
fn a_kill_in_a_million_rows_loses_nothing_that_was_finished() {
    let name = "killed::a_kill_in_a_million_rows_loses_nothing_that_was_finished";
    for last in ["wrote 1 4", "wrote 1 9"] {
        killed(name, 1_000_000, last);
    }
}

/// Lets a child write inserts of so many rows, kills it when it tells this line, and looks at what it
/// left. The test of the name is the child's, too.
fn killed(name: &str, each: u64, last: &str) {
    if let Some(path) = std::env::var_os(ROOM) {
        let each = std::env::var(ROWS).unwrap().parse().unwrap();
        return write(Path::new(&path), each);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tables.db");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).stdout(Stdio::piped());
    command.env(ROOM, &path).env(ROWS, each.to_string());
    let mut child = command.spawn().unwrap();
    let mut finished: Vec<(u64, u64)> = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line == last {
            child.kill().unwrap();
        }
        if let Some(numbers) = line.strip_prefix("finished ") {
            let (round, version) = numbers.split_once(' ').unwrap();
            finished.push((round.parse().unwrap(), version.parse().unwrap()));
        }
    }
    assert!(!child.wait().unwrap().success());

    let tables = Tables::open(&path).unwrap();
    let room = Room { tables, folder };
    let t = Search { table: table("t"), ..Search::default() };
    let all = room.tables.count(&t).unwrap();
    let rounds = u64::try_from(finished.len()).unwrap();
    // One more may have been on disk before it was told.
    assert!(all == rounds * each || all == (rounds + 1) * each, "{all} rows after {rounds} rounds");
    for (round, version) in &finished {
        room.tables.checkout(&table("t"), *version).unwrap();
        assert_eq!(room.tables.count(&t).unwrap(), (round + 1) * each);
        let text = Some(format!("round{round}"));
        assert_eq!(room.tables.count(&Search { text, ..t.clone() }).unwrap(), each);
    }
    assert_eq!(room.tables.list(&[]).unwrap(), ["t"]);
    let file = rusqlite::Connection::open(&path).unwrap();
    let one = |text: &str| file.query_row(text, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(one("SELECT count(*) FROM t1").unsigned_abs(), all, "rows of nobody are left");
    assert_eq!(
        one("SELECT count(*) FROM f1_3_docsize").unsigned_abs(),
        all,
        "words of nobody are left"
    );
    assert_eq!(one("SELECT count(*) FROM room_tables"), 1);
    let whole: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
}
