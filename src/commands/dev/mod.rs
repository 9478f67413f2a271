//! `dev`: a platform of one's own that has what a folder says, as long as somebody works on it.
//!
//! | module | holds |
//! |---|---|
//! | `round` | one round: read, build, plan, apply |
//! | `watch` | whether somebody wrote to what was read |
//! | `logs` | what is logged in the rooms |
//! | `telling` | how all of that is shown |
//!
//! Must not live here: how a plan is made or performed, which is in `reconcile`.

mod logs;
mod round;
mod telling;
mod watch;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use clap::ValueHint;
use secrecy::ExposeSecret as _;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use self::logs::Logs;
use self::round::Rounds;
use self::telling::Telling;
use super::apply::ApplyFormat;
use super::environment;
use super::server::containers::ContainersArgs;
use super::server::{address, environment as variables, warn};
use super::set::{FileArgs, SetArgs};
use super::signals::{Said, Stopping};
use crate::bounded;
use crate::connection::{self, Connection};
use crate::error::{Error, Result};
use crate::listed::word;
use crate::output;
use crate::own_folder;
use crate::platform::{self, Platform};
use crate::project_file::ProjectFile;
use crate::reconcile::events::Event;
use crate::settings::PlatformArgs;

/// The file with the variables of a client, in the data folder.
const VARIABLES: &str = "platform.env";

/// What is said when a signal ends it.
const STOPPING: Said = Said {
    first: "stopping: containers are removed, and the platform is closed; Ctrl-C again ends it at once",
    second: "stopped at once: containers may be left, which the next start removes after a minute",
};

/// Arguments of `dev`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent dev\n  meshagent dev manifests\n  meshagent dev -e test --listen 127.0.0.1:0\n  . .meshagent/dev/platform.env   # in another terminal, whose commands then go there\n\nIt goes on until Ctrl-C. Rooms, their files and secrets stay in the data folder; containers do not."
)]
pub struct DevArgs {
    /// The folder of the manifests, or one of them [default: those of the project file]
    #[arg(value_name = "FOLDER", value_hint = ValueHint::AnyPath, conflicts_with = "files")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    set: SetArgs,
    /// The environment of the project file, meshagent.yaml, whose values and overrides count; its
    /// platform and project do not [env: MESHAGENT_ENVIRONMENT]
    #[arg(short = 'e', long, value_name = "NAME", action = clap::ArgAction::Append, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    environment: Option<String>,
    /// The address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787", value_parser = address)]
    listen: SocketAddr,
    /// The folder that holds the platform's data
    #[arg(long, value_name = "DIR", default_value = ".meshagent/dev")]
    data: PathBuf,
    /// Allow the manifests to run the commands whose output is a secret
    #[arg(long, help_heading = "Guards")]
    allow_commands: bool,
    /// How changes and logs are printed
    #[arg(short, long, value_enum, default_value_t = ApplyFormat::Text)]
    output: ApplyFormat,
    #[command(flatten)]
    containers: ContainersArgs,
}

impl DevArgs {
    /// The files that are meant, and the set, as the project file says now.
    fn chosen(&self) -> Result<(FileArgs, SetArgs)> {
        let mut files = self.files.clone();
        let mut platform = PlatformArgs {
            environment: self.environment.clone(),
            is_offline: true,
            ..PlatformArgs::default()
        };
        let own = self.folder.as_deref().and_then(ProjectFile::find_in);
        let environment = match (own, &self.folder) {
            (Some(own), _) => {
                let file = ProjectFile::read(&own)?;
                let named = platform.named_environment();
                let environment = file.environment(named.as_deref())?;
                Some(environment::enter(environment, &mut files, &mut platform)?)
            }
            (None, folder) => {
                files.files.extend(folder.clone());
                environment::chosen(&mut files, &mut platform)?
            }
        };
        let set = self.set.clone().or_of(environment.as_deref());
        set.name()?;
        Ok((files, set))
    }
}

/// Runs `dev` until a signal ends it.
///
/// # Errors
///
/// No manifests are named; the platform cannot be started. What is wrong with manifests later is
/// told, and ends nothing.
pub async fn run(args: DevArgs) -> Result<ExitCode> {
    let (files, _) = args.chosen()?;
    if files.files.iter().any(|file| file.as_os_str() == "-" || bounded::is_open(file)) {
        return Err(Error::usage("what comes through a pipe cannot be read again")
            .hint("name a file or a folder"));
    }
    let stop = CancellationToken::new();
    let _stopping = Stopping::new(stop.clone(), STOPPING)?;
    let (listener, address) = connection::listen(args.listen, "--listen").await?;
    let place = connection::place(&args.data, None);
    if !place.has_database() {
        connection::refuse_foreign(&args.data, "--data DIR")?;
    }
    let platform = Platform::open(place).await?;
    let platform = platform.running_containers(args.containers.settings()).keeping_rooms();
    warn(address, &args.data);
    let variables = variables(&platform.bootstrap(), (Some(address), None), false);
    let told = args.data.join(VARIABLES);
    own_folder::refuse_links(&told)
        .and_then(|()| write_private(&told, variables.expose_secret().as_bytes()))
        .map_err(|error| {
            Error::failed(format!("failed to write {}", told.display())).because(error)
        })?;
    let telling = Telling::new(args.output);
    tell_ready(&telling, address, (&args.data, &told));
    let connection = PlatformArgs::default().hosted(platform, listener, &args.data).await?;
    let connection = Rc::new(connection);
    let worked = LocalSet::new().run_until(work(&args, &connection, &telling, &stop)).await;
    // Nothing listens there any more.
    let _ = std::fs::remove_file(&told);
    let closed = match Rc::try_unwrap(connection) {
        Ok(connection) => connection.close().await,
        Err(_) => Err(Error::failed("the platform is still in use")),
    };
    worked.and(closed).map(|()| ExitCode::SUCCESS)
}

/// Writes a file that only its owner can read.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let draft = crate::whole_file::Draft::of(path)?;
    draft.file().write_all(bytes)?;
    draft.replace(path)
}

/// Says where the platform is, and how others get there.
fn tell_ready(telling: &Telling, address: SocketAddr, (data, variables): (&Path, &Path)) {
    let url = format!("http://{}", platform::reachable(address));
    let word = |path: &Path| word(&path.display().to_string());
    output::note(&format!("the platform is ready on {url}, with its data in {}", word(data)));
    output::note(&format!("in another terminal: . {}", word(variables)));
    output::note("Ctrl-C ends it");
    telling.event(&Event::Ready {
        url,
        data: data.display().to_string(),
        variables: variables.display().to_string(),
    });
}

/// Round after round, each once somebody has written to what was read.
async fn work(
    args: &DevArgs,
    connection: &Rc<Connection>,
    telling: &Telling,
    stop: &CancellationToken,
) -> Result<()> {
    let mut rounds = Rounds::new(args, connection, telling, stop);
    let mut logs = Logs::new(Rc::clone(connection), telling.clone(), stop.clone());
    let ended = async {
        tokio::select! {
            () = stop.cancelled() => {}
            // Whoever closes the pipe has seen enough.
            () = output::unread() => stop.cancel(),
        }
    };
    let working = async {
        loop {
            match rounds.round().await {
                Err(error) if !stop.is_cancelled() => telling.error(&error),
                _ => {}
            }
            if stop.is_cancelled() {
                break;
            }
            logs.follow(&rounds.rooms);
            tokio::select! {
                () = stop.cancelled() => break,
                () = rounds.watched.change(rounds.seen) => {}
            }
        }
    };
    tokio::join!(working, ended);
    logs.end().await;
    output::check()
}
