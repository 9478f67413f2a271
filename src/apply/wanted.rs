//! Which lists of a project matter to a plan: those of what the set declares or owns, of what that
//! may refer to, and of what may refer to what is deleted.

use std::collections::{BTreeMap, BTreeSet};

use super::absent::ListOf;
use crate::kinds::{ALL, By, Key, KindName, ReferredTo};
use crate::manifest::set::Set;
use crate::plan::State;
use crate::plan::planner::{Policy, Prune};
use crate::plan::renames::former_keys;

/// The lists of one project that matter to the plan.
pub(super) struct Wanted {
    kinds: BTreeSet<KindName>,
    /// The kinds whose objects may be in a room and of which those outside of rooms matter.
    of_project: BTreeSet<KindName>,
    /// The places in which objects matter, by the kind of these objects.
    places: BTreeMap<KindName, BTreeSet<String>>,
    /// Whether what is in every room matters.
    pub all_rooms: bool,
    /// Whether somebody may be deleted who may do something.
    somebody_leaves: bool,
    /// Whether the project itself matters.
    pub project: bool,
}

impl Wanted {
    pub(super) fn new(policy: &Policy, set: &Set, state: &State, project: &str) -> Self {
        let inventory = state.inventories.get(project);
        let owned = inventory.into_iter().flat_map(|inventory| inventory.entries.keys());
        let keys: Vec<&Key> =
            set.objects.keys().filter(|key| key.project == project).chain(owned).collect();
        let mut kinds: BTreeSet<KindName> = keys.iter().map(|key| key.kind).collect();
        let referred = kinds.iter().filter(|kind| !kind.kind().refers_by_name());
        let referred = referred
            .flat_map(|kind| kind.kind().relations())
            .filter(|relation| relation.by != By::Port)
            .map(|relation| relation.to);
        let in_names = keys.iter().filter_map(|key| Some(key.named_key()?.kind));
        let referred: Vec<KindName> = referred.chain(in_names).collect();
        kinds.extend(referred);
        if keys.iter().any(|key| key.room.is_some()) {
            kinds.insert(KindName::of_rooms());
        }
        let mut places = placed(&keys);
        for (kind, account) in named(set, project) {
            places.entry(kind).or_default().insert(account);
        }
        let (mut all_rooms, mut somebody_leaves) = (false, false);
        for kind in ALL.iter().map(|kind| kind.name()) {
            let leaving = leaving(policy, set, (kind, &keys));
            if leaving.is_empty() {
                continue;
            }
            somebody_leaves |= kind.is_who();
            for inside in kind.contents() {
                places.entry(inside).or_default().extend(leaving.iter().cloned());
            }
            if kind.is_room() {
                kinds.extend(kind.referrers().map(|(kind, _)| kind));
                continue;
            }
            kinds.extend(kind.contents());
            if kind.is_referred_to_in_rooms() {
                all_rooms = true;
                kinds.insert(KindName::of_rooms());
            }
        }
        // Whether there is anything in a project is asked before it is taken over.
        let owns_project = inventory.is_some_and(|it| it.entries.keys().any(Key::is_project));
        let is_new = !owns_project && keys.iter().any(|key| key.is_project());
        if is_new {
            let things = ALL.iter().filter(|kind| !kind.is_access());
            kinds.extend(things.map(|kind| kind.name()));
        }
        let is_of_project = |kind: &KindName| {
            let has_any = |key: &&Key| key.kind == *kind && key.room.is_none();
            kind.fills_rooms() && (all_rooms || is_new) || keys.iter().any(has_any)
        };
        Self {
            of_project: KindName::in_rooms().filter(is_of_project).collect(),
            all_rooms,
            somebody_leaves,
            project: kinds.contains(&KindName::of_projects()),
            places,
            kinds,
        }
    }

    /// Whether anything matters that somebody may do, or somebody may be deleted.
    pub(super) fn is_about_access(&self) -> bool {
        self.somebody_leaves || self.kinds.iter().any(|kind| kind.kind().is_access())
    }

    /// The places in which objects of a kind matter.
    pub(super) fn places(&self, kind: KindName) -> impl Iterator<Item = &String> {
        self.places.get(&kind).into_iter().flatten()
    }

    /// The lists, in an order in which what others refer to by its id, and what they are in,
    /// comes before them.
    pub(super) fn lists(&self) -> Vec<ListOf> {
        let is_placed = |kind: &KindName| kind.kind().placed_in().is_some();
        let others = self.kinds.iter().copied().filter(|kind| !is_placed(kind));
        let others = others.filter(|kind| !kind.is_project());
        let mut lists: Vec<ListOf> = others.map(|kind| (kind, None)).collect();
        for kind in ALL.iter().map(|kind| kind.name()).filter(is_placed) {
            lists.extend(self.of_project.contains(&kind).then_some((kind, None)));
            lists.extend(self.places(kind).map(|place| (kind, Some(place.clone()))));
        }
        lists.sort_by_key(|(kind, _)| match () {
            () if kind.is_place() => 0,
            () if kind.is_referred_to_by_id() => 1 + depth(*kind, &[]),
            () => usize::MAX,
        });
        lists
    }
}

/// How many kinds one after the other must be read before a kind, because each refers to the one
/// before it by its id. A circle, which no order can have, is gone through once.
fn depth(kind: KindName, after: &[KindName]) -> usize {
    let after = [after, &[kind]].concat();
    let by_id = kind.kind().relations().iter();
    let by_id = by_id.filter(|relation| matches!(relation.by, By::Id | By::Email));
    let by_id = by_id.filter(|relation| !after.contains(&relation.to));
    by_id.map(|relation| 1 + depth(relation.to, &after)).max().unwrap_or_default()
}

/// The places that objects are in, by the kind of the objects.
fn placed(keys: &[&Key]) -> BTreeMap<KindName, BTreeSet<String>> {
    let mut places: BTreeMap<KindName, BTreeSet<String>> = BTreeMap::new();
    for key in keys {
        if let Some(place) = key.place() {
            places.entry(key.kind).or_default().insert(place.to_owned());
        }
    }
    places
}

/// The service accounts to which something belongs that the documents of a project refer to, with
/// its kind.
fn named(set: &Set, project: &str) -> Vec<(KindName, String)> {
    let mut found = Vec::new();
    for (key, desired) in set.objects.iter().filter(|(key, _)| key.project == project) {
        for reference in key.kind.kind().references(&desired.fields) {
            if let ReferredTo::Object { kind, name, .. } = reference.to
                && let Some(account) = kind.kind().place_in(&name)
            {
                found.push((kind, account.to_owned()));
            }
        }
    }
    found
}

/// The names of objects of a kind that may be deleted. Before one is, everything that refers to
/// it or is in it must be known, whoever owns that.
fn leaving(policy: &Policy, set: &Set, (kind, keys): (KindName, &[&Key])) -> Vec<String> {
    // A document that gives former names may take the name that another object has now, and
    // that object is then deleted.
    let stays = |key: &Key| match set.objects.get(key).filter(|_| !policy.destroy) {
        Some(desired) => former_keys(desired).is_empty(),
        // To find what refers to it, what is in every room is read. That is not worth it where
        // nothing is pruned.
        None => !kind.is_room() && policy.prune == Prune::None && !policy.destroy,
    };
    let is_leaving = |key: &&&Key| key.kind == kind && !stays(key);
    keys.iter().filter(is_leaving).map(|key| key.name.clone()).collect()
}
