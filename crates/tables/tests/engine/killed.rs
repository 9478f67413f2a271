//! Processes that are killed in the middle of writing.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use meshagent_tables::engine::IndexKind;

use super::*;

const ROOM: &str = "MESHAGENT_TEST_KILLED_ROOM";

/// How many rows one insert has: more than are kept in memory.
const EACH: u64 = 9_000;

/// Writes until it is killed, and tells each insert that it finished.
fn write(path: &Path) {
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
        for part in 0..9 {
            let rows = || (part * 1_000..(part + 1) * 1_000).map(row).collect();
            writer.write(rows()).unwrap();
            made.write(rows()).unwrap();
            writeln!(out, "\nwrote {round} {part}").unwrap();
        }
        let written = writer.finish().unwrap();
        writeln!(out, "\nfinished {round} {}", written.version).unwrap();
        drop(made);
    }
}

#[test]
fn what_was_finished_is_there_after_a_kill_and_nothing_else() {
    if let Some(path) = std::env::var_os(ROOM) {
        return write(Path::new(&path));
    }
    let name = "killed::what_was_finished_is_there_after_a_kill_and_nothing_else";
    // In the middle of an insert, of a merge, and at about the end of each.
    for last in ["wrote 1 5", "wrote 2 6", "wrote 2 8", "finished 2 4"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tables.db");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name, "--nocapture"]).env(ROOM, &path).stdout(Stdio::piped());
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
        assert!(
            all == rounds * EACH || all == (rounds + 1) * EACH,
            "{all} rows after {rounds} rounds"
        );
        for (round, version) in &finished {
            room.tables.checkout(&table("t"), *version).unwrap();
            assert_eq!(room.tables.count(&t).unwrap(), (round + 1) * EACH);
            let text = Some(format!("round{round}"));
            assert_eq!(room.tables.count(&Search { text, ..t.clone() }).unwrap(), EACH);
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
}
