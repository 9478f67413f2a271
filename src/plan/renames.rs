//! Renames: which objects get another name, and in which order names become free.
//!
//! A document may say what its object was called (`lifecycle.moved_from`), a run may have
//! stopped between two renames, and somebody may have renamed an object by hand. In all
//! three cases the object is known by its id, and it gets the name that the documents want.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::{Entry, State};
use crate::error::Problem;
use crate::kinds::Key;
use crate::kinds::path::FieldPath;
use crate::listed::few;
use crate::manifest::set::Desired;

/// The keys that an object had before, as its document says.
#[must_use]
pub fn former_keys(desired: &Desired) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for name in &desired.lifecycle.moved_from.0 {
        let name = desired.key.kind.kind().natural_name(name);
        let key = desired.key.with_name(name);
        if key.name != desired.key.name && !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// Those former names that are still open: an object with one of them may be the object. Once the
/// object exists under its own name and had any of them, the others are other objects.
#[must_use]
pub fn open_former_keys(state: &State, desired: &Desired) -> Vec<Key> {
    let mut keys = former_keys(desired);
    if keys.is_empty() {
        return keys;
    }
    let Some(entry) = entry(state, &desired.key) else { return keys };
    let is_settled = |key: &Key| entry.moved_from.0.contains(&key.name);
    let is_there = entry.was.is_none() && state.objects.contains_key(&desired.key);
    if is_there && keys.iter().any(is_settled) {
        keys.clear();
    }
    keys.retain(|key| !is_settled(key));
    keys
}

/// Refuses a document of which several former names are on the platform: nobody can tell
/// which of the objects is meant.
#[must_use]
pub fn ambiguous(desired: &Desired, found: &[Key]) -> Option<Problem> {
    let [first, .., last] = found else { return None };
    let key = &desired.key;
    let (message, other) = match found.len() {
        2 => (
            format!("{key} names {first} and {last} in `moved_from`, and both are on the platform"),
            "the other one",
        ),
        _ => (
            format!("{key} names {} in `moved_from`, and they are all on the platform", few(found)),
            "the others",
        ),
    };
    let path = FieldPath::of(&["lifecycle", "moved_from"]);
    let problem = desired.origin.problem_at(&path, message);
    Some(
        problem
            .hint(format!("keep the name that the object has in `moved_from`, and remove {other}")),
    )
}

/// What a set knows of an object.
fn entry<'a>(state: &'a State, key: &Key) -> Option<&'a Entry> {
    state.inventories.get(&key.project)?.entries.get(key)
}

/// Whether the set owns an existing object.
fn is_ours(state: &State, set: &str, key: &Key) -> bool {
    let Some(observed) = state.objects.get(key) else { return false };
    match (&observed.owner, entry(state, key)) {
        (Some(owner), _) => owner == set,
        (None, Some(entry)) => {
            entry.id.is_none() || observed.id.is_none() || entry.id == observed.id
        }
        (None, None) => false,
    }
}

/// The renames that the documents ask for and the platform allows, before the scope is known.
#[derive(Debug, Default)]
pub struct Candidates {
    /// The objects that get another name: by the key that their document gives them, the
    /// key that they have.
    pub sources: BTreeMap<Key, Key>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Objects that several documents claim.
    pub problems: Vec<Problem>,
}

impl Candidates {
    /// Finds them among the objects of the kinds that are meant.
    #[must_use]
    pub fn find(
        desired: &BTreeMap<Key, Desired>,
        state: &State,
        set: &str,
        is_meant: impl Fn(&Key) -> bool,
    ) -> Self {
        let mut found = Self::default();
        let mut claims: BTreeMap<Key, Vec<&Desired>> = BTreeMap::new();
        let known_as = known_as(state);
        let objects = desired
            .values()
            .filter(|object| object.key.kind.kind().is_renamable() && is_meant(&object.key));
        for object in objects {
            let (source, is_said) = match source(desired, state, &known_as, object) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(sources) => {
                    found.problems.extend(ambiguous(object, &sources));
                    continue;
                }
            };
            let is_taken = state.objects.contains_key(&object.key);
            if is_taken && !is_ours(state, set, &source) {
                found.notes.push(format!(
                    "{source} is not owned by the set `{set}`, so {} stays as it is",
                    object.key
                ));
                continue;
            }
            if is_said {
                claims.entry(source.clone()).or_default().push(object);
            }
            found.sources.insert(object.key.clone(), source);
        }
        // What a document says takes precedence over what an earlier run left behind.
        found.sources.retain(|key, source| {
            let claimants = claims.get(source);
            claimants.is_none_or(|claimants| claimants.iter().any(|object| object.key == *key))
        });
        found
            .problems
            .extend(claims.iter().filter_map(|(source, claimants)| contested(source, claimants)));
        found.refuse_what_stays(desired, state);
        found
    }

    /// If both names exist and are declared, and nothing else moves, it is unclear whether the
    /// object was renamed long ago or should be renamed now.
    fn refuse_what_stays(&mut self, desired: &BTreeMap<Key, Desired>, state: &State) {
        let path = FieldPath::of(&["lifecycle", "moved_from"]);
        let moving: BTreeSet<&Key> = self.sources.values().collect();
        for (key, source) in &self.sources {
            let (Some(object), Some(other)) = (desired.get(key), desired.get(source)) else {
                continue;
            };
            let is_taken = state.objects.contains_key(key) && !moving.contains(key);
            if !is_taken || self.sources.contains_key(source) {
                continue;
            }
            let message = format!(
                "{key} names {source} in `moved_from`, but both are on the platform and declared; {source} is declared at {}",
                other.origin.place()
            );
            let problem = object.origin.problem_at(&path, message);
            self.problems.push(problem.hint(format!(
                "remove `moved_from` if both stay as they are; to rename {source} to {key} and keep both, give the document of {source} a new name and `moved_from: {0}`; to rename {source} to {key} and delete the present {key}, remove the document of {source} and keep `moved_from`",
                key.name
            )));
        }
    }

    /// The document whose object must give up its name before this one gets it.
    #[must_use]
    pub fn before(&self, key: &Key) -> Option<&Key> {
        self.sources.get(key)?;
        self.sources.iter().find(|(_, source)| *source == key).map(|(mover, _)| mover)
    }
}

/// The objects that documents know under another name than the platform does.
fn known_as(state: &State) -> BTreeMap<Key, Key> {
    let entries = state.inventories.values().flat_map(|inventory| &inventory.entries);
    entries
        .filter_map(|(key, entry)| Some((key, entry.was.clone()?)))
        .filter(|(key, _)| state.objects.contains_key(*key))
        .map(|(key, was)| (key.with_name(was), key.clone()))
        .collect()
}

/// The present key of the object of a document, if it has another name, and whether the document
/// itself says so; an error if it may be several objects.
fn source(
    desired: &BTreeMap<Key, Desired>,
    state: &State,
    known_as: &BTreeMap<Key, Key>,
    object: &Desired,
) -> Result<Option<(Key, bool)>, Vec<Key>> {
    let key = &object.key;
    let mut said = Vec::new();
    for former in open_former_keys(state, object) {
        let is_another = entry(state, &former).is_some_and(|entry| entry.was.is_some());
        let is_there = state.objects.contains_key(&former);
        let source = match known_as.get(&former) {
            // An interrupted run has already renamed it.
            Some(source) if source == key => return Ok(None),
            Some(source) => source.clone(),
            None if is_there && !(is_another && desired.contains_key(&former)) => former,
            None => continue,
        };
        if !said.contains(&source) {
            said.push(source);
        }
    }
    if said.len() > 1 {
        said = without_successors(state, said);
    }
    match said.as_slice() {
        [] => {}
        [source] => return Ok(Some((source.clone(), true))),
        _ => return Err(said),
    }
    let Some(source) = known_as.get(key) else { return Ok(None) };
    // What gave up its name may not take it back while nobody knows who has it.
    let is_there = state.objects.contains_key(key);
    if !is_there && state.doubt(key).is_some() && is_of_another(state, key, source) {
        return Ok(None);
    }
    // The object that has the name now is known under another one, and so is the object of that
    // other document: a ring or a chain of renames was interrupted, and is undone.
    let is_free = match is_there {
        true => entry(state, key).is_some_and(|entry| entry.was.is_some()),
        false => true,
    };
    let is_wanted = desired
        .get(source)
        .is_some_and(|other| !known_as.contains_key(source) || former_keys(other).contains(key));
    Ok((is_free && !is_wanted).then(|| (source.clone(), false)))
}

/// Whether what a set knows of a name is of another object than the one that would get it.
fn is_of_another(state: &State, key: &Key, source: &Key) -> bool {
    let id = state.objects.get(source).and_then(|observed| observed.id.as_ref());
    entry(state, key).is_some_and(|entry| entry.id.is_some() && entry.id.as_ref() != id)
}

/// Without the objects that got a former name of one of the others after that one gave it up: the
/// set recorded that.
fn without_successors(state: &State, found: Vec<Key>) -> Vec<Key> {
    let has_left = |key: &Key, name: &String| {
        entry(state, key).is_some_and(|entry| entry.moved_from.0.contains(name))
    };
    let is_successor = |key: &Key| found.iter().any(|it| it != key && has_left(it, &key.name));
    match found.iter().filter(|key| !is_successor(key)).collect::<Vec<_>>().as_slice() {
        [] => found,
        rest => rest.iter().map(|key| (*key).clone()).collect(),
    }
}

/// Two documents cannot have the same object.
fn contested(source: &Key, claimants: &[&Desired]) -> Option<Problem> {
    let [first, .., last] = claimants else { return None };
    let path = FieldPath::of(&["lifecycle", "moved_from"]);
    let message = format!(
        "{} and {} both name {source} in `moved_from`; the first is declared at {}",
        first.key,
        last.key,
        first.origin.place()
    );
    let problem = last.origin.problem_at(&path, message);
    Some(problem.hint("remove `moved_from` from one of them"))
}

/// The renames of a plan.
#[derive(Debug, Clone, Default)]
pub struct Renames {
    /// By the key that an object gets, the key that it has.
    now: BTreeMap<Key, Key>,
    /// The objects that lose their name to another one and are to be deleted, by the key
    /// that stands for each in the plan.
    displaced: BTreeSet<Key>,
}

impl Renames {
    /// The renames of what is in scope, with what must make room for them.
    #[must_use]
    pub fn of(candidates: Candidates, state: &State, is_selected: impl Fn(&Key) -> bool) -> Self {
        let mut now = candidates.sources;
        now.retain(|key, _| is_selected(key));
        let moving: BTreeSet<&Key> = now.values().collect();
        let displaced: BTreeMap<Key, Key> = now
            .keys()
            .filter(|key| !moving.contains(key))
            .filter_map(|key| {
                state.objects.get(key)?;
                Some((stand_in(key, state), key.clone()))
            })
            .collect();
        let keys = displaced.keys().cloned().collect();
        now.extend(displaced);
        Self { now, displaced: keys }
    }

    /// Both together; the others apply to what these leave.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.now.extend(other.now);
        self.displaced.extend(other.displaced);
        self
    }

    /// These renames without those that `those` holds.
    #[must_use]
    pub fn without(&self, those: &Self) -> Self {
        let is_left = |key: &&Key| !those.now.contains_key(*key);
        let now = self.now.iter().filter(|(key, _)| is_left(key));
        Self {
            now: now.map(|(key, now)| (key.clone(), now.clone())).collect(),
            displaced: self.displaced.iter().filter(is_left).cloned().collect(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.now.is_empty()
    }

    /// The key that an object has before the plan, if it gets another one.
    #[must_use]
    pub fn now(&self, key: &Key) -> Option<&Key> {
        self.now.get(key)
    }

    /// All of them: the key that an object gets, and the key that it has.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Key)> {
        self.now.iter()
    }

    /// Whether an object loses its name to another one.
    #[must_use]
    pub fn displaces(&self, key: &Key) -> bool {
        self.displaced.contains(key)
    }

    /// The objects that lose their names to others.
    pub fn displaced(&self) -> impl Iterator<Item = &Key> {
        self.displaced.iter()
    }

    /// The key that the object of this name gets.
    #[must_use]
    pub fn becomes(&self, key: &Key) -> Option<&Key> {
        self.now.iter().find(|(_, now)| *now == key).map(|(becomes, _)| becomes)
    }

    /// One object of each ring, which must give up its name for a while, with its temporary name.
    #[must_use]
    pub fn rings(&self, state: &State) -> BTreeMap<Key, Key> {
        let mut rings = BTreeMap::new();
        let mut seen: BTreeSet<&Key> = BTreeSet::new();
        for start in self.now.keys() {
            let mut key = start;
            while seen.insert(key) {
                let Some((next, _)) = self.now.get_key_value(&self.now[key]) else { break };
                if next == start {
                    rings.insert(start.clone(), stand_in(start, state));
                }
                key = next;
            }
        }
        rings
    }
}

/// Whether a name is a temporary one that a run gives to an object.
#[must_use]
pub fn is_stand_in(name: &str) -> bool {
    let is_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    let digits = name.strip_prefix(STAND_IN).unwrap_or_default();
    digits.len() == STAND_IN_DIGITS && digits.chars().all(is_hex)
}

/// What such a name begins with.
const STAND_IN: &str = "moving-";

/// How many hex digits follow.
const STAND_IN_DIGITS: usize = 12;

/// A name for an object that must give up its own for a while: the same in each plan, valid
/// for every kind, and not used by another object.
pub(super) fn stand_in(key: &Key, state: &State) -> Key {
    let of = (&key.project, key.room.as_deref().unwrap_or_default(), &key.name);
    (0_u32..)
        .map(|salt| {
            let digest = Sha256::digest(format!("{} {of:?} {salt}", key.kind));
            let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            let name = format!("{STAND_IN}{}", &digits[..STAND_IN_DIGITS]);
            key.with_name(name)
        })
        .find(|key| !state.objects.contains_key(key) && entry(state, key).is_none())
        .unwrap_or_else(|| key.clone())
}
