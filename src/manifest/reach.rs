//! How far manifests reach: which files they may name, and where their links may lead. Whoever
//! proposes a manifest decides what it names, and whoever runs the program reads it; so
//! nothing is read but what lies beside the manifests, or where the user says.

use std::path::{Component, Path, PathBuf};

use super::repository;
use crate::error::Problem;

/// Folders in which credentials lie, also below a folder whose files may be read.
const CLOSED: [&str; 2] = [".git", ".meshagent"];

/// The folders whose files may be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    roots: Vec<PathBuf>,
    /// What a shell gave this process open, which may be anywhere.
    given: Vec<PathBuf>,
}

/// A file that may not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// Where it really is, as far as that may be told.
    real: PathBuf,
    /// Whether a link leads there.
    is_link: bool,
}

impl Reach {
    /// The reach of manifests that are given by these paths: of each the Git repository in
    /// which it lies, else its folder; and the folders that the user allows.
    #[must_use]
    pub fn of(paths: &[PathBuf], allowed: &[PathBuf]) -> Self {
        let mut reach = Self::default();
        for path in paths {
            let path = if path.as_os_str() == "-" { Path::new(".") } else { path };
            if crate::bounded::is_open(path) {
                reach.given.push(path.to_owned());
                continue;
            }
            let Ok(path) = std::path::absolute(path) else { continue };
            let folder = if path.is_dir() { &path } else { path.parent().unwrap_or(&path) };
            let Ok(real) = folder.canonicalize() else { continue };
            let repository = repository::around(folder).or_else(|| repository::around(&real));
            match repository.and_then(narrow) {
                // The folder counts by itself, too: a closed one may be meant.
                Some(root) if real.starts_with(&root) => reach.roots.extend([root, real]),
                Some(root) => reach.roots.push(root),
                None => reach.roots.push(real),
            }
        }
        reach.roots.extend(allowed.iter().filter_map(|folder| folder.canonicalize().ok()));
        reach.roots.sort();
        reach.roots.dedup();
        reach
    }

    /// Whether the file that a path leads to may be read.
    ///
    /// # Errors
    ///
    /// Where it lies instead.
    pub fn check(&self, path: &Path) -> Result<(), Outside> {
        let real = real(path);
        let is_open = |root: &PathBuf| {
            real.strip_prefix(root).is_ok_and(|below| {
                let mut names = below.components().map(Component::as_os_str);
                !names.any(|name| CLOSED.iter().any(|closed| name == *closed))
            })
        };
        if self.roots.iter().any(is_open) || self.given.iter().any(|given| given == path) {
            return Ok(());
        }
        let is_link = path.symlink_metadata().is_ok_and(|about| about.is_symlink());
        Err(Outside { real, is_link })
    }
}

impl Outside {
    /// The folder that would have to be allowed.
    fn folder(&self) -> &Path {
        if self.real.is_dir() { &self.real } else { self.real.parent().unwrap_or(&self.real) }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        format!("--allow-files {} lets manifests read what is there", self.folder().display())
    }

    /// What is wrong with the file of this path.
    #[must_use]
    pub fn message(&self, path: &Path) -> String {
        let (path, real) = (path.display(), self.real.display());
        let outside = "outside of the manifests' folder and repository, and nothing there is read without consent";
        match self.is_link {
            true => format!("{path}: the link leads to {real}, which is {outside}"),
            false => format!("{path} is {outside}"),
        }
    }

    /// The problem of a file that was to be read as a manifest, or for one.
    #[must_use]
    pub fn problem(&self, path: &Path) -> Problem {
        Problem::new(self.message(path)).hint(self.hint())
    }
}

/// The root of a repository, unless so much else lies below it that it says nothing: the home
/// folder, or one above it.
fn narrow(root: &Path) -> Option<PathBuf> {
    let root = root.canonicalize().ok()?;
    let home = std::env::home_dir().and_then(|home| home.canonicalize().ok());
    let is_wide = root.parent().is_none() || home.is_some_and(|home| home.starts_with(&root));
    (!is_wide).then_some(root)
}

/// Where a path really leads. Of what is not there, the part that is: whether a file outside
/// exists is not told either.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut above = absolute.as_path();
    loop {
        if let Ok(real) = above.canonicalize() {
            let rest = absolute.strip_prefix(above).unwrap_or(Path::new(""));
            return lexical(&real, rest);
        }
        match above.parent() {
            Some(parent) => above = parent,
            None => return absolute,
        }
    }
}

/// A path below a folder, with its `..` taken.
fn lexical(folder: &Path, rest: &Path) -> PathBuf {
    let mut path = folder.to_owned();
    for part in rest.components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(files: &[&str]) -> Self {
            let tree = Self(tempfile::tempdir().unwrap());
            for file in files {
                let path = tree.path(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, "x").unwrap();
            }
            tree
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn may_read(&self, given: &str, allowed: &[&str], file: &str) -> bool {
            let allowed: Vec<_> = allowed.iter().map(|folder| self.path(folder)).collect();
            Reach::of(&[self.path(given)], &allowed).check(&self.path(file)).is_ok()
        }
    }

    #[test]
    fn without_a_repository_the_folder_is_the_reach() {
        let tree = Tree::new(&["m/a.yaml", "m/below/t", "secret", "other/t"]);
        symlink("../secret", tree.path("m/out")).unwrap();
        symlink("below", tree.path("m/in")).unwrap();
        for given in ["m", "m/a.yaml"] {
            for file in ["m/a.yaml", "m/below/t", "m/in/t", "m/none", "m/below/../a.yaml"] {
                assert!(tree.may_read(given, &[], file), "{given} {file}");
            }
            for file in ["m/out", "secret", "m/../secret", "other/t", "m/none/../../../secret"] {
                assert!(!tree.may_read(given, &[], file), "{given} {file}");
            }
            assert!(tree.may_read(given, &["other"], "other/t"));
            assert!(!tree.may_read(given, &["other"], "secret"));
        }
    }

    #[test]
    fn in_a_repository_all_of_it_is_the_reach_but_its_credentials() {
        let tree =
            Tree::new(&["r/.git/config", "r/m/a.yaml", "r/t", "r/.meshagent/key", "o/t", "t"]);
        symlink("../../t", tree.path("r/m/out")).unwrap();
        symlink("../o", tree.path("r/linked")).unwrap();
        for file in ["r/t", "r/m/../t", "r/m/a.yaml"] {
            assert!(tree.may_read("r/m", &[], file), "{file}");
        }
        for file in ["r/.git/config", "r/.meshagent/key", "r/m/out", "o/t", "r/linked/t"] {
            assert!(!tree.may_read("r/m", &[], file), "{file}");
        }
        // A folder that is named and that a link replaced is none of the repository's.
        assert!(!tree.may_read("r/linked", &[], "r/linked/t"));
        assert!(tree.may_read("r/linked", &["o"], "r/linked/t"));
        // What is named itself is meant, wherever in the repository it lies.
        assert!(tree.may_read("r/.meshagent", &[], "r/.meshagent/key"));
    }

    #[test]
    fn what_is_told_does_not_tell_whether_a_file_exists() {
        let tree = Tree::new(&["m/a.yaml", "secret"]);
        let reach = Reach::of(&[tree.path("m")], &[]);
        let told = |file: &str| {
            let path = tree.path(file);
            reach.check(&path).unwrap_err().message(&path).replace(file, "FILE")
        };
        assert_eq!(told("secret"), told("none"));
    }
}
