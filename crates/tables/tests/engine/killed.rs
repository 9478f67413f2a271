//! Processes that are killed in the middle of writing.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use meshagent_tables::engine::IndexKind;

use super::*;

const ROOM: &str = "MESHAGENT_TEST_KILLED_ROOM";

/// How many rows one insert has: more than are kept in memory.
const EACH: u64 = 9_000;

/// Writes until it is killed, and tells each insert that it finished.
fn write(path: &Path) {
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
            writer.write((part * 1_000..(part + 1) * 1_000).map(row).collect()).unwrap();
            made.write((part * 1_000..(part + 1) * 1_000).map(row).collect()).unwrap();
        }
        let written = writer.finish().unwrap();
        println!("\nfinished {round} {}", written.version);
        drop(made);
    }
}

#[test]
fn what_was_finished_is_there_after_a_kill_and_nothing_else() {
    if let Some(path) = std::env::var_os(ROOM) {
        return write(Path::new(&path));
    }
    let name = "killed::what_was_finished_is_there_after_a_kill_and_nothing_else";
    for (finished, bytes) in [(1, 0), (2, 3 << 20), (3, 1 << 20), (4, 5 << 20)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tables.db");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name, "--nocapture"]).env(ROOM, &path).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut told = Vec::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while told.len() < finished {
            let line = lines.next().unwrap().unwrap();
            if let Some(numbers) = line.strip_prefix("finished ") {
                let (round, version) = numbers.split_once(' ').unwrap();
                told.push((round.parse::<u64>().unwrap(), version.parse::<u64>().unwrap()));
            }
        }
        // At different places in the middle of the next one: when the log has got so much more.
        let log = || folder.path().join("tables.db-wal").metadata().map_or(0, |it| it.len());
        let (before, began) = (log(), std::time::Instant::now());
        while log() < before + bytes && began.elapsed().as_millis() < 200 {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let later = lines.map_while(std::result::Result::ok);
        told.extend(later.filter_map(|line| {
            let (round, version) = line.strip_prefix("finished ")?.split_once(' ')?;
            Some((round.parse().ok()?, version.parse().ok()?))
        }));

        let tables = Tables::open(&path).unwrap();
        let room = Room { tables, folder };
        let t = Search { table: table("t"), ..Search::default() };
        let all = room.tables.count(&t).unwrap();
        let rounds = u64::try_from(told.len()).unwrap();
        // One more may have been on disk before it was told.
        assert!(
            all == rounds * EACH || all == (rounds + 1) * EACH,
            "{all} rows after {rounds} rounds"
        );
        for (round, version) in &told {
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
