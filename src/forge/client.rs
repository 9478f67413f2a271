//! Sends calls to one forge with one token. No redirect is followed, and no URL of an answer is ever
//! requested: the token goes to the API that was named before, and nowhere else.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::sync::OnceCell;
use url::Url;

use super::call::{Call, Need, PAGE, Verb};
use super::token::Token;
use super::{Speech, speech};
use crate::api::failure::explanation;
use crate::api::http::{self, Unread};
use crate::api::retry::{Retry, retry_after};
use crate::conceal;
use crate::error::{Context, Error, Result};
use crate::visible;
use crate::whereabouts::{Repository, Sort, is_repository};

/// How long one try may take.
const TIME: Duration = Duration::from_secs(30);

/// How often a call is tried.
const TRIES: u32 = 4;

/// The longest that is waited because a forge asks for it.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long is waited where a forge limits without saying for how long, as GitHub asks.
const UNSAID: Duration = Duration::from_secs(60);

/// The most pages of a list that are read.
const PAGES: usize = 200;

/// The most that is read of an answer, in bytes: a page of long comments.
const ANSWER: usize = 64 * 1024 * 1024;

/// The most that is kept of a list, in bytes.
const LIST: usize = 256 * 1024 * 1024;

/// A repository of a forge, with what it takes to talk about it.
pub struct Forge {
    http: reqwest::Client,
    api: String,
    repository: String,
    token: Token,
    pub(super) speech: &'static dyn Speech,
    me: OnceCell<Vec<String>>,
}

/// Why a call failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// The status of the answer, if there was one.
    pub(super) status: Option<u16>,
    /// Whether it is not known what became of it.
    pub(super) is_ambiguous: bool,
    /// What is told.
    pub(super) error: Error,
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

/// An answer.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it says that there were too many requests.
    fn is_limited(&self) -> bool {
        let is_out = self.header("x-ratelimit-remaining") == Some("0")
            || self.header(RETRY_AFTER.as_str()).is_some()
            || String::from_utf8_lossy(&self.body).to_lowercase().contains("rate limit");
        self.status == 429 || (self.status == 403 && is_out)
    }

    /// How long the forge wants to be left alone.
    fn asked(&self) -> Option<Duration> {
        let now = jiff::Timestamp::now();
        if let Some(asked) = self.header(RETRY_AFTER.as_str()) {
            return retry_after(asked, now);
        }
        if self.header("x-ratelimit-remaining") != Some("0") {
            return None;
        }
        let until = self.header("x-ratelimit-reset")?.parse::<i64>().ok()?;
        Some(Duration::from_secs(u64::try_from(until - now.as_second()).unwrap_or_default()))
    }
}

impl Forge {
    /// A repository at its forge.
    ///
    /// # Errors
    ///
    /// An API that is reached without TLS on another machine, or whose URL is none; a path that is
    /// no repository's; a token that no header can carry.
    pub fn new(repository: &Repository, token: Token) -> Result<Self> {
        let Repository { sort, api, path } = repository;
        check_api(api)?;
        if !is_repository(path) {
            let shown = visible::line(path);
            return Err(Error::usage(format!("{shown} is not the path of a repository"))
                .hint("write it as OWNER/NAME, or as GROUP/…/NAME on GitLab"));
        }
        conceal::credential(&token.secret);
        if HeaderValue::from_str(token.secret.expose_secret()).is_err() {
            let told = format!("the token in {} cannot be sent", token.variable);
            return Err(Error::usage(told).hint("it has characters that no token has"));
        }
        let http = http::of_platform(api).connect_timeout(Duration::from_secs(10));
        Ok(Self {
            http: http::build(http)?,
            api: api.trim_end_matches('/').to_owned(),
            repository: path.clone(),
            token,
            speech: speech(*sort),
            me: OnceCell::new(),
        })
    }

    /// The path of the repository.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// How many bytes a comment may have.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.speech.limit()
    }

    /// The names that the token writes under.
    pub(super) async fn me(&self) -> Result<&[String]> {
        let ask = async || {
            match self.ask(&self.speech.asks_who()).await {
                Ok(answer) => match self.speech.who(&answer) {
                    Some(name) => Ok(vec![name.to_owned()]),
                    None => Err(Error::failed("the forge does not say who the token belongs to")),
                },
                // The tokens of jobs may not ask, and their names are known.
                Err(Failed { status: Some(401 | 403 | 404), .. })
                    if !self.speech.jobs().is_empty() =>
                {
                    Ok(self.speech.jobs().iter().map(|name| (*name).to_owned()).collect())
                }
                Err(failed) => Err(failed.error),
            }
        };
        self.me.get_or_try_init(ask).await.map(Vec::as_slice)
    }

    /// All items of a list. A forge that takes no notice of pages answers with all at once.
    pub(super) async fn list(&self, page: impl Fn(usize) -> Call) -> Result<Vec<Value>, Failed> {
        let (mut items, mut bytes): (Vec<Value>, usize) = (Vec::new(), 0);
        for number in 1..=PAGES {
            let call = page(number);
            let Value::Array(found) = self.ask(&call).await? else {
                return Err(unreadable(&call, "is not a list"));
            };
            let count = found.len();
            bytes += found.iter().map(|item| item.to_string().len()).sum::<usize>();
            if bytes > LIST {
                return Err(unreadable(&call, "is too long a list"));
            }
            let is_known = found.first().is_some_and(|first| items.contains(first));
            if !is_known {
                items.extend(found);
            }
            if count < PAGE || is_known {
                return Ok(items);
            }
        }
        Err(unreadable(&page(PAGES), "has too many pages"))
    }

    /// Sends a call, again where that may help and cannot do harm.
    pub(super) async fn ask(&self, call: &Call) -> Result<Value, Failed> {
        let mut tries = 0;
        loop {
            tries += 1;
            let retry = Retry::default().wait(tries, &mut fastrand::Rng::new());
            let tried = self.try_once(call).await;
            let wait = match &tried {
                Ok(answer) if answer.is_limited() => {
                    Some(answer.asked().unwrap_or(UNSAID)).filter(|asked| *asked <= PATIENCE)
                }
                Ok(answer) if matches!(answer.status, 500 | 502..=504) && call.may_repeat() => {
                    Some(retry)
                }
                Err(failed) if call.may_repeat() || !failed.is_ambiguous => {
                    failed.status.is_none().then_some(retry)
                }
                _ => None,
            };
            match wait.filter(|_| tries < TRIES) {
                Some(wait) => {
                    tracing::debug!(?call, ?wait, "asking the forge again");
                    tokio::time::sleep(wait).await;
                }
                None => return self.judge(call, tried?),
            }
        }
    }

    async fn try_once(&self, call: &Call) -> Result<Answer, Failed> {
        let url =
            self.url(call).map_err(|error| Failed { status: None, is_ambiguous: true, error })?;
        let verb = match call.verb {
            Verb::Get => reqwest::Method::GET,
            Verb::Post => reqwest::Method::POST,
            Verb::Patch => reqwest::Method::PATCH,
            Verb::Put => reqwest::Method::PUT,
        };
        let mut request = self.http.request(verb, url);
        for (name, value) in self.speech.headers() {
            request = request.header(*name, *value);
        }
        let (name, before) = self.speech.authorization(self.token.is_of_job());
        let secret = format!("{before}{}", self.token.secret.expose_secret());
        if let (Ok(name), Ok(mut value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&secret))
        {
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let answered = tokio::time::timeout(TIME, async {
            let answer = http::send(request).await.map_err(Unread::Failed)?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            Ok(Answer { status, headers, body: http::body(answer, ANSWER).await? })
        });
        let answered = answered.await.unwrap_or(Err(Unread::Late));
        answered.map_err(|unread| {
            let is_ambiguous = !matches!(&unread, Unread::Failed(unanswered) if !unanswered.sent);
            let told = format!("{call:?} to {} had no answer", visible::url(&self.api));
            let error = match unread.hint() {
                Some(hint) => Error::failed(told).hint(hint),
                None => Error::failed(told).hint("check --forge-url and the network"),
            };
            Failed { status: None, is_ambiguous, error: error.because(unread) }
        })
    }

    fn url(&self, call: &Call) -> Result<Url> {
        // An enterprise's GitHub has this one question beside its other API.
        let base = match call.path == "/graphql" {
            true => self.api.strip_suffix("/v3").unwrap_or(&self.api),
            false => &self.api,
        };
        let mut url = Url::parse(&format!("{base}{}", call.path))
            .context(|| format!("{call:?} cannot be sent"))?;
        if !url.path().ends_with(&call.path) {
            return Err(Error::failed(format!("{call:?} was not sent: a name in it is no name")));
        }
        if !call.query.is_empty() {
            url.query_pairs_mut()
                .extend_pairs(call.query.iter().map(|(name, value)| (*name, value.as_str())));
        }
        Ok(url)
    }

    /// What an answer says, or why it is none.
    fn judge(&self, call: &Call, answer: Answer) -> Result<Value, Failed> {
        let Answer { status, body, .. } = &answer;
        if (200..300).contains(status) {
            if body.is_empty() {
                return Ok(Value::Null);
            }
            return serde_json::from_slice(body).map_err(|_| unreadable(call, "is not JSON"));
        }
        let told = format!("{call:?} was answered with {status}{}", explanation(body));
        let hint = match status {
            401 => Some(format!("the forge does not accept the token in {}", self.token.variable)),
            _ if answer.is_limited() => Some("the forge allows no more requests now; run this again later".to_owned()),
            403 => Some(self.permission(call.need, &answer)),
            404 => Some(format!(
                "check --repository ({}); a forge also says this where a token may not read: {}",
                visible::line(&self.repository),
                self.permission(call.need, &answer)
            )),
            301 | 302 | 307 | 308 => Some("the repository or the API has moved: name where it is now, with --repository or --forge-url".to_owned()),
            _ => None,
        };
        let error = Error::failed(told);
        Err(Failed {
            status: Some(*status),
            is_ambiguous: *status >= 500 && !call.is_read,
            error: match hint {
                Some(hint) => error.hint(hint),
                None => error,
            },
        })
    }

    /// What the token must be allowed, as the forge says it, or as it is known.
    fn permission(&self, need: Need, answer: &Answer) -> String {
        let known = self.speech.permission(need);
        let is_of_list = |c: char| c.is_ascii_alphanumeric() || "_=,; ".contains(c);
        let named = answer
            .header("x-accepted-github-permissions")
            .filter(|text| !text.is_empty() && text.len() <= 200 && text.chars().all(is_of_list));
        match named {
            Some(named) => format!("{known}; it needs one of: {named}"),
            None => known,
        }
    }
}

/// The failure of an answer that cannot be used.
pub(super) fn unreadable(call: &Call, what: &str) -> Failed {
    let error = Error::failed(format!("the answer to {call:?} {what}"));
    Failed {
        status: None,
        is_ambiguous: true,
        error: error.hint("check --forge-url: is it the URL of the API?"),
    }
}

/// Checks that a token may be sent to an API.
///
/// # Errors
///
/// What is no URL of an API; plain http to another machine.
fn check_api(api: &str) -> Result<()> {
    let shown = visible::url(api);
    let wrong = |what: &str| {
        Error::usage(format!("the forge's URL {shown:?} {what}"))
            .hint("name its API with --forge-url, such as https://git.example.com/api/v1")
    };
    let url = Url::parse(api).map_err(|_| wrong("is no URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("contains a user name or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has a query or a fragment"));
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if http::is_here(api) => Ok(()),
        "http" => Err(wrong("is plain http, so anybody on the way could read the token")),
        _ => Err(wrong("is neither http nor https")),
    }
}

impl Forge {
    /// The sort of forges that this program knows, by the name of its API.
    #[must_use]
    pub const fn usual_api(sort: Sort) -> Option<&'static str> {
        match sort {
            Sort::GitHub => Some("https://api.github.com"),
            Sort::GitLab => Some("https://gitlab.com/api/v4"),
            Sort::Gitea => None,
        }
    }
}
