//! What is meant by a path: a file or folder here or in the room, or several by a pattern.

use std::fs::{self, FileType};
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use serde_json::Value;

use super::row;
use crate::error::{Context, Error, Result};
use crate::output;
use crate::room::storage::Entry;

/// What paths in the room begin with.
pub const IN_ROOM: &str = "room://";

/// Standard input, as a path.
pub const INPUT: &str = "/dev/stdin";

/// Standard output, as a path.
pub const OUTPUT: &str = "/dev/stdout";

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
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn of(text: &str) -> Result<Self> {
        match text.strip_prefix(IN_ROOM) {
            Some(path) => Ok(Self::Room(path.to_owned())),
            None if text.is_empty() => Err(Error::usage("a path is empty").hint(
                "room:// is the folder with all files of the room, and . the one that you are in",
            )),
            None => Ok(Self::Here(text.into())),
        }
    }
}

/// Whether a path in the room is that of the folder around everything.
#[must_use]
pub fn is_root(path: &str) -> bool {
    path.split('/').all(|part| matches!(part, "" | "."))
}

/// A path here as it is shown.
#[must_use]
pub fn shown_here(path: &Path) -> String {
    match path.to_str() {
        Some(INPUT) => "standard input".to_owned(),
        Some(OUTPUT) => "standard output".to_owned(),
        _ => path.display().to_string(),
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

fn matcher(pattern: &str) -> Result<GlobMatcher> {
    let glob = GlobBuilder::new(&as_glob(pattern)).backslash_escape(false).build();
    let glob =
        glob.map_err(|error| Error::usage(format!("{pattern:?} is not a pattern: {error}")))?;
    Ok(glob.compile_matcher())
}

/// Those whose names fit a pattern; only the one that is called like the pattern, if there is one.
///
/// # Errors
///
/// The pattern is not valid.
pub fn matching(pattern: &str, mut entries: Vec<Entry>) -> Result<Vec<Entry>> {
    if let Some(at) = entries.iter().position(|entry| entry.name == pattern) {
        return Ok(vec![entries.swap_remove(at)]);
    }
    let glob = matcher(pattern)?;
    entries.retain(|entry| glob.is_match(&entry.name));
    Ok(entries)
}

/// Something on this machine.
#[derive(Debug, Clone)]
pub struct Here {
    /// Where it is.
    pub path: PathBuf,
    /// Its name and what is known of it. In a name that is not UTF-8, something stands for what is
    /// not.
    pub entry: Entry,
    /// What it is; a link is one.
    pub kind: FileType,
}

impl Here {
    /// Looks at a path, and does not follow it if it is a link.
    ///
    /// # Errors
    ///
    /// The system's.
    fn at(path: PathBuf) -> Result<Self> {
        let about = fs::symlink_metadata(&path)
            .context(|| format!("failed to look at {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { entry: entry(name, &about), kind: about.file_type(), path })
    }

    /// Whether its name can be that of a file in a room, which is UTF-8.
    #[must_use]
    pub fn has_text_name(&self) -> bool {
        self.path.file_name().is_some_and(|name| name.to_str().is_some())
    }
}

/// What is in a folder here, by name; an error in place of what cannot be looked at.
///
/// # Errors
///
/// The system's, of the folder.
pub fn entries_here(folder: &Path) -> Result<Vec<Result<Here>>> {
    let failed = || format!("failed to read the folder {}", folder.display());
    let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut names = Vec::new();
    for found in fs::read_dir(shown).context(failed)? {
        names.push(found.context(failed)?.file_name());
    }
    names.sort();
    Ok(names.into_iter().map(|name| Here::at(folder.join(name))).collect())
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

/// Whether a path here stands for several: a part of it is a pattern, and nothing is called so.
#[must_use]
pub fn is_pattern_here(path: &Path) -> bool {
    path.iter().any(|part| is_pattern(&part.to_string_lossy())) && path.symlink_metadata().is_err()
}

/// What a path with patterns stands for here. As in a shell, what is hidden fits only a pattern
/// that says so.
///
/// # Errors
///
/// A pattern is not valid; the system's.
pub fn matching_here(path: &Path) -> Result<Vec<Here>> {
    let mut found = vec![PathBuf::new()];
    for part in path.iter() {
        let pattern = part.to_string_lossy();
        if !is_pattern(&pattern) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let fitting = matcher(&pattern)?;
        let mut next = Vec::new();
        for folder in found {
            if !folder.as_os_str().is_empty() && !folder.is_dir() {
                continue;
            }
            let called_so = folder.join(part);
            if called_so.symlink_metadata().is_ok() {
                next.push(called_so);
                continue;
            }
            for here in entries_here(&folder)? {
                let here = here?;
                let is_shown = pattern.starts_with('.') || !here.entry.name.starts_with('.');
                if is_shown && fitting.is_match(&here.entry.name) {
                    next.push(here.path);
                }
            }
        }
        found = next;
    }
    // What is behind a pattern need not be everywhere.
    let there = found.into_iter().filter(|path| path.symlink_metadata().is_ok());
    there.map(Here::at).collect()
}

/// Lists what is here.
///
/// # Errors
///
/// There is nothing; the system's.
pub fn list_here(path: &Path, recursive: bool) -> Result<Vec<Value>> {
    let shown = |it: &Here| row(&it.path.display().to_string(), &it.entry);
    let found: Vec<Here> = if is_pattern_here(path) {
        matching_here(path)?
    } else {
        let here = Here::at(path.to_owned())?;
        if !here.entry.is_folder {
            return Ok(vec![shown(&here)]);
        }
        entries_here(path)?.into_iter().collect::<Result<_>>()?
    };
    if found.is_empty() && is_pattern_here(path) {
        return Err(Error::failed(format!("nothing fits {}", path.display())));
    }
    let mut rows = Vec::new();
    for here in found {
        rows.push(shown(&here));
        if here.entry.is_folder && recursive {
            rows.extend(list_here(&here.path, true)?);
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
            found.filter(|here| !here.entry.is_folder).map(|here| here.path).collect()
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
            // `/`, `.` and whatever ends with `..` are around the program itself.
            (true, true) if target.file_name().is_none() => {
                let told = format!("{} has no name, so it is not removed", target.display());
                return Err(Error::usage(told).hint("name the folder"));
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
        assert_eq!(Location::of("room://a/b").unwrap(), Location::Room("a/b".to_owned()));
        assert_eq!(Location::of("room:///a").unwrap(), Location::Room("/a".to_owned()));
        assert_eq!(Location::of("a/room://b").unwrap(), Location::Here("a/room://b".into()));
        assert_eq!((name_of("a/b"), parent_of("a/b"), parent_of("b")), ("b", "a", ""));
        assert_eq!((name_of("/b"), parent_of("/b")), ("b", "/"));
        assert!(Location::of("").is_err());
        assert!(is_root("") && is_root("/") && is_root(".//") && !is_root("a") && !is_root(".a"));
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
        let called = ["x*", "xy"].map(|name| Entry { name: name.to_owned(), ..Entry::default() });
        let found = matching("x*", called.to_vec()).unwrap();
        assert_eq!(found.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["x*"]);
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
