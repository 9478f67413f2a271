//! What one statement can take: of time in a call, of memory, and of the disk.

use std::time::Duration;

use super::*;

fn limits() -> Limits {
    Limits { waiting: Duration::from_secs(20), ..Limits::default() }
}

fn everything() -> Search {
    Search { table: table("t"), ..Search::default() }
}

/// A table of small numbers.
pub fn numbers(limits: Limits, count: i64) -> Room {
    let room = Room::with(limits);
    let row = |id: i64| vec![("id".to_owned(), Value::Int(id))];
    let mut writer = room.tables.create(new("t", Json::Null)).unwrap();
    writer.write((0..count).map(row).collect()).unwrap();
    writer.finish().unwrap();
    room
}

impl Room {
    fn asked(&self, query: &str) -> Result<Json> {
        read(self.tables.query(query, vec![(table("t"), "t".to_owned())], &[])?)
    }
}

const LONG_CALLS: [&str; 4] = [
    "regexp_count(repeat('A', 4000000 - id), '.*[^A-Z]|[A-Z]') = 1",
    "length(regexp_replace(repeat('A', 4000000 - id), '.*[^A-Z]|[A-Z]', '', 'g')) = 1",
    "length(regexp_replace(repeat('a', 4000000 - id), 'a', repeat('$1', 1000000), 'g')) = 1",
    "regexp_count(repeat('a', 4000000 - id), '(x*?)+?') = 1",
];

#[test]
fn one_call_of_a_function_ends_with_its_time() {
    let soon = Duration::from_millis(300);
    let room = numbers(Limits { computing: soon, changing: soon, ..limits() }, 1);
    for call in LONG_CALLS {
        let begun = std::time::Instant::now();
        let told = room.asked(&format!("SELECT {call} AS x FROM t"));
        assert_eq!(refused(told, "takes more than 300ms"), Reason::TimedOut, "{call}");
        let told = room.tables.update(
            &table("t"),
            call,
            vec![("id".to_owned(), Value::Int(5))],
            Vec::new(),
        );
        assert_eq!(refused(told, "takes more than 300ms"), Reason::TimedOut, "{call}");
        let search = Search { filter: Some(call.to_owned()), ..everything() };
        assert_eq!(refused(room.tables.count(&search), "takes more"), Reason::TimedOut, "{call}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{call}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_call_ends_when_nobody_wants_its_answer() {
    let room = numbers(Limits { readers: 1, ..limits() }, 1);
    let query = format!("SELECT {} AS x FROM t", LONG_CALLS[0]);
    for _ in 0..3 {
        drop(room.tables.query(&query, vec![(table("t"), "t".to_owned())], &[]).unwrap());
    }
    let begun = std::time::Instant::now();
    assert_eq!(room.tables.count(&everything()).unwrap(), 1);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[test]
fn what_a_call_makes_is_bounded_before_it_is_made() {
    let room = numbers(limits(), 1);
    for (call, why) in [
        // A terabyte, if it were made.
        ("regexp_replace(repeat('a', 2000000 + id), '.+', repeat('$0', 1000000))", "4194304 bytes"),
        ("to_char(now(), repeat('%255d', 800000 + id))", "format"),
        ("regexp_count(repeat('a', 4000000 + id), '(a?){500}b')", "is looked for in at most"),
        (
            "regexp_match(repeat('a', 100000 + id), repeat('(a?)', 2000))",
            "is looked for in at most",
        ),
    ] {
        let told = room.asked(&format!("SELECT {call} AS x FROM t"));
        refused(told, why);
    }
    let begun = std::time::Instant::now();
    let trimmed = "length(trim(repeat('a', 4000000 - id), repeat('b', 999) || 'a'))";
    assert_eq!(room.asked(&format!("SELECT {trimmed} AS x FROM t")).unwrap()[0]["x"], 0);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_row_of_an_answer_and_what_is_computed_for_it_have_a_size() {
    let room = numbers(limits(), 1);
    let columns = |count: usize, what: &str| {
        let columns: Vec<String> = (0..count)
            .map(|it| format!("{} AS c{it}", what.replace('#', &it.to_string())))
            .collect();
        format!("SELECT {} FROM t", columns.join(", "))
    };
    let told = room.asked(&columns(150, "repeat('a', 4000000 - id - #)"));
    assert_eq!(refused(told, "too large"), Reason::Invalid);
    let told = room.asked(&columns(6, "repeat('a', 4000000 - id - #)"));
    assert_eq!(refused(told, "a row of the answer has more than 16777216 bytes"), Reason::Invalid);
    // Also where it is a filter, or what a column gets.
    let parts: Vec<String> =
        (0..150).map(|it| format!("repeat('a', 4000000 - id - {it})")).collect();
    let filter = format!("length(concat({})) = 1", parts.join(", "));
    let search = Search { filter: Some(filter.clone()), ..everything() };
    refused(room.tables.count(&search), "too large");
    refused(room.tables.search(search).and_then(read), "too large");
    let told = room.tables.update(
        &table("t"),
        &filter,
        vec![("id".to_owned(), Value::Int(5))],
        Vec::new(),
    );
    refused(told, "too large");
    // What is usual stays.
    assert!(room.asked(&columns(150, "repeat('a', 1000 + #)")).is_ok());
    assert!(room.asked(&columns(3, "repeat('a', 4000000 - id - #)")).is_ok());
}

#[test]
fn all_medians_and_lists_of_a_statement_share_their_memory() {
    let room = numbers(limits(), 2_000);
    let medians: Vec<String> = (0..120).map(|it| format!("median(a.id + {it}) AS c{it}")).collect();
    let query = format!("SELECT {} FROM t a, t b", medians.join(", "));
    let begun = std::time::Instant::now();
    refused(room.asked(&query), "more than 64 MiB");
    // They give it back.
    assert_eq!(room.asked("SELECT median(id) AS m FROM t").unwrap()[0]["m"], 999.5);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn temporary_files_of_a_statement_are_bounded() {
    let room = numbers(limits(), 2_000);
    let query = "SELECT a.id, repeat('a', 4000000 - a.id - b.id) AS x FROM t a, t b ORDER BY x";
    let mut answer = room.tables.query(query, vec![(table("t"), "t".to_owned())], &[]).unwrap();
    let told = answer.next(1).map(drop);
    assert_eq!(refused(told, "more than 512 MiB of temporary files"), Reason::Invalid);
}

/// Names that the test below runs in a process of its own: there is one folder for the temporary files
/// of a process, and others have tables in this one.
#[cfg(target_os = "linux")]
const ALONE: &str = "MESHAGENT_TEST_ALONE";

#[cfg(target_os = "linux")]
#[test]
fn what_does_not_fit_in_memory_is_beside_the_tables() {
    if std::env::var_os(ALONE).is_none() {
        let mut own = std::process::Command::new(std::env::current_exe().unwrap());
        own.args(["--exact", "costs::what_does_not_fit_in_memory_is_beside_the_tables"]);
        let ended = own.env(ALONE, "1").output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
        assert!(String::from_utf8_lossy(&ended.stdout).contains("1 passed"));
        return;
    }
    let room = numbers(limits(), 2_000);
    // A million rows can be sorted.
    let query = "SELECT a.id, 'some text ' || b.id AS x FROM t a, (SELECT id FROM t LIMIT 500) b ORDER BY x, a.id";
    let mut answer = room.tables.query(query, vec![(table("t"), "t".to_owned())], &[]).unwrap();
    assert_eq!(answer.next(1).unwrap().unwrap()[0][0], Value::Int(0));
    let folder = room.folder.path().canonicalize().unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let open = open.filter_map(|it| std::fs::read_link(it.unwrap().path()).ok());
    assert!(
        open.filter(|it| it.starts_with(&folder)).any(|it| it.to_string_lossy().contains("etilqs"))
    );
}
