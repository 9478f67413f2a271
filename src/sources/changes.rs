//! What changes with a source when its pin moves: its files, and the objects that it declares.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Problem;
use crate::kinds::{Key, KindName};
use crate::manifest::imported::Imported;
use crate::manifest::pack::Pack;
use crate::manifest::set::{self, Desired, Input, Set};

/// How something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// It was there, and is another.
    Changed,
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Added => "+",
            Self::Removed => "-",
            Self::Changed => "~",
        })
    }
}

/// A file that differs.
#[derive(Debug, PartialEq, Eq)]
pub struct FileChange {
    /// Its path in the source.
    pub path: String,
    /// How.
    pub change: Change,
    /// Its texts before and after; none where it is not text, or may hold a secret.
    pub texts: Option<(String, String)>,
}

/// What differs between two versions of a source.
#[derive(Debug, Default)]
pub struct Changes {
    /// The files, in the order of their paths.
    pub files: Vec<FileChange>,
    /// The objects, in the order of their keys.
    pub objects: Vec<(String, Change)>,
    /// Why the documents cannot be read that it would have.
    pub problems: Vec<Problem>,
}

impl Changes {
    /// What differs; all of it where nothing was there before.
    #[must_use]
    pub fn between(before: Option<Imported>, after: Imported) -> Self {
        let (old, new) = (before.as_ref().map(|it| it.pack.clone()), after.pack.clone());
        let mut secret = BTreeSet::new();
        let (old_set, _) = before.map(|before| read(before, &mut secret)).unwrap_or_default();
        let (new_set, problems) = read(after, &mut secret);
        // What the documents are that cannot be read is not known.
        let objects = match problems.is_empty() {
            true => objects(&old_set.objects, &new_set.objects),
            false => Vec::new(),
        };
        Self { files: files(old.as_ref(), &new, &secret), objects, problems }
    }

    /// How many files are added, removed and changed.
    #[must_use]
    pub fn counts(&self) -> [(usize, Change); 3] {
        let count = |change| self.files.iter().filter(|file| file.change == change).count();
        [Change::Added, Change::Removed, Change::Changed].map(|change| (count(change), change))
    }
}

/// The set of a source alone; adds the files whose documents may hold a secret.
fn read(imported: Imported, secret: &mut BTreeSet<String>) -> (Set, Vec<Problem>) {
    let shown = imported.shown.clone();
    let project = Some("project".to_owned());
    let imported = vec![Arc::new(imported)];
    match set::read(&Input { imported, project, ..Input::default() }) {
        Ok(set) => {
            for desired in set.objects.values().filter(|it| holds_secrets(it)) {
                let inside = desired.origin.document.source.inside.as_ref();
                secret.extend(inside.map(|inside| inside.path.clone()));
            }
            (set, Vec::new())
        }
        Err(problems) => {
            tracing::debug!("the documents of {shown} cannot be read");
            (Set::default(), problems)
        }
    }
}

fn holds_secrets(desired: &Desired) -> bool {
    desired.key.kind == KindName::Secret
        || desired.origin.document.is_for_secrets()
        || desired.fields.has_secrets()
}

fn objects(old: &BTreeMap<Key, Desired>, new: &BTreeMap<Key, Desired>) -> Vec<(String, Change)> {
    let keys: BTreeSet<&Key> = old.keys().chain(new.keys()).collect();
    let change = |key: &Key| match (old.get(key), new.get(key)) {
        (None, _) => Some(Change::Added),
        (_, None) => Some(Change::Removed),
        (Some(old), Some(new)) => {
            let is_same = old.fields == new.fields && old.lifecycle == new.lifecycle;
            (!is_same).then_some(Change::Changed)
        }
    };
    keys.into_iter().filter_map(|key| Some((key.to_string(), change(key)?))).collect()
}

fn files(old: Option<&Pack>, new: &Pack, secret: &BTreeSet<String>) -> Vec<FileChange> {
    let empty = BTreeMap::new();
    let old: BTreeMap<&str, &[u8]> = old.map_or(empty, |old| old.files().collect());
    let new: BTreeMap<&str, &[u8]> = new.files().collect();
    let paths: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let change = |path: &str| {
        let (before, after) = (old.get(path), new.get(path));
        let change = match (before, after) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            (before, after) if before != after => Change::Changed,
            _ => return None,
        };
        let text = |bytes: Option<&&[u8]>| {
            let bytes = bytes.copied().unwrap_or_default();
            std::str::from_utf8(bytes).ok().map(str::to_owned)
        };
        let shows = |text: &String| !text.contains(SECRET) && !text.contains('\0');
        let texts = text(before).zip(text(after)).filter(|(one, other)| shows(one) && shows(other));
        let texts = texts.filter(|_| !secret.contains(path));
        Some(FileChange { path: path.to_owned(), change, texts })
    };
    paths.into_iter().filter_map(change).collect()
}

/// What stands in a document of a secret, also where it cannot be read or is a template.
const SECRET: &str = "kind: Secret";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::pack::{Packing, Sort};

    fn pack(files: &[(&str, &str)]) -> Pack {
        let mut packing = Packing::of("");
        for (path, text) in files {
            let path = packing.path(path.as_bytes(), Sort::File).unwrap().unwrap();
            packing.add(path, (*text).into()).unwrap();
        }
        packing.done().unwrap()
    }

    #[test]
    fn files_are_compared_by_what_is_in_them() {
        let old = pack(&[("a.yaml", "1"), ("b.yaml", "1"), ("c.yaml", "kind: Secret\nx: 1")]);
        let new = pack(&[("a.yaml", "1"), ("b.yaml", "2"), ("c.yaml", "y"), ("d.yaml", "3")]);
        let secret = BTreeSet::from(["d.yaml".to_owned()]);
        let found = files(Some(&old), &new, &secret);
        let told: Vec<_> =
            found.iter().map(|it| (&*it.path, it.change, it.texts.is_some())).collect();
        let expected = [
            ("b.yaml", Change::Changed, true),
            ("c.yaml", Change::Changed, false),
            ("d.yaml", Change::Added, false),
        ];
        assert_eq!(told, expected);
        assert_eq!(files(Some(&new), &new, &secret), []);
        assert_eq!(files(None, &new, &secret).len(), 4);
    }
}
