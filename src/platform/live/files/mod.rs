//! The files of rooms, in a folder beside the store: one folder for each room, with the files as
//! their paths say, and one for files that are still arriving. A file gets its place by a rename
//! when all of it is on disk, so it is there as a whole or not at all.
//!
//! | module | holds |
//! |---|---|
//! | `beneath` | how a path is followed on disk: part by part, and through no link |
//! | `path` | what a path of a room may be |
//!
//! Containers that are given a folder of the room may change what is in it at any moment, to links
//! too. So nothing here is found by a path of this machine below the folder of the files: everything is
//! opened in the folder above it.
//!
//! Must not live here: who may use a file, which is in the table of operations.

mod beneath;
mod path;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::NamedTempFile;

use self::beneath::{Folder, Stopped};
pub use self::path::FilePath;
use super::calls::refused;
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::storage::Entry;

/// The files of one room. All of it blocks.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
}

/// A file that is arriving. Dropping it removes it.
#[derive(Debug)]
pub struct Draft {
    file: NamedTempFile,
    files: Files,
    path: FilePath,
}

impl Files {
    /// The files of a room, below the folder of all rooms. Ids of rooms are UUIDs.
    pub fn of(rooms: &Path, room: &str) -> Self {
        Self { folder: rooms.join(room) }
    }

    /// The folder of the room. Beside the files, it has the room's tables and memories.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the files are. It may not be there yet.
    pub fn root(&self) -> PathBuf {
        self.folder.join("files")
    }

    /// The root, for a folder below it that a container is given. It is made if it is to be written.
    ///
    /// # Errors
    ///
    /// There is no such folder; a link is on the way; the system's.
    pub fn folder_for(&self, path: &FilePath, is_made: bool) -> Result<PathBuf, Refused> {
        let root = self.made_root().map_err(|error| failed(&error))?;
        let found = if is_made { root.made_below(path) } else { root.below(path) };
        match found {
            Ok(_) => Ok(self.root()),
            Err(Stopped::System(error)) if error.kind() == ErrorKind::NotADirectory => {
                Err(refused(codes::INVALID_PATH, format!("{:?} is not a folder", path.text())))
            }
            Err(stopped) => Err(not_followed(path, stopped)),
        }
    }

    /// The folder of all volumes, for one that a container is given, which is made.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn volume_for(&self, path: &FilePath) -> Result<PathBuf, Refused> {
        let volumes = Self { folder: self.folder.join("volumes") };
        volumes.folder_for(path, true)
    }

    fn opened_root(&self) -> io::Result<Folder> {
        Folder::trusted(&self.root())
    }

    /// The root, which is made where there is none; it is on disk when this returns.
    fn made_root(&self) -> io::Result<Folder> {
        match self.opened_root() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => return opened,
        }
        let root = self.root();
        fs::create_dir_all(&root)?;
        // The folder of the room and that of all rooms may be new as well.
        for above in root.ancestors().skip(1).take(3) {
            Folder::trusted(above)?.sync();
        }
        self.opened_root()
    }

    /// The folder in which something is, open, and its name there.
    fn parent<'a>(&self, path: &'a FilePath) -> Result<(Folder, &'a str), Stopped> {
        let missing = || io::Error::from(ErrorKind::IsADirectory);
        let (above, name) = path.split().ok_or_else(missing)?;
        Ok((self.opened_root()?.below(&above)?, name))
    }

    /// What is at a path.
    fn look(&self, path: &FilePath) -> Result<fs::Metadata, Stopped> {
        if path.is_top() {
            return Ok(self.opened_root()?.about()?);
        }
        let (folder, name) = self.parent(path)?;
        let about = folder.look(name)?;
        if about.is_symlink() { Err(Stopped::Link) } else { Ok(about) }
    }

    /// What is known of a file or folder; none if there is nothing.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn stat(&self, path: &FilePath) -> Result<Option<Entry>, Refused> {
        match self.look(path) {
            Ok(about) => Ok(Some(entry(path.name().to_owned(), &about))),
            // The root is always there.
            Err(Stopped::System(error)) if is_missing(&error) && path.is_top() => {
                Ok(Some(Entry { is_folder: true, ..Entry::default() }))
            }
            Err(Stopped::System(error)) if is_missing(&error) => Ok(None),
            Err(stopped) => Err(not_followed(path, stopped)),
        }
    }

    /// What is in a folder, by name. A folder that does not exist is empty: agents look into some
    /// before anybody has put anything there.
    ///
    /// # Errors
    ///
    /// The path is a file's; the system's.
    pub fn list(&self, path: &FilePath) -> Result<Vec<Entry>, Refused> {
        let folder = match self.opened_root().map_err(Stopped::from).and_then(|it| it.below(path)) {
            Ok(folder) => folder,
            Err(Stopped::System(error)) if error.kind() == ErrorKind::NotFound => {
                return Ok(Vec::new());
            }
            Err(Stopped::System(error)) => return Err(failed(&error)),
            Err(stopped @ Stopped::Link) => return Err(not_followed(path, stopped)),
        };
        let mut entries = Vec::new();
        for name in folder.names().map_err(|error| failed(&error))? {
            match folder.look(&name) {
                Ok(about) if about.is_file() || about.is_dir() => {
                    entries.push(entry(name, &about));
                }
                // Links and the like are not files of the room.
                Ok(_) => {}
                // It was deleted in the meantime.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// Deletes a file or a folder; the paths of the files that are gone.
    ///
    /// # Errors
    ///
    /// There is nothing; a folder that is not empty, unless that is wanted; the system's.
    pub fn delete(
        &self,
        path: &FilePath,
        recursive: bool,
        gone: &mut Vec<String>,
    ) -> Result<(), Refused> {
        if path.is_top() {
            return Err(refused(codes::INVALID_PATH, "the root cannot be deleted"));
        }
        let is_folder = self.look(path).map_err(|stopped| not_followed(path, stopped))?.is_dir();
        let (folder, name) = self.parent(path).map_err(|stopped| not_followed(path, stopped))?;
        if is_folder && recursive {
            gone.append(&mut self.delete_all(path, &folder, name)?);
        } else {
            folder.remove(name, is_folder).map_err(|error| match error.kind() {
                ErrorKind::DirectoryNotEmpty => {
                    let what =
                        format!("the folder {:?} is not empty; delete it recursively", path.text());
                    refused(codes::RECURSIVE_REQUIRED, what)
                }
                _ => not_there(path, &error),
            })?;
        }
        gone.push(path.text().to_owned());
        Ok(())
    }

    /// Deletes a folder with all that is in it. It is taken away as a whole, and removed then.
    fn delete_all(
        &self,
        path: &FilePath,
        folder: &Folder,
        name: &str,
    ) -> Result<Vec<String>, Refused> {
        let removed = tempfile::tempdir_in(self.incoming().map_err(|error| failed(&error))?);
        let removed = removed.map_err(|error| failed(&error))?;
        let whole = removed.path().join("removed");
        folder.take(name, &whole).map_err(|error| not_there(path, &error))?;
        let below = Folder::trusted(&whole).and_then(|folder| folder.files(path.text()));
        // What cannot be removed is not among the files any more, and is removed at the next start.
        if let Err(error) = removed.close() {
            crate::notice::tell("files of a room that were deleted are still on disk", &error);
        }
        below.map_err(|error| failed(&error))
    }

    /// The folder of files that are arriving, and of those that are going.
    fn incoming(&self) -> io::Result<PathBuf> {
        let incoming = self.folder.join("incoming");
        fs::create_dir_all(&incoming)?;
        Ok(incoming)
    }

    /// Opens a file to be read; what is read is the file as it is now.
    ///
    /// # Errors
    ///
    /// There is none; it is a folder; the system's.
    pub fn open(&self, path: &FilePath) -> Result<(fs::File, u64), Refused> {
        let file = self.opened(path, false)?;
        let size = file.metadata().map_err(|error| failed(&error))?.len();
        Ok((file, size))
    }

    /// Opens a file to be read and written where it is.
    ///
    /// # Errors
    ///
    /// As [`Files::open`].
    pub fn open_to_change(&self, path: &FilePath) -> Result<fs::File, Refused> {
        self.opened(path, true)
    }

    /// Whether a file that was opened is still the one at its path, as long as it was left.
    pub fn is_same(&self, path: &FilePath, file: &fs::File, length: u64) -> bool {
        let (Ok(there), Ok(own)) = (self.look(path), file.metadata()) else { return false };
        (there.dev(), there.ino()) == (own.dev(), own.ino()) && own.len() == length
    }

    fn opened(&self, path: &FilePath, is_changed: bool) -> Result<fs::File, Refused> {
        let no_file = || refused(codes::INVALID_PATH, format!("{:?} is not a file", path.text()));
        let about = self.look(path).map_err(|stopped| not_followed(path, stopped))?;
        // Opening what is no file may have effects.
        if !about.is_file() {
            return Err(no_file());
        }
        let (folder, name) = self.parent(path).map_err(|stopped| not_followed(path, stopped))?;
        let file = folder.file(name, is_changed).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => {
                crate::notice::tell("a file of a room could not be used", &error);
                let what =
                    format!("the platform must not change the file {:?}; permit it", path.text());
                refused(codes::OPERATION_FAILED, what)
            }
            _ => not_there(path, &error),
        })?;
        let is_file = file.metadata().map_err(|error| failed(&error))?.is_file();
        if is_file { Ok(file) } else { Err(no_file()) }
    }

    /// Begins a file.
    ///
    /// # Errors
    ///
    /// Something is there that must not be replaced; the system's.
    pub fn begin(&self, path: FilePath, overwrite: bool) -> Result<Draft, Refused> {
        if path.is_top() {
            return Err(refused(codes::INVALID_PATH, "a file needs a name"));
        }
        match self.stat(&path)? {
            Some(found) if found.is_folder => {
                return Err(refused(codes::INVALID_PATH, format!("{:?} is a folder", path.text())));
            }
            Some(_) if !overwrite => return Err(exists(&path)),
            _ => {}
        }
        let incoming = self.incoming().map_err(|error| failed(&error))?;
        let file = NamedTempFile::new_in(incoming).map_err(|error| failed(&error))?;
        Ok(Draft { file, files: self.clone(), path })
    }

    /// Removes what an earlier process left of files that were arriving.
    pub fn sweep(rooms: &Path) {
        let Ok(folders) = fs::read_dir(rooms) else { return };
        for folder in folders.flatten() {
            let incoming = folder.path().join("incoming");
            if incoming.is_dir() {
                let _ = fs::remove_dir_all(incoming);
            }
        }
    }

    /// Removes everything, because the room is gone.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The ids of the rooms that have files.
    pub fn rooms(rooms: &Path) -> Vec<String> {
        let folders = fs::read_dir(rooms).into_iter().flatten().flatten();
        let name = |folder: fs::DirEntry| folder.file_name().into_string().ok();
        // What is not named like a room was put there by somebody else.
        folders.filter_map(name).filter(|name| uuid::Uuid::parse_str(name).is_ok()).collect()
    }
}

impl Draft {
    /// The file, to be written.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn file(&self) -> Result<fs::File, Refused> {
        self.file.as_file().try_clone().map_err(|error| failed(&error))
    }

    /// Puts the file in its place. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// Something is there that must not be replaced; the system's.
    pub fn publish(self, overwrite: bool) -> Result<(), Refused> {
        let Self { file, files, path } = self;
        file.as_file().sync_all().map_err(|error| failed(&error))?;
        let Some((above, name)) = path.split() else {
            return Err(refused(codes::INVALID_PATH, "a file needs a name"));
        };
        let root = files.made_root().map_err(|error| failed(&error))?;
        let folder = root.made_below(&above).map_err(|stopped| match stopped {
            Stopped::System(error) => in_the_way(&path, &error),
            stopped @ Stopped::Link => not_followed(&path, stopped),
        })?;
        if folder.look(name).is_ok_and(|there| there.is_symlink()) {
            return Err(not_followed(&path, Stopped::Link));
        }
        // Where the name was only added, the temporary one is removed with `file`.
        let put = match overwrite {
            true => folder.put(file.path(), name),
            false => folder.put_new(file.path(), name),
        };
        put.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists if !overwrite => exists(&path),
            _ => in_the_way(&path, &error),
        })
    }
}

fn entry(name: String, about: &fs::Metadata) -> Entry {
    let text = |time: io::Result<SystemTime>| {
        let time = jiff::Timestamp::try_from(time.ok()?).ok()?;
        Some(format!("{time:.6}"))
    };
    let updated_at = text(about.modified());
    Entry {
        name,
        is_folder: about.is_dir(),
        size: (!about.is_dir()).then_some(about.len()),
        created_at: text(about.created()).or_else(|| updated_at.clone()),
        updated_at,
    }
}

fn is_missing(error: &io::Error) -> bool {
    // A part of the path may be a file.
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn exists(path: &FilePath) -> Refused {
    refused(codes::FILE_EXISTS, format!("the file {:?} already exists", path.text()))
}

fn not_there(path: &FilePath, error: &io::Error) -> Refused {
    match is_missing(error) {
        true => {
            refused(codes::FILE_NOT_FOUND, format!("the file {:?} does not exist", path.text()))
        }
        false => failed(error),
    }
}

fn not_followed(path: &FilePath, stopped: Stopped) -> Refused {
    match stopped {
        Stopped::Link => refused(codes::INVALID_PATH, "a link is on the way to the file"),
        Stopped::System(error) => not_there(path, &error),
    }
}

fn in_the_way(path: &FilePath, error: &io::Error) -> Refused {
    match error.kind() {
        ErrorKind::IsADirectory | ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            refused(codes::INVALID_PATH, format!("something is in the way of {:?}", path.text()))
        }
        _ => failed(error),
    }
}

/// A failure of the system, without the paths of this machine.
pub fn failed(error: &io::Error) -> Refused {
    let what = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "the platform's disk is full".to_owned()
        }
        ErrorKind::NotADirectory => {
            return refused(codes::INVALID_PATH, "a part of the path is a file");
        }
        kind => {
            crate::notice::tell("a file of a room could not be used", error);
            format!("the platform could not use the file: {kind}")
        }
    };
    refused(codes::OPERATION_FAILED, what)
}
