//! The routes file: read whole, with the place of everything in it.

use std::borrow::Cow;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::bounded;
use crate::error::{Context, Error, Problem, Result};
use crate::kinds::agents::webserver::Website;
use crate::kinds::path::FieldPath;
use crate::manifest::located::locate;
use crate::manifest::source::{Source, with_line_feeds};
use crate::manifest::yaml::{self, Node};
use crate::whole_file::Draft;

/// The largest routes file, in bytes.
const LIMIT: usize = 1024 * 1024;

/// The mark that some editors put at the start of a file.
const MARK: char = '\u{feff}';

/// A routes file.
pub struct RoutesFile {
    /// Where it is: from the root, without links.
    pub path: PathBuf,
    /// What it says.
    pub website: Website,
    /// The text, of which no line ends in a carriage return alone, and without a mark.
    source: Source,
    /// The text as it is.
    text: String,
    root: Node,
}

/// What may be wrong with a routes file that was named.
pub enum Unread {
    /// There is none.
    Missing,
    /// Anything else.
    Wrong(Error),
}

impl From<Error> for Unread {
    fn from(error: Error) -> Self {
        Self::Wrong(error)
    }
}

/// A path in which `~` stands for the home of whoever runs this.
pub fn expanded(path: &Path) -> Cow<'_, Path> {
    let rest = path.strip_prefix("~").ok();
    match rest.zip(std::env::var_os("HOME").filter(|home| !home.is_empty())) {
        Some((rest, home)) => Cow::Owned(Path::new(&home).join(rest)),
        None => Cow::Borrowed(path),
    }
}

impl RoutesFile {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// There is none; it cannot be read; what is wrong with it.
    pub fn read(given: &Path) -> Result<Self> {
        Self::open(given).map_err(|unread| match unread {
            Unread::Missing => Error::usage(format!("there is no routes file {}", given.display()))
                .hint("`meshagent webserver init` writes one, and -f names another"),
            Unread::Wrong(error) => error,
        })
    }

    /// The same, where none need be there.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn open(given: &Path) -> Result<Self, Unread> {
        let path = expanded(given);
        let failed = |error: std::io::Error| {
            let told = format!("failed to read the routes file {}", given.display());
            Error::usage(told).because(error)
        };
        let path = match path.canonicalize() {
            Ok(path) => path,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Unread::Missing),
            Err(error) => return Err(failed(error).into()),
        };
        if path.is_dir() {
            let told = format!("the routes file {} is a folder", given.display());
            return Err(Error::usage(told).into());
        }
        let text = bounded::text(&path, LIMIT).map_err(failed)?;
        Ok(Self::of(given, path, text)?)
    }

    /// A file with this text.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    pub fn of(given: &Path, path: PathBuf, text: String) -> Result<Self> {
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let shown = given.display().to_string();
        let read = with_line_feeds(text.strip_prefix(MARK).unwrap_or(&text).to_owned());
        let source = Source::new(shown, folder, read);
        let root = document(&source).map_err(|problem| wrong(given, vec![problem]))?;
        let found = Website::read(&root.to_json());
        let website = found.map_err(|faults| {
            let problem = |fault: crate::kinds::Fault| {
                let (mark, _) = locate(&fault.path, &root);
                Problem { hint: fault.hint, ..source.problem(mark, fault.message) }
            };
            wrong(given, faults.into_iter().map(problem).collect())
        })?;
        Ok(Self { path, website, source, text, root })
    }

    /// The folder of the file.
    pub fn folder(&self) -> &Path {
        &self.source.folder
    }

    /// The path as it was given.
    pub fn shown(&self) -> &str {
        &self.source.name
    }

    /// The text without the mark at its start, to be changed.
    pub fn body(&self) -> &str {
        self.text.strip_prefix(MARK).unwrap_or(&self.text)
    }

    /// The file with another text, and the mark that it has.
    ///
    /// # Errors
    ///
    /// What is wrong with that.
    pub fn with_body(&self, body: &str) -> Result<Self> {
        let mark = if self.text.starts_with(MARK) { "\u{feff}" } else { "" };
        Self::of(Path::new(&self.source.name), self.path.clone(), format!("{mark}{body}"))
    }

    /// Begins to write the file in the place of another one, unless that one has changed.
    ///
    /// # Errors
    ///
    /// It changed; the system's.
    pub fn begin(&self, before: &Self) -> Result<Draft> {
        let failed = || format!("failed to write {}", self.source.name);
        before.refuse_changed()?;
        let draft = Draft::like(&self.path).context(failed)?;
        draft.file().write_all(self.text.as_bytes()).context(failed)?;
        Ok(draft)
    }

    /// Puts what was begun in the place of another one, unless that one has changed.
    ///
    /// # Errors
    ///
    /// It changed; the system's.
    pub fn end(&self, draft: Draft, before: &Self) -> Result<()> {
        before.refuse_changed()?;
        draft.replace(&self.path).context(|| format!("failed to write {}", self.source.name))
    }

    fn refuse_changed(&self) -> Result<()> {
        let now = bounded::text(&self.path, LIMIT);
        if now.context(|| format!("failed to write {}", self.source.name))? == self.text {
            return Ok(());
        }
        let told = format!("{} was changed by somebody else meanwhile", self.source.name);
        Err(Error::failed(told).hint("run the same command again"))
    }

    /// A problem of what stands at a path, with its place.
    pub fn problem(&self, path: &FieldPath, message: impl Into<String>) -> Problem {
        self.source.problem(locate(path, &self.root).0, message)
    }

    /// The error for these problems.
    pub fn wrong(&self, problems: Vec<Problem>) -> Error {
        wrong(Path::new(&self.source.name), problems)
    }
}

/// The one document of a text; an empty text has an empty one.
fn document(source: &Source) -> Result<Node, Problem> {
    let documents = yaml::parse(&source.text);
    let mut documents = documents.map_err(|error| match error.mark {
        Some(mark) => source.problem(mark, error.message),
        None => Problem::new(format!("{}: {}", source.name, error.message)),
    })?;
    if let Some(second) = documents.get(1) {
        return Err(
            source.problem(second.mark, "a routes file is one document, and here is another")
        );
    }
    let document = documents.pop().unwrap_or_else(Node::empty);
    match document.first_tag() {
        Some((tag, mark)) => {
            Err(source.problem(mark, format!("the tag {tag} means nothing in a routes file")))
        }
        None => Ok(document),
    }
}

fn wrong(given: &Path, problems: Vec<Problem>) -> Error {
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    Error::manifests(problems).saying(format!("{count} in the routes file {}", given.display()))
}
