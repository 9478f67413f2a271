//! From a domain to the port of a container: the route, its room, the service that publishes the
//! port, and its container.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, Uri};
use tokio::net::TcpStream;

use super::paths::{self, Wanted};
use crate::kinds::specs::rules;
use crate::kinds::specs::service::{PortNumber, PortSpec, PortType, ServiceSpec};
use crate::platform::auth;
use crate::platform::auth::participant::Participant;
use crate::platform::error::{Refusal, Result};
use crate::platform::live::{LiveRoom, Passage, Rooms};
use crate::platform::objects::rooms::Room;
use crate::platform::objects::routes::{self, Led};
use crate::platform::objects::services::effective;
use crate::platform::store::Store;

/// The text for a host without a route. It is the same for all of them.
const UNKNOWN: &str = "nothing is published under this host";

/// How many services are remembered with their containers.
const REMEMBERED: usize = 1024;

/// Where a request goes.
pub struct Found {
    /// The connection to the container.
    pub stream: TcpStream,
    /// Its place.
    pub passage: Passage,
    /// The path and the query that the service sees.
    pub path: String,
    /// Whether the credential in the request was for the platform.
    pub is_ours: bool,
}

/// Finds where requests go.
pub struct Finding {
    store: Arc<Store>,
    rooms: Rooms,
    /// The containers of services, by the session of the room and the id of the service: an id is
    /// never another container's, and a container that is gone is looked for anew.
    known: Mutex<HashMap<(String, String), String>>,
}

/// A port that a service publishes.
struct Published {
    /// The id of the service.
    service: String,
    port: u16,
    is_public: bool,
}

impl Finding {
    /// What finds where requests to the rooms of a platform go.
    pub fn new(store: Arc<Store>, rooms: Rooms) -> Self {
        Self { store, rooms, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<(String, String), String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a request to a host goes.
    ///
    /// # Errors
    ///
    /// 404 for a host or a path that leads nowhere; 401 and 403 as [`auth::visitor`], where the port
    /// is not public; 503 if the room does not run, nobody publishes the port, or the service does
    /// not run; 502 if nobody listens there.
    pub async fn find(&self, host: &str, (uri, headers): (&Uri, &HeaderMap)) -> Result<Found> {
        let unknown = || Refusal::NotFound(UNKNOWN.into());
        let domain = rules::domain(host).map_err(|_| unknown())?;
        let reads = self.store.reads();
        let led = routes::of_domain(reads, &domain).await?.ok_or_else(unknown)?;
        let Led { project, room, paths } = led;
        let path = paths::of_request(&paths, uri.path())
            .ok_or_else(|| Refusal::NotFound("nothing is published under this path".into()))?;
        let Some(target) = &path.target_port else {
            let text = "this path leads to files, which this platform does not serve";
            return Err(Refusal::Unavailable(text.into()));
        };
        let room = Room::find(reads, &project, &room).await?;
        let room = room.filter(|room| room.enabled).ok_or_else(gone)?;
        let published = self.published(&project, &room, &Wanted::of(target)).await?;
        let participant = match published.is_public {
            true => None,
            false => {
                let at = (project.as_str(), &room);
                Some(auth::visitor(&self.store, headers, at).await?)
            }
        };
        let live = self.rooms.find(&room.id).ok_or_else(asleep)?;
        let asked = uri.path_and_query().map_or("/", |it| it.as_str());
        let path = paths::seen(path, asked);
        let (stream, passage) = self.connect(&live, &published, participant.as_ref()).await?;
        Ok(Found { stream, passage, path, is_ours: participant.is_some() })
    }

    /// The port that a route leads to, if a service of the room publishes it.
    async fn published(&self, project: &str, room: &Room, wanted: &Wanted) -> Result<Published> {
        let mut is_elsewhere = false;
        for service in effective(&self.store, project, &room.id).await? {
            // What cannot be read does not run, either.
            let Ok(spec) = serde_json::from_str::<ServiceSpec>(&service.document) else { continue };
            let Some((port, is_public)) = port_of(&spec, wanted) else { continue };
            if spec.container.is_some() {
                return Ok(Published { service: service.id, port, is_public });
            }
            is_elsewhere = true;
        }
        Err(Refusal::Unavailable(match is_elsewhere {
            true => "the service runs elsewhere: ask for it at its own address".into(),
            false => "no service publishes the port that this host leads to".into(),
        }))
    }

    /// Connects to a port of the container of a service.
    async fn connect(
        &self,
        room: &Arc<LiveRoom>,
        published: &Published,
        participant: Option<&Participant>,
    ) -> Result<(TcpStream, Passage)> {
        let passage = room.pass(participant)?;
        let key = (room.session.clone(), published.service.clone());
        let known = self.known().get(&key).cloned();
        if let Some(container) = known {
            match room.dial((&container, published.port), |_| true).await {
                Err(Refusal::NotFound(_) | Refusal::Conflict(_)) => {
                    self.known().remove(&key);
                }
                dialled => return dialled.map(|stream| (stream, passage)).map_err(plainly),
            }
        }
        let container = room.container_of(&published.service).await.map_err(plainly)?;
        let container = container.ok_or_else(not_running)?;
        let stream = room.dial((&container, published.port), |_| true).await.map_err(plainly)?;
        let mut known = self.known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, container);
        Ok((stream, passage))
    }
}

/// The port of a service that is wanted, if the service publishes it; and whether anybody may use
/// it.
fn port_of(spec: &ServiceSpec, wanted: &Wanted) -> Option<(u16, bool)> {
    if wanted.service.as_ref().is_some_and(|name| *name != spec.metadata.name) {
        return None;
    }
    let number = |port: &PortSpec| match port.num {
        PortNumber::Fixed(number) => u16::try_from(number).ok(),
        PortNumber::Any => None,
    };
    let is_web = |port: &&PortSpec| {
        port.published == Some(true) && port.port_type.unwrap_or(PortType::Http) == PortType::Http
    };
    let mut ports = spec.ports.iter().flatten().filter(is_web);
    ports.find_map(|port| {
        let number = number(port)?;
        let is_wanted = wanted.port.is_none_or(|wanted| wanted == number);
        is_wanted.then_some((number, port.public == Some(true)))
    })
}

/// What strangers are told of a container that is not reached: nothing about it.
fn plainly(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::NotFound(_) | Refusal::Conflict(_) => not_running(),
        Refusal::Unanswered(_) => {
            Refusal::Unanswered("the service does not take connections".into())
        }
        other => other,
    }
}

fn gone() -> Refusal {
    Refusal::Unavailable("the room behind this host is gone or disabled".into())
}

fn asleep() -> Refusal {
    let text = "the room behind this host does not run: its services start when somebody enters it";
    Refusal::Unavailable(text.into())
}

fn not_running() -> Refusal {
    Refusal::Unavailable("the service behind this host does not run now".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_must_be_published_and_speak_http() {
        let ports = r#"[
            {"num": 80, "type": "http"},
            {"num": 81, "published": true},
            {"num": 82, "published": true, "public": true},
            {"num": 83, "published": true, "type": "tcp"},
            {"num": "*", "published": true}
        ]"#;
        let text = format!(
            r#"{{"version": "v1", "kind": "Service", "metadata": {{"name": "web"}},
            "container": {{"image": "i"}}, "ports": {ports}}}"#
        );
        let spec: ServiceSpec = serde_json::from_str(&text).unwrap();
        let found = |service: Option<&str>, port: Option<u16>| {
            port_of(&spec, &Wanted { service: service.map(str::to_owned), port })
        };
        for (port, expected) in
            [(80, None), (81, Some((81, false))), (82, Some((82, true))), (83, None), (84, None)]
        {
            assert_eq!(found(None, Some(port)), expected, "{port}");
            assert_eq!(found(Some("web"), Some(port)), expected, "{port}");
            assert_eq!(found(Some("db"), Some(port)), None, "{port}");
        }
        assert_eq!(found(Some("web"), None), Some((81, false)));
    }
}
