//! Records that are put into a memory, and relationships that are deleted.

use std::path::Path;
use std::process::ExitCode;

use clap::ValueHint;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::MemoryArgs;
use crate::bounded;
use crate::commands::option_values;
use crate::commands::room::given::{STDIN, once, shown};
use crate::commands::room::printing::Pretty;
use crate::commands::room::{InRoom, RoomArgs};
use crate::decoding::plainly;
use crate::error::{Class, Context, Error, Result};
use crate::output;
use crate::room::memory::{
    DeleteRelationships, Entity, Fields, Relationship, RelationshipsDeleted, Selector, UpsertNodes,
    UpsertRelationships, UpsertTable, unknown,
};
use crate::room::message::MAX_BYTES;

/// Records.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct RecordsArgs {
    /// The records: a JSON list of objects
    #[arg(long, value_name = "JSON")]
    records_json: Vec<String>,
    /// A file with such a list; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    records_file: Vec<String>,
}

/// What becomes of records that are there.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct MergeArgs {
    /// Change what is there as far as the records say otherwise, which is the default
    #[arg(long, overrides_with = "no_merge")]
    merge: bool,
    /// Add the records beside what is there: a record that is there already is there twice
    #[arg(long)]
    no_merge: bool,
}

impl MergeArgs {
    /// Whether a record changes the one that is there.
    pub const fn is_wanted(self) -> bool {
        !self.no_merge
    }
}

/// Arguments of `room memory upsert-table`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room memory upsert-table --room lobby -m people -t visits --records-json '[{\"who\": \"Ada\", \"when\": \"2026-11-30\"}]'"
)]
pub struct UpsertTableArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    /// The table
    #[arg(short, long, value_name = "TABLE")]
    table: String,
    #[command(flatten)]
    records: RecordsArgs,
    #[command(flatten)]
    merge: MergeArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room memory upsert-nodes`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room memory upsert-nodes --room lobby -m people --records-json '[{\"entity_id\": \"ada\", \"name\": \"Ada\", \"entity_type\": \"person\"}]'\n\nA record has a `name`, and maybe `entity_id`, `entity_type`, `context`, `confidence`, `created_at`,\n`valid_at` and `metadata`."
)]
pub struct UpsertNodesArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    #[command(flatten)]
    records: RecordsArgs,
    #[command(flatten)]
    merge: MergeArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room memory upsert-relationships`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room memory upsert-relationships --room lobby -m people --records-json '[{\"source_entity_id\": \"ada\", \"target_entity_id\": \"bob\", \"relationship_type\": \"KNOWS\"}]'\n\nA record has a `source_entity_id` and a `target_entity_id`, and maybe `relationship_type`,\n`description`, `confidence`, `created_at`, `valid_at`, `expired_at`, `invalid_at`,\n`source_entity_name`, `target_entity_name` and `metadata`."
)]
pub struct UpsertRelationshipsArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    #[command(flatten)]
    records: RecordsArgs,
    #[command(flatten)]
    merge: MergeArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room memory delete-relationships`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room memory delete-relationships --room lobby -m people --records-json '[{\"source_entity_id\": \"ada\", \"target_entity_id\": \"bob\"}]'\n\nA record has a `source_entity_id` and a `target_entity_id`, and maybe a `relationship_type`."
)]
pub struct DeleteRelationshipsArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    #[command(flatten)]
    records: RecordsArgs,
    #[command(flatten)]
    pretty: Pretty,
    #[command(flatten)]
    at: RoomArgs,
}

impl RecordsArgs {
    /// The records, which have no other fields than those of their kind.
    fn read_known<T: DeserializeOwned + Fields>(&self) -> Result<Vec<T>> {
        self.read_checked(unknown::<T>)
    }

    /// The records, counted from 1 in errors, as the room counts them. `wrong` says what is wrong with
    /// one.
    fn read_checked<T: DeserializeOwned>(
        &self,
        wrong: impl Fn(&Map<String, Value>) -> Option<String>,
    ) -> Result<Vec<T>> {
        let json = once("--records-json", &self.records_json)?;
        let (name, text) = match once("--records-file", &self.records_file)? {
            None => ("--records-json".to_owned(), json.unwrap_or_default().to_owned()),
            Some(path) => {
                let name = shown(path);
                let failed = || format!("failed to read {name}");
                let text = match path {
                    STDIN => String::from_utf8(bounded::stdin(MAX_BYTES).context(failed)?)
                        .context(failed)?,
                    _ => bounded::text(Path::new(path), MAX_BYTES).context(failed)?,
                };
                (name, text)
            }
        };
        let told = option_values::json(&name, Some(&text), Class::Usage)?.unwrap_or_default();
        let Value::Array(list) = told else {
            return Err(Error::usage(format!("{name} is not a JSON list of objects")));
        };
        let record = |(index, record): (usize, Value)| {
            let Value::Object(fields) = &record else {
                return Err(Error::usage(format!("{name}: the record {index} is not an object")));
            };
            if let Some(wrong) = wrong(fields) {
                return Err(Error::usage(format!("{name}: the record {index}: {wrong}")));
            }
            serde_path_to_error::deserialize(record).map_err(|error| {
                let at = error.path().to_string();
                let at = if at == "." { String::new() } else { format!("{at}: ") };
                let why = plainly(&error.inner().to_string());
                Error::usage(format!("{name}: the record {index}: {at}{why}"))
            })
        };
        (1..).zip(list).map(record).collect()
    }
}

impl InRoom for UpsertTableArgs {
    type Asked = UpsertTable;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<UpsertTable> {
        let records: Vec<Map<String, Value>> = self.records.read_checked(|_| None)?;
        let (name, namespace) = self.memory.told();
        let (table, merge) = (self.table.clone(), self.merge.is_wanted());
        Ok(UpsertTable { name, namespace, table, records, merge })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        let (table, name) = (&self.table, &self.memory.name);
        output::note(&format!("put the records into the table {table} of the memory {name}"));
        Ok(ExitCode::SUCCESS)
    }
}

impl InRoom for UpsertNodesArgs {
    type Asked = UpsertNodes;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<UpsertNodes> {
        let records: Vec<Entity> = self.records.read_known()?;
        let (name, namespace) = self.memory.told();
        Ok(UpsertNodes { name, namespace, records, merge: self.merge.is_wanted() })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        output::note(&format!("put the entities into the memory {}", self.memory.name));
        Ok(ExitCode::SUCCESS)
    }
}

impl InRoom for UpsertRelationshipsArgs {
    type Asked = UpsertRelationships;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<UpsertRelationships> {
        let records: Vec<Relationship> = self.records.read_known()?;
        let (name, namespace) = self.memory.told();
        Ok(UpsertRelationships { name, namespace, records, merge: self.merge.is_wanted() })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        output::note(&format!("put the relationships into the memory {}", self.memory.name));
        Ok(ExitCode::SUCCESS)
    }
}

impl InRoom for DeleteRelationshipsArgs {
    type Asked = DeleteRelationships;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<DeleteRelationships> {
        let relationships: Vec<Selector> = self.records.read_known()?;
        let (name, namespace) = self.memory.told();
        Ok(DeleteRelationships { name, namespace, relationships })
    }

    fn show(&self, answer: RelationshipsDeleted) -> Result<ExitCode> {
        self.pretty.print(&answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: DeserializeOwned + Fields>(text: &str) -> Result<Vec<T>> {
        RecordsArgs { records_json: vec![text.to_owned()], records_file: Vec::new() }.read_known()
    }

    #[test]
    fn records_are_checked_before_anything_is_sent() {
        let entities: Vec<Entity> = read(r#"[{"name": "Ada", "context": "x"}]"#).unwrap();
        assert_eq!(entities[0].name, "Ada");
        for (text, why) in [
            ("{}", "--records-json is not a JSON list of objects"),
            ("[1]", "--records-json: the record 1 is not an object"),
            (
                r#"[{"name": "a", "contxt": "x"}]"#,
                "the record 1: there is no field \"contxt\"; did you mean context?",
            ),
            (r#"[{"name": "a"}, {}]"#, "--records-json: the record 2: missing field `name`"),
            (
                r#"[{"name": "a", "metadata": {"k": 1}}]"#,
                "the record 1: metadata.k: it must be a text",
            ),
            (
                r#"[{"name": "a", "confidence": "x"}]"#,
                "the record 1: confidence: it must be a number",
            ),
        ] {
            let told = read::<Entity>(text).unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
        }
    }
}
