//! What handlers receive and what they answer with: bodies, queries, conditions, answers.
//!
//! The extractors turn every malformed request into one [`Refusal`] that names the field, so that
//! no handler sees a rejection of the web framework.

use std::fmt::Display;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::body::{BODY_LIMIT, Body, Download, Upload, VALUE_LIMIT};
pub use self::list::Listing;
use super::App;
use super::error::{Refusal, Result};
use super::store::{Change, Write};
use crate::decoding::{self, InQuery};

mod body;
pub mod list;
pub mod memory;
pub mod spool;
pub mod websocket;

/// Reads a value that is already JSON, with the path of the field in the refusal.
///
/// # Errors
///
/// 400 naming the field.
pub fn decode<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| at(&error))
}

/// The place of a decoding error. Serde reports a missing field at its parent, so its name
/// is taken from the message.
fn at(error: &serde_path_to_error::Error<serde_json::Error>) -> Refusal {
    let mut field = error.path().to_string();
    let message = error.inner().to_string();
    let message = decoding::without_place(&message);
    match decoding::missing_field(message) {
        Some(name) if field == "." => name.clone_into(&mut field),
        Some(name) => field = format!("{field}.{name}"),
        None => {}
    }
    let field = (field != "." && field != "?").then(|| decoding::bounded(&field).into_owned());
    Refusal::Invalid { field, message: decoding::bounded(message).into_owned() }
}

/// The query of the request.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(at_query(&rejection.body_text())),
        }
    }
}

/// The place of an error in a query.
fn at_query(text: &str) -> Refusal {
    match decoding::in_query(text) {
        InQuery::Missing(name) => Refusal::field(name, "is required in the query"),
        InQuery::Field(name, message) => Refusal::field(name, message),
        InQuery::Other(message) => Refusal::Invalid { field: None, message: message.to_owned() },
    }
}

/// The conditions of a request: `If-Match` and `If-None-Match`.
#[derive(Debug, Default)]
pub struct Condition {
    matching: Option<Tags>,
    absent: Option<Tags>,
}

#[derive(Debug)]
enum Tags {
    Any,
    These(Vec<String>),
}

impl Tags {
    /// All values of a header that may be given several times.
    fn of(headers: &HeaderMap, name: header::HeaderName) -> Option<Self> {
        let values: Vec<&str> =
            headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("")).collect();
        if values.is_empty() {
            return None;
        }
        let tags =
            values.iter().flat_map(|value| value.split(',')).map(|tag| tag.trim().to_owned());
        let tags: Vec<String> = tags.collect();
        Some(if tags.iter().any(|tag| tag == "*") { Self::Any } else { Self::These(tags) })
    }

    fn holds(&self, tag: Option<&str>) -> bool {
        match (self, tag) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::These(tags), Some(tag)) => tags.iter().any(|one| one == tag),
        }
    }
}

impl Condition {
    /// Lets a write change an object, if the object's revision, as read in this write, meets the
    /// condition.
    ///
    /// # Errors
    ///
    /// 412 when the condition is not met.
    pub fn admits(&self, write: Write, revision: i64) -> Result<Change> {
        self.allows(revision)?;
        Ok(write.without_condition())
    }

    /// The same by a tag of any kind, quotes included; without one there is no such object.
    ///
    /// # Errors
    ///
    /// 412 when the condition is not met.
    pub fn admits_tag(&self, write: Write, tag: Option<&str>) -> Result<Change> {
        self.check(tag)?;
        Ok(write.without_condition())
    }

    /// Compares with the tag of the object as it is, or with its absence.
    fn check(&self, tag: Option<&str>) -> Result<()> {
        let matching = self.matching.as_ref().is_none_or(|tags| tags.holds(tag));
        let absent = self.absent.as_ref().is_none_or(|tags| !tags.holds(tag));
        if matching && absent { Ok(()) } else { Err(Refusal::Changed) }
    }

    /// Compares with the revision of the object as it is.
    fn allows(&self, revision: i64) -> Result<()> {
        self.check(Some(&tag(revision)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Condition {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Ok(Self {
            matching: Tags::of(&parts.headers, header::IF_MATCH),
            absent: Tags::of(&parts.headers, header::IF_NONE_MATCH),
        })
    }
}

/// The entity tag of a revision, quotes included, as it is sent and compared.
pub fn tag(revision: i64) -> String {
    format!("\"{revision}\"")
}

/// An answer: a status, a body of JSON if there is one, and an entity tag if it is one object.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    tag: Option<String>,
    body: Content,
}

#[derive(Debug)]
enum Content {
    Nothing,
    Text(String),
    List(Listing),
}

impl Answer {
    /// 200 with a value.
    pub fn json(value: &Value) -> Self {
        Self::text(value.to_string())
    }

    /// 200 with JSON that is text already.
    pub fn text(body: String) -> Self {
        Self { status: StatusCode::OK, tag: None, body: Content::Text(body) }
    }

    /// 204.
    pub fn nothing() -> Self {
        Self { status: StatusCode::NO_CONTENT, tag: None, body: Content::Nothing }
    }

    /// 200 with `{name: [items]}`, from what a query finds, row by row.
    ///
    /// # Errors
    ///
    /// The store's; there is no room on disk for a long list.
    pub async fn list<R, T: Display>(
        app: &App,
        name: &str,
        rows: impl Stream<Item = std::result::Result<R, sqlx::Error>>,
        item: impl Fn(&R) -> Result<T>,
    ) -> Result<Self> {
        Ok(Self::listed(Listing::of(app, name, rows, item).await?))
    }

    /// 200 with a list.
    pub fn listed(list: Listing) -> Self {
        Self { status: StatusCode::OK, tag: None, body: Content::List(list) }
    }

    /// The same, as 201.
    #[must_use]
    pub fn created(mut self) -> Self {
        self.status = StatusCode::CREATED;
        self
    }

    /// The same, with the entity tag of a revision.
    #[must_use]
    pub fn tagged(mut self, revision: i64) -> Self {
        self.tag = Some(tag(revision));
        self
    }

    /// The same, with an entity tag of any kind, quotes included.
    #[must_use]
    pub fn with_tag(mut self, tag: String) -> Self {
        self.tag = Some(tag);
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let mut response = match self.body {
            Content::Nothing => self.status.into_response(),
            Content::Text(body) => (self.status, json, body).into_response(),
            Content::List(list) => {
                let (body, length) = list.into_body();
                let length = [(header::CONTENT_LENGTH, HeaderValue::from(length))];
                (self.status, json, length, body).into_response()
            }
        };
        if let Some(tag) = self.tag.and_then(|tag| HeaderValue::try_from(tag).ok()) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::specs::service::ServiceSpec;
    use serde_json::json;

    fn field_of(value: Value) -> Option<String> {
        match decode::<ServiceSpec>(value) {
            Err(Refusal::Invalid { field, .. }) => field,
            _ => None,
        }
    }

    #[test]
    fn a_refusal_names_the_field_at_fault() {
        let service = |rest: Value| {
            let mut whole = json!({"version": "v1", "kind": "Service", "metadata": {"name": "a"}});
            if let (Some(whole), Some(rest)) = (whole.as_object_mut(), rest.as_object()) {
                whole.extend(rest.clone());
            }
            whole
        };
        let ports = service(json!({"ports": [{"num": 0}]}));
        assert_eq!(field_of(ports).as_deref(), Some("ports[0].num"));
        let image = service(json!({"container": {}}));
        assert_eq!(field_of(image).as_deref(), Some("container.image"));
        let unknown = service(json!({"container": {"image": "x", "imag": 1}}));
        assert_eq!(field_of(unknown).as_deref(), Some("container.imag"));
        let version = json!({"kind": "Service"});
        assert_eq!(field_of(version).as_deref(), Some("version"));
    }

    #[test]
    fn conditions_compare_strongly() {
        let matching = |text: &str| Condition {
            matching: Some(Tags::These(vec![text.to_owned()])),
            absent: None,
        };
        assert!(matching("\"7\"").allows(7).is_ok());
        assert!(matching("W/\"7\"").allows(7).is_err());
        assert!(matching("\"7\"").check(None).is_err());
        let create = Condition { matching: None, absent: Some(Tags::Any) };
        assert!(create.check(None).is_ok());
        assert!(create.check(Some("\"1\"")).is_err());
        assert!(Condition::default().check(None).is_ok());
    }
}
