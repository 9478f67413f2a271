//! *Pure*: the service that an agent becomes: a container that runs the reference's command line.

use indexmap::IndexSet;
use serde_json::{Map, Value, json};

use super::check::channels;
use super::family::{Action, Family};
use super::given::Given;
use super::words::{joined, without};
use crate::kinds::specs::scope::ApiScope;

/// The image that has the reference's command line.
pub const IMAGE: &str = "meshagent/cli:default";

/// What is not said again in the container: it describes the service, or where it is placed.
const OF_THE_SERVICE: [&str; 6] =
    ["service-name", "service-title", "service-description", "secret", "project-id", "room"];

/// The same for agents that enter their room by themselves: nobody calls them.
const OF_THE_HOST: [&str; 2] = ["host", "path"];

/// What is said of a service of agents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The secrets of the project whose values the container has as variables, by name.
    pub secrets: Vec<String>,
}

impl About {
    /// What options say of it; without a name, it has that of the agent.
    #[must_use]
    pub fn of(given: &Given) -> Self {
        let name = given.text("service-name").or_else(|| given.text("agent-name"));
        Self {
            name: name.unwrap_or_default().to_owned(),
            description: given.text("service-description").map(str::to_owned),
            secrets: given.texts("secret").to_vec(),
        }
    }

    /// The service with these agents and ports, and what its container has beside the secrets.
    #[must_use]
    pub fn service(&self, agents: Value, ports: Value, mut container: Value) -> Value {
        let mut metadata = json!({"name": self.name});
        if let Some(description) = &self.description {
            metadata["description"] = description.as_str().into();
        }
        metadata["annotations"] = json!({"meshagent.service.id": self.name});
        let secrets: IndexSet<&String> = self.secrets.iter().collect();
        if !secrets.is_empty() {
            container["secrets"] = json!(secrets);
        }
        container["private"] = true.into();
        json!({
            "version": "v1", "kind": "Service", "metadata": metadata, "agents": agents,
            "ports": ports, "container": container,
        })
    }
}

/// The service of an agent. `words` are those behind the command, as they were typed.
#[must_use]
pub fn service(family: Family, action: Action, (given, words): (&Given, &[String])) -> Value {
    let agent = given.text("agent-name").unwrap_or_default();
    let container = json!({
        "image": IMAGE,
        "command": command(family, action, words),
        "environment": [token(TOKEN, agent)],
    });
    let agents = json!([{"name": agent, "annotations": annotations(family, given)}]);
    About::of(given).service(agents, ports(family, given, agent), container)
}

/// What the container does with an agent: codex is called to its rooms, the others enter them.
#[must_use]
pub const fn deployed(family: Family) -> Action {
    if family.is_codex() { Action::Service } else { Action::Join }
}

/// The variable with which the container enters its room.
pub(in crate::kinds) const TOKEN: &str = "MESHAGENT_TOKEN";

/// A variable that holds a token of an agent.
pub(super) fn token(name: &str, identity: &str) -> Value {
    let token = json!({"identity": identity, "api": ApiScope::of_agents(), "role": "agent"});
    json!({"name": name, "token": token})
}

/// The command of the container.
fn command(family: Family, action: Action, words: &[String]) -> String {
    let options = family.options(action);
    let mut left_out = OF_THE_SERVICE.to_vec();
    if !family.is_codex() {
        left_out.extend(OF_THE_HOST);
    }
    let runs = deployed(family).word();
    let begins = ["meshagent"].iter().chain(family.words()).chain([&runs]);
    let begins = begins.map(|word| (*word).to_owned());
    joined(&begins.chain(without(words, &options, &left_out)).collect::<Vec<_>>())
}

/// What people are shown of the agent.
pub(super) fn annotations(family: Family, given: &Given) -> Value {
    let chats = match family {
        Family::Process => {
            channels(given).is_ok_and(|channels| channels.iter().any(|it| it == "chat"))
        }
        Family::Chatbot | Family::CodexChatbot => true,
        _ => false,
    };
    let mut annotations = Map::new();
    if chats || family != Family::Process {
        annotations.insert("meshagent.agent.type".to_owned(), family.agent_type().into());
    }
    if chats {
        let mode = given.text("threading-mode").filter(|mode| *mode != "none");
        if let Some(mode) = mode {
            annotations.insert("meshagent.chatbot.threading".to_owned(), mode.into());
        }
        if let Some(folder) = given.filled("thread-dir") {
            let folder = folder.trim_end_matches('/');
            annotations.insert("meshagent.chatbot.thread-dir".to_owned(), folder.into());
            let list = format!("{folder}/index.threadl");
            annotations.insert("meshagent.chatbot.thread-list".to_owned(), list.into());
        }
    }
    annotations.into()
}

/// Where the agent is called to its room, if it does not enter by itself.
fn ports(family: Family, given: &Given, agent: &str) -> Value {
    if !family.is_codex() {
        return json!([]);
    }
    let port = given.text("port").and_then(|port| port.parse::<u16>().ok());
    let path = given.text("path").unwrap_or("/agent");
    let endpoint = json!({"path": path, "meshagent": {"identity": agent}});
    json!([{
        "num": port.map_or_else(|| json!("*"), Value::from),
        "type": "http",
        "endpoints": [endpoint],
    }])
}
