//! The document of a route in 0.56, and its rules of form.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Refusal, Result};
use crate::kinds::specs::rules;

/// A route: which paths of a domain lead where.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    /// The version of documents.
    #[serde(default)]
    pub version: Version,
    /// Always `Route`.
    #[serde(default)]
    pub kind: RouteKind,
    /// Its name and annotations.
    pub metadata: Metadata,
    /// The domain.
    pub domain: String,
    /// What its paths lead into.
    pub backend: Backend,
    /// The paths.
    #[serde(default)]
    pub paths: Vec<RoutePath>,
}

/// `v1`.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub enum Version {
    /// The only one.
    #[default]
    #[serde(rename = "v1")]
    V1,
}

/// `Route`.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub enum RouteKind {
    /// The only one.
    #[default]
    Route,
}

/// The metadata of a route.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Its name, which need not be the domain.
    pub name: String,
    /// Notes for programs.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// What a route leads into: either of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// A room.
    #[serde(default)]
    pub room: Option<Named>,
    /// A managed agent.
    #[serde(default)]
    pub agent: Option<Named>,
}

/// Something that goes by its name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// How a path is compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
pub enum Port {
    /// A number.
    Number(u64),
    /// A number, the name of a service, or `service:port`.
    Text(String),
}

impl Port {
    /// As text.
    pub fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// One path of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RoutePath {
    /// The path.
    #[serde(default = "slash")]
    pub path: String,
    /// How it is compared.
    #[serde(default)]
    pub path_type: PathType,
    /// Whether the service sees what is behind it only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strip_prefix: Option<bool>,
    /// The port that it leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_port: Option<Port>,
    /// The files that it leads to.
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Content {
    /// The folder.
    #[serde(default)]
    pub subpath: String,
    /// A file for what is not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_found: Option<String>,
    /// Who else may read them from a browser.
    #[serde(default)]
    pub cors: Vec<CorsRule>,
    /// Whether folders show what is in them.
    #[serde(default)]
    pub index: bool,
    /// Whether readers have to sign in.
    #[serde(default)]
    pub iap: bool,
    /// How they are compressed.
    #[serde(default)]
    pub compression: Compression,
}

/// Who else may read files from a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CorsRule {
    /// The origins.
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
    /// How long browsers remember it.
    #[serde(default = "an_hour")]
    pub max_age_seconds: u64,
    /// Whether credentials are sent.
    #[serde(default)]
    pub allow_credentials: bool,
}

fn reading() -> Vec<String> {
    ["GET", "HEAD"].map(str::to_owned).into()
}

const fn an_hour() -> u64 {
    3600
}

/// A path of files without slashes around it.
fn trimmed(field: &str, text: &mut String) -> Result<()> {
    rules::text(text).map_err(Refusal::at(field))?;
    let path = text.trim_matches('/');
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(Refusal::field(field, "must not contain the segments `.` and `..`"));
    }
    *text = path.to_owned();
    Ok(())
}

impl RouteSpec {
    /// Checks it, and gives its texts the form in which they are kept. 400 names the wrong field.
    pub fn checked(mut self) -> Result<Self> {
        rules::domain(&self.domain).map_err(Refusal::at("spec.domain"))?;
        rules::name(&self.metadata.name).map_err(Refusal::at("spec.metadata.name"))?;
        let is_of_room = match (&self.backend.room, &self.backend.agent) {
            (Some(_), None) => true,
            (None, Some(_)) => false,
            _ => {
                let message = "must name either a room or an agent";
                return Err(Refusal::field("spec.backend", message));
            }
        };
        if is_of_room && self.paths.is_empty() {
            return Err(Refusal::field("spec.paths", "must have at least one path"));
        }
        for (number, path) in self.paths.iter_mut().enumerate() {
            path.check(&format!("spec.paths[{number}]"), is_of_room)?;
        }
        Ok(self)
    }
}

impl RoutePath {
    /// A plain path to a port, which 0.31 can say.
    pub fn plain(port: &str) -> Self {
        Self {
            path: slash(),
            path_type: PathType::Prefix,
            strip_prefix: None,
            target_port: Some(Port::Text(port.to_owned())),
            target_content: None,
            unavailable: None,
        }
    }

    /// The port of a path that 0.31 can say.
    pub fn plain_port(&self) -> Option<String> {
        let port = self.target_port.as_ref()?.text();
        let plain = Self { strip_prefix: None, ..self.clone() };
        let plain = Self { target_port: Some(Port::Text(port.clone())), ..plain };
        let is_plain = plain == Self::plain(&port) && self.strip_prefix != Some(true);
        (is_plain && rules::port(&port).is_ok()).then_some(port)
    }

    fn check(&mut self, at: &str, is_of_room: bool) -> Result<()> {
        let field = |name: &str| format!("{at}.{name}");
        rules::text(&self.path).map_err(Refusal::at(&field("path")))?;
        if !self.path.starts_with('/') {
            return Err(Refusal::field(field("path"), "must begin with `/`"));
        }
        match (&self.target_port, &mut self.target_content) {
            (Some(_), Some(_)) | (None, None) => {
                let message = "must have either `targetPort` or `targetContent`";
                return Err(Refusal::field(at, message));
            }
            (Some(_), None) if !is_of_room => {
                let message = "an agent has no ports: it needs `targetContent`";
                return Err(Refusal::field(field("targetPort"), message));
            }
            (Some(port), None) => check_port(&field("targetPort"), port)?,
            (None, Some(content)) => {
                content.check(&field("targetContent"), is_of_room)?;
                if self.strip_prefix == Some(true) {
                    let message = "is for services, not for content";
                    return Err(Refusal::field(field("stripPrefix"), message));
                }
                if self.unavailable.is_some() {
                    let message = "is for services, not for content";
                    return Err(Refusal::field(field("unavailable"), message));
                }
            }
        }
        match &mut self.unavailable {
            Some(file) => trimmed(&field("unavailable"), file),
            None => Ok(()),
        }
    }
}

/// Whatever stands before its last colon is the name of a service.
fn check_port(field: &str, port: &Port) -> Result<()> {
    let text = port.text();
    rules::text(&text).map_err(Refusal::at(field))?;
    let number = |digits: &str| -> Result<()> {
        match digits.parse() {
            Ok(1_u16..) => Ok(()),
            _ => Err(Refusal::field(field, "must be a port from 1 to 65535")),
        }
    };
    if text.trim().is_empty() {
        return Err(Refusal::field(field, "must not be blank"));
    }
    match text.rsplit_once(':') {
        Some((service, port)) if !service.trim().is_empty() => number(port),
        Some(_) => Err(Refusal::field(field, "must name a service before the colon")),
        None if text.chars().all(|c| c.is_ascii_digit()) => number(&text),
        None => Ok(()),
    }
}

impl Content {
    fn check(&mut self, at: &str, is_of_room: bool) -> Result<()> {
        trimmed(&format!("{at}.subpath"), &mut self.subpath)?;
        if let Some(file) = &mut self.not_found {
            trimmed(&format!("{at}.notFound"), file)?;
        }
        if self.iap && !is_of_room {
            return Err(Refusal::field(format!("{at}.iap"), "is for rooms, not for agents"));
        }
        for (number, rule) in self.cors.iter_mut().enumerate() {
            let at = format!("{at}.cors[{number}]");
            if rule.allowed_origins.is_empty() {
                let field = format!("{at}.allowedOrigins");
                return Err(Refusal::field(field, "must not be empty"));
            }
            rule.allowed_methods.iter_mut().for_each(|method| method.make_ascii_uppercase());
            if rule.allow_credentials && rule.allowed_origins.iter().any(|origin| origin == "*") {
                let field = format!("{at}.allowCredentials");
                return Err(Refusal::field(field, "must not be true for the origin `*`"));
            }
        }
        Ok(())
    }
}
