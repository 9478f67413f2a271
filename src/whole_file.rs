//! Files that are written completely or not at all: a file has a temporary name until it is
//! complete. A run that is killed before that leaves it behind, and the next run that writes into
//! the same folder removes it.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{Error, Result, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use tempfile::NamedTempFile;

/// What the name of an unfinished file begins with: it is hidden, so that it is not read as a
/// manifest.
const BEGIN: &str = ".meshagent-";

/// What it ends with.
const END: &str = ".new";

/// How often a file is created again because another run removed it as a leftover.
const TRIES: usize = 100;

/// A file that does not have its final name yet. It is removed when it is dropped.
#[derive(Debug)]
pub struct Draft(NamedTempFile);

impl Draft {
    /// Begins a file for a path, which only its owner can read.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn of(path: &Path) -> Result<Self> {
        Self::with_mode(path, 0o600)
    }

    /// Begins a file with this mode, from which the umask takes away.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn with_mode(path: &Path, mode: u32) -> Result<Self> {
        let folder = folder_of(path);
        sweep(folder);
        for _ in 0..TRIES {
            let file = tempfile::Builder::new()
                .prefix(BEGIN)
                .suffix(END)
                .permissions(Permissions::from_mode(mode))
                .tempfile_in(folder)?;
            // Whoever holds the lock is still writing. If files cannot be locked, nothing is
            // swept.
            if let Err(error) = file.as_file().lock() {
                tracing::debug!(%error, "failed to lock an unfinished file");
            }
            // Another run may have swept between the two.
            if file.as_file().metadata()?.nlink() > 0 {
                return Ok(Self(file));
            }
        }
        Err(Error::other("other runs keep removing the file"))
    }

    /// Begins a file for others to read. If it replaces one, it gets the mode of that one, and its
    /// owner as far as the system allows; otherwise the umask takes away from its mode, as from that
    /// of any other file. A link is not followed.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn like(path: &Path) -> Result<Self> {
        match path.symlink_metadata() {
            Ok(about) if about.is_file() => {
                let draft = Self::of(path)?;
                keep_rights(draft.file(), &about)?;
                Ok(draft)
            }
            _ => Self::with_mode(path, 0o666),
        }
    }

    /// The file, to be written.
    #[must_use]
    pub fn file(&self) -> &File {
        self.0.as_file()
    }

    /// Puts it in its place, and replaces what is there. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn replace(self, path: &Path) -> Result<()> {
        self.file().sync_all()?;
        self.rename(path)?;
        sync(path)
    }

    /// Puts it in its place if nothing is there. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// [`std::io::ErrorKind::AlreadyExists`] where something is; the system's.
    pub fn create(self, path: &Path) -> Result<()> {
        self.file().sync_all()?;
        self.0.persist_noclobber(path).map_err(|failed| failed.error)?;
        sync(path)
    }

    /// Puts it in its place, replaces what is there, and leaves it to the system when it is on
    /// disk. The file stays open, and locked.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn rename(self, path: &Path) -> Result<File> {
        self.0.persist(path).map_err(|failed| failed.error)
    }
}

/// Writes a file for others to read, and replaces what has its name, whose mode it keeps; a link is
/// replaced, not followed. It is on disk when this returns.
///
/// # Errors
///
/// The system's.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    let draft = Draft::like(path)?;
    draft.file().write_all(content)?;
    draft.replace(path)
}

/// Gives a file the rights that another one has.
fn keep_rights(file: &File, of: &Metadata) -> Result<()> {
    let now = file.metadata()?;
    let mut mode = of.mode() & 0o777;
    if now.gid() != of.gid() && fchown(file, None, Some(of.gid())).is_err() {
        // What its group may do is not for another group.
        mode &= 0o707;
    }
    file.set_permissions(Permissions::from_mode(mode))?;
    if now.uid() != of.uid() {
        // Only root can give it away.
        let _ = fchown(file, Some(of.uid()), None);
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name is on disk only once its folder is.
fn sync(path: &Path) -> Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// Removes what killed runs left behind in a folder. What cannot be examined stays.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|it| it.starts_with(BEGIN) && it.ends_with(END));
        if is_ours && is_left_behind(&entry.path()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether nobody is writing an unfinished file of the user's own any more.
fn is_left_behind(path: &Path) -> bool {
    let is_own = |about: std::fs::Metadata| {
        about.is_file() && about.uid() == nix::unistd::geteuid().as_raw()
    };
    if !path.symlink_metadata().is_ok_and(is_own) {
        return false;
    }
    // If somebody put something else there meanwhile, it cannot block this, and links are not
    // followed.
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    file.is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};

    use super::*;

    #[test]
    fn what_a_killed_run_left_is_taken_away_and_what_others_write_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut names = ["room.yaml", ".meshagent-mine", "kept.new"].map(String::from).to_vec();
        names.iter().for_each(|name| std::fs::write(at(name), "kept").unwrap());
        std::os::unix::fs::symlink("room.yaml", at(".meshagent-link.new")).unwrap();
        std::fs::create_dir(at(".meshagent-folder.new")).unwrap();
        names.extend([".meshagent-link.new", ".meshagent-folder.new"].map(String::from));
        std::fs::write(at(".meshagent-dead.new"), "half a ro").unwrap();
        let another = Draft::of(&at("other.yaml")).unwrap();
        names.push(another.0.path().file_name().unwrap().to_str().unwrap().to_owned());

        let draft = Draft::of(&at("room.yaml")).unwrap();
        draft.file().write_all(b"new").unwrap();
        assert_eq!(std::fs::read_to_string(at("room.yaml")).unwrap(), "kept");
        draft.replace(&at("room.yaml")).unwrap();
        assert_eq!(std::fs::read_to_string(at("room.yaml")).unwrap(), "new");
        assert_eq!(at("room.yaml").metadata().unwrap().mode() & 0o777, 0o600);
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut found: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        found.sort();
        names.sort();
        assert_eq!(found, names);

        let open = |mode| std::fs::set_permissions(at("room.yaml"), Permissions::from_mode(mode));
        for mode in [0o600, 0o640, 0o444] {
            open(mode).unwrap();
            let draft = Draft::like(&at("room.yaml")).unwrap();
            draft.replace(&at("room.yaml")).unwrap();
            assert_eq!(at("room.yaml").metadata().unwrap().mode() & 0o777, mode);
        }

        let second = Draft::of(&at("room.yaml")).unwrap().create(&at("room.yaml"));
        assert_eq!(second.unwrap_err().kind(), ErrorKind::AlreadyExists);
        another.create(&at("other.yaml")).unwrap();
    }
}
