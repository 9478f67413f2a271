//! Three small tables with values of all types, and null for each.

use meshagent_tables::sql::{self, Catalog, Column, Fragment, Parameters, Relation};
use meshagent_tables::stored::{Stored, loaded};
use meshagent_tables::{DataType, Error, Reason, Result, Value};
use rusqlite::Connection;
use serde_json::{Value as Json, json};

/// A table of the test.
pub struct Table {
    pub name: String,
    pub columns: Vec<(String, DataType)>,
    pub rows: Vec<Vec<Value>>,
}

/// Tables in a database in memory.
pub struct World {
    pub tables: Vec<Table>,
    pub connection: Connection,
}

/// The tables as they are, also for the reference.
pub fn tables() -> Json {
    let list = |of: &str| json!({"type": "list", "element_type": {"type": of}});
    let part = |name: &str, of: &str| json!({"name": name, "data_type": {"type": of}});
    json!([
        {
            "name": "t",
            "columns": [
                ["id", {"type": "int"}], ["n", {"type": "int"}], ["f", {"type": "float"}], ["s", {"type": "text"}],
                ["b", {"type": "bool"}], ["d", {"type": "date"}], ["ts", {"type": "timestamp"}],
                ["l", list("int")], ["tags", list("text")],
                ["st", {"type": "struct", "fields": [part("a", "int"), part("b", "text")]}],
                ["v", {"type": "vector", "size": 2, "element_type": {"type": "float"}}],
                ["bin", {"type": "binary"}],
            ],
            "rows": [
                [1, 10, 1.5, "ada", true, "2026-01-31", "2026-01-31T12:30:01.5Z", [1, 2], ["x", "y"], {"a": 1, "b": "p"}, [1.0, 0.0], {"encoding": "base64", "data": "AAE="}],
                [2, -3, -0.25, "Bob", false, "1969-12-31", "1969-12-31T23:59:59.999999Z", [], ["x"], {"a": -2, "b": "q"}, [0.5, 0.5], {"encoding": "base64", "data": "YWJj"}],
                [3, null, null, null, null, null, null, null, null, null, null, null],
                [4, 7, 2.0, "a_b%c", true, "2024-02-29", "2024-02-29T00:00:00Z", [null, 3], [], {"a": 4, "b": ""}, [0.0, 2.0], {"encoding": "base64", "data": ""}],
                [5, 10, 1e3, "Zoë é", false, "2026-12-01", "2026-12-01T07:08:09Z", [5, 5, 5], ["y", null, "z"], {"a": 5, "b": "Zoë"}, [3.0, 4.0], {"encoding": "base64", "data": "/w=="}],
                [6, 0, 0.0, "", null, "2026-01-31", "2026-06-15T23:00:00Z", [7], ["", "x"], {"a": 0, "b": "x"}, [-1.0, 1.0], {"encoding": "base64", "data": "AA=="}],
                [7, -3, 2.5, "ada lovelace", true, null, null, [2], null, {"a": 7, "b": "7"}, [0.25, -8.0], null],
            ],
        },
        {
            "name": "u",
            "columns": [["id", {"type": "int"}], ["t_id", {"type": "int"}], ["label", {"type": "text"}], ["x", {"type": "float"}]],
            "rows": [[1, 1, "one", 0.5], [2, 1, "two", 1.5], [3, 4, null, null], [4, 9, "nine", -2.0], [5, null, "none", 3.25]],
        },
        {
            "name": "w",
            "columns": [["k", {"type": "text"}], ["id", {"type": "int"}], ["ok", {"type": "bool"}], ["day", {"type": "date"}]],
            "rows": [["ada", 1, true, "2026-01-31"], ["Bob", 2, null, "1970-01-01"], ["zed", 8, false, null], [null, 4, true, "2024-02-29"]],
        },
    ])
}

impl World {
    pub fn new() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        sql::install(&connection).unwrap();
        let read = |table: &Json| {
            let columns: Vec<(String, DataType)> =
                serde_json::from_value(table["columns"].clone()).unwrap();
            let row = |row: &Json| {
                let values = row.as_array().unwrap().iter().zip(&columns);
                let value = |(plain, (_, data_type)): (&Json, &(String, DataType))| {
                    Value::of_plain(plain).unwrap().taken_as(data_type).unwrap()
                };
                values.map(value).collect()
            };
            let rows = table["rows"].as_array().unwrap().iter().map(row).collect();
            Table { name: table["name"].as_str().unwrap().to_owned(), columns, rows }
        };
        let tables: Vec<Table> = tables().as_array().unwrap().iter().map(read).collect();
        for (index, table) in tables.iter().enumerate() {
            let columns: Vec<String> =
                (0..table.columns.len()).map(|it| format!("c{it}")).collect();
            let marks = vec!["?"; columns.len()].join(", ");
            let create = format!("CREATE TABLE t{index} ({})", columns.join(", "));
            connection.execute(&create, []).unwrap();
            for row in &table.rows {
                let row = row.iter().cloned().map(Stored::from);
                let insert = format!("INSERT INTO t{index} VALUES ({marks})");
                connection.execute(&insert, rusqlite::params_from_iter(row)).unwrap();
            }
        }
        Self { tables, connection }
    }

    /// The columns of a table.
    pub fn columns(&self, name: &str) -> Vec<Column> {
        let table = self.tables.iter().find(|it| it.name == name).unwrap();
        let column = |(index, (name, data_type)): (usize, &(String, DataType))| Column {
            name: name.clone(),
            data_type: data_type.clone(),
            sql: format!("c{index}"),
        };
        table.columns.iter().enumerate().map(column).collect()
    }

    /// The names of the columns of an answer, and its rows.
    pub fn ask(&self, text: &str, parameters: &Parameters) -> Result<(Vec<String>, Vec<Json>)> {
        let query = sql::query(text, self, parameters)?;
        let kinds = query.columns.iter().map(|it| it.data_type.clone()).collect::<Vec<_>>();
        let rows = self.rows(&query.sql, &kinds)?;
        Ok((query.columns.into_iter().map(|it| it.name).collect(), rows))
    }

    /// The rows of an answer.
    pub fn rows(&self, fragment: &Fragment, kinds: &[DataType]) -> Result<Vec<Json>> {
        let mut statement = self.connection.prepare(&fragment.text)?;
        assert!(statement.readonly(), "{}", fragment.text);
        let mut rows = statement.query(rusqlite::params_from_iter(&fragment.values))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let value = |(index, data_type): (usize, &DataType)| {
                loaded(row.get_ref(index).unwrap(), &data_type.kind).map(|it| it.to_plain())
            };
            all.push(kinds.iter().enumerate().map(value).collect::<Result<Json>>()?);
        }
        Ok(all)
    }

    /// The identities of the rows of the first table that a filter lets through.
    pub fn filtered(&self, filter: &str) -> Result<Vec<i64>> {
        let filter = sql::filter(filter, &self.columns("t"))?;
        let text = format!("SELECT c0 FROM t0 WHERE {} ORDER BY c0", filter.text);
        let rows = self.rows(
            &Fragment { text, values: filter.values },
            &[meshagent_tables::Kind::Int.into()],
        )?;
        Ok(rows.iter().map(|row| row[0].as_i64().unwrap()).collect())
    }

    /// What an expression gives for each row of the first table, with its type.
    pub fn computed(&self, expression: &str) -> Result<(String, Vec<Json>)> {
        let expression = sql::expression(expression, &self.columns("t"))?;
        let kind = expression.data_type.unwrap_or_else(|| meshagent_tables::Kind::Text.into());
        let text = format!("SELECT {} FROM t0 ORDER BY c0", expression.sql.text);
        let name = kind.kind.to_string();
        let rows = self.rows(&Fragment { text, values: expression.sql.values }, &[kind])?;
        Ok((name, rows.into_iter().map(|row| row[0].clone()).collect()))
    }
}

impl Catalog for World {
    fn relation(&self, name: &str) -> Result<Relation> {
        let index = self.tables.iter().position(|it| it.name == name);
        let Some(index) = index else {
            return Err(Error::new(Reason::NotFound, format!("there is no table {name:?}")));
        };
        let columns = self.columns(name);
        let names: Vec<&str> = columns.iter().map(|it| it.sql.as_str()).collect();
        let text = format!("(SELECT {} FROM t{index} WHERE c0 IS NOT ?)", names.join(", "));
        let source = Fragment { text, values: vec![Stored::Int(-1)] };
        Ok(Relation { columns, source })
    }
}
