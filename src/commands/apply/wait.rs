//! `apply --wait`: waits until what was applied works.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio_util::sync::CancellationToken;

use super::ApplyFormat;
use super::progress::print as print_event;
use crate::commands::room::entering::Entering;
use crate::connection::Connection;
use crate::error::{Result, with_causes};
use crate::output;
use crate::plan::Plan;
use crate::reconcile::events::{Event, HealthDocument};
use crate::reconcile::health::{Awaited, Health, Patience, watch};
use crate::reconcile::running::{self, project_id};
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
    /// Cancelled when it is not waited any longer.
    pub stop: &'a CancellationToken,
}

/// A service in a room, or one of which it is not known in which rooms it is.
struct Place {
    awaited: Awaited,
    /// The project and the room.
    room: Result<(String, String), Health>,
}

impl Waiting<'_> {
    /// Waits until the services work; how they are then, by the names under which they are shown.
    pub async fn wait(&self, services: &[Awaited], most: Duration) -> Vec<(String, Health)> {
        if services.is_empty() {
            self.note("there is no service to wait for".to_owned());
        }
        let mut outcomes: Vec<(Awaited, String, Health)> = Vec::new();
        let mut rooms: BTreeMap<(String, String), Vec<Awaited>> = BTreeMap::new();
        for awaited in services {
            for Place { awaited, room } in self.places(awaited).await {
                match room {
                    Ok(room) => rooms.entry(room).or_default().push(awaited),
                    Err(health) => {
                        let address = self.plan.address(&awaited.key);
                        self.tell(&address, &awaited, &health);
                        outcomes.push((awaited, address, health));
                    }
                }
            }
        }
        let watching = rooms.iter().map(|(room, services)| self.in_room(room, services, most));
        let mut watching = stream::iter(watching).buffer_unordered(ROOMS);
        while let Some(seen) = watching.next().await {
            outcomes.extend(seen);
        }
        outcomes.sort_by(|(_, one, _), (_, other, _)| one.cmp(other));
        let told = outcomes.into_iter().map(|(awaited, address, health)| {
            self.tell_last(&address, &awaited, &health);
            (address, health)
        });
        told.collect()
    }

    /// Where a service is looked at.
    async fn places(&self, awaited: &Awaited) -> Vec<Place> {
        let key = &awaited.key;
        let place = |room| Place { awaited: awaited.clone(), room };
        let rooms = match &key.room {
            Some(room) => Ok(vec![room.clone()]),
            None => match self.stop.run_until_cancelled(self.running(&key.project)).await {
                Some(running) => running.map_err(|error| with_causes(&error)),
                None => Err("stopped".to_owned()),
            },
        };
        match rooms {
            Ok(rooms) => {
                if rooms.is_empty() {
                    let address = self.plan.address(key);
                    self.note(format!("{address} is not checked: no room of the project runs"));
                }
                rooms.into_iter().map(|room| place(Ok((key.project.clone(), room)))).collect()
            }
            Err(why) => {
                let told = format!("it is not known which rooms of the project run: {why}");
                vec![place(Err(Health::Waits(told)))]
            }
        }
    }

    async fn in_room(
        &self,
        (project, room): &(String, String),
        services: &[Awaited],
        most: Duration,
    ) -> Vec<(Awaited, String, Health)> {
        let enter = async || {
            let reader = self.connection.client.reader();
            let id = project_id(self.plan, &reader, project).await?;
            let entering = Entering::ask_in(self.connection, &id, room).await?;
            Ok(entering.enter(self.platform).await?)
        };
        let shown = |awaited: &Awaited| {
            let address = self.plan.address(&awaited.key);
            match awaited.key.room {
                Some(_) => address,
                None => format!("{address} in room {room}"),
            }
        };
        let tell = |awaited: &Awaited, health: &Health| self.tell(&shown(awaited), awaited, health);
        let seen = watch(services, Patience::of(most), enter, self.stop, tell).await;
        let named = services.iter().zip(seen);
        named.map(|(awaited, health)| (awaited.clone(), shown(awaited), health)).collect()
    }

    /// The rooms of a project that run.
    async fn running(&self, project: &str) -> Result<Vec<String>> {
        running::rooms(self.plan, &self.connection.client.reader(), project).await
    }

    fn note(&self, message: String) {
        match self.format {
            ApplyFormat::Text => output::note(&format!("note: {message}")),
            ApplyFormat::Json => print_event(&Event::Note { message }),
        }
    }

    fn tell(&self, address: &str, awaited: &Awaited, health: &Health) {
        match self.format {
            ApplyFormat::Json => self.tell_event(address, awaited, health.into()),
            ApplyFormat::Text => output::note(&match health {
                Health::Works => format!("{address} works"),
                Health::Waits(what) => format!("{address}: {what}"),
                Health::Broken(what) => format!("{address} cannot work: {what}"),
            }),
        }
    }

    /// Tells programs of a service that does not work and is not waited for any longer; people
    /// read it in the error.
    fn tell_last(&self, address: &str, awaited: &Awaited, health: &Health) {
        if self.format == ApplyFormat::Json && matches!(health, Health::Waits(_)) {
            self.tell_event(address, awaited, HealthDocument::last(health));
        }
    }

    fn tell_event(&self, address: &str, awaited: &Awaited, health: HealthDocument) {
        let (address, key) = (address.to_owned(), awaited.key.clone());
        print_event(&Event::Health { address, key, health });
    }
}
