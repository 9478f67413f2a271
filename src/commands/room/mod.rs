//! `room`: what is done in a room, as one of its participants.
//!
//! A command consists of its arguments, its request to the room, and the way it shows the answer;
//! `run_one` runs them all. What goes over the wire is in `crate::room`, one file per toolkit.

use std::process::ExitCode;

use self::entering::Entering;
use super::group::Lenient;
use super::option_values;
use crate::error::{Class, Result};
use crate::room::client::Room;
use crate::room::operation::{Operation, not_done};
use crate::settings::PlatformArgs;

mod agent;
pub mod entering;

/// Commands of `room`.
#[derive(Debug, clap::Subcommand)]
pub enum RoomCommand {
    /// See which agents and toolkits are in a room
    #[command(subcommand, alias = "agents")]
    Agent(Lenient<agent::AgentCommand>),
}

/// Which room is entered.
#[derive(Debug, clap::Args)]
pub struct RoomArgs {
    /// The room's name [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "ROOM")]
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
        let room = option_values::named_room(self.room.clone(), "--room", Class::Usage)?;
        let within = async |entering: Entering| {
            let (room, pushed) = entering.enter(&self.platform).await?;
            // Nobody listens to what the room tells besides, and a reader that waits for that would
            // never come to the answer.
            drop(pushed);
            let done = work(&room).await;
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
    let answer = command.at().with(async |room| ask(room, &asked).await).await?;
    command.show(answer)
}

/// Asks the room for an operation.
///
/// # Errors
///
/// What the room did not do, and why.
pub async fn ask<O: Operation>(room: &Room, asked: &O) -> Result<O::Answer> {
    room.perform(asked).await.map_err(|refused| not_done(O::AT, &refused))
}

/// Runs a command of `room`.
///
/// # Errors
///
/// What the platform or the room refuses; invalid options.
pub async fn run(command: RoomCommand) -> Result<ExitCode> {
    match command {
        RoomCommand::Agent(command) => agent::run(command.0).await,
    }
}
