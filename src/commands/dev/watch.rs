//! Whether somebody wrote to what was read.
//!
//! Files are looked at again and again: their names, sizes and times, never their texts. That works
//! on every file system, those of containers and networks included, where what the system tells of
//! itself does not; and it costs no crate. Whoever has very many files waits longer between two
//! looks, so that looking takes a small part of a processor.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::manifest::beside::Built;

/// How long it is waited between two looks, at least.
const PAUSE: Duration = Duration::from_millis(200);

/// How often a look takes as long as itself until the next one.
const IDLE: u32 = 20;

/// How long nobody must have written until what was written counts.
const QUIET: Duration = Duration::from_millis(300);

/// How long it is waited for that at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many files and folders are looked at in all.
pub const MOST: usize = 50_000;

/// How many folders may lie in each other.
const DEEPEST: usize = 32;

/// Folders that programs fill by themselves.
const MADE: [&str; 2] = ["__pycache__", "node_modules"];

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// Files, and folders with what is in them.
    files: BTreeSet<PathBuf>,
    /// The images that are built, with their folders.
    images: Vec<Built>,
    /// The folder of the platform's data, which it writes to itself.
    data: PathBuf,
    /// Whether more is looked at since it was asked last.
    is_more: bool,
    /// Whether there is more than is looked at. Copies share it.
    is_cut: Arc<AtomicBool>,
}

impl Watched {
    /// Nothing yet. What is below `data` is never looked at.
    pub fn without(data: &Path) -> Self {
        let data = data.canonicalize().unwrap_or_else(|_| data.to_owned());
        Self { data, ..Self::default() }
    }

    /// Looks at these, too.
    pub fn follow(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        for file in files {
            self.is_more |= self.files.insert(file);
        }
    }

    /// Looks at the folders of these images, and of no others.
    pub fn build(&mut self, images: Vec<Built>) {
        let folders = |images: &[Built]| -> BTreeSet<PathBuf> {
            images.iter().map(|built| built.folder.clone()).collect()
        };
        self.is_more |= !folders(&images).is_subset(&folders(&self.images));
        self.images = images;
    }

    /// A number that is another one once somebody has written to something.
    pub async fn stamp(&self) -> u64 {
        let watched = self.clone();
        // Folders may be large, and signals are heard meanwhile.
        tokio::task::spawn_blocking(move || watched.look(MOST)).await.unwrap_or_default()
    }

    /// Whether there was more than is looked at, the last time.
    pub fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }

    /// Whether more is looked at than when this was asked last.
    pub fn is_more(&mut self) -> bool {
        std::mem::take(&mut self.is_more)
    }

    /// Waits until somebody has written to something since, and has been quiet after that.
    pub async fn change(&self, since: u64) {
        let mut now = self.next(PAUSE).await;
        while now == since {
            now = self.next(PAUSE).await;
        }
        let begun = Instant::now();
        loop {
            let later = self.next(QUIET).await;
            if later == now || begun.elapsed() >= PATIENCE {
                return;
            }
            now = later;
        }
    }

    /// Looks after a pause.
    async fn next(&self, pause: Duration) -> u64 {
        sleep(pause).await;
        let begun = Instant::now();
        let stamp = self.stamp().await;
        sleep(begun.elapsed().saturating_mul(IDLE).saturating_sub(pause)).await;
        stamp
    }

    /// Looks at so many files and folders at most.
    fn look(&self, most: usize) -> u64 {
        let hasher = DefaultHasher::new();
        let mut look = Look { watched: self, hasher, left: most, is_cut: false };
        for file in &self.files {
            look.at(file, 0);
        }
        for built in &self.images {
            built.image.hash(&mut look.hasher);
            built.stamp().hash(&mut look.hasher);
        }
        self.is_cut.store(look.is_cut, Ordering::Relaxed);
        look.hasher.finish()
    }

    /// Whether what is in a folder is looked at in another way, or not at all.
    fn is_elsewhere(&self, folder: &Path) -> bool {
        let name = folder.file_name().unwrap_or_default();
        let is_made =
            name.as_encoded_bytes().starts_with(b".") || MADE.iter().any(|it| name == *it);
        is_made || folder == self.data || self.images.iter().any(|built| built.folder == folder)
    }
}

struct Look<'a> {
    watched: &'a Watched,
    hasher: DefaultHasher,
    /// How many may still be looked at.
    left: usize,
    /// Whether there was more.
    is_cut: bool,
}

impl Look<'_> {
    /// Looks at a file, or at a folder with what is in it. Links in it are links.
    fn at(&mut self, path: &Path, depth: usize) {
        path.hash(&mut self.hasher);
        let about = match depth {
            // What was given may be a link.
            0 => path.metadata(),
            _ => path.symlink_metadata(),
        };
        let Ok(about) = about else { return };
        if !about.is_dir() {
            (about.ino(), about.mode(), about.size()).hash(&mut self.hasher);
            (about.mtime(), about.mtime_nsec()).hash(&mut self.hasher);
            (about.ctime(), about.ctime_nsec()).hash(&mut self.hasher);
            return;
        }
        if depth == DEEPEST {
            self.is_cut = true;
            return;
        }
        let mut names = BTreeSet::new();
        for entry in path.read_dir().into_iter().flatten().flatten() {
            let Some(left) = self.left.checked_sub(1) else {
                self.is_cut = true;
                break;
            };
            self.left = left;
            names.insert(entry.file_name());
        }
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        for name in names {
            let is_folder = path.join(&name).symlink_metadata().is_ok_and(|it| it.is_dir());
            if !(is_folder && self.watched.is_elsewhere(&real.join(&name))) {
                self.at(&path.join(name), depth + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_shows_and_what_programs_write_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir_all(at("manifests/below")).unwrap();
        std::fs::create_dir_all(at("data")).unwrap();
        std::fs::write(at("manifests/a.yaml"), "a").unwrap();
        let mut watched = Watched::without(&at("data"));
        watched.follow([folder.path().to_owned(), at("absent.yaml")]);
        let mut last = watched.look(MOST);
        let mut shows = |why: &str, shows: bool| {
            let now = watched.look(MOST);
            assert_eq!(now != last, shows, "{why}");
            last = now;
        };
        shows("nothing", false);
        // Of another length, as the clock of files may not have moved on since the last look.
        std::fs::write(at("manifests/a.yaml"), "bb").unwrap();
        shows("another text", true);
        std::fs::write(at("manifests/below/b.yaml"), "b").unwrap();
        shows("a new file", true);
        std::fs::write(at("absent.yaml"), "b").unwrap();
        shows("a file that was missing", true);
        std::fs::remove_file(at("manifests/a.yaml")).unwrap();
        shows("a file that is gone", true);
        for own in ["data/log", ".git/index", "node_modules/x"] {
            std::fs::create_dir_all(at(own).parent().unwrap()).unwrap();
            std::fs::write(at(own), "").unwrap();
            shows(own, false);
        }
        std::fs::write(at(".env"), "").unwrap();
        shows("a hidden file, which a manifest may name", true);
        assert!(!watched.is_cut());
        watched.look(2);
        assert!(watched.is_cut());
    }
}
