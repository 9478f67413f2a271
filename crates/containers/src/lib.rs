//! Containers of rooms: what is said to Docker or Podman, and what is promised of each container.
//!
//! **The promise.** A container has the limits that it was given, hardly any of an administrator's
//! rights, and no way to gain others. It sees no folder that it was not given, however paths are
//! written and links are put. It is in no network but its own, and other machines do not get to it. What an
//! engine or a container says is bounded in memory, and an engine that leaves is an error, never a wait.
//!
//! | module | holds |
//! |---|---|
//! | [`engine`] | where an engine listens, and what it is |
//! | [`spec`] | what a container is to be |
//! | [`mounts`] | what it is given as files and folders |
//! | [`run`] | how it is made and started |
//! | [`life`] | containers that there are, their ends, and their ports |
//! | [`exec`] | commands in them |
//! | [`logs`] | what they have written |
//! | [`network`] | who reaches whom |
//! | [`images`] | which images there are, where they come from, and where they go |
//! | [`error`] | why something was not done |
//! | [`text`] | pieces of bytes as pieces of text |
//! | `frames` | outputs of processes as engines send them |
//! | `host` | processes of containers, as this machine has them |
//! | `wire` | HTTP with the engine |
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use meshagent_containers::{Command, Engine, Socket, Spec};
//!
//! let engine = Engine::connect(&Socket::Usual, "/var/lib/example/containers".as_ref()).await?;
//! engine.pull("docker.io/library/alpine:3", &[]).await?.done().await?;
//! let id = engine
//!     .run(&Spec {
//!         image: "docker.io/library/alpine:3".to_owned(),
//!         command: Command::Line("echo hello".to_owned()),
//!         ..Spec::default()
//!     })
//!     .await?;
//! assert_eq!(engine.wait(&id).await?, 0);
//! # Ok(())
//! # }
//! ```
//!
//! **What must not live here**: rooms, participants and their grants, tokens, messages, the terminal.
//! A caller has checked who asks, and whether that is allowed.

pub mod engine;
pub mod error;
pub mod exec;
mod frames;
mod host;
pub mod images;
pub mod life;
pub mod logs;
pub mod mounts;
pub mod network;
pub mod run;
pub mod spec;
pub mod text;
mod wire;

pub use engine::{About, Absent, Engine, Socket};
pub use error::{Error, Result};
pub use exec::{Control, Exec, Input, Output, Session, Size};
pub use frames::Channel;
pub use images::{Build, Credentials, Image, Progress, Saved, Step};
pub use life::{Container, Listed, State};
pub use logs::Logs;
pub use mounts::Mount;
pub use network::Network;
pub use spec::{Command, Limits, Port, Spec, Variables};
pub use text::Characters;
