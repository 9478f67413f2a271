//! Tables and their columns.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::ValueHint;
use futures_util::stream;
use meshagent_tables::value::Row;
use meshagent_tables::{DataType, Field, Kind, columns};
use serde_json::{Map, Value, json};

use super::TableArgs;
use super::source::{Form, Rows, Source};
use crate::commands::option_values;
use crate::commands::room::given::{Given, once, one_reads_input};
use crate::commands::room::place::PlaceArgs;
use crate::commands::room::{InRoom, RoomArgs, is_too_large, refused};
use crate::decoding::plainly;
use crate::error::{Class, Error, Result};
use crate::listed::counted;
use crate::output;
use crate::room::client::Room;
use crate::room::content::Refused;
use crate::room::database::{
    AddColumns, CreateTable, DropColumns, DropTable, Inspect, ListTables, Mode, NewColumn,
    NotWritten, RowStream, Schema, Tables,
};

/// Columns as they are written on a command line.
const COLUMNS: &str = "Columns are names with types, between commas, such as\n  id int not null, name text, tags list(text), at timestamp, face vector(3), of struct(a int, b text)\nTypes are int, bool, date, timestamp, float, text, binary, vector(SIZE[, TYPE]), list(TYPE) and\nstruct(NAME TYPE, …). `null` or `not null` may follow.\nA name with other signs than letters, digits and _ is in backticks, as in `born in` date.";

/// Arguments of `room database table`.
#[derive(Debug, clap::Args)]
pub struct TablesArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room database inspect`.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    #[command(flatten)]
    table: TableArgs,
    /// Print the types as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room database create`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = format!("Examples:\n  meshagent room database create --room lobby -t people -c 'id int not null, name text'\n  meshagent room database create --room lobby -t people --data-json '[{{\"id\": 1, \"name\": \"Ada\"}}]'\n  meshagent room database create --room lobby -t people -c 'id int, name text' --data-file people.csv\n\n{COLUMNS}\n\nWithout columns, those of rows in JSON, Arrow or Parquet are taken. CSV and TSV need columns: their cells\nare texts, which do not say what types they are. Files may have any size.")
)]
pub struct CreateArgs {
    #[command(flatten)]
    table: TableArgs,
    /// What is done if there is such a table already
    #[arg(long, value_enum, default_value = "create")]
    mode: Mode,
    /// The columns
    #[arg(short, long, value_name = "COLUMNS", conflicts_with_all = ["schema_json", "schema_file"])]
    columns: Option<String>,
    /// The columns as JSON: an object of their types
    #[arg(long, value_name = "JSON", conflicts_with = "schema_file")]
    schema_json: Option<String>,
    /// A file or URL with the columns as JSON; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    schema_file: Option<String>,
    /// The rows: a JSON list of objects
    #[arg(long, value_name = "JSON", conflicts_with = "data_file")]
    data_json: Vec<String>,
    /// A file or URL with the rows; `-` is standard input; CSV and TSV need --columns
    #[arg(long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    data_file: Vec<String>,
    /// How the rows of the file are written [default: as its first bytes or the ending of its name say, else json]
    #[arg(long, value_enum, value_name = "FORMAT", requires = "data_file")]
    format: Option<Form>,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room database drop`.
#[derive(Debug, clap::Args)]
pub struct DropArgs {
    #[command(flatten)]
    table: TableArgs,
    /// End with 0 if there is no such table
    #[arg(long)]
    ignore_missing: bool,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room database add-columns`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = format!("Examples:\n  meshagent room database add-columns --room lobby -t people -c 'born date, tags list(text)'\n  meshagent room database add-columns --room lobby -t people --columns-json '{{\"initial\": \"substr(name, 1, 1)\"}}'\n\n{COLUMNS}"),
    group(clap::ArgGroup::new("what").required(true).args(["columns", "columns_json"]))
)]
pub struct AddColumnsArgs {
    #[command(flatten)]
    table: TableArgs,
    /// The columns; they are null in all rows
    #[arg(short, long, value_name = "COLUMNS")]
    columns: Option<String>,
    /// An object of the columns: a type as JSON, or an expression in SQL for what is in them
    #[arg(long, value_name = "JSON")]
    columns_json: Option<String>,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room database drop-columns`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["columns"])))]
pub struct DropColumnsArgs {
    #[command(flatten)]
    table: TableArgs,
    /// A column; may be repeated
    #[arg(short = 'c', long = "column", value_name = "COLUMN")]
    columns: Vec<String>,
    #[command(flatten)]
    at: RoomArgs,
}

/// Reads columns of a command line.
fn of_line(text: &str) -> Result<Vec<Field>> {
    columns::parse(text).map_err(|why| Error::usage(format!("--columns cannot be read: {why}")))
}

/// Reads columns as an object of their types.
///
/// # Errors
///
/// What is no type.
pub fn of_object(name: &str, object: &Map<String, Value>) -> Result<Vec<Field>> {
    let field = |(column, told): (&String, &Value)| {
        let data_type = DataType::of_wire(told).map_err(|why| {
            no_type(name, column, &why, "a type is an object such as {\"type\": \"int\"}")
        })?;
        Ok(Field { name: column.clone(), data_type })
    };
    object.iter().map(field).collect()
}

/// The error for a column whose type cannot be read.
fn no_type(name: &str, column: &str, why: &str, hint: &str) -> Error {
    let why = plainly(why);
    Error::usage(format!("{name}: the column {column:?}: {why}")).hint(hint)
}

/// A type as it is shown: what is not said is left out, and the parts of a struct are an object.
fn shown(data_type: &DataType) -> Value {
    let pairs = data_type.metadata.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
    let mut told = json!({"type": data_type.to_wire()["type"]});
    if let Some(nullable) = data_type.nullable {
        told["nullable"] = nullable.into();
    }
    told["metadata"] = Value::Object(pairs.collect());
    match &data_type.kind {
        Kind::Vector { size, element } => {
            told["size"] = (*size).into();
            told["element_type"] = shown(element);
        }
        Kind::List(element) => told["element_type"] = shown(element),
        Kind::Struct(fields) => told["fields"] = all_shown(fields),
        _ => {}
    }
    told
}

/// Columns as an object of their types.
fn all_shown(fields: &[Field]) -> Value {
    fields.iter().map(|field| (field.name.clone(), shown(&field.data_type))).collect()
}

impl InRoom for TablesArgs {
    type Asked = ListTables;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<ListTables> {
        Ok(ListTables { namespace: self.place.namespace() })
    }

    fn show(&self, answer: Tables) -> Result<ExitCode> {
        match answer.tables.is_empty() {
            true => output::note("there are no tables"),
            false => answer.tables.iter().for_each(|name| output::value(name)),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl InRoom for InspectArgs {
    type Asked = Inspect;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Inspect> {
        let TableArgs { table, place } = &self.table;
        Ok(Inspect { table: table.clone(), namespace: place.namespace() })
    }

    fn show(&self, answer: Schema) -> Result<ExitCode> {
        if self.json {
            output::json(&all_shown(&answer.fields))?;
        } else {
            answer.fields.iter().for_each(|field| output::value(&columns::written(field)));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl InRoom for DropArgs {
    type Asked = DropTable;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<DropTable> {
        let TableArgs { table, place } = &self.table;
        Ok(DropTable {
            name: table.clone(),
            ignore_missing: self.ignore_missing,
            namespace: place.namespace(),
        })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        let table = &self.table.table;
        output::note(&match self.ignore_missing {
            true => format!("there is no table {table} any more"),
            false => format!("removed the table {table}"),
        });
        Ok(ExitCode::SUCCESS)
    }
}

impl AddColumnsArgs {
    fn new_columns(&self) -> Result<Vec<NewColumn>> {
        let typed = |Field { name, data_type }| NewColumn {
            name,
            value_sql: None,
            data_type: Some(data_type),
        };
        if let Some(text) = &self.columns {
            return Ok(of_line(text)?.into_iter().map(typed).collect());
        }
        let option = "--columns-json";
        let told = option_values::json(option, self.columns_json.as_deref(), Class::Usage)?;
        let Some(Value::Object(object)) = told else {
            return Err(Error::usage(format!("{option} is not a JSON object")));
        };
        let column = |(name, told): (String, Value)| match told {
            Value::String(expression) => {
                Ok(NewColumn { name, value_sql: Some(expression), data_type: None })
            }
            told => DataType::of_wire(&told)
                .map(|data_type| NewColumn {
                    name: name.clone(),
                    value_sql: None,
                    data_type: Some(data_type),
                })
                .map_err(|why| {
                    let hint = "a column is a type as JSON, or a text with an expression in SQL";
                    no_type(option, &name, &why, hint)
                }),
        };
        object.into_iter().map(column).collect()
    }
}

impl InRoom for AddColumnsArgs {
    type Asked = AddColumns;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<AddColumns> {
        let columns = self.new_columns()?;
        let TableArgs { table, place } = &self.table;
        Ok(AddColumns { table: table.clone(), columns, namespace: place.namespace() })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        output::note(&format!("added columns to the table {}", self.table.table));
        Ok(ExitCode::SUCCESS)
    }
}

impl InRoom for DropColumnsArgs {
    type Asked = DropColumns;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<DropColumns> {
        let TableArgs { table, place } = &self.table;
        let columns = self.columns.clone();
        Ok(DropColumns { table: table.clone(), columns, namespace: place.namespace() })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        output::note(&format!("removed columns of the table {}", self.table.table));
        Ok(ExitCode::SUCCESS)
    }
}

/// The error for rows that were not written; `nothing` says what is as it was.
pub fn not_written<S: RowStream>(
    room: &Room,
    why: NotWritten<Error>,
    rows: &Rows,
    nothing: &str,
) -> Error {
    match why {
        NotWritten::Here(error) => {
            let more = error.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
            error.hint(format!("{nothing}{more}"))
        }
        NotWritten::There(why) => {
            let error = refused(room, S::NAME, &why);
            // Only a row that is larger than a batch makes a message that is too large.
            let largest = rows.largest().filter(|_| is_too_large(room));
            match (largest, error.hint.as_ref()) {
                (Some(row), Some(hint)) => {
                    let hint = format!("{nothing}; {hint}");
                    error.saying(format!("{row} is too large for the room")).hint(hint)
                }
                _ => error,
            }
        }
    }
}

/// A number of rows, with the noun.
pub fn rows_of(count: u64) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), "row")
}

/// Creates a table without rows, or leaves it as it is.
///
/// # Errors
///
/// The room refuses.
pub async fn make(room: &Room, asked: &CreateTable) -> Result<(), Refused> {
    let none = stream::empty::<Result<Row, Infallible>>();
    match room.write_rows(asked, none).await {
        Ok(_) => Ok(()),
        Err(NotWritten::There(why)) => Err(why),
        Err(NotWritten::Here(never)) => match never {},
    }
}

/// Whether a table is there already. The room does not say so when it leaves one as it is; and if it
/// does not list tables to this participant, nothing is known of it.
async fn is_there(room: &Room, asked: &CreateTable) -> Option<bool> {
    if asked.mode != Mode::CreateIfNotExists {
        return Some(false);
    }
    let listed = room.perform(&ListTables { namespace: asked.namespace.clone() }).await;
    listed.ok().map(|listed| listed.tables.contains(&asked.name))
}

/// Runs `room database create`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn create(args: &CreateArgs) -> Result<ExitCode> {
    let data_file = once("--data-file", &args.data_file)?;
    one_reads_input(&[("--schema-file", args.schema_file.as_deref()), ("--data-file", data_file)])?;
    let schema = Given {
        inline: ("--schema-json", args.schema_json.as_deref()),
        place: args.schema_file.as_deref(),
    };
    let fields = match &args.columns {
        Some(text) => Some(of_line(text)?),
        None => match schema.object().await? {
            Some(object) => Some(of_object(&schema.name(), &object)?),
            None => None,
        },
    };
    let source = match (once("--data-json", &args.data_json)?, data_file) {
        (Some(text), _) => Some(Source::inline("--data-json", text)?),
        (None, Some(place)) => Some(Source::at(place, args.format).await?),
        (None, None) => None,
    };
    if fields.is_none() && source.as_ref().is_some_and(Source::needs_columns) {
        return Err(Error::usage("the cells of CSV and TSV do not say what types they are")
            .hint("give the columns with --columns, such as 'id int, name text'"));
    }
    // Rows in columns say what they are, also where all of them are null.
    let told = || source.as_ref().and_then(Source::columns).map(<[Field]>::to_vec);
    let fields = fields.or_else(told);
    let columns = fields.clone().unwrap_or_default();
    let TableArgs { table, place } = &args.table;
    let asked = CreateTable {
        name: table.clone(),
        fields,
        mode: args.mode,
        namespace: place.namespace(),
        metadata: None,
    };
    let (was_there, count) = args
        .at
        .with(async |room: &Room| {
            let was_there = is_there(room, &asked).await;
            let count = match source {
                None => {
                    let made = make(room, &asked).await;
                    made.map(|()| 0).map_err(|why| refused(room, CreateTable::NAME, &why))
                }
                Some(source) => {
                    let mut rows = source.rows(columns);
                    let written = room.write_rows(&asked, &mut rows).await;
                    let nothing = "nothing was created";
                    written.map_err(|why| not_written::<CreateTable>(room, why, &rows, nothing))
                }
            }?;
            Ok((was_there, count))
        })
        .await?;
    let mut told = match was_there {
        Some(true) => format!("the table {table} was there already, and stays as it was"),
        Some(false) => format!("created the table {table}"),
        None => format!("there is a table {table}"),
    };
    if count > 0 && was_there != Some(true) {
        // A text takes everything that is written to it.
        let (rows, were) = (rows_of(count), if count == 1 { "was" } else { "were" });
        let _ = write!(told, "; {rows} {were} sent for it");
    }
    output::note(&told);
    Ok(ExitCode::SUCCESS)
}

/// The columns of a table.
///
/// # Errors
///
/// The room refuses.
pub async fn columns_of(room: &Room, table: &TableArgs) -> Result<Vec<Field>> {
    let asked = Inspect { table: table.table.clone(), namespace: table.place.namespace() };
    Ok(crate::commands::room::ask(room, &asked).await?.fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_shown_as_they_are_given() {
        let object = json!({
            "a": {"type": "int", "nullable": false, "metadata": {"k": "v"}},
            "b": {"type": "vector", "metadata": {}, "size": 2,
                "element_type": {"type": "float", "metadata": {}}},
            "c": {"type": "struct", "metadata": {}, "fields": {
                "d": {"type": "list", "metadata": {}, "element_type": {"type": "text", "metadata": {}}},
            }},
        });
        let fields = of_object("x", object.as_object().unwrap()).unwrap();
        assert_eq!(all_shown(&fields), object);
        let odd = json!({"a": {"type": "money"}});
        let told = of_object("--schema-json", odd.as_object().unwrap()).unwrap_err();
        assert_eq!(told.to_string(), "--schema-json: the column \"a\": there is no type \"money\"");
        let text = json!({"a": "int"});
        let told = of_object("--schema-json", text.as_object().unwrap()).unwrap_err();
        assert_eq!(told.to_string(), "--schema-json: the column \"a\": it must be a map of fields");
    }
}
