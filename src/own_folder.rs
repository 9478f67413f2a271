//! Folders that the program makes for its own files: readable by their owner only, and kept
//! out of Git by themselves, because keys and secrets are in them.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

/// The folder for the program's own files, in a working folder and in the user's home.
pub const NAME: &str = ".meshagent";

/// Makes a folder, and what is missing above it. A new folder, or the `.meshagent` that it
/// lies in, gets a `.gitignore` that names everything in it. One that is there is kept.
///
/// # Errors
///
/// A folder or file that cannot be made.
pub fn create(folder: &Path) -> Result<()> {
    let is_new = !folder.exists();
    create_private(folder)?;
    match folder.ancestors().find(|above| above.file_name().is_some_and(|name| name == NAME)) {
        Some(own) => ignore(own),
        // A folder that was there may hold what belongs into a repository.
        None if is_new => ignore(folder),
        None => Ok(()),
    }
}

/// Makes a folder that only its owner can enter, and what is missing above it. In the home
/// folder, where the reference keeps the same files, nothing more is made.
///
/// # Errors
///
/// A folder that cannot be made.
pub fn create_private(folder: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn ignore(folder: &Path) -> Result<()> {
    let path = folder.join(".gitignore");
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(mut file) => file.write_all(b"*\n"),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // A folder that takes no new file may still hold files that can be written.
        Err(_) if folder.exists() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Where programs keep their state on this system, for this one: `XDG_STATE_HOME`, else
/// `~/.local/state`. `None` where the home folder is not known.
#[must_use]
pub fn of_state() -> Option<PathBuf> {
    let given = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    // The standard says to pass over what is not absolute.
    let base = given.filter(|given| given.is_absolute()).or_else(|| {
        std::env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".local/state"))
    });
    base.map(|base| base.join("meshagent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_made_ignores_itself_and_one_that_was_there_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let ignored = |path: &str| std::fs::read_to_string(folder.path().join(path)).ok();
        create(&folder.path().join(".meshagent/journal")).unwrap();
        assert_eq!(ignored(".meshagent/.gitignore").as_deref(), Some("*\n"));
        assert_eq!(ignored(".meshagent/journal/.gitignore"), None);
        create(&folder.path().join("data/platform")).unwrap();
        assert_eq!(ignored("data/platform/.gitignore").as_deref(), Some("*\n"));
        assert_eq!(ignored("data/.gitignore"), None);
        create(folder.path()).unwrap();
        assert_eq!(ignored(".gitignore"), None);
    }

    #[test]
    fn what_a_user_wrote_there_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join(NAME);
        std::fs::create_dir(&own).unwrap();
        std::fs::write(own.join(".gitignore"), "embedded\n").unwrap();
        create(&own.join("journal")).unwrap();
        assert_eq!(std::fs::read_to_string(own.join(".gitignore")).unwrap(), "embedded\n");
    }
}
