//! What changes with a source when its pin moves: its files, and the objects that it declares.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Problem;
use crate::kinds::Key;
use crate::manifest::imported::{Imported, secret_files};
use crate::manifest::pack::Pack;
use crate::manifest::set::{self, Desired, Input, Set};
use crate::manifest::{quoting, walk};

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
        let (old_read, new_read) = (before.map(Read::of), Read::of(after));
        let shows = |path: &str, text: &str| {
            old_read.iter().chain([&new_read]).all(|read| read.shows(path, text))
        };
        let files = files(old.as_ref(), &new, &shows);
        let old_objects = old_read.map(|read| read.set.objects).unwrap_or_default();
        // What the documents are that cannot be read is not known.
        let objects = match new_read.problems.is_empty() {
            true => objects(&old_objects, &new_read.set.objects),
            false => Vec::new(),
        };
        Self { files, objects, problems: new_read.problems }
    }

    /// How many files are added, removed and changed.
    #[must_use]
    pub fn counts(&self) -> [(usize, Change); 3] {
        let count = |change| self.files.iter().filter(|file| file.change == change).count();
        [Change::Added, Change::Removed, Change::Changed].map(|change| (count(change), change))
    }
}

/// The set of a source alone, as far as it can be read.
#[derive(Default)]
struct Read {
    set: Set,
    problems: Vec<Problem>,
    /// The files with documents, and whether one of these holds a secret.
    documents: BTreeMap<String, bool>,
    /// The files that are the contents of secrets.
    secret_files: BTreeSet<String>,
}

impl Read {
    fn of(imported: Imported) -> Self {
        let shown = imported.shown.clone();
        let project = Some("project".to_owned());
        let imported = vec![Arc::new(imported)];
        let set = match set::read(&Input { imported, project, ..Input::default() }) {
            Ok(set) => set,
            Err(problems) => {
                tracing::debug!("the documents of {shown} cannot be read");
                return Self { problems, ..Self::default() };
            }
        };
        let mut read = Self::default();
        for desired in set.objects.values() {
            read.secret_files.extend(secret_files(&desired.fields, &desired.origin));
            let inside = desired.origin.document.source.inside.as_ref();
            if let Some(inside) = inside {
                *read.documents.entry(inside.path.clone()).or_default() |= holds_secrets(desired);
            }
        }
        Self { set, ..read }
    }

    /// Whether lines of a file may be shown. Only where it is known what a file is, it is known
    /// that no secret is in it; of documents that cannot be read, their texts decide.
    fn shows(&self, path: &str, text: &str) -> bool {
        let holds_secrets = || self.documents.values().any(|holds_secrets| *holds_secrets);
        match self.documents.get(path) {
            Some(holds_secrets) => !holds_secrets,
            // It may be what makes the documents, or a secret itself.
            None if !self.problems.is_empty() && !walk::is_manifest(path.as_ref()) => false,
            None if walk::is_of_values(path.as_ref()) && self.problems.is_empty() => {
                !holds_secrets()
            }
            None if walk::is_manifest(path.as_ref()) => !quoting::may_hold_secrets(text),
            None => !self.secret_files.contains(path),
        }
    }
}

fn holds_secrets(desired: &Desired) -> bool {
    desired.key.kind.kind().is_for_secrets()
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

fn files(old: Option<&Pack>, new: &Pack, shows: &dyn Fn(&str, &str) -> bool) -> Vec<FileChange> {
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
        let shows = |text: &str| text.is_empty() || !text.contains('\0') && shows(path, text);
        let texts = text(before).zip(text(after)).filter(|(one, other)| shows(one) && shows(other));
        Some(FileChange { path: path.to_owned(), change, texts })
    };
    paths.into_iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::imported::Allowed;
    use crate::manifest::pack::{Packing, Sort};
    use crate::manifest::values::FileValues;

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
        let old = pack(&[("a.yaml", "1"), ("b.yaml", "1"), ("c.yaml", "0")]);
        let new = pack(&[("a.yaml", "1"), ("b.yaml", "2"), ("c.yaml", "y"), ("d.yaml", "3\0")]);
        let files = |old| files(old, &new, &|path, _| path != "c.yaml");
        let found = files(Some(&old));
        let told: Vec<_> =
            found.iter().map(|it| (&*it.path, it.change, it.texts.is_some())).collect();
        let expected = [
            ("b.yaml", Change::Changed, true),
            ("c.yaml", Change::Changed, false),
            ("d.yaml", Change::Added, false),
        ];
        assert_eq!(told, expected);
        assert_eq!(files(Some(&new)), []);
        assert_eq!(files(None).len(), 4);
    }

    /// The files of these of which lines are shown when they are new.
    fn shown(files: &[(&str, &str)]) -> Vec<String> {
        let imported = |files: &[(&str, &str)]| Imported {
            name: "s".to_owned(),
            shown: "s".to_owned(),
            pack: pack(files),
            values: FileValues::default(),
            over: None,
            allowed: Allowed::default(),
            project_file: "meshagent.yaml".into(),
        };
        let before = imported(&[("old.md", "")]);
        let changes = Changes::between(Some(before), imported(files));
        let shown = changes.files.into_iter().filter(|it| it.texts.is_some());
        shown.map(|it| it.path).filter(|path| path != "old.md").collect()
    }

    #[test]
    fn no_line_is_shown_that_may_be_of_a_secret() {
        let room = ("room.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\n");
        let secret = "version: v1\nkind: \"Secret\"\nmetadata: {name: s}\ndata: {A: hunter2}\n";
        let of_file =
            "version: v1\nkind: Secret\nmetadata: {name: t}\ndata: {A: {from: {file: a.md}}}\n";
        assert_eq!(shown(&[room, ("a.md", "text")]), ["a.md", "room.yaml"]);
        assert_eq!(shown(&[room, ("secret.yaml", secret), ("b.md", "")]), ["b.md", "room.yaml"]);
        assert_eq!(shown(&[room, ("of.yaml", of_file), ("a.md", "hunter2")]), ["room.yaml"]);
        // What cannot be read keeps nothing from being hidden.
        for (name, broken) in [
            ("x.yaml", "kind: \"Secret\"\nmetadata: {name: s}\ndat: {A: hunter2}\n"),
            ("x.yaml", "? kind\n: Secret\ndata: {A: hunter2\n"),
            ("x.yaml", "version: v1\nkind: &x Secret\nmetadata: {name: s}\ndat: 1\n"),
            ("x.json", "{\"kind\":\"Secret\",\"data\":{\"A\":\"hunter2\"}"),
            ("x.yaml.j2", "kind: {{ kind }}\ndata: {A: hunter2}\n"),
            ("meshagent.yaml", "version: v1\nsources: {}\nvalues: {password: hunter2}\n"),
        ] {
            assert_eq!(shown(&[room, (name, broken), ("a.md", "text")]), ["room.yaml"], "{broken}");
        }
    }
}
