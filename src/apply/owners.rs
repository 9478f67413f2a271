//! Whose an object is that cannot carry the name of its owner: the inventories of the other
//! sets of its project tell. They are read only where there is such an object in question.

use std::collections::{BTreeMap, BTreeSet};

use super::inventory::{self, is_set_name};
use super::sets::{self, Listed};
use crate::api::reader::Reader;
use crate::error::Result;
use crate::kinds::Key;
use crate::manifest::set::Set;
use crate::plan::naming::follow_ids;
use crate::plan::planner::Policy;
use crate::plan::renames::former_key;
use crate::plan::{Entry, Observed, State};

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

/// Finds out which other sets own what this one would take over or refuse as nobody's.
///
/// # Errors
///
/// None of the platform's: what cannot be read leaves the owner unknown.
pub(super) async fn find(
    reader: &Reader,
    policy: &Policy,
    set: &Set,
    project: (&str, &str),
    state: &mut State,
) -> Result<()> {
    let mut open = in_question(set, policy, project.0, state);
    if open.is_empty() {
        return Ok(());
    }
    let sets = match known(reader, project, state).await {
        Ok(sets) => sets,
        Err(error) => {
            let reason = error.to_string();
            state.unknown_owners.extend(open.into_iter().map(|key| (key, reason.clone())));
            return Ok(());
        }
    };
    let mut reason = sets.doubt();
    for other in sets.names.iter().filter(|other| **other != policy.set) {
        let entries = match inventory::load(reader, other, project.0, project.1).await {
            Ok(stored) => stored.inventory.entries,
            Err(error) => {
                reason = Some(error.to_string());
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
    }
    if let Some(reason) = reason {
        state.unknown_owners.extend(open.into_iter().map(|key| (key, reason.clone())));
    }
    Ok(())
}

/// Whether it is sure that no other set has an object.
pub(super) async fn is_free(
    reader: &Reader,
    set: &str,
    (project, project_id): (&str, &str),
    (key, observed): (&Key, &Observed),
) -> bool {
    let Ok(listed) = sets::listed(reader, project_id).await else { return false };
    if listed.doubt().is_some() {
        return false;
    }
    for other in listed.names.iter().filter(|other| *other != set) {
        match inventory::load(reader, other, project, project_id).await {
            Ok(stored) if !is_among(&stored.inventory.entries, key, observed) => {}
            _ => return false,
        }
    }
    true
}

/// The objects that documents mean, that this set does not know or only meant to create, and
/// that cannot say whose they are.
fn in_question(set: &Set, policy: &Policy, project: &str, state: &State) -> BTreeSet<Key> {
    if policy.destroy {
        return BTreeSet::new();
    }
    let followed = follow_ids(state);
    let entries = followed.inventories.get(project).map(|inventory| &inventory.entries);
    let desired = set.objects.values().filter(|desired| {
        desired.key.project == project && !desired.key.kind.kind().carries_owner()
    });
    desired
        .flat_map(|desired| [Some(desired.key.clone()), former_key(desired)])
        .flatten()
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
    entries.get(key).is_some_and(may_be_it)
        || entries.iter().any(|(other, entry)| other.kind == key.kind && same_id(entry))
}
