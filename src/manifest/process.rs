//! Runs commands, such as that of a secret source. They see none of the program's own variables,
//! and are stopped with everything that they started, even if this program is killed.

use std::fmt;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::secrets::Limits;
use crate::output;
use crate::visible;

/// The names of the program's own variables begin so: its credentials are among them.
const OWN_VARIABLES: &[u8] = b"MESHAGENT_";

/// How often it is looked whether a command has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// How much of a command's standard error is printed, in lines and in bytes per line.
const TOLD: (usize, u64) = (100, 2_000);

/// How long the last of it is waited for.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The output of a command. It is a secret, so it is neither shown nor logged; its standard error
/// is printed line by line, as text from outside.
///
/// # Errors
///
/// A command that cannot be run, fails, takes too long or prints too much.
pub fn output(words: &[String], folder: &Path, limits: Limits) -> Result<Vec<u8>, String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("the command is empty".to_owned());
    };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stderr(Stdio::piped());
    run(command, limits).map_err(|ended| match ended {
        Ended::Unstarted(error) => match error.raw_os_error() {
            Some(nix::libc::EMFILE) => format!(
                "failed to run {program:?}: too many files are open; raise the limit: `ulimit -n 1024`"
            ),
            _ => format!("failed to run {program:?}: {error}"),
        },
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
    /// Whoever watched it ended it, for this reason.
    Ended(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unstarted(error) => write!(out, "cannot be run: {error}"),
            Self::Failed(status) => write!(out, "failed: {status}"),
            Self::Late(time) => write!(out, "did not end within {} s", time.as_secs_f32()),
            Self::Verbose(bytes) => write!(out, "printed more than {bytes} bytes"),
            Self::Unread(error) => write!(out, "failed: {error}"),
            Self::Ended(why) => write!(out, "was ended: {why}"),
        }
    }
}

/// What a command prints, which sees none of the program's own variables.
///
/// # Errors
///
/// It cannot be run, fails, takes too long or prints too much.
pub fn run(command: Command, limits: Limits) -> Result<Vec<u8>, Ended> {
    run_watched(command, limits, &|| Ok(()))
}

/// The same, which is watched again and again while it runs, and once more after its end.
///
/// # Errors
///
/// As [`run`], and what whoever watches it says.
pub fn run_watched(
    mut command: Command,
    limits: Limits,
    watch: &dyn Fn() -> Result<(), String>,
) -> Result<Vec<u8>, Ended> {
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(OWN_VARIABLES) {
            command.env_remove(name);
        }
    }
    // What is removed there can still be read here, by a command of the same user; not of root.
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::debug!(%error, "the environment of the program stays readable for its user");
    }
    let guard = Guard::start().map_err(Ended::Unstarted)?;
    let program = command.get_program().to_string_lossy().into_owned();
    command.process_group(guard.group.as_raw()).stdout(Stdio::piped());
    let child = command.spawn().map_err(Ended::Unstarted)?;
    let mut group = Group { child, guard };
    let told = group.child.stderr.take().map(|stderr| tell(&program, stderr));
    let output = group.output(limits, watch);
    drop(group);
    if let Some(told) = told {
        // What left the group may hold standard error open.
        let _ = told.recv_timeout(LAST_WORDS);
    }
    output
}

/// Tells what a command says on standard error, up to a bound, and reads on to its end.
fn tell(program: &str, stderr: ChildStderr) -> mpsc::Receiver<()> {
    let (send, receive) = mpsc::channel();
    let program = program.to_owned();
    std::thread::spawn(move || {
        let mut stderr = BufReader::new(stderr);
        for _ in 0..TOLD.0 {
            let mut line = Vec::new();
            match stderr.by_ref().take(TOLD.1).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) => {
                    let line = String::from_utf8_lossy(&line);
                    // A setting of Git may have put a token into the URL that it tells.
                    let line = visible::without_users(&line);
                    output::note(&format!("{program}: {}", line.trim_end()));
                }
            }
        }
        if let Ok(more @ 1..) = std::io::copy(&mut stderr, &mut std::io::sink()) {
            output::note(&format!("{program}: … and {more} more bytes"));
        }
        // Nobody may be waiting any more.
        let _ = send.send(());
    });
    receive
}

/// A process that leads the group of a command, and ends all of it as soon as this program is
/// gone, however it went: nobody else would be left to do that.
struct Guard {
    leader: Child,
    group: Pid,
}

impl Guard {
    fn start() -> std::io::Result<Self> {
        let mut leader = Command::new("/bin/sh")
            // Its standard input ends with this program.
            .args(["-c", "read -r _; kill -KILL 0"])
            .env_clear()
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        match i32::try_from(leader.id()) {
            Ok(group) => Ok(Self { leader, group: Pid::from_raw(group) }),
            Err(_) => {
                leader.kill()?;
                Err(ErrorKind::Unsupported.into())
            }
        }
    }

    fn kill(&self) {
        // The leader is not waited for before, so the group is still this one.
        let _ = killpg(self.group, Signal::SIGKILL);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.kill();
        let _ = self.leader.wait();
    }
}

/// A command with everything that it started; it is over when this is dropped.
struct Group {
    child: Child,
    guard: Guard,
}

impl Drop for Group {
    fn drop(&mut self) {
        self.guard.kill();
        // It was killed, so this does not wait for long.
        let _ = self.child.wait();
    }
}

impl Group {
    fn output(
        &mut self,
        limits: Limits,
        watch: &dyn Fn() -> Result<(), String>,
    ) -> Result<Vec<u8>, Ended> {
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
            watch().map_err(Ended::Ended)?;
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
        self.guard.kill();
        match printed {
            Some(printed) => Ok(printed),
            None => match receive.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(printed) => within(printed.map_err(Ended::Unread)?),
                Err(_) => Err(late()),
            },
        }
    }
}
