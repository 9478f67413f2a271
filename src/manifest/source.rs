//! Files become texts: which ones there are, how they are read, and how a `*.j2` file is
//! rendered before it is parsed.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::values::FileValues;
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
    /// The text; of a `*.j2` file, what it was rendered to.
    pub text: String,
}

impl Source {
    /// Whether its text was rendered from a template, so that what a file holds is another.
    #[must_use]
    pub fn is_rendered(&self) -> bool {
        self.name.ends_with(RENDERED)
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

/// Reads the files, the folders (recursively, in the order of their names) and, for `-`,
/// standard input. What cannot be read is reported beside what can.
#[must_use]
pub fn read(paths: &[PathBuf], values: &FileValues) -> (Vec<Arc<Source>>, Vec<Problem>) {
    let mut sources = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        let read = if path.as_os_str() == "-" {
            read_stdin().map(|source| vec![source])
        } else if path.is_dir() {
            read_folder(path, values, &mut problems)
        } else {
            read_file(path, values).map(|source| vec![source])
        };
        match read {
            Ok(read) => sources.extend(read.into_iter().map(Arc::new)),
            Err(problem) => problems.push(problem),
        }
    }
    (sources, problems)
}

fn read_stdin() -> Result<Source, Problem> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Source::whole("-", format!("failed to read standard input: {error}")))?;
    Ok(Source { name: "-".to_owned(), folder: PathBuf::from("."), text: decode("-", bytes)? })
}

fn read_folder(
    folder: &Path,
    values: &FileValues,
    problems: &mut Vec<Problem>,
) -> Result<Vec<Source>, Problem> {
    let mut sources = Vec::new();
    let mut found = false;
    let entries =
        walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(|entry| {
            // Hidden folders hold the tools' own files (`.git`, `.meshagent`).
            entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.')
        });
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let name = error.path().unwrap_or(folder).display().to_string();
                problems.push(Source::whole(&name, format!("failed to read: {error}")));
                continue;
            }
        };
        if entry.file_type().is_dir() || !is_manifest(entry.path()) {
            continue;
        }
        found = true;
        match read_file(entry.path(), values) {
            Ok(source) => sources.push(source),
            Err(problem) => problems.push(problem),
        }
    }
    if found {
        Ok(sources)
    } else {
        Err(Source::whole(&folder.display().to_string(), "the folder holds no manifests")
            .hint("a manifest ends in .yaml, .yml, .json or .j2"))
    }
}

/// Whether a file of a folder is a manifest. Values for templates are not, where there is
/// a template beside them.
fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
    let is_values = super::values::BESIDE.iter().any(|name| path.ends_with(name));
    matches!(extension, "yaml" | "yml" | "json" | "j2") && !(is_values && has_template(path))
}

fn has_template(path: &Path) -> bool {
    let Some(entries) = path.parent().and_then(|folder| std::fs::read_dir(folder).ok()) else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| entry.path().extension().is_some_and(|extension| extension == "j2"))
}

fn read_file(path: &Path, values: &FileValues) -> Result<Source, Problem> {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| Source::whole(&name, format!("failed to read: {error}"));
    let file = std::fs::File::open(path).map_err(failed)?;
    // A buffer of the right size is filled at once; what the system says of the size is
    // not relied on.
    let size = file.metadata().map_or(0, |about| about.len().min(MAX_BYTES as u64));
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let text = decode(&name, bytes)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
        .to_owned();
    let source = Source { name, folder, text };
    if path.extension().is_some_and(|extension| extension == "j2") {
        return super::values::render(source, values);
    }
    Ok(source)
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
        let line =
            error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        let column =
            error.as_bytes()[..good].iter().rev().take_while(|byte| **byte != b'\n').count() as u64
                + 1;
        Problem {
            place: Some(Place { file: name.to_owned(), line, column }),
            ..Problem::new(format!("not UTF-8: byte {:#04x}", error.as_bytes()[good]))
        }
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
