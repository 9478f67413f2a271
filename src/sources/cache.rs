//! The cache of sources: a file each, called by the digest of what is in it. So what was fetched
//! once is read everywhere, and nothing in it is ever changed, only added.

use std::io::{Error, ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

use crate::bounded;
use crate::manifest::pack::{Digest, LIMITS, Pack};
use crate::own_folder;
use crate::whole_file::Draft;

/// The largest file of the cache: what all files of a source may have, with their paths.
const LARGEST: usize = LIMITS.bytes + LIMITS.files * (LIMITS.path + 8) + 64;

/// The cache of a user.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// That of the user who runs the program.
    ///
    /// # Errors
    ///
    /// The home folder is not known.
    pub fn of_user() -> Result<Self> {
        let folder = own_folder::of_cache().ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "the home folder is not known; set XDG_CACHE_HOME")
        })?;
        Ok(Self::at(folder.join("sources")))
    }

    /// One in another folder.
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder, closed to others.
    ///
    /// # Errors
    ///
    /// It cannot be made.
    pub fn folder(&self) -> Result<&Path> {
        own_folder::create_private(&self.folder)?;
        Ok(&self.folder)
    }

    fn file(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{}.pack", digest.hex()))
    }

    /// Whether there is a file for this digest, whatever is in it.
    #[must_use]
    pub fn has(&self, digest: Digest) -> bool {
        self.file(digest).is_file()
    }

    /// What has this digest; `None` if it is not here. A file that is not what its name says is as
    /// if it were not here: it is fetched again, and replaced.
    #[must_use]
    pub fn get(&self, digest: Digest) -> Option<Pack> {
        let path = self.file(digest);
        let bytes = match bounded::bytes(&path, LARGEST) {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    tracing::warn!(
                        "{} cannot be read, and is fetched again: {error}",
                        path.display()
                    );
                }
                return None;
            }
        };
        let pack = Pack::read(bytes).ok().filter(|pack| pack.digest() == digest);
        if pack.is_none() {
            tracing::warn!("{} is damaged, and is fetched again", path.display());
        }
        pack
    }

    /// Adds a pack, whole or not at all. Who else adds it meanwhile adds the same.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn put(&self, pack: &Pack) -> Result<()> {
        self.folder()?;
        let path = self.file(pack.digest());
        let draft = Draft::of(&path)?;
        draft.file().write_all(pack.bytes())?;
        draft.replace(&path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::pack::{Packing, Sort};

    fn pack(text: &str) -> Pack {
        let mut packing = Packing::of("");
        let path = packing.path(b"a.yaml", Sort::File).unwrap().unwrap();
        packing.add(path, text.into()).unwrap();
        packing.done().unwrap()
    }

    #[test]
    fn what_was_tampered_with_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("sources"));
        let (one, other) = (pack("1"), pack("2"));
        assert!(cache.get(one.digest()).is_none());
        cache.put(&one).unwrap();
        cache.put(&one).unwrap();
        assert_eq!(cache.get(one.digest()), Some(one.clone()));
        let path = cache.file(one.digest());
        let mut cut = one.bytes().to_vec();
        cut.pop();
        for bytes in [other.bytes(), &cut, b""] {
            std::fs::write(&path, bytes).unwrap();
            assert!(cache.get(one.digest()).is_none());
        }
        cache.put(&one).unwrap();
        assert_eq!(cache.get(one.digest()), Some(one));
    }
}
