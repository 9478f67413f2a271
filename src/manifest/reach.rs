//! How far manifests reach: which files they may name, and where their links may lead. The author
//! of a manifest decides what it names, but the user who runs the program reads it. So only files
//! beside the manifests are read, or where the user allows it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use super::repository;
use super::values::BESIDE;
use crate::error::Problem;

/// Folders in which credentials lie, also below a folder whose files may be read.
const CLOSED: [&str; 2] = [".git", ".meshagent"];

/// How many links are followed, as by Linux.
const LINKS: usize = 40;

/// What of the file system may be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    roots: Vec<Root>,
    /// What a shell gave this process open, which may be anywhere.
    given: Vec<PathBuf>,
}

/// A folder with what is below it, or a file; where it really is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Root {
    path: PathBuf,
    /// Whether so much is below it that hidden files there are not part of it.
    is_wide: bool,
}

/// A file that may not be read. Messages do not say where a link leads, or whether anything is
/// there: the author of the link would learn it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// Whether a link leads there.
    pub is_link: bool,
    /// The folder that was written, where none does.
    folder: PathBuf,
}

impl Reach {
    /// The reach of manifests that are given by these paths: of each the Git repository in
    /// which it lies, else its folder, unless a link in the working folder leads to it; and the folders that the user allows. In the home
    /// folder a file reaches itself and its values alone. A folder that is the home folder, or
    /// one above it, reaches nothing that is hidden.
    #[must_use]
    pub fn of(paths: &[PathBuf], allowed: &[PathBuf]) -> Self {
        let mut reach = Self::default();
        for path in paths {
            let path = if path.as_os_str() == "-" { Path::new(".") } else { path };
            if crate::bounded::is_open(path) {
                reach.given.push(path.to_owned());
                continue;
            }
            let Some(path) = without_dots(path) else { continue };
            let folder = if path.is_dir() { &path } else { path.parent().unwrap_or(&path) };
            let Ok(real) = folder.canonicalize() else { continue };
            let repository = repository::around(folder).or_else(|| repository::around(&real));
            if repository.is_none()
                && let Some(here) = left_by_link(folder, &real)
            {
                reach.add([here]);
                continue;
            }
            match repository.and_then(narrow) {
                // The folder counts by itself, too: a closed one may be meant.
                Some(root) if real.starts_with(&root) => reach.add([root, real]),
                Some(root) => reach.add([root]),
                None if !is_wide(&real) => reach.add([real]),
                None if folder == path || !is_home(&real) => {
                    reach.roots.push(Root { path: real, is_wide: true });
                }
                None => {
                    let values = BESIDE.map(|name| real.join(name));
                    reach.add(path.file_name().map(|name| real.join(name)));
                    reach.add(values);
                }
            }
        }
        reach.add(allowed.iter().filter_map(|folder| folder.canonicalize().ok()));
        reach.roots.sort();
        reach.roots.dedup();
        reach
    }

    fn add(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        self.roots.extend(paths.into_iter().map(|path| Root { path, is_wide: false }));
    }

    /// Where the file that a path leads to really is, if it may be read; what is read is read
    /// there. Nothing is looked at but links, so it makes no difference what is there.
    ///
    /// # Errors
    ///
    /// It may not be read.
    pub fn resolve(&self, path: &Path) -> Result<PathBuf, Outside> {
        if self.given.iter().any(|given| given == path) {
            return Ok(path.to_owned());
        }
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut parts: VecDeque<OsString> = names(&absolute).collect();
        let mut real = PathBuf::from("/");
        let (mut links, mut is_link) = (0, false);
        while let Some(part) = parts.pop_front() {
            if part == ".." {
                real.pop();
                continue;
            }
            let next = real.join(&part);
            match next.read_link() {
                Ok(target) if links < LINKS => {
                    links += 1;
                    is_link |= self.holds(&next);
                    if target.is_absolute() {
                        real = PathBuf::from("/");
                    }
                    for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
                        parts.push_front(name);
                    }
                }
                _ => real = next,
            }
        }
        if self.holds(&real) {
            return Ok(real);
        }
        let written = lexical(&absolute);
        Err(Outside { is_link, folder: written.parent().unwrap_or(&written).to_owned() })
    }

    /// Whether the file that a path leads to may be read.
    ///
    /// # Errors
    ///
    /// As [`Reach::resolve`].
    pub fn check(&self, path: &Path) -> Result<(), Outside> {
        self.resolve(path).map(drop)
    }

    /// Whether what really is at a path may be read.
    fn holds(&self, real: &Path) -> bool {
        self.roots.iter().any(|root| {
            real.strip_prefix(&root.path).is_ok_and(|below| {
                let mut names = below.components().map(Component::as_os_str);
                let is_closed = |name: &OsStr| {
                    CLOSED.iter().any(|closed| name == *closed)
                        || root.is_wide && name.as_encoded_bytes().starts_with(b".")
                };
                !names.any(is_closed)
            })
        })
    }
}

impl Outside {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self.is_link {
            true => "put the file itself there, or add --allow-files FOLDER, with the folder that the link leads to, to let manifests read the files in it".to_owned(),
            false => {
                format!("add --allow-files {} to let manifests read the files there", self.folder.display())
            }
        }
    }

    /// What is wrong with the file of this path.
    #[must_use]
    pub fn message(&self, path: &Path) -> String {
        let path = path.display();
        let outside =
            "outside of the manifests' folder and repository, and reading there is not allowed";
        match self.is_link {
            true => format!("{path}: the link leads {outside}"),
            false => format!("{path} is {outside}"),
        }
    }

    /// The problem of a file that was to be read as a manifest, or for one.
    #[must_use]
    pub fn problem(&self, path: &Path) -> Problem {
        Problem::new(self.message(path)).hint(self.hint())
    }
}

/// The working folder, if a link in it leads from there to a folder that was given: somebody else
/// may have made the link, as in a checkout. In the home folder all links are the user's own.
fn left_by_link(folder: &Path, real: &Path) -> Option<PathBuf> {
    let here = std::env::current_dir().ok().filter(|here| !is_wide(here))?;
    let is_left = folder.starts_with(&here) && !real.starts_with(&here);
    is_left.then_some(here)
}

/// The root of a repository, unless so much else lies below it that it says nothing.
fn narrow(root: &Path) -> Option<PathBuf> {
    root.canonicalize().ok().filter(|root| !is_wide(root))
}

fn home() -> Option<PathBuf> {
    std::env::home_dir().and_then(|home| home.canonicalize().ok())
}

/// Whether a folder is the home folder, or the root of all.
fn is_home(real: &Path) -> bool {
    real.parent().is_none() || home().is_some_and(|home| home == real)
}

/// Whether a folder is the home folder, or one above it.
fn is_wide(real: &Path) -> bool {
    real.parent().is_none() || home().is_some_and(|home| home.starts_with(real))
}

/// The names of a path, and its `..`.
fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
        _ => None,
    })
}

/// An absolute path with its `..` taken as it is written.
fn lexical(absolute: &Path) -> PathBuf {
    names(absolute).fold(PathBuf::from("/"), |mut path, name| {
        if name == ".." {
            path.pop();
        } else {
            path.push(name);
        }
        path
    })
}

/// A path that the user gave, with its `..` taken as the system does.
fn without_dots(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let mut plain = PathBuf::from("/");
    for name in names(&absolute) {
        if name == ".." {
            plain = plain.canonicalize().ok()?;
            plain.pop();
        } else {
            plain.push(name);
        }
    }
    Some(plain)
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
        let tree = Tree::new(&[
            "r/.git/HEAD",
            "r/.git/config",
            "r/m/a.yaml",
            "r/t",
            "r/.meshagent/key",
            "o/t",
            "t",
        ]);
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
        let tree = Tree::new(&["m/a.yaml", "secret", "d1r/x", "closed/x"]);
        let reach = Reach::of(&[tree.path("m")], &[]);
        let told = |file: &str| {
            let path = tree.path(file);
            let outside = reach.check(&path).unwrap_err();
            format!("{} {}", outside.message(&path), outside.hint()).replace(file, "FILE")
        };
        assert_eq!(told("secret"), told("none"));
        assert_eq!(told("secret"), told("d1r"));
        let through = |target: &str| {
            let link = tree.path("m/link");
            let _ = std::fs::remove_file(&link);
            symlink(target, &link).unwrap();
            assert!(!told("m/link").contains(target.trim_start_matches("../")));
            told("m/link")
        };
        let first = through("../secret");
        assert!(first.contains("the link leads outside"), "{first}");
        for target in
            ["../none", "../d1r", "../d1r/none/x", "/proc/self/exe", "/root/.ssh/id", "../closed"]
        {
            assert_eq!(through(target), first, "{target}");
        }
        // A way out and back in depends on nothing that is there.
        for (target, inside) in [("../none/../m/a.yaml", true), ("../d1r/../m/a.yaml", true)] {
            symlink(target, tree.path("m/back")).unwrap();
            let real = reach.resolve(&tree.path("m/back"));
            assert_eq!(real.is_ok(), inside, "{target}");
            assert!(real.unwrap().ends_with("m/a.yaml"));
            std::fs::remove_file(tree.path("m/back")).unwrap();
        }
        symlink("ring", tree.path("m/ring")).unwrap();
        assert!(reach.resolve(&tree.path("m/ring")).is_ok(), "the system tells of it");
    }

    #[test]
    fn what_is_given_by_a_path_with_dots_lies_where_it_leads() {
        let tree = Tree::new(&["r/.git/HEAD", "r/in/a.yaml", "infra/a.yaml", "infra/t", "t"]);
        symlink("../infra", tree.path("r/linked")).unwrap();
        assert!(tree.may_read("r/../infra", &[], "infra/t"));
        assert!(tree.may_read("r/in/../../infra/a.yaml", &[], "infra/t"));
        assert!(!tree.may_read("r/../infra", &[], "t"));
        assert!(!tree.may_read("r/../infra", &[], "r/in/a.yaml"));
        assert!(tree.may_read("infra/../r/in", &[], "r/in/a.yaml"));
        // As the system takes it, `..` is above what a link leads to.
        assert!(tree.may_read("r/linked/../infra", &[], "infra/t"));
    }

    #[test]
    fn in_a_wide_folder_a_file_reaches_itself_and_a_folder_what_is_not_hidden() {
        let root = Path::new("/");
        let file = Reach::of(&[PathBuf::from("/a.yaml")], &[]);
        assert_eq!(file.roots.len(), 3);
        assert!(file.check(Path::new("/a.yaml")).is_ok());
        assert!(file.check(Path::new("/values.yaml")).is_ok());
        assert!(file.check(Path::new("/b.yaml")).is_err());
        let folder = Reach::of(&[root.to_owned()], &[]);
        assert!(folder.check(Path::new("/x/b.yaml")).is_ok());
        for hidden in ["/.x", "/x/.aws/credentials", "/.git/config"] {
            assert!(folder.check(Path::new(hidden)).is_err(), "{hidden}");
        }
    }
}
