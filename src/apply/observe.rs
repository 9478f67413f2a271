//! Reads everything that a plan is decided on: the projects of the set, what the set owns
//! in them, and one list for each kind that matters; one more for each room with services.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;

use super::inventory::{self, Stored};
use crate::api::client::{ApiError, Reader};
use crate::error::{Error, Problem, Result};
use crate::kinds::path::FieldPath;
use crate::kinds::{Key, KindName};
use crate::manifest::set::Set;
use crate::plan::references::name_secrets;
use crate::plan::{Observed, ProjectState, State};

/// How many lists are read at once.
const CONCURRENT_LISTS: usize = 16;

/// What was read, with what is needed to write the inventories back.
#[derive(Debug)]
pub struct Observation {
    /// What the planner decides on.
    pub state: State,
    /// The inventories, by project.
    pub stored: BTreeMap<String, Stored>,
}

/// Reads the platform. Keys of the set that name their project by id name it by name
/// afterwards, so that one object has one key.
///
/// # Errors
///
/// The platform's; documents of a project that does not exist.
pub async fn observe(
    reader: &Reader,
    set_name: &str,
    set: &mut Set,
    also: Option<&str>,
) -> Result<Observation> {
    let projects = projects(reader).await?;
    let named = resolve_projects(set, also, &projects)?;
    let mut observation = Observation { state: State::default(), stored: BTreeMap::new() };
    for (name, project) in named {
        let stored = match &project {
            Some(project) => inventory::load(reader, set_name, &name, &project.id).await?,
            None => Stored::empty()?,
        };
        observation.state.inventories.insert(name.clone(), stored.inventory.clone());
        observation.stored.insert(name.clone(), stored);
        let state = ProjectState { id: project.as_ref().map(|project| project.id.clone()) };
        observation.state.projects.insert(name.clone(), state);
        if let Some(project) = project {
            read_project(reader, set, &name, &project, &mut observation.state).await?;
        }
    }
    Ok(observation)
}

/// A project as the list has it.
#[derive(Clone)]
struct Project {
    id: String,
    name: String,
    item: Value,
}

async fn projects(reader: &Reader) -> Result<Vec<Project>> {
    let kind = KindName::Project.kind();
    let Some(listing) = kind.list("", None) else { return Ok(Vec::new()) };
    let items = reader.list(&listing).await?;
    items
        .into_iter()
        .map(|item| {
            let seen = kind.seen(&item).map_err(|what| unreadable(KindName::Project, &what))?;
            Ok(Project { id: seen.id.unwrap_or_default(), name: seen.name, item })
        })
        .collect()
}

fn unreadable(kind: KindName, what: &str) -> Error {
    Error::failed(format!("the platform's list of {kind}s cannot be read: {what}"))
}

/// Finds the project of every document, and gives all keys the project's name. `None`
/// stands for a project that the set itself declares and the platform does not have.
fn resolve_projects(
    set: &mut Set,
    also: Option<&str>,
    projects: &[Project],
) -> Result<BTreeMap<String, Option<Project>>> {
    let mut found: BTreeMap<String, Option<Project>> = BTreeMap::new();
    let mut renamed: BTreeMap<String, String> = BTreeMap::new();
    let mut problems = Vec::new();
    let declared: BTreeSet<String> = set
        .objects
        .keys()
        .filter(|key| key.kind == KindName::Project)
        .map(|key| key.name.clone())
        .collect();
    let mentions =
        set.objects.values().map(|desired| (desired.key.project.as_str(), Some(desired)));
    for (name, desired) in mentions.chain(also.map(|name| (name, None))) {
        if renamed.contains_key(name) {
            continue;
        }
        let problem = |message: String| match desired {
            Some(desired) => {
                desired.origin.document.problem_at(&FieldPath::of(&["project"]), message)
            }
            None => Problem::new(message),
        };
        let by_id = projects.iter().find(|project| project.id == name);
        let by_name: Vec<_> = projects.iter().filter(|project| project.name == name).collect();
        let (canonical, project) = match (by_id, by_name.as_slice()) {
            (Some(project), _) => (project.name.clone(), Some(project.clone())),
            (None, [project]) => (name.to_owned(), Some((*project).clone())),
            (None, []) if declared.contains(name) => (name.to_owned(), None),
            (None, []) => {
                problems.push(
                    problem(format!(
                        "there is no project `{name}`, or the credential does not reach it"
                    ))
                    .hint(
                        "declare it with a Project document, or name an existing one by name or id",
                    ),
                );
                continue;
            }
            (None, several) => {
                problems.push(
                    problem(format!("{} projects are called `{name}`", several.len())).hint(
                        format!(
                            "name one by id: {}",
                            several
                                .iter()
                                .map(|project| project.id.as_str())
                                .collect::<Vec<_>>()
                                .join(", ")
                        ),
                    ),
                );
                continue;
            }
        };
        renamed.insert(name.to_owned(), canonical.clone());
        found.insert(canonical, project);
    }
    if !problems.is_empty() {
        return Err(Error::manifests(problems));
    }
    if renamed.iter().any(|(from, to)| from != to) {
        set.objects = std::mem::take(&mut set.objects)
            .into_values()
            .map(|mut desired| {
                if let Some(name) = renamed.get(&desired.key.project) {
                    desired.key.project.clone_from(name);
                }
                (desired.key.clone(), desired)
            })
            .collect();
    }
    Ok(found)
}

/// The lists of one project that matter to the plan.
struct Wanted {
    kinds: BTreeSet<KindName>,
    project_services: bool,
    rooms_with_services: BTreeSet<String>,
    settings: bool,
}

impl Wanted {
    fn new(set: &Set, state: &State, project: &str) -> Self {
        let owned = state
            .inventories
            .get(project)
            .into_iter()
            .flat_map(|inventory| inventory.entries.keys());
        let keys: Vec<&Key> =
            set.objects.keys().filter(|key| key.project == project).chain(owned).collect();
        let mut kinds: BTreeSet<KindName> = keys.iter().map(|key| key.kind).collect();
        // What these may refer to.
        let room_users = [KindName::Mailbox, KindName::Route, KindName::ScheduledTask];
        if room_users.iter().any(|kind| kinds.contains(kind))
            || keys.iter().any(|key| key.room.is_some())
        {
            kinds.insert(KindName::Room);
        }
        if kinds.contains(&KindName::Service) {
            kinds.insert(KindName::Secret);
        }
        let mut rooms_with_services: BTreeSet<String> =
            keys.iter().filter_map(|key| key.room.clone()).collect();
        // A room that may be deleted takes its services with it, so they must be known.
        rooms_with_services.extend(
            keys.iter()
                .filter(|key| key.kind == KindName::Room && !set.objects.contains_key(*key))
                .map(|key| key.name.clone()),
        );
        Self {
            project_services: keys
                .iter()
                .any(|key| key.kind == KindName::Service && key.room.is_none()),
            settings: kinds.contains(&KindName::Project),
            rooms_with_services,
            kinds,
        }
    }
}

async fn read_project(
    reader: &Reader,
    set: &Set,
    name: &str,
    project: &Project,
    state: &mut State,
) -> Result<()> {
    let wanted = Wanted::new(set, state, name);
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
    // Each list is read into fields as it comes, so that no two answers are held at once.
    let mut lists = stream::iter(lists)
        .map(|(kind, room)| async move {
            let Some(listing) = kind.kind().list(&project.id, room.as_deref()) else {
                return Ok((kind, room, Vec::new()));
            };
            match reader.list(&listing).await {
                Ok(items) => Ok((kind, room, items)),
                // A room that does not exist yet has no services.
                Err(ApiError { status: Some(404), .. }) if room.is_some() => {
                    Ok((kind, room, Vec::new()))
                }
                Err(error) => Err(Error::from(error)),
            }
        })
        .buffered(CONCURRENT_LISTS);
    let mut ambiguous = Vec::new();
    while let Some((kind, room, items)) = lists.try_next().await? {
        ambiguous.extend(take_in(state, name, kind, room.as_ref(), items)?);
    }
    if wanted.settings {
        let detailed = detailed_project(reader, project).await?;
        ambiguous.extend(take_in(state, name, KindName::Project, None, vec![detailed])?);
    }
    settle_ambiguous(set, name, state, ambiguous)?;
    let secret_names: BTreeMap<String, String> = state
        .objects
        .iter()
        .filter(|(key, _)| key.kind == KindName::Secret && key.project == name)
        .filter_map(|(key, observed)| Some((observed.id.clone()?, key.name.clone())))
        .collect();
    for (key, observed) in &mut state.objects {
        if key.kind == KindName::Service && key.project == name {
            name_secrets(key, &mut observed.fields, &secret_names);
        }
    }
    Ok(())
}

/// Adds the objects of a list to the state. What is returned are those whose place another
/// object of the same key has taken.
fn take_in(
    state: &mut State,
    project: &str,
    kind: KindName,
    room: Option<&String>,
    items: Vec<Value>,
) -> Result<Vec<(Key, Observed)>> {
    let mut displaced = Vec::new();
    for item in items {
        let seen = kind.kind().seen(&item).map_err(|what| unreadable(kind, &what))?;
        let key = Key { kind, project: project.to_owned(), room: room.cloned(), name: seen.name };
        let answered = kind.kind().kept(&item);
        let observed = Observed { id: seen.id, owner: seen.owner, fields: seen.fields, answered };
        if let Some(first) = state.objects.insert(key.clone(), observed) {
            displaced.push((key, first));
        }
    }
    Ok(displaced)
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

/// The project with its settings; where the credential may not read them, as listed.
async fn detailed_project(reader: &Reader, project: &Project) -> Result<Value> {
    let Some(request) = KindName::Project.kind().detail(&project.id) else {
        return Ok(project.item.clone());
    };
    match reader.get(&request).await {
        Ok(answer) => answer
            .json()
            .map_err(|error| Error::failed("failed to read the project").because(error)),
        Err(ApiError { status: Some(403 | 404), .. }) => Ok(project.item.clone()),
        Err(error) => Err(error.into()),
    }
}
