//! What is wrong with a project file as a whole, whichever environment is meant.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use url::Url;

use super::ProjectFile;
use super::environment::{Target, at, folder, is_name};
use super::form::{Embedded, EnvironmentForm, OneOrMore};
use crate::apply::inventory::is_set_name;
use crate::error::Problem;
use crate::kinds::path::{FieldPath, Step};
use crate::manifest::reach::Reach;
use crate::visible;

/// The most environments that one may extend, one through the other.
const DEEPEST: usize = 20;

/// The most environments.
const MOST: usize = 500;

/// Words that other versions of YAML take for true or false.
const BOOLEANS: [&str; 12] =
    ["yes", "no", "on", "off", "Yes", "No", "On", "Off", "YES", "NO", "ON", "OFF"];

/// How many environments are told that extend each other.
const MOST_TOLD: usize = 20;

impl ProjectFile {
    /// What can be said without knowing which environment is meant.
    pub(super) fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        if let Some(named) = &self.form.default {
            problems.extend(self.unusable(named, &FieldPath::of(&["default"])));
        }
        for (name, form) in &self.form.environments {
            if !is_name(name) {
                let message = format!("{name:?} cannot be the name of an environment");
                problems.push(self.problem(&at(name, &[]), message).hint(
                    "use 1 to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or digit; `all` means all of them",
                ));
            }
            if let Some(other) = &form.extends
                && !self.form.environments.contains_key(other)
            {
                problems.push(self.unknown(other, &at(name, &["extends"])));
            }
        }
        for (name, form) in &self.form.environments {
            let is_embedded = form.embedded.clone().and_then(folder).is_some();
            if is_embedded && form.api_url.is_some() {
                let message = "an environment is on one platform: `embedded` or `api_url`";
                problems.push(self.problem(&at(name, &["api_url"]), message));
            }
        }
        if problems.is_empty() {
            let names = self.form.environments.keys();
            problems.extend(names.filter_map(|name| self.circle(name)).take(MOST_TOLD));
        }
        let sets =
            self.form.environments.iter().map(|(name, form)| (&form.set, at(name, &["set"])));
        for (set, path) in sets.chain([(&self.form.set, FieldPath::of(&["set"]))]) {
            if let Some(set) = set.as_ref().filter(|set| !is_set_name(set)) {
                let message = format!("{set:?} cannot be the name of a set");
                problems.push(self.problem(&path, message).hint(
                    "use 1 to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or digit",
                ));
            }
        }
        problems.extend(self.unknown_in_ci());
        problems.extend(self.hardly_meant());
        if problems.is_empty() {
            problems.extend(self.shared());
            problems.extend(self.one_set_twice_in_ci());
            problems.extend(self.check_sources());
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// What is written and says nothing, or something else than it seems to say.
    fn hardly_meant(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.form.environments.len() > MOST {
            let message = format!("the project file has more than {MOST} environments");
            let hint = "give some of them a project file of their own";
            problems.push(self.problem(&FieldPath::of(&["environments"]), message).hint(hint));
        }
        for (name, form) in &self.form.environments {
            if form.project.as_deref().is_some_and(|project| project.trim().is_empty()) {
                let path = at(name, &["project"]);
                let problem = self.problem(&path, "`project` is empty");
                problems.push(problem.hint("name a project, or leave `project` out"));
            }
            let is_web = |url: &String| {
                Url::parse(url)
                    .is_ok_and(|it| ["http", "https"].contains(&it.scheme()) && it.has_host())
            };
            if let Some(url) = form.api_url.as_ref().filter(|url| !is_web(url)) {
                let path = at(name, &["api_url"]);
                let message = format!("{:?} is not the URL of a platform", visible::url(url));
                let problem = self.problem(&path, message);
                problems.push(problem.hint("write it whole, such as https://api.example.com"));
            }
            if form.extends.is_some() && form.without.as_ref().is_some_and(Vec::is_empty) {
                let message = "an empty `without` takes nothing back: what the environment leaves out that this one extends stays left out";
                let problem = self.problem(&at(name, &["without"]), message);
                problems.push(problem.hint(
                    "leave it out, or write what differs into the environments that need it",
                ));
            }
            let Some(Embedded::In(folder)) = &form.embedded else { continue };
            if let Some(word) = folder.to_str().filter(|it| BOOLEANS.contains(it)) {
                let message = format!("`embedded: {word}` is a text here, and would be a folder");
                let problem = self.problem(&at(name, &["embedded"]), message);
                problems.push(
                    problem.hint(format!("write true or false; a folder of this name is ./{word}")),
                );
            }
        }
        problems
    }

    /// A problem where an environment extends itself.
    fn circle(&self, name: &str) -> Option<Problem> {
        let mut seen = vec![name];
        let mut next = self.form.environments.get(name)?.extends.as_deref();
        while let Some(other) = next {
            if other == name {
                seen.push(other);
                let message = format!("the environments extend each other: {}", seen.join(" → "));
                return Some(self.problem(&at(name, &["extends"]), message));
            }
            if seen.contains(&other) {
                return None;
            }
            if seen.len() > DEEPEST {
                let message = format!("the environment extends more than {DEEPEST} others");
                return Some(self.problem(&at(name, &["extends"]), message));
            }
            seen.push(other);
            next = self.form.environments.get(other)?.extends.as_deref();
        }
        None
    }

    /// Two environments that are one set of one project: each would delete what the other declares.
    fn shared(&self) -> Option<Problem> {
        let mut known: BTreeMap<Target, &str> = BTreeMap::new();
        for name in self.names() {
            let target = self.target(name);
            // What names no project is for the one that each command names.
            let Some(project) = target.project.clone() else { continue };
            if let Some(other) = known.insert(target, name) {
                let message = format!(
                    "the environments `{other}` and `{name}` are the same set of project `{project}`, so each would delete what the other declares"
                );
                let hint = "give one of them another `project` or another `set`";
                return Some(self.problem(&at(name, &["project"]), message).hint(hint));
            }
        }
        None
    }

    /// Refuses paths that lead out of the project file's folder and its repository: the file may
    /// be a stranger's.
    pub(super) fn keep_inside(
        &self,
        forms: &[(String, &EnvironmentForm)],
        problems: &mut Vec<Problem>,
    ) {
        let reach = Reach::of(&[self.folder().to_owned()], &[]);
        let mut named: Vec<(FieldPath, PathBuf)> = Vec::new();
        let mut add = |path: FieldPath, paths: Vec<PathBuf>| {
            named.extend(paths.into_iter().map(|named| (path.clone(), named)));
        };
        let all = |paths: &Option<Vec<PathBuf>>| paths.clone().unwrap_or_default();
        let more =
            |paths: &Option<OneOrMore>| paths.as_ref().map(OneOrMore::paths).unwrap_or_default();
        add(FieldPath::of(&["manifests"]), more(&self.form.manifests));
        add(FieldPath::of(&["policies"]), all(&self.form.policies));
        for (of, form) in forms {
            add(at(of, &["manifests"]), more(&form.manifests));
            add(at(of, &["values_files"]), all(&form.values_files));
            add(at(of, &["policies"]), all(&form.policies));
            let approvers = form.approvals.as_ref().map(|it| it.approvers.paths());
            add(at(of, &["approvals", "approvers"]), approvers.unwrap_or_default());
        }
        let told = "is outside of the project file's folder and its repository";
        for (path, named) in named {
            let is_rules =
                path.0.last().is_some_and(|last| *last == Step::Field("policies".to_owned()));
            if is_rules && !self.beside(&named).is_dir() {
                problems
                    .push(self.problem(&path, format!("there is no folder {}", named.display())));
            } else if reach.check(&self.beside(&named)).is_err() {
                let message = format!("{} {told}", named.display());
                let hint =
                    "name it on the command line: -f, --values-file, --policy or --approvers";
                problems.push(self.problem(&path, message).hint(hint));
            }
        }
        for (of, form) in forms {
            let Some(Embedded::In(folder)) = &form.embedded else { continue };
            let is_plain =
                |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
            let here = self.folder().canonicalize().unwrap_or_default();
            // What is not there yet is made where the last folder that is there really is.
            let made = self.beside(folder);
            let real = made.ancestors().find_map(|above| match above.as_os_str().is_empty() {
                true => Path::new(".").canonicalize().ok(),
                false => above.canonicalize().ok(),
            });
            let is_dangling = made.ancestors().any(|it| it.is_symlink() && !it.exists());
            // By its name, or by way of a link.
            let inside = real.as_ref().and_then(|real| real.strip_prefix(&here).ok());
            let is_of_git = [Some(folder.as_path()), inside].into_iter().flatten().any(is_in_git);
            if is_of_git {
                let message = format!("{} is a folder that belongs to Git", folder.display());
                let hint = "name another folder, beside the project file";
                problems.push(self.problem(&at(of, &["embedded"]), message).hint(hint));
                continue;
            }
            let leads_out = is_dangling || real.is_none_or(|real| !real.starts_with(&here));
            if !folder.components().all(is_plain) || leads_out {
                let message =
                    format!("{} is outside of the project file's folder", folder.display());
                let hint = "give it on the command line: --embedded=DIR";
                problems.push(self.problem(&at(of, &["embedded"]), message).hint(hint));
            }
        }
    }
}

/// Whether a path leads into a folder of Git.
fn is_in_git(path: &Path) -> bool {
    path.components()
        .any(|part| part.as_os_str().to_str().is_some_and(|it| it.eq_ignore_ascii_case(".git")))
}
