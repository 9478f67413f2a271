//! Folders that the program makes for its own files: readable by their owner only, and kept
//! out of Git by themselves, because keys and secrets are in them.

use std::fs::DirBuilder;
use std::io::{Error, ErrorKind, Result, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::bounded;
use crate::whole_file::Draft;

/// The folder for the program's own files, in a working folder and in the user's home.
pub const NAME: &str = ".meshagent";

/// Creates a folder, and what is missing above it. A new folder, or the `.meshagent` that it is
/// in, gets a `.gitignore` that names everything in it. An existing folder is kept.
///
/// # Errors
///
/// A folder or file that cannot be made.
pub fn create(folder: &Path) -> Result<()> {
    refuse_links(folder)?;
    let is_new = !folder.exists();
    make(folder)?;
    if std::env::home_dir().is_some_and(|home| home.join(NAME) == folder) {
        make_private(folder)?;
    }
    match folder.ancestors().find(|above| above.file_name().is_some_and(|name| name == NAME)) {
        Some(own) => ignore(own),
        // A folder that existed may contain what belongs in a repository.
        None if is_new => ignore(folder),
        None => Ok(()),
    }
}

/// Refuses a folder of the program's own to which a link leads, at `.meshagent` or below it: a
/// checkout may contain one, and what is written would end up wherever it leads. Users may make a
/// link of their own folder in the home folder.
///
/// # Errors
///
/// The link, and what to do about it.
pub fn refuse_links(path: &Path) -> Result<()> {
    let is_own = |path: &&Path| path.file_name().is_some_and(|name| name == NAME);
    let Some(own) = path.ancestors().filter(is_own).last() else { return Ok(()) };
    let absolute = std::path::absolute(own)?;
    if std::env::home_dir().is_some_and(|home| home.join(NAME) == absolute) {
        return Ok(());
    }
    let below = path.ancestors().take_while(|above| *above != own).chain([own]);
    match below.filter(|path| path.is_symlink()).last() {
        None => Ok(()),
        Some(link) => Err(Error::new(
            ErrorKind::PermissionDenied,
            format!(
                "{0} is a link, so nothing is written through it; remove it (`rm {0}`), or use another folder",
                link.display()
            ),
        )),
    }
}

/// Creates the folder in the user's home, where the reference keeps the same files. Only its owner
/// can enter it, whatever the umask is and whoever created it.
///
/// # Errors
///
/// A folder that cannot be made, or closed to others.
pub fn create_private(folder: &Path) -> Result<()> {
    make(folder)?;
    make_private(folder)
}

/// Refuses a file that holds credentials, or decides what is done with them, if somebody other
/// than its owner may have written it: if anybody, or a group that is not the user's own, may
/// write to it, or if anybody may replace it in its folder. Files that this process was given open
/// are not checked: they are the responsibility of whoever opened them.
///
/// # Errors
///
/// Such a file, with what to do about it; a file that cannot be examined.
pub fn refuse_shared(path: &Path) -> Result<()> {
    let about = path.metadata()?;
    if bounded::is_open(path) || !about.is_file() {
        return Ok(());
    }
    let mode = about.mode();
    let is_own_group = about.gid() == nix::unistd::getegid().as_raw();
    if mode & 0o002 != 0 || (mode & 0o020 != 0 && !is_own_group) {
        let who = if mode & 0o002 != 0 { "anybody may" } else { "others may" };
        return Err(shared(&format!("{who} write to it (mode {:o})", mode & 0o7777), "go-w", path));
    }
    let folder = path.canonicalize()?.parent().map(Path::to_owned).unwrap_or_default();
    match may_be_replaced_in(&folder) {
        true => {
            Err(shared(&format!("anybody may replace it in {}", folder.display()), "o-w", &folder))
        }
        false => Ok(()),
    }
}

/// Whether anybody may rename and replace the files in a folder.
#[must_use]
pub fn may_be_replaced_in(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|about| about.mode() & 0o1002 == 0o002)
}

fn shared(why: &str, change: &str, path: &Path) -> Error {
    let path = path.display();
    let told = format!("{why}; check what is in it, then run `chmod {change} {path}`");
    Error::new(ErrorKind::PermissionDenied, told)
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
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    // An empty file, as a killed run would leave it, would be taken for the user's own.
    let written = Draft::of(&path).and_then(|draft| {
        draft.file().write_all(b"*\n")?;
        draft.create(&path)
    });
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // A folder that takes no new files may still contain files that can be written.
        Err(_) if folder.exists() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Where programs keep their state on this system, for this one: `XDG_STATE_HOME`, else
/// `~/.local/state`. `None` where the home folder is not known.
#[must_use]
pub fn of_state() -> Option<PathBuf> {
    of_kind("XDG_STATE_HOME", ".local/state")
}

/// Where programs keep what they can get again, for this one: `XDG_CACHE_HOME`, else `~/.cache`.
/// `None` where the home folder is not known.
#[must_use]
pub fn of_cache() -> Option<PathBuf> {
    of_kind("XDG_CACHE_HOME", ".cache")
}

fn of_kind(variable: &str, in_home: &str) -> Option<PathBuf> {
    let given = std::env::var_os(variable).map(PathBuf::from);
    // The standard says to pass over what is not absolute.
    let base = given.filter(|given| given.is_absolute()).or_else(|| {
        std::env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(in_home))
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
