//! How long nothing has come, or nothing was sent.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// When something happened last. Those who wait for a silence share it with those who break it.
#[derive(Debug)]
pub struct Silence(Mutex<Instant>);

impl Default for Silence {
    /// It begins now.
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Silence {
    /// Has it begin anew.
    pub fn broken(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Waits until it has lasted so long.
    pub async fn lasts(&self, time: Duration) {
        loop {
            let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner) + time;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_lasts_from_when_it_was_broken_last() {
        let (silence, begun) = (Silence::default(), Instant::now());
        let time = Duration::from_secs(10);
        let breaks = async {
            tokio::time::sleep(Duration::from_secs(7)).await;
            silence.broken();
        };
        tokio::join!(silence.lasts(time), breaks);
        assert_eq!(begun.elapsed().as_secs(), 17);
    }
}
