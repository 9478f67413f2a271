//! What the inventories of a project's sets say: who owns an object that cannot carry the name of
//! its owner, and what a room or secret is called now. Those of other sets are read only if there
//! is such an object, or a reference to a name that does not exist.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt};

use super::execute::{Outcome, Run, locked};
use super::inventory::{self, is_set_name};
use super::observe::CONCURRENT_LISTS;
use super::perform::not_sent;
use super::sets::{self, Listed};
use crate::api::reader::Reader;
use crate::error::{Error, Result};
use crate::kinds::{Key, KindName};
use crate::manifest::set::Set;
use crate::plan::naming::follow_ids;
use crate::plan::planner::{Policy, Prune};
use crate::plan::references::{Known, Resolved};
use crate::plan::renames::former_keys;
use crate::plan::{Effect, Entry, Observed, Operation, State, UnknownOwner};

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
    if open.is_empty() && lost.is_empty() && leaving.is_empty() {
        return;
    }
    let mut unread;
    match known(reader, project, state).await {
        Ok(mut sets) => {
            unread = sets.doubt().map(Error::failed);
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
                        unread = Some(error);
                        continue;
                    }
                };
                open.retain(|key| {
                    let Some(observed) = state.objects.get_mut(key) else { return false };
                    let is_theirs = is_among(&entries, key, observed);
                    if is_theirs {
                        observed.owner = Some(other.clone());
                    }
                    !is_theirs
                });
                let found = renamed(&entries, &lost, state);
                state.renamed.extend(found);
                let before = |key: &Key| key.kind.kind().comes_after(key);
                let after = entries
                    .into_keys()
                    .filter(|key| before(key).is_some_and(|before| leaving.contains_key(&before)));
                state.others_after.extend(after.map(|key| (key, other.clone())));
            }
        }
        Err(error) => unread = Some(error),
    }
    if let Some(error) = unread {
        let again = || "run the same command again".to_owned();
        let unknown = UnknownOwner {
            reason: error.to_string(),
            hint: error.hint.clone().unwrap_or_else(again),
        };
        let open = open.into_iter().chain(leaving.into_values());
        state.unknown_owners.extend(open.map(|key| (key, unknown.clone())));
    }
}

/// What this set may delete and something of others may come after, by each of its names.
fn leaving(set: &Set, policy: &Policy, project: &str, state: &State) -> BTreeMap<Key, Key> {
    let inventory = state.inventories.get(project);
    let entries = inventory.into_iter().flat_map(|inventory| inventory.entries.keys());
    let stays = |key: &Key| match policy.destroy {
        true => false,
        false => set.objects.contains_key(key) || policy.prune == Prune::None,
    };
    entries
        .filter(|key| key.kind.kind().is_access() && key.room.is_none() && !stays(key))
        .filter_map(|key| Some((key, state.objects.get(key)?)))
        .flat_map(|(key, observed)| observed.keys(key).map(|name| (name, key.clone())))
        .collect()
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
    let has_it = |(_, entries): &&(String, _)| is_among(entries, key, observed);
    others.iter().find(has_it).map(|(set, _)| set.as_str())
}

impl Run<'_> {
    /// Refuses to take over an object that cannot carry the name of its owner and that another set
    /// has taken over meanwhile. This set's inventory already claims the object, so if two sets
    /// take it over at once, at least one sees the other.
    pub(super) async fn check_owner(&self, operation: &Operation) -> Result<(), Outcome> {
        let key = &operation.key;
        let (Effect::Adopt { of, .. }, Some(set)) = (&operation.effect, self.plan.owner()) else {
            return Ok(());
        };
        let id = locked(&self.ids).get(&Key::of_project(&key.project)).cloned();
        let (Some(others), Some(id)) = (self.others.get(&key.project), id) else { return Ok(()) };
        if key.kind.kind().carries_owner() {
            return Ok(());
        }
        let reader = self.client.reader();
        let read = || of_others(&reader, set, (&key.project, &id));
        let others = others.get_or_try_init(read).await;
        let others = others.map_err(|error| not_sent(error.to_string()))?;
        match holder(others, key, of) {
            Some(other) => Err(Outcome::stale(format!("the set `{other}` owns it now"))),
            None => Ok(()),
        }
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

/// Whether an inventory has an object, under this name or another one.
fn is_among(entries: &BTreeMap<Key, Entry>, key: &Key, observed: &Observed) -> bool {
    let same_id = |entry: &Entry| entry.id.is_some() && entry.id == observed.id;
    let may_be_it = |entry: &Entry| {
        entry.id.is_none() || observed.id.is_none() || entry.is_claim_to(observed.id.as_deref())
    };
    observed.keys(key).any(|key| entries.get(&key).is_some_and(may_be_it))
        || entries.iter().any(|(other, entry)| other.kind == key.kind && same_id(entry))
}
