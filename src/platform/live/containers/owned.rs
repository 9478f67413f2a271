//! Which containers are a room's, and who may use them.

use std::collections::BTreeMap;

use meshagent_containers::life::Listed;
use meshagent_containers::{Engine, Error, State};

use super::told;
use crate::kinds::specs::scope::ApiScope;
use crate::platform::live::calls::{Caller, denied, refused, short};
use crate::room::codes;
use crate::room::containers::{Container, ContainerState, StartedBy};
use crate::room::content::Refused;

/// The labels of what is known of a container.
pub mod labels {
    /// The id of the participant who started it.
    pub const STARTED_BY: &str = "meshagent.started-by";
    /// The participant's name.
    pub const STARTER: &str = "meshagent.started-by.name";
    /// `true` if only who started it may use it.
    pub const PRIVATE: &str = "meshagent.private";
    /// Its name in the room.
    pub const NAME: &str = "meshagent.name";
    /// The service that it runs.
    pub const SERVICE: &str = "meshagent.service";
    /// What identifies the service as it was declared, if the room runs it, and not somebody there.
    pub const DIGEST: &str = "meshagent.service.digest";
}

/// Who has something of a room that may be private.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// Who started it.
    pub by: StartedBy,
    /// Whether only they may use it.
    pub private: bool,
}

impl Ownership {
    /// What the caller starts.
    pub fn of(caller: &Caller, private: bool) -> Self {
        let by = StartedBy { id: caller.guest.id.clone(), name: caller.guest.name.clone() };
        Self { by, private }
    }

    /// What the room itself starts: nobody's.
    pub fn of_room(private: bool) -> Self {
        Self { by: StartedBy { id: String::new(), name: String::new() }, private }
    }

    /// It as labels.
    pub fn label(&self, labels: &mut BTreeMap<String, String>) {
        let mut put = |name: &str, of: &str| labels.insert(name.to_owned(), of.to_owned());
        put(labels::STARTED_BY, &self.by.id);
        put(labels::STARTER, &self.by.name);
        put(labels::PRIVATE, if self.private { "true" } else { "false" });
    }

    /// What labels say. Where they say nothing, it is nobody's.
    pub fn read(labels: &BTreeMap<String, String>) -> Self {
        let text = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let by = StartedBy { id: text(labels::STARTED_BY), name: text(labels::STARTER) };
        Self { by, private: labels.get(labels::PRIVATE).is_none_or(|it| it != "false") }
    }

    /// Refuses those who may not use it. Whoever came again with another connection is the same.
    ///
    /// # Errors
    ///
    /// It is somebody else's, and private.
    pub fn admit(&self, caller: &Caller) -> Result<(), Refused> {
        let guest = &caller.guest;
        if self.admits(&guest.name, guest.scope.as_ref()) { Ok(()) } else { Err(denied()) }
    }

    /// Whether a participant with this name and this scope may use it.
    pub fn admits(&self, name: &str, scope: Option<&ApiScope>) -> bool {
        let is_admin = |scope: &ApiScope| scope.admin.as_ref().is_some_and(|it| it.config);
        !self.private
            || (!self.by.name.is_empty() && self.by.name == name)
            || scope.is_some_and(is_admin)
    }
}

/// A container as participants are told of it.
pub fn shown(found: Listed) -> Container {
    let Ownership { by, private } = Ownership::read(&found.labels);
    let text = |name: &str| found.labels.get(name).cloned();
    Container {
        started_by: by,
        state: state(found.state),
        name: text(labels::NAME),
        service_id: text(labels::SERVICE),
        private,
        id: found.id,
        image: Some(found.image),
        status: Some(found.status),
    }
}

/// The word for what a container does.
pub const fn state(state: State) -> ContainerState {
    match state {
        State::Created => ContainerState::Created,
        State::Running => ContainerState::Running,
        State::Exited => ContainerState::Exited,
        State::Unknown => ContainerState::Unknown,
    }
}

/// A container of the caller's room that the caller may use: its whole id. What is in another room is
/// not there.
///
/// # Errors
///
/// There is none; it is private.
pub async fn find(engine: &Engine, caller: &Caller, id: &str) -> Result<Listed, Refused> {
    let own = caller.room.house.containers.labels(&caller.room.id);
    let found = engine.list(&own, true).await.map_err(told)?;
    // The beginning of an id is enough, as engines have it, if it is that of one.
    let mut meant = found.into_iter().filter(|it| is_meant(&it.id, id));
    let (Some(one), None) = (meant.next(), meant.next()) else { return Err(missing(id)) };
    Ownership::read(&one.labels).admit(caller)?;
    Ok(one)
}

/// How much of an id must be given.
const SHORTEST: usize = 12;

/// Whether a container's id is given, or so much of its beginning that it cannot be another one.
pub fn is_meant(id: &str, given: &str) -> bool {
    given.len() >= SHORTEST && id.starts_with(given)
}

/// The refusal for a container that is not there.
pub fn missing(id: &str) -> Refused {
    let text = format!("there is no container {:?} in the room", short(id));
    refused(codes::CONTAINER_NOT_FOUND, text)
}

/// Whether somebody removed it meanwhile, which is as well.
pub fn is_gone(error: &Error) -> bool {
    matches!(error, Error::NoContainer { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_labels_is_private_and_nobodys() {
        let nobodys = Ownership::read(&BTreeMap::new());
        assert!(nobodys.private && nobodys.by.name.is_empty());
        let own = Ownership {
            by: StartedBy { id: "i".to_owned(), name: "ada".to_owned() },
            private: false,
        };
        let mut labels = BTreeMap::new();
        own.label(&mut labels);
        assert_eq!(Ownership::read(&labels), own);
    }

    #[test]
    fn the_beginning_of_an_id_is_enough_if_it_is_long() {
        let id = "0123456789abcdef";
        assert!(is_meant(id, &id[..12]));
        assert!(!is_meant(id, &id[..11]) && !is_meant(id, ""));
        assert!(!is_meant(id, "0123456789abX"));
    }
}
