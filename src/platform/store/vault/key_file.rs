//! The key file: the key that wraps the database's own key, in a file beside it that only its
//! owner can read. Each line that is not a comment holds a key. There is one, and two while one is
//! replaced by the other.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::cipher::Key;
use crate::bounded;
use crate::error::{Class, Context, Error, Result};
use crate::platform::store::modes;
use crate::whole_file::Draft;

/// A key file is never larger.
const LIMIT: usize = 4096;

const HEAD: &str = "\
# The key of an embedded platform of meshagent. Whoever has this file and the database can read
# the secrets in it. Keep a copy, but not where the copies of the database are.
";

/// Where the key file is.
#[derive(Debug, Clone)]
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// The key file at a path.
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether there is one.
    ///
    /// # Errors
    ///
    /// That cannot be determined.
    pub fn exists(&self) -> Result<bool> {
        Ok(modes::metadata(&self.0)?.is_some())
    }

    /// The keys in it, the newest first.
    ///
    /// # Errors
    ///
    /// It does not exist, cannot be read, is readable by others, or contains no key.
    pub fn read(&self) -> Result<Vec<Key>> {
        let shown = self.0.display();
        modes::only_for_its_owner(&self.0)?;
        let text = match bounded::text(&self.0, LIMIT) {
            Ok(text) => SecretString::from(text),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Error::new(
                    Class::Refused,
                    format!("the key file {shown} is missing; without it, the secrets in the database cannot be read"),
                )
                .hint("put it back where it was, or use another data folder to start over"));
            }
            Err(error) => {
                return Err(Error::failed(format!("failed to read {shown}")).because(error));
            }
        };
        let lines = text.expose_secret().lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Option<Vec<Key>> = lines.map(Key::parse).collect();
        keys.filter(|keys| !keys.is_empty()).ok_or_else(|| {
            Error::new(Class::Refused, format!("{shown} is not a key file"))
                .hint("put the key file of this database back")
        })
    }

    /// Writes keys into it, the newest first: completely or not at all, and on disk when this
    /// returns.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn write(&self, keys: &[&Key]) -> Result<()> {
        let failed = || format!("failed to write {}", self.0.display());
        // If it is a link, its target is replaced, and the link stays.
        let path = std::fs::canonicalize(&self.0).unwrap_or_else(|_| self.0.clone());
        let draft = Draft::of(&path).context(failed)?;
        let mut file = draft.file();
        file.write_all(HEAD.as_bytes()).context(failed)?;
        for key in keys {
            file.write_all(key.text().expose_secret().as_bytes()).context(failed)?;
            file.write_all(b"\n").context(failed)?;
        }
        draft.replace(&path).context(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn ids(keys: &[Key]) -> Vec<&str> {
        keys.iter().map(Key::id).collect()
    }

    #[test]
    fn keys_read_back_in_their_order_from_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::at(folder.path().join("platform.key"));
        assert!(!file.exists().unwrap());
        let (old, new) = (Key::generate().unwrap(), Key::generate().unwrap());
        file.write(&[&new, &old]).unwrap();
        assert_eq!(ids(&file.read().unwrap()), [new.id(), old.id()]);
        let mode = file.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        file.write(&[&new]).unwrap();
        assert_eq!(ids(&file.read().unwrap()), [new.id()]);
    }

    #[test]
    fn a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("platform.key"));
        KeyFile::at(real.clone()).write(&[&Key::generate().unwrap()]).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let key = Key::generate().unwrap();
        KeyFile::at(link.clone()).write(&[&key]).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(ids(&KeyFile::at(real).read().unwrap()), [key.id()]);
    }

    #[test]
    fn what_is_no_key_file_is_told_without_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("platform.key");
        for text in ["", "# only this\n", "canary\n", "canary canary\n"] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            let error = KeyFile::at(path.clone()).read().unwrap_err();
            let told = format!("{error:?}");
            assert!(told.contains("is not a key file") && !told.contains("canary"), "{told}");
        }
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::at(folder.path().join("platform.key"));
        file.write(&[&Key::generate().unwrap()]).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o666, 0o601] {
            std::fs::set_permissions(file.path(), PermissionsExt::from_mode(mode)).unwrap();
            let error = file.read().unwrap_err();
            assert_eq!(error.class, Class::Refused, "{mode:o}");
            assert!(error.hint.unwrap().contains("chmod 600"), "{mode:o}");
        }
    }
}
