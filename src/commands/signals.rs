//! The signals that a command listens for.

use std::future::poll_fn;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::error::{Context, Result};
use crate::output;

/// The signals with which a person or the system stops a program; SIGHUP means that the terminal is
/// gone.
pub const STOP: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// How long work that was told to stop may go on.
pub const MOMENT: Duration = Duration::from_secs(2);

/// Signals that the program listens for. From the start they do not end the program, and a signal
/// that arrives before it is asked for is kept.
pub struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    /// Starts to listen. A program that was started to outlive its terminal, as with `nohup`, does
    /// not receive SIGHUP.
    ///
    /// # Errors
    ///
    /// The system does not allow it.
    pub fn listen(signals: &[Signal]) -> Result<Self> {
        let is_heard = |signal: &&Signal| **signal != Signal::SIGHUP || !is_ignored(**signal);
        let listen = |signal: &Signal| {
            let listener = unix::signal(SignalKind::from_raw(*signal as i32));
            Ok((*signal, listener.context(|| format!("failed to listen for {signal}"))?))
        };
        signals.iter().filter(is_heard).map(listen).collect::<Result<_>>().map(Self)
    }

    /// The next signal that arrives.
    pub async fn received(&mut self) -> Signal {
        poll_fn(|waker| {
            // Where none came, all were asked, so that each wakes the task.
            let came = self
                .0
                .iter_mut()
                .find_map(|(signal, it)| it.poll_recv(waker).is_ready().then_some(*signal));
            came.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// A token that the first of these signals cancels.
///
/// # Errors
///
/// As [`Signals::listen`].
pub fn cancelling(signals: &[Signal]) -> Result<CancellationToken> {
    let mut signals = Signals::listen(signals)?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        signals.received().await;
        told.cancel();
    });
    Ok(stop)
}

/// The end of a program by a signal.
#[derive(Debug, Clone)]
pub struct Ending {
    /// Cancelled by the first signal.
    pub stop: CancellationToken,
    signal: Arc<OnceLock<Signal>>,
}

impl Ending {
    /// The first of these signals tells the program to end. If it has not done so after a moment,
    /// or when the next one comes, it is ended, as writing to a pipe that nobody reads has no end.
    ///
    /// # Errors
    ///
    /// As [`Signals::listen`].
    pub fn by(signals: &[Signal]) -> Result<Self> {
        let mut signals = Signals::listen(signals)?;
        let ending = Self { stop: CancellationToken::new(), signal: Arc::default() };
        let told = ending.clone();
        tokio::spawn(async move {
            let first = signals.received().await;
            let _ = told.signal.set(first);
            told.stop.cancel();
            let _ = tokio::time::timeout(MOMENT, signals.received()).await;
            told.at_once();
        });
        Ok(ending)
    }

    /// Whether a signal has come.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.signal.get().is_some()
    }

    /// Ends the program, with the exit code of the signal that has come.
    pub fn at_once(&self) -> ! {
        output::settle();
        let signal = self.signal.get().copied().unwrap_or(Signal::SIGTERM);
        std::process::exit(i32::from(code(signal)));
    }
}

/// The exit code of a program that a signal ended, as shells have it.
#[must_use]
pub fn code(signal: Signal) -> u8 {
    128 + u8::try_from(signal as i32).unwrap_or(0)
}

/// Does work that a signal ends. The work is told, gets a moment to leave everything as it should
/// be, and is dropped then; the exit code is that of the signal.
///
/// # Errors
///
/// As [`Signals::listen`]; errors of the work.
pub async fn until_signal(
    work: impl AsyncFnOnce(CancellationToken) -> Result<ExitCode>,
) -> Result<ExitCode> {
    let mut signals = Signals::listen(&STOP)?;
    let stop = CancellationToken::new();
    let received = {
        let mut working = std::pin::pin!(work(stop.clone()));
        tokio::select! {
            done = &mut working => return done,
            received = signals.received() => {
                stop.cancel();
                let _ = tokio::time::timeout(MOMENT, working).await;
                received
            }
        }
    };
    output::settle();
    // A thread that writes to a pipe, or reads from one, may never be done with that.
    std::process::exit(i32::from(code(received)));
}

/// Whether this program was started with a signal ignored. Only Linux reports that.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal as i32 - 1) & 1 == 1)
}

/// Listens for signals while work is in progress, until it is dropped.
pub struct Stopping(JoinHandle<()>);

/// What is said when signals stop something.
#[derive(Debug, Clone, Copy)]
pub struct Said {
    /// At the first one.
    pub first: &'static str,
    /// At the one that ends the program at once.
    pub second: &'static str,
}

/// What is said while a plan is performed.
pub const PERFORMING: Said = Said {
    first: "stopping: running operations are finished, new ones are not started",
    second: "stopped at once: it is unknown whether the running operations were done; run the same command again to check and to continue",
};

/// What is said while it is waited until services work.
pub const WAITING: Said = Said {
    first: "the wait is stopped; what was applied stays applied",
    second: "stopped at once; what was applied stays applied",
};

impl Stopping {
    /// The first signal stops new work; a second one ends the program. SIGHUP may arrive more than
    /// once, from the system and from the shell, so a second one does not end the program.
    ///
    /// # Errors
    ///
    /// As [`Signals::listen`].
    pub fn new(stop: CancellationToken, said: Said) -> Result<Self> {
        let mut signals = Signals::listen(&STOP)?;
        Ok(Self(tokio::spawn(async move {
            signals.received().await;
            output::warning(said.first);
            stop.cancel();
            while signals.received().await == Signal::SIGHUP {}
            output::warning(said.second);
            output::settle();
            std::process::exit(130);
        })))
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// From here on SIGXFSZ does nothing: a file that may not grow any further is an error like a full
/// disk, and no reason to end the program. Programs that this one starts are not affected.
pub fn outlive_file_limits() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let heard = runtime.context(|| "failed to start a runtime".to_owned()).and_then(|runtime| {
        let _within = runtime.enter();
        // Once it is listened for, it stays without effect.
        Signals::listen(&[Signal::SIGXFSZ]).map(drop)
    });
    if let Err(error) = heard {
        tracing::debug!(%error, "SIGXFSZ ends the program");
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::raise;

    use super::*;

    #[tokio::test]
    async fn a_signal_that_came_before_it_is_asked_for_is_told() {
        let mut signals = Signals::listen(&[Signal::SIGUSR1, Signal::SIGUSR2]).unwrap();
        raise(Signal::SIGUSR2).unwrap();
        assert_eq!(signals.received().await, Signal::SIGUSR2);
        raise(Signal::SIGUSR1).unwrap();
        assert_eq!(signals.received().await, Signal::SIGUSR1);
    }
}
