//! The client: sends requests at a pace that the platform accepts, and repeats those that may be
//! repeated.
//!
//! A read is repeated whenever that may help (429, 502, 503, 504, no answer, half an answer). A
//! write is repeated only if the platform certainly did nothing (429, a connection that was not
//! opened). Whether any other failed write happened is for the caller to find out, because only
//! the caller knows what to look for: see [`ApiError::is_ambiguous`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderValue, IF_MATCH,
    IF_NONE_MATCH, RETRY_AFTER,
};
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;

use super::credentials::{self, Credentials};
use super::detect::Detected;
use super::failure::{ApiError, Failure, REQUEST_ID, explanation, said, unusable};
use super::http;
use super::inside::Enters;
use super::pace::{Ending, Pace};
use super::reader::Reader;
use super::request::{Body, Method, Precondition, Request};
use super::retry::{self, Retry, retry_after};
use super::spoken::Spoken;
use crate::error::Result;

/// How many requests are under way at once unless the command says otherwise.
const PARALLELISM: usize = 16;

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Sends requests to one platform as one person or key.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    credentials: Arc<dyn Credentials>,
    spoken: Spoken,
    /// The other API, where the platform speaks both.
    also: Option<Spoken>,
    /// Why nothing may be written, if nothing may.
    only_read: Option<Arc<str>>,
    /// Who enters rooms, if anybody does.
    rooms: Option<Arc<dyn Enters>>,
    retry: Retry,
    pace: Pace,
    /// By how many milliseconds the platform's clock is ahead of ours.
    ahead: Arc<AtomicI64>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Client({})", self.base)
    }
}

/// The answer of a platform.
#[derive(Debug)]
pub struct Answer {
    /// The body's bytes.
    pub body: Vec<u8>,
    /// The object's revision, if the platform gives one.
    pub etag: Option<String>,
    /// How often the request was sent, the last time included.
    pub attempts: u32,
}

/// What an answer's body must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Anything,
    /// JSON. If it ends early, it was cut off on its way.
    Json,
}

impl Answer {
    /// The body as JSON; `null` when it is empty.
    ///
    /// # Errors
    ///
    /// A body that is not JSON.
    pub fn json(&self) -> std::result::Result<Value, serde_json::Error> {
        if self.body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&self.body) }
    }
}

impl Client {
    /// A client of the platform at `base`, with a credential that does not change. A path in
    /// `base` is kept.
    ///
    /// # Errors
    ///
    /// A URL that is not one of a platform, a credential that no header can carry.
    pub fn new(base: &str, token: SecretString, retry: Retry) -> Result<Self> {
        let client = Self::asking_as(base, Arc::new(token.clone()), retry)?;
        credentials::header(&token)?;
        Ok(client)
    }

    /// The same with credentials that may change meanwhile.
    ///
    /// # Errors
    ///
    /// A URL that is not one of a platform.
    pub fn asking_as(base: &str, credentials: Arc<dyn Credentials>, retry: Retry) -> Result<Self> {
        let base = base.trim_end_matches('/');
        http::check_platform(base)?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let http = http::of_platform(base)
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(10));
        let http = http::build(http)?;
        let pace = Pace::new(PARALLELISM);
        let ahead = Arc::default();
        // Until it is known: see `detect`, and `other_api` for what is noticed on the way.
        let (spoken, also, only_read) = (Spoken::V0_31, None, None);
        let base = base.to_owned();
        let rooms = None;
        Ok(Self { http, base, credentials, spoken, also, only_read, rooms, retry, pace, ahead })
    }

    /// The same client for a platform of which it is known what it speaks.
    #[must_use]
    pub fn speaking(self, detected: &Detected) -> Self {
        let only_read = detected.only_read.as_deref().map(Arc::from);
        Self { spoken: detected.spoken, also: detected.also, only_read, ..self }
    }

    /// The same client where rooms are entered for what is inside of them.
    #[must_use]
    pub fn entering(self, rooms: Arc<dyn Enters>) -> Self {
        Self { rooms: Some(rooms), ..self }
    }

    /// Leaves the rooms that were entered.
    pub async fn leave_rooms(&self) {
        if let Some(rooms) = &self.rooms {
            rooms.leave().await;
        }
    }

    /// The credential that requests are sent with.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn bearer(&self) -> Result<SecretString> {
        self.credentials.bearer().await
    }

    /// The spelling of the API that the platform speaks.
    #[must_use]
    pub const fn spoken(&self) -> Spoken {
        self.spoken
    }

    /// The other API, where the platform speaks both.
    #[must_use]
    pub const fn also(&self) -> Option<Spoken> {
        self.also
    }

    /// How often a request is tried at most.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.retry.retries.saturating_add(1)
    }

    /// How long one request may take, with its retries.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.retry.timeout
    }

    /// The platform's time, if its last answer gave it; otherwise this machine's.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        let now = jiff::Timestamp::now();
        let ahead = jiff::SignedDuration::from_millis(self.ahead.load(Ordering::Relaxed));
        now.checked_add(ahead).unwrap_or(now)
    }

    /// Lets this many requests of this client and its copies be under way at once.
    pub fn set_parallelism(&self, parallelism: usize) {
        self.pace.set_ceiling(parallelism);
    }

    /// The same client, able to read only.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(self.clone())
    }

    /// The platform's base URL.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request, and repeats it if that may help and cannot do harm.
    ///
    /// # Errors
    ///
    /// No answer, or an answer with a status from 300 up.
    pub async fn send(&self, request: &Request) -> std::result::Result<Answer, ApiError> {
        self.exchange(request, Expected::Anything).await
    }

    async fn exchange(
        &self,
        request: &Request,
        expected: Expected,
    ) -> std::result::Result<Answer, ApiError> {
        if let Some(why) = self.only_read.as_ref().filter(|_| !request.method.is_read()) {
            return Err(Failure::unsent(format!("was not sent: {why}")).error(request, 0));
        }
        if let Some(inside) = &request.inside {
            let unsent = || Failure::unsent("was not sent: no room is entered here".to_owned());
            let rooms = self.rooms.as_ref().ok_or_else(|| unsent().error(request, 0))?;
            return rooms.carry_out(self, request, inside).await;
        }
        let url = self.url(request).map_err(|what| Failure::unsent(what).error(request, 0))?;
        let mut attempts = 0;
        let mut deadline: Option<Instant> = None;
        let mut is_renewed = false;
        loop {
            let bearer = match request.is_signed {
                true => self.credentials.bearer().await.map(Some),
                false => Ok(None),
            };
            let bearer =
                bearer.map_err(|error| Failure::of_credentials(error).error(request, attempts))?;
            // The time in the queue does not count, because others use it.
            let came = Instant::now();
            let under_way = self.pace.start().await;
            let now = Instant::now();
            let ends = deadline.map_or(now + self.retry.timeout, |ends| ends + (now - came));
            deadline = Some(ends);
            let last = if request.method.is_read() { now + self.retry.read_try() } else { ends };
            attempts += 1;
            let tried = tokio::time::timeout_at(
                last.min(ends),
                self.try_once(request, (url.clone(), bearer.as_ref()), expected),
            );
            let failure = match tried.await {
                Ok(Ok(answer)) => {
                    under_way.end(Ending::Accepted);
                    return Ok(Answer { attempts, ..answer });
                }
                Ok(Err(failure)) => failure,
                Err(_) => Failure {
                    sent: true,
                    is_transient: true,
                    ..Failure::unsent("had no answer in time".to_owned())
                },
            };
            under_way.end(failure.ending(self.retry.timeout));
            // A request with an unknown credential did nothing, not even a write, so it is sent
            // again.
            if failure.status == Some(401)
                && let Some(bearer) = &bearer
                && !std::mem::replace(&mut is_renewed, true)
                && self.credentials.renew(bearer).await
            {
                continue;
            }
            if !failure.may_retry(request.method) || attempts > self.retry.retries {
                return Err(failure.error(request, attempts));
            }
            let jitter = self.retry.wait(attempts, &mut fastrand::Rng::new());
            let wait = failure.asked.map_or(jitter, |asked| asked + jitter / 4);
            if Instant::now() + wait >= ends {
                // Waiting longer than the timeout of the request does not help.
                let asked = failure.asked.map(|asked| {
                    format!(
                        "; it asks to wait {} s, which is longer than --timeout",
                        asked.as_secs()
                    )
                });
                let what = failure.what.clone() + &asked.unwrap_or_default();
                return Err(Failure { what, ..failure }.error(request, attempts));
            }
            tracing::debug!(
                method = %request.method, path = request.path, status = failure.status, ?wait,
                "trying again"
            );
            tokio::time::sleep(wait).await;
        }
    }

    async fn try_once(
        &self,
        request: &Request,
        (url, bearer): (url::Url, Option<&SecretString>),
        expected: Expected,
    ) -> std::result::Result<Answer, Failure> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post | Method::Ask => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self.http.request(method, url);
        if self.spoken == Spoken::V0_56 {
            // Not to be answered with what was so a while ago.
            builder = builder.header("consistency", "high");
        }
        if let Some(bearer) = bearer {
            let bearer = credentials::header(bearer).map_err(Failure::of_credentials)?;
            builder = builder.header(AUTHORIZATION, bearer);
        }
        builder = match &request.precondition {
            Precondition::None => builder,
            Precondition::Revision(revision) => builder.header(IF_MATCH, revision),
            Precondition::Absent => builder.header(IF_NONE_MATCH, "*"),
        };
        builder = match &request.body {
            Body::Empty => builder.header(CONTENT_TYPE, "application/json"),
            Body::Json(value) => {
                let bytes = serde_json::to_vec(value)
                    .map_err(|error| Failure::unsent(error.to_string()))?;
                builder.header(CONTENT_TYPE, "application/json").body(bytes)
            }
            Body::Bytes(bytes) => {
                builder.header(CONTENT_TYPE, "application/octet-stream").body(bytes.clone())
            }
        };
        let answer = http::send(builder).await.map_err(Failure::of)?;
        let status = answer.status().as_u16();
        let header = |name: &str| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        if let Some(date) = header(DATE.as_str()).as_deref().and_then(retry::date) {
            let ahead = date.duration_since(jiff::Timestamp::now()).as_millis();
            // Dates have whole seconds.
            let ahead = if ahead.abs() < 2_000 { 0 } else { ahead };
            self.ahead.store(i64::try_from(ahead).unwrap_or_default(), Ordering::Relaxed);
        }
        let etag = header(ETAG.as_str());
        let request_id = header("x-request-id").map(|id| said(&id, REQUEST_ID));
        let asked = header(RETRY_AFTER.as_str())
            .and_then(|text| retry_after(&text, jiff::Timestamp::now()));
        tracing::debug!(method = %request.method, path = request.path, status, "answered");
        let body = http::body(answer, MAX_ANSWER).await.map_err(Failure::unread);
        if status >= 300 {
            // A refusal is a refusal even if its explanation was lost.
            let explained = body.map(|body| explanation(&body)).unwrap_or_default();
            return Err(Failure {
                what: format!("was answered with {status}{explained}"),
                status: Some(status),
                request_id,
                sent: true,
                is_unusable: false,
                is_transient: matches!(status, 429 | 502..=504),
                asked,
                hint: None,
            });
        }
        let body = match body {
            Ok(body) => body,
            Err(failure) => return Err(Failure { request_id, ..failure }),
        };
        let answer = Answer { body, etag, attempts: 0 };
        if expected == Expected::Json
            && let Err(error) = answer.json()
        {
            return Err(Failure {
                request_id,
                sent: true,
                is_unusable: true,
                is_transient: error.is_eof(),
                ..Failure::unsent(format!("was answered, but not with JSON: {error}"))
            });
        }
        Ok(answer)
    }

    /// The request's URL. A name like `..` would be resolved away, so a URL with another
    /// number of segments than the request is never sent.
    fn url(&self, request: &Request) -> std::result::Result<url::Url, String> {
        let mut url = url::Url::parse(&format!("{}{}", self.base, request.path))
            .map_err(|error| error.to_string())?;
        if !url.path().ends_with(&request.path) {
            return Err("was not sent: it contains a name that cannot be part of a URL".to_owned());
        }
        if !request.query.is_empty() {
            url.query_pairs_mut()
                .extend_pairs(request.query.iter().map(|(name, value)| (*name, value.as_str())));
        }
        Ok(url)
    }

    /// Sends a request and reads the answer as JSON.
    ///
    /// # Errors
    ///
    /// As [`Client::send`]; an answer that is not JSON.
    pub async fn send_json(&self, request: &Request) -> std::result::Result<Value, ApiError> {
        Ok(self.send_sized(request).await?.0)
    }

    /// The same, with how many bytes the answer has.
    ///
    /// # Errors
    ///
    /// As [`Client::send_json`].
    pub async fn send_sized(
        &self,
        request: &Request,
    ) -> std::result::Result<(Value, usize), ApiError> {
        let answer = self.exchange(request, Expected::Json).await?;
        let json = answer.json().map_err(|error| {
            unusable(request, format!("was answered, but not with JSON: {error}"))
        })?;
        Ok((json, answer.body.len()))
    }
}
