//! Sources of the project file, as manifests are read from them. Their files are in one piece in
//! memory, so nothing that a document of a source names leads to a file of this machine.
//!
//! Whoever wrote a source is not the user: what a document of it may make the program do is what
//! the project file allows for that source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::gitignore::Gitignore;

use super::overrides::Overrides;
use super::own_files::OwnFiles;
use super::pack::Pack;
use super::reach::Reach;
use super::secrets;
use super::set::Origin;
use super::source::{self, Reading, Source};
use super::values::{self, FileValues};
use super::walk::{self, IGNORE_FILE, Skipped, Why};
use crate::error::Problem;
use crate::kinds::document::{AgeText, SecretSource};
use crate::kinds::tree::{Sealed, Tree};

/// The folder of what is in no folder: none can be there, so nothing is found below it.
const NOWHERE: &str = "/dev/null";

/// A source.
#[derive(Debug)]
pub struct Imported {
    /// Its name in the project file.
    pub name: String,
    /// What stands in front of the places of its documents, such as `support@v1.4`.
    pub shown: String,
    /// Its files.
    pub pack: Pack,
    /// The values of its templates, and the variables that they may read. No others reach them.
    pub values: FileValues,
    /// What the project file says of its documents.
    pub over: Option<Arc<Overrides>>,
    /// What its documents may make the program do.
    pub allowed: Allowed,
    /// The project file.
    pub project_file: PathBuf,
}

/// What the project file allows a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// The environment variables that it may read.
    pub variables: BTreeSet<String>,
    /// Whether it may name commands whose output is a secret. They are run only where commands
    /// are allowed at all.
    pub commands: bool,
    /// Whether texts in it are decrypted with the user's age identity.
    pub age: bool,
}

/// A file of a source.
#[derive(Debug, Clone)]
pub struct Inside {
    /// The source.
    pub of: Arc<Imported>,
    /// The path of the file in it.
    pub path: String,
}

impl Imported {
    /// A file of it, for people.
    #[must_use]
    pub fn name_of(&self, path: &str) -> String {
        format!("{}: {path}", self.shown)
    }

    /// What a problem with the source says of it as a whole.
    fn problem(&self, path: &str, message: &str) -> Problem {
        Problem::new(format!("{}: {message}", self.name_of(path)))
    }

    /// A file of it as a text that holds documents, or values for them.
    fn source(self: &Arc<Self>, path: &str, bytes: &[u8]) -> Result<Source, Problem> {
        let text = source::decode(&self.name_of(path), bytes.to_vec())?;
        let (folder, _) = path.rsplit_once('/').unwrap_or_default();
        let folder = Path::new(NOWHERE).join(&self.name).join(folder);
        let inside = Inside { of: Arc::clone(self), path: path.to_owned() };
        let mut source = Source::new(self.name_of(path), folder, text);
        source.over = self.over.clone();
        source.inside = Some(inside);
        Ok(source)
    }
}

impl Inside {
    /// The folder of the file, in the source.
    fn folder(&self) -> &str {
        self.path.rsplit_once('/').unwrap_or_default().0
    }

    /// The path in the source of what the file names.
    ///
    /// # Errors
    ///
    /// It is outside of the source.
    pub fn path_of(&self, named: &str) -> Result<String, Outside> {
        let mut parts: Vec<&str> =
            self.folder().split('/').filter(|part| !part.is_empty()).collect();
        if named.starts_with('/') {
            return Err(Outside);
        }
        for part in named.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop().ok_or(Outside)?),
                part => parts.push(part),
            }
        }
        Ok(parts.join("/"))
    }

    /// The file that this one names.
    ///
    /// # Errors
    ///
    /// Why there is none, as a sentence about it.
    pub fn file(&self, named: &str) -> Result<&[u8], String> {
        let path = self
            .path_of(named)
            .map_err(|Outside| format!("{named} is outside of the source `{}`", self.of.name))?;
        let found = self.of.pack.file(&path);
        found.ok_or_else(|| format!("{} does not exist", self.of.name_of(&path)))
    }

    /// The values beside the file.
    pub(super) fn values(&self) -> impl Iterator<Item = Result<Source, Problem>> + '_ {
        values::BESIDE.iter().filter_map(|name| {
            let path = self.path_of(name).ok()?;
            Some(self.of.source(&path, self.of.pack.file(&path)?))
        })
    }
}

/// A path that leads out of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outside;

/// Reads the documents of a source.
pub(super) fn read(imported: &Arc<Imported>, reading: &mut Reading) {
    let before = reading.problems.len();
    let rules = Rules::of(imported, &mut reading.problems);
    let files = Files::of(&imported.pack);
    let mut used = BTreeSet::new();
    let mut found = 0;
    for (path, bytes) in imported.pack.files() {
        if path.ends_with(IGNORE_FILE) {
            continue;
        }
        let left = rules.leave_out(path).or_else(|| files.leave_out(path));
        let read = match left {
            Some(why) => Ok(Read::Left(why)),
            None => read_file(imported, path, bytes, &mut used),
        };
        match read {
            Ok(Read::Left(why)) => {
                let path = PathBuf::from(imported.name_of(path));
                reading.skipped_inside.push(Skipped { path, why });
                continue;
            }
            Ok(Read::Documents { source, not_read }) => {
                reading.sources.push(Arc::new(*source));
                reading.not_read.extend(not_read);
            }
            Err(problems) => reading.problems.extend(problems),
        }
        found += 1;
    }
    if found == 0 {
        reading.notes.push(format!(
            "the source {} holds no manifests; the name of a manifest ends in .yaml, .yml, .json or .j2",
            imported.shown
        ));
    }
    // What a template that cannot be rendered uses is not known.
    if reading.problems.len() == before {
        reading.problems.extend(imported.values.unread_given(&used));
    }
}

/// What a file is.
enum Read {
    /// No manifest.
    Left(Why),
    /// Documents, or what a template became, with the values that are not here.
    Documents { source: Box<Source>, not_read: Vec<Problem> },
}

fn read_file(
    imported: &Arc<Imported>,
    path: &str,
    bytes: &[u8],
    used: &mut BTreeSet<String>,
) -> Result<Read, Vec<Problem>> {
    let source = imported.source(path, bytes).map_err(|problem| vec![problem])?;
    if walk::is_template(Path::new(path)) {
        let text = source.text.clone();
        let rendered = values::render(source, &imported.values, &Reach::default())?;
        used.extend(values::used(&text));
        let source = Box::new(rendered.source);
        return Ok(Read::Documents { source, not_read: rendered.not_read });
    }
    if source::is_project_file(Path::new(path), &source) {
        return match source::has_sources(&source) {
            true => Err(vec![imported.problem(path, "the source has sources of its own, which are not read").hint(
                "name them in the project file, too, or take a version of the source that needs none",
            )]),
            false => Ok(Read::Left(Why::ProjectFile)),
        };
    }
    if OwnFiles::of(&source.text).is_some() {
        return Ok(Read::Left(Why::MadeHere));
    }
    if source::is_stray(Path::new(path), &source) {
        return Ok(Read::Left(Why::Values));
    }
    Ok(Read::Documents { source: Box::new(source), not_read: Vec::new() })
}

/// What the names of the files of a source say of them.
struct Files<'a> {
    /// The folders with templates.
    with_templates: BTreeSet<&'a str>,
}

impl<'a> Files<'a> {
    fn of(pack: &'a Pack) -> Self {
        let templates = pack.files().filter(|(path, _)| walk::is_template(Path::new(path)));
        Self { with_templates: templates.map(|(path, _)| folder_of(path)).collect() }
    }

    fn leave_out(&self, path: &str) -> Option<Why> {
        let is_beside = || self.with_templates.contains(folder_of(path));
        match Path::new(path) {
            path if !walk::is_manifest(path) => Some(Why::Suffix),
            path if walk::is_of_values(path) && is_beside() => Some(Why::Values),
            _ => None,
        }
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').unwrap_or_default().0
}

/// The ignore files of a source.
struct Rules {
    of_folders: BTreeMap<String, Gitignore>,
}

impl Rules {
    fn of(imported: &Arc<Imported>, problems: &mut Vec<Problem>) -> Self {
        let mut of_folders = BTreeMap::new();
        let files =
            imported.pack.files().filter(|(path, _)| path.rsplit('/').next() == Some(IGNORE_FILE));
        for (path, bytes) in files {
            let folder = folder_of(path);
            match imported.source(path, bytes) {
                Ok(source) => {
                    let rules = walk::rules(Path::new(folder), &source, problems);
                    of_folders.extend(rules.map(|rules| (folder.to_owned(), rules)));
                }
                Err(problem) => problems.push(problem),
            }
        }
        Self { of_folders }
    }

    /// Why a file is left out, if an ignore file names it or a folder that it is in.
    fn leave_out(&self, path: &str) -> Option<Why> {
        if self.of_folders.is_empty() {
            return None;
        }
        let ends = path.match_indices('/').map(|(at, _)| &path[..at]);
        // As in a folder of one's own, what is below a folder that is left out is never looked at.
        let is_left = |part: &str, is_folder: bool| {
            let mut above = Some(folder_of(part));
            while let Some(folder) = above {
                let decided =
                    self.of_folders.get(folder).map(|rules| rules.matched(part, is_folder));
                if let Some(decided) = decided.filter(|decided| !decided.is_none()) {
                    return decided.is_ignore();
                }
                above = (!folder.is_empty()).then(|| folder_of(folder));
            }
            false
        };
        let mut folders = ends;
        let is_ignored = folders.any(|folder| is_left(folder, true)) || is_left(path, false);
        is_ignored.then_some(Why::Ignored)
    }
}

/// The files of a source whose contents are secrets of an object.
pub fn secret_files(fields: &Tree, origin: &Origin) -> BTreeSet<String> {
    let Some(inside) = &origin.document.source.inside else { return BTreeSet::new() };
    let mut files = BTreeSet::new();
    if fields.has_sources() {
        fields.clone().rewrite_leaves(&mut |_, leaf| {
            let Tree::Secret(Sealed::Source(secret)) = leaf else { return None };
            if let SecretSource::File(path) | SecretSource::Age(AgeText::Beside { file: path }) =
                &secret.from
            {
                files.extend(inside.path_of(path).ok());
            }
            None
        });
    }
    files
}

/// What an object of a source would make the program do that the project file does not allow for
/// that source, each at its place.
pub(super) fn refused(fields: &Tree, origin: &Origin) -> Vec<Problem> {
    let Some(inside) = &origin.document.source.inside else { return Vec::new() };
    if !fields.has_sources() {
        return Vec::new();
    }
    let imported = &inside.of;
    let mut problems = Vec::new();
    fields.clone().rewrite_leaves(&mut |way, leaf| {
        let Tree::Secret(Sealed::Source(secret)) = leaf else { return None };
        let (what, key) = match &secret.from {
            SecretSource::Env(name) if imported.allowed.variables.contains(name) => return None,
            SecretSource::Env(name) => {
                // What is not the name of a variable may be the secret itself.
                let shown = if secrets::is_variable(name) { name.as_str() } else { "NAME" };
                (format!("read {}", secrets::called(name)), format!("allow_env: [{shown}]"))
            }
            SecretSource::Command(_) if imported.allowed.commands => return None,
            SecretSource::Command(_) => {
                ("run commands".to_owned(), "allow_commands: true".to_owned())
            }
            SecretSource::Age(AgeText::Armored(_)) | SecretSource::Age(AgeText::Beside { .. })
                if !imported.allowed.age =>
            {
                let what = "have texts decrypted with your identity".to_owned();
                (what, "allow_age: true".to_owned())
            }
            SecretSource::File(path) | SecretSource::Age(AgeText::Beside { file: path }) => {
                let Err(why) = inside.file(path) else { return None };
                let path = secrets::from(&way.path(), origin);
                problems.push(origin.document.problem_at(&path, why));
                return None;
            }
            SecretSource::Age(AgeText::Armored(_)) => return None,
        };
        let path = secrets::from(&way.path(), origin);
        let message = format!("the source `{}` may not {what}", imported.name);
        let hint = format!(
            "if you trust it, write `{key}` in `sources.{}` of the project file",
            imported.name
        );
        problems.push(origin.document.problem_at(&path, message).hint(hint));
        None
    });
    problems
}
