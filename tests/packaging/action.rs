//! The GitHub action: its steps run in their order against an embedded platform, and what stands
//! for GitHub keeps the comments.

use super::runner::{Ended, Job};
use super::served::{Files, archive};
use super::{documents, text};
use crate::ci::forge::{Forge, Sort};
use crate::cli::Sandbox;
use crate::needs;
use crate::platform::harness::Server;

const MAIN: &str = "refs/heads/main";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_examples();
    std::fs::create_dir(sandbox.path("policies")).unwrap();
    let rule = "package meshagent\ndeny contains \"x\" if input.version > 1\n";
    sandbox.write("policies/a.rego", rule);
    sandbox
}

/// What every job of these tests is given.
fn inputs(server: &Server) -> Vec<(&'static str, String)> {
    vec![
        ("manifests", "examples/manifests".to_owned()),
        ("policies", "policies".to_owned()),
        ("project", server.project.clone()),
        ("api-key", server.owner.clone()),
        ("api-url", server.url.clone()),
    ]
}

#[track_caller]
fn expect(ended: &Ended, ran: &[&str], failed: Option<i32>) {
    let steps: Vec<&str> = ended.ran.iter().map(String::as_str).collect();
    assert_eq!((&steps[..], ended.failed), (ran, failed), "{}", ended.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_is_planned_in_one_comment_and_the_main_branch_is_applied() {
    let server = Server::start().await;
    let (sandbox, forge) = (sandbox(), Forge::start(Sort::GitHub));
    let foreign = forge.say("mallory", "<!-- meshagent-ci plan -->");
    let job = |event, more: &[(&'static str, &str)]| {
        let mut inputs = inputs(&server);
        inputs.retain(|(name, _)| more.iter().all(|(other, _)| name != other));
        inputs.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Job { sandbox: &sandbox, forge: &forge, event, reference: MAIN, head: "acme/shop", inputs }
    };

    // The second run of a pull request updates the comment of the first one.
    let proposed = job("pull_request", &[("apply", "true")]).run();
    expect(&proposed, &["Plan"], None);
    assert_eq!(proposed.outputs["changes"], "true");
    let [first] = &forge.own_comments()[..] else { panic!("{:?}", forge.own_comments()) };
    assert!(first.starts_with("<!-- meshagent-ci plan job=default"), "{first}");
    let commit = format!(
        "\nCommit `{}`, [run](https://github.com/acme/shop/actions/runs/5)\n",
        "1".repeat(40)
    );
    assert!(first.ends_with(&commit) && first.contains("15 to create"), "{first}");
    assert_eq!(*first, proposed.summary);
    std::fs::remove_file(sandbox.path("examples/manifests/services/status-page.yaml")).unwrap();
    expect(&job("pull_request", &[]).run(), &["Plan"], None);
    let [second] = &forge.own_comments()[..] else { panic!("{:?}", forge.own_comments()) };
    assert!(second != first && !second.contains("status-page"), "{second}");
    // Where the next one cannot be planned, it does not go on showing the plan of an older commit.
    sandbox.write("examples/manifests/wrong.yaml", "kind: Romm\n");
    let failed = job("pull_request", &[]).run();
    expect(&failed, &["Plan"], Some(6));
    let [third] = &forge.own_comments()[..] else { panic!("{:?}", forge.own_comments()) };
    let (marker, _) = second.split_once('\n').unwrap();
    assert!(third.starts_with(marker) && third.ends_with(&commit), "{third}");
    assert!(third.contains("wrong.yaml:1:7") && !third.contains("to create"), "{third}");
    std::fs::remove_file(sandbox.path("examples/manifests/wrong.yaml")).unwrap();
    let asked = forge.state().asked.len();
    let without = job("pull_request", &[("comment", "false")]).run();
    expect(&without, &["Plan"], None);
    assert_eq!(forge.state().asked.len(), asked);
    assert!(forge.state().comments.iter().any(|it| it.id == foreign && !it.body.contains('\n')));

    // One job saves the plan, and another one applies it.
    let planned = job("push", &[]).run();
    expect(&planned, &["Plan"], None);
    let plan = planned.outputs["plan"].as_str();
    let applied = job("push", &[("plan", plan), ("apply", "true")]).run();
    expect(&applied, &["Apply"], None);
    assert!(applied.log.contains("\nApplied: ") && applied.log.contains("Nothing to change"));
    // A plan that was applied already is stale.
    let stale = job("push", &[("plan", plan), ("apply", "true")]).run();
    expect(&stale, &["Apply"], Some(5));
    // Two plans of one job do not share a file.
    assert_ne!(job("push", &[]).run().outputs["plan"], plan);
    let again = job("push", &[("apply", "true")]).run();
    expect(&again, &["Plan", "Apply"], None);
    assert_eq!(again.outputs["changes"], "false");

    // Events of pull requests that have the secrets, and other branches, are planned at most.
    for event in ["pull_request_review", "issue_comment", "workflow_run", "merge_group"] {
        let run = job(event, &[("apply", "true")]).run();
        expect(&run, &["Plan"], Some(2));
        assert!(run.log.contains(&format!("what is checked out on the event {event}, and")));
    }
    for (reference, branch, code) in [
        ("refs/heads/feature", "", Some(2)),
        ("refs/tags/main", "", Some(2)),
        ("refs/heads/live", "live", None),
    ] {
        let inputs = [inputs(&server), vec![("apply", "true".into()), ("branch", branch.into())]];
        let job = Job { reference, ..job("push", &[]) };
        let run = Job { inputs: inputs.concat(), ..job }.run();
        expect(&run, &["Plan", "Apply"], code);
    }

    // Another set owns nothing of this; arguments are lines, and no words of a shell.
    let other = job("push", &[("set", "other"), ("arguments", "--adopt\n--policy\n$(echo x)\n")]);
    let other = other.run();
    expect(&other, &["Plan"], Some(2));
    assert!(other.log.contains("$(echo x)"), "{}", other.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_refuses_is_commented_and_fails() {
    let server = Server::start().await;
    let (sandbox, forge) = (sandbox(), Forge::start(Sort::GitHub));
    sandbox.write("policies/a.rego", "package meshagent\ndeny contains \"too early\"\n");
    let inputs = inputs(&server);
    let job = Job {
        sandbox: &sandbox,
        forge: &forge,
        event: "pull_request",
        reference: MAIN,
        head: "acme/shop",
        inputs,
    };
    expect(&job.run(), &["Plan"], Some(6));
    let [comment] = &forge.own_comments()[..] else { panic!("{:?}", forge.own_comments()) };
    assert!(comment.contains("too early"), "{comment}");
}

#[test]
fn without_a_key_a_proposal_is_planned_on_an_empty_platform_and_nothing_is_applied() {
    let (sandbox, forge) = (sandbox(), Forge::start(Sort::GitHub));
    let job = |event, apply: &str| {
        let inputs =
            vec![("manifests", "examples/manifests".to_owned()), ("apply", apply.to_owned())];
        Job {
            sandbox: &sandbox,
            forge: &forge,
            event,
            reference: MAIN,
            head: "mallory/shop",
            inputs,
        }
        .run()
    };
    let fork = job("pull_request", "true");
    expect(&fork, &["Plan"], None);
    assert!(fork.summary.contains("on the embedded platform"), "{}", fork.summary);
    let pushed = job("push", "true");
    expect(&pushed, &["Plan"], Some(2));
    assert!(pushed.log.contains("error: there is no API key\nhint: "), "{}", pushed.log);
    let target = job("pull_request_target", "true");
    expect(&target, &["Plan"], Some(2));
    assert!(target.log.contains("use `on: pull_request`"), "{}", target.log);
    // The comment says that it is none about the project.
    let [comment] = &forge.own_comments()[..] else { panic!("{:?}", forge.own_comments()) };
    assert!(comment.contains("without any secret"), "{comment}");
}

#[test]
fn the_action_installs_the_release_whose_digest_it_is_given() {
    if !needs::programs("the action's installation", &["curl"]) {
        return;
    }
    let (sandbox, forge) = (sandbox(), Forge::start(Sort::GitHub));
    let (files, digest) = archive("#!/bin/sh\necho \"$1 $2 by the release\"\n");
    let server = Files::serve(files);
    let job = |digest: &str| {
        let inputs = vec![("release", server.url.clone()), ("sha256", digest.to_owned())];
        Job {
            sandbox: &sandbox,
            forge: &forge,
            event: "pull_request",
            reference: MAIN,
            head: "mallory/shop",
            inputs,
        }
        .run()
    };
    let installed = job(&digest);
    expect(&installed, &["Install", "Plan"], None);
    assert!(installed.log.ends_with("ci plan by the release\n"), "{}", installed.log);
    let other = job(&"0".repeat(64));
    expect(&other, &["Install"], Some(1));
    // Without a digest it trusts nobody.
    expect(&job(""), &["Install"], Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_a_project_file_its_environments_are_planned_and_applied() {
    let server = Server::start().await;
    let (sandbox, forge) = (Sandbox::new(), Forge::start(Sort::GitHub));
    let git = |words: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]).args(words);
        git.current_dir(sandbox.path("")).env("HOME", sandbox.path("")).env_remove("GIT_DIR");
        assert!(git.status().unwrap().success(), "{words:?}");
    };
    std::fs::create_dir(sandbox.path("manifests")).unwrap();
    sandbox.write(
        "manifests/room.yaml.j2",
        "version: v1\nkind: Room\nmetadata: {name: \"{{ room }}\"}\n",
    );
    let text = "version: v1\nci: {apply: [stage]}\nenvironments:\n  stage: {set: stage, values: {room: stage-room}}\n  prod: {set: prod, values: {room: prod-room}}\n";
    sandbox.write("meshagent.yaml", text);
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "meshagent.yaml", "manifests"]);
    git(&["commit", "--quiet", "-m", "Begin"]);
    let mut inputs = inputs(&server);
    inputs.retain(|(name, _)| !["manifests", "policies"].contains(name));
    inputs.push(("apply", "true".to_owned()));
    let job = Job {
        sandbox: &sandbox,
        forge: &forge,
        event: "push",
        reference: MAIN,
        head: "acme/shop",
        inputs,
    };
    let run = job.run();
    expect(&run, &["Plan", "Apply"], None);
    assert!(
        run.log.contains("prod-room") && run.log.contains("prod is only planned"),
        "{}",
        run.log
    );
    assert!(run.log.contains("Applied: 1 done."), "{}", run.log);
    // Without one, the folder `manifests` is meant, as before.
    git(&["rm", "--quiet", "--force", "meshagent.yaml"]);
    sandbox.write("manifests/room.yaml", "version: v1\nkind: Room\nmetadata: {name: plain}\n");
    std::fs::remove_file(sandbox.path("manifests/room.yaml.j2")).unwrap();
    let run = job.run();
    expect(&run, &["Plan", "Apply"], None);
    assert!(
        run.log.contains("there is no project file") && run.log.contains("plain"),
        "{}",
        run.log
    );
}

#[test]
fn every_input_of_the_action_is_used_and_described() {
    let source = text("action.yml");
    let action = documents(&source).remove(0);
    for (name, input) in action["inputs"].as_object().unwrap() {
        assert!(input["description"].is_string() && input["default"].is_string(), "{name}");
        assert!(source.matches(&format!("inputs.{name}")).count() > 0, "{name}");
    }
}
