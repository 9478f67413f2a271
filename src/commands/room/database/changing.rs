//! Rows that are inserted, merged, updated and deleted.

use std::process::ExitCode;

use clap::ValueHint;
use serde_json::{Map, Value};

use super::TableArgs;
use super::source::{Form, Source};
use super::tables::{columns_of, not_written, rows_of};
use crate::commands::option_values;
use crate::commands::room::given::once;
use crate::commands::room::{InRoom, RoomArgs};
use crate::error::{Class, Error, Result};
use crate::output;
use crate::room::client::Room;
use crate::room::database::{
    Changed, Delete, Insert, Merge, RowStream, SetExpression, SetValue, Update,
};

/// Records.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct RecordsArgs {
    /// The rows: a JSON list of objects
    #[arg(long, value_name = "JSON")]
    json: Vec<String>,
    /// A file or URL with the rows: JSON, JSON lines, CSV, TSV, Arrow or Parquet; `-` is standard input
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    file: Vec<String>,
}

/// How the rows of a file are written.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct FormatArgs {
    /// How the rows of the file are written [default: as its first bytes or the ending of its name say, else json]
    #[arg(long, value_enum, value_name = "FORMAT", requires = "file")]
    format: Option<Form>,
}

/// Arguments of `room database insert`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room database insert --room lobby -t people --json '[{\"id\": 1, \"name\": \"Ada\"}]'\n  meshagent room database insert --room lobby -t people --file people.csv\n  meshagent room database insert --room lobby -t people --file people.parquet\n  sqlite3 -csv -header old.db 'select * from people' | meshagent room database insert --room lobby -t people --file - --format csv\n\nA file may have any size; it is sent while it is read. Bytes are {\"encoding\": \"base64\", \"data\": \"…\"}\nin JSON, and base64 in CSV. The first line of CSV names the columns. Of Arrow, streams and files are read,\nand of Parquet, files. If a row is wrong, none is inserted."
)]
pub struct InsertArgs {
    #[command(flatten)]
    table: TableArgs,
    #[command(flatten)]
    records: RecordsArgs,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room database merge`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room database merge --room lobby -t people --on id --file people.jsonl"
)]
pub struct MergeArgs {
    #[command(flatten)]
    table: TableArgs,
    /// The column whose values say which rows are the same
    #[arg(long, value_name = "COLUMN")]
    on: String,
    #[command(flatten)]
    records: RecordsArgs,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room database update`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room database update --room lobby -t people --where 'id = 1' --values-json '{\"name\": \"Ada\"}'\n  meshagent room database update --room lobby -t people --where 'id > 9' --values-sql-json '{\"id\": \"id + 1\"}'",
    group(clap::ArgGroup::new("what").required(true).multiple(true).args(["values_json", "values_sql_json"]))
)]
pub struct UpdateArgs {
    #[command(flatten)]
    table: TableArgs,
    /// Which rows: a condition in SQL
    #[arg(long = "where", value_name = "CONDITION")]
    condition: String,
    /// An object of values that columns get
    #[arg(long, value_name = "JSON")]
    values_json: Option<String>,
    /// An object of expressions in SQL whose values columns get
    #[arg(long, value_name = "JSON")]
    values_sql_json: Option<String>,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room database delete`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room database delete --room lobby -t people --where \"name = 'Ada'\""
)]
pub struct DeleteArgs {
    #[command(flatten)]
    table: TableArgs,
    /// Which rows: a condition in SQL
    #[arg(long = "where", value_name = "CONDITION")]
    condition: String,
    #[command(flatten)]
    at: RoomArgs,
}

impl RecordsArgs {
    /// Where the records come from, which is open.
    async fn source(&self, format: FormatArgs) -> Result<Source> {
        match (once("--json", &self.json)?, once("--file", &self.file)?) {
            (Some(text), _) => Source::inline("--json", text),
            (None, Some(place)) => Source::at(place, format.format).await,
            (None, None) => Err(Error::usage("there are no rows").hint("give --json or --file")),
        }
    }
}

/// Writes records to a table that is there; how many they were, with their noun. What is said if
/// they cannot be written comes last.
async fn write<S: RowStream>(
    (at, table): (&RoomArgs, &TableArgs),
    (records, format): (&RecordsArgs, FormatArgs),
    start: &S,
    nothing: &str,
) -> Result<String> {
    let source = records.source(format).await?;
    at.with(async |room: &Room| {
        let columns = match source.needs_columns() {
            true => columns_of(room, table).await?,
            false => Vec::new(),
        };
        let mut rows = source.rows(columns);
        let written = room.write_rows(start, &mut rows).await;
        written.map_err(|why| not_written::<S>(room, why, &rows, nothing))
    })
    .await
    .map(rows_of)
}

/// Runs `room database insert`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn insert(args: &InsertArgs) -> Result<ExitCode> {
    let TableArgs { table, place } = &args.table;
    let start = Insert { table: table.clone(), namespace: place.namespace() };
    let records = (&args.records, args.format);
    let rows = write((&args.at, &args.table), records, &start, "no row was inserted").await?;
    output::note(&format!("inserted {rows} into the table {table}"));
    Ok(ExitCode::SUCCESS)
}

/// Runs `room database merge`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn merge(args: &MergeArgs) -> Result<ExitCode> {
    let TableArgs { table, place } = &args.table;
    let start = Merge { table: table.clone(), on: args.on.clone(), namespace: place.namespace() };
    let records = (&args.records, args.format);
    let rows = write((&args.at, &args.table), records, &start, "no row was merged").await?;
    output::note(&format!("merged {rows} into the table {table} on {}", args.on));
    Ok(ExitCode::SUCCESS)
}

/// The object of an option, if it is given.
fn object(option: &str, text: Option<&str>) -> Result<Option<Map<String, Value>>> {
    match option_values::json(option, text, Class::Usage)? {
        None => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(Error::usage(format!("{option} is not a JSON object"))),
    }
}

impl InRoom for UpdateArgs {
    type Asked = Update;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Update> {
        let value =
            |(column, value): (String, Value)| SetValue { column, value_json: value.to_string() };
        let expression = |(column, value): (String, Value)| match value {
            Value::String(expression) => Ok(SetExpression { column, expression }),
            _ => Err(Error::usage(format!(
                "--values-sql-json: the expression for {column:?} is not a text"
            ))),
        };
        let values = object("--values-json", self.values_json.as_deref())?;
        let expressions = object("--values-sql-json", self.values_sql_json.as_deref())?;
        let expressions = expressions.map(|it| it.into_iter().map(expression).collect());
        let TableArgs { table, place } = &self.table;
        Ok(Update {
            table: table.clone(),
            r#where: self.condition.clone(),
            values: values.map(|it| it.into_iter().map(value).collect()),
            values_sql: expressions.transpose()?,
            namespace: place.namespace(),
        })
    }

    fn show(&self, Changed { count }: Changed) -> Result<ExitCode> {
        let (table, condition) = (&self.table.table, &self.condition);
        output::note(&match count {
            Some(count) => {
                format!("updated {} of the table {table} where {condition}", rows_of(count))
            }
            None => format!("updated the table {table} where {condition}"),
        });
        Ok(ExitCode::SUCCESS)
    }
}

impl InRoom for DeleteArgs {
    type Asked = Delete;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Delete> {
        let TableArgs { table, place } = &self.table;
        Ok(Delete {
            table: table.clone(),
            r#where: self.condition.clone(),
            namespace: place.namespace(),
        })
    }

    fn show(&self, Changed { count }: Changed) -> Result<ExitCode> {
        let (table, condition) = (&self.table.table, &self.condition);
        output::note(&match count {
            Some(count) => {
                format!("deleted {} from the table {table} where {condition}", rows_of(count))
            }
            None => format!("deleted from the table {table} where {condition}"),
        });
        Ok(ExitCode::SUCCESS)
    }
}
