//! What goes into the room: the sources of the routes, by their paths below the current folder, and
//! the routes file, in which the sources have those paths.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::file::RoutesFile;
use super::source::{Found, shown};
use crate::bounded;
use crate::error::{Context, Problem, Result};
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
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// What a file here holds.
    Of(PathBuf),
    /// This text.
    Text(String),
}

impl Upload {
    /// The file here that it is copied from.
    pub fn path(&self) -> Option<&Path> {
        match &self.content {
            Content::Of(path) => Some(path),
            Content::Text(_) => None,
        }
    }

    /// Whether it has a name that is hidden on this machine, and served to everybody there.
    pub fn is_hidden(&self) -> bool {
        let is_hidden = |part: &str| part.starts_with('.') && part != ".well-known" && part != KEEP;
        self.name.split('/').any(is_hidden)
    }
}

/// Collects what the routes need.
///
/// # Errors
///
/// Every source that is not below the current folder, and what cannot be uploaded of the others.
pub fn collect(
    file: &RoutesFile,
    found: &[Found<'_>],
    name: &str,
    here: &Path,
) -> Result<Vec<Upload>> {
    let mut collecting = Collecting { here, files: BTreeMap::new() };
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
    let uploads = collecting.files.into_iter();
    Ok(uploads.map(|(name, content)| Upload { name, content }).collect())
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
    files: BTreeMap<String, Content>,
}

impl Collecting<'_> {
    /// Adds the source of a route; its path in the room.
    fn source(&mut self, found: &Found<'_>) -> Result<String, Unfit> {
        let shown = shown(&found.path, self.here);
        let Ok(below) = found.path.strip_prefix(self.here) else {
            return Err(Unfit {
                what: format!("{shown} is not below the current folder"),
                hint: Some("run the command in a folder that has all sources in it"),
            });
        };
        if below.as_os_str().is_empty() {
            return Err(Unfit {
                what: "the source is the current folder itself".to_owned(),
                hint: Some("name a folder in it, so that nothing else is uploaded"),
            });
        }
        let name = name(below)?;
        let real = self.real(&found.path, self.here)?;
        if found.is_python() || !real.is_dir() {
            self.add(name.clone(), found.path.clone())?;
            return Ok(name);
        }
        let before = self.files.len();
        self.folder(&found.path, &name, &real, 0)?;
        if self.files.len() == before && !self.files.keys().any(|it| is_below(it, &name)) {
            self.files.insert(format!("{name}/{KEEP}"), Content::Text(String::new()));
        }
        Ok(name)
    }

    /// Where something is without links, which must not lead out of a folder.
    fn real(&self, path: &Path, within: &Path) -> Result<PathBuf, Unfit> {
        let shown = shown(path, self.here);
        let real = path.canonicalize().context(|| format!("failed to look at {shown}"))?;
        match real.starts_with(within) {
            true => Ok(real),
            false => unfit(format!("{shown} is a link that leads out of its folder")),
        }
    }

    fn add(&mut self, name: String, path: PathBuf) -> Result<(), Unfit> {
        if self.files.len() >= MOST {
            return unfit(format!("there are more than {MOST} files"));
        }
        self.files.insert(name, Content::Of(path));
        Ok(())
    }

    /// Adds what is in a folder. `root` is the one that links must not leave.
    fn folder(
        &mut self,
        folder: &Path,
        name: &str,
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
            let about = path.symlink_metadata().context(|| format!("failed to look at {shown}"))?;
            if about.is_dir() {
                self.folder(&path, &name, root, depth + 1)?;
                continue;
            }
            if about.is_symlink() && self.real(&path, root)?.is_dir() {
                return unfit(format!("{shown} is a link to a folder, which is not uploaded"));
            }
            let about = path.metadata().context(|| format!("failed to look at {shown}"))?;
            if let Some(what) = bounded::special(about.file_type()) {
                return unfit(format!("{shown} is {what}, not a file"));
            }
            self.add(name, path)?;
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
