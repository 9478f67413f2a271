//! Whose an object is that cannot carry the name of its owner: the inventories of the other
//! sets of its project tell. They are read only where there is such an object in question.
//!
//! A project's storage has no list, so the sets of a project stand in a file of their own,
//! `.meshagent/sets.json`, where each set enters itself when it writes its inventory.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::inventory::{self, is_set_name};
use super::storage;
use crate::api::client::{Answer, Client};
use crate::api::failure::ApiError;
use crate::api::reader::Reader;
use crate::api::request::Precondition;
use crate::error::{Error, Result};
use crate::kinds::Key;
use crate::manifest::set::Set;
use crate::plan::naming::follow_ids;
use crate::plan::planner::Policy;
use crate::plan::renames::former_key;
use crate::plan::{Entry, Observed, State};

const PATH: &str = ".meshagent/sets.json";

/// How often a set enters itself while others do the same.
const ATTEMPTS: u32 = 8;

/// The file.
#[derive(Default, Serialize, Deserialize)]
struct Sets {
    sets: BTreeSet<String>,
}

fn parse(answer: &Answer) -> Result<Sets> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        Error::failed(format!("the file {PATH} of the project's storage cannot be read: {error}"))
    })
}

/// Enters a set among those of a project.
///
/// # Errors
///
/// The platform's; a file that cannot be read.
pub(super) async fn enter(client: &Client, set: &str, project_id: &str) -> Result<()> {
    for attempt in 1.. {
        let (mut known, precondition) =
            match client.send(&storage::download(project_id, PATH)).await {
                Ok(answer) => {
                    let known = parse(&answer)?;
                    (known, answer.etag.map_or(Precondition::None, Precondition::Revision))
                }
                Err(ApiError { status: Some(404), .. }) => (Sets::default(), Precondition::Absent),
                Err(error) => return Err(error.into()),
            };
        if !known.sets.insert(set.to_owned()) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&known)
            .map_err(|error| Error::failed("failed to write the list of sets").because(error))?;
        match storage::upload(client, project_id, PATH, bytes, &precondition).await {
            Ok(_) => return Ok(()),
            // Another set entered itself meanwhile.
            Err(ApiError { status: Some(412), .. }) if attempt < ATTEMPTS => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The sets of a project that are known: those that entered themselves, and those that
/// objects name as their owners.
async fn sets(reader: &Reader, project: (&str, &str), state: &State) -> Result<BTreeSet<String>> {
    let (name, id) = project;
    let mut sets = match reader.get(&storage::download(id, PATH)).await {
        Ok(answer) => parse(&answer)?.sets,
        Err(ApiError { status: Some(404), .. }) => BTreeSet::new(),
        Err(error) => return Err(error.into()),
    };
    let objects = state.objects.iter().filter(|(key, _)| key.project == name);
    sets.extend(objects.filter_map(|(_, observed)| observed.owner.clone()));
    sets.retain(|set| is_set_name(set));
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
    let sets = match sets(reader, project, state).await {
        Ok(sets) => sets,
        Err(error) => {
            let reason = error.to_string();
            state.unknown_owners.extend(open.into_iter().map(|key| (key, reason.clone())));
            return Ok(());
        }
    };
    let mut reason = None;
    for other in sets.iter().filter(|other| **other != policy.set) {
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

/// The objects that documents mean, that this set does not know, and that cannot say whose
/// they are.
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
                entry.is_none_or(|entry| entry.id.is_some() && entry.id != observed.id)
            })
        })
        .collect()
}

/// Whether an inventory has an object, under this name or another one.
fn is_among(entries: &BTreeMap<Key, Entry>, key: &Key, observed: &Observed) -> bool {
    let same_id = |entry: &Entry| entry.id.is_some() && entry.id == observed.id;
    entries.get(key).is_some_and(|entry| entry.id.is_none() || observed.id.is_none())
        || entries.iter().any(|(other, entry)| other.kind == key.kind && same_id(entry))
}
