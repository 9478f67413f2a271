//! The first step of a plan: what is in scope, and what is renamed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Policy, Refusal};
use crate::error::Problem;
use crate::kinds::Key;
use crate::kinds::path::FieldPath;
use crate::manifest::set::Desired;
use crate::plan::references::Known;
use crate::plan::renames::{Candidates, Renames};
use crate::plan::{State, naming};

/// What is known before anything is decided.
pub(super) struct Beginning {
    /// The objects that are in scope; all of them without a scope.
    pub selected: Option<BTreeSet<Key>>,
    /// The objects that get another name.
    pub renames: Renames,
    /// The objects that documents out of scope would rename: the key from the document, by the key
    /// that the object has now.
    pub meant: BTreeMap<Key, Key>,
    /// Those of them that contain other objects or that others name.
    holders: Renames,
    pub notes: Vec<String>,
}

impl Beginning {
    /// The state with each object under the key that it gets. The key of an object in a room
    /// contains the room, so rooms go first.
    pub fn state(&self, state: &State) -> State {
        let state = naming::renamed(state, &self.holders);
        let others = self.renames.without(&self.holders);
        if others.is_empty() { state } else { naming::renamed(&state, &others) }
    }
}

/// Whether an object contains other objects or others name it.
fn is_holder(key: &Key) -> bool {
    key.kind.kind().is_named_by_others()
}

pub(super) fn begin(
    desired: &BTreeMap<Key, Desired>,
    state: &State,
    policy: &Policy,
) -> Result<Beginning, Refusal> {
    let find = |state: &State, is_meant: &dyn Fn(&Key) -> bool| {
        Candidates::find(desired, state, &policy.set, is_meant)
    };
    let mut notes = Vec::new();
    let all = find(state, &|_| true);
    let selected = select(desired, state, policy, (&all, &mut notes))?;
    let is_selected = |key: &Key| selected.as_ref().is_none_or(|selected| selected.contains(key));
    let sources = all.sources.iter().filter(|(key, _)| !is_selected(key));
    let meant = sources.map(|(key, source)| (source.clone(), key.clone())).collect();
    let mut problems = Vec::new();
    let mut take = |candidates: Candidates, state: &State| {
        notes.extend(candidates.notes.iter().cloned());
        problems.extend(candidates.problems.iter().cloned());
        problems.extend(left_out(desired, &candidates, &is_selected));
        Renames::of(candidates, state, is_selected)
    };
    let holders = take(find(state, &is_holder), state);
    let moved = (!holders.is_empty()).then(|| naming::renamed(state, &holders));
    let state = moved.as_ref().unwrap_or(state);
    let others = take(find(state, &|key| !is_holder(key)), state);
    if !problems.is_empty() {
        return Err(Refusal::guard(problems));
    }
    let renames = holders.clone().and(others);
    Ok(Beginning { selected, renames, meant, holders, notes })
}

/// The objects of the set that a plan would be for; `None` means all of them. For a scope that
/// matches nothing there are none, and the plan says why.
#[must_use]
pub fn selected(
    desired: &BTreeMap<Key, Desired>,
    state: &State,
    policy: &Policy,
) -> Option<BTreeSet<Key>> {
    let candidates = Candidates::find(desired, state, &policy.set, |_| true);
    let found = select(desired, state, policy, (&candidates, &mut Vec::new()));
    found.unwrap_or_else(|_| Some(BTreeSet::new()))
}

/// Finds out what is in scope.
fn select(
    desired: &BTreeMap<Key, Desired>,
    state: &State,
    policy: &Policy,
    (candidates, notes): (&Candidates, &mut Vec<String>),
) -> Result<Option<BTreeSet<Key>>, Refusal> {
    let scope = &policy.scope;
    if scope.is_everything() {
        return match policy.adopt.unmatched(desired) {
            unmatched if unmatched.is_empty() => Ok(None),
            unmatched => Err(Refusal::Scope(unmatched)),
        };
    }
    let known = Known::new(desired, state);
    let selected = scope.select(desired, (&known, candidates), notes);
    let owned = state.inventories.values().flat_map(|inventory| inventory.entries.keys());
    let leaving = owned.map(|key| (key, state.objects.get(key).map(|found| &*found.fields)));
    let mut unmatched = scope.unmatched(desired, &leaving.collect::<Vec<_>>());
    unmatched.extend(policy.adopt.unmatched(desired));
    if unmatched.is_empty() { Ok(Some(selected)) } else { Err(Refusal::Scope(unmatched)) }
}

/// Problems of documents that get the name of an object whose own rename is out of scope.
fn left_out(
    desired: &BTreeMap<Key, Desired>,
    candidates: &Candidates,
    is_selected: &dyn Fn(&Key) -> bool,
) -> Vec<Problem> {
    let names = candidates.sources.keys().filter(|key| is_selected(key));
    names
        .filter_map(|key| {
            let mover = candidates.before(key).filter(|mover| !is_selected(mover))?;
            let path = FieldPath::of(&["lifecycle", "moved_from"]);
            let message = format!("{key} gets the name of {mover}, which is out of scope");
            let problem = desired.get(key)?.origin.problem_at(&path, message);
            Some(problem.hint(format!("include {mover} in the scope")))
        })
        .collect()
}
