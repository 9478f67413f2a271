//! `room database install`: the tables that a file asks for, as agents make them when they start
//! (public package `meshagent-agents` 0.31.4).

use std::process::ExitCode;

use clap::ValueHint;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::tables::{make, of_object};
use crate::commands::room::given::Given;
use crate::commands::room::{RoomArgs, ask, refused};
use crate::decoding::plainly;
use crate::error::{Error, Result, with_causes};
use crate::output;
use crate::room::client::Room;
use crate::room::database::{
    CreateFullTextSearchIndex, CreateScalarIndex, CreateTable, CreateVectorIndex, Index,
    ListIndexes, ListTables, Mode, Namespace, NewIndex, Optimize, RowStream,
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
#[derive(Debug, Deserialize)]
struct Requirements {
    tables: Vec<Required>,
}

/// A table that a file asks for.
#[derive(Debug, Deserialize)]
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

/// Reads what a file asks for.
fn requirements(name: &str, told: Value) -> Result<Requirements> {
    let read: Result<Requirements, _> = serde_path_to_error::deserialize(told);
    read.map_err(|error| {
        let at = error.path().to_string();
        let at = if at == "." { String::new() } else { format!("{at}: ") };
        let why = plainly(&error.inner().to_string());
        Error::usage(format!("{name} does not ask for tables: {at}{why}"))
            .hint("`meshagent room database install --help` shows what such a file looks like")
    })
}

/// Runs `room database install`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn run(args: &InstallArgs) -> Result<ExitCode> {
    let given = Given { inline: ("--file", None), place: args.file.as_deref() };
    let told = given.parsed().await?.unwrap_or_default();
    let requirements = requirements(&given.name(), told)?;
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
    let (table, namespace) = (&required.table, &required.namespace);
    let known = ask(room, &ListTables { namespace: namespace.clone() }).await?.tables;
    make(room, asked).await.map_err(|why| refused(room, CreateTable::NAME, &why))?;
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
    let mut made = Vec::new();
    for index in missing(&required.vector_indexes) {
        let column = index.column.clone();
        made.extend(tell(table, column, ask(room, &CreateVectorIndex(index)).await));
    }
    for index in missing(&required.full_text_search_indexes) {
        let column = index.column.clone();
        made.extend(tell(table, column, ask(room, &CreateFullTextSearchIndex(index)).await));
    }
    for index in missing(&required.scalar_indexes) {
        let column = index.column.clone();
        made.extend(tell(table, column, ask(room, &CreateScalarIndex(index)).await));
    }
    ask(room, &Optimize { table: table.clone(), namespace: namespace.clone() }).await?;
    let within = namespace.iter().flatten().map(|it| format!("{it}/")).collect::<String>();
    output::note(&done(&format!("{within}{table}"), known.contains(table), &made));
    Ok(())
}

/// What was done for a table.
fn done(table: &str, was_there: bool, indexed: &[String]) -> String {
    let indexed = indexed.join(", ");
    match (was_there, indexed.is_empty()) {
        (false, true) => format!("created the table {table}"),
        (false, false) => format!("created the table {table} with an index of {indexed}"),
        (true, true) => format!("left the table {table} as it is"),
        (true, false) => format!("gave the table {table} an index of {indexed}"),
    }
}

/// The column, if its index was made; warns if it was not.
fn tell(table: &str, column: String, made: Result<()>) -> Option<String> {
    match made {
        Ok(()) => Some(column),
        Err(error) => {
            let why = with_causes(&error);
            output::warning(&format!("the column {column} of {table} got no index: {why}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_that_asks_for_no_tables_is_told_with_the_place() {
        for (file, why) in [
            (json!([]), "x does not ask for tables: it must be a map of fields"),
            (json!({"tables": ["a"]}), "x does not ask for tables: tables[0]: it must be a map"),
            (json!({"tables": [{"table": "a"}]}), "tables[0]: missing field `schema`"),
            (json!({"tables": {}}), "tables: it must be a list"),
        ] {
            let told = requirements("x", file).unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn a_table_that_was_there_is_not_said_to_be_created() {
        let columns = ["a".to_owned(), "b".to_owned()];
        for (was_there, columns, told) in [
            (false, &[][..], "created the table t"),
            (false, &columns, "created the table t with an index of a, b"),
            (true, &[], "left the table t as it is"),
            (true, &columns, "gave the table t an index of a, b"),
        ] {
            assert_eq!(done("t", was_there, columns), told);
        }
    }
}
