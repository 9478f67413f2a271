//! The secrets of a past state: which of them are as they were, which can be read, and which stay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::error::{Error, Problem, Result};
use crate::kinds::document::ReadFrom;
use crate::kinds::fingerprint::Fingerprinter;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::recorded::{Recorded, fingerprint_in};
use crate::kinds::tree::{Sealed, Tree};
use crate::kinds::{Key, KindName};
use crate::manifest::secrets::{self, Reading};
use crate::manifest::set::Desired;
use crate::plan::{Entry, Observed, State};
use crate::reconcile::recalled::is_in_list;

/// The texts of secrets in today's manifests, as far as they were read.
pub(super) struct Texts {
    /// What today's manifests declare, with the names of projects.
    declared: BTreeMap<Key, Desired>,
    /// The objects whose secrets were read.
    read: BTreeSet<Key>,
}

impl Texts {
    pub(super) fn new(declared: BTreeMap<Key, Desired>, state: &State) -> Self {
        let ids = state.projects.iter().filter_map(|(name, it)| Some((it.id.as_ref()?, name)));
        let ids: BTreeMap<&String, &String> = ids.collect();
        let declared = declared.into_values().map(|mut desired| {
            if let Some(name) = ids.get(&desired.key.project) {
                desired.key = desired.key.with_project(*name);
            }
            (desired.key.clone(), desired)
        });
        Self { declared: declared.collect(), read: BTreeSet::new() }
    }

    /// Reads the secrets of these objects, as far as they are declared. Whether any were read that
    /// had not been.
    pub(super) async fn read(&mut self, keys: &BTreeSet<Key>, reading: Reading) -> Result<bool> {
        let open = |key: &&Key| self.declared.contains_key(key) && !self.read.contains(key);
        let open: BTreeSet<Key> = keys.iter().filter(open).cloned().collect();
        if open.is_empty() {
            return Ok(false);
        }
        let mut objects = self.declared.clone();
        objects.retain(|key, _| open.contains(key));
        // A value that is missing here may not be needed after all.
        let reading = Reading { may_miss: true, ..reading };
        let done = tokio::task::spawn_blocking(move || {
            let outcome = secrets::resolve(&mut objects, None, reading, BTreeMap::new());
            (objects, outcome.problems)
        });
        let (objects, problems) =
            done.await.map_err(|error| Error::failed("failed to read secrets").because(error))?;
        if !problems.is_empty() {
            return Err(Error::manifests(problems).saying("no plan was made").refusing_plan());
        }
        self.declared.extend(objects);
        self.read.extend(open);
        Ok(true)
    }

    /// The text of a secret, and where it was read from unless a manifest has it in plain text.
    fn of(&self, key: &Key, path: &FieldPath) -> Option<(&SecretString, Option<&ReadFrom>)> {
        let desired = self.declared.get(key)?;
        match desired.fields.at(path)? {
            Tree::Secret(Sealed::Known(text)) => {
                Some((text, desired.sources.get(&path.to_string())))
            }
            _ => None,
        }
    }

    /// Where today's manifests read a secret from that has no value there now.
    fn lacks(&self, key: &Key, path: &FieldPath) -> Option<&ReadFrom> {
        let desired = self.declared.get(key).filter(|_| self.read.contains(key))?;
        match desired.fields.at(path)? {
            Tree::Secret(Sealed::Known(_)) => None,
            _ => desired.sources.get(&path.to_string()),
        }
    }
}

/// The objects of a state, with what is known of their secrets.
#[derive(Default)]
pub(super) struct Settled {
    /// The objects.
    pub objects: BTreeMap<Key, Desired>,
    /// What stays as it is although it is not what it was.
    pub notes: Vec<String>,
    /// The objects with secrets that are not as they were.
    pub open: BTreeSet<Key>,
    /// The secrets that would have to be sent and that nobody knows.
    pub lost: Vec<Problem>,
}

/// What secrets are compared with.
pub(super) struct Settling<'a> {
    pub state: &'a State,
    /// The objects that the set owns, by what identifies them whatever they are called.
    pub by_id: &'a BTreeMap<(String, KindName, String), Key>,
    pub texts: &'a Texts,
    /// The objects that are sent whole, with all their secrets.
    pub needed: &'a BTreeSet<Key>,
}

/// The objects that a set owns, by what identifies them whatever they are called.
pub(super) fn by_id(state: &State) -> BTreeMap<(String, KindName, String), Key> {
    let entries = state.inventories.values().flat_map(|inventory| &inventory.entries);
    let named = |(key, entry): (&Key, &Entry)| {
        Some(((key.project.clone(), key.kind, entry.id.clone()?), key.clone()))
    };
    entries.filter_map(named).collect()
}

/// What becomes of one secret.
enum Becomes {
    /// It has the value that it had.
    AsItWas(Sealed),
    /// It gets the value that it has in today's manifests.
    Todays(SecretString),
    /// It stays as it is on the platform.
    Stays(Sealed),
    /// It is not known.
    Unknown,
}

/// An object of a state, as it was and as it is.
struct Compared<'a> {
    wanted: &'a Desired,
    /// The key that it has now.
    now: Key,
    /// What made its fingerprints then, and its salt.
    then: Option<(Fingerprinter, &'a str)>,
    /// What the set knows of it now.
    entry: Option<&'a Entry>,
    /// What was last applied to it.
    applied: Option<Value>,
    observed: Option<&'a Observed>,
    is_needed: bool,
}

impl Settling<'_> {
    /// Finds out what becomes of the secrets of all objects that are meant. `past` is what the set
    /// knew of them.
    pub(super) fn settle(
        &self,
        wanted: &BTreeMap<Key, Desired>,
        past: &BTreeMap<Key, Entry>,
        is_meant: &dyn Fn(&Key) -> bool,
    ) -> Settled {
        let mut settled = Settled::default();
        for (key, desired) in wanted {
            let mut object = desired.clone();
            if desired.fields.has_secrets() && is_meant(key) {
                let compared = self.compared(desired, past.get(key));
                self.settle_one(&compared, Arc::make_mut(&mut object.fields), &mut settled);
            }
            settled.objects.insert(key.clone(), object);
        }
        settled
    }

    fn compared<'a>(&'a self, wanted: &'a Desired, past: Option<&'a Entry>) -> Compared<'a> {
        let key = &wanted.key;
        let inventory = self.state.inventories.get(&key.project);
        let entry_of = |key: &Key| inventory?.entries.get(key);
        let id = past.and_then(|past| past.id.clone());
        let itself = id.and_then(|id| self.by_id.get(&(key.project.clone(), key.kind, id)));
        let now = itself.unwrap_or(key).clone();
        let entry = entry_of(&now);
        let salt = past.and_then(|past| past.salt.as_deref());
        Compared {
            wanted,
            then: salt.zip(inventory).map(|(salt, it)| (it.fingerprints.under(salt), salt)),
            entry,
            applied: entry.and_then(|entry| entry.applied.as_ref()).map(Recorded::value),
            observed: self.state.objects.get(&now),
            is_needed: self.needed.contains(key),
            now,
        }
    }

    fn settle_one(&self, compared: &Compared<'_>, fields: &mut Tree, settled: &mut Settled) {
        let key = &compared.wanted.key;
        fields.rewrite_leaves(&mut |way, leaf| {
            let Tree::Secret(sealed) = leaf else { return None };
            let path = way.path();
            let was = match sealed {
                Sealed::Kept(fingerprint) => Some(&**fingerprint),
                _ => None,
            };
            let from = compared.wanted.sources.get(&path.to_string());
            let becomes = compared.becomes(&path, was, self.texts);
            let keys = [key, &compared.now];
            let lacks = keys.into_iter().find_map(|key| self.texts.lacks(key, &path));
            let why = why(from, lacks);
            if !matches!(becomes, Becomes::AsItWas(_)) || compared.is_needed {
                settled.open.extend([key.clone(), compared.now.clone()]);
            }
            Some(Tree::Secret(match becomes {
                Becomes::AsItWas(sealed) => sealed,
                Becomes::Todays(text) => {
                    settled.notes.push(format!(
                        "{key}: `{path}` gets the value that it has in the manifests now, which is not the one of that state"
                    ));
                    Sealed::Known(text)
                }
                Becomes::Stays(sealed) => {
                    settled.notes.push(format!(
                        "{key}: `{path}` stays as it is on the platform, because its value of that state is not known: {why}"
                    ));
                    sealed
                }
                Becomes::Unknown => {
                    settled.lost.push(compared.lost(&path, &why));
                    Sealed::Masked
                }
            }))
        });
    }
}

impl Compared<'_> {
    /// What becomes of a secret that had this fingerprint.
    fn becomes(&self, path: &FieldPath, was: Option<&str>, texts: &Texts) -> Becomes {
        let is_it = |text: &str| {
            self.then.as_ref().is_some_and(|(then, _)| was.is_some_and(|was| then.of(text) == was))
        };
        let fields = self.observed.map(|observed| &*observed.fields);
        let shown = fields.and_then(|fields| fields.at(path)).and_then(shown);
        if let Some(text) = shown.filter(|text| is_it(text)) {
            return Becomes::AsItWas(Sealed::Known(text.into()));
        }
        if let Some(text) = fields.and_then(|fields| elsewhere(fields, path, &is_it)) {
            return Becomes::AsItWas(Sealed::Known(text));
        }
        let in_list = is_in_list(path);
        let hidden = self.hidden(path).filter(|_| !in_list);
        let has_salt = self.then.as_ref().map(|(_, salt)| *salt);
        let is_of_same_salt = self.entry.is_some_and(|it| it.salt.as_deref() == has_salt);
        if let Some(now) = hidden.filter(|_| !self.is_needed && is_of_same_salt)
            && was == Some(now)
        {
            return Becomes::AsItWas(Sealed::Kept(now.into()));
        }
        let of = |key| texts.of(key, path);
        if let Some((text, from)) = of(&self.wanted.key).or_else(|| of(&self.now)) {
            if is_it(text.expose_secret()) {
                return Becomes::AsItWas(Sealed::Known(text.clone()));
            }
            let then = self.wanted.sources.get(&path.to_string());
            if !in_list && then.zip(from).is_some_and(|(then, now)| then.is_alike(now)) {
                return Becomes::Todays(text.clone());
            }
        }
        match (shown.filter(|_| !in_list), hidden.filter(|_| !self.is_needed)) {
            (Some(text), _) => Becomes::Stays(Sealed::Known(text.into())),
            (None, Some(now)) => Becomes::Stays(Sealed::Kept(now.into())),
            (None, None) => Becomes::Unknown,
        }
    }

    /// The fingerprint of what was last applied, where the platform hides the value.
    fn hidden(&self, path: &FieldPath) -> Option<&str> {
        self.observed?;
        let steps = path.0.iter();
        let recorded = steps.fold(self.applied.as_ref(), |value, step| match step {
            Step::Field(name) => value?.get(name),
            _ => None,
        });
        fingerprint_in(recorded?)?.as_str()
    }

    /// The problem with a secret that nobody knows any more.
    fn lost(&self, path: &FieldPath, why: &str) -> Problem {
        let key = &self.wanted.key;
        let what = match self.observed {
            None => "it must be created",
            Some(_) => "it is sent as a whole",
        };
        let message = format!(
            "{key} cannot be brought back: {what}, and the value of `{path}` is not known: {why}"
        );
        self.wanted.origin.problem_at(path, message).hint(format!(
            "give manifests that declare the value of `{path}` of {key} with -f, or leave the object out with --exclude {}",
            key.as_word()
        ))
    }
}

/// Why a value of a past state is not known. `lacks` is where today's manifests read it from, if
/// there is none.
fn why(from: Option<&ReadFrom>, lacks: Option<&ReadFrom>) -> String {
    match (from, lacks) {
        (Some(_), Some(lacks)) => {
            format!("it is read from {lacks}, and there is no value; give it one, and plan again")
        }
        (Some(from), None) => format!(
            "it was read from {from}, and no manifest that was given reads it from such a source"
        ),
        (None, _) => "it stood in a manifest, and secrets are not kept".to_owned(),
    }
}

/// The text of a leaf, if the platform shows it.
fn shown(leaf: &Tree) -> Option<&str> {
    match leaf {
        Tree::Text(text) => Some(text),
        Tree::Secret(Sealed::Known(text)) => Some(text.expose_secret()),
        _ => None,
    }
}

/// The text of that fingerprint in another item of a list, where the item stood elsewhere.
fn elsewhere(
    fields: &Tree,
    path: &FieldPath,
    is_it: &dyn Fn(&str) -> bool,
) -> Option<SecretString> {
    if !is_in_list(path) {
        return None;
    }
    let mut found = None;
    // Leaves are only looked at.
    fields.clone().rewrite_leaves(&mut |way, leaf| {
        if found.is_none()
            && way.path().0.last() == path.0.last()
            && let Some(text) = shown(leaf).filter(|text| is_it(text))
        {
            found = Some(SecretString::from(text.to_owned()));
        }
        None
    });
    found
}
