//! The sets of a repository, and what is done with each: one job for each of its environments.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::WhatArgs;
use crate::bounded;
use crate::checkout::{Checkout, within};
use crate::error::{Context, Error, Result};
use crate::listed::few;
use crate::manifest::walk::PROJECT_FILES;
use crate::output;
use crate::plan::markdown;
use crate::project_file::{Ci, Environment, ProjectFile, is_project_file};
use crate::visible;

/// The most sets of a repository.
const MOST: usize = 500;

/// The largest file that is looked through for names of other files, in bytes.
const LOOKED_AT: usize = 4 * 1024 * 1024;

/// A set of the repository.
#[derive(Debug, Clone)]
pub(super) struct SetAt {
    /// The folder of its project file, below the root of the repository.
    pub(super) folder: PathBuf,
    /// Its project file; `None` for manifests that belong to none, or if it cannot be used.
    pub(super) file: Option<ProjectFile>,
    /// The path of its project file, below the root.
    pub(super) path: Option<PathBuf>,
    /// What continuous integration does with it.
    pub(super) ci: Ci,
}

/// What is done with a set in one of its environments.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// Where it runs.
    pub(super) folder: PathBuf,
    /// How it is called.
    pub(super) name: String,
    /// The set's folder, as people write it, and the environment.
    pub(super) of: (String, String),
    /// The options that select its manifests.
    pub(super) words: Vec<OsString>,
}

/// The sets that are meant.
///
/// # Errors
///
/// There are none; a folder that has none; Git cannot tell.
pub(super) fn sets(what: &WhatArgs, checkout: Option<&Checkout>) -> Result<Vec<SetAt>> {
    if !what.files.is_empty() {
        let (folder, ci) = (PathBuf::new(), Ci::usual(Vec::new()));
        return Ok(vec![SetAt { folder, file: None, path: None, ci }]);
    }
    let Some(checkout) = checkout else {
        return Err(
            Error::usage("this is no checkout of a repository").hint("give manifests with -f")
        );
    };
    let files = match what.folders.is_empty() {
        true => project_files(checkout)?,
        false => what.folders.iter().map(|it| given(checkout, it)).collect::<Result<Vec<_>>>()?,
    };
    let mut folders = BTreeSet::new();
    if let Some(second) = files.iter().find(|path| !folders.insert(path.parent())) {
        let shown = visible::line(&second.display().to_string()).into_owned();
        return Err(Error::usage(format!("{shown}: its folder has two project files"))
            .hint("keep one of meshagent.yaml and meshagent.yml"));
    }
    match files.len() {
        0 => Err(Error::usage("the repository has no project file")
            .hint("write a meshagent.yaml, or give manifests with -f")),
        many if many > MOST => {
            Err(Error::usage(format!("the repository has more than {MOST} project files"))
                .hint("name the folders of those that are meant"))
        }
        _ => {
            let found: Vec<SetAt> = files.into_iter().map(|path| set_at(checkout, path)).collect();
            refuse_nested(&found, checkout.root())?;
            Ok(found)
        }
    }
}

/// Refuses a set that reads the manifests of another one below it: both would own what those declare.
fn refuse_nested(found: &[SetAt], root: &Path) -> Result<()> {
    for set in found {
        let is_below =
            |other: &&SetAt| other.folder != set.folder && other.folder.starts_with(&set.folder);
        let below: Vec<&SetAt> = found.iter().filter(is_below).collect();
        let Some(file) = set.file.as_ref().filter(|_| !below.is_empty()) else { continue };
        let names: Vec<&str> = file.names().collect();
        let names = if names.is_empty() { vec![""] } else { names };
        let read = names.into_iter().filter_map(|name| Some(set.environment(name)?.manifests));
        let read: BTreeSet<PathBuf> = read
            .flatten()
            .filter_map(|path| within(path.strip_prefix(root).unwrap_or(&path)))
            .collect();
        let nested = below.iter().find(|it| read.iter().any(|read| it.folder.starts_with(read)));
        if let Some(nested) = nested {
            let (set, nested) = (set.shown(), nested.shown());
            let (set, nested) = (visible::line(&set), visible::line(&nested));
            return Err(Error::usage(format!(
                "the set in {set} reads the manifests in {nested}, too, which has a project file of its own, so both would own what those declare"
            ))
            .hint("let `manifests` of the project file name folders without that one"));
        }
    }
    Ok(())
}

/// The paths of the project files of a repository.
fn project_files(checkout: &Checkout) -> Result<Vec<PathBuf>> {
    // What is no file any more, such as a link that leads nowhere, is told.
    let is_meant = |path: &PathBuf| {
        let path = checkout.root().join(path);
        !path.is_file() || is_project_file(&path)
    };
    Ok(checkout.named(&PROJECT_FILES)?.into_iter().filter(is_meant).collect())
}

/// Whether a repository has project files.
///
/// # Errors
///
/// Git cannot tell.
pub(super) fn has_project_file(checkout: &Checkout) -> Result<bool> {
    project_files(checkout).map(|files| !files.is_empty())
}

/// The project file in a folder that is given.
fn given(checkout: &Checkout, folder: &Path) -> Result<PathBuf> {
    let shown = visible::line(&folder.display().to_string()).into_owned();
    let real = folder.canonicalize().context(|| shown.clone())?;
    let found = PROJECT_FILES.into_iter().map(|name| real.join(name)).find(|path| path.is_file());
    let found = found.ok_or_else(|| Error::usage(format!("{shown} has no meshagent.yaml")))?;
    found.strip_prefix(checkout.root()).map(Path::to_owned).map_err(|_| {
        Error::usage(format!("{shown} is not in the repository {}", checkout.root().display()))
    })
}

fn set_at(checkout: &Checkout, path: PathBuf) -> SetAt {
    let file = ProjectFile::read(&checkout.root().join(&path)).ok();
    let ci = file.as_ref().map_or_else(|| Ci::usual(Vec::new()), ProjectFile::ci);
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    SetAt { folder, file, path: Some(path), ci }
}

/// A folder below the root of the repository, as people write it.
pub(super) fn shown(folder: &Path) -> String {
    match folder.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => folder.display().to_string(),
    }
}

impl SetAt {
    /// The folder, as people write it.
    pub(super) fn shown(&self) -> String {
        shown(&self.folder)
    }

    /// The jobs of these environments, or of those that are asked for.
    pub(super) fn jobs(&self, root: &Path, names: &[String], what: &WhatArgs) -> Vec<Job> {
        let wanted = &what.environments;
        let is_known =
            |name: &str| self.file.as_ref().is_some_and(|it| it.names().any(|it| it == name));
        let names: Vec<String> = match (wanted.is_empty(), &self.file) {
            (true, _) => names.to_vec(),
            // What is asked for is done, whether or not the file says so.
            (false, Some(_)) => wanted.iter().filter(|name| is_known(name)).cloned().collect(),
            // Whether it has them is not known, and what is wrong with it is told by each.
            (false, None) => wanted.clone(),
        };
        self.jobs_in(root, &names, what)
    }

    /// The jobs of exactly these environments.
    pub(super) fn jobs_in(&self, root: &Path, names: &[String], what: &WhatArgs) -> Vec<Job> {
        let of_files = || {
            let files = what.files.iter();
            files.flat_map(|file| [OsString::from("-f"), file.clone().into()]).collect()
        };
        let folder =
            if what.files.is_empty() { root.join(&self.folder) } else { PathBuf::from(".") };
        let job = |name: &String| {
            let words = match (what.files.is_empty(), name.is_empty()) {
                (false, _) => of_files(),
                (true, true) => Vec::new(),
                (true, false) => vec!["-e".into(), name.into()],
            };
            let called = match (what.files.is_empty(), name.is_empty()) {
                (false, _) => few(what.files.iter().map(|it| it.display().to_string())),
                (true, true) => self.shown(),
                (true, false) => format!("{} {name}", self.shown()),
            };
            Job { folder: folder.clone(), name: called, of: (self.shown(), name.clone()), words }
        };
        names.iter().map(job).collect()
    }

    /// Whether its project file demands approvals in an environment.
    pub(super) fn demands_approvals(&self, name: &str) -> bool {
        self.environment(name).is_some_and(|environment| environment.approved.is_some())
    }

    fn environment(&self, name: &str) -> Option<Environment> {
        let named = Some(name).filter(|name| !name.is_empty());
        self.file.as_ref()?.environment(named).ok()
    }

    /// Whether a change of these paths may change what the set plans. In doubt it may.
    pub(super) fn is_touched_by(&self, changed: &[PathBuf], root: &Path) -> bool {
        let Some(file) = &self.file else { return true };
        let mut own: BTreeSet<PathBuf> = BTreeSet::from([self.folder.clone()]);
        let mut outside = |path: &Path| {
            let path = path.strip_prefix(root).unwrap_or(path);
            own.insert(within(path).unwrap_or_default());
        };
        self.ci.watch.iter().for_each(|path| outside(&self.folder.join(path)));
        for name in &self.ci.plan {
            let Some(environment) = self.environment(name) else { return true };
            let files = [&environment.manifests, &environment.values_files, &environment.policies];
            files.into_iter().flatten().for_each(|path| outside(path));
        }
        let is_own = |path: &PathBuf| own.iter().any(|own| path.starts_with(own));
        changed.iter().any(is_own)
            || (!changed.is_empty() && (reaches_out(file.text()) || self.has_ways_out(root)))
    }

    /// Whether a file of the folder may name one elsewhere in the repository, or leads there.
    fn has_ways_out(&self, root: &Path) -> bool {
        let walk = walkdir::WalkDir::new(root.join(&self.folder)).into_iter();
        let is_git = |entry: &walkdir::DirEntry| entry.file_name() == ".git";
        walk.filter_entry(|entry| !is_git(entry)).any(|entry| match entry {
            Err(_) => true,
            Ok(entry) if entry.file_type().is_dir() => false,
            Ok(entry) if entry.file_type().is_symlink() => true,
            Ok(entry) => bounded::bytes(entry.path(), LOOKED_AT)
                .map_or(true, |bytes| reaches_out(&String::from_utf8_lossy(&bytes))),
        })
    }
}

/// Whether a text has a path that leads out of its folder, or may have one in the escapes of YAML and
/// JSON.
fn reaches_out(text: &str) -> bool {
    let mut escaped = text.match_indices('\\').map(|(at, _)| &text[at + 1..]);
    let spells = |rest: &str| {
        let rest = rest.get(..9).unwrap_or(rest).to_ascii_lowercase();
        let codes = ["x2e", "x2f", "u002e", "u002f", "u0000002e", "u0000002f"];
        rest.starts_with('/') || codes.iter().any(|code| rest.starts_with(code))
    };
    text.contains("../") || escaped.any(spells)
}

impl Job {
    /// How it is called in Markdown.
    pub(super) fn title(&self) -> String {
        let (folder, environment) = &self.of;
        match environment.is_empty() {
            true => markdown::code(&self.name),
            false => format!("{} in {}", markdown::code(folder), markdown::code(environment)),
        }
    }

    /// A name that no other job has, of letters, digits, `-`, `_`, `.` and `=`.
    pub(super) fn slug(&self) -> String {
        let safe = |text: &str| utf8_percent_encode(text, SAFE).to_string().replace('%', "=");
        let (folder, environment) = &self.of;
        let folder = match folder.as_str() {
            "." => "root".to_owned(),
            // The names of the root's and of the list of plans, also where `A` and `a` are the same.
            folder if TAKEN.iter().any(|name| folder.eq_ignore_ascii_case(name)) => {
                format!("={:02X}{}", folder.as_bytes()[0], &folder[1..])
            }
            folder => safe(folder),
        };
        match environment.is_empty() {
            true => folder,
            false => format!("{folder}.{}", safe(environment)),
        }
    }

    /// A name for a file of it.
    pub(super) fn file_name(&self) -> String {
        format!("{}.json", self.slug())
    }
}

/// What names of folders do not stand for: the root, and the list of saved plans.
const TAKEN: [&str; 2] = ["root", "plans"];

/// What stands for itself in a name.
const SAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// Refuses environments that no set has. One that cannot be read may have them.
///
/// # Errors
///
/// Such an environment.
pub(super) fn refuse_unknown(what: &WhatArgs, sets: &[SetAt]) -> Result<()> {
    let known: BTreeSet<&str> =
        sets.iter().filter_map(|set| set.file.as_ref()).flat_map(ProjectFile::names).collect();
    let unknown = what.environments.iter().find(|name| !known.contains(name.as_str()));
    let Some(name) = unknown.filter(|_| sets.iter().all(|set| set.file.is_some())) else {
        return Ok(());
    };
    let hint = match known.is_empty() {
        true => "no project file has any environment; leave -e out".to_owned(),
        false => format!("there are {}", few(known)),
    };
    Err(Error::usage(format!("no project file has an environment {name:?}")).hint(hint))
}

/// Refuses sets whose project file cannot be used, before anything is done with one of them.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn refuse_unreadable(sets: &[SetAt], root: &Path) -> Result<()> {
    for set in sets.iter().filter(|set| set.file.is_none()) {
        if let Some(path) = &set.path {
            ProjectFile::read(&root.join(path))?;
        }
    }
    Ok(())
}

/// Refuses more than a run can do.
///
/// # Errors
///
/// There are so many.
pub(super) fn refuse_many(count: usize) -> Result<()> {
    match count > MOST {
        true => Err(Error::usage(format!(
            "there are {count} environments to look at, and a run does at most {MOST}"
        ))
        .hint("name folders, or environments with -e")),
        false => Ok(()),
    }
}

/// Says that nothing is to be done.
pub(super) fn tell_nothing(why: &str) {
    output::note(&format!("nothing to do: {why}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_out_is_known_in_every_spelling() {
        for text in ["a: ../x", r#"a: "..\/x""#, r#"a: "\x2E./x""#, r#""a": ".\u002e\u002Fx""#] {
            assert!(reaches_out(text), "{text}");
        }
        for text in ["a: b/c", "a: ...", r#"a: "\n\u00e9""#, "é\\é"] {
            assert!(!reaches_out(text), "{text}");
        }
    }

    #[test]
    fn no_two_jobs_have_one_name_and_none_that_of_the_list() {
        let folders =
            [".", "root", "Root", "ROOT", "plans", "Plans", "=72oot", "a", "a.b", "a=2Eb", "a/b"];
        let mut names = BTreeSet::from([super::super::plan::LIST.to_owned()]);
        for folder in folders {
            for environment in ["", "b", "dev", "json", "root"] {
                let of = (folder.to_owned(), environment.to_owned());
                let job =
                    Job { folder: PathBuf::new(), name: String::new(), of, words: Vec::new() };
                // There are file systems to which `A` and `a` are the same.
                let is_new = names.insert(job.file_name().to_lowercase());
                let others = ["Root", "ROOT", "Plans"].contains(&folder);
                assert!(is_new || others, "{folder} {environment}: {}", job.file_name());
            }
        }
        let of = |folder: &str| Job {
            folder: PathBuf::new(),
            name: String::new(),
            of: (folder.to_owned(), "dev".to_owned()),
            words: Vec::new(),
        };
        assert_eq!(of(".").file_name(), "root.dev.json");
        assert_ne!(of("Root").file_name().to_lowercase(), "root.dev.json");
    }
}
