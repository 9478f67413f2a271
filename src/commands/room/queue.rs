//! `room queue`: messages that wait in a room until somebody receives them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, MultiPart, SinglePart};
use serde_json::{Value, json};

use super::{InRoom, RoomArgs, ask, run_one};
use crate::bounded;
use crate::commands::option_values;
use crate::commands::signals::{STOP, Signals};
use crate::error::{Class, Context, Error, Result};
use crate::output;
use crate::room::client::Room;
use crate::room::message::MAX_BYTES;
use crate::room::mime;
use crate::room::queues::{List, Queues, Receive, Send};

/// Commands of `room queue`.
#[derive(Debug, clap::Subcommand)]
pub enum QueueCommand {
    /// Send a message to a queue
    Send(SendArgs),
    /// Send a mail to a queue, as a mailbox of the room would
    SendMail(SendMailArgs),
    /// Take the next message out of a queue and print it as JSON
    Receive(ReceiveArgs),
    /// Print how many messages wait in a queue
    Size(SizeArgs),
    /// Print how many messages wait in each queue, whenever that changes
    Watch(WatchArgs),
}

/// Arguments of `room queue send`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room queue send --room lobby --queue jobs --json '{\"do\": \"this\"}'\n  meshagent room queue send --room lobby --queue jobs --file job.json"
)]
pub struct SendArgs {
    /// The queue; it is created if it does not exist
    #[arg(long, value_name = "QUEUE")]
    queue: String,
    /// The message: any JSON
    #[arg(long, value_name = "JSON", required_unless_present = "file")]
    json: Option<String>,
    /// A file with the message as JSON, instead of --json; `-` is standard input
    #[arg(short, long, value_name = "FILE", conflicts_with = "json")]
    file: Option<PathBuf>,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room queue send-mail`.
#[derive(Debug, clap::Args)]
pub struct SendMailArgs {
    /// The queue; it is created if it does not exist
    #[arg(long, value_name = "QUEUE")]
    queue: String,
    /// The subject
    #[arg(long, value_name = "TEXT")]
    subject: String,
    /// The text
    #[arg(long, value_name = "TEXT", default_value = "")]
    body: String,
    /// The sender's address
    #[arg(long, value_name = "ADDRESS")]
    from: String,
    /// A file to attach; may be repeated
    #[arg(long, value_name = "FILE")]
    attachment: Vec<PathBuf>,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room queue receive`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room queue receive --room lobby --queue jobs\n  meshagent room queue receive --room lobby --queue jobs --wait | jq .do\n\nThe exit code is 1 if there is no message. With --wait it waits until there is one."
)]
pub struct ReceiveArgs {
    /// The queue; it is created if it does not exist
    #[arg(long, value_name = "QUEUE")]
    queue: String,
    /// Wait until there is a message
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room queue size`.
#[derive(Debug, clap::Args)]
pub struct SizeArgs {
    /// The queue
    #[arg(long, value_name = "QUEUE")]
    queue: String,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room queue watch`.
#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// Only this queue
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,
    /// How often to look
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = crate::settings::duration)]
    interval: Duration,
    #[command(flatten)]
    at: RoomArgs,
}

impl InRoom for SendArgs {
    type Asked = Send;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Send> {
        let message = match &self.file {
            Some(path) => {
                let text = text_of(path)?;
                let named = path.display().to_string();
                option_values::json(&named, Some(&text), Class::Usage)?
            }
            None => option_values::json("--json", self.json.as_deref(), Class::Usage)?,
        };
        let message = message.ok_or_else(|| Error::usage("there is no message"))?;
        Ok(Send { name: self.queue.clone(), create: true, message })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        output::note(&format!("sent to the queue {}", self.queue));
        Ok(ExitCode::SUCCESS)
    }
}

fn text_of(path: &Path) -> Result<String> {
    let failed = || format!("failed to read {}", path.display());
    if path == Path::new("-") {
        let bytes = bounded::stdin(MAX_BYTES).context(failed)?;
        return String::from_utf8(bytes).context(|| "standard input is not UTF-8".to_owned());
    }
    bounded::text(path, MAX_BYTES).context(failed)
}

impl InRoom for SendMailArgs {
    type Asked = Send;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Send> {
        let mail = STANDARD.encode(self.mail()?);
        Ok(Send { name: self.queue.clone(), create: true, message: json!({ "base64": mail }) })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        output::note(&format!("sent a mail to the queue {}", self.queue));
        Ok(ExitCode::SUCCESS)
    }
}

impl SendMailArgs {
    /// The mail, as it travels.
    fn mail(&self) -> Result<Vec<u8>> {
        let from: lettre::message::Mailbox = self.from.parse().map_err(|error| {
            Error::usage(format!("--from {:?} is not an address: {error}", self.from))
                .hint("write it as ada@example.com or Ada <ada@example.com>")
        })?;
        let mut parts = MultiPart::mixed().singlepart(SinglePart::plain(self.body.clone()));
        for path in &self.attachment {
            let bytes = bounded::bytes(path, MAX_BYTES)
                .context(|| format!("failed to read {}", path.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let kind = ContentType::parse(mime::of_name(&name))
                .or_else(|_| ContentType::parse(mime::BYTES))
                .context(|| format!("the media type of {name} is not known"))?;
            parts = parts.singlepart(Attachment::new(name).body(bytes, kind));
        }
        // Answers refer to it.
        let id = format!("<{}@{}>", uuid::Uuid::new_v4(), from.email.domain());
        let mail = lettre::Message::builder()
            .message_id(Some(id))
            .from(from)
            .to(self.recipient()?)
            .subject(self.subject.clone())
            .multipart(parts)
            .map_err(|error| Error::usage(format!("the mail cannot be written: {error}")))?;
        Ok(mail.formatted())
    }

    /// The queue as a recipient: a mailbox answers what is sent to its address, which is the name
    /// of its queue by default. A queue that is no address gets one that nobody has.
    fn recipient(&self) -> Result<lettre::message::Mailbox> {
        if let Ok(mailbox) = self.queue.parse() {
            return Ok(mailbox);
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let local: String = self.queue.chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
        let address = lettre::Address::new(local, "queue.invalid")
            .map_err(|error| Error::usage(format!("the queue cannot be an address: {error}")))?;
        Ok(lettre::message::Mailbox::new(Some(self.queue.clone()), address))
    }
}

impl InRoom for ReceiveArgs {
    type Asked = Receive;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Receive> {
        Ok(Receive { name: self.queue.clone(), create: true, wait: self.wait })
    }

    fn show(&self, message: Option<Value>) -> Result<ExitCode> {
        match message {
            Some(message) => {
                output::json(&message)?;
                Ok(ExitCode::SUCCESS)
            }
            None => {
                output::note(&format!("there is no message in the queue {}", self.queue));
                Ok(ExitCode::FAILURE)
            }
        }
    }
}

impl InRoom for SizeArgs {
    type Asked = List;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<List> {
        Ok(List {})
    }

    fn show(&self, answer: Queues) -> Result<ExitCode> {
        let names = || answer.queues.iter().map(|queue| queue.name.as_str());
        match answer.queues.iter().find(|queue| queue.name == self.queue) {
            Some(queue) => {
                output::data(&format!("{}\n", queue.size));
                Ok(ExitCode::SUCCESS)
            }
            None => {
                let error = Error::failed(format!("there is no queue {:?}", self.queue));
                let known = crate::listed::few(names());
                Err(match known.is_empty() {
                    true => error.hint("the room has no queues"),
                    false => error.hint(format!("the room has {known}")),
                })
            }
        }
    }
}

/// Prints the sizes, until a signal comes.
async fn watch(args: &WatchArgs) -> Result<ExitCode> {
    let mut signals = Signals::listen(&STOP)?;
    args.at
        .with(async |room: &Room| {
            let mut known: BTreeMap<String, u64> = BTreeMap::new();
            loop {
                let queues = ask(room, &List {}).await?.queues;
                let is_meant = |name: &str| args.queue.as_deref().is_none_or(|only| only == name);
                let now: BTreeMap<String, u64> = queues
                    .into_iter()
                    .filter(|queue| is_meant(&queue.name))
                    .map(|queue| (queue.name, queue.size))
                    .collect();
                for (name, size) in &now {
                    if known.get(name) != Some(size) {
                        output::json_line(&json!({"queue": name, "size": size}))?;
                    }
                }
                for name in known.keys().filter(|name| !now.contains_key(*name)) {
                    output::json_line(&json!({"queue": name, "size": null}))?;
                }
                known = now;
                tokio::select! {
                    () = tokio::time::sleep(args.interval) => {}
                    _ = signals.received() => return Ok(ExitCode::SUCCESS),
                }
            }
        })
        .await
}

/// Runs a command of `room queue`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn run(command: QueueCommand) -> Result<ExitCode> {
    match command {
        QueueCommand::Send(args) => run_one(&args).await,
        QueueCommand::SendMail(args) => run_one(&args).await,
        QueueCommand::Receive(args) => run_one(&args).await,
        QueueCommand::Size(args) => run_one(&args).await,
        QueueCommand::Watch(args) => watch(&args).await,
    }
}
