//! What `ci apply` applies, in order: sets in their environments, or plans that were saved.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::WhatArgs;
use super::jobs::{self, Job, SetAt, refuse_unknown, refuse_unreadable, sets, shown};
use super::plan::{LIST, SavedPlans};
use super::telling::absolute;
use crate::bounded;
use crate::checkout::Checkout;
use crate::commands::saved_plan::{self, Saved};
use crate::error::{Class, Context, Error, Result};
use crate::listed::few;
use crate::output;
use crate::project_file::{ProjectFile, Target};
use crate::visible;

/// The largest list of saved plans, in bytes.
const LIST_LIMIT: usize = 1024 * 1024;

/// Something to apply.
pub(super) struct Step {
    pub(super) job: Job,
    /// The plan that it was saved as.
    pub(super) plan: Option<PathBuf>,
    /// Whether it is told in a comment.
    pub(super) is_told: bool,
    /// Whether its project file demands approvals.
    pub(super) is_approved: bool,
}

/// What is applied, in order.
///
/// # Errors
///
/// A project file that cannot be used, or does not say what is applied; what is named and is not
/// applied; saved plans that are not those of the repository.
pub(super) fn steps(
    what: &WhatArgs,
    plan: Option<&Path>,
    checkout: Option<&Checkout>,
) -> Result<Vec<Step>> {
    if let Some(plan) = plan {
        return saved(plan, what, checkout);
    }
    let found = sets(what, checkout)?;
    refuse_unknown(what, &found)?;
    let root = checkout.map(Checkout::root).unwrap_or(Path::new("."));
    refuse_unreadable(&found, root)?;
    let mut steps = Vec::new();
    let mut left_out = Vec::new();
    for set in &found {
        let (names, others) = applied(set, &what.environments)?;
        left_out.extend(others.into_iter().map(|name| named(&set.shown(), &name)));
        let jobs = set.jobs_in(root, &names, what);
        steps.extend(jobs.into_iter().map(|job| Step {
            is_told: set.ci.has_comment,
            is_approved: set.demands_approvals(&job.of.1),
            plan: None,
            job,
        }));
    }
    if steps.is_empty() && !left_out.is_empty() {
        let names = few(left_out.iter().map(|name| format!("`{}`", visible::line(name))));
        let first = visible::line(&what.environments[0]);
        return Err(Error::new(
            Class::Refused,
            format!("nothing is applied: `ci.apply` does not name {names}"),
        )
        .hint(format!("add it to `ci: {{apply: […]}}`, or run `meshagent apply -e {first}`")));
    }
    left_out.iter().for_each(|name| tell_left_out(name, "not applied"));
    Ok(steps)
}

/// Says of an environment that it is left out.
fn tell_left_out(name: &str, is: &str) {
    let name = visible::line(name);
    output::note(&format!("note: {name} is {is}: `ci.apply` of its project file does not name it"));
}

/// The environments of a set that are applied, in order, and those that are asked for and are not.
fn applied(set: &SetAt, asked: &[String]) -> Result<(Vec<String>, Vec<String>)> {
    let Some(file) = &set.file else { return Ok((set.ci.plan.clone(), Vec::new())) };
    if asked.is_empty() {
        return Ok((file.applied_in_ci()?, Vec::new()));
    }
    let is_there = |name: &&String| file.names().any(|it| it == name.as_str());
    let asked: Vec<String> = asked.iter().filter(is_there).cloned().collect();
    // Where nothing says which of several are applied, what is asked for is.
    let Some(applied) = &set.ci.apply else { return Ok((asked, Vec::new())) };
    let (these, others) = asked.into_iter().partition(|name| applied.contains(name));
    let these: Vec<String> = these;
    Ok((applied.iter().filter(|name| these.contains(name)).cloned().collect(), others))
}

/// What was saved, in order.
fn saved(plan: &Path, what: &WhatArgs, checkout: Option<&Checkout>) -> Result<Vec<Step>> {
    if !plan.is_dir() {
        return one(plan, what, checkout).map(|step| vec![step]);
    }
    let path = plan.join(LIST);
    let shown = path.display();
    let failed = || format!("failed to read {shown}");
    let text = bounded::text(&path, LIST_LIMIT).context(failed)?;
    let list: SavedPlans = serde_json::from_str(&text).context(failed)?;
    let root = checkout.map(Checkout::root).unwrap_or(Path::new("."));
    let known = known(what, checkout)?;
    let refused = |told: String| Error::new(Class::Refused, format!("{shown} {told}"));
    refuse_unplanned(&list, &known, &path)?;
    let mut steps = Vec::new();
    for at in list.plans {
        let folder_shown = visible::line(&at.folder).into_owned();
        let file = visible::line(&at.file);
        if Path::new(&at.file).file_name().is_none_or(|name| name != at.file.as_str()) {
            return Err(refused(format!("names {file}, which is no file beside it")));
        }
        let of = plan.join(&at.file);
        let read = saved_plan::read(&of, &[])?;
        let made_for = read.environment();
        // The plan of manifests that were given is for no project file.
        let set = known.iter().find(|set| set.shown() == at.folder);
        let has_environments =
            set.and_then(|set| set.file.as_ref()).is_some_and(|file| file.names().next().is_some());
        if made_for.is_none() && has_environments {
            return Err(refused(format!("names {file}, which was made for no environment")));
        }
        let set = set.filter(|_| made_for.is_some());
        let folder = match set {
            Some(set) => root.join(&set.folder),
            None if at.folder == "." => PathBuf::from("."),
            None => {
                return Err(refused(format!(
                    "names a set in {folder_shown}, where the repository has none"
                )));
            }
        };
        if made_for.unwrap_or_default() != at.environment {
            return Err(refused(format!(
                "names {file} for the environment {:?}, which it was not made for",
                at.environment
            )));
        }
        if let Some(owner) = owner(&read, (&at.folder, &at.environment), &known) {
            return Err(refused(format!(
                "names {file} as a plan of `{}`, but {owner}",
                visible::line(&named(&at.folder, &at.environment))
            )));
        }
        let name = named(&at.folder, &at.environment);
        let Some(order) = order(set, &at.environment)? else {
            tell_left_out(&name, "only planned");
            continue;
        };
        let job = Job {
            folder,
            name,
            of: (at.folder.clone(), at.environment.clone()),
            words: Vec::new(),
        };
        let step = Step {
            job,
            plan: Some(absolute(&of)?),
            is_told: set.is_none_or(|set| set.ci.has_comment),
            is_approved: set.is_some_and(|set| set.demands_approvals(&at.environment)),
        };
        steps.push((order, step));
    }
    steps.sort_by(|(one, of_one), (other, of_other)| {
        (&of_one.job.of.0, one).cmp(&(&of_other.job.of.0, other))
    });
    Ok(steps.into_iter().map(|(_, step)| step).collect())
}

/// Refuses a list that has no plan of what is applied.
fn refuse_unplanned(list: &SavedPlans, known: &[SetAt], path: &Path) -> Result<()> {
    for at in &list.unplanned {
        let set = known.iter().find(|set| set.shown() == at.folder);
        if order(set, &at.environment)?.is_some() {
            let name = named(&at.folder, &at.environment);
            let told = format!(
                "{} has no plan of `{}`: {}",
                path.display(),
                visible::line(&name),
                visible::line(&at.why)
            );
            return Err(Error::new(Class::Refused, told)
                .hint("plan again, until there is a plan of all that is applied"));
        }
    }
    Ok(())
}

/// How what is done with a set in an environment is called.
fn named(folder: &str, environment: &str) -> String {
    match environment.is_empty() {
        true => folder.to_owned(),
        false => format!("{folder} {environment}"),
    }
}

/// All sets of the repository, whatever is named.
///
/// # Errors
///
/// A project file that cannot be used.
fn known(what: &WhatArgs, checkout: Option<&Checkout>) -> Result<Vec<SetAt>> {
    let Some(checkout) = checkout else { return Ok(Vec::new()) };
    if !jobs::has_project_file(checkout)? {
        return Ok(Vec::new());
    }
    let all = WhatArgs { files: Vec::new(), folders: Vec::new(), ..what.clone() };
    let known = sets(&all, Some(checkout))?;
    refuse_unreadable(&known, checkout.root())?;
    Ok(known)
}

/// Whose plan it is, if it is that of another set or environment than it is called: what those
/// demand would not be asked for.
fn owner(saved: &Saved, called: (&str, &str), known: &[SetAt]) -> Option<String> {
    let (set, projects) = (&saved.bound.set, &saved.bound.projects);
    let is_its = |target: &Target| {
        // Whatever names no project is for that of the credential.
        let is_there = |project: &String| {
            projects.iter().any(|(name, id)| project == name || Some(project) == id.as_ref())
        };
        target.set == *set && target.project.as_ref().is_none_or(is_there)
    };
    let mut owners = Vec::new();
    for (at, file) in known.iter().filter_map(|set| Some((set, set.file.as_ref()?))) {
        let mut names: Vec<&str> = file.names().collect();
        if names.is_empty() {
            names.push("");
        }
        let its = names.into_iter().filter(|name| is_its(&file.target(name)));
        owners.extend(its.map(|name| (at.shown(), name.to_owned())));
    }
    let is_called = |(folder, name): &(String, String)| (folder.as_str(), name.as_str()) == called;
    let (first, is_known) = (owners.first()?, owners.iter().any(is_called));
    let is_made_so = saved.environment().is_some() || called.1.is_empty();
    (!is_known || !is_made_so).then(|| {
        let name = named(&first.0, &first.1);
        let projects = few(projects.keys().map(|name| format!("`{}`", visible::line(name))));
        format!(
            "it is for the set `{}` of {projects}, which is that of `{}`",
            visible::line(set),
            visible::line(&name)
        )
    })
}

/// One saved plan, which is applied in this folder.
fn one(plan: &Path, what: &WhatArgs, checkout: Option<&Checkout>) -> Result<Step> {
    let name = plan.display().to_string();
    let words = what.files.iter().flat_map(|it| [OsString::from("-f"), it.clone().into()]);
    let words = words.collect();
    let (folder, of) = (PathBuf::from("."), (name.clone(), String::new()));
    let job = Job { folder, name, of, words };
    let read = saved_plan::read(plan, &[])?;
    let environment = read.environment();
    let file = environment.as_ref().and_then(|name| ProjectFile::named(name).ok());
    // That an environment is not here at all is told when it is applied.
    let may_be_others = environment.is_none() || file.is_some();
    if let Some(checkout) = checkout.filter(|_| may_be_others) {
        let here = PathBuf::from(".").canonicalize().context(|| ".".to_owned())?;
        let here = here.strip_prefix(checkout.root()).unwrap_or(&here);
        let called = (shown(here), environment.clone().unwrap_or_default());
        if let Some(owner) = owner(&read, (&called.0, &called.1), &known(what, Some(checkout))?) {
            let file = visible::line(&job.name);
            return Err(Error::new(
                Class::Refused,
                format!("{file} cannot be applied here: {owner}"),
            )
            .hint("run this in the folder of its project file, with a plan of its environment"));
        }
    }
    let entered = file.as_ref().and_then(|file| {
        let name = environment.as_deref().filter(|name| !name.is_empty());
        file.environment(name).ok()
    });
    Ok(Step {
        job,
        plan: Some(absolute(plan)?),
        is_told: file.is_none_or(|file| file.ci().has_comment),
        is_approved: entered.is_some_and(|it| it.approved.is_some()),
    })
}

/// Where an environment stands among those that are applied; `None` if it is only planned.
///
/// # Errors
///
/// Nothing says which environments are applied.
fn order(set: Option<&SetAt>, environment: &str) -> Result<Option<usize>> {
    match set.and_then(|set| set.file.as_ref()) {
        None => Ok(Some(0)),
        Some(file) => Ok(file.applied_in_ci()?.iter().position(|name| name == environment)),
    }
}
