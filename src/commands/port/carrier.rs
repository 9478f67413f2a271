//! The connections that are taken here. Each gets a tunnel of its own; one that gets none is reset,
//! and the next one may get one.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::output;
use crate::room::handshake::Unconnected;
use crate::room::tunnel::{Carrying, Cut, Tunnel, Way, reset};
use crate::visible;

/// How many connections there may be at once; others wait.
const CONNECTIONS: usize = 256;

/// How long a tunnel may take to open.
const OPENING: Duration = Duration::from_secs(20);

/// How long a platform that does not know half an end must have sent nothing before the tunnel is
/// closed after the last byte from here.
const LINGER: Duration = Duration::from_secs(5);

/// How many different causes are told.
const CAUSES: usize = 32;

/// The status of a platform that takes a token no more.
const UNAUTHENTICATED: u16 = 401;

/// Asks for a new token in the place of one that is taken no more; none if there is none.
pub type Renewal = oneshot::Sender<Option<SecretString>>;

/// What connections share.
pub struct Carrier {
    token: Mutex<SecretString>,
    renewals: mpsc::Sender<Renewal>,
    /// What was told since the last connection that got a tunnel.
    told: Mutex<HashSet<String>>,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Carrier {
    /// The carrier of connections, until `stop` is cancelled. When a token is taken no more, it asks
    /// for another one in `renewals`.
    pub fn new(
        token: SecretString,
        renewals: mpsc::Sender<Renewal>,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let (token, told) = (Mutex::new(token), Mutex::default());
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        Arc::new(Self { token, renewals, told, places, stop })
    }

    fn token(&self) -> MutexGuard<'_, SecretString> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes connections, and carries each to the other end of the way.
    pub async fn take(self: Arc<Self>, listener: TcpListener, way: Way) {
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            let connection = match listener.accept().await {
                Ok((connection, _)) => connection,
                // What cannot be taken now may be in a moment.
                Err(cause) => {
                    self.tell(&format!("a connection was not taken: {cause}"));
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let (carrier, way) = (Arc::clone(&self), way.clone());
            tokio::spawn(async move {
                let _place = place;
                let stop = carrier.stop.clone();
                stop.run_until_cancelled(carrier.carry(connection, &way)).await;
            });
        }
    }

    async fn carry(&self, connection: TcpStream, way: &Way) {
        if let Err(cause) = connection.set_nodelay(true) {
            tracing::debug!(%cause, "failed to set TCP_NODELAY");
        }
        let opened = timeout(OPENING, self.open(way)).await;
        let Tunnel { socket, tells_ends } = match opened {
            Ok(Ok(tunnel)) => tunnel,
            Ok(Err(why)) => {
                reset(connection);
                return self.tell(&format!("a connection was refused: {why}"));
            }
            Err(_) => {
                reset(connection);
                return self.tell("a connection was refused: the platform did not answer in time");
            }
        };
        self.told().clear();
        // A connection that is cut off here says so to whoever has the other end.
        let stop = CancellationToken::new();
        let carrying = Carrying { halves: tells_ends, lingers: LINGER, stop: &stop };
        match carrying.carry(connection, socket).await {
            // Whoever broke it off here knows.
            Ok(()) | Err(Cut::Broken(_) | Cut::Stopped) => {}
            Err(cut @ (Cut::Told(_) | Cut::Lost)) => {
                self.tell(&format!("a connection was cut off: {cut}"));
            }
        }
    }

    /// Opens a tunnel, with a new token if the old one is taken no more.
    async fn open(&self, way: &Way) -> Result<Tunnel, Unconnected> {
        let token = self.token().clone();
        let refused = match way.open(&token).await {
            Err(why) if why.status == Some(UNAUTHENTICATED) => why,
            opened => return opened,
        };
        let (ask, asked) = oneshot::channel();
        if self.renewals.send(ask).await.is_err() {
            return Err(refused);
        }
        let Ok(Some(token)) = asked.await else { return Err(refused) };
        *self.token() = token.clone();
        way.open(&token).await
    }

    fn told(&self) -> MutexGuard<'_, HashSet<String>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what went wrong, once until a connection gets its tunnel.
    fn tell(&self, what: &str) {
        let mut told = self.told();
        if told.len() < CAUSES && told.insert(what.to_owned()) {
            output::warning(&visible::line(what));
        }
    }
}
