//! The terminal of this program, handed to a command in a container.

use crossterm::terminal::{disable_raw_mode, enable_raw_mode, size};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::{Context, Result};
use crate::room::containers::Input;

/// The terminal, which hands on all keys as long as this is held.
pub struct Terminal(());

impl Terminal {
    /// Has the terminal hand on all keys, and not act on them.
    ///
    /// # Errors
    ///
    /// There is no terminal, or it cannot.
    pub fn raw() -> Result<Self> {
        enable_raw_mode().context(|| "failed to use the terminal".to_owned())?;
        Ok(Self(()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = disable_raw_mode();
    }
}

/// Tells how large the terminal is, and each time that it changes.
pub async fn watch_size(tell: mpsc::Sender<Input>, over: CancellationToken) {
    let Ok(mut changes) = signal(SignalKind::window_change()) else { return };
    loop {
        // A terminal that has no size is left as it is.
        if let Ok((columns, rows)) = size()
            && columns > 0
            && rows > 0
            && tell.send(Input::Resize(columns, rows)).await.is_err()
        {
            return;
        }
        tokio::select! {
            _ = changes.recv() => {}
            () = over.cancelled() => return,
        }
    }
}
