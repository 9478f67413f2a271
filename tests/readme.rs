//! Every command of the README runs as written.

use crate::cli::Sandbox;
use std::path::Path;
use std::process::Command;

/// The lines of the shell blocks.
fn commands(readme: &str) -> Vec<&str> {
    let mut in_block = false;
    readme
        .lines()
        .filter(|line| {
            let was_in_block = in_block;
            match *line {
                "```sh" => in_block = true,
                "```" => in_block = false,
                _ => {}
            }
            was_in_block && in_block && !line.trim().is_empty()
        })
        .collect()
}

#[test]
fn every_command_of_the_readme_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let commands = commands(&readme);
    assert!(commands.len() > 8, "the README lost its commands");
    let sandbox = Sandbox::with_examples();
    let folder = sandbox.path("");
    let program = Path::new(env!("CARGO_BIN_EXE_meshagent"));
    let path = std::env::join_paths(
        std::iter::once(program.parent().unwrap().to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    )
    .unwrap();
    for command in commands {
        let output = Command::new("sh")
            .args(["-c", command])
            .current_dir(&folder)
            .env_clear()
            .env("HOME", &folder)
            .env("PATH", &path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The examples show what the text beside them says, in the order of the page.
#[test]
fn the_examples_of_the_readme_show_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let sandbox = Sandbox::with_examples();
    sandbox.embedded(0, &["apply", "-f", "examples/manifests", "--yes"]);
    let ran = |begins: &str| {
        let commands = commands(&readme);
        let line = commands.into_iter().rfind(|line| line.contains(begins)).unwrap();
        let words = line.trim_start_matches("meshagent ").split(" || ").next().unwrap();
        sandbox.run(&words.split(' ').collect::<Vec<_>>())
    };
    let denied = ran("--policy examples/policies");
    assert_eq!(denied.code, 6, "{}", denied.stderr);
    assert!(denied.stderr.contains("a public mailbox needs"), "{}", denied.stderr);
    let exported = ran("--layout kind");
    assert!(exported.stdout.starts_with("Exported 14 objects"), "{}", exported.stdout);
    let nothing = sandbox.embedded(0, &["export", "-d", "nothing"]);
    assert!(nothing.stderr.contains("--project-id names another"), "{}", nothing.stderr);
}

#[test]
fn the_readme_tells_the_exit_codes() {
    use meshagent::error::Class;
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for class in
        [Class::Failed, Class::Usage, Class::Pending, Class::Partial, Class::Stale, Class::Refused]
    {
        assert!(readme.contains(&format!("\n| {} | ", class.exit_code())), "{class:?}");
    }
}

/// The workflow of the README.
fn workflow(readme: &str) -> serde_json::Value {
    let start = readme.find("```yaml\nname: meshagent\n").unwrap() + "```yaml\n".len();
    let text = &readme[start..start + readme[start..].find("\n```").unwrap() + 1];
    meshagent::manifest::yaml::parse(text).unwrap().remove(0).to_json()
}

/// The commands of this program in the workflow of the README, in the order of its jobs.
fn workflow_commands(readme: &str) -> Vec<String> {
    let workflow = workflow(readme);
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
    if !crate::needs::programs("the comment of the README's workflow", &["jq"]) {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let workflow = workflow(&readme);
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
            .env("NUMBER", "7")
            .env("COMMENTS", sandbox.path("comments.json"))
            .env("TOLD", sandbox.path("told"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(sandbox.path("told")).unwrap()
    };
    let foreign = comment(1, "mallory", &format!("{marker}\nPlan: nothing to do."));
    let close = comment(2, "github-actions", marker);
    let other = comment(3, "github-actions[bot]", "<!-- meshagent-plan set=other project=p -->");
    let own = comment(4, "github-actions[bot]", &format!("{marker}\nold"));
    let all = [foreign, close, other, own];
    assert!(told(&all).contains("PATCH repos/acme/shop/issues/comments/4 "), "{}", told(&all));
    // Where there is none of its own, it makes one.
    assert!(told(&all[..3]).starts_with("pr comment 7 "), "{}", told(&all[..3]));
    assert!(told(&[]).starts_with("pr comment 7 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workflow_of_the_readme_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let commands = workflow_commands(&readme);
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
