//! Where else a set owns something: a set whose documents name another project than before
//! may have come from there.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt};

use super::inventory;
use super::observe::{CONCURRENT_LISTS, Observation};
use super::projects::{Project, names_project};
use crate::api::reader::Reader;
use crate::manifest::declared_in::DeclaredIn;
use crate::manifest::set::Set;
use crate::plan::Inventory;
use crate::plan::planner::Policy;

/// How many projects are asked at most whether the set owns something in them.
const MOST_ASKED: usize = 200;

/// Whether documents name a project in which the set owns nothing yet: the set may have come
/// from another one. Where the project is told from outside, one set is meant for many.
pub(super) fn is_new(set: &Set, observation: &Observation) -> bool {
    let is_new = |project: &String| observation.stored.get(project).is_some_and(|it| !it.exists());
    set.objects.values().any(|desired| is_new(&desired.key.project) && names_project(desired))
}

/// The other projects in which the set owns something: those that have it from files that
/// were looked at, which are in scope, and how much it is in the others. What cannot be read
/// is left out.
pub(super) async fn find(
    reader: &Reader,
    policy: &Policy,
    set: &Set,
    projects: &[Project],
    observation: &Observation,
) -> (BTreeMap<String, Option<Project>>, BTreeMap<String, usize>) {
    let looked_at = &observation.state.projects;
    let others = projects.iter().filter(|project| !looked_at.contains_key(&project.name));
    let found: Vec<(&Project, Inventory)> = stream::iter(others.take(MOST_ASKED))
        .map(|project| async move {
            let stored = inventory::load(reader, &policy.set, &project.name, &project.id).await;
            Some((project, stored.ok()?.inventory)).filter(|(_, found)| !found.entries.is_empty())
        })
        .buffer_unordered(CONCURRENT_LISTS)
        .filter_map(std::future::ready)
        .collect()
        .await;
    // A file of no repository may be another one at the same place.
    let is_ours = |file: &DeclaredIn| file.is_in_repository() && set.looked_at.miss(file).is_none();
    let (came_from, others): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|(_, it)| it.entries.values().any(|it| it.declared_in.iter().any(is_ours)));
    let came_from = came_from.into_iter().map(|(it, _)| (it.name.clone(), Some(it.clone())));
    let others = others.into_iter().map(|(it, found)| (it.name.clone(), found.entries.len()));
    (came_from.collect(), others.collect())
}
