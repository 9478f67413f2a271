//! Manifests from elsewhere: how they are pinned, fetched and read, and what of them is refused.

#[path = "sources/allowed.rs"]
mod allowed;
#[path = "sources/archives.rs"]
mod archives;
#[path = "sources/cached.rs"]
mod cached;
#[path = "sources/in_git.rs"]
mod in_git;
#[path = "sources/in_registry.rs"]
mod in_registry;
#[path = "sources/in_web.rs"]
mod in_web;
#[path = "sources/led_away.rs"]
mod led_away;
#[path = "sources/locks.rs"]
mod locks;
#[path = "sources/owned.rs"]
mod owned;

use std::path::Path;
use std::process::Command;

use crate::cli::{Run, Sandbox};

/// A room.
fn room(name: &str) -> String {
    format!("version: v1\nkind: Room\nmetadata: {{name: {name}}}\n")
}

/// A project with a repository `agents` beside it, and whatever else a test puts there.
struct Project {
    sandbox: Sandbox,
}

impl Project {
    /// With these files in the repository, of which `v1` is the tag, and these sources.
    fn new(files: &[(&str, &str)], sources: &str) -> Self {
        let project = Self { sandbox: Sandbox::new() };
        project.repository("agents");
        project.commit("agents", files, "v1");
        project.names(sources);
        project
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.sandbox.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Says which sources there are.
    fn names(&self, sources: &str) {
        self.write("meshagent.yaml", &format!("version: v1\nsources: {sources}\n"));
    }

    fn repository(&self, folder: &str) {
        std::fs::create_dir_all(self.sandbox.path(folder)).unwrap();
        self.git(folder, &["init", "-q", "-b", "main"]);
    }

    /// Commits these files, and gives the commit a tag.
    fn commit(&self, folder: &str, files: &[(&str, &str)], tag: &str) -> String {
        for (name, text) in files {
            self.write(&format!("{folder}/{name}"), text);
        }
        self.git(folder, &["add", "-A"]);
        self.git(folder, &["commit", "-q", "-m", tag, "--allow-empty"]);
        self.git(folder, &["tag", "-f", tag]);
        self.git(folder, &["rev-parse", "HEAD"])
    }

    fn git(&self, folder: &str, words: &[&str]) -> String {
        git(&self.sandbox.path(folder), words)
    }

    #[track_caller]
    fn run(&self, code: i32, words: &[&str]) -> Run {
        let run = self.sandbox.run(words);
        assert_eq!(run.code, code, "{words:?}\n{}\n{}", run.stdout, run.stderr);
        run
    }

    /// The rooms that a plan creates.
    fn created(&self) -> Vec<String> {
        let plan = self.sandbox.embedded(0, &["plan", "-o", "json"]).json();
        let operations = plan["operations"].as_array().unwrap();
        let name = |it: &serde_json::Value| it["key"]["name"].as_str().unwrap().to_owned();
        operations.iter().map(name).collect()
    }

    fn lock(&self) -> String {
        std::fs::read_to_string(self.sandbox.path("meshagent.lock")).unwrap()
    }

    /// The files of the cache, by the ends of their names.
    fn cached(&self, end: &str) -> Vec<std::path::PathBuf> {
        let folder = self.sandbox.path(".cache/meshagent/sources");
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        paths.filter(|path| path.to_str().unwrap().ends_with(end)).collect()
    }
}

fn git(folder: &Path, words: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"])
        .args(words)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[track_caller]
fn tells(run: &Run, expected: &str) {
    assert!(run.stderr.contains(expected), "{expected:?} is not in\n{}", run.stderr);
}
