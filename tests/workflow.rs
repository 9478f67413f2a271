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
fn workflow_commands(page: &str) -> Vec<(String, String)> {
    let workflow = workflow(page);
    assert!(workflow["on"].get("pull_request").is_some() && workflow["on"]["push"].is_object());
    let mut commands = Vec::new();
    for (name, job) in workflow["jobs"].as_object().unwrap() {
        assert!(job["runs-on"].is_string(), "{name}");
        for step in job["steps"].as_array().unwrap() {
            assert!(step.get("uses").is_some() != step.get("run").is_some(), "{name}: {step}");
            let run = step["run"].as_str().unwrap_or_default();
            let own = run.lines().filter(|line| line.starts_with("meshagent "));
            commands.extend(own.map(|line| (name.clone(), line.to_owned())));
        }
    }
    commands
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workflow_runs() {
    let commands = workflow_commands(&page());
    assert!(
        commands.iter().any(|(_, line)| line == "meshagent ci apply --plan \"$RUNNER_TEMP/plans\""),
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
    let event = serde_json::json!({
        "number": 7,
        "pull_request": {"number": 7, "head": {"repo": {"full_name": "acme/shop"}}},
        "repository": {"default_branch": "main"},
    });
    sandbox.write("event.json", &event.to_string());
    let temporary = folder.join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_meshagent"));
    let mut shown = String::new();
    for (job, command) in commands {
        let is_proposal = matches!(job.as_str(), "propose" | "comment");
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
            .env("GITHUB_EVENT_NAME", if is_proposal { "pull_request" } else { "push" })
            .env("GITHUB_REPOSITORY", "acme/shop")
            .env("GITHUB_REF", "refs/heads/main")
            .env("GITHUB_EVENT_PATH", folder.join("event.json"))
            .env("RUNNER_TEMP", &temporary)
            .env("GITHUB_STEP_SUMMARY", folder.join("summary.md"))
            .env("MESHAGENT_API_URL", &server.url)
            .env("MESHAGENT_PROJECT_ID", &server.project);
        // The job for everybody has no key.
        if job != "propose" {
            shell.env("MESHAGENT_API_KEY", &server.owner);
        }
        let output = tokio::task::spawn_blocking(move || shell.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
        shown += &String::from_utf8_lossy(&output.stdout);
    }
    assert!(shown.starts_with("<!-- meshagent-ci plan -->\n"), "{shown}");
    for part in
        ["on the embedded platform", "15 to create", "Applied: 15 done", "Nothing to change"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
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
