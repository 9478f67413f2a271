//! Requests as values: built without being sent, and tested without a server.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::inside::Inside;

/// What stays as it is in a path segment; everything else is percent-encoded, so that no
/// name can become a second segment, a query or a fragment.
pub const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'@')
    .remove(b'+')
    .remove(b':');

/// A request's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Create.
    Post,
    /// Replace or change.
    Put,
    /// Change what is named.
    Patch,
    /// Delete.
    Delete,
    /// Read, with a question that is too long for a path: sent as a `POST`, and changes nothing.
    Ask,
}

impl Method {
    /// Whether a request with this method changes nothing.
    #[must_use]
    pub fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::Ask)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Get => "GET",
            Self::Post | Self::Ask => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        })
    }
}

/// A request's body.
#[derive(Clone, PartialEq)]
pub enum Body {
    /// No body.
    Empty,
    /// JSON; it may hold secrets, so it cannot be printed.
    Json(Value),
    /// Bytes of a file.
    Bytes(Vec<u8>),
}

/// A request, not sent yet.
#[derive(Clone, PartialEq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path below the base URL, with every segment encoded.
    pub path: String,
    /// The query, not encoded yet.
    pub query: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
    /// Whether the credential is sent along.
    pub is_signed: bool,
    /// The revision that the object must still have (`If-Match`), or `*` behind
    /// [`Precondition::Absent`].
    pub precondition: Precondition,
    /// The room that it is about, if that is what REST does not reach. The path is one of this
    /// program then: `/rooms/ROOM/files/PATH` and the like.
    pub inside: Option<Inside>,
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// The object still has this revision (`If-Match`).
    Revision(String),
    /// The object does not exist yet (`If-None-Match: *`).
    Absent,
}

impl fmt::Debug for Body {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("(body)")
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.method, self.path)
    }
}

impl Request {
    /// A request whose path is these segments, each encoded. No encoding keeps `.` and
    /// `..` from being resolved away, so the client refuses to send a path with those.
    #[must_use]
    pub fn new(method: Method, segments: &[&str]) -> Self {
        let path = segments.iter().fold(String::new(), |path, segment| {
            path + "/" + &utf8_percent_encode(segment, SEGMENT).to_string()
        });
        Self {
            method,
            path,
            query: Vec::new(),
            body: Body::Empty,
            is_signed: true,
            precondition: Precondition::None,
            inside: None,
        }
    }

    /// `GET` of a path.
    #[must_use]
    pub fn get(segments: &[&str]) -> Self {
        Self::new(Method::Get, segments)
    }

    /// `POST` of JSON.
    #[must_use]
    pub fn post(segments: &[&str], body: Value) -> Self {
        Self { body: Body::Json(body), ..Self::new(Method::Post, segments) }
    }

    /// A question in JSON, which changes nothing.
    #[must_use]
    pub fn ask(segments: &[&str], body: Value) -> Self {
        Self { body: Body::Json(body), ..Self::new(Method::Ask, segments) }
    }

    /// `PUT` of JSON.
    #[must_use]
    pub fn put(segments: &[&str], body: Value) -> Self {
        Self { body: Body::Json(body), ..Self::new(Method::Put, segments) }
    }

    /// `PUT` without a body.
    #[must_use]
    pub fn put_empty(segments: &[&str]) -> Self {
        Self::new(Method::Put, segments)
    }

    /// `PATCH` with JSON.
    #[must_use]
    pub fn patch(segments: &[&str], body: Value) -> Self {
        Self { body: Body::Json(body), ..Self::new(Method::Patch, segments) }
    }

    /// `DELETE` of a path.
    #[must_use]
    pub fn delete(segments: &[&str]) -> Self {
        Self::new(Method::Delete, segments)
    }

    /// The same one segment further down.
    #[must_use]
    pub fn below(mut self, segment: &str) -> Self {
        self.path += "/";
        self.path += &utf8_percent_encode(segment, SEGMENT).to_string();
        self
    }

    /// The same, with a query parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }
}

/// A request that lists objects, and how its answer is read.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The request, without its page.
    pub request: Request,
    /// The field of the answer that holds the objects.
    pub envelope: &'static str,
    /// How it is divided into pages.
    pub paging: Paging,
    /// How the list is found, where it is below an object of which only the name is known:
    /// `request` answers with that object then.
    pub below: Option<Below>,
}

impl Listing {
    /// The same below the object with this name and id, if it is below one: a list that shows the
    /// object was read.
    #[must_use]
    pub fn at(mut self, name: &str, id: Option<&str>) -> Self {
        if let (Some(below), Some(id)) = (&mut self.below, id) {
            below.known = Some(serde_json::json!({ "id": id, "name": name }));
        }
        self
    }
}

/// A list below an object.
#[derive(Debug, Clone)]
pub struct Below {
    /// The id of the project, which not every object tells.
    pub project: String,
    /// The request for the list, without its page, made of the project's id and the object.
    pub list: fn(&str, &Value) -> Option<Request>,
    /// The field that each item of the list gets, with the object in it.
    pub told_in: &'static str,
    /// What is known of the object already, so that it is not asked for.
    pub known: Option<Value>,
    /// A list of some of the items.
    pub marked: Option<Marked>,
}

/// A list of some of the items of another one.
#[derive(Debug, Clone, Copy)]
pub struct Marked {
    /// The request for it, made of the project's id and the object that both are below.
    pub list: fn(&str, &Value) -> Option<Request>,
    /// The field of the answer that holds it.
    pub envelope: &'static str,
    /// The field that says of each item of the other list whether it is in this one.
    pub told_in: &'static str,
}

/// How a list is divided into pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// It comes in one answer.
    Whole,
    /// By `limit` and `offset`; a page has at most so many objects.
    Offset(usize),
    /// Each page names the token of the next one; a page has at most so many objects.
    Token(usize),
    /// There is no list: each object is asked for by one of these names, below the path, and what
    /// is answered with 404 is not there. An object of it has its `name`, and the answer in the
    /// field that would hold the objects.
    Named(&'static [&'static str]),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_escapes_its_segment() {
        for name in ["a/b", "a?b", "a#b", "%2F", "ü x", "a\\b", "a;b"] {
            let request = Request::get(&["accounts", name, "end"]);
            let url = url::Url::parse(&format!("http://h{}", request.path)).unwrap();
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            assert_eq!(segments.len(), 3, "{name}: {url}");
            assert_eq!(
                percent_encoding::percent_decode_str(segments[1]).decode_utf8().unwrap(),
                name
            );
            assert_eq!((url.query(), url.fragment()), (None, None));
        }
    }

    #[test]
    fn a_request_prints_no_body() {
        let request = Request::post(&["x"], serde_json::json!({"password": "canary"}));
        assert_eq!(format!("{request:?}"), "POST /x");
    }
}
