//! *Pure*: a webserver that is described by a file with its routes: what may stand in the file, and
//! what its routes mean together.
//!
//! | module | holds |
//! |---|---|
//! | `command` | the command line that the container runs |
//! | `handler` | what can be said of a handler without running it |
//! | `pattern` | which patterns of paths the webserver takes |
//! | `router` | which route answers, where several could |
//! | `service` | the service that a webserver becomes, and where its files are |
//!
//! Facts are those of release 0.31.4. Must not live here: where files are, and what is in them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use self::pattern::Unfit;
use crate::kinds::Fault;
use crate::kinds::path::{FieldPath, Step};
use crate::listed::nearest;

pub mod command;
pub mod handler;
pub mod pattern;
pub mod router;
pub mod service;

/// The host that a new file names: every address of the machine.
pub const HOST: &str = "0.0.0.0";

/// The port that counts where nothing names one.
pub const PORT: u16 = 8000;

/// The method of a handler for which no other is named.
pub const METHOD: &str = "GET";

/// What a static route answers.
const OF_STATIC: [&str; 2] = ["GET", "HEAD"];

/// The fields of the file.
const FIELDS: [&str; 5] = ["kind", "version", "host", "port", "routes"];

/// The fields of a route.
const OF_A_ROUTE: [&str; 4] = ["path", "methods", "python", "static"];

/// What a routes file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Website {
    /// The address that is listened on, without blanks around it.
    pub host: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// The routes, in their order.
    pub routes: Vec<Route>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The path, or a pattern of one, without blanks around it.
    pub path: String,
    /// What answers.
    pub source: Source,
}

/// What answers to a route; paths are as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A Python file with a handler, and its methods in capitals.
    Python {
        /// The file.
        file: String,
        /// The methods; `*` means any.
        methods: Vec<String>,
    },
    /// A file, or a folder with files.
    Static(String),
}

impl Source {
    /// The path, as it is written.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Python { file, .. } => file,
            Self::Static(path) => path,
        }
    }

    /// The name of its field.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Python { .. } => "python",
            Self::Static(_) => "static",
        }
    }
}

impl Website {
    /// Reads what a routes file says.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn read(document: &Value) -> Result<Self, Vec<Fault>> {
        let mut reading = Reading::default();
        let website = reading.website(document);
        reading.refuse_repeated(&website.routes);
        if reading.faults.is_empty() { Ok(website) } else { Err(reading.faults) }
    }

    /// The text of a file that says this.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut document = json!({"kind": "WebServer", "version": "v1"});
        if let Some(host) = &self.host {
            document["host"] = host.as_str().into();
        }
        if let Some(port) = self.port {
            document["port"] = port.into();
        }
        document["routes"] = self.routes.iter().map(Route::document).collect();
        document
    }
}

impl Route {
    /// The route as it stands in a file.
    #[must_use]
    pub fn document(&self) -> Value {
        match &self.source {
            Source::Python { file, methods } => {
                json!({"path": self.path, "methods": methods, "python": file})
            }
            Source::Static(path) => json!({"path": self.path, "static": path}),
        }
    }
}

/// A method without blanks around it, in capitals.
///
/// # Errors
///
/// What is wrong with it, as a phrase.
pub fn method(text: &str) -> Result<String, &'static str> {
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    match text.trim() {
        "" => Err("is empty"),
        text if text.chars().all(is_of_token) => Ok(text.to_ascii_uppercase()),
        _ => Err("is no HTTP method"),
    }
}

/// Reads a file, and notes what is wrong with it.
#[derive(Default)]
struct Reading {
    faults: Vec<Fault>,
}

impl Reading {
    fn fault(&mut self, path: &FieldPath, message: impl Into<String>) -> &mut Fault {
        let fault = Fault { path: path.clone(), message: message.into(), hint: None };
        self.faults.push(fault);
        let last = self.faults.len() - 1;
        &mut self.faults[last]
    }

    fn hinted(&mut self, path: &FieldPath, message: impl Into<String>, hint: impl Into<String>) {
        self.fault(path, message).hint = Some(hint.into());
    }

    fn website(&mut self, document: &Value) -> Website {
        let root = FieldPath::default();
        let mut website = Website { host: None, port: None, routes: Vec::new() };
        let empty = Map::new();
        let fields = match document {
            Value::Object(fields) => fields,
            Value::Null => &empty,
            _ => {
                let told = "a routes file is a map with `kind`, `version` and `routes`";
                self.fault(&root, told);
                return website;
            }
        };
        self.refuse_unknown(&root, fields, &FIELDS);
        for (name, only) in [("kind", "WebServer"), ("version", "v1")] {
            match fields.get(name) {
                None => self.hinted(&root, format!("`{name}` is missing"), is(name, only)),
                Some(Value::String(text)) if text == only => {}
                Some(_) => {
                    self.hinted(
                        &root.field(name),
                        format!("`{name}` is not {only}"),
                        is(name, only),
                    );
                }
            }
        }
        website.host = self.filled(&root, fields, "host");
        website.port = self.port(fields);
        let at = root.field("routes");
        match fields.get("routes") {
            None => self.hinted(&root, "`routes` is missing", "write `routes: []` for none yet"),
            Some(Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    website.routes.extend(self.route(&at.join(Step::Index(index)), item));
                }
            }
            Some(_) => {
                self.hinted(&at, "`routes` is not a list", "write `routes: []` for none yet");
            }
        }
        website
    }

    fn refuse_unknown(&mut self, at: &FieldPath, fields: &Map<String, Value>, known: &[&str]) {
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            let hint = match nearest(name, known.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("known fields are {}", known.join(", ")),
            };
            self.hinted(&at.field(name), format!("the field `{name}` is not known here"), hint);
        }
    }

    /// The text of a field without blanks around it.
    fn filled(
        &mut self,
        at: &FieldPath,
        fields: &Map<String, Value>,
        name: &str,
    ) -> Option<String> {
        let own = at.field(name);
        match fields.get(name).filter(|value| !value.is_null())? {
            Value::String(text) if text.trim().is_empty() => {
                self.fault(&own, format!("`{name}` is empty"));
            }
            Value::String(text) if text.contains('\0') => {
                self.fault(&own, format!("`{name}` contains a NUL character"));
            }
            Value::String(text) => return Some(text.trim().to_owned()),
            _ => self.hinted(&own, format!("`{name}` is not text"), "put it in quotes"),
        }
        None
    }

    fn port(&mut self, fields: &Map<String, Value>) -> Option<u16> {
        let value = fields.get("port").filter(|value| !value.is_null())?;
        let number = match value {
            Value::String(text) => text.trim().parse::<u16>().ok(),
            value => value.as_u64().and_then(|number| u16::try_from(number).ok()),
        };
        let number = number.filter(|number| *number > 0);
        if number.is_none() {
            self.fault(&FieldPath::of(&["port"]), "`port` is not a number from 1 to 65535");
        }
        number
    }

    fn route(&mut self, at: &FieldPath, item: &Value) -> Option<Route> {
        let Value::Object(fields) = item else {
            self.fault(at, "a route is a map with `path`, and `python` or `static`");
            return None;
        };
        self.refuse_unknown(at, fields, &OF_A_ROUTE);
        let path = self.filled(at, fields, "path");
        if fields.get("path").is_none_or(Value::is_null) {
            self.fault(at, "`path` is missing");
        }
        match path.as_ref().map(|path| (path, pattern::check(path))) {
            Some((path, _)) if !path.starts_with('/') => {
                let told = format!("`path` must start with /, and is {path:?}");
                self.fault(&at.field("path"), told);
            }
            Some((_, Err(Unfit { what, hint }))) => {
                self.fault(&at.field("path"), format!("`path` {what}")).hint =
                    hint.map(str::to_owned);
            }
            _ => {}
        }
        let has = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
        if has("python") == has("static") {
            self.fault(at, "a route has exactly one of `python` and `static`");
            return None;
        }
        let source = match self.filled(at, fields, "python") {
            Some(file) => Source::Python { file, methods: self.methods(at, fields) },
            None => {
                if has("static") && has("methods") {
                    let told = "`methods` is only for routes with `python`";
                    self.fault(&at.field("methods"), told);
                }
                Source::Static(self.filled(at, fields, "static")?)
            }
        };
        Some(Route { path: path?, source })
    }

    fn methods(&mut self, at: &FieldPath, fields: &Map<String, Value>) -> Vec<String> {
        let own = at.field("methods");
        let items = match fields.get("methods") {
            None | Some(Value::Null) => return vec![METHOD.to_owned()],
            Some(Value::Array(items)) if !items.is_empty() => items,
            Some(Value::Array(_)) => {
                self.hinted(&own, "`methods` is empty", "leave it out for GET");
                return Vec::new();
            }
            Some(_) => {
                self.hinted(&own, "`methods` is not a list", "write `[GET]`");
                return Vec::new();
            }
        };
        let mut methods = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let named = item.as_str().ok_or("is not text").and_then(method);
            match named {
                Ok(named) => methods.push(named),
                Err(what) => {
                    let own = own.join(Step::Index(index));
                    self.fault(&own, format!("the method {item} {what}"));
                }
            }
        }
        if methods.len() > 1 && methods.iter().any(|method| method == "*") {
            self.hinted(&own, "`methods` has * beside other methods", "write `[*]` for all");
        }
        methods
    }

    /// Refuses a second route for the same path and method: it is never called, or the server does
    /// not start.
    fn refuse_repeated(&mut self, routes: &[Route]) {
        if !self.faults.is_empty() {
            return;
        }
        let mut seen: BTreeMap<(&str, bool), BTreeSet<&str>> = BTreeMap::new();
        for (index, route) in routes.iter().enumerate() {
            let (is_python, methods): (bool, Vec<&str>) = match &route.source {
                Source::Python { methods, .. } => {
                    (true, methods.iter().map(String::as_str).collect())
                }
                Source::Static(_) => (false, OF_STATIC.to_vec()),
            };
            let taken = seen.entry((&route.path, is_python)).or_default();
            let repeats = |method: &&str| {
                taken.contains(method) || taken.contains("*") || *method == "*" && !taken.is_empty()
            };
            let mut repeated = methods.iter().find(|method| repeats(method)).copied();
            for method in methods {
                if !taken.insert(method) {
                    repeated = repeated.or(Some(method));
                }
            }
            if let Some(method) = repeated {
                let at = FieldPath::of(&["routes"]).join(Step::Index(index)).field("path");
                let told = match is_python {
                    true => format!("{} has a route for {method} already", route.path),
                    false => format!("{} has a static route already", route.path),
                };
                self.hinted(&at, told, "remove one of them");
            }
        }
    }
}

fn is(name: &str, only: &str) -> String {
    format!("write `{name}: {only}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong, as lines.
    fn wrong(document: &Value) -> Vec<String> {
        let faults = Website::read(document).unwrap_err();
        faults.iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect()
    }

    fn with(routes: &Value) -> Value {
        json!({"kind": "WebServer", "version": "v1", "routes": routes})
    }

    #[test]
    fn a_file_is_read_and_written_again() {
        let document = json!({
            "kind": "WebServer", "version": "v1", "host": " ::1 ", "port": "80", "routes": [
                {"path": " /a ", "python": " a.py ", "methods": [" get ", "Post"], "static": null},
                {"path": "/b", "static": "b", "methods": null},
                {"path": "/c", "python": "c.py"},
            ],
        });
        let website = Website::read(&document).unwrap();
        let written = json!({
            "kind": "WebServer", "version": "v1", "host": "::1", "port": 80, "routes": [
                {"path": "/a", "methods": ["GET", "POST"], "python": "a.py"},
                {"path": "/b", "static": "b"},
                {"path": "/c", "methods": ["GET"], "python": "c.py"},
            ],
        });
        assert_eq!(website.document(), written);
        assert_eq!(Website::read(&written).unwrap(), website);
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_place() {
        let missing = [": `kind` is missing", ": `version` is missing", ": `routes` is missing"];
        assert_eq!(wrong(&json!(null)), missing);
        let document = json!({
            "kind": "Webserver", "version": 1, "host": " ", "port": 70000, "hots": "x",
            "routes": [
                {"path": "a", "python": "a.py", "method": ["GET"]},
                {"path": 5, "static": "x", "methods": ["GET"]},
                {"path": "/x"},
                {"path": "/x", "python": "a", "static": "b"},
                {"python": "a.py", "methods": []},
                {"path": "/y", "python": "a\0b", "methods": ["", "G T", 5]},
                7,
            ],
        });
        assert_eq!(
            wrong(&document),
            [
                "hots: the field `hots` is not known here",
                "kind: `kind` is not WebServer",
                "version: `version` is not v1",
                "host: `host` is empty",
                "port: `port` is not a number from 1 to 65535",
                "routes[0].method: the field `method` is not known here",
                "routes[0].path: `path` must start with /, and is \"a\"",
                "routes[1].path: `path` is not text",
                "routes[1].methods: `methods` is only for routes with `python`",
                "routes[2]: a route has exactly one of `python` and `static`",
                "routes[3]: a route has exactly one of `python` and `static`",
                "routes[4]: `path` is missing",
                "routes[4].methods: `methods` is empty",
                "routes[5].python: `python` contains a NUL character",
                "routes[6]: a route is a map with `path`, and `python` or `static`",
            ]
        );
        assert_eq!(wrong(&json!([])).len(), 1);
        let hint = Website::read(&document).unwrap_err()[0].hint.clone();
        assert_eq!(hint.as_deref(), Some("did you mean `host`?"));
    }

    #[test]
    fn one_path_has_one_route_for_a_method() {
        let python = |methods: &[&str]| json!({"path": "/", "python": "a.py", "methods": methods});
        for routes in [
            json!([python(&["GET"]), python(&["POST", "GET"])]),
            json!([python(&["GET"]), {"path": "/x", "static": "x"}, python(&["*"])]),
            json!([python(&["*"]), python(&["PUT"])]),
            json!([python(&["GET", "get"])]),
            json!([{"path": "/", "static": "a"}, {"path": "/", "static": "b"}]),
        ] {
            assert_eq!(wrong(&with(&routes)).len(), 1, "{routes}");
        }
        assert_eq!(
            wrong(&with(&json!([python(&["*", "GET"])]))),
            ["routes[0].methods: `methods` has * beside other methods"]
        );
    }
}
