//! Where objects are declared, so that a set later knows what it read: the file of a document,
//! written so that it means the same on another machine.
//!
//! A file in a Git repository is named relative to the repository's root, and the repository by its
//! origin. Any other file is named by its full path on this machine. So a file of the same name
//! elsewhere is never mistaken for it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use super::repository;
use crate::bounded::is_open;
use crate::error::RENDERED;

/// The name of standard input, as it is given and as it is kept.
const STANDARD_INPUT: &str = "-";

/// What is recorded for a pipe that a shell opened, such as with `<(…)`. Its number says nothing:
/// the next command's pipe has the same one, with other content. So it never counts as read again.
const PIPE: &str = "-|";

/// Whether a path that was given, or the name of a source, means standard input.
#[must_use]
pub fn is_standard_input(name: &str) -> bool {
    [STANDARD_INPUT, "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"].contains(&name)
}

/// The name of a source that can be read only once, if it is one: it has no file.
#[must_use]
pub fn stream(name: &str) -> Option<&'static str> {
    match name {
        name if is_standard_input(name) => Some("standard input"),
        name if is_open(Path::new(name)) => Some("a pipe"),
        _ => None,
    }
}

/// The file that declares an object, or `-` for standard input. Parts are separated by `/`. For an
/// object of a source it is the project file that names the source, whatever version of it and
/// whichever of its files: a source is read as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeclaredIn {
    file: Arc<str>,
    /// The origin of the file's Git repository, such as `github.com/acme/support`, or the
    /// repository's folder if it has no origin.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "canonical")]
    repository: Option<Arc<str>>,
    /// The checkout of the repository in which it was last read, so that it is recognized when the
    /// repository gets another origin. In another checkout it is still the same file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkout: Option<Arc<str>>,
    /// The source of the project file that declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Arc<str>>,
}

/// What is kept may have been told in another spelling.
fn canonical<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<str>>, D::Error> {
    let kept = Option::<String>::deserialize(from)?;
    Ok(kept.map(|kept| repository::canonical(&kept).into()))
}

impl PartialEq for DeclaredIn {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for DeclaredIn {}

impl PartialOrd for DeclaredIn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DeclaredIn {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.file, &self.repository, &self.source).cmp(&(
            &other.file,
            &other.repository,
            &other.source,
        ))
    }
}

impl DeclaredIn {
    /// Standard input.
    fn standard_input() -> Self {
        Self { file: STANDARD_INPUT.into(), repository: None, checkout: None, source: None }
    }

    /// Whether it is this file and was read in the same checkout.
    #[must_use]
    pub fn is_read_as(&self, other: &Self) -> bool {
        self == other && self.checkout == other.checkout
    }

    /// A pipe.
    fn pipe() -> Self {
        Self { file: PIPE.into(), repository: None, checkout: None, source: None }
    }

    /// Its path, if its name contains it: without a repository, or in one without an origin.
    fn path(&self) -> Option<PathBuf> {
        let path = match &self.repository {
            None => PathBuf::from(&*self.file),
            Some(repository) => Path::new(&**repository).join(&*self.file),
        };
        path.is_absolute().then_some(path)
    }

    /// Whether it is in a repository, which distinguishes it from other files of its name.
    #[must_use]
    pub fn is_in_repository(&self) -> bool {
        self.repository.is_some()
    }

    /// Whether it is this file, or lies in this folder.
    fn is_within(&self, other: &Self) -> bool {
        self.repository == other.repository && self.is_below(other)
    }

    /// The same of two names in one repository.
    fn is_below(&self, other: &Self) -> bool {
        let folder = other.file.trim_end_matches('/');
        let below = || self.file.strip_prefix(folder)?.strip_prefix('/');
        self.file == other.file
            || other.file.is_empty() && ![STANDARD_INPUT, PIPE].contains(&&*self.file)
            || below().is_some()
    }

    /// The file, relative to the working folder if it is below it.
    #[must_use]
    pub fn seen_from(&self, looked_at: &LookedAt) -> &str {
        let here = looked_at.here.to_string_lossy();
        let below = || self.file.strip_prefix(&*here)?.strip_prefix('/');
        below().unwrap_or(&self.file)
    }

    /// The folder that it is in, as a user would name it: relative to the working folder if it is
    /// below it, and with its repository if that is another one. A file at the top is shown by its
    /// own name.
    #[must_use]
    pub fn folder(&self, looked_at: &LookedAt) -> String {
        let file = self.seen_from(looked_at);
        if let Some(source) = &self.source {
            return format!("the source `{source}` of {file}");
        }
        let folder = match file.rsplit_once('/') {
            _ if *file == *STANDARD_INPUT => "standard input".to_owned(),
            _ if *file == *PIPE => "a pipe".to_owned(),
            Some((folder, _)) => format!("{folder}/"),
            None => file.to_owned(),
        };
        let is_there = |it: &Root| it.place.repository == self.repository;
        match &self.repository {
            Some(repository) if !looked_at.roots.iter().any(is_there) => {
                format!("{folder} of {repository}")
            }
            _ => folder,
        }
    }
}

impl fmt::Display for DeclaredIn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            return write!(out, "the source {source} of {}", self.file);
        }
        match &*self.file {
            STANDARD_INPUT => out.write_str("standard input"),
            PIPE => out.write_str("a pipe"),
            path => out.write_str(path),
        }
    }
}

/// Works out where files belong, each folder once.
#[derive(Debug, Default)]
pub struct Places {
    /// The repository of each folder.
    folders: BTreeMap<PathBuf, Around>,
}

/// The repository around a folder, if there is one.
#[derive(Debug, Clone, Default)]
struct Around {
    /// The folder that names of its files start from.
    base: PathBuf,
    repository: Option<Arc<str>>,
    checkout: Option<Arc<str>>,
}

impl Places {
    /// The file of a source, by the name under which it was read.
    #[must_use]
    pub fn of_source(&mut self, name: &str) -> DeclaredIn {
        match name {
            STANDARD_INPUT => DeclaredIn::standard_input(),
            name if is_standard_input(name) => DeclaredIn::standard_input(),
            name if is_open(Path::new(name)) => DeclaredIn::pipe(),
            name => self.of_path(Path::new(name.trim_end_matches(RENDERED))).place,
        }
    }

    /// A source, by the project file that names it.
    #[must_use]
    pub fn of_imported(&mut self, project_file: &Path, name: &str) -> DeclaredIn {
        DeclaredIn { source: Some(name.into()), ..self.of_path(project_file).place }
    }

    /// A path below what was given.
    fn of_path(&mut self, path: &Path) -> Root {
        let absolute = absolute(path);
        // A folder may be the root of a repository itself.
        let folder = match absolute.is_dir() {
            true => absolute.clone(),
            false => absolute.parent().unwrap_or(&absolute).to_owned(),
        };
        let Around { base, repository, checkout } =
            self.folders.entry(folder).or_insert_with_key(|folder| {
                match repository::around(folder) {
                    Some(root) => {
                        let origin = repository::origin(root);
                        let named = origin.unwrap_or_else(|| root.to_string_lossy().into_owned());
                        Around {
                            base: root.to_owned(),
                            repository: Some(named.into()),
                            checkout: repository::checkout(root).map(Arc::from),
                        }
                    }
                    None => Around::default(),
                }
            });
        let file = absolute.strip_prefix(&*base).unwrap_or(&absolute);
        Root {
            place: DeclaredIn {
                file: file.to_string_lossy().into(),
                repository: repository.clone(),
                checkout: checkout.clone(),
                source: None,
            },
            base: base.clone(),
        }
    }
}

/// Something that was read, and the folder that its name is relative to on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Root {
    place: DeclaredIn,
    base: PathBuf,
}

impl Root {
    /// Whether a file is this one or lies in this folder, also under the name that it had
    /// before its folder became a repository, or the repository got another origin.
    fn holds(&self, file: &DeclaredIn) -> bool {
        let place = &self.place;
        let is_same_checkout = place.checkout.is_some() && place.checkout == file.checkout;
        file.is_within(place)
            || is_same_checkout && file.is_below(place)
            || file.path().is_some_and(|path| path.starts_with(self.base.join(&*place.file)))
    }
}

/// What a command read: the files and folders that it was given, without what it skipped in
/// them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LookedAt {
    roots: Vec<Root>,
    skipped: Vec<Root>,
    /// The project file, if all of its sources were read.
    project_file: Option<Root>,
    /// Files that were not given and do not exist any more, with whether their folder does.
    gone: BTreeMap<DeclaredIn, bool>,
    /// The working folder.
    here: PathBuf,
    /// Whether anything was given, and be it a pipe, which is never looked at again.
    is_given: bool,
}

impl LookedAt {
    /// These files and folders, `-` for standard input.
    #[must_use]
    pub fn new(roots: &[PathBuf]) -> Self {
        let mut places = Places::default();
        let input = || Root { place: DeclaredIn::standard_input(), base: PathBuf::new() };
        let root = |path: &PathBuf| match path {
            path if path.to_str().is_some_and(is_standard_input) => Some(input()),
            path if is_open(path) => None,
            path => Some(places.of_path(path)),
        };
        Self {
            roots: roots.iter().filter_map(root).collect(),
            here: std::env::current_dir().unwrap_or_default(),
            is_given: !roots.is_empty(),
            ..Self::default()
        }
    }

    /// The same without these files and folders, which were not read.
    #[must_use]
    pub fn without<'a>(mut self, skipped: impl Iterator<Item = &'a Path>) -> Self {
        let mut places = Places::default();
        self.skipped.extend(skipped.map(|path| places.of_path(path)));
        self
    }

    /// The same with all sources of a project file: those that it names, and so those that it does
    /// not name any more.
    #[must_use]
    pub fn with_sources_of(mut self, project_file: &Path) -> Self {
        self.project_file = Some(Places::default().of_path(project_file));
        self.is_given = true;
        self
    }

    /// The same, knowing which of these files do not exist any more: a repository without a file
    /// declares nothing in it. Standard input is never gone.
    #[must_use]
    pub fn knowing<'a>(mut self, files: impl Iterator<Item = &'a DeclaredIn>) -> Self {
        let missed: BTreeSet<&DeclaredIn> =
            files.filter(|file| self.miss(file) == Some(Miss::NotGiven)).collect();
        let gone = |file: &DeclaredIn| {
            let root = self
                .roots
                .iter()
                .find(|root| root.place.repository == file.repository && file.repository.is_some());
            let path = root.map(|root| root.base.join(&*file.file)).or_else(|| file.path())?;
            let is_alone = path.parent().is_some_and(Path::exists);
            (!path.exists()).then(|| (file.clone(), is_alone))
        };
        self.gone = missed.into_iter().filter_map(gone).collect();
        self
    }

    /// Where a file was that does not exist any more: its folder, if that is gone, too.
    #[must_use]
    pub fn place_of_gone(&self, file: &DeclaredIn) -> String {
        let folder = file.folder(self);
        match self.gone.get(file) {
            Some(true) if folder.ends_with('/') => format!("a file of {folder}"),
            _ => folder,
        }
    }

    /// Whether nothing was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.is_given
    }

    /// The repository of what was looked at, where a file is in another one.
    #[must_use]
    pub fn instead_of(&self, file: &DeclaredIn) -> Option<&str> {
        let mut roots = self.roots.iter();
        let first = roots.find_map(|root| root.place.repository.as_deref())?;
        file.repository.as_deref().filter(|repository| *repository != first).map(|_| first)
    }

    /// Why a file was not looked at; `None` when it was, also where it is gone by now.
    #[must_use]
    pub fn miss(&self, file: &DeclaredIn) -> Option<Miss> {
        if file.source.is_some() {
            let is_read = self.project_file.iter().any(|it| it.holds(file));
            return (!is_read).then_some(Miss::NotGiven);
        }
        if self.skipped.iter().any(|skipped| skipped.holds(file)) {
            return Some(Miss::Skipped);
        }
        let is_read = self.roots.iter().any(|root| root.holds(file));
        (!is_read).then_some(Miss::NotGiven)
    }

    /// Whether a file may still declare what it declared: it was not read, and exists.
    #[must_use]
    pub fn may_declare(&self, file: &DeclaredIn) -> bool {
        self.miss(file).is_some() && !self.gone.contains_key(file)
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

    /// A file of a repository, or one by its full path.
    fn declared_in(path: &str) -> DeclaredIn {
        let is_of_none = path.starts_with('/') || path == STANDARD_INPUT;
        let repository = (!is_of_none).then(|| "example.com/a".into());
        DeclaredIn { file: path.into(), repository, checkout: None, source: None }
    }

    fn looked_at(roots: &[&str], skipped: &[&str]) -> LookedAt {
        let root = |path: &&str| Root { place: declared_in(path), base: PathBuf::from("/base") };
        LookedAt {
            roots: roots.iter().map(root).collect(),
            skipped: skipped.iter().map(root).collect(),
            here: PathBuf::from("/here"),
            is_given: true,
            ..LookedAt::default()
        }
    }

    #[test]
    fn a_pipe_is_never_looked_at_again() {
        for given in ["/dev/fd/63", "/proc/self/fd/7"] {
            let place = Places::default().of_source(given);
            assert_eq!(place.to_string(), "a pipe");
            let looked = LookedAt::new(&[PathBuf::from(given)]);
            assert_eq!(looked.miss(&place), Some(Miss::NotGiven));
            let looked = LookedAt::new(&[PathBuf::from("/")]).knowing([&place].into_iter());
            assert!(looked.may_declare(&place));
        }
        for given in ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"] {
            let place = Places::default().of_source(given);
            assert_eq!(place.to_string(), "standard input");
            assert_eq!(LookedAt::new(&[PathBuf::from(given)]).miss(&place), None);
        }
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
    fn the_top_folder_covers_all_of_its_repository_and_nothing_elsewhere() {
        let looked = looked_at(&[""], &[]);
        assert_eq!(looked.miss(&declared_in("a/b.yaml")), None);
        assert_eq!(looked.miss(&declared_in("/elsewhere/b.yaml")), Some(Miss::NotGiven));
        assert_eq!(looked.miss(&declared_in("-")), Some(Miss::NotGiven));
        assert_eq!(looked_at(&["-"], &[]).miss(&declared_in("-")), None);
        assert_eq!(looked_at(&["-"], &[]).miss(&declared_in("a.yaml")), Some(Miss::NotGiven));
        assert_eq!(looked_at(&["/"], &[]).miss(&declared_in("/a/b.yaml")), None);
        for repository in [None, Some("example.com/b".into())] {
            let other = DeclaredIn { repository, ..declared_in("a/b.yaml") };
            assert_eq!(looked.miss(&other), Some(Miss::NotGiven), "{other:?}");
        }
    }

    #[test]
    fn files_of_a_repository_are_named_from_its_root_wherever_it_lies() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("checkout");
        std::fs::create_dir_all(root.join(".git/HEAD")).expect("a repository");
        let of = |path: &Path| Places::default().of_path(path).place;
        let name = |path: &str| of(&root.join(path)).to_string();
        assert_eq!(name("deploy/rooms.yaml"), "deploy/rooms.yaml");
        assert_eq!(name("deploy/./../deploy//rooms.yaml"), "deploy/rooms.yaml");
        assert_eq!(name(""), "");
        let outside = folder.path().join("rooms.yaml");
        assert_eq!(of(&outside).to_string(), outside.display().to_string());
        let named = format!("{}{RENDERED}", root.join("a.j2").display());
        assert_eq!(Places::default().of_source(&named).to_string(), "a.j2");
        assert_eq!(Places::default().of_source("-").to_string(), "standard input");
        // Without an origin, its folder tells a repository from others.
        assert_eq!(of(&root.join("a")).repository.as_deref(), root.to_str());
    }

    #[test]
    fn a_file_that_is_not_there_any_more_declares_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        std::fs::create_dir_all(root.join(".git/HEAD")).expect("a repository");
        for file in ["a.yaml", "b.yaml"] {
            std::fs::write(root.join(file), "").expect("a file");
        }
        let mut places = Places::default();
        let mut of = |file: &str| places.of_path(&root.join(file)).place;
        let (there, gone, given) = (of("a.yaml"), of("gone.yaml"), of("b.yaml"));
        let elsewhere = DeclaredIn { repository: Some("example.com/x".into()), ..gone.clone() };
        let files = [&there, &gone, &given, &elsewhere];
        let looked = LookedAt::new(&[root.join("b.yaml")]).knowing(files.into_iter());
        let may = files.map(|file| looked.may_declare(file));
        assert_eq!(may, [true, false, false, true]);
    }

    #[test]
    fn a_source_is_looked_at_with_its_project_file_and_not_with_a_folder_around_it() {
        let of = |source: Option<&str>| DeclaredIn {
            source: source.map(Into::into),
            ..declared_in("deploy/meshagent.yaml")
        };
        let places = [of(Some("support")), of(Some("removed")), of(None)];
        let around = looked_at(&[""], &[]);
        let misses = |looked: &LookedAt| places.each_ref().map(|place| looked.miss(place));
        assert_eq!(misses(&around), [Some(Miss::NotGiven), Some(Miss::NotGiven), None]);
        let place = declared_in("deploy/meshagent.yaml");
        let project_file = Some(Root { place, base: PathBuf::from("/base") });
        let whole = LookedAt { project_file, ..looked_at(&["manifests"], &[]) };
        assert_eq!(misses(&whole), [None, None, Some(Miss::NotGiven)]);
        let place = declared_in("other/meshagent.yaml");
        let project_file = Some(Root { place, base: PathBuf::from("/base") });
        let other = LookedAt { project_file, ..looked_at(&["manifests"], &[]) };
        assert_eq!(misses(&other), [Some(Miss::NotGiven); 3]);
        assert_eq!(places[0].folder(&whole), "the source `support` of deploy/meshagent.yaml");
        assert_ne!(places[0], places[1]);
        let kept = serde_json::to_string(&places[0]).unwrap();
        assert_eq!(serde_json::from_str::<DeclaredIn>(&kept).unwrap(), places[0]);
    }

    #[test]
    fn a_folder_is_named_as_people_name_it() {
        let looked = looked_at(&["manifests"], &[]);
        for (file, folder) in [
            ("a/b/c.yaml", "a/b/"),
            ("c.yaml", "c.yaml"),
            ("-", "standard input"),
            ("/here/a/c.yaml", "a/"),
            ("/elsewhere/a/c.yaml", "/elsewhere/a/"),
        ] {
            assert_eq!(declared_in(file).folder(&looked), folder);
        }
        let other = DeclaredIn {
            file: "manifests/a.yaml".into(),
            repository: Some("github.com/acme/sales".into()),
            checkout: None,
            source: None,
        };
        assert_eq!(other.folder(&looked), "manifests/ of github.com/acme/sales");
    }
}
