//! `room database`, with the embedded platform behind it: what is refused changes nothing, and what
//! is printed can be read again.

use std::fs::File;

use crate::cli::{Run, Sandbox};

struct Lobby(Sandbox);

impl Lobby {
    fn new() -> Self {
        let sandbox = Sandbox::with_platform();
        sandbox.embedded(0, &["rooms", "create", "--name", "lobby"]);
        let lobby = Self(sandbox);
        lobby.database(0, &["create", "-t", "people", "-c", "id int, name text"]);
        lobby
    }

    #[track_caller]
    fn database(&self, code: i32, words: &[&str]) -> Run {
        self.0.embedded(code, &[&["room", "database"], words, &["--room", "lobby"]].concat())
    }

    /// The ids and names that are there, as CSV.
    fn people(&self) -> String {
        self.database(0, &["sql", "-t", "people", "-q", "select * from people", "-o", "csv"]).stdout
    }
}

#[test]
fn rows_that_are_not_whole_or_too_large_leave_a_table_as_it_is() {
    let lobby = Lobby::new();
    lobby.0.write("open.csv", "id,name\n30,\"a\n31,b\n32,c\n");
    lobby.0.write("large.csv", &format!("id,name\n1,a\n2,{}\n", "x".repeat(5_000_000)));
    for (file, told) in [
        ("open.csv", "line 2: a quote begins here that is never closed"),
        ("large.csv", "row 2 of large.csv, which has about 5.0 MB, is too large for the room"),
    ] {
        let run = lobby.database(1, &["insert", "-t", "people", "--file", file]);
        assert!(run.stderr.contains(told), "{}", run.stderr);
        assert!(run.stderr.contains("hint: no row was inserted"), "{}", run.stderr);
    }
    let json = "[{\"id\": 1}]";
    let run = lobby.database(2, &["insert", "-t", "people", "--json", json, "--json", json]);
    assert!(run.stderr.contains("--json is given 2 times"), "{}", run.stderr);
    assert_eq!(lobby.people(), "");
}

#[test]
fn rows_of_standard_input_are_in_the_form_that_is_said() {
    let lobby = Lobby::new();
    lobby.0.write("rows", "id,name\n1,Ada\n");
    let insert = |more: &[&str]| {
        let words =
            ["room", "database", "insert", "-t", "people", "--file", "-", "--room", "lobby"];
        let words = [&words, more, &["--embedded"]].concat();
        let input = File::open(lobby.0.path("rows")).unwrap();
        Run::of(lobby.0.command(&words).stdin(input).output().unwrap())
    };
    let run = insert(&[]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("it was read as JSON, because its name"), "{}", run.stderr);
    assert!(run.stderr.contains("--format csv reads it as CSV"), "{}", run.stderr);
    let run = insert(&["--format", "csv"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, "inserted 1 row into the table people\n"));
    assert_eq!(lobby.people(), "id,name\n1,Ada\n");
}

#[test]
fn columns_of_any_name_are_printed_as_they_are_read_and_asked_for_by_it() {
    let lobby = Lobby::new();
    let columns = "`my col` int, `a.b` int, `x``y` int";
    lobby.database(0, &["create", "-t", "odd", "-c", columns]);
    let printed = lobby.database(0, &["inspect", "-t", "odd"]).stdout;
    assert_eq!(printed.trim_end().replace('\n', ", "), columns);
    let rows = r#"[{"my col": 1, "a.b": 2, "x`y": 3}, {"my col": 4, "a.b": 5, "x`y": 6}]"#;
    lobby.database(0, &["insert", "-t", "odd", "--json", rows]);
    for (condition, found) in [
        (r#"{"my col": 1}"#, "1\n"),
        (r#"{"a.b": 5, "x`y": 6}"#, "4\n"),
        (r#"{"a.b": 5, "x`y": 3}"#, ""),
    ] {
        let search = ["search", "-t", "odd", "--select", "my col", "-o", "csv", "--where-json"];
        let run = lobby.database(0, &[&search[..], &[condition]].concat());
        assert_eq!(run.stdout, format!("my col\n{found}"), "{condition}");
    }
    for odd in [r#"{"1=1 or `my col`": 5}"#, r#"{"my col` = 1 or `my col": 1}"#] {
        let run = lobby.database(1, &["search", "-t", "odd", "--where-json", odd]);
        assert_eq!(run.stdout, "", "{odd}");
    }
}

#[test]
fn installed_tables_are_said_to_be_created_once() {
    let lobby = Lobby::new();
    lobby
        .0
        .write("tables.json", r#"{"tables": [{"table": "t", "schema": {"a": {"type": "int"}}}]}"#);
    for told in ["created the table t\n", "left the table t as it is\n"] {
        let run = lobby.database(0, &["install", "--file", "tables.json"]);
        assert_eq!(run.stderr, told);
    }
}

#[test]
fn a_table_that_is_there_already_stays_as_it_was_and_that_is_said() {
    let lobby = Lobby::new();
    let create = |table: &str| {
        let row = "[{\"id\": 1}]";
        let mode = ["--mode", "create_if_not_exists", "--data-json", row];
        lobby.database(0, &[&["create", "-t", table], &mode[..]].concat()).stderr
    };
    assert_eq!(create("people"), "the table people was there already, and stays as it was\n");
    assert_eq!(lobby.people(), "");
    assert_eq!(create("new"), "created the table new; 1 row was sent for it\n");
}
