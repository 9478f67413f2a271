//! Runs this program, and takes what it says.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;

use crate::commands::signals::{self, STOP, Signals};
use crate::error::{Class, Context, Error, Result};
use crate::forge::token;
use crate::output;
use crate::settings::ENVIRONMENT;

/// The most of its data that is kept, in bytes.
const DATA: u64 = 64 * 1024 * 1024;

/// How many of its last lines on standard error are kept, and how many bytes each has at most.
const TOLD: (usize, u64) = (40, 2_000);

/// What is left of the environment for what a stranger wrote.
const HARMLESS: [&str; 9] = [
    "PATH",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "GITHUB_ACTIONS",
    "GITHUB_WORKSPACE",
    "NO_COLOR",
    "RUST_BACKTRACE",
];

/// What a run gets of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Surroundings {
    /// Everything.
    Whole,
    /// Everything but the tokens of the forge, for what a pull request contains.
    WithoutForge,
    /// Nothing but what does no harm, with this home folder.
    Empty(PathBuf),
}

/// How a run ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Ran {
    /// Its exit code.
    pub(super) code: u8,
    /// Its data.
    pub(super) data: String,
    /// The last lines that it said beside them.
    pub(super) told: String,
    /// The signal that this process received meanwhile, and passed on to it.
    pub(super) stopped: Option<Signal>,
}

/// Runs this program in a folder. What it says beside its data is shown as it comes. A signal is
/// passed on to it, and it ends as it would by itself.
///
/// # Errors
///
/// It cannot be run, a signal ended it, or a signal came meanwhile.
pub(super) async fn run(
    words: &[OsString],
    folder: &Path,
    surroundings: &Surroundings,
) -> Result<Ran> {
    let ran = attempt(words, folder, surroundings).await?;
    match ran.stopped {
        Some(signal) => Err(Error::failed(format!("stopped by {signal}"))),
        None => Ok(ran),
    }
}

/// The same, for who has something to tell although a signal came meanwhile.
///
/// # Errors
///
/// It cannot be run, or a signal ended it that this process did not receive.
pub(super) async fn attempt(
    words: &[OsString],
    folder: &Path,
    surroundings: &Surroundings,
) -> Result<Ran> {
    let failed = || "failed to run this program".to_owned();
    let this = std::env::current_exe().context(failed)?;
    let mut command = Command::new(this);
    // A terminal's signals reach it through this process alone, and only once.
    command.args(words).current_dir(folder).stdin(Stdio::null()).process_group(0);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    match surroundings {
        Surroundings::Whole => {}
        Surroundings::WithoutForge => token::ALL.iter().for_each(|name| {
            command.env_remove(name);
        }),
        Surroundings::Empty(home) => {
            command.env_clear().env("HOME", home);
            for name in HARMLESS {
                if let Some(value) = std::env::var_os(name) {
                    command.env(name, value);
                }
            }
        }
    }
    // Which environment is meant is said by an option, or none is.
    command.env_remove(ENVIRONMENT);
    // It ends when this process does, however that came: nobody else would stop its writing.
    let lock = tempfile::NamedTempFile::new().context(failed)?;
    lock.as_file().lock().context(failed)?;
    command.env(LOCKED, lock.path());
    let mut signals = Signals::listen(&STOP)?;
    let _running = Running::begin();
    let mut child = command.spawn().context(failed)?;
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let (data, told) = (child.stdout.take(), child.stderr.take());
    let mut work = Box::pin(async {
        let (data, told) = tokio::join!(data_of(data), told_of(told));
        (data, told, child.wait().await)
    });
    let mut stopped = None;
    let (data, told, status) = loop {
        tokio::select! {
            done = &mut work => break done,
            signal = signals.received() => {
                stopped = Some(signal);
                if let Some(id) = id {
                    // It may have ended just now.
                    let _ = kill(Pid::from_raw(id), signal);
                }
            }
        }
    };
    let status = status.context(failed)?;
    let code = match (status.code().and_then(|code| u8::try_from(code).ok()), stopped) {
        (Some(code), _) => code,
        (None, Some(_)) => Class::Failed.exit_code(),
        (None, None) => return Err(Error::failed(format!("{}: {status}", failed()))),
    };
    Ok(Ran { code, data: data.context(failed)?, told, stopped })
}

/// How many runs go on, which take the signals that come.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// A run that goes on.
struct Running;

impl Running {
    fn begin() -> Self {
        RUNNING.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Ends this program at a signal that comes while nothing runs that it is passed on to: what is done
/// then, such as writing a comment, may take long, and can be done again.
///
/// # Errors
///
/// As [`Signals::listen`].
pub(super) fn end_at_signals() -> Result<()> {
    let mut signals = Signals::listen(&STOP)?;
    tokio::spawn(async move {
        loop {
            let signal = signals.received().await;
            if RUNNING.load(Ordering::SeqCst) == 0 {
                output::warning(&format!(
                    "stopped by {signal}; what was to be told to the forge may not be there"
                ));
                output::settle();
                std::process::exit(i32::from(signals::code(signal)));
            }
        }
    });
    Ok(())
}

/// The variable that names a file which the process that started this one has locked.
const LOCKED: &str = "MESHAGENT_WHILE_LOCKED";

/// Stops this process, as SIGTERM does, when the one is gone that started it as `attempt` does.
pub fn end_with_parent() {
    let Some(path) = std::env::var_os(LOCKED) else { return };
    std::thread::spawn(move || {
        // It has the lock as long as it is there.
        let is_gone = match std::fs::File::open(&path) {
            Ok(file) => file.lock().is_ok(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        if is_gone {
            // Its own signals do reach a process.
            let _ = kill(Pid::this(), Signal::SIGTERM);
        }
    });
}

async fn data_of(out: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut data = Vec::new();
    if let Some(out) = out {
        out.take(DATA).read_to_end(&mut data).await?;
    }
    Ok(String::from_utf8_lossy(&data).into_owned())
}

/// Reads on to the end of a line, and says whether anything was left of it.
async fn passed_over(told: &mut (impl AsyncBufReadExt + Unpin)) -> bool {
    let mut is_cut = false;
    loop {
        let (used, is_end) = match told.fill_buf().await {
            Ok(bytes) if !bytes.is_empty() => match bytes.iter().position(|it| *it == b'\n') {
                Some(at) => (at + 1, true),
                None => (bytes.len(), false),
            },
            _ => return is_cut,
        };
        is_cut |= used > usize::from(is_end);
        told.consume(used);
        if is_end {
            return is_cut;
        }
    }
}

/// Shows what is said, and keeps the last of it.
async fn told_of(told: Option<impl AsyncRead + Unpin>) -> String {
    let mut last = std::collections::VecDeque::new();
    let Some(told) = told else { return String::new() };
    let mut told = BufReader::new(told);
    loop {
        let mut line = Vec::new();
        let mut part = (&mut told).take(TOLD.1);
        match part.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {
                // What is left of a long line begins no other: it might begin with a command.
                let is_cut = !line.ends_with(b"\n") && passed_over(&mut told).await;
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                let line = if is_cut { line + "…" } else { line };
                output::relay(&line);
                if !line.starts_with("::") {
                    last.push_back(line);
                }
                if last.len() > TOLD.0 {
                    last.pop_front();
                }
            }
        }
    }
    Vec::from(last).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_rest_of_a_long_line_begins_no_other() {
        let cut = "o".repeat(TOLD.1 as usize);
        let said = format!("{cut}::set-output name=a::b\n{cut}\nshort\n{cut}::last");
        let told = told_of(Some(said.as_bytes())).await;
        assert_eq!(told, format!("{cut}…\n{cut}\nshort\n{cut}…"));
    }
}
