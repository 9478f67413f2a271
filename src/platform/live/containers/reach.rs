//! How the platform gets to a port of a container: at the container's own address where that
//! leads there, else at a port of this machine's loopback.
//!
//! Engines without an administrator's rights have their networks to themselves, and those that run
//! in a machine of their own (Docker Desktop, or any on another system than Linux) have them there.
//! With these, the ports that a service declares are published on 127.0.0.1 when it starts. With
//! the others nothing is published.

use std::net::SocketAddr;

use meshagent_containers::life::Container;
use meshagent_containers::{Engine, Error, Port};

use super::owned::{is_meant, missing};
use super::{Containers, told};
use crate::room::content::Refused;

impl Containers {
    /// Where this process connects to reach a TCP port in a container of a room, which is given by
    /// its id. Whoever asks was checked: nothing here looks at who may use the container.
    ///
    /// It asks the engine each time, and tries a connection: what was true of a container that has
    /// ended since is not told.
    ///
    /// # Errors
    ///
    /// There is no engine ([`codes::DEPENDENCY_MISSING`]); the room has no such container
    /// ([`codes::CONTAINER_NOT_FOUND`]); it does not run, or the port cannot be reached from here
    /// because it was not published when the container started ([`codes::INVALID_STATE`]).
    ///
    /// [`codes::DEPENDENCY_MISSING`]: crate::room::codes::DEPENDENCY_MISSING
    /// [`codes::CONTAINER_NOT_FOUND`]: crate::room::codes::CONTAINER_NOT_FOUND
    /// [`codes::INVALID_STATE`]: crate::room::codes::INVALID_STATE
    pub async fn reach(
        &self,
        room: &str,
        container: &str,
        port: u16,
    ) -> Result<SocketAddr, Refused> {
        let found = self.look_at(room, container).await?;
        self.engine().await?.reach(&found.id, port).await.map_err(told)
    }

    /// A container of a room, which is given by its id or a long beginning of it, as it is now.
    ///
    /// # Errors
    ///
    /// There is no engine ([`codes::DEPENDENCY_MISSING`]); the room has no such container
    /// ([`codes::CONTAINER_NOT_FOUND`]).
    ///
    /// [`codes::DEPENDENCY_MISSING`]: crate::room::codes::DEPENDENCY_MISSING
    /// [`codes::CONTAINER_NOT_FOUND`]: crate::room::codes::CONTAINER_NOT_FOUND
    pub async fn look_at(&self, room: &str, container: &str) -> Result<Container, Refused> {
        if !container.bytes().all(|it| it.is_ascii_hexdigit()) {
            return Err(missing(container));
        }
        let found = match self.engine().await?.inspect(container).await {
            Err(Error::NoContainer { .. }) => return Err(missing(container)),
            found => found.map_err(told)?,
        };
        // Engines also find by name, and in all rooms.
        let own = self.labels(room);
        let is_own = own.iter().all(|(name, of)| found.labels.get(name) == Some(of));
        match is_own && is_meant(&found.id, container) {
            true => Ok(found),
            false => Err(missing(container)),
        }
    }
}

/// What has to be published so that [`Containers::reach`] gets to these ports.
pub fn published(engine: &Engine, ports: impl IntoIterator<Item = u16>) -> Vec<Port> {
    let needs = !engine.about().is_within_reach;
    let ports = ports.into_iter().filter(|_| needs);
    ports.map(|inside| Port { inside, outside: None }).collect()
}
