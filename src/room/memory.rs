//! *Pure*: the toolkit `memory`, which every room has. A memory holds entities and the relationships
//! between them. Read from the public SDK 0.31.4, `room_server_client.py`. What memories hold is in
//! `records`.
//!
//! Must not live here: how memories are kept and what is recalled, which is no matter of the wire.

mod records;

use meshagent_tables::Value as Held;
use meshagent_tables::value::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use self::records::{
    Dataset, Entity, Fields, RELATED, Recalled, RecalledRelationship, Relationship, Selector,
    Tidied, unknown,
};
use super::content::Content;
use super::database::rows_of;
use super::operation::{At, Operation, done, or_nothing, yes, yes_unless_false};

/// The toolkit's name.
pub const TOOLKIT: &str = "memory";

/// How many entities are recalled unless the request says something else.
pub const RECALLED: u64 = 5;

/// The folders in which a memory is, from the outermost; none and an empty list are the same.
pub type Namespace = Option<Vec<String>>;

/// Which memories there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Where.
    #[serde(default)]
    pub namespace: Namespace,
}

/// The memories of a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memories {
    /// Their names.
    #[serde(default, deserialize_with = "or_nothing")]
    pub memories: Vec<String>,
}

/// Creates a memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    /// Its name.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// Whether it takes the place of one that is there.
    #[serde(default, deserialize_with = "or_nothing")]
    pub overwrite: bool,
    /// Whether it is no error that there is one, which then stays as it is.
    #[serde(default, deserialize_with = "or_nothing")]
    pub ignore_exists: bool,
}

/// Removes a memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drop {
    /// Its name.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// Whether it is no error that there is none.
    #[serde(default, deserialize_with = "or_nothing")]
    pub ignore_missing: bool,
}

/// What is in a memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspect {
    /// Its name.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
}

/// A memory, from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// Its name.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// Where the room keeps it.
    pub path: String,
    /// What it is made of.
    #[serde(default, deserialize_with = "or_nothing")]
    pub datasets: Vec<Dataset>,
}

/// Asks a memory with a statement, such as `MATCH (e:Entity) RETURN e.name LIMIT 10`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The memory.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// The statement.
    pub statement: String,
}

/// The rows that a statement gave.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Objects in plain JSON, in which bytes are `{"encoding": "base64", "data": …}`.
    pub results: Vec<Map<String, Value>>,
}

/// Puts rows into a table of a memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpsertTable {
    /// The memory.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// The table.
    pub table: String,
    /// Objects in plain JSON, in which bytes are `{"encoding": "base64", "data": …}`.
    #[serde(rename = "records_json", with = "as_text")]
    pub records: Vec<Map<String, Value>>,
    /// Whether what is there already stays.
    #[serde(default = "yes", deserialize_with = "yes_unless_false")]
    pub merge: bool,
}

/// Puts entities into a memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpsertNodes {
    /// The memory.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// The entities.
    #[serde(rename = "records_json", with = "as_records")]
    pub records: Vec<Entity>,
    /// Whether what is there already stays.
    #[serde(default = "yes", deserialize_with = "yes_unless_false")]
    pub merge: bool,
}

/// Puts relationships into a memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpsertRelationships {
    /// The memory.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// The relationships.
    #[serde(rename = "records_json", with = "as_records")]
    pub records: Vec<Relationship>,
    /// Whether what is there already stays.
    #[serde(default = "yes", deserialize_with = "yes_unless_false")]
    pub merge: bool,
}

/// By what entities are found in a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// By rules.
    #[default]
    Heuristic,
    /// By a model.
    Llm,
}

/// How entities are found in a source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ingestion {
    /// By what.
    #[serde(default, deserialize_with = "or_nothing")]
    pub strategy: Strategy,
    /// Which model.
    #[serde(default)]
    pub llm_model: Option<String>,
    /// How freely it answers.
    #[serde(default)]
    pub llm_temperature: Option<f64>,
}

/// Finds entities in a text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IngestText {
    /// The memory.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// How.
    #[serde(flatten)]
    pub how: Ingestion,
    /// The text.
    pub text: String,
}

/// Finds entities in an image, or in what is said of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IngestImage {
    /// The memory.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// What is to be seen.
    #[serde(default)]
    pub caption: Option<String>,
    /// The image, in base64.
    #[serde(default)]
    pub data_base64: Option<String>,
    /// Its media type.
    #[serde(default)]
    pub mime_type: Option<String>,
    /// Where it comes from.
    #[serde(default)]
    pub source: Option<String>,
    /// What else is known of it: an object of texts, as a text of JSON.
    #[serde(default)]
    pub annotations_json: Option<String>,
    /// How.
    #[serde(flatten)]
    pub how: Ingestion,
}

/// Finds entities in a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IngestFile {
    /// The memory.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// How.
    #[serde(flatten)]
    pub how: Ingestion,
    /// The file, for the room to read.
    #[serde(default)]
    pub path: Option<String>,
    /// What is in it.
    #[serde(default)]
    pub text: Option<String>,
    /// Its media type.
    #[serde(default)]
    pub mime_type: Option<String>,
}

/// Finds entities in the rows of a table of the room.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IngestFromTable {
    /// The memory.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// How.
    #[serde(flatten)]
    pub how: Ingestion,
    /// The table.
    pub table: String,
    /// Where that is.
    #[serde(default)]
    pub table_namespace: Namespace,
    /// In which columns.
    #[serde(default)]
    pub text_columns: Option<Vec<String>>,
    /// The most rows that are looked at.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// Finds entities in files of the room.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IngestFromStorage {
    /// The memory.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// How.
    #[serde(flatten)]
    pub how: Ingestion,
    /// Their paths, with or without `room://`.
    pub paths: Vec<String>,
}

/// What was found in a source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingested {
    /// The memory.
    pub name: String,
    /// How much.
    pub stats: IngestedCounts,
    /// The entities.
    #[serde(default, deserialize_with = "or_nothing")]
    pub entity_ids: Vec<String>,
}

/// How much was found in a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestedCounts {
    /// How many entities.
    #[serde(default, deserialize_with = "or_nothing")]
    pub entities: u64,
    /// How many relationships.
    #[serde(default, deserialize_with = "or_nothing")]
    pub relationships: u64,
    /// In how many sources.
    #[serde(default, deserialize_with = "or_nothing")]
    pub sources: u64,
}

/// Looks for what is known of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recall {
    /// The memory.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// Of what.
    pub query: String,
    /// The most entities that are wanted; [`RECALLED`] unless it is said.
    #[serde(default = "few", deserialize_with = "few_unless_said")]
    pub limit: u64,
    /// Whether their relationships are wanted, too.
    #[serde(default = "yes", deserialize_with = "yes_unless_false")]
    pub include_relationships: bool,
}

/// What is known of something.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recollection {
    /// The memory.
    pub name: String,
    /// Of what.
    pub query: String,
    /// The entities, from the one that fits best.
    #[serde(default, deserialize_with = "or_nothing")]
    pub items: Vec<Recalled>,
}

/// Deletes entities, with their relationships.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteEntities {
    /// The memory.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// Their ids.
    pub entity_ids: Vec<String>,
}

/// What was deleted with entities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntitiesDeleted {
    /// The memory.
    pub name: String,
    /// How many entities.
    #[serde(default, deserialize_with = "or_nothing")]
    pub deleted_entities: u64,
    /// How many relationships.
    #[serde(default, deserialize_with = "or_nothing")]
    pub deleted_relationships: u64,
}

/// Deletes relationships.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteRelationships {
    /// The memory.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// Which ones.
    pub relationships: Vec<Selector>,
}

/// What was deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationshipsDeleted {
    /// The memory.
    pub name: String,
    /// How many relationships.
    #[serde(default, deserialize_with = "or_nothing")]
    pub deleted_relationships: u64,
}

/// Makes a memory small and fast again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Optimize {
    /// The memory.
    pub name: String,
    /// Where it is.
    #[serde(default)]
    pub namespace: Namespace,
    /// Whether small parts become large ones.
    #[serde(default = "yes", deserialize_with = "yes_unless_false")]
    pub compact: bool,
    /// Whether old versions go.
    #[serde(default = "yes", deserialize_with = "yes_unless_false")]
    pub cleanup: bool,
}

/// What that changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Optimized {
    /// The memory.
    pub name: String,
    /// In each thing that it is made of.
    #[serde(default, deserialize_with = "or_nothing")]
    pub datasets: Vec<Tidied>,
}

const fn few() -> u64 {
    RECALLED
}

fn few_unless_said<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    Option::deserialize(from).map(|limit| limit.unwrap_or(RECALLED))
}

/// Declares operations with the type of their answers.
macro_rules! answered {
    ($($asked:ty => $tool:literal, $answer:ty $(, waits = $waits:literal)?);+ $(;)?) => {$(
        impl Operation for $asked {
            type Answer = $answer;
            const AT: At = At::Tool(TOOLKIT, $tool);

            $(fn waits(&self) -> bool {
                $waits
            })?
        }
    )+};
}

answered! {
    List => "list", Memories;
    Inspect => "inspect", Details;
    IngestText => "ingest_text", Ingested, waits = true;
    IngestImage => "ingest_image", Ingested, waits = true;
    IngestFile => "ingest_file", Ingested, waits = true;
    IngestFromTable => "ingest_from_table", Ingested, waits = true;
    IngestFromStorage => "ingest_from_storage", Ingested, waits = true;
    Recall => "recall", Recollection;
    DeleteEntities => "delete_entities", EntitiesDeleted, waits = true;
    DeleteRelationships => "delete_relationships", RelationshipsDeleted, waits = true;
    Optimize => "optimize", Optimized, waits = true;
}

done! {
    Create => At::Tool(TOOLKIT, "create"),
    Drop => At::Tool(TOOLKIT, "drop"),
    UpsertTable => At::Tool(TOOLKIT, "upsert_table"); waits = true,
    UpsertNodes => At::Tool(TOOLKIT, "upsert_nodes"); waits = true,
    UpsertRelationships => At::Tool(TOOLKIT, "upsert_relationships"); waits = true,
}

impl Operation for Query {
    type Answer = Results;
    const AT: At = At::Tool(TOOLKIT, "query");

    fn answer(answer: &Results) -> Content {
        Content::Json(json!({"results": answer.results}))
    }

    /// A room may also answer with rows as those of tables are.
    fn answered(answer: Content) -> Option<Results> {
        if let Content::Json(it) = &answer
            && it["results"].is_array()
        {
            return Results::deserialize(it).ok();
        }
        let object = |row: Row| {
            row.into_iter().map(|(name, value): (String, Held)| (name, value.to_plain())).collect()
        };
        let rows = rows_of(&answer).ok()?;
        Some(Results { results: rows.into_iter().map(object).collect() })
    }
}

/// Records with the fields that they have in the public SDK 0.31.4, and no others.
mod as_records {
    use serde::Deserializer;
    use serde::de::{DeserializeOwned, Error as _};
    use serde_json::{Map, Value};

    pub use super::as_text::serialize;
    use super::{Fields, unknown};

    pub fn deserialize<'de, T: DeserializeOwned + Fields, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        let records: Vec<Map<String, Value>> = super::as_text::deserialize(deserializer)?;
        let record = |(number, record)| {
            read(record).map_err(|why| {
                D::Error::custom(format_args!("records_json: record {number}: {why}"))
            })
        };
        // They are counted from 1, as rows of tables are.
        (1..).zip(records).map(record).collect::<Result<_, _>>()
    }

    fn read<T: DeserializeOwned + Fields>(record: Map<String, Value>) -> Result<T, String> {
        if let Some(unknown) = unknown::<T>(&record) {
            return Err(unknown);
        }
        serde_json::from_value(Value::Object(record)).map_err(|error| error.to_string())
    }
}

/// Lists that are sent as a text of JSON.
mod as_text {
    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(
        list: &[T],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serde_json::to_string(list).map_err(S::Error::custom)?.serialize(serializer)
    }

    pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text)
            .map_err(|error| D::Error::custom(format_args!("records_json: {error}")))
    }
}

#[cfg(test)]
mod tests;
