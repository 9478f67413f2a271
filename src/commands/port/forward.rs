//! `port forward`: ports of a container, on this machine.

use std::net::Ipv4Addr;
use std::process::ExitCode;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::carrier::{Carrier, Renewal};
use super::mapping::{Mapping, shared};
use super::target::{Named, find};
use crate::commands::room::{Pass, RoomArgs, ask};
use crate::commands::signals::until_signal;
use crate::error::{Context, Error, Result};
use crate::output;
use crate::room::client::{Incoming, Room};
use crate::room::codes;
use crate::room::containers::{Containers, List, WaitForExit};
use crate::room::content::Refused;
use crate::room::operation::not_done;
use crate::room::tunnel::Way;
use crate::visible;

/// How the ports are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// A line for each.
    Text,
    /// A JSON object on a line for each.
    Json,
}

/// Arguments of `port forward`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent port forward --room lobby --name web --port 8080:80\n  meshagent port forward --room lobby --container-id 4f0c2b9d11aa -p 0:5432 -p 8080:80\n\nIt listens on 127.0.0.1 alone, and is in the room meanwhile, so that the room goes on. It ends with Ctrl-C, or with exit code 1 when the container or the room ends."
)]
pub struct ForwardArgs {
    /// The container's name
    #[arg(short, long, value_name = "NAME", required_unless_present = "container_id")]
    #[arg(conflicts_with = "container_id")]
    name: Option<String>,
    /// The container's id, or the beginning of it
    #[arg(short, long, value_name = "ID")]
    container_id: Option<String>,
    /// A port on this machine, 0 for a free one, and the port in the container; may be repeated
    #[arg(short, long, value_name = "LOCAL:REMOTE", required = true)]
    port: Vec<Mapping>,
    /// How the ports are printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Form,
    #[command(flatten)]
    at: RoomArgs,
}

/// Runs `port forward`.
///
/// # Errors
///
/// A port that is taken here; no such container, or several; the container or the room has ended.
pub async fn forward(args: &ForwardArgs) -> Result<ExitCode> {
    until_signal(async |stop| {
        let listeners = listen(&args.port).await?;
        let work = async |room: &Room, incoming: Incoming, pass: &mut Pass<'_>| {
            args.forward(room, incoming, pass, (listeners, &stop)).await
        };
        args.at.passing(work).await
    })
    .await
}

/// A port here that is listened on, and the port that is behind it.
type Listening = (TcpListener, u16);

/// Listens on the ports here, before anything is asked of a platform.
async fn listen(mappings: &[Mapping]) -> Result<Vec<Listening>> {
    if let Some(local) = shared(mappings) {
        return Err(Error::usage(format!("the local port {local} is given twice")));
    }
    let mut listeners = Vec::new();
    for Mapping { local, remote } in mappings {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, *local)).await;
        let listener = bound.map_err(|cause| {
            Error::failed(format!("failed to listen on 127.0.0.1:{local}"))
                .because(cause)
                .hint(format!("choose another local port, or a free one with --port 0:{remote}"))
        })?;
        listeners.push((listener, *remote));
    }
    Ok(listeners)
}

impl ForwardArgs {
    /// Forwards until the container ends, the room does, or it is told to stop.
    async fn forward(
        &self,
        room: &Room,
        mut incoming: Incoming,
        pass: &mut Pass<'_>,
        (listeners, stop): (Vec<Listening>, &CancellationToken),
    ) -> Result<ExitCode> {
        let target = self.target(room, pass.room()).await?;
        let (renewals, mut asked) = mpsc::channel::<Renewal>(1);
        let ends = stop.child_token();
        let _ends = ends.clone().drop_guard();
        let carrier = Carrier::new(pass.token(), renewals, ends);
        let mut taking = JoinSet::new();
        for (listener, remote) in listeners {
            let way = Way::new(pass.platform(), (&target.id, remote), pass.is_insecure())?;
            let address = listener.local_addr().context(|| "failed to read a port".to_owned())?;
            match self.output {
                Form::Text => output::data(&format!("{address} -> {remote}\n")),
                Form::Json => {
                    let (host, local) = (address.ip().to_string(), address.port());
                    output::json_line(&json!({"host": host, "local": local, "remote": remote}))?;
                }
            }
            output::note(&format!("forwarding {address} to port {remote} of {}", target.shown()));
            taking.spawn(carrier.clone().take(listener, way));
        }
        output::check()?;
        let mut ended = std::pin::pin!(target.ended(room));
        loop {
            tokio::select! {
                why = &mut ended => return Err(why),
                // Nobody listens to what the room tells besides.
                news = incoming.next() => if news.is_none() {
                    return Err(lost(room, pass.room()));
                },
                Some(renewal) = asked.recv() => {
                    // The other side may have given up.
                    let _ = renewal.send(pass.renew().await);
                }
                () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
            }
        }
    }

    /// The container that is meant. Who may not see which there are is believed.
    async fn target(&self, room: &Room, name: &str) -> Result<Target> {
        let named = match (&self.name, &self.container_id) {
            (Some(name), _) => Named::Name(name),
            (None, id) => Named::Id(id.as_deref().unwrap_or_default()),
        };
        let list = List { all: None };
        let running = match (room.perform(&list).await, named) {
            (Ok(Containers { containers }), _) => containers,
            (Err(why), Named::Id(id)) if why.code == Some(codes::PERMISSION_DENIED) => {
                return Ok(Target { id: id.to_owned(), name: None });
            }
            // It says what is missing.
            (Err(_), _) => ask(room, &list).await?.containers,
        };
        let found = find(&running, named, name)?;
        Ok(Target { id: found.id.clone(), name: found.name.clone() })
    }
}

/// The container whose ports are forwarded.
struct Target {
    id: String,
    name: Option<String>,
}

/// How much of an id is shown.
const SHOWN: usize = 12;

impl Target {
    /// It in a sentence.
    fn shown(&self) -> String {
        let id: String = self.id.chars().take(SHOWN).collect();
        let name = self.name.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default();
        visible::line(&format!("the container{name} ({id})")).into_owned()
    }

    /// Waits for the end of the container, and says how it ended.
    async fn ended(&self, room: &Room) -> Error {
        let wait = WaitForExit { container_id: self.id.clone() };
        let how = match room.perform(&wait).await {
            Ok(exit) => format!(" with the exit code {}", exit.exit_code),
            Err(Refused { code: Some(codes::CONTAINER_NOT_FOUND), .. }) => String::new(),
            // The connections tell.
            Err(Refused { code: Some(codes::PERMISSION_DENIED), .. }) => {
                std::future::pending().await
            }
            Err(_) if room.ended().is_some() => std::future::pending().await,
            Err(why) => return not_done("containers.wait_for_exit", &why),
        };
        Error::failed(format!("{} has ended{how}, so nothing is forwarded any more", self.shown()))
    }
}

/// The error for a room that has ended.
fn lost(room: &Room, name: &str) -> Error {
    let why = room.ended().map(|why| format!(": {why}")).unwrap_or_default();
    let message = format!("the room {name:?} was left, so nothing is forwarded any more{why}");
    Error::failed(message).hint("run the command again when the room runs")
}
