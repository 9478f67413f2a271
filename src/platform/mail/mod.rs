//! Mail that arrives over SMTP (RFC 5321), for the mailboxes of the platform's projects.
//!
//! | module | holds |
//! |---|---|
//! | `dots` | *pure*: a mail as it is sent after DATA |
//! | `letter` | *pure*: what is read of a mail, and what is written above it |
//! | `login` | a participant proves who it is |
//! | `post` | whose mail is taken, for whom, and how it gets there |
//! | `relay` | another server, for mail that is not for mailboxes here |
//! | `reply` | *pure*: what a client is answered |
//! | `session` | a connection: its commands, in order |
//! | `wire` | lines and mails that come, answers that go, with a bound for everything |
//!
//! A mail becomes a message in the queue of its mailbox, whether or not anybody is in the room. It is
//! on disk before it is acknowledged.
//!
//! | what | how much |
//! |---|---|
//! | a mail | what a message to a room may hold: three quarters of that, for it travels in base64 |
//! | mails that arrive at once | 64 MiB together, and four of the largest |
//! | recipients of a mail | 100 |
//! | a line of a command | 12,288 bytes |
//! | connections | an eighth of all, three quarters of them from one address |
//! | commands without a mail, failed commands, failed proofs, mails of a connection | 500, 20, 3, 1000 |
//! | a command | 5 min |
//! | a mail pauses | 30 s, and 8 KiB/s on average |
//! | an answer is read, TLS is agreed on | 30 s |

mod dots;
mod letter;
mod login;
mod post;
mod relay;
mod reply;
mod session;
mod wire;

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use self::post::{DELIVERIES, Office};
pub use self::relay::{Encryption, Relay};
use self::session::Session;
use self::wire::{UNIT, Wire};
use super::live::Rooms;
use super::store::Store;
use crate::bounded;
use crate::error::{Context, Error, Result};
use crate::notice;
use crate::serving::{Admitted, Connections};

/// How much memory mails that arrive share, in bytes.
const MEMORY: usize = 64 * 1024 * 1024;

/// One of so many connections may be for mail.
const OF_ALL: usize = 8;

/// What a message takes besides the mail in it, in bytes.
const AROUND: usize = 4 * 1024;

/// How large a file with certificates or a key may be, in bytes.
const PEM: usize = 1024 * 1024;

/// How long a connection that has no place may take to see that.
const REFUSING: Duration = Duration::from_secs(1);

/// Where mail arrives, and where mail for others goes.
pub struct Mail {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    relay: Option<Relay>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listener, tls, relay } = self;
        write!(f, "Mail({listener:?}, tls: {}, {relay:?})", tls.is_some())
    }
}

impl Mail {
    /// Mail that arrives at a listener.
    #[must_use]
    pub const fn at(listener: TcpListener) -> Self {
        Self { listener, tls: None, relay: None }
    }

    /// The same; those who send may encrypt that with this certificate and its key.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or they do not belong together.
    pub fn encrypted(mut self, certificate: &Path, key: &Path) -> Result<Self> {
        let read = |path: &Path| {
            bounded::bytes(path, PEM).context(|| format!("failed to read {}", path.display()))
        };
        let unusable = |path: &Path, what: &str| {
            Error::usage(format!("the file {} has no {what}", path.display()))
                .hint(format!("give a {what} in the form PEM"))
        };
        let chain = read(certificate)?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain)
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| unusable(certificate, "certificate"))?;
        if chain.is_empty() {
            return Err(unusable(certificate, "certificate"));
        }
        let secret = read(key)?;
        let secret =
            PrivateKeyDer::from_pem_slice(&secret).map_err(|_| unusable(key, "private key"))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, secret));
        let config = config.map_err(|error| {
            let (certificate, key) = (certificate.display(), key.display());
            Error::usage(format!("{certificate} cannot be used with the key {key}")).because(error)
        })?;
        self.tls = Some(TlsAcceptor::from(Arc::new(config)));
        Ok(self)
    }

    /// The same; mail of participants for others goes to a relay.
    #[must_use]
    pub fn relayed(mut self, relay: Option<Relay>) -> Self {
        self.relay = relay;
        self
    }
}

/// How many of all connections are for mail.
pub fn share(connections: usize) -> usize {
    (connections / OF_ALL).max(1)
}

/// Takes mail for as long as the platform is served, in so many connections. What is arriving when it
/// is told to stop has that long to arrive.
pub async fn serve(
    mail: Arc<Mail>,
    (store, rooms): (Arc<Store>, Rooms),
    (stop, most, grace): (CancellationToken, usize, Duration),
) {
    let message = rooms.house().limits.message;
    let of_mail = message.saturating_sub(AROUND) / 4 * 3;
    let memory = MEMORY.max(4 * of_mail) / UNIT;
    let office = Arc::new(Office {
        store,
        rooms,
        tls: mail.tls.clone(),
        relay: mail.relay.clone(),
        most: of_mail,
        memory: Arc::new(Semaphore::new(memory)),
        delivering: Semaphore::new(DELIVERIES),
    });
    let connections = Connections::new(most, stop.clone());
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = running.join_next() => {}
            // Those that gave way are open for a moment longer.
            taken = mail.listener.accept(), if running.len() < 2 * most => match taken {
                Ok((stream, peer)) => {
                    take((stream, peer), &office, &connections, &mut running);
                    yield_now().await;
                }
                Err(cause) => {
                    notice::tell("no connection for mail can be accepted", &cause);
                    sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    let finished = async { while running.join_next().await.is_some() {} };
    if timeout(grace, finished).await.is_err() {
        tracing::warn!("mails were cut off at the end of the grace period");
    }
}

/// Gives a new connection a place, or refuses it.
fn take(
    (mut stream, peer): (TcpStream, SocketAddr),
    office: &Arc<Office>,
    connections: &Arc<Connections>,
    running: &mut JoinSet<()>,
) {
    let (Admitted::Free(taken) | Admitted::InPlaceOfAnother(taken)) = connections.admit(peer.ip())
    else {
        notice::tell("connections for mail are refused", "all that are allowed are in use");
        running.spawn(async move {
            let told = tokio::io::AsyncWriteExt::write_all(
                &mut stream,
                b"421 4.3.2 there are too many connections, try again\r\n",
            );
            let _ = timeout(REFUSING, told).await;
        });
        return;
    };
    // Answers are small and wait for nothing, so they are sent at once.
    if let Err(cause) = stream.set_nodelay(true) {
        tracing::debug!(%cause, "failed to set TCP_NODELAY");
    }
    let Ok(own) = stream.local_addr() else { return };
    running.spawn(Session::new(Arc::clone(office), Wire::new(stream), (own, peer)).run(taken));
}
