//! `room database install`: the tables that a file asks for, as agents make them when they start
//! (public package `meshagent-agents` 0.31.4).

use std::process::ExitCode;

use clap::ValueHint;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::tables::{make, of_object};
use crate::commands::room::given::Given;
use crate::commands::room::{RoomArgs, ask, refused};
use crate::error::{Error, Result, with_causes};
use crate::output;
use crate::room::client::Room;
use crate::room::database::{
    CreateFullTextSearchIndex, CreateScalarIndex, CreateTable, CreateVectorIndex, Index,
    ListIndexes, Mode, Namespace, NewIndex, Optimize, RowStream,
};

/// Arguments of `room database install`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room database install --room lobby --file tables.json\n\nThe file asks for tables with their indexes:\n  {\"tables\": [{\"table\": \"notes\", \"schema\": {\"text\": {\"type\": \"text\"}},\n    \"namespace\": null, \"full_text_search_indexes\": [\"text\"], \"scalar_indexes\": [], \"vector_indexes\": []}]}\nTables and indexes that are there stay as they are. An index that cannot be made is a warning.",
    group(clap::ArgGroup::new("what").required(true).args(["file"]))
)]
pub struct InstallArgs {
    /// The file, or a URL; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    file: Option<String>,
    #[command(flatten)]
    at: RoomArgs,
}

/// What a file asks for.
#[derive(Deserialize)]
struct Requirements {
    tables: Vec<Required>,
}

/// A table that a file asks for.
#[derive(Deserialize)]
struct Required {
    table: String,
    schema: Map<String, Value>,
    #[serde(default)]
    namespace: Namespace,
    #[serde(default)]
    vector_indexes: Option<Vec<String>>,
    #[serde(default)]
    full_text_search_indexes: Option<Vec<String>>,
    #[serde(default)]
    scalar_indexes: Option<Vec<String>>,
}

/// Runs `room database install`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn run(args: &InstallArgs) -> Result<ExitCode> {
    let given = Given { inline: ("--file", None), place: args.file.as_deref() };
    let told = given.parsed().await?.unwrap_or_default();
    let wrong = |why: &dyn std::fmt::Display| {
        Error::usage(format!("{} does not ask for tables: {why}", given.name()))
    };
    let requirements = Requirements::deserialize(told).map_err(|error| wrong(&error))?;
    let table = |required: Required| {
        let name = format!("{}: the table {:?}", given.name(), required.table);
        let fields = of_object(&name, &required.schema)?;
        let asked = CreateTable {
            name: required.table.clone(),
            fields: Some(fields),
            mode: Mode::CreateIfNotExists,
            namespace: required.namespace.clone(),
            metadata: None,
        };
        Ok((asked, required))
    };
    let tables = requirements.tables.into_iter().map(table).collect::<Result<Vec<_>>>()?;
    args.at
        .with(async |room: &Room| {
            for (asked, required) in &tables {
                install(room, asked, required).await?;
            }
            Ok(())
        })
        .await?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a table, and the indexes that it has not got.
async fn install(room: &Room, asked: &CreateTable, required: &Required) -> Result<()> {
    make(room, asked).await.map_err(|why| refused(room, CreateTable::NAME, &why))?;
    let (table, namespace) = (&required.table, &required.namespace);
    let listed = ListIndexes { table: table.clone(), namespace: namespace.clone() };
    let there = ask(room, &listed).await?.indexes;
    let missing = |columns: &Option<Vec<String>>| {
        let is_there = |column: &String| there.iter().any(|it: &Index| it.columns.contains(column));
        let columns = columns.iter().flatten().filter(|column| !is_there(column));
        let index = |column: &String| NewIndex {
            table: table.clone(),
            column: column.clone(),
            replace: Some(true),
            namespace: namespace.clone(),
        };
        columns.map(index).collect::<Vec<_>>()
    };
    for index in missing(&required.vector_indexes) {
        let column = index.column.clone();
        tell(table, &column, ask(room, &CreateVectorIndex(index)).await);
    }
    for index in missing(&required.full_text_search_indexes) {
        let column = index.column.clone();
        tell(table, &column, ask(room, &CreateFullTextSearchIndex(index)).await);
    }
    for index in missing(&required.scalar_indexes) {
        let column = index.column.clone();
        tell(table, &column, ask(room, &CreateScalarIndex(index)).await);
    }
    ask(room, &Optimize { table: table.clone(), namespace: namespace.clone() }).await?;
    let within = namespace.iter().flatten().map(|it| format!("{it}/")).collect::<String>();
    output::note(&format!("there is a table {within}{table}"));
    Ok(())
}

/// Warns of an index that was not made.
fn tell(table: &str, column: &str, made: Result<()>) {
    if let Err(error) = made {
        let why = with_causes(&error);
        output::warning(&format!("the column {column} of {table} got no index: {why}"));
    }
}
