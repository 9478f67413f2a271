//! Whatever a client writes, the statement is ours.

use fastrand::Rng;
use proptest::prelude::*;

use crate::draw::{Draw, Kind, row};
use crate::seeds;

#[path = "../../../../fuzz/inputs/sql.rs"]
mod input;

fn feed(text: &str) -> usize {
    input::feed(text.as_bytes())
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_gets_into_a_statement(text in "\\PC{0,80}") {
        feed(&text);
    }

    #[test]
    fn words_in_any_order_ask_for_nothing_that_is_not_allowed(text in words()) {
        feed(&text);
        feed(&format!("SELECT {text}"));
        feed(&format!("SELECT * FROM t WHERE {text}"));
    }
}

/// A text with words left out, written twice, or put elsewhere.
fn disturbed(text: &str, times: usize, random: &mut Rng) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    for _ in 0..times {
        let (from, to) = (random.usize(..words.len()), random.usize(..words.len()));
        match random.u8(..3) {
            0 => words.swap(from, to),
            1 => words.insert(to, words[from]),
            _ if words.len() > 1 => drop(words.remove(from)),
            _ => {}
        }
    }
    words.join(" ")
}

#[test]
fn what_is_right_or_nearly_right_is_taken_by_sqlite_or_refused_by_us() {
    let mut taken = [0; 3];
    for seed in seeds::seeds(10) {
        let mut draw = Draw(Rng::with_seed(seed));
        for round in 0..60 {
            let times = round % 3;
            let text = match round % 4 {
                0 => draw.expression(Kind::Bool, &row(), 4),
                _ => draw.query(),
            };
            taken[times] += feed(&disturbed(&text, times, &mut draw.0)).min(1);
        }
    }
    println!("taken: {taken:?}");
    assert_eq!(taken[0] % 200, 0, "what is right is taken");
    assert!(taken[1] > 0 && taken[2] > 0, "{taken:?}");
}

#[test]
fn what_is_nested_and_right_is_taken_or_is_too_deep() {
    let mut taken = 0;
    for (before, middle, behind) in [
        ("NOT ", "b", ""),
        ("(", "id", ")"),
        ("(id + ", "1", ")"),
        ("abs(", "id", ")"),
        ("coalesce(NULL, ", "id", ")"),
        ("CASE WHEN b THEN ", "id", " ELSE 0 END"),
        ("CAST(", "id", " AS BIGINT)"),
        ("[", "1", "]"),
        ("{'a': ", "1", "}"),
        ("lower(s || ", "s", ")"),
        ("SELECT (", "SELECT 1", ")"),
        ("SELECT * FROM (", "SELECT id FROM t", ")"),
        ("SELECT id FROM t WHERE id IN (", "SELECT id FROM u", ")"),
        ("WITH q AS (", "SELECT id FROM t", ") SELECT id FROM q"),
        ("SELECT 1 UNION (", "SELECT 2", ")"),
    ] {
        for depth in (1..24).chain([30, 40, 45, 48]) {
            let text = [before.repeat(depth), middle.to_owned(), behind.repeat(depth)].concat();
            taken += feed(&text).min(1);
        }
    }
    assert!(taken > 200, "{taken}");
}

#[test]
fn what_is_nested_or_long_ends_soon() {
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
        for count in [10, 23, 50, 20_000] {
            feed(&one.repeat(count));
            feed(&format!("SELECT {}", one.repeat(count)));
            feed(&format!("SELECT * FROM {}t", one.repeat(count)));
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
        for count in [90, 400, 1999] {
            feed(&format!("id{}", one.repeat(count)));
            feed(&format!("SELECT id{}", one.repeat(count)));
            feed(&format!("SELECT 1 FROM t{}", one.repeat(count)));
        }
    }
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}
