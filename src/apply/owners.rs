//! What the inventories of a project's sets say: who owns an object that cannot carry the name of
//! its owner, and what a room or secret is called now. Those of other sets are read only if there
//! is such an object, or a reference to a name that does not exist.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt};

use super::execute::{Outcome, Run, locked};
use super::inside;
use super::inventory::{self, is_set_name};
use super::lock;
use super::observe::CONCURRENT_LISTS;
use super::perform::not_sent;
use super::sets::{self, Listed};
use crate::api::reader::Reader;
use crate::dialect::Speaks;
use crate::error::{Error, Result};
use crate::kinds::{Key, KindName};
use crate::manifest::set::Set;
use crate::plan::naming::follow_ids;
use crate::plan::planner::{Policy, Prune};
use crate::plan::references::{Known, Resolved};
use crate::plan::renames::former_keys;
use crate::plan::{Along, Effect, Entry, Observed, Operation, State, UnknownOwner};

/// The sets of a project that are known: those on its list, and those that
/// objects name as their owners.
async fn known(reader: &Reader, project: (&str, &str), state: &State) -> Result<Listed> {
    let (name, id) = project;
    let mut sets = sets::listed(reader, id).await?;
    let objects = state.objects.iter().filter(|(key, _)| key.project == name);
    let owners = objects.filter_map(|(_, observed)| observed.owner.as_ref());
    sets.names.extend(owners.filter(|set| is_set_name(set)).cloned());
    Ok(sets)
}

/// Finds out which other sets own what this one would take over or refuse as nobody's, and what
/// became of the names that documents refer to and that do not exist. If something cannot be read,
/// the owner is unknown.
pub(super) async fn find(
    reader: &Reader,
    policy: &Policy,
    set: &Set,
    project: (&str, &str),
    state: &mut State,
) {
    let mut open = in_question(set, project.0, state);
    let mut lost = lost_names(set, policy, project.0, state);
    if let Some(own) = state.inventories.get(project.0) {
        let found = renamed(&own.entries, &lost, state);
        lost.retain(|former| !found.contains_key(former));
        state.renamed.extend(found);
    }
    let leaving = leaving(set, policy, project.0, state);
    let unseen = unseen(set, project.0, state);
    if open.is_empty() && lost.is_empty() && leaving.is_empty() && unseen.is_empty() {
        return;
    }
    // Sets of an API that has nothing of the sort own nothing that somebody may do.
    let (mut unread, mut unread_access);
    match known(reader, project, state).await {
        Ok(mut sets) => {
            unread = sets.doubt().map(Error::failed);
            unread_access = sets.doubt().map(Error::failed);
            sets.names.remove(&policy.set);
            let mut inventories = stream::iter(sets.names)
                .map(|other| async move {
                    let stored = inventory::load(reader, &other, project.0, project.1).await;
                    (other, stored)
                })
                .buffered(CONCURRENT_LISTS);
            while let Some((other, stored)) = inventories.next().await {
                let entries = match stored {
                    Ok(stored) => stored.inventory.entries,
                    Err(error) => {
                        let shown =
                            inventory::load_to_show(reader, &other, project.0, project.1).await;
                        match shown {
                            Ok(_) => unread = Some(error),
                            Err(again) => (unread, unread_access) = (Some(error), Some(again)),
                        }
                        continue;
                    }
                };
                open.retain(|key| {
                    let Some(observed) = state.objects.get_mut(key) else { return false };
                    let Some(theirs) = found_in(&entries, key, observed) else { return true };
                    observed.owner = Some(other.clone());
                    if *theirs != *key {
                        state.called_by_owners.insert(key.clone(), theirs.clone());
                    }
                    false
                });
                for key in &unseen {
                    let entry = entries.get(key);
                    if let Some(theirs) = entry.and_then(|it| inside::observe::of(state, key, it)) {
                        let theirs = Observed { owner: Some(other.clone()), ..theirs };
                        state.objects.insert(key.clone(), theirs);
                    }
                }
                let found = renamed(&entries, &lost, state);
                state.renamed.extend(found);
                for key in entries.into_keys().filter(|key| key.kind.goes_along()) {
                    let with = key.kind.kind().goes_along_with(&key);
                    let with: BTreeSet<&Key> =
                        with.iter().filter_map(|with| leaving.get(with)).collect();
                    state.others_along.extend(with.into_iter().map(|with| Along {
                        with: with.clone(),
                        set: other.clone(),
                        key: key.clone(),
                    }));
                }
            }
        }
        Err(error) => {
            unread_access = Some(Error::failed(error.to_string()));
            unread = Some(error);
        }
    }
    let unknown = |error: Error| {
        let again = || "run the same command again".to_owned();
        let hint = error.hint.clone().unwrap_or_else(again);
        UnknownOwner { reason: error.to_string(), hint }
    };
    let open = unread.map(|error| (error, open.into_iter().collect::<Vec<_>>()));
    let leaving = unread_access.map(|error| (error, leaving.into_values().collect()));
    for (error, keys) in open.into_iter().chain(leaving) {
        let unknown = unknown(error);
        state.unknown_owners.extend(keys.into_iter().map(|key| (key, unknown.clone())));
    }
}

/// What this set may delete, and with which something goes that no list shows: by each of its names
/// and ids.
fn leaving(set: &Set, policy: &Policy, project: &str, state: &State) -> BTreeMap<Key, Key> {
    let followed = follow_ids(state);
    let Some(inventory) = followed.inventories.get(project) else { return BTreeMap::new() };
    let documents = set.objects.values().filter(|desired| desired.key.project == project);
    let renamed = documents.filter(|desired| desired.key.kind.kind().is_renamable());
    let renamed: BTreeSet<Key> = renamed.flat_map(former_keys).collect();
    let stays = |key: &Key| match policy.destroy {
        true => false,
        false => {
            set.objects.contains_key(key) || renamed.contains(key) || policy.prune == Prune::None
        }
    };
    let mut leaving = BTreeMap::new();
    for (key, entry) in &inventory.entries {
        let recorded = entry.was.iter().map(|name| key.with_name(name.clone()));
        let names: Vec<Key> = std::iter::once(key.clone()).chain(recorded).collect();
        let Some(observed) = followed.objects.get(key) else { continue };
        let is_in_room = key.kind.kind().is_access() && key.room.is_some();
        if !key.kind.takes_along() || is_in_room || names.iter().any(stays) {
            continue;
        }
        let natural = |handle: String| key.with_name(key.kind.kind().natural_name(&handle));
        let names = names.into_iter().chain(observed.keys(key));
        let names = names.chain(observed.handles().map(natural));
        leaving.extend(names.map(|name| (name, key.clone())));
    }
    leaving
}

/// What documents declare inside of rooms, and the set does not have: another set may.
fn unseen(set: &Set, project: &str, state: &State) -> Vec<Key> {
    let keys = set.objects.keys().filter(|key| key.project == project);
    let inside = keys.filter(|key| key.kind.kind().is_inside_rooms());
    inside.filter(|key| !state.objects.contains_key(*key)).cloned().collect()
}

/// The rooms and secrets that documents refer to and that do not exist.
fn lost_names(set: &Set, policy: &Policy, project: &str, state: &State) -> BTreeSet<Key> {
    if policy.destroy {
        return BTreeSet::new();
    }
    let known = Known::new(&set.objects, state);
    let desired = set.objects.values().filter(|desired| desired.key.project == project);
    desired
        .flat_map(|desired| known.references(&desired.key, &desired.fields))
        .filter_map(|(_, resolved)| match resolved {
            Resolved::Missing(key) => Some(key),
            _ => None,
        })
        .collect()
}

/// What became of names, as far as an inventory has them and their objects exist.
fn renamed(
    entries: &BTreeMap<Key, Entry>,
    lost: &BTreeSet<Key>,
    state: &State,
) -> BTreeMap<Key, Key> {
    if lost.is_empty() {
        return BTreeMap::new();
    }
    let names: BTreeMap<(KindName, &str), &Key> = state
        .objects
        .iter()
        .filter_map(|(key, observed)| Some(((key.kind, observed.id.as_deref()?), key)))
        .collect();
    let mut found = BTreeMap::new();
    for (key, entry) in entries {
        // The name that it has, whatever the inventory says.
        let Some(id) = &entry.id else { continue };
        let Some(now) = names.get(&(key.kind, id.as_str())) else { continue };
        let called = [&key.name].into_iter().chain(&entry.moved_from.0).chain(&entry.was);
        for name in called {
            let former = key.with_name(name.clone());
            if lost.contains(&former) {
                found.insert(former, (*now).clone());
            }
        }
    }
    found
}

/// Whether it is sure that no other set has an object.
pub(super) async fn is_free(
    reader: &Reader,
    set: &str,
    (project, project_id): (&str, &str),
    (key, observed): (&Key, &Observed),
) -> bool {
    let others = of_others(reader, set, (project, project_id)).await;
    others.is_ok_and(|others| holder(&others, key, observed).is_none())
}

/// What other sets own in a project, by their names.
pub(super) type OfOthers = Vec<(String, BTreeMap<Key, Entry>)>;

/// What the other sets of a project own in it.
///
/// # Errors
///
/// The platform's; a list of sets, or an inventory, that cannot be read.
pub(super) async fn of_others(
    reader: &Reader,
    set: &str,
    (project, project_id): (&str, &str),
) -> Result<OfOthers> {
    let listed = sets::listed(reader, project_id).await?;
    if let Some(doubt) = listed.doubt() {
        return Err(Error::failed(doubt));
    }
    let mut others = Vec::new();
    for other in listed.names.into_iter().filter(|other| other != set) {
        let mut entries =
            inventory::load(reader, &other, project, project_id).await?.inventory.entries;
        // What is on its way to this set, the other one has given up.
        entries.retain(|_, entry| entry.moving_to.as_deref() != Some(set));
        others.push((other, entries));
    }
    Ok(others)
}

/// Which of other sets has an object.
pub(super) fn holder<'a>(others: &'a OfOthers, key: &Key, observed: &Observed) -> Option<&'a str> {
    let has_it = |(_, entries): &&(String, _)| found_in(entries, key, observed).is_some();
    others.iter().find(has_it).map(|(set, _)| set.as_str())
}

impl Run<'_> {
    /// Refuses to take over an object that cannot carry the name of its owner and that another set
    /// has taken over meanwhile, and to create one that another set creates. This set's inventory
    /// already claims the object, so if two sets take it over or create it at once, at least one sees
    /// the other.
    pub(super) async fn check_owner(&self, operation: &Operation) -> Result<(), Outcome> {
        let key = &operation.key;
        let kind = key.kind.kind();
        let of = match &operation.effect {
            Effect::Adopt { of, .. } => Some(of),
            // Where a second create is refused, the first one owns the object.
            Effect::Create { replaces: false, .. }
                if self.client.spelling(key.kind).creates_over() =>
            {
                None
            }
            _ => return Ok(()),
        };
        let Some(set) = self.plan.owner().filter(|_| !kind.carries_owner()) else { return Ok(()) };
        let id = locked(&self.ids).get(&Key::of_project(&key.project)).cloned();
        let (Some(others), Some(id)) = (self.others.get(&key.project), id) else { return Ok(()) };
        let reader = self.client.reader();
        let read = || of_others(&reader, set, (&key.project, &id));
        let others = others.get_or_try_init(read).await;
        let others = others.map_err(|error| not_sent(error.to_string()))?;
        let message = match of {
            Some(of) => {
                holder(others, key, of).map(|other| format!("the set `{other}` owns it now"))
            }
            None => self.creator(others, key, &id).await?,
        };
        match message {
            Some(message) => Err(Outcome::stale(message)),
            None => Ok(()),
        }
    }

    /// What is told of another set that has an object that this one is about to create, or that is
    /// creating it: a claim counts while its set is being applied.
    async fn creator(
        &self,
        others: &OfOthers,
        key: &Key,
        project_id: &str,
    ) -> Result<Option<String>, Outcome> {
        for (other, entries) in others {
            let Some(entry) = entries.get(key) else { continue };
            if entry.applied.is_some() {
                return Ok(Some(format!(
                    "the set `{other}` owns it, and it is not on the platform: apply that set, or remove it from there"
                )));
            }
            let is_applied = lock::is_held(self.client, other, project_id).await;
            if is_applied.map_err(|error| not_sent(error.to_string()))? {
                return Ok(Some(format!(
                    "the set `{other}`, which is being applied, is about to create it"
                )));
            }
        }
        Ok(None)
    }
}

/// The objects that cannot carry the name of their owner and that this set only meant to create,
/// or does not know although documents declare them.
fn in_question(set: &Set, project: &str, state: &State) -> BTreeSet<Key> {
    let followed = follow_ids(state);
    let entries = followed.inventories.get(project).map(|inventory| &inventory.entries);
    let desired = set.objects.values().filter(|desired| desired.key.project == project);
    let claims = entries.into_iter().flatten().filter(|(_, entry)| entry.applied.is_none());
    desired
        .flat_map(|desired| [desired.key.clone()].into_iter().chain(former_keys(desired)))
        .chain(claims.map(|(key, _)| key.clone()))
        .filter(|key| !key.kind.kind().carries_owner())
        .filter(|key| {
            let entry = entries.and_then(|entries| entries.get(key));
            followed.objects.get(key).is_some_and(|observed| {
                entry.is_none_or(|entry| {
                    entry.is_claim_to(observed.id.as_deref())
                        || entry.id.is_some() && entry.id != observed.id
                })
            })
        })
        .collect()
}

/// What an inventory calls an object, if it has it: under this name or another one.
fn found_in<'a>(
    entries: &'a BTreeMap<Key, Entry>,
    key: &Key,
    observed: &Observed,
) -> Option<&'a Key> {
    let same_id = |entry: &Entry| entry.id.is_some() && entry.id == observed.id;
    let may_be_it = |entry: &Entry| {
        entry.id.is_none() || observed.id.is_none() || entry.is_claim_to(observed.id.as_deref())
    };
    let by_name = observed.keys(key).find_map(|key| {
        let (key, entry) = entries.get_key_value(&key)?;
        may_be_it(entry).then_some(key)
    });
    let mut by_id =
        entries.iter().filter(|(other, entry)| other.kind == key.kind && same_id(entry));
    by_name.or_else(|| by_id.next().map(|(key, _)| key))
}
