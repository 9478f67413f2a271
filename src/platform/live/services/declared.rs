//! *Pure*: what a stored service asks of its container, in one form whichever API wrote it, and
//! what of that this platform does not have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::kinds::specs::service::{MeshagentEndpointSpec, PortNumber, ServiceSpec};
use crate::platform::auth::token;
use crate::platform::objects::services::Effective;

/// Where the template `agent` of 0.56 mounts the files of the room.
const FILES: &str = "/data";

/// The port of a process that is told which one it has, if no other port is that.
const USUAL: u16 = 8080;

/// What an account must be granted for its secrets to be read as variables.
const READ: &str = "secrets:read";

/// A service as it is stored.
#[derive(Debug)]
pub struct Declared {
    /// Its id.
    pub id: String,
    /// What 0.31 can say of it.
    pub spec: Arc<ServiceSpec>,
    /// What identifies everything that it says.
    pub digest: String,
    /// Whether its container has the template `agent`.
    pub is_agent: bool,
    /// The secrets of accounts and users that are variables, by the names of the variables.
    pub secrets: BTreeMap<String, String>,
    /// The secret that its image is pulled with.
    pub pull_secret: Option<String>,
    /// What is mounted.
    pub storage: Value,
    /// The release that stands in for `{SERVER_VERSION}`.
    release: &'static str,
    /// What 0.56 says of it; null if 0.31 wrote it.
    whole: Value,
}

impl Declared {
    /// Reads a stored service.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn read(stored: Effective) -> Result<Self, serde_json::Error> {
        let spec: ServiceSpec = serde_json::from_str(&stored.document)?;
        let whole: Value = match &stored.whole {
            Some(whole) => serde_json::from_str(whole)?,
            None => Value::Null,
        };
        let digest = Self::digest(&stored);
        let container = &whole["container"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let variables = container["environment"].as_array().into_iter().flatten();
        let secrets = variables
            .filter_map(|it| Some((text(&it["name"])?, text(&it["secret"]["id"])?)))
            .collect();
        let of_old = spec.container.as_ref();
        let pull_secret = match text(&container["pull_secret"]["id"]) {
            Some(id) => Some(id),
            None => of_old.and_then(|it| it.pull_secret.clone()),
        };
        let is_agent = container["template"] == "agent";
        let mut storage = match whole.is_null() {
            true => serde_json::to_value(of_old.and_then(|it| it.storage.as_ref()))?,
            false => container["storage"].clone(),
        };
        if is_agent {
            mount_files(&mut storage);
        }
        Ok(Self {
            id: stored.id,
            digest,
            is_agent,
            secrets,
            pull_secret,
            storage,
            release: if whole.is_null() { token::VERSION } else { token::LATER },
            spec: Arc::new(spec),
            whole,
        })
    }

    /// What identifies everything that a stored service says.
    pub fn digest(stored: &Effective) -> String {
        let whole = stored.whole.as_deref().unwrap_or_default();
        let digest = Sha256::new_with_prefix(&stored.document).chain_update([0]);
        let digest = digest.chain_update(whole).finalize();
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Why this platform cannot run it, whatever happens.
    pub fn impossible(&self) -> Option<String> {
        if self.spec.waits_for_approval() {
            return Some("calls of its tools wait for approvals, and nobody gives them".to_owned());
        }
        let container = self.spec.container.as_ref()?;
        if container.api_key.is_some() {
            let why = "it asks for an API key (`api_key`), which has the rights of an admin, and \
                 this platform gives none to containers; give it a `token` in `environment`";
            return Some(why.to_owned());
        }
        let scopes = self.whole["container"]["run_as"]["scopes"].as_array();
        let reads = scopes.is_some_and(|scopes| scopes.iter().any(|scope| scope == READ));
        if let Some(name) = self.secrets.keys().next().filter(|_| !reads) {
            return Some(format!(
                "the variable {name} is a secret that its account may only use in requests: this \
                 platform has no proxy for that, so `run_as` needs the scope {READ}"
            ));
        }
        let ports = self.whole["ports"].as_array().into_iter().flatten();
        let mut endpoints = ports.flat_map(|port| port["endpoints"].as_array()).flatten();
        if endpoints.any(|endpoint| endpoint["mcp"]["use_proxy_secret"].is_string()) {
            let why = "an MCP server is used with a secret by a proxy (`use_proxy_secret`), which \
                 this platform does not have";
            return Some(why.to_owned());
        }
        self.numbers().err()
    }

    /// What it asks for that its container goes without.
    pub fn missing(&self) -> Option<String> {
        let mut missing = Vec::new();
        if self.whole["files"].as_array().is_some_and(|files| !files.is_empty()) {
            missing.push("`files` are not given to it");
        }
        if self.is_agent {
            missing.push("the template `agent` gives it no variables for mail and telemetry");
        }
        (!missing.is_empty()).then(|| missing.join("; "))
    }

    /// Its image.
    pub fn image(&self) -> String {
        let image = self.spec.container.as_ref().map(|it| it.image.as_str()).unwrap_or_default();
        image.replace("{SERVER_VERSION}", self.release)
    }

    /// The numbers of its ports, by their places, and which one its process is told.
    ///
    /// # Errors
    ///
    /// More than one is to be told, or a number is none.
    pub fn numbers(&self) -> Result<(Vec<u16>, Option<u16>), String> {
        let ports = self.spec.ports.as_deref().unwrap_or_default();
        let mut numbers = Vec::new();
        for port in ports {
            numbers.push(match port.num {
                PortNumber::Any => None,
                PortNumber::Fixed(number) => Some(
                    u16::try_from(number)
                        .map_err(|_| format!("{number} is no number of a port"))?,
                ),
            });
        }
        let taken: BTreeSet<u16> = numbers.iter().flatten().copied().collect();
        let free = (USUAL..).find(|number| !taken.contains(number)).unwrap_or(USUAL);
        match numbers.iter().filter(|number| number.is_none()).count() {
            0 => Ok((numbers.into_iter().flatten().collect(), None)),
            1 => Ok((numbers.into_iter().map(|it| it.unwrap_or(free)).collect(), Some(free))),
            _ => Err("more than one port has the number `*`, and a process is told one".to_owned()),
        }
    }

    /// The ports of this machine that lead to it, by the numbers inside.
    pub fn host_ports(&self) -> BTreeMap<u16, u16> {
        let Ok((numbers, _)) = self.numbers() else { return BTreeMap::new() };
        let ports = self.whole["ports"].as_array().into_iter().flatten();
        let of = |(port, number): (&Value, u16)| {
            Some((number, u16::try_from(port["host_port"].as_u64()?).ok()?))
        };
        ports.zip(numbers).filter_map(of).collect()
    }

    /// Who its container is in the room, if it is given a token without asking for one: the first
    /// agent that is called there.
    pub fn own(&self) -> Option<(&str, Option<&MeshagentEndpointSpec>)> {
        let endpoints = self.spec.ports.iter().flatten().flat_map(|port| &port.endpoints);
        let called = endpoints.filter_map(|endpoint| endpoint.meshagent.as_ref()).next();
        let agent = self.spec.agents.iter().flatten().next().map(|agent| agent.name.as_str());
        match called {
            Some(called) => Some((&called.identity, Some(called))),
            None if self.is_agent => Some((agent.unwrap_or(&self.spec.metadata.name), None)),
            None => None,
        }
    }
}

/// Mounts the files of the room, unless something else is there.
fn mount_files(storage: &mut Value) {
    if !storage.is_object() {
        *storage = json!({});
    }
    let lists = storage.as_object().into_iter().flat_map(serde_json::Map::values);
    let mut mounts = lists.filter_map(Value::as_array).flatten();
    let is_there = |mount: &Value| {
        mount["path"].as_str().is_some_and(|path| path.trim_end_matches('/') == FILES)
    };
    if mounts.any(is_there) {
        return;
    }
    let mount = json!({ "path": FILES });
    match storage["room"].as_array_mut() {
        Some(room) => room.push(mount),
        None => storage["room"] = json!([mount]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(spec: Value, whole: Option<Value>) -> Effective {
        let mut document = json!({"version": "v1", "kind": "Service", "metadata": {"name": "s"}});
        document.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        Effective {
            id: "i".to_owned(),
            document: document.to_string(),
            whole: whole.map(|it| it.to_string()),
        }
    }

    fn declared(spec: Value, whole: Option<Value>) -> Declared {
        Declared::read(stored(spec, whole)).expect("a service")
    }

    fn boxed(rest: Value) -> Value {
        let mut container = json!({"image": "x"});
        container.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({ "container": container })
    }

    #[test]
    fn the_release_of_an_image_is_that_of_the_api_that_wrote_it() {
        let spec = json!({"container": {"image": "a/b:{SERVER_VERSION}-esgz"}});
        assert_eq!(declared(spec.clone(), None).image(), "a/b:0.31.4-esgz");
        assert_eq!(declared(spec, Some(json!({}))).image(), "a/b:0.56.0-esgz");
    }

    #[test]
    fn a_process_is_told_the_port_that_it_may_choose() {
        let ports = |numbers: Value| {
            let ports: Vec<Value> =
                numbers.as_array().unwrap().iter().map(|num| json!({ "num": num })).collect();
            declared(json!({"container": {"image": "x"}, "ports": ports}), None).numbers()
        };
        assert_eq!(ports(json!([])), Ok((vec![], None)));
        assert_eq!(ports(json!([80, "81"])), Ok((vec![80, 81], None)));
        assert_eq!(ports(json!(["*", 80])), Ok((vec![8080, 80], Some(8080))));
        assert_eq!(ports(json!([8080, "*", 8081])), Ok((vec![8080, 8082, 8081], Some(8082))));
        assert!(ports(json!(["*", "*"])).is_err());
        assert!(ports(json!([70000])).is_err());
    }

    #[test]
    fn what_the_platform_does_not_have_is_told_by_its_name() {
        let told = |spec: Value, whole: Option<Value>| declared(spec, whole).impossible();
        assert_eq!(told(boxed(json!({})), None), None);
        let key = json!({"api_key": {"role": "admin", "name": "k"}});
        assert!(told(boxed(key), None).is_some_and(|why| why.contains("`api_key`")));
        let whole = |scopes: Value| {
            let variable = json!({"name": "A", "secret": {"id": "s"}});
            let run_as = json!({"email": "a@b", "scopes": scopes});
            Some(json!({"container": {"environment": [variable], "run_as": run_as}}))
        };
        let proxied = told(boxed(json!({})), whole(json!(["secrets:proxy"])));
        assert!(proxied.is_some_and(|why| why.contains("variable A") && why.contains(READ)));
        assert_eq!(told(boxed(json!({})), whole(json!([READ]))), None);
        let mcp = json!({"ports": [{"endpoints": [{"mcp": {"use_proxy_secret": "x"}}]}]});
        let proxied = told(boxed(json!({})), Some(mcp));
        assert!(proxied.is_some_and(|why| why.contains("`use_proxy_secret`")));
        let mut waits = boxed(json!({}));
        let mcp = json!({"label": "l", "require_approval": "always"});
        waits["ports"] = json!([{"endpoints": [{"path": "/", "mcp": mcp}]}]);
        assert!(told(waits, None).is_some_and(|why| why.contains("approvals")));
    }

    #[test]
    fn the_template_of_agents_mounts_the_files_of_the_room_and_brings_a_name() {
        let agent = |storage: Value, agents: Value| {
            let mut spec = boxed(json!({}));
            spec["agents"] = agents;
            let container = json!({"template": "agent", "storage": storage});
            declared(spec, Some(json!({ "container": container })))
        };
        let plain = agent(Value::Null, Value::Null);
        assert_eq!(plain.storage, json!({"room": [{"path": "/data"}]}));
        assert_eq!(plain.own().map(|(name, _)| name), Some("s"));
        assert!(plain.missing().is_some_and(|it| it.contains("`agent`")));
        let own =
            agent(json!({"volumes": [{"name": "v", "path": "/data/"}]}), json!([{"name": "bot"}]));
        assert_eq!(own.storage["room"], Value::Null);
        assert_eq!(own.own().map(|(name, _)| name), Some("bot"));
        let none = declared(boxed(json!({})), None);
        assert!(none.own().is_none() && none.missing().is_none() && none.storage.is_null());
    }

    #[test]
    fn what_is_called_at_an_endpoint_is_who_the_container_is() {
        let mut spec = boxed(json!({"pull_secret": "p"}));
        spec["ports"] = json!([{"num": 80, "endpoints": [
            {"path": "/", "meshagent": {"identity": "bot"}},
        ]}]);
        let whole = json!({
            "container": {"pull_secret": {"id": "q"}}, "ports": [{"num": 80, "host_port": 8081}],
        });
        let old = declared(spec.clone(), None);
        assert_eq!(old.own().map(|(name, _)| name), Some("bot"));
        assert_eq!((old.pull_secret.as_deref(), old.host_ports().len()), (Some("p"), 0));
        let new = declared(spec, Some(whole));
        assert_eq!(new.pull_secret.as_deref(), Some("q"));
        assert_eq!(new.host_ports(), BTreeMap::from([(80, 8081)]));
        assert_ne!(new.digest, old.digest);
    }
}
