//! Services that run elsewhere (`external`). While their room runs, their agents are called to it,
//! again until they answer, and the tools of their MCP servers are offered there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::super::room::{Room, now};
use super::journal::Journal;
use super::life::{Backoff, brief};
use super::site::{Servers, Site, ended};
use super::states;
use crate::kinds::specs::service::ServiceSpec;

/// A service that runs elsewhere.
pub struct External {
    site: Site,
    again: Arc<Notify>,
}

impl External {
    /// The service in a room, unless it does not run elsewhere. `again` has it called again.
    pub fn of(
        room: &Arc<Room>,
        id: &str,
        spec: &Arc<ServiceSpec>,
        again: &Arc<Notify>,
    ) -> Option<Self> {
        let url = spec.external.as_ref()?.url.clone()?;
        let name = spec.metadata.name.clone();
        let journal = Journal { room: Arc::clone(room), id: id.to_owned(), name };
        let site = Site {
            journal,
            bases: vec![url; spec.ports.as_ref().map_or(0, Vec::len)],
            spec: Arc::clone(spec),
            room_url: room.url.clone(),
            is_inside: false,
        };
        Some(Self { site, again: Arc::clone(again) })
    }

    /// Has the service work in the room, and starts again when that is asked for or one of its MCP
    /// servers is gone.
    pub async fn run(self) {
        let Journal { room, id, .. } = &self.site.journal;
        loop {
            let mut servers = self.reach().await;
            let started_at = Some(now());
            room.services.change(id, |state| {
                state.state = states::RUNNING.to_owned();
                state.started_at = started_at;
                state.restart_scheduled_at = None;
                state.message = None;
            });
            self.site.journal.log("INFO", "the service was called to the room");
            let why = tokio::select! {
                () = self.again.notified() => None,
                Some(why) = ended(&mut servers) => {
                    let why = format!("a toolkit of the service is gone: {why}");
                    self.site.journal.log("ERROR", &why);
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
        let Journal { room, id, .. } = &self.site.journal;
        let mut called = BTreeSet::new();
        let mut backoff = Backoff::default();
        loop {
            let what = match self.call(&mut called).await {
                Ok(servers) => return servers,
                Err(what) => what,
            };
            let told = format!("the service was not called to the room: {what}");
            self.site.journal.log("ERROR", &told);
            let pause = backoff.after(Duration::ZERO);
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
        }
    }

    async fn call(&self, called: &mut BTreeSet<String>) -> Result<Servers, String> {
        self.site.is_live().await?;
        self.site.call(called).await
    }
}
