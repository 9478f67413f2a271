//! The working copy of a repository, through the `git` program, so that its credentials are the
//! user's. What is in the repository may be a stranger's: no hook, no filter for differences and no
//! other transport of it is run, and names are never taken for options.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::error::{Context, Error, Result};
use crate::git;
use crate::manifest::process::{self, Ended};
use crate::manifest::secrets::Limits;
use crate::visible;

/// How long Git may take, and how much it may say.
const LIMITS: Limits = Limits { time: Duration::from_secs(120), bytes: 64 * 1024 * 1024 };

/// The largest file that is taken out of a commit, in bytes.
const FILE: usize = 4 * 1024 * 1024;

/// The most files that are taken out of a commit.
const FILES: usize = 2_000;

/// The most links that lead to a file.
const LINKS: usize = 10;

/// What Git is told before every command.
const ALWAYS: [&str; 10] = [
    "-c",
    "core.quotePath=false",
    "-c",
    "protocol.ext.allow=never",
    "-c",
    "submodule.recurse=false",
    "-c",
    "commit.gpgSign=false",
    "-c",
    "gc.auto=0",
];

/// A working copy.
#[derive(Debug, Clone)]
pub struct Checkout {
    root: PathBuf,
}

/// Who commits.
const AUTHOR: [&str; 4] =
    ["-c", "user.name=meshagent", "-c", "user.email=meshagent@noreply.invalid"];

/// The most commits of a branch of which it is looked who made them.
const MOST: usize = 100;

/// The line of a commit that this program made.
pub const MADE: &str = "Made-by: meshagent";

fn told(ended: &Ended) -> Error {
    match ended {
        Ended::Unstarted(_) => Error::failed("the git program cannot be run")
            .because(ended.to_string())
            .hint("install git, and put it on the PATH"),
        _ => Error::failed(format!("git {ended}")),
    }
}

impl Checkout {
    /// The working copy that a folder is in.
    ///
    /// # Errors
    ///
    /// There is none, or Git does not trust it.
    pub fn around(folder: &Path) -> Result<Self> {
        let top = git(folder, &["rev-parse", "--show-toplevel"], Said::Shown).map_err(|error| {
            error.hint("run this in the checkout of a repository; if Git says that it is of dubious ownership, run `git config --global --add safe.directory FOLDER` first")
        })?;
        let root = PathBuf::from(OsString::from_vec(trimmed(top)));
        Ok(Self { root: root.canonicalize().context(|| format!("{}", root.display()))? })
    }

    /// Its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The commit that a name stands for, if it is there.
    #[must_use]
    pub fn commit(&self, name: &str) -> Option<String> {
        let name = format!("{name}^{{commit}}");
        let words = ["rev-parse", "--verify", "--quiet", "--end-of-options", &name];
        let found = git(&self.root, &words, Said::Hidden).ok()?;
        String::from_utf8(trimmed(found)).ok().filter(|it| !it.is_empty())
    }

    /// The parents of a commit, also those that a shallow checkout does not have. Empty if it is not
    /// there.
    #[must_use]
    pub fn parents(&self, commit: &str) -> Vec<String> {
        let words = ["cat-file", "commit", commit];
        let Ok(found) = git(&self.root, &words, Said::Hidden) else { return Vec::new() };
        let text = String::from_utf8_lossy(&found).into_owned();
        let head = text.lines().take_while(|line| !line.is_empty());
        head.filter_map(|line| line.strip_prefix("parent ")).map(str::to_owned).collect()
    }

    /// Where what is checked out left the history of another commit: the newest one that both have.
    /// `None` if the checkout does not reach that far back.
    #[must_use]
    pub fn left_at(&self, other: &str) -> Option<String> {
        // A merge onto it names it, also where nothing before the merge is there.
        if self.parents("HEAD").iter().any(|parent| parent == other) {
            return Some(other.to_owned());
        }
        let found = git(&self.root, &["merge-base", "--", other, "HEAD"], Said::Hidden).ok()?;
        String::from_utf8(trimmed(found)).ok().filter(|it| !it.is_empty())
    }

    /// The branch that is checked out.
    #[must_use]
    pub fn branch(&self) -> Option<String> {
        let words = ["symbolic-ref", "--quiet", "--short", "HEAD"];
        String::from_utf8(trimmed(git(&self.root, &words, Said::Hidden).ok()?)).ok()
    }

    /// Fetches one commit of the remote `origin`, by its name or that of a branch.
    ///
    /// # Errors
    ///
    /// It cannot be fetched.
    pub fn fetch(&self, name: &str) -> Result<String> {
        let words = ["fetch", "--quiet", "--no-tags", "--depth=1", "--no-write-fetch-head"];
        let words = [&words[..], &["--no-recurse-submodules", "--end-of-options", "origin"]];
        // A depth would cut off what is there.
        let is_shallow = git(&self.root, &["rev-parse", "--is-shallow-repository"], Said::Hidden)?;
        let mut words: Vec<&str> = words.concat();
        if trimmed(is_shallow) != b"true" {
            words.retain(|word| *word != "--depth=1");
        }
        let to = format!("+{name}:refs/meshagent/fetched");
        words.push(&to);
        git(&self.root, &words, Said::Hidden)?;
        let fetched = self.commit("refs/meshagent/fetched");
        let _ = git(&self.root, &["update-ref", "-d", "refs/meshagent/fetched"], Said::Hidden);
        fetched.ok_or_else(|| Error::failed(format!("{} was not fetched", visible::line(name))))
    }

    /// The paths that changed from a commit to the one that is checked out: those of the proposal
    /// alone if its beginning is known, otherwise all that differs.
    ///
    /// # Errors
    ///
    /// Git cannot tell.
    pub fn changed(&self, base: &str) -> Result<Vec<PathBuf>> {
        let words = ["diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-textconv"];
        // What is checked out may say that its submodules are not looked at.
        let words = [&words[..], &["--ignore-submodules=none"]].concat();
        let since = format!("{base}...HEAD");
        let since = git(&self.root, &[&words[..], &[&since, "--"]].concat(), Said::Hidden);
        let found = match since {
            Ok(found) => found,
            Err(_) => git(&self.root, &[&words[..], &[base, "HEAD", "--"]].concat(), Said::Shown)?,
        };
        Ok(paths(found))
    }

    /// The files of these names that the commit has which is checked out.
    ///
    /// # Errors
    ///
    /// Git cannot tell.
    pub fn named(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        let patterns = names.iter().map(|name| format!(":(top,glob)**/{name}"));
        let patterns: Vec<String> = patterns.collect();
        let words = ["ls-files", "-z", "--cached", "--full-name", "--"];
        let words: Vec<&str> =
            words.into_iter().chain(patterns.iter().map(String::as_str)).collect();
        Ok(paths(git(&self.root, &words, Said::Shown)?))
    }

    /// The files of these names that another commit has.
    ///
    /// # Errors
    ///
    /// Git cannot tell.
    pub fn named_in(&self, commit: &str, names: &[&str]) -> Result<Vec<PathBuf>> {
        let words = ["ls-tree", "-r", "-z", "--full-tree", "--name-only", commit];
        let is_meant = |path: &PathBuf| names.iter().any(|name| path.ends_with(name));
        Ok(paths(git(&self.root, &words, Said::Shown)?).into_iter().filter(is_meant).collect())
    }

    /// Copies files and folders of a commit into a folder, below the same paths. A link is followed
    /// within the commit; what the commit does not have is left out.
    ///
    /// # Errors
    ///
    /// What is too much or too large; what is neither a file nor a link to one of the commit; a folder
    /// that cannot be written.
    pub fn take_out(&self, commit: &str, of: &[PathBuf], into: &Path) -> Result<()> {
        let entries = self.entries(commit, true, of)?;
        if entries.len() > FILES {
            return Err(Error::failed(format!(
                "commit {commit} has more than {FILES} files of rules"
            )));
        }
        for entry in entries {
            let path = entry.path.clone();
            if !path.components().all(|part| matches!(part, Component::Normal(_))) {
                continue;
            }
            let bytes = self.content(commit, entry)?;
            let to = into.join(&path);
            let failed = || format!("failed to write {}", to.display());
            if let Some(folder) = to.parent() {
                std::fs::create_dir_all(folder).context(failed)?;
            }
            std::fs::write(&to, bytes).context(failed)?;
        }
        Ok(())
    }

    /// What a commit has at these paths, and below them.
    fn entries(&self, commit: &str, is_deep: bool, of: &[PathBuf]) -> Result<Vec<Entry>> {
        let mut words: Vec<OsString> =
            ["ls-tree", "-z", "--full-tree"].map(OsString::from).to_vec();
        words.extend(is_deep.then(|| "-r".into()));
        words.extend([commit, "--"].map(OsString::from));
        words.extend(of.iter().map(|path| path.as_os_str().to_owned()));
        let listed = git(&self.root, &words, Said::Shown)?;
        Ok(listed.split(|byte| *byte == 0).filter_map(Entry::read).collect())
    }

    /// The content of a file of a commit, or of the one that a link leads to.
    fn content(&self, commit: &str, entry: Entry) -> Result<Vec<u8>> {
        let shown = visible::line(&entry.path.display().to_string()).into_owned();
        let failed = |told: &str| Error::failed(format!("{shown} of commit {commit} {told}"));
        let mut entry = entry;
        for _ in 0..LINKS {
            let is_file = matches!(entry.mode.as_str(), "100644" | "100755");
            if !is_file && entry.mode != "120000" {
                return Err(failed("is no file"));
            }
            let bytes = git(&self.root, &["cat-file", "blob", &entry.object], Said::Shown)?;
            if bytes.len() > FILE {
                return Err(failed("is too large"));
            }
            if is_file {
                return Ok(bytes);
            }
            let to = PathBuf::from(OsString::from_vec(bytes));
            let to = entry.path.parent().unwrap_or(Path::new("")).join(to);
            let outside = || failed("is a link that leads to no file of the commit");
            let to = within(&to).ok_or_else(outside)?;
            entry = self.entries(commit, false, &[to])?.pop().ok_or_else(outside)?;
        }
        Err(failed("is a link that leads to too many others"))
    }

    /// A second working copy of the commit that is checked out, in a folder that is not there yet.
    ///
    /// # Errors
    ///
    /// Git cannot make it.
    pub fn beside(&self, folder: &Path) -> Result<Beside> {
        let mut words: Vec<OsString> = ["worktree", "add", "--quiet", "--detach", "--force", "--"]
            .map(OsString::from)
            .to_vec();
        words.push(folder.into());
        words.push("HEAD".into());
        git(&self.root, &words, Said::Shown)?;
        Ok(Beside { of: self.clone(), copy: Self { root: folder.to_owned() } })
    }

    /// Commits what changed in files that are known. `None` if nothing did.
    ///
    /// # Errors
    ///
    /// Git cannot commit it.
    pub fn commit_all(&self, message: &str) -> Result<Option<String>> {
        git(&self.root, &["add", "--update", "--", ":/"], Said::Shown)?;
        if git(&self.root, &["diff", "--cached", "--quiet", "--no-ext-diff"], Said::Hidden).is_ok()
        {
            return Ok(None);
        }
        let message = format!("--message={message}");
        let words = [&AUTHOR[..], &["commit", "--quiet", "--no-verify", &message]].concat();
        git(&self.root, &words, Said::Shown)?;
        Ok(self.commit("HEAD"))
    }

    /// The commit that a branch of `origin` has, if there is such a branch.
    ///
    /// # Errors
    ///
    /// The remote does not answer.
    pub fn remote(&self, branch: &str) -> Result<Option<String>> {
        let reference = format!("refs/heads/{branch}");
        let listed = git(&self.root, &["ls-remote", "--", "origin", &reference], Said::Shown)?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let found = listed.lines().filter_map(|line| line.split_once('\t'));
        let found =
            found.filter(|(_, name)| *name == reference).map(|(commit, _)| commit.to_owned());
        Ok(found.into_iter().next())
    }

    /// Whether everything that a commit has and the one that is checked out has not was made by this
    /// program. A commit that cannot be looked at is somebody else's.
    #[must_use]
    pub fn is_all_made_here(&self, commit: &str, since: &str) -> bool {
        let range = format!("{since}..{commit}");
        let most = format!("--max-count={MOST}");
        let words = ["log", "--format=%x00%ce%n%B", &most, &range, "--"];
        let Ok(log) = git(&self.root, &words, Said::Hidden) else { return false };
        let log = String::from_utf8_lossy(&log).into_owned();
        let messages: Vec<&str> =
            log.split('\0').map(str::trim).filter(|it| !it.is_empty()).collect();
        let mail = AUTHOR[3].trim_start_matches("user.email=");
        // Where there are more, not all of them were looked at.
        messages.len() < MOST
            && messages.iter().all(|message| {
                message.lines().next() == Some(mail) && message.lines().any(|line| line == MADE)
            })
    }

    /// Whether a commit comes before another one in a history. In doubt it may: a checkout need not
    /// have all of it.
    #[must_use]
    pub fn may_come_before(&self, one: &str, other: &str) -> bool {
        if one == other {
            return false;
        }
        let words = ["merge-base", "--is-ancestor", one, other];
        let is_known = self.commit(other).is_some() && !self.is_shallow();
        !is_known || git(&self.root, &words, Said::Hidden).is_ok()
    }

    /// Whether older commits are left out.
    fn is_shallow(&self) -> bool {
        let told = git(&self.root, &["rev-parse", "--is-shallow-repository"], Said::Hidden);
        told.map_or(true, |told| trimmed(told) == b"true")
    }

    /// Whether two commits have the same files.
    #[must_use]
    pub fn are_same(&self, one: &str, other: &str) -> bool {
        git(&self.root, &["diff", "--quiet", "--no-ext-diff", one, other, "--"], Said::Hidden)
            .is_ok()
    }

    /// Pushes a commit to a branch of `origin`, if the branch still is where it was.
    ///
    /// # Errors
    ///
    /// The remote refuses it; the branch has moved.
    pub fn push(&self, commit: &str, branch: &str, was: Option<&str>) -> Result<()> {
        let lease = format!("--force-with-lease=refs/heads/{branch}:{}", was.unwrap_or_default());
        let to = format!("{commit}:refs/heads/{branch}");
        let words = ["push", "--quiet", "--no-verify", &lease, "--", "origin", &to];
        git(&self.root, &words, Said::Shown).map(drop).map_err(|error| {
            error.hint("the job needs to be allowed to push: on GitHub `permissions: {contents: write}` and a checkout that keeps its credentials")
        })
    }
}

/// An entry of a commit.
struct Entry {
    mode: String,
    object: String,
    path: PathBuf,
}

impl Entry {
    /// Reads a line of `git ls-tree`.
    fn read(line: &[u8]) -> Option<Self> {
        let at = line.iter().position(|byte| *byte == b'\t')?;
        let about = String::from_utf8_lossy(&line[..at]).into_owned();
        let mut about = about.split(' ').map(str::to_owned);
        Some(Self {
            mode: about.next()?,
            object: about.nth(1)?,
            path: PathBuf::from(OsString::from_vec(line[at + 1..].to_vec())),
        })
    }
}

/// A path without steps upward; `None` if it leads out of the repository.
#[must_use]
pub fn within(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir if out.pop() => {}
            _ => return None,
        }
    }
    Some(out)
}

/// A second working copy, which is taken away when this is dropped.
#[derive(Debug)]
pub struct Beside {
    of: Checkout,
    /// The copy.
    pub copy: Checkout,
}

impl Drop for Beside {
    fn drop(&mut self) {
        let mut words: Vec<OsString> =
            ["worktree", "remove", "--force", "--"].map(OsString::from).to_vec();
        words.push(self.copy.root.clone().into());
        if git(&self.of.root, &words, Said::Hidden).is_err() {
            let _ = std::fs::remove_dir_all(&self.copy.root);
            let _ = git(&self.of.root, &["worktree", "prune"], Said::Hidden);
        }
    }
}

/// Whether what Git says of a failure is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Shown,
    Hidden,
}

fn git<S: AsRef<std::ffi::OsStr>>(folder: &Path, words: &[S], said: Said) -> Result<Vec<u8>> {
    let mut command = git::program();
    command
        .args(ALWAYS)
        .args(words)
        .current_dir(folder)
        .env("LC_ALL", "C")
        .stderr(if said == Said::Shown { Stdio::piped() } else { Stdio::null() });
    process::run(command, LIMITS).map_err(|ended| told(&ended))
}

fn trimmed(mut text: Vec<u8>) -> Vec<u8> {
    while text.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        text.pop();
    }
    text
}

/// Paths that end with a null byte each.
fn paths(text: Vec<u8>) -> Vec<PathBuf> {
    let names = text.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.map(|name| PathBuf::from(OsString::from_vec(name.to_vec()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with one commit, and that commit.
    fn repository(folder: &Path) -> (Checkout, String) {
        let run = |words: &[&str]| git(folder, words, Said::Shown).unwrap();
        run(&["init", "--quiet", "--initial-branch=main"]);
        std::fs::create_dir_all(folder.join("a b/policies")).unwrap();
        std::fs::write(folder.join("a b/meshagent.yaml"), "version: v1\n").unwrap();
        std::fs::write(folder.join("a b/policies/x.rego"), "package x\n").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.join("a b/policies/y.rego")).unwrap();
        run(&["add", "."]);
        run(&[&AUTHOR[..], &["commit", "--quiet", "-m", "one"]].concat());
        let checkout = Checkout::around(folder).unwrap();
        let commit = checkout.commit("HEAD").unwrap();
        (checkout, commit)
    }

    #[test]
    fn a_checkout_tells_what_changed_and_hands_out_what_was() {
        let folder = tempfile::tempdir().unwrap();
        let (checkout, base) = repository(folder.path());
        assert_eq!(checkout.branch().as_deref(), Some("main"));
        let named = checkout.named(&["meshagent.yaml"]).unwrap();
        assert_eq!(named, [PathBuf::from("a b/meshagent.yaml")]);
        std::fs::write(folder.path().join("a b/policies/x.rego"), "changed\n").unwrap();
        let head = checkout.commit_all("two").unwrap().unwrap();
        assert_eq!(checkout.commit_all("three").unwrap(), None);
        assert_eq!(checkout.changed(&base).unwrap(), [PathBuf::from("a b/policies/x.rego")]);
        assert!(!checkout.are_same(&base, &head) && checkout.are_same(&head, &head));
        let into = tempfile::tempdir().unwrap();
        let of = ["a b/meshagent.yaml", "a b/policies/x.rego", "none"].map(PathBuf::from);
        checkout.take_out(&base, &of, into.path()).unwrap();
        let rule = std::fs::read_to_string(into.path().join("a b/policies/x.rego")).unwrap();
        assert_eq!(rule, "package x\n");
        // A link could lead anywhere, and what it leads to is not left out in silence.
        let refused = checkout.take_out(&base, &["a b/policies".into()], into.path()).unwrap_err();
        assert!(refused.message.ends_with("is a link that leads to no file of the commit"));
        assert!(into.path().join("a b/policies/y.rego").symlink_metadata().is_err());
    }

    #[test]
    fn a_name_is_never_an_option_and_no_hook_is_run() {
        let folder = tempfile::tempdir().unwrap();
        let (checkout, base) = repository(folder.path());
        assert_eq!(checkout.commit("--git-dir"), None);
        assert_eq!(checkout.commit("-h"), None);
        assert!(checkout.fetch("--upload-pack=touch x").is_err());
        let hook = folder.path().join(".git/hooks/post-checkout");
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::write(&hook, "#!/bin/sh\ntouch ../hooked hooked\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&hook, mode).unwrap();
        let at = tempfile::tempdir().unwrap();
        let beside = checkout.beside(&at.path().join("copy")).unwrap();
        assert_eq!(beside.copy.commit("HEAD"), Some(base));
        assert!(!beside.copy.root().join("hooked").exists());
        drop(beside);
        assert!(!at.path().join("copy").exists());
    }

    #[test]
    fn commits_of_others_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let (checkout, base) = repository(folder.path());
        let edit = |text: &str, message: &str| {
            std::fs::write(folder.path().join("a b/meshagent.yaml"), text).unwrap();
            checkout.commit_all(message).unwrap().unwrap()
        };
        let own = edit("1\n", &format!("Accept drift\n\n{MADE}\n"));
        assert!(checkout.is_all_made_here(&own, &base));
        let other = edit("2\n", "Mine");
        assert!(!checkout.is_all_made_here(&other, &base));
        assert!(!checkout.is_all_made_here("none", &base));
    }
}
