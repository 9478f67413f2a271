//! The workflows of this repository and those that it hands out.

use super::{documents, path, text};

/// The texts of the workflows, by the names of their files.
fn workflows() -> Vec<(String, String)> {
    let files = std::fs::read_dir(path(".github/workflows")).unwrap();
    let names = files.map(|it| it.unwrap().file_name().into_string().unwrap());
    let names = names.map(|name| format!(".github/workflows/{name}"));
    names
        .chain(["src/commands/init/github.yml".to_owned()])
        .map(|it| (it.clone(), text(&it)))
        .collect()
}

/// The commands of the steps of a workflow.
fn commands(workflow: &str) -> Vec<String> {
    let workflow = documents(workflow).remove(0);
    let jobs = workflow["jobs"].as_object().expect("jobs").values();
    let steps = jobs.flat_map(|job| job["steps"].as_array().expect("steps"));
    steps.filter_map(|step| step["run"].as_str().map(str::to_owned)).collect()
}

#[test]
fn what_workflows_use_is_pinned() {
    for (name, workflow) in workflows() {
        let uses = workflow.lines().filter_map(|line| line.split_once("uses: ")).map(|it| it.1);
        for used in uses {
            let (_, revision) = used.split_once('@').expect("a revision");
            let digest = revision.split(' ').next().unwrap_or_default();
            let is_digest = digest.len() == 40 && digest.chars().all(|c| c.is_ascii_hexdigit());
            assert!(is_digest, "{name}: {used}");
        }
    }
}

#[test]
fn the_scripts_that_workflows_run_are_there() {
    let scripts = workflows().into_iter().filter(|(name, _)| name.starts_with(".github/"));
    let mut found = Vec::new();
    for (name, workflow) in scripts {
        for command in commands(&workflow) {
            let script = command.split(' ').next().unwrap_or_default().to_owned();
            if script.contains('/') {
                assert!(path(&script).exists(), "{name}: {script}");
                found.push(script);
            }
        }
    }
    found.sort();
    found.dedup();
    assert_eq!(found, [".ci/run", "ci/archive.sh", "ci/draft.sh"]);
}

/// The lines of a script without comments.
fn code(script: &str) -> Vec<&str> {
    let lines = script.lines().filter(|line| !line.starts_with('#') && *line != "set -eu");
    let lines = lines.map(|line| line.split("   #").next().unwrap_or_default().trim_end());
    lines.filter(|line| !line.is_empty()).collect()
}

/// A workflow outside of this repository has no scripts of it, so it contains what it would call.
#[test]
fn the_workflows_that_are_handed_out_comment_as_the_action_does() {
    let mut workflows = vec![("init".to_owned(), text("src/commands/init/github.yml"))];
    let pages = walkdir::WalkDir::new(path("docs")).into_iter().map(|it| it.unwrap().into_path());
    for page in
        pages.chain([path("README.md")]).filter(|it| it.extension().is_some_and(|it| it == "md"))
    {
        let text = std::fs::read_to_string(&page).unwrap();
        let blocks = text.split("\n```yaml\n").skip(1).filter_map(|it| it.split("\n```").next());
        let blocks = blocks.filter(|block| block.contains("gh pr comment"));
        workflows.extend(blocks.map(|block| (page.display().to_string(), block.to_owned())));
    }
    assert!(workflows.len() > 1, "no page shows the workflow");
    let script = text("ci/comment.sh");
    for (name, workflow) in workflows {
        let commands = commands(&workflow);
        let comments: Vec<_> = commands.iter().filter(|it| it.contains("gh pr comment")).collect();
        let [comment] = comments[..] else { panic!("{name}: {comments:?}") };
        assert_eq!(code(comment), code(&script), "{name}");
    }
}
