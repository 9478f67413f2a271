//! Files become texts: which ones there are, how they are read, and how a `*.j2` file is
//! rendered before it is parsed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::values::FileValues;
use super::walk::{self, Skipped};
use super::yaml::{MAX_BYTES, Mark};
use crate::error::{Place, Problem};

/// What follows a template's name where its lines are those of the text it was rendered to.
pub const RENDERED: &str = " (rendered)";

/// A text that holds documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file as the user named it, or `-` for standard input.
    pub name: String,
    /// The folder that paths in the text are relative to.
    pub folder: PathBuf,
    /// The text, of which no line ends in a carriage return alone; of a `*.j2` file, what it
    /// was rendered to.
    pub text: String,
}

impl Source {
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
        Place { file: self.name.clone(), line: mark.line.max(1), column: mark.column.max(1) }
    }

    /// A problem at a mark, with the line of the text.
    pub fn problem(&self, mark: Mark, message: impl Into<String>) -> Problem {
        let line = usize::try_from(mark.line.max(1) - 1).unwrap_or(usize::MAX);
        Problem {
            place: Some(self.place(mark)),
            source_line: self.text.lines().nth(line).map(str::to_owned),
            ..Problem::new(message)
        }
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
    /// The paths of the values that the templates use.
    pub used_values: BTreeSet<String>,
    /// The files that were read, by where they really are, with the names that they were
    /// given by.
    files: BTreeMap<PathBuf, String>,
}

/// Reads the files, the folders (recursively, through links, in the order of their names)
/// and, for `-`, standard input. What cannot be read is reported beside what can.
#[must_use]
pub fn read(paths: &[PathBuf], values: &FileValues) -> Reading {
    let mut reading = Reading::default();
    let is_stdin = |path: &&PathBuf| path.as_os_str() == "-";
    if paths.iter().filter(is_stdin).count() > 1 {
        reading.problems.push(Source::whole("-", "standard input is named twice"));
    }
    for path in paths {
        if is_stdin(&path) {
            reading.add(read_stdin());
        } else if path.is_dir() {
            reading.read_folder(path, values);
        } else {
            reading.read_file(path, values);
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
        let walk = walk::walk(folder);
        if walk.files.is_empty() && walk.problems.is_empty() {
            let problem =
                Source::whole(&folder.display().to_string(), "the folder holds no manifests");
            let mut hint = "a manifest ends in .yaml, .yml, .json or .j2".to_owned();
            if let Some(left_out) = walk::summary(&walk.skipped) {
                hint = format!("{hint}; {left_out}");
            }
            self.problems.push(problem.hint(hint));
        }
        self.problems.extend(walk.problems);
        self.skipped.extend(walk.skipped);
        for path in walk.files {
            self.read_file(&path, values);
        }
    }

    /// A file that is given twice, by itself and with its folder, declares nothing twice.
    fn read_file(&mut self, path: &Path, values: &FileValues) {
        let name = path.display().to_string();
        let real = path.canonicalize().ok().filter(|real| real.is_file());
        if let Some(first) = real.and_then(|real| self.files.insert(real, name.clone())) {
            let message = match first == name {
                true => "the file is given twice".to_owned(),
                false => format!("the file is given twice, first as {first}"),
            };
            let problem = Source::whole(&name, message);
            self.problems.push(
                problem.hint("a folder is read with all that is below it; give each file once"),
            );
            return;
        }
        let source = match read_file(path) {
            Ok(source) => source,
            Err(problem) => return self.problems.push(problem),
        };
        if walk::is_template(path) {
            self.used_values.extend(super::values::used(&source.text));
            self.add(super::values::render(source, values));
        } else {
            self.add(Ok(source));
        }
    }
}

fn read_stdin() -> Result<Source, Problem> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Source::whole("-", format!("failed to read standard input: {error}")))?;
    Ok(Source { name: "-".to_owned(), folder: PathBuf::from("."), text: decode("-", bytes)? })
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
    Ok(Source { name: name.to_owned(), folder, text })
}

/// Reads the text of a file, without the mark that some editors put at its start.
///
/// # Errors
///
/// What cannot be read, is no file, is too large, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Problem> {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| Source::whole(&name, format!("failed to read: {error}"));
    let about = std::fs::metadata(path).map_err(failed)?;
    if let Some(what) = special(about.file_type()).filter(|_| !is_open(path)) {
        return Err(Source::whole(&name, format!("this is {what}, not a file"))
            .hint("what a program writes is read with `-f -`"));
    }
    let file = std::fs::File::open(path).map_err(failed)?;
    // A buffer of the right size is filled at once; what the system says of the size is
    // not relied on.
    let size = about.len().min(MAX_BYTES as u64);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    decode(&name, bytes)
}

/// What is no file and no folder: whoever opens it may wait for ever.
fn special(file_type: std::fs::FileType) -> Option<&'static str> {
    if file_type.is_fifo() {
        Some("a pipe")
    } else if file_type.is_socket() {
        Some("a socket")
    } else if file_type.is_char_device() || file_type.is_block_device() {
        Some("a device")
    } else {
        None
    }
}

/// Whether a path stands for what this process was given open, as a shell's `<(…)` does.
fn is_open(path: &Path) -> bool {
    ["/dev/fd", "/proc/self/fd"].iter().any(|folder| path.parent() == Some(Path::new(folder)))
        || path == Path::new("/dev/stdin")
}

fn decode(name: &str, bytes: Vec<u8>) -> Result<String, Problem> {
    if bytes.len() > MAX_BYTES {
        return Err(Source::whole(
            name,
            format!("the file is larger than {} MiB", MAX_BYTES / 1024 / 1024),
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
        let before = with_line_feeds(before);
        let line = before.matches('\n').count() as u64 + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() as u64 + 1;
        Problem {
            place: Some(Place { file: name.to_owned(), line, column }),
            ..Problem::new(format!("not UTF-8: byte {:#04x}", error.as_bytes()[good]))
        }
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
