//! The workflow that `docs/ci.md` shows runs as written.

use crate::cli::Sandbox;
use std::path::Path;
use std::process::Command;

/// The text of the page that shows the workflow.
fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join("docs/ci.md")).unwrap()
}

/// The workflow of the page.
fn workflow(page: &str) -> serde_json::Value {
    let start = page.find("```yaml\nname: meshagent\n").unwrap() + "```yaml\n".len();
    let text = &page[start..start + page[start..].find("\n```").unwrap() + 1];
    meshagent::manifest::yaml::parse(text).unwrap().remove(0).to_json()
}

/// The commands of this program in the workflow, in the order of its jobs.
fn workflow_commands(page: &str) -> Vec<String> {
    let workflow = workflow(page);
    assert!(workflow["on"].get("pull_request").is_some() && workflow["on"]["push"].is_object());
    let mut commands = Vec::new();
    for (name, job) in workflow["jobs"].as_object().unwrap() {
        assert!(job["runs-on"].is_string(), "{name}");
        for step in job["steps"].as_array().unwrap() {
            assert!(step.get("uses").is_some() != step.get("run").is_some(), "{name}: {step}");
            let run = step["run"].as_str().unwrap_or_default();
            let own = run.lines().filter(|line| line.starts_with("meshagent "));
            commands.extend(own.map(str::to_owned));
        }
    }
    commands
}

/// What stands for GitHub's program: it reads comments from a file, and says what it changes.
const GH: &str = r#"#!/bin/sh
if [ "$1 $3" = "api --paginate" ]; then exec jq -r "$5" "$COMMENTS"; fi
echo "$*" >> "$TOLD"
"#;

/// Of several comments that begin with the marker, the job's own is the one that it updates.
#[test]
fn the_workflow_updates_no_comment_of_others() {
    use std::os::unix::fs::PermissionsExt;
    if !crate::needs::programs("the comment of the workflow", &["jq"]) {
        return;
    }
    let workflow = workflow(&page());
    let steps = workflow["jobs"]["comment"]["steps"].as_array().unwrap();
    let scripts = steps.iter().filter_map(|step| step["run"].as_str());
    let scripts: Vec<_> = scripts.filter(|run| run.contains("gh pr comment")).collect();
    let [script] = scripts.as_slice() else { panic!("{scripts:?}") };
    let sandbox = Sandbox::new();
    let marker = "<!-- meshagent-plan set=default project=p -->";
    sandbox.write("plan.md", &format!("{marker}\nPlan: 1 to create.\n"));
    std::fs::create_dir(sandbox.path("bin")).unwrap();
    sandbox.write("bin/gh", GH);
    std::fs::set_permissions(sandbox.path("bin/gh"), PermissionsExt::from_mode(0o755)).unwrap();
    let comment = |id: u64, login: &str, body: &str| serde_json::json!({"id": id, "user": {"login": login}, "body": body});
    let told = |comments: &[serde_json::Value]| {
        let _ = std::fs::remove_file(sandbox.path("told"));
        sandbox.write("comments.json", &serde_json::Value::from(comments).to_string());
        let path = std::env::var("PATH").unwrap();
        let output = Command::new("sh")
            .args(["-e", "-c", script])
            .env_clear()
            .env("PATH", format!("{}:{path}", sandbox.path("bin").display()))
            .env("RUNNER_TEMP", sandbox.path(""))
            .env("GITHUB_REPOSITORY", "acme/shop")
            .env("GITHUB_RUN_ID", "5")
            .env("GITHUB_SERVER_URL", "https://github.com")
            .env("GH_TOKEN", "t")
            .env("COMMIT", "c0ffee")
            .env("NUMBER", "7")
            .env("COMMENTS", sandbox.path("comments.json"))
            .env("TOLD", sandbox.path("told"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(sandbox.path("told")).unwrap_or_default()
    };
    let foreign = comment(1, "mallory", &format!("{marker}\nPlan: nothing to do."));
    let close = comment(2, "github-actions", marker);
    let other = comment(3, "github-actions[bot]", "<!-- meshagent-plan set=other project=p -->");
    let own = comment(4, "github-actions[bot]", &format!("{marker}\nold"));
    let all = [foreign, close, other, own];
    assert!(told(&all).contains("PATCH repos/acme/shop/issues/comments/4 "), "{}", told(&all));
    // Of a plan that failed nobody knows the project, so no other comment is touched.
    let own = all[3].clone();
    let next = comment(5, "github-actions[bot]", "<!-- meshagent-plan set=default project=q -->");
    std::fs::remove_file(sandbox.path("plan.md")).unwrap();
    assert_eq!(told(&[own.clone(), next]), "");
    assert!(told(&[own]).contains("comments/4 "));
    assert_eq!(told(&[]), "");
    sandbox.write("plan.md", &format!("{marker}\nPlan: 1 to create.\n"));
    // Where there is none of its own, it makes one.
    assert!(told(&all[..3]).starts_with("pr comment 7 "), "{}", told(&all[..3]));
    assert!(told(&[]).starts_with("pr comment 7 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workflow_runs() {
    let commands = workflow_commands(&page());
    assert!(
        commands.iter().any(|command| command == "meshagent apply \"$RUNNER_TEMP/plan.json\""),
        "{commands:?}"
    );
    let server = crate::platform::harness::Server::start().await;
    let sandbox = Sandbox::with_examples();
    let folder = sandbox.path("");
    for (checkout, rules) in [("base", true), ("proposed", false), (".", true)] {
        let checkout = folder.join(checkout);
        std::fs::create_dir_all(&checkout).unwrap();
        std::os::unix::fs::symlink(folder.join("examples/manifests"), checkout.join("manifests"))
            .unwrap();
        if rules {
            std::fs::create_dir(checkout.join("policies")).unwrap();
            let rule = "package meshagent\ndeny contains \"x\" if input.version > 1\n";
            std::fs::write(checkout.join("policies/a.rego"), rule).unwrap();
        }
    }
    let temporary = folder.join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_meshagent"));
    for command in commands {
        let mut shell = Command::new("sh");
        shell
            .args([
                "-c",
                &format!("PATH=\"{}:$PATH\"; {command}", program.parent().unwrap().display()),
            ])
            .current_dir(&folder)
            .env_clear()
            .env("HOME", &folder)
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("GITHUB_ACTIONS", "true")
            .env("RUNNER_TEMP", &temporary)
            .env("GITHUB_STEP_SUMMARY", folder.join("summary.md"))
            .env("MESHAGENT_API_URL", &server.url)
            .env("MESHAGENT_API_KEY", &server.owner)
            .env("MESHAGENT_PROJECT_ID", &server.project);
        let output = tokio::task::spawn_blocking(move || shell.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let comment = std::fs::read_to_string(temporary.join("plan.md")).unwrap();
    let marker = "<!-- meshagent-plan set=default project=";
    assert!(comment.starts_with(marker), "{comment}");
}

/// The short workflow, for those who begin, is the same on both pages, and what it runs works.
#[test]
fn the_short_workflow_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let short = |page: &str| {
        let (_, from) = page.split_once("```yaml\nname: meshagent-plan\n").unwrap();
        from.split_once("```").unwrap().0.to_owned()
    };
    let workflow = short(&page());
    assert_eq!(workflow, short(&readme));
    let workflow = meshagent::manifest::yaml::parse(&workflow).unwrap().remove(0).to_json();
    let steps = workflow["jobs"]["plan"]["steps"].as_array().unwrap();
    let scripts: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    let [script] = scripts.as_slice() else { panic!("{scripts:?}") };
    let sandbox = Sandbox::with_examples();
    std::os::unix::fs::symlink(sandbox.path("examples/manifests"), sandbox.path("manifests"))
        .unwrap();
    std::fs::create_dir(sandbox.path("tools")).unwrap();
    let tool = sandbox.path("tools/meshagent");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_meshagent"), tool).unwrap();
    let output = Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(sandbox.path(""))
        .env_clear()
        .env("HOME", sandbox.path(""))
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("RUNNER_TEMP", sandbox.path("temporary"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("15 to create"));
}
