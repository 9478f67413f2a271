//! *Pure*: the service that a webserver becomes: a container that serves files of its room.

use serde_json::{Value, json};

use crate::kinds::agents::service::{About, IMAGE, TOKEN, token};

/// What describes the service of a webserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described<'a> {
    /// What is said of the service.
    pub about: &'a About,
    /// The name with which the webserver takes part in its room.
    pub agent: &'a str,
    /// The port that it listens on.
    pub port: u16,
    /// The folder in the room that holds the files.
    pub folder: &'a str,
    /// The command line that the container runs.
    pub command: &'a str,
}

/// The variables with which the container acts in its room, and calls models through it.
const TOKENS: [&str; 3] = [TOKEN, "OPENAI_API_KEY", "ANTHROPIC_API_KEY"];

/// The annotation that says which sort of agent one is.
const TYPE: &str = "meshagent.agent.type";

/// What it says of webservers.
const AGENT_TYPE: &str = "WebServer";

/// Whether a service is a webserver; else what it is, for people.
///
/// # Errors
///
/// What it is.
pub fn is_webserver(service: &Value) -> Result<(), String> {
    let agents = service["agents"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sorts = agents.iter().map(|agent| agent["annotations"][TYPE].as_str());
    let other: Vec<&str> = sorts.clone().flatten().filter(|sort| *sort != AGENT_TYPE).collect();
    match (other.first(), sorts.flatten().next()) {
        (Some(sort), _) => Err(format!("an agent of the sort {sort}")),
        (None, Some(_)) => Ok(()),
        (None, None) => Err(match service["container"]["image"].as_str() {
            Some(image) => format!("a service with the image {image}"),
            None => "a service without a container".to_owned(),
        }),
    }
}

/// Whether a service is a webserver whose files are in this folder of its room.
#[must_use]
pub fn has_files_in(service: &Value, folder: &str) -> bool {
    let mounts = service["container"]["storage"]["room"].as_array();
    let plain = |text: &str| text.trim_matches('/').to_owned();
    let is_it = |mount: &Value| mount["subpath"].as_str().map(plain) == Some(plain(folder));
    is_webserver(service).is_ok() && mounts.into_iter().flatten().any(is_it)
}

/// How long a path in a room and a part of it may be, in bytes.
const LENGTH: usize = 1024;
const PART: usize = 255;

/// Whether a file in a room can have a path.
///
/// # Errors
///
/// What is wrong with it, as a phrase.
pub fn check_path(path: &str) -> Result<(), &'static str> {
    if path.len() > LENGTH {
        Err("is longer than 1024 bytes in the room")
    } else if path.split('/').any(|part| part.len() > PART) {
        Err("has a part of more than 255 bytes")
    } else if path.chars().any(char::is_control) {
        Err("has a control character, which no file of a room has")
    } else {
        Ok(())
    }
}

impl Described<'_> {
    /// The service.
    #[must_use]
    pub fn service(&self) -> Value {
        let mount = json!({"path": self.folder, "subpath": self.folder, "read_only": true});
        let container = json!({
            "image": IMAGE,
            "command": self.command,
            "working_dir": self.folder,
            "environment": TOKENS.map(|name| token(name, self.agent)),
            "storage": {"room": [mount]},
        });
        let agents = json!([{"name": self.agent, "annotations": {TYPE: AGENT_TYPE}}]);
        let ports = json!([{
            "num": self.port,
            "type": "http",
            "endpoints": [],
            "liveness": "/",
            "published": true,
            "public": true,
        }]);
        self.about.service(agents, ports, container)
    }
}

/// The folder in the room that a text names, from the root and without a slash at the end.
///
/// # Errors
///
/// What is wrong with it, as a phrase.
pub fn folder(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Err("is empty");
    }
    let text = text.strip_prefix("room://").unwrap_or(text);
    if text.contains('\0') {
        return Err("contains a NUL character");
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| matches!(*part, "." | "..")) {
        return Err("cannot contain the parts . and ..");
    }
    match parts.is_empty() {
        true => Err("is the root of the room, and must be a folder in it"),
        false => {
            let path = format!("/{}", parts.join("/"));
            check_path(&path).map(|()| path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_the_room_is_not_its_root() {
        for text in
            ["sites/web", "/sites/web/", "room://sites/web", "room:///sites//web", " /sites/web "]
        {
            assert_eq!(folder(text).as_deref(), Ok("/sites/web"), "{text}");
        }
        for text in ["", " ", "/", "room://", "room:///", "a/../b", ".", "../x", "a\0b", "a\nb"] {
            assert!(folder(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn webservers_are_told_from_other_services() {
        let of = |sort: &str| json!({"agents": [{"annotations": {TYPE: sort}}]});
        let sort = |service: &Value| is_webserver(service).err();
        assert_eq!(sort(&of("WebServer")), None);
        assert_eq!(sort(&of("ChatBot")).as_deref(), Some("an agent of the sort ChatBot"));
        let image = json!({"agents": [{"name": "a"}], "container": {"image": "i"}});
        assert_eq!(sort(&image).as_deref(), Some("a service with the image i"));
        assert_eq!(sort(&json!({})).as_deref(), Some("a service without a container"));
        let about =
            About { secrets: ["a", "b", "a"].map(str::to_owned).to_vec(), ..About::default() };
        let described =
            Described { about: &about, agent: "w", port: 1, folder: "/w/x", command: "c" };
        let service = described.service();
        assert!(has_files_in(&service, "/w/x") && !has_files_in(&service, "/w"));
        assert_eq!(service["container"]["secrets"], json!(["a", "b"]));
    }
}
