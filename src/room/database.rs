//! The toolkit `database`, which every room has: its tables. What a table is asked for at once is
//! here; rows are written and read in streams, which are in `rows`. Read from the public SDK 0.31.4,
//! `room_server_client.py`.
//!
//! Must not live here: how tables are kept and searched, which is in the crate `meshagent-tables`.

mod rows;

use meshagent_tables::{DataType, Field, quoted};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::rows::{
    BATCH, CreateTable, Insert, Merge, Mode, NotWritten, Pair, RowStream, Rows, Search, Sql,
    SqlTable, batch_part, is_pull, pull, rows_of, rows_part, weight,
};
use super::content::Content;
use super::operation::{At, Operation, done, or_nothing};

/// The toolkit's name.
pub const TOOLKIT: &str = "database";

/// The folders in which a table is, from the outermost; none and an empty list are the same.
pub type Namespace = Option<Vec<String>>;

/// Which tables there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListTables {
    /// Where.
    #[serde(default)]
    pub namespace: Namespace,
}

/// The tables of a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tables {
    /// Their names.
    #[serde(default, deserialize_with = "or_nothing")]
    pub tables: Vec<String>,
}

/// Which columns a table has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspect {
    /// The table.
    pub table: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// What a table is made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// Its columns, in their order.
    pub fields: Vec<Field>,
    /// What was said of the table when it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
}

/// Removes a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropTable {
    /// The table.
    pub name: String,
    /// Whether it is no error that there is none.
    #[serde(default, deserialize_with = "or_nothing")]
    pub ignore_missing: bool,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// Adds columns to a table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AddColumns {
    /// The table.
    pub table: String,
    /// The columns.
    pub columns: Vec<NewColumn>,
    /// Where the table is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// A column that is added. It has either an expression or a type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NewColumn {
    /// Its name.
    pub name: String,
    /// What is in it: an expression over the row.
    #[serde(default)]
    pub value_sql: Option<String>,
    /// Its type; every row has null in it.
    #[serde(default)]
    pub data_type: Option<DataType>,
}

/// Gives columns of a table other types.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AlterColumns {
    /// The table.
    pub table: String,
    /// The columns with the types that they get.
    pub columns: Vec<Field>,
    /// Where the table is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// Removes columns of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropColumns {
    /// The table.
    pub table: String,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// Where the table is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// Removes an index of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropIndex {
    /// The table.
    pub table: String,
    /// The index.
    pub name: String,
    /// Where the table is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// Changes rows of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// The table.
    pub table: String,
    /// Which rows: a condition in SQL, in which double quotes are around texts.
    pub r#where: String,
    /// Values that columns get.
    #[serde(default)]
    pub values: Option<Vec<SetValue>>,
    /// Expressions over the row that columns get.
    #[serde(default)]
    pub values_sql: Option<Vec<SetExpression>>,
    /// Where the table is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// A value that a column gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetValue {
    /// The column.
    pub column: String,
    /// The value as a text of plain JSON, in which bytes are `{"encoding": "base64", "data": …}`.
    pub value_json: String,
}

/// An expression that a column gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetExpression {
    /// The column.
    pub column: String,
    /// The expression in SQL.
    pub expression: String,
}

/// Deletes rows of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    /// The table.
    pub table: String,
    /// Which rows: a condition in SQL, in which double quotes are around texts. Agents of the public
    /// SDK 0.31.4 send an object, which means that each column has the value that it says.
    #[serde(deserialize_with = "condition")]
    pub r#where: String,
    /// Where the table is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// How many rows a search would find.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// The table.
    pub table: String,
    /// Words that are looked for.
    #[serde(default)]
    pub text: Option<String>,
    /// Numbers to which rows are near.
    #[serde(default)]
    pub vector: Option<Vec<f64>>,
    /// The columns in which the words are looked for.
    #[serde(default)]
    pub text_columns: Option<Vec<String>>,
    /// A condition in SQL, in which double quotes are around texts.
    #[serde(default)]
    pub r#where: Option<String>,
    /// Where the table is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// How many rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// How many.
    pub count: u64,
}

/// How many rows were changed or deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// How many; none if the room does not say it. The public SDK 0.31.4 takes any answer, so rooms
    /// need not say it.
    pub count: Option<u64>,
}

impl Changed {
    /// Reads an answer. Whatever it is, the rows were changed.
    fn of(answer: Content) -> Self {
        let Content::Json(answer) = answer else { return Self::default() };
        Self::deserialize(answer).unwrap_or_default()
    }
}

/// Makes a table small and fast again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Optimize {
    /// The table.
    pub table: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// Makes an earlier version the newest one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// The table.
    pub table: String,
    /// The version.
    pub version: i64,
    /// Where the table is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// Reads a table at an earlier version from now on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// The table.
    pub table: String,
    /// The version.
    pub version: i64,
    /// Where the table is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// Which versions a table has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListVersions {
    /// The table.
    pub table: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// The versions of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Each of them.
    pub versions: Vec<Version>,
}

/// A version of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number.
    pub version: i64,
    /// When it was made, in ISO 8601.
    pub timestamp: String,
    /// What is known of it: an object, as a text of JSON.
    pub metadata_json: String,
}

/// Makes an index by which near vectors are found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CreateVectorIndex(pub NewIndex);

/// Makes an index by which values are found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CreateScalarIndex(pub NewIndex);

/// Makes an index by which words are found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CreateFullTextSearchIndex(pub NewIndex);

/// What an index is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewIndex {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// Whether one that is there is made anew.
    #[serde(default)]
    pub replace: Option<bool>,
    /// Where the table is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// Which indexes a table has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListIndexes {
    /// The table.
    pub table: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// The indexes of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indexes {
    /// Each of them.
    pub indexes: Vec<Index>,
}

/// An index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// The columns of which it is made.
    pub columns: Vec<String>,
    /// What kind of index it is, in the words of whoever keeps it.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Operation for ListTables {
    type Answer = Tables;
    const AT: At = At::Tool(TOOLKIT, "list_tables");
}

impl Operation for Inspect {
    type Answer = Schema;
    const AT: At = At::Tool(TOOLKIT, "inspect");
}

impl Operation for Count {
    type Answer = Counted;
    const AT: At = At::Tool(TOOLKIT, "count");
}

impl Operation for Update {
    type Answer = Changed;
    const AT: At = At::Tool(TOOLKIT, "update");

    fn waits(&self) -> bool {
        true
    }

    fn answered(answer: Content) -> Option<Changed> {
        Some(Changed::of(answer))
    }
}

impl Operation for Delete {
    type Answer = Changed;
    const AT: At = At::Tool(TOOLKIT, "delete");

    fn waits(&self) -> bool {
        true
    }

    fn answered(answer: Content) -> Option<Changed> {
        Some(Changed::of(answer))
    }
}

impl Operation for ListVersions {
    type Answer = Versions;
    const AT: At = At::Tool(TOOLKIT, "list_versions");
}

impl Operation for ListIndexes {
    type Answer = Indexes;
    const AT: At = At::Tool(TOOLKIT, "list_indexes");
}

done! {
    DropTable => At::Tool(TOOLKIT, "drop_table"),
    AddColumns => At::Tool(TOOLKIT, "add_columns"); waits = true,
    AlterColumns => At::Tool(TOOLKIT, "alter_columns"); waits = true,
    DropColumns => At::Tool(TOOLKIT, "drop_columns"); waits = true,
    DropIndex => At::Tool(TOOLKIT, "drop_index"),
    Optimize => At::Tool(TOOLKIT, "optimize"); waits = true,
    Restore => At::Tool(TOOLKIT, "restore"); waits = true,
    Checkout => At::Tool(TOOLKIT, "checkout"),
    CreateVectorIndex => At::Tool(TOOLKIT, "create_vector_index"); waits = true,
    CreateScalarIndex => At::Tool(TOOLKIT, "create_scalar_index"); waits = true,
    CreateFullTextSearchIndex => At::Tool(TOOLKIT, "create_full_text_search_index"); waits = true,
}

/// Reads a condition. An object is written as that SDK writes it elsewhere, as
/// `a = 1 AND b = "x"`, with its names in quotes.
fn condition<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let equal = |(column, value): (&String, &Value)| format!("{} = {value}", quoted::name(column));
    match Value::deserialize(from)? {
        Value::String(text) => Ok(text),
        Value::Object(values) if !values.is_empty() => {
            Ok(values.iter().map(equal).collect::<Vec<_>>().join(" AND "))
        }
        _ => Err(serde::de::Error::custom(
            "a delete says which rows in `where`; the condition `true` means all",
        )),
    }
}

#[cfg(test)]
mod tests;
