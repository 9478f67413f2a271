//! Containers that there are: what they do, how they end, and how this process gets to them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::images;
use crate::mounts;
use crate::wire::{Call, Subject, escaped};

/// How long an engine has to stop a container, on top of what the container has.
const TO_STOP: Duration = Duration::from_secs(60);

/// How long a container on this machine has to answer on its own address, or to say that nobody
/// listens there.
const TO_REACH: Duration = Duration::from_millis(500);

/// How long a program in a container has to take a connection.
const TO_DIAL: Duration = Duration::from_secs(15);

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is there, and was not started.
    Created,
    /// It runs.
    Running,
    /// It has ended.
    Exited,
    /// The engine says something else, such as that it is being removed.
    Unknown,
}

impl State {
    fn of(text: &str) -> Self {
        match text {
            "created" | "configured" | "initialized" => Self::Created,
            "running" | "paused" | "stopping" => Self::Running,
            "exited" | "stopped" | "dead" => Self::Exited,
            _ => Self::Unknown,
        }
    }
}

/// A container in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What it is found by.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The image that it was made of, as the engine calls it.
    pub image: String,
    /// What it does.
    pub state: State,
    /// The same in words of the engine, such as "Up 2 minutes".
    pub status: String,
    /// What it is found by.
    pub labels: BTreeMap<String, String>,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// What it is found by.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The image that it was made of, as the engine calls it.
    pub image: String,
    /// What identifies that image.
    pub image_digest: String,
    /// What it does.
    pub state: State,
    /// How it ended, if it has.
    pub exit_code: Option<i64>,
    /// Whether it was ended for want of memory, as far as the engine noticed.
    pub out_of_memory: bool,
    /// When it was started, as RFC 3339 has times.
    pub started: Option<String>,
    /// When it ended.
    pub ended: Option<String>,
    /// What it is found by.
    pub labels: BTreeMap<String, String>,
    /// Its addresses, by the names of its networks.
    pub addresses: BTreeMap<String, IpAddr>,
    /// Ports inside, with the ports of 127.0.0.1 that lead to them.
    pub ports: BTreeMap<u16, u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    name: String,
    image: String,
    state: InspectedState,
    config: Config,
    network_settings: NetworkSettings,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedState {
    status: String,
    exit_code: i64,
    #[serde(rename = "OOMKilled", default)]
    out_of_memory: bool,
    #[serde(default)]
    started_at: String,
    #[serde(default)]
    finished_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    image: String,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    networks: Option<BTreeMap<String, Endpoint>>,
    ports: Option<BTreeMap<String, Option<Vec<Binding>>>>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "IPAddress", default)]
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Binding {
    host_port: String,
}

impl Inspected {
    fn read(self) -> Container {
        let state = State::of(&self.state.status);
        let networks = self.network_settings.networks.unwrap_or_default();
        let addresses = networks.into_iter();
        let addresses = addresses.filter_map(|(name, it)| Some((name, it.address.parse().ok()?)));
        let ports = self.network_settings.ports.unwrap_or_default().into_iter();
        let ports = ports.filter_map(|(inside, bindings)| {
            let inside = inside.strip_suffix("/tcp")?.parse().ok()?;
            let outside = bindings?.first()?.host_port.parse().ok()?;
            Some((inside, outside))
        });
        Container {
            name: self.name.trim_start_matches('/').to_owned(),
            exit_code: (state == State::Exited).then_some(self.state.exit_code),
            state,
            id: self.id,
            image: self.config.image,
            image_digest: images::digest(&self.image),
            out_of_memory: self.state.out_of_memory,
            started: time(self.state.started_at),
            ended: time(self.state.finished_at).filter(|_| state == State::Exited),
            labels: self.config.labels.unwrap_or_default(),
            addresses: addresses.collect(),
            ports: ports.collect(),
        }
    }
}

/// A time that an engine tells. What has not been is in the first year.
fn time(text: String) -> Option<String> {
    Some(text).filter(|it| !it.is_empty() && !it.starts_with("0001-"))
}

impl Engine {
    /// A request about one container.
    pub(crate) fn of_container(
        id: &str,
        call: fn(String, String) -> Call,
        rest: &str,
        what: &str,
    ) -> Result<Call> {
        // In a path, dots alone are no name.
        let is_none = id.trim_matches('.').is_empty();
        if is_none || id.chars().any(char::is_control) || id.len() > 256 {
            return Err(Error::NoContainer { id: id.chars().take(64).collect() });
        }
        let path = format!("/containers/{}{rest}", escaped(id));
        let call = call(path, format!("{what} the container {id}"));
        Ok(call.about(Subject::Container(id.to_owned())))
    }

    /// A container, by its id or name.
    pub async fn inspect(&self, id: &str) -> Result<Container> {
        let call = Self::of_container(id, Call::get, "/json", "look at")?;
        Ok(self.wire.json::<Inspected>(call).await?.read())
    }

    /// The containers that have all of these labels: those that run, or all of them.
    pub async fn list(&self, labels: &BTreeMap<String, String>, all: bool) -> Result<Vec<Listed>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Item {
            id: String,
            names: Option<Vec<String>>,
            image: String,
            state: String,
            #[serde(default)]
            status: String,
            labels: Option<BTreeMap<String, String>>,
        }
        let labels: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let filters = json!({ "label": labels }).to_string();
        let call = Call::get("/containers/json", "list containers");
        let call = call.with("all", if all { "true" } else { "false" }).with("filters", &filters);
        let items: Vec<Item> = self.wire.json(call).await?;
        let read = |item: Item| {
            let name = item.names.and_then(|names| names.into_iter().next()).unwrap_or_default();
            Listed {
                id: item.id,
                name: name.trim_start_matches('/').to_owned(),
                image: item.image,
                state: State::of(&item.state),
                status: item.status,
                labels: item.labels.unwrap_or_default(),
            }
        };
        Ok(items.into_iter().map(read).collect())
    }

    /// Waits for the end of a container, however long that takes, and has its exit code: at once,
    /// if it has ended. One that was removed meanwhile is not there any more, however it ended.
    pub async fn wait(&self, id: &str) -> Result<i64> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Waited {
            status_code: i64,
        }
        let call = Self::of_container(id, Call::post, "/wait", "wait for")?.however_long();
        let code = self.wire.json::<Waited>(call).await?.status_code;
        if code > 0 {
            return Ok(code);
        }
        // Of a container that was removed meanwhile, Podman says that it has ended well.
        let ended = self.inspect(id).await?.exit_code;
        ended.ok_or_else(|| Error::NoContainer { id: id.to_owned() })
    }

    /// Asks a container to end, and kills it if it has not done so in time. It may have ended before.
    pub async fn stop(&self, id: &str, grace: Duration) -> Result<()> {
        let call = Self::of_container(id, Call::post, "/stop", "stop")?;
        let call = call.with("t", &grace.as_secs().to_string()).patience(grace + TO_STOP);
        self.wire.done(call).await
    }

    /// Kills a container that runs.
    pub async fn kill(&self, id: &str) -> Result<()> {
        let call = Self::of_container(id, Call::post, "/kill", "kill")?.with("signal", "KILL");
        self.wire.done(call).await
    }

    /// Removes a container with all that only it had: one that has ended, or any one with force.
    pub async fn remove(&self, id: &str, force: bool) -> Result<()> {
        let texts = self.inspect(id).await?.labels.remove(mounts::SCRATCH);
        let call = Self::of_container(id, Call::delete, "", "remove")?;
        let call = call.with("force", if force { "true" } else { "false" }).with("v", "true");
        self.wire.done(call).await?;
        if let Some(texts) = texts {
            mounts::forget(self, &texts);
        }
        Ok(())
    }

    /// How this process gets to a port inside a container: at the container's own address where
    /// that leads there, else at the port of 127.0.0.1 that was asked for in its description.
    pub async fn reach(&self, id: &str, port: u16) -> Result<SocketAddr> {
        let container = self.inspect(id).await?;
        for address in self.addresses(&container, port)? {
            if leads_there(address).await {
                return Ok(address);
            }
        }
        published(&container, port)
    }

    /// Connects to a port inside a container that was looked at a moment ago, by the way that
    /// [`Self::reach`] finds. It makes one connection alone: some programs serve one, and end.
    pub async fn dial(&self, container: &Container, port: u16) -> Result<TcpStream> {
        let nobody = || Error::NobodyListens { id: container.id.clone(), port };
        let connect = |address| timeout(TO_DIAL, TcpStream::connect(address));
        for address in self.addresses(container, port)? {
            match connect(address).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) if error.kind() != ErrorKind::ConnectionRefused => {
                    // It does not lead there.
                }
                // A program that is busy takes nothing for a while.
                Ok(Err(_)) | Err(_) => return Err(nobody()),
            }
        }
        match connect(published(container, port)?).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(_)) | Err(_) => Err(nobody()),
        }
    }

    /// The addresses of a container that runs, as far as they may lead there from here. Those of an
    /// engine without rights are in a network of its own, and elsewhere the same ones may be
    /// anybody's.
    fn addresses(&self, container: &Container, port: u16) -> Result<Vec<SocketAddr>> {
        if container.state != State::Running {
            return Err(Error::conflict(&to(container, port), "it does not run"));
        }
        let all = container.addresses.values().filter(|_| self.about().is_within_reach);
        Ok(all.map(|address| SocketAddr::new(*address, port)).collect())
    }
}

/// What is done with a port of a container.
fn to(container: &Container, port: u16) -> String {
    format!("get to port {port} of the container {}", container.id)
}

/// Where a port of a container is on this machine's loopback, if it was published there.
fn published(container: &Container, port: u16) -> Result<SocketAddr> {
    let published = container.ports.get(&port);
    let address = published.map(|&it| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), it));
    address.ok_or_else(|| {
        Error::conflict(&to(container, port), "its address does not lead there from here, and the port was not published when it was started")
    })
}

/// Whether there is a machine at this address, whoever listens.
async fn leads_there(address: SocketAddr) -> bool {
    match timeout(TO_REACH, TcpStream::connect(address)).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => error.kind() == ErrorKind::ConnectionRefused,
        Err(_) => false,
    }
}
