//! `room database`, with the embedded platform behind it: what is refused changes nothing, and what
//! is printed can be read again.

use std::fs::File;
use std::sync::Arc;

use meshagent_arrow::stream::Reader;
use meshagent_tables::{Value as Held, columns};
use parquet::data_type::{ByteArrayType, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};

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

/// The words of a command of this lobby's tables.
fn words<'a>(words: &[&'a str]) -> Vec<&'a str> {
    [&["room", "database"], words, &["--room", "lobby", "--embedded"]].concat()
}

/// The columns in a stream of Arrow, and its rows as JSON.
fn arrow(bytes: &[u8]) -> (String, Value) {
    let reader = Reader::new(bytes).unwrap();
    let columns: Vec<String> = reader.columns().iter().map(columns::written).collect();
    let mut rows = Vec::new();
    reader
        .rows(&mut |row| {
            rows.push(Held::Struct(row).to_plain());
            true
        })
        .unwrap();
    (columns.join(", "), Value::Array(rows))
}

#[test]
fn rows_go_out_as_arrow_and_come_back_exactly() {
    let lobby = Lobby::new();
    let types = "id int not null, f float, b bool, t text, x binary, d date, m timestamp, \
                 v vector(2), l list(int), s struct(a int, b list(text))";
    lobby.database(0, &["create", "-t", "all", "-c", types]);
    let rows = json!([
        {
            "id": 1, "f": 0.30000000000000004, "b": true, "t": "\u{e4}\n",
            "x": {"encoding": "base64", "data": "AP8="}, "d": "2026-11-30",
            "m": "2026-11-30T12:00:00.000001Z", "v": [0.1, -1.5], "l": [1, null],
            "s": {"a": 1, "b": ["x"]},
        },
        {
            "id": 2, "f": null, "b": null, "t": null, "x": null, "d": null, "m": null, "v": null,
            "l": null, "s": null,
        },
    ]);
    lobby.database(0, &["insert", "-t", "all", "--json", &rows.to_string()]);
    let printed = |asked: &[&str]| {
        let output = lobby.0.command(&words(&[asked, &["-o", "arrow"]].concat())).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let shown = types.replace("vector(2)", "vector(2, float)");
    let found = printed(&["search", "-t", "all"]);
    assert_eq!(arrow(&found), (shown.clone(), rows.clone()));
    // What is there is told also where there is no row, or no value.
    let none =
        printed(&["search", "-t", "all", "--where", "id = 3", "--select", "v", "--select", "id"]);
    assert_eq!(arrow(&none), ("v vector(2, float), id int not null".to_owned(), json!([])));
    let alias = r#"[{"name": "all", "alias": "all_rows"}]"#;
    let plain = "select v, m, f + 1 as g from all_rows where id = 2";
    let selected = printed(&["sql", "--tables-json", alias, "-q", plain]);
    let expected = json!([{"v": null, "m": null, "g": null}]);
    assert_eq!(arrow(&selected), ("v vector(2, float), m timestamp, g float".to_owned(), expected));

    // A table that is made of it has the same columns and rows, whatever the file is called.
    std::fs::write(lobby.0.path("rows.txt"), &found).unwrap();
    lobby.database(0, &["create", "-t", "copy", "--data-file", "rows.txt"]);
    assert_eq!(arrow(&printed(&["search", "-t", "copy"])), (shown, rows));
}

#[test]
fn arrow_is_read_from_standard_input_if_it_is_said() {
    let lobby = Lobby::new();
    lobby.database(0, &["insert", "-t", "people", "--json", r#"[{"id": 1, "name": "Ada"}]"#]);
    let out = lobby.0.command(&words(&["search", "-t", "people", "-o", "arrow"])).output().unwrap();
    std::fs::write(lobby.0.path("people.arrows"), &out.stdout).unwrap();
    let insert = |more: &[&str]| {
        let words = words(&[&["insert", "-t", "people", "--file", "-"], more].concat());
        let input = File::open(lobby.0.path("people.arrows")).unwrap();
        Run::of(lobby.0.command(&words).stdin(input).output().unwrap())
    };
    let run = insert(&[]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("--format arrow reads it as Arrow"), "{}", run.stderr);
    let run = insert(&["--format", "arrow"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, "inserted 1 row into the table people\n"));
    assert_eq!(lobby.people(), "id,name\n1,Ada\n1,Ada\n");
}

/// A file of Parquet with one row.
fn parquet() -> Vec<u8> {
    let columns = "message rows { required int64 id; optional binary name (UTF8); }";
    let columns = Arc::new(parse_message_type(columns).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), columns, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[7], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&["Mary".into()], Some(&[1]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn parquet_is_known_by_its_first_bytes_and_damage_is_told_in_one_line() {
    let lobby = Lobby::new();
    let whole = parquet();
    std::fs::write(lobby.0.path("rows.bin"), &whole).unwrap();
    let run = lobby.database(0, &["insert", "-t", "people", "--file", "rows.bin"]);
    assert_eq!(run.stderr, "inserted 1 row into the table people\n");
    lobby.database(0, &["create", "-t", "made", "--data-file", "rows.bin"]);
    assert_eq!(
        lobby.database(0, &["inspect", "-t", "made"]).stdout,
        "id int not null\nname text\n"
    );
    let words = words(&["insert", "-t", "people", "--file", "-", "--format", "parquet"]);
    let input = File::open(lobby.0.path("rows.bin")).unwrap();
    let run = Run::of(lobby.0.command(&words).stdin(input).output().unwrap());
    assert_eq!(run.stderr, "inserted 1 row into the table people\n");
    assert_eq!(lobby.people(), "id,name\n7,Mary\n7,Mary\n");

    std::fs::write(lobby.0.path("cut.parquet"), &whole[..whole.len() - 20]).unwrap();
    lobby.0.write("text.parquet", "id,name\n1,Ada\n");
    lobby.0.write("text.arrow", "id,name\n1,Ada\n");
    for (file, why) in [
        ("cut.parquet", "it is cut off: its end is not that of a Parquet file"),
        ("text.parquet", "it is no Parquet file"),
        ("text.arrow", "it ends before its columns are told"),
    ] {
        let run = lobby.database(1, &["insert", "-t", "people", "--file", file]);
        assert_eq!(run.stderr, format!("error: failed to read {file}: {why}\n"));
    }
}
