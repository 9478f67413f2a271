//! The client: sends requests at a pace that the platform takes, tries again what may be
//! tried again, follows pages, and reads what comes back.
//!
//! What is tried again: a read whenever another try may help (429, 502, 503, 504, no
//! answer, half an answer); a write only when the platform surely did nothing (429, a
//! connection that was not opened). Whether any other failed write happened is for the
//! caller to find out, who alone knows what to look for: see [`ApiError::is_ambiguous`].

use std::collections::HashSet;
use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH,
    RETRY_AFTER,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::Instant;

use super::http;
use super::pace::{Ending, Pace, Retry, retry_after};
use super::request::{Body, Listing, Method, Precondition, Request};
use crate::error::{Class, Error, Result};

/// How many requests are under way at once unless the command says otherwise.
const PARALLELISM: usize = 16;

/// How often a list is read from its start because it changed while it was read.
const LIST_TRIES: u32 = 4;

/// The largest text of an error that is shown.
const SHOWN: usize = 500;

/// Sends requests to one platform with one credential.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: SecretString,
    retry: Retry,
    pace: Pace,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Client({})", self.base)
    }
}

/// A client that cannot change anything: planning has no other.
#[derive(Debug, Clone)]
pub struct Reader(Client);

/// What a platform answered with.
#[derive(Debug)]
pub struct Answer {
    /// The body's bytes.
    pub body: Vec<u8>,
    /// The object's revision, where the platform tells.
    pub etag: Option<String>,
    /// How often the request was sent, the last time included.
    pub attempts: u32,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[error("{method} {path} {what}{}", self.details())]
pub struct ApiError {
    /// The request's method.
    pub method: Method,
    /// The request's path.
    pub path: String,
    /// The answer's status; `None` when there was no answer.
    pub status: Option<u16>,
    /// The platform's word for the request.
    pub request_id: Option<String>,
    /// What went wrong, as one line.
    pub what: String,
    /// How often the request was tried.
    pub attempts: u32,
    /// Whether the last try may have reached the platform.
    pub sent: bool,
}

/// Why a list could not be read to its end. Nothing may be concluded from such a list, in
/// particular not that an object is gone.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// A page could not be read.
    #[error(transparent)]
    Failed(#[from] ApiError),
    /// The list changed each time while it was read, so that no reading of it is whole.
    #[error("GET {path} gave another list on each of its pages, {tries} times over")]
    Changed {
        /// The path of the list.
        path: String,
        /// How often it was read from its start.
        tries: u32,
    },
}

impl From<ListError> for Error {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Failed(error) => error.into(),
            ListError::Changed { .. } => Self::failed(error.to_string())
                .hint("somebody is changing these objects now: try again when they are done"),
        }
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        let failed = Self::new(Class::Failed, error.to_string());
        match hint(error.status) {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }
}

/// What to do about a request that failed with this status, or without an answer.
#[must_use]
pub fn hint(status: Option<u16>) -> Option<&'static str> {
    match status {
        Some(401) => Some(
            "the platform does not know the credential: check MESHAGENT_API_KEY or MESHAGENT_TOKEN",
        ),
        Some(403) => Some("the credential does not reach this project or this call"),
        None => Some("check the platform's URL (MESHAGENT_API_URL) and the network"),
        _ => None,
    }
}

impl ApiError {
    /// Whether the platform surely did not do what was asked: it said no, or was not asked.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !self.sent || matches!(self.status, Some(400..=499))
    }

    /// Whether a write may have happened although it failed: no answer, half an answer, or
    /// one of a platform in trouble. What it was to do must be looked up before it is
    /// tried again.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        !self.method.is_read()
            && self.sent
            && self.status.is_none_or(|status| (500..=599).contains(&status))
    }

    fn details(&self) -> String {
        let tries = (self.attempts > 1).then(|| format!("{} tries", self.attempts));
        let request = self.request_id.as_ref().map(|id| format!("request {id}"));
        match [tries, request].into_iter().flatten().collect::<Vec<_>>().join(", ") {
            details if details.is_empty() => details,
            details => format!(" ({details})"),
        }
    }
}

/// How one try failed.
struct Failure {
    what: String,
    status: Option<u16>,
    request_id: Option<String>,
    /// Whether the platform may have acted.
    sent: bool,
    /// Whether another try of a read may help.
    is_transient: bool,
    /// How long the platform wants to be left alone.
    asked: Option<Duration>,
}

impl Failure {
    /// A request that never left.
    fn unsent(what: String) -> Self {
        Self { what, status: None, request_id: None, sent: false, is_transient: false, asked: None }
    }

    /// No answer, or half of one.
    fn of(error: &reqwest::Error) -> Self {
        Self {
            sent: !error.is_connect() && !error.is_builder(),
            is_transient: !error.is_builder(),
            ..Self::unsent(cause(error))
        }
    }

    /// Whether another try may help and cannot do harm.
    fn may_retry(&self, method: Method) -> bool {
        self.is_transient && (method.is_read() || !self.sent || self.status == Some(429))
    }

    fn ending(&self, longest: Duration) -> Ending {
        // However long the platform wants to be left alone, a caller's patience is bounded.
        let asked = self.asked.map(|asked| asked.min(longest));
        match self.status {
            Some(429) => Ending::TooFast(asked),
            Some(503) => Ending::Overloaded(asked),
            _ => Ending::Other,
        }
    }

    fn error(self, request: &Request, attempts: u32) -> ApiError {
        ApiError {
            method: request.method,
            path: request.path.clone(),
            status: self.status,
            request_id: self.request_id,
            what: self.what,
            attempts,
            sent: self.sent,
        }
    }
}

/// What an answer's body must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Anything,
    /// JSON that ends early was cut on its way.
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
    /// A client of the platform at `base`. A path in `base` is kept.
    ///
    /// # Errors
    ///
    /// A URL that is not http or https, a credential that no header can carry.
    pub fn new(base: &str, token: SecretString, retry: Retry) -> Result<Self> {
        let base = base.trim_end_matches('/');
        let parsed = url::Url::parse(base).map_err(|error| {
            Error::usage(format!("the platform's URL {base:?} is not one: {error}"))
        })?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(Error::usage(format!(
                "the platform's URL {base:?} is neither http nor https"
            )));
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let http = http::of_platform(base)
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(10));
        let http = http::build(http)?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| {
                Error::usage("the credential holds characters that no header can carry")
            })?;
        bearer.set_sensitive(true);
        let pace = Pace::new(PARALLELISM);
        Ok(Self { http, base: base.to_owned(), token, retry, pace })
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

    /// Sends a request, again where that may help and cannot do harm.
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
        let url = self.url(request).map_err(|what| Failure::unsent(what).error(request, 0))?;
        let mut attempts = 0;
        let mut deadline: Option<Instant> = None;
        loop {
            // The time in the line does not count: it is others who take it.
            let came = Instant::now();
            let under_way = self.pace.start().await;
            let now = Instant::now();
            let ends = deadline.map_or(now + self.retry.timeout, |ends| ends + (now - came));
            deadline = Some(ends);
            let last = if request.method.is_read() { now + self.retry.read_try() } else { ends };
            attempts += 1;
            let tried = tokio::time::timeout_at(
                last.min(ends),
                self.try_once(request, url.clone(), expected),
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
            if !failure.may_retry(request.method) || attempts > self.retry.retries {
                return Err(failure.error(request, attempts));
            }
            let jitter = self.retry.wait(attempts, &mut fastrand::Rng::new());
            let wait = failure.asked.map_or(jitter, |asked| asked + jitter / 4);
            if Instant::now() + wait >= ends {
                // Waiting longer than anybody waits for the answer helps nobody.
                return Err(failure.error(request, attempts));
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
        url: url::Url,
        expected: Expected,
    ) -> std::result::Result<Answer, Failure> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self.http.request(method, url).header(AUTHORIZATION, self.bearer());
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
        let answer = builder.send().await.map_err(|error| Failure::of(&error))?;
        let status = answer.status().as_u16();
        let header = |name: &str| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let etag = header(ETAG.as_str());
        let request_id = header("x-request-id");
        let asked = header(RETRY_AFTER.as_str())
            .and_then(|text| retry_after(&text, jiff::Timestamp::now()));
        tracing::debug!(method = %request.method, path = request.path, status, "answered");
        let body = answer.bytes().await;
        if status >= 300 {
            // A refusal is one even when its explanation was lost.
            let explained = body.map(|body| explanation(&body)).unwrap_or_default();
            return Err(Failure {
                what: format!("was answered with {status}{explained}"),
                status: Some(status),
                request_id,
                sent: true,
                is_transient: matches!(status, 429 | 502..=504),
                asked,
            });
        }
        let body = match body {
            Ok(body) => body.to_vec(),
            Err(error) => {
                return Err(Failure { request_id, sent: true, ..Failure::of(&error) });
            }
        };
        let answer = Answer { body, etag, attempts: 0 };
        if expected == Expected::Json
            && let Err(error) = answer.json()
        {
            return Err(Failure {
                request_id,
                sent: true,
                is_transient: error.is_eof(),
                ..Failure::unsent(format!("was answered with what is not JSON: {error}"))
            });
        }
        Ok(answer)
    }

    fn bearer(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.token.expose_secret()))
            .unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
        value.set_sensitive(true);
        value
    }

    /// The request's URL. A name like `..` would be resolved away, so a URL with another
    /// number of segments than the request is never sent.
    fn url(&self, request: &Request) -> std::result::Result<url::Url, String> {
        let mut url = url::Url::parse(&format!("{}{}", self.base, request.path))
            .map_err(|error| error.to_string())?;
        if !url.path().ends_with(&request.path) {
            return Err("was not sent: a name in it cannot stand in a URL".to_owned());
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
        let answer = self.exchange(request, Expected::Json).await?;
        answer.json().map_err(|error| {
            unusable(request, format!("was answered with what is not JSON: {error}"))
        })
    }
}

impl Reader {
    /// The platform's base URL.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.base()
    }

    /// Sends a request that reads.
    ///
    /// # Errors
    ///
    /// As [`Client::send`]; a request that would write is not sent.
    pub async fn get(&self, request: &Request) -> std::result::Result<Answer, ApiError> {
        refuse_write(request)?;
        self.0.send(request).await
    }

    /// Sends a request that reads, and reads the answer as JSON.
    ///
    /// # Errors
    ///
    /// As [`Reader::get`]; an answer that is not JSON.
    pub async fn get_json(&self, request: &Request) -> std::result::Result<Value, ApiError> {
        refuse_write(request)?;
        self.0.send_json(request).await
    }

    /// All objects of a list, page after page.
    ///
    /// Each next page is asked for with the last object of the page before as its first.
    /// Where it is another one, the list changed meanwhile, and what was read may lack
    /// objects; the list is then read again from its start. It ends with a page that
    /// brings nothing new, not with a short one, because a platform may give fewer objects
    /// at once than it was asked for.
    ///
    /// # Errors
    ///
    /// A page that cannot be read; a list that changes each time while it is read.
    pub async fn list(&self, listing: &Listing) -> std::result::Result<Vec<Value>, ListError> {
        let Some(page) = listing.page else {
            return Ok(self.items(&listing.request, listing.envelope).await?);
        };
        for _ in 0..LIST_TRIES {
            if let Some(all) = self.pages(listing, page).await? {
                return Ok(all);
            }
            tracing::debug!(path = listing.request.path, "the list changed while it was read");
        }
        Err(ListError::Changed { path: listing.request.path.clone(), tries: LIST_TRIES })
    }

    /// All pages of a list; `None` when they do not fit together.
    async fn pages(
        &self,
        listing: &Listing,
        page: usize,
    ) -> std::result::Result<Option<Vec<Value>>, ApiError> {
        let mut all: Vec<Value> = Vec::new();
        let mut ids: HashSet<String> = HashSet::new();
        let mut largest = 0;
        loop {
            // Where no page held more than one object, none has room for a known one.
            let overlap = usize::from(largest > 1);
            let offset = all.len() - overlap;
            // A page holds the one that is known and at least one more.
            let limit = page.max(2).to_string();
            let request = listing.request.clone();
            let request = request.query("limit", limit).query("offset", offset.to_string());
            let items = self.items(&request, listing.envelope).await?;
            largest = largest.max(items.len());
            let mut items = items.into_iter();
            if overlap > 0
                && let Some(last) = all.last()
                && !items.next().is_some_and(|first| is_same(last, &first))
            {
                return Ok(None);
            }
            let known = all.len();
            for item in items {
                // An object that moved to a later page is met twice.
                if let Some(id) = id(&item)
                    && !ids.insert(id.to_owned())
                {
                    return Ok(None);
                }
                all.push(item);
            }
            if all.len() == known {
                return Ok(Some(all));
            }
        }
    }

    /// The objects of one answer.
    ///
    /// # Errors
    ///
    /// As [`Reader::get_json`]; an answer without the list.
    pub async fn items(
        &self,
        request: &Request,
        envelope: &str,
    ) -> std::result::Result<Vec<Value>, ApiError> {
        let mut body = self.get_json(request).await?;
        match body.get_mut(envelope).map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(unusable(request, format!("was answered without the list `{envelope}`"))),
        }
    }
}

fn id(item: &Value) -> Option<&str> {
    item.get("id").and_then(Value::as_str)
}

/// Whether two readings are of the same object. Its fields may have changed in between.
fn is_same(one: &Value, other: &Value) -> bool {
    let name = |item: &Value| item.get("name").and_then(Value::as_str).map(str::to_owned);
    match (id(one), id(other)) {
        (None, None) if name(one).is_some() => name(one) == name(other),
        (None, None) => one == other,
        (one, other) => one == other,
    }
}

fn refuse_write(request: &Request) -> std::result::Result<(), ApiError> {
    match request.method.is_read() {
        true => Ok(()),
        false => Err(Failure::unsent("was not sent: it would write".to_owned()).error(request, 0)),
    }
}

/// An answer that came and cannot be used.
fn unusable(request: &Request, what: String) -> ApiError {
    Failure { sent: true, ..Failure::unsent(what) }.error(request, 1)
}

/// The innermost cause, which says what the outer ones do not.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if error.is_timeout() {
        "had no answer in time".to_owned()
    } else {
        format!("had no answer: {cause}")
    }
}

/// What an error's body says, as one line.
fn explanation(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let message = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(fields)) => {
            let field = |name: &str| fields.get(name).and_then(Value::as_str);
            let message =
                field("error").or(field("message")).or(field("detail")).map(str::to_owned);
            match (message, field("field")) {
                (Some(message), Some(field)) if !message.contains(field) => {
                    format!("{field}: {message}")
                }
                (Some(message), _) => message,
                (None, _) => text_of(&text),
            }
        }
        _ => text_of(&text),
    };
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn text_of(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
