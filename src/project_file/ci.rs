//! `ci:` of a project file: which environments continuous integration plans, applies and watches, and
//! what it makes of what it finds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Environment, Guarded, ProjectFile, Target};
use crate::api::project;
use crate::error::{Error, Problem, Result};
use crate::kinds::path::{FieldPath, Step};
use crate::plan::DEFAULT_SET;

/// What continuous integration does with a set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CiForm {
    /// The environments that are planned for a pull request. Without it, all of them.
    #[serde(default)]
    pub plan: Option<Vec<String>>,
    /// The environments that are applied on the main branch, in this order. Without it, those of
    /// `plan`.
    #[serde(default)]
    pub apply: Option<Vec<String>>,
    /// The environments that are looked through for drift. Without it, those of `apply`.
    #[serde(default)]
    pub drift: Option<Vec<String>>,
    /// Whether the plan is written as a comment of the pull request. Without it, it is.
    #[serde(default)]
    pub comment: Option<bool>,
    /// Whether the commit gets a status, too. Without it, it gets none: the run shows the same.
    #[serde(default)]
    pub status: Option<bool>,
    /// What becomes of a run whose plan changes something: `pass`, `warn` or `fail`. Without it, it
    /// passes.
    #[serde(default)]
    pub on_changes: Option<Verdict>,
    /// What becomes of a run whose plan is refused by a guard or a policy. Without it, it fails.
    #[serde(default)]
    pub on_refused: Option<Verdict>,
    /// What becomes of a run that finds drift. Without it, it fails.
    #[serde(default)]
    pub on_drift: Option<Verdict>,
    /// More files and folders that the set depends on, relative to the project file: a change of
    /// them plans the set, too.
    #[serde(default)]
    pub watch: Option<Vec<PathBuf>>,
}

/// What becomes of a run, from the mildest.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It passes.
    Pass,
    /// It passes, with a warning.
    Warn,
    /// It fails.
    Fail,
}

/// What continuous integration does with a set, with nothing left unsaid. An environment without a
/// name is that of a project file that has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ci {
    /// The environments that are planned.
    pub plan: Vec<String>,
    /// The environments that are applied, in order; `None` if nothing says which of several.
    pub apply: Option<Vec<String>>,
    /// The environments that are looked through for drift.
    pub drift: Vec<String>,
    /// Whether there is a comment.
    pub has_comment: bool,
    /// Whether the commit gets a status.
    pub has_status: bool,
    /// What becomes of a run whose plan changes something.
    pub on_changes: Verdict,
    /// What becomes of a run whose plan is refused.
    pub on_refused: Verdict,
    /// What becomes of a run that finds drift.
    pub on_drift: Verdict,
    /// More that the set depends on, relative to the project file.
    pub watch: Vec<PathBuf>,
}

impl Ci {
    /// That of a project file that says nothing of it and has these environments.
    #[must_use]
    pub fn usual(environments: Vec<String>) -> Self {
        Self::of(&CiForm::default(), environments)
    }

    /// The same, where another one judges it as well.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            has_comment: self.has_comment || other.has_comment,
            has_status: self.has_status || other.has_status,
            on_changes: self.on_changes.max(other.on_changes),
            on_refused: self.on_refused.max(other.on_refused),
            ..self
        }
    }

    fn of(form: &CiForm, environments: Vec<String>) -> Self {
        let all = match environments.is_empty() {
            true => vec![String::new()],
            false => environments,
        };
        let is_one = all.len() == 1;
        let apply = form.apply.clone().or_else(|| form.plan.clone());
        let apply = apply.or_else(|| is_one.then(|| all.clone()));
        Self {
            plan: form.plan.clone().unwrap_or_else(|| all.clone()),
            drift: form.drift.clone().or_else(|| apply.clone()).unwrap_or(all),
            apply,
            has_comment: form.comment.unwrap_or(true),
            has_status: form.status.unwrap_or(false),
            on_changes: form.on_changes.unwrap_or(Verdict::Pass),
            on_refused: form.on_refused.unwrap_or(Verdict::Fail),
            on_drift: form.on_drift.unwrap_or(Verdict::Fail),
            watch: form.watch.clone().unwrap_or_default(),
        }
    }
}

impl Target {
    /// Whether both may be the same. A name may be that of an id, and the credential may say what is
    /// not written.
    pub fn may_be(&self, other: &Self) -> bool {
        let may_be_same = match (&self.project, &other.project) {
            (Some(one), Some(other)) if project::is_id(one) == project::is_id(other) => {
                one == other
            }
            _ => true,
        };
        self.set == other.set && may_be_same
    }
}

impl ProjectFile {
    /// Whether an environment may have this target.
    #[must_use]
    pub fn may_declare(&self, target: &Target) -> bool {
        let names = self.form.environments.keys().map(String::as_str);
        let is_whole = self.form.environments.is_empty().then_some("");
        names.chain(is_whole).any(|name| self.target(name).may_be(target))
    }

    /// The folders with rules for an environment of another file, and what is refused there, if
    /// environments of this one may be the same set of the same project.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn rules_elsewhere(&self, of: &Environment) -> Result<Option<(Vec<PathBuf>, Guarded)>> {
        let target = Target {
            platform: None,
            project: of.project.clone(),
            set: of.set.clone().unwrap_or_else(|| DEFAULT_SET.to_owned()),
        };
        let names = self.form.environments.keys().map(String::as_str);
        let names = names.chain(self.form.environments.is_empty().then_some(""));
        let mut found: Option<(Vec<PathBuf>, Guarded)> = None;
        for name in names.filter(|name| self.target(name).may_be(&target)) {
            let ruled = self.ruled(name, &self.chain(name));
            let (policies, guarded) = ruled.map_err(|problem| Self::wrong(vec![problem]))?;
            found = Some(match found {
                None => (policies, guarded),
                Some((mut all, before)) => {
                    all.extend(policies);
                    (all, before.and(&guarded))
                }
            });
        }
        Ok(found)
    }

    /// What continuous integration does with the set.
    #[must_use]
    pub fn ci(&self) -> Ci {
        let names = self.names().map(str::to_owned).collect();
        Ci::of(self.form.ci.as_ref().unwrap_or(&CiForm::default()), names)
    }

    /// The environments that are named for continuous integration and that no command takes.
    pub(super) fn unknown_in_ci(&self) -> Vec<Problem> {
        let Some(form) = &self.form.ci else { return Vec::new() };
        let lists = [("plan", &form.plan), ("apply", &form.apply), ("drift", &form.drift)];
        let mut problems = Vec::new();
        for (list, names) in lists {
            for (index, name) in names.iter().flatten().enumerate() {
                let path = FieldPath::of(&["ci", list]).join(Step::Index(index));
                problems.extend(self.unusable(name, &path));
            }
        }
        problems
    }

    /// A problem of environments that name no project and are one set: a run applies both with one
    /// credential, whose project is that of both.
    pub(super) fn one_set_twice_in_ci(&self) -> Option<Problem> {
        let mut known: BTreeMap<Target, &str> = BTreeMap::new();
        let applied = self.form.ci.as_ref()?;
        for name in applied.apply.as_ref().or(applied.plan.as_ref())? {
            let target = self.target(name);
            if target.project.is_some() {
                continue;
            }
            if let Some(other) = known.insert(target, name).filter(|other| *other != name) {
                let message = format!(
                    "`{other}` and `{name}` name no project and are one set, so a run would apply both to the project of its credential, and each would delete what the other declares"
                );
                let problem = self.problem(&FieldPath::of(&["ci"]), message);
                return Some(problem.hint("give each a `project`, or another `set`"));
            }
        }
        None
    }

    /// The environments that are applied.
    ///
    /// # Errors
    ///
    /// There are several, and nothing says which ones, and in which order.
    pub fn applied_in_ci(&self) -> Result<Vec<String>> {
        self.ci().apply.ok_or_else(|| {
            Error::usage(format!(
                "{} does not say which environments continuous integration applies",
                self.path.display()
            ))
            .hint("write `ci: {apply: [NAME, …]}` into it, in the order in which they are applied")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn file(text: &str) -> Result<ProjectFile> {
        let text =
            format!("version: v1\nenvironments:\n  dev: {{set: a}}\n  prod: {{set: b}}\n{text}");
        ProjectFile::of(Path::new("meshagent.yaml"), text)
    }

    #[test]
    fn what_is_not_said_follows_from_what_is() {
        let ci = file("").unwrap().ci();
        assert_eq!((ci.plan, ci.apply), (vec!["dev".to_owned(), "prod".to_owned()], None));
        assert_eq!((ci.on_changes, ci.on_refused), (Verdict::Pass, Verdict::Fail));
        assert!(file("").unwrap().applied_in_ci().is_err());
        let prod = vec!["prod".to_owned()];
        let ci = file("ci: {plan: [prod]}\n").unwrap().ci();
        assert_eq!((ci.apply, ci.drift), (Some(prod.clone()), prod));
        let ci = Ci::usual(Vec::new());
        assert_eq!((ci.plan, ci.apply), (vec![String::new()], Some(vec![String::new()])));
    }

    #[test]
    fn one_set_is_not_applied_twice_with_one_credential() {
        let text = |dev: &str, prod: &str, ci: &str| {
            let text = format!(
                "version: v1\nenvironments:\n  dev: {{embedded: {dev}}}\n  prod: {{embedded: {prod}}}\nci: {ci}\n"
            );
            ProjectFile::of(Path::new("meshagent.yaml"), text)
        };
        for (dev, prod, ci) in
            [("true", "true", "{apply: [dev, prod]}"), ("data", "./data/.", "{plan: [dev, prod]}")]
        {
            let error = text(dev, prod, ci).unwrap_err();
            assert!(error.problems[0].message.contains("are one set"), "{:?}", error.problems);
        }
        for (dev, prod, ci) in [
            ("true", "true", "{apply: [prod], plan: [dev, prod]}"),
            ("data", "true", "{apply: [dev, prod]}"),
        ] {
            assert!(text(dev, prod, ci).is_ok(), "{dev} {prod} {ci}");
        }
    }

    #[test]
    fn an_environment_that_is_not_there_is_told_at_its_place() {
        let error = file("ci:\n  drift: [dev, prd]\n").unwrap_err();
        assert_eq!(error.problems.len(), 1);
        assert_eq!(
            error.problems[0].to_string(),
            "meshagent.yaml:6:16: there is no environment `prd`"
        );
        for wrong in ["ci: {plan: prod}", "ci: {on_drift: never}", "ci: {comments: true}"] {
            assert!(file(&format!("{wrong}\n")).is_err(), "{wrong}");
        }
    }
}
