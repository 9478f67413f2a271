//! *Pure*: the service that a webserver becomes: a container that serves files of its room.

use serde_json::{Value, json};

use crate::kinds::agents::service::IMAGE;
use crate::kinds::specs::scope::ApiScope;

/// What describes the service of a webserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described<'a> {
    /// The name of the service; the agent's if absent.
    pub name: Option<&'a str>,
    /// What it is for.
    pub description: Option<&'a str>,
    /// The name with which the webserver takes part in its room.
    pub agent: &'a str,
    /// The secrets of the project whose values the container has as variables.
    pub secrets: &'a [String],
    /// The port that it listens on.
    pub port: u16,
    /// The folder in the room that holds the files.
    pub folder: &'a str,
    /// The command line that the container runs.
    pub command: &'a str,
}

/// The variables with which the container acts in its room, and calls models through it.
const TOKENS: [&str; 3] = ["MESHAGENT_TOKEN", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"];

impl Described<'_> {
    /// The name of the service.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.unwrap_or(self.agent)
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> Value {
        let name = self.name();
        let mut metadata = json!({"name": name});
        if let Some(description) = self.description {
            metadata["description"] = description.into();
        }
        metadata["annotations"] = json!({"meshagent.service.id": name});
        let token = json!({"identity": self.agent, "api": ApiScope::of_agents(), "role": "agent"});
        let variable = |name: &str| json!({"name": name, "token": token});
        let mount = json!({"path": self.folder, "subpath": self.folder, "read_only": true});
        let mut container = json!({
            "image": IMAGE,
            "command": self.command,
            "working_dir": self.folder,
            "environment": TOKENS.map(variable),
        });
        if !self.secrets.is_empty() {
            container["secrets"] = self.secrets.into();
        }
        container["storage"] = json!({"room": [mount]});
        container["private"] = true.into();
        json!({
            "version": "v1",
            "kind": "Service",
            "metadata": metadata,
            "agents": [{
                "name": self.agent, "annotations": {"meshagent.agent.type": "WebServer"},
            }],
            "ports": [{
                "num": self.port,
                "type": "http",
                "endpoints": [],
                "liveness": "/",
                "published": true,
                "public": true,
            }],
            "container": container,
        })
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
        false => Ok(format!("/{}", parts.join("/"))),
    }
}

#[cfg(test)]
mod tests {
    use super::folder;

    #[test]
    fn a_folder_of_the_room_is_not_its_root() {
        for text in
            ["sites/web", "/sites/web/", "room://sites/web", "room:///sites//web", " /sites/web "]
        {
            assert_eq!(folder(text).as_deref(), Ok("/sites/web"), "{text}");
        }
        for text in ["", " ", "/", "room://", "room:///", "a/../b", ".", "../x", "a\0b"] {
            assert!(folder(text).is_err(), "{text:?}");
        }
    }
}
