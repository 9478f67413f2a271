//! Queries.

use meshagent_tables::Value;
use serde_json::json;

use crate::world::World;

fn asked(query: &str, wanted: &serde_json::Value) {
    let (_, rows) = World::new().ask(query, &[]).unwrap_or_else(|it| panic!("{query}: {it}"));
    assert_eq!(json!(rows), *wanted, "{query}");
}

#[test]
fn queries_give_their_rows() {
    for (query, wanted) in [
        ("SELECT id FROM t WHERE n = 10", json!([[1], [5]])),
        ("SELECT 1, 'a', NULL", json!([[1, "a", null]])),
        (
            "SELECT id, n FROM t ORDER BY n, id",
            json!([[2, -3], [7, -3], [6, 0], [4, 7], [1, 10], [5, 10], [3, null]]),
        ),
        ("SELECT id FROM t ORDER BY n DESC, id LIMIT 2", json!([[3], [1]])),
        ("SELECT id FROM t ORDER BY n DESC NULLS LAST, id LIMIT 1 OFFSET 1", json!([[5]])),
        ("SELECT id AS x FROM t ORDER BY -x LIMIT 1", json!([[7]])),
        ("SELECT id FROM t ORDER BY 1 DESC OFFSET 5", json!([[2], [1]])),
        ("SELECT DISTINCT n FROM t ORDER BY n", json!([[-3], [0], [7], [10], [null]])),
        ("SELECT \"n\" FROM t AS \"T\" WHERE \"T\".id = 1", json!([[10]])),
        ("SELECT T.N FROM t WHERE T.ID = 1", json!([[10]])),
        ("SELECT * FROM w WHERE id = 1", json!([["ada", 1, true, "2026-01-31"]])),
        ("SELECT w.*, 1 FROM w WHERE id = 1", json!([["ada", 1, true, "2026-01-31", 1]])),
        (
            "SELECT t.id, u.label FROM t JOIN u ON u.t_id = t.id ORDER BY u.id",
            json!([[1, "one"], [1, "two"], [4, null]]),
        ),
        (
            "SELECT t.id, u.id FROM t LEFT JOIN u ON u.t_id = t.id WHERE t.id < 3 ORDER BY t.id, u.id",
            json!([[1, 1], [1, 2], [2, null]]),
        ),
        (
            "SELECT t.id, u.id FROM t RIGHT JOIN u ON u.t_id = t.id ORDER BY u.id",
            json!([[1, 1], [1, 2], [4, 3], [null, 4], [null, 5]]),
        ),
        ("SELECT count(*) FROM t FULL JOIN u ON u.t_id = t.id", json!([[10]])),
        ("SELECT count(*) FROM t, u", json!([[35]])),
        ("SELECT count(*) FROM t CROSS JOIN u", json!([[35]])),
        (
            "SELECT id, k FROM t JOIN w USING (id) ORDER BY id",
            json!([[1, "ada"], [2, "Bob"], [4, null]]),
        ),
        (
            "SELECT id FROM t FULL JOIN w USING (id) ORDER BY id",
            json!([[1], [2], [3], [4], [5], [6], [7], [8]]),
        ),
        (
            "SELECT count(*), count(n), count(DISTINCT n), sum(n), avg(n), min(s), max(f) FROM t",
            json!([[7, 6, 4, 21, 3.5, "", 1000.0]]),
        ),
        (
            "SELECT n, count(*) AS c FROM t GROUP BY n HAVING count(*) > 1 ORDER BY n",
            json!([[-3, 2], [10, 2]]),
        ),
        (
            "SELECT n, count(*) AS c FROM t GROUP BY n HAVING c > 1 ORDER BY c, n",
            json!([[-3, 2], [10, 2]]),
        ),
        (
            "SELECT n % 2 AS odd, sum(id) FROM t WHERE n IS NOT NULL GROUP BY odd ORDER BY 1",
            json!([[-1, 9], [0, 12], [1, 4]]),
        ),
        ("SELECT n + 1, count(*) FROM t GROUP BY n + 1 ORDER BY n + 1 LIMIT 1", json!([[-2, 2]])),
        ("SELECT sum(n) FILTER (WHERE b) FROM t", json!([[14]])),
        ("SELECT sum(n) FROM t WHERE false", json!([[null]])),
        ("SELECT string_agg(label, '+' ORDER BY id) FROM u", json!([["one+two+nine+none"]])),
        ("SELECT array_agg(t_id ORDER BY id DESC) FROM u", json!([[[null, 9, 4, 1, 1]]])),
        (
            "SELECT bool_and(ok), bool_or(ok), median(id), var_pop(id), stddev(id) FROM w",
            json!([[false, true, 3.0, 7.187500000000001, 3.095695936834452]]),
        ),
        ("SELECT id FROM t WHERE id IN (SELECT t_id FROM u) ORDER BY id", json!([[1], [4]])),
        (
            "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id) ORDER BY id",
            json!([[1], [4]]),
        ),
        (
            "SELECT id, (SELECT max(x) FROM u WHERE u.t_id = t.id) AS m FROM t ORDER BY id LIMIT 2",
            json!([[1, 1.5], [2, null]]),
        ),
        ("SELECT a FROM (SELECT n AS a FROM t WHERE id = 1) AS q", json!([[10]])),
        (
            "WITH q AS (SELECT id, n FROM t WHERE n = 10), r (x) AS (SELECT id FROM q) SELECT q.id, r.x FROM q JOIN r ON r.x = q.id ORDER BY 1",
            json!([[1, 1], [5, 5]]),
        ),
        (
            "SELECT id FROM t WHERE id < 3 UNION SELECT t_id FROM u ORDER BY id",
            json!([[1], [2], [4], [9], [null]]),
        ),
        ("SELECT id FROM u UNION ALL SELECT 0.5 ORDER BY 1 LIMIT 2", json!([[0.5], [1.0]])),
        ("(SELECT id FROM t EXCEPT SELECT id FROM u) INTERSECT SELECT 7", json!([[7]])),
        (
            "SELECT column2 FROM (VALUES (1, 'a'), (2, 'b')) AS q ORDER BY column1 DESC",
            json!([["b"], ["a"]]),
        ),
        (
            "SELECT id, row_number() OVER (ORDER BY n DESC, id) FROM t ORDER BY id LIMIT 3",
            json!([[1, 2], [2, 6], [3, 1]]),
        ),
        (
            "SELECT id, sum(id) OVER (PARTITION BY n ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t WHERE n = 10 ORDER BY id",
            json!([[1, 1], [5, 6]]),
        ),
        (
            "SELECT lag(id, 1, 0) OVER win FROM u WINDOW win AS (ORDER BY id) ORDER BY id LIMIT 2",
            json!([[0], [1]]),
        ),
        (
            "SELECT n, sum(count(*)) OVER (ORDER BY n) FROM t GROUP BY n ORDER BY n LIMIT 2",
            json!([[-3, 2], [0, 3]]),
        ),
        ("SELECT id FROM t GROUP BY ALL ORDER BY id LIMIT 1", json!([[1]])),
        ("SELECT regexp_match(s, '(a)(d)') FROM t WHERE id = 1", json!([[["a", "d"]]])),
        ("SELECT 'it''s' || $$ ok $$;", json!([["it's ok "]])),
    ] {
        asked(query, &wanted);
    }
}

#[test]
fn columns_are_called_as_datafusion_calls_them() {
    let (names, _) = World::new()
        .ask("SELECT ID, t.N, COUNT(*) , id + 1, max(s) AS Top, min(s) AS \"Low\" FROM t GROUP BY id, t.n", &[])
        .unwrap();
    assert_eq!(names, ["id", "n", "count(*)", "id + 1", "top", "Low"]);
}

#[test]
fn parameters_are_values_of_their_types() {
    let parameters = [
        ("name".to_owned(), Value::Text("ada".to_owned())),
        ("1".to_owned(), Value::Int(10)),
        ("day".to_owned(), Value::Text("2026-01-31".to_owned())),
        ("unused".to_owned(), Value::Null),
    ];
    let (_, rows) = World::new()
        .ask("SELECT id FROM t WHERE s = $name AND n = $1 AND d = $day LIMIT $1", &parameters)
        .unwrap();
    assert_eq!(json!(rows), json!([[1]]));
}
