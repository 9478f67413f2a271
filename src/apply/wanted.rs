//! Which lists of a project matter to a plan: those of what the set declares or owns, of what that
//! may refer to, and of what may refer to what is deleted.

use std::collections::BTreeSet;

use super::absent::ListOf;
use crate::kinds::{ALL, By, Key, KindName, ReferredTo};
use crate::manifest::set::Set;
use crate::plan::State;
use crate::plan::planner::{Policy, Prune};
use crate::plan::renames::former_keys;

/// The lists of one project that matter to the plan.
pub(super) struct Wanted {
    kinds: BTreeSet<KindName>,
    /// Whether objects outside of rooms matter, of kinds whose objects may be in one.
    of_project: bool,
    /// The rooms in which what is there matters.
    pub rooms: BTreeSet<String>,
    /// The service accounts of which what belongs to them matters.
    accounts: BTreeSet<String>,
    /// Whether what is in every room matters.
    pub all_rooms: bool,
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
        let referred: Vec<KindName> = kinds
            .iter()
            .flat_map(|kind| kind.kind().relations())
            .filter(|relation| relation.by != By::Port)
            .map(|relation| relation.to)
            .collect();
        kinds.extend(referred);
        let mut rooms: BTreeSet<String> = keys.iter().filter_map(|key| key.room.clone()).collect();
        if !rooms.is_empty() {
            kinds.insert(KindName::of_rooms());
        }
        let account = |key: &&Key| key.room.is_none().then(|| key.place().map(str::to_owned))?;
        let mut accounts: BTreeSet<String> = keys.iter().filter_map(account).collect();
        accounts.extend(named(set, project));
        let mut all_rooms = false;
        for kind in ALL.iter().map(|kind| kind.name()) {
            let leaving = leaving(policy, set, (kind, &keys));
            if leaving.is_empty() {
                continue;
            }
            if kind.is_room() {
                kinds.extend(kind.referrers().map(|(kind, _)| kind));
                rooms.extend(leaving);
                continue;
            }
            if kind.is_place() {
                kinds.extend(kind.inside());
                accounts.extend(leaving);
            }
            if kind.is_referred_to_in_rooms() {
                all_rooms = true;
                kinds.insert(KindName::of_rooms());
            }
        }
        // Whether there is anything in a project is asked before it is taken over.
        let owns_project = inventory.is_some_and(|it| it.entries.keys().any(Key::is_project));
        let is_new = !owns_project && keys.iter().any(|key| key.is_project());
        if is_new {
            kinds.extend(ALL.iter().map(|kind| kind.name()));
        }
        let is_of_project = |key: &&Key| key.kind.is_in_rooms() && key.room.is_none();
        Self {
            of_project: all_rooms || is_new || keys.iter().any(is_of_project),
            all_rooms,
            project: kinds.contains(&KindName::of_projects()),
            rooms,
            accounts,
            kinds,
        }
    }

    /// The lists, in an order in which what others refer to by its id, and what they are in,
    /// comes before them.
    pub(super) fn lists(&self) -> Vec<ListOf> {
        let is_placed = |kind: &KindName| kind.kind().placed_in().is_some();
        let (placed, others): (Vec<_>, Vec<_>) = self.kinds.iter().copied().partition(is_placed);
        let others = others.into_iter().filter(|kind| !kind.is_project());
        let mut lists: Vec<ListOf> = others.map(|kind| (kind, None)).collect();
        for kind in placed.into_iter().filter(|kind| !kind.is_in_rooms()) {
            lists.extend(self.accounts.iter().map(|account| (kind, Some(account.clone()))));
        }
        for kind in KindName::in_rooms() {
            lists.extend(self.of_project.then_some((kind, None)));
            lists.extend(self.rooms.iter().map(|room| (kind, Some(room.clone()))));
        }
        lists.sort_by_key(|(kind, _)| match () {
            () if kind.is_place() => 0,
            () if kind.is_referred_to_by_id() => 1,
            () => 2,
        });
        lists
    }
}

/// The service accounts to which something belongs that the documents of a project refer to.
fn named(set: &Set, project: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (key, desired) in set.objects.iter().filter(|(key, _)| key.project == project) {
        for reference in key.kind.kind().references(&desired.fields) {
            if let ReferredTo::Object { kind, name, .. } = reference.to
                && let Some(account) = kind.kind().place_in(&name)
            {
                found.insert(account.to_owned());
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
