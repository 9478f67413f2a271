//! How HTTP clients are made: all of them here, so that they agree on TLS.

use std::time::Duration;

use reqwest::ClientBuilder;
use reqwest::redirect::Policy;

use crate::error::{Error, Result};

/// A client of whatever is not the platform: it sends no credential, and goes where it is
/// redirected to.
///
/// # Errors
///
/// The system's.
pub fn of_anything(timeout: Duration) -> Result<reqwest::Client> {
    build(builder().timeout(timeout))
}

/// What a client of one platform is made of, by the platform's URL. It follows no redirect:
/// its credential is for that platform only.
pub fn of_platform(base: &str) -> ClientBuilder {
    let builder = builder().redirect(Policy::none());
    if base.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:")) {
        return builder;
    }
    // To read the certificates of the system takes longer than most commands do otherwise.
    builder.tls_certs_only([])
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

fn builder() -> ClientBuilder {
    // A process has one provider; when another client set it first, that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().user_agent(concat!("meshagent/", env!("CARGO_PKG_VERSION")))
}
