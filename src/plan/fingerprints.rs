//! What a set remembers of secrets, and how a plan compares many of them quickly.
//!
//! The fingerprint of a secret takes 25 ms to make, and a plan may compare a thousand of them. So
//! an inventory also has seals. A seal is one slow fingerprint of many secrets together with their
//! own fingerprints. If a seal matches what is declared, everything under it is unchanged, and
//! only the other fingerprints are made again, on all cores. An attacker must guess all secrets
//! under a seal at once, so a seal reveals nothing that a fingerprint does not. An outdated seal
//! matches nothing and only costs time.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Entry, Inventory};
use crate::kinds::Key;
use crate::kinds::fingerprint::{Fingerprinter, Id, Memory, digest};
use crate::kinds::recorded::fingerprint_in;
use crate::kinds::tree::{Sealed, Tree};
use crate::manifest::set::Desired;

/// The number of secrets from which on there are seals.
const MANY: usize = 8;

/// The number of secrets from which on a group has its own seal. A seal takes as long to make as
/// a fingerprint, so a seal of few secrets would cost more than it saves.
const GROUP: usize = 4;

/// The seal of all secrets.
const ALL: &str = "all";

/// What makes the fingerprints of what a set has in one project.
#[derive(Debug, Clone)]
pub struct Fingerprints {
    /// The key of fingerprints that an earlier version of this program made.
    pub key: Option<SecretString>,
    /// What the salts of objects are made from.
    pub salt: String,
    memory: Memory,
}

impl Fingerprints {
    /// Without anything of an earlier version.
    #[must_use]
    pub fn new(salt: impl Into<String>) -> Self {
        Self { key: None, salt: salt.into(), memory: Memory::default() }
    }

    /// The same, with fingerprints that were made elsewhere in this program.
    #[must_use]
    pub fn remembering(self, memory: &Memory) -> Self {
        Self { memory: memory.clone(), ..self }
    }

    /// The same, with the key of fingerprints that an earlier version made.
    #[must_use]
    pub fn with_key(self, key: Option<SecretString>) -> Self {
        Self { key, ..self }
    }

    /// For an inventory of an earlier version. Its new salts are derived from its key, so that two
    /// runs that read it make the same ones.
    #[must_use]
    pub fn of_key(key: &str) -> Self {
        Self { key: Some(key.into()), ..Self::new(digest(&format!("salt of {key}"))) }
    }

    /// The salt of an object that has none yet.
    #[must_use]
    pub fn salt_of(&self, key: &Key) -> String {
        digest(&format!("{} {}", self.salt, key.in_fingerprints()))
    }

    /// What makes the fingerprints under a salt.
    #[must_use]
    pub fn under(&self, salt: impl Into<String>) -> Fingerprinter {
        Fingerprinter::remembering(salt, &self.memory)
    }

    /// What made the fingerprints of an object, according to its entry.
    #[must_use]
    pub fn of(&self, key: &Key, entry: Option<&Entry>) -> Fingerprinter {
        let salt = entry.and_then(|entry| entry.salt.as_ref());
        match (salt, entry, &self.key) {
            (Some(salt), _, _) => self.under(salt),
            (None, Some(entry), Some(key)) if entry.is_keyed() => {
                Fingerprinter::new(key.expose_secret())
            }
            _ => self.under(self.salt_of(key)),
        }
    }
}

/// A secret that is declared, and its fingerprint where one is recorded at the same place.
struct Compared {
    key: String,
    with: Fingerprinter,
    text: SecretString,
    recorded: Option<String>,
}

impl Compared {
    fn line(&self) -> Option<Line<'_>> {
        let recorded = self.recorded.as_deref()?;
        Some(Line { key: &self.key, id: self.with.id(self.text.expose_secret()), recorded })
    }
}

/// A secret under a seal.
struct Line<'a> {
    key: &'a str,
    id: Id,
    recorded: &'a str,
}

impl Line<'_> {
    /// The seal that it belongs to besides the seal of all: one of 32, independent of other
    /// secrets.
    fn group(&self) -> String {
        format!("{:02x}", Sha256::digest(self.key.as_bytes())[0] >> 3)
    }
}

/// The content of a seal, which does not depend on the order of its secrets.
fn content<'a>(lines: impl Iterator<Item = &'a Line<'a>>) -> String {
    let mut lines: Vec<_> = lines.map(|line| (line.key, line.id, line.recorded)).collect();
    lines.sort_unstable();
    let mut digest = Sha256::new();
    for (key, id, recorded) in lines {
        digest.update((key.len() as u64).to_be_bytes());
        digest.update(key);
        digest.update(id);
        digest.update(recorded);
    }
    format!("{:x}", digest.finalize())
}

/// Does the work for each item, on all cores; the results are in the order of the items.
pub(super) fn for_each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let cores = thread::available_parallelism().map_or(1, usize::from).min(items.len());
    let take = || {
        let mut done = Vec::new();
        while let Some((index, item)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, items.get(at)?)))
        {
            done.push((index, work(item)));
        }
        done
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let threads: Vec<_> = (1..cores).map(|_| scope.spawn(take)).collect();
        let mut done = take();
        for thread in threads {
            done.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

impl Inventory {
    /// What owns nothing yet.
    #[must_use]
    pub fn new(fingerprints: Fingerprints) -> Self {
        Self {
            entries: BTreeMap::new(),
            fingerprints,
            seals: BTreeMap::new(),
            is_of_other_api: false,
        }
    }

    /// What makes the fingerprints of an object.
    #[must_use]
    pub fn fingerprinter(&self, key: &Key) -> Fingerprinter {
        self.fingerprints.of(key, self.entries.get(key))
    }

    fn seal(&self, name: &str, content: &str) -> String {
        self.fingerprints.under(format!("{} {name}", self.fingerprints.salt)).of(content)
    }

    fn fits(&self, name: &str, content: &str) -> bool {
        self.seals.get(name).is_some_and(|seal| *seal == self.seal(name, content))
    }

    /// Makes the fingerprints that a plan of these objects compares, and those that it records
    /// unless it is only shown.
    pub fn prepare<'a>(&self, desired: impl Iterator<Item = &'a Desired>, is_only_shown: bool) {
        let mut all = Vec::new();
        for desired in desired.filter(|desired| desired.fields.has_secrets()) {
            let key = &desired.key;
            let entry = self.entries.get(key);
            let salt = entry.and_then(|entry| entry.salt.clone());
            let applied = entry.filter(|_| salt.is_some()).and_then(|entry| entry.applied.as_ref());
            let applied = applied.map(crate::kinds::recorded::Recorded::value);
            let with =
                self.fingerprints.under(salt.unwrap_or_else(|| self.fingerprints.salt_of(key)));
            pairs(&desired.fields, applied.as_ref(), &mut |text, recorded| {
                let (key, with) = (key.in_fingerprints(), with.clone());
                let recorded = recorded.and_then(Value::as_str).map(str::to_owned);
                all.push(Compared { key, with, text: text.clone(), recorded });
            });
        }
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let lines: Vec<Option<Line<'_>>> = all.iter().map(Compared::line).collect();
        for (index, line) in lines.iter().enumerate() {
            if let Some(line) = line {
                groups.entry(line.group()).or_default().push(index);
            }
        }
        let proven: Vec<usize> = if self.fits(ALL, &content(lines.iter().flatten())) {
            groups.into_values().flatten().collect()
        } else {
            let groups: Vec<(String, Vec<usize>)> = groups.into_iter().collect();
            let fitting = for_each(&groups, |(name, group)| {
                let lines = group.iter().filter_map(|index| lines[*index].as_ref());
                if self.fits(name, &content(lines)) { group.clone() } else { Vec::new() }
            });
            fitting.into_iter().flatten().collect()
        };
        drop(lines);
        for index in proven {
            let Compared { with, text, recorded, .. } = &all[index];
            if let Some(recorded) = recorded {
                with.learn(text.expose_secret(), recorded);
            }
        }
        all.retain(|compared| compared.recorded.is_some() || !is_only_shown);
        for_each(&all, |compared| drop(compared.with.of(compared.text.expose_secret())));
    }

    /// The seals of what is owned, if all texts under a seal are known.
    #[must_use]
    pub fn sealed(&self, entries: &BTreeMap<Key, Entry>) -> BTreeMap<String, String> {
        let ids: HashMap<String, Id> = self.fingerprints.memory.ids();
        let mut recorded = Vec::new();
        for (key, entry) in entries {
            if let (Some(_), Some(applied)) = (&entry.salt, &entry.applied) {
                fingerprints_in(&applied.value(), &mut |it| {
                    recorded.push((key.in_fingerprints(), it.to_owned()));
                });
            }
        }
        if recorded.len() < MANY {
            return BTreeMap::new();
        }
        let mut groups: BTreeMap<String, Option<Vec<Line<'_>>>> = BTreeMap::new();
        for (key, recorded) in &recorded {
            let id = ids.get(recorded);
            let line = Line { key, id: id.copied().unwrap_or_default(), recorded };
            for name in [line.group(), ALL.to_owned()] {
                let group = groups.entry(name).or_insert_with(|| Some(Vec::new()));
                match (id, group.as_mut()) {
                    (Some(id), Some(lines)) => lines.push(Line { key, id: *id, recorded }),
                    _ => *group = None,
                }
            }
        }
        let groups: Vec<(String, String)> = groups
            .into_iter()
            .filter_map(|(name, lines)| Some((name, lines?)))
            .filter(|(name, lines)| name == ALL || lines.len() >= GROUP)
            .map(|(name, lines)| (name, content(lines.iter())))
            .collect();
        let seals = for_each(&groups, |(name, content)| (name.clone(), self.seal(name, content)));
        seals.into_iter().collect()
    }
}

/// Shows each text that is secret, with what is recorded at the same place.
fn pairs<'a>(
    tree: &Tree,
    recorded: Option<&'a Value>,
    take: &mut impl FnMut(&SecretString, Option<&'a Value>),
) {
    match tree {
        Tree::Secret(Sealed::Known(text) | Sealed::Number(text)) => {
            take(text, recorded.and_then(fingerprint_in));
        }
        Tree::List(items) => {
            for (index, item) in items.iter().enumerate() {
                pairs(item, recorded.and_then(|it| it.get(index)), take);
            }
        }
        Tree::Map(fields) => {
            for (name, field) in fields.iter() {
                pairs(field, recorded.and_then(|it| it.get(&**name)), take);
            }
        }
        _ => {}
    }
}

/// Shows each fingerprint.
fn fingerprints_in(value: &Value, take: &mut impl FnMut(&str)) {
    match (fingerprint_in(value), value) {
        (Some(fingerprint), _) => fingerprint.as_str().into_iter().for_each(take),
        (None, Value::Array(items)) => items.iter().for_each(|it| fingerprints_in(it, take)),
        (None, Value::Object(fields)) => fields.values().for_each(|it| fingerprints_in(it, take)),
        _ => {}
    }
}
