//! `port`: ports of containers in rooms, on this machine.
//!
//! | module | holds |
//! |---|---|
//! | `carrier` | the connections that are taken here, and how each gets its tunnel |
//! | `forward` | the command: which container, which ports, and how it ends |
//! | `mapping` | *pure*: how a port here and a port there are written |
//! | `target` | *pure*: which container is meant |
//!
//! Must not live here: what goes through a tunnel, which is in `crate::room::tunnel`.

mod carrier;
mod forward;
mod mapping;
mod target;

use std::process::ExitCode;

use crate::error::Result;
use crate::settings::without_letter;

/// Commands of `port`.
#[derive(Debug, clap::Subcommand)]
pub enum PortCommand {
    /// Make ports of a container reachable on this machine
    #[command(mut_arg("project_id", without_letter), mut_arg("room", |room| room.short('r')))]
    Forward(Box<forward::ForwardArgs>),
}

/// Runs `port`.
///
/// # Errors
///
/// As those of its commands.
pub async fn run(command: PortCommand) -> Result<ExitCode> {
    let PortCommand::Forward(args) = command;
    forward::forward(&args).await
}
