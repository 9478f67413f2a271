//! Reads everything that a plan is decided on: the projects of the set, what the set owns
//! in them, and one list for each kind that matters; one more for each room that exists and
//! may have services. Those are the rooms that the set knows, and all of them where a secret
//! may leave: any service of the project may use it, whoever owns that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;
use tokio::sync::SetOnce;

use super::absent::{self, Absent};
use super::homes;
use super::inventory::{self, Stored};
use super::owners;
use super::projects::{Project, detailed_project, only_project, projects, resolve_projects};
use crate::api::failure::ApiError;
use crate::api::newer;
use crate::api::reader::{List, ListError, Reader, is_newer};
use crate::error::{Error, Result};
use crate::kinds::path::FieldPath;
use crate::kinds::{ALL, Key, Kind, KindName, Lookup, Seen, Target};
use crate::manifest::set::Set;
use crate::plan::derived;
use crate::plan::diff::has_masked;
use crate::plan::planner::{Policy, Prune};
use crate::plan::references::name_secrets;
use crate::plan::renames::former_keys;
use crate::plan::{Entry, Incomplete, Observed, ProjectState, ROOM_USERS, State};

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
    /// All that the credential reaches.
    Everywhere,
}

/// What was read, with what is needed to write the inventories back.
#[derive(Debug)]
pub struct Observation {
    /// What the planner decides on.
    pub state: State,
    /// The inventories, by project.
    pub stored: BTreeMap<String, Stored>,
}

/// Reads the platform as far as the policy needs it. Keys of the set that name their project
/// by id name it by name afterwards, so that one object has one key.
///
/// # Errors
///
/// The platform's; documents of a project that does not exist.
pub async fn observe(
    reader: &Reader,
    policy: &Policy,
    set: &mut Set,
    scope: Scope<'_>,
) -> Result<Observation> {
    let projects = projects(reader).await?;
    let mut named = match scope {
        Scope::Documents | Scope::Everywhere => resolve_projects(set, None, &projects)?,
        Scope::Project(project) => resolve_projects(set, Some(project), &projects)?,
        Scope::Only(project) => only_project(set, project, &projects)?,
    };
    if scope == Scope::Everywhere {
        named.extend(projects.iter().map(|project| (project.name.clone(), Some(project.clone()))));
    }
    let mut observation = Observation { state: State::default(), stored: BTreeMap::new() };
    let mut unproven = Vec::new();
    let mut is_looked_for = false;
    loop {
        while let Some((name, project)) = named.pop_first() {
            let stored = match &project {
                Some(project) => {
                    let (set, id) = (&policy.set, &project.id);
                    match inventory::load_if_allowed(reader, set, &name, id).await? {
                        Err(_) if policy.is_only_shown => {
                            observation.state.unread.insert(name.clone());
                            Stored::empty()?
                        }
                        stored => stored?,
                    }
                }
                None => Stored::empty()?,
            };
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
                let state = &mut observation.state;
                let lists = read_project(reader, policy, set, &name, &project, state).await?;
                unproven.push((name, project.id, lists));
            }
        }
        let is_known = !homes::is_new(set, &observation) || !observation.state.unread.is_empty();
        if std::mem::replace(&mut is_looked_for, true) || is_known {
            break;
        }
        let homes = homes::find(reader, policy, set, &projects, &observation).await;
        named = homes.came_from;
        observation.state.left_behind = homes.left_behind;
        observation.state.unknown_homes = homes.unknown;
    }
    derived::keep_names(&mut set.objects, &observation.state);
    if matches!(scope, Scope::Only(_)) {
        observation.state.elsewhere =
            homes::elsewhere(reader, policy, &projects, &observation).await;
    }
    // Some names are one on the whole platform, so what a project lacks another one may have.
    for (project, project_id, unproven) in unproven {
        let project_id = &project_id;
        let absent = Absent { reader, set, policy, project: &project, project_id, unproven };
        absent.look_up(&mut observation.state).await?;
    }
    Ok(observation)
}

pub(super) fn unreadable(kind: KindName, what: &str) -> Error {
    Error::failed(format!("the platform's list of {kind}s cannot be read: {what}"))
}

/// The lists of one project that matter to the plan.
struct Wanted {
    kinds: BTreeSet<KindName>,
    project_services: bool,
    rooms_with_services: BTreeSet<String>,
    /// Whether the services of every room matter.
    all_rooms: bool,
    settings: bool,
}

impl Wanted {
    fn new(policy: &Policy, set: &Set, state: &State, project: &str) -> Self {
        let inventory = state.inventories.get(project);
        let owned = inventory.into_iter().flat_map(|inventory| inventory.entries.keys());
        let keys: Vec<&Key> =
            set.objects.keys().filter(|key| key.project == project).chain(owned).collect();
        let mut kinds: BTreeSet<KindName> = keys.iter().map(|key| key.kind).collect();
        // What these may refer to.
        if ROOM_USERS.iter().any(|kind| kinds.contains(kind))
            || keys.iter().any(|key| key.room.is_some())
        {
            kinds.insert(KindName::Room);
        }
        if kinds.contains(&KindName::Service) {
            kinds.insert(KindName::Secret);
        }
        let mut rooms_with_services: BTreeSet<String> =
            keys.iter().filter_map(|key| key.room.clone()).collect();
        // Before a room or secret is deleted, everything that refers to it must be known, whoever
        // owns that. So these are the names of the rooms or secrets that may be deleted.
        let leaving = |kind: KindName| {
            // A document that gives former names may take the name that another object has now,
            // and that object is then deleted.
            let stays = |key: &Key| {
                match set.objects.get(key).filter(|_| !policy.destroy) {
                    Some(desired) => former_keys(desired).is_empty(),
                    // To find what uses a secret, the services of every room are read. That is
                    // not worth it where nothing is pruned.
                    None => {
                        kind == KindName::Secret && policy.prune == Prune::None && !policy.destroy
                    }
                }
            };
            let is_leaving = move |key: &&&Key| key.kind == kind && !stays(key);
            keys.iter().filter(is_leaving).map(|key| key.name.clone()).collect::<Vec<_>>()
        };
        let rooms = leaving(KindName::Room);
        if !rooms.is_empty() {
            kinds.extend(ROOM_USERS);
        }
        rooms_with_services.extend(rooms);
        // Whether there is anything in a project is asked before it is taken over.
        let is_project = |key: &Key| key.kind == KindName::Project;
        let owns_project = inventory.is_some_and(|it| it.entries.keys().any(is_project));
        let is_new = !owns_project && keys.iter().any(|key| is_project(key));
        if is_new {
            kinds.extend(ALL.iter().map(|kind| kind.name()));
        }
        let all_rooms = !leaving(KindName::Secret).is_empty();
        if all_rooms {
            kinds.insert(KindName::Room);
        }
        let is_service_of_all = |key: &&Key| key.kind == KindName::Service && key.room.is_none();
        Self {
            project_services: all_rooms || is_new || keys.iter().any(is_service_of_all),
            all_rooms,
            settings: kinds.contains(&KindName::Project),
            rooms_with_services,
            kinds,
        }
    }
}

/// A list of a kind, of the whole project or of one room, with what is in it.
pub(super) type Read = (KindName, Option<String>, Vec<Value>);

/// Reads lists of a project, many at once, in their order.
pub(super) async fn read_lists(
    reader: &Reader,
    project_id: &str,
    lists: Vec<(KindName, Option<String>)>,
) -> Result<Vec<Read>> {
    stream::iter(lists)
        .map(|(kind, room)| async move {
            let list = read_list(reader, project_id, kind, room.as_deref()).await?;
            list.map(|list| (kind, room, list.items))
                .map_err(|it| Error::failed(it.reason).hint(it.hint))
        })
        .buffered(CONCURRENT_LISTS)
        .try_collect()
        .await
}

/// One list, or why it could not be read whole. That the platform does not know the list
/// (404) says nothing of the objects in it: which rooms exist is for the list of rooms to say.
async fn read_list(
    reader: &Reader,
    project_id: &str,
    kind: KindName,
    room: Option<&str>,
) -> Result<std::result::Result<List, Unreadable>> {
    let Some(listing) = kind.kind().list(project_id, room) else {
        return Ok(Ok(nothing()));
    };
    match reader.list_with_proof(&listing).await {
        Ok(list) => Ok(Ok(list)),
        // Without a credential, or without a platform, nothing can be known at all; of one
        // that is newer, nothing is to be believed.
        Err(error @ ListError::Newer { .. })
        | Err(error @ ListError::Failed(ApiError { status: None | Some(401), .. })) => {
            Err(Error::from(error))
        }
        Err(error) => {
            let reason = error.to_string();
            let hint = Error::from(error).hint;
            Ok(Err(Unreadable { reason, hint: hint.unwrap_or_else(|| Incomplete::AGAIN.into()) }))
        }
    }
}

/// Why a list could not be read whole, and what to do about it.
struct Unreadable {
    reason: String,
    hint: String,
}

/// The list of what cannot be there.
fn nothing() -> List {
    List { items: Vec::new(), is_proven: true }
}

/// Reads the lists of a project that matter; those are given of which nothing shows that they
/// are whole.
async fn read_project(
    reader: &Reader,
    policy: &Policy,
    set: &Set,
    name: &str,
    project: &Project,
    state: &mut State,
) -> Result<BTreeSet<absent::ListOf>> {
    let wanted = Wanted::new(policy, set, state, name);
    let mut lists: Vec<(KindName, Option<String>)> = wanted
        .kinds
        .iter()
        .copied()
        .filter(|kind| !matches!(kind, KindName::Project | KindName::Service))
        .map(|kind| (kind, None))
        .collect();
    if wanted.project_services {
        lists.push((KindName::Service, None));
    }
    lists.extend(
        wanted.rooms_with_services.iter().map(|room| (KindName::Service, Some(room.clone()))),
    );
    // Services refer to secrets by their ids, which are known once the secrets are. The
    // services of rooms wait for the rooms, which therefore are among the first, too.
    lists.sort_by_key(|(kind, _)| !matches!(kind, KindName::Secret | KindName::Room));
    let rooms = &SetOnce::<Option<BTreeSet<String>>>::new();
    // Each list is read into fields as it comes, so that no two answers are held at once.
    let mut lists = stream::iter(lists)
        .map(|(kind, room)| async move {
            if let Some(name) = &room
                && let Some(rooms) = rooms.wait().await
                && !rooms.contains(name)
            {
                return Ok((kind, room, Ok(nothing())));
            }
            let read = read_list(reader, &project.id, kind, room.as_deref()).await?;
            if kind == KindName::Room {
                // Where the rooms cannot be known, each is asked for its services.
                let _ = rooms.set(read.as_ref().ok().map(|list| room_names(&list.items)));
            }
            Ok::<_, Error>((kind, room, read))
        })
        .buffered(CONCURRENT_LISTS);
    let mut intake =
        Intake { set, project: name, state, secret_names: BTreeMap::new(), displaced: Vec::new() };
    let mut unproven = BTreeSet::new();
    while let Some((kind, room, list)) = lists.try_next().await? {
        intake.take_list((kind, room), list, &mut unproven)?;
    }
    let known = &wanted.rooms_with_services;
    let more = match wanted.all_rooms {
        true => other_rooms(intake.state, name, known),
        false => followed_rooms(intake.state, name, known),
    };
    let mut more = stream::iter(more)
        .map(|room| async move {
            let read = read_list(reader, &project.id, KindName::Service, Some(&room)).await?;
            Ok::<_, Error>((room, read))
        })
        .buffered(CONCURRENT_LISTS);
    while let Some((room, list)) = more.try_next().await? {
        intake.take_list((KindName::Service, Some(room)), list, &mut unproven)?;
    }
    if wanted.settings {
        let detailed = detailed_project(reader, project).await?;
        intake.take(KindName::Project, None, vec![detailed])?;
    }
    let displaced = intake.displaced;
    settle_ambiguous(set, name, state, displaced)?;
    if !state.unread.contains(name) {
        owners::find(reader, policy, set, (name, &project.id), state).await;
    }
    Ok(unproven)
}

/// The names that rooms have whose services matter under the names that the inventory and
/// documents have for them.
fn followed_rooms(state: &State, project: &str, wanted: &BTreeSet<String>) -> BTreeSet<String> {
    let rooms = state.objects.iter().filter(|(key, _)| key.kind == KindName::Room);
    let names: BTreeMap<&str, &str> = rooms
        .filter(|(key, _)| key.project == project)
        .filter_map(|(key, room)| Some((room.id.as_deref()?, key.name.as_str())))
        .collect();
    let entries = state.inventories.get(project).into_iter().flat_map(|it| &it.entries);
    entries
        .filter(|(key, entry)| {
            key.kind == KindName::Room
                && (wanted.contains(&key.name)
                    || entry.was.as_ref().is_some_and(|was| wanted.contains(was)))
        })
        .filter_map(|(_, entry)| Some((*names.get(entry.id.as_deref()?)?).to_owned()))
        .filter(|name| !wanted.contains(name))
        .collect()
}

/// The rooms of a project that are there and are not among the known ones.
fn other_rooms(state: &State, project: &str, known: &BTreeSet<String>) -> BTreeSet<String> {
    let keys = state.objects.keys();
    keys.filter(|key| key.kind == KindName::Room && key.project == project)
        .map(|key| key.name.clone())
        .filter(|name| !known.contains(name))
        .collect()
}

/// The names of listed rooms.
fn room_names(items: &[Value]) -> BTreeSet<String> {
    let room = KindName::Room.kind();
    items.iter().filter_map(|item| room.seen(item).ok()).map(|seen| seen.name).collect()
}

/// Takes lists of a project into the state.
struct Intake<'a> {
    set: &'a Set,
    project: &'a str,
    state: &'a mut State,
    /// The names of the project's secrets by their ids.
    secret_names: BTreeMap<String, String>,
    /// The objects whose place another object of the same key has taken.
    displaced: Vec<(Key, Observed)>,
}

impl Intake<'_> {
    /// What was read of one list.
    fn take_list(
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

    fn take(&mut self, kind: KindName, room: Option<&String>, items: Vec<Value>) -> Result<()> {
        for item in items {
            let seen = kind.kind().seen(&item).map_err(|what| unreadable(kind, &what))?;
            let name = seen.name.clone();
            let key = Key { kind, project: self.project.to_owned(), room: room.cloned(), name };
            let mut observed = observed(kind.kind(), seen, &item, None);
            self.settle(&key, &mut observed);
            if let Some(first) = self.state.objects.insert(key.clone(), observed) {
                self.displaced.push((key, first));
            }
        }
        Ok(())
    }

    /// Brings an object's fields into the form in which they are compared.
    fn settle(&mut self, key: &Key, observed: &mut Observed) {
        match (key.kind, &observed.id) {
            (KindName::Secret, Some(id)) => {
                self.secret_names.insert(id.clone(), key.name.clone());
            }
            (KindName::Service, _) => {
                name_secrets(key, Arc::make_mut(&mut observed.fields), &self.secret_names);
            }
            _ => {}
        }
        if let Some(inventory) = self.state.inventories.get(self.project)
            && let Some(Entry { applied: Some(applied), .. }) = inventory.entries.get(key)
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

/// An object as it was answered, with its revision where the answer tells one.
pub fn observed(kind: &dyn Kind, seen: Seen, item: &Value, revision: Option<String>) -> Observed {
    let listed = || item.get("etag").and_then(Value::as_str).map(str::to_owned);
    let revision = revision.or_else(listed);
    Observed {
        id: seen.id,
        owner: seen.owner,
        fields: Arc::new(seen.fields),
        answered: kind.kept(item),
        revision,
        called: None,
    }
}

/// Reads one object again, by its id where it has one, else by its key; `None` when it does
/// not exist. References by id are turned back into names with `secret_names`.
///
/// # Errors
///
/// The platform's; an answer that is not what it should be.
pub async fn look_up(
    reader: &Reader,
    key: &Key,
    target: &Target<'_>,
    secret_names: &BTreeMap<String, String>,
) -> Result<Option<Observed>> {
    Ok(find(reader, key, target, secret_names).await?.map(|(_, observed)| observed))
}

/// The same, with the name that the object has.
///
/// # Errors
///
/// As [`look_up`].
pub async fn find(
    reader: &Reader,
    key: &Key,
    target: &Target<'_>,
    secret_names: &BTreeMap<String, String>,
) -> Result<Option<(String, Observed)>> {
    let kind = key.kind.kind();
    let mut item = item(reader, key, target).await.map_err(Unread::into_error)?;
    // Under its name there may be nothing by now, or another object.
    if let Some(id) = target.id.filter(|_| goes_by_name(key, target)) {
        let is_it = |item: &Value| kind.seen(item).is_ok_and(|seen| seen.id.as_deref() == Some(id));
        if !item.as_ref().is_some_and(|(item, _)| is_it(item)) {
            item = match kind.list(target.project, target.room) {
                Some(listing) => reader.list(&listing).await?.into_iter().find(is_it),
                None => None,
            }
            .map(|item| (item, None));
        }
    }
    let Some((item, revision)) = item else { return Ok(None) };
    let seen = kind.seen(&item).map_err(|what| unreadable(key.kind, &what))?;
    let name = seen.name.clone();
    let mut observed = observed(kind, seen, &item, revision);
    observed.called = Some(name.clone());
    name_secrets(key, Arc::make_mut(&mut observed.fields), secret_names);
    Ok(Some((name, observed)))
}

/// Whether an object that has an id is looked up by its name all the same.
fn goes_by_name(key: &Key, target: &Target<'_>) -> bool {
    let request = |target: &Target<'_>| match key.kind.kind().lookup(target) {
        Some(Lookup::One(request, _)) => Some(request),
        _ => None,
    };
    let by_name = request(&Target { id: None, ..*target });
    by_name.is_some() && by_name == request(target)
}

/// Why one object could not be read.
pub(super) enum Unread {
    /// The platform does not show it to this project.
    Forbidden(Error),
    /// Anything else.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Unread {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Unread {
    /// The error that it is for who needs the object.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Forbidden(error) | Self::Failed(error) => error,
        }
    }
}

/// One object as the platform answers with it, and its revision.
pub(super) async fn item(
    reader: &Reader,
    key: &Key,
    target: &Target<'_>,
) -> Result<Option<(Value, Option<String>)>, Unread> {
    let kind = key.kind.kind();
    match kind.lookup(target) {
        None => Ok(None),
        Some(Lookup::One(request, envelope)) => {
            let answer = match reader.get(&request).await {
                Err(ApiError { status: Some(404), .. }) => return Ok(None),
                Err(error @ ApiError { status: Some(403), .. }) => {
                    return Err(Unread::Forbidden(error.into()));
                }
                Err(error) => return Err(error.into()),
                Ok(answer) => answer,
            };
            let mut body = answer
                .json()
                .map_err(|error| Error::failed(format!("failed to read {key}")).because(error))?;
            let item = match envelope {
                Some(field) => body.get_mut(field).map(Value::take).unwrap_or_default(),
                None => body,
            };
            let list = kind.list(target.project, target.room).map(|listing| listing.envelope);
            if let Some(sign) = list.and_then(|list| newer::sign_of_item(&item, list)) {
                return Err(is_newer(&request, sign).into());
            }
            Ok(Some((item, answer.etag)))
        }
        Some(Lookup::Among(listing)) => {
            let items = reader.list(&listing).await?;
            let is_meant = |item: &Value| match (kind.seen(item), target.id) {
                (Ok(seen), Some(id)) if seen.id.is_some() => seen.id.as_deref() == Some(id),
                (Ok(seen), _) => seen.name == target.name,
                (Err(_), _) => false,
            };
            Ok(items.into_iter().find(is_meant).map(|item| (item, None)))
        }
    }
}

/// Two objects may share a name on the platform. The one whose id the inventory knows is
/// meant; without that, a set that needs the name cannot be planned.
fn settle_ambiguous(
    set: &Set,
    project: &str,
    state: &mut State,
    ambiguous: Vec<(Key, Observed)>,
) -> Result<()> {
    let mut problems = Vec::new();
    for (key, first) in ambiguous {
        let entry =
            state.inventories.get(project).and_then(|inventory| inventory.entries.get(&key));
        let recorded = entry.and_then(|entry| entry.id.as_ref());
        if recorded.is_some() && recorded == first.id.as_ref() {
            state.objects.insert(key, first);
        } else if recorded.is_none()
            && let Some(desired) = set.objects.get(&key)
        {
            let problem = desired.origin.document.problem_at(
                &FieldPath::of(&["metadata", "name"]),
                format!(
                    "the platform has more than one {key}, so it is not clear which one is meant"
                ),
            );
            problems.push(problem.hint("delete or rename all but one"));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::manifests(problems)) }
}
