//! `room container run`: a container that is started.

use std::process::ExitCode;

use super::notation::{CredentialArgs, absolute, ports, variable};
use crate::commands::room::{InRoom, RoomArgs};
use crate::error::Result;
use crate::output;
use crate::room::containers::{Pair, PortPair, Run, Started};

/// Arguments of `room container run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room container run --room lobby --image alpine:3 --command 'sleep 60'\n  meshagent room container run --room lobby --image alpine:3 --mount-path /data -e LEVEL=debug -q\n\nIt prints the container's id. The container ends with the room, at the latest."
)]
pub struct RunArgs {
    /// The image
    #[arg(long, value_name = "IMAGE")]
    image: String,
    /// The command line; the image's own by default
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,
    /// The folder to start in: an absolute path in the container
    #[arg(long, value_name = "PLACE")]
    working_dir: Option<String>,
    /// An environment variable; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<Pair>,
    /// A port of the container, and where it is reached on the room's machine; may be repeated
    #[arg(short, long, value_name = "CONTAINER:HOST", value_parser = ports)]
    port: Vec<PortPair>,
    #[command(flatten)]
    credentials: CredentialArgs,
    /// Where the files of the room are in the container
    #[arg(long, value_name = "PLACE")]
    mount_path: Option<String>,
    /// The part of the files that is mounted there; all of them by default
    #[arg(long, value_name = "PLACE", requires = "mount_path")]
    mount_subpath: Option<String>,
    /// The participant that the container may be in the room: it is given a token
    #[arg(long, value_name = "NAME")]
    participant_name: Option<String>,
    /// The participant's role: user, agent or tool
    #[arg(long, value_name = "ROLE", default_value = "user")]
    role: String,
    /// The container's name in the room
    #[arg(long, value_name = "NAME")]
    container_name: Option<String>,
    #[command(flatten)]
    at: RoomArgs,
}

impl InRoom for RunArgs {
    type Asked = Run;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<Run> {
        let path = |option, path: &Option<String>| {
            path.as_deref().map(|path| absolute(option, path)).transpose()
        };
        Ok(Run {
            image: self.image.clone(),
            command: self.command.clone(),
            working_dir: path("--working-dir", &self.working_dir)?,
            env: self.env.clone(),
            mount_path: path("--mount-path", &self.mount_path)?,
            mount_subpath: self.mount_subpath.clone(),
            role: Some(self.role.clone()),
            participant_name: self.participant_name.clone(),
            ports: self.port.clone(),
            credentials: self.credentials.read()?,
            name: self.container_name.clone(),
            ..Run::default()
        })
    }

    fn show(&self, answer: Started) -> Result<ExitCode> {
        output::note("started the container");
        output::value(&answer.container_id);
        Ok(ExitCode::SUCCESS)
    }
}
