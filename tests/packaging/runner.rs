//! What stands for the runner of GitHub: it performs the steps of `action.yml` in their order,
//! with their conditions and environments.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{documents, path, search_path, text};
use crate::ci::forge::{Forge, TOKEN};
use crate::cli::Sandbox;

/// A job that uses the action.
pub struct Job<'a> {
    pub sandbox: &'a Sandbox,
    /// The forge.
    pub forge: &'a Forge,
    /// What happened: `push`, `pull_request`.
    pub event: &'a str,
    /// Where it happened, such as `refs/heads/main`.
    pub reference: &'a str,
    /// The repository that a pull request comes from.
    pub head: &'a str,
    pub inputs: Vec<(&'a str, String)>,
}

/// How a job ended.
pub struct Ended {
    /// The steps that ran.
    pub ran: Vec<String>,
    /// The exit code of the step that failed.
    pub failed: Option<i32>,
    pub log: String,
    pub summary: String,
    /// The outputs of the steps.
    pub outputs: BTreeMap<String, String>,
}

const REPOSITORY: &str = "acme/shop";

impl Job<'_> {
    /// Runs the steps.
    pub fn run(&self) -> Ended {
        let action = documents(&text("action.yml")).remove(0);
        let mut ended = Ended {
            ran: Vec::new(),
            failed: None,
            log: String::new(),
            summary: String::new(),
            outputs: BTreeMap::new(),
        };
        for file in ["output", "summary", "path"] {
            self.sandbox.write(file, "");
        }
        self.sandbox.write("event.json", &self.happened().to_string());
        for step in action["runs"]["steps"].as_array().expect("steps") {
            let condition = step["if"].as_str().expect("a condition");
            let goes_on = ended.failed.is_none() || condition.contains("!cancelled()");
            if goes_on && condition.split(" && ").all(|term| self.holds(&action, term)) {
                self.perform(&action, step, &mut ended);
            }
        }
        ended.summary = self.written("summary");
        ended.outputs = self.outputs();
        ended
    }

    /// What the runner writes about the event.
    fn happened(&self) -> Value {
        let repository = serde_json::json!({"default_branch": "main"});
        if self.event != "pull_request" {
            return serde_json::json!({"repository": repository});
        }
        let commit = |digit: &str| digit.repeat(40);
        serde_json::json!({
            "number": 7,
            "pull_request": {
                "number": 7,
                "base": {"ref": "main", "sha": commit("2")},
                "head": {"ref": "change", "sha": commit("1"), "repo": {"full_name": self.head}},
            },
            "repository": repository,
        })
    }

    fn outputs(&self) -> BTreeMap<String, String> {
        let lines = self.written("output");
        let pairs = lines.lines().map(|line| line.split_once('=').expect("an output"));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn perform(&self, action: &Value, step: &Value, ended: &mut Ended) {
        assert_eq!(step["shell"], "sh", "{step}");
        ended.ran.push(step["name"].as_str().expect("a name").to_owned());
        let added =
            self.written("path").lines().fold(String::new(), |all, it| format!("{it}:{all}"));
        let mut command = Command::new("sh");
        command
            .args(["-e", "-c", step["run"].as_str().expect("commands")])
            .current_dir(self.sandbox.path(""))
            .env_clear()
            .env("PATH", added + &search_path(self.sandbox))
            .env("HOME", self.sandbox.path(""))
            .env("GITHUB_API_URL", &self.forge.api)
            .env("GITHUB_EVENT_PATH", self.sandbox.path("event.json"))
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_ACTION_PATH", path(""))
            .env("GITHUB_EVENT_NAME", self.event)
            .env("GITHUB_REPOSITORY", REPOSITORY)
            .env("GITHUB_REF", self.reference)
            .env("GITHUB_RUN_ID", "5")
            .env("GITHUB_SERVER_URL", "https://github.com")
            .env("GITHUB_OUTPUT", self.sandbox.path("output"))
            .env("GITHUB_STEP_SUMMARY", self.sandbox.path("summary"))
            .env("GITHUB_PATH", self.sandbox.path("path"))
            .env("RUNNER_TEMP", self.temporary());
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            let value = value.as_str().expect("a text");
            let expression = value.strip_prefix("${{ ").and_then(|it| it.strip_suffix(" }}"));
            command.env(name, self.value(action, expression.expect("an expression")));
        }
        let output = command.output().expect("a shell");
        ended.log += &String::from_utf8_lossy(&output.stdout);
        ended.log += &String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            ended.failed = Some(output.status.code().unwrap_or(-1));
        }
    }

    /// A folder of the runner, which all jobs of a test share.
    pub fn temporary(&self) -> PathBuf {
        let folder = self.sandbox.path("temporary");
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    fn written(&self, file: &str) -> String {
        std::fs::read_to_string(self.sandbox.path(file)).expect("a file")
    }

    fn holds(&self, action: &Value, term: &str) -> bool {
        if term == "!cancelled()" {
            return true;
        }
        let (left, is_equal, right) = match (term.split_once(" == "), term.split_once(" != ")) {
            (Some((left, right)), None) => (left, true, right),
            (None, Some((left, right))) => (left, false, right),
            _ => panic!("{term} is no condition that is known"),
        };
        let right = match right.strip_prefix('\'').and_then(|it| it.strip_suffix('\'')) {
            Some(text) => text.to_owned(),
            None => self.value(action, right),
        };
        (self.value(action, left) == right) == is_equal
    }

    fn value(&self, action: &Value, expression: &str) -> String {
        if let Some((first, second)) = expression.split_once(" || ") {
            let first = self.value(action, first);
            return if first.is_empty() { self.value(action, second) } else { first };
        }
        if let Some(name) = expression.strip_prefix("inputs.") {
            let given = self.inputs.iter().find(|(given, _)| *given == name);
            let usual = action["inputs"][name]["default"].as_str().expect("a default");
            return given.map_or(usual.to_owned(), |(_, value)| value.clone());
        }
        if let Some(name) = expression.strip_prefix("steps.plan.outputs.") {
            return self.outputs().remove(name).unwrap_or_default();
        }
        match expression {
            "github.event.repository.default_branch" => "main",
            "github.token" => TOKEN,
            "github.event_name" => self.event,
            other => panic!("{other} is no expression that is known"),
        }
        .to_owned()
    }
}
