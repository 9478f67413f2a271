//! The engine that is spoken with: where it listens, and what it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::wire::{Call, Wire};

/// How long an engine has to say what it is.
const TO_INTRODUCE: Duration = Duration::from_secs(10);

/// Where an engine is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Socket {
    /// At this path.
    At(PathBuf),
    /// Where the variables `CONTAINER_HOST` and `DOCKER_HOST` say, else in the usual places.
    Usual,
}

/// Why there is no engine, in one line that says where it was looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Absent(String);

/// What an engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// `Podman` or `Docker`; what the engine calls itself where it is neither.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether it runs without the rights of the system's administrator.
    pub is_rootless: bool,
    /// What images have to be made for, such as `amd64`.
    pub architecture: String,
    /// Whether the addresses of containers lead to them from this machine. They do not where the
    /// engine runs in a machine of its own, or without the rights of the administrator.
    pub is_within_reach: bool,
}

impl About {
    /// Whether it is Podman, which can prepare a container without starting it.
    pub fn is_podman(&self) -> bool {
        self.name == "Podman"
    }
}

/// An engine. A clone is the same engine.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) wire: Wire,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    about: About,
    socket: PathBuf,
    scratch: PathBuf,
    unpacking: tokio::sync::Mutex<()>,
}

impl Engine {
    /// The engine at a socket. What containers are given as texts, and the content of images,
    /// is kept below `scratch`, which is made and must be of nobody else. The engine must see
    /// it at the same path.
    pub async fn connect(socket: &Socket, scratch: &Path) -> std::result::Result<Self, Absent> {
        let places = match socket {
            Socket::At(path) => vec![path.clone()],
            Socket::Usual => usual(&|name| std::env::var_os(name))?,
        };
        let mut seen = Vec::new();
        for path in &places {
            let wire = Wire::new(path);
            let about = match introduced(&wire).await {
                Ok(about) => about,
                Err(Error::Gone { text, .. }) => {
                    seen.push(format!("{} ({text})", path.display()));
                    continue;
                }
                Err(error) => {
                    seen.push(format!("{} ({error})", path.display()));
                    continue;
                }
            };
            let made = made(scratch);
            let scratch = made.map_err(|error| {
                Absent(format!("cannot make {} for containers: {error}", scratch.display()))
            })?;
            let shared = Arc::new(Shared {
                about,
                socket: path.clone(),
                scratch,
                unpacking: tokio::sync::Mutex::default(),
            });
            return Ok(Self { wire, shared });
        }
        let seen = seen.join(", ");
        Err(Absent(format!(
            "there is no engine for containers: looked at {seen}; start Docker or Podman's service, or name its socket"
        )))
    }

    /// What the engine is.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.shared.about
    }

    /// Where the engine listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.shared.socket
    }

    /// Waits until no content of an image is unpacked, so that none is unpacked twice.
    pub(crate) async fn unpacking(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.shared.unpacking.lock().await
    }

    /// The folder of what is given to containers.
    pub(crate) fn scratch(&self) -> &Path {
        &self.shared.scratch
    }
}

/// Makes the folder that only this user looks into, and says where it really is.
fn made(scratch: &Path) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    // Engines take some letters for what separates a path from its options.
    let is_plain = |it: char| it.is_alphanumeric() || "/-_. ".contains(it);
    if !scratch.to_str().is_some_and(|it| it.chars().all(is_plain)) {
        return Err(std::io::Error::other(
            "choose a path of letters, digits, dots, dashes and spaces",
        ));
    }
    // Others may pass through it: a process in a container may be of another user.
    std::fs::DirBuilder::new().recursive(true).mode(0o711).create(scratch)?;
    scratch.canonicalize()
}

/// Asks an engine what it is.
async fn introduced(wire: &Wire) -> Result<About> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Version {
        version: String,
        arch: String,
        #[serde(default)]
        components: Vec<Component>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Component {
        name: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Info {
        #[serde(default)]
        rootless: bool,
        #[serde(default)]
        security_options: Option<Vec<String>>,
        #[serde(default)]
        operating_system: String,
    }
    let what = "ask it what it is";
    let call = |path: &str| Call::get(path, what).patience(TO_INTRODUCE);
    let version: Version = wire.json(call("/version")).await?;
    let info: Info = wire.json(call("/info")).await?;
    let names = |wanted: &str| version.components.iter().any(|it| it.name.starts_with(wanted));
    let name = match () {
        () if names("Podman") => "Podman".to_owned(),
        () if names("Engine") => "Docker".to_owned(),
        () => version.components.first().map_or_else(|| "unknown".to_owned(), |it| it.name.clone()),
    };
    // Docker tells it as `name=rootless`, Podman in a field of its own.
    let options = info.security_options.unwrap_or_default();
    let is_rootless = info.rootless || options.iter().any(|it| it == "name=rootless");
    // Docker Desktop has a machine of its own on Linux, too.
    let is_elsewhere = !cfg!(target_os = "linux") || info.operating_system == "Docker Desktop";
    Ok(About {
        name,
        version: version.version,
        is_rootless,
        architecture: version.arch,
        is_within_reach: !is_rootless && !is_elsewhere,
    })
}

/// The places where an engine usually listens, as the environment has them.
fn usual(variable: &dyn Fn(&str) -> Option<OsString>) -> std::result::Result<Vec<PathBuf>, Absent> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    for name in ["CONTAINER_HOST", "DOCKER_HOST"] {
        let Some(value) = variable(name) else { continue };
        let value = value.to_string_lossy().into_owned();
        return match value.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Ok(vec![PathBuf::from(path)]),
            _ => Err(Absent(format!(
                "{name} is {value}, and only an engine on this machine can be used: write unix:// and the path of its socket"
            ))),
        };
    }
    let below = |name: &str, rest: &str| variable(name).map(|it| PathBuf::from(it).join(rest));
    let places = [
        below("XDG_RUNTIME_DIR", "podman/podman.sock"),
        below("XDG_RUNTIME_DIR", "docker.sock"),
        Some(PathBuf::from("/run/podman/podman.sock")),
        Some(PathBuf::from("/var/run/docker.sock")),
        below("HOME", ".docker/run/docker.sock"),
    ];
    Ok(places.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(variables: &[(&str, &str)]) -> std::result::Result<Vec<PathBuf>, Absent> {
        usual(&|name| variables.iter().find(|it| it.0 == name).map(|it| it.1.into()))
    }

    #[test]
    fn a_variable_says_where_the_engine_listens() {
        let named = places(&[("DOCKER_HOST", "unix:///a/b.sock"), ("HOME", "/home/me")]);
        assert_eq!(named, Ok(vec![PathBuf::from("/a/b.sock")]));
    }

    #[test]
    fn an_engine_elsewhere_is_refused_with_the_name_of_the_variable() {
        for value in ["tcp://10.0.0.1:2375", "ssh://me@there", "unix://here"] {
            let refused = places(&[("CONTAINER_HOST", value)]).expect_err(value).to_string();
            let told = format!("CONTAINER_HOST is {value}, and only an engine on this machine");
            assert!(refused.starts_with(&told), "{refused}");
        }
    }

    #[test]
    fn the_usual_places_are_those_of_this_user_first() {
        let usual = places(&[
            ("XDG_RUNTIME_DIR", "/run/user/7"),
            ("HOME", "/home/me"),
            ("DOCKER_HOST", ""),
        ]);
        let wanted = [
            "/run/user/7/podman/podman.sock",
            "/run/user/7/docker.sock",
            "/run/podman/podman.sock",
            "/var/run/docker.sock",
            "/home/me/.docker/run/docker.sock",
        ];
        assert_eq!(usual, Ok(wanted.map(PathBuf::from).to_vec()));
    }
}
