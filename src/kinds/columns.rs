//! The columns and indexes of tables, as documents write them and as rooms tell them. The same column
//! is always the same fields.

use std::collections::BTreeMap;

use meshagent_tables::{DataType, Field, Kind, columns, engine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tree::Tree;

/// A column of a table.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    #[schemars(extend("x-rule" = "name"))]
    pub name: String,
    /// What is in it: `bool`, `int`, `float`, `text`, `binary`, `date`, `timestamp`, `vector(SIZE)`,
    /// `list(TYPE)`, or `struct(NAME TYPE, …)`. Another type makes the table anew, without its rows.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether rows may have nothing in it. A column that is added to a table must allow that.
    /// Default: true.
    #[serde(default = "yes")]
    pub nullable: bool,
    /// Notes for programs: text keys with text values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-empty" = "absent"))]
    pub metadata: BTreeMap<String, String>,
}

/// An index of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// The column.
    pub column: String,
    /// What it is for.
    pub kind: IndexKind,
}

/// What an index is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum IndexKind {
    /// Values are found by it.
    Scalar,
    /// Near vectors are found by it.
    Vector,
    /// Words are found by it.
    FullText,
}

const fn yes() -> bool {
    true
}

impl Column {
    /// The column as it is on the wire.
    ///
    /// # Errors
    ///
    /// Its type is none.
    pub fn field(&self) -> Result<Field, String> {
        let DataType { kind, .. } = columns::data_type(&self.data_type)?;
        let nullable = Some(self.nullable);
        let metadata = self.metadata.clone().into_iter().collect();
        let data_type = DataType { kind, nullable, metadata };
        Ok(Field { name: self.name.clone(), data_type })
    }

    /// A column of the wire as it is written.
    #[must_use]
    pub fn of(field: Field) -> Self {
        let Field { name, data_type } = field;
        let nullable = data_type.is_nullable();
        let metadata = data_type.metadata.into_iter().collect();
        Self { name, data_type: columns::written_type(&data_type.kind), nullable, metadata }
    }
}

impl IndexKind {
    /// What an index is for that a room calls so; `None` for what is not known. The names are those
    /// of LanceDB.
    #[must_use]
    pub fn told(name: &str) -> Option<Self> {
        let name = name.to_ascii_uppercase().replace('_', "");
        Some(match name.as_str() {
            "FTS" | "INVERTED" | "FULLTEXT" => Self::FullText,
            "BTREE" | "BITMAP" | "LABELLIST" | "SCALAR" => Self::Scalar,
            name if name.starts_with("IVF") || name == "VECTOR" => Self::Vector,
            _ => return None,
        })
    }

    /// Why a column of this type cannot have such an index.
    ///
    /// # Errors
    ///
    /// As a sentence about the index.
    pub fn fits(self, kind: &Kind) -> Result<(), String> {
        let of_rooms = match self {
            Self::Scalar => engine::IndexKind::Scalar,
            Self::Vector => engine::IndexKind::Vector,
            Self::FullText => engine::IndexKind::FullText,
        };
        of_rooms
            .fits(kind)
            .map_err(|what| format!("{what}, and this one is {}", columns::written_type(kind)))
    }
}

/// The columns in the fields of a table, as they are on the wire. What is none is left out.
#[must_use]
pub fn columns_in(fields: &Tree) -> Vec<Field> {
    let columns: Vec<Column> = listed(fields, "columns");
    columns.iter().filter_map(|column| column.field().ok()).collect()
}

/// The indexes in the fields of a table.
#[must_use]
pub fn indexes_in(fields: &Tree) -> Vec<Index> {
    listed(fields, "indexes")
}

fn listed<T: serde::de::DeserializeOwned>(fields: &Tree, name: &str) -> Vec<T> {
    serde_json::from_value(fields.sent(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_written_in_one_way() {
        for (given, expected) in [
            (" INT ", "int"),
            ("vector(3, float)", "vector(3)"),
            ("vector(3,int)", "vector(3, int)"),
            ("list(struct(a int not null, b text null))", "list(struct(a int not null, b text))"),
            ("struct(`first name` text)", "struct(`first name` text)"),
        ] {
            let column = |data_type: &str| Column {
                name: "c".to_owned(),
                data_type: data_type.to_owned(),
                nullable: false,
                metadata: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            };
            let again = Column::of(column(given).field().unwrap());
            assert_eq!((again.data_type.as_str(), again.nullable), (expected, false));
            assert_eq!(again.metadata, column("int").metadata);
        }
    }

    #[test]
    fn indexes_are_known_by_what_rooms_call_them() {
        for (told, kind) in [
            ("BTREE", Some(IndexKind::Scalar)),
            ("LabelList", Some(IndexKind::Scalar)),
            ("IVF_PQ", Some(IndexKind::Vector)),
            ("IvfHnswSq", Some(IndexKind::Vector)),
            ("FTS", Some(IndexKind::FullText)),
            ("unheard of", None),
        ] {
            assert_eq!(IndexKind::told(told), kind, "{told}");
        }
        assert!(IndexKind::FullText.fits(&Kind::Int).unwrap_err().contains("this one is int"));
    }
}
