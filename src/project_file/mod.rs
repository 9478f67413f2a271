//! The project file, `meshagent.yaml`: which manifests a folder has, and the environments that they
//! are applied to.
//!
//! Lives here: its form, how it is found and read, with the place of everything in it, and how
//! environments become what a command needs. Must not: anything that reads manifests or asks the
//! platform. It is input like a manifest, and may be a stranger's: it allows nothing that a user
//! has to allow, such as running a command or reading a variable.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bounded;
use crate::error::{Error, Problem, Result};
use crate::kinds::path::FieldPath;
use crate::manifest::located::locate;
use crate::manifest::reach::Reach;
use crate::manifest::repository;
use crate::manifest::source::{Source, is_project_text, read_text_within};
use crate::manifest::walk::PROJECT_FILES;
use crate::manifest::yaml::Node;

pub use self::ci::{Ci, Verdict};
pub use self::environment::{Approved, Environment, Guarded, Target};
pub use self::form::Form;
pub use self::promotion::{Difference, Promotion};
pub use self::sources::{Consent, SourceOf};

mod checks;
pub mod ci;
mod environment;
pub mod form;
mod hidden;
mod promotion;
mod reading;
mod sources;

/// The word that means all environments.
pub const ALL: &str = "all";

/// The largest project file, in bytes.
const LIMIT: usize = 1024 * 1024;

/// A project file.
#[derive(Debug, Clone)]
pub struct ProjectFile {
    /// The file, as messages name it.
    pub path: PathBuf,
    /// What it says.
    pub form: Form,
    source: Arc<Source>,
    root: Node,
}

impl ProjectFile {
    /// Finds the project file of the working folder: in it, or in the folders above it, up to the
    /// root of its repository. Outside of a repository only the folder itself is looked at.
    #[must_use]
    pub fn find() -> Option<PathBuf> {
        let here = std::env::current_dir().ok()?;
        let root = repository::around(&here).map_or(here.as_path(), |root| root);
        let mut above = PathBuf::new();
        for folder in here.ancestors() {
            if let Some(found) = Self::find_in(&above) {
                return Some(found);
            }
            if folder == root {
                return None;
            }
            above.push("..");
        }
        None
    }

    /// Finds the project file of a folder in the folder itself.
    #[must_use]
    pub fn find_in(folder: &Path) -> Option<PathBuf> {
        let mut named = PROJECT_FILES.into_iter().map(|name| folder.join(name));
        // One that is a manifest is none.
        named.find(|path| is_project_file(path))
    }

    /// The project file, in which an environment of this name is looked for.
    ///
    /// # Errors
    ///
    /// There is none; it cannot be used; the word means all environments.
    pub fn named(environment: &str) -> Result<Self> {
        if environment == ALL {
            return Err(Error::usage("only `plan` and `validate` take all environments at once")
                .hint("name one environment with -e"));
        }
        Self::here(environment)
    }

    /// The project file of the working folder.
    ///
    /// # Errors
    ///
    /// There is none; it cannot be used.
    pub fn here(environment: &str) -> Result<Self> {
        let path = Self::find().ok_or_else(|| {
            Error::usage(format!(
                "there is no meshagent.yaml, which would say what the environment {environment:?} is"
            ))
            .hint("run this in the folder of a project file, or leave -e and MESHAGENT_ENVIRONMENT out")
        })?;
        Self::read(&path)
    }

    /// Reads a project file.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, each at its place.
    pub fn read(path: &Path) -> Result<Self> {
        // A checkout may have a link there.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        if let Err(outside) = Reach::of(&[folder.to_owned()], &[]).check(path)
            && outside.is_link
        {
            let problem = Problem::new(outside.message(path)).hint("put the file itself there");
            return Err(Self::wrong(vec![problem]));
        }
        let text = read_text_within(path, LIMIT).map_err(|problem| Self::wrong(vec![problem]))?;
        let [one, other] = PROJECT_FILES.map(|name| path.with_file_name(name));
        if is_project_file(&one) && is_project_file(&other) {
            return Err(Error::usage(format!(
                "there are both {} and {}, and which one counts is not clear",
                one.display(),
                other.display()
            ))
            .hint("remove one of them"));
        }
        Self::of(path, text)
    }

    /// A project file with this text.
    ///
    /// # Errors
    ///
    /// As [`ProjectFile::read`].
    pub fn of(path: &Path, text: String) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).to_owned();
        let name = path.display().to_string();
        let source = Arc::new(Source::new(name, folder, text));
        let (form, root) = reading::read(&source).map_err(Self::wrong)?;
        let file = Self { path: path.to_owned(), form, source, root };
        file.check().map_err(Self::wrong)?;
        Ok(file)
    }

    /// Its folder, which the paths in it are relative to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.source.folder
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.source.text
    }

    /// A path of the file, as the working folder has it.
    #[must_use]
    pub fn beside(&self, path: &Path) -> PathBuf {
        match self.folder() {
            folder if folder == Path::new(".") => path.to_owned(),
            folder => folder.join(path),
        }
    }

    /// A problem at a field, or at the nearest thing above it. The line is not shown: values may
    /// be secrets.
    #[must_use]
    pub fn problem(&self, path: &FieldPath, message: impl Into<String>) -> Problem {
        let (mark, _) = locate(path, &self.root);
        Problem { source_line: None, ..self.source.problem(mark, message) }
    }

    /// The error for problems of a project file: nothing was planned.
    #[must_use]
    pub fn wrong(problems: Vec<Problem>) -> Error {
        Error::manifests(problems).saying("the project file cannot be used")
    }

    /// The environments that there are, in the order of the file, without those that are only there
    /// for others to extend.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let environments = self.form.environments.iter().filter(|(_, form)| !form.is_abstract);
        environments.map(|(name, _)| name.as_str())
    }
}

/// Whether there is a project file, and not a manifest of its name. What is there and cannot be read
/// is one: guards must not go with a file that is broken.
#[must_use]
pub fn is_project_file(path: &Path) -> bool {
    let is_project = |text: String| is_project_text(&text).unwrap_or(true);
    path.symlink_metadata().is_ok() && bounded::text(path, LIMIT).map_or(true, is_project)
}
