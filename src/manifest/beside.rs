//! Files and folders beside a manifest that a document names, and whose texts become a part of what
//! it declares. They are no secrets: their texts are shown. So a document, which a stranger may
//! have written, names only what is below its own folder and not hidden.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use super::document::Document;
use super::reach::Reach;
use crate::bounded;
use crate::error::Problem;
use crate::kinds::Beside;
use crate::kinds::path::{FieldPath, Step};

/// The most bytes of one file.
const LARGEST: usize = 256 * 1024;

/// The most files of one folder.
const MOST: usize = 200;

/// The most folders that lie in each other.
const DEEPEST: usize = 8;

/// What is wrong, and what to do about it.
struct Wrong(String, Option<String>);

impl From<String> for Wrong {
    fn from(message: String) -> Self {
        Self(message, None)
    }
}

/// Reads what a document names beside its manifest, puts the texts where it is named, and notes the
/// files that were read.
///
/// # Errors
///
/// What cannot be read, at its place.
pub(super) fn read(
    document: &Document,
    value: &mut Value,
    reach: &Reach,
    files: &mut BTreeSet<PathBuf>,
) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    for (place, beside, path) in document.kind.beside(value) {
        let found = within(document, &path, reach).and_then(|real| match beside {
            Beside::File => text(&real, &path, files),
            Beside::Folder => folder(&real, &path, reach, files),
        });
        match (found, at(value, &place)) {
            (Ok(Value::Object(found)), Some(Value::Object(item))) => item.extend(found),
            (Ok(_), _) => {}
            (Err(Wrong(message, hint)), _) => {
                let at = place.field(beside.word());
                problems.push(Problem { hint, ..document.problem_at(&at, message) });
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn at<'a>(value: &'a mut Value, path: &FieldPath) -> Option<&'a mut Value> {
    path.0.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get_mut(name),
        Step::Index(index) => value.get_mut(index),
        Step::Item { .. } => None,
    })
}

/// Where a path really leads, if it stays below the folder of its manifest.
fn within(document: &Document, path: &str, reach: &Reach) -> Result<PathBuf, Wrong> {
    let is_below = |part: Component<'_>| match part {
        Component::CurDir => true,
        Component::Normal(name) => !name.to_string_lossy().starts_with('.'),
        _ => false,
    };
    let parts = || Path::new(path).components();
    let has_name = parts().any(|part| matches!(part, Component::Normal(_)));
    if !has_name || !parts().all(is_below) {
        let message = format!("{path:?} is not a path below the folder of the manifest");
        let hint =
            "its text is shown in plans, so nothing above that folder and nothing hidden is read";
        return Err(Wrong(message, Some(hint.to_owned())));
    }
    let path = document.source.folder.join(path);
    reach.resolve(&path).map_err(|outside| Wrong(outside.message(&path), Some(outside.hint())))
}

fn failed(path: &str, error: &io::Error) -> Wrong {
    let hint = matches!(error.kind(), io::ErrorKind::NotFound)
        .then(|| "the path is one from the folder of the manifest".to_owned());
    Wrong(format!("failed to read {path}: {error}"), hint)
}

/// The text of a file, without line breaks at its end.
fn text(real: &Path, path: &str, files: &mut BTreeSet<PathBuf>) -> Result<Value, Wrong> {
    let text = whole_text(real, path, files)?;
    match text.trim_end() {
        "" => Err(format!("{path} is empty").into()),
        text => Ok(json!({"text": text})),
    }
}

/// The text of a file, with the line breaks of every system.
fn whole_text(real: &Path, path: &str, files: &mut BTreeSet<PathBuf>) -> Result<String, Wrong> {
    let text = bounded::text(real, LARGEST).map_err(|error| failed(path, &error))?;
    files.insert(real.to_owned());
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if text.contains('\0') {
        return Err(format!("{path} is not a text file: it has a zero byte").into());
    }
    Ok(text.replace("\r\n", "\n"))
}

/// The text files of a folder, by their paths in it.
fn folder(
    real: &Path,
    path: &str,
    reach: &Reach,
    files: &mut BTreeSet<PathBuf>,
) -> Result<Value, Wrong> {
    let Some(name) = real.file_name().and_then(|name| name.to_str()) else {
        return Err(format!("{path} is no folder with a name").into());
    };
    let mut found = Vec::new();
    let mut open = vec![(real.to_owned(), String::new(), 0)];
    while let Some((folder, above, depth)) = open.pop() {
        let shown = |below: &str| format!("{}/{below}", path.trim_end_matches('/'));
        let entries = folder.read_dir().and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for entry in entries.map_err(|error| failed(&shown(&above), &error))? {
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(format!("{} has a file whose name is not UTF-8", shown(&above)).into());
            };
            if name.starts_with('.') {
                continue;
            }
            let below = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
            let real = reach.resolve(&entry.path());
            let real = real.map_err(|outside| Wrong(outside.message(&entry.path()), None))?;
            if real.is_dir() {
                if depth == DEEPEST {
                    return Err(
                        format!("{path} has more than {DEEPEST} folders in each other").into()
                    );
                }
                open.push((real, below, depth + 1));
            } else if found.len() == MOST {
                return Err(format!("{path} has more than {MOST} files").into());
            } else {
                let text = whole_text(&real, &shown(&below), files)?;
                found.push((below, text));
            }
        }
    }
    if found.is_empty() {
        return Err(format!("{path} has no files").into());
    }
    found.sort();
    let found: Vec<_> =
        found.into_iter().map(|(path, text)| json!({"path": path, "text": text})).collect();
    Ok(json!({"name": name, "files": found}))
}
