//! Tokens for which people have signed in elsewhere (OAuth 2, RFC 6749): a code becomes a token, and
//! an old token a new one.
//!
//! Participants say where the server sends such requests. So it follows no redirect, waits and reads
//! within limits, and shows nothing of an answer but a reason that the standard names.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use url::Url;
use url::form_urlencoded::Serializer;

use super::calls::refused;
use crate::api::http;
use crate::platform::digest;
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::operation::Secret;
use crate::room::secrets::{OAuthClient, revealed};
use crate::settings::is_insecure;

/// How long an endpoint may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// How large its answer may be, in bytes.
const ANSWER: usize = 64 * 1024;

/// How many requests to endpoints a room may have at once.
const PLACES: usize = 16;

/// How long an address may be, in bytes.
pub const ADDRESS: usize = 2048;

/// How long the other texts of a program may be, in bytes, and how many scopes it may have.
const TEXT: usize = 1024;
const SCOPES: usize = 100;

/// How long before its end a token is taken for old, in seconds.
const EARLY: i64 = 60;

/// The reasons that the standard has for refusing a token (RFC 6749, section 5.2).
const REASONS: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

/// A program that is registered with a server for OAuth.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its id there.
    pub id: String,
    /// Its secret there.
    pub secret: Option<SecretString>,
    /// Where people sign in.
    pub authorization_endpoint: String,
    /// Where codes become tokens.
    pub token_endpoint: String,
    /// Whether there is no proof that whoever has the code has asked for it (PKCE).
    pub no_pkce: bool,
    /// What the token is for.
    pub scopes: Option<Vec<String>>,
}

impl Client {
    /// A program as it is described by a participant.
    ///
    /// # Errors
    ///
    /// Something is missing, too long or not allowed.
    pub fn of(given: OAuthClient) -> Result<Self, Refused> {
        let text = |what: &str, text: Option<String>, most: usize| {
            let text = text.unwrap_or_default().trim().to_owned();
            let is_wrong = text.is_empty() || text.len() > most || text.contains(char::is_control);
            match is_wrong {
                true => Err(Refused::invalid(format!(
                    "oauth.{what} is not a text of 1 to {most} bytes"
                ))),
                false => Ok(text),
            }
        };
        let id = text("client_id", given.client_id, TEXT)?;
        let authorization_endpoint =
            text("authorization_endpoint", given.authorization_endpoint, ADDRESS)?;
        let token_endpoint = text("token_endpoint", given.token_endpoint, ADDRESS)?;
        address("authorization_endpoint", &authorization_endpoint)?;
        address("token_endpoint", &token_endpoint)?;
        if !is_insecure() {
            http::refuse_plain(&token_endpoint)
                .map_err(|error| Refused::invalid(error.to_string()))?;
        }
        let secret = given.client_secret.filter(|secret| !secret.expose_secret().is_empty());
        let is_long = |text: &str| text.len() > TEXT;
        if secret.as_ref().is_some_and(|secret| is_long(secret.expose_secret())) {
            let told = format!("oauth.client_secret has more than {TEXT} bytes");
            return Err(Refused::invalid(told));
        }
        if given.scopes.iter().flatten().any(|scope| is_long(scope))
            || given.scopes.as_ref().is_some_and(|scopes| scopes.len() > SCOPES)
        {
            let told = format!(
                "oauth.scopes has more than {SCOPES} entries, or one of more than {TEXT} bytes"
            );
            return Err(Refused::invalid(told));
        }
        let (no_pkce, scopes) = (given.no_pkce.unwrap_or_default(), given.scopes);
        Ok(Self { id, secret, authorization_endpoint, token_endpoint, no_pkce, scopes })
    }

    /// By what its tokens are found. Where a refresh token is sent is part of it.
    pub fn key(&self) -> String {
        let mut scopes = self.scopes.clone().unwrap_or_default();
        scopes.sort();
        scopes.dedup();
        let about = json!([self.id, self.authorization_endpoint, self.token_endpoint, scopes]);
        format!("oauth:{}", digest::of(&about.to_string()))
    }

    /// What somebody who signs in is told of it: not its secret.
    pub fn told(&self) -> OAuthClient {
        OAuthClient {
            client_id: Some(self.id.clone()),
            client_secret: None,
            authorization_endpoint: Some(self.authorization_endpoint.clone()),
            token_endpoint: Some(self.token_endpoint.clone()),
            no_pkce: Some(self.no_pkce),
            scopes: self.scopes.clone(),
        }
    }
}

/// Checks an address: http or https, without a user, and as it will be requested, since it is
/// compared as text.
fn address(what: &str, text: &str) -> Result<(), Refused> {
    let is_web = |url: &Url| {
        let has_user = !url.username().is_empty() || url.password().is_some();
        matches!(url.scheme(), "http" | "https") && !has_user
    };
    // A path that climbs is another one when it is requested.
    let path = text.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let path = path.replace("%2e", ".");
    let climbs = path.split('/').any(|part| part == "." || part == "..") || path.contains('\\');
    let is_plain = !climbs && !text.contains(char::is_whitespace);
    match is_plain && Url::parse(text).is_ok_and(|url| is_web(&url)) {
        true => Ok(()),
        false => Err(Refused::invalid(format!(
            "oauth.{what} is not a plain http or https address, without a user and without `..`"
        ))),
    }
}

/// A proof that whoever has a code has asked for it (PKCE, RFC 7636).
///
/// # Errors
///
/// The system has no random bytes.
pub fn verifier() -> Result<SecretString, Refused> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|_| refused(codes::OPERATION_FAILED, "the system gives no random bytes"))?;
    Ok(SecretString::from(URL_SAFE_NO_PAD.encode(bytes)))
}

/// A token, and what makes a new one of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Credential {
    /// The token.
    #[serde(with = "revealed")]
    pub access_token: Option<SecretString>,
    /// What makes a new one.
    #[serde(default, with = "revealed")]
    refresh_token: Option<SecretString>,
    /// The secret of the program for which it was given.
    #[serde(default, with = "revealed")]
    client_secret: Option<SecretString>,
    /// When the token ends, in seconds since 1970; not said of some.
    #[serde(default)]
    expires_at: Option<i64>,
}

impl Credential {
    /// As it is stored.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn write(&self) -> Result<Secret, Refused> {
        let written = serde_json::to_vec(self).map_err(|_| unreadable())?;
        Ok(SecretBox::new(Box::new(written)))
    }

    /// What was stored.
    ///
    /// # Errors
    ///
    /// It is something else.
    pub fn read(stored: &Secret) -> Result<Self, Refused> {
        serde_json::from_slice(stored.expose_secret()).map_err(|_| unreadable())
    }

    /// The token, unless it is old.
    pub fn token(&self) -> Option<SecretString> {
        let now = jiff::Timestamp::now().as_second();
        let is_old = self.expires_at.is_some_and(|end| end.saturating_sub(EARLY) <= now);
        self.access_token.clone().filter(|_| !is_old)
    }
}

fn unreadable() -> Refused {
    refused(codes::OPERATION_FAILED, "the stored token cannot be read")
}

/// Why there is no token.
#[derive(Debug, PartialEq, Eq)]
pub struct NoToken {
    what: String,
    /// Whether what was sent for it is not valid any more.
    pub is_final: bool,
}

impl NoToken {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), is_final: false }
    }
}

impl From<NoToken> for Refused {
    fn from(no: NoToken) -> Self {
        refused(codes::OPERATION_FAILED, no.what)
    }
}

/// Makes a token of a code.
///
/// # Errors
///
/// The endpoint is not reached, or gives none.
pub async fn exchange(
    client: &Client,
    code: &Secret,
    (redirect_uri, verifier): (&str, Option<&SecretString>),
) -> Result<Credential, NoToken> {
    let code = std::str::from_utf8(code.expose_secret())
        .map_err(|_| NoToken::new("the code is not a text"))?;
    let mut form =
        vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect_uri)];
    form.extend(verifier.map(|verifier| ("code_verifier", verifier.expose_secret())));
    post(client, client.secret.clone(), &form).await
}

/// Makes a new token of an old one. None if it cannot be renewed.
///
/// # Errors
///
/// The endpoint is not reached, or gives none.
pub async fn renew(client: &Client, old: &Credential) -> Result<Option<Credential>, NoToken> {
    let Some(refresh) = &old.refresh_token else { return Ok(None) };
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.expose_secret())];
    let secret = client.secret.clone().or_else(|| old.client_secret.clone());
    let new = post(client, secret, &form).await?;
    let refresh_token = new.refresh_token.or_else(|| old.refresh_token.clone());
    Ok(Some(Credential { refresh_token, ..new }))
}

/// What an endpoint answers. Nothing else of it matters.
#[derive(Deserialize)]
struct Answer {
    #[serde(default, with = "revealed")]
    access_token: Option<SecretString>,
    #[serde(default, with = "revealed")]
    refresh_token: Option<SecretString>,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    error: Value,
}

async fn post(
    client: &Client,
    client_secret: Option<SecretString>,
    form: &[(&str, &str)],
) -> Result<Credential, NoToken> {
    let secret = client_secret.as_ref().map(|secret| ("client_secret", secret.expose_secret()));
    let own = [("client_id", client.id.as_str())].into_iter().chain(secret);
    let pairs = form.iter().copied().chain(own);
    let body = Serializer::new(String::new()).extend_pairs(pairs).finish();
    let http = http::build(http::of_platform(&client.token_endpoint))
        .map_err(|_| NoToken::new("the HTTP client cannot be set up"))?;
    let request = http
        .post(&client.token_endpoint)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Accept", "application/json")
        .body(body);
    let told = http::ask(request, PATIENCE, ANSWER)
        .await
        .map_err(|_| NoToken::new("the token endpoint did not answer as it should"))?;
    let answer: Option<Answer> = serde_json::from_slice(&told.body).ok();
    if !told.status.is_success() {
        let error = answer.as_ref().and_then(|answer| answer.error.as_str()).unwrap_or_default();
        let reason = REASONS.iter().find(|reason| **reason == error);
        let because = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let what = format!("the token endpoint answered with {}{because}", told.status.as_u16());
        return Err(NoToken { what, is_final: reason == Some(&"invalid_grant") });
    }
    let no_token = || NoToken::new("the answer of the token endpoint has no access_token");
    let answer = answer.ok_or_else(no_token)?;
    let token = answer.access_token.filter(|token| !token.expose_secret().is_empty());
    let seconds = answer.expires_in.as_i64().or_else(|| answer.expires_in.as_str()?.parse().ok());
    let now = jiff::Timestamp::now().as_second();
    Ok(Credential {
        access_token: Some(token.ok_or_else(no_token)?),
        refresh_token: answer.refresh_token.filter(|token| !token.expose_secret().is_empty()),
        client_secret,
        expires_at: seconds.map(|seconds| now.saturating_add(seconds)),
    })
}

/// What a room asks of endpoints. A token is renewed by one call at a time, since what makes a new
/// one may be good for once. Such requests go on when their participant leaves, so there is a place
/// for each.
#[derive(Debug)]
pub struct Endpoints {
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    places: Arc<Semaphore>,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self { turns: Mutex::default(), places: Arc::new(Semaphore::new(PLACES)) }
    }
}

impl Endpoints {
    /// Waits for the turn to renew a token.
    pub async fn turn(&self, id: &str) -> OwnedMutexGuard<()> {
        let turns = {
            let mut all = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, turns| Arc::strong_count(turns) > 1);
            Arc::clone(all.entry(id.to_owned()).or_default())
        };
        turns.lock_owned().await
    }

    /// Waits for a place among the requests of the room.
    ///
    /// # Errors
    ///
    /// The room is closing.
    pub async fn place(&self) -> Result<OwnedSemaphorePermit, Refused> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.map_err(|_| refused(codes::OPERATION_FAILED, "the room is closing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(authorization: &str, token: &str) -> OAuthClient {
        OAuthClient {
            client_id: Some(" c ".to_owned()),
            authorization_endpoint: Some(authorization.to_owned()),
            token_endpoint: Some(token.to_owned()),
            ..OAuthClient::default()
        }
    }

    #[test]
    fn addresses_are_plain_and_tokens_travel_encrypted() {
        let of = |authorization, token| Client::of(given(authorization, token)).map(|it| it.id);
        let good = "https://a.test/o?x=1";
        for token in ["https://a.test", "https://a.test/t", "http://127.0.0.1:1/t"] {
            assert_eq!(of(good, token).as_deref(), Ok("c"), "{token}");
        }
        for bad in [
            "",
            "a.test",
            "ftp://a.test",
            "https://u@a.test/",
            "https://u:p@a.test/",
            "https://a.test/o/../x",
            "https://a.test/o/%2e%2e/x",
            "https://a.test/o\\..\\x",
            "https://a.te\nst/",
            "https://a.test/ x",
        ] {
            assert_eq!(of(bad, good).unwrap_err().code, Some(1002), "{bad}");
            assert_eq!(of(good, bad).unwrap_err().code, Some(1002), "{bad}");
        }
        assert!(of("http://a.test", good).is_ok());
        assert!(of(good, "http://a.test/t").is_err());
        assert!(of(good, &format!("https://a.test/{}", "x".repeat(ADDRESS))).is_err());
    }

    #[test]
    fn a_token_is_found_by_all_that_it_is_for() {
        let key = |client: OAuthClient| Client::of(client).unwrap().key();
        let usual = || given("https://a.test/o", "https://a.test/t");
        let scopes = |scopes: &[&str]| OAuthClient {
            scopes: Some(scopes.iter().map(|scope| (*scope).to_owned()).collect()),
            ..usual()
        };
        let known = key(usual());
        let secret = OAuthClient { client_secret: Some("s".into()), ..usual() };
        assert_eq!(key(secret), known);
        assert_eq!(key(scopes(&[])), known);
        assert_eq!(key(scopes(&["a", "b"])), key(scopes(&["b", "a", "a"])));
        for other in [
            scopes(&["a"]),
            given("https://a.test/o", "https://b.test/t"),
            given("https://b.test/o", "https://a.test/t"),
            OAuthClient { client_id: Some("d".to_owned()), ..usual() },
        ] {
            assert_ne!(key(other), known);
        }
    }

    #[test]
    fn a_token_is_old_a_minute_before_its_end() {
        let now = jiff::Timestamp::now().as_second();
        let of = |expires_at| {
            let access_token = Some("canary".into());
            Credential { access_token, expires_at, ..Credential::default() }
        };
        assert!(of(None).token().is_some());
        assert!(of(Some(now + 2 * EARLY)).token().is_some());
        assert!(of(Some(now + EARLY - 1)).token().is_none());
        assert!(of(Some(i64::MIN)).token().is_none());
        let stored = of(Some(7)).write().unwrap();
        assert_eq!(Credential::read(&stored).unwrap().expires_at, Some(7));
        assert!(!format!("{:?} {stored:?}", of(None)).contains("canary"));
    }

    /// Time goes on by itself while nothing else does.
    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_never_answers_is_not_waited_for() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let token = format!("http://{}/t", silent.local_addr().unwrap());
        let client = Client::of(given("https://a.test/o", &token)).unwrap();
        let code = SecretBox::new(Box::new(b"code".to_vec()));
        let no_token = exchange(&client, &code, ("r", None)).await.unwrap_err();
        assert_eq!(no_token, NoToken::new("the token endpoint did not answer as it should"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_has_one_turn_and_a_room_so_many_places() {
        let waits = Duration::from_secs(1);
        let endpoints = Endpoints::default();
        let first = endpoints.turn("a").await;
        let other = endpoints.turn("b").await;
        assert!(tokio::time::timeout(waits, endpoints.turn("a")).await.is_err());
        drop((first, other));
        drop(endpoints.turn("a").await);
        let mut places = Vec::new();
        for _ in 0..PLACES {
            places.push(endpoints.place().await.unwrap());
        }
        assert!(tokio::time::timeout(waits, endpoints.place()).await.is_err());
        places.pop();
        drop(endpoints.place().await.unwrap());
    }
}
