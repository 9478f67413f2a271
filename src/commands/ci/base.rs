//! What of a pull request is not its own: the project file with its guards and policies, as the
//! branch has them that it is made to.

use std::path::{Path, PathBuf};

use super::here::Here;
use super::jobs::SetAt;
use crate::checkout::{Checkout, within};
use crate::error::{Class, Context, Error, Result, with_causes};
use crate::manifest::walk::PROJECT_FILES;
use crate::output;
use crate::project_file::{ProjectFile, Target, is_project_file};
use crate::visible;
use crate::whereabouts::PullRequest;

/// The commit that a proposal is made to.
///
/// # Errors
///
/// It is named and not there; that of a pull request is not there and cannot be fetched.
pub(super) fn base(
    here: &Here,
    checkout: &Checkout,
    given: Option<&str>,
) -> Result<Option<String>> {
    if let Some(given) = given {
        let found = checkout.commit(given);
        return found.map(Some).ok_or_else(|| {
            let shown = visible::line(given);
            Error::usage(format!("--base {shown} is no commit of this checkout"))
                .hint("fetch it, or name another")
        });
    }
    let Some(pull_request) = here.at.pull_request() else { return Ok(None) };
    match merged_onto(here.at.commit.as_deref(), pull_request, checkout) {
        Some(commit) => Ok(Some(commit)),
        None => of_pull_request(pull_request, checkout).map(Some),
    }
}

/// What the forge merged a pull request onto, if that merge is what it checked out. The event names
/// the commit that the branch had when the pull request was opened, and main may be further by now.
/// A merge that the pull request itself contains is not the forge's.
fn merged_onto(
    made: Option<&str>,
    pull_request: &PullRequest,
    checkout: &Checkout,
) -> Option<String> {
    let (head, made) = (pull_request.head_commit.as_deref()?, made?);
    if head == made || checkout.commit("HEAD").as_deref() != Some(made) {
        return None;
    }
    match &checkout.parents(made)[..] {
        [onto, proposed] if proposed == head => {
            checkout.commit(onto).or_else(|| checkout.fetch(onto).ok())
        }
        _ => None,
    }
}

fn of_pull_request(pull_request: &PullRequest, checkout: &Checkout) -> Result<String> {
    let there = |commit: &String| checkout.commit(commit).or_else(|| checkout.fetch(commit).ok());
    if let Some(commit) = pull_request.base_commit.as_ref().and_then(there) {
        return Ok(commit);
    }
    let branch = pull_request.base_branch.as_ref();
    if let Some(branch) = branch {
        let fetched = checkout.fetch(&format!("refs/heads/{branch}")).ok();
        let known = || checkout.commit(&format!("refs/remotes/origin/{branch}"));
        if let Some(commit) = fetched.or_else(known) {
            return Ok(commit);
        }
    }
    if let Some(commit) = pull_request.left_at.as_ref().and_then(there) {
        output::note(
            "note: guards and policies are those of the commit where the branch was left: the branch itself cannot be fetched",
        );
        return Ok(commit);
    }
    Err(Error::new(
        Class::Refused,
        "the branch that the pull request is made to is not here and cannot be fetched, so its guards and policies are not known",
    )
    .hint("check out with the whole history, such as `fetch-depth: 0` of actions/checkout"))
}

/// What the base says of a set.
pub(super) struct AtBase {
    /// The project file whose guards and policies count.
    pub(super) rules: PathBuf,
    /// The same as it reads, if the base has one there.
    pub(super) file: Option<ProjectFile>,
    /// The project files elsewhere in the base that may declare the same set, whose guards and
    /// policies count as well.
    pub(super) others: Vec<(PathBuf, ProjectFile)>,
}

impl AtBase {
    /// The project files whose guards and policies count, that of the set first.
    pub(super) fn rules(self) -> Vec<PathBuf> {
        [self.rules].into_iter().chain(self.others.into_iter().map(|it| it.0)).collect()
    }
}

/// An error with everything that it found, on a line.
fn told_of(error: &Error) -> String {
    let problems = error.problems.iter().map(ToString::to_string);
    [with_causes(error)].into_iter().chain(problems).collect::<Vec<_>>().join("; ")
}

/// Where a proposal left its base. What the base got since then is not gone because the proposal does
/// not have it. `None` if that is not known.
pub(super) fn left(here: &Here, checkout: &Checkout, base: &str) -> Option<String> {
    let told = || {
        let told = here.at.pull_request()?.left_at.as_ref()?;
        checkout.commit(told).or_else(|| checkout.fetch(told).ok())
    };
    checkout.left_at(base).or_else(told)
}

/// Project files of the base that are not in the proposal.
pub(super) struct NotHere {
    /// Those that the proposal takes away, or may take away.
    pub(super) gone: Vec<PathBuf>,
    /// Those that the base got after the proposal left it.
    pub(super) newer: Vec<PathBuf>,
}

/// The project files that the base has and the proposal has not.
///
/// # Errors
///
/// Git cannot tell; a folder that cannot be written.
pub(super) fn not_here(
    checkout: &Checkout,
    (base, left): (&str, Option<&str>),
    into: &Path,
) -> Result<NotHere> {
    let missing = missing(checkout, base, into)?;
    let before = match left.filter(|left| !missing.is_empty() && *left != base) {
        Some(left) => checkout.named_in(left, &PROJECT_FILES)?,
        None => missing.clone(),
    };
    // It may have had its other name.
    let was = |path: &PathBuf| before.iter().any(|it| it.parent() == path.parent());
    let (gone, newer) = missing.into_iter().partition(was);
    Ok(NotHere { gone, newer })
}

/// The project file of a set as it was where the proposal left its base, if it was there.
///
/// # Errors
///
/// Git cannot hand it out; a folder that cannot be written.
pub(super) fn as_it_was(
    checkout: &Checkout,
    (set, left): (&SetAt, &str),
    into: &Path,
) -> Result<Option<ProjectFile>> {
    let names = PROJECT_FILES.map(|name| set.folder.join(name));
    checkout.take_out(left, &names, into)?;
    let there = names.iter().map(|name| into.join(name)).find(|path| is_project_file(path));
    Ok(there.and_then(|path| ProjectFile::read(&path).ok()))
}

fn missing(checkout: &Checkout, base: &str, into: &Path) -> Result<Vec<PathBuf>> {
    // Git lists nothing below a link: a folder that is one now has no project file of its own.
    let mut here = checkout.named(&PROJECT_FILES)?;
    here.retain(|path| is_project_file(&checkout.root().join(path)));
    let mut gone = checkout.named_in(base, &PROJECT_FILES)?;
    gone.retain(|path| here.iter().all(|here| here.parent() != path.parent()));
    if !gone.is_empty() {
        checkout.take_out(base, &gone, into)?;
        // A manifest may have that name, too.
        gone.retain(|path| is_project_file(&into.join(path)));
    }
    Ok(gone)
}

/// Takes the project file of a set and its policies out of the base, into a folder, and those
/// elsewhere that may declare the same set: neither a new folder nor another file's set is a way past
/// guards.
///
/// # Errors
///
/// Git cannot hand them out; a folder that cannot be written; a project file of the base that cannot
/// be used.
pub(super) fn at_base(
    checkout: &Checkout,
    (set, base): (&SetAt, &str),
    into: &Path,
) -> Result<AtBase> {
    // It may have had its other name.
    let names = PROJECT_FILES.map(|name| set.folder.join(name));
    checkout.take_out(base, &names, into)?;
    let there = names.iter().find(|name| is_project_file(&into.join(name)));
    let taken = there.map(|name| taken(checkout, (name, base), into)).transpose()?;
    let new = targets_that_are_new(set, taken.as_ref().map(|(_, file)| file));
    let others = match new.is_empty() {
        true => Vec::new(),
        false => others(checkout, (set, base), into, &new)?,
    };
    let (rules, file) = match taken {
        Some((rules, file)) => (rules, Some(file)),
        // Of a set that is new, nothing stricter is known than what holds without a word.
        None => {
            let rules = into.with_extension("none.yaml");
            std::fs::write(&rules, "version: v1\n").context(|| rules.display().to_string())?;
            (rules, None)
        }
    };
    Ok(AtBase { rules, file, others })
}

/// Reads a project file of the base that is taken out, and takes out its policies.
fn taken(
    checkout: &Checkout,
    (path, base): (&Path, &str),
    into: &Path,
) -> Result<(PathBuf, ProjectFile)> {
    let rules = into.join(path);
    let file = ProjectFile::read(&rules).map_err(|error| {
        let shown = visible::line(&path.display().to_string()).into_owned();
        let told = format!(
            "{shown} cannot be used as the base branch has it, so its guards and policies are not known"
        );
        Error::new(Class::Refused, told)
            .because(told_of(&error))
            .hint("mend it on the base branch first")
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let of_environments = file.form.environments.values().map(|it| &it.policies);
    let folders = of_environments.chain([&file.form.policies]).flatten().flatten();
    let folders: Vec<PathBuf> =
        folders.filter_map(|policies| within(&folder.join(policies))).collect();
    // A folder of rules that is gone in the base is told when it is read.
    if !folders.is_empty() {
        checkout.take_out(base, &folders, into)?;
    }
    Ok((rules, file))
}

/// The targets that a set has and did not have before under the same name.
fn targets_that_are_new(set: &SetAt, before: Option<&ProjectFile>) -> Vec<Target> {
    let Some(file) = &set.file else { return Vec::new() };
    let names = |file: &ProjectFile| match file.names().next() {
        None => vec![String::new()],
        Some(_) => file.names().map(str::to_owned).collect(),
    };
    let is_new = |name: &String| {
        let before = before.filter(|before| names(before).contains(name));
        before.is_none_or(|before| before.target(name) != file.target(name))
    };
    let new = names(file).into_iter().filter(is_new);
    new.map(|name| file.target(&name)).collect()
}

/// The project files elsewhere in the base that may declare one of these.
fn others(
    checkout: &Checkout,
    (set, base): (&SetAt, &str),
    into: &Path,
    new: &[Target],
) -> Result<Vec<(PathBuf, ProjectFile)>> {
    let mut paths = checkout.named_in(base, &PROJECT_FILES)?;
    paths.retain(|path| path.parent() != Some(set.folder.as_path()));
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    checkout.take_out(base, &paths, into)?;
    paths.retain(|path| is_project_file(&into.join(path)));
    let mut others = Vec::new();
    for path in paths {
        let (rules, file) = taken(checkout, (&path, base), into)?;
        if new.iter().any(|target| file.may_declare(target)) {
            others.push((rules, file));
        }
    }
    Ok(others)
}
