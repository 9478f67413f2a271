//! The client: sends requests, follows pages, and reads what comes back.

use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::request::{Body, Listing, Method, Precondition, Request};
use crate::error::{Class, Error, Result};

/// The smallest page that ends a list: no platform pages by less than its own default.
const SMALLEST_PAGE: usize = 50;

/// The largest text of an error that is shown.
const SHOWN: usize = 500;

/// Sends requests to one platform with one credential.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: SecretString,
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
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[error("{method} {path} {what}{}", request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default())]
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
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        let hint = match error.status {
            Some(401) => Some(
                "the platform does not know the credential: check MESHAGENT_API_KEY or MESHAGENT_TOKEN",
            ),
            Some(403) => Some("the credential does not reach this project or this call"),
            None => Some("check the platform's URL (MESHAGENT_API_URL) and the network"),
            _ => None,
        };
        let failed = Self::new(Class::Failed, error.to_string());
        match hint {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }
}

impl ApiError {
    /// Whether the platform surely did not do what was asked.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self.status, Some(400..=499))
    }

    /// Whether the platform may have done what was asked all the same.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        matches!(self.status, None | Some(500 | 502..=504))
    }
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
    pub fn new(base: &str, token: SecretString) -> Result<Self> {
        let base = base.trim_end_matches('/');
        let parsed = url::Url::parse(base).map_err(|error| {
            Error::usage(format!("the platform's URL {base:?} is not one: {error}"))
        })?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(Error::usage(format!(
                "the platform's URL {base:?} is neither http nor https"
            )));
        }
        // A process has one provider; when another client set it first, that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let http = reqwest::Client::builder()
            .user_agent(concat!("meshagent/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(120))
            .build()
            .map_err(|error| Error::failed("failed to set up the HTTP client").because(error))?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| {
                Error::usage("the credential holds characters that no header can carry")
            })?;
        bearer.set_sensitive(true);
        Ok(Self { http, base: base.to_owned(), token })
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

    /// Sends a request once.
    ///
    /// # Errors
    ///
    /// No answer, or an answer with a status from 300 up.
    pub async fn send(&self, request: &Request) -> std::result::Result<Answer, ApiError> {
        let fail = |status: Option<u16>, request_id: Option<String>, what: String| ApiError {
            method: request.method,
            path: request.path.clone(),
            status,
            request_id,
            what,
        };
        let url = self.url(request).map_err(|what| fail(None, None, what))?;
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
                    .map_err(|error| fail(None, None, error.to_string()))?;
                builder.header(CONTENT_TYPE, "application/json").body(bytes)
            }
            Body::Bytes(bytes) => {
                builder.header(CONTENT_TYPE, "application/octet-stream").body(bytes.clone())
            }
        };
        let answer = builder.send().await.map_err(|error| fail(None, None, cause(&error)))?;
        let status = answer.status().as_u16();
        let header = |name: &str| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let etag = header(ETAG.as_str());
        let request_id = header("x-request-id");
        tracing::debug!(method = %request.method, path = request.path, status, "answered");
        let body = answer
            .bytes()
            .await
            .map_err(|error| fail(None, request_id.clone(), cause(&error)))?
            .to_vec();
        if status >= 300 {
            return Err(fail(
                Some(status),
                request_id,
                format!("was answered with {status}{}", explanation(&body)),
            ));
        }
        Ok(Answer { body, etag })
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
        let answer = self.send(request).await?;
        answer.json().map_err(|error| ApiError {
            method: request.method,
            path: request.path.clone(),
            status: None,
            request_id: None,
            what: format!("was answered with what is not JSON: {error}"),
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
        if !request.method.is_read() {
            return Err(refused(request, "was not sent: it would write"));
        }
        self.0.send(request).await
    }

    /// All objects of a list, page after page.
    ///
    /// # Errors
    ///
    /// As [`Reader::get`]; an answer without the list.
    pub async fn list(&self, listing: &Listing) -> std::result::Result<Vec<Value>, ApiError> {
        let mut all = Vec::new();
        loop {
            let mut request = listing.request.clone();
            if let Some(page) = listing.page {
                request =
                    request.query("limit", page.to_string()).query("offset", all.len().to_string());
            }
            let answer = self.get(&request).await?;
            let mut body = answer.json().map_err(|error| {
                refused(&request, &format!("was answered with what is not JSON: {error}"))
            })?;
            let Some(Value::Array(items)) = body.get_mut(listing.envelope).map(Value::take) else {
                return Err(refused(
                    &request,
                    &format!("was answered without the list `{}`", listing.envelope),
                ));
            };
            let received = items.len();
            all.extend(items);
            if listing.page.is_none() || received < SMALLEST_PAGE {
                return Ok(all);
            }
        }
    }
}

fn refused(request: &Request, what: &str) -> ApiError {
    ApiError {
        method: request.method,
        path: request.path.clone(),
        status: None,
        request_id: None,
        what: what.to_owned(),
    }
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
