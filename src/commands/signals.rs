//! The signals that a command listens for.

use std::future::poll_fn;
use std::task::Poll;

use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind};

use crate::error::{Context, Result};

/// Those by which a person or the system stops a program.
pub const STOP: [Signal; 2] = [Signal::SIGTERM, Signal::SIGINT];

/// Signals that are listened for. From the start on they do not end the program, and one that
/// comes before it is asked for is kept.
pub struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// The system does not let it.
    pub fn listen(signals: &[Signal]) -> Result<Self> {
        let listen = |signal: &Signal| {
            let listener = unix::signal(SignalKind::from_raw(*signal as i32));
            Ok((*signal, listener.context(|| format!("failed to listen for {signal}"))?))
        };
        signals.iter().map(listen).collect::<Result<_>>().map(Self)
    }

    /// The next of them that comes.
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

/// From here on SIGXFSZ does nothing: a file that may not grow any further is an error as a full
/// disk is one, and no reason to end. What this program starts is not concerned.
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
