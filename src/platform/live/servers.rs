//! MCP servers of services: their tools are toolkits of the room while the service is there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rmcp::model::Tool;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::inside;
use super::room::Room;
use super::toolkits::agents::admit;
use crate::agents::Callee;
use crate::agents::mcp::{Server, offer};
use crate::agents::toolkit::Hosted;
use crate::kinds::specs::service::McpEndpointSpec;
use crate::platform::auth::participant::{Given, Participant};
use crate::platform::error::Result;
use crate::room::client;
use crate::room::content::Refused;
use crate::room::message::Message;

/// How often a server is asked which tools it has, in case that it does not tell of changes, or is
/// gone.
const LOOKING: Duration = Duration::from_secs(60);

/// A server whose tools are offered in a room.
pub struct Offered {
    room: Arc<Room>,
    endpoint: McpEndpointSpec,
    server: Server,
    tools: Vec<Tool>,
    participant: Participant,
    log: Box<dyn Fn(&str) + Send + Sync>,
}

impl Offered {
    /// Offers the tools of a server that was connected to. `log` takes what people should know.
    ///
    /// # Errors
    ///
    /// Why its tools cannot be offered, as a phrase.
    pub async fn of(
        room: &Arc<Room>,
        endpoint: &McpEndpointSpec,
        server: Server,
        log: impl Fn(&str) + Send + Sync + 'static,
    ) -> std::result::Result<Self, String> {
        let tools = server.tools().await?;
        let participant = participant(room, &endpoint.label).await;
        let participant = participant.map_err(|refusal| refusal.to_string())?;
        let (room, endpoint, log) = (Arc::clone(room), endpoint.clone(), Box::new(log));
        Ok(Self { room, endpoint, server, tools, participant, log })
    }

    /// Offers the tools until the server or the room is gone, and offers them anew when they
    /// change. Says when they are offered for the first time. Returns why it ended.
    pub async fn run(mut self, ready: oneshot::Sender<()>) -> String {
        let mut ready = Some(ready);
        loop {
            let (offer, left_out) = match offer(&self.endpoint, &self.tools) {
                Ok(offered) => offered,
                Err(why) => return why,
            };
            if !left_out.is_empty() {
                let names = left_out.join(", ");
                (self.log)(&format!("tools are left out, whose schemas cannot be used: {names}"));
            }
            let toolkit = Hosted::new(self.server.clone(), Arc::new(offer));
            let callee = Telling { callee: toolkit, ready: Mutex::new(ready.take()) };
            let known = (self.room.name.clone(), self.room.url.clone());
            let stop = CancellationToken::new();
            let working = inside::work(&self.room, self.participant.clone(), known, &callee, &stop);
            tokio::pin!(working);
            let tools = tokio::select! {
                worked = &mut working => {
                    return worked.err().unwrap_or_else(|| "it was dismissed".to_owned());
                }
                tools = self.changed() => tools,
            };
            // Calls that are running may end.
            stop.cancel();
            let _ = working.await;
            match tools {
                Ok(tools) => self.tools = tools,
                Err(why) => return why,
            }
        }
    }

    /// The tools, once they are others.
    async fn changed(&self) -> std::result::Result<Vec<Tool>, String> {
        loop {
            tokio::select! {
                () = self.server.changed() => {}
                () = sleep(LOOKING) => {}
            }
            let tools = self.server.tools().await?;
            if tools != self.tools {
                return Ok(tools);
            }
        }
    }
}

/// The participant that offers the tools. It may do nothing else.
async fn participant(room: &Room, label: &str) -> Result<Participant> {
    let store = &room.house.store;
    let given = Given::of_owner(store.reads(), &room.project).await?;
    let agents = json!({
        "register_public_toolkit": true,
        "register_private_toolkit": false,
        "register_agent": false,
        "call": false,
        "use_agents": false,
        "use_tools": false,
    });
    let token = admit(room, given, (label, "tool"), json!({ "agents": agents })).await?;
    Participant::in_rooms(store, token.expose_secret()).await
}

/// Says when the work has started.
struct Telling<C> {
    callee: C,
    ready: Mutex<Option<oneshot::Sender<()>>>,
}

impl<C: Callee> Callee for Telling<C> {
    fn start<'a>(
        &'a self,
        room: &'a client::Room,
    ) -> BoxFuture<'a, std::result::Result<(), Refused>> {
        Box::pin(async move {
            self.callee.start(room).await?;
            let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(ready) = ready {
                // Nobody may wait for it any more.
                let _ = ready.send(());
            }
            Ok(())
        })
    }

    fn take<'a>(&'a self, room: &'a client::Room, message: Message) -> BoxFuture<'a, ()> {
        self.callee.take(room, message)
    }

    fn stop<'a>(&'a self, room: &'a client::Room) -> BoxFuture<'a, ()> {
        self.callee.stop(room)
    }
}
