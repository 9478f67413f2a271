//! The options of `server` for mail.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::{SECRET, address};
use crate::bounded;
use crate::connection;
use crate::error::{Context, Error, Result};
use crate::output;
use crate::platform::{Encryption, Mail, Relay};

/// The port at which mail is encrypted from the first byte.
const SUBMISSIONS: u16 = 465;

/// Where mail arrives, and where mail for others goes.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Mail")]
pub struct MailArgs {
    /// The address to take mail for mailboxes on, over SMTP; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    #[arg(conflicts_with_all = ["key_for", "rotate_owner_key", "rotate_signing_keys", "rotate_key_file"])]
    pub smtp: Option<SocketAddr>,

    /// The file with the certificate (PEM) for those who encrypt what they send, with STARTTLS
    #[arg(long, value_name = "FILE", requires = "smtp", requires = "smtp_tls_key")]
    pub smtp_tls_cert: Option<PathBuf>,

    /// The file with its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "smtp_tls_cert")]
    pub smtp_tls_key: Option<PathBuf>,

    /// The server that takes mail of participants for others; without it there is none
    #[arg(long, value_name = "HOST:PORT", requires = "smtp", value_parser = host_and_port)]
    pub smtp_relay: Option<(String, u16)>,

    /// How mail travels there: starttls, tls or none [default: tls for port 465, none on this machine,
    /// else starttls]
    #[arg(long, value_name = "HOW", requires = "smtp_relay", hide_possible_values = true)]
    pub smtp_relay_tls: Option<Encryption>,

    /// The user there
    #[arg(
        long,
        value_name = "USER",
        requires = "smtp_relay",
        requires = "smtp_relay_password_file"
    )]
    pub smtp_relay_user: Option<String>,

    /// The file with the user's password
    #[arg(long, value_name = "FILE", requires = "smtp_relay_user")]
    pub smtp_relay_password_file: Option<PathBuf>,
}

/// A host and a port; an IPv6 address stands in brackets.
fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let refuse = || "write a host and a port, such as smtp.example.com:587".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(refuse)?;
    let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(refuse)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_host = bare.parse::<std::net::Ipv6Addr>().is_ok()
        || (!host.is_empty() && host.chars().all(is_plain));
    is_host.then(|| (bare.to_owned(), port)).ok_or_else(refuse)
}

/// Whether a host is this machine.
fn is_here(host: &str) -> bool {
    let is_loopback = |it: std::net::IpAddr| it.is_loopback();
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback)
}

impl MailArgs {
    /// Listens for mail, if that is wanted. Also gives the address.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on; a file cannot be used.
    pub async fn listen(&self) -> Result<Option<(Mail, SocketAddr)>> {
        let Some(wanted) = self.smtp else { return Ok(None) };
        let relay = self.relay()?;
        let (listener, address) = connection::listen(wanted, "--smtp").await?;
        let mut mail = Mail::at(listener).relayed(relay);
        if let (Some(certificate), Some(key)) = (&self.smtp_tls_cert, &self.smtp_tls_key) {
            mail = mail.encrypted(certificate, key)?;
        } else if !address.ip().is_loopback() {
            output::warning(&format!(
                "{address} takes mail from other machines, unencrypted; participants can send from this machine only (--smtp-tls-cert)"
            ));
        }
        Ok(Some((mail, address)))
    }

    fn relay(&self) -> Result<Option<Relay>> {
        let Some((host, port)) = &self.smtp_relay else { return Ok(None) };
        let encryption = self.smtp_relay_tls.unwrap_or(match (*port, is_here(host)) {
            (SUBMISSIONS, _) => Encryption::Tls,
            (_, true) => Encryption::None,
            (_, false) => Encryption::Starttls,
        });
        let user = match (&self.smtp_relay_user, &self.smtp_relay_password_file) {
            (Some(user), Some(file)) => Some((user.clone(), password(file)?)),
            _ => None,
        };
        if user.is_some() && encryption == Encryption::None && !is_here(host) {
            return Err(Error::usage(format!(
                "the password for the relay {host}:{port} would travel unencrypted"
            ))
            .hint("use --smtp-relay-tls starttls or tls"));
        }
        Relay::new((host, *port), encryption, user).map(Some)
    }
}

/// The password in a file.
fn password(file: &Path) -> Result<SecretString> {
    let failed = || format!("failed to read the password of the relay from {}", file.display());
    let text = SecretString::from(bounded::text(file, SECRET).context(failed)?);
    match text.expose_secret().trim_end_matches(['\n', '\r']) {
        "" => Err(Error::usage(format!("the file {} is empty", file.display()))),
        password => Ok(password.to_owned().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_is_a_host_and_a_port() {
        let table = [
            ("smtp.example.com:587", Some(("smtp.example.com", 587))),
            ("127.0.0.1:25", Some(("127.0.0.1", 25))),
            ("[::1]:25", Some(("::1", 25))),
            ("smtp.example.com", None),
            (":25", None),
            ("a:0", None),
            ("a:x", None),
            ("smtp://a:25", None),
            ("user@a:25", None),
        ];
        for (text, expected) in table {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(host_and_port(text).ok(), expected, "{text}");
        }
        assert!(is_here("localhost") && is_here("::1") && !is_here("192.0.2.1"));
    }
}
