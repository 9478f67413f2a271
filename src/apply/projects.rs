//! The projects of a platform: which there are, and which of them documents mean.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::observe::unreadable;
use crate::api::failure::ApiError;
use crate::api::project::{Meant, meant, origin};
use crate::api::reader::Reader;
use crate::dialect::Speaks;
use crate::error::{Error, Problem, Result};
use crate::kinds::KindName;
use crate::kinds::path::FieldPath;
use crate::listed::{few, nearest, word};
use crate::manifest::set::{Desired, Set};
use crate::visible;

/// A project as the list has it.
#[derive(Debug, Clone)]
pub(super) struct Project {
    pub(super) id: String,
    pub(super) name: String,
    item: Value,
}

/// All projects that the credential has access to.
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

/// A set whose keys name their projects by name, with those projects. `None` stands for a project
/// that the set itself declares and the platform does not have.
pub(super) struct Resolved {
    pub(super) set: Set,
    pub(super) projects: BTreeMap<String, Option<Project>>,
}

/// Finds the project of every document, and one more where it is named, and gives all keys the
/// project's name.
pub(super) fn resolve_projects(
    set: Set,
    also: Option<&str>,
    projects: &[Project],
) -> Result<Resolved> {
    let mut resolver = Resolver::new(&set, projects);
    for desired in set.objects.values() {
        resolver.find(&desired.key.project, Some(desired))?;
    }
    if let Some(name) = also {
        resolver.find(name, None)?;
    }
    let Resolver { found, names, mut problems, .. } = resolver;
    problems.extend(disagreement(&set, projects));
    if !problems.is_empty() {
        return Err(Error::manifests(problems));
    }
    let set = renamed(set, &names)?;
    Ok(Resolved { set, projects: found })
}

/// The set with the projects' names in its keys. What was declared under two keys may be one
/// object under them.
fn renamed(mut set: Set, names: &BTreeMap<String, String>) -> Result<Set> {
    if names.iter().all(|(from, to)| from == to) {
        return Ok(set);
    }
    let mut problems = Vec::new();
    for (_, mut desired) in std::mem::take(&mut set.objects) {
        if let Some(name) = names.get(&desired.key.project)
            && *name != desired.key.project
        {
            desired.key = desired.key.with_project(name);
        }
        set.add(desired, &mut problems);
    }
    if problems.is_empty() { Ok(set) } else { Err(Error::manifests(problems)) }
}

/// Finds projects, each once.
struct Resolver<'a> {
    projects: &'a [Project],
    /// The names of the projects that documents declare.
    declared: BTreeSet<String>,
    /// Those that were found, by name.
    found: BTreeMap<String, Option<Project>>,
    /// How a project is referred to, and its name.
    names: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl<'a> Resolver<'a> {
    fn new(set: &Set, projects: &'a [Project]) -> Self {
        let keys = set.objects.keys().filter(|key| key.is_project());
        let declared = keys.map(|key| key.name.clone()).collect();
        let (found, names, problems) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { projects, declared, found, names, problems }
    }

    /// Finds a project by name or id; a document says so, or an option or a setting.
    ///
    /// # Errors
    ///
    /// An option or a setting names no project. A wrong name in a document becomes a problem.
    fn find(&mut self, said: &str, by: Option<&Desired>) -> Result<()> {
        if self.names.contains_key(said) {
            return Ok(());
        }
        let problem = match meant(self.projects, said, |it| (&it.id, &it.name)) {
            Meant::One(project) => {
                self.take(said, &project.name, Some(project.clone()));
                return Ok(());
            }
            Meant::None if self.declared.contains(said) => {
                self.take(said, said, None);
                return Ok(());
            }
            Meant::None if by.is_none_or(|desired| !names_project(desired)) => {
                return Err(unknown_project(said, self.projects));
            }
            Meant::None => problem_of(
                by,
                format!("there is no project `{said}`, or the credential has no access to it"),
            )
            .hint("declare it with a Project document, or name an existing one by name or id"),
            Meant::Several(several) => {
                let ids = few(several.iter().map(|project| project.id.as_str()));
                problem_of(by, format!("{} projects are called `{said}`", several.len()))
                    .hint(format!("use an id instead of the name: {ids}"))
            }
        };
        self.problems.push(problem);
        Ok(())
    }

    fn take(&mut self, said: &str, name: &str, project: Option<Project>) {
        self.names.insert(said.to_owned(), name.to_owned());
        self.found.insert(name.to_owned(), project);
    }
}

/// A problem with how a project is referred to, at its place if a document does it.
fn problem_of(by: Option<&Desired>, message: String) -> Problem {
    match by {
        Some(desired) => desired.origin.problem_at(&FieldPath::of(&["project"]), message),
        None => Problem::new(message),
    }
}

/// Refuses to work on all projects if several have the same name: what a set owns there would be
/// reported, and written, for one of them.
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
            "use an id instead of the name: --project-id {}",
            few(ids.iter().map(|id| word(id)))
        ))
    });
    match problems.collect::<Vec<_>>() {
        problems if problems.is_empty() => Ok(()),
        problems => Err(Error::refused(problems)),
    }
}

/// The one project that is meant. What documents declare in others is not looked at.
pub(super) fn only_project(set: Set, project: &str, projects: &[Project]) -> Result<Resolved> {
    let found = resolve_projects(Set::default(), Some(project), projects)?.projects;
    let mut set = resolve_projects(set, None, projects)?.set;
    set.objects.retain(|key, _| found.contains_key(&key.project));
    Ok(Resolved { set, projects: found })
}

/// Whether the document of an object names its project.
pub(super) fn names_project(desired: &Desired) -> bool {
    desired.key.is_project() || desired.origin.has(&FieldPath::of(&["project"]))
}

/// The error for a project that does not exist and that an option or a setting names.
fn unknown_project(name: &str, projects: &[Project]) -> Error {
    let shown = visible::line(name);
    let near = nearest(name, projects.iter().map(|project| project.name.as_str()));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "`meshagent project create {}` creates it, and `meshagent project list` shows which there are, with the options that name the platform, such as -e; --project-id takes a name or an id",
            word(name)
        ),
    };
    let by = match origin() {
        Some(origin) => format!("; the name comes from {origin}"),
        None => String::new(),
    };
    Error::failed(format!("there is no project `{shown}`{by}")).hint(hint)
}

/// The documents declare one project and the user names another one: whatever is done would be
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
        format!("the set declares project `{}`, but --project-id names `{meant}`", first.key.name);
    let problem = first.origin.problem_at(&FieldPath::of(&["metadata", "name"]), message);
    Some(problem.hint("remove the Project document, or leave out --project-id"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    fn projects() -> Vec<Project> {
        let project = |(id, name): (&str, &str)| Project {
            id: id.to_owned(),
            name: name.to_owned(),
            item: Value::Null,
        };
        [("1", "acme"), ("2", "twice"), ("3", "twice")].map(project).to_vec()
    }

    #[test]
    fn a_project_is_found_once_whether_its_name_or_its_id_is_said() {
        let (set, projects) = (Set::default(), projects());
        let mut resolver = Resolver::new(&set, &projects);
        for said in ["acme", "1", "acme"] {
            resolver.find(said, None).unwrap();
        }
        let names = ["1", "acme"].map(|said| (said.to_owned(), "acme".to_owned()));
        assert_eq!(resolver.names, BTreeMap::from(names));
        let found = resolver.found.into_iter().map(|(name, it)| (name, it.map(|it| it.id)));
        assert_eq!(found.collect::<Vec<_>>(), [("acme".to_owned(), Some("1".to_owned()))]);
        assert!(resolver.problems.is_empty());
    }

    #[test]
    fn a_name_that_leads_to_none_or_to_several_is_told_with_what_leads_on() {
        let projects = projects();
        let error = resolve_projects(Set::default(), Some("acmee"), &projects).err().unwrap();
        assert_eq!(
            (error.class, error.hint.as_deref()),
            (Class::Failed, Some("did you mean `acme`?"))
        );
        let error = resolve_projects(Set::default(), Some("twice"), &projects).err().unwrap();
        assert_eq!(error.problems[0].message, "2 projects are called `twice`");
        assert_eq!(error.problems[0].hint.as_deref(), Some("use an id instead of the name: 2, 3"));
    }
}
