//! `room`: what is done in a room, as one of its participants.
//!
//! A command consists of its arguments, its request to the room, and the way it shows the answer;
//! `run_one` runs them all. What goes over the wire is in `crate::room`, one file per toolkit.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use self::entering::Entering;
use super::group::Lenient;
use super::option_values;
use super::show::quietly;
use crate::connection::Connection;
use crate::error::{Class, Error, Result};
use crate::output;
use crate::platform::{OperationSummary, Platform};
use crate::room::client::{Incoming, Room};
use crate::room::codes;
use crate::room::connection::Ended;
use crate::room::content::Refused;
use crate::room::lasting::{self, News, NotEntered};
use crate::room::operation::{Operation, not_done};
use crate::settings::PlatformArgs;

mod agent;
mod container;
mod database;
mod developer;
pub mod entering;
mod given;
mod invoke;
mod memory;
mod messaging;
mod participants;
mod pass;
mod place;
mod printing;
mod queue;
mod secret;
mod service;
pub(super) mod storage;
mod sync;

pub use self::pass::Pass;

/// The status with which a room closes a connection that brought a message that is too large.
const TOO_LARGE: u16 = 1009;

/// Commands of `room`.
#[derive(Debug, clap::Subcommand)]
pub enum RoomCommand {
    /// List who is in a room
    #[command(mut_arg("quiet", quietly("ids")))]
    List(participants::ListParticipantsArgs),
    /// See which agents and toolkits are in a room
    #[command(subcommand, alias = "agents")]
    Agent(Lenient<agent::AgentCommand>),
    /// Send messages to queues of a room, and receive them
    #[command(subcommand)]
    Queue(Lenient<queue::QueueCommand>),
    /// See who takes part in messaging, and send messages
    #[command(subcommand)]
    Messaging(Lenient<messaging::MessagingCommand>),
    /// Copy, list and remove files of a room
    #[command(subcommand)]
    Storage(Lenient<storage::StorageCommand>),
    /// Read and change documents of a room
    #[command(subcommand)]
    Sync(Lenient<sync::SyncCommand>),
    /// Create, fill and read tables of a room
    #[command(subcommand)]
    Database(Lenient<database::DatabaseCommand>),
    /// Fill and ask the memories of a room
    #[command(subcommand)]
    Memory(Lenient<memory::MemoryCommand>),
    /// Run and watch containers in a room
    #[command(subcommand)]
    Container(Lenient<container::ContainerCommand>),
    /// See how the services of a room are, and start them again
    #[command(subcommand, alias = "services")]
    Service(Lenient<service::RoomServiceCommand>),
    /// Store secrets in a room, and ask participants for them
    #[command(subcommand, alias = "secrets")]
    Secret(Lenient<secret::RoomSecretCommand>),
    /// Watch what is logged in a room
    #[command(subcommand)]
    Developer(Lenient<developer::DeveloperCommand>),
}

/// Which room is entered.
#[derive(Debug, clap::Args)]
pub struct RoomArgs {
    /// The room's name [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "ROOM", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    room: Option<String>,
    #[command(flatten)]
    platform: PlatformArgs,
}

impl RoomArgs {
    /// Enters the room, does the work, and leaves.
    ///
    /// # Errors
    ///
    /// No room; one that does not let the participant in; errors of the work.
    async fn with<T>(&self, work: impl AsyncFnOnce(&Room) -> Result<T>) -> Result<T> {
        self.hearing(async |room: &Room, incoming| {
            // Nobody listens to what the room tells besides, and it need not be kept.
            drop(incoming);
            work(room).await
        })
        .await
    }

    /// The same for work that listens to what the room tells besides.
    ///
    /// # Errors
    ///
    /// The room cannot be entered, or the work fails.
    async fn hearing<T>(&self, work: impl AsyncFnOnce(&Room, Incoming) -> Result<T>) -> Result<T> {
        let room = option_values::named_room(self.room.clone(), "--room", Class::Usage)?;
        let within = async |entering: Entering| {
            let (room, incoming) = entering.enter(&self.platform).await?;
            let done = work(&room, incoming).await;
            room.leave().await;
            done
        };
        match Entering::invited(&room, &self.platform) {
            Some(entering) => within(entering).await,
            None => {
                let entering = async |it: &_| within(Entering::ask(it, &room).await?).await;
                self.platform.with(entering).await
            }
        }
    }

    /// The same for work that also reaches the platform by other ways than the room's websocket, as
    /// the same participant.
    ///
    /// # Errors
    ///
    /// The room cannot be entered, or the work fails.
    pub async fn passing<T>(
        &self,
        work: impl AsyncFnOnce(&Room, Incoming, &mut Pass<'_>) -> Result<T>,
    ) -> Result<T> {
        let room = option_values::named_room(self.room.clone(), "--room", Class::Usage)?;
        let within = async |entering: Entering, connection: Option<&Connection>| {
            let mut pass = Pass::of(&entering, room.clone(), connection, &self.platform);
            let (room, incoming) = entering.enter(&self.platform).await?;
            let done = work(&room, incoming, &mut pass).await;
            room.leave().await;
            done
        };
        match Entering::invited(&room, &self.platform) {
            Some(entering) => within(entering, None).await,
            None => {
                let entering =
                    async |it: &_| within(Entering::ask(it, &room).await?, Some(it)).await;
                self.platform.with(entering).await
            }
        }
    }

    /// The same for work that goes on after a lost connection, until it is told to stop.
    ///
    /// # Errors
    ///
    /// As [`Self::with`]; another try would change nothing.
    async fn lasting(
        &self,
        work: impl AsyncFn(&Room) -> Result<()>,
        stop: &CancellationToken,
        tell: impl FnMut(News),
    ) -> Result<()> {
        let room = option_values::named_room(self.room.clone(), "--room", Class::Usage)?;
        let lasting = async |connection: Option<&Connection>| {
            let mut was_there = false;
            let enter = async || {
                let entering = match connection {
                    Some(connection) => Entering::ask(connection, &room).await,
                    None => Entering::invited(&room, &self.platform).ok_or_else(|| {
                        Error::failed("there is no token for the room any more").into()
                    }),
                };
                let entered = match entering {
                    Ok(entering) => entering.enter(&self.platform).await.map_err(NotEntered::from),
                    Err(refused) => Err(refused),
                };
                // A room that cannot be entered at first is not waited for.
                let is_first = !was_there;
                was_there |= entered.is_ok();
                entered.map_err(|known| NotEntered {
                    is_for_good: known.is_for_good || is_first,
                    ..known
                })
            };
            let work = async |room: &Room, incoming: Incoming| {
                // Nobody listens to what the room tells besides.
                drop(incoming);
                work(room).await
            };
            lasting::lasting(enter, work, stop, tell).await.map(|_: Option<()>| ())
        };
        match Entering::invited(&room, &self.platform) {
            Some(_) => lasting(None).await,
            None => self.platform.with(async |it: &_| lasting(Some(it)).await).await,
        }
    }
}

/// A command that asks a room for one operation.
trait InRoom: clap::Args {
    /// What it asks for.
    type Asked: Operation;

    /// Which room it is about.
    fn at(&self) -> &RoomArgs;

    /// The request, made from the arguments.
    ///
    /// # Errors
    ///
    /// Invalid arguments. In that case nothing was asked.
    fn asked(&self) -> Result<Self::Asked>;

    /// Shows what was answered.
    ///
    /// # Errors
    ///
    /// What cannot be written.
    fn show(&self, answer: <Self::Asked as Operation>::Answer) -> Result<ExitCode>;
}

/// Runs a command that asks a room for one operation.
async fn run_one(command: &impl InRoom) -> Result<ExitCode> {
    let asked = command.asked()?;
    let answer = command.at().with(async |room: &Room| ask(room, &asked).await).await?;
    command.show(answer)
}

/// Asks the room for an operation.
///
/// # Errors
///
/// What the room did not do, and why.
pub async fn ask<O: Operation>(room: &Room, asked: &O) -> Result<O::Answer> {
    let done = room.perform(asked).await;
    done.map_err(|why| refused(room, &O::AT.to_string(), &why))
}

/// The error for what a room did not do, such as `queues.send`, with a way out as far as one is
/// known.
fn refused(room: &Room, what: &str, why: &Refused) -> Error {
    let error = not_done(what, why);
    if why.code == Some(codes::PERMISSION_DENIED) {
        // Other platforms have the same grants.
        let operations = Platform::operations();
        let known = operations.iter().find(|operation| operation.at == what);
        // What is not the room's own is a tool of a participant.
        let grant = known.map_or("agents.use_tools", |OperationSummary { grant, .. }| *grant);
        return match grant {
            // Anything that the token grants would do, so the room has another reason.
            "api" => error,
            grant => error.hint(format!("the token for the room must grant {grant}")),
        };
    }
    match is_too_large(room) {
        true => error.hint(
            "the embedded platform takes messages of 4 MiB; `meshagent server --max-message` allows more, and files of the room's storage may have any size",
        ),
        false => error,
    }
}

/// Whether the room closed the connection because a message was too large.
fn is_too_large(room: &Room) -> bool {
    matches!(room.ended(), Some(Ended::Closed { status: Some(TOO_LARGE), .. }))
}

/// What a participant hears of a connection that is lost and made again; `missed` is what that
/// means.
fn tell(news: News, missed: &str) {
    output::note(&match news {
        News::Lost { why, wait } => {
            format!("note: {why}; entering the room again in {:.1} s", wait.as_secs_f64())
        }
        News::NotEntered { why, wait } => {
            format!("note: {why}; trying again in {:.1} s", wait.as_secs_f64())
        }
        News::Returned => format!("note: in the room again{missed}"),
    });
}

/// Runs a command of `room`.
///
/// # Errors
///
/// What the platform or the room refuses; invalid options.
pub async fn run(command: RoomCommand) -> Result<ExitCode> {
    match command {
        RoomCommand::List(args) => participants::list(args).await,
        RoomCommand::Agent(command) => agent::run(command.0).await,
        RoomCommand::Queue(command) => queue::run(command.0).await,
        RoomCommand::Messaging(command) => messaging::run(command.0).await,
        RoomCommand::Storage(command) => storage::run(command.0).await,
        RoomCommand::Sync(command) => sync::run(command.0).await,
        RoomCommand::Database(command) => database::run(command.0).await,
        RoomCommand::Memory(command) => memory::run(command.0).await,
        RoomCommand::Container(command) => container::run(command.0).await,
        RoomCommand::Service(command) => service::run(command.0).await,
        RoomCommand::Secret(command) => secret::run(command.0).await,
        RoomCommand::Developer(command) => developer::run(command.0).await,
    }
}
