//! The rows that a table begins with: objects in the document, or a file beside the manifest.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meshagent_tables::{Field, Value as Held};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::Fault;
use super::path::{FieldPath, Step};
use crate::records::{csv, json};

/// The field under which the bytes of a file beside the manifest come.
pub const BYTES: &str = "$bytes";

/// How many rows are told that cannot be written.
const TOLD: usize = 10;

/// A row, with its values by the names of their columns.
type Row = Map<String, Value>;

/// Rows as a document has them.
#[derive(Debug, Clone)]
pub enum SeedRows {
    /// In the document.
    Here(Vec<Row>),
    /// In a file beside the manifest.
    Beside {
        /// Its path.
        file: String,
        /// What is in it, in base64.
        bytes: Option<String>,
    },
}

impl<'de> Deserialize<'de> for SeedRows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Beside {
            file: String,
            #[serde(default, rename = "$bytes")]
            bytes: Option<String>,
        }
        match Value::deserialize(deserializer)? {
            list @ Value::Array(_) => {
                serde_json::from_value(list).map(Self::Here).map_err(D::Error::custom)
            }
            Value::String(path) => Err(D::Error::custom(format!(
                "rows are a list of objects, or a file: `{{file: {path}}}`"
            ))),
            other => {
                let Beside { file, bytes } =
                    serde_json::from_value(other).map_err(D::Error::custom)?;
                Ok(Self::Beside { file, bytes })
            }
        }
    }
}

impl JsonSchema for SeedRows {
    fn schema_name() -> Cow<'static, str> {
        "SeedRows".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["array", "object"],
            "items": {"type": "object"},
            "properties": {
                "file": {
                    "type": "string",
                    "description": "A file beside the manifest, not hidden, and at most 4 MiB: `.json` with a list of objects, `.jsonl` with one object a line, or `.csv` with the names of the columns in its first line.",
                },
            },
            "required": ["file"],
            "additionalProperties": false,
        })
    }
}

impl SeedRows {
    /// The rows as they are sent: only what declared columns take. The same rows are the same JSON,
    /// in whatever order their values stand. A column that a row does not give stays as it is in a row
    /// that is there, and null is written.
    ///
    /// # Errors
    ///
    /// What cannot be read or written, with its place.
    pub fn read(
        &self,
        columns: &[Field],
        key: Option<&str>,
    ) -> Result<Vec<BTreeMap<String, Value>>, Vec<Fault>> {
        let of_file = |message: String| Fault::new(&["rows", "file"], message);
        let rows = match self {
            Self::Here(rows) => rows.clone(),
            Self::Beside { file, bytes } => {
                let bytes = bytes.as_ref().map(|bytes| STANDARD.decode(bytes));
                match bytes {
                    Some(Ok(bytes)) => in_file(file, &bytes, columns).map_err(of_file)?,
                    Some(Err(error)) => return Err(of_file(error.to_string()).into()),
                    None => return Err(of_file("what is in the file is not at hand".into()).into()),
                }
            }
        };
        let (mut faults, mut keys) = (Vec::new(), HashMap::new());
        for (index, row) in rows.iter().enumerate() {
            let mut wrong = wrong_in(row, columns);
            if let Some(key) = key
                && wrong.is_empty()
            {
                let column = columns.iter().find(|column| column.name == key);
                wrong.extend(repeats((index, row), (key, column), &mut keys));
            }
            faults.extend(wrong.into_iter().map(|(column, message)| match self {
                Self::Here(_) => {
                    let path = FieldPath::of(&["rows"]).join(Step::Index(index)).field(&column);
                    Fault { path, message: format!("`{column}`: {message}"), hint: None }
                }
                Self::Beside { .. } => of_file(format!("row {}: `{column}`: {message}", index + 1)),
            }));
            if faults.len() >= TOLD {
                break;
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(rows.into_iter().map(|row| row.into_iter().collect()).collect())
    }
}

/// What of a row no column takes: the column, and why.
fn wrong_in(row: &Row, columns: &[Field]) -> Vec<(String, String)> {
    let unknown = row.keys().filter(|name| columns.iter().all(|column| column.name != **name));
    let mut wrong: Vec<(String, String)> =
        unknown.map(|name| (name.clone(), "there is no such column".to_owned())).collect();
    for column in columns {
        let value = row.get(&column.name).unwrap_or(&Value::Null);
        let taken = Held::of_plain(value).and_then(|value| value.taken_as(&column.data_type));
        wrong.extend(taken.err().map(|why| (column.name.clone(), why)));
    }
    wrong
}

/// Why a row is not told apart from the others by a column.
fn repeats(
    (index, row): (usize, &Row),
    (key, column): (&str, Option<&Field>),
    keys: &mut HashMap<String, usize>,
) -> Option<(String, String)> {
    // As the column has it: 1.0 is 1 in a column of whole numbers.
    let taken = |value: &Value| {
        let taken = Held::of_plain(value).ok()?.taken_as(&column?.data_type).ok()?;
        Some(taken.to_plain().to_string())
    };
    let why = match row.get(key).filter(|value| !value.is_null()) {
        None => "every row has a value in the column that is the `key`".to_owned(),
        Some(value) => {
            match keys.insert(taken(value).unwrap_or_else(|| value.to_string()), index) {
                Some(first) => format!("row {} has the same value, and it is the `key`", first + 1),
                None => return None,
            }
        }
    };
    Some((key.to_owned(), why))
}

/// The rows in a file.
fn in_file(file: &str, bytes: &[u8], columns: &[Field]) -> Result<Vec<Row>, String> {
    let ending = Path::new(file).extension().and_then(|it| it.to_str()).unwrap_or_default();
    let mut rows = Vec::new();
    let mut put = |row: meshagent_tables::value::Row| {
        rows.push(row.into_iter().map(|(name, value)| (name, value.to_plain())).collect());
        true
    };
    let read = match ending.to_ascii_lowercase().as_str() {
        "json" | "jsonl" | "ndjson" => json::read(bytes, &mut put),
        "csv" => csv::read(bytes, columns, &mut put),
        _ => return Err(format!("{file} is none of `.json`, `.jsonl` and `.csv`")),
    };
    read.map_err(|why| format!("the rows of {file} cannot be read: {why}"))?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use meshagent_tables::columns;
    use serde_json::json;

    use super::*;

    fn read(rows: Value, key: Option<&str>) -> Result<String, String> {
        let rows: SeedRows = serde_json::from_value(rows).unwrap();
        let columns = columns::parse("id int not null, name text, at date").unwrap();
        let told = |faults: Vec<Fault>| {
            let told = faults.into_iter().map(|it| format!("{}: {}", it.path, it.message));
            told.collect::<Vec<_>>().join("; ")
        };
        rows.read(&columns, key).map(|rows| json!(rows).to_string()).map_err(told)
    }

    fn file(name: &str, text: &str) -> Value {
        json!({"file": name, BYTES: STANDARD.encode(text)})
    }

    #[test]
    fn the_same_rows_are_the_same_bytes_however_they_are_given() {
        let expected = r#"[{"at":null,"id":1,"name":"a"},{"at":"2026-11-30","id":2,"name":null}]"#;
        for rows in [
            json!([{"name": "a", "id": 1, "at": null}, {"id": 2, "at": "2026-11-30", "name": null}]),
            file(
                "a.json",
                "\u{feff}[{\"id\": 1, \"name\": \"a\", \"at\": null}, {\"id\": 2, \"at\": \"2026-11-30\", \"name\": null}]",
            ),
            file("a.csv", "name,id,at\na,1,\n,2,2026-11-30\n"),
            file(
                "a.JSONL",
                "{\"id\": 1, \"name\": \"a\", \"at\": null}\n{\"id\": 2, \"at\": \"2026-11-30\", \"name\": null}\n",
            ),
        ] {
            assert_eq!(read(rows, Some("id")).unwrap(), expected);
        }
        assert_eq!(read(json!([]), None).unwrap(), "[]");
    }

    #[test]
    fn what_no_column_takes_is_told_with_its_place() {
        for (rows, told) in [
            (json!([{"id": 1}, {"id": "x"}]), "rows[1].id: `id`: a value of text is no int"),
            (json!([{"id": 1, "b": 2}]), "rows[0].b: `b`: there is no such column"),
            (json!([{"name": "a"}]), "rows[0].id: `id`: null is not allowed"),
            (
                json!([{"id": 1}, {"id": 2}, {"id": 1.0}]),
                "rows[2].id: `id`: row 1 has the same value",
            ),
            (
                file("a.json", "[{\"id\": 1.5}]"),
                "rows.file: row 1: `id`: 1.5 is not a whole number",
            ),
            (file("a.json", "{}"), "rows.file: row 1: `id`: null is not allowed"),
            (file("a.txt", "[]"), "rows.file: a.txt is none of"),
            (file("a.json", "5"), "rows.file: the rows of a.json cannot be read: "),
            (file("a.csv", "id\nx\n"), "rows.file: the rows of a.csv cannot be read: line 2"),
            (json!({"file": "a.json"}), "rows.file: what is in the file is not at hand"),
        ] {
            let why = read(rows, Some("id")).unwrap_err();
            assert!(why.starts_with(told), "{why}");
        }
        let null = read(json!([{"id": 1, "name": null}]), Some("name")).unwrap_err();
        assert!(null.contains("every row has a value"), "{null}");
    }
}
