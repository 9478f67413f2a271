//! Which part of a set a plan is for: `--target`, `--exclude`, `--selector`.

use std::collections::{BTreeMap, BTreeSet};

use wildmatch::WildMatch;

use super::State;
use super::references::{Known, Resolved};
use crate::kinds::Key;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::manifest::set::Desired;

/// What the user asked for. Nothing asked for means everything.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Patterns of `Kind/name`, with `*` and `?`, of what is wanted.
    pub targets: Vec<String>,
    /// Patterns of what is not.
    pub excludes: Vec<String>,
    /// Annotations that what is wanted carries, with their values.
    pub selectors: Vec<(String, String)>,
}

impl Scope {
    /// Whether everything is meant.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.targets.is_empty() && self.excludes.is_empty() && self.selectors.is_empty()
    }

    fn wants(&self, key: &Key, fields: Option<&Tree>) -> bool {
        let address = key.to_string();
        let any = |patterns: &[String]| {
            patterns.iter().any(|pattern| WildMatch::new(pattern).matches(&address))
        };
        let annotation = |name: &str| {
            let path = FieldPath::of(&["metadata", "annotations", name]);
            fields.and_then(|fields| fields.at(&path)).and_then(Tree::as_str)
        };
        (self.targets.is_empty() || any(&self.targets))
            && !any(&self.excludes)
            && self.selectors.iter().all(|(name, value)| annotation(name) == Some(value.as_str()))
    }

    /// The objects of the set that are meant: those that were asked for and what they
    /// refer to, which is told in `notes`. What was excluded stays out.
    #[must_use]
    pub fn select(
        &self,
        desired: &BTreeMap<Key, Desired>,
        known: &Known<'_>,
        notes: &mut Vec<String>,
    ) -> BTreeSet<Key> {
        let mut selected: BTreeSet<Key> = desired
            .values()
            .filter(|object| self.wants(&object.key, Some(&object.fields)))
            .map(|object| object.key.clone())
            .collect();
        let mut open: Vec<Key> = selected.iter().cloned().collect();
        while let Some(key) = open.pop() {
            let Some(object) = desired.get(&key) else { continue };
            for (_, resolved) in known.references(&key, &object.fields) {
                let found = match resolved {
                    Resolved::Object(found) => vec![found],
                    Resolved::Any(found) => found,
                    Resolved::Missing(_) => Vec::new(),
                };
                for found in found {
                    let is_excluded = self
                        .excludes
                        .iter()
                        .any(|pattern| WildMatch::new(pattern).matches(&found.to_string()));
                    if desired.contains_key(&found)
                        && !is_excluded
                        && selected.insert(found.clone())
                    {
                        notes.push(format!("{found} is in scope too, because {key} refers to it"));
                        open.push(found);
                    }
                }
            }
        }
        selected
    }

    /// The objects of the set that are meant; `None` when all of them are.
    #[must_use]
    pub fn selection(
        &self,
        desired: &BTreeMap<Key, Desired>,
        state: &State,
    ) -> Option<BTreeSet<Key>> {
        let select = || self.select(desired, &Known::new(desired, state), &mut Vec::new());
        (!self.is_everything()).then(select)
    }

    /// Whether an object that the set owns and no longer declares is meant. What it
    /// referred to is not, and its annotations are those of the platform.
    #[must_use]
    pub fn wants_leaver(&self, key: &Key, fields: Option<&Tree>) -> bool {
        self.wants(key, fields)
    }

    /// The patterns that match none of these objects, which is likely a mistake.
    #[must_use]
    pub fn unmatched<'a>(&'a self, keys: &[&Key]) -> Vec<&'a str> {
        self.targets
            .iter()
            .chain(&self.excludes)
            .filter(|pattern| {
                !keys.iter().any(|key| WildMatch::new(pattern).matches(&key.to_string()))
            })
            .map(String::as_str)
            .collect()
    }
}
