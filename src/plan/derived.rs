//! *Pure*: the objects that come with a placed template belong to its service. They move with the
//! service to another set, and keep names that were made up from its name when that changes.

use std::collections::{BTreeMap, BTreeSet};

use super::renames::former_keys;
use super::{Entry, State};
use crate::kinds::{Key, KindName};
use crate::manifest::set::Desired;

/// The objects that these services brought, each with its service.
#[must_use]
pub fn brought_by(entries: &BTreeMap<Key, Entry>, services: &BTreeSet<Key>) -> BTreeMap<Key, Key> {
    let brought = entries.iter().filter_map(|(key, entry)| {
        let service = entry.brought.as_ref()?.by(&key.project);
        services.contains(&service).then(|| (key.clone(), service))
    });
    brought.collect()
}

/// Keeps the present names of objects whose names are made up, if their service or its room is
/// or was renamed: they are the same objects.
pub fn keep_names(objects: &mut BTreeMap<Key, Desired>, state: &State) {
    let made_up = |desired: &Desired| {
        desired.origin.brought.as_ref().is_some_and(|brought| brought.part.is_some())
    };
    let objects_now: &BTreeMap<Key, Desired> = objects;
    let named = objects_now.values().filter(|desired| made_up(desired)).filter_map(|desired| {
        Some((desired.key.clone(), name_that_it_has(desired, objects_now, state)?))
    });
    for (key, now) in named.collect::<Vec<_>>() {
        if let Some(mut desired) = objects.remove(&key) {
            desired.key.clone_from(&now);
            objects.insert(now, desired);
        }
    }
}

/// The key under which the set knows an object, if it differs.
fn name_that_it_has(
    desired: &Desired,
    objects: &BTreeMap<Key, Desired>,
    state: &State,
) -> Option<Key> {
    let (key, brought) = (&desired.key, desired.origin.brought.as_ref()?);
    let entries = &state.inventories.get(&key.project)?.entries;
    if entries.contains_key(key) {
        return None;
    }
    let called = |key: Key| {
        let former = objects.get(&key).map(former_keys).unwrap_or_default();
        [key].into_iter().chain(former).map(|key| key.name.clone()).collect::<Vec<_>>()
    };
    let service = brought.by(&key.project);
    let room = Key::of(KindName::of_rooms(), &key.project, &brought.room);
    let (services, rooms) = (called(service), called(room));
    let found = entries.iter().find(|(other, entry)| {
        other.kind == key.kind
            && !objects.contains_key(*other)
            && state.objects.contains_key(*other)
            && entry.brought.as_ref().is_some_and(|it| {
                it.part == brought.part
                    && services.contains(&it.service)
                    && rooms.contains(&it.room)
            })
    });
    found.map(|(other, _)| other.clone())
}
