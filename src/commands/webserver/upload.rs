//! What goes into the room: the sources of the routes, by their paths below the current folder, and
//! the routes file, in which the sources have those paths.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::file::RoutesFile;
use super::source::{Found, dangling, leaving, outside, shown};
use crate::bounded;
use crate::error::{Context, Problem, Result};
use crate::kinds::agents::webserver::service::check_path;
use crate::kinds::agents::webserver::{Source, Website};
use crate::visible;

/// How deep folders are.
const DEPTH: usize = 128;

/// How many files are uploaded.
const MOST: usize = 10_000;

/// What stands in for a folder that has no file, since a room has no empty folders.
const KEEP: &str = ".meshagent.keep";

/// A file that is to be in the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its path there, below the folder of the website.
    pub name: String,
    /// What it holds.
    pub content: Content,
    /// Whether it is hidden in the static folder that it is in, and served to everybody there.
    pub is_hidden: bool,
}

/// What is uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploads {
    /// The files, by name.
    pub files: Vec<Upload>,
    /// The folders that are served, by their paths below the folder of the website.
    pub served: BTreeSet<String>,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// What a file here holds.
    Of(Local),
    /// This text.
    Text(String),
}

/// A file here, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// The path by which it was found.
    pub path: PathBuf,
    /// Its path without links.
    pub real: PathBuf,
    /// What identifies it: its device and its number there.
    identity: (u64, u64),
}

impl Local {
    /// Opens it, unless something else has its place by now, such as a link that leads elsewhere.
    ///
    /// # Errors
    ///
    /// Something else is there; the system's.
    pub fn open(&self) -> std::io::Result<fs::File> {
        let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOFOLLOW;
        let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(&self.real)?;
        let about = file.metadata()?;
        match about.is_file() && (about.dev(), about.ino()) == self.identity {
            true => Ok(file),
            false => Err(std::io::Error::other("another file has taken its place meanwhile")),
        }
    }
}

impl Upload {
    /// The file here that it is copied from.
    pub fn local(&self) -> Option<&Local> {
        match &self.content {
            Content::Of(local) => Some(local),
            Content::Text(_) => None,
        }
    }
}

/// Folders in which credentials lie. They are not served, whoever wants it.
const CLOSED: [&str; 2] = [".git", ".meshagent"];

/// Whether a part of a path is hidden.
fn has_hidden(path: &Path) -> bool {
    path.iter().any(|part| part.to_str().is_some_and(is_hidden))
}

/// Whether a name is that of something hidden, which nobody means to serve. `.well-known` is made to
/// be served.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('.') && name != ".well-known" && name != KEEP
}

/// Whether something in a folder of a room stands there only so that the folder does.
pub fn is_keeper(name: &str) -> bool {
    name == KEEP
}

/// Collects what the routes need.
///
/// # Errors
///
/// Every source that is not below the current folder, and what cannot be uploaded of the others.
/// `name` is that of the routes file, and `into` the folder of the room.
pub fn collect(
    file: &RoutesFile,
    found: &[Found<'_>],
    (name, into): (&str, &str),
    here: &Path,
) -> Result<Uploads> {
    let mut collecting = Collecting {
        here,
        into,
        files: BTreeMap::new(),
        hidden: BTreeSet::new(),
        served: BTreeSet::new(),
    };
    let mut problems = Vec::new();
    let mut website = file.website.clone();
    for (found, route) in found.iter().zip(&mut website.routes) {
        match collecting.source(found) {
            Ok(there) => match &mut route.source {
                Source::Python { file, .. } => *file = there,
                Source::Static(path) => *path = there,
            },
            Err(Unfit { what, hint }) => {
                let problem = file.problem(&found.at, what);
                problems.push(Problem { hint: hint.map(str::to_owned), ..problem });
            }
        }
    }
    if collecting.files.contains_key(name) {
        let at = found.iter().find(|found| found.path == here.join(name));
        let at = at.map(|found| found.at.clone()).unwrap_or_default();
        let told = format!("{name} is the name of the routes file, too, in the room");
        problems.push(file.problem(&at, told).hint("give one of them another name"));
    }
    if !problems.is_empty() {
        return Err(file.wrong(problems));
    }
    collecting.files.insert(name.to_owned(), Content::Text(text(&website, name)));
    let Collecting { files, hidden, served, .. } = collecting;
    let upload = |(name, content)| {
        let is_hidden = hidden.contains(&name);
        Upload { name, content, is_hidden }
    };
    Ok(Uploads { files: files.into_iter().map(upload).collect(), served })
}

/// The text of the routes file in the room.
fn text(website: &Website, name: &str) -> String {
    let document = website.document();
    match name.ends_with(".json") {
        true => format!("{document:#}\n"),
        false => visible::yaml(&document),
    }
}

/// Why something cannot be uploaded.
struct Unfit {
    what: String,
    hint: Option<&'static str>,
}

impl From<crate::error::Error> for Unfit {
    fn from(error: crate::error::Error) -> Self {
        Self { what: crate::error::with_causes(&error), hint: None }
    }
}

fn unfit<T>(what: String) -> Result<T, Unfit> {
    Err(Unfit { what, hint: None })
}

struct Collecting<'a> {
    here: &'a Path,
    /// The folder of the room.
    into: &'a str,
    files: BTreeMap<String, Content>,
    hidden: BTreeSet<String>,
    served: BTreeSet<String>,
}

impl Collecting<'_> {
    /// Adds the source of a route; its path in the room.
    fn source(&mut self, found: &Found<'_>) -> Result<String, Unfit> {
        if let Some((what, hint)) = outside(&found.path, self.here) {
            return Err(Unfit { what, hint: Some(hint) });
        }
        let below = found.path.strip_prefix(self.here).unwrap_or(&found.path);
        let name = name(below)?;
        let real = self.real(&found.path, self.here)?;
        // A path that says itself that it is hidden is meant so, as `.output/public` is.
        let leads_to_hidden =
            !has_hidden(below) && real.strip_prefix(self.here).is_ok_and(has_hidden);
        if found.is_python() || !real.is_dir() {
            let is_hidden = leads_to_hidden || is_hidden(name.rsplit('/').next().unwrap_or(&name));
            self.add(name.clone(), &found.path, real, is_hidden && !found.is_python())?;
            return Ok(name);
        }
        let before = self.files.len();
        self.served.insert(name.clone());
        self.folder((&found.path, &name, leads_to_hidden), &real, 0)?;
        if self.files.len() == before && !self.files.keys().any(|it| is_below(it, &name)) {
            self.files.insert(format!("{name}/{KEEP}"), Content::Text(String::new()));
        }
        Ok(name)
    }

    /// Where something is without links, which must not lead out of a folder.
    fn real(&self, path: &Path, within: &Path) -> Result<PathBuf, Unfit> {
        let shown = shown(path, self.here);
        let real = match path.canonicalize() {
            Err(error) if error.kind() == ErrorKind::NotFound && path.is_symlink() => {
                return unfit(dangling(&shown));
            }
            real => real.context(|| format!("failed to look at {shown}"))?,
        };
        let Ok(below) = real.strip_prefix(within) else { return unfit(leaving(&shown)) };
        let whole = real.strip_prefix(self.here).unwrap_or(below);
        match whole.iter().find(|part| CLOSED.iter().any(|closed| part == closed)) {
            Some(closed) => unfit(format!(
                "{shown} is in a folder {}, in which credentials lie, and is not uploaded",
                closed.display()
            )),
            None => Ok(real),
        }
    }

    fn add(
        &mut self,
        name: String,
        path: &Path,
        real: PathBuf,
        is_hidden: bool,
    ) -> Result<(), Unfit> {
        let shown = shown(path, self.here);
        if let Err(what) = check_path(&format!("{}/{name}", self.into)) {
            return unfit(format!("{} {what}", visible::line(&shown)));
        }
        let about = real.symlink_metadata().context(|| format!("failed to look at {shown}"))?;
        let identity = (about.dev(), about.ino());
        if about.is_file() {
            // What cannot be read is told before anything is uploaded.
            fs::File::open(&real).context(|| format!("failed to read {shown}"))?;
        }
        if self.files.len() >= MOST {
            return unfit(format!("there are more than {MOST} files"));
        }
        if is_hidden {
            self.hidden.insert(name.clone());
        }
        self.files.insert(name, Content::Of(Local { path: path.to_owned(), real, identity }));
        Ok(())
    }

    /// Adds what is in a folder, which has a name there and may be hidden. `root` is the one that
    /// links must not leave.
    fn folder(
        &mut self,
        (folder, name, is_hidden): (&Path, &str, bool),
        root: &Path,
        depth: usize,
    ) -> Result<(), Unfit> {
        let shown_folder = shown(folder, self.here);
        if depth > DEPTH {
            return unfit(format!("{shown_folder} is too deep"));
        }
        let failed = || format!("failed to read the folder {shown_folder}");
        let mut paths = BTreeSet::new();
        for entry in fs::read_dir(folder).context(failed)? {
            paths.insert(entry.context(failed)?.path());
            if paths.len() > MOST {
                return unfit(format!("{shown_folder} has more than {MOST} files"));
            }
        }
        for path in paths {
            let shown = shown(&path, self.here);
            let own = self::name(Path::new(path.file_name().unwrap_or_default()))?;
            let name = format!("{name}/{own}");
            let is_hidden = is_hidden || self::is_hidden(&own);
            let about = path.symlink_metadata().context(|| format!("failed to look at {shown}"))?;
            if about.is_dir() {
                self.real(&path, root)?;
                self.folder((&path, &name, is_hidden), root, depth + 1)?;
                continue;
            }
            let real = self.real(&path, root)?;
            if about.is_symlink() && real.is_dir() {
                return unfit(format!("{shown} is a link to a folder, which is not uploaded"));
            }
            let is_hidden = is_hidden || real.strip_prefix(root).is_ok_and(has_hidden);
            let about = path.metadata().context(|| format!("failed to look at {shown}"))?;
            if let Some(what) = bounded::special(about.file_type()) {
                return unfit(format!("{shown} is {what}, not a file"));
            }
            self.add(name, &path, real, is_hidden)?;
        }
        Ok(())
    }
}

fn is_below(name: &str, folder: &str) -> bool {
    name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// A path as it is in the room.
fn name(path: &Path) -> Result<String, Unfit> {
    match path.to_str() {
        Some(name) => Ok(name.to_owned()),
        None => unfit(format!("the name of {} is not UTF-8", path.display())),
    }
}
