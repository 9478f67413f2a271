//! Filters and expressions over a row.

use serde_json::json;

use crate::world::World;

#[test]
fn filters_let_through_what_they_say() {
    let world = World::new();
    for (filter, wanted) in [
        ("id = 1", &[1][..]),
        ("n = 10 AND b = false", &[5]),
        ("ID > 5", &[6, 7]),
        ("s = \"ada\"", &[1]),
        ("s = 'ada'", &[1]),
        ("`s` = 'ada'", &[1]),
        ("s IN (\"ada\", \"Bob\")", &[1, 2]),
        ("s = null", &[]),
        ("s IS NULL", &[3]),
        ("s != 'ada'", &[2, 4, 5, 6, 7]),
        ("true", &[1, 2, 3, 4, 5, 6, 7]),
        ("false", &[]),
        ("b", &[1, 4, 7]),
        ("NOT b", &[2, 5]),
        ("b IS NOT TRUE", &[2, 3, 5, 6]),
        ("d = date '2026-01-31'", &[1, 6]),
        ("d = '2026-01-31'", &[1, 6]),
        ("d < '2026-01-01'", &[2, 4]),
        ("ts >= timestamp '2026-01-31 12:30:01'", &[1, 5, 6]),
        ("ts > d", &[1, 2, 5, 6]),
        ("d + INTERVAL '1 day' = date '2026-02-01'", &[1, 6]),
        ("f > 1", &[1, 4, 5, 7]),
        ("n = f", &[6]),
        ("n = '10'", &[1, 5]),
        ("n BETWEEN -3 AND 0", &[2, 6, 7]),
        ("n NOT BETWEEN -3 AND 0", &[1, 4, 5]),
        ("s LIKE 'a%'", &[1, 4, 7]),
        ("s LIKE 'A%'", &[]),
        ("s ILIKE 'A%'", &[1, 4, 7]),
        ("s LIKE 'a!_b!%c' ESCAPE '!'", &[4]),
        (r"s LIKE 'a\_b%'", &[4]),
        ("s NOT LIKE '%a%'", &[2, 5, 6]),
        ("s LIKE 'Zo__é'", &[5]),
        ("regexp_match(s, '^[A-Z]')", &[2, 5]),
        ("regexp_like(s, 'ADA', 'i')", &[1, 7]),
        ("s ~ '^a.*e$'", &[7]),
        ("s !~* 'A'", &[2, 5, 6]),
        ("array_has(l, 5)", &[5]),
        ("array_has_any(tags, [\"z\", \"x\"])", &[1, 2, 5, 6]),
        ("array_has_all(tags, [\"y\", \"x\"])", &[1]),
        ("tags = [\"x\"]", &[2]),
        ("l = []", &[2]),
        ("st = {\"a\": 1, \"b\": \"p\"}", &[1]),
        ("st.a > 3", &[4, 5, 7]),
        ("st['b'] = 'q'", &[2]),
        ("l[1] = 5 OR l[-1] = 3", &[4, 5]),
        ("array_distance(v, [3, 4]) < 0.1", &[5]),
        ("bin = X'616263'", &[2]),
        ("n IN (10, NULL)", &[1, 5]),
        ("n NOT IN (10, NULL)", &[]),
        ("n IS DISTINCT FROM 10", &[2, 3, 4, 6, 7]),
        ("(n = 10 OR n = 7) AND (s = \"ada\" OR s LIKE '%c')", &[1, 4]),
        ("coalesce(n, 99) = 99", &[3]),
        ("CASE WHEN b THEN n > 8 ELSE n < 0 END", &[1, 2]),
        ("lower(s) = 'bob'", &[2]),
        ("date_part('month', ts) = 6", &[6]),
    ] {
        assert_eq!(
            world.filtered(filter).unwrap_or_else(|it| panic!("{filter}: {it}")),
            wanted,
            "{filter}"
        );
    }
}

#[test]
fn texts_in_double_quotes_are_read_as_json_writes_them() {
    let world = World::new();
    for (text, wanted) in [
        (r#"id = 1 AND "a\"b" = 'a"b'"#, &[1][..]),
        (
            r#"id = 1 AND "\u00e9\n" = "é
""#,
            &[1],
        ),
        (r#"id = 1 AND "a""b" = 'a"b'"#, &[1]),
        (r#"id = 1 AND "it's" = 'it''s'"#, &[1]),
        (r#"id = 1 AND "\\" = '\'"#, &[1]),
        (r#"id = 1 AND "\d" = '\d'"#, &[1]),
        (r#"id = 1 AND 'a"b' LIKE 'a"_'"#, &[1]),
        ("id = 1 -- \"\n AND true", &[1]),
        ("id = /* \" */ 1", &[1]),
    ] {
        assert_eq!(
            world.filtered(text).unwrap_or_else(|it| panic!("{text}: {it}")),
            wanted,
            "{text}"
        );
    }
}

#[test]
fn a_filter_with_very_many_terms_is_read() {
    let terms: Vec<String> = (0..450).map(|it| format!("id = {it}")).collect();
    assert_eq!(World::new().filtered(&terms.join(" OR ")).unwrap().len(), 7);
    let values: Vec<String> = (0..5000).map(|it| it.to_string()).collect();
    assert_eq!(World::new().filtered(&format!("id IN ({})", values.join(", "))).unwrap().len(), 7);
}

#[test]
fn expressions_have_a_type_and_a_value_for_each_row() {
    let world = World::new();
    for (expression, kind, first) in [
        ("'hello'", "text", json!("hello")),
        ("\"hello\"", "text", json!("hello")),
        ("NULL", "text", json!(null)),
        ("true", "bool", json!(true)),
        ("n * 2 + 1", "int", json!(21)),
        ("n / 3", "int", json!(3)),
        ("-n / 3", "int", json!(-3)),
        ("n % 3", "int", json!(1)),
        ("n + 0.5", "float", json!(10.5)),
        ("f / 0", "float", json!(null)),
        ("1e308 * 10", "float", json!(null)),
        ("-9223372036854775808", "int", json!(i64::MIN)),
        ("CAST(f AS BIGINT)", "int", json!(1)),
        ("f::text", "text", json!("1.5")),
        ("TRY_CAST(s AS INT)", "int", json!(null)),
        ("ts::date", "date", json!("2026-01-31")),
        ("d::timestamp", "timestamp", json!("2026-01-31T00:00:00Z")),
        ("ts::text", "text", json!("2026-01-31T12:30:01.5Z")),
        ("s || '-' || n", "text", json!("ada-10")),
        ("concat(s, NULL, n)", "text", json!("ada10")),
        ("upper(s)", "text", json!("ADA")),
        ("substr(s, 2)", "text", json!("da")),
        ("substring(s FROM 1 FOR 2)", "text", json!("ad")),
        ("trim(BOTH 'a' FROM s)", "text", json!("d")),
        ("position('d' IN s)", "int", json!(2)),
        ("lpad(s, 5, '*')", "text", json!("**ada")),
        ("split_part('a,b,c', ',', -1)", "text", json!("c")),
        ("date_trunc('month', ts)", "timestamp", json!("2026-01-01T00:00:00Z")),
        ("extract(year FROM d)", "int", json!(2026)),
        ("d + INTERVAL '1 month'", "date", json!("2026-02-28")),
        ("ts - INTERVAL '1 hour 30 minutes'", "timestamp", json!("2026-01-31T11:00:01.5Z")),
        ("d - date '2026-01-01'", "int", json!(30)),
        ("to_timestamp(60)", "timestamp", json!("1970-01-01T00:01:00Z")),
        ("to_char(ts, '%Y-%m')", "text", json!("2026-01")),
        ("greatest(n, 11, NULL)", "int", json!(11)),
        ("st", "struct(a int, b text)", json!({"a": 1, "b": "p"})),
        ("st.b", "text", json!("p")),
        ("l", "list(int)", json!([1, 2])),
        ("[1, 2.5]", "list(float)", json!([1.0, 2.5])),
        ("make_array(n, 1)", "list(int)", json!([10, 1])),
        ("array_to_string(l, '-')", "text", json!("1-2")),
        ("array_length(l)", "int", json!(2)),
        ("v[1]", "float", json!(1.0)),
        ("inner_product(v, v)", "float", json!(1.0)),
        ("cosine_distance(v, [0, 1])", "float", json!(1.0)),
        ("regexp_replace(s, 'a(.)', '<\\1>', 'g')", "text", json!("<d>a")),
        ("CASE n WHEN 10 THEN 'ten' ELSE 'other' END", "text", json!("ten")),
        ("round(2.567, 1)", "float", json!(2.6)),
        ("CAST('2026-01-31T13:45:00Z' AS DATE)", "date", json!("2026-01-31")),
        (
            "CAST('9999-12-31T23:59:59.5Z' AS TIMESTAMP)",
            "timestamp",
            json!("9999-12-31T23:59:59.5Z"),
        ),
        ("to_char(to_timestamp('9999-12-31T23:59:59Z'), '%H:%M %z')", "text", json!("23:59 +0000")),
        (
            "to_timestamp('9999-12-31T23:59:59Z') - INTERVAL '1 day'",
            "timestamp",
            json!("9999-12-30T23:59:59Z"),
        ),
        (
            "date_trunc('day', to_timestamp('9999-12-31T23:59:59Z'))",
            "timestamp",
            json!("9999-12-31T00:00:00Z"),
        ),
        ("to_timestamp(253402300799)", "timestamp", json!("9999-12-31T23:59:59Z")),
        (
            "date_part('epoch', to_timestamp('9999-12-31T23:59:59Z'))",
            "float",
            json!(253402300799.0),
        ),
        ("ts < '9999-12-31T23:59:59Z'", "bool", json!(true)),
        ("d = '2026-01-31T00:00:00Z'", "bool", json!(true)),
    ] {
        let (given, rows) =
            world.computed(expression).unwrap_or_else(|it| panic!("{expression}: {it}"));
        assert_eq!((given.as_str(), &rows[0]), (kind, &first), "{expression}");
    }
    let (kind, now) = world.computed("CURRENT_TIMESTAMP").unwrap();
    assert_eq!(kind, "timestamp");
    assert!(now.iter().all(|it| it == &now[0]));
}
