//! The engine on SQLite, through the trait alone.
//!
//! | module | looks at |
//! |---|---|
//! | [`making`] | tables that are made and filled |
//! | [`changing`] | rows and columns that are changed |
//! | [`versions`] | what earlier versions show |
//! | [`searching`] | searches, scores, indexes, queries |
//! | [`costs`] | what one statement can take of time, memory and disk |
//! | [`bounds`] | what hostile or slow clients can do, and damaged files |
//! | [`together`] | several writers at once |
//! | [`killed`] | processes that are killed |
//! | [`model`] | random histories, beside a plain model |

mod bounds;
mod changing;
mod costs;
mod killed;
mod making;
mod model;
mod searching;
mod together;
mod versions;

use meshagent_tables::engine::{Engine, Mode, NewTable, Rows, Search, TableName, Writer};
use meshagent_tables::sqlite::{Limits, Tables};
use meshagent_tables::value::Row;
use meshagent_tables::{DataType, Field, Reason, Result, Value};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// A room in a folder of its own.
struct Room {
    tables: Tables,
    folder: TempDir,
}

impl Room {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tables = Tables::open_with(&folder.path().join("tables.db"), limits).unwrap();
        Self { tables, folder }
    }

    /// The same room, after its process has ended.
    fn again(self) -> Self {
        let Self { tables, folder } = self;
        drop(tables);
        let tables = Tables::open(&folder.path().join("tables.db")).unwrap();
        Self { tables, folder }
    }

    fn create(&self, name: &str, fields: Json, rows: Json) {
        let mut writer = self.tables.create(new(name, fields)).unwrap();
        writer.write(rows_of(&rows)).unwrap();
        writer.finish().unwrap();
    }

    fn insert(&self, name: &str, rows: Json) -> Result<u64> {
        written(self.tables.insert(&table(name))?, &rows)
    }

    fn merge(&self, name: &str, on: &str, rows: Json) -> Result<u64> {
        written(self.tables.merge(&table(name), on)?, &rows)
    }

    /// All rows of a table, as plain JSON.
    fn all(&self, name: &str) -> Json {
        self.search(Search { table: table(name), ..Search::default() }).unwrap()
    }

    fn search(&self, search: Search) -> Result<Json> {
        read(self.tables.search(search)?)
    }

    fn columns(&self, name: &str) -> Vec<String> {
        let fields = self.tables.describe(&table(name)).unwrap().fields;
        fields.into_iter().map(|it| format!("{} {}", it.name, it.data_type.kind)).collect()
    }

    fn versions(&self, name: &str) -> Vec<(u64, String)> {
        let versions = self.tables.versions(&table(name)).unwrap();
        versions.into_iter().map(|it| (it.version, it.operation)).collect()
    }
}

fn table(name: &str) -> TableName {
    TableName::new(name)
}

/// A table whose columns are an object of types; null if they are to come of the rows.
fn new(name: &str, fields: Json) -> NewTable {
    let fields = fields.as_object().map(|fields| {
        let field = |(name, data_type): (&String, &Json)| Field {
            name: name.clone(),
            data_type: typed(data_type),
        };
        fields.iter().map(field).collect()
    });
    NewTable { table: table(name), fields, ..NewTable::default() }
}

/// A type: its wire form, or its name alone. A name with `!` is never null.
fn typed(data_type: &Json) -> DataType {
    let wire = match data_type.as_str().map(|name| (name.trim_end_matches('!'), name)) {
        Some((bare, name)) => json!({"type": bare, "nullable": (bare == name).then_some(true)
            .map_or(Json::Bool(false), |_| Json::Null)}),
        None => data_type.clone(),
    };
    DataType::of_wire(&wire).unwrap()
}

/// Rows of a list of objects.
fn rows_of(rows: &Json) -> Vec<Row> {
    let value = |(name, value): (&String, &Json)| (name.clone(), Value::of_plain(value).unwrap());
    let row = |row: &Json| row.as_object().unwrap().iter().map(value).collect();
    rows.as_array().unwrap().iter().map(row).collect()
}

fn written(mut writer: Box<dyn Writer>, rows: &Json) -> Result<u64> {
    writer.write(rows_of(rows))?;
    writer.finish().map(|written| written.version)
}

/// A whole answer, as a list of objects.
fn read(mut rows: Box<dyn Rows>) -> Result<Json> {
    let names: Vec<String> = rows.columns().iter().map(|it| it.name.clone()).collect();
    let mut all = Vec::new();
    while let Some(part) = rows.next(7)? {
        assert!((1..=7).contains(&part.len()));
        for row in part {
            assert_eq!(row.len(), names.len());
            let values = names.iter().cloned().zip(row.iter().map(Value::to_plain));
            all.push(Json::Object(values.collect()));
        }
    }
    Ok(all.into())
}

/// One column of rows.
fn column(rows: &Json, name: &str) -> Vec<Json> {
    rows.as_array().unwrap().iter().map(|row| row[name].clone()).collect()
}

/// The reason of an error, whose text has a part.
#[track_caller]
fn refused<T>(result: Result<T>, part: &str) -> Reason {
    let error = result.err().expect("it is refused");
    assert!(error.text.contains(part), "{error}");
    error.reason
}

fn overwrite(new: NewTable) -> NewTable {
    NewTable { mode: Mode::Overwrite, ..new }
}
