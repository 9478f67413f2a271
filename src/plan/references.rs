//! References: names in a manifest, looked up in the set and on the platform.

use std::collections::BTreeMap;

use super::State;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName, ReferredTo};
use crate::listed::nearest;
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

/// The message about a reference that leads to no known object.
#[must_use]
pub fn missing(key: &Key) -> String {
    let kind = key.kind.in_words();
    let project = visible::line(&key.project);
    format!("{kind} `{}` is neither in the set nor in the project `{project}`", key.name)
}

/// The objects to which names may lead.
pub struct Known<'a> {
    desired: &'a BTreeMap<Key, Desired>,
    state: &'a State,
    /// The objects by the ports that they publish.
    publishers: BTreeMap<String, Vec<&'a Key>>,
    /// The objects that are needed by what refers to the place that they are in, by that place.
    needed: BTreeMap<Key, Vec<&'a Key>>,
    /// The objects of the platform that are referred to by their ids, by kind, project and id.
    by_id: BTreeMap<(KindName, &'a str, String), &'a Key>,
    /// The objects of the platform that have several names, by the others of them.
    also_called: BTreeMap<Key, &'a Key>,
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
        let mut needed: BTreeMap<Key, Vec<&Key>> = BTreeMap::new();
        for (key, fields) in wanted.chain(others) {
            if key.kind.kind().is_needed_with_place(fields)
                && let Some(place) = key.place_key()
            {
                needed.entry(place).or_default().push(key);
            }
            for port in key.kind.kind().published(fields) {
                let keys = publishers.entry(port).or_default();
                if keys.last() != Some(&key) {
                    keys.push(key);
                }
            }
        }
        let referred = state.objects.iter().filter(|(key, _)| key.kind.is_referred_to_by_id());
        let by_id = referred.flat_map(|(key, observed)| {
            let handles = observed.handles().map(|handle| key.kind.kind().natural_name(&handle));
            handles.map(move |handle| ((key.kind, key.project.as_str(), handle), key))
        });
        let also_called = state
            .objects
            .iter()
            .flat_map(|(key, observed)| observed.keys(key).skip(1).map(move |other| (other, key)));
        let also_called = also_called.collect();
        Self { desired, state, publishers, needed, by_id: by_id.collect(), also_called }
    }

    /// The name that was most likely meant by a key that leads to nothing.
    #[must_use]
    pub fn nearest(&self, missing: &Key) -> Option<String> {
        let is_beside = |key: &&Key| {
            let is_there = key.project == missing.project && key.room == missing.room;
            key.kind == missing.kind && is_there
        };
        let keys = self.desired.keys().chain(self.state.objects.keys()).filter(is_beside);
        nearest(&missing.name, keys.map(|key| key.name.as_str()))
    }

    /// The object that an object comes after, under whichever of their names that is known.
    #[must_use]
    pub fn comes_after(&self, key: &Key) -> Option<Key> {
        let kind = key.kind.kind();
        let observed = self.state.objects.get(key);
        let others = observed.into_iter().flat_map(|observed| observed.keys(key).skip(1));
        let mut before = std::iter::once(key.clone()).chain(others);
        let known = before.find_map(|name| {
            let before = kind.comes_after(&name)?;
            match self.also_called.get(&before) {
                _ if self.has(&before) => Some(before),
                called => called.map(|key| (*key).clone()),
            }
        });
        known.or_else(|| kind.comes_after(key))
    }

    fn has(&self, key: &Key) -> bool {
        self.desired.contains_key(key) || self.state.objects.contains_key(key)
    }

    /// What an object's fields refer to, with the field. The room that it is placed in, and its
    /// project, are not fields and have no path.
    #[must_use]
    pub fn references(&self, key: &Key, fields: &Tree) -> Vec<(Option<FieldPath>, Resolved)> {
        let mut found = Vec::new();
        if !key.is_project() {
            found.push((None, Resolved::Any(vec![key.project_key()])));
        }
        if let Some(room) = key.room_key() {
            found.push((None, self.resolve(room)));
        }
        let kind = key.kind.kind();
        if let Some(named) = key.named_key() {
            found.push((Some(kind.name_rule().path()), self.resolve(named)));
        }
        found.extend(self.comes_after(key).map(|before| (None, Resolved::Any(vec![before]))));
        for reference in kind.references(fields) {
            let resolved = match &reference.to {
                ReferredTo::Object { kind, name, .. } => {
                    let to = Key::of(*kind, &key.project, name);
                    // What an object is in is named in its key, where an id would be another name.
                    match key.place_key().as_ref() == Some(&to) && !self.has(&to) {
                        true => Resolved::Missing(to),
                        false => self.resolve(to),
                    }
                }
                ReferredTo::Port { room, port } => self.publishers(&key.project, room, port),
            };
            let needed = self.needed_with(key, &resolved);
            found.push((Some(reference.path), resolved));
            found.extend(needed.map(|needed| (None, Resolved::Any(needed))));
        }
        found
    }

    /// What an object needs with the place that it refers to, unless it is in there itself.
    fn needed_with(&self, key: &Key, place: &Resolved) -> Option<Vec<Key>> {
        let Resolved::Object(place) = place else { return None };
        let needed = self.needed.get(place).filter(|_| key.place_key().as_ref() != Some(place))?;
        Some(needed.iter().map(|key| (*key).clone()).collect())
    }

    /// The fields with a name that is sent as an id, with the objects that they mean.
    #[must_use]
    pub fn by_id(&self, key: &Key, fields: &Tree) -> Vec<(FieldPath, Key)> {
        let found = self.references(key, fields).into_iter();
        let by_id = found.filter_map(|(path, resolved)| match (path, resolved) {
            (Some(path), Resolved::Object(to)) if to.kind.is_referred_to_by_id() => {
                Some((path, to))
            }
            _ => None,
        });
        by_id.collect()
    }

    /// What the key of a reference leads to; it has a name or the platform's id.
    pub(super) fn resolve(&self, key: Key) -> Resolved {
        if self.has(&key) {
            return Resolved::Object(key);
        }
        // A name may be written in several ways, and so may an id where a name may stand.
        let handle = key.kind.kind().natural_name(&key.name);
        match self.by_id.get(&(key.kind, key.project.as_str(), handle)) {
            Some(key) => Resolved::Object((*key).clone()),
            None if key.kind.kind().may_be_elsewhere(&key.name) => Resolved::Any(Vec::new()),
            None => Resolved::Missing(key),
        }
    }

    /// The objects that publish a port in a room, or in every room: those that the set wants, and
    /// those that exist and are not in the set. A port may also be published by something that was
    /// not read, so it is not an error if there is none.
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

/// The names of objects that are referred to by their ids, by kind and id.
pub type NamesById = BTreeMap<(KindName, String), String>;

/// Turns ids in an observed object's fields back into names, so that they compare with what
/// manifests say.
pub fn name_ids(key: &Key, fields: &mut Tree, names: &NamesById) {
    if names.is_empty() {
        return;
    }
    for reference in key.kind.kind().references(fields) {
        if let ReferredTo::Object { kind, name: id, .. } = reference.to
            && let Some(name) = names.get(&(kind, id))
            && let Some(leaf) = fields.at_mut(&reference.path)
        {
            *leaf = Tree::text(name.clone());
        }
    }
}
