//! `room sync import threads`: the conversations of an export become documents, one each, and get
//! their lines in the list of conversations of their folder.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueHint;
use serde_json::{Value, json};
use yrs::{Out, ReadTxn, Transact, Xml, XmlElementRef, XmlFragment};

use super::conversations::{Conversation, Reading};
use super::{CREATE, OPEN, close, shown};
use crate::bounded;
use crate::commands::option_values;
use crate::commands::room::{RoomArgs, ask, refused};
use crate::documents::edit::edit;
use crate::documents::schema::Schema;
use crate::documents::shape;
use crate::documents::update::ROOT;
use crate::error::{Class, Context, Error, Result};
use crate::output;
use crate::room::client::Room;
use crate::room::codes;
use crate::room::storage::{Delete, Exists};
use crate::room::sync::{Create, Open, Opened};

/// How large an export may be, in bytes.
const EXPORT: usize = 1024 * 1024 * 1024;

/// The name of the list of conversations in its folder.
const LIST: &str = "index.threadl";

/// Commands of `room sync import`.
#[derive(Debug, clap::Subcommand)]
pub enum ImportCommand {
    /// Make documents of the conversations in an export from Claude
    Threads(ThreadsArgs),
}

/// Arguments of `room sync import threads`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room sync import threads --room lobby --file conversations.json\n\nA conversation that is there already is left alone, so an import that was cut off can be run again."
)]
pub struct ThreadsArgs {
    /// The file `conversations.json` of the export
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    file: PathBuf,
    /// The folder in the room
    #[arg(long, value_name = "ROOM_FOLDER", default_value = ".threads/anthropic")]
    thread_dir: String,
    /// Replace conversations that are there already
    #[arg(long)]
    overwrite: bool,
    /// Take so many conversations at most, those that cannot be read included
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// What the person is called
    #[arg(long, value_name = "NAME", alias = "human-name", default_value = "human")]
    user_name: String,
    /// What the model is called
    #[arg(long, value_name = "NAME", default_value = "assistant")]
    assistant_name: String,
    /// Take messages without a text, too
    #[arg(long)]
    include_empty_messages: bool,
    #[command(flatten)]
    at: RoomArgs,
}

/// What became of the conversations.
#[derive(Default)]
struct Count {
    imported: usize,
    existing: usize,
    invalid: usize,
    /// How many of the export were dealt with.
    done: usize,
}

/// The list of conversations, which stays open meanwhile.
struct List {
    document: Opened,
    /// Its lines, by the paths that they name.
    lines: HashMap<String, XmlElementRef>,
}

impl List {
    async fn open(room: &Room, folder: &str) -> Result<Self> {
        let schema = Schema::built_in(LIST).map(|schema| schema.source().clone());
        let asked =
            Open { path: format!("{folder}/{LIST}"), create: true, schema, ..Open::default() };
        let document = room.open_document(&asked).await;
        let document = document.map_err(|why| refused(room, OPEN, &why))?;
        let mut list = Self { document, lines: HashMap::new() };
        list.read();
        Ok(list)
    }

    /// Looks which lines there are.
    fn read(&mut self) {
        let txn = self.document.replica.doc.transact();
        let Some(root) = txn.get_xml_fragment(ROOT) else { return };
        let lines = root.children(&txn).filter_map(yrs::XmlOut::into_xml_element);
        let line = |line: XmlElementRef| match line.get_attribute(&txn, "path") {
            Some(Out::Any(yrs::Any::String(path))) => Some((path.to_string(), line)),
            _ => None,
        };
        self.lines = lines.filter_map(line).collect();
    }

    /// Says of a conversation what there is to say.
    async fn note(&mut self, room: &Room, path: &str, of: &Conversation) -> Result<()> {
        let now = || format!("{:.6}", jiff::Timestamp::now());
        let name = if of.name.is_empty() { of.id.to_string() } else { of.name.clone() };
        let or = |text: &str, other: &dyn Fn() -> String| match text.is_empty() {
            true => other(),
            false => text.to_owned(),
        };
        let created = or(&of.created_at, &now);
        let modified = or(&of.modified_at, &|| created.clone());
        let fields = [
            ("name", name),
            ("path", path.to_owned()),
            ("created_at", created),
            ("modified_at", modified),
        ];
        let line = self.lines.get(path);
        let update = self.document.replica.change(|txn| match line {
            Some(line) => {
                for (name, value) in fields {
                    line.insert_attribute(txn, name, value);
                }
                Ok(())
            }
            None => {
                let fields =
                    fields.into_iter().map(|(name, value)| (name.to_owned(), json!(value)));
                let line = json!({"thread": Value::Object(fields.collect())});
                shape::append(txn, &self.document.schema, &[line])
            }
        });
        let update = update.map_err(|what| Error::failed(format!("the list {LIST}: {what}")))?;
        let Some(update) = update else { return Ok(()) };
        self.document.send(&update).await.map_err(|why| refused(room, OPEN, &why))
    }
}

/// Makes of a document that is there what a conversation is, at once: what was there stays until then.
/// Whether that is possible: something else may be there, or a document that may not contain that.
async fn replaced(room: &Room, path: &str, conversation: &Conversation) -> Result<bool> {
    let asked = Open { path: path.to_owned(), ..Open::default() };
    let Ok(mut document) = room.open_document(&asked).await else { return Ok(false) };
    let before = shown(room, path, &document, false).await?;
    let (schema, after) = (&document.schema, &conversation.document);
    let Ok(update) = document.replica.change(|txn| edit(txn, schema, (&before, after))) else {
        close(room, document).await?;
        return Ok(false);
    };
    if let Some(update) = update {
        document.send(&update).await.map_err(|why| refused(room, OPEN, &why))?;
    }
    close(room, document).await.map(|()| true)
}

/// Puts one conversation into the room; whether it is new there.
async fn put(
    room: &Room,
    path: &str,
    conversation: &Conversation,
    overwrite: bool,
) -> Result<bool> {
    if ask(room, &Exists { path: path.to_owned() }).await?.exists {
        if !overwrite || replaced(room, path, conversation).await? {
            return Ok(overwrite);
        }
        ask(room, &Delete { path: path.to_owned(), recursive: None }).await?;
    }
    let schema = Schema::built_in(".thread").map(|schema| schema.source().clone());
    let json = Some(conversation.document.clone());
    let asked = Create { path: path.to_owned(), json, schema, schema_path: None };
    match room.perform(&asked).await {
        Ok(()) => Ok(true),
        // Somebody else was faster.
        Err(why) if why.code == Some(codes::ALREADY_EXISTS) => Ok(false),
        Err(why) => Err(refused(room, CREATE, &why)),
    }
}

/// Imports the conversations one after the other.
async fn import(
    room: &Room,
    args: &ThreadsArgs,
    (folder, exported): (&str, &[Value]),
    count: &mut Count,
) -> Result<()> {
    let reading = Reading {
        user: args.user_name.clone(),
        assistant: args.assistant_name.clone(),
        with_empty: args.include_empty_messages,
    };
    let mut list = List::open(room, folder).await?;
    let limit = args.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let mut seen: HashMap<uuid::Uuid, usize> = HashMap::new();
    for (index, exported) in exported.iter().enumerate().take(limit) {
        let conversation = match reading.conversation(exported) {
            Ok(conversation) => conversation,
            Err(why) => {
                count.invalid += 1;
                count.done += 1;
                output::warning(&format!("conversations[{index}] is left out: {why}"));
                continue;
            }
        };
        let times = seen.entry(conversation.id).or_default();
        *times += 1;
        let path = match times {
            1 => format!("{folder}/{}.thread", conversation.id),
            times => format!("{folder}/{} {times}.thread", conversation.id),
        };
        match put(room, &path, &conversation, args.overwrite).await? {
            true => count.imported += 1,
            false => count.existing += 1,
        }
        // A line is missing if an import was cut off between the two.
        if args.overwrite || !list.lines.contains_key(&path) {
            list.note(room, &path, &conversation).await?;
        }
        count.done += 1;
    }
    close(room, list.document).await
}

async fn threads(args: &ThreadsArgs) -> Result<ExitCode> {
    let folder = args.thread_dir.trim().trim_end_matches('/');
    if folder.is_empty() {
        return Err(Error::usage("--thread-dir is empty"));
    }
    let shown = args.file.display().to_string();
    let text = bounded::text(&args.file, EXPORT).context(|| format!("failed to read {shown}"))?;
    let exported = option_values::json(&shown, Some(&text), Class::Usage)?;
    drop(text);
    let Some(Value::Array(exported)) = exported else {
        return Err(Error::usage(format!("{shown} is not a list of conversations")));
    };
    let mut count = Count::default();
    let done = args
        .at
        .with(async |room: &Room| import(room, args, (folder, &exported), &mut count).await)
        .await;
    let Count { imported, existing, invalid, .. } = count;
    output::note(&format!(
        "{imported} imported, {existing} were there already, {invalid} could not be read"
    ));
    done.map(|()| ExitCode::SUCCESS).map_err(|error| partly(error, &count, exported.len()))
}

/// The error of an import that broke off, with what is missing.
fn partly(error: Error, count: &Count, of: usize) -> Error {
    let missing = match of - count.done.min(of) {
        0 | 1 => format!("conversations[{}] is missing", count.done),
        _ => format!("conversations[{}] and all behind it are missing", count.done),
    };
    let mut error = error.hint(format!("{missing}; run the same command again to go on"));
    if count.imported > 0 {
        error.class = Class::Partial;
    }
    error
}

/// Runs a command of `room sync import`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn run(command: ImportCommand) -> Result<ExitCode> {
    match command {
        ImportCommand::Threads(args) => threads(&args).await,
    }
}
