//! How HTTP clients are made: all of them here, so that they agree on TLS.

use std::time::Duration;

use reqwest::ClientBuilder;
use reqwest::redirect::Policy;
use url::{Host, Url};

use crate::error::{Error, Result};

/// A client of whatever is not the platform, by the URL that is asked first: it sends no
/// credential, and goes where it is redirected to.
///
/// # Errors
///
/// The system's.
pub fn of_anything(url: &str, timeout: Duration) -> Result<reqwest::Client> {
    build(builder(url).timeout(timeout))
}

/// What a client of one platform is made of, by the platform's URL. It follows no redirect:
/// its credential is for that platform only.
pub fn of_platform(base: &str) -> ClientBuilder {
    let builder = builder(base).redirect(Policy::none());
    // To read the certificates of the system takes longer than most commands do otherwise.
    if is_plain_loopback(base) { builder.tls_certs_only([]) } else { builder }
}

/// Checks that this is a platform's URL.
///
/// # Errors
///
/// [`crate::error::Class::Usage`], with what one looks like.
pub fn check(base: &str) -> Result<()> {
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https");
    if Url::parse(base).is_ok_and(|url| is_web(&url)) {
        return Ok(());
    }
    let has_scheme = base.contains("://");
    let host = if has_scheme || base.is_empty() { "127.0.0.1:8787" } else { base };
    let example = if has_scheme { "https://api.meshagent.com" } else { &format!("http://{host}") };
    Err(Error::usage(format!("the platform's URL {base:?} is neither http nor https"))
        .hint(format!("write it with its scheme, such as {example}")))
}

/// Refuses to send a credential where everybody on the way can read it: without TLS to
/// another machine.
///
/// # Errors
///
/// [`crate::error::Class::Usage`], with the option that allows it.
pub fn refuse_plain(base: &str) -> Result<()> {
    match Url::parse(base) {
        Ok(url) if url.scheme() == "http" && !is_of_this_machine(&url) => {
            let host = url.host_str().unwrap_or_default();
            Err(Error::usage(format!(
                "the platform's URL is plain http, and whoever is between here and {host} could read the credential"
            ))
            .hint("use https; MESHAGENT_INSECURE=1, or --insecure where a command takes it, sends it all the same"))
        }
        _ => Ok(()),
    }
}

/// Whether a URL leads to this machine.
#[must_use]
pub fn is_here(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| is_of_this_machine(&url))
}

/// Whether a URL is one without TLS, of this machine. A platform elsewhere may be reached
/// through a proxy with TLS, whatever its own URL is.
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
    builder
        .build()
        .map_err(|error| Error::failed("failed to set up the HTTP client").because(error))
}

/// What every client is made of. Proxies of the environment (`HTTP_PROXY`, `NO_PROXY`) are
/// for what is elsewhere: to one of them, `localhost` is another machine than to us.
fn builder(url: &str) -> ClientBuilder {
    // A process has one provider; when another client set it first, that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder =
        reqwest::Client::builder().user_agent(concat!("meshagent/", env!("CARGO_PKG_VERSION")));
    if is_here(url) { builder.no_proxy() } else { builder }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for url in ["https://a.test", "http://127.0.0.1:1", "http://[::1]", "http://x.localhost/"] {
            assert!(refuse_plain(url).is_ok(), "{url}");
        }
        for url in [
            "http://a.test",
            "HTTP://10.0.0.1:8",
            "http://localhost.a.test",
            "http://[2001:db8::1]",
        ] {
            assert!(refuse_plain(url).is_err(), "{url}");
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
