//! A service at URLs, wherever it runs: it is asked whether it is live, its agents are called to the
//! room, and the tools of its MCP servers are offered there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::ClientBuilder;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::servers::Offered;
use super::super::toolkits::agents::{admit, invite, invite_by};
use super::journal::Journal;
use crate::agents::mcp::Server;
use crate::api::{http, post};
use crate::error::with_causes;
use crate::kinds::specs::service::{
    EndpointSpec, McpEndpointSpec, MeshagentEndpointSpec, PortSpec, ServiceSpec,
};
use crate::platform::auth::participant::Given;
use crate::platform::auth::scope;

/// How long a service may take to say that it is live.
const ALIVE: Duration = Duration::from_secs(5);

/// The MCP servers whose tools are offered; each says why it ended.
pub type Servers = JoinSet<String>;

/// A service at URLs.
pub struct Site {
    /// Where what happens to it is told.
    pub journal: Journal,
    /// The service.
    pub spec: Arc<ServiceSpec>,
    /// Where its ports are, by their places in the list of ports.
    pub bases: Vec<String>,
    /// Where its agents reach the room.
    pub room_url: String,
    /// Whether it is in a container of this platform. What is sent there is seen by this machine
    /// alone.
    pub is_inside: bool,
}

impl Site {
    /// The ports with their addresses.
    fn ports(&self) -> impl Iterator<Item = (&str, &PortSpec)> {
        let ports = self.spec.ports.iter().flatten();
        self.bases.iter().map(String::as_str).zip(ports)
    }

    /// The endpoints with their URLs.
    fn endpoints(&self) -> Vec<(String, &EndpointSpec)> {
        let mut endpoints = Vec::new();
        for (base, port) in self.ports() {
            endpoints.extend(port.endpoints.iter().map(|it| (at(base, &it.path), it)));
        }
        endpoints
    }

    fn client(&self, url: &str) -> ClientBuilder {
        if self.is_inside { http::of_container(url) } else { http::of_platform(url) }
    }

    /// Whether it says that it is live, on each port that has a path for that.
    ///
    /// # Errors
    ///
    /// Why it is not, as a phrase.
    pub async fn is_live(&self) -> Result<(), String> {
        let paths: Vec<(String, &str)> = self
            .ports()
            .filter_map(|(base, port)| port.liveness.as_deref().map(|path| (at(base, path), path)))
            .collect();
        for (url, path) in paths {
            let client = http::build(self.client(&url)).map_err(|error| with_causes(&error))?;
            let answer = timeout(ALIVE, http::send(client.get(&url))).await;
            let answer = answer.map_err(|_| "it does not say that it is alive".to_owned())?;
            let status = answer.map_err(|unanswered| unanswered.to_string())?.status();
            if status.as_u16() != 200 {
                return Err(format!("it is not alive: {path} answered with {status}"));
            }
        }
        Ok(())
    }

    /// Offers the tools of its MCP servers, and calls its agents, except those at URLs that were
    /// called already.
    ///
    /// # Errors
    ///
    /// Why not all of that was done, as a phrase.
    pub async fn call(&self, called: &mut BTreeSet<String>) -> Result<Servers, String> {
        let endpoints = self.endpoints();
        let mut servers = Servers::new();
        for (url, endpoint) in &endpoints {
            if let Some(server) = &endpoint.mcp {
                self.offer(url, server, &mut servers).await?;
            }
        }
        for (url, endpoint) in endpoints {
            if let Some(agent) = &endpoint.meshagent
                && !called.contains(&url)
            {
                self.invite(&url, agent).await?;
                called.insert(url);
            }
        }
        Ok(servers)
    }

    /// Offers the tools of an MCP server.
    async fn offer(
        &self,
        url: &str,
        endpoint: &McpEndpointSpec,
        servers: &mut Servers,
    ) -> Result<(), String> {
        let journal = self.journal.clone();
        let log = move |what: &str| journal.log("WARN", what);
        let headers = endpoint.headers.clone().unwrap_or_default();
        let server = match self.is_inside {
            true => Server::connect_by(self.client(url), url, &headers).await?,
            false => Server::connect(url, &headers).await?,
        };
        let offered = Offered::of(&self.journal.room, endpoint, server, log).await?;
        let (ready, is_ready) = oneshot::channel();
        servers.spawn(offered.run(ready));
        match is_ready.await {
            Ok(()) => Ok(()),
            Err(_) => Err(ended(servers).await.unwrap_or_default()),
        }
    }

    /// Calls an agent.
    async fn invite(&self, url: &str, agent: &MeshagentEndpointSpec) -> Result<(), String> {
        let room = &self.journal.room;
        let api = match &agent.api {
            Some(api) => serde_json::to_value(api).map_err(|error| error.to_string())?,
            None => scope::usual(),
        };
        let signed = async {
            let given = Given::of_owner(room.house.store.reads(), &room.project).await?;
            let who = (agent.identity.as_str(), "agent");
            admit(room, given, who, scope::present(api)).await
        };
        let token = signed.await.map_err(|refusal| refusal.to_string())?;
        let call = (url, json!({}));
        let invited = match self.is_inside {
            true => {
                let client = post::client_of(self.client(url)).map_err(|it| with_causes(&it))?;
                invite_by(&client, (room, &self.room_url), &token, call).await
            }
            false => invite(room, &self.room_url, &token, call).await,
        };
        invited.map_err(|refused| refused.text)
    }
}

/// A path below an address.
fn at(base: &str, path: &str) -> String {
    format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'))
}

/// Why the first of some servers ended; none if there are none.
pub async fn ended(servers: &mut Servers) -> Option<String> {
    let ended = servers.join_next().await?;
    Some(ended.unwrap_or_else(|error| error.to_string()))
}
