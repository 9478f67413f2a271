//! Which part of a set a plan is for: `--target`, `--exclude`, `--selector`.

use std::collections::{BTreeMap, BTreeSet};

use wildmatch::WildMatch;

use super::references::{Known, Resolved};
use super::renames::Candidates;
use crate::error::Problem;
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::kinds::{self, Key};
use crate::listed::nearest;
use crate::listed::{SOME, at_most};
use crate::manifest::of_accounts::perhaps_from;
use crate::manifest::set::Desired;

/// Whether a pattern matches an object, in any spelling of its name, or what its document may have
/// declared where the platform has no such kind.
#[must_use]
pub fn matches(pattern: &str, key: &Key) -> bool {
    is_called(pattern, key) || perhaps_from(key).iter().any(|key| is_called(pattern, key))
}

/// The same of an object that a document declares, which says itself what it came of.
fn matches_declared(pattern: &str, Desired { key, origin, .. }: &Desired) -> bool {
    match origin.kind() == key.kind {
        true => is_called(pattern, key),
        false => matches(pattern, key),
    }
}

fn is_called(pattern: &str, key: &Key) -> bool {
    WildMatch::new(&key.spelled(pattern)).matches(&key.to_string())
}

/// An annotation of an object.
fn annotation<'a>(fields: &'a Tree, name: &str) -> Option<&'a str> {
    fields.at(&FieldPath::of(&["metadata", "annotations", name])).and_then(Tree::as_str)
}

/// A hint for a name that no object has: the objects of that name in rooms, or else the one with
/// the nearest name.
#[must_use]
pub fn meant(written: &str, keys: &[&Key]) -> String {
    /// More names than these do not help.
    const NAMED: usize = 3;
    if [".yaml", ".yml", ".json", ".j2"].iter().any(|end| written.ends_with(end)) {
        return "this option takes the names of objects, as in Room/lobby; files are given with -f"
            .to_owned();
    }
    if let Some(kind) = kinds::find(written) {
        return format!("`{}/*` is every {0} of the set", kind.name());
    }
    let known: BTreeSet<String> = keys.iter().map(ToString::to_string).collect();
    let in_rooms = known.iter().filter(|name| {
        name.rsplit_once('@').is_some_and(|(name, _)| name.eq_ignore_ascii_case(written))
    });
    let mut names: Vec<String> = in_rooms.take(NAMED).map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        let near = nearest(written, known.iter().map(String::as_str));
        names.extend(near.map(|name| format!("`{name}`")));
    }
    match names.is_empty() {
        true => "patterns are Kind/name or Kind/name@room, with * and ?".to_owned(),
        false => format!("did you mean {}?", names.join(" or ")),
    }
}

/// What the user asked for. Without anything asked for, everything is in scope.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Patterns of `Kind/name`, with `*` and `?`, of what is wanted.
    pub targets: Vec<String>,
    /// Patterns of what is not wanted.
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

    fn wants(&self, matches: impl Fn(&str) -> bool, fields: Option<&Tree>) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern));
        (self.targets.is_empty() || any(&self.targets))
            && !any(&self.excludes)
            && self.selectors.iter().all(|(name, value)| {
                fields.and_then(|fields| annotation(fields, name)) == Some(value.as_str())
            })
    }

    /// Whether an object was excluded.
    fn excludes(&self, key: &Key) -> bool {
        self.excludes.iter().any(|pattern| matches(pattern, key))
    }

    /// The objects of the set that are in scope: those that were asked for, and those that they
    /// refer to or whose names they need, which `notes` mention. Excluded objects stay out.
    #[must_use]
    pub fn select(
        &self,
        desired: &BTreeMap<Key, Desired>,
        (known, renames): (&Known<'_>, &Candidates),
        notes: &mut Vec<String>,
    ) -> BTreeSet<Key> {
        // Also by its present name.
        let excludes = |object: &Desired| {
            let key = &object.key;
            self.excludes.iter().any(|pattern| matches_declared(pattern, object))
                || renames.sources.get(key).is_some_and(|now| self.excludes(now))
        };
        let wants = |object: &Desired| {
            self.wants(|pattern| matches_declared(pattern, object), Some(&object.fields))
        };
        let mut selected: BTreeSet<Key> = desired
            .values()
            .filter(|object| wants(object) && !excludes(object))
            .map(|object| object.key.clone())
            .collect();
        let mut open: Vec<Key> = selected.iter().cloned().collect();
        while let Some(key) = open.pop() {
            let Some(object) = desired.get(&key) else { continue };
            let referred = known.references(&key, &object.fields).into_iter();
            let referred = referred.flat_map(|(_, resolved)| match resolved {
                Resolved::Object(found) => vec![found],
                Resolved::Any(found) => found,
                Resolved::Missing(_) => Vec::new(),
            });
            let referred = referred.map(|found| (found, "refers to it"));
            let mover = renames.before(&key).cloned().map(|mover| (mover, "gets its name"));
            for (found, why) in referred.chain(mover) {
                if desired.get(&found).is_some_and(|object| !excludes(object))
                    && selected.insert(found.clone())
                {
                    notes.push(format!("{found} is in scope too, because {key} {why}"));
                    open.push(found);
                }
            }
        }
        selected
    }

    /// Whether an object that the set owns and no longer declares is in scope. The objects that it
    /// refers to are not, and its annotations are those of the platform.
    #[must_use]
    pub fn wants_leaver(&self, key: &Key, fields: Option<&Tree>) -> bool {
        self.wants(|pattern| matches(pattern, key), fields)
    }

    /// The patterns that match none of these objects, which is probably a mistake: those that are
    /// declared, and those that the set owns.
    #[must_use]
    pub fn unmatched(
        &self,
        desired: &BTreeMap<Key, Desired>,
        owned: &[(&Key, Option<&Tree>)],
    ) -> Vec<Problem> {
        let declared = desired.values().map(|object| (&object.key, Some(&*object.fields)));
        let objects: Vec<(&Key, Option<&Tree>)> = declared.chain(owned.iter().copied()).collect();
        let keys: Vec<&Key> = objects.iter().map(|(key, _)| *key).collect();
        let patterns = self.targets.iter().chain(&self.excludes);
        let leaves = |(key, _): &&(&Key, Option<&Tree>)| !desired.contains_key(*key);
        let patterns = patterns.filter(|pattern| {
            !desired.values().any(|object| matches_declared(pattern, object))
                && !owned.iter().filter(leaves).any(|(key, _)| matches(pattern, key))
        });
        let carries = |(name, value): &(String, String)| {
            let carries = |fields: &Tree| annotation(fields, name) == Some(value.as_str());
            objects.iter().any(|(_, fields)| fields.is_some_and(carries))
        };
        let selectors = self.selectors.iter().filter(|selector| !carries(selector));
        let selectors = selectors.map(|(name, value)| {
            let values = objects.iter().filter_map(|(_, fields)| annotation((*fields)?, name));
            let mut values: Vec<&str> = values.collect();
            values.sort_unstable();
            values.dedup();
            let hint = match values.as_slice() {
                [] => format!("no object has the annotation `{name}`"),
                values => format!("its values are {}", at_most(SOME, values)),
            };
            Problem::new(format!("nothing in the set has the annotation `{name}={value}`"))
                .hint(hint)
        });
        patterns
            .map(|pattern| {
                Problem::new(format!("nothing in the set matches `{pattern}`"))
                    .hint(meant(pattern, &keys))
            })
            .chain(selectors)
            .collect()
    }
}
