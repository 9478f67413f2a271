//! One environment, with what it has of those that it extends.

use std::path::{Component, PathBuf};
use std::sync::Arc;

use url::Url;

use super::form::{Embedded, EnvironmentForm};
use super::{ProjectFile, SourceOf};
use crate::api::spoken::Spoken;
use crate::apply::inventory::is_set_name;
use crate::error::{Error, Place, Problem, Result};
use crate::kinds::KindName;
use crate::kinds::path::FieldPath;
use crate::listed::nearest;
use crate::manifest::located::locate;
use crate::manifest::overrides::{Overrides, Said};
use crate::manifest::values::Layer;
use crate::manifest::yaml::{Node, Value};
use crate::plan::DEFAULT_SET;
use crate::plan::planner::Prune;
use crate::settings::{DEFAULT_DATA, DEFAULT_URL};

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
    /// The API that the platform speaks, if it is said.
    pub dialect: Option<Spoken>,
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
    /// The other environments that have the same set on the same platform, each with its project.
    pub alike: Vec<(String, String)>,
}

/// What two environments must not share: the set, where it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The URL, or the folder of the embedded one; nothing where no environment says it.
    pub platform: Option<String>,
    /// The project, if it is said, by name or id.
    pub project: Option<String>,
    /// The set.
    pub set: String,
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
    /// With that number, the share that holds without one holds, too.
    pub share: bool,
    /// Which objects are deleted after they left the manifests.
    pub prune: Option<Prune>,
}

impl Environment {
    /// The problem of a number that stands at this path and would not be written as it is spelled.
    pub(super) fn respelled(&self, path: &[String]) -> Option<Problem> {
        match path {
            [field, rest @ ..] if field == "values" => self.values.respelled(rest),
            [field, name, values, rest @ ..] if field == "sources" && values == "values" => {
                self.sources.iter().find(|it| it.entry.name == *name)?.values.respelled(rest)
            }
            _ => None,
        }
    }
}

impl Guarded {
    /// What is refused by either of them. Who gives no number says that the usual share holds.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let strictness = |prune: &Prune| match prune {
            Prune::All => 0,
            Prune::Given => 1,
            Prune::None => 2,
        };
        let (one, two) = (self.prune.unwrap_or_default(), other.prune.unwrap_or_default());
        Self {
            deletes: [self.deletes, other.deletes].into_iter().flatten().min(),
            share: [self, other].iter().any(|it| it.share || it.deletes.is_none()),
            prune: [one, two].into_iter().max_by_key(strictness),
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

    /// The problem of a name at a path where an environment is meant that a command can take.
    pub(super) fn unusable(&self, name: &str, path: &FieldPath) -> Option<Problem> {
        if !self.form.environments.contains_key(name) {
            return Some(self.unknown(name, path));
        }
        let only_extended = || self.problem(path, only_extended(name)).hint(self.known());
        self.is_abstract(name).then(only_extended)
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

    /// The set of an environment, if it is said.
    fn set_of(&self, forms: &[(String, &EnvironmentForm)]) -> Option<String> {
        last(forms, |it| it.set.clone()).or_else(|| self.form.set.clone())
    }

    /// What an environment is for.
    #[must_use]
    pub fn target(&self, name: &str) -> Target {
        let forms = self.chain(name);
        let platform = of_platform(&forms).and_then(|(_, it)| {
            let embedded = it.embedded.clone().and_then(folder);
            let url = it.api_url.as_deref().map(|url| {
                let parsed = Url::parse(url).map_or_else(|_| url.to_owned(), String::from);
                parsed.trim_end_matches('/').to_owned()
            });
            // Whoever says the usual one says what is meant where nobody says anything.
            if url.as_deref() == Some(DEFAULT_URL) {
                return None;
            }
            url.or_else(|| embedded.map(|it| it.display().to_string()))
        });
        Target {
            platform,
            project: last(&forms, |it| it.project.clone()),
            set: self.set_of(&forms).unwrap_or_else(|| DEFAULT_SET.to_owned()),
        }
    }

    /// The other environments that have the set of this one on its platform, with their projects.
    fn alike(&self, name: &str) -> Vec<(String, String)> {
        let own = self.target(name);
        let others = self.names().filter(|other| *other != name);
        let alike = others.filter_map(|other| {
            let Target { platform, project, set } = self.target(other);
            Some((other.to_owned(), project?))
                .filter(|_| (platform, set) == (own.platform.clone(), own.set.clone()))
        });
        alike.collect()
    }

    /// The environment that is named; without a name the default one, or the only one.
    ///
    /// # Errors
    ///
    /// There is none of this name; none is named and there are several; what is wrong with it.
    pub fn environment(&self, named: Option<&str>) -> Result<Environment> {
        let environments = &self.form.environments;
        // An empty name is that of nothing, such as of a variable that is not set.
        if named == Some("") && self.names().next().is_some() {
            return Err(
                Error::usage("no environment is named: the name is empty").hint(self.known())
            );
        }
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
            return Err(Error::usage(only_extended(name)).hint(self.known()));
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
        let files = |it: &EnvironmentForm| -> Vec<PathBuf> {
            it.values_files.iter().flatten().map(|file| self.beside(file)).collect()
        };
        let values_files = forms.iter().flat_map(|(_, it)| files(it)).collect();
        self.keep_inside(&forms, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut values = Layer::default();
        let top = FieldPath::of(&["values"]);
        problems.extend(self.add_values(&mut values, &top, "the project file"));
        // All that an environment says goes before all that the extended one says.
        for (of, form) in &forms {
            for file in files(form) {
                if let Err(problem) = values.add_file(&file) {
                    let here = self.problem(&at(of, &["values_files"]), "").place;
                    // What is wrong in the file has its own place.
                    problems.push(Problem { place: problem.place.clone().or(here), ..problem });
                }
            }
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
        let said = of_platform(&forms);
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
            dialect: dialect_of(&forms),
            manifests: manifests.iter().map(|path| self.beside(path)).collect(),
            set: self.set_of(&forms),
            values,
            values_files,
            over: Some(Arc::new(over)).filter(|over| !over.is_empty()),
            policies,
            guarded,
            sources,
            alike: self.alike(name),
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
        let (mut policies, own) = self.ruled(&of.name, &self.chain(&of.name)).map_err(wrong)?;
        // What this version does not have says nothing.
        let mut guarded = self.form.environments.contains_key(&of.name).then(|| own.clone());
        let project = &of.project;
        let set = of.set.as_deref().unwrap_or(DEFAULT_SET);
        let target = Target { platform: None, project: project.clone(), set: set.to_owned() };
        let is_as_before = self.form.environments.contains_key(&of.name) && {
            let before = self.target(&of.name);
            before.project == *project && before.set == set
        };
        for name in self.form.environments.keys().filter(|name| **name != of.name) {
            let its = self.target(name);
            // Where it is not certain, it counts that this environment is as it was.
            let is_same = its.project.is_some() && its.project == target.project;
            let may_be_same = its.may_be(&target) && (is_same || !is_as_before);
            if may_be_same {
                let (more, rules) = self.ruled(name, &self.chain(name)).map_err(wrong)?;
                let new: Vec<PathBuf> =
                    more.into_iter().filter(|it| !policies.contains(it)).collect();
                policies.extend(new);
                guarded = Some(guarded.map_or(rules.clone(), |it: Guarded| it.and(&rules)));
            }
        }
        Ok((policies, guarded.unwrap_or(own)))
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
        Ok((policies, Guarded { deletes, share: false, prune }))
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
        let pattern = format!("{prefix}{}", name.text);
        // Once, and not again for each field.
        if let Err(problem) = over.check(&pattern, name.mark) {
            problems.push(problem);
            continue;
        }
        for (path, value) in fields {
            let is_value = !prefix.is_empty();
            let text = match is_value {
                false => path.text.clone(),
                true => FieldPath::of(&["data", &path.text]).to_string(),
            };
            let (of, path) = ((pattern.as_str(), name.mark), (text.as_str(), path.mark));
            let added = over.add(Said { of, path, value, must_be: is_value }, from);
            problems.extend(added.err());
        }
    }
}

fn only_extended(name: &str) -> String {
    format!("environment `{name}` is only there for others to extend")
}

/// The nearest one that says where the platform is: it says all of it.
fn of_platform<'a, 'b>(
    forms: &'b [(String, &'a EnvironmentForm)],
) -> Option<&'b (String, &'a EnvironmentForm)> {
    forms.iter().rev().find(|(_, it)| it.api_url.is_some() || it.embedded.is_some())
}

/// The API of that platform, which those that extend it may say.
fn dialect_of(forms: &[(String, &EnvironmentForm)]) -> Option<Spoken> {
    let says_it =
        |(_, it): &(String, &EnvironmentForm)| it.api_url.is_some() || it.embedded.is_some();
    let from = forms.iter().rposition(says_it).unwrap_or_default();
    last(&forms[from..], |it| it.dialect)
}

/// The folder of the embedded platform, if that is meant.
pub(super) fn folder(embedded: Embedded) -> Option<PathBuf> {
    match embedded {
        Embedded::Is(is) => is.then(|| PathBuf::from(DEFAULT_DATA)),
        // `./data` and `data` are one.
        Embedded::In(folder) => {
            let parts = folder.components().filter(|part| *part != Component::CurDir);
            let plain: PathBuf = parts.collect();
            Some(if plain.as_os_str().is_empty() { folder } else { plain })
        }
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
mod tests;
