//! Locks as data: a folder a case below `tests/locks`.
//!
//! | in a case | is |
//! |---|---|
//! | `meshagent.yaml`, `meshagent.lock` | the project file, and the lock beside it, if there is one |
//! | `repository/` | what the repository `agents` has in its first commit, `v1` |
//! | `later/` | what its second commit changes, `v2`, if there is one |
//! | `command.txt` | the words of the command, where it is not `validate` |
//! | `expected.txt` | what it prints, and its exit code |
//! | `expected.lock` | the lock that it leaves, if it is another one |
//!
//! The commits are always the same. `BLESS=1` writes what came as what is expected.

use std::path::{Path, PathBuf};

use super::Project;

const CASES: &str = "tests/locks";

/// How many cases there are at least, so that none is lost unseen.
const AT_LEAST: usize = 10;

fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from).into_iter().map(Result::unwrap) {
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        match entry.file_type().is_dir() {
            true => std::fs::create_dir_all(target).unwrap(),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Commits what a folder of the case has, if it has it.
fn commit(project: &Project, folder: &Path, tag: &str) {
    if !folder.is_dir() {
        return;
    }
    copy(folder, &project.sandbox.path("agents"));
    project.git("agents", &["add", "-A"]);
    let date = "2026-01-01T00:00:00Z";
    let script = format!("GIT_AUTHOR_DATE={date} GIT_COMMITTER_DATE={date} git");
    let alias = format!("alias.dated=!{script} commit -q -m {tag}");
    project.git("agents", &["-c", &alias, "dated"]);
    project.git("agents", &["tag", tag]);
}

/// What a case prints, and the lock that it leaves, if it is another one.
fn came(folder: &Path) -> (String, Option<String>) {
    let project = Project::new(&[], "{}");
    std::fs::remove_dir_all(project.sandbox.path("agents")).unwrap();
    project.repository("agents");
    commit(&project, &folder.join("repository"), "v1");
    commit(&project, &folder.join("later"), "v2");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    project.write("meshagent.yaml", &read("meshagent.yaml").unwrap());
    let lock = read("meshagent.lock");
    if let Some(lock) = &lock {
        project.write("meshagent.lock", lock);
    }
    let command = read("command.txt").unwrap_or_else(|| "validate".to_owned());
    let run = project.sandbox.run(&command.split_whitespace().collect::<Vec<_>>());
    let told = format!("{}{}exit code {}\n", run.stdout, run.stderr, run.code);
    let left = std::fs::read_to_string(project.sandbox.path("meshagent.lock")).ok();
    let told = told.replace(&project.sandbox.path("").display().to_string(), "");
    (told, left.filter(|left| Some(left) != lock.as_ref()))
}

fn expect(path: &Path, came: &str) -> Option<String> {
    if std::env::var_os("BLESS").is_some() {
        match came {
            "" => drop(std::fs::remove_file(path)),
            came => std::fs::write(path, came).unwrap(),
        }
        return None;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    let diff = similar::TextDiff::from_lines(expected.as_str(), came);
    let diff = diff.unified_diff().header("expected", "came").to_string();
    (expected != came).then(|| format!("{}\n{diff}", path.display()))
}

#[test]
fn every_lock_comes_out_as_expected() {
    let entries = std::fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(folders.len() >= AT_LEAST, "only {} cases are left", folders.len());
    let mut failures = Vec::new();
    for folder in folders {
        let (told, left) = came(&folder);
        failures.extend(expect(&folder.join("expected.txt"), &told));
        failures.extend(expect(&folder.join("expected.lock"), &left.unwrap_or_default()));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
