//! As whom a client asks: what it sends with each request. A key stays what it is; a session ends,
//! and another credential follows it, which may be in the middle of a run.

use futures_util::future::{BoxFuture, ready};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use super::failure;
use crate::error::{Error, Result};

/// What a client sends to say who asks.
pub trait Credentials: Send + Sync {
    /// What the next request is sent with. An error says why there is nothing to send: the
    /// request fails with it and never leaves.
    fn bearer(&self) -> BoxFuture<'_, Result<SecretString>>;

    /// The platform does not know what was sent. Gets another credential, where there can be one,
    /// and says whether [`Credentials::bearer`] gives that from now on.
    fn renew<'a>(&'a self, _refused: &'a SecretString) -> BoxFuture<'a, bool> {
        Box::pin(ready(false))
    }
}

/// A credential that stays what it is.
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
