//! Services that run elsewhere (`external`). While their room runs, their agents are called to it,
//! again until they answer, and the tools of their MCP servers are offered there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::room::{Room, since_1970};
use super::servers::Offered;
use super::services::states;
use super::toolkits::agents::{admit, invite};
use crate::api::http;
use crate::error::with_causes;
use crate::kinds::specs::service::{McpEndpointSpec, MeshagentEndpointSpec, ServiceSpec};
use crate::platform::auth::participant::Given;
use crate::platform::auth::scope;
use crate::room::developer::Event;

/// How long to wait before a service is called again, at first and at most.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// How long a service may take to say that it is alive.
const ALIVE: Duration = Duration::from_secs(5);

/// The longest reason that is told of a service that does not run, in characters.
const MESSAGE: usize = 500;

/// The MCP servers whose tools are offered; each says why it ended.
type Servers = JoinSet<String>;

/// A service that runs elsewhere.
pub struct External {
    journal: Journal,
    url: String,
    spec: ServiceSpec,
    again: Arc<Notify>,
}

impl External {
    /// The service in a room, unless it does not run elsewhere, or cannot work here: calls of its
    /// tools would have to be approved. `again` has it called again.
    pub fn of(room: &Arc<Room>, id: &str, spec: ServiceSpec, again: &Arc<Notify>) -> Option<Self> {
        let url = spec.external.as_ref()?.url.as_ref()?.trim_end_matches('/').to_owned();
        if spec.waits_for_approval() {
            return None;
        }
        let name = spec.metadata.name.clone();
        let journal = Journal { room: Arc::clone(room), id: id.to_owned(), name };
        Some(Self { journal, url, spec, again: Arc::clone(again) })
    }

    /// Has the service work in the room, and starts again when that is asked for or one of its MCP
    /// servers is gone.
    pub async fn run(self) {
        let Journal { room, id, .. } = &self.journal;
        loop {
            let mut servers = self.reach().await;
            let started_at = Some(now());
            room.services.change(id, |state| {
                state.state = states::RUNNING.to_owned();
                state.started_at = started_at;
                state.restart_scheduled_at = None;
                state.message = None;
            });
            self.journal.log("INFO", "the service was called to the room");
            let why = tokio::select! {
                () = self.again.notified() => None,
                Some(why) = ended(&mut servers) => {
                    let why = format!("a toolkit of the service is gone: {why}");
                    self.journal.log("ERROR", &why);
                    Some(why)
                }
            };
            servers.shutdown().await;
            room.services.change(id, |state| {
                state.state = states::STARTING.to_owned();
                state.message = why.as_deref().map(brief);
                state.restart_count += 1;
            });
        }
    }

    async fn reach(&self) -> Servers {
        let Journal { room, id, .. } = &self.journal;
        let mut called = BTreeSet::new();
        let mut pause = PAUSE;
        loop {
            let what = match self.call(&mut called).await {
                Ok(servers) => return servers,
                Err(what) => what,
            };
            self.journal.log("ERROR", &format!("the service was not called to the room: {what}"));
            let at = Some(now() + pause.as_secs_f64());
            room.services.change(id, |state| {
                state.state = states::FAILING.to_owned();
                state.restart_scheduled_at = at;
                state.message = Some(brief(&what));
                state.restart_count += 1;
            });
            tokio::select! {
                () = sleep(pause) => {}
                () = self.again.notified() => {}
            }
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Offers the tools of its MCP servers, and calls its agents, except those that were called
    /// already.
    async fn call<'a>(&'a self, called: &mut BTreeSet<&'a str>) -> Result<Servers, String> {
        let ports = || self.spec.ports.iter().flatten();
        for path in ports().filter_map(|port| port.liveness.as_ref()) {
            self.is_alive(path).await?;
        }
        let endpoints = || ports().flat_map(|port| &port.endpoints);
        let mut servers = Servers::new();
        for endpoint in endpoints() {
            if let Some(server) = &endpoint.mcp {
                self.offer(&endpoint.path, server, &mut servers).await?;
            }
        }
        for endpoint in endpoints() {
            if let Some(agent) = &endpoint.meshagent
                && !called.contains(endpoint.path.as_str())
            {
                self.invite(&endpoint.path, agent).await?;
                called.insert(&endpoint.path);
            }
        }
        Ok(servers)
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{}", self.url, path.trim_start_matches('/'))
    }

    async fn is_alive(&self, path: &str) -> Result<(), String> {
        let url = self.at(path);
        let client = http::build(http::of_platform(&url)).map_err(|error| with_causes(&error))?;
        let answer = timeout(ALIVE, http::send(client.get(&url))).await;
        let answer = answer.map_err(|_| "it does not say that it is alive".to_owned())?;
        let status = answer.map_err(|unanswered| unanswered.to_string())?.status();
        match status.as_u16() {
            200 => Ok(()),
            _ => Err(format!("it is not alive: {path} answered with {status}")),
        }
    }

    /// Offers the tools of an MCP server.
    async fn offer(
        &self,
        path: &str,
        endpoint: &McpEndpointSpec,
        servers: &mut Servers,
    ) -> Result<(), String> {
        let journal = self.journal.clone();
        let log = move |what: &str| journal.log("WARN", what);
        let offered = Offered::connect(&self.journal.room, endpoint, &self.at(path), log).await?;
        let (ready, is_ready) = oneshot::channel();
        servers.spawn(offered.run(ready));
        match is_ready.await {
            Ok(()) => Ok(()),
            Err(_) => Err(ended(servers).await.unwrap_or_default()),
        }
    }

    /// Calls an agent.
    async fn invite(&self, path: &str, agent: &MeshagentEndpointSpec) -> Result<(), String> {
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
        let invited = invite(room, &room.url, &token, (&self.at(path), json!({}))).await;
        invited.map_err(|refused| refused.text)
    }
}

/// Why the first of some servers ended; none if there are none.
async fn ended(servers: &mut Servers) -> Option<String> {
    let ended = servers.join_next().await?;
    Some(ended.unwrap_or_else(|error| error.to_string()))
}

/// The beginning of a reason, which may hold what a stranger answered.
fn brief(why: &str) -> String {
    why.chars().take(MESSAGE).collect()
}

/// Seconds since 1970.
fn now() -> f64 {
    since_1970().as_secs_f64()
}

/// What a service logs in its room.
#[derive(Clone)]
struct Journal {
    room: Arc<Room>,
    id: String,
    name: String,
}

impl Journal {
    /// Logs a line for those who watch the room.
    fn log(&self, severity: &str, body: &str) {
        let nanos = since_1970().as_nanos();
        let about = [
            ("service.name", self.name.as_str()),
            ("meshagent.room", self.room.name.as_str()),
            ("meshagent.session", self.room.session.as_str()),
        ];
        let extra = Map::from_iter([("service_id".to_owned(), Value::from(self.id.clone()))]);
        self.room.log(&Event::logged(nanos, severity, body, &extra, &about));
    }
}
