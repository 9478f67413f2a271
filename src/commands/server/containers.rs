//! Options about containers in rooms.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ValueHint;
use meshagent_containers::{Limits, Socket};

use super::number;
use crate::platform::ContainerSettings;

/// The word for no containers at all.
const NONE: &str = "none";

/// How many bytes a MiB has.
const MIB: u64 = 1024 * 1024;

/// What runs containers, and what each may use.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Containers")]
pub struct ContainersArgs {
    /// The socket of Podman or Docker; `none` to run no containers [env: CONTAINER_HOST,
    /// DOCKER_HOST] [default: where they usually have it]
    #[arg(long, value_name = "SOCKET", value_hint = ValueHint::FilePath)]
    pub containers: Option<PathBuf>,

    /// How many containers a room may have [default: 32]
    #[arg(long, value_name = "N", value_parser = number)]
    pub max_containers: Option<NonZeroUsize>,

    /// How much memory a container may have, in MiB [default: 512]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(6..))]
    pub container_memory: Option<u32>,

    /// How many processors a container may have, also parts of one [default: 1]
    #[arg(long, value_name = "N", value_parser = processors)]
    pub container_processors: Option<f64>,

    /// Where containers reach the platform, if not at this machine's address in their network
    #[arg(long, value_name = "URL", value_parser = url)]
    pub container_url: Option<String>,
}

impl ContainersArgs {
    /// What they say.
    pub fn settings(&self) -> ContainerSettings {
        let usual = ContainerSettings::usual();
        let memory = self.container_memory.map(|mib| u64::from(mib) * MIB);
        ContainerSettings {
            socket: match &self.containers {
                None => usual.socket,
                Some(none) if none.as_os_str() == NONE => None,
                Some(socket) => Some(Socket::At(socket.clone())),
            },
            most: self.max_containers.map_or(usual.most, NonZeroUsize::get),
            each: Limits {
                memory: memory.unwrap_or(usual.each.memory),
                processors: self.container_processors.unwrap_or(usual.each.processors),
                ..usual.each
            },
            url: self.container_url.clone(),
        }
    }
}

fn processors(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.01..=1024.0).contains(number));
    number.ok_or_else(|| "write a number from 0.01 to 1024, such as 0.5".to_owned())
}

fn url(text: &str) -> Result<String, String> {
    let is_web = |url: &url::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    match url::Url::parse(text).is_ok_and(|url| is_web(&url)) {
        true => Ok(text.trim_end_matches('/').to_owned()),
        false => Err("write a URL, such as http://10.0.2.2:8787".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_usual() {
        let usual = ContainersArgs::default().settings();
        assert!(matches!(usual.socket, Some(Socket::Usual)));
        let said = ContainersArgs {
            containers: Some(NONE.into()),
            container_memory: Some(64),
            ..ContainersArgs::default()
        };
        let said = said.settings();
        assert!(said.socket.is_none());
        assert_eq!((said.each.memory, said.most), (64 * MIB, usual.most));
        assert!(processors("0.5").is_ok() && processors("0").is_err() && processors("x").is_err());
        assert!(url("http://10.0.2.2:1/").is_ok() && url("ftp://x").is_err() && url("x").is_err());
    }
}
