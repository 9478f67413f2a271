//! Rows that are searched and selected.

use std::borrow::Cow;
use std::process::ExitCode;

use clap::ValueHint;
use meshagent_tables::quoted;
use serde::Deserialize;
use serde_json::Value;

use super::TableArgs;
use super::planned::Planned;
use super::printed::{Printer, PrintingArgs};
use crate::commands::option_values;
use crate::commands::room::given::{Given, one_reads_input};
use crate::commands::room::place::PlaceArgs;
use crate::commands::room::{RoomArgs, refused};
use crate::decoding::plainly;
use crate::error::{Class, Error, Result};
use crate::output;
use crate::room::client::Room;
use crate::room::database::{Namespace, RowStream, Search, Sql, SqlTable};

/// Arguments of `room database search`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room database search --room lobby -t people --where 'id < 100' --select name --limit 10\n  meshagent room database search --room lobby -t people --where-json '{\"name\": \"Ada\"}'\n  meshagent room database search --room lobby -t notes --text 'green tea' -o json | jq .[0]\n  meshagent room database search --room lobby -t faces --vector-json '[0.1, 0.2, 0.3]' --limit 3\n\nRows are printed as they come. If the room fails after some of them, neither JSON nor Arrow is ended, and\nthe exit code is 1."
)]
pub struct SearchArgs {
    #[command(flatten)]
    table: TableArgs,
    /// Words that are looked for; the table needs an index for them
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Numbers to which rows are near: a JSON array
    #[arg(long, value_name = "JSON")]
    vector_json: Option<String>,
    /// A condition in SQL
    #[arg(long = "where", value_name = "CONDITION", conflicts_with = "where_json")]
    condition: Option<String>,
    /// A JSON object with the values that columns must have; its keys are names of columns
    #[arg(long, value_name = "JSON")]
    where_json: Option<String>,
    /// A column that is printed; may be repeated; without it, all are
    #[arg(long, value_name = "COLUMN")]
    select: Vec<String>,
    /// The most rows that are printed
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// How many rows are left out at the beginning
    #[arg(long, value_name = "COUNT")]
    offset: Option<u64>,
    #[command(flatten)]
    printing: PrintingArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room database sql`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room database sql --room lobby -t people -q 'select name from people order by born'\n  meshagent room database sql --room lobby -t people -q 'select * from people where id = $id' --params-json '{\"id\": 1}'\n  meshagent room database sql --room lobby --tables-json '[{\"name\": \"people\", \"alias\": \"p\", \"namespace\": [\"old\"]}]' -q 'select count(*) as n from p' -o csv\n  meshagent room database sql --room lobby -t people -q 'select * from people' -o arrow > people.arrows\n\nA statement reads the tables that are named, and no others. It cannot change anything.",
    group(clap::ArgGroup::new("tables").required(true).multiple(true).args(["table", "tables_json", "tables_file"]))
)]
pub struct SqlArgs {
    /// The statement
    #[arg(short, long, value_name = "SQL")]
    query: String,
    /// A table that it reads; may be repeated
    #[arg(short, long, value_name = "TABLE")]
    table: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Tables that it reads: a JSON list of objects with `name`, and maybe `alias` and `namespace`
    #[arg(long, value_name = "JSON", conflicts_with = "tables_file")]
    tables_json: Option<String>,
    /// A file or URL with such a list; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    tables_file: Option<String>,
    /// Values for `$name` in the statement: a JSON object
    #[arg(long, value_name = "JSON", conflicts_with = "params_file")]
    params_json: Option<String>,
    /// A file or URL with such an object; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    params_file: Option<String>,
    #[command(flatten)]
    printing: PrintingArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Words that mean something else in a condition than a column of this name.
const WORDS: [&str; 46] = [
    "all",
    "and",
    "any",
    "array",
    "as",
    "between",
    "box",
    "case",
    "cast",
    "ceil",
    "circle",
    "convert",
    "current_catalog",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_user",
    "exists",
    "extract",
    "false",
    "floor",
    "from",
    "in",
    "interval",
    "is",
    "lambda",
    "like",
    "localtime",
    "localtimestamp",
    "match",
    "not",
    "null",
    "or",
    "overlay",
    "position",
    "safe_cast",
    "select",
    "session_user",
    "struct",
    "substring",
    "trim",
    "true",
    "try_cast",
    "user",
    "where",
    "with",
];

/// A column as a condition names it. A plain name is bare, as the public SDK 0.31.4 sends it; anything
/// else in backticks, so that it is one name and nothing but a name.
fn named(column: &str) -> Cow<'_, str> {
    let begins = column.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
    let is_plain = begins && column.chars().all(|it| it.is_ascii_alphanumeric() || it == '_');
    match is_plain && !WORDS.contains(&column.to_ascii_lowercase().as_str()) {
        true => Cow::Borrowed(column),
        false => Cow::Owned(quoted::name(column)),
    }
}

/// The values that columns must have, as a condition.
fn condition(text: Option<&str>) -> Result<Option<String>> {
    let option = "--where-json";
    let Some(told) = option_values::json(option, text, Class::Usage)? else { return Ok(None) };
    let Value::Object(object) = told else {
        return Err(Error::usage(format!("{option} is not a JSON object")));
    };
    let term = |(column, value): (&String, &Value)| {
        let name = named(column);
        Ok(match value {
            // Nothing is equal to null.
            Value::Null => format!("{name} IS NULL"),
            Value::Bool(_) | Value::Number(_) => format!("{name} = {value}"),
            Value::String(text) => format!("{name} = {}", quoted::text(text)),
            Value::Array(_) | Value::Object(_) => {
                let what = format!("{option}: {column:?} cannot be compared with a list or object");
                return Err(Error::usage(what).hint("write a condition with --where"));
            }
        })
    };
    let terms = object.iter().map(term).collect::<Result<Vec<_>>>()?;
    Ok(Some(terms.join(" AND ")).filter(|condition| !condition.is_empty()))
}

/// Prints the rows that a room gives; these columns are known before there are any.
async fn print<S: RowStream + Planned>(
    at: &RoomArgs,
    start: &S,
    (printing, columns): (PrintingArgs, &[String]),
) -> Result<ExitCode> {
    printing.check()?;
    at.with(async |room: &Room| {
        let failed = |why| refused(room, S::NAME, &why);
        let planned = match printing.needs_types() {
            true => start.columns(room).await,
            false => Vec::new(),
        };
        let mut rows = room.read_rows(start).await.map_err(failed)?;
        let mut printer = Printer::new(printing, columns.to_vec(), planned);
        loop {
            match rows.next().await {
                Ok(Some(batch)) => printer.take(batch)?,
                Ok(None) => break,
                Err(why) => {
                    printer.give_up()?;
                    return Err(failed(why));
                }
            }
            output::check()?;
            // Whoever closes the pipe has seen enough.
            if output::is_unread() {
                return Ok(());
            }
        }
        printer.end()
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `room database search`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn search(args: &SearchArgs) -> Result<ExitCode> {
    let option = "--vector-json";
    let vector = option_values::json(option, args.vector_json.as_deref(), Class::Usage)?;
    let vector = vector.map(Vec::<f64>::deserialize).transpose();
    let vector =
        vector.map_err(|_| Error::usage(format!("{option} is not a JSON array of numbers")))?;
    let condition = match &args.condition {
        Some(condition) => Some(condition.clone()),
        None => condition(args.where_json.as_deref())?,
    };
    let TableArgs { table, place } = &args.table;
    let start = Search {
        table: table.clone(),
        text: args.text.clone(),
        vector,
        text_columns: None,
        r#where: condition,
        offset: args.offset,
        limit: args.limit,
        select: Some(args.select.clone()).filter(|columns| !columns.is_empty()),
        namespace: place.namespace(),
    };
    let printed = print(&args.at, &start, (args.printing, &args.select)).await;
    let several = args.select.iter().any(|column| column.contains(','));
    printed.map_err(|error| match several && error.hint.is_none() {
        true => error.hint("--select takes one column; repeat it for several"),
        false => error,
    })
}

/// Reads a list of tables; those without a namespace are in this one.
fn tables_of(name: &str, told: Value, namespace: &Namespace) -> Result<Vec<SqlTable>> {
    let Value::Array(list) = told else {
        return Err(Error::usage(format!("{name} is not a JSON array")));
    };
    let table = |told: Value| {
        let is_placed = told.get("namespace").is_some();
        let read = SqlTable::deserialize(told);
        let table = read.map_err(|error| {
            Error::usage(format!("{name}: a table: {}", plainly(&error.to_string())))
                .hint("for example '[{\"name\": \"people\", \"alias\": \"p\"}]'")
        })?;
        let namespace = if is_placed { table.namespace } else { namespace.clone() };
        Ok(SqlTable { namespace, ..table })
    };
    list.into_iter().map(table).collect()
}

/// Runs `room database sql`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn sql(args: &SqlArgs) -> Result<ExitCode> {
    if args.query.trim().is_empty() {
        return Err(Error::usage("--query is empty"));
    }
    one_reads_input(&[
        ("--tables-file", args.tables_file.as_deref()),
        ("--params-file", args.params_file.as_deref()),
    ])?;
    let namespace = args.place.namespace();
    let named =
        |name: &String| SqlTable { name: name.clone(), namespace: namespace.clone(), alias: None };
    let mut tables: Vec<SqlTable> = args.table.iter().map(named).collect();
    let more = Given {
        inline: ("--tables-json", args.tables_json.as_deref()),
        place: args.tables_file.as_deref(),
    };
    if let Some(told) = more.parsed().await? {
        tables.extend(tables_of(&more.name(), told, &namespace)?);
    }
    if tables.is_empty() {
        return Err(Error::usage("there is no table that the statement may read"));
    }
    let params = Given {
        inline: ("--params-json", args.params_json.as_deref()),
        place: args.params_file.as_deref(),
    };
    let params = params.object().await?;
    let start = Sql {
        query: args.query.clone(),
        tables,
        params_json: params.map(|params| Value::Object(params).to_string()),
    };
    print(&args.at, &start, (args.printing, &[])).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_become_a_condition() {
        for (object, expected) in [
            (r#"{"a": "it's \"ü\"", "b": 1}"#, Some(r#"a = 'it''s "ü"' AND b = 1"#)),
            (
                r#"{"a": null, "_B2": true, "c.d": 1.5}"#,
                Some("a IS NULL AND _B2 = true AND `c.d` = 1.5"),
            ),
            (r#"{"1=1 or id": 5}"#, Some("`1=1 or id` = 5")),
            (r#"{"my col": null, "ü": 1}"#, Some("`my col` IS NULL AND `ü` = 1")),
            (r#"{"a` = 1 or `id": 5}"#, Some("`a`` = 1 or ``id` = 5")),
            (
                r#"{"True": true, "user": "x", "": 1}"#,
                Some("`True` = true AND `user` = 'x' AND `` = 1"),
            ),
            ("{}", None),
        ] {
            assert_eq!(condition(Some(object)).unwrap().as_deref(), expected);
        }
        assert_eq!(condition(None).unwrap(), None);
        for odd in ["[]", "{", r#"{"a": [1]}"#, r#"{"a": {}}"#] {
            assert!(condition(Some(odd)).is_err(), "{odd}");
        }
    }

    #[test]
    fn tables_have_the_namespace_that_is_given_unless_they_say_another() {
        let here = Some(vec!["here".to_owned()]);
        let told = json!([
            {"name": "a"},
            {"name": "b", "namespace": null, "alias": "x"},
            {"name": "c", "namespace": ["there"]},
        ]);
        let tables = tables_of("x", told, &here).unwrap();
        let namespaces: Vec<_> = tables.iter().map(|table| table.namespace.clone()).collect();
        assert_eq!(namespaces, [here.clone(), None, Some(vec!["there".to_owned()])]);
        assert_eq!(tables[1].alias.as_deref(), Some("x"));
        assert!(tables_of("x", json!([{}]), &here).is_err());
        let told = tables_of("x", json!(["a"]), &here).unwrap_err().to_string();
        assert_eq!(told, "x: a table: it must be a map of fields");
        assert!(tables_of("x", json!({}), &here).is_err());
    }
}
