//! One environment, with what it has of those that it extends.

use std::path::PathBuf;
use std::sync::Arc;

use super::form::{Embedded, EnvironmentForm};
use super::{ProjectFile, SourceOf};
use crate::api::project;
use crate::apply::inventory::is_set_name;
use crate::error::{Error, Place, Problem, Result};
use crate::kinds::KindName;
use crate::kinds::path::FieldPath;
use crate::listed::nearest;
use crate::manifest::located::locate;
use crate::manifest::overrides::Overrides;
use crate::manifest::values::Layer;
use crate::manifest::yaml::{Node, Value};
use crate::plan::DEFAULT_SET;
use crate::plan::planner::Prune;
use crate::settings::DEFAULT_DATA;

/// The most approvals that can be required.
const MOST_REQUIRED: u16 = 100;

/// The manifests of a project file that names none.
const MANIFESTS: &str = "manifests";

/// An environment, as a command needs it.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// Whether it is meant because none was named.
    pub is_default: bool,
    /// The project file, as messages name it.
    pub file: PathBuf,
    /// The folder of the project file.
    pub folder: PathBuf,
    /// The only project that it is for, by name or id.
    pub project: Option<String>,
    /// The URL of the platform, and where it is written.
    pub api_url: Option<(String, Place)>,
    /// The folder of the embedded platform, if that is meant.
    pub embedded: Option<PathBuf>,
    /// The manifests.
    pub manifests: Vec<PathBuf>,
    /// The name of the set, if it is said.
    pub set: Option<String>,
    /// The values for templates.
    pub values: Layer,
    /// The files that values come from.
    pub values_files: Vec<PathBuf>,
    /// What it says of documents.
    pub over: Option<Arc<Overrides>>,
    /// Folders with rules.
    pub policies: Vec<PathBuf>,
    /// What is refused in a plan.
    pub guarded: Guarded,
    /// The manifests from elsewhere.
    pub sources: Vec<SourceOf>,
    /// Who must approve a plan.
    pub approved: Option<Approved>,
}

/// Who must approve a plan of an environment.
#[derive(Debug, Clone)]
pub struct Approved {
    /// How many people.
    pub required: usize,
    /// The files with the people whose approvals count.
    pub approvers: Vec<PathBuf>,
}

/// What an environment refuses in a plan.
#[derive(Debug, Clone, Default)]
pub struct Guarded {
    /// How many objects may be deleted or replaced.
    pub deletes: Option<usize>,
    /// Which objects are deleted after they left the manifests.
    pub prune: Option<Prune>,
}

impl Guarded {
    /// What is refused by either of them.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            deletes: [self.deletes, other.deletes].into_iter().flatten().min(),
            prune: self.prune.or(other.prune),
        }
    }
}

/// The path of an environment, or of a field of one.
pub(super) fn at(name: &str, fields: &[&str]) -> FieldPath {
    fields.iter().fold(FieldPath::of(&["environments", name]), |path, field| path.field(field))
}

impl ProjectFile {
    /// Whether an environment is only there for others to extend.
    #[must_use]
    pub fn is_abstract(&self, name: &str) -> bool {
        self.form.environments.get(name).is_some_and(|form| form.is_abstract)
    }

    pub(super) fn unknown(&self, name: &str, path: &FieldPath) -> Problem {
        let problem = self.problem(path, format!("there is no environment `{name}`"));
        match nearest(name, self.names()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(self.known()),
        }
    }

    /// Which environments there are.
    fn known(&self) -> String {
        match self.names().collect::<Vec<_>>() {
            names if names.is_empty() => "the project file has no `environments`".to_owned(),
            names => format!("there are {}", names.join(", ")),
        }
    }

    /// What an environment is like, from the one that extends none to itself.
    pub(super) fn chain(&self, name: &str) -> Vec<(String, &EnvironmentForm)> {
        let mut forms = Vec::new();
        let mut next = self.form.environments.get_key_value(name);
        while let Some((name, form)) = next {
            forms.push((name.clone(), form));
            let extended =
                form.extends.as_ref().filter(|_| forms.len() <= self.form.environments.len());
            next = extended.and_then(|other| self.form.environments.get_key_value(other));
        }
        forms.reverse();
        forms
    }

    /// The environment that is named; without a name the default one, or the only one.
    ///
    /// # Errors
    ///
    /// There is none of this name; none is named and there are several; what is wrong with it.
    pub fn environment(&self, named: Option<&str>) -> Result<Environment> {
        let environments = &self.form.environments;
        let name = match named.or(self.form.default.as_deref()) {
            Some(name) => name,
            None if self.names().count() <= 1 => self.names().next().unwrap_or_default(),
            None => {
                return Err(Error::usage(format!(
                    "{} has several environments, and none is named",
                    self.path.display()
                ))
                .hint(format!(
                    "give one with -e, or write `default: NAME` into the file; {}",
                    self.known()
                )));
            }
        };
        if !name.is_empty() && !environments.contains_key(name) {
            let problem = self.unknown(name, &FieldPath::of(&["environments"]));
            let error = Error::usage(format!("{}: {}", self.path.display(), problem.message));
            return Err(match problem.hint {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        if self.is_abstract(name) {
            let what = format!("environment `{name}` is only there for others to extend");
            return Err(Error::usage(what).hint(self.known()));
        }
        let resolved = self.resolve(name, named.is_none()).map_err(Self::wrong)?;
        Ok(resolved)
    }

    fn resolve(&self, name: &str, is_default: bool) -> Result<Environment, Vec<Problem>> {
        let forms = self.chain(name);
        let mut problems = Vec::new();
        let manifests = last(&forms, |it| it.manifests.clone()).or(self.form.manifests.clone());
        let manifests = match manifests {
            Some(manifests) => manifests.paths(),
            // A project may have manifests from elsewhere alone.
            None if !self.form.sources.is_empty() && !self.beside(MANIFESTS.as_ref()).exists() => {
                Vec::new()
            }
            None => vec![MANIFESTS.into()],
        };
        let (policies, guarded) = self.ruled(name, &forms).unwrap_or_else(|problem| {
            problems.push(problem);
            Default::default()
        });
        let approved = last(&forms, |it| it.approvals.clone());
        if approved.as_ref().is_some_and(|it| !(1..=MOST_REQUIRED).contains(&it.required)) {
            let place = at(name, &["approvals", "required"]);
            let message = "`required` is the number of people who must approve";
            problems.push(
                self.problem(&place, message).hint("write 1 to 100, or leave `approvals` out"),
            );
        }
        let files = forms.iter().flat_map(|(_, it)| it.values_files.iter().flatten());
        let values_files: Vec<PathBuf> = files.map(|file| self.beside(file)).collect();
        self.keep_inside(&forms, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut values = Layer::default();
        for file in &values_files {
            if let Err(problem) = values.add_file(file) {
                let of = forms.iter().rev().find(|(_, form)| form.values_files.is_some());
                let path = of.map(|(of, _)| at(of, &["values_files"])).unwrap_or_default();
                let here = self.problem(&path, "").place;
                // What is wrong in the file has its own place.
                problems.push(Problem { place: problem.place.clone().or(here), ..problem });
            }
        }
        let top = FieldPath::of(&["values"]);
        problems.extend(self.add_values(&mut values, &top, "the project file"));
        for (of, _) in &forms {
            let from = format!("environment {of}");
            problems.extend(self.add_values(&mut values, &at(of, &["values"]), &from));
        }
        let mut over = Overrides::new(Arc::clone(&self.source));
        for (of, form) in &forms {
            self.say(&mut over, of, form, &mut problems);
        }
        let mut sources = self.sources(&forms, &mut problems);
        for source in &mut sources {
            let own = source.over.take().map(Arc::unwrap_or_clone);
            let own = own.unwrap_or_else(|| Overrides::new(Arc::clone(&self.source)));
            source.over = Some(Arc::new(own.and(&over))).filter(|over| !over.is_empty());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        // The nearest one that says where the platform is says all of it.
        let said = forms.iter().rev().find(|(_, it)| it.api_url.is_some() || it.embedded.is_some());
        let api_url = said.and_then(|(of, it)| {
            let (mark, _) = locate(&at(of, &["api_url"]), &self.root);
            Some((it.api_url.clone()?, self.source.place(mark)))
        });
        let embedded = said.and_then(|(_, it)| it.embedded.clone()).and_then(folder);
        Ok(Environment {
            name: name.to_owned(),
            is_default,
            file: self.path.clone(),
            folder: self.folder().to_owned(),
            project: last(&forms, |it| it.project.clone()),
            api_url,
            embedded: embedded.map(|folder| self.beside(&folder)),
            manifests: manifests.iter().map(|path| self.beside(path)).collect(),
            set: last(&forms, |it| it.set.clone()).or_else(|| self.form.set.clone()),
            values,
            values_files,
            over: Some(Arc::new(over)).filter(|over| !over.is_empty()),
            policies,
            guarded,
            sources,
            approved: approved.map(|it| Approved {
                required: it.required.into(),
                approvers: it.approvers.paths().iter().map(|file| self.beside(file)).collect(),
            }),
        })
    }

    /// The folders with rules for an environment of another version of this file, and what is
    /// refused there. What counts is what this version says of the environment of that name, and of
    /// those that may be the same set of the same project: neither a new name nor another
    /// environment's is a way past them.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn rules(&self, of: &Environment) -> Result<(Vec<PathBuf>, Guarded)> {
        let wrong = |problem| Self::wrong(vec![problem]);
        let (mut policies, mut guarded) =
            self.ruled(&of.name, &self.chain(&of.name)).map_err(wrong)?;
        let default = || DEFAULT_SET.to_owned();
        let target = |name: &str| {
            let forms = self.chain(name);
            let set = last(&forms, |it| it.set.clone()).or_else(|| self.form.set.clone());
            (last(&forms, |it| it.project.clone()), set.unwrap_or_else(default))
        };
        let (project, set) = (&of.project, of.set.clone().unwrap_or_else(default));
        let is_as_before = self.form.environments.contains_key(&of.name)
            && target(&of.name) == (project.clone(), set.clone());
        for name in self.form.environments.keys().filter(|name| **name != of.name) {
            let (its_project, its_set) = target(name);
            let may_be_same = match (&its_project, project) {
                (Some(one), Some(other)) if project::is_id(one) == project::is_id(other) => {
                    one == other
                }
                // A name may be that of an id, and the credential may say what is not written.
                _ => !is_as_before,
            };
            if its_set == set && may_be_same {
                let (more, stricter) = self.ruled(name, &self.chain(name)).map_err(wrong)?;
                let new: Vec<PathBuf> =
                    more.into_iter().filter(|it| !policies.contains(it)).collect();
                policies.extend(new);
                guarded.deletes = [guarded.deletes, stricter.deletes].into_iter().flatten().min();
                guarded.prune = guarded.prune.or(stricter.prune);
            }
        }
        Ok((policies, guarded))
    }

    pub(super) fn ruled(
        &self,
        name: &str,
        forms: &[(String, &EnvironmentForm)],
    ) -> Result<(Vec<PathBuf>, Guarded), Problem> {
        let prune = match last(forms, |it| it.guards.as_ref()?.prune.clone()) {
            None => None,
            Some(word) => {
                Some(<Prune as clap::ValueEnum>::from_str(&word, false).map_err(|_| {
                    let place = at(name, &["guards", "prune"]);
                    self.problem(&place, format!("`prune: {word}` is none of its words"))
                        .hint("write given, all or none")
                })?)
            }
        };
        let deletes = last(forms, |it| it.guards.as_ref()?.allow_deletes);
        let of_all = self.form.policies.iter().flatten();
        let policies = of_all.chain(forms.iter().flat_map(|(_, it)| it.policies.iter().flatten()));
        let policies = policies.map(|folder| self.beside(folder)).collect();
        Ok((policies, Guarded { deletes, prune }))
    }

    pub(super) fn node(&self, path: &FieldPath) -> Option<&Node> {
        path.0.iter().try_fold(&self.root, |node, step| match step {
            crate::kinds::path::Step::Field(name) => node.get(name),
            _ => None,
        })
    }

    pub(super) fn add_values(
        &self,
        values: &mut Layer,
        path: &FieldPath,
        from: &str,
    ) -> Vec<Problem> {
        self.node(path).map(|node| values.add(&self.source, node, from)).unwrap_or_default()
    }

    /// Adds what an environment says of documents.
    fn say(
        &self,
        over: &mut Overrides,
        of: &str,
        form: &EnvironmentForm,
        problems: &mut Vec<Problem>,
    ) {
        let from: Arc<str> = format!("environment {of}").into();
        let said = self.node(&at(of, &["overrides"])).map(|node| ("", node));
        let prefix = format!("{}/", KindName::Secret);
        let secrets = self.node(&at(of, &["secrets"])).map(|node| (prefix.as_str(), node));
        for (prefix, node) in said.into_iter().chain(secrets) {
            add_overrides(over, (prefix, node), &from, problems);
        }
        for (index, pattern) in form.without.iter().flatten().enumerate() {
            let path = at(of, &["without"]).join(crate::kinds::path::Step::Index(index));
            let (mark, _) = locate(&path, &self.root);
            problems.extend(over.leave_out(pattern, mark).err());
        }
    }
}

/// Adds what a map says of fields by object; with a prefix, of the values of those secrets.
pub(super) fn add_overrides(
    over: &mut Overrides,
    (prefix, node): (&str, &Node),
    from: &Arc<str>,
    problems: &mut Vec<Problem>,
) {
    let Value::Map(objects) = &node.value else { return };
    for (name, fields) in objects {
        let Value::Map(fields) = &fields.value else { continue };
        for (path, value) in fields {
            let pattern = format!("{prefix}{}", name.text);
            let path_text = match prefix {
                "" => path.text.clone(),
                _ => FieldPath::of(&["data", &path.text]).to_string(),
            };
            let added = over.add((&pattern, &path_text), value, path.mark, from);
            problems.extend(added.err());
        }
    }
}

/// The folder of the embedded platform, if that is meant.
pub(super) fn folder(embedded: Embedded) -> Option<PathBuf> {
    match embedded {
        Embedded::Is(is) => is.then(|| PathBuf::from(DEFAULT_DATA)),
        Embedded::In(folder) => Some(folder.components().collect()),
    }
}

/// What the last one says that says anything.
pub(super) fn last<T>(
    forms: &[(String, &EnvironmentForm)],
    said: impl Fn(&EnvironmentForm) -> Option<T>,
) -> Option<T> {
    forms.iter().rev().find_map(|(_, form)| said(form))
}

/// Whether this can be the name of an environment.
pub(super) fn is_name(name: &str) -> bool {
    is_set_name(name) && name != "all" && !name.contains("..")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// How many deletes the base allows for an environment of a proposal.
    fn allowed(proposal: &str, named: &str) -> Option<usize> {
        const BASE: &str = "\
version: v1
environments:
  dev: {project: shop-dev, guards: {allow_deletes: 9}}
  prod: {project: shop, guards: {allow_deletes: 0}}
";
        let read = |text: &str| {
            let text = format!("version: v1\nenvironments: {text}\n");
            ProjectFile::of(Path::new("meshagent.yaml"), text).unwrap()
        };
        let base = ProjectFile::of(Path::new("meshagent.yaml"), BASE.to_owned()).unwrap();
        base.rules(&read(proposal).environment(Some(named)).unwrap()).unwrap().1.deletes
    }

    #[test]
    fn no_name_is_a_way_past_the_rules_of_the_base() {
        let id = "11111111-1111-4111-8111-111111111111";
        for (proposal, named, deletes) in [
            ("{dev: {project: shop-dev}}".to_owned(), "dev", Some(9)),
            ("{prod: {project: shop}}".to_owned(), "prod", Some(0)),
            // What `dev` may do is not what the project of `prod` allows.
            ("{dev: {project: shop}}".to_owned(), "dev", Some(0)),
            (format!("{{dev: {{project: {id}}}}}"), "dev", Some(0)),
            ("{dev: {}}".to_owned(), "dev", Some(0)),
            ("{other: {project: shop}}".to_owned(), "other", Some(0)),
            (format!("{{other: {{project: {id}}}}}"), "other", Some(0)),
            ("{other: {project: third}}".to_owned(), "other", None),
            ("{other: {project: shop, set: own}}".to_owned(), "other", None),
        ] {
            assert_eq!(allowed(&proposal, named), deletes, "{proposal}");
        }
    }
}
