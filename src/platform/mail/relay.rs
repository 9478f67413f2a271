//! Another server, which takes the mail of participants that is not for mailboxes here.

use std::fmt;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use crate::error::{Context, Result};
use crate::notice;

/// How long it may take to hand a mail over.
const PATIENCE: Duration = Duration::from_secs(120);

/// How mail travels to a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Encryption {
    /// Over TLS after STARTTLS, which the relay must offer
    Starttls,
    /// Over TLS from the first byte, as on port 465
    Tls,
    /// Not encrypted
    None,
}

/// A relay.
#[derive(Clone)]
pub struct Relay {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    name: String,
}

impl fmt::Debug for Relay {
    /// Without its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relay({:?})", self.name)
    }
}

/// Why a relay did not take a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// It refuses it, and would do so again.
    Refused,
    /// It may take it later.
    Later,
}

impl Relay {
    /// The relay at a port of a host, with a user and a password if it needs them.
    ///
    /// # Errors
    ///
    /// TLS cannot be set up.
    pub fn new(
        (host, port): (&str, u16),
        encryption: Encryption,
        user: Option<(String, SecretString)>,
    ) -> Result<Self> {
        let name = format!("{host}:{port}");
        let parameters = || {
            TlsParameters::new(host.to_owned())
                .context(|| format!("failed to set up TLS for the relay {name}"))
        };
        let tls = match encryption {
            Encryption::Starttls => Tls::Required(parameters()?),
            Encryption::Tls => Tls::Wrapper(parameters()?),
            Encryption::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host);
        builder = builder.port(port).tls(tls);
        if let Some((user, password)) = user {
            let password = password.expose_secret().to_owned();
            builder = builder.credentials(Credentials::new(user, password));
        }
        Ok(Self { transport: builder.build(), name })
    }

    /// Hands a mail over. It is the relay's once this returns.
    ///
    /// # Errors
    ///
    /// The relay did not take it.
    pub async fn send(&self, from: &str, to: &[Address], mail: &[u8]) -> Result<(), NotTaken> {
        let from = from.parse().map_err(|_| NotTaken::Refused)?;
        let envelope = Envelope::new(Some(from), to.to_vec()).map_err(|_| NotTaken::Refused)?;
        // The end of the last line is written with the dot.
        let mail = mail.strip_suffix(b"\r\n").unwrap_or(mail);
        let what = format!("a mail was not handed to the relay {}", self.name);
        match timeout(PATIENCE, self.transport.send_raw(&envelope, mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                notice::tell(&what, crate::error::with_causes(&error));
                Err(if error.is_permanent() { NotTaken::Refused } else { NotTaken::Later })
            }
            Err(_) => {
                notice::tell(&what, "it took too long");
                Err(NotTaken::Later)
            }
        }
    }
}
