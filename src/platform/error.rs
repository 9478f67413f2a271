//! The error type of the platform, and the only place where it becomes a status.
//!
//! Handlers return [`Refusal`]; nothing else in the platform names a status code of a failure.
//! Every body is `{"error": "...", "field": "..."}`, with the field only if one is wrong, but that of
//! 423, of which the SDK 0.56 reads `{"error": {"message": "..."}}`. Internal causes are logged and
//! never sent.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::store::Fault;
use crate::notice;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// 401: there is no credential, or it is not valid.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// 403: the credential does not allow this.
    #[error("{0}")]
    Forbidden(String),
    /// 404: there is no such object, or no such path.
    #[error("{0}")]
    NotFound(String),
    /// 405: the path is known, the method is not.
    #[error("the method is not allowed on this path")]
    MethodNotAllowed,
    /// 409: a name is taken, or something still refers to the object.
    #[error("{0}")]
    Conflict(String),
    /// 400: the request is malformed or breaks a rule.
    #[error("{message}")]
    Invalid {
        /// The path of the wrong field, such as `ports[0].num`.
        field: Option<String>,
        /// What is wrong with it.
        message: String,
    },
    /// 423: the room is disabled.
    #[error("the room {0:?} is disabled")]
    Disabled(String),
    /// 412: the object is not the one that the caller read.
    #[error("the object has changed: its entity tag does not meet the condition")]
    Changed,
    /// 408: the body arrives too slowly, or not at all.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// 413: the body is too large.
    #[error("the body is larger than {} MiB", super::BODY_LIMIT / (1024 * 1024))]
    TooLarge,
    /// 421: the request is for another name than the platform's.
    #[error(
        "this platform is not known as {0:?}: add the name with `meshagent server --allow-host`"
    )]
    Misdirected(String),
    /// 507: nothing was written, because the disk is full.
    #[error("the platform's disk is full: nothing was written")]
    DiskFull,
    /// 500: what is written would be lost with the process.
    #[error(transparent)]
    Gone(Fault),
    /// 500: the disk failed, and then failed to say what it holds.
    #[error(
        "the platform failed to write, and it is not certain whether it did: check before you try again"
    )]
    Unsure,
    /// 503: the store, or the rendering of templates, was busy for too long; nothing was written.
    #[error("the platform is busy, try again")]
    Busy,
    /// 502: what is behind the platform does not answer, or not with what it should.
    #[error("{0}")]
    Unanswered(String),
    /// 503: what is behind the platform is not there now.
    #[error("{0}")]
    Unavailable(String),
    /// 504: what is behind the platform does not answer in time.
    #[error("{0}")]
    Late(&'static str),
    /// 503: another process runs the rooms of this folder.
    #[error("another process runs the rooms of this data folder: enter them there")]
    Elsewhere,
    /// 500: a fault of the platform itself.
    #[error("the platform failed")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a handler returns.
pub type Result<T, E = Refusal> = std::result::Result<T, E>;

impl Refusal {
    /// 400, naming a field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: Some(field.into()), message: message.into() }
    }

    /// 400 for a field that breaks a rule of form, with the message of the rule.
    pub fn at(field: &str) -> impl FnOnce(String) -> Self + '_ {
        move |message| Self::field(field, message)
    }

    /// 404, saying what does not exist.
    pub fn missing(what: &str, name: &str) -> Self {
        Self::NotFound(format!("{what} {name:?} does not exist"))
    }

    /// 409 when a unique name was taken; everything else is the fault of the platform.
    pub fn taken(error: sqlx::Error, message: impl FnOnce() -> String) -> Self {
        match &error {
            sqlx::Error::Database(cause) if cause.is_unique_violation() => {
                Self::Conflict(message())
            }
            _ => error.into(),
        }
    }

    /// 500, with a cause that is only logged.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Invalid { .. } => StatusCode::BAD_REQUEST,
            Self::Disabled(_) => StatusCode::LOCKED,
            Self::Changed => StatusCode::PRECONDITION_FAILED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Misdirected(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
            Self::Unanswered(_) => StatusCode::BAD_GATEWAY,
            Self::Busy | Self::Elsewhere | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Late(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Gone(_) | Self::Unsure | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Refusal {
    /// What a failure of the store means for a caller, if it means anything to them.
    pub fn of_store(error: &sqlx::Error) -> Option<Self> {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return Some(Self::Busy);
        }
        // Extended codes carry the code in the low byte: SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL.
        match code(error)? & 0xff {
            5 | 6 => Some(Self::Busy),
            13 => Some(Self::DiskFull),
            _ => None,
        }
    }
}

impl Refusal {
    /// The same for a write of which nothing is left on disk. A write that met a limit of file
    /// sizes also had no room.
    pub fn of_write(error: &sqlx::Error) -> Option<Self> {
        match code(error) {
            Some(NOT_WRITTEN) => Some(Self::DiskFull),
            _ => Self::of_store(error),
        }
    }
}

/// The extended code of an error of SQLite.
fn code(error: &sqlx::Error) -> Option<u32> {
    match error {
        sqlx::Error::Database(cause) => cause.code()?.parse().ok(),
        _ => None,
    }
}

/// SQLITE_IOERR_WRITE.
const NOT_WRITTEN: u32 = 778;

impl From<sqlx::Error> for Refusal {
    /// A statement that failed; what it did before is rolled back. (What a failed commit means
    /// is for the writer to say.)
    fn from(error: sqlx::Error) -> Self {
        Self::of_write(&error).unwrap_or_else(|| Self::internal(error))
    }
}

impl From<std::io::Error> for Refusal {
    /// The platform's own files.
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::DiskFull,
            _ => Self::internal(error),
        }
    }
}

impl From<serde_json::Error> for Refusal {
    /// Only stored documents are read without a field path, so a failure is the platform's own
    /// fault.
    fn from(error: serde_json::Error) -> Self {
        Self::internal(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match &self {
            Self::Internal(cause) => notice::tell("the platform failed", cause),
            Self::DiskFull | Self::Gone(_) | Self::Unsure => notice::tell("a write failed", &self),
            _ => {}
        }
        let mut body = json!({ "error": self.to_string() });
        match &self {
            Self::Invalid { field: Some(field), .. } => body["field"] = json!(field),
            Self::Disabled(_) => {
                let message = body["error"].take();
                body["error"] = json!({ "code": "room_disabled", "message": message });
            }
            _ => {}
        }
        let mut response = (self.status(), Json(body)).into_response();
        if matches!(self, Self::Unauthenticated(_)) {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_status() {
        let table = [
            (Refusal::Unauthenticated("x"), 401),
            (Refusal::Forbidden("x".into()), 403),
            (Refusal::missing("room", "x"), 404),
            (Refusal::MethodNotAllowed, 405),
            (Refusal::Conflict("x".into()), 409),
            (Refusal::field("a", "x"), 400),
            (Refusal::Disabled("x".into()), 423),
            (Refusal::Changed, 412),
            (Refusal::TooSlow, 408),
            (Refusal::TooLarge, 413),
            (Refusal::Misdirected("x".into()), 421),
            (Refusal::DiskFull, 507),
            (Refusal::Gone(Fault::Removed("x".into())), 500),
            (Refusal::Unsure, 500),
            (Refusal::Busy, 503),
            (Refusal::Unanswered("x".into()), 502),
            (Refusal::Unavailable("x".into()), 503),
            (Refusal::Late("x"), 504),
            (Refusal::internal("x"), 500),
        ];
        for (refusal, status) in table {
            assert_eq!(refusal.into_response().status().as_u16(), status);
        }
    }

    #[test]
    fn an_inner_cause_is_not_answered() {
        assert_eq!(Refusal::internal("canary").to_string(), "the platform failed");
    }
}
