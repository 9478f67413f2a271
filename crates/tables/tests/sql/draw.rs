//! Draws queries. What is known to differ (the table in the documentation of the module `sql`) is
//! not drawn: numbers that do not fit, NaN, zero with a sign, and what has no order where it counts.

use fastrand::Rng;

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Float,
    Text,
    Date,
    Timestamp,
}

const KINDS: [Kind; 6] =
    [Kind::Bool, Kind::Int, Kind::Float, Kind::Text, Kind::Date, Kind::Timestamp];

const T: &[(&str, Kind)] = &[
    ("id", Kind::Int),
    ("n", Kind::Int),
    ("f", Kind::Float),
    ("s", Kind::Text),
    ("b", Kind::Bool),
    ("d", Kind::Date),
    ("ts", Kind::Timestamp),
    ("st.a", Kind::Int),
    ("st['b']", Kind::Text),
    ("l[1]", Kind::Int),
    ("tags[1]", Kind::Text),
];
const U: &[(&str, Kind)] =
    &[("id", Kind::Int), ("t_id", Kind::Int), ("label", Kind::Text), ("x", Kind::Float)];
const W: &[(&str, Kind)] =
    &[("k", Kind::Text), ("id", Kind::Int), ("ok", Kind::Bool), ("day", Kind::Date)];

/// What can be named.
pub type Columns = Vec<(String, Kind)>;

/// The columns of the first table, without its name.
pub fn row() -> Columns {
    T.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect()
}

fn of(table: &str, columns: &[(&str, Kind)]) -> Columns {
    columns.iter().map(|(name, kind)| (format!("{table}.{name}"), *kind)).collect()
}

/// Draws from a number.
pub struct Draw(pub Rng);

impl Draw {
    fn one<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.0.usize(..all.len())]
    }

    fn kind(&mut self) -> Kind {
        KINDS[self.0.usize(..KINDS.len())]
    }

    fn literal(&mut self, kind: Kind) -> String {
        match kind {
            Kind::Bool => self.one(&["true", "false"]),
            Kind::Int => self.one(&["0", "1", "2", "3", "7", "10", "-3"]),
            Kind::Float => self.one(&["0.0", "0.5", "1.5", "2.5", "-0.25", "1000.0"]),
            Kind::Text => self.one(&["'ada'", "'Bob'", "''", "'a'", "'x'", "'Zoë é'", "'a_b%c'"]),
            Kind::Date => {
                self.one(&["date '2026-01-31'", "date '1969-12-31'", "date '2024-02-29'"])
            }
            Kind::Timestamp => self.one(&[
                "to_timestamp('2026-01-31T12:30:01.5')",
                "to_timestamp('1969-12-31T23:59:59')",
                "to_timestamp('2026-06-15T23:00:00')",
            ]),
        }
        .to_owned()
    }

    /// Something of the lists, if the first table is there and has no other name.
    fn of_lists(&mut self, columns: &Columns, kind: Kind, one: &str, other: &str) -> String {
        let before = match columns.iter().find(|it| it.0.ends_with("l[1]")) {
            Some((name, _)) => name.strip_suffix("l[1]").unwrap_or_default(),
            None => return self.literal(kind),
        };
        let text = self.one(&[one, other]);
        ["l", "tags", "tags[1]"].iter().fold(text.to_owned(), |text, name| {
            text.replace(&format!("{{{name}}}"), &format!("{before}{name}"))
        })
    }

    fn column(&mut self, kind: Kind, columns: &Columns) -> Option<String> {
        let fitting: Vec<&String> =
            columns.iter().filter(|it| it.1 == kind).map(|it| &it.0).collect();
        (!fitting.is_empty()).then(|| fitting[self.0.usize(..fitting.len())].clone())
    }

    /// An expression of a kind.
    pub fn expression(&mut self, kind: Kind, columns: &Columns, depth: usize) -> String {
        let leaf = depth == 0 || self.0.u8(..4) == 0;
        if leaf {
            return match self.column(kind, columns).filter(|_| self.0.u8(..4) != 0) {
                Some(column) => column,
                None => self.literal(kind),
            };
        }
        let depth = depth - 1;
        if self.0.u8(..5) == 0 {
            let (one, other) =
                (self.expression(kind, columns, depth), self.expression(kind, columns, depth));
            let condition = self.expression(Kind::Bool, columns, depth);
            let column = self.column(kind, columns).unwrap_or_else(|| one.clone());
            return match self.0.u8(..5) {
                0 => format!("coalesce({one}, {other})"),
                1 => format!("nullif({column}, {other})"),
                2 => format!("CASE WHEN {condition} THEN {one} ELSE {other} END"),
                3 => format!("CASE WHEN {condition} THEN {one} END"),
                _ if kind == Kind::Bool => one,
                _ => {
                    let name = self.one(&["greatest", "least"]);
                    format!("{name}({one}, {other})")
                }
            };
        }
        let mut with = |kind| self.expression(kind, columns, depth);
        match kind {
            Kind::Int => {
                let (one, other) = (with(Kind::Int), with(Kind::Int));
                let (text, float) = (with(Kind::Text), with(Kind::Float));
                let (date, moment) = (with(Kind::Date), with(Kind::Timestamp));
                match self.0.u8(..18) {
                    0 => format!("({one} + {other})"),
                    1 => format!("({one} - {other})"),
                    2 => format!("({one} * {})", self.literal(Kind::Int)),
                    12 => self.of_lists(
                        columns,
                        kind,
                        "CAST(array_length({l}) AS BIGINT)",
                        "length({tags[1]})",
                    ),
                    13 => format!("(({one} & 7) + 0)"),
                    14 => format!("regexp_count({text}, 'a')"),
                    15 => format!("({date} - {})", self.literal(Kind::Date)),
                    16 => {
                        format!("(CAST({} AS BIGINT) + {one})", self.one(&["'12'", "' 7'", "true"]))
                    }
                    3 => format!("({one} / {})", self.one(&["2", "3", "-7"])),
                    4 => format!("({one} % {})", self.one(&["2", "3", "-7"])),
                    5 => format!("length({text})"),
                    6 => format!("abs({one})"),
                    7 => format!("strpos({text}, {})", self.literal(Kind::Text)),
                    8 => format!(
                        "CAST({} AS BIGINT)",
                        self.column(Kind::Float, columns).unwrap_or(float)
                    ),
                    9 => {
                        let part = self.one(&[
                            "year", "month", "day", "dow", "doy", "week", "quarter", "isodow",
                        ]);
                        format!("CAST(date_part('{part}', {date}) AS BIGINT)")
                    }
                    10 => {
                        let part = self.one(&[
                            "hour",
                            "minute",
                            "second",
                            "year",
                            "millisecond",
                            "microsecond",
                        ]);
                        format!("CAST(date_part('{part}', {moment}) AS BIGINT)")
                    }
                    11 => format!("octet_length({text})"),
                    _ => format!("(- {one})"),
                }
            }
            Kind::Float => {
                let (one, other, int) = (with(Kind::Float), with(Kind::Float), with(Kind::Int));
                match self.0.u8(..12) {
                    9 => format!("(power({}, 2) + {one})", self.literal(Kind::Float)),
                    10 => format!(
                        "date_part('epoch', {})",
                        self.column(Kind::Timestamp, columns)
                            .unwrap_or_else(|| self.literal(Kind::Timestamp))
                    ),
                    0 => format!("({one} + {other})"),
                    1 => format!("({one} - {int})"),
                    2 => format!("({one} * {} + 0.0)", self.literal(Kind::Float)),
                    3 => format!("({one} / {} + 0.0)", self.one(&["2", "0.5", "-4.0"])),
                    4 => format!("CAST({int} AS DOUBLE)"),
                    5 => format!("sqrt(abs({one}))"),
                    6 => format!("(round({one}) + 0.0)"),
                    7 => format!(
                        "({}({one}) + 0.0)",
                        self.one(&["floor", "ceil", "trunc", "signum"])
                    ),
                    8 => format!("({one} % 2.5 + 0.0)"),
                    _ => format!("abs({one})"),
                }
            }
            Kind::Text => {
                let (one, other) = (with(Kind::Text), with(Kind::Text));
                let (int, bool, date) = (with(Kind::Int), with(Kind::Bool), with(Kind::Date));
                match self.0.u8(..17) {
                    13 => self.of_lists(
                        columns,
                        kind,
                        "array_to_string({l}, '-')",
                        "array_to_string({tags}, ',', '?')",
                    ),
                    14 => format!(
                        "regexp_replace({one}, 'a(.)', '<{}>'{})",
                        r"\1",
                        self.one(&["", ", 'g'"])
                    ),
                    15 => format!("CASE {int} WHEN 1 THEN {one} WHEN 2 THEN {other} ELSE 'z' END"),
                    0 => format!("({one} || {other})"),
                    1 => format!(
                        "{}({one})",
                        self.one(&[
                            "lower", "upper", "reverse", "initcap", "trim", "ltrim", "rtrim"
                        ])
                    ),
                    2 => format!("substr({one}, {})", self.one(&["1", "2", "0", "-1", "4"])),
                    3 => format!(
                        "substr({one}, {}, {})",
                        self.one(&["1", "2", "0", "-1"]),
                        self.one(&["0", "1", "2", "5"])
                    ),
                    4 => format!(
                        "replace({one}, {}, {})",
                        self.one(&["'a'", "'ad'", "'_'"]),
                        self.one(&["''", "'XY'"])
                    ),
                    5 => format!(
                        "{}({one}, {})",
                        self.one(&["left", "right"]),
                        self.one(&["0", "1", "2", "-1", "-2"])
                    ),
                    6 => format!(
                        "{}({one}, {}, 'xy')",
                        self.one(&["lpad", "rpad"]),
                        self.one(&["0", "2", "6"])
                    ),
                    7 => format!("concat({one}, {other})"),
                    8 => format!("concat_ws('-', {one}, {other})"),
                    9 => format!("CAST({int} AS VARCHAR)"),
                    10 => format!("CAST({bool} AS VARCHAR)"),
                    11 => format!("CAST({date} AS VARCHAR)"),
                    12 => format!(
                        "split_part({one}, {}, {})",
                        self.one(&["' '", "'a'", "'_'"]),
                        self.one(&["1", "2", "-1"])
                    ),
                    _ => format!("repeat({one}, {})", self.one(&["0", "1", "2"])),
                }
            }
            Kind::Bool => {
                let (one, other) = (with(Kind::Bool), with(Kind::Bool));
                let (text, int, float) = (with(Kind::Text), with(Kind::Int), with(Kind::Float));
                match self.0.u8(..20) {
                    13 => self.of_lists(
                        columns,
                        kind,
                        "array_has({l}, 2)",
                        "array_has_any({tags}, ['x', 'z'])",
                    ),
                    14 => self.of_lists(
                        columns,
                        kind,
                        "array_has_all({l}, [5])",
                        "({tags[1]} IN ('x', 'y'))",
                    ),
                    15 => format!("regexp_like({text}, '{}')", self.one(&["^a", "[A-Z]", "é"])),
                    0 | 1 => format!("({one} AND {other})"),
                    2 | 3 => format!("({one} OR {other})"),
                    4 => format!("(NOT {one})"),
                    5 => format!(
                        "({one} IS {})",
                        self.one(&[
                            "TRUE",
                            "NOT TRUE",
                            "FALSE",
                            "NOT FALSE",
                            "UNKNOWN",
                            "NULL",
                            "NOT NULL"
                        ])
                    ),
                    6 => format!(
                        "({text} {} '{}')",
                        self.one(&["LIKE", "NOT LIKE", "ILIKE"]),
                        self.one(&["a%", "%a%", "A%", "_o_", r"a\_b%", "%", ""])
                    ),
                    7 => format!(
                        "({text} {} '{}')",
                        self.one(&["~", "!~", "~*", "!~*"]),
                        self.one(&["^a", "[A-Z]", "b$", "a.a", "^$"])
                    ),
                    8 => format!(
                        "({int} {} ({}, NULL, {}))",
                        self.one(&["IN", "NOT IN"]),
                        self.literal(Kind::Int),
                        self.literal(Kind::Int)
                    ),
                    9 => format!(
                        "({int} {} ({}, {}))",
                        self.one(&["IN", "NOT IN"]),
                        self.literal(Kind::Int),
                        self.literal(Kind::Int)
                    ),
                    10 => format!(
                        "({int} {} {} AND {})",
                        self.one(&["BETWEEN", "NOT BETWEEN"]),
                        self.literal(Kind::Int),
                        self.literal(Kind::Int)
                    ),
                    11 => format!("({int} {} {float})", self.one(&["=", "<", ">=", "<>"])),
                    12 => format!(
                        "{}({text}, {})",
                        self.one(&["starts_with", "ends_with", "contains"]),
                        self.literal(Kind::Text)
                    ),
                    _ => {
                        let kind = self.kind();
                        let (one, other) = (
                            self.expression(kind, columns, depth),
                            self.expression(kind, columns, depth),
                        );
                        let op = self.one(&[
                            "=",
                            "<>",
                            "<",
                            "<=",
                            ">",
                            ">=",
                            "IS DISTINCT FROM",
                            "IS NOT DISTINCT FROM",
                        ]);
                        format!("({one} {op} {other})")
                    }
                }
            }
            Kind::Date => {
                let (one, moment) = (with(Kind::Date), with(Kind::Timestamp));
                match self.0.u8(..3) {
                    0 => format!("CAST({moment} AS DATE)"),
                    1 => format!(
                        "({one} {} INTERVAL '{}')",
                        self.one(&["+", "-"]),
                        self.one(&["1 month", "1 day", "1 year 2 days", "2 weeks"])
                    ),
                    _ => format!("({one} {} {})", self.one(&["+", "-"]), self.one(&["1", "30"])),
                }
            }
            Kind::Timestamp => {
                let one = with(Kind::Timestamp);
                match self.0.u8(..2) {
                    0 => format!(
                        "date_trunc('{}', {one})",
                        self.one(&[
                            "year", "quarter", "month", "week", "day", "hour", "minute", "second"
                        ])
                    ),
                    _ => format!(
                        "({one} {} INTERVAL '{}')",
                        self.one(&["+", "-"]),
                        self.one(&["1 month", "1 day", "90 minutes", "1 year 3 hours"])
                    ),
                }
            }
        }
    }

    /// What is read from, and the columns of it.
    fn from(&mut self) -> (String, Columns) {
        match self.0.u8(..9) {
            0..=2 => ("t".to_owned(), row()),
            3 => ("t AS a".to_owned(), of("a", T)),
            4 => {
                let how = self.one(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
                (format!("t {how} u ON t.id = u.t_id"), [of("t", T), of("u", U)].concat())
            }
            5 => {
                let how = self.one(&["JOIN", "LEFT JOIN"]);
                let columns = [of("t", &T[1..]), of("w", &[W[0], W[2], W[3]])].concat();
                (format!("t {how} w USING (id)"), columns)
            }
            6 => {
                let how = self.one(&["JOIN", "LEFT JOIN"]);
                let text =
                    format!("t JOIN u ON t.id = u.t_id {how} w ON w.k = t.s AND w.id = u.id");
                (text, [of("t", T), of("u", U), of("w", W)].concat())
            }
            7 => {
                let condition = self.expression(Kind::Bool, &row(), 2);
                let float = self.expression(Kind::Float, &row(), 2);
                let text =
                    format!("(SELECT id AS i, {float} AS g, s, b FROM t WHERE {condition}) AS q");
                let columns = [
                    ("q.i", Kind::Int),
                    ("g", Kind::Float),
                    ("q.s", Kind::Text),
                    ("b", Kind::Bool),
                ];
                (text, columns.map(|(name, kind)| (name.to_owned(), kind)).to_vec())
            }
            _ => ("u, w".to_owned(), [of("u", U), of("w", W)].concat()),
        }
    }

    fn filter(&mut self, columns: &Columns) -> String {
        match self.0.u8(..8) {
            0..=2 => String::new(),
            3 => {
                let int = self.expression(Kind::Int, columns, 1);
                let word = self.one(&["IN", "NOT IN"]);
                let inner = self.one(&[
                    "SELECT z.id FROM u AS z",
                    "SELECT z.t_id FROM u AS z WHERE z.t_id IS NOT NULL",
                    "SELECT n FROM t AS z WHERE n IS NOT NULL",
                ]);
                // DataFusion lets null through `NOT IN (SELECT …)` where it sees at once that it is null.
                format!(" WHERE coalesce({int}, 0) {word} ({inner})")
            }
            4 => match columns.iter().find(|it| it.1 == Kind::Int) {
                Some((name, _)) => {
                    let word = self.one(&["EXISTS", "NOT EXISTS"]);
                    format!(" WHERE {word} (SELECT 1 FROM u AS z WHERE z.t_id = {name})")
                }
                None => String::new(),
            },
            _ => format!(" WHERE {}", self.expression(Kind::Bool, columns, 3)),
        }
    }

    fn aggregate(&mut self, columns: &Columns) -> String {
        let mut with = |kind| self.expression(kind, columns, 1);
        let (int, float, text) = (with(Kind::Int), with(Kind::Float), with(Kind::Text));
        let (bool, date, filter) = (with(Kind::Bool), with(Kind::Date), with(Kind::Bool));
        let call = match self.0.u8(..14) {
            12 => format!("count({bool})"),
            0 => "count(*)".to_owned(),
            1 => format!("count({text})"),
            2 => format!("count(DISTINCT {int})"),
            3 => format!("sum({int})"),
            4 => format!("sum({float})"),
            5 => format!("avg({int})"),
            6 => format!("{}({text})", self.one(&["min", "max"])),
            7 => format!("{}({date})", self.one(&["min", "max"])),
            8 => format!("{}({bool})", self.one(&["bool_and", "bool_or"])),
            9 => format!("{}({float})", self.one(&["stddev", "stddev_pop", "var_pop", "var_samp"])),
            10 => format!("median({float})"),
            11 => format!("sum(DISTINCT {int})"),
            _ => format!("{}({float})", self.one(&["min", "max"])),
        };
        match self.0.u8(..4) {
            0 => format!("{call} FILTER (WHERE {filter})"),
            _ => call,
        }
    }

    fn window(&mut self) -> String {
        let columns = row();
        let int = self.expression(Kind::Int, &columns, 1);
        let parts = self.one(&["", "PARTITION BY b ", "PARTITION BY n "]);
        let down = self.one(&["", " DESC"]);
        let call = match self.0.u8(..9) {
            0 => "row_number()".to_owned(),
            1 => return format!("rank() OVER ({parts}ORDER BY n{down})"),
            2 => return format!("dense_rank() OVER (ORDER BY s{down}, f)"),
            3 => format!("lag({int}, {})", self.one(&["1", "2"])),
            4 => format!("lead({int})"),
            5 => format!("first_value({int})"),
            6 => format!("ntile({})", self.one(&["2", "3"])),
            7 => {
                let frame = self.one(&[
                    "ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
                    "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
                ]);
                return format!("count({int}) OVER ({parts}ORDER BY id{down} {frame})");
            }
            _ => format!("sum({int})"),
        };
        format!("{call} OVER ({parts}ORDER BY id{down})")
    }

    /// A query, and how many columns it has.
    pub fn query(&mut self) -> String {
        let (from, columns) = self.from();
        let filter = self.filter(&columns);
        match self.0.u8(..10) {
            0..=4 => {
                let count = self.0.usize(1..4);
                let (mut selected, mut names) = (Vec::new(), Vec::new());
                for index in 0..count {
                    let kind = self.kind();
                    selected.push(format!("{} AS o{index}", self.expression(kind, &columns, 3)));
                    names.push(self.one(&["", " DESC", " ASC NULLS FIRST", " DESC NULLS LAST"]));
                }
                let distinct = self.one(&["", "", "DISTINCT "]);
                let order: Vec<String> =
                    names.iter().enumerate().map(|(index, way)| format!("o{index}{way}")).collect();
                let order = match self.0.u8(..3) {
                    0 => format!(" ORDER BY {}", order.join(", ")),
                    1 => format!(" ORDER BY {} LIMIT 4 OFFSET 1", order.join(", ")),
                    _ => String::new(),
                };
                format!("SELECT {distinct}{} FROM {from}{filter}{order}", selected.join(", "))
            }
            5 | 6 => {
                let kind = self.kind();
                // A number alone is the place of a column.
                let key = self.expression(kind, &columns, 2);
                let key = format!("coalesce({key}, {key})");
                let (one, other) = (self.aggregate(&columns), self.aggregate(&columns));
                let having = match self.0.u8(..3) {
                    0 => {
                        format!(" HAVING {} IS NOT NULL AND count(*) > 0", self.aggregate(&columns))
                    }
                    _ => String::new(),
                };
                match self.0.u8(..4) {
                    0 => format!("SELECT {one} AS a1, {other} AS a2 FROM {from}{filter}"),
                    1 => format!(
                        "SELECT {key} AS k0, {one} AS a1, {other} AS a2 FROM {from}{filter} GROUP BY 1{having}"
                    ),
                    2 => format!(
                        "WITH q AS (SELECT {key} AS k0, {one} AS a1 FROM {from}{filter} GROUP BY {key}{having}) SELECT x.k0, y.a1 FROM q AS x JOIN q AS y ON x.k0 = y.k0"
                    ),
                    _ => format!(
                        "SELECT {key} AS k0, {one} AS a1 FROM {from}{filter} GROUP BY {key}{having} ORDER BY k0, a1"
                    ),
                }
            }
            7 => {
                let kind = self.kind();
                let one = self.expression(kind, &columns, 2);
                let other = self.expression(kind, &row(), 2);
                let word = self.one(&["UNION", "UNION ALL", "EXCEPT", "INTERSECT"]);
                format!(
                    "SELECT {one} AS c FROM {from}{filter} {word} SELECT {other} FROM t ORDER BY c"
                )
            }
            8 => {
                let (one, other) = (self.window(), self.window());
                format!("SELECT id, {one} AS a1, {other} AS a2 FROM t{}", self.filter(&row()))
            }
            _ => {
                let inner = self.one(&["max(u.x)", "count(*)", "min(u.label)"]);
                format!(
                    "SELECT t.id, (SELECT {inner} FROM u WHERE u.t_id = t.id) AS a1 FROM t{}",
                    self.filter(&of("t", T))
                )
            }
        }
    }
}
