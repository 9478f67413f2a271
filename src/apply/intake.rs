//! Takes what lists answer into the state: under which key an object is known, and in which form its
//! fields are compared.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use indexmap::IndexSet;
use serde_json::Value;

use super::absent;
use super::observe::{CONCURRENT_LISTS, Unreadable, observed, read_list, unreadable};
use super::own::Own;
use crate::api::reader::{List, Reader};
use crate::dialect::{Speaks, Spelling};
use crate::error::{Error, Result};
use crate::kinds::path::FieldPath;
use crate::kinds::{By, Key, KindName};
use crate::manifest::set::{Desired, Set};
use crate::plan::diff::has_masked;
use crate::plan::references::{NamesById, name_ids};
use crate::plan::{Entry, Incomplete, Observed, State};

/// Takes lists of a project into the state.
pub(super) struct Intake<'a> {
    pub reader: &'a Reader,
    pub set: &'a Set,
    pub project: &'a str,
    pub state: &'a mut State,
    /// The names of what is referred to by its id.
    pub names: NamesById,
    /// What is about whoever reads.
    pub own: &'a Own,
    /// The keys that several objects have.
    pub displaced: BTreeSet<Key>,
}

impl Intake<'_> {
    /// Reads what of a kind is in a room, for each of these.
    pub async fn take_rooms(
        &mut self,
        project_id: &str,
        lists: Vec<(KindName, String)>,
        unproven: &mut BTreeSet<absent::ListOf>,
    ) -> Result<()> {
        let reader = self.reader;
        let known = |(kind, room): (KindName, String)| {
            let key = Key::of(KindName::of_rooms(), self.project, &room);
            let id = self.state.objects.get(&key).and_then(|observed| observed.id.clone());
            (kind, room, id)
        };
        let lists: Vec<_> = lists.into_iter().map(known).collect();
        let mut lists = stream::iter(lists)
            .map(|(kind, room, id)| async move {
                let place = Some((room.as_str(), id.as_deref()));
                let read = read_list(reader, project_id, kind, place).await?;
                Ok::<_, Error>(((kind, Some(room)), read))
            })
            .buffered(CONCURRENT_LISTS);
        while let Some((of, list)) = lists.try_next().await? {
            self.take_list(of, list, unproven)?;
        }
        Ok(())
    }

    /// What was read of one list.
    pub fn take_list(
        &mut self,
        (kind, room): absent::ListOf,
        list: std::result::Result<List, Unreadable>,
        unproven: &mut BTreeSet<absent::ListOf>,
    ) -> Result<()> {
        match list {
            Ok(list) => {
                self.take(kind, room.as_ref(), list.items)?;
                if !list.is_proven {
                    unproven.insert((kind, room));
                }
            }
            // What can be decided without this list is decided without it.
            Err(Unreadable { reason, hint }) => {
                let project = self.project.to_owned();
                self.state.incomplete.push(Incomplete { kind, project, room, reason, hint });
            }
        }
        Ok(())
    }

    pub fn take(&mut self, kind: KindName, room: Option<&String>, items: Vec<Value>) -> Result<()> {
        let spelling = self.reader.spelling(kind);
        for item in items.into_iter().filter(|item| spelling.is_declarable(item)) {
            let seen = spelling.seen(&item).map_err(|what| unreadable(kind, &what))?;
            let room = room.filter(|_| kind.is_in_rooms()).cloned();
            let names = names_of(spelling, (kind, &seen.name), &item, &self.names);
            let called = |name: &String| Key::new(kind, self.project, room.clone(), name);
            let keys: Vec<Key> = names.iter().map(called).collect();
            let key = self.known(&keys)?;
            let own = |name: &String| self.own.is_called(kind, name);
            if names.iter().chain(&seen.id).any(own) {
                self.state.own.insert(key.clone());
            }
            let mut observed = observed(spelling, seen, &item, None);
            observed.also_called = names.into_iter().filter(|name| *name != key.name).collect();
            self.rekey(&key, &observed);
            self.settle(&key, &mut observed);
            if let Some(first) = self.state.objects.insert(key.clone(), observed) {
                self.displace(key, first);
            }
        }
        Ok(())
    }

    /// Of two objects of one key, the one that the inventory knows is meant. What refers to the other
    /// one by its id refers to something else.
    fn displace(&mut self, key: Key, first: Observed) {
        let is_meant = first.id.is_some() && recorded_id(self.state, &key) == first.id.as_deref();
        let other = match self.state.objects.get_mut(&key).filter(|_| is_meant) {
            Some(last) => std::mem::replace(last, first),
            None => first,
        };
        for handle in other.handles() {
            self.names.remove(&(key.kind, handle));
        }
        self.displaced.insert(key);
    }

    /// What the set owns under another name of an object, it owns under this one.
    fn rekey(&mut self, key: &Key, observed: &Observed) {
        let Some(inventory) = self.state.inventories.get_mut(self.project) else { return };
        for other in observed.keys(key).skip(1) {
            let is_it =
                |entry: &Entry| entry.id.is_none() || entry.id.as_deref() == observed.id.as_deref();
            if inventory.entries.get(&other).is_some_and(is_it)
                && let Some(entry) = inventory.entries.remove(&other)
            {
                inventory.entries.entry(key.clone()).or_insert(entry);
            }
        }
    }

    /// Under which of its names the set knows an object; under the first one, if it does not.
    fn known(&self, keys: &[Key]) -> Result<Key> {
        if let [only] = keys {
            return Ok(only.clone());
        }
        let declared: Vec<&Desired> =
            keys.iter().filter_map(|key| self.set.objects.get(key)).collect();
        if let [first, second, ..] = declared[..] {
            let told = format!("{} and {} are one and the same", first.key, second.key);
            let problem = second.origin.problem_at(&FieldPath::of(&["metadata", "name"]), told);
            return Err(Error::manifests(vec![problem.hint("remove one of the two documents")]));
        }
        let inventory = self.state.inventories.get(self.project);
        let is_owned = |key: &&Key| inventory.is_some_and(|it| it.entries.contains_key(*key));
        let declared = declared.first().map(|desired| &desired.key);
        let known = declared.or_else(|| keys.iter().find(is_owned)).or(keys.first());
        known.cloned().ok_or_else(|| Error::failed("an object has no name"))
    }

    /// Brings an object's fields into the form in which they are compared.
    fn settle(&mut self, key: &Key, observed: &mut Observed) {
        if key.kind.is_referred_to_by_id() {
            let handles = observed.handles();
            self.names.extend(handles.map(|handle| ((key.kind, handle), key.name.clone())));
        }
        if key.kind.kind().relations().iter().any(|it| matches!(it.by, By::Id | By::Email)) {
            name_ids(key, Arc::make_mut(&mut observed.fields), &self.names);
        }
        if let Some(inventory) = self.state.inventories.get(self.project)
            && let Some(entry) = inventory.entries.get(key)
            && let Some(applied) = &entry.applied
        {
            let fields = Arc::make_mut(&mut observed.fields);
            fields.seal_recorded(applied, &inventory.fingerprinter(key));
        }
        // What is as it should be is held once. A masked secret only looks like its mask.
        if let Some(desired) = self.set.objects.get(key)
            && desired.fields == observed.fields
            && !has_masked(Some(&observed.fields))
        {
            observed.fields = Arc::clone(&desired.fields);
        }
    }
}

/// What an object of a list may be called, the best name first. What its name names by an id may
/// have a name.
pub(super) fn names_of(
    spelling: &dyn Spelling,
    (kind, name): (KindName, &str),
    item: &Value,
    known: &NamesById,
) -> Vec<String> {
    let mut names = vec![name.to_owned()];
    names.extend(spelling.also_called(item));
    let named = |name: &String| {
        let (kind, who) = kind.kind().named_in(name)?;
        let exact = known.get(&(kind, who.to_owned()));
        let is_it = |(of, handle): &(KindName, String)| {
            *of == kind && kind.kind().natural_name(handle) == who
        };
        let called =
            exact.or_else(|| known.iter().find(|(key, _)| is_it(key)).map(|(_, it)| it))?;
        Some(format!("{}{called}", name.strip_suffix(who)?))
    };
    let called: Vec<String> = names.iter().filter_map(named).collect();
    // Most objects have one name.
    if called.is_empty() && names.len() == 1 {
        return names;
    }
    let all: IndexSet<String> = called.into_iter().chain(names).collect();
    all.into_iter().collect()
}

/// The id under which the inventory knows an object.
fn recorded_id<'a>(state: &'a State, key: &Key) -> Option<&'a str> {
    state.inventories.get(&key.project)?.entries.get(key)?.id.as_deref()
}

/// Two objects may share a name on the platform. The one whose id the inventory knows is
/// meant; without that, a set that needs the name cannot be planned.
pub(super) fn settle_ambiguous(
    set: &Set,
    state: &mut State,
    ambiguous: BTreeSet<Key>,
) -> Result<()> {
    let mut problems = Vec::new();
    for key in ambiguous {
        let found = state.objects.get(&key).and_then(|it| it.id.as_deref());
        if found.is_some() && recorded_id(state, &key) == found {
            continue;
        }
        if let Some(desired) = set.objects.get(&key) {
            let problem = desired.origin.problem_at(
                &FieldPath::of(&["metadata", "name"]),
                format!(
                    "the platform has more than one {key}, so it is not clear which one is meant"
                ),
            );
            problems.push(problem.hint("delete or rename all but one"));
        } else {
            state.ambiguous.insert(key);
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::manifests(problems)) }
}
