//! Renames: an object whose document says what it was called (`lifecycle.moved_from`).
//!
//! A room that is renamed takes everything in it along, so before anything is decided the
//! state is rewritten to what it will be once the room has its new name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::State;
use crate::kinds::path::FieldPath;
use crate::kinds::recorded::Recorded;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName};
use crate::manifest::set::Desired;

/// The key that an object had before, when its document says so.
#[must_use]
pub fn former_key(desired: &Desired) -> Option<Key> {
    let name = desired.lifecycle.moved_from.as_ref()?;
    (*name != desired.key.name).then(|| Key { name: name.clone(), ..desired.key.clone() })
}

/// The renames that can be done in place: the object exists under its former name, none
/// exists under the new one, and the kind can be renamed. By new key.
#[must_use]
pub fn in_place(desired: &BTreeMap<Key, Desired>, state: &State) -> BTreeMap<Key, Key> {
    desired
        .values()
        .filter_map(|object| Some((object, former_key(object)?)))
        .filter(|(object, former)| {
            object.key.kind.kind().is_renamable()
                && !desired.contains_key(former)
                && !state.objects.contains_key(&object.key)
                && state.objects.contains_key(former)
        })
        .map(|(object, former)| (object.key.clone(), former))
        .collect()
}

/// The state with everything that is in a renamed room, or refers to it, under the room's
/// new name; the rooms themselves keep their former keys.
#[must_use]
pub fn follow_rooms(state: &State, renames: &BTreeMap<Key, Key>) -> State {
    let rooms: BTreeMap<(&str, &str), &str> = renames
        .iter()
        .filter(|(new, _)| new.kind == KindName::Room)
        .map(|(new, former)| ((former.project.as_str(), former.name.as_str()), new.name.as_str()))
        .collect();
    let mut moved = state.clone();
    if rooms.is_empty() {
        return moved;
    }
    let renamed = |key: &Key| {
        let room = key.room.as_deref().and_then(|room| rooms.get(&(key.project.as_str(), room)));
        room.map_or_else(
            || key.clone(),
            |room| Key { room: Some((*room).to_owned()), ..key.clone() },
        )
    };
    moved.objects = std::mem::take(&mut moved.objects)
        .into_iter()
        .map(|(key, mut observed)| {
            rename_field(&key, Arc::make_mut(&mut observed.fields), &rooms);
            (renamed(&key), observed)
        })
        .collect();
    for inventory in moved.inventories.values_mut() {
        inventory.entries = std::mem::take(&mut inventory.entries)
            .into_iter()
            .map(|(key, mut entry)| {
                let path = FieldPath::of(&["room"]);
                if let Some(applied) = entry.applied.as_mut().filter(|_| refers_to_room(key.kind)) {
                    let mut value = applied.value();
                    let mut tree = Tree::from(&value);
                    rename_field(&key, &mut tree, &rooms);
                    if let Some(room) = tree.at(&path).and_then(Tree::as_str) {
                        value["room"] = room.into();
                        *applied = Recorded::from(&value);
                    }
                }
                (renamed(&key), entry)
            })
            .collect();
    }
    moved
}

fn refers_to_room(kind: KindName) -> bool {
    matches!(kind, KindName::Mailbox | KindName::Route | KindName::ScheduledTask)
}

fn rename_field(key: &Key, fields: &mut Tree, rooms: &BTreeMap<(&str, &str), &str>) {
    if !refers_to_room(key.kind) {
        return;
    }
    let path = FieldPath::of(&["room"]);
    let Some(room) = fields.at(&path).and_then(Tree::as_str) else { return };
    if let Some(new) = rooms.get(&(key.project.as_str(), room)) {
        fields.put(&path, Some(Tree::text(*new)));
    }
}
