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

/// The commands of this program in the workflow of the README, in the order of its jobs.
fn workflow_commands(readme: &str) -> Vec<String> {
    let start = readme.find("```yaml\nname: meshagent\n").unwrap() + "```yaml\n".len();
    let text = &readme[start..start + readme[start..].find("\n```").unwrap() + 1];
    let workflow = meshagent::manifest::yaml::parse(text).unwrap().remove(0).to_json();
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
