//! The template for GitLab is the pipeline that `init` writes, with inputs, and its commands run.

use std::process::Command;

use serde_json::Value;

use super::{documents, search_path, text};
use crate::cli::Sandbox;
use crate::platform::harness::Server;

/// The pipeline with these inputs, and the usual ones otherwise.
fn pipeline(given: &[(&str, &str)]) -> Value {
    let template = text("ci/gitlab.yml");
    let (head, body) = template.split_once("\n---\n").expect("a head");
    let inputs = documents(head).remove(0)["spec"]["inputs"].take();
    let mut body = body.to_owned();
    for (name, input) in inputs.as_object().expect("inputs") {
        let usual = input["default"].as_str().expect("a default");
        let value = given.iter().find(|it| it.0 == name).map_or(usual, |it| it.1);
        let place = format!("$[[ inputs.{name} ]]");
        assert!(body.contains(&place), "{name} is not used");
        // The value of a variable stays a text; an empty input of a command leaves no space behind.
        let of_variable = format!(": {place}");
        if value.is_empty() && body.contains(&of_variable) {
            body = body.replace(&of_variable, ": \"\"");
            continue;
        }
        let place = if value.is_empty() { format!(" {place}") } else { place };
        body = body.replace(&place, value);
    }
    assert!(!body.contains("$[["), "{body}");
    documents(&body).remove(0)
}

#[test]
fn with_the_manifests_of_init_it_is_what_init_writes() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["init", "--yes", "--ci", "gitlab"]).code, 0);
    let written = std::fs::read_to_string(sandbox.path(".gitlab-ci.yml")).unwrap();
    assert_eq!(pipeline(&[("manifests", "manifests")]), documents(&written).remove(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_commands_run_in_their_order() {
    let server = Server::start().await;
    let sandbox = Sandbox::with_examples();
    let options = "--policy policies --set shop";
    let inputs = [("manifests", "examples/manifests"), ("options", options)];
    let pipeline = pipeline(&inputs);
    std::fs::create_dir(sandbox.path("policies")).unwrap();
    let rule = "package meshagent\ndeny contains \"x\" if input.version > 1\n";
    sandbox.write("policies/a.rego", rule);
    let mut ran = String::new();
    // It can be included anywhere: nothing in it is about other jobs.
    let names: Vec<&String> = pipeline.as_object().unwrap().keys().collect();
    let jobs = ["meshagent-propose", "meshagent-plan", "meshagent-apply", "meshagent-drift"];
    assert_eq!(names, [&[".meshagent"], &jobs[..]].concat());
    for job in jobs {
        for line in pipeline[job]["script"].as_array().unwrap() {
            let line = line.as_str().unwrap();
            let mut command = Command::new("sh");
            command
                .args(["-c", line])
                .current_dir(sandbox.path(""))
                .env_clear()
                .env("HOME", sandbox.path(""))
                .env("PATH", search_path(&sandbox))
                .env("GITLAB_CI", "true")
                .env(
                    "MANIFESTS",
                    pipeline[".meshagent"]["variables"]["MANIFESTS"].as_str().unwrap(),
                )
                .env("CI_DEFAULT_BRANCH", "main")
                .env("MESHAGENT_PROJECT_ID", &server.project);
            // A merge request has no key.
            if job == "meshagent-propose" {
                command.env("CI_PIPELINE_SOURCE", "merge_request_event");
                command.env("CI_MERGE_REQUEST_IID", "7");
            } else {
                command.env("CI_PIPELINE_SOURCE", "push").env("CI_COMMIT_BRANCH", "main");
                command.env("MESHAGENT_API_URL", &server.url);
                command.env("MESHAGENT_API_KEY", &server.owner);
            }
            let output = command.output().unwrap();
            assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
            ran += &String::from_utf8_lossy(&output.stdout);
        }
    }
    assert!(ran.contains("\nApplied: ") && ran.contains("Nothing to change"), "{ran}");
}
