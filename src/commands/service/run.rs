//! `service run`: a command of this machine as a service of a room, for as long as it runs.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::api::http::{self, Told};
use crate::api::token::Token;
use crate::commands::call::{self, Invitation};
use crate::commands::option_values::named_room;
use crate::commands::signals::{self, Signals};
use crate::commands::token::KeyArgs;
use crate::error::{Class, Context, Error, Result};
use crate::kinds::shape::Shape;
use crate::kinds::specs::scope::ApiScope;
use crate::output;
use crate::settings::{ProjectArgs, variable};

/// How many times the command is asked what it serves before giving up.
const TRIES: u32 = 11;

/// How long to wait after the first time; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a command may take to end after it is asked to.
const GRACE: Duration = Duration::from_secs(10);

/// Arguments of `service run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The command gets its port in MESHAGENT_PORT. Once it reports what it serves, each endpoint is\ncalled into the room, which is created if it does not exist; the service is not stored on the\nplatform. Signals are passed on to the command and the processes that it started; those that are\nleft at the end are killed, except those that began a session of their own (setsid). The exit code\nis 1 when the command fails, and 128 plus the number of the signal when a signal ends it. A command\nthat ends in .py is run by python3, one that ends in .dart by dart; no shell is involved."
)]
pub struct RunArgs {
    /// The command, as one argument
    #[arg(value_name = "COMMAND")]
    command: String,
    /// The port that the command listens on; without it, a free one
    #[arg(short, long, value_name = "PORT")]
    port: Option<u16>,
    /// The room [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    project: ProjectArgs,
}

/// A command with all processes that it starts; they end when this is dropped.
struct Group {
    child: Child,
    id: Pid,
}

impl Drop for Group {
    fn drop(&mut self) {
        self.tell(Signal::SIGKILL);
    }
}

impl Group {
    fn start(command: &str, port: u16) -> Result<Self> {
        let words = words(command)?;
        let (program, arguments) =
            words.split_first().ok_or_else(|| Error::usage("there is no command to run"))?;
        let child = Command::new(program)
            .args(arguments)
            .env("MESHAGENT_PORT", port.to_string())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context(|| format!("failed to start {program}"))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.ok_or_else(|| Error::failed(format!("{program} ended at once")))?;
        Ok(Self { child, id: Pid::from_raw(id) })
    }

    /// Signals all processes of the group; processes that have ended are skipped.
    fn tell(&self, signal: Signal) {
        let _ = killpg(self.id, signal);
    }
}

/// The words of a command.
fn words(command: &str) -> Result<Vec<String>> {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    if command.ends_with(".py") && !command.contains(' ') {
        return Ok(owned(&["python3", command]));
    }
    if command.ends_with(".dart") && !command.contains(' ') {
        return Ok(owned(&["dart", "run", command]));
    }
    shlex::split(command).ok_or_else(|| Error::usage("the command has an unclosed quote"))
}

fn free_port() -> Result<u16> {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .context(|| "failed to find a free port".to_owned())
}

/// What the command says it serves.
async fn descriptor(port: u16) -> Result<Value> {
    let url = format!("http://localhost:{port}/.well-known/meshagent-service.json");
    let client = http::of_anything(&url)?;
    let mut wait = FIRST_WAIT;
    for attempt in 1..=TRIES {
        if let Ok(Told { status, body }) =
            http::ask(client.get(&url), PATIENCE, http::STANDARD).await
            && status.is_success()
            && let Ok(told) = serde_json::from_slice(&body)
        {
            return Ok(told);
        }
        if attempt < TRIES {
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }
    Err(Error::failed(format!("nothing on port {port} reports what it serves"))
        .hint("the command must listen on the port in MESHAGENT_PORT"))
}

/// Calls every endpoint into the room.
async fn register(args: &RunArgs, project: &str, room: &str, port: u16) -> Result<()> {
    let told = descriptor(port).await?;
    let ports = told.get("ports").and_then(Value::as_array);
    for served in ports.into_iter().flatten() {
        let number = match served.get("num") {
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::String(number)) if number != "*" => number.clone(),
            _ => port.to_string(),
        };
        for endpoint in served.get("endpoints").and_then(Value::as_array).into_iter().flatten() {
            let path = endpoint.get("path").and_then(Value::as_str).unwrap_or("/");
            let identity = endpoint.pointer("/meshagent/identity").and_then(Value::as_str);
            let Some(identity) = identity else {
                return Err(Error::failed(format!("the endpoint {path} has no identity")));
            };
            let scope = match endpoint.pointer("/meshagent/api") {
                None | Some(Value::Null) => ApiScope::of_agents(),
                Some(scope) => serde_json::from_value::<ApiScope>(scope.clone()).context(|| {
                    format!("the endpoint {path} asks for a scope that does not exist")
                })?,
            };
            let token = match variable("MESHAGENT_TOKEN") {
                Some(token) => token,
                None => Token::new(identity)
                    .api(Shape::said(&scope))
                    .grant("role", "agent")
                    .grant("room", room)
                    .grant("tunnel_ports", "9000")
                    .sign(&args.key.signer(project)?),
            };
            let invitation = Invitation { room, token: &token, arguments: &json!({}) };
            call::post(&format!("http://localhost:{number}{path}"), &invitation, false).await?;
            output::note(&format!("{identity} is called into the room {room}"));
        }
    }
    Ok(())
}

/// Runs `service run`.
pub async fn run(args: RunArgs) -> Result<ExitCode> {
    let project = args.project.project_id().await?;
    args.key.signer(&project)?;
    let room = named_room(args.room.clone(), "--room", Class::Failed)?;
    let port = match args.port {
        Some(port) => port,
        None => free_port()?,
    };
    if args.port.is_some() && std::net::TcpListener::bind(("127.0.0.1", port)).is_err() {
        output::warning(&format!(
            "something listens on port {port} already, and may be called instead of the command"
        ));
    }
    let mut signals = Signals::listen(&signals::STOP)?;
    let mut group = Group::start(&args.command, port)?;
    let mut registration = Box::pin(register(&args, &project, &room, port));
    let mut is_registered = false;
    let received = loop {
        tokio::select! {
            done = &mut registration, if !is_registered => {
                done?;
                is_registered = true;
            }
            ended = group.child.wait() => {
                let status = ended.context(|| "failed to wait for the command".to_owned())?;
                if status.success() {
                    return Ok(ExitCode::SUCCESS);
                }
                let failed = Error::failed(format!("the command ended with {status}"));
                let signal = status.signal().and_then(|signal| Signal::try_from(signal).ok());
                return match signal {
                    Some(signal) => {
                        output::error(&failed);
                        Ok(ExitCode::from(signals::code(signal)))
                    }
                    None => Err(failed),
                };
            }
            received = signals.received() => break received,
        }
    };
    group.tell(received);
    if tokio::time::timeout(GRACE, group.child.wait()).await.is_err() {
        output::warning("the command did not stop when asked to, so it is killed");
    }
    Ok(ExitCode::from(signals::code(received)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_as_a_shell_would() {
        assert_eq!(words("agent.py").unwrap(), ["python3", "agent.py"]);
        assert_eq!(words("bin/agent.dart").unwrap(), ["dart", "run", "bin/agent.dart"]);
        assert_eq!(words("python3 agent.py").unwrap(), ["python3", "agent.py"]);
        assert_eq!(words("sh -c 'a b'").unwrap(), ["sh", "-c", "a b"]);
        assert!(words("sh -c 'a").is_err());
    }
}
