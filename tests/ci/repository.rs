//! A repository with a set of two environments, and runs of `ci` in it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use super::forge::{Forge, Sort, TOKEN};
use crate::cli::{Run, Sandbox};
use crate::platform::harness::Server;

/// The project file.
pub const PROJECT_FILE: &str = "\
version: v1
ci:
  plan: [stage, prod]
  apply: [stage, prod]
  drift: [prod]
environments:
  stage:
    set: stage
    values: {room: shop-stage}
  prod:
    set: prod
    values: {room: shop-prod}
    policies: [policies]
";

/// A manifest, a template.
pub const ROOMS: &str = "\
version: v1
kind: Room
metadata:
  name: {{ room }}
  annotations:
    team: Shop
";

/// A rule that hardly anything breaks.
const RULE: &str = "package meshagent\ndeny contains \"this is forbidden\" if {\n  some operation in input.operations\n  contains(operation.address, \"forbidden\")\n}\n";

pub struct Repository {
    pub sandbox: Sandbox,
    pub server: Server,
}

/// What a run is about.
#[derive(Clone, Copy)]
pub enum About<'a> {
    /// A pull request from this repository to a commit.
    PullRequest { from: &'a str, base: &'a str },
    /// A push to a branch.
    Push(&'a str),
}

impl Repository {
    pub async fn new() -> Self {
        let (sandbox, server) = (Sandbox::new(), Server::start().await);
        let repository = Self { sandbox, server };
        std::fs::create_dir_all(repository.path("shop/manifests")).unwrap();
        std::fs::create_dir_all(repository.path("shop/policies")).unwrap();
        repository.git(&["init", "--quiet", "--initial-branch=main", "."]);
        repository.write("shop/meshagent.yaml", PROJECT_FILE);
        repository.write("shop/manifests/rooms.yaml.j2", ROOMS);
        repository.write("shop/policies/a.rego", RULE);
        repository.write("README.md", "A shop.\n");
        repository.commit("Begin");
        repository
    }

    /// A path in the repository.
    pub fn path(&self, name: &str) -> PathBuf {
        self.sandbox.path("repository").join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn git(&self, words: &[&str]) -> String {
        std::fs::create_dir_all(self.path("")).unwrap();
        let output = Command::new("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
            .args(words)
            .current_dir(self.path(""))
            .env("HOME", self.sandbox.path(""))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits everything.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A command of `ci`, as the forge's own system runs it.
    pub fn ci(&self, forge: &Forge, about: About<'_>, words: &[&str]) -> Command {
        let head = self.git(&["rev-parse", "HEAD"]);
        let mut command = self.sandbox.command(&[&["ci"], words].concat());
        command
            .current_dir(self.path(""))
            .env("MESHAGENT_API_URL", &self.server.url)
            .env("MESHAGENT_API_KEY", &self.server.owner)
            .env("MESHAGENT_PROJECT_ID", &self.server.project);
        match forge.sort {
            Sort::GitLab => gitlab(&mut command, forge, about, &head),
            _ => {
                let event = self.sandbox.path("event.json");
                let text = event_of(about, &head).to_string();
                std::fs::write(&event, text).unwrap();
                actions(&mut command, forge, about, &head);
                command.env("GITHUB_EVENT_PATH", event);
                command.env("GITHUB_STEP_SUMMARY", self.sandbox.path("summary.md"));
                command.env("GITHUB_OUTPUT", self.sandbox.path("outputs"));
            }
        }
        command
    }

    /// The same where this one pushed the commit.
    #[track_caller]
    pub fn run_of(&self, actor: &str, forge: &Forge, words: &[&str], code: i32) -> Run {
        let mut command = self.ci(forge, About::Push("main"), words);
        let run = Run::of(command.env("GITHUB_ACTOR", actor).output().unwrap());
        assert_eq!(run.code, code, "{words:?}\n{}\n{}", run.stdout, run.stderr);
        run
    }

    /// Runs it, and expects this exit code.
    #[track_caller]
    pub fn run(&self, forge: &Forge, about: About<'_>, words: &[&str], code: i32) -> Run {
        let run = Run::of(self.ci(forge, about, words).output().unwrap());
        assert_eq!(run.code, code, "{words:?}\n{}\n{}", run.stdout, run.stderr);
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(TOKEN), "the token was printed");
        forge.expect_documented();
        run
    }

    /// Applies what is checked out, from the outside.
    #[track_caller]
    pub fn apply(&self, environment: &str) {
        let mut command = self.sandbox.command(&["apply", "--yes", "-e", environment]);
        command
            .current_dir(self.path("shop"))
            .env("MESHAGENT_API_URL", &self.server.url)
            .env("MESHAGENT_API_KEY", &self.server.owner)
            .env("MESHAGENT_PROJECT_ID", &self.server.project);
        let run = Run::of(command.output().unwrap());
        assert_eq!(run.code, 0, "{}", run.stderr);
    }

    /// Changes a room on the platform, which nobody asked for.
    #[track_caller]
    pub fn let_drift(&self, room: &str, team: &str) {
        let annotations = json!({"team": team}).to_string();
        let words = ["rooms", "update", "--name", room, "--new-name", room, "--annotations"];
        let mut command = self.sandbox.command(&[&words[..], &[&annotations]].concat());
        command
            .env("MESHAGENT_API_URL", &self.server.url)
            .env("MESHAGENT_API_KEY", &self.server.owner)
            .env("MESHAGENT_PROJECT_ID", &self.server.project);
        let run = Run::of(command.output().unwrap());
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
}

fn event_of(about: About<'_>, head: &str) -> serde_json::Value {
    match about {
        About::PullRequest { from, base } => json!({
            "number": 7,
            "pull_request": {
                "number": 7,
                "base": {"ref": "main", "sha": base, "repo": {"full_name": "acme/shop"}},
                "head": {"ref": "change", "sha": head, "repo": {"full_name": from}},
            },
            "repository": {"default_branch": "main"},
        }),
        About::Push(_) => json!({"repository": {"default_branch": "main"}}),
    }
}

fn actions(command: &mut Command, forge: &Forge, about: About<'_>, head: &str) {
    let (event, reference) = match about {
        About::PullRequest { .. } => ("pull_request", "refs/pull/7/merge".to_owned()),
        About::Push(branch) => ("push", format!("refs/heads/{branch}")),
    };
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_API_URL", &forge.api)
        .env("GITHUB_SERVER_URL", "https://forge.test")
        .env("GITHUB_REPOSITORY", "acme/shop")
        .env("GITHUB_EVENT_NAME", event)
        .env("GITHUB_REF", reference)
        .env("GITHUB_SHA", head)
        .env("GITHUB_RUN_ID", "5")
        .env("GITHUB_ACTOR", "ada");
    match forge.sort {
        Sort::Gitea => command.env("GITEA_ACTIONS", "true").env("GITEA_TOKEN", TOKEN),
        _ => command.env("GITHUB_TOKEN", TOKEN),
    };
}

fn gitlab(command: &mut Command, forge: &Forge, about: About<'_>, head: &str) {
    command
        .env("GITLAB_CI", "true")
        .env("CI_API_V4_URL", &forge.api)
        .env("CI_PROJECT_PATH", "acme/shop")
        .env("CI_COMMIT_SHA", head)
        .env("CI_DEFAULT_BRANCH", "main")
        .env("CI_JOB_URL", "https://forge.test/acme/shop/-/jobs/5")
        .env("GITLAB_USER_LOGIN", "ada")
        .env("GITLAB_TOKEN", TOKEN);
    match about {
        About::PullRequest { from, base } => {
            let source = if from == "acme/shop" { "1" } else { "2" };
            command
                .env("CI_PIPELINE_SOURCE", "merge_request_event")
                .env("CI_MERGE_REQUEST_IID", "7")
                .env("CI_MERGE_REQUEST_PROJECT_PATH", "acme/shop")
                .env("CI_MERGE_REQUEST_PROJECT_ID", "1")
                .env("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", source)
                .env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main")
                .env("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", base)
        }
        About::Push(branch) => {
            command.env("CI_PIPELINE_SOURCE", "push").env("CI_COMMIT_BRANCH", branch)
        }
    };
}
