//! The credential that a client sends with each request. A key does not change. A session ends,
//! possibly in the middle of a run, and another credential follows.

use futures_util::future::{BoxFuture, ready};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use super::failure;
use crate::error::{Error, Result};

/// What a client sends to authenticate itself.
pub trait Credentials: Send + Sync {
    /// The credential for the next request. An error says why there is none: the request then
    /// fails with it and is not sent.
    fn bearer(&self) -> BoxFuture<'_, Result<SecretString>>;

    /// The platform does not know the credential that was sent. Gets another one, if possible, and
    /// says whether [`Credentials::bearer`] returns that from now on.
    fn renew<'a>(&'a self, _refused: &'a SecretString) -> BoxFuture<'a, bool> {
        Box::pin(ready(false))
    }
}

/// A credential that does not change.
impl Credentials for SecretString {
    fn bearer(&self) -> BoxFuture<'_, Result<SecretString>> {
        Box::pin(ready(Ok(self.clone())))
    }
}

/// The header that carries a credential.
///
/// # Errors
///
/// A credential that no header can carry.
pub fn header(bearer: &SecretString) -> Result<HeaderValue> {
    let value = format!("Bearer {}", bearer.expose_secret());
    let mut value = HeaderValue::from_str(&value).map_err(|_| {
        Error::usage(format!(
            "{} contains a line break, or another character that no request can carry",
            failure::credential()
        ))
        .hint("set it again: a credential is one line of letters, digits and signs")
    })?;
    value.set_sensitive(true);
    Ok(value)
}
