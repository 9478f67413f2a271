//! Reads everything that a plan is decided on: the projects of the set, what the set owns in them,
//! and one list for each kind that matters. Kinds that live in rooms have one list for each room.
//! Usually these are the rooms that the set knows. All rooms are read if an object may be deleted
//! that something in any of them may refer to, whoever owns that (see `wanted`), and if an object
//! of the set was not found in its room.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;
use tokio::sync::{OnceCell, SetOnce};

use super::absent::{self, Absent};
use super::homes;
use super::inside;
use super::intake::{Intake, settle_ambiguous};
use super::inventory::{self, Stored, Takes};
use super::own::Own;
use super::owners;
use super::projects::{
    Project, Resolved, detailed_project, only_project, projects, refuse_one_name, resolve_projects,
};
use super::taken_over;
use super::wanted::Wanted;
use crate::api::failure::ApiError;
use crate::api::reader::{List, ListError, Reader};
use crate::dialect::{Seen, Speaks, Spelling};
use crate::error::{Error, Result};
use crate::kinds::recorded::Recorded;
use crate::kinds::{self, Key, Kind, KindName};
use crate::manifest::of_accounts::of_accounts;
use crate::manifest::set::Set;
use crate::plan::derived;
use crate::plan::planner::Policy;
use crate::plan::references::NamesById;
use crate::plan::{Incomplete, Observed, ProjectState, State};

/// How many lists are read at once.
pub(super) const CONCURRENT_LISTS: usize = 16;

/// The projects that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Those of the documents.
    Documents,
    /// Those of the documents, and this one.
    Project(&'a str),
    /// This one, whatever the documents name and wherever else the set owns something.
    Only(&'a str),
    /// All that the credential has access to.
    Everywhere,
}

/// What was read, with what is needed to write the inventories back.
#[derive(Debug)]
pub struct Observation {
    /// The set, whose keys name their projects by name, so that one object has one key.
    pub set: Set,
    /// What the planner decides on.
    pub state: State,
    /// The inventories, by project.
    pub stored: BTreeMap<String, Stored>,
}

/// Reads the platform as far as the policy needs it.
///
/// # Errors
///
/// The platform's; documents of a project that does not exist.
pub async fn observe(
    reader: &Reader,
    policy: &Policy,
    set: Set,
    scope: Scope<'_>,
) -> Result<Observation> {
    let projects = projects(reader).await?;
    let Resolved { set, projects: mut named } = match scope {
        Scope::Documents | Scope::Everywhere => resolve_projects(set, None, &projects)?,
        Scope::Project(project) => resolve_projects(set, Some(project), &projects)?,
        Scope::Only(project) => only_project(set, project, &projects)?,
    };
    let set = match reader.dialect().has_project_secrets() {
        true => set,
        false => of_accounts(set)?,
    };
    if scope == Scope::Everywhere {
        refuse_one_name(&projects)?;
        named.extend(projects.iter().map(|project| (project.name.clone(), Some(project.clone()))));
    }
    let of_api =
        |kind: &'static dyn Kind| Some((kind.name(), reader.spelling(kind.name()).immutable()?));
    let immutable = kinds::ALL.into_iter().filter_map(of_api).collect();
    let unspoken = match policy.migrates {
        true => taken_over::unspoken(reader.spoken()),
        false => BTreeSet::new(),
    };
    let state = State { immutable, unspoken, ..State::default() };
    let mut observation = Observation { set, state, stored: BTreeMap::new() };
    let (mut unproven, whose) = (Vec::new(), OnceCell::new());
    let mut is_looked_for = false;
    loop {
        while let Some((name, project)) = named.pop_first() {
            let unread = &mut observation.state.unread;
            let stored = stored_in(reader, policy, (&name, project.as_ref()), unread).await?;
            if project.is_none() {
                let (set, state) = (&observation.set, &mut observation.state);
                let wanted = Wanted::new(policy, set, state, &name);
                let own = Own::if_wanted(reader, &wanted, &whose).await?;
                let keys = set.objects.keys().filter(|key| key.project == name);
                let keys = keys.filter(|key| own.is_called(key.kind, &key.name));
                state.own.extend(keys.cloned());
            }
            // The set may own objects in a project of which it has no document any more.
            let is_followed = |project: &&Project| {
                !matches!(scope, Scope::Only(_)) && stored.projects.contains(&project.id)
            };
            for project in projects.iter().filter(is_followed) {
                if project.name != name && !observation.state.projects.contains_key(&project.name) {
                    named.entry(project.name.clone()).or_insert_with(|| Some(project.clone()));
                }
            }
            observation.state.inventories.insert(name.clone(), stored.inventory.clone());
            observation.stored.insert(name.clone(), stored);
            let state = ProjectState { id: project.as_ref().map(|project| project.id.clone()) };
            observation.state.projects.insert(name.clone(), state);
            if let Some(project) = project {
                let (set, state) = (&observation.set, &mut observation.state);
                let lists =
                    read_project(reader, policy, set, &name, &project, state, &whose).await?;
                unproven.push((name, project.id, lists));
            }
        }
        let is_known = !homes::is_new(&observation) || !observation.state.unread.is_empty();
        if std::mem::replace(&mut is_looked_for, true) || is_known {
            break;
        }
        let homes = homes::find(reader, policy, &projects, &observation).await;
        named = homes.came_from;
        observation.state.left_behind = homes.left_behind;
        observation.state.unknown_homes = homes.unknown;
    }
    derived::keep_names(&mut observation.set.objects, &observation.state);
    if matches!(scope, Scope::Only(_)) {
        let (elsewhere, unknown) = homes::elsewhere(reader, policy, &projects, &observation).await;
        observation.state.elsewhere = elsewhere;
        observation.state.unknown_homes += unknown;
    }
    // Some names are one on the whole platform, so what a project lacks another one may have.
    for (project, project_id, unproven) in unproven {
        let (project_id, set) = (&project_id, &observation.set);
        let of_project =
            |(key, _): &(&Key, &Observed)| key.project == project && key.kind.is_place();
        let places = observation.state.objects.iter().filter(of_project);
        let places = places.filter_map(|(key, it)| Some((key.clone(), it.id.clone()?))).collect();
        let absent =
            Absent { reader, set, policy, project: &project, project_id, unproven, places };
        absent.look_up(&mut observation.state).await?;
    }
    Ok(observation)
}

/// What the set owns in a project, which may be one that is not there yet. Where that may not be read
/// and is only shown, it is unread.
async fn stored_in(
    reader: &Reader,
    policy: &Policy,
    (name, project): (&str, Option<&Project>),
    unread: &mut BTreeSet<String>,
) -> Result<Stored> {
    let Some(project) = project else { return Stored::empty() };
    let takes = if policy.migrates { Takes::Older } else { Takes::Spoken };
    match inventory::load_of(reader, &policy.set, (name, &project.id), takes).await? {
        Err(_) if policy.is_only_shown => {
            unread.insert(name.to_owned());
            Stored::empty()
        }
        stored => Ok(stored?),
    }
}

pub(super) fn unreadable(kind: KindName, what: &str) -> Error {
    let objects = kind.kind().plural();
    Error::failed(format!("the platform's list of {objects} cannot be read: {what}"))
}

/// The ids of places by their names, by the kind of place, once they are known; nothing where they
/// cannot be known.
type Places = BTreeMap<KindName, SetOnce<Option<BTreeMap<String, Option<String>>>>>;

/// A list of a kind, of the whole project or of one place, with what is in it.
pub(super) type Read = (KindName, Option<String>, Vec<Value>);

/// A list that is read: its kind, and the name and id of its place, as far as there is one and the id
/// is known.
pub(super) type Wants = (KindName, Option<String>, Option<String>);

/// Reads lists of a project, many at once, in their order.
pub(super) async fn read_lists(
    reader: &Reader,
    project_id: &str,
    lists: Vec<Wants>,
) -> Result<Vec<Read>> {
    stream::iter(lists)
        .map(|(kind, room, id)| async move {
            let place = room.as_deref().map(|room| (room, id.as_deref()));
            let list = read_list(reader, project_id, kind, place).await?;
            list.map(|list| (kind, room, list.items))
                .map_err(|it| Error::failed(it.reason).hint(it.hint))
        })
        .buffered(CONCURRENT_LISTS)
        .try_collect()
        .await
}

/// What to do where a platform does not have a list.
const NO_SUCH_LIST: &str =
    "run the same command again; if that changes nothing, the platform does not have this kind";

/// One list, or why it could not be read completely. If the platform does not know the list (404),
/// that says nothing about its objects: only the list of rooms says which rooms exist.
pub(super) async fn read_list(
    reader: &Reader,
    project_id: &str,
    kind: KindName,
    place: Option<(&str, Option<&str>)>,
) -> Result<std::result::Result<List, Unreadable>> {
    let room = place.map(|(room, _)| room);
    let Some(listing) = reader.spelling(kind).list(project_id, room) else {
        return Ok(Ok(nothing()));
    };
    let listing = match place {
        Some((room, id)) => listing.at(room, id),
        None => listing,
    };
    match reader.list_with_proof(&listing).await {
        Ok(list) => Ok(Ok(list)),
        // Without a credential, or without a platform, nothing can be known at all; of one
        // that speaks another API, nothing is to be believed.
        Err(error @ ListError::OtherApi { .. })
        | Err(error @ ListError::Failed(ApiError { status: None | Some(401), .. })) => {
            Err(Error::from(error))
        }
        Err(error) => {
            let reason = error.to_string();
            // One of another API may have no such list.
            let is_missing = matches!(&error, ListError::Failed(it) if it.status == Some(404));
            let hint = match is_missing && room.is_none() {
                true => Some(NO_SUCH_LIST.to_owned()),
                false => Error::from(error).hint,
            };
            Ok(Err(Unreadable { reason, hint: hint.unwrap_or_else(|| Incomplete::AGAIN.into()) }))
        }
    }
}

/// Why a list could not be read completely, and what to do about it.
pub(super) struct Unreadable {
    /// Why.
    pub reason: String,
    /// What to do about it.
    pub hint: String,
}

/// The list of objects that cannot exist.
fn nothing() -> List {
    List { items: Vec::new(), is_proven: true }
}

/// Reads the lists of a project that matter. Returns those that nothing proves to be complete.
async fn read_project(
    reader: &Reader,
    policy: &Policy,
    set: &Set,
    name: &str,
    project: &Project,
    state: &mut State,
    whose: &OnceCell<Own>,
) -> Result<BTreeSet<absent::ListOf>> {
    let wanted = Wanted::new(policy, set, state, name);
    let own = Own::if_wanted(reader, &wanted, whose).await?;
    // What is in a place waits for the list of places, which is among the first therefore.
    let lists = wanted.lists();
    let places: Places = lists
        .iter()
        .filter(|(kind, _)| kind.is_place())
        .map(|(kind, _)| (*kind, SetOnce::new()))
        .collect();
    let places = &places;
    // Each list is read into fields as it comes, so that no two answers are held at once.
    let mut lists = stream::iter(lists)
        .map(|(kind, room)| async move {
            let mut place_id = None;
            if let Some(name) = &room
                && let Some(places) = kind.kind().placed_in().and_then(|kind| places.get(&kind))
                && let Some(places) = places.wait().await
            {
                match places.get(name) {
                    Some(id) => place_id = id.as_deref(),
                    None => return Ok((kind, room, Ok(nothing()))),
                }
            }
            let place = room.as_deref().map(|room| (room, place_id));
            let read = read_list(reader, &project.id, kind, place).await?;
            if let Some(places) = places.get(&kind) {
                // Where the places cannot be known, each is asked for what is in it.
                let known = read.as_ref().ok();
                let _ = places.set(known.map(|list| ids(reader.spelling(kind), &list.items)));
            }
            Ok::<_, Error>((kind, room, read))
        })
        .buffered(CONCURRENT_LISTS);
    let mut intake = Intake {
        reader,
        set,
        project: name,
        state,
        names: NamesById::new(),
        own: &own,
        displaced: BTreeSet::new(),
    };
    let mut unproven = BTreeSet::new();
    while let Some((kind, room, list)) = lists.try_next().await? {
        intake.take_list((kind, room), list, &mut unproven)?;
    }
    let mut known: BTreeMap<KindName, BTreeSet<String>> =
        KindName::in_rooms().map(|kind| (kind, wanted.places(kind).cloned().collect())).collect();
    let mut followed = Vec::new();
    for (kind, known) in &mut known {
        if kind.fills_rooms() && wanted.all_rooms {
            continue;
        }
        let rooms = followed_rooms(intake.state, name, known);
        followed.extend(rooms.iter().map(|room| (*kind, room.clone())));
        known.extend(rooms);
    }
    intake.take_rooms(&project.id, followed, &mut unproven).await?;
    // What is not in its room any more may be in another one: rooms of others get other names,
    // too, with all that is in them.
    if wanted.all_rooms || misses_any(intake.state, name) {
        let filling = known.iter().filter(|(kind, _)| kind.fills_rooms());
        let others = filling.flat_map(|(kind, known)| {
            let rooms = other_rooms(intake.state, name, known);
            rooms.into_iter().map(|room| (*kind, room))
        });
        let others = others.collect();
        intake.take_rooms(&project.id, others, &mut unproven).await?;
    }
    if wanted.project {
        let detailed = detailed_project(reader, project).await?;
        intake.take(KindName::of_projects(), None, vec![detailed])?;
    }
    let displaced = intake.displaced;
    inside::observe::observe(reader, policy, set, (name, &project.id), state).await;
    let is_own = |key: &&Key| key.project == name && key.room.is_some();
    if state.own.iter().any(|key| is_own(&key)) && own.is_admin(reader, &project.id).await {
        state.own_admin_in.insert(name.to_owned());
    }
    taken_over::find_again(state, &policy.set, name);
    settle_ambiguous(set, state, displaced)?;
    if !state.unread.contains(name) {
        owners::find(reader, policy, set, (name, &project.id), state).await;
    }
    Ok(unproven)
}

/// The current names of the rooms whose services matter; the inventory and the documents may have
/// other names for them.
fn followed_rooms(state: &State, project: &str, wanted: &BTreeSet<String>) -> BTreeSet<String> {
    let rooms = state.objects.iter().filter(|(key, _)| key.is_room());
    let names: BTreeMap<&str, &str> = rooms
        .filter(|(key, _)| key.project == project)
        .filter_map(|(key, room)| Some((room.id.as_deref()?, key.name.as_str())))
        .collect();
    let entries = state.inventories.get(project).into_iter().flat_map(|it| &it.entries);
    entries
        .filter(|(key, entry)| {
            key.is_room()
                && (wanted.contains(&key.name)
                    || entry.was.as_ref().is_some_and(|was| wanted.contains(was)))
        })
        .filter_map(|(_, entry)| Some((*names.get(entry.id.as_deref()?)?).to_owned()))
        .filter(|name| !wanted.contains(name))
        .collect()
}

/// Whether something that the set owns in a room of a project was not found anywhere.
fn misses_any(state: &State, project: &str) -> bool {
    let objects = state.objects.iter();
    let met: BTreeSet<(KindName, &str)> = objects
        .filter(|(key, _)| key.room.is_some() && key.project == project)
        .filter_map(|(key, observed)| Some((key.kind, observed.id.as_deref()?)))
        .collect();
    let entries = state.inventories.get(project).into_iter().flat_map(|it| &it.entries);
    entries
        .filter(|(key, _)| key.room.is_some())
        .filter_map(|(key, entry)| Some((key.kind, entry.id.as_deref()?)))
        .any(|wanted| !met.contains(&wanted))
}

/// The rooms of a project that exist and are not among the known ones.
fn other_rooms(state: &State, project: &str, known: &BTreeSet<String>) -> BTreeSet<String> {
    let keys = state.objects.keys();
    keys.filter(|key| key.is_room() && key.project == project)
        .map(|key| key.name.clone())
        .filter(|name| !known.contains(name))
        .collect()
}

/// The ids of listed objects, by their names.
fn ids(spelling: &dyn Spelling, items: &[Value]) -> BTreeMap<String, Option<String>> {
    let seen = items.iter().filter_map(|item| spelling.seen(item).ok());
    seen.map(|seen| (seen.name, seen.id)).collect()
}

/// An object as the platform returned it, with its revision if the answer has one.
pub fn observed(
    spelling: &dyn Spelling,
    seen: Seen,
    item: &Value,
    revision: Option<String>,
) -> Observed {
    // What another revision than the list's is compared with is the list's own.
    let revision = revision.filter(|_| spelling.compares_revisions());
    let revision = revision.or_else(|| spelling.revision(item));
    Observed {
        id: seen.id,
        owner: seen.owner,
        fields: Arc::new(seen.fields),
        answered: spelling.sent_back(item).map(|kept| Recorded::from(&kept)),
        revision,
        called: None,
        also_called: Vec::new(),
        is_remembered: false,
    }
}
