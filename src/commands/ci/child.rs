//! Runs this program, and takes what it says.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;

use crate::commands::signals::{STOP, Signals};
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
    let mut signals = Signals::listen(&STOP)?;
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

async fn data_of(out: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut data = Vec::new();
    if let Some(out) = out {
        out.take(DATA).read_to_end(&mut data).await?;
    }
    Ok(String::from_utf8_lossy(&data).into_owned())
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
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
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
