//! One object is declared once.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::super::document::Document;
use super::{Desired, Set};
use crate::error::Problem;
use crate::kinds::Key;
use crate::kinds::path::FieldPath;
use crate::kinds::specs::rules::Rule;

/// The place of each document among all that were read.
pub(super) type Order = HashMap<*const Document, usize>;

/// Two objects of one name, in two projects, where a name is one on the whole platform. The
/// first is the one that is read first.
pub(super) fn shared_names(set: &Set, order: &Order) -> Vec<Problem> {
    let objects = set.objects.values().filter(|it| it.key.kind.kind().is_unique_everywhere());
    let mut objects: Vec<&Desired> = objects.collect();
    objects.sort_by_key(|it| order.get(&Arc::as_ptr(&it.origin.document)));
    let mut first: BTreeMap<Key, &Desired> = BTreeMap::new();
    let mut problems = Vec::new();
    for desired in objects {
        match first.entry(desired.key.claim()) {
            Entry::Vacant(free) => drop(free.insert(desired)),
            Entry::Occupied(first) => {
                problems.push(twice(first.get(), desired, problems.len()).hint(
                    "names of this kind are unique on the whole platform, across all projects",
                ))
            }
        }
    }
    problems
}

/// Two objects of different kinds that are one file of a room.
pub(super) fn shared_files(set: &Set) -> Vec<Problem> {
    let is_file = |it: &&Desired| it.key.kind.kind().name_rule().rule == Rule::FilePath;
    let mut first: HashMap<(&str, Option<&str>, &str), &Desired> = HashMap::new();
    let mut problems = Vec::new();
    for desired in set.objects.values().filter(is_file) {
        let key = &desired.key;
        let file = (key.project.as_str(), key.room.as_deref(), key.name.as_str());
        if let Some(other) = first.insert(file, desired) {
            let told =
                format!("{key} is the same file as {}, at {}", other.key, other.origin.place());
            let problem = desired.origin.problem_at(&FieldPath::of(&["metadata", "name"]), told);
            problems.push(problem.hint("give one of them another path"));
        }
    }
    let paths: Vec<&Desired> = set.objects.values().filter(is_file).collect();
    for desired in paths {
        let key = &desired.key;
        let above = key.name.match_indices('/').map(|(end, _)| &key.name[..end]);
        let is_file = |path: &str| {
            first.get(&(key.project.as_str(), key.room.as_deref(), path)).map(|it| &it.key)
        };
        if let Some(other) = above.into_iter().find_map(is_file) {
            let told = format!("{key} is below {other}, which is a file and no folder");
            let problem = desired.origin.problem_at(&FieldPath::of(&["metadata", "name"]), told);
            problems.push(problem.hint("give one of them another path"));
        }
    }
    problems
}

/// The most bytes that the fields of all objects inside of rooms may have together: the inventory
/// keeps them, and is written as a whole.
const INSIDE: usize = 8 * 1024 * 1024;

/// More inside of the rooms of one project than an inventory keeps, told at the object that is too
/// much.
pub(super) fn too_much_inside(set: &Set) -> Vec<Problem> {
    let mut sums: HashMap<&str, usize> = HashMap::new();
    let mut problems = Vec::new();
    for desired in set.objects.values().filter(|it| it.key.kind.kind().is_inside_rooms()) {
        let sum = sums.entry(&desired.key.project).or_default();
        let before = *sum;
        *sum += desired.fields.redacted().to_string().len();
        if before <= INSIDE && *sum > INSIDE {
            let most = INSIDE / 1024 / 1024;
            let told = format!("what the set has inside of rooms is more than {most} MiB here");
            let problem = desired.origin.problem_at(&FieldPath::of(&["metadata", "name"]), told);
            problems.push(
                problem
                    .hint("split the set, or copy what is long with `meshagent room storage cp`"),
            );
        }
    }
    problems
}

/// How many problems of a set are told with their places in the documents. Thousands that are
/// alike are counted.
const DETAILED: usize = 1_000;

/// A document that declares what another one declares, after so many problems.
fn twice(first: &Desired, desired: &Desired, problems: usize) -> Problem {
    if problems >= DETAILED {
        let message = format!("{} is declared twice", desired.key);
        return desired.origin.document.problem_in_brief(message);
    }
    let message = format!("{} is declared twice, first at {}", desired.key, first.origin.place());
    desired.origin.document.problem_at(&FieldPath::of(&["metadata", "name"]), message)
}

/// Adds an object; one that is declared already is a problem.
pub(super) fn insert(set: &mut Set, key: Key, desired: Desired, problems: &mut Vec<Problem>) {
    let Some(first) = set.objects.get(&key) else {
        set.objects.insert(key, desired);
        return;
    };
    match (&first.origin.derived_from, &desired.origin.derived_from) {
        (None, Some(derived)) => {
            set.notes.push(format!("{key} is declared at {}, so what {derived} implies is left out", first.origin.place()));
        }
        (Some(one), Some(other)) => problems.push(
            desired.origin.document.problem_at(
                &FieldPath::of(&["values"]),
                format!("{key} is derived from {one} and from {other}"),
            )
            .hint("give the placements different values, or turn one off with `lifecycle: {derive: false}`"),
        ),
        _ => problems.push(twice(first, &desired, problems.len())),
    }
}
