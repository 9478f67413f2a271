//! Files and folders beside a manifest that a document names, and whose texts become a part of what
//! it declares. They are no secrets: their texts are shown. So a document, which a stranger may
//! have written, names only what really is below its own folder and not hidden, wherever links
//! lead.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirEntry;
use std::io;
use std::path::{Component, Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::document::Document;
use super::reach::Reach;
use crate::bounded;
use crate::error::Problem;
use crate::kinds::Beside;
use crate::kinds::agents::check::LONGEST;
use crate::kinds::path::{FieldPath, Step};

mod context;
mod packed;

pub use context::Built;

/// The most bytes of a file of a folder.
const LARGEST: usize = 256 * 1024;

/// The most bytes of all files that one document names.
const OF_DOCUMENT: usize = 4 * 1024 * 1024;

/// The most bytes of all files that the documents of a set name, each time that they do.
const OF_SET: usize = 64 * 1024 * 1024;

/// The most files and folders of one folder.
const MOST: usize = 500;

/// The most folders that lie in each other.
const DEEPEST: usize = 8;

/// Folders that programs fill by themselves.
const MADE: [&str; 2] = ["__pycache__", "node_modules"];

/// What was read beside the manifests of a set.
#[derive(Debug, Default)]
pub struct Read {
    /// The files, where they really are.
    pub files: BTreeSet<PathBuf>,
    /// The folders, where they really are.
    pub folders: BTreeSet<PathBuf>,
    /// The files of sources: the name of each source, and the path in it.
    pub packed: BTreeSet<(String, String)>,
    /// The images that are built of folders.
    pub images: Vec<Built>,
    /// The digests of these folders, by where they really are and by the description in them.
    contexts: BTreeMap<(PathBuf, String), String>,
    /// How many bytes these folders have.
    digested: u64,
    /// How many bytes they have, each time that they are named.
    bytes: usize,
    /// The same when the document began that is read now.
    begun: usize,
}

/// What is wrong, and what to do about it.
struct Wrong(String, Option<String>);

impl From<String> for Wrong {
    fn from(message: String) -> Self {
        Self(message, None)
    }
}

/// Where things are that a document may name.
struct Place<'a> {
    /// The folder of the manifest, as it was given.
    folder: &'a Path,
    /// The same where it really is.
    real: PathBuf,
    reach: &'a Reach,
}

/// Reads what a document names beside its manifest, and puts the texts where it is named.
///
/// # Errors
///
/// What cannot be read, at its place.
pub(super) fn read(
    document: &Document,
    value: &mut Value,
    reach: &Reach,
    read: &mut Read,
) -> Result<(), Vec<Problem>> {
    let named = document.kind.beside(value);
    if named.is_empty() {
        return Ok(());
    }
    let place = Place::of(document, reach);
    read.begun = read.bytes;
    let mut problems = Vec::new();
    let mut built = None;
    for (at_item, beside, path) in named {
        let described = at(value, &at_item).and_then(|it| it.get("dockerfile")?.as_str());
        let signs = &document.source.signs;
        let is_hidden = signs.are_in(&path) || described.is_some_and(|it| signs.are_in(it));
        let found = match (&document.source.inside, beside) {
            _ if is_hidden => Err(hidden_variable()),
            (Some(inside), _) => packed::read(inside, beside, &path, read),
            (None, Beside::Context) => {
                place.digested((&path, described), read).map(|(folder, description, found)| {
                    built = Some((folder, description));
                    found
                })
            }
            (None, _) => place.within(&path).and_then(|real| match beside {
                Beside::Bytes(field) => bytes(&real, (&path, field), read),
                Beside::Folder => place.folder(real, &path, read),
                Beside::File | Beside::Context => text(&real, &path, read),
            }),
        };
        match (found, at(value, &at_item)) {
            (Ok(Value::Object(found)), Some(Value::Object(item))) => item.extend(found),
            (Ok(_), _) => {}
            (Err(Wrong(message, hint)), _) => {
                let at = at_item.field(beside.word());
                problems.push(Problem { hint, ..document.problem_at(&at, message) });
            }
        }
        // What comes behind it would be read for nothing.
        if within_bounds(read).is_err() {
            break;
        }
    }
    if let (Some(image), Some((folder, description))) = (document.kind.built(value), built) {
        read.images.push(Built { image, folder, description, place: document.place() });
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The folders that documents name, where they really are: what is in them is no manifest.
pub(super) fn folders(document: &Document, value: &Value, reach: &Reach) -> Vec<PathBuf> {
    let place = Place::of(document, reach);
    let folder = |(_, beside, path): (FieldPath, Beside, String)| match beside {
        Beside::Folder => place.within(&path).ok().filter(|real| real.is_dir()),
        // An image may be built of the folder of the manifests, too.
        Beside::Context => place.context(&path).ok().filter(|real| !place.is_in(real)),
        Beside::File | Beside::Bytes(_) => None,
    };
    document.kind.beside(value).into_iter().filter_map(folder).collect()
}

/// Whether a document names a file, and no folder.
fn is_file(beside: Beside) -> bool {
    matches!(beside, Beside::File | Beside::Bytes(_))
}

/// The files that documents name, where they really are: what is in them may be no manifest.
pub(super) fn files(document: &Document, value: &Value, reach: &Reach) -> Vec<PathBuf> {
    let named = document.kind.beside(value).into_iter();
    let files = named.filter(|(_, beside, _)| is_file(*beside));
    let place = Place::of(document, reach);
    files.filter_map(|(_, _, path)| place.within(&path).ok()).collect()
}

/// The same of a document of a source: the folders of the source.
pub(super) fn packed_folders(document: &Document, value: &Value) -> Vec<String> {
    let Some(inside) = &document.source.inside else { return Vec::new() };
    let named = document.kind.beside(value).into_iter();
    let folders = named.filter(|(_, beside, _)| *beside == Beside::Folder);
    folders.filter_map(|(_, _, path)| packed::within(inside, &path).ok()).collect()
}

/// The same of a document of a source: the files of the source.
pub(super) fn packed_files(document: &Document, value: &Value) -> Vec<String> {
    let Some(inside) = &document.source.inside else { return Vec::new() };
    let named = document.kind.beside(value).into_iter();
    let files = named.filter(|(_, beside, _)| is_file(*beside));
    files.filter_map(|(_, _, path)| packed::within(inside, &path).ok()).collect()
}

fn within_bounds(read: &Read) -> Result<(), Wrong> {
    let wrong = |of: &str, most: usize| {
        let most = most / 1024 / 1024;
        Err(Wrong(format!("the files that {of} have more than {most} MiB together"), None))
    };
    if read.bytes - read.begun > OF_DOCUMENT {
        wrong("the document names", OF_DOCUMENT)
    } else if read.bytes > OF_SET {
        wrong("all documents name", OF_SET)
    } else {
        Ok(())
    }
}

fn hidden_variable() -> Wrong {
    let hint = "let templates show the variable with --allow-env NAME=public";
    Wrong("a hidden variable cannot name a file".to_owned(), Some(hint.to_owned()))
}

fn at<'a>(value: &'a mut Value, path: &FieldPath) -> Option<&'a mut Value> {
    path.0.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get_mut(name),
        Step::Index(index) => value.get_mut(index),
        Step::Item { .. } => None,
    })
}

/// Whether all parts of a path are names that are not hidden.
fn is_plain(path: &Path) -> bool {
    path.components().all(|part| match part {
        Component::CurDir => true,
        Component::Normal(name) => !name.to_string_lossy().starts_with('.'),
        _ => false,
    })
}

impl<'a> Place<'a> {
    fn of(document: &'a Document, reach: &'a Reach) -> Self {
        let folder = &document.source.folder;
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let real = here.canonicalize().unwrap_or_else(|_| here.to_owned());
        Self { folder, real, reach }
    }

    /// Where a path really leads, if that is below the folder of the manifest, and not hidden.
    fn within(&self, path: &str) -> Result<PathBuf, Wrong> {
        let written = Path::new(path);
        let has_name = written.components().any(|part| matches!(part, Component::Normal(_)));
        if !has_name || !is_plain(written) {
            return Err(outside(format!(
                "{path:?} is not a path below the folder of the manifest"
            )));
        }
        self.resolve(&self.folder.join(path))
    }

    fn resolve(&self, path: &Path) -> Result<PathBuf, Wrong> {
        let real = self.reach.resolve(path);
        let real = real.map_err(|outside| Wrong(outside.message(path), Some(outside.hint())))?;
        match real.strip_prefix(&self.real) {
            Ok(below) if is_plain(below) => Ok(real),
            _ => {
                let path = path.display();
                let what = "leads to something hidden, or out of the folder of the manifest";
                Err(outside(format!("{path} {what}")))
            }
        }
    }

    /// The text files of a folder, by their paths in it.
    fn folder(&self, real: PathBuf, path: &str, read: &mut Read) -> Result<Value, Wrong> {
        let Some(name) = real.file_name().and_then(|name| name.to_str()).map(str::to_owned) else {
            return Err(format!("{path} is no folder with a name").into());
        };
        read.folders.insert(real.clone());
        let (mut found, mut count) = (Vec::new(), 0);
        let mut open = vec![(real, String::new(), 0)];
        while let Some((folder, above, depth)) = open.pop() {
            let shown = |below: &str| format!("{}/{below}", path.trim_end_matches('/'));
            for entry in folder.read_dir().map_err(|error| failed(path, &error))? {
                let entry = entry.map_err(|error| failed(path, &error))?;
                count += 1;
                if count > MOST {
                    return Err(format!("{path} has more than {MOST} files and folders").into());
                }
                let Some(name) = named(&entry, path)? else { continue };
                let below = if above.is_empty() { name } else { format!("{above}/{name}") };
                let kind = entry.file_type().map_err(|error| failed(&shown(&below), &error))?;
                if kind.is_dir() {
                    if depth == DEEPEST {
                        let message =
                            format!("{path} has more than {DEEPEST} folders in each other");
                        return Err(message.into());
                    }
                    open.push((entry.path(), below, depth + 1));
                    continue;
                }
                let real = match kind.is_symlink() {
                    true => self.resolve(&entry.path())?,
                    false => entry.path(),
                };
                let text = whole_text((&real, LARGEST), &shown(&below), read)?;
                found.push((below, text));
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
}

/// The name of an entry of a folder; none for what is hidden or made by programs.
fn named(entry: &DirEntry, path: &str) -> Result<Option<String>, Wrong> {
    let name = entry.file_name();
    let Some(name) = name.to_str() else {
        return Err(format!("{path} has a file whose name is not UTF-8").into());
    };
    Ok((!name.starts_with('.') && !MADE.contains(&name)).then(|| name.to_owned()))
}

fn outside(message: String) -> Wrong {
    let hint = "what is in it leaves this machine, so nothing above that folder and nothing hidden is read";
    Wrong(message, Some(hint.to_owned()))
}

fn failed(path: &str, error: &io::Error) -> Wrong {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => Some("the path is one from the folder of the manifest"),
        io::ErrorKind::InvalidData => Some(
            "only text can be taken along; put other files into the room's storage, or move them out of the folder",
        ),
        _ => None,
    };
    Wrong(format!("failed to read {path}: {error}"), hint.map(str::to_owned))
}

/// What to do about a rule that is too long.
const LONG_RULE: &str = "a rule is an argument of a program, which Linux bounds; write the text to a file of the room, and name that in `room_rules`";

/// The text of a file, without line breaks at its end.
fn text(real: &Path, path: &str, read: &mut Read) -> Result<Value, Wrong> {
    let text = whole_text((real, LONGEST - 1), path, read).map_err(|Wrong(message, hint)| {
        let is_large = message.contains("is larger than");
        Wrong(message, if is_large { Some(LONG_RULE.to_owned()) } else { hint })
    })?;
    without_end(&text, path)
}

/// The bytes of a file.
fn bytes(real: &Path, (path, field): (&str, &str), read: &mut Read) -> Result<Value, Wrong> {
    within_bounds(read)?;
    let bytes = bounded::bytes_at(real, OF_DOCUMENT).map_err(|error| failed(path, &error))?;
    read.files.insert(real.to_owned());
    encoded(&bytes, field, read)
}

/// Bytes as they are taken along, and counted.
fn encoded(bytes: &[u8], field: &str, read: &mut Read) -> Result<Value, Wrong> {
    read.bytes += bytes.len();
    within_bounds(read)?;
    Ok(json!({ field: STANDARD.encode(bytes) }))
}

fn without_end(text: &str, path: &str) -> Result<Value, Wrong> {
    match text.trim_end() {
        "" => Err(format!("{path} is empty").into()),
        text => Ok(json!({"text": text})),
    }
}

/// The text of a file, with the line breaks of every system.
fn whole_text((real, most): (&Path, usize), path: &str, read: &mut Read) -> Result<String, Wrong> {
    within_bounds(read)?;
    let text = bounded::text_at(real, most).map_err(|error| failed(path, &error))?;
    read.files.insert(real.to_owned());
    plain(text, path, read)
}

/// A text as it is taken along, and counted.
fn plain(text: String, path: &str, read: &mut Read) -> Result<String, Wrong> {
    read.bytes += text.len();
    within_bounds(read)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if text.contains('\0') {
        return Err(format!("{path} is not a text file: it has a zero byte").into());
    }
    Ok(text.replace("\r\n", "\n"))
}
