//! The paths of a route: which paths of a domain lead where, and their rules of form. The words are
//! those that the platform has for them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::shape::Broken;

/// What a route leads into: either of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// A room.
    #[serde(default)]
    pub room: Option<BackendRoom>,
    /// A managed agent.
    #[serde(default)]
    pub agent: Option<BackendAgent>,
}

/// A room that a route leads into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackendRoom {
    /// Its name.
    #[schemars(extend("x-rule" = "segment"))]
    pub name: String,
}

/// A managed agent that a route leads into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackendAgent {
    /// Its name.
    #[schemars(extend("x-rule" = "segment"))]
    pub name: String,
}

/// How a path is compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PathType {
    /// What begins with it fits.
    #[default]
    Prefix,
    /// Only the path itself fits.
    Exact,
}

/// The port of a service: a number, or a text that says more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TargetPort {
    /// A number.
    Number(u64),
    /// A number, the name of a service, or `service:port`.
    Text(String),
}

impl TargetPort {
    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

impl JsonSchema for TargetPort {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TargetPort".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "a port number, the name of a service, or `service:port`",
            "x-number": true,
            "anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string"}]
        })
    }
}

/// One path of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RoutePath {
    /// The path; it begins with `/`.
    #[serde(default = "slash")]
    pub path: String,
    /// How it is compared: `prefix`, or `exact`.
    #[serde(default)]
    pub path_type: PathType,
    /// Whether the service sees only what is behind the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub strip_prefix: Option<bool>,
    /// A port number, the name of a service in the room, or `service:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_port: Option<TargetPort>,
    /// The files that it leads to. A path has exactly one of `targetPort` and `targetContent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_content: Option<Content>,
    /// A file that is shown while the service does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
}

fn slash() -> String {
    "/".to_owned()
}

/// How files are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// With Brotli.
    #[default]
    Brotli,
    /// With gzip.
    Gzip,
    /// Not at all.
    None,
}

/// Files of a room or an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Content {
    /// The folder; all files when empty.
    #[serde(default)]
    pub subpath: String,
    /// A file that is shown for what is not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_found: Option<String>,
    /// Who else may read the files from a browser.
    #[serde(default)]
    pub cors: Vec<CorsRule>,
    /// Whether folders show what is in them.
    #[serde(default)]
    pub index: bool,
    /// Whether readers have to sign in.
    #[serde(default)]
    pub iap: bool,
    /// How the files are compressed.
    #[serde(default)]
    pub compression: Compression,
}

/// Who else may read files from a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CorsRule {
    /// The origins, such as `https://example.com`, or `*`.
    #[schemars(extend("x-rule" = "not-empty"))]
    pub allowed_origins: Vec<String>,
    /// The methods.
    #[serde(default = "reading")]
    pub allowed_methods: Vec<String>,
    /// The headers that may be sent.
    #[serde(default)]
    pub allowed_headers: Vec<String>,
    /// The headers that may be read.
    #[serde(default)]
    pub expose_headers: Vec<String>,
    /// How many seconds browsers remember it.
    #[serde(default = "an_hour")]
    pub max_age_seconds: u64,
    /// Whether credentials are sent; not for the origin `*`.
    #[serde(default)]
    pub allow_credentials: bool,
}

fn reading() -> Vec<String> {
    ["GET", "HEAD"].map(str::to_owned).into()
}

const fn an_hour() -> u64 {
    3600
}

/// What is wrong with a field.
fn broken(path: FieldPath, message: &str) -> Broken {
    Broken { path, message: message.to_owned(), hint: None }
}

/// Takes the slashes off around a path of files.
fn trim(path: FieldPath, text: &mut String, found: &mut Vec<Broken>) {
    if let Err(message) = rules::text(text) {
        found.push(broken(path.clone(), &message));
    }
    let trimmed = text.trim_matches('/');
    if trimmed.split('/').any(|segment| matches!(segment, "." | "..")) {
        found.push(broken(path, "must not contain the segments `.` and `..`"));
    }
    *text = trimmed.to_owned();
}

/// Checks the two parts of a route, and gives their texts the form in which they are kept. What is
/// wrong is found by its path below the route.
pub fn settle(backend: &Backend, paths: &mut [RoutePath]) -> Vec<Broken> {
    let mut found = Vec::new();
    let is_of_room = match (&backend.room, &backend.agent) {
        (Some(_), None) => true,
        (None, Some(_)) => false,
        _ => {
            let message = "must name either a room or an agent";
            return vec![broken(FieldPath::of(&["backend"]), message)];
        }
    };
    let all = FieldPath::of(&["paths"]);
    if is_of_room && paths.is_empty() {
        found.push(broken(all.clone(), "must have at least one path"));
    }
    for (index, path) in paths.iter_mut().enumerate() {
        path.settle(&all.join(Step::Index(index)), is_of_room, &mut found);
    }
    found
}

impl RoutePath {
    /// A plain path to a port, which a route says with `room` and `port`.
    #[must_use]
    pub fn plain(port: &str) -> Self {
        Self {
            path: slash(),
            path_type: PathType::Prefix,
            strip_prefix: None,
            target_port: Some(TargetPort::Text(port.to_owned())),
            target_content: None,
            unavailable: None,
        }
    }

    /// The port of a plain path.
    #[must_use]
    pub fn plain_port(&self) -> Option<String> {
        let port = self.target_port.as_ref()?.text();
        let plain = Self { strip_prefix: None, ..self.clone() };
        let plain = Self { target_port: Some(TargetPort::Text(port.clone())), ..plain };
        let is_plain = plain == Self::plain(&port) && self.strip_prefix != Some(true);
        (is_plain && rules::port(&port).is_ok()).then_some(port)
    }

    fn settle(&mut self, at: &FieldPath, is_of_room: bool, found: &mut Vec<Broken>) {
        if let Err(message) = rules::text(&self.path) {
            found.push(broken(at.field("path"), &message));
        }
        if !self.path.starts_with('/') {
            found.push(broken(at.field("path"), "must begin with `/`"));
        }
        let content = self.target_content.as_mut();
        match (&self.target_port, content) {
            (Some(_), Some(_)) | (None, None) => {
                let message = "must have either `targetPort` or `targetContent`";
                found.push(broken(at.clone(), message));
            }
            (Some(_), None) if !is_of_room => {
                let message = "is for rooms; an agent has no ports, and needs `targetContent`";
                found.push(broken(at.field("targetPort"), message));
            }
            (Some(port), None) => {
                if let Err(message) = check_port(&port.text()) {
                    found.push(broken(at.field("targetPort"), &message));
                }
            }
            (None, Some(content)) => {
                content.settle(&at.field("targetContent"), is_of_room, found);
                if self.strip_prefix == Some(true) {
                    let message = "is for services, not for content";
                    found.push(broken(at.field("stripPrefix"), message));
                }
                if self.unavailable.is_some() {
                    let message = "is for services, not for content";
                    found.push(broken(at.field("unavailable"), message));
                }
            }
        }
        if let Some(file) = &mut self.unavailable {
            trim(at.field("unavailable"), file, found);
        }
    }
}

/// The number in what names a port: whatever stands before its last colon is the name of a service.
#[must_use]
pub fn port_number(text: &str) -> Option<&str> {
    let digits = text.rsplit_once(':').map_or(text, |(_, digits)| digits);
    rules::port(digits).is_ok().then_some(digits)
}

fn check_port(text: &str) -> Result<(), String> {
    rules::text(text)?;
    let number = |digits: &str| match digits.parse() {
        Ok(1_u16..) => Ok(()),
        _ => Err("must be a port from 1 to 65535".to_owned()),
    };
    if text.trim().is_empty() {
        return Err("must not be blank".to_owned());
    }
    match text.rsplit_once(':') {
        Some((service, port)) if !service.trim().is_empty() => number(port),
        Some(_) => Err("must name a service before the colon".to_owned()),
        None if text.chars().all(|c| c.is_ascii_digit()) => number(text),
        None => Ok(()),
    }
}

impl Content {
    fn settle(&mut self, at: &FieldPath, is_of_room: bool, found: &mut Vec<Broken>) {
        trim(at.field("subpath"), &mut self.subpath, found);
        if let Some(file) = &mut self.not_found {
            trim(at.field("notFound"), file, found);
        }
        if self.iap && !is_of_room {
            found.push(broken(at.field("iap"), "is for rooms, not for agents"));
        }
        for (index, rule) in self.cors.iter_mut().enumerate() {
            let at = at.field("cors").join(Step::Index(index));
            if rule.allowed_origins.is_empty() {
                found.push(broken(at.field("allowedOrigins"), "must not be empty"));
            }
            rule.allowed_methods.iter_mut().for_each(|method| method.make_ascii_uppercase());
            if rule.allow_credentials && rule.allowed_origins.iter().any(|origin| origin == "*") {
                let message = "must not be true for the origin `*`";
                found.push(broken(at.field("allowCredentials"), message));
            }
        }
    }
}
