//! What is meant by a path: a file or folder here or in the room, or several by a pattern.

use std::fs;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use serde_json::Value;

use super::row;
use crate::error::{Context, Error, Result};
use crate::output;
use crate::room::storage::Entry;

/// What paths in the room begin with.
pub const IN_ROOM: &str = "room://";

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// On this machine.
    Here(PathBuf),
    /// In the room.
    Room(String),
}

impl Location {
    /// What a path means.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match text.strip_prefix(IN_ROOM) {
            Some(path) => Self::Room(path.to_owned()),
            None => Self::Here(text.into()),
        }
    }
}

/// Whether the last part of a path stands for several.
#[must_use]
pub fn is_pattern(path: &str) -> bool {
    name_of(path).contains(['*', '?', '['])
}

/// The last part of a path.
#[must_use]
pub fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The path of the folder around a path; empty for the root, or a slash if the path begins so.
#[must_use]
pub fn parent_of(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((parent, _)) => parent,
        None => "",
    }
}

/// A pattern of `fnmatch` as one of globs: only `*`, `?` and complete brackets mean something.
fn as_glob(pattern: &str) -> String {
    let mut glob = String::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        // A bracket that closes at once holds the closing sign itself.
        let closes = rest[c.len_utf8()..].char_indices().skip(1).find(|(_, it)| *it == ']');
        match (c, closes) {
            ('[', Some((end, _))) => {
                glob += &rest[..end + 2];
                rest = &rest[end + 2..];
                continue;
            }
            ('[' | ']' | '{' | '}', _) => glob += &format!("[{c}]"),
            _ => glob.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    glob
}

/// Those whose names fit a pattern.
///
/// # Errors
///
/// The pattern is not valid.
pub fn matching(pattern: &str, entries: Vec<Entry>) -> Result<Vec<Entry>> {
    let glob = GlobBuilder::new(&as_glob(pattern)).backslash_escape(false).build();
    let glob =
        glob.map_err(|error| Error::usage(format!("{pattern:?} is not a pattern: {error}")))?;
    let glob = glob.compile_matcher();
    Ok(entries.into_iter().filter(|entry| glob.is_match(&entry.name)).collect())
}

/// What is in a folder here, by name. Links are not followed.
///
/// # Errors
///
/// The system's.
pub fn entries_here(folder: &Path) -> Result<Vec<Entry>> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let failed = || format!("failed to read the folder {}", folder.display());
    let mut entries = Vec::new();
    for found in fs::read_dir(folder).context(failed)? {
        let found = found.context(failed)?;
        if let (Ok(name), Ok(about)) = (found.file_name().into_string(), found.metadata()) {
            entries.push(entry(name, &about));
        }
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

fn entry(name: String, about: &fs::Metadata) -> Entry {
    let text = |time: std::io::Result<std::time::SystemTime>| {
        jiff::Timestamp::try_from(time.ok()?).ok().map(|time| format!("{time:.0}"))
    };
    Entry {
        name,
        is_folder: about.is_dir(),
        size: (!about.is_dir()).then_some(about.len()),
        created_at: text(about.created()),
        updated_at: text(about.modified()),
    }
}

/// Whether any part of a path here stands for several.
#[must_use]
pub fn is_pattern_here(path: &Path) -> bool {
    path.iter().any(|part| is_pattern(&part.to_string_lossy()))
}

/// What a path with patterns stands for here. As in a shell, what is hidden fits only a pattern
/// that says so.
///
/// # Errors
///
/// A pattern is not valid; the system's.
pub fn matching_here(path: &Path) -> Result<Vec<(PathBuf, Entry)>> {
    let mut found = vec![PathBuf::new()];
    for part in path.iter() {
        let pattern = part.to_string_lossy();
        if !is_pattern(&pattern) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut next = Vec::new();
        for folder in found {
            if !folder.as_os_str().is_empty() && !folder.is_dir() {
                continue;
            }
            let entries = matching(&pattern, entries_here(&folder)?)?.into_iter();
            let is_shown = |it: &Entry| pattern.starts_with('.') || !it.name.starts_with('.');
            next.extend(entries.filter(is_shown).map(|entry| folder.join(entry.name)));
        }
        found = next;
    }
    let known = |path: PathBuf| {
        let about = fs::symlink_metadata(&path).ok()?;
        let name = path.file_name()?.to_str()?.to_owned();
        Some((path, entry(name, &about)))
    };
    Ok(found.into_iter().filter_map(known).collect())
}

/// Lists what is here.
///
/// # Errors
///
/// There is nothing; the system's.
pub fn list_here(path: &Path, recursive: bool) -> Result<Vec<Value>> {
    let shown = |path: &Path| path.display().to_string();
    let found = if is_pattern_here(path) {
        matching_here(path)?
    } else {
        let about = fs::symlink_metadata(path)
            .context(|| format!("failed to look at {}", path.display()))?;
        if !about.is_dir() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Ok(vec![row(&shown(path), &entry(name, &about))]);
        }
        entries_here(path)?.into_iter().map(|it| (path.join(&it.name), it)).collect()
    };
    if found.is_empty() && is_pattern_here(path) {
        return Err(Error::failed(format!("nothing fits {}", path.display())));
    }
    let mut rows = Vec::new();
    for (path, entry) in found {
        rows.push(row(&shown(&path), &entry));
        if entry.is_folder && recursive {
            rows.extend(list_here(&path, true)?);
        }
    }
    Ok(rows)
}

/// Removes what is here.
///
/// # Errors
///
/// There is nothing; a folder that is not to be removed; the system's.
pub fn remove_here(path: &Path, recursive: bool) -> Result<()> {
    let targets = match is_pattern_here(path) {
        true => {
            let found = matching_here(path)?.into_iter();
            found.filter(|(_, entry)| !entry.is_folder).map(|(path, _)| path).collect()
        }
        false => vec![path.to_owned()],
    };
    if targets.is_empty() {
        return Err(Error::failed(format!("no file fits {}", path.display())));
    }
    for target in targets {
        let failed = || format!("failed to remove {}", target.display());
        let about = fs::symlink_metadata(&target).context(failed)?;
        match (about.is_dir(), recursive) {
            (true, false) => {
                let told = format!("{} is a folder", target.display());
                return Err(Error::failed(told).hint("add -r"));
            }
            (true, true) => fs::remove_dir_all(&target).context(failed)?,
            (false, _) => fs::remove_file(&target).context(failed)?,
        }
        output::note(&format!("removed {}", target.display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_say_where_they_are() {
        assert_eq!(Location::of("room://a/b"), Location::Room("a/b".to_owned()));
        assert_eq!(Location::of("room:///a"), Location::Room("/a".to_owned()));
        assert_eq!(Location::of("a/room://b"), Location::Here("a/room://b".into()));
        assert_eq!((name_of("a/b"), parent_of("a/b"), parent_of("b")), ("b", "a", ""));
        assert_eq!((name_of("/b"), parent_of("/b")), ("b", "/"));
        assert!(is_pattern("a/*.txt") && is_pattern("?") && !is_pattern("a*/b"));
    }

    #[test]
    fn patterns_fit_names() {
        let all = ["a.txt", "b.txt", ".c.txt", "d.md"]
            .map(|name| Entry { name: name.to_owned(), ..Entry::default() });
        let fitting = |pattern: &str| {
            let found = matching(pattern, all.to_vec()).unwrap();
            found.into_iter().map(|entry| entry.name).collect::<Vec<_>>()
        };
        assert_eq!(fitting("*.txt"), ["a.txt", "b.txt", ".c.txt"]);
        assert_eq!(fitting("?.md"), ["d.md"]);
        assert_eq!(fitting("[ab].txt"), ["a.txt", "b.txt"]);
        assert!(fitting("x*").is_empty());
        assert!(fitting("[").is_empty() && fitting("{a,b}.txt").is_empty());
        for (pattern, glob) in [
            ("a{b}", "a[{]b[}]"),
            ("[]a]", "[]a]"),
            ("[!a]*", "[!a]*"),
            ("[ab", "[[]ab"),
            ("]", "[]]"),
        ] {
            assert_eq!(as_glob(pattern), glob);
        }
    }
}
