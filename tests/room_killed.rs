//! A platform that is killed while rows arrive over the websocket of a room: what was acknowledged
//! is there, and nothing else is.

use std::io::Write as _;
use std::process::Stdio;

use crate::cli::Run;
use crate::in_rooms::Place;
use crate::platform::process::{Process, server};

/// How many rows are acknowledged at once, and how often.
const ROWS: usize = 10_000;
const TIMES: usize = 5;

/// How many rows are on their way when the platform is killed: many times what is held on the way.
const UNDERWAY: usize = 200_000;

fn database(place: &Place, words: &[&str]) -> Run {
    let run = place.run(&[&["room", "database"], words, &["--room", "lobby"]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    run
}

/// Rows as CSV, which begins with the names of the columns.
fn rows(from: usize, many: usize) -> String {
    let begin = String::from("id,text\n");
    (from..from + many).fold(begin, |all, id| all + &format!("{id},row {id}\n"))
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill_amid_rows() {
    let mut place = Place::with(&[]);
    assert_eq!(place.run(&["rooms", "create", "--name", "lobby"]).code, 0);
    database(&place, &["create", "-t", "many", "-c", "id int, text text"]);
    for time in 0..TIMES {
        place.sandbox.write("rows.csv", &rows(time * ROWS, ROWS));
        let file = place.sandbox.path("rows.csv");
        database(&place, &["insert", "-t", "many", "--file", &file.display().to_string()]);
    }
    let whole = database(&place, &["version", "-t", "many"]).stdout;

    let insert = ["room", "database", "insert", "-t", "many", "--file", "-", "--format", "csv"];
    let mut writer = place.command(&[&insert[..], &["--room", "lobby"]].concat());
    writer.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut writer = writer.spawn().expect("it starts");
    let mut input = writer.stdin.take().expect("its input");
    // It reads no further than it can send, so most of this is with the platform afterwards.
    input.write_all(rows(TIMES * ROWS, UNDERWAY).as_bytes()).expect("it reads");
    place.process.child.kill().expect("a kill");
    place.process.child.wait().expect("its end");
    drop(input);
    let broken = Run::of(writer.wait_with_output().expect("it ends"));
    assert_eq!(broken.code, 1, "{}", broken.stderr);

    place.process = Process::start(&mut server(&place.sandbox.path("data"), ""));
    let sum = "select count(*) as many, max(id) as last from many";
    let counted = database(&place, &["sql", "-t", "many", "-q", sum, "-o", "csv"]).stdout;
    assert_eq!(counted, format!("many,last\n{},{}\n", ROWS * TIMES, ROWS * TIMES - 1));
    assert_eq!(database(&place, &["version", "-t", "many"]).stdout, whole);
    place.sandbox.write("rows.csv", &rows(0, 1));
    let file = place.sandbox.path("rows.csv");
    database(&place, &["insert", "-t", "many", "--file", &file.display().to_string()]);
}
