//! Entities that are found in texts, images, files, tables and storage.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueHint;
use serde_json::{Map, Value};

use super::MemoryArgs;
use crate::bounded;
use crate::commands::option_values;
use crate::commands::room::given::STDIN;
use crate::commands::room::printing::Pretty;
use crate::commands::room::{InRoom, RoomArgs};
use crate::error::{Class, Context, Error, Result};
use crate::room::memory::{
    IngestFile, IngestFromStorage, IngestFromTable, IngestImage, IngestText, Ingested, Ingestion,
    Strategy,
};
use crate::room::message::MAX_BYTES;
use crate::room::mime;

/// How entities are found.
#[derive(Debug, clap::Args)]
pub struct HowArgs {
    /// By what entities are found
    #[arg(long, value_enum, default_value = "heuristic")]
    strategy: Strategy,
    /// The model, for `llm`
    #[arg(long, value_name = "MODEL")]
    llm_model: Option<String>,
    /// How freely the model answers, for `llm`
    #[arg(long, value_name = "NUMBER")]
    llm_temperature: Option<f64>,
}

impl HowArgs {
    /// The same for the room.
    ///
    /// # Errors
    ///
    /// Something is said of a model that is not asked.
    fn told(&self) -> Result<Ingestion> {
        let of_model = [
            ("--llm-model", self.llm_model.is_some()),
            ("--llm-temperature", self.llm_temperature.is_some()),
        ];
        if let Some((option, _)) = of_model.into_iter().find(|(_, is_given)| *is_given)
            && self.strategy != Strategy::Llm
        {
            return Err(Error::usage(format!("{option} is given, but no model is asked"))
                .hint("add `--strategy llm`"));
        }
        Ok(Ingestion {
            strategy: self.strategy,
            llm_model: self.llm_model.clone(),
            llm_temperature: self.llm_temperature,
        })
    }
}

/// Arguments of `room memory ingest-text`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room memory ingest-text --room lobby -m people --text 'Ada Lovelace met Charles Babbage.'",
    group(clap::ArgGroup::new("what").required(true).args(["text", "file"]))
)]
pub struct TextArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    /// The text
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// A file with the text; `-` is standard input
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    file: Option<PathBuf>,
    #[command(flatten)]
    how: HowArgs,
    #[command(flatten)]
    pretty: Pretty,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room memory ingest-image`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room memory ingest-image --room lobby -m people --file ada.png --caption 'Ada at her desk'",
    group(clap::ArgGroup::new("what").required(true).multiple(true).args(["file", "caption"]))
)]
pub struct ImageArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    /// A file with the image
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    file: Option<String>,
    /// What is to be seen
    #[arg(long, value_name = "TEXT")]
    caption: Option<String>,
    /// The media type [default: as the name of the file says]
    #[arg(long, value_name = "TYPE")]
    mime_type: Option<String>,
    /// Where the image comes from [default: the file]
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// What else is known of it: a JSON object of texts
    #[arg(long, value_name = "JSON")]
    annotations_json: Option<String>,
    #[command(flatten)]
    how: HowArgs,
    #[command(flatten)]
    pretty: Pretty,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room memory ingest-file`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room memory ingest-file --room lobby -m people --path notes/ada.md\n  meshagent room memory ingest-file --room lobby -m people --text-file ada.md",
    group(clap::ArgGroup::new("what").required(true).multiple(true).args(["path", "text", "text_file"]))
)]
pub struct FileArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    /// The path of a file that the room can read; nothing is read here
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    path: Option<String>,
    /// What is in the file
    #[arg(long, value_name = "TEXT", conflicts_with = "text_file")]
    text: Option<String>,
    /// A file that is here; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    text_file: Option<PathBuf>,
    /// The media type
    #[arg(long, value_name = "TYPE")]
    mime_type: Option<String>,
    #[command(flatten)]
    how: HowArgs,
    #[command(flatten)]
    pretty: Pretty,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room memory ingest-from-table`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room memory ingest-from-table --room lobby -m people -t notes --text-column text"
)]
pub struct TableArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    /// The table
    #[arg(short, long, value_name = "TABLE")]
    table: String,
    /// A column with texts; may be repeated
    #[arg(long, value_name = "COLUMN")]
    text_column: Vec<String>,
    /// A segment of the table's namespace; may be repeated
    #[arg(long, value_name = "SEGMENT")]
    table_namespace: Vec<String>,
    /// The most rows that are read
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    #[command(flatten)]
    how: HowArgs,
    #[command(flatten)]
    pretty: Pretty,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room memory ingest-from-storage`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  meshagent room memory ingest-from-storage --room lobby -m people -p notes/ada.md -p notes/bob.md"
)]
pub struct StorageArgs {
    #[command(flatten)]
    memory: MemoryArgs,
    /// The path of a file of the room; may be repeated
    #[arg(short, long = "path", value_name = "ROOM_PATH", required = true)]
    path: Vec<String>,
    #[command(flatten)]
    how: HowArgs,
    #[command(flatten)]
    pretty: Pretty,
    #[command(flatten)]
    at: RoomArgs,
}

/// The text in a file.
fn text_of(path: &Path) -> Result<String> {
    let failed = || format!("failed to read {}", path.display());
    match path == Path::new(STDIN) {
        true => String::from_utf8(bounded::stdin(MAX_BYTES).context(failed)?).context(failed),
        false => bounded::text(path, MAX_BYTES).context(failed),
    }
}

/// The text of an option, or of the file that another one names.
fn text(given: Option<&String>, file: Option<&PathBuf>) -> Result<Option<String>> {
    match file {
        Some(path) => text_of(path).map(Some),
        None => Ok(given.cloned()),
    }
}

/// Segments, if there are any.
fn some(segments: &[String]) -> Option<Vec<String>> {
    Some(segments.to_vec()).filter(|segments| !segments.is_empty())
}

impl InRoom for TextArgs {
    type Asked = IngestText;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<IngestText> {
        let text = text(self.text.as_ref(), self.file.as_ref())?.unwrap_or_default();
        let (name, namespace) = self.memory.told();
        Ok(IngestText { name, namespace, how: self.how.told()?, text })
    }

    fn show(&self, answer: Ingested) -> Result<ExitCode> {
        self.pretty.print(&answer)
    }
}

/// Annotations, as a text of JSON.
fn annotations(text: Option<&str>) -> Result<Option<String>> {
    let option = "--annotations-json";
    let Some(told) = option_values::json(option, text, Class::Usage)? else { return Ok(None) };
    let texts =
        told.as_object().filter(|it: &&Map<String, Value>| it.values().all(Value::is_string));
    let texts = texts.ok_or_else(|| {
        Error::usage(format!("{option} is not a JSON object of texts"))
            .hint("for example --annotations-json '{\"origin\": \"camera\"}'")
    })?;
    Ok(Some(Value::Object(texts.clone()).to_string()))
}

impl InRoom for ImageArgs {
    type Asked = IngestImage;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<IngestImage> {
        let annotations_json = annotations(self.annotations_json.as_deref())?;
        let bytes = self.file.as_ref().map(|path| {
            bounded::bytes(Path::new(path), MAX_BYTES).context(|| format!("failed to read {path}"))
        });
        let guessed = self.file.as_ref().map(|path| mime::of_name(path));
        // What nothing is known of is better not told.
        let guessed = guessed.filter(|known| *known != mime::BYTES).map(str::to_owned);
        let (name, namespace) = self.memory.told();
        Ok(IngestImage {
            name,
            namespace,
            caption: self.caption.clone(),
            data_base64: bytes.transpose()?.map(|bytes| STANDARD.encode(bytes)),
            mime_type: self.mime_type.clone().or(guessed),
            source: self.source.clone().or_else(|| self.file.clone()),
            annotations_json,
            how: self.how.told()?,
        })
    }

    fn show(&self, answer: Ingested) -> Result<ExitCode> {
        self.pretty.print(&answer)
    }
}

impl InRoom for FileArgs {
    type Asked = IngestFile;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<IngestFile> {
        let text = text(self.text.as_ref(), self.text_file.as_ref())?;
        let (name, namespace) = self.memory.told();
        Ok(IngestFile {
            name,
            namespace,
            how: self.how.told()?,
            path: self.path.clone(),
            text,
            mime_type: self.mime_type.clone(),
        })
    }

    fn show(&self, answer: Ingested) -> Result<ExitCode> {
        self.pretty.print(&answer)
    }
}

impl InRoom for TableArgs {
    type Asked = IngestFromTable;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<IngestFromTable> {
        let (name, namespace) = self.memory.told();
        Ok(IngestFromTable {
            name,
            namespace,
            how: self.how.told()?,
            table: self.table.clone(),
            table_namespace: some(&self.table_namespace),
            text_columns: some(&self.text_column),
            limit: self.limit,
        })
    }

    fn show(&self, answer: Ingested) -> Result<ExitCode> {
        self.pretty.print(&answer)
    }
}

impl InRoom for StorageArgs {
    type Asked = IngestFromStorage;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<IngestFromStorage> {
        let (name, namespace) = self.memory.told();
        Ok(IngestFromStorage { name, namespace, how: self.how.told()?, paths: self.path.clone() })
    }

    fn show(&self, answer: Ingested) -> Result<ExitCode> {
        self.pretty.print(&answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_model_is_not_ignored() {
        let how = |strategy, model: Option<&str>, llm_temperature| {
            HowArgs { strategy, llm_model: model.map(str::to_owned), llm_temperature }.told()
        };
        for (model, temperature) in [(Some("m"), None), (None, Some(0.5))] {
            assert!(how(Strategy::Llm, model, temperature).is_ok());
            let told = how(Strategy::Heuristic, model, temperature).unwrap_err();
            assert_eq!(told.hint.as_deref(), Some("add `--strategy llm`"));
        }
        assert!(how(Strategy::Heuristic, None, None).is_ok());
    }
}
