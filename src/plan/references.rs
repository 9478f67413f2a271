//! Who refers to whom: names of a manifest against the set and the platform.

use std::collections::BTreeMap;

use super::{Observed, State};
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName, ReferredTo, service};
use crate::manifest::set::Desired;

/// What one reference leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// An object of the set or of the platform.
    Object(Key),
    /// Several objects of which each may be meant, or none.
    Any(Vec<Key>),
    /// Nothing that is known.
    Missing(String),
}

/// The objects to which names may lead.
pub struct Known<'a> {
    desired: &'a BTreeMap<Key, Desired>,
    state: &'a State,
}

impl<'a> Known<'a> {
    /// Looks names up in the set first, then on the platform.
    #[must_use]
    pub fn new(desired: &'a BTreeMap<Key, Desired>, state: &'a State) -> Self {
        Self { desired, state }
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
                ReferredTo::Secret(name) => self.secret(&key.project, name),
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
        if self.has(&key) {
            Resolved::Object(key)
        } else {
            Resolved::Missing(format!("room `{room}` is neither in the set nor on the platform"))
        }
    }

    /// A secret by name, or by the id that the platform gave it.
    fn secret(&self, project: &str, name: &str) -> Resolved {
        let key = Key {
            kind: KindName::Secret,
            project: project.to_owned(),
            room: None,
            name: name.to_owned(),
        };
        if self.has(&key) {
            return Resolved::Object(key);
        }
        let by_id =
            self.secrets(project).find(|(_, observed)| observed.id.as_deref() == Some(name));
        match by_id {
            Some((key, _)) => Resolved::Object(key.clone()),
            None => Resolved::Missing(format!(
                "secret `{name}` is neither in the set nor on the platform"
            )),
        }
    }

    fn secrets(&self, project: &str) -> impl Iterator<Item = (&Key, &Observed)> {
        let first = Key {
            kind: KindName::Secret,
            project: project.to_owned(),
            room: None,
            name: String::new(),
        };
        self.state
            .objects
            .range(first..)
            .take_while(|(key, _)| key.kind == KindName::Secret)
            .filter(move |(key, _)| key.project == project)
    }

    /// The services of a room, or of every room, that publish a port: those that the set
    /// wants, and those that are there and not in the set. A port may also be published by
    /// something that was not looked at, so none is no fault.
    fn publishers(&self, project: &str, room: &str, port: &str) -> Resolved {
        let wanted = self.desired.iter().map(|(key, desired)| (key, &desired.fields));
        let others = self.state.objects.iter().filter(|(key, _)| !self.desired.contains_key(key));
        let publishers = wanted
            .chain(others.map(|(key, observed)| (key, &observed.fields)))
            .filter(|(key, fields)| {
                key.kind == KindName::Service
                    && key.project == project
                    && key.room.as_deref().is_none_or(|placed| placed == room)
                    && service::publishes(fields, port)
            })
            .map(|(key, _)| key.clone())
            .collect();
        Resolved::Any(publishers)
    }
}

/// Turns ids of secrets in an observed object's fields back into their names, so that they
/// compare with what manifests say.
pub fn name_secrets(key: &Key, fields: &mut Tree, names: &BTreeMap<String, String>) {
    for reference in key.kind.kind().references(fields) {
        if let ReferredTo::Secret(id) = &reference.to
            && let (Some(name), Some(leaf)) = (names.get(id), fields.at_mut(&reference.path))
        {
            *leaf = Tree::text(name.clone());
        }
    }
}
