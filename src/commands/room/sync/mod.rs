//! `room sync`: documents that several participants edit at once.
//!
//! | module | holds |
//! |---|---|
//! | `conversations` | the conversations of an export, as documents |
//! | `import` | `import threads` |

mod conversations;
mod import;

use std::cell::OnceCell;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueHint;
use fancy_regex::RegexBuilder;
use serde::Serialize;
use serde_json::Value;

use self::import::ImportCommand;
use super::{RoomArgs, refused};
use crate::bounded;
use crate::commands::group::Lenient;
use crate::commands::option_values;
use crate::decoding;
use crate::documents::edit::edit;
use crate::documents::grep::{Wanted, grep};
use crate::documents::replica::Replica;
use crate::documents::schema::Schema;
use crate::documents::shape::{self, ID};
use crate::error::{Class, Context, Error, Result};
use crate::output;
use crate::room::client::Room;
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::message::MAX_BYTES;
use crate::room::sync::{Create, Open, Opened};

/// The operations whose names errors give.
const OPEN: &str = "sync.open";
const CREATE: &str = "sync.create";
const DESCRIBE: &str = "sync.describe";

/// Commands of `room sync`.
#[derive(Debug, clap::Subcommand)]
pub enum SyncCommand {
    /// Print a document as JSON
    Show(ShowArgs),
    /// Print the elements of a document that match a pattern
    Grep(GrepArgs),
    /// Print the schema of a document
    Inspect(InspectArgs),
    /// Create a document
    Create(CreateArgs),
    /// Change a document with a JSON patch
    Update(UpdateArgs),
    /// Make documents of what other services export
    #[command(subcommand)]
    Import(Lenient<ImportCommand>),
}

/// How JSON is printed.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Printing {
    /// Print JSON on several lines, which is the default
    #[arg(long, overrides_with = "compact")]
    pretty: bool,
    /// Print JSON on one line
    #[arg(long)]
    compact: bool,
}

impl Printing {
    fn print(self, value: &impl Serialize) -> Result<ExitCode> {
        match self.compact {
            true => output::json_line(value)?,
            false => output::json(value)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Arguments of `room sync show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  meshagent room sync show --room lobby notes.document")]
pub struct ShowArgs {
    /// The document's path
    #[arg(value_name = "ROOM_PATH")]
    path: String,
    /// Print the ids of elements, too
    #[arg(long)]
    include_ids: bool,
    #[command(flatten)]
    printing: Printing,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room sync grep`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room sync grep --room lobby .threads/plan.thread --ignore-case deadline --after 1\n\nThe pattern is looked for in the tags of elements, and in the names and texts of their values."
)]
pub struct GrepArgs {
    /// The document's path
    #[arg(value_name = "ROOM_PATH")]
    path: String,
    /// The pattern, a regular expression as Python has them
    #[arg(value_name = "PATTERN", allow_hyphen_values = true)]
    pattern: String,
    /// Take upper and lower case for the same
    #[arg(long)]
    ignore_case: bool,
    /// Print so many elements before each that matches, too
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    before: usize,
    /// Print so many elements behind each that matches, too
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    after: usize,
    /// Print the ids of elements, too
    #[arg(long)]
    include_ids: bool,
    #[command(flatten)]
    printing: Printing,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room sync inspect`.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// The document's path
    #[arg(value_name = "ROOM_PATH")]
    path: String,
    #[command(flatten)]
    printing: Printing,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room sync create`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room sync create --room lobby notes.document --schema document.json --json '{\"document\": {\"content\": []}}'"
)]
pub struct CreateArgs {
    /// The document's path
    #[arg(value_name = "ROOM_PATH")]
    path: String,
    /// A file with the schema: what the document may contain; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    schema: PathBuf,
    /// What it contains: an object with its root element
    #[arg(long, value_name = "JSON", conflicts_with = "json_file")]
    json: Option<String>,
    /// A file with what it contains; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    json_file: Option<PathBuf>,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room sync update`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room sync update --room lobby notes.document --patch '[{\"op\": \"replace\", \"path\": \"/document/content/0/heading/text\", \"value\": \"Plan\"}]'\n\nThe patch is a list of operations as in RFC 6902. Only what it changes is changed, so what others\nwrite at the same time stays.",
    group(clap::ArgGroup::new("what").required(true).args(["patch", "patch_file"]))
)]
pub struct UpdateArgs {
    /// The document's path
    #[arg(value_name = "ROOM_PATH")]
    path: String,
    /// The patch: a list of operations in JSON
    #[arg(long, value_name = "JSON")]
    patch: Option<String>,
    /// A file with the patch; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    patch_file: Option<PathBuf>,
    #[command(flatten)]
    at: RoomArgs,
}

/// The JSON of an option, or of the file that another one names.
fn given((option, text): (&str, Option<&str>), file: Option<&PathBuf>) -> Result<Option<Value>> {
    let Some(path) = file else { return option_values::json(option, text, Class::Usage) };
    let shown = path.display().to_string();
    let failed = || format!("failed to read {shown}");
    let text = match shown.as_str() {
        "-" => String::from_utf8(bounded::stdin(MAX_BYTES).context(failed)?).context(failed)?,
        _ => bounded::text(path, MAX_BYTES).context(failed)?,
    };
    option_values::json(&shown, Some(&text), Class::Usage)
}

/// A path without what means nothing, as the public client sends it.
fn path_of(text: &str) -> Result<String> {
    let path = text.strip_prefix("room://").unwrap_or(text);
    let path = path.trim_start_matches("./").trim_start_matches('/');
    match path.is_empty() || path == "." {
        true => Err(Error::usage("the path of the document is empty")),
        false => Ok(path.to_owned()),
    }
}

/// The error for a document that the room did not give.
fn not_opened(room: &Room, path: &str, why: &Refused) -> Error {
    match why.code {
        Some(codes::NOT_FOUND) => Error::failed(format!("there is no document {path}"))
            .hint("`meshagent room sync create` makes one"),
        _ => refused(room, OPEN, why),
    }
}

/// Opens a document that is there.
async fn opened(room: &Room, path: &str) -> Result<Opened> {
    let asked = Open { path: path.to_owned(), ..Open::default() };
    room.open_document(&asked).await.map_err(|why| not_opened(room, path, &why))
}

/// Closes a document: what was sent is kept once this returns.
async fn close(room: &Room, document: Opened) -> Result<()> {
    document.close().await.map_err(|why| refused(room, OPEN, &why))
}

/// What an open document contains, as JSON.
async fn shown(room: &Room, path: &str, document: &Opened, with_ids: bool) -> Result<Value> {
    document.told(room, path, with_ids).await.map_err(|why| refused(room, DESCRIBE, &why))
}

/// A document with its schema, and with the ids of its elements.
async fn whole(room: &Room, path: &str) -> Result<(Value, Schema)> {
    let document = opened(room, path).await?;
    let shown = shown(room, path, &document, true).await?;
    let schema = document.schema.clone();
    close(room, document).await?;
    Ok((shown, schema))
}

/// Takes the ids of elements out of JSON.
fn without_ids(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.shift_remove(ID);
            fields.values_mut().for_each(without_ids);
        }
        Value::Array(items) => items.iter_mut().for_each(without_ids),
        _ => {}
    }
}

async fn show(args: &ShowArgs) -> Result<ExitCode> {
    let path = path_of(&args.path)?;
    let document = async |room: &Room| {
        if args.include_ids {
            return Ok(whole(room, &path).await?.0);
        }
        room.describe(&path).await.map_err(|why| not_opened(room, &path, &why))
    };
    let document = args.at.with(document).await?;
    args.printing.print(&document)
}

async fn search(args: &GrepArgs) -> Result<ExitCode> {
    let path = path_of(&args.path)?;
    let pattern = RegexBuilder::new(&args.pattern).case_insensitive(args.ignore_case).build();
    let pattern = pattern
        .map_err(|error| Error::usage(format!("PATTERN is not a regular expression: {error}")))?;
    let (document, schema) = args.at.with(async |room: &Room| whole(room, &path).await).await?;
    let failed = OnceCell::new();
    let matches = |text: &str| {
        let matches = || pattern.is_match(text).map_err(|error| failed.set(error).is_ok());
        // It takes as long for the next text.
        failed.get().is_none() && matches().unwrap_or_default()
    };
    let wanted = Wanted { matches: &matches, around: (args.before, args.after) };
    let found = grep(&schema, &document, &wanted);
    if let Some(error) = failed.into_inner() {
        let error = Error::failed("PATTERN takes too long").because(error);
        return Err(error.hint("write it so that there are fewer ways to match a text"));
    }
    let mut found: Vec<Value> = found.into_iter().cloned().collect();
    if !args.include_ids {
        found.iter_mut().for_each(without_ids);
    }
    args.printing.print(&found)
}

async fn inspect(args: &InspectArgs) -> Result<ExitCode> {
    let path = path_of(&args.path)?;
    let schema = async |room: &Room| {
        let document = opened(room, &path).await?;
        let schema = document.schema.source().clone();
        close(room, document).await?;
        Ok(schema)
    };
    let schema = args.at.with(schema).await?;
    args.printing.print(&schema)
}

async fn create(args: &CreateArgs) -> Result<ExitCode> {
    let path = path_of(&args.path)?;
    let schema = given(("--schema", None), Some(&args.schema))?.unwrap_or_default();
    let known = Schema::parse(schema.clone());
    let known = known.map_err(|what| {
        Error::usage(format!("{} is not a schema: {what}", args.schema.display()))
    })?;
    let json = given(("--json", args.json.as_deref()), args.json_file.as_ref())?;
    if let Some(json) = &json {
        // As the room would make it.
        let made = shape::given(&known, json).and_then(|(_, children)| {
            Replica::default().change(|txn| shape::append(txn, &known, &children))
        });
        made.map_err(|what| Error::usage(format!("the JSON: {what}")))?;
    }
    let asked = Create { path: path.clone(), json, schema: Some(schema), schema_path: None };
    let made = async |room: &Room| {
        room.perform(&asked).await.map_err(|why| match why.code {
            Some(codes::ALREADY_EXISTS) => {
                Error::failed(format!("there is a document or file {path} already"))
            }
            _ => refused(room, CREATE, &why),
        })
    };
    args.at.with(made).await?;
    output::note(&format!("created the document {path}"));
    Ok(ExitCode::SUCCESS)
}

/// A pointer into JSON as patches have it. Slashes at its beginning count once.
fn normalize(patch: &mut Value) {
    for operation in patch.as_array_mut().into_iter().flatten() {
        for name in ["path", "from"] {
            if let Some(Value::String(pointer)) = operation.get_mut(name)
                && !pointer.is_empty()
            {
                *pointer = format!("/{}", pointer.trim_start_matches('/'));
            }
        }
    }
}

async fn update(args: &UpdateArgs) -> Result<ExitCode> {
    let path = path_of(&args.path)?;
    let patch = given(("--patch", args.patch.as_deref()), args.patch_file.as_ref())?;
    let mut patch = patch.unwrap_or_default();
    normalize(&mut patch);
    let patch: json_patch::Patch = serde_json::from_value(patch).map_err(|error| {
        let what = error.to_string();
        Error::usage(format!("the patch is not valid: {}", decoding::bounded(&what)))
    })?;
    let is_changed = async |room: &Room| {
        let mut document = opened(room, &path).await?;
        let before = shown(room, &path, &document, false).await?;
        let mut after = before.clone();
        json_patch::patch(&mut after, &patch)
            .map_err(|error| Error::usage(format!("the patch cannot be applied: {error}")))?;
        let schema = &document.schema;
        let update = document.replica.change(|txn| edit(txn, schema, (&before, &after)));
        let update = update.map_err(|what| {
            Error::usage(format!("the document {path} cannot become that: {what}"))
        })?;
        if let Some(update) = &update {
            document.send(update).await.map_err(|why| refused(room, OPEN, &why))?;
        }
        close(room, document).await?;
        Ok(update.is_some())
    };
    match args.at.with(is_changed).await? {
        true => output::note(&format!("updated the document {path}")),
        false => output::note(&format!("the document {path} is like that already")),
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a command of `room sync`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn run(command: SyncCommand) -> Result<ExitCode> {
    match command {
        SyncCommand::Show(args) => show(&args).await,
        SyncCommand::Grep(args) => search(&args).await,
        SyncCommand::Inspect(args) => inspect(&args).await,
        SyncCommand::Create(args) => create(&args).await,
        SyncCommand::Update(args) => update(&args).await,
        SyncCommand::Import(command) => import::run(command.0).await,
    }
}
