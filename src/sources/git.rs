//! Sources in Git repositories, by the `git` program, so that whoever can clone a repository can use
//! it as a source.
//!
//! Nothing is checked out: the files are read from the repository's objects, so no hook, filter or
//! attribute of the repository has a say. The program never asks for a password: a plan must not
//! wait for an answer.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{IsTerminal, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::cache::Cache;
use crate::error::{Context, Error, Result};
use crate::git;
use crate::listed::{few, nearest, word};
use crate::manifest::pack::{LIMITS, Pack, Packing, Sort};
use crate::manifest::process::{self, Ended};
use crate::manifest::secrets::Limits;
use crate::output;
use crate::visible;

/// The most that a repository may bring, with what is around the folder that is read.
const LARGEST: u64 = 512 * 1024 * 1024;

/// How often it is looked how much has come.
const LOOK: Duration = Duration::from_millis(100);

/// How long one command of Git may take.
const TIME: Duration = Duration::from_secs(300);

/// The most that is read of a list of files.
const LIST: usize = 16 * 1024 * 1024;

/// How much is told of what Git says when it fails.
const TOLD: (u64, usize) = (16 * 1024, 3);

/// What is the same for every command.
const SETTINGS: [&str; 8] = [
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    "transfer.fsckObjects=true",
    "transfer.bundleURI=false",
    // What comes stays packed, and what is large in it is not kept in memory.
    "fetch.unpackLimit=1",
    "core.bigFileThreshold=16m",
    "maintenance.auto=false",
    "gc.auto=0",
];

/// What Git says of a repository that another user owns.
const DUBIOUS: &str = "dubious ownership";

/// What Git writes first into the place of a file that it keeps elsewhere.
const LARGE_FILE: &[u8] = b"version https://git-lfs.github.com/spec/";

/// What the folders of runs are called that are fetching.
const FETCHING: &str = ".fetch-";

/// A repository.
#[derive(Debug)]
pub struct Repository<'a> {
    /// Its URL, or its folder.
    pub url: String,
    /// Whether it is a folder on this machine.
    pub is_local: bool,
    /// Where to work.
    pub cache: &'a Cache,
}

/// How the objects of a repository are called: by SHA-1, as nearly everywhere, or by SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Sha1,
    Sha256,
}

impl Format {
    /// That of an object.
    fn of(object: &str) -> Self {
        if object.len() == 64 { Self::Sha256 } else { Self::Sha1 }
    }

    fn option(self) -> &'static str {
        match self {
            Self::Sha1 => "--object-format=sha1",
            Self::Sha256 => "--object-format=sha256",
        }
    }
}

/// What a repository has, as it says itself.
struct Remote {
    format: Format,
    /// The names of its branches and tags.
    names: BTreeSet<String>,
}

/// An empty repository, in which objects arrive. It is removed when it is dropped.
struct Objects {
    folder: TempDir,
    protocols: &'static str,
    /// Locked as long as somebody works in the folder.
    _lock: File,
}

impl Repository<'_> {
    /// Fetches the files below a folder of a version, with the commit that it is.
    ///
    /// # Errors
    ///
    /// What Git says; files that cannot be packed.
    pub fn fetch(&self, reference: Option<&str>, folder: &str) -> Result<(String, Pack)> {
        let reference = reference.unwrap_or("HEAD");
        let objects = Objects::begin(self, Format::of(reference))?;
        let objects = match objects.fetch(self, reference, true) {
            Ok(()) => objects,
            Err(error) => self.fetch_again(objects, reference, error)?,
        };
        let commit = objects.commit("FETCH_HEAD")?;
        let pack = objects.pack(&commit, folder)?;
        Ok((commit, pack))
    }

    /// Fetches once more what could not be fetched, if the repository is another one than most.
    fn fetch_again(&self, objects: Objects, reference: &str, error: Error) -> Result<Objects> {
        let Some(remote) = objects.remote(self) else { return Err(self.explained(error)) };
        let is_known = reference == "HEAD" || remote.names.contains(reference);
        if remote.format != Format::of(reference) {
            drop(objects);
            let objects = Objects::begin(self, remote.format)?;
            objects.fetch(self, reference, true).map_err(|error| match is_known {
                true => error,
                false => unknown(reference, &remote.names),
            })?;
            return Ok(objects);
        }
        if !is_known {
            return Err(unknown(reference, &remote.names));
        }
        // A server that only has files gives no part of a history.
        objects.fetch(self, reference, false).map_err(|_| error)?;
        Ok(objects)
    }

    /// Fetches the files below a folder of a commit.
    ///
    /// # Errors
    ///
    /// As [`Repository::fetch`].
    pub fn fetch_commit(
        &self,
        commit: &str,
        reference: Option<&str>,
        folder: &str,
    ) -> Result<Pack> {
        let objects = Objects::begin(self, Format::of(commit))?;
        if let Err(error) = objects.fetch(self, commit, true) {
            // Some servers give what has a name alone; with it comes what was before.
            let Some(reference) = reference.filter(|reference| *reference != commit) else {
                return Err(self.explained(error));
            };
            objects.fetch(self, reference, false).map_err(|_| self.explained(error))?;
            objects.commit(commit).map_err(|error| {
                let told = format!("{} no longer has the commit {commit}", self.shown());
                Error::failed(told)
                    .because(error)
                    .hint("`meshagent source update` moves the pin to what it has now")
            })?;
        }
        objects.pack(commit, folder)
    }

    fn shown(&self) -> String {
        let shown = visible::line(&self.url);
        let is_of_ssh = shown.split_once("://").is_none_or(|(scheme, _)| scheme == "ssh");
        // Over ssh, the user is a part of where it is.
        if is_of_ssh || self.is_local { shown.into_owned() } else { visible::url(&shown) }
    }

    fn explained(&self, error: Error) -> Error {
        match self.is_local {
            true => error,
            false => error.hint(format!(
                "`git ls-remote {}` must work here without asking for anything",
                word(&self.shown())
            )),
        }
    }
}

impl Objects {
    fn begin(of: &Repository<'_>, format: Format) -> Result<Self> {
        let failed = || "failed to make a folder for Git".to_owned();
        let cache = of.cache.open()?;
        // Until the new folder is locked, nobody else takes it for one that was left behind.
        let gate = File::open(cache).context(failed)?;
        gate.lock().context(failed)?;
        sweep(cache);
        let folder = tempfile::Builder::new().prefix(FETCHING).tempdir_in(cache);
        let folder = folder.context(failed)?;
        let lock = File::create(folder.path().join("lock")).context(failed)?;
        lock.lock().context(failed)?;
        drop(gate);
        let is_plain = of.url.starts_with("http://");
        let protocols = match of.url.starts_with("git://") {
            true => "git",
            false if of.is_local => "file",
            false if is_plain => "http:https",
            false => "https:ssh",
        };
        let objects = Self { folder, protocols, _lock: lock };
        let init = ["init", "-q", "--bare", "--template=", format.option()];
        objects.run(&init, None, LIST)?;
        Ok(objects)
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("objects.git")
    }

    /// Fetches what a name or a commit leads to; without what was before if that is enough.
    fn fetch(&self, of: &Repository<'_>, reference: &str, is_enough: bool) -> Result<()> {
        let mut words = vec!["fetch", "-q", "--no-tags", "--no-recurse-submodules"];
        words.extend(is_enough.then_some("--depth=1"));
        // Only what was looked at is a repository, and no folder below it.
        words.extend(of.is_local.then_some("--upload-pack=git-upload-pack --strict"));
        words.extend(["--", &of.url, reference]);
        self.run(&words, None, LIST).map(drop).map_err(|mut error| {
            error.message = error.message.replace(&of.url, &of.shown());
            error
        })
    }

    /// What a repository has, if it answers.
    fn remote(&self, of: &Repository<'_>) -> Option<Remote> {
        let mut words = vec!["ls-remote", "-q"];
        words.extend(of.is_local.then_some("--upload-pack=git-upload-pack --strict"));
        words.extend(["--", &of.url]);
        let out = self.run(&words, None, LIST).ok()?;
        let text = String::from_utf8_lossy(&out);
        let lines = || text.lines().filter_map(|line| line.split_once('\t'));
        let format = lines().next().map_or(Format::Sha1, |(object, _)| Format::of(object));
        let name = |name: &str| {
            let name = name.strip_prefix("refs/heads/").or(name.strip_prefix("refs/tags/"))?;
            Some(name.to_owned()).filter(|name| !name.ends_with("^{}"))
        };
        Some(Remote { format, names: lines().filter_map(|(_, it)| name(it)).collect() })
    }

    /// Says how much has come, once it is too much.
    fn bounded(&self) -> Result<(), String> {
        let files = walkdir::WalkDir::new(self.folder.path()).into_iter().flatten();
        let sizes = files.filter_map(|entry| Some(entry.metadata().ok()?.len()));
        match sizes.sum::<u64>() > LARGEST {
            true => Err(format!("it brought more than {} MiB", LARGEST / 1024 / 1024)),
            false => Ok(()),
        }
    }

    /// The commit that a name leads to.
    fn commit(&self, name: &str) -> Result<String> {
        let name = format!("{name}^{{commit}}");
        let out = self.run(&["rev-parse", "--verify", "--end-of-options", &name], None, LIST)?;
        Ok(String::from_utf8_lossy(&out).trim().to_owned())
    }

    /// Packs the files below a folder of a commit.
    fn pack(&self, commit: &str, folder: &str) -> Result<Pack> {
        let folder = folder.trim_matches('/');
        let tree = format!("{commit}:{folder}");
        let list = self.run(&["ls-tree", "-r", "-z", "-l", "--end-of-options", &tree], None, LIST);
        let list = list.map_err(|error| match folder {
            "" => error,
            folder => self.no_folder(commit, folder),
        })?;
        let refused = |why: String| Error::failed(format!("it cannot be a source: {why}"));
        let packing = Packing::of("");
        let files = listed(&list, &packing).map_err(refused)?;
        let others = submodules(&list);
        if !others.is_empty() {
            output::note(&format!(
                "note: what other repositories have in it is not read: {}",
                few(others)
            ));
        }
        self.read(files, packing)?.done().map_err(refused)
    }

    /// What is said of a folder that a commit does not have.
    fn no_folder(&self, commit: &str, folder: &str) -> Error {
        let error = Error::failed(format!("there is no folder {} in it", visible::line(folder)));
        let list = self.run(&["ls-tree", "-r", "-d", "-z", "--name-only", commit], None, LIST);
        let list = list.unwrap_or_default();
        let names: Vec<String> = list
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        let near = names.iter().find(|name| name.eq_ignore_ascii_case(folder)).cloned();
        match near.or_else(|| nearest(folder, names.iter().map(String::as_str))) {
            Some(near) => error.hint(format!("did you mean `path: {}`?", visible::line(&near))),
            None if names.is_empty() => error.hint("it has no folders: leave `path` out"),
            None => error.hint(format!(
                "there are {}",
                few(names.iter().map(|name| visible::line(name).into_owned()))
            )),
        }
    }

    /// Reads the files, each by its object.
    fn read(&self, files: Vec<(String, String)>, mut packing: Packing) -> Result<Packing> {
        let failed = || "failed to read the files from Git".to_owned();
        let mut wanted = tempfile::tempfile_in(self.folder.path()).context(failed)?;
        for (object, _) in &files {
            writeln!(wanted, "{object}").context(failed)?;
        }
        wanted.rewind().context(failed)?;
        let most = LIMITS.bytes + LIMITS.files * 100;
        let out = self.run(&["cat-file", "--batch"], Some(wanted), most)?;
        let mut rest = out.as_slice();
        for (object, path) in files {
            let content = object_of(&mut rest, &object)
                .ok_or_else(|| Error::failed(format!("Git gave no {}", visible::line(&path))))?;
            if content.starts_with(LARGE_FILE) {
                let path = visible::line(&path).into_owned();
                return Err(Error::failed(format!(
                    "it cannot be a source: {path} is kept by Git LFS, so it is not in the repository"
                )));
            }
            packing
                .add(path, content.to_vec())
                .map_err(|why| Error::failed(format!("it cannot be a source: {why}")))?;
        }
        Ok(packing)
    }

    fn run(&self, words: &[&str], stdin: Option<File>, bytes: usize) -> Result<Vec<u8>> {
        let failed = || "failed to run git".to_owned();
        // Not in the folder: what Git says there may be that the disk is full.
        let mut said = tempfile::tempfile().context(failed)?;
        let mut command = git::program();
        let is_at_terminal = std::io::stdin().is_terminal() || std::io::stderr().is_terminal();
        command
            .env("GIT_ASKPASS", asked(std::env::var_os("GIT_ASKPASS"), is_at_terminal))
            .env("SSH_ASKPASS_REQUIRE", "never")
            .env_remove("SSH_ASKPASS")
            .env("GIT_ALLOW_PROTOCOL", self.protocols)
            .env("GIT_DIR", self.root())
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_NO_LAZY_FETCH", "1");
        let has_own_ssh =
            ["GIT_SSH_COMMAND", "GIT_SSH"].iter().any(|it| std::env::var_os(it).is_some());
        if !has_own_ssh {
            command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
        }
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command
            .args(words)
            .current_dir(self.folder.path())
            .stdin(stdin.map_or_else(Stdio::null, Stdio::from))
            .stderr(Stdio::from(said.try_clone().context(failed)?));
        let next = Cell::new(Instant::now() + LOOK);
        let watch = || match Instant::now() >= next.get() {
            true => {
                next.set(Instant::now() + LOOK);
                self.bounded()
            }
            false => Ok(()),
        };
        let limits = Limits { time: TIME, bytes };
        process::run_watched(command, limits, &watch).map_err(|ended| match ended {
            Ended::Unstarted(error) => Error::failed("git cannot be run")
                .because(error)
                .hint("sources in Git repositories need the program `git` in the PATH"),
            ended @ Ended::Ended(_) => Error::failed(format!("git {} {ended}", words[0]))
                .hint("take a smaller repository, or an archive of the folder that is needed"),
            ended => {
                let said = told(&mut said);
                let error = Error::failed(format!("git {} {ended}{said}", words[0]));
                match said.contains(DUBIOUS) {
                    true => error.hint("the repository belongs to another user; `git config --global --add safe.directory FOLDER` trusts it"),
                    false => error,
                }
            }
        })
    }
}

/// What is said of a name that a repository does not have.
fn unknown(reference: &str, names: &BTreeSet<String>) -> Error {
    let is_part = (4..40).contains(&reference.len())
        && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
    let shown = visible::line(reference);
    let error = Error::failed(format!("there is no tag, branch or commit {shown} in it"));
    match nearest(reference, names.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `ref: {}`?", visible::line(&near))),
        None if is_part => error.hint("write all digits of the commit"),
        None if names.is_empty() => error.hint("it has neither tags nor branches"),
        None => {
            let shown = names.iter().map(|name| visible::line(name).into_owned());
            error.hint(format!("there are {}", few(shown)))
        }
    }
}

/// The program that Git asks for a password, in place of the one that it would find. At a terminal
/// that would open a window, and a plan must not wait for an answer; where nobody sits at one, it
/// is how a job gives Git its credentials.
fn asked(given: Option<OsString>, is_at_terminal: bool) -> OsString {
    given.filter(|_| !is_at_terminal).unwrap_or_default()
}

/// What Git said, in one line.
fn told(said: &mut File) -> String {
    let mut text = Vec::new();
    let read = said.rewind().and_then(|()| said.take(TOLD.0).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    // A setting of Git may have put a token into the URL.
    let text = visible::without_users(&text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // The first reasons are what the others come of.
    let reasons: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|it| it.starts_with("fatal: ") || it.starts_with("error: "))
        .collect();
    let told = match reasons.is_empty() {
        true => &lines[lines.len().saturating_sub(TOLD.1)..],
        false => &reasons[..reasons.len().min(TOLD.1)],
    };
    let shown: Vec<String> = told.iter().map(|line| visible::line(line).into_owned()).collect();
    match (read, shown.is_empty()) {
        (Ok(_), false) => format!(": {}", shown.join("; ")),
        _ => String::new(),
    }
}

/// The files of a tree that are packed: the object of each, and its path.
fn listed(list: &[u8], packing: &Packing) -> Result<Vec<(String, String)>, String> {
    let mut files = Vec::new();
    let mut bytes = 0_u64;
    for entry in list.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        let odd = || "git listed it in an unknown form".to_owned();
        let tab = entry.iter().position(|byte| *byte == b'\t').ok_or_else(odd)?;
        let about = std::str::from_utf8(&entry[..tab]).map_err(|_| odd())?;
        let [mode, _, object, size] = about.split_ascii_whitespace().collect::<Vec<_>>()[..] else {
            return Err(odd());
        };
        let sort = match mode {
            "120000" => Sort::Link,
            // What another repository has there is none of this one's.
            "160000" => Sort::Folder,
            mode if mode.starts_with("100") => Sort::File,
            _ => Sort::Other,
        };
        let Some(path) = packing.path(&entry[tab + 1..], sort)? else { continue };
        bytes = bytes.saturating_add(size.parse().unwrap_or(u64::MAX));
        packing.expect(bytes)?;
        if files.len() >= LIMITS.files {
            return Err(format!("it has more than {} files", LIMITS.files));
        }
        files.push((object.to_owned(), path));
    }
    Ok(files)
}

/// The folders of a tree that are other repositories.
fn submodules(list: &[u8]) -> Vec<String> {
    let entries = list.split(|byte| *byte == 0).filter(|entry| entry.starts_with(b"160000 "));
    let paths = entries.filter_map(|entry| entry.split(|byte| *byte == b'\t').nth(1));
    paths.map(|path| visible::line(&String::from_utf8_lossy(path)).into_owned()).collect()
}

/// Takes the next object of a batch.
fn object_of<'a>(rest: &mut &'a [u8], object: &str) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let about = std::str::from_utf8(&rest[..end]).ok()?;
    let size: usize = about.strip_prefix(object)?.strip_prefix(" blob ")?.parse().ok()?;
    let content = rest.get(end + 1..(end + 1).checked_add(size)?)?;
    *rest = rest.get(end + 1 + size + 1..)?;
    Some(content)
}

/// Removes what killed runs left behind.
fn sweep(cache: &Path) {
    for entry in std::fs::read_dir(cache).into_iter().flatten().flatten() {
        let is_its = entry.file_name().to_str().is_some_and(|name| name.starts_with(FETCHING));
        if is_its && is_left_behind(&entry.path()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether nobody works in a folder. One without a lock was left before it got one.
fn is_left_behind(folder: &Path) -> bool {
    File::open(folder.join("lock")).map_or(true, |lock| lock.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_listed_without_what_is_no_file() {
        let list = [
            "100644 blob aa      12\ta.yaml",
            "120000 blob bb 3\tCLAUDE.md",
            "160000 commit cc       -\tsub",
            "100755 blob dd 1\tx/b.yaml",
        ]
        .join("\0");
        let files = listed(list.as_bytes(), &Packing::of("")).unwrap();
        assert_eq!(submodules(list.as_bytes()), ["sub"]);
        let expected = [("aa", "a.yaml"), ("dd", "x/b.yaml")];
        assert_eq!(files, expected.map(|(one, other)| (one.to_owned(), other.to_owned())));
        for list in ["120000 blob bb 3\ta.yaml\0", "100644 blob aa 99999999999\ta\0", "odd\0"] {
            assert!(listed(list.as_bytes(), &Packing::of("")).is_err(), "{list}");
        }
    }

    #[test]
    fn nobody_is_asked_at_a_terminal() {
        let given = || Some(OsString::from("/usr/bin/askpass"));
        assert_eq!(asked(given(), true), "");
        assert_eq!(asked(given(), false), "/usr/bin/askpass");
        assert_eq!(asked(None, false), "");
    }

    #[test]
    fn a_name_that_is_not_there_is_told_with_what_is() {
        let names = ["main", "v1.4"].map(str::to_owned).into();
        for (name, hint) in [
            ("v1.44", "did you mean `ref: v1.4`?"),
            ("7a9c81d", "write all digits of the commit"),
            ("release", "there are main, v1.4"),
        ] {
            assert_eq!(unknown(name, &names).hint.as_deref(), Some(hint), "{name}");
        }
    }

    #[test]
    fn objects_are_read_one_after_the_other() {
        let out = b"aa blob 2\nx\n\nbb blob 0\n\ncc missing\n";
        let mut rest = &out[..];
        assert_eq!(object_of(&mut rest, "aa"), Some(&b"x\n"[..]));
        assert_eq!(object_of(&mut rest, "bb"), Some(&b""[..]));
        assert_eq!(object_of(&mut rest, "cc"), None);
        assert_eq!(object_of(&mut &b"aa blob 18446744073709551615\nx"[..], "aa"), None);
    }
}
