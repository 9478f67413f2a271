//! Files become texts: which ones there are, how they are read, and how a `*.j2` file is
//! rendered before it is parsed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::imported::Inside;
use super::overrides::Overrides;
use super::own_files::OwnFiles;
use super::reach::Reach;
use super::signs::Signs;
use super::values::{self, FileValues};
use super::walk::{self, Skipped, Why};
use super::yaml::{self, MAX_BYTES, Mark, Node};
use crate::bounded;
use crate::error::RENDERED;
use crate::error::{Place, Problem};
use crate::listed::word;

/// The longest line that is shown below a problem, in bytes.
const QUOTED: usize = 4 * 1024;

/// A text that holds documents.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file as the user named it, or `-` for standard input.
    pub name: String,
    /// The folder that paths in the text are relative to.
    pub folder: PathBuf,
    /// The text, of which no line ends in a carriage return alone; of a `*.j2` file, what it
    /// was rendered to.
    pub text: String,
    /// The signs in it that stand for sealed variables of the environment.
    pub signs: Signs,
    /// What another file says of its documents.
    pub over: Option<Arc<Overrides>>,
    /// The file of a source of the project file that it is. Then nothing that it names leads to a
    /// file of this machine.
    pub inside: Option<Inside>,
    lines: Lines,
}

/// Where the lines of a text begin, once one was asked for.
#[derive(Debug, Default)]
struct Lines(OnceLock<Vec<usize>>);

impl Clone for Lines {
    fn clone(&self) -> Self {
        // The text may become another one.
        Self::default()
    }
}

impl Source {
    /// A text without signs.
    #[must_use]
    pub fn new(name: String, folder: PathBuf, text: String) -> Self {
        let (signs, lines) = (Signs::default(), Lines::default());
        Self { name, folder, text, signs, over: None, inside: None, lines }
    }

    /// The same with another text, in which no signs stand.
    #[must_use]
    pub fn with_text(&self, text: String) -> Self {
        let Self { name, folder, over, inside, .. } = self;
        let (over, inside) = (over.clone(), inside.clone());
        Self { over, inside, ..Self::new(name.clone(), folder.clone(), text) }
    }

    /// The same, in which these signs stand.
    #[must_use]
    pub(super) fn with_signs(self, signs: Signs) -> Self {
        Self { signs, ..self }
    }

    /// Whether its text was rendered from a template, so that what a file holds is another.
    #[must_use]
    pub fn is_rendered(&self) -> bool {
        self.name.ends_with(RENDERED)
    }

    /// Whether it is a file of JSON, in which nothing is read that is YAML alone.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.name.to_ascii_lowercase().ends_with(".json")
    }

    /// The place of a mark.
    #[must_use]
    pub fn place(&self, mark: Mark) -> Place {
        let said = self.over.as_ref().and_then(|over| Some((&over.source.name, over.from(mark)?)));
        let (file, from) = match said {
            Some((file, said)) => (file, Some(Arc::clone(said.from()))),
            None => (&self.name, None),
        };
        let (line, column) = (mark.line.max(1), mark.column.max(1));
        Place { file: file.clone(), line, column, from }
    }

    /// A problem at a mark, with the line of the text.
    pub fn problem(&self, mark: Mark, message: impl Into<String>) -> Problem {
        let quoted = |line: &&str| line.len() <= QUOTED && !self.signs.are_in(line);
        Problem {
            place: Some(self.place(mark)),
            // Another file says what stands at a mark of an override, and it may be a secret.
            source_line: self.line(mark).filter(|_| mark.over == 0).filter(quoted).map(Into::into),
            ..Problem::new(self.signs.hidden_in(message.into()))
        }
    }

    /// The line of a mark.
    fn line(&self, mark: Mark) -> Option<&str> {
        let line = usize::try_from(mark.line.max(1) - 1).unwrap_or(usize::MAX);
        self.text.get(*self.starts().get(line)?..)?.lines().next()
    }

    /// The number of the line in which a byte lies, from one.
    pub(super) fn line_at(&self, byte: usize) -> u64 {
        self.starts().partition_point(|start| *start <= byte) as u64
    }

    fn starts(&self) -> &[usize] {
        self.lines.0.get_or_init(|| {
            let ends = self.text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(ends).collect()
        })
    }

    /// A problem of a file that has no lines to point at.
    fn whole(name: &str, message: impl Into<String>) -> Problem {
        Problem::new(format!("{name}: {}", message.into()))
    }
}

/// What was read, what could not be, and what was left out on purpose.
#[derive(Debug, Default)]
pub struct Reading {
    /// The texts, in order.
    pub sources: Vec<Arc<Source>>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// What was left out below the folders.
    pub skipped: Vec<Skipped>,
    /// What was left out of the sources of the project file, by its name there.
    pub skipped_inside: Vec<Skipped>,
    /// The paths of the values that the templates use.
    pub used_values: BTreeSet<String>,
    /// The files that were read, by where they really are, with the names that they were
    /// given by.
    files: BTreeMap<PathBuf, String>,
    /// What the user should know and need not act on.
    pub notes: Vec<String>,
    /// The values that have no text here, where a plan is made without them.
    pub not_read: Vec<Problem>,
    /// Which files may be read.
    reach: Reach,
}

/// Reads the files, the folders (recursively, through links, in the order of their names)
/// and, for `-`, standard input. What cannot be read is reported beside what can.
#[must_use]
pub fn read(paths: &[PathBuf], values: &FileValues, reach: &Reach) -> Reading {
    let mut reading = Reading { reach: reach.clone(), ..Reading::default() };
    let is_stdin = |path: &&PathBuf| path.as_os_str() == "-";
    if paths.iter().filter(is_stdin).count() > 1 {
        reading.problems.push(Source::whole("-", "standard input is named twice"));
    }
    for path in paths {
        if is_stdin(&path) {
            let read = read_stdin().and_then(|source| match OwnFiles::of(&source.text) {
                Some(made) => Err(made.problem(&source)),
                None => Ok(source),
            });
            reading.add(read);
        } else if let Err(outside) = reach.check(path)
            && (outside.is_link || path.is_dir() || path.is_file())
        {
            reading.problems.push(outside.problem(path));
        } else if path.is_dir() {
            reading.read_folder(path, values);
        } else {
            reading.read_file(path, values, Named::Alone);
        }
    }
    reading
}

impl Reading {
    fn add(&mut self, read: Result<Source, Problem>) {
        match read {
            Ok(source) => self.sources.push(Arc::new(source)),
            Err(problem) => self.problems.push(problem),
        }
    }

    fn read_folder(&mut self, folder: &Path, values: &FileValues) {
        let walk = walk::walk(folder, &self.reach);
        let is_whole = walk.problems.is_empty();
        self.problems.extend(walk.problems);
        self.skipped.extend(walk.skipped);
        let mut found = 0;
        for path in &walk.files {
            found += usize::from(self.read_file(path, values, Named::With(&walk.files)));
        }
        if found == 0 && is_whole {
            self.notes.push(format!(
                "{}: the folder holds no manifests; the name of a manifest ends in .yaml, .yml, .json or .j2",
                folder.display()
            ));
        }
    }

    /// Reads a file; whether it is one of the manifests, right or wrong. A file that is given
    /// twice, by itself and with its folder, declares nothing twice.
    fn read_file(&mut self, path: &Path, values: &FileValues, named: Named<'_>) -> bool {
        let name = path.display().to_string();
        let real = path.canonicalize().ok().filter(|real| real.is_file());
        let are_values = real.as_ref().is_some_and(|real| values.are_from(real));
        if named != Named::Alone && are_values {
            self.skipped.push(Skipped { path: path.to_owned(), why: Why::Values });
            return false;
        }
        if let Some(first) = real.and_then(|real| self.files.insert(real, name.clone())) {
            let message = match first == name {
                true => "the file is given twice".to_owned(),
                false => format!("the file is given twice, first as {first}"),
            };
            let problem = Source::whole(&name, message);
            self.problems.push(
                problem.hint("a folder is read with all that is below it; give each file once"),
            );
            return true;
        }
        // What was given and is not there is told of where it is read.
        if let Err(outside) = self.reach.check(path)
            && (outside.is_link || path.is_file())
        {
            self.problems.push(outside.problem(path));
            return true;
        }
        let source = match read_file(path) {
            Ok(source) => source,
            Err(problem) => {
                self.problems.push(problem);
                return true;
            }
        };
        if walk::is_template(path) {
            let text = source.text.clone();
            let rendered = super::values::render(source, values, &self.reach);
            // Only what could be rendered is surely short enough to be looked through.
            if rendered.is_ok() {
                self.used_values.extend(super::values::used(&text));
            }
            match rendered {
                Ok(rendered) => {
                    self.not_read.extend(rendered.not_read);
                    self.sources.push(Arc::new(rendered.source));
                }
                Err(problems) => self.problems.extend(problems),
            }
            return true;
        }
        if is_project_file(path, &source) {
            match named {
                Named::Alone => self.problems.push(
                    Source::whole(&name, "this is a project file, not a manifest")
                        .hint("leave -f out to use it: `meshagent plan` in its folder"),
                ),
                Named::With(_) => {
                    self.skipped.push(Skipped { path: path.to_owned(), why: Why::ProjectFile });
                }
            }
            return named == Named::Alone;
        }
        match (OwnFiles::of(&source.text), named) {
            (None, Named::With(files)) if is_stray(path, &source) => {
                return self.leave_values(&source, files);
            }
            (None, _) => self.add(Ok(source)),
            (Some(made), Named::Alone) => self.problems.push(made.problem(&source)),
            (Some(_), Named::With(_)) => {
                self.skipped.push(Skipped { path: path.to_owned(), why: Why::MadeHere });
                return false;
            }
        }
        true
    }

    /// Leaves out values that no template is beside. Where one is in a folder below, they may
    /// be meant for it, so it is refused; whether it is.
    fn leave_values(&mut self, source: &Source, files: &[PathBuf]) -> bool {
        let is_below = |file: &PathBuf| walk::is_template(file) && file.starts_with(&source.folder);
        let name = &source.name;
        if let Some(template) = files.iter().find(|file| is_below(file)) {
            let message = "these values are for templates beside them, but there are none here";
            self.problems.push(Source::whole(name, message).hint(format!(
                "for {}, give --values-file {} or put the values beside it; if no template uses them, remove them",
                template.display(),
                word(name)
            )));
            return true;
        }
        self.notes.push(format!("not read: {name}: it holds values, but no template is beside it"));
        self.skipped.push(Skipped { path: PathBuf::from(name), why: Why::Values });
        false
    }
}

/// Whether a file is a project file, by its name and its text: a manifest may have that name, too.
pub(super) fn is_project_file(path: &Path, source: &Source) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    // What cannot be parsed may be a manifest, so what is wrong with it is told.
    walk::PROJECT_FILES.contains(&name) && is_project_text(&source.text) == Some(true)
}

/// Whether the text of a file with the name of a project file is one, and not a manifest; `None`
/// where it cannot be parsed.
#[must_use]
pub fn is_project_text(text: &str) -> Option<bool> {
    let documents = yaml::parse(text).ok()?;
    let is_manifest = |it: &Node| it.get("kind").is_some() && it.get("metadata").is_some();
    Some(!documents.iter().any(is_manifest))
}

/// Whether a project file names sources.
pub(super) fn has_sources(project_file: &Source) -> bool {
    let documents = yaml::parse(&project_file.text).unwrap_or_default();
    documents.iter().any(|document| document.get("sources").is_some())
}

/// Whether a file holds values, by its name and its text, and no document of ours.
pub(super) fn is_stray(path: &Path, source: &Source) -> bool {
    let is_ours = |node: &Node| ["kind", "metadata"].iter().any(|name| node.get(name).is_some());
    let is_map = |node: &Node| matches!(node.value, yaml::Value::Map(_));
    walk::is_of_values(path)
        && yaml::parse(&source.text).is_ok_and(
            |documents| matches!(&documents[..], [only] if is_map(only) && !is_ours(only)),
        )
}

/// How a file was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named<'a> {
    /// By its own name.
    Alone,
    /// With the folder that it is in, which has these files.
    With(&'a [PathBuf]),
}

/// The files that [`read`] would read as manifests, or for the templates among them, with
/// those that say what is left out; plans and reports below a folder are not.
#[must_use]
pub fn files(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let reach = Reach::of(paths, &[]);
    for path in paths {
        if path.is_dir() {
            let walk = walk::walk(path, &reach);
            let is_made_here =
                |path: &PathBuf| read_text(path).is_ok_and(|text| OwnFiles::of(&text).is_some());
            files.extend(walk.files.into_iter().filter(|path| !is_made_here(path)));
            let values = walk.skipped.into_iter().filter(|skipped| skipped.why == Why::Values);
            files.extend(values.map(|skipped| skipped.path));
            files.extend(walk.rules);
        } else {
            if walk::is_template(path) {
                files.extend(values::BESIDE.map(|name| path.with_file_name(name)));
            }
            files.push(path.clone());
        }
    }
    files
}

fn read_stdin() -> Result<Source, Problem> {
    let bytes = bounded::stdin(MAX_BYTES).map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => Source::whole("-", error.to_string()),
        _ => Source::whole("-", format!("failed to read standard input: {error}")),
    })?;
    Ok(Source::new("-".to_owned(), PathBuf::from("."), decode("-", bytes)?))
}

fn read_file(path: &Path) -> Result<Source, Problem> {
    let shown = path.display().to_string();
    // Two files must not have one name, and other names cannot be told apart in a text.
    let name = path.to_str().ok_or_else(|| {
        Source::whole(&shown, "the name of the file is not UTF-8").hint("give it another name")
    })?;
    let text = read_text(path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
        .to_owned();
    Ok(Source::new(name.to_owned(), folder, text))
}

/// Reads the text of a file, without the mark that some editors put at its start.
///
/// # Errors
///
/// The file cannot be read, is not a file, is too large, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Problem> {
    read_text_within(path, MAX_BYTES)
}

/// The same of a file that may have so many bytes.
///
/// # Errors
///
/// As [`read_text`].
pub fn read_text_within(path: &Path, limit: usize) -> Result<String, Problem> {
    let name = path.display().to_string();
    let bytes = bounded::bytes(path, limit).map_err(|error| unread(&name, &error))?;
    decode(&name, bytes)
}

/// Why a file could not be read.
fn unread(name: &str, error: &std::io::Error) -> Problem {
    if ["http://", "https://"].iter().any(|scheme| name.starts_with(scheme)) {
        return Source::whole(name, "manifests must be files, but this is a URL")
            .hint("fetch it with another program, and read its output with `-f -`");
    }
    match error.kind() {
        ErrorKind::Unsupported => Source::whole(name, error.to_string())
            .hint("use `-f -` to read the output of a program"),
        ErrorKind::FileTooLarge => Source::whole(name, error.to_string()),
        _ => Source::whole(name, format!("failed to read: {error}")),
    }
}

pub(super) fn decode(name: &str, bytes: Vec<u8>) -> Result<String, Problem> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
        let before = with_line_feeds(before);
        let line = before.matches('\n').count() as u64 + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() as u64 + 1;
        Problem {
            place: Some(Place { file: name.to_owned(), line, column, from: None }),
            ..Problem::new(format!("not UTF-8: byte {:#04x}", error.as_bytes()[good]))
        }
        .hint("save the file as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    Ok(with_line_feeds(text))
}

/// The text with a line feed for each carriage return that ends a line alone, as YAML reads
/// it. Nothing moves by that.
#[must_use]
pub fn with_line_feeds(text: String) -> String {
    if !text.contains('\r') {
        return text;
    }
    let mut rest = text.chars().peekable();
    let mut read = String::with_capacity(text.len());
    while let Some(c) = rest.next() {
        read.push(if c == '\r' && rest.peek() != Some(&'\n') { '\n' } else { c });
    }
    read
}
