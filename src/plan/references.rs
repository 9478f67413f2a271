//! Who refers to whom: names of a manifest against the set and the platform.

use std::collections::BTreeMap;

use super::State;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName, ReferredTo, service};
use crate::manifest::set::Desired;
use crate::visible;

/// What one reference leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// An object of the set or of the platform.
    Object(Key),
    /// Several objects of which each may be meant, or none.
    Any(Vec<Key>),
    /// Nothing that is known.
    Missing(Key),
}

/// What is said of a reference that leads to nothing that is known.
#[must_use]
pub fn missing(key: &Key) -> String {
    let kind = key.kind.to_string().to_lowercase();
    let project = visible::line(&key.project);
    format!("{kind} `{}` is neither in the set nor in the project `{project}`", key.name)
}

/// The objects to which names may lead.
pub struct Known<'a> {
    desired: &'a BTreeMap<Key, Desired>,
    state: &'a State,
    /// The services of the set by the ports that they publish.
    publishers: BTreeMap<String, Vec<&'a Key>>,
    /// The secrets of the platform by their projects and ids.
    secrets: BTreeMap<(&'a str, &'a str), &'a Key>,
}

impl<'a> Known<'a> {
    /// Looks names up in the set first, then on the platform.
    #[must_use]
    pub fn new(desired: &'a BTreeMap<Key, Desired>, state: &'a State) -> Self {
        let mut publishers: BTreeMap<String, Vec<&Key>> = BTreeMap::new();
        let wanted = desired.iter().map(|(key, desired)| (key, &desired.fields));
        // What is there and not in the set counts too: a route must go before it goes.
        let others = state
            .objects
            .iter()
            .filter(|(key, _)| !desired.contains_key(*key))
            .map(|(key, observed)| (key, &observed.fields));
        for (key, fields) in wanted.chain(others).filter(|(key, _)| key.kind == KindName::Service) {
            for port in service::published_ports(fields) {
                let keys = publishers.entry(port).or_default();
                if keys.last() != Some(&key) {
                    keys.push(key);
                }
            }
        }
        let secrets = state
            .objects
            .iter()
            .filter(|(key, _)| key.kind == KindName::Secret)
            .filter_map(|(key, observed)| {
                Some(((key.project.as_str(), observed.id.as_deref()?), key))
            })
            .collect();
        Self { desired, state, publishers, secrets }
    }

    fn has(&self, key: &Key) -> bool {
        self.desired.contains_key(key) || self.state.objects.contains_key(key)
    }

    /// What an object's fields refer to, with the field that does. Its room, when it is
    /// placed in one, and its project are not fields and have no path.
    #[must_use]
    pub fn references(&self, key: &Key, fields: &Tree) -> Vec<(Option<FieldPath>, Resolved)> {
        let mut found = Vec::new();
        if key.kind != KindName::Project {
            let project = Key {
                kind: KindName::Project,
                project: key.project.clone(),
                room: None,
                name: key.project.clone(),
            };
            found.push((None, Resolved::Any(vec![project])));
        }
        if let Some(room) = &key.room {
            found.push((None, self.room(&key.project, room)));
        }
        for reference in key.kind.kind().references(fields) {
            let resolved = match &reference.to {
                ReferredTo::Room(room) => self.room(&key.project, room),
                ReferredTo::Secret(name, _) => self.secret(&key.project, name),
                ReferredTo::Port { room, port } => self.publishers(&key.project, room, port),
            };
            found.push((Some(reference.path), resolved));
        }
        found
    }

    fn room(&self, project: &str, room: &str) -> Resolved {
        let key = Key {
            kind: KindName::Room,
            project: project.to_owned(),
            room: None,
            name: room.to_owned(),
        };
        if self.has(&key) { Resolved::Object(key) } else { Resolved::Missing(key) }
    }

    /// A secret by name, or by the id that the platform gave it.
    pub(super) fn secret(&self, project: &str, name: &str) -> Resolved {
        let key = Key {
            kind: KindName::Secret,
            project: project.to_owned(),
            room: None,
            name: name.to_owned(),
        };
        if self.has(&key) {
            return Resolved::Object(key);
        }
        match self.secrets.get(&(project, name)) {
            Some(key) => Resolved::Object((*key).clone()),
            None => Resolved::Missing(key),
        }
    }

    /// The services of a room, or of every room, that publish a port: those that the set
    /// wants, and those that are there and not in the set. A port may also be published by
    /// something that was not looked at, so none is no fault.
    fn publishers(&self, project: &str, room: &str, port: &str) -> Resolved {
        let publishers = self
            .publishers
            .get(port)
            .into_iter()
            .flatten()
            .filter(|key| {
                key.project == project && key.room.as_deref().is_none_or(|placed| placed == room)
            })
            .map(|key| (*key).clone())
            .collect();
        Resolved::Any(publishers)
    }
}

/// Turns ids of secrets in an observed object's fields back into their names, so that they
/// compare with what manifests say.
pub fn name_secrets(key: &Key, fields: &mut Tree, names: &BTreeMap<String, String>) {
    for reference in key.kind.kind().references(fields) {
        if let ReferredTo::Secret(id, _) = &reference.to
            && let (Some(name), Some(leaf)) = (names.get(id), fields.at_mut(&reference.path))
        {
            *leaf = Tree::text(name.clone());
        }
    }
}
