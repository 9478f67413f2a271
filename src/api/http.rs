//! How HTTP clients are made, and how their requests are sent. All of it is here, so that all
//! clients agree on TLS, on how much of an answer is read, and on timeouts.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, RequestBuilder, Response, StatusCode};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use url::{Host, Url};

use super::unanswered::Unanswered;
use crate::error::{Error, Result};
use crate::visible;

/// A client for anything that is not the platform, made for the first URL: it sends no credential,
/// and follows redirects.
///
/// # Errors
///
/// The system's.
pub fn of_anything(url: &str) -> Result<reqwest::Client> {
    build(builder(url))
}

/// A client for files that are checked by their digest: it follows redirects, but none that
/// leaves TLS, or leads from elsewhere to this machine.
///
/// # Errors
///
/// The system's.
pub fn of_downloads(url: &str) -> Result<reqwest::Client> {
    let policy = Policy::custom(|attempt| {
        let from = attempt.previous();
        let is_plain = is_of_this_machine(attempt.url()) && from.iter().all(is_of_this_machine);
        if from.len() > REDIRECTS {
            attempt.error("there are too many redirects")
        } else if attempt.url().scheme() == "https" || is_plain {
            attempt.follow()
        } else {
            attempt.error("a redirect leads to plain http")
        }
    });
    let builder = builder(url).redirect(policy);
    build(if is_plain_loopback(url) { builder.tls_certs_only([]) } else { builder })
}

/// How many redirects are followed.
const REDIRECTS: usize = 10;

/// The builder of a client that sends a credential, for the URL of the receiver: the platform, a
/// room, or a service that is called to one. It follows no redirect.
pub fn of_platform(base: &str) -> ClientBuilder {
    let builder = builder(base).redirect(Policy::none());
    // To read the certificates of the system takes longer than most commands do otherwise.
    if is_plain_loopback(base) { builder.tls_certs_only([]) } else { builder }
}

/// The builder of a client for a container of an engine on this machine: no proxy leads there, and
/// no certificate is needed.
pub fn of_container(base: &str) -> ClientBuilder {
    of_platform(base).no_proxy().tls_certs_only([])
}

/// The most that is read of an answer by default, in bytes.
pub const STANDARD: usize = 1024 * 1024;

/// Why an answer, or the rest of it, did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The connection failed.
    #[error(transparent)]
    Failed(Unanswered),
    /// It is larger than the limit.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// It took too long.
    #[error("there was no answer in time")]
    Late,
}

impl Unread {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Failed(unanswered) => unanswered.hint.as_deref(),
            Self::TooLarge(_) | Self::Late => None,
        }
    }
}

impl From<reqwest::Error> for Unread {
    fn from(error: reqwest::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// An answer that was read to its end.
#[derive(Debug)]
pub struct Told {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Vec<u8>,
}

/// Sends a request, with a timeout and a limit in bytes for its answer.
///
/// # Errors
///
/// No answer, not all of it, or too much of it.
pub async fn ask(request: RequestBuilder, time: Duration, limit: usize) -> Result<Told, Unread> {
    let asked = async {
        let answer = send(request).await.map_err(Unread::Failed)?;
        Ok(Told { status: answer.status(), body: body(answer, limit).await? })
    };
    tokio::time::timeout(time, asked).await.unwrap_or(Err(Unread::Late))
}

/// Sends a request. Its connection has threads of its own: a server can keep a thread busy for as
/// long as it likes, and the caller still notices timeouts and signals.
///
/// # Errors
///
/// No answer.
pub async fn send(request: RequestBuilder) -> Result<Response, Unanswered> {
    let Some(connections) = connections() else { return Ok(request.send().await?) };
    // If the caller stops waiting, it ends.
    let mut sent = JoinSet::new();
    sent.spawn_on(request.send(), connections.handle());
    match sent.join_next().await {
        Some(Ok(answer)) => Ok(answer?),
        Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // There is one task, and nobody else ends it.
        _ => std::future::pending().await,
    }
}

/// The body of an answer, up to a limit.
///
/// # Errors
///
/// It does not come to its end, or has more bytes than the limit.
pub async fn body(mut answer: Response, limit: usize) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Err(Unread::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The next piece of an answer that is read as it comes; none at its end.
///
/// # Errors
///
/// It does not come to its end.
pub async fn piece(answer: &mut Response) -> Result<Option<Vec<u8>>, Unread> {
    Ok(answer.chunk().await?.map(|piece| piece.to_vec()))
}

/// The runtime that handles connections; `None` if the system has no more threads. It ends with
/// the program.
fn connections() -> Option<&'static Runtime> {
    static CONNECTIONS: OnceLock<Option<Runtime>> = OnceLock::new();
    let start = || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).thread_name("connections").enable_all().build().ok()
    };
    CONNECTIONS.get_or_init(start).as_ref()
}

/// Checks that a URL can be a platform's: http or https, without a user and a password, which
/// would replace the credential.
///
/// # Errors
///
/// [`crate::error::Class::Usage`], with what is wrong.
pub fn check_platform(base: &str) -> Result<()> {
    let shown = visible::url(base);
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https");
    let Some(url) = Url::parse(base).ok().filter(is_web) else {
        let has_scheme = base.contains("://");
        let example = match has_scheme || base.is_empty() || base.contains('@') {
            true => "https://api.meshagent.com".to_owned(),
            false => format!("http://{shown}"),
        };
        return Err(Error::usage(format!(
            "the platform's URL {shown:?} is neither http nor https"
        ))
        .hint(format!("write it with its scheme, such as {example}")));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::usage(format!(
            "the platform's URL contains a user name or a password before {shown:?}"
        ))
        .hint("leave them out: the credential is MESHAGENT_API_KEY or MESHAGENT_TOKEN, or comes from `meshagent auth login`"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::usage(format!(
            "the platform's URL {shown:?} has a query or a fragment"
        ))
        .hint("give only the scheme, the host and, if the platform has one, the path"));
    }
    Ok(())
}

/// Refuses to send a credential that everybody on the way could read: over http or a websocket
/// without TLS to another machine.
///
/// # Errors
///
/// [`crate::error::Class::Usage`], with the option that allows it.
pub fn refuse_plain(base: &str) -> Result<()> {
    match Url::parse(base) {
        Ok(url) if matches!(url.scheme(), "http" | "ws") && !is_of_this_machine(&url) => {
            let host = url.host_str().unwrap_or_default();
            let scheme = url.scheme();
            Err(Error::usage(format!(
                "{} is plain {scheme}, so anybody between this machine and {host} could read the credential",
                visible::url(base)
            ))
            .hint("use https; to send it anyway, set MESHAGENT_INSECURE=1, or give --insecure to a command that has it"))
        }
        _ => Ok(()),
    }
}

/// Whether a URL leads to this machine.
#[must_use]
pub fn is_here(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| is_of_this_machine(&url))
}

/// Whether a URL is without TLS and of this machine. A platform elsewhere may be reached through a
/// proxy with TLS, whatever its own URL is.
fn is_plain_loopback(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.scheme() == "http" && is_of_this_machine(&url))
}

fn is_of_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => {
            address.to_canonical().is_loopback() || address.is_unspecified()
        }
        None => false,
    }
}

/// The client.
///
/// # Errors
///
/// The system's.
pub fn build(builder: ClientBuilder) -> Result<reqwest::Client> {
    builder.build().map_err(|error| {
        Error::failed("failed to set up the HTTP client")
            .because(error)
            .hint("install CA certificates (package ca-certificates), or name a file with them in SSL_CERT_FILE")
    })
}

/// The builder that all clients share. Proxies of the environment (`HTTP_PROXY`, `NO_PROXY`) are
/// only for other machines: for a proxy, `localhost` is another machine than for us.
fn builder(url: &str) -> ClientBuilder {
    // A process has one provider; when another client set it first, that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder =
        reqwest::Client::builder().user_agent(concat!("meshagent/", env!("CARGO_PKG_VERSION")));
    if Url::parse(url).is_ok_and(|url| is_direct(&url)) { builder.no_proxy() } else { builder }
}

/// Whether a URL is requested without a proxy, whatever the environment says.
pub(super) fn is_direct(url: &Url) -> bool {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let excepted = set("NO_PROXY").or_else(|| set("no_proxy"));
    is_of_this_machine(url) || excepted.is_some_and(|excepted| is_excepted(url, &excepted))
}

/// Whether `NO_PROXY` names the host of a URL together with its port. The HTTP library handles
/// hosts without a port.
fn is_excepted(url: &Url, excepted: &str) -> bool {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return false;
    };
    let is_below = |name: &str| {
        let above = host.strip_suffix(name.trim_start_matches('.'));
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    };
    let mut entries = excepted.split(',').filter_map(|entry| entry.trim().rsplit_once(':'));
    entries.any(|(name, of)| !name.is_empty() && of.parse() == Ok(port) && is_below(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for url in [
            "https://a.test",
            "wss://a.test",
            "http://127.0.0.1:1",
            "ws://127.0.0.1:1",
            "http://[::1]",
            "http://x.localhost/",
        ] {
            assert!(refuse_plain(url).is_ok(), "{url}");
        }
        for url in [
            "http://a.test",
            "HTTP://10.0.0.1:8",
            "http://localhost.a.test",
            "http://[2001:db8::1]",
            "ws://10.0.0.1/rooms/a",
            "WS://a.test:1",
        ] {
            assert!(refuse_plain(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_host_is_excepted_from_proxies_with_its_port() {
        let is_excepted = |url: &str, excepted| is_excepted(&Url::parse(url).unwrap(), excepted);
        for (url, excepted) in [
            ("https://a.test", "b.test:1, a.test:443"),
            ("https://x.a.test/y", "a.test:443"),
            ("https://x.a.test/y", ".a.test:443"),
            ("http://10.0.0.1:8080", "10.0.0.1:8080"),
            ("http://[2001:db8::1]:80", "[2001:db8::1]:80"),
        ] {
            assert!(is_excepted(url, excepted), "{url} {excepted}");
        }
        for (url, excepted) in [
            ("https://a.test", "a.test:80"),
            ("https://ba.test", "a.test:443"),
            ("https://a.test", ":443"),
            ("https://a.test", "a.test"),
            ("https://a.test", ""),
        ] {
            assert!(!is_excepted(url, excepted), "{url} {excepted}");
        }
    }

    #[test]
    fn certificates_are_left_out_only_where_there_can_be_no_tls() {
        for url in
            ["http://127.0.0.1:8787", "http://localhost/x", "http://[::1]:1", "http://a.localhost"]
        {
            assert!(is_plain_loopback(url), "{url}");
        }
        for url in [
            "https://127.0.0.1",
            "http://platform.example.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "HTTPS://localhost",
            "nothing",
        ] {
            assert!(!is_plain_loopback(url), "{url}");
        }
    }
}
