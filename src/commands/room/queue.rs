//! `room queue`: messages that wait in a room until somebody receives them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, MultiPart, SinglePart};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{InRoom, RoomArgs, ask, run_one, tell};
use crate::bounded;
use crate::commands::option_values;
use crate::commands::signals::{Ending, STOP};
use crate::error::{Class, Context, Error, Result};
use crate::output;
use crate::room::client::Room;
use crate::room::message::MAX_BYTES;
use crate::room::mime;
use crate::room::queues::{List, Queues, Receive, Send};

/// How often it is looked whether a room was left.
const LOOKING: Duration = Duration::from_millis(20);

/// How long a message may take to be read once a signal has come.
const READING: Duration = Duration::from_millis(300);

/// What stands for standard input.
const STDIN: &str = "-";

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
    after_help = "Examples:\n  meshagent room queue send --room lobby --queue jobs --json '{\"do\": \"this\"}'\n  meshagent room queue send --room lobby --queue jobs --file job.json",
    group(clap::ArgGroup::new("message").required(true))
)]
pub struct SendArgs {
    /// The queue; it is created if it does not exist
    #[arg(long, value_name = "QUEUE")]
    queue: String,
    /// The message: any JSON
    #[arg(long, value_name = "JSON", group = "message")]
    json: Option<String>,
    /// A file with the message as JSON, instead of --json; `-` is standard input
    #[arg(short, long, value_name = "FILE", group = "message")]
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
    after_help = "Examples:\n  meshagent room queue receive --room lobby --queue jobs\n  meshagent room queue receive --room lobby --queue jobs --wait | jq .do\n  meshagent room queue receive --room lobby --queue jobs --wait=30s\n\nThe exit code is 1 if there is no message. A message that cannot be printed is sent to the queue\nagain. With --wait, it goes on after a lost connection, and ends when nobody reads its output."
)]
pub struct ReceiveArgs {
    /// The queue; it is created if it does not exist
    #[arg(long, value_name = "QUEUE")]
    queue: String,
    /// Wait until there is a message, at most this long if a time is given
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        value_parser = crate::settings::duration
    )]
    wait: Option<Option<Duration>>,
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
#[command(
    after_help = "It goes on after a lost connection, and ends with Ctrl-C, or when nobody reads its output."
)]
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
                let named = match path == Path::new(STDIN) {
                    true => "standard input".to_owned(),
                    false => path.display().to_string(),
                };
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
    if path == Path::new(STDIN) {
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

/// What came of waiting for a message.
enum Received {
    /// It was printed, or is in the queue again, or on standard error.
    Message(Result<()>),
    /// There is none.
    Nothing,
    /// Nobody reads standard output any more, so none was taken.
    Unread,
}

async fn receive(args: &ReceiveArgs) -> Result<ExitCode> {
    // What was received exists nowhere else.
    output::set_only_copy();
    let ending = Ending::by(&STOP)?;
    let asked = Receive { name: args.queue.clone(), create: true, wait: args.wait.is_some() };
    let end = args.wait.flatten().map(|most| Instant::now() + most);
    let received = match args.wait {
        None => {
            args.at.with(async |room: &Room| receive_one(room, &asked, end, &ending).await).await
        }
        Some(_) => wait(args, &asked, end, &ending).await,
    };
    let done = match received {
        Ok(Received::Message(printed)) => printed.map(|()| ExitCode::SUCCESS),
        Ok(Received::Nothing) if ending.has_begun() => Ok(ExitCode::SUCCESS),
        Ok(Received::Nothing) => {
            output::note(&format!("there is no message in the queue {}", args.queue));
            Ok(ExitCode::FAILURE)
        }
        Ok(Received::Unread) => {
            Err(Error::failed("nobody reads standard output, so no message was received"))
        }
        Err(error) => Err(error),
    };
    if ending.has_begun() {
        if let Err(error) = done {
            output::error(&error);
        }
        // A message that nobody reads may still be being written.
        ending.at_once();
    }
    done
}

/// Waits for a message until a time, if there is one, or a signal, also after a lost connection.
async fn wait(
    args: &ReceiveArgs,
    asked: &Receive,
    end: Option<Instant>,
    ending: &Ending,
) -> Result<Received> {
    let (received, is_inside) = (RefCell::new(None), Cell::new(false));
    let work = async |room: &Room| {
        is_inside.set(true);
        let done = receive_one(room, asked, end, ending).await;
        is_inside.set(false);
        received.replace(Some(done?));
        Ok(())
    };
    let stop = CancellationToken::new();
    let late = async {
        tokio::select! {
            () = until(end) => {}
            () = ending.stop.cancelled() => {}
        }
        // Whoever is in the room looks at the time, and may have a message.
        while is_inside.get() {
            tokio::time::sleep(LOOKING).await;
        }
        stop.cancel();
        std::future::pending().await
    };
    tokio::select! {
        waited = args.at.lasting(work, &stop, |news| tell(news, "")) => waited?,
        () = late => {}
    }
    match received.take() {
        Some(received) => Ok(received),
        None if ending.has_begun() => Ok(Received::Nothing),
        None => Err(Error::failed(
            "the time was over before the room could be entered, so nothing was received",
        )),
    }
}

/// Waits until a time; for ever if there is none.
async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Receives a message and prints it while the room is still there: what cannot be printed goes back.
async fn receive_one(
    room: &Room,
    asked: &Receive,
    end: Option<Instant>,
    ending: &Ending,
) -> Result<Received> {
    if output::is_unread() {
        return Ok(Received::Unread);
    }
    let mut receiving = pin!(ask(room, asked));
    let given_up = tokio::select! {
        biased;
        message = &mut receiving => {
            return Ok(match message? {
                Some(message) => {
                    Received::Message(print(room, &asked.name, message, ending).await)
                }
                None => Received::Nothing,
            });
        }
        () = output::unread(), if asked.wait => Received::Unread,
        () = until(end) => Received::Nothing,
        () = ending.stop.cancelled() => Received::Nothing,
    };
    // A message may be on its way, and would be lost. Whoever leaves is sent no other.
    let ((), last) = tokio::join!(room.leave(), receiving);
    Ok(match last {
        Ok(Some(message)) => Received::Message(print(room, &asked.name, message, ending).await),
        _ => given_up,
    })
}

/// Prints a message; one that cannot be printed is sent to its queue again, and so is one that is
/// not read when a signal comes.
///
/// # Errors
///
/// What could not be printed, and where it is now.
async fn print(room: &Room, queue: &str, message: Value, ending: &Ending) -> Result<()> {
    let copy = message.clone();
    let mut printing = spawn_blocking(move || {
        output::json(&copy)?;
        output::check()
    });
    let given_up = async {
        ending.stop.cancelled().await;
        tokio::time::sleep(READING).await;
    };
    let printed = tokio::select! {
        biased;
        printed = &mut printing => printed.context(|| "failed to print".to_owned())?,
        () = given_up => Err(Error::failed("nobody has read the message")),
    };
    let Err(unwritten) = printed else { return Ok(()) };
    let again = Send { name: queue.to_owned(), create: true, message: message.clone() };
    match ask(room, &again).await {
        Ok(()) => {
            Err(unwritten.hint(format!("the message is in the queue {queue} again, at its end")))
        }
        Err(error) => {
            output::error(&error);
            output::note(&format!("the message could not be sent to the queue {queue} again:"));
            output::aside(&message)?;
            Err(unwritten.hint("the message is on standard error"))
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

/// Prints the sizes, until a signal comes or nobody reads them.
async fn watch(args: &WatchArgs) -> Result<ExitCode> {
    let ending = Ending::by(&STOP)?;
    let known = RefCell::new(BTreeMap::new());
    let is_told = Cell::new(false);
    let work = async |room: &Room| {
        while !output::is_unread() {
            let queues = ask(room, &List {}).await?.queues;
            let is_meant = |name: &str| args.queue.as_deref().is_none_or(|only| only == name);
            let queues = queues.into_iter().filter(|queue| is_meant(&queue.name));
            let now: BTreeMap<_, _> = queues.map(|queue| (queue.name, queue.size)).collect();
            if let Some(queue) = args.queue.as_ref().filter(|_| now.is_empty())
                && !is_told.replace(true)
            {
                output::note(&format!("note: there is no queue {queue} yet"));
            }
            print_changes(&known.replace(now), &known.borrow())?;
            output::check()?;
            tokio::select! {
                () = tokio::time::sleep(args.interval) => {}
                () = output::unread() => {}
            }
        }
        Ok(())
    };
    args.at.lasting(work, &ending.stop, |news| tell(news, "")).await?;
    Ok(ExitCode::SUCCESS)
}

/// Prints which sizes changed.
fn print_changes(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Result<()> {
    for (name, size) in now.iter().filter(|(name, size)| before.get(*name) != Some(*size)) {
        output::json_line(&json!({"queue": name, "size": size}))?;
    }
    for name in before.keys().filter(|name| !now.contains_key(*name)) {
        output::json_line(&json!({"queue": name, "size": null}))?;
    }
    Ok(())
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
        QueueCommand::Receive(args) => receive(&args).await,
        QueueCommand::Size(args) => run_one(&args).await,
        QueueCommand::Watch(args) => watch(&args).await,
    }
}
