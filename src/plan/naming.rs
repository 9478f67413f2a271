//! The state by names: by those that objects have, and by those that they get.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::renames::Renames;
use super::{Entry, Observed, State};
use crate::kinds::recorded::Recorded;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName, ReferredTo};

/// Whether an object can get another key and stay the same object: it can be renamed, or its
/// room can.
fn may_move(key: &Key) -> bool {
    key.kind.kind().is_renamable() || key.room.is_some()
}

/// The state with each object that a set owns under its present name. An interrupted run or a
/// person may have given an object another name than the inventory says; the platform's ids
/// identify the objects.
#[must_use]
pub fn follow_ids(state: &State) -> Cow<'_, State> {
    let is_elsewhere = |(key, entry): &(&Key, &Entry)| {
        let there = state.objects.get(*key).and_then(|observed| observed.id.as_ref());
        may_move(key) && entry.id.is_some() && there != entry.id.as_ref()
    };
    let entries = state.inventories.values().flat_map(|inventory| &inventory.entries);
    let lost: Vec<(&Key, &Entry)> = entries.filter(is_elsewhere).collect();
    if lost.is_empty() {
        return Cow::Borrowed(state);
    }
    let objects = state.objects.iter().filter(|(key, _)| may_move(key));
    let by_id: BTreeMap<(KindName, &str, &str), &Key> = objects
        .filter_map(|(key, observed)| {
            Some(((key.kind, key.project.as_str(), observed.id.as_deref()?), key))
        })
        .collect();
    let found: Vec<(&Key, &Key, &Entry)> = lost
        .into_iter()
        .filter_map(|(key, entry)| {
            let id = entry.id.as_deref()?;
            Some((key, *by_id.get(&(key.kind, key.project.as_str(), id))?, entry))
        })
        .collect();
    if found.is_empty() {
        return Cow::Borrowed(state);
    }
    let mut followed = state.clone();
    for (key, ..) in &found {
        if let Some(inventory) = followed.inventories.get_mut(&key.project) {
            inventory.entries.remove(*key);
        }
    }
    for (key, now, entry) in found {
        let Some(inventory) = followed.inventories.get_mut(&key.project) else { continue };
        if inventory.entries.get(now).is_some_and(|there| there.id == entry.id) {
            continue;
        }
        let was = entry.was.clone().unwrap_or_else(|| key.name.clone());
        let moved = entry.clone().but(|it| it.was = (was != now.name).then_some(was));
        if let (Some(applied), Some(observed)) = (&moved.applied, followed.objects.get_mut(now)) {
            let fingerprinter = inventory.fingerprints.of(now, Some(&moved));
            Arc::make_mut(&mut observed.fields).seal_recorded(applied, &fingerprinter);
        }
        inventory.entries.insert(now.clone(), moved);
    }
    Cow::Owned(followed)
}

/// The names that references use, with those that they will use.
type Names<'a> = BTreeMap<(KindName, &'a str, &'a str), String>;

/// The state with every object under the key that it gets, including what is in renamed objects
/// and what refers to them.
#[must_use]
pub fn renamed(state: &State, renames: &Renames) -> State {
    let becomes: BTreeMap<&Key, &Key> = renames.iter().map(|(key, now)| (now, key)).collect();
    let names: Names<'_> = becomes
        .iter()
        .map(|(now, key)| {
            // An object that is referred to by its id and makes room at once has no other name.
            let id = || state.objects.get(*now).and_then(|observed| observed.id.clone());
            let is_gone = renames.displaces(key) && !key.kind.kind().is_named_by_others();
            let name = is_gone.then(id).flatten().unwrap_or_else(|| key.name.clone());
            ((now.kind, now.project.as_str(), now.name.as_str()), name)
        })
        .collect();
    let key_of = |key: &Key| match becomes.get(key) {
        Some(key) => (*key).clone(),
        None => {
            let room = key.room.as_deref().map(|room| {
                let named = names.get(&(KindName::of_rooms(), key.project.as_str(), room));
                named.cloned().unwrap_or_else(|| room.to_owned())
            });
            key.with_room(room)
        }
    };
    let own = state.own.iter().map(key_of).collect();
    let mut moved = State { objects: BTreeMap::new(), own, ..state.clone() };
    for (key, observed) in &state.objects {
        let mut observed = observed.clone();
        if let Some(fields) = with_names(key, &observed.fields, &names) {
            observed.fields = Arc::new(fields);
        }
        moved.objects.insert(key_of(key), observed);
    }
    for inventory in moved.inventories.values_mut() {
        inventory.entries = std::mem::take(&mut inventory.entries)
            .into_iter()
            .map(|(key, entry)| {
                let observed = state.objects.get(&key).filter(|_| becomes.contains_key(&key));
                (key_of(&key), entry_of(&key, entry, observed, &names))
            })
            .collect();
    }
    moved
}

/// The entry of an object; `observed` where it gets another name.
fn entry_of(key: &Key, entry: Entry, observed: Option<&Observed>, names: &Names<'_>) -> Entry {
    let applied = entry.applied.as_ref();
    let renamed = applied.and_then(|it| with_names(key, &Tree::from(&it.value()), names));
    if observed.is_none() && renamed.is_none() {
        return entry;
    }
    entry.but(|it| {
        if let Some(observed) = observed {
            it.was.get_or_insert_with(|| key.name.clone());
            it.id = observed.id.clone().or(it.id.take());
        }
        if let Some(fields) = renamed {
            it.applied = Some(Recorded::from(&fields.reveal()));
        }
    })
}

/// The fields of an object with the new names of others; `None` if it uses none of them.
fn with_names(key: &Key, fields: &Tree, names: &Names<'_>) -> Option<Tree> {
    let mut changed: Option<Tree> = None;
    for reference in key.kind.kind().references(fields) {
        if let ReferredTo::Object { kind, name: said, .. } = &reference.to
            && let Some(name) = names.get(&(*kind, key.project.as_str(), said.as_str()))
            && let Some(leaf) =
                changed.get_or_insert_with(|| fields.clone()).at_mut(&reference.path)
        {
            *leaf = Tree::text(name.clone());
        }
    }
    changed
}
