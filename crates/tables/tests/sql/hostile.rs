//! Whatever a client writes, the statement is ours.

use meshagent_tables::sql::{self, Fragment};
use proptest::prelude::*;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::world::World;

/// What a statement may be made of besides words: no quote is among it.
fn is_ours(fragment: &Fragment) {
    let ours = |it: char| it.is_ascii_alphanumeric() || "_ .,()?+-*/%<>=&|".contains(it);
    assert!(fragment.text.chars().all(ours), "{}", fragment.text);
    assert!(!fragment.text.contains("--") && !fragment.text.contains("/*"), "{}", fragment.text);
    assert_eq!(fragment.text.matches('?').count(), fragment.values.len());
}

/// Asks for what a text says on a connection that allows nothing but to read the tables' columns
/// and to call functions.
fn feed(world: &World, text: &str) {
    if let Ok(filter) = sql::filter(text, &world.columns("t")) {
        is_ours(&filter);
        let statement = format!("SELECT c0 FROM t0 WHERE {}", filter.text);
        prepared(world, &statement);
    }
    if let Ok(expression) = sql::expression(text, &world.columns("t")) {
        is_ours(&expression.sql);
        prepared(world, &format!("SELECT {} FROM t0", expression.sql.text));
    }
    if let Ok(query) = sql::query(text, world, &[]) {
        is_ours(&query.sql);
        prepared(world, &query.sql.text);
    }
}

fn prepared(world: &World, statement: &str) {
    if let Err(error) = world.connection.prepare(statement) {
        panic!("{error}: {statement}");
    }
}

fn guarded() -> World {
    let world = World::new();
    let allow = |context: AuthContext<'_>| match context.action {
        AuthAction::Select | AuthAction::Function { .. } => Authorization::Allow,
        AuthAction::Read { table_name, column_name } => {
            let ours = matches!(table_name, "t0" | "t1" | "t2");
            let column =
                column_name.strip_prefix('c').is_some_and(|it| it.parse::<usize>().is_ok());
            if (ours && (column || column_name.is_empty())) || table_name.is_empty() {
                Authorization::Allow
            } else {
                Authorization::Deny
            }
        }
        _ => Authorization::Deny,
    };
    world.connection.authorizer(Some(allow)).unwrap();
    world
}

/// Words that mean something, in any order.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "SELECT",
        "FROM",
        "WHERE",
        "AND",
        "OR",
        "NOT",
        "t",
        "u",
        "w",
        "id",
        "n",
        "s",
        "f",
        "b",
        "d",
        "ts",
        "l",
        "st",
        "v",
        ".",
        ",",
        "(",
        ")",
        "[",
        "]",
        "1",
        "2.5",
        "'a'",
        "\"id\"",
        "`n`",
        "=",
        "<",
        "+",
        "-",
        "*",
        "/",
        "%",
        "||",
        "~",
        "IN",
        "IS",
        "NULL",
        "LIKE",
        "BETWEEN",
        "CASE",
        "WHEN",
        "THEN",
        "ELSE",
        "END",
        "GROUP BY",
        "ORDER BY",
        "LIMIT",
        "count(*)",
        "sum(n)",
        "OVER",
        "PARTITION BY",
        "JOIN",
        "LEFT JOIN",
        "ON",
        "USING (id)",
        "AS",
        "x",
        "UNION",
        "ALL",
        "EXISTS",
        "CAST(",
        "AS text)",
        "lower(",
        "coalesce(",
        "INTERVAL '1 day'",
        "date '2026-01-01'",
        "WITH",
        "VALUES",
        "DISTINCT",
        "HAVING",
        "--",
        "/*",
        "*/",
        ";",
        "?",
        "$1",
        "'",
        "\"",
        "`",
        "{",
        "}",
        ":",
        "::int",
        "sqlite_master",
    ]);
    prop::collection::vec(word, 1..24).prop_map(|words| words.join(" "))
}

/// Queries that are nearly right.
fn near() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        "id",
        "n",
        "f",
        "s",
        "b",
        "d",
        "ts",
        "l",
        "tags",
        "st",
        "v",
        "bin",
        "1",
        "'a'",
        "NULL",
        "now()",
        "st.a",
        "l[1]",
        "count(*)",
        "sum(n)",
        "max(s)",
        "row_number() OVER (ORDER BY id)",
        "(SELECT max(id) FROM u)",
        "t.id",
    ])
    .prop_map(str::to_owned);
    let value = value.prop_recursive(4, 24, 3, |inner| {
        let op = prop::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "||",
            "=",
            "<",
            "AND",
            "OR",
            "IS DISTINCT FROM",
            "LIKE",
            "~",
            "&",
        ]);
        let call = prop::sample::select(vec![
            "lower",
            "length",
            "abs",
            "coalesce",
            "date_trunc",
            "array_length",
            "sum",
            "min",
            "round",
            "concat",
            "NOT ",
        ]);
        prop_oneof![
            (inner.clone(), op, inner.clone())
                .prop_map(|(one, op, other)| format!("({one} {op} {other})")),
            (call, inner.clone()).prop_map(|(call, one)| format!("{call}({one})")),
            (inner.clone(), inner.clone())
                .prop_map(|(one, other)| format!("CASE WHEN {one} THEN {other} END")),
            (inner.clone(), inner).prop_map(|(one, other)| format!("{one} IN ({other})")),
        ]
    });
    let tail = prop::sample::select(vec![
        "",
        " GROUP BY n",
        " GROUP BY 1",
        " ORDER BY 1",
        " GROUP BY ALL ORDER BY 1 DESC LIMIT 3",
        " HAVING count(*) > 1",
    ]);
    (value.clone(), value, tail).prop_map(|(one, other, tail)| {
        format!("SELECT {one} FROM t WHERE {other} IS NOT NULL{tail}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_gets_into_a_statement(text in "\\PC{0,80}") {
        feed(&guarded(), &text);
    }

    #[test]
    fn words_in_any_order_ask_for_nothing_that_is_not_allowed(text in words()) {
        let world = guarded();
        feed(&world, &text);
        feed(&world, &format!("SELECT {text}"));
        feed(&world, &format!("SELECT * FROM t WHERE {text}"));
    }

    #[test]
    fn what_is_nearly_right_is_taken_by_sqlite_or_refused_by_us(text in near()) {
        feed(&guarded(), &text);
    }
}

#[test]
fn what_is_nested_or_long_ends_soon() {
    let world = guarded();
    let begun = std::time::Instant::now();
    for one in [
        "(",
        "[",
        "NOT ",
        "-",
        "1+",
        "a.",
        "CASE WHEN ",
        "SELECT (",
        "(SELECT * FROM ",
        "f(",
        "id IN (",
        "'",
        "\"",
        "/*",
    ] {
        for count in [10, 20, 23, 24, 50, 1000, 20_000] {
            feed(&world, &one.repeat(count));
            feed(&world, &format!("SELECT {}", one.repeat(count)));
            feed(&world, &format!("SELECT * FROM {}t", one.repeat(count)));
        }
    }
    for one in [
        " IS NULL",
        "::text",
        "[1]",
        ".a",
        " + 1",
        " OR b",
        " AND id = 1",
        " UNION SELECT 1",
        " || 'a'",
        " JOIN t ON true",
        ", u",
    ] {
        for count in [50, 90, 400, 999, 1999, 5000] {
            feed(&world, &format!("id{}", one.repeat(count)));
            feed(&world, &format!("SELECT id{}", one.repeat(count)));
            feed(&world, &format!("SELECT 1 FROM t{}", one.repeat(count)));
        }
    }
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}
