//! `apply --wait`: waits until what was applied works.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use super::ApplyFormat;
use super::progress::print as print_event;
use crate::api::project;
use crate::commands::room::entering::Entering;
use crate::connection::Connection;
use crate::dialect::Speaks;
use crate::error::Result;
use crate::output;
use crate::plan::Plan;
use crate::reconcile::Performed;
use crate::reconcile::events::Event;
use crate::reconcile::health::{Awaited, Health, Patience, awaited, watch};
use crate::settings::PlatformArgs;

/// In how many rooms it is waited at once.
const ROOMS: usize = 8;

/// What is waited for, and how.
pub struct Waiting<'a> {
    /// The platform.
    pub connection: &'a Connection,
    /// How it is reached.
    pub platform: &'a PlatformArgs,
    /// What was to be done.
    pub plan: &'a Plan,
    /// How it is told.
    pub format: ApplyFormat,
}

impl Waiting<'_> {
    /// Waits until the services that were created or changed work; how they are then, by the names
    /// under which they are shown.
    ///
    /// # Errors
    ///
    /// A room cannot be entered; the platform cannot be asked which rooms run.
    pub async fn wait(
        &self,
        performed: &Performed,
        most: Duration,
    ) -> Result<Vec<(String, Health)>> {
        let mut rooms: BTreeMap<(String, String), Vec<Awaited>> = BTreeMap::new();
        for awaited in awaited(self.plan, performed) {
            let project = awaited.key.project.clone();
            let names = match &awaited.key.room {
                Some(room) => vec![room.clone()],
                None => self.running(&project).await?,
            };
            if names.is_empty() {
                let address = self.plan.address(&awaited.key);
                self.note(format!("{address} is not checked: no room of the project runs"));
            }
            for name in names {
                rooms.entry((project.clone(), name)).or_default().push(awaited.clone());
            }
        }
        let watching = rooms.iter().map(|(room, services)| self.in_room(room, services, most));
        let mut watching = stream::iter(watching).buffer_unordered(ROOMS);
        let mut outcomes = Vec::new();
        while let Some(outcome) = watching.next().await {
            outcomes.extend(outcome?);
        }
        outcomes.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(outcomes)
    }

    async fn in_room(
        &self,
        (project, room): &(String, String),
        services: &[Awaited],
        most: Duration,
    ) -> Result<Vec<(String, Health)>> {
        let id = self.id_of(project).await?;
        let enter = async || {
            let entering = Entering::ask_in(self.connection, &id, room).await?;
            entering.enter(self.platform).await
        };
        let shown = |awaited: &Awaited| {
            let address = self.plan.address(&awaited.key);
            match awaited.key.room {
                Some(_) => address,
                None => format!("{address} in room {room}"),
            }
        };
        let tell = |awaited: &Awaited, health: &Health| self.tell(shown(awaited), awaited, health);
        let outcomes = watch(services, Patience::of(most), enter, tell).await?;
        let named = services.iter().map(shown).zip(outcomes);
        Ok(named.map(|(address, (_, health))| (address, health)).collect())
    }

    async fn id_of(&self, project: &str) -> Result<String> {
        let known = self.plan.projects.get(project).and_then(|it| it.id.clone());
        match known {
            Some(id) => Ok(id),
            None => project::id_of(&self.connection.client.reader(), project).await,
        }
    }

    /// The rooms of a project that run.
    async fn running(&self, project: &str) -> Result<Vec<String>> {
        let reader = self.connection.client.reader();
        let listing = reader.dialect().sessions(&self.id_of(project).await?);
        let sessions = reader.items(&listing.request, listing.envelope).await?;
        let active = sessions.iter().filter(|session| session["is_active"] == true);
        let names = active.filter_map(|session| session["room_name"].as_str().map(str::to_owned));
        let mut names: Vec<String> = names.collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn note(&self, message: String) {
        match self.format {
            ApplyFormat::Text => output::note(&format!("note: {message}")),
            ApplyFormat::Json => print_event(&Event::Note { message }),
        }
    }

    fn tell(&self, address: String, awaited: &Awaited, health: &Health) {
        match self.format {
            ApplyFormat::Json => {
                let key = awaited.key.clone();
                print_event(&Event::Health { address, key, health: health.into() });
            }
            ApplyFormat::Text => output::note(&match health {
                Health::Works => format!("{address} works"),
                Health::Waits(what) => format!("{address}: {what}"),
                Health::Broken(what) => format!("{address} cannot work: {what}"),
            }),
        }
    }
}
