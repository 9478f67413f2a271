//! Reads everything that is in one project, whoever made it. A plan reads what matters to
//! it; an export reads all.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{homes, inside, observe, projects};
use super::{inventory, sets};
use crate::api::project::the_one;
use crate::api::reader::Reader;
use crate::dialect::Speaks;
use crate::error::Result;
use crate::kinds::{self, Key, KindName};
use crate::plan::naming::follow_ids;
use crate::plan::ownership::Ownership;
use crate::plan::references::{NamesById, name_ids};
use crate::plan::renames::is_stand_in;
use crate::plan::{Entry, Inventory, Observed, State};

/// What a survey reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Everything.
    All,
    /// The things that are there, and not what somebody may do with them.
    Things,
}

/// What is in a project.
#[derive(Debug)]
pub struct Survey {
    /// The project's name.
    pub project: String,
    /// Its objects.
    pub objects: BTreeMap<Key, Observed>,
    /// What the set that was asked about knows of its objects.
    pub entries: BTreeMap<Key, Entry>,
    /// Whether the set that was asked about has been here: it has an inventory, or owns
    /// something.
    pub is_known: bool,
    /// The keys that several objects share. Only the first object of each was kept.
    pub shared: Vec<Key>,
    /// The objects that a run which was cut off left under a name that is not to stay, each
    /// with the set that knows it and the name that it is to have.
    pub between_names: BTreeMap<Key, (String, Key)>,
}

/// Reads the project, by name or id, and what a set knows of it; with a set, only what it
/// owns is kept.
///
/// # Errors
///
/// The platform's. No list may be missing: what is not in an export would look deleted.
pub async fn survey(reader: &Reader, project: &str, set: Option<&str>) -> Result<Survey> {
    survey_of(reader, project, set, Reads::All).await
}

/// The same of what is wanted.
///
/// # Errors
///
/// As [`survey`].
pub async fn survey_of(
    reader: &Reader,
    project: &str,
    set: Option<&str>,
    reads: Reads,
) -> Result<Survey> {
    let all = projects::projects(reader).await?;
    let project = the_one(&all, project, |project| (&project.id, &project.name))?;
    let stored = match set {
        Some(set) => Some(inventory::load(reader, set, &project.name, &project.id).await?),
        None => None,
    };
    let is_read = |kind: &KindName| reads == Reads::All || !kind.kind().is_access();
    let kinds = kinds::ALL.iter().map(|kind| kind.name()).filter(is_read);
    let lists = kinds.filter(|kind| !kind.is_project()).map(|kind| (kind, None, None)).collect();
    let mut read = observe::read_lists(reader, &project.id, lists).await?;
    let mut inside = Vec::new();
    for (kind, _, items) in read.iter().filter(|(kind, _, _)| kind.is_place()) {
        for item in items {
            let place = reader.spelling(*kind).seen(item);
            let place = place.map_err(|what| observe::unreadable(*kind, &what))?;
            let of = |kind| (kind, Some(place.name.clone()), place.id.clone());
            inside.extend(kind.inside().filter(is_read).map(of));
        }
    }
    read.extend(observe::read_lists(reader, &project.id, inside).await?);
    let detailed = projects::detailed_project(reader, project).await?;
    read.push((KindName::of_projects(), None, vec![detailed]));
    let mut survey = Survey {
        project: project.name.clone(),
        objects: BTreeMap::new(),
        entries: BTreeMap::new(),
        is_known: stored.as_ref().is_some_and(inventory::Stored::exists),
        shared: Vec::new(),
        between_names: BTreeMap::new(),
    };
    for (kind, room, items) in read {
        let spelling = reader.spelling(kind);
        for item in items.into_iter().filter(|item| spelling.is_declarable(item)) {
            let seen = spelling.seen(&item).map_err(|what| observe::unreadable(kind, &what))?;
            let name = seen.name.clone();
            let room = room.clone().filter(|_| kind.is_in_rooms());
            let key = Key::new(kind, project.name.clone(), room, name);
            if survey.objects.contains_key(&key) {
                survey.shared.push(key);
                continue;
            }
            survey.objects.insert(key, observe::observed(spelling, seen, &item, None));
        }
    }
    name_all_ids(&mut survey.objects);
    if survey.objects.keys().any(|key| is_stand_in(&key.name)) {
        let mut sets = sets::listed(reader, &project.id).await?.names;
        sets.extend(set.map(str::to_owned));
        for set in sets {
            let stored = inventory::load_to_show(reader, &set, &project.name, &project.id).await?;
            survey.tell_between_names(&set, &stored.inventory);
        }
    }
    if let (Some(set), Some(stored)) = (set, stored) {
        // What somebody renamed is the set's under its new name.
        let mut state = State {
            objects: std::mem::take(&mut survey.objects),
            inventories: BTreeMap::from([(survey.project.clone(), stored.inventory)]),
            ..State::default()
        };
        inside::observe::remember(&mut state, &survey.project);
        let mut state = follow_ids(&state).into_owned();
        survey.objects = state.objects;
        let Some(inventory) = state.inventories.remove(&survey.project) else {
            return Ok(survey);
        };
        survey.objects.retain(|key, observed| is_owned(set, observed, inventory.entries.get(key)));
        seal(&mut survey.objects, &inventory);
        let objects = &survey.objects;
        let is_needed = |now: &Key| objects.iter().any(|it| it.0 == now || needs(it, now));
        survey.between_names.retain(|now, _| is_needed(now));
        survey.entries = inventory.entries;
        survey.is_known |= !survey.objects.is_empty();
    } else {
        survey.entries = entries_of_all(reader, (&project.name, &project.id), &mut survey).await?;
    }
    Ok(survey)
}

impl Survey {
    /// Takes note of the objects of a set that are between two names.
    fn tell_between_names(&mut self, set: &str, inventory: &Inventory) {
        let named = self.objects.iter().filter(|(key, _)| is_stand_in(&key.name));
        let named: Vec<(&Key, &str)> =
            named.filter_map(|(key, observed)| Some((key, observed.id.as_deref()?))).collect();
        for (now, id) in named {
            let is_it = |(key, entry): &(&Key, &Entry)| {
                let is_called_so = key.name == now.name;
                key.kind == now.kind && entry.id.as_deref() == Some(id) && !is_called_so
            };
            if let Some((key, _)) = inventory.entries.iter().find(is_it) {
                self.between_names.insert(now.clone(), (set.to_owned(), key.clone()));
            }
        }
    }
}

/// Whether an object is in another one, or refers to it.
fn needs((key, observed): (&Key, &Observed), now: &Key) -> bool {
    let mut references = key.kind.kind().references(&observed.fields).into_iter();
    now.holds(key) || references.any(|reference| reference.to.is(now))
}

/// Hides what a set knows to be secret.
fn seal(objects: &mut BTreeMap<Key, Observed>, inventory: &Inventory) {
    for (key, entry) in &inventory.entries {
        if let (Some(observed), Some(applied)) = (objects.get_mut(key), &entry.applied) {
            Arc::make_mut(&mut observed.fields)
                .seal_recorded(applied, &inventory.fingerprinter(key));
        }
    }
}

/// What the sets of a project know of its objects, whichever owns each, and hides what they know
/// to be secret.
async fn entries_of_all(
    reader: &Reader,
    (project, id): (&str, &str),
    survey: &mut Survey,
) -> Result<BTreeMap<Key, Entry>> {
    let mut all = BTreeMap::new();
    for set in sets::listed(reader, id).await?.names {
        let inventory = inventory::load_to_show(reader, &set, project, id).await?.inventory;
        let inside: Vec<_> = inside::observe::all_of(&survey.objects, project, &inventory);
        survey.objects.extend(inside);
        seal(&mut survey.objects, &inventory);
        all.extend(inventory.entries.into_iter().filter(|(key, entry)| {
            let observed = survey.objects.get(key);
            observed.is_some_and(|observed| is_owned(&set, observed, Some(entry)))
        }));
    }
    Ok(all)
}

/// The name and the id of a project that is given by one of them.
///
/// # Errors
///
/// The platform's; none or several of that name.
pub async fn find_project(reader: &Reader, wanted: &str) -> Result<(String, String)> {
    let all = projects::projects(reader).await?;
    let project = the_one(&all, wanted, |project| (&project.id, &project.name))?;
    Ok((project.name.clone(), project.id.clone()))
}

/// The names of all projects that the caller sees, by their ids.
///
/// # Errors
///
/// The platform's.
pub async fn project_names(reader: &Reader) -> Result<BTreeMap<String, String>> {
    let all = projects::projects(reader).await?;
    Ok(all.into_iter().map(|project| (project.id, project.name)).collect())
}

/// The names of the projects in which a set owns something, as far as they answer.
///
/// # Errors
///
/// The platform's.
pub async fn homes_of(reader: &Reader, set: &str) -> Result<(Vec<String>, usize)> {
    let all = projects::projects(reader).await?;
    let (mut names, mut answered) = (Vec::new(), 0);
    for (project, inventory) in homes::inventories(reader, set, all.iter().collect()).await {
        answered += usize::from(inventory.is_some());
        if inventory.is_some_and(|inventory| !inventory.entries.is_empty()) {
            names.push(homes::told(project, &all));
        }
    }
    names.sort();
    Ok((names, all.len() - answered))
}

/// Whether the caller sees a project of this name.
///
/// # Errors
///
/// The platform's.
pub async fn has_project(reader: &Reader, name: &str) -> Result<bool> {
    Ok(projects::projects(reader).await?.iter().any(|project| project.name == name))
}

/// Whether a set owns an object. That it was about to create one says nothing of this one.
fn is_owned(set: &str, observed: &Observed, entry: Option<&Entry>) -> bool {
    Ownership::of(set, observed, entry, || false) == Ownership::Ours
}

fn name_all_ids(objects: &mut BTreeMap<Key, Observed>) {
    let named = objects.iter().filter(|(key, _)| key.kind.is_referred_to_by_id());
    let names: NamesById = named
        .flat_map(|(key, observed)| {
            observed.handles().map(|handle| ((key.kind, handle), key.name.clone()))
        })
        .collect();
    for (key, observed) in objects {
        name_ids(key, Arc::make_mut(&mut observed.fields), &names);
    }
}
