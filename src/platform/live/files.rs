//! The files of rooms, in a folder beside the store: one folder for each room, with the files as
//! their paths say, and one for files that are still arriving. A file gets its place by a rename
//! when all of it is on disk, so it is there as a whole or not at all.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::NamedTempFile;

use super::calls::refused;
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::storage::Entry;

/// How long a path and a part of it may be, in bytes.
const LENGTH: usize = 1024;
const PART: usize = 255;

/// The path of a file or folder in a room: parts joined by slashes, none of them `.` or `..`. The
/// root is the empty path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePath(String);

impl FilePath {
    /// Reads a path. Empty parts and parts that are `.` mean nothing.
    ///
    /// # Errors
    ///
    /// A path that leads out of the room, is too long, or has control characters.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let parts: Vec<&str> =
            text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let is_odd =
            |part: &&str| *part == ".." || part.len() > PART || part.chars().any(char::is_control);
        if text.len() > LENGTH || parts.iter().any(is_odd) {
            let what = format!(
                "a path has at most {LENGTH} bytes, no part of more than {PART}, no .. and no control characters"
            );
            return Err(refused(codes::INVALID_PATH, what));
        }
        Ok(Self(parts.join("/")))
    }

    /// The path without slashes around it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The last part; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    const fn is_top(&self) -> bool {
        self.0.is_empty()
    }
}

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
        let root = self.root();
        fs::create_dir_all(&root).map_err(|error| failed(&error))?;
        let place = self.place(path)?;
        match fs::symlink_metadata(&place) {
            Ok(about) if about.is_dir() => Ok(root),
            Ok(_) => Err(refused(codes::INVALID_PATH, format!("{:?} is not a folder", path.0))),
            Err(error) if is_missing(&error) && is_made => {
                fs::create_dir_all(&place).map_err(|error| failed(&error))?;
                Ok(root)
            }
            Err(error) => Err(not_there(path, &error)),
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

    /// Where a path is on disk. Nothing of it may be a link: whoever could place one in the folder
    /// would otherwise decide what is read.
    fn place(&self, path: &FilePath) -> Result<PathBuf, Refused> {
        let mut place = self.root();
        for part in path.0.split('/').filter(|part| !part.is_empty()) {
            place.push(part);
            if place.is_symlink() {
                return Err(refused(codes::INVALID_PATH, "a link is on the way to the file"));
            }
        }
        Ok(place)
    }

    /// What is known of a file or folder; none if there is nothing.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn stat(&self, path: &FilePath) -> Result<Option<Entry>, Refused> {
        match fs::symlink_metadata(self.place(path)?) {
            Ok(about) => Ok(Some(entry(path.name().to_owned(), &about))),
            // The root is always there.
            Err(error) if is_missing(&error) && path.is_top() => {
                Ok(Some(Entry { is_folder: true, ..Entry::default() }))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// What is in a folder, by name. A folder that does not exist is empty: agents look into some
    /// before anybody has put anything there.
    ///
    /// # Errors
    ///
    /// The path is a file's; the system's.
    pub fn list(&self, path: &FilePath) -> Result<Vec<Entry>, Refused> {
        let folder = match fs::read_dir(self.place(path)?) {
            Ok(folder) => folder,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&error)),
        };
        let mut entries = Vec::new();
        for entry_ in folder {
            let entry_ = entry_.map_err(|error| failed(&error))?;
            let about = match entry_.metadata() {
                Ok(about) if about.is_file() || about.is_dir() => about,
                // Links and the like are not files of the room.
                Ok(_) => continue,
                // It was deleted in the meantime.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(&error)),
            };
            if let Ok(name) = entry_.file_name().into_string() {
                entries.push(entry(name, &about));
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
        let place = self.place(path)?;
        let about = fs::symlink_metadata(&place).map_err(|error| not_there(path, &error))?;
        if !about.is_dir() {
            fs::remove_file(&place).map_err(|error| not_there(path, &error))?;
            sync_folder(place.parent());
            gone.push(path.0.clone());
            return Ok(());
        }
        if !recursive {
            return match fs::remove_dir(&place) {
                Ok(()) => {
                    sync_folder(place.parent());
                    gone.push(path.0.clone());
                    Ok(())
                }
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
                    let what =
                        format!("the folder {:?} is not empty; delete it recursively", path.0);
                    Err(refused(codes::RECURSIVE_REQUIRED, what))
                }
                Err(error) => Err(not_there(path, &error)),
            };
        }
        let root = self.root();
        let mut below = Vec::new();
        for found in walkdir::WalkDir::new(&place) {
            let found = found.map_err(|error| failed(&error.into()))?;
            let name = found.path().strip_prefix(&root).ok().and_then(Path::to_str);
            if let Some(name) = name.filter(|_| found.file_type().is_file()) {
                below.push(name.to_owned());
            }
        }
        let removed = fs::remove_dir_all(&place);
        sync_folder(place.parent());
        match removed {
            Ok(()) => {
                gone.append(&mut below);
                gone.push(path.0.clone());
                Ok(())
            }
            // Some of it may be gone.
            Err(error) => {
                gone.extend(below.into_iter().filter(|name| !root.join(name).exists()));
                Err(failed(&error))
            }
        }
    }

    /// Opens a file to be read; what is read is the file as it is now.
    ///
    /// # Errors
    ///
    /// There is none; it is a folder; the system's.
    pub fn open(&self, path: &FilePath) -> Result<(fs::File, u64), Refused> {
        let file = self.opened(path, fs::OpenOptions::new().read(true))?;
        let size = file.metadata().map_err(|error| failed(&error))?.len();
        Ok((file, size))
    }

    /// Opens a file to be read and written where it is.
    ///
    /// # Errors
    ///
    /// As [`Files::open`].
    pub fn open_to_change(&self, path: &FilePath) -> Result<fs::File, Refused> {
        self.opened(path, fs::OpenOptions::new().read(true).write(true))
    }

    /// Whether a file that was opened is still the one at its path, as long as it was left.
    pub fn is_same(&self, path: &FilePath, file: &fs::File, length: u64) -> bool {
        let there = self.place(path).map(fs::symlink_metadata);
        let (Ok(Ok(there)), Ok(own)) = (there, file.metadata()) else { return false };
        (there.dev(), there.ino()) == (own.dev(), own.ino()) && own.len() == length
    }

    fn opened(&self, path: &FilePath, how: &fs::OpenOptions) -> Result<fs::File, Refused> {
        let place = self.place(path)?;
        let about = fs::symlink_metadata(&place).map_err(|error| not_there(path, &error))?;
        if !about.is_file() {
            return Err(refused(codes::INVALID_PATH, format!("{:?} is not a file", path.0)));
        }
        how.open(&place).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => {
                crate::notice::tell("a file of a room could not be used", &error);
                let what = format!("the platform must not change the file {:?}; permit it", path.0);
                refused(codes::OPERATION_FAILED, what)
            }
            _ => not_there(path, &error),
        })
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
                return Err(refused(codes::INVALID_PATH, format!("{:?} is a folder", path.0)));
            }
            Some(_) if !overwrite => return Err(exists(&path)),
            _ => {}
        }
        let incoming = self.folder.join("incoming");
        fs::create_dir_all(&incoming).map_err(|error| failed(&error))?;
        let file = NamedTempFile::new_in(&incoming).map_err(|error| failed(&error))?;
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
        let place = files.place(&path)?;
        let parent = place.parent().unwrap_or(&place).to_owned();
        let known = parent.ancestors().find(|above| above.is_dir()).map(Path::to_owned);
        fs::create_dir_all(&parent).map_err(|error| in_the_way(&path, &error))?;
        match overwrite {
            true => file.persist(&place).map_err(|failure| in_the_way(&path, &failure.error))?,
            false => {
                file.persist_noclobber(&place).map_err(|failure| match failure.error.kind() {
                    ErrorKind::AlreadyExists => exists(&path),
                    _ => in_the_way(&path, &failure.error),
                })?
            }
        };
        // A name is on disk only once its folder is, and so on, up to the one that was there.
        for above in parent.ancestors() {
            sync_folder(Some(above));
            if known.as_deref() == Some(above) {
                break;
            }
        }
        Ok(())
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

fn sync_folder(folder: Option<&Path>) {
    // Some file systems cannot; what is in the file is on disk in any case.
    if let Some(folder) = folder.and_then(|folder| fs::File::open(folder).ok()) {
        let _ = folder.sync_all();
    }
}

fn is_missing(error: &io::Error) -> bool {
    // A part of the path may be a file.
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn exists(path: &FilePath) -> Refused {
    refused(codes::FILE_EXISTS, format!("the file {:?} already exists", path.0))
}

fn not_there(path: &FilePath, error: &io::Error) -> Refused {
    match is_missing(error) {
        true => refused(codes::FILE_NOT_FOUND, format!("the file {:?} does not exist", path.0)),
        false => failed(error),
    }
}

fn in_the_way(path: &FilePath, error: &io::Error) -> Refused {
    match error.kind() {
        ErrorKind::IsADirectory | ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            refused(codes::INVALID_PATH, format!("something is in the way of {:?}", path.0))
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn path(text: &str) -> FilePath {
        FilePath::parse(text).unwrap()
    }

    fn put(files: &Files, at: &str, text: &str, overwrite: bool) -> Result<(), Refused> {
        let draft = files.begin(path(at), overwrite)?;
        draft.file()?.write_all(text.as_bytes()).unwrap();
        draft.publish(overwrite)
    }

    fn names(files: &Files, at: &str) -> Vec<String> {
        files.list(&path(at)).unwrap().into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn paths_stay_in_the_room() {
        for (text, same) in [("", ""), ("/", ""), ("a/b", "a/b"), ("/a//./b/", "a/b"), ("./a", "a")]
        {
            assert_eq!(path(text).text(), same, "{text:?}");
        }
        assert_eq!((path("a/b").name(), path("").name()), ("b", ""));
        let (long, deep) = ("x".repeat(256), "x/".repeat(600));
        for odd in ["..", "a/../b", "../a", "a\0", "a\nb", &long, &deep] {
            assert_eq!(
                FilePath::parse(odd).unwrap_err().code,
                Some(codes::INVALID_PATH),
                "{odd:?}"
            );
        }
    }

    #[test]
    fn a_file_is_there_once_it_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::of(folder.path(), "r");
        assert!(names(&files, "").is_empty() && names(&files, "none").is_empty());
        let draft = files.begin(path("a/b/c.txt"), false).unwrap();
        draft.file().unwrap().write_all(b"half").unwrap();
        assert_eq!(files.stat(&path("a/b/c.txt")).unwrap(), None);
        drop(draft);
        put(&files, "a/b/c.txt", "whole", false).unwrap();
        let found = files.stat(&path("a/b/c.txt")).unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.is_folder, found.size), ("c.txt", false, Some(5)));
        assert_eq!(
            put(&files, "a/b/c.txt", "x", false).unwrap_err().code,
            Some(codes::FILE_EXISTS)
        );
        put(&files, "a/b/c.txt", "again", true).unwrap();
        assert_eq!(files.open(&path("a/b/c.txt")).unwrap().1, 5);
        assert_eq!(names(&files, "a"), ["b"]);
        assert!(files.stat(&path("")).unwrap().unwrap().is_folder);
        for (at, code) in [
            ("a/b", codes::INVALID_PATH),
            ("a/b/c.txt/d", codes::INVALID_PATH),
            ("", codes::INVALID_PATH),
        ] {
            assert_eq!(put(&files, at, "x", true).unwrap_err().code, Some(code), "{at}");
        }
        assert_eq!(files.open(&path("a")).unwrap_err().code, Some(codes::INVALID_PATH));
        assert_eq!(files.open(&path("x")).unwrap_err().code, Some(codes::FILE_NOT_FOUND));
        // Nothing is left where files arrive.
        assert_eq!(fs::read_dir(folder.path().join("r/incoming")).unwrap().count(), 0);
    }

    #[test]
    fn what_is_deleted_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::of(folder.path(), "r");
        for at in ["a/1", "a/b/2", "c"] {
            put(&files, at, "x", false).unwrap();
        }
        let delete = |at: &str, recursive| {
            let mut gone = Vec::new();
            files.delete(&path(at), recursive, &mut gone).map(|()| gone)
        };
        assert_eq!(delete("a", false).unwrap_err().code, Some(codes::RECURSIVE_REQUIRED));
        assert_eq!(delete("", true).unwrap_err().code, Some(codes::INVALID_PATH));
        assert_eq!(delete("c", false).unwrap(), ["c"]);
        assert_eq!(delete("c", false).unwrap_err().code, Some(codes::FILE_NOT_FOUND));
        let mut gone = delete("a", true).unwrap();
        gone.sort();
        assert_eq!(gone, ["a", "a/1", "a/b/2"]);
        fs::create_dir(folder.path().join("r/files/e")).unwrap();
        assert_eq!(delete("e", false).unwrap(), ["e"]);
        assert!(names(&files, "").is_empty());
    }

    #[test]
    fn no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::of(folder.path(), "r");
        put(&files, "a", "x", false).unwrap();
        std::os::unix::fs::symlink("/etc", folder.path().join("r/files/out")).unwrap();
        assert_eq!(names(&files, ""), ["a"]);
        for at in ["out", "out/passwd"] {
            assert_eq!(files.open(&path(at)).unwrap_err().code, Some(codes::INVALID_PATH), "{at}");
            assert_eq!(
                put(&files, at, "x", true).unwrap_err().code,
                Some(codes::INVALID_PATH),
                "{at}"
            );
            assert_eq!(
                files.delete(&path(at), true, &mut Vec::new()).unwrap_err().code,
                Some(codes::INVALID_PATH),
                "{at}"
            );
        }
    }
}
