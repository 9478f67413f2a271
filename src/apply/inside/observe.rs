//! What of a set is inside of rooms. Until somebody looks, it counts as it was last applied: looking
//! would start the rooms.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::super::look_up::look_up;
use super::super::reading::as_recorded;
use super::super::staleness::leave_unnamed;
use crate::api::reader::Reader;
use crate::dialect::Target;
use crate::error::with_causes;
use crate::kinds::recorded::Recorded;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName};
use crate::manifest::set::Set;
use crate::plan::planner::Policy;
use crate::plan::references::NamesById;
use crate::plan::renames::former_keys;
use crate::plan::{Entry, Incomplete, Inventory, Observed, State};

/// How many objects are read at once.
const AT_ONCE: usize = 8;

/// What is known of an object before it is read.
struct Known {
    /// Under the present name of its room.
    key: Key,
    room_id: Option<String>,
    /// The fields that were last applied, or that are wanted.
    fields: Arc<Tree>,
}

/// The rooms of a project by their ids, and their ids by their names.
struct RoomNames<'a> {
    names: BTreeMap<&'a str, &'a str>,
    ids: BTreeMap<&'a str, Option<&'a str>>,
}

impl<'a> RoomNames<'a> {
    fn of(objects: &'a BTreeMap<Key, Observed>, project: &str) -> Self {
        let rooms = objects.iter();
        let rooms = rooms.filter(|(key, _)| key.is_room() && key.project == project);
        let ids: BTreeMap<&str, Option<&str>> =
            rooms.map(|(key, it)| (key.name.as_str(), it.id.as_deref())).collect();
        let names = ids.iter().filter_map(|(name, id)| Some((id.as_ref().copied()?, *name)));
        Self { names: names.collect(), ids }
    }

    /// The room in which an object was when it was applied, under its present name; none if that is
    /// gone, whatever has its name now.
    fn of_entry(&self, key: &Key, entry: &Entry) -> Option<&'a str> {
        let room = key.room.as_deref()?;
        match entry.id.as_deref().and_then(|id| id.split_once('/')) {
            Some((id, _)) => self.names.get(id).copied(),
            None => self.ids.get_key_value(room).map(|(name, _)| *name),
        }
    }
}

/// What the inventories know of a project's rooms from inside: each object under the present name of
/// its room, with its entry.
fn known_inside(
    objects: &BTreeMap<Key, Observed>,
    project: &str,
    inventory: &Inventory,
) -> BTreeMap<Key, (Option<String>, Entry)> {
    let rooms = RoomNames::of(objects, project);
    let inside = inventory.entries.iter().filter(|(key, _)| key.kind.kind().is_inside_rooms());
    let in_room = inside.filter_map(|(key, entry)| {
        let room = rooms.of_entry(key, entry)?;
        let id = rooms.ids.get(room).copied().flatten().map(str::to_owned);
        Some((key.with_room(Some(room.to_owned())), (id, entry.clone())))
    });
    in_room.collect()
}

/// An object as it was last applied, if it was.
fn remembered(entry: &Entry) -> Option<Observed> {
    Some(Observed {
        id: entry.id.clone(),
        owner: None,
        fields: Arc::new(entry.applied.as_ref()?.tree()),
        answered: None,
        revision: None,
        called: None,
        also_called: Vec::new(),
        is_remembered: true,
    })
}

/// An object as an entry of any set has it, if it is in the room that has this name now.
pub fn of(state: &State, key: &Key, entry: &Entry) -> Option<Observed> {
    let room = RoomNames::of(&state.objects, &key.project).of_entry(key, entry)?;
    remembered(entry).filter(|_| key.room.as_deref() == Some(room))
}

/// What a set has inside of the rooms of a project, as it was last applied.
pub fn all_of(
    objects: &BTreeMap<Key, Observed>,
    project: &str,
    inventory: &Inventory,
) -> Vec<(Key, Observed)> {
    let known = known_inside(objects, project, inventory).into_iter();
    known.filter_map(|(key, (_, entry))| Some((key, remembered(&entry)?))).collect()
}

/// Takes into the state what the set has inside of the rooms of a project, as it was last applied.
pub fn remember(state: &mut State, project: &str) {
    let Some(inventory) = state.inventories.get(project) else { return };
    let all = all_of(&state.objects, project, inventory);
    state.objects.extend(all);
}

/// Takes into the state what the set has inside of the rooms of a project: as it was last applied, or
/// as it is if the policy says to look.
pub async fn observe(
    reader: &Reader,
    policy: &Policy,
    set: &Set,
    (project, project_id): (&str, &str),
    state: &mut State,
) {
    if !policy.enters_rooms {
        remember(state, project);
        return;
    }
    let rooms = RoomNames::of(&state.objects, project);
    let mut known = BTreeMap::new();
    let inventory = state.inventories.get(project);
    let recorded = inventory.map(|it| known_inside(&state.objects, project, it));
    for (key, (room_id, entry)) in recorded.into_iter().flatten() {
        if let Some(fields) = entry.applied.as_ref().or(entry.claimed.as_ref()) {
            let fields = Arc::new(fields.tree());
            known.insert(key.clone(), Known { key, room_id, fields });
        }
    }
    for (key, desired) in &set.objects {
        let is_inside = key.project == project && key.kind.kind().is_inside_rooms();
        let Some(room) = key.room_key().filter(|_| is_inside) else { continue };
        // A room that is to be renamed has its former name yet.
        let former = set.objects.get(&room).map(former_keys).unwrap_or_default();
        let names = std::iter::once(&room).chain(&former).map(|room| room.name.as_str());
        let there = names.into_iter().find_map(|name| rooms.ids.get_key_value(name));
        if let Some((name, id)) = there {
            let (room_id, fields) = (id.map(str::to_owned), Arc::clone(&desired.fields));
            let key = key.with_room(Some((*name).to_owned()));
            let new = || Known { key: key.clone(), room_id, fields };
            known.entry(key.clone()).or_insert_with(new);
        }
    }
    let mut read = stream::iter(known.into_values().collect::<Vec<_>>())
        .map(|known| async move {
            let Known { key, room_id, fields } = known;
            let target = Target {
                place_id: room_id.as_deref(),
                fields: &fields,
                ..Target::looked_for(&key, project_id, None)
            };
            let found = look_up(reader, &key, &target, &NamesById::new(), None).await;
            (key, found)
        })
        .buffer_unordered(AT_ONCE);
    let mut unread: BTreeSet<(KindName, Option<String>)> = BTreeSet::new();
    let (mut found, mut incomplete) = (Vec::new(), Vec::new());
    while let Some((key, object)) = read.next().await {
        match object {
            Ok(object) => found.extend(object.map(|object| (key, object))),
            Err(error) if unread.insert((key.kind, key.room.clone())) => {
                let (kind, project, room) = (key.kind, project.to_owned(), key.room.clone());
                let hint = error.hint.clone().unwrap_or_else(|| Incomplete::AGAIN.to_owned());
                let reason = with_causes(&error);
                incomplete.push(Incomplete { kind, project, room, reason, hint });
            }
            Err(_) => {}
        }
    }
    drop(read);
    for (key, mut object) in found {
        let inventory = state.inventories.get(project);
        let applied = inventory.and_then(|it| it.entries.get(&key)?.applied.as_ref());
        let recorded = applied.map(Recorded::tree);
        let desired = set.objects.get(&key).map(|desired| &*desired.fields);
        let named: Vec<&Tree> = recorded.as_ref().into_iter().chain(desired).collect();
        if !named.is_empty() {
            leave_unnamed(&key, &mut object, &named);
        }
        let entry = inventory.and_then(|it| it.entries.get(&key));
        if let Some(known) = entry.and_then(|it| it.applied.as_ref().or(it.claimed.as_ref())) {
            as_recorded(&key, &mut object, &known.tree());
        }
        if let (Some(inventory), Some(applied)) = (inventory, applied) {
            let fields = Arc::make_mut(&mut object.fields);
            fields.seal_recorded(applied, &inventory.fingerprinter(&key));
        }
        state.objects.insert(key, object);
    }
    state.incomplete.extend(incomplete);
}
