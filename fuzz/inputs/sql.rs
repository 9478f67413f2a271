//! What clients write as SQL. Whatever it is, the statement is made of our own words, and SQLite is
//! asked for nothing but columns of the tables and functions.

use meshagent_tables::sql::{self, Catalog, Column, Fragment, Relation};
use meshagent_tables::{DataType, Error, Reason, Result};
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use serde_json::{Value as Json, json};

/// The columns of three tables.
fn tables() -> [(&'static str, Vec<(&'static str, Json)>); 3] {
    let plain = |kind: &str| json!({"type": kind});
    let list = |kind: &str| json!({"type": "list", "element_type": {"type": kind}});
    let part = |name: &str, kind: &str| json!({"name": name, "data_type": {"type": kind}});
    let vector = json!({"type": "vector", "size": 2, "element_type": {"type": "float"}});
    [
        (
            "t",
            vec![
                ("id", plain("int")),
                ("n", plain("int")),
                ("f", plain("float")),
                ("s", plain("text")),
                ("b", plain("bool")),
                ("d", plain("date")),
                ("ts", plain("timestamp")),
                ("l", list("int")),
                ("tags", list("text")),
                ("st", json!({"type": "struct", "fields": [part("a", "int"), part("b", "text")]})),
                ("v", vector),
                ("bin", plain("binary")),
            ],
        ),
        (
            "u",
            vec![
                ("id", plain("int")),
                ("t_id", plain("int")),
                ("label", plain("text")),
                ("x", plain("float")),
            ],
        ),
        (
            "w",
            vec![
                ("k", plain("text")),
                ("id", plain("int")),
                ("ok", plain("bool")),
                ("day", plain("date")),
            ],
        ),
    ]
}

struct Tables;

impl Tables {
    fn columns(index: usize) -> Vec<Column> {
        let [one, two, three] = tables();
        let columns = [one.1, two.1, three.1].into_iter().nth(index).unwrap_or_default();
        let column = |(index, (name, wire)): (usize, (&str, Json))| Column {
            name: name.to_owned(),
            data_type: DataType::of_wire(&wire).expect("the type is one"),
            sql: format!("c{index}"),
        };
        columns.into_iter().enumerate().map(column).collect()
    }
}

impl Catalog for Tables {
    fn relation(&self, name: &str) -> Result<Relation> {
        let index = tables().iter().position(|table| table.0 == name);
        let index = index.ok_or_else(|| Error::new(Reason::NotFound, "there is no such table"))?;
        let source = Fragment { text: format!("t{index}"), values: Vec::new() };
        Ok(Relation { columns: Self::columns(index), source })
    }
}

/// A database with the tables, which allows nothing but to read their columns and to call
/// functions, and has one that nobody may read.
fn guarded() -> Connection {
    let connection = Connection::open_in_memory().expect("SQLite opens");
    sql::install(&connection).expect("SQLite takes the functions");
    let columns = (0..12).map(|index| format!("c{index}")).collect::<Vec<_>>().join(", ");
    for table in ["t0", "t1", "t2", "secret"] {
        connection.execute_batch(&format!("CREATE TABLE {table} ({columns})")).expect("it is made");
    }
    let allow = |context: AuthContext<'_>| match context.action {
        AuthAction::Select | AuthAction::Function { .. } => Authorization::Allow,
        // SQLite names no column where only rows are counted, and no table for what is read from
        // a SELECT.
        AuthAction::Read { table_name, column_name } => {
            let number = column_name.strip_prefix('c').map(str::parse::<usize>);
            let ours = matches!(table_name, "t0" | "t1" | "t2");
            match table_name.is_empty()
                || ours && (column_name.is_empty() || matches!(number, Some(Ok(_))))
            {
                true => Authorization::Allow,
                false => Authorization::Deny,
            }
        }
        _ => Authorization::Deny,
    };
    connection.authorizer(Some(allow)).expect("SQLite asks");
    connection
}

/// No quote is in a statement, and no comment.
fn prepared(connection: &Connection, fragment: &Fragment, around: [&str; 2]) {
    let ours = |it: char| it.is_ascii_alphanumeric() || "_ .,()?+-*/%<>=&|".contains(it);
    assert!(fragment.text.chars().all(ours), "{}", fragment.text);
    assert!(!fragment.text.contains("--") && !fragment.text.contains("/*"), "{}", fragment.text);
    assert_eq!(fragment.text.matches('?').count(), fragment.values.len(), "{}", fragment.text);
    let statement = [around[0], &fragment.text, around[1]].concat();
    let prepared = connection.prepare(&statement);
    let prepared = prepared.unwrap_or_else(|error| panic!("{error}: {statement}"));
    assert!(prepared.readonly(), "{statement}");
}

/// Feeds it in; tells how many of the three ways to read it took it.
pub fn feed(bytes: &[u8]) -> usize {
    thread_local! {
        static CONNECTION: Connection = guarded();
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return 0 };
    let columns = Tables::columns(0);
    CONNECTION.with(|connection| {
        let filter = sql::filter(text, &columns).map(|filter| {
            prepared(connection, &filter, ["SELECT c0 FROM t0 WHERE ", ""]);
        });
        let expression = sql::expression(text, &columns).map(|expression| {
            prepared(connection, &expression.sql, ["SELECT ", " FROM t0"]);
        });
        let query = sql::query(text, &Tables, &[]).map(|query| {
            prepared(connection, &query.sql, ["", ""]);
        });
        [filter.is_ok(), expression.is_ok(), query.is_ok()].iter().filter(|it| **it).count()
    })
}
