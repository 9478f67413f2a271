//! The session of a person as the credentials of a client: refreshed before it ends, however long a
//! run takes, and if the platform no longer accepts it.

use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::session_file::SessionFile;
use crate::api::credentials::Credentials;
use crate::error::{Error, Result};

/// How long a session that could not be refreshed is used as it is before the next attempt.
const PAUSE: Duration = Duration::from_secs(30);

/// A session that is kept alive.
pub struct SignedIn {
    base: String,
    timeout: Duration,
    state: Mutex<State>,
}

struct State {
    session: SessionFile,
    /// When to try the next refresh.
    next_look: Instant,
    /// Whether the platform refused it, and there was no other.
    is_refused: bool,
}

impl SignedIn {
    /// Keeps a session of the platform at `base` alive. A refresh takes so long at most.
    #[must_use]
    pub fn new(session: SessionFile, base: &str, timeout: Duration) -> Self {
        let state = State { session, next_look: Instant::now(), is_refused: false };
        Self { base: base.to_owned(), timeout, state: Mutex::new(state) }
    }

    /// The credential to send now. Other callers wait for the same refresh.
    async fn current(&self) -> Result<SecretString> {
        let mut state = self.state.lock().await;
        let is_over = state.session.is_over();
        if state.session.is_fresh() || (!is_over && Instant::now() < state.next_look) {
            return Ok(state.session.access_token.clone());
        }
        state.next_look = Instant::now() + PAUSE;
        match SessionFile::current(&self.base, self.timeout).await {
            Ok(Some(session)) => state.take(session),
            // As long as the session goes on, it is what was asked for.
            _ if !is_over => {}
            Ok(None) => {
                return Err(Error::failed("the session has ended: somebody signed out")
                    .hint("sign in again: `meshagent auth login`"));
            }
            Err(error) => return Err(error),
        }
        Ok(state.session.access_token.clone())
    }

    /// Whether there is another credential than the one that was refused.
    async fn has_another(&self, refused: &SecretString) -> bool {
        let mut state = self.state.lock().await;
        if state.session.access_token.expose_secret() != refused.expose_secret() {
            return true;
        }
        if state.is_refused {
            return false;
        }
        match SessionFile::instead_of(refused, &self.base, self.timeout).await {
            Ok(Some(session)) => state.take(session),
            Ok(None) => state.is_refused = true,
            Err(error) => {
                tracing::debug!(%error, "the session was not refreshed");
                state.is_refused = true;
            }
        }
        !state.is_refused
    }
}

impl State {
    fn take(&mut self, session: SessionFile) {
        let is_another =
            session.access_token.expose_secret() != self.session.access_token.expose_secret();
        self.is_refused &= !is_another;
        self.session = session;
    }
}

impl Credentials for SignedIn {
    fn bearer(&self) -> BoxFuture<'_, Result<SecretString>> {
        Box::pin(self.current())
    }

    fn renew<'a>(&'a self, refused: &'a SecretString) -> BoxFuture<'a, bool> {
        Box::pin(self.has_another(refused))
    }
}
