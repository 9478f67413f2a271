//! Writes what drifted on the platform into the manifests.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use super::acceptance::{Acceptance, Documents, Left, accept};
use super::target::Target;
use crate::apply::inventory::Stored;
use crate::apply::observe::{self, Scope};
use crate::bounded;
use crate::conceal;
use crate::error::{Class, Context, Error, Result};
use crate::kinds::Key;
use crate::kinds::path::FieldPath;
use crate::manifest::secrets;
use crate::manifest::set::{Input, Set, from_sources};
use crate::manifest::source::{self, Reading, Source};
use crate::manifest::walk::{self, Skipped};
use crate::plan::planner::{self, Policy, Prune, Refusal};
use crate::plan::scope::{matches, meant};
use crate::plan::{Plan, unified};
use crate::whole_file::Draft;

/// Manifests into which drift may be written.
pub struct Accepting<'a> {
    input: &'a Input,
    sources: Vec<Arc<Source>>,
    set: Set,
    /// Notes on how they were read.
    pub notes: Vec<String>,
    /// What was left out in their folders.
    pub skipped: Vec<Skipped>,
}

/// The drift that can be written into manifests, before it is written.
pub struct Accepted {
    sources: Vec<Arc<Source>>,
    documents: Documents,
    /// The fields that are written back, and what is not, with the reason.
    pub acceptance: Acceptance,
    /// Whether the set was applied before. Otherwise nothing can have drifted.
    pub is_applied: bool,
    /// How many declared objects are inside of rooms and were not looked at.
    pub unseen: usize,
}

/// A file of manifests that changes.
pub struct Edit<'a> {
    /// Its name.
    pub file: &'a str,
    old: &'a str,
    new: &'a str,
    documents: &'a Documents,
}

impl<'a> Accepting<'a> {
    /// Reads manifests.
    ///
    /// # Errors
    ///
    /// Every problem of every file.
    pub fn read(input: &'a Input) -> Result<Self> {
        let Reading { sources, problems, skipped, mut notes, .. } = input.texts();
        let set = from_sources(&sources, problems, input).map_err(Error::manifests)?;
        let skipped = set.passed_over(&skipped);
        notes.extend(walk::summary(&skipped));
        Ok(Self { input, sources, set, notes, skipped })
    }

    /// Finds what drifted of the objects that match the patterns, or of all objects if there are
    /// no patterns, and turns it into edits of the manifests. The platform is only read; rooms are
    /// entered only if that is said beside the name of the set.
    ///
    /// # Errors
    ///
    /// An object that the manifests do not declare; no plan can be made.
    pub async fn decide(
        self,
        target: &Target,
        set: (&str, bool),
        objects: &[String],
    ) -> Result<Accepted> {
        let Self { input, sources, set: declared, .. } = self;
        let documents = Documents::of(&declared);
        let keys: Vec<&Key> = declared.objects.keys().collect();
        let is_declared = |name: &&String| keys.iter().any(|key| matches(name, key));
        if let Some(unknown) = objects.iter().find(|name| !is_declared(name)) {
            return Err(Error::usage(format!("the manifests do not declare {unknown}"))
                .hint(meant(unknown, &keys)));
        }
        let wanted = |key: &Key| objects.is_empty() || objects.iter().any(|it| matches(it, key));
        let read = |sources: &[Arc<Source>]| {
            from_sources(sources, Vec::new(), input).map_err(Error::manifests)
        };
        let is_inside = |key: &&Key| !set.1 && key.kind.kind().is_inside_rooms();
        let unseen = declared.objects.keys().filter(is_inside).count();
        let (plan, is_applied) = plan(target, set, declared).await?;
        let mut refused = Vec::new();
        loop {
            let acceptance = accept(&plan, &documents, &wanted, &refused);
            if acceptance.texts.is_empty() {
                return Ok(Accepted { sources, documents, acceptance, is_applied, unseen });
            }
            // The planner decides whether the manifests say it now, before anything is written.
            let after = match read(&edited(&sources, &acceptance)) {
                Ok(declared) => self::plan(target, set, declared).await?.0,
                Err(error) => {
                    let fits = |keys: &[&Key]| {
                        let part = accept(&plan, &documents, &|key| keys.contains(&key), &refused);
                        read(&edited(&sources, &part)).map(drop)
                    };
                    let unreadable = unreadable(&acceptance, &fits);
                    if unreadable.is_empty() {
                        return Err(error);
                    }
                    refused.extend(unreadable);
                    continue;
                }
            };
            let open: Vec<Left> = still_open(&after, &acceptance);
            if open.is_empty() {
                return Ok(Accepted { sources, documents, acceptance, is_applied, unseen });
            }
            refused.extend(open);
        }
    }
}

impl Accepted {
    /// The files that change.
    pub fn edits(&self) -> impl Iterator<Item = Edit<'_>> {
        self.acceptance.texts.iter().map(|(file, new)| {
            let old = self.sources.iter().find(|source| source.name == *file);
            let old = old.map_or("", |source| source.text.as_str());
            Edit { file, old, new, documents: &self.documents }
        })
    }
}

impl Edit<'_> {
    /// What changes in it, as parts of a unified difference, without lines that hold secrets.
    #[must_use]
    pub fn hunks(&self) -> String {
        let instead = |line| self.documents.instead_of(self.file, line);
        unified::hunks(self.old, self.new, &instead)
    }

    /// Writes it.
    ///
    /// # Errors
    ///
    /// A file that changed meanwhile, or cannot be written; a credential of the user that would be
    /// in it.
    pub fn write(&self) -> Result<()> {
        replace_file(Path::new(self.file), self.old, self.new)
    }
}

/// The sources as they are once the changes are written.
fn edited(sources: &[Arc<Source>], acceptance: &Acceptance) -> Vec<Arc<Source>> {
    let sources = sources.iter().map(|source| match acceptance.texts.get(&source.name) {
        Some(text) => Arc::new(source.with_text(text.clone())),
        None => Arc::clone(source),
    });
    sources.collect()
}

/// What was accepted of objects whose documents could not be read afterwards, with what would be
/// wrong. `fits` checks some objects together.
fn unreadable(acceptance: &Acceptance, fits: &dyn Fn(&[&Key]) -> Result<()>) -> Vec<Left> {
    let mut keys: Vec<&Key> = acceptance.accepted.iter().map(|(key, _)| key).collect();
    keys.dedup();
    let blamed = blamed(&keys, fits);
    let left = acceptance.accepted.iter().filter_map(|(key, path)| {
        let reason = format!("its document would be invalid: {}", blamed.get(key)?);
        Some(Left { key: key.clone(), path: path.clone(), reason })
    });
    left.collect()
}

/// The objects that do not fit, each with the reason: the objects are halved until one is left, or
/// some that only fit separately.
fn blamed<'a>(keys: &[&'a Key], fits: &dyn Fn(&[&Key]) -> Result<()>) -> BTreeMap<&'a Key, String> {
    let Err(error) = fits(keys) else { return BTreeMap::new() };
    let mut found = BTreeMap::new();
    if keys.len() > 1 {
        let (first, second) = keys.split_at(keys.len() / 2);
        found.extend(blamed(first, fits));
        found.extend(blamed(second, fits));
    }
    if found.is_empty() {
        let first = error.problems.first().map(|problem| &problem.message);
        let reason = first.unwrap_or(&error.message);
        found.extend(keys.iter().map(|key| (*key, reason.clone())));
    }
    found
}

/// The plan that would make the platform what the manifests say, and whether the set was applied
/// before.
async fn plan(
    target: &Target,
    (set_name, enters_rooms): (&str, bool),
    set: Set,
) -> Result<(Plan, bool)> {
    let reader = target.client.reader();
    let policy = Policy { enters_rooms, ..Policy::standard(set_name) };
    let mut observation = observe::observe(&reader, &policy, set, Scope::Documents).await?;
    secrets::leave_unread(&mut observation.set.objects);
    let policy = Policy { prune: Prune::None, ..policy };
    let is_applied = observation.stored.values().any(Stored::exists);
    let plan = planner::plan(&observation.set.objects, &observation.state, &policy);
    let plan = plan.map_err(|refusal| match refusal {
        Refusal::Manifests(problems) => Error::manifests(problems),
        Refusal::Scope(problems) => Error::scope(problems),
        Refusal::Guard { problems, .. } => Error::refused(problems),
    })?;
    Ok((plan, is_applied))
}

/// What was accepted and still differs.
fn still_open(after: &Plan, acceptance: &Acceptance) -> Vec<Left> {
    let changes: BTreeMap<&Key, Vec<_>> = after
        .operations
        .iter()
        .filter(|operation| !operation.changes.is_empty())
        .map(|operation| {
            (&operation.key, operation.changes.iter().map(|change| &change.path).collect())
        })
        .collect();
    let is_open = |key: &Key, path| {
        changes.get(key).is_some_and(|paths: &Vec<&FieldPath>| {
            paths.iter().any(|open| open.0.starts_with(path) || path.starts_with(&open.0))
        })
    };
    acceptance
        .accepted
        .iter()
        .filter(|(key, path)| is_open(key, &path.0))
        .map(|(key, path)| Left {
            key: key.clone(),
            path: path.clone(),
            reason: "a manifest cannot express this".to_owned(),
        })
        .collect()
}

/// Writes a file in one step, with the mode that it had, unless it changed meanwhile.
///
/// # Errors
///
/// It changed; it cannot be written; a credential of the user would be in it.
pub fn replace_file(path: &Path, old: &str, new: &str) -> Result<()> {
    let failed = || format!("failed to write {}", path.display());
    // A link stays a link.
    let path = &std::fs::canonicalize(path).context(failed)?;
    let current = bounded::text(path, bounded::STANDARD).context(failed)?;
    let (mark, text) = match current.strip_prefix('\u{feff}') {
        Some(text) => ("\u{feff}", text),
        None => ("", current.as_str()),
    };
    if source::with_line_feeds(text.to_owned()) != old {
        return Err(Error::failed(format!("{} changed while it was edited", path.display()))
            .hint("run the same command again"));
    }
    let holds = |text: &str| conceal::within(text.into()) != text;
    if holds(new) && !holds(old) {
        let what = format!("this would write one of your credentials to {}", path.display());
        return Err(Error::new(Class::Refused, what)
            .hint("it is in a field that drifted on the platform: replace the credential, and remove it from that field"));
    }
    // Line endings stay as they were.
    let new = match (text.contains('\r'), text.contains('\n')) {
        (true, false) => new.replace('\n', "\r"),
        _ => new.to_owned(),
    };
    let mode = std::fs::metadata(path).context(failed)?.permissions();
    let draft = Draft::of(path).context(failed)?;
    let mut file = draft.file();
    file.write_all(mark.as_bytes())
        .and_then(|()| file.write_all(new.as_bytes()))
        .and_then(|()| file.set_permissions(mode))
        .and_then(|()| draft.replace(path))
        .context(failed)
}
