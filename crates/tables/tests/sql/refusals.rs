//! What is refused, and what is said then.

use meshagent_tables::Reason;

use crate::world::World;

#[test]
fn a_filter_that_cannot_be_is_refused_with_a_reason() {
    let world = World::new();
    for (filter, why) in [
        ("", "the text is empty"),
        ("  \n", "the text is empty"),
        ("id =", "an expression, found: the end of the text"),
        ("tgs = 1", "there is no column \"tgs\" at 1:1; did you mean tags or ts?"),
        ("id = 1 AND\n zzzzzz = 2", "there is no column \"zzzzzz\" at 2:2; there are id, n, f"),
        ("id = 1; DROP TABLE t", "goes on with ; at 1:7"),
        ("id = 1 OR", "cannot be read"),
        ("id", "a condition is yes or no"),
        ("id = 'x'", "\"x\" is no whole number"),
        ("d = 'soon'", "\"soon\" is no date"),
        ("d = '2026-01-31T13:45:00Z'", "\"2026-01-31T13:45:00Z\" has a time"),
        ("d IN ('2026-01-31 00:00:00+02:00')", "has a time, which a date cannot keep"),
        ("id = 0x1", "a number has decimal digits only at 1:6"),
        ("name like A%", "the end of the text at 1:13; texts are in quotes, like 'a%'"),
        (
            "d < 1900-01-01",
            "a date or timestamp is in quotes, like '2026-11-30'; the right side is at 1:5",
        ),
        ("b = 1", "a comparison of a value of bool with one of int is not possible"),
        ("l < l", "have no order"),
        ("id = \"a\"\"", "has no end"),
        ("id = \"a\"b", "stands alone"),
        ("sum(id) > 1", "functions of many rows stand in queries only"),
        ("id IN (SELECT 1)", "a SELECT is not understood here"),
        ("lower(id) = 'a'", "value 1 of lower is a value of text, and not of int"),
        ("lowr(s) = 'a'", "there is no function \"lowr\" at 1:1; did you mean lower"),
        ("load_extension('x')", "there is no function"),
        ("lower(s, s) = 'a'", "lower takes 1 values, not 2"),
        ("s ~ '('", "a pattern cannot be read"),
        ("s SIMILAR TO 'a'", "SIMILAR TO is not understood here"),
        ("st.c = 1", "there is no part \"c\""),
        ("id.c = 1", "a value of int has no part"),
        ("id = $x", "there is no parameter \"x\" at 1:6"),
        ("id = ?", "a parameter is written as $name"),
        ("INTERVAL '1 day' = INTERVAL '1 day'", "a span of time"),
        ("s COLLATE nocase = 'a'", "COLLATE is not understood here"),
        ("9223372036854775808 = id", "does not fit a whole number of 64 bits"),
        ("array_distance(v, [1, 2, 3]) < 1", "has 3 numbers"),
    ] {
        let told = world.filtered(filter).unwrap_err();
        assert!(told.text.contains(why), "{filter}: {told}");
    }
}

#[test]
fn a_query_that_cannot_be_is_refused_with_a_reason() {
    let world = World::new();
    for (query, why) in [
        ("DELETE FROM t", "only a SELECT"),
        ("UPDATE t SET id = 1", "only a SELECT"),
        ("INSERT INTO t VALUES (1)", "only a SELECT"),
        ("DROP TABLE t", "only a SELECT"),
        ("PRAGMA user_version", "only a SELECT"),
        ("ATTACH DATABASE 'x' AS y", "only a SELECT"),
        ("SELECT 1; SELECT 2", "goes on with SELECT at 1:11"),
        ("WITH x AS (DELETE FROM t) SELECT 1", "changes nothing"),
        ("SELECT * FROM sqlite_master", "there is no table \"sqlite_master\""),
        ("SELECT * FROM t0", "there is no table"),
        ("SELECT c0 FROM t", "there is no column \"c0\""),
        ("SELECT rowid FROM t", "there is no column \"rowid\""),
        ("SELECT x.id FROM t", "there is no table or column \"x\""),
        ("SELECT id FROM t, u", "is a column of several tables"),
        ("SELECT 1 FROM t, t", "two tables are called \"t\""),
        ("SELECT * FROM t JOIN u", "behind a JOIN stands ON or USING"),
        ("SELECT * FROM t JOIN u USING (label)", "there is no column \"label\""),
        ("SELECT s, count(*) FROM t", "the column \"s\" stands neither in GROUP BY"),
        ("SELECT n FROM t GROUP BY n ORDER BY id", "the column \"id\" stands neither"),
        ("SELECT n FROM t WHERE sum(n) > 1", "in WHERE stands no function of many rows"),
        ("SELECT sum(max(n)) FROM t", "is another function of many rows"),
        ("SELECT n FROM t HAVING n > 1", "HAVING stands behind GROUP BY"),
        ("SELECT row_number() FROM t", "stands before OVER"),
        ("SELECT DISTINCT n FROM t ORDER BY id", "is ordered by what it selects"),
        ("SELECT id FROM t UNION SELECT id, n FROM t", "have 1 and 2 columns"),
        ("SELECT id FROM t UNION SELECT s FROM t", "are of one type, and not int and text"),
        ("SELECT (SELECT id, n FROM t)", "has one column, not 2"),
        ("SELECT id FROM t LIMIT -1", "LIMIT is a whole number"),
        ("SELECT id FROM t LIMIT n", "there is no column"),
        ("SELECT * FROM generate_series(1, 10)", "functions that give tables"),
        ("WITH RECURSIVE q AS (SELECT 1) SELECT * FROM q", "WITH RECURSIVE"),
        ("SELECT id FROM t FOR UPDATE", "FOR"),
        ("SELECT id INTO x FROM t", "INTO"),
        ("SELECT * EXCEPT (id) FROM t", "behind * stands nothing"),
        (
            "SELECT ((((((((((((((((((((((((((1))))))))))))))))))))))))))",
            "nested more than 24 deep at 1:32",
        ),
    ] {
        let told = world.ask(query, &[]).unwrap_err();
        assert!(told.text.contains(why), "{query}: {told}");
    }
}

#[test]
fn what_goes_wrong_with_a_row_is_told_and_not_hidden() {
    let world = World::new();
    for (query, why) in [
        ("SELECT n / 0 FROM t", "divided by zero"),
        ("SELECT n % 0 FROM t", "divided by zero"),
        ("SELECT 1 FROM t WHERE d = ts::text", "a value of text is no date"),
        ("SELECT 9223372036854775807 + n FROM t", "does not fit 64 bits"),
        ("SELECT CAST(s AS INT) FROM t", "a value of text is no int"),
        (
            "SELECT sum(x) FROM (SELECT 9223372036854775807 AS x UNION ALL SELECT 1)",
            "integer overflow",
        ),
        ("SELECT (SELECT id FROM u)", "gave more than one row"),
        ("SELECT repeat(s, 1000000000) FROM t WHERE id = 1", "more than 4194304 bytes"),
        ("SELECT d + INTERVAL '10000 years' FROM t", "out of range"),
        ("SELECT s ~ s FROM t WHERE id = 9 OR '(' ~ ('(' || s)", "a pattern cannot be read"),
    ] {
        let told = world.ask(query, &[]).unwrap_err();
        assert!(told.text.contains(why), "{query}: {told}");
    }
}

#[test]
fn bounds_are_told_as_such() {
    let world = World::new();
    let long = format!("id = {}", " ".repeat(70_000));
    let chain = vec!["1"; 3000].join(" + ");
    let many = format!(
        "SELECT 1 FROM {}",
        (0..40).map(|it| format!("t AS x{it}")).collect::<Vec<_>>().join(", ")
    );
    let deep = format!("{}1", "SELECT (".repeat(20));
    for before in ["NOT ", "- ", "NOT NOT - "] {
        let told = world.filtered(&format!("{}true", before.repeat(300))).unwrap_err();
        assert!(told.text.contains("nested") || told.text.contains("in a row"), "{told}");
    }
    assert_eq!(world.filtered(&long).unwrap_err().reason, Reason::Invalid);
    assert_eq!(world.filtered(&format!("{chain} = 1")).unwrap_err().reason, Reason::Invalid);
    assert_eq!(world.ask(&many, &[]).unwrap_err().reason, Reason::Invalid);
    assert!(world.ask(&deep, &[]).is_err());
}
