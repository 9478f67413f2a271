//! The one refusal of the platform, and the one place where it becomes a status.
//!
//! Handlers return [`Refusal`]; nothing else in the platform names a status code of a
//! failure. Every body is `{"error": "...", "field": "..."}`, the field only where one is
//! at fault. What went wrong inside is logged and never answered.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// 401: there is no credential, or it is not valid.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// 403: the credential does not reach that far.
    #[error("{0}")]
    Forbidden(String),
    /// 404: there is no such object, or no such path.
    #[error("{0}")]
    NotFound(String),
    /// 405: the path is known, the method is not.
    #[error("the method is not allowed on this path")]
    MethodNotAllowed,
    /// 409: a name is taken, or something else still refers to the object.
    #[error("{0}")]
    Conflict(String),
    /// 400: the request is malformed or breaks a rule.
    #[error("{message}")]
    Invalid {
        /// The path of the field at fault, such as `ports[0].num`.
        field: Option<String>,
        /// What is wrong with it.
        message: String,
    },
    /// 412: the object is not the one that the caller looked at.
    #[error("the object has changed: its entity tag does not meet the condition")]
    Changed,
    /// 413: the body is too large.
    #[error("the body is larger than {} MiB", super::BODY_LIMIT / (1024 * 1024))]
    TooLarge,
    /// 503: the store, or what renders templates, was busy for too long; nothing was written.
    #[error("the platform is busy, try again")]
    Busy,
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

    /// 400 for a field that breaks a rule of form, by what the rule says.
    pub fn at(field: &str) -> impl FnOnce(String) -> Self + '_ {
        move |message| Self::field(field, message)
    }

    /// 404, saying what there is none of.
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

    /// 500, with a cause that only the log sees.
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
            Self::Changed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        // 5 is SQLITE_BUSY and 6 is SQLITE_LOCKED; extended codes carry them in the low byte.
        let locked =
            |code: &str| code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6));
        match &error {
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::Database(cause) if cause.code().is_some_and(|code| locked(&code)) => {
                Self::Busy
            }
            _ => Self::internal(error),
        }
    }
}

impl From<serde_json::Error> for Refusal {
    /// Only stored documents are read without a field path, so a failure is the platform's own.
    fn from(error: serde_json::Error) -> Self {
        Self::internal(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        if let Self::Internal(cause) = &self {
            tracing::error!(%cause, "the platform failed");
        }
        let mut body = json!({ "error": self.to_string() });
        if let Self::Invalid { field: Some(field), .. } = &self {
            body["field"] = json!(field);
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
            (Refusal::Changed, 412),
            (Refusal::TooLarge, 413),
            (Refusal::Busy, 503),
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
