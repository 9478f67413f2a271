//! The sources that a project file names, with what an environment says of them.

use std::path::Path;
use std::sync::Arc;

use super::environment::{add_overrides, at};
use super::form::{EnvironmentForm, SourceChange, SourceForm};
use super::{Environment, ProjectFile};
use crate::error::{Error, Problem, Result};
use crate::kinds::path::FieldPath;
use crate::listed::nearest;
use crate::manifest::imported::{Allowed, Imported};
use crate::manifest::overrides::Overrides;
use crate::manifest::pack::{Digest, Pack};
use crate::manifest::values::{FileValues, Layer};
use crate::manifest::variables::{self, is_own_variable};
use crate::sources::fetch::Fetcher;
use crate::sources::{Entry, Lock, Origin};

/// A source, as an environment has it.
#[derive(Debug, Clone)]
pub struct SourceOf {
    /// What it is, and where it is.
    pub entry: Entry,
    /// The values of its templates.
    pub values: Layer,
    /// What is said of its documents.
    pub over: Option<Arc<Overrides>>,
    /// What its documents may make the program do.
    pub allowed: Allowed,
}

/// What a command consents to for sources.
#[derive(Debug, Clone, Copy, Default)]
pub struct Consent<'a> {
    /// The variables that templates may read, which the project file must allow, too.
    pub variables: &'a [variables::Allowed],
    /// Whether a plan is made without values of the environment.
    pub may_miss: bool,
}

/// What the environments say of a source, by their names.
type Changes<'a> = Vec<(&'a str, &'a SourceChange)>;

/// The path of a source, or of a field of one.
fn of_source(name: &str, fields: &[&str]) -> FieldPath {
    fields.iter().fold(FieldPath::of(&["sources", name]), |path, field| path.field(field))
}

impl ProjectFile {
    /// What is wrong with sources, whichever environment is meant.
    pub(super) fn check_sources(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (name, form) in &self.form.sources {
            problems.extend(self.entry(name, form, &[]).err());
            for variable in form.allow_env.iter().filter(|name| is_own_variable(name)) {
                let message = format!("{variable} belongs to this program, so no source reads it");
                problems.push(self.problem(&of_source(name, &["allow_env"]), message));
            }
        }
        for (of, form) in &self.form.environments {
            for (name, change) in &form.sources {
                let path = at(of, &["sources", name]);
                let Some(source) = self.form.sources.get(name) else {
                    let problem = self.problem(&path, format!("there is no source `{name}`"));
                    problems.push(
                        match nearest(name, self.form.sources.keys().map(String::as_str)) {
                            Some(near) => problem.hint(format!("did you mean `{near}`?")),
                            None => problem.hint("name it in `sources` of the project file"),
                        },
                    );
                    continue;
                };
                // What is wrong with the source itself was told.
                if self.entry(name, source, &[]).is_ok() {
                    problems.extend(self.entry(name, source, &[(of, change)]).err());
                }
            }
        }
        problems
    }

    /// Every version of every source that an environment asks for, as the first of them has it.
    ///
    /// # Errors
    ///
    /// What is wrong with what is said of their documents.
    pub fn versions(&self) -> Result<Vec<SourceOf>> {
        let mut versions: Vec<SourceOf> = Vec::new();
        let mut problems = Vec::new();
        let environments = self.form.environments.keys().map(|name| self.chain(name));
        let environments: Vec<_> = environments.collect();
        let without = [Vec::new()];
        let all = if environments.is_empty() { &without[..] } else { &environments };
        for (name, form) in &self.form.sources {
            for forms in all {
                let changes = changes(forms, name);
                let entry = match self.entry(name, form, &changes) {
                    Ok(entry) => entry,
                    Err(problem) => {
                        problems.push(problem);
                        continue;
                    }
                };
                if !versions.iter().any(|it| it.entry.is_same(&entry)) {
                    versions.push(self.source(entry, form, &changes, &mut problems));
                }
            }
        }
        if problems.is_empty() { Ok(versions) } else { Err(Self::wrong(problems)) }
    }

    /// The sources of an environment.
    pub(super) fn sources(
        &self,
        forms: &[(String, &EnvironmentForm)],
        problems: &mut Vec<Problem>,
    ) -> Vec<SourceOf> {
        let mut sources = Vec::new();
        for (name, form) in &self.form.sources {
            let changes = changes(forms, name);
            match self.entry(name, form, &changes) {
                Ok(entry) => sources.push(self.source(entry, form, &changes, problems)),
                Err(problem) => problems.push(problem),
            }
        }
        sources
    }

    fn source(
        &self,
        entry: Entry,
        form: &SourceForm,
        changes: &Changes<'_>,
        problems: &mut Vec<Problem>,
    ) -> SourceOf {
        let name = entry.name.clone();
        let mut values = Layer::default();
        let mut over = Overrides::new(Arc::clone(&self.source));
        let own = (format!("source {name}"), of_source(&name, &[]));
        let of_environments = changes
            .iter()
            .map(|(of, _)| (format!("environment {of}"), at(of, &["sources", &name])));
        for (from, path) in std::iter::once(own).chain(of_environments) {
            problems.extend(self.add_values(&mut values, &path.field("values"), &from));
            if let Some(node) = self.node(&path.field("overrides")) {
                add_overrides(&mut over, ("", node), &from.into(), problems);
            }
        }
        let allowed = Allowed {
            variables: form.allow_env.iter().cloned().collect(),
            commands: form.allow_commands,
            age: form.allow_age,
        };
        SourceOf { entry, values, over: Some(Arc::new(over)).filter(|it| !it.is_empty()), allowed }
    }

    /// What a source is, with what environments change of it.
    fn entry(
        &self,
        name: &str,
        form: &SourceForm,
        changes: &[(&str, &SourceChange)],
    ) -> Result<Entry, Problem> {
        let mut form = form.clone();
        let mut path = of_source(name, &[]);
        for (of, change) in changes {
            path = at(of, &["sources", name]);
            let SourceChange { reference, archive, sha256, oci, .. } = change;
            if archive.is_some() && form.archive.is_none() || oci.is_some() && form.oci.is_none() {
                let message = format!("the source `{name}` is somewhere else, and stays there");
                return Err(self.problem(&path, message));
            }
            if archive.is_some() {
                form.sha256 = None;
            }
            form.reference = reference.clone().or(form.reference);
            form.archive = archive.clone().or(form.archive);
            form.sha256 = sha256.clone().or(form.sha256);
            form.oci = oci.clone().or(form.oci);
        }
        let problem = |message: &str, hint: &str| self.problem(&path, message).hint(hint);
        let of_archive = "`sha256` is for `archive`";
        let origin = match (form.git, form.archive, form.oci) {
            (Some(_), None, None) if form.sha256.is_some() => {
                return Err(problem(of_archive, "a commit is pinned by meshagent.lock"));
            }
            (None, Some(_), None) | (None, None, Some(_)) if form.reference.is_some() => {
                return Err(problem("`ref` is for `git`", "leave it out"));
            }
            (Some(git), None, None) => Origin::Git { git, reference: form.reference },
            (None, Some(archive), None) => {
                let sha256 = form.sha256.as_deref().map(str::parse::<Digest>).transpose();
                let sha256 = sha256.map_err(|why| {
                    problem("`sha256` is no digest", &format!("{why}, or the digits alone"))
                })?;
                Origin::Archive { archive, sha256 }
            }
            (None, None, Some(_)) if form.sha256.is_some() => {
                return Err(problem(of_archive, "write `oci: HOST/NAME@sha256:…`"));
            }
            (None, None, Some(oci)) => Origin::Oci { oci },
            _ => {
                return Err(problem(
                    "exactly one of `git`, `archive` and `oci` says where a source is",
                    "write `git: https://…`, `archive: https://….tar.gz` or `oci: HOST/NAME:TAG`",
                ));
            }
        };
        let entry = Entry {
            name: name.to_owned(),
            origin,
            path: form.path.unwrap_or_default().trim_matches('/').to_owned(),
            place: self.problem(&path, "").place,
            folder: self.folder().to_owned(),
        };
        match entry.check() {
            Ok(()) => Ok(entry),
            Err((message, hint)) => Err(problem(&format!("the source `{name}`: {message}"), &hint)),
        }
    }
}

/// What the environments say of a source.
fn changes<'a>(forms: &'a [(String, &'a EnvironmentForm)], name: &str) -> Changes<'a> {
    let said = forms.iter().filter_map(|(of, form)| Some((of.as_str(), form.sources.get(name)?)));
    said.collect()
}

impl SourceOf {
    /// The source with its files, to be read like manifests.
    ///
    /// # Errors
    ///
    /// Values that cannot be read.
    pub fn imported(
        &self,
        pack: Pack,
        project_file: &Path,
        consent: Consent<'_>,
    ) -> Result<Imported> {
        let allowed = consent.variables.iter();
        let allowed = allowed.filter(|it| self.allowed.variables.contains(&it.name));
        let allowed: Vec<variables::Allowed> = allowed.cloned().collect();
        let values = FileValues::above(self.values.clone(), &[], &[], &[])
            .map_err(ProjectFile::wrong)?
            .allowing(&allowed)
            .missing(consent.may_miss);
        Ok(Imported {
            name: self.entry.name.clone(),
            shown: self.entry.shown(),
            pack,
            values,
            over: self.over.clone(),
            allowed: self.allowed.clone(),
            project_file: project_file.to_owned(),
        })
    }
}

impl Environment {
    /// The sources that `meshagent.lock` pins, and that the project file does not name.
    #[must_use]
    pub fn unnamed(&self) -> Vec<String> {
        // A lock that cannot be read is told of where it is needed.
        let Ok(lock) = Lock::read(&self.folder) else { return Vec::new() };
        let known = self.sources.iter().map(|source| source.entry.name.as_str()).collect();
        lock.unnamed(&known).map(str::to_owned).collect()
    }

    /// The sources as they are pinned, from the cache, or else fetched.
    ///
    /// # Errors
    ///
    /// What is not pinned, or pinned for something else; what could not be fetched.
    pub fn imported(&self, fetcher: &Fetcher, consent: Consent<'_>) -> Result<Vec<Arc<Imported>>> {
        if self.sources.is_empty() {
            return Ok(Vec::new());
        }
        let lock = Lock::read(&self.folder)?;
        let entries = self.sources.iter().map(|source| &source.entry);
        let packs = lock.pins(entries).and_then(|pins| fetcher.pinned(&pins));
        let packs = packs.map_err(Error::manifests)?;
        let read = self.sources.iter().zip(packs);
        read.map(|(source, pack)| source.imported(pack, &self.file, consent).map(Arc::new))
            .collect()
    }
}
