//! Where objects are declared, so that a set knows later what it looked at: the file of a
//! document, written so that it means the same on another machine.
//!
//! A file of a Git repository is named from the repository's root, any other from the working
//! folder, and one outside of it from the root of the file system.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::repository;
use super::source::RENDERED;

/// The name of standard input, as it is given and as it is kept.
const STANDARD_INPUT: &str = "-";

/// The file that declares an object, or `-` for standard input. Parts are separated by `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeclaredIn {
    file: Arc<str>,
    /// Where the file's Git repository comes from, such as `github.com/acme/support`, where it
    /// says so: a file of the same name in another repository is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repository: Option<Arc<str>>,
}

impl DeclaredIn {
    /// The file of a source, by the name under which it was read.
    #[must_use]
    pub fn source(name: &str) -> Self {
        if name == STANDARD_INPUT {
            return Self { file: STANDARD_INPUT.into(), repository: None };
        }
        Self::path(Path::new(name.trim_end_matches(RENDERED)))
    }

    /// A path below what was given.
    fn path(path: &Path) -> Self {
        let absolute = absolute(path);
        let here = std::env::current_dir().unwrap_or_default();
        let repository = repository::around(&absolute);
        let base = repository.unwrap_or(&here);
        let path = absolute.strip_prefix(base).unwrap_or(&absolute);
        Self {
            file: path.to_string_lossy().into(),
            repository: repository.and_then(repository::origin).map(Into::into),
        }
    }

    /// Whether it is this file, or lies in this folder.
    fn is_within(&self, other: &Self) -> bool {
        if let (Some(one), Some(other)) = (&self.repository, &other.repository)
            && one != other
        {
            return false;
        }
        if other.file.is_empty() {
            return !self.file.starts_with('/') && *self.file != *STANDARD_INPUT;
        }
        let below = || self.file.strip_prefix(&*other.file)?.strip_prefix('/');
        self.file == other.file || below().is_some()
    }

    /// The folder in which it lies, as people name it; a file at the top by its own name.
    #[must_use]
    pub fn folder(&self) -> String {
        match self.file.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/"),
            None => self.to_string(),
        }
    }

    /// The folder, with its repository where that is not the one of what was looked at.
    #[must_use]
    pub fn folder_beside(&self, looked_at: &LookedAt) -> String {
        let is_other = |repository: &&Arc<str>| {
            looked_at
                .roots
                .iter()
                .any(|root| root.repository.as_ref().is_some_and(|it| it != *repository))
        };
        match self.repository.as_ref().filter(is_other) {
            Some(repository) => format!("{} of {repository}", self.folder()),
            None => self.folder(),
        }
    }
}

impl fmt::Display for DeclaredIn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.file {
            STANDARD_INPUT => out.write_str("standard input"),
            path => out.write_str(path),
        }
    }
}

/// What a command looked at: the files and folders that it was given, without what it
/// skipped in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LookedAt {
    roots: Vec<DeclaredIn>,
    skipped: Vec<DeclaredIn>,
}

impl LookedAt {
    /// These files and folders, `-` for standard input.
    #[must_use]
    pub fn new(roots: &[PathBuf]) -> Self {
        let root = |path: &PathBuf| match path.as_os_str() == STANDARD_INPUT {
            true => DeclaredIn::source(STANDARD_INPUT),
            false => DeclaredIn::path(path),
        };
        Self { roots: roots.iter().map(root).collect(), skipped: Vec::new() }
    }

    /// The same without these files and folders, which were not read.
    #[must_use]
    pub fn without<'a>(mut self, skipped: impl Iterator<Item = &'a Path>) -> Self {
        self.skipped.extend(skipped.map(DeclaredIn::path));
        self
    }

    /// Why a file was not looked at; `None` when it was, also where it is gone by now.
    #[must_use]
    pub fn miss(&self, file: &DeclaredIn) -> Option<Miss> {
        if self.skipped.iter().any(|skipped| file.is_within(skipped)) {
            return Some(Miss::Skipped);
        }
        let is_read = self.roots.iter().any(|root| file.is_within(root));
        (!is_read).then_some(Miss::NotGiven)
    }
}

/// Why a file was not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Miss {
    /// It lies in nothing that was given.
    NotGiven,
    /// It lies in what was given, and was skipped there.
    Skipped,
}

/// The path from the root of the file system, without `.` and `..`. Links stay as they are:
/// what counts is the name under which a file is read.
fn absolute(path: &Path) -> PathBuf {
    let from_root = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    from_root.components().fold(PathBuf::new(), |mut clean, part| {
        match part {
            Component::ParentDir => drop(clean.pop()),
            Component::CurDir => {}
            part => clean.push(part),
        }
        clean
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared_in(path: &str) -> DeclaredIn {
        DeclaredIn { file: path.into(), repository: None }
    }

    fn looked_at(roots: &[&str], skipped: &[&str]) -> LookedAt {
        let all = |paths: &[&str]| paths.iter().map(|path| declared_in(path)).collect();
        LookedAt { roots: all(roots), skipped: all(skipped) }
    }

    #[test]
    fn a_folder_covers_what_is_in_it_and_nothing_beside_it() {
        let looked = looked_at(&["manifests", "one.yaml"], &["manifests/old", "manifests/x.yaml"]);
        for (file, miss) in [
            ("manifests/rooms.yaml", None),
            ("manifests/deep/down/rooms.yaml", None),
            ("one.yaml", None),
            ("manifests2/rooms.yaml", Some(Miss::NotGiven)),
            ("two.yaml", Some(Miss::NotGiven)),
            ("-", Some(Miss::NotGiven)),
            ("/manifests/rooms.yaml", Some(Miss::NotGiven)),
            ("manifests/old/rooms.yaml", Some(Miss::Skipped)),
            ("manifests/older/rooms.yaml", None),
            ("manifests/x.yaml", Some(Miss::Skipped)),
        ] {
            assert_eq!(looked.miss(&declared_in(file)), miss, "{file}");
        }
    }

    #[test]
    fn the_top_folder_covers_all_but_what_is_elsewhere() {
        let looked = looked_at(&[""], &[]);
        assert_eq!(looked.miss(&declared_in("a/b.yaml")), None);
        assert_eq!(looked.miss(&declared_in("/elsewhere/b.yaml")), Some(Miss::NotGiven));
        assert_eq!(looked.miss(&declared_in("-")), Some(Miss::NotGiven));
        assert_eq!(looked_at(&["-"], &[]).miss(&declared_in("-")), None);
        assert_eq!(looked_at(&["-"], &[]).miss(&declared_in("a.yaml")), Some(Miss::NotGiven));
    }

    #[test]
    fn files_of_a_repository_are_named_from_its_root_wherever_it_lies() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("checkout");
        std::fs::create_dir_all(root.join(".git")).expect("a repository");
        let name = |path: &str| DeclaredIn::path(&root.join(path)).to_string();
        assert_eq!(name("deploy/rooms.yaml"), "deploy/rooms.yaml");
        assert_eq!(name("deploy/./../deploy//rooms.yaml"), "deploy/rooms.yaml");
        assert_eq!(name(""), "");
        let outside = folder.path().join("rooms.yaml");
        assert_eq!(DeclaredIn::path(&outside).to_string(), outside.display().to_string());
        let rendered = DeclaredIn::source(&format!("{}{RENDERED}", root.join("a.j2").display()));
        assert_eq!(rendered.to_string(), "a.j2");
        assert_eq!(DeclaredIn::source("-").to_string(), "standard input");
    }

    #[test]
    fn the_same_file_of_another_repository_is_another_one() {
        let of = |repository: Option<&str>| DeclaredIn {
            file: "manifests/a.yaml".into(),
            repository: repository.map(Into::into),
        };
        let mut looked = looked_at(&["manifests"], &[]);
        looked.roots[0].repository = Some("github.com/acme/support".into());
        assert_eq!(looked.miss(&of(Some("github.com/acme/support"))), None);
        assert_eq!(looked.miss(&of(None)), None);
        let other = of(Some("github.com/acme/sales"));
        assert_eq!(looked.miss(&other), Some(Miss::NotGiven));
        assert_eq!(other.folder_beside(&looked), "manifests/ of github.com/acme/sales");
        assert_eq!(of(Some("github.com/acme/support")).folder_beside(&looked), "manifests/");
    }

    #[test]
    fn a_folder_is_named_as_people_name_it() {
        for (file, folder) in
            [("a/b/c.yaml", "a/b/"), ("c.yaml", "c.yaml"), ("-", "standard input")]
        {
            assert_eq!(declared_in(file).folder(), folder);
        }
    }
}
