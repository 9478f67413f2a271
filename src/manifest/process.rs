//! Runs commands, such as that of a secret source. They see none of the program's own variables,
//! and are stopped with everything that they started.

use std::fmt;
use std::io::{Error, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::secrets::Limits;

/// The names of the program's own variables begin so: its credentials are among them.
const OWN_VARIABLES: &[u8] = b"MESHAGENT_";

/// How often it is looked whether a command has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// What a command prints. That is a secret, so it is neither shown nor logged; its standard
/// error goes to ours.
///
/// # Errors
///
/// A command that cannot be run, fails, takes too long or prints too much.
pub fn output(words: &[String], folder: &Path, limits: Limits) -> Result<Vec<u8>, String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("the command is empty".to_owned());
    };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stderr(Stdio::inherit());
    run(command, limits).map_err(|ended| match ended {
        Ended::Unstarted(error) => format!("failed to run {program:?}: {error}"),
        ended => format!("the command {program:?} {ended}"),
    })
}

/// How a command ended that did not end well.
#[derive(Debug)]
pub enum Ended {
    /// It could not be run.
    Unstarted(Error),
    /// It said that it failed, or was killed.
    Failed(ExitStatus),
    /// It went on for longer than this.
    Late(Duration),
    /// It printed more than so many bytes.
    Verbose(usize),
    /// It could not be listened to.
    Unread(Error),
}

impl fmt::Display for Ended {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unstarted(error) => write!(out, "cannot be run: {error}"),
            Self::Failed(status) => write!(out, "failed: {status}"),
            Self::Late(time) => write!(out, "did not end within {} s", time.as_secs_f32()),
            Self::Verbose(bytes) => write!(out, "printed more than {bytes} bytes"),
            Self::Unread(error) => write!(out, "failed: {error}"),
        }
    }
}

/// What a command prints, which sees none of the program's own variables.
///
/// # Errors
///
/// It cannot be run, fails, takes too long or prints too much.
pub fn run(mut command: Command, limits: Limits) -> Result<Vec<u8>, Ended> {
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(OWN_VARIABLES) {
            command.env_remove(name);
        }
    }
    let child =
        command.process_group(0).stdout(Stdio::piped()).spawn().map_err(Ended::Unstarted)?;
    Group { child, is_over: false }.output(limits)
}

/// A command with everything that it started; it is over when this is dropped.
struct Group {
    child: Child,
    is_over: bool,
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        // It was killed, so this does not wait for long.
        let _ = self.child.wait();
    }
}

impl Group {
    fn kill(&mut self) {
        let group = i32::try_from(self.child.id()).ok().filter(|_| !self.is_over);
        if let Some(group) = group {
            // Nothing is left to be killed where the command left nothing running.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        self.is_over = true;
    }

    fn output(&mut self, limits: Limits) -> Result<Vec<u8>, Ended> {
        let late = || Ended::Late(limits.time);
        let end = Instant::now() + limits.time;
        let Some(stdout) = self.child.stdout.take() else { return Ok(Vec::new()) };
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let mut stdout = stdout.take(limits.bytes as u64 + 1);
            let read = stdout.read_to_end(&mut bytes);
            // Nobody may be waiting any more. It is told before the pipe is closed, because a
            // command that goes on to print fails then.
            let _ = send.send(read.map(|_| bytes));
            drop(stdout);
        });
        let within = |bytes: Vec<u8>| match bytes.len() > limits.bytes {
            true => Err(Ended::Verbose(limits.bytes)),
            false => Ok(bytes),
        };
        let mut printed = None;
        let status = loop {
            let status = self.child.try_wait().map_err(Ended::Unread)?;
            if let Ok(bytes) = receive.try_recv() {
                printed = Some(within(bytes.map_err(Ended::Unread)?)?);
            }
            if let Some(status) = status {
                break status;
            }
            if Instant::now() >= end {
                return Err(late());
            }
            std::thread::sleep(PAUSE);
        };
        if !status.success() {
            return Err(Ended::Failed(status));
        }
        // What still runs may hold standard output open, and says nothing more to it.
        self.kill();
        match printed {
            Some(printed) => Ok(printed),
            None => match receive.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(printed) => within(printed.map_err(Ended::Unread)?),
                Err(_) => Err(late()),
            },
        }
    }
}
