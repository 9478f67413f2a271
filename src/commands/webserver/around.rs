//! What is on the platform beside the webserver: services of its room, and of every room. What a
//! deployment would do to them is told before anything is written.

use serde_json::Value;

use super::site::Site;
use crate::apply::observe;
use crate::commands::shortcut::listed;
use crate::connection::Connection;
use crate::dialect::Speaks;
use crate::error::Result;
use crate::kinds::agents::webserver::service::{has_files_in, is_webserver};
use crate::kinds::{Key, KindName};
use crate::output;
use crate::plan::warnings::both_publish;
use crate::visible;

/// A service that runs in the room.
struct Neighbour {
    key: Key,
    /// The ports that it publishes.
    ports: Vec<String>,
    service: Value,
}

/// The services of a room.
pub struct Around {
    /// The one that is deployed.
    own: Key,
    /// The one that has its name until now.
    before: Option<Value>,
    others: Vec<Neighbour>,
}

impl Around {
    /// Looks at the services of a room, and at those of every room.
    ///
    /// # Errors
    ///
    /// The room is not there; the platform's.
    pub async fn look(connection: &Connection, room: &str, name: &str) -> Result<Self> {
        let project = connection.project_id().await?;
        let in_room = |room: Option<&str>, name: &str| {
            Key::new(KindName::Service, project, room.map(str::to_owned), name.to_owned())
        };
        let mut services = listed(connection, KindName::Service, Some(room)).await?;
        // Of several with the name, the last one is changed.
        let is_own = |service: &Value| service["metadata"]["name"].as_str() == Some(name);
        let before = services.iter().rposition(is_own).map(|position| services.remove(position));
        let everywhere = listed(connection, KindName::Service, None).await?;
        let spelling = connection.client.spelling(KindName::Service);
        let of_room = services.into_iter().map(|service| (Some(room), service));
        let all = of_room.chain(everywhere.into_iter().map(|service| (None, service)));
        let others = all.filter_map(|(room, service)| {
            let seen = spelling.seen(&service).ok()?;
            let key = in_room(room, &seen.name);
            let observed = observe::observed(spelling, seen, &service, None);
            let ports = KindName::Service.kind().published(&observed.fields);
            Some(Neighbour { key, ports, service })
        });
        Ok(Self { own: in_room(Some(room), name), before, others: others.collect() })
    }

    /// Tells what becomes of other services.
    pub fn tell(&self, site: &Site) {
        if let Some(Err(what)) = self.before.as_ref().map(is_webserver) {
            output::warning(&format!(
                "{} is {} until now; it becomes a webserver, and nothing else of it stays",
                self.own,
                visible::line(&what)
            ));
        }
        let port = site.port.to_string();
        let mut notes = Vec::new();
        for other in &self.others {
            if other.ports.contains(&port) {
                notes.push(both_publish(&other.key, &self.own, &port));
            }
            if other.key.room.is_some() && has_files_in(&other.service, &site.folder) {
                notes.push(format!(
                    "{} has its files in {}, too: the files of both are mixed there",
                    other.key,
                    visible::line(&site.folder)
                ));
            }
        }
        output::notes(&notes);
    }

    /// Warns of a domain that is taken away from another service.
    pub fn tell_moved(&self, domain: &str, port: &str) {
        if let Some(other) = self.others.iter().find(|it| it.ports.iter().any(|it| it == port)) {
            output::warning(&format!(
                "{} leads to port {} of {} until now, and will lead to {}",
                visible::line(domain),
                visible::line(port),
                other.key,
                self.own
            ));
        }
    }
}
