//! Why requests fail: what happened to one try, and what is reported after the last one.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use super::http::Unread;
use super::pace::Ending;
use super::project;
use super::request::{Method, Request};
use super::unanswered::Unanswered;
use crate::conceal;
use crate::error::{Class, Error, with_causes};

/// How many characters are shown of a text that is not an explanation in the platform's form.
const SHOWN: usize = 500;

/// How many characters are shown of an explanation.
const EXPLANATION: usize = 2_000;

/// How many characters are shown of the name of a field.
const FIELD: usize = 200;

/// How many characters are shown of the platform's id for a request.
pub(super) const REQUEST_ID: usize = 200;

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
    /// The platform's id for the request.
    pub request_id: Option<String>,
    /// What went wrong, as one line.
    pub what: String,
    /// How often the request was tried.
    pub attempts: u32,
    /// Whether the last try may have reached the platform.
    pub sent: bool,
    /// Whether an answer came that was accepted by its status, and could not be used.
    pub is_unusable: bool,
    /// What to do about it, if that does not follow from its status.
    pub hint: Option<String>,
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        let failed = Self::new(Class::Failed, error.to_string());
        match error.hint.or_else(|| hint(error.status)) {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }
}

/// Where the credential of this process comes from, to be named if a platform does not know it.
static CREDENTIAL: OnceLock<String> = OnceLock::new();

/// Says where the credential comes from; the first one counts.
pub fn credential_from(origin: String) {
    let _ = CREDENTIAL.set(origin);
}

/// The credential that is sent, as messages call it.
pub(super) fn credential() -> &'static str {
    CREDENTIAL.get().map_or("the API key or token", String::as_str)
}

/// What to do about a request that failed with this status, or without an answer.
#[must_use]
pub fn hint(status: Option<u16>) -> Option<String> {
    let told = match status {
        Some(401) => {
            let origin = credential();
            return Some(format!(
                "the platform does not know the credential: check {origin}, and that it belongs to this platform"
            ));
        }
        Some(403) => {
            let reached = "the credential has no access to this project or to this call";
            return Some(match project::origin() {
                Some(origin) => format!("{reached}; the project is the one of {origin}"),
                None => reached.to_owned(),
            });
        }
        None => "check the platform's URL (MESHAGENT_API_URL) and the network",
        _ => return None,
    };
    Some(told.to_owned())
}

impl ApiError {
    /// Whether it is certain that the platform did not do what was requested: it refused, or got
    /// no request.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !self.sent || matches!(self.status, Some(400..=499))
    }

    /// Whether a write may have happened although it failed: no answer, half an answer, or one of
    /// a platform in trouble. Whether it happened must be looked up before it is tried again.
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
pub(super) struct Failure {
    pub what: String,
    pub status: Option<u16>,
    pub request_id: Option<String>,
    /// Whether the platform may have acted.
    pub sent: bool,
    /// Whether an answer came that was accepted by its status, and could not be used.
    pub is_unusable: bool,
    /// Whether another try of a read may help.
    pub is_transient: bool,
    /// How long the platform wants to be left alone.
    pub asked: Option<Duration>,
    /// What to do about it, if that does not follow from the status.
    pub hint: Option<String>,
}

impl Failure {
    /// A request that was never sent.
    pub fn unsent(what: String) -> Self {
        Self {
            what,
            status: None,
            request_id: None,
            sent: false,
            is_unusable: false,
            is_transient: false,
            asked: None,
            hint: None,
        }
    }

    /// There is no credential to send a request with.
    pub fn of_credentials(error: Error) -> Self {
        let what = format!("was not sent: {}", with_causes(&error));
        Self { hint: error.hint, ..Self::unsent(what) }
    }

    /// No answer, or half of one.
    pub fn of(unanswered: Unanswered) -> Self {
        let Unanswered { is_late, sent, is_transient, .. } = unanswered;
        let what = match is_late {
            true => "had no answer in time".to_owned(),
            false => format!("had no answer: {unanswered}"),
        };
        Self { sent, is_transient, hint: unanswered.hint, ..Self::unsent(what) }
    }

    /// Half an answer, or too much of one.
    pub fn unread(unread: Unread) -> Self {
        let failure = match unread {
            Unread::Failed(unanswered) => Self::of(unanswered),
            Unread::TooLarge(limit) => {
                Self::unsent(format!("was answered with more than {} MiB", limit / 1024 / 1024))
            }
            Unread::Late => {
                Self { is_transient: true, ..Self::unsent("had no answer in time".to_owned()) }
            }
        };
        Self { sent: true, ..failure }
    }

    /// Whether another try may help and cannot do harm.
    pub fn may_retry(&self, method: Method) -> bool {
        self.is_transient && (method.is_read() || !self.sent || self.status == Some(429))
    }

    pub fn ending(&self, longest: Duration) -> Ending {
        // However long the platform wants to be left alone, the wait of a caller is bounded.
        let asked = self.asked.map(|asked| asked.min(longest));
        match self.status {
            Some(429) => Ending::TooFast(asked),
            Some(503) => Ending::Overloaded(asked),
            // An answer that something does not exist, or is forbidden, uses as much of the
            // allowance as any other: each look-up of a free name is one.
            Some(400..=499) => Ending::Accepted,
            _ => Ending::Other,
        }
    }

    pub fn error(self, request: &Request, attempts: u32) -> ApiError {
        ApiError {
            method: request.method,
            path: request.path.clone(),
            status: self.status,
            request_id: self.request_id,
            what: self.what,
            attempts,
            sent: self.sent,
            is_unusable: self.is_unusable,
            hint: self.hint,
        }
    }
}

/// An answer that came and cannot be used.
pub(super) fn unusable(request: &Request, what: String) -> ApiError {
    Failure { sent: true, is_unusable: true, ..Failure::unsent(what) }.error(request, 1)
}

/// What an error's body says, as one line after a colon; nothing if it says nothing.
#[must_use]
pub fn explanation(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let message = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(fields)) => {
            let field = |name: &str| fields.get(name).and_then(Value::as_str);
            match (field("error").or(field("message")).or(field("detail")), field("field")) {
                (Some(message), Some(field)) if !message.contains(field) => {
                    format!("{}: {}", said(field, FIELD), said(message, EXPLANATION))
                }
                (Some(message), _) => said(message, EXPLANATION),
                (None, _) => text_of(&text),
            }
        }
        _ => text_of(&text),
    };
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn text_of(text: &str) -> String {
    // However long the text is, no more of it is looked at than may be shown.
    let begin = cut(text.trim_start(), 4 * SHOWN);
    said(&begin.split_whitespace().collect::<Vec<_>>().join(" "), SHOWN)
}

/// A text of the platform's with so many characters at most, in which no secret stands that
/// this program knows. What is cut off may be the end of one.
pub(super) fn said(text: &str, most: usize) -> String {
    cut(&conceal::within_answer(&cut(text, 4 * most)), most)
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_to_what_was_asked_uses_up_an_allowance() {
        let longest = Duration::from_secs(60);
        let ending = |status| Failure { status, ..Failure::unsent(String::new()) }.ending(longest);
        for status in [400, 401, 403, 404, 409, 412, 422] {
            assert_eq!(ending(Some(status)), Ending::Accepted, "{status}");
        }
        assert_eq!(ending(Some(429)), Ending::TooFast(None));
        assert_eq!(ending(Some(503)), Ending::Overloaded(None));
        for status in [None, Some(500), Some(502), Some(504)] {
            assert_eq!(ending(status), Ending::Other, "{status:?}");
        }
    }
}
