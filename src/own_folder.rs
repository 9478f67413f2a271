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
    make(folder)?;
    if std::env::home_dir().is_some_and(|home| home.join(NAME) == folder) {
        make_private(folder)?;
    }
    match folder.ancestors().find(|above| above.file_name().is_some_and(|name| name == NAME)) {
        Some(own) => ignore(own),
        // A folder that was there may hold what belongs into a repository.
        None if is_new => ignore(folder),
        None => Ok(()),
    }
}

/// Makes the folder in the user's home, where the reference keeps the same files. Only its
/// owner can enter it, whatever the umask is, and whoever made it before.
///
/// # Errors
///
/// A folder that cannot be made, or closed to others.
pub fn create_private(folder: &Path) -> Result<()> {
    make(folder)?;
    make_private(folder)
}

/// Closes a folder to everybody but its owner.
fn make_private(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mut permissions = folder.metadata()?.permissions();
        if permissions.mode() & 0o777 != 0o700 {
            permissions.set_mode(0o700);
            std::fs::set_permissions(folder, permissions)?;
        }
    }
    Ok(())
}

/// Makes a folder and what is missing above it, for the owner alone.
fn make(folder: &Path) -> Result<()> {
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

    #[cfg(unix)]
    #[test]
    fn a_private_folder_is_closed_even_when_it_was_there() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("home/.meshagent");
        let mode = || own.metadata().unwrap().permissions().mode() & 0o777;
        create_private(&own).unwrap();
        assert_eq!(mode(), 0o700);
        for before in [0o755, 0o777, 0o500, 0o2750] {
            std::fs::set_permissions(&own, PermissionsExt::from_mode(before)).unwrap();
            create_private(&own).unwrap();
            assert_eq!(mode(), 0o700, "{before:o}");
        }
        // A data folder may be shared on purpose.
        std::fs::set_permissions(&own, PermissionsExt::from_mode(0o750)).unwrap();
        create(&own).unwrap();
        assert_eq!(mode(), 0o750);
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
