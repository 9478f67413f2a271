//! `room messaging`: the participants that take part in messaging, and messages to them.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::{RoomArgs, ask};
use crate::commands::option_values;
use crate::commands::show::{JsonListArgs, Listed};
use crate::error::{Class, Error, Result};
use crate::output;
use crate::room::client::{Incoming, Room};
use crate::room::messaging::{Broadcast, Enable, Letter, Participant, Send};

/// How long the list of participants may take: it comes before the answer.
const LISTING: Duration = Duration::from_secs(10);

/// The type of messages to everybody.
const CHAT: &str = "chat.broadcast";

/// Commands of `room messaging`.
#[derive(Debug, clap::Subcommand)]
pub enum MessagingCommand {
    /// List the participants that take part in messaging
    List(MessagingListArgs),
    /// Send a message to one participant
    Send(SendArgs),
    /// Send a message to all participants that take part in messaging
    Broadcast(BroadcastArgs),
}

/// Arguments of `room messaging list`.
#[derive(Debug, clap::Args)]
pub struct MessagingListArgs {
    #[command(flatten)]
    show: JsonListArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room messaging send`.
#[derive(Debug, clap::Args)]
pub struct SendArgs {
    /// The recipient's id; `room messaging list` shows it
    #[arg(long, value_name = "ID")]
    to_participant_id: String,
    /// The message's type, such as chat
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// The message: a JSON object
    #[arg(long, value_name = "JSON")]
    data: String,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room messaging broadcast`.
#[derive(Debug, clap::Args)]
pub struct BroadcastArgs {
    /// The message: a JSON object
    #[arg(long, value_name = "JSON")]
    data: String,
    #[command(flatten)]
    at: RoomArgs,
}

fn letter(kind: &str, data: &str) -> Result<Letter> {
    match option_values::json("--data", Some(data), Class::Usage)? {
        Some(message @ Value::Object(_)) => Ok(Letter::new(kind, &message)),
        _ => Err(Error::usage("--data is not a JSON object")
            .hint("for example --data '{\"text\": \"hello\"}'")),
    }
}

/// Takes part in messaging; who else does.
async fn enabled(room: &Room, mut incoming: Incoming) -> Result<Vec<Participant>> {
    let listing = async {
        while let Some(message) = incoming.next().await {
            if let Some(participants) = Participant::listed(&message) {
                return participants;
            }
        }
        Vec::new()
    };
    let unsaid = |_| Error::failed("the room did not say who takes part in messaging");
    let listing = async { timeout(LISTING, listing).await.map_err(unsaid) };
    // What is refused is not waited for.
    let ((), participants) = tokio::try_join!(ask(room, &Enable {}), listing)?;
    Ok(participants)
}

async fn list(args: &MessagingListArgs) -> Result<ExitCode> {
    let participants = args.at.hearing(enabled_in).await?;
    let listed = Listed {
        envelope: None,
        columns: &["id", "role", "attributes"],
        name: "id",
        none: "nobody else takes part in messaging",
    };
    let rows = participants.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
    args.show.print(listed, rows.map_err(|error| Error::failed(error.to_string()))?)
}

async fn enabled_in(room: &Room, incoming: Incoming) -> Result<Vec<Participant>> {
    enabled(room, incoming).await
}

async fn send(args: &SendArgs) -> Result<ExitCode> {
    let letter = letter(&args.kind, &args.data)?;
    let to = args.to_participant_id.clone();
    args.at
        .hearing(async |room: &Room, incoming| {
            let others = enabled(room, incoming).await?;
            if !others.iter().any(|other| other.id == to) {
                let told = format!("no participant with the id {to:?} takes part in messaging");
                return Err(
                    Error::failed(told).hint("`meshagent room messaging list` shows those that do")
                );
            }
            let message = Send { to_participant_id: to.clone(), letter: letter.clone() };
            ask(room, &message).await
        })
        .await?;
    output::note("the message was sent");
    Ok(ExitCode::SUCCESS)
}

async fn broadcast(args: &BroadcastArgs) -> Result<ExitCode> {
    let letter = letter(CHAT, &args.data)?;
    args.at
        .hearing(async |room: &Room, incoming| {
            enabled(room, incoming).await?;
            ask(room, &Broadcast { letter: letter.clone() }).await
        })
        .await?;
    output::note("the message was sent to everybody");
    Ok(ExitCode::SUCCESS)
}

/// Runs a command of `room messaging`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn run(command: MessagingCommand) -> Result<ExitCode> {
    match command {
        MessagingCommand::List(args) => list(&args).await,
        MessagingCommand::Send(args) => send(&args).await,
        MessagingCommand::Broadcast(args) => broadcast(&args).await,
    }
}
