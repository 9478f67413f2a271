//! Sources are fetched: as they are pinned, for plans, or as they are now, to move a pin.

use std::path::{Path, PathBuf};
use std::thread;

use super::archive;
use super::cache::Cache;
use super::download::download;
use super::entry::{Entry, Origin, Where};
use super::git::Repository;
use super::local;
use super::lock::Pin;
use super::registry::Artifact;
use crate::bounded;
use crate::error::{Context, Error, Problem, Result, with_causes};
use crate::listed::word;
use crate::manifest::pack::{Digest, Pack};
use crate::manifest::reach::Reach;
use crate::output;
use crate::visible;

/// How many sources are fetched at once.
const AT_ONCE: usize = 8;

/// What fetches sources.
#[derive(Debug)]
pub struct Fetcher {
    /// Where they are kept.
    pub cache: Cache,
    /// Whether nothing is fetched that is not in the cache.
    pub is_offline: bool,
    /// Where on this machine repositories and archives may lie: whoever proposes a change of the
    /// project file must not read what the user has elsewhere.
    pub reach: Reach,
}

impl Fetcher {
    /// That of the user, for the project file in a folder, and folders that the user allows.
    ///
    /// # Errors
    ///
    /// The home folder is not known.
    pub fn of_user(folder: &Path, allowed: &[PathBuf], is_offline: bool) -> Result<Self> {
        let cache = Cache::of_user().context(|| "there is no cache for sources".to_owned())?;
        Ok(Self { cache, is_offline, reach: Reach::of(&[folder.to_owned()], allowed) })
    }

    /// The files of sources as they are pinned, in order: from the cache, or else fetched.
    ///
    /// # Errors
    ///
    /// What could not be fetched, or is something else than what was pinned.
    pub fn pinned(&self, pins: &[(&Entry, &Pin)]) -> Result<Vec<Pack>, Vec<Problem>> {
        let mut found = Vec::with_capacity(pins.len());
        for share in pins.chunks(AT_ONCE) {
            let work = |(entry, pin): &(&Entry, &Pin)| match self.cache.get(pin.content()) {
                Some(pack) => Ok(pack),
                None => self.fetched(entry, pin).map_err(|error| problem(entry, error)),
            };
            match share {
                [only] => found.push(work(only)),
                share => found.extend(thread::scope(|scope| {
                    let threads: Vec<_> = share.iter().map(|it| scope.spawn(|| work(it))).collect();
                    let joined = threads.into_iter().map(|thread| {
                        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                    });
                    joined.collect::<Vec<_>>()
                })),
            }
        }
        let mut packs = Vec::new();
        let mut problems = Vec::new();
        for found in found {
            match found {
                Ok(pack) => packs.push(pack),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(packs) } else { Err(problems) }
    }

    /// The files of what was pinned before the project file asked for an entry.
    ///
    /// # Errors
    ///
    /// They are not to be had any more.
    pub fn before(&self, entry: &Entry, pin: &Pin) -> Result<Pack> {
        match self.cache.get(pin.content()) {
            Some(pack) => Ok(pack),
            None => self.fetched(&pin.entry(entry).map_err(Error::failed)?, pin),
        }
    }

    /// Fetches what is pinned and not in the cache.
    fn fetched(&self, entry: &Entry, pin: &Pin) -> Result<Pack> {
        self.may_fetch(entry)?;
        output::note(&format!("fetching {} from {}", entry.shown(), shown(entry)));
        let digest = || pin.at().parse::<Digest>().map_err(Error::failed);
        let pack = match &entry.origin {
            Origin::Git { git, reference } => {
                check_commit(pin.at())?;
                let repository = self.repository(entry, git)?;
                repository.fetch_commit(pin.at(), reference.as_deref(), &entry.path)?
            }
            Origin::Archive { archive, .. } => {
                let digest = digest()?;
                let bytes = self.archive(entry, archive)?;
                unpacked(verified(bytes, digest)?, entry)?
            }
            Origin::Oci { oci } => {
                let digest = digest()?;
                let (_, bytes) = waited(Artifact::of(oci)?.fetch(Some(digest)))?;
                unpacked(bytes, entry)?
            }
        };
        if pack.digest() != pin.content() {
            return Err(Error::failed(format!(
                "its files are {}, but {} was locked",
                pack.digest(),
                pin.content()
            ))
            .hint(format!(
                "ask who wrote meshagent.lock; `meshagent source update {}` shows what the files are now",
                word(&entry.name)
            )));
        }
        self.keep(&pack)?;
        Ok(pack)
    }

    /// Fetches an entry as it is now, and what pins it so.
    ///
    /// # Errors
    ///
    /// It cannot be fetched, or used.
    pub fn newest(&self, entry: &Entry) -> Result<(Pin, Pack)> {
        self.may_fetch(entry)?;
        output::note(&format!("fetching {} from {}", entry.shown(), shown(entry)));
        let (at, pack) = match &entry.origin {
            Origin::Git { git, reference } => {
                let repository = self.repository(entry, git)?;
                repository.fetch(reference.as_deref(), &entry.path)?
            }
            Origin::Archive { archive, sha256 } => {
                let bytes = self.archive(entry, archive)?;
                let digest = Digest::of(&bytes);
                let bytes = verified(bytes, sha256.unwrap_or(digest))?;
                (digest.to_string(), unpacked(bytes, entry)?)
            }
            Origin::Oci { oci } => {
                let (digest, bytes) = waited(Artifact::of(oci)?.fetch(None))?;
                (digest.to_string(), unpacked(bytes, entry)?)
            }
        };
        self.keep(&pack)?;
        Ok((Pin::of(entry, at, pack.digest()), pack))
    }

    fn may_fetch(&self, entry: &Entry) -> Result<()> {
        match (entry.lies(), self.is_offline) {
            (Where::Here(path), _) => self.here(&path).map(drop),
            (Where::Elsewhere, false) => Ok(()),
            (Where::Elsewhere, true) => {
                let told = "it is not in the cache, and --offline allows no network";
                Err(Error::failed(told).hint(format!(
                    "run `meshagent source fetch {}` where there is a network",
                    word(&entry.name)
                )))
            }
        }
    }

    /// Where a path of this machine really leads, if it may be read.
    fn here(&self, path: &Path) -> Result<PathBuf> {
        self.reach.resolve(path).map_err(|outside| {
            let error = Error::failed(outside.message(path));
            match outside.is_link {
                true => error.hint(outside.hint()),
                false => error.hint(format!(
                    "add --allow-files {} to let sources lie there",
                    word(&path.display().to_string())
                )),
            }
        })
    }

    fn repository(&self, entry: &Entry, git: &str) -> Result<Repository<'_>> {
        let (url, is_local) = match entry.lies() {
            Where::Here(path) => {
                let found = local::repository(&self.here(&path)?, &self.reach)?;
                (found.display().to_string(), true)
            }
            Where::Elsewhere => (git.to_owned(), false),
        };
        Ok(Repository { url, is_local, cache: &self.cache })
    }

    fn archive(&self, entry: &Entry, url: &str) -> Result<Vec<u8>> {
        match entry.lies() {
            Where::Here(path) => bounded::bytes(&self.here(&path)?, archive::LARGEST)
                .context(|| format!("failed to read {}", path.display())),
            Where::Elsewhere => waited(download(url)),
        }
    }

    fn keep(&self, pack: &Pack) -> Result<()> {
        self.cache.open()?;
        self.cache.put(pack).context(|| "failed to keep it in the cache".to_owned())
    }
}

/// What is wrong with an entry, at its place in the project file.
#[must_use]
pub fn problem(entry: &Entry, error: Error) -> Problem {
    let message = format!("the source `{}` cannot be read: {}", entry.name, with_causes(&error));
    Problem { place: entry.place.clone(), hint: error.hint, ..Problem::new(message) }
}

/// Where a source comes from, for people.
fn shown(entry: &Entry) -> String {
    visible::url(&entry.origin.to_string())
}

/// A lock may be a stranger's, and what it calls a commit goes to Git.
fn check_commit(text: &str) -> Result<()> {
    let is_commit =
        [40, 64].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match is_commit {
        true => Ok(()),
        false => {
            Err(Error::failed(format!("{:?} is locked, which is no commit", visible::line(text))))
        }
    }
}

fn verified(bytes: Vec<u8>, digest: Digest) -> Result<Vec<u8>> {
    let found = Digest::of(&bytes);
    match found == digest {
        true => Ok(bytes),
        false => Err(Error::failed(format!("the archive is {found}, not {digest}")).hint(
            "ask who changed it; if the new one is right, correct `sha256`, or run `meshagent source update`",
        )),
    }
}

fn unpacked(bytes: Vec<u8>, entry: &Entry) -> Result<Pack> {
    archive::unpack(bytes, &entry.path)
        .map_err(|why| Error::failed(format!("it cannot be a source: {why}")))
}

/// Waits for work over the network, from wherever this is called.
fn waited<T: Send>(work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let failed = || "failed to start the runtime".to_owned();
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.context(failed)?.block_on(work)
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
