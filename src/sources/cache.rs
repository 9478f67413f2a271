//! The cache of sources: a file each, called by the digest of what is in it. So what was fetched
//! once is read everywhere, and nothing in it is ever changed. What was not used for long is removed.

use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind, Result, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::bounded;
use crate::manifest::pack::{Digest, LIMITS, Pack};
use crate::own_folder;
use crate::whole_file::Draft;

/// The largest file of the cache: what all files of a source may have, with their paths.
const LARGEST: usize = LIMITS.bytes + LIMITS.files * (LIMITS.path + 8) + 64;

/// How the names of its files end.
const PACK: &str = "pack";

/// The most that the cache has, in bytes.
const MOST: u64 = 1024 * 1024 * 1024;

/// How long something is kept that nobody uses.
const UNUSED: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// How exactly it is noted when something was used.
const NOTED: Duration = Duration::from_secs(24 * 60 * 60);

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

    /// The same, for whoever cannot go on without it.
    ///
    /// # Errors
    ///
    /// As [`Cache::folder`], with its path and the way out.
    pub fn open(&self) -> crate::error::Result<&Path> {
        self.folder().map_err(|error| {
            let told = format!("failed to make the cache of sources, {}", self.folder.display());
            crate::error::Error::failed(told)
                .because(error)
                .hint("set XDG_CACHE_HOME to a folder that can be written to")
        })
    }

    fn file(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{}.{PACK}", digest.hex()))
    }

    /// Whether what has this digest is here.
    #[must_use]
    pub fn has(&self, digest: Digest) -> bool {
        read(&self.file(digest), digest).is_ok_and(|pack| pack.is_some())
    }

    /// What has this digest; `None` if it is not here. A file that is not what its name says is as
    /// if it were not here: it is fetched again, and replaced.
    #[must_use]
    pub fn get(&self, digest: Digest) -> Option<Pack> {
        let path = self.file(digest);
        match read(&path, digest) {
            Ok(Some(pack)) => {
                used(&path);
                Some(pack)
            }
            Ok(None) => {
                tracing::warn!("{} is damaged, and is fetched again", path.display());
                None
            }
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    tracing::warn!(
                        "{} cannot be read, and is fetched again: {error}",
                        path.display()
                    );
                }
                None
            }
        }
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
        if path.is_dir() {
            std::fs::remove_dir_all(&path)?;
        }
        draft.replace(&path)?;
        self.forget(&path, MOST);
        Ok(())
    }

    /// Removes what nobody has used for long, and what was used longest ago, until the rest is
    /// small enough. What is still needed is fetched again.
    fn forget(&self, kept: &Path, most: u64) {
        let now = SystemTime::now();
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let packs = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|it| it == PACK) && path.as_path() != kept);
        let mut packs: Vec<(SystemTime, u64, PathBuf)> = packs
            .filter_map(|path| {
                let about = path.symlink_metadata().ok()?;
                Some((about.modified().ok()?, about.len(), path))
            })
            .collect();
        packs.sort_by(|one, other| other.cmp(one));
        let mut size = kept.metadata().map_or(0, |about| about.len());
        for (at, length, path) in packs {
            size = size.saturating_add(length);
            let is_old = now.duration_since(at).is_ok_and(|age| age > UNUSED);
            if is_old || size > most {
                tracing::debug!("{} was not used for long, and is removed", path.display());
                // Somebody else may have done it.
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// What has this digest; `None` if it is something else.
fn read(path: &Path, digest: Digest) -> Result<Option<Pack>> {
    let bytes = bounded::bytes(path, LARGEST)?;
    Ok(Pack::read(bytes).ok().filter(|pack| pack.digest() == digest))
}

/// Remembers that a file was used, as exactly as it matters.
fn used(path: &Path) {
    let now = SystemTime::now();
    let is_known = |about: Metadata| {
        let age = now.duration_since(about.modified().ok()?).ok()?;
        Some(age < NOTED)
    };
    if path.metadata().ok().and_then(is_known) == Some(false)
        && let Ok(file) = File::options().append(true).open(path)
    {
        // That of a folder that cannot be written to stays as it is.
        let _ = file.set_modified(now);
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

    #[test]
    fn what_was_used_longest_ago_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("sources"));
        let packs: Vec<Pack> = ["0", "1", "2", "3"].map(pack).into();
        let ago = |pack: &Pack, days: u32| {
            let file = File::options().append(true).open(cache.file(pack.digest())).unwrap();
            file.set_modified(SystemTime::now() - NOTED * days).unwrap();
        };
        let is_there = || packs.iter().map(|pack| cache.has(pack.digest())).collect::<Vec<_>>();
        for (pack, days) in packs.iter().zip([100, 3, 2, 1]) {
            cache.put(pack).unwrap();
            ago(pack, days);
        }
        // Each has the same size, and three of them have room.
        let most = packs[0].bytes().len() as u64 * 3;
        assert!(cache.get(packs[1].digest()).is_some());
        cache.forget(&cache.file(packs[3].digest()), most);
        assert_eq!(is_there(), [false, true, true, true]);
        // What was read meanwhile was used.
        cache.forget(&cache.file(packs[3].digest()), most - 1);
        assert_eq!(is_there(), [false, true, false, true]);
    }

    #[test]
    fn whatever_is_in_the_place_of_a_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("sources"));
        let one = pack("1");
        std::fs::create_dir_all(cache.file(one.digest()).join("x")).unwrap();
        assert!(!cache.has(one.digest()));
        cache.put(&one).unwrap();
        assert!(cache.has(one.digest()));
        std::fs::write(cache.file(one.digest()), "").unwrap();
        assert!(!cache.has(one.digest()));
    }
}
