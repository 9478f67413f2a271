//! *Pure*: which container of a room is meant.

use crate::error::{Error, Result};
use crate::listed::few;
use crate::room::containers::Container;

/// How a container is named on the command line.
#[derive(Debug, Clone, Copy)]
pub enum Named<'a> {
    /// By its name in the room.
    Name(&'a str),
    /// By its id, or the beginning of it.
    Id(&'a str),
}

/// The container that is meant, of those that run in a room.
///
/// # Errors
///
/// There is none, or there are several.
pub fn find<'a>(running: &'a [Container], named: Named, room: &str) -> Result<&'a Container> {
    let is_meant = |it: &&Container| match named {
        Named::Name(name) => it.name.as_deref() == Some(name),
        Named::Id(id) => !id.is_empty() && it.id.starts_with(id),
    };
    let found: Vec<&Container> = running.iter().filter(is_meant).collect();
    let (how, given) = match named {
        Named::Name(name) => ("named", name),
        Named::Id(id) => ("with the id", id),
    };
    match found[..] {
        [one] => Ok(one),
        [] => {
            let message = format!("no container {how} {given:?} runs in the room {room:?}");
            Err(Error::failed(message)
                .hint(format!("`meshagent room container list --room {room}` lists them")))
        }
        _ => {
            let ids = few(found.iter().map(|it| it.id.clone()));
            let message = format!("several containers {how} {given:?} run in the room {room:?}");
            Err(Error::failed(format!("{message}: {ids}"))
                .hint("choose one of them by its id with --container-id"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::containers::{ContainerState, StartedBy};

    fn container(id: &str, name: Option<&str>) -> Container {
        Container {
            id: id.to_owned(),
            image: None,
            started_by: StartedBy::default(),
            state: ContainerState::Running,
            status: None,
            name: name.map(str::to_owned),
            service_id: None,
            private: false,
        }
    }

    #[test]
    fn a_container_is_found_by_what_is_only_its_own() {
        let running =
            [container("aa1", Some("web")), container("aa2", Some("web")), container("b", None)];
        let found = |named| find(&running, named, "lobby").map(|it| it.id.clone());
        assert_eq!(found(Named::Id("b")).unwrap(), "b");
        assert_eq!(found(Named::Id("aa1")).unwrap(), "aa1");
        let several = found(Named::Name("web")).unwrap_err();
        assert_eq!(
            several.message,
            "several containers named \"web\" run in the room \"lobby\": aa1, aa2"
        );
        assert!(found(Named::Id("aa")).is_err());
        let none = found(Named::Name("db")).unwrap_err();
        assert_eq!(none.message, "no container named \"db\" runs in the room \"lobby\"");
        assert!(found(Named::Id("")).is_err() && found(Named::Name("")).is_err());
    }
}
