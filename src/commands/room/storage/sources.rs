//! What is copied: the files that a path stands for, here or in the room.

use std::fs;
use std::path::Path;

use super::location::{
    Here, Location, entries_here, is_pattern, is_pattern_here, matching, matching_here, name_of,
    parent_of,
};
use super::{Contents, contents, has, joined, missing, stat};
use crate::bounded;
use crate::error::{Context, Error, Result};
use crate::listed::few;
use crate::output;
use crate::room::client::Room;

/// How deep folders are copied.
const DEPTH: usize = 128;

/// A file to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub from: Location,
    /// Its path below the folder that is copied, or its name.
    pub below: String,
}

/// The files to be copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The name of the folder that is copied, if it is one; empty if it has none.
    pub folder: Option<String>,
    /// The files.
    pub files: Vec<Source>,
    /// How much is not copied, and was told.
    pub failed: usize,
}

impl Sources {
    fn one(from: Location, below: String) -> Self {
        Self { files: vec![Source { from, below }], ..Self::default() }
    }

    fn of_folder(name: String) -> Self {
        Self { folder: Some(name), ..Self::default() }
    }

    fn add(&mut self, from: Location, below: String) {
        self.files.push(Source { from, below });
    }

    /// Tells what cannot be copied. The others are.
    fn tell(&mut self, error: &Error) {
        output::error(error);
        self.failed += 1;
    }

    /// The files that a path here stands for; folders only if that is wanted.
    ///
    /// # Errors
    ///
    /// There is nothing; something that is neither a file nor a folder, which is not opened.
    pub fn here(path: &Path, recursive: bool) -> Result<Self> {
        if is_pattern_here(path) {
            return Self::fitting_here(path);
        }
        let shown = path.display();
        let about = fs::metadata(path).context(|| format!("failed to look at {shown}"))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        if about.is_dir() {
            may_copy_folders(&shown.to_string(), recursive)?;
            let mut sources = Self::of_folder(name);
            sources.walk_here(path, "", 0)?;
            return Ok(sources);
        }
        match bounded::special(about.file_type()).filter(|_| !bounded::is_open(path)) {
            Some(what) => Err(Error::failed(format!("{shown} is {what}, not a file"))),
            None => Ok(Self::one(Location::Here(path.to_owned()), name)),
        }
    }

    /// The files here that fit a pattern.
    fn fitting_here(path: &Path) -> Result<Self> {
        let mut sources = Self::default();
        for here in matching_here(path)?.into_iter().filter(|here| !here.entry.is_folder) {
            let name = here.entry.name.clone();
            sources.add_here(here, name);
        }
        match sources.files.is_empty() && sources.failed == 0 {
            true => Err(Error::failed(format!("no file fits {}", path.display()))),
            false => Ok(sources),
        }
    }

    /// Adds a file that was found. What a link leads to need not be in the folder, so it is left
    /// out, as is what is no file.
    fn add_here(&mut self, here: Here, below: String) {
        let shown = here.path.display();
        if here.kind.is_symlink() {
            output::note(&format!("note: {shown} is a link and is not copied"));
        } else if let Some(what) = bounded::special(here.kind) {
            output::note(&format!("note: {shown} is {what} and is not copied"));
        } else if !here.has_text_name() {
            let told = format!("{shown} is not copied: its name is not UTF-8");
            self.tell(&Error::failed(told));
        } else {
            self.add(Location::Here(here.path), below);
        }
    }

    /// The files in a folder here.
    ///
    /// # Errors
    ///
    /// The system's, of this folder; what is below it is only told.
    fn walk_here(&mut self, folder: &Path, below: &str, depth: usize) -> Result<()> {
        let entries =
            too_deep(&folder.display().to_string(), depth).and_then(|()| entries_here(folder))?;
        if entries.is_empty() && depth > 0 {
            output::note(&format!("note: {} is empty and is not copied", folder.display()));
        }
        for here in entries {
            let here = match here {
                Ok(here) => here,
                Err(error) => {
                    self.tell(&error);
                    continue;
                }
            };
            let below = joined(below, &here.entry.name);
            if !here.entry.is_folder || !here.has_text_name() {
                self.add_here(here, below);
            } else if let Err(error) = self.walk_here(&here.path, &below, depth + 1) {
                self.tell(&error);
            }
        }
        Ok(())
    }

    /// The files that a path in the room stands for; folders only if that is wanted.
    ///
    /// # Errors
    ///
    /// There is nothing; what the room refuses.
    pub async fn in_room(room: &Room, path: &str, recursive: bool) -> Result<Self> {
        if is_pattern(path) {
            let folder = parent_of(path);
            let Contents { entries, odd } = contents(room, folder).await?;
            let mut sources = Self::default();
            sources.tell_odd(folder, &odd);
            for entry in matching(name_of(path), entries)? {
                if !entry.is_folder {
                    sources.add(Location::Room(joined(folder, &entry.name)), entry.name);
                } else if entry.name == name_of(path) {
                    // It is called so, and is no pattern.
                    return Self::folder_in_room(room, path, recursive).await;
                }
            }
            return if sources.files.is_empty() { Err(missing(path)) } else { Ok(sources) };
        }
        if !has(room, path).await? {
            return Err(missing(path));
        }
        if recursive && stat(room, path).await?.is_some_and(|entry| entry.is_folder) {
            return Self::folder_in_room(room, path, recursive).await;
        }
        let name = name_of(path.trim_end_matches('/')).to_owned();
        Ok(Self::one(Location::Room(path.to_owned()), name))
    }

    async fn folder_in_room(room: &Room, path: &str, recursive: bool) -> Result<Self> {
        may_copy_folders(&format!("{path:?}"), recursive)?;
        let mut sources = Self::of_folder(name_of(path.trim_end_matches('/')).to_owned());
        sources.walk_in_room(room, path, "", 0).await?;
        Ok(sources)
    }

    async fn walk_in_room(
        &mut self,
        room: &Room,
        folder: &str,
        below: &str,
        depth: usize,
    ) -> Result<()> {
        too_deep(folder, depth)?;
        let Contents { entries, odd } = contents(room, folder).await?;
        if entries.is_empty() && odd.is_empty() && depth > 0 {
            output::note(&format!("note: room://{folder} is empty and is not copied"));
        }
        self.tell_odd(folder, &odd);
        for entry in entries {
            let (path, below) = (joined(folder, &entry.name), joined(below, &entry.name));
            if !entry.is_folder {
                self.add(Location::Room(path), below);
            } else if let Err(error) =
                Box::pin(self.walk_in_room(room, &path, &below, depth + 1)).await
            {
                self.tell(&error);
            }
        }
        Ok(())
    }

    /// Tells which names a room lists that no file can have.
    fn tell_odd(&mut self, folder: &str, odd: &[String]) {
        if !odd.is_empty() {
            let names = few(odd.iter().map(|name| format!("{name:?}")));
            let told = format!("room://{folder} lists what is no name of a file: {names}");
            self.tell(&Error::failed(told));
            self.failed += odd.len() - 1;
        }
    }
}

fn may_copy_folders(path: &str, recursive: bool) -> Result<()> {
    match recursive {
        true => Ok(()),
        false => Err(Error::failed(format!("{path} is a folder")).hint("add -r")),
    }
}

fn too_deep(folder: &str, depth: usize) -> Result<()> {
    match depth > DEPTH {
        true => Err(Error::failed(format!("{folder} is too deep"))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_that_is_left_out_counts_as_not_copied() {
        let mut sources = Sources::default();
        sources.tell_odd("folder", &[]);
        assert_eq!(sources.failed, 0);
        sources.tell_odd("folder", &["../x".to_owned(), String::new()]);
        sources.tell(&Error::failed("one more"));
        assert_eq!(sources.failed, 3);
    }
}
