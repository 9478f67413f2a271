//! The projects of a platform: which there are, and which of them documents mean.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::observe::unreadable;
use crate::api::failure::ApiError;
use crate::api::reader::Reader;
use crate::dialect::Speaks;
use crate::error::{Error, Problem, Result};
use crate::kinds::KindName;
use crate::kinds::path::FieldPath;
use crate::listed::{few, nearest, word};
use crate::manifest::set::{Desired, Set};
use crate::visible;

/// A project as the list has it.
#[derive(Clone)]
pub(super) struct Project {
    pub(super) id: String,
    pub(super) name: String,
    item: Value,
}

/// All projects that the credential reaches.
pub(super) async fn projects(reader: &Reader) -> Result<Vec<Project>> {
    let kind = KindName::of_projects();
    let spelling = reader.spelling(kind);
    let Some(listing) = spelling.list("", None) else { return Ok(Vec::new()) };
    let items = reader.list(&listing).await?;
    items
        .into_iter()
        .map(|item| {
            let seen = spelling.seen(&item).map_err(|what| unreadable(kind, &what))?;
            Ok(Project { id: seen.id.unwrap_or_default(), name: seen.name, item })
        })
        .collect()
}

/// Finds the project of every document, and gives all keys the project's name. `None`
/// stands for a project that the set itself declares and the platform does not have.
pub(super) fn resolve_projects(
    set: &mut Set,
    also: Option<&str>,
    projects: &[Project],
) -> Result<BTreeMap<String, Option<Project>>> {
    let mut found: BTreeMap<String, Option<Project>> = BTreeMap::new();
    let mut renamed: BTreeMap<String, String> = BTreeMap::new();
    let mut problems = Vec::new();
    let declared: BTreeSet<String> =
        set.objects.keys().filter(|key| key.is_project()).map(|key| key.name.clone()).collect();
    let mentions =
        set.objects.values().map(|desired| (desired.key.project.as_str(), Some(desired)));
    for (name, desired) in mentions.chain(also.map(|name| (name, None))) {
        if renamed.contains_key(name) {
            continue;
        }
        let problem = |message: String| match desired {
            Some(desired) => desired.origin.problem_at(&FieldPath::of(&["project"]), message),
            None => Problem::new(message),
        };
        let by_id = projects.iter().find(|project| project.id == name);
        let by_name: Vec<_> = projects.iter().filter(|project| project.name == name).collect();
        let (canonical, project) = match (by_id, by_name.as_slice()) {
            (Some(project), _) => (project.name.clone(), Some(project.clone())),
            (None, [project]) => (name.to_owned(), Some((*project).clone())),
            (None, []) if declared.contains(name) => (name.to_owned(), None),
            (None, []) if desired.is_none_or(|it| !names_project(it)) => {
                return Err(unknown_project(name, projects));
            }
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
                            few(several.iter().map(|project| project.id.as_str()))
                        ),
                    ),
                );
                continue;
            }
        };
        renamed.insert(name.to_owned(), canonical.clone());
        found.insert(canonical, project);
    }
    problems.extend(disagreement(set, projects));
    if !problems.is_empty() {
        return Err(Error::manifests(problems));
    }
    if renamed.iter().any(|(from, to)| from != to) {
        for (_, mut desired) in std::mem::take(&mut set.objects) {
            if let Some(name) = renamed.get(&desired.key.project) {
                desired.key.project.clone_from(name);
            }
            set.add(desired, &mut problems);
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(Error::manifests(problems)) }
}

/// Refuses to work on all projects where several have one name: what a set owns there would be
/// told, and written, of one of them.
///
/// # Errors
///
/// There are several.
pub(super) fn refuse_one_name(projects: &[Project]) -> Result<()> {
    let mut ids: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    projects.iter().for_each(|it| ids.entry(it.name.as_str()).or_default().push(&it.id));
    let several = ids.into_iter().filter(|(_, ids)| ids.len() > 1);
    let problems = several.map(|(name, ids)| {
        let name = visible::line(name);
        Problem::new(format!("{} projects are called `{name}`", ids.len())).hint(format!(
            "name one by its id: --project-id {}",
            few(ids.iter().map(|id| word(id)))
        ))
    });
    match problems.collect::<Vec<_>>() {
        problems if problems.is_empty() => Ok(()),
        problems => Err(Error::refused(problems)),
    }
}

/// The one project that is meant. What documents declare in others is not looked at.
pub(super) fn only_project(
    set: &mut Set,
    project: &str,
    projects: &[Project],
) -> Result<BTreeMap<String, Option<Project>>> {
    let mut nothing = Set::default();
    let found = resolve_projects(&mut nothing, Some(project), projects)?;
    resolve_projects(set, None, projects)?;
    set.objects.retain(|key, _| found.contains_key(&key.project));
    Ok(found)
}

/// Whether the document of an object says itself which project it is of.
pub(super) fn names_project(desired: &Desired) -> bool {
    desired.key.is_project() || desired.origin.has(&FieldPath::of(&["project"]))
}

/// A project that no document names, but an option or a setting, and that is not there.
fn unknown_project(name: &str, projects: &[Project]) -> Error {
    let shown = visible::line(name);
    let near = nearest(name, projects.iter().map(|project| project.name.as_str()));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`meshagent project list` shows the projects; --project-id takes a name or an id"
            .to_owned(),
    };
    Error::usage(format!(
        "there is no project `{shown}`, which --project-id, a setting or the credential names"
    ))
    .hint(hint)
}

/// Documents of one project and a user who names another one: whatever is done, it would be
/// done to a project that somebody did not mean.
fn disagreement(set: &Set, projects: &[Project]) -> Option<Problem> {
    let named = set.named_project.as_ref()?;
    let by_id = projects.iter().find(|project| project.id == *named);
    let meant = by_id.map_or(named, |project| &project.name);
    let mut declared = set.objects.values().filter(|it| it.key.is_project());
    let first = declared.next()?;
    let is_meant = |desired: &Desired| desired.key.name == *meant;
    if is_meant(first) || declared.any(is_meant) {
        return None;
    }
    let message =
        format!("the set declares project `{}`, and --project-id names `{meant}`", first.key.name);
    let problem = first.origin.problem_at(&FieldPath::of(&["metadata", "name"]), message);
    Some(problem.hint("take the Project document out, or leave --project-id out"))
}

/// The project with its settings; where the credential may not read them, as listed.
pub(super) async fn detailed_project(reader: &Reader, project: &Project) -> Result<Value> {
    let Some(request) = reader.spelling(KindName::of_projects()).detail(&project.id) else {
        return Ok(project.item.clone());
    };
    match reader.get_json(&request).await {
        Ok(project) => Ok(project),
        Err(ApiError { status: Some(403 | 404), .. }) => Ok(project.item.clone()),
        Err(error) => Err(error.into()),
    }
}
