//! Where else a set owns something: a set whose documents name another project than before
//! may have come from there.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt};

use super::inventory;
use super::observe::{CONCURRENT_LISTS, Observation};
use super::projects::{Project, names_project};
use crate::api::reader::Reader;
use crate::manifest::declared_in::DeclaredIn;
use crate::plan::planner::Policy;
use crate::plan::{Inventory, LeftBehind};

/// How many projects are asked at most whether the set owns something in them.
const MOST_ASKED: usize = 200;

/// Whether documents name a project in which the set owns nothing yet: the set may have come from
/// another one. If the project is given from outside, one set is meant for many.
pub(super) fn is_new(observation: &Observation) -> bool {
    let is_new = |project: &String| observation.stored.get(project).is_some_and(|it| !it.exists());
    observation
        .set
        .objects
        .values()
        .any(|desired| is_new(&desired.key.project) && names_project(desired))
}

/// The other projects in which a set owns something.
#[derive(Default)]
pub(super) struct Homes {
    /// Those where it comes from files that were read; they are in scope.
    pub came_from: BTreeMap<String, Option<Project>>,
    /// What it owns in others.
    pub left_behind: BTreeMap<String, LeftBehind>,
    /// How many were not asked, or did not answer.
    pub unknown: usize,
}

/// Finds them. The inventory of a set is a file of each project's storage, so each project is
/// asked by itself; there is no request that asks several.
pub(super) async fn find(
    reader: &Reader,
    policy: &Policy,
    projects: &[Project],
    observation: &Observation,
) -> Homes {
    let (set, others) = (&observation.set, others(projects, observation));
    let mut homes = Homes { unknown: others.len().saturating_sub(MOST_ASKED), ..Homes::default() };
    let found = inventories(reader, &policy.set, others).await;
    for (project, inventory) in found {
        let Some(inventory) = inventory else {
            homes.unknown += 1;
            continue;
        };
        let files = || inventory.entries.values().flat_map(|entry| &entry.declared_in);
        let looked_at = || files().filter(|file| set.looked_at.miss(file).is_none());
        if looked_at().any(DeclaredIn::is_in_repository) {
            homes.came_from.insert(project.name.clone(), Some(project.clone()));
        } else if !inventory.entries.is_empty() {
            // A file of no repository may be another one at the same place.
            let perhaps_from = looked_at().next();
            let perhaps_from = perhaps_from.map(|file| file.seen_from(&set.looked_at).to_owned());
            let objects = inventory.entries.len();
            let name = told(project, projects);
            homes.left_behind.insert(name, LeftBehind { objects, perhaps_from });
        }
    }
    homes
}

/// How many objects the set owns in each project that was not looked at, and how many projects
/// were not asked, or did not answer.
pub(super) async fn elsewhere(
    reader: &Reader,
    policy: &Policy,
    projects: &[Project],
    observation: &Observation,
) -> (BTreeMap<String, usize>, usize) {
    let others = others(projects, observation);
    let mut unknown = others.len().saturating_sub(MOST_ASKED);
    let mut counts = BTreeMap::new();
    for (project, inventory) in inventories(reader, &policy.set, others).await {
        match inventory.map(|inventory| inventory.entries.len()) {
            None => unknown += 1,
            Some(0) => {}
            Some(count) => drop(counts.insert(told(project, projects), count)),
        }
    }
    (counts, unknown)
}

/// What a project is called in messages: its id if others have the same name.
pub(super) fn told(project: &Project, all: &[Project]) -> String {
    match all.iter().filter(|other| other.name == project.name).count() {
        0 | 1 => project.name.clone(),
        _ => project.id.clone(),
    }
}

/// The projects that were not looked at.
fn others<'a>(projects: &'a [Project], observation: &Observation) -> Vec<&'a Project> {
    let looked_at = observation.state.projects.values();
    let ids: BTreeSet<&str> = looked_at.filter_map(|project| project.id.as_deref()).collect();
    projects.iter().filter(|project| !ids.contains(project.id.as_str())).collect()
}

/// What a set owns in each project that was asked; `None` where one did not answer.
pub(super) async fn inventories<'a>(
    reader: &Reader,
    set: &str,
    projects: Vec<&'a Project>,
) -> Vec<(&'a Project, Option<Inventory>)> {
    // Made by a closure of the stream they would not be `Send`, and neither would a whole run.
    let asked = projects.into_iter().take(MOST_ASKED).map(|project| async move {
        let stored = inventory::load(reader, set, &project.name, &project.id).await;
        (project, stored.ok().map(|stored| stored.inventory))
    });
    stream::iter(asked.collect::<Vec<_>>()).buffer_unordered(CONCURRENT_LISTS).collect().await
}
