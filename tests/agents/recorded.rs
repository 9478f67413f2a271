//! What the reference was recorded to do, and what is done here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::deploying::twins;
use crate::cli::{Run, Sandbox};
use crate::hostile::plans;
use crate::hostile::proxy::{Fault, Hostile};
use crate::needs;
use crate::platform::harness::{Server, service};

/// A recording.
struct Recording {
    name: String,
    text: String,
    path: PathBuf,
    words: Vec<String>,
}

impl Recording {
    /// Those whose names begin so and that are of the commands that are tested here.
    fn all(begins: &[&str]) -> Vec<Self> {
        let Some(folder) = needs::beside("services of agents", "contract/agents/golden") else {
            return Vec::new();
        };
        let mut all: Vec<Self> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
            .map(|path| Self::read(&path))
            .filter(|it| begins.iter().any(|begin| it.name.starts_with(begin)))
            .filter(|it| it.words[1] != "webserver")
            .collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().next().unwrap().strip_prefix("# cmd: ").unwrap();
        let words = shlex::split(&line.replace("\\n", "\n")).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        Self { name, words, path: path.to_owned(), text }
    }

    /// What is said of it, such as `rc`.
    fn said(&self, what: &str) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix(&format!("# {what}: ")))
    }

    /// The words behind the program, with this in place of the recorded project.
    fn words<'a>(&'a self, project: &'a str) -> Vec<&'a str> {
        let words = self.words[1..].iter().map(String::as_str);
        words.map(|word| if word == "proj1" { project } else { word }).collect()
    }

    /// The parsed twin, if there is one.
    fn json(&self) -> Option<Value> {
        let text = std::fs::read_to_string(self.path.with_extension("json")).ok()?;
        Some(serde_json::from_str(&text).unwrap())
    }
}

/// Without what is null, and without the id.
fn bare(mut value: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|_, value| !value.is_null());
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut value);
    value.as_object_mut().unwrap().shift_remove("id");
    value
}

/// A service that several agents are is printed here; the reference fails to print any.
#[test]
fn several_agents_are_the_service_that_the_reference_builds() {
    let sandbox = Sandbox::new();
    let recordings = Recording::all(&["multi-", "err-multi-spec"]);
    for recording in &recordings {
        let run = sandbox.run(&recording.words(""));
        assert_eq!(run.code, 0, "{}: {}", recording.name, run.stderr);
        let printed: Value = serde_yaml::from_str(&run.stdout).unwrap();
        if let Some(expected) = recording.json() {
            assert_eq!(printed, expected, "{}", recording.name);
        }
    }
    assert!(recordings.is_empty() || recordings.len() == 7, "{}", recordings.len());
}

/// What is wrong is told in other words, and wrong pieces of `multi` are wrong usage, too.
#[test]
fn what_the_reference_refuses_is_refused() {
    let meanings = BTreeMap::from([
        ("err-chatbot-claude-apply-patch", "only models of OpenAI have patches"),
        ("err-chatbot-copy-env-missing", "\"NOPE_NOT_SET\", which is not set"),
        ("err-chatbot-image-mount", "unexpected argument '--shell-image-mount'"),
        ("err-chatbot-memory-bad", "write it as NAME or NAMESPACE/NAME"),
        ("err-chatbot-mount-bad", "write it as SOURCE:MOUNT[:ro|rw]"),
        ("err-codex-bad-mode", "invalid value 'wild' for '--mode"),
        ("err-codex-missing-service-name", "--service-name"),
        ("err-multi-missing-required", "piece 1 of -c, `worker`: the following required"),
        ("err-task-runner-output-schema-path", "failed to read the schema schema.json"),
        ("err-worker-missing-queue", "--queue"),
    ]);
    let sandbox = Sandbox::new();
    let recordings = Recording::all(&["err-"]);
    for recording in recordings.iter().filter(|it| it.name != "err-multi-spec") {
        let run = sandbox.run(&recording.words(""));
        let code = match recording.name.as_str() {
            "err-multi-missing-required" => "2",
            _ => recording.said("rc").unwrap(),
        };
        assert_eq!(run.code.to_string(), code, "{}: {}", recording.name, run.stderr);
        let meaning = meanings[recording.name.as_str()];
        assert!(run.stderr.contains(meaning), "{}: {}", recording.name, run.stderr);
        assert_eq!(run.stdout, "", "{}", recording.name);
    }
}

/// The recorded run against the embedded platform, with what was there before.
async fn replayed(recording: &Recording) -> (Server, Run, BTreeMap<String, u64>, Vec<String>) {
    let platform = Server::start().await;
    let state: Value =
        recording.said("server state").map_or(json!({}), |it| serde_json::from_str(it).unwrap());
    platform.room("r1").await;
    let mut ids: Vec<String> = Vec::new();
    for there in state["services"].as_array().into_iter().flatten() {
        // Names are unique on this platform.
        let name = match there["id"].as_str() {
            Some("second") => "twin",
            _ => there["metadata"]["name"].as_str().unwrap(),
        };
        let made = platform.send("POST", "/rooms/r1/services", service(name)).await.expect(201);
        ids.push(made.json()["id"].as_str().unwrap().to_owned());
    }
    let proxy = Hostile::in_front_of(&platform).with(Fault::Edited(twins));
    let proxy = match state["conflict"] {
        Value::Bool(true) => proxy.with(Fault::Status(409).on("POST")),
        _ => proxy,
    };
    let proxy = proxy.start().await;
    let words = recording.words(&platform.project);
    let run = plans::run(&Sandbox::new(), &platform, &proxy, &words).await;
    let requests = proxy.requests();
    (platform, run, requests, ids)
}

/// The platform gives ids of its own, which stand in place of the recorded ones. The reference
/// fails to deploy several agents; what it would send is the service that it builds.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_reference_deploys_is_deployed() {
    let recordings = Recording::all(&["deploy-"]);
    for recording in &recordings {
        let name = recording.name.as_str();
        let (platform, run, requests, ids) = replayed(recording).await;
        let told: Value = serde_yaml::from_str(&recording.text).unwrap();
        let told = told["requests"].as_array().unwrap();
        let place = if recording.words.contains(&"--room".to_owned()) { "/rooms/r1" } else { "" };
        let path = format!("{place}/services");
        if name == "deploy-chatbot-conflict" {
            assert_eq!(run.code, 1, "{}", run.stderr);
            assert!(run.stderr.contains("name `s` is already in use"), "{}", run.stderr);
            assert_eq!(run.stdout, "");
            continue;
        }
        assert_eq!(run.code, 0, "{name}: {}", run.stderr);
        // The id is the last word of the line, as the reference has it.
        let id = run.stdout.split_whitespace().last().unwrap();
        let stored = platform.read(&format!("{path}/{id}")).await.expect(200).json();
        if name == "deploy-multi-project" {
            let service = stored["container"]["command"].as_str();
            assert_eq!(service, Some("meshagent multi service -c \"chatbot --agent-name a\""));
            continue;
        }
        assert_eq!(bare(stored), bare(told[1]["body"].clone()), "{name}");
        let place = format!("/accounts/projects/{}", platform.project);
        let expected = told.iter().map(|request| {
            let path = request["path"].as_str().unwrap();
            let path = path.replace("/accounts/projects/proj1", &place);
            let path = path.replace("existing-2", ids.last().map_or("", String::as_str));
            let path = path.replace("/first", &format!("/{}", ids.first().map_or("", |id| id)));
            format!("{} {path}", request["method"].as_str().unwrap())
        });
        let mut expected: Vec<String> = expected.collect();
        expected.sort();
        // That is how it is found out which API is spoken.
        let requests: Vec<String> = requests.into_keys().filter(|it| it != "GET /config").collect();
        let plain = |it: &String| it.split('?').next().unwrap().to_owned();
        let requests: Vec<String> = requests.iter().map(plain).collect();
        assert_eq!(requests, expected, "{name}");
    }
    assert!(recordings.is_empty() || recordings.len() == 10, "{}", recordings.len());
}
