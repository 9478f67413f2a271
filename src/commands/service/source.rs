//! Where a service or a template is read from: a file, a URL, or the metadata of an MCP server.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexSet;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::mcp;
use crate::api::http::{self, Told};
use crate::bounded;
use crate::commands::set::ValueArgs;
use crate::connection::Connection;
use crate::dialect::Speaks;
use crate::error::{Error, Result};
use crate::kinds::specs::service::ServiceSpec;
use crate::kinds::specs::template::ServiceTemplateSpec;
use crate::manifest::template::Values;
use crate::manifest::yaml;
use crate::visible;

/// The annotation that identifies a service across documents.
pub const SERVICE_ID: &str = "meshagent.service.id";

/// How long to wait for the answer from a URL.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file or a URL.
#[derive(Debug, clap::Args)]
pub struct SourceArgs {
    /// A file with the document
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The URL of the document: http or https
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

impl SourceArgs {
    fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.file.iter().map(|file| expanded(file))
    }
}

/// An MCP server, and what identifies its service.
#[derive(Debug, clap::Args)]
pub struct McpArgs {
    /// An MCP server: the document is made from its OAuth metadata
    #[arg(long, value_name = "URL")]
    pub mcp: Option<String>,
    /// The meshagent.service.id to use instead of the document's own
    #[arg(long, value_name = "ID")]
    pub service_id: Option<String>,
}

/// A document as it is.
#[derive(Debug, clap::Args)]
pub struct DocumentArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub mcp: McpArgs,
}

/// A template with its values.
#[derive(Debug, clap::Args)]
pub struct TemplateArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    values: ValueArgs,
}

/// The source of a service.
pub enum Blueprint {
    /// A service as it is.
    Service(Box<ServiceSpec>),
    /// A template that the platform renders with these values.
    Template(String, Values),
}

/// Arguments that give the source of a service.
pub trait Origin: clap::Args {
    /// Reads it; `for_templates` is the command that a template is for.
    ///
    /// # Errors
    ///
    /// No source or several; one that cannot be read, or holds something else.
    fn blueprint(&self, for_templates: &str) -> impl Future<Output = Result<Blueprint>>;

    /// The files that it is read from.
    fn files(&self) -> Vec<PathBuf>;
}

impl Origin for DocumentArgs {
    async fn blueprint(&self, for_templates: &str) -> Result<Blueprint> {
        Ok(Blueprint::Service(Box::new(self.read(for_templates).await?)))
    }

    fn files(&self) -> Vec<PathBuf> {
        self.source.files().collect()
    }
}

impl Origin for TemplateArgs {
    async fn blueprint(&self, _for_templates: &str) -> Result<Blueprint> {
        let (text, values) = self.read().await?;
        Ok(Blueprint::Template(text, values))
    }

    fn files(&self) -> Vec<PathBuf> {
        self.source.files().chain(self.values.values_file.iter().cloned()).collect()
    }
}

/// Refuses any number of sources other than one.
fn check_single(source: &SourceArgs, mcp: Option<&McpArgs>) -> Result<()> {
    let given =
        [source.file.is_some(), source.url.is_some(), mcp.is_some_and(|mcp| mcp.mcp.is_some())];
    match given.into_iter().filter(|given| *given).count() {
        1 => Ok(()),
        0 => Err(Error::usage("no document is given").hint(match mcp {
            Some(_) => "give --file, --url or --mcp",
            None => "give --file or --url",
        })),
        _ => Err(Error::usage("the document is given more than once")),
    }
}

/// A path in which a leading `~` is the home folder.
fn expanded(path: &std::path::Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(below), Some(home)) => home.join(below),
        _ => path.to_owned(),
    }
}

/// The text of the document.
///
/// # Errors
///
/// No source or several; one that cannot be read.
pub async fn text(source: &SourceArgs) -> Result<String> {
    if let Some(path) = &source.file {
        let read = bounded::text(&expanded(path), bounded::STANDARD);
        let read = read.map_err(|error| {
            Error::usage(format!("failed to read {}", path.display())).because(error)
        })?;
        // What the platform keeps must not depend on how a checkout was made.
        return Ok(read.replace("\r\n", "\n"));
    }
    let url = source.url.as_deref().unwrap_or_default();
    let shown = visible::url(url);
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(Error::usage(format!("{shown:?} is neither http nor https")));
    }
    let failed = || Error::usage(format!("failed to read {shown}"));
    let request = http::of_anything(url)?.get(url);
    let told = http::ask(request, PATIENCE, bounded::STANDARD);
    let Told { status, body } = told.await.map_err(|error| failed().because(error))?;
    if !status.is_success() {
        return Err(failed().because(format!("the server answered with {status}")));
    }
    String::from_utf8(body).map_err(|_| failed().because("it is not UTF-8"))
}

/// Why a text is not of the expected form.
enum Wrong {
    /// It cannot be read as one.
    Unreadable(String),
    /// It is a manifest, because of these fields that only manifests have.
    Manifest(Vec<&'static str>),
    /// It is an agent.
    Agent,
}

/// The fields of a manifest that are not sent to the platform, and the options that replace them
/// here.
const OF_MANIFESTS: [(&str, Option<&str>); 6] = [
    ("project", Some("`--project-id`")),
    ("room", Some("`--room`")),
    ("rooms", Some("`--room`, one room at a time")),
    ("template", Some("`create-template` or `update-template` with `--file`")),
    ("values", Some("`create-template` or `update-template` with `--value`")),
    ("lifecycle", None),
];

/// Reads YAML into a type, with the path of the field at fault.
fn read<T: DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    let documents = yaml::parse(text).map_err(|error| {
        Wrong::Unreadable(match error.mark {
            Some(mark) => format!("{}:{}: {}", mark.line, mark.column, error.message),
            None => error.message,
        })
    })?;
    let [document] = documents.as_slice() else {
        let told = format!("it has {} documents, not one", documents.len());
        return Err(Wrong::Unreadable(told));
    };
    let document = document.to_json();
    if document.get("kind").and_then(Value::as_str) == Some("Agent") {
        return Err(Wrong::Agent);
    }
    let of_manifests = OF_MANIFESTS.map(|(field, _)| field);
    let has = |field: &&str| document.get(*field).is_some();
    let found: Vec<_> = of_manifests.into_iter().filter(has).collect();
    if !found.is_empty() {
        return Err(Wrong::Manifest(found));
    }
    serde_path_to_error::deserialize(document).map_err(|error| {
        let path = error.path().to_string();
        Wrong::Unreadable(match path.as_str() {
            "." => error.inner().to_string(),
            _ => format!("{path}: {}", error.inner()),
        })
    })
}

impl Wrong {
    /// The error for a text that is not a `what`, for a command that may have options in place of a
    /// manifest's fields.
    fn told(self, what: &str, takes_options: bool) -> Error {
        let fields = match self {
            Self::Unreadable(message) => {
                return Error::failed(format!("this is not a {what}: {message}"));
            }
            Self::Agent => {
                return Error::failed(format!("this is not a {what}, but an agent"))
                    .hint("use `meshagent plan -f` and `meshagent apply -f` with it");
            }
            Self::Manifest(fields) => fields,
        };
        let quoted: Vec<_> = fields.iter().map(|field| format!("`{field}`")).collect();
        let (are, them) = match quoted.len() {
            1 => ("is a field", "it"),
            _ => ("are fields", "them"),
        };
        let options: IndexSet<_> = OF_MANIFESTS
            .iter()
            .filter(|(field, _)| takes_options && fields.contains(field))
            .filter_map(|(_, option)| *option)
            .collect();
        let given = match options.is_empty() {
            true => String::new(),
            false => {
                format!(", and give {}", options.into_iter().collect::<Vec<_>>().join(" and "))
            }
        };
        let quoted = quoted.join(", ");
        Error::failed(format!("this is not a plain {what}: {quoted} {are} of a manifest"))
            .hint(format!(
                "remove {them} here{given}; or keep the manifest as it is, and use `meshagent validate -f` and `meshagent apply -f`"
            ))
    }
}

/// Reads a text as a service.
///
/// # Errors
///
/// A text that is not a service; the hint names the command for templates if it is a template.
pub fn service(text: &str, for_templates: &str) -> Result<ServiceSpec> {
    read(text).map_err(|wrong| {
        let is_unreadable = matches!(wrong, Wrong::Unreadable(_));
        let error = wrong.told("service", PLACING.contains(&for_templates));
        match read::<ServiceTemplateSpec>(text) {
            Ok(_) if is_unreadable => {
                error.hint(format!("this is a template: use `meshagent service {for_templates}`"))
            }
            _ => error,
        }
    })
}

/// The commands with options for the place of a service.
const PLACING: [&str; 2] = ["create-template", "update-template"];

/// Reads a text as a template, as it is before it is rendered.
///
/// # Errors
/// A text that is not a template.
pub fn unrendered(text: &str) -> Result<ServiceTemplateSpec> {
    read(text).map_err(|wrong| wrong.told("template", false))
}

impl DocumentArgs {
    /// The service in the document, with its own id or the one that is given instead.
    ///
    /// # Errors
    ///
    /// As [`text`] and [`service`]; an id without letters.
    pub async fn read(&self, for_templates: &str) -> Result<ServiceSpec> {
        check_single(&self.source, Some(&self.mcp))?;
        let mut spec = match &self.mcp.mcp {
            Some(url) => mcp::service(url).await?,
            None => service(&text(&self.source).await?, for_templates)?,
        };
        if let Some(id) = &self.mcp.service_id {
            let id = id.trim();
            if id.is_empty() {
                return Err(Error::usage("--service-id is empty"));
            }
            let annotations = spec.metadata.annotations.get_or_insert_default();
            annotations.insert(SERVICE_ID.to_owned(), id.to_owned());
        }
        Ok(spec)
    }
}

impl TemplateArgs {
    /// The text of a template, and its values. The platform decides whether it is a template,
    /// unless it can be read as a service.
    ///
    /// # Errors
    ///
    /// As [`text`]; a service; values that are not texts.
    pub async fn read(&self) -> Result<(String, Values)> {
        check_single(&self.source, None)?;
        let text = text(&self.source).await?;
        match read::<ServiceSpec>(&text) {
            Ok(_) => Err(Error::failed("this is a service, not a template")
                .hint("use the command without `-template` for a service")),
            Err(wrong @ (Wrong::Manifest(_) | Wrong::Agent)) => Err(wrong.told("template", true)),
            Err(Wrong::Unreadable(_)) => Ok((text, self.values.texts()?)),
        }
    }
}

/// Lets the platform render a template.
///
/// # Errors
///
/// The platform's objections to it.
pub async fn render(connection: &Connection, text: &str, values: &Values) -> Result<Value> {
    let client = &connection.client;
    Ok(client.send_json(&client.dialect().render(text, &json!(values))).await?)
}
