//! `room container`: what runs in containers of a room, and its images.
//!
//! | module | holds |
//! |---|---|
//! | `exec` | a command in a container that runs, with the terminal of this one |
//! | `images` | images: which there are, and how they come and go |
//! | `jobs` | work of the room with a log and an exit code |
//! | `logs` | what a container writes |
//! | `notation` | how mounts, ports, variables and credentials are written |
//! | `run` | a container that is started |
//! | `terminal` | the terminal of this program |
//!
//! Must not live here: what goes over the wire, which is in `crate::room::containers`.

mod exec;
mod images;
mod jobs;
mod logs;
mod notation;
mod run;
mod terminal;

use std::process::ExitCode;

use serde_json::Value;

use self::images::ImageCommand;
use super::{InRoom, RoomArgs, run_one};
use crate::commands::group::Lenient;
use crate::commands::show::{ListArgs as Show, Listed};
use crate::error::{Context, Result};
use crate::output;
use crate::room::containers::{Containers, List, Stop};
use crate::settings::without_letter;

/// Commands of `room container`.
#[derive(Debug, clap::Subcommand)]
pub enum ContainerCommand {
    /// List the containers of a room
    #[command(mut_arg("output", |output| output.default_value("json")))]
    List(ContainerListArgs),
    /// Stop a container
    Stop(StopArgs),
    /// Print what a container wrote
    #[command(alias = "logs")]
    Log(logs::LogArgs),
    /// Run a command in a container that runs
    Exec(exec::ExecArgs),
    /// Start a container
    #[command(mut_arg("environment", without_letter))]
    Run(Box<run::RunArgs>),
    /// Build, fetch, send and remove images
    #[command(subcommand, alias = "images")]
    Image(Lenient<ImageCommand>),
}

/// Arguments of `room container list`.
#[derive(Debug, clap::Args)]
pub struct ContainerListArgs {
    /// Also list containers that have ended
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    at: RoomArgs,
}

/// Arguments of `room container stop`.
#[derive(Debug, clap::Args)]
pub struct StopArgs {
    /// The container's id
    #[arg(long, value_name = "ID")]
    id: String,
    /// Kill it at once; otherwise it has a few seconds to end by itself
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    at: RoomArgs,
}

impl InRoom for ContainerListArgs {
    type Asked = List;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<List> {
        Ok(List { all: Some(self.all) })
    }

    fn show(&self, answer: Containers) -> Result<ExitCode> {
        let listed = Listed {
            envelope: None,
            columns: &["id", "image", "state", "status", "name", "service_id"],
            name: "id",
            none: match self.all {
                true => "the room has no containers",
                false => "no container runs in the room; --all lists those that have ended, too",
            },
        };
        let rows: std::result::Result<Vec<Value>, _> =
            answer.containers.iter().map(serde_json::to_value).collect();
        self.show.print(listed, rows.context(|| "the room's answer cannot be shown".to_owned())?)
    }
}

impl InRoom for StopArgs {
    type Asked = Stop;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Stop> {
        Ok(Stop { container_id: self.id.clone(), force: self.force })
    }

    fn show(&self, (): ()) -> Result<ExitCode> {
        output::note(&format!("stopped the container {}", self.id));
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs a command of `room container`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn run(command: ContainerCommand) -> Result<ExitCode> {
    match command {
        ContainerCommand::List(args) => run_one(&args).await,
        ContainerCommand::Stop(args) => run_one(&args).await,
        ContainerCommand::Log(args) => logs::print(&args).await,
        ContainerCommand::Exec(args) => exec::exec(&args).await,
        ContainerCommand::Run(args) => run_one(&*args).await,
        ContainerCommand::Image(command) => images::run(command.0).await,
    }
}
