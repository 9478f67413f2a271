//! Requests to a forge, as values.

use std::fmt;

use percent_encoding::utf8_percent_encode;
use serde_json::Value;

use crate::api::request::SEGMENT;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Read.
    Get,
    /// Create, or ask a question that has a body.
    Post,
    /// Change a part.
    Patch,
    /// Replace.
    Put,
}

impl Verb {
    /// Its name in HTTP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Put => "PUT",
        }
    }
}

/// What a token must be allowed for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To know who it belongs to.
    Identity,
    /// To comment pull requests.
    Comments,
    /// To write issues.
    Issues,
    /// To open pull requests.
    Pulls,
    /// To read pull requests of a commit.
    Reading,
    /// To write the state of commits.
    States,
}

/// A request, not sent yet.
#[derive(Clone, PartialEq)]
pub struct Call {
    /// What it does.
    pub verb: Verb,
    /// The path below the URL of the API, with every segment encoded.
    pub path: String,
    /// The query, not encoded yet.
    pub query: Vec<(&'static str, String)>,
    /// The body, as JSON.
    pub body: Option<Value>,
    /// What it needs.
    pub need: Need,
    /// Whether it changes nothing.
    pub is_read: bool,
}

impl fmt::Debug for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.verb.name(), self.path)
    }
}

impl Call {
    fn new(verb: Verb, need: Need, segments: &[&str]) -> Self {
        let path = segments.iter().fold(String::new(), |path, segment| {
            path + "/" + &utf8_percent_encode(segment, SEGMENT).to_string()
        });
        Self { verb, path, query: Vec::new(), body: None, need, is_read: verb == Verb::Get }
    }

    /// Reads.
    #[must_use]
    pub fn get(need: Need, segments: &[&str]) -> Self {
        Self::new(Verb::Get, need, segments)
    }

    /// Writes.
    #[must_use]
    pub fn write(verb: Verb, need: Need, segments: &[&str], body: Value) -> Self {
        Self { body: Some(body), is_read: false, ..Self::new(verb, need, segments) }
    }

    /// Asks a question in its body.
    #[must_use]
    pub fn question(need: Need, segments: &[&str], body: Value) -> Self {
        Self { is_read: true, ..Self::write(Verb::Post, need, segments, body) }
    }

    /// Whether it comes to the same if it is done twice: it reads, or says how something is to be.
    #[must_use]
    pub fn may_repeat(&self) -> bool {
        self.is_read || matches!(self.verb, Verb::Patch | Verb::Put)
    }

    /// The same, with a query parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// The same, for a page of a list with so many items.
    #[must_use]
    pub fn page(self, size: &'static str, page: usize) -> Self {
        self.query(size, PAGE.to_string()).query("page", page.to_string())
    }
}

/// How many items a page has. Gitea has no larger ones unless its owner says so.
pub const PAGE: usize = 50;
