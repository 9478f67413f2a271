//! Posts webhooks. They are signed if there is a secret, as receivers with the public SDK check it.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::http::{self, Unread};
use super::{python_json, token};
use crate::error::{Error, Result};
use crate::visible;

/// The header of the signature.
const SIGNATURE: &str = "Meshagent-Signature";

/// The header of what a receiver recognizes an event by that it gets twice. It is an extension: the
/// public SDK reads the body alone.
const ID: &str = "Meshagent-Event-Id";

/// How long a connection waits for the next webhook. Receivers close theirs after five seconds or
/// later.
const IDLE: Duration = Duration::from_secs(2);

/// How much of an answer is read so that its connection can be used again, in bytes, and how long
/// that may take. Nothing in it matters.
const REST: (usize, Duration) = (64 * 1024, Duration::from_secs(1));

/// A webhook to be posted.
#[derive(Debug, Clone)]
pub struct Webhook<'a> {
    /// Where to. A redirect is not followed: there may be a token in it.
    pub url: &'a str,
    /// What happened.
    pub body: &'a Value,
    /// What the event is recognized by, if it may be posted again.
    pub id: Option<&'a str>,
    /// The secret that it is signed with.
    pub secret: Option<&'a SecretString>,
    /// How long its receiver may take to answer.
    pub patience: Duration,
}

/// The signature of a body: a token that holds its digest.
fn signature(body: &str, secret: &SecretString) -> String {
    let digest = Sha256::digest(body.as_bytes());
    let digest = digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    token::sign(&json!({ "sha256": digest }), secret)
}

/// A client for webhooks that go to one URL.
///
/// # Errors
///
/// The system's.
pub fn client(url: &str) -> Result<reqwest::Client> {
    client_of(http::of_platform(url))
}

/// The same with what else it is to be like.
///
/// # Errors
///
/// The system's.
pub fn client_of(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    http::build(builder.pool_idle_timeout(IDLE))
}

impl Webhook<'_> {
    /// Posts it.
    ///
    /// # Errors
    ///
    /// No answer in time, or one that is not a success.
    pub async fn post(&self) -> Result<()> {
        self.post_with(&client(self.url)?).await
    }

    /// The same with the client of its URL.
    ///
    /// # Errors
    ///
    /// As [`Self::post`].
    pub async fn post_with(&self, client: &reqwest::Client) -> Result<()> {
        let shown = visible::url(self.url);
        // Receivers hash what they read as Python writes it, so that is what is sent.
        let body = python_json::dumps(self.body);
        let mut request = client.post(self.url).header("Content-Type", "application/json");
        if let Some(id) = self.id {
            request = request.header(ID, id);
        }
        if let Some(secret) = self.secret {
            request = request.header(SIGNATURE, format!("Bearer {}", signature(&body, secret)));
        }
        let failed = || Error::failed(format!("failed to call {shown}"));
        let answer = tokio::time::timeout(self.patience, http::send(request.body(body)))
            .await
            .map_err(|_| failed().because(Unread::Late))?
            .map_err(|unanswered| {
                let known = unanswered.hint.clone();
                failed().because(unanswered).hint(known.unwrap_or_else(|| {
                    "check the URL, and that the callee listens there".to_owned()
                }))
            })?;
        let status = answer.status();
        let (rest, time) = REST;
        let _ = tokio::time::timeout(time, http::body(answer, rest)).await;
        let refused = || Error::failed(format!("{shown} answered with {status}"));
        match status.as_u16() {
            404 => Err(refused().hint(
                "something else listens there, or the callee has another path: check the URL",
            )),
            400.. => Err(refused()),
            300.. => Err(refused().hint(
                "a webhook is sent only to its own URL, not to where that redirects: give the final URL",
            )),
            _ => Ok(()),
        }
    }
}
