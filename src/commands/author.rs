//! Who runs a command, for the history of a set: the credential by its name, the machine, the run of
//! a continuous integration, and the commit of the checkout.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::api::key::ApiKey;
use crate::apply::history::{Author, CiRun, Commit};
use crate::git;
use crate::manifest::process::{self, Ended};
use crate::manifest::secrets::Limits;
use crate::manifest::walk::is_manifest;
use crate::settings::{GIVEN, variable};
use crate::whereabouts::{System, is_commit, whereabouts};

/// How long `git` may take to say what a checkout is, each time that it is asked.
const GIT: Limits = Limits { time: Duration::from_secs(2), bytes: 1024 * 1024 };

/// The longest text that is taken from the environment.
const MOST_LETTERS: usize = 500;

/// Who runs a command, while it is found out.
pub struct Asked(JoinHandle<Author>);

/// Asks who runs this command on manifests, or in the working folder if none are given. Meanwhile
/// the rest of the process goes on.
pub fn ask(manifests: &[PathBuf]) -> Asked {
    let manifests = manifests.to_vec();
    Asked(tokio::task::spawn_blocking(move || here(&manifests)))
}

impl Asked {
    /// The answer.
    pub async fn author(self) -> Author {
        self.0.await.unwrap_or_default()
    }
}

fn here(manifests: &[PathBuf]) -> Author {
    let user = text("USER").or_else(|| text("LOGNAME"));
    let machine = nix::unistd::gethostname().unwrap_or_default();
    let machine = user.map(|user| format!("{user}@{}", machine.to_string_lossy()));
    let folder = manifests.first().map(|path| match path.is_dir() {
        true => path.as_path(),
        false => path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new(".")),
    });
    let folder = folder.filter(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    Author {
        person: None,
        credential: credential(),
        machine,
        ci: ci(&text),
        commit: commit(folder).map(|commit| match is_untracked(manifests) {
            true => Commit { dirty: Some(true), ..commit },
            false => commit,
        }),
    }
}

/// The variable that the credential comes from, and the id of the key in it.
fn credential() -> Option<String> {
    let (name, value) = GIVEN.into_iter().find_map(|name| Some((name, variable(name)?)))?;
    Some(match ApiKey::parse(&value) {
        Some(key) => format!("{name} (key {})", key.id),
        None => name.to_owned(),
    })
}

/// A text of the environment.
fn text(name: &str) -> Option<String> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.chars().take(MOST_LETTERS).collect())
}

/// The run of a continuous integration.
fn ci(text: &dyn Fn(&str) -> Option<String>) -> Option<CiRun> {
    let here = whereabouts(text, None);
    let is_known = here.system != System::Plain;
    let system = here.system.name().to_owned();
    is_known.then_some(CiRun { system, url: here.run_url, actor: here.actor })
}

/// The commit of a checkout, as `git` tells it.
fn commit(folder: &Path) -> Option<Commit> {
    let id = String::from_utf8(git(folder, &["rev-parse", "--verify", "HEAD"]).ok()?).ok()?;
    let id = id.trim().to_owned();
    is_commit(&id).then(|| Commit { id, dirty: dirty(folder) })
}

/// Whether a manifest among these paths is in no commit: Git does not know it, or ignores it.
fn is_untracked(manifests: &[PathBuf]) -> bool {
    let found = |path: &PathBuf| {
        let (folder, name) = match path.is_dir() {
            true => (path.as_path(), Path::new(".")),
            false => {
                let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
                (folder.unwrap_or(Path::new(".")), Path::new(path.file_name()?))
            }
        };
        let name = format!(":(literal){}", name.to_str()?);
        let listed = git(folder, &["ls-files", "--others", "-z", "--", &name]).ok()?;
        let mut names = listed.split(|byte| *byte == 0);
        names.find(|name| is_manifest(Path::new(OsStr::from_bytes(name))))?;
        Some(())
    };
    manifests.iter().any(|path| found(path).is_some())
}

/// Whether files of a checkout differ from its commit, if that can be told without running what its
/// settings name: the filters through which Git reads files, such as those of large files. They
/// are left out, so a file that has one and seems to differ may be as it was.
fn dirty(folder: &Path) -> Option<bool> {
    const FILTERS: [&str; 5] =
        ["config", "--null", "--name-only", "--get-regexp", r"^filter\..*\.(clean|process)$"];
    const STATUS: [&str; 6] = [
        "status",
        "--porcelain",
        "-z",
        "--no-renames",
        "--untracked-files=no",
        "--ignore-submodules=dirty",
    ];
    let filters = match git(folder, &FILTERS) {
        Ok(names) => String::from_utf8(names).ok()?,
        // There are none.
        Err(Ended::Failed(status)) if status.code() == Some(1) => String::new(),
        Err(_) => return None,
    };
    let mut words = Vec::new();
    for setting in filters.split_terminator('\0') {
        let (filter, _) = setting.rsplit_once('.')?;
        // Where a name has this sign, Git takes the rest for the value.
        if filter.contains('=') {
            return None;
        }
        words.extend(["-c".to_owned(), format!("{setting}=")]);
        words.extend(["-c".to_owned(), format!("{filter}.required=false")]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).chain(STATUS).collect();
    let told = git(folder, &words).ok()?;
    let mut entries = told.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    // What is staged, or not there, differs whatever a filter does.
    let is_sure = |entry: &[u8]| entry.first() != Some(&b' ') || entry.get(1) == Some(&b'D');
    match entries.clone().next() {
        None => Some(false),
        Some(_) if filters.is_empty() || entries.any(is_sure) => Some(true),
        Some(_) => None,
    }
}

/// What `git` prints. It runs no hook and fetches nothing.
fn git(folder: &Path, words: &[&str]) -> Result<Vec<u8>, Ended> {
    let mut git = git::program();
    git.args(words)
        .current_dir(folder)
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_ALLOW_PROTOCOL", "none")
        .stderr(Stdio::null());
    process::run(git, GIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with one commit of a file that a filter is meant for, and one without.
    fn repository(folder: &Path) {
        let run = |words: &[&str]| git(folder, words).unwrap();
        run(&["init", "--quiet"]);
        std::fs::write(folder.join(".gitattributes"), "large filter=f\n").unwrap();
        for name in ["large", "plain"] {
            std::fs::write(folder.join(name), "text").unwrap();
        }
        run(&["add", "."]);
        let of =
            ["-c", "user.name=n", "-c", "user.email=e@localhost", "-c", "commit.gpgSign=false"];
        run(&[&of[..], &["commit", "--quiet", "-m", "one"]].concat());
    }

    #[test]
    fn a_commit_is_told_and_no_filter_of_the_checkout_is_run() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(commit(folder), None);
        repository(folder);
        let dirty = || commit(folder).unwrap().dirty;
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        assert!(is_commit(&commit(folder).unwrap().id));
        assert_eq!(dirty(), Some(false));
        write("new", "text");
        assert_eq!(dirty(), Some(false));
        write("plain", "other");
        assert_eq!(dirty(), Some(true));
        write("plain", "text");
        assert_eq!(dirty(), Some(false));
        let ran = folder.join(".git/ran");
        let filter = format!("touch '{}'; cat", ran.display());
        for (setting, value) in [("clean", filter.as_str()), ("required", "true")] {
            git(folder, &["config", &format!("filter.f.{setting}"), value]).unwrap();
        }
        // A file that looks as if it had changed is read to see whether it has.
        write("large", "text");
        assert_eq!(dirty(), Some(false));
        write("large", "other");
        assert_eq!(dirty(), None);
        std::fs::remove_file(folder.join("plain")).unwrap();
        assert_eq!(dirty(), Some(true));
        // A manifest that no commit has was read none the less.
        let given = [folder.to_owned(), folder.join("a.yaml")];
        assert!(!is_untracked(&given));
        write("a.yaml", "text");
        assert!(is_untracked(&given[..1]) && is_untracked(&given[1..]));
        write(".gitignore", "a.yaml\n");
        assert!(is_untracked(&given[..1]));
        git(folder, &["add", "--force", "a.yaml"]).unwrap();
        assert!(!is_untracked(&given));
        // As in a hook of another repository.
        let told = git::program().args(["rev-parse", "--git-dir"]).current_dir(folder).output();
        assert_eq!(String::from_utf8_lossy(&told.unwrap().stdout).trim(), ".git");
        git(folder, &["config", "filter.g=h.clean", &filter]).unwrap();
        assert_eq!(dirty(), None);
        assert!(!ran.exists());
        // That is what Git runs when it is not told otherwise.
        write("large", "text");
        let _ =
            std::process::Command::new("git").arg("status").current_dir(folder).output().unwrap();
        assert!(ran.exists());
    }
}
