//! `room container exec`: a command in a container that runs. What it reads and writes is what this
//! program reads and writes, and so is its exit code.

use std::convert::Infallible;
use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;

use nix::sys::signal::Signal;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::jobs::code;
use super::terminal::{self, Terminal};
use crate::commands::room::{RoomArgs, refused};
use crate::commands::signals::{self, Signals};
use crate::commands::toggle::toggle;
use crate::error::{Error, Result};
use crate::output;
use crate::room::call::Call;
use crate::room::client::Room;
use crate::room::containers::{CommandLine, Event, ExecStart, Input};
use crate::room::content::Refused;
use crate::room::invocation::Invocation;

/// The operation, as messages name it.
const EXEC: &str = "containers.exec";

/// How much is read at once, in bytes.
const PART: usize = 32 * 1024;

/// How many parts may wait to be sent.
const WAITING: usize = 4;

/// The signals that are handed on: the command is killed.
const KILLING: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

toggle! {
    /// Give the command a terminal
    TtyArgs, tty, "no-tty"
}

/// Arguments of `room container exec`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room container exec --room lobby --container-id 4f0c --command 'ls -l /data'\n  meshagent room container exec --room lobby --container-id 4f0c --tty --command sh\n  tar c site | meshagent room container exec --room lobby --container-id 4f0c --command 'tar x -C /www'\n\nThe exit code is the command's. Ctrl-C kills the command; with --tty, the command gets all keys."
)]
pub struct ExecArgs {
    /// The container's id
    #[arg(long, value_name = "ID")]
    container_id: String,
    /// The command line, with quotes as in a shell; a shell by default
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,
    #[command(flatten)]
    tty: TtyArgs,
    #[command(flatten)]
    at: RoomArgs,
}

/// Runs `room container exec`.
///
/// # Errors
///
/// The room refuses, or has no such container; there is no terminal; the room is gone before the
/// command ends.
pub async fn exec(args: &ExecArgs) -> Result<ExitCode> {
    let words = args.command.as_deref().map(|command| {
        shlex::split(command).filter(|words| !words.is_empty()).ok_or_else(|| {
            Error::usage(format!("--command {command:?} has an open quote, or no words"))
        })
    });
    let words = words.transpose()?;
    let tty = args.tty.is_on();
    if tty && !io::stdin().is_terminal() {
        return Err(Error::usage("--tty needs a terminal on standard input")
            .hint("leave out --tty to hand a pipe or a file to the command"));
    }
    // From here on signals do not end this program.
    let mut signals = Signals::listen(&KILLING)?;
    let mut done = None;
    let exit = args
        .at
        .with(async |room: &Room| {
            let start = ExecStart {
                request_id: uuid::Uuid::new_v4().to_string(),
                container_id: args.container_id.clone(),
                command: words.clone().map(CommandLine::Words),
                tty: Some(tty),
            };
            attend(room, &start, &mut signals, &mut done).await
        })
        .await;
    if let Some(signal) = done {
        output::settle();
        return Ok(ExitCode::from(signals::code(signal)));
    }
    output::check()?;
    exit.map(code)
}

/// Runs a command until it ends. A signal that killed it is kept in `killed`.
async fn attend(
    room: &Room,
    start: &ExecStart,
    signals: &mut Signals,
    killed: &mut Option<Signal>,
) -> Result<i64> {
    let failed = |why| refused(room, EXEC, &why);
    let Call { mut input, mut output } =
        room.open(Invocation::stream("containers", "exec")).await.map_err(failed)?;
    input.send(start.part().map_err(failed)?).await.map_err(failed)?;
    let terminal = match start.tty {
        Some(true) => Some(Terminal::raw()?),
        _ => None,
    };
    let (tell, mut told) = mpsc::channel(WAITING);
    let over = CancellationToken::new();
    read_input(tell.clone())?;
    if terminal.is_some() {
        tokio::spawn(terminal::watch_size(tell.clone(), over.clone()));
    }
    let sending = async {
        while let Some(part) = told.recv().await {
            // What has ended takes nothing any more.
            if input.send(part.part()).await.is_err() {
                break;
            }
        }
        std::future::pending::<Infallible>().await
    };
    let receiving = async {
        while let Some(part) = output.next().await? {
            match Event::of(part, EXEC)? {
                Event::Output(bytes) => output::raw(&bytes),
                Event::Error(bytes) => output::raw_aside(&bytes),
                Event::Status(status) => return Ok(status),
                Event::Other => {}
            }
        }
        Err(Refused::new("the room ended the command without telling its exit code"))
    };
    let handing_on = async {
        let signal = signals.received().await;
        *killed = Some(signal);
        let _ = tell.send(Input::Kill).await;
        // The command has a moment to end, and with the next signal it is not waited for.
        tokio::select! {
            () = tokio::time::sleep(signals::MOMENT) => {}
            _ = signals.received() => {}
        }
    };
    let ended = tokio::select! {
        status = receiving => status.map_err(failed),
        never = sending => match never {},
        () = handing_on => Ok(i64::from(u8::MAX)),
    };
    over.cancel();
    drop(terminal);
    ended
}

/// Reads standard input until its end. A thread of its own does so: it may never end, and nobody
/// waits for the thread.
fn read_input(tell: mpsc::Sender<Input>) -> Result<()> {
    let read = move || {
        let mut from = io::stdin();
        let mut part = vec![0; PART];
        loop {
            let next = match from.read(&mut part) {
                Ok(0) => Input::End,
                Ok(length) => Input::Bytes(part[..length].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    output::warning(&format!("standard input cannot be read any further: {error}"));
                    Input::End
                }
            };
            let is_end = next == Input::End;
            if tell.blocking_send(next).is_err() || is_end {
                return;
            }
        }
    };
    let spawned = std::thread::Builder::new().name("input".to_owned()).spawn(read);
    spawned.map(drop).map_err(|error| Error::failed("failed to read standard input").because(error))
}
