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
    assert_eq!(found, [".ci/run", "ci/archive.sh", "ci/deb.sh", "ci/draft.sh"]);
}

/// What a plan is shown by is this program, and no script that somebody has to keep.
#[test]
fn the_workflows_that_are_handed_out_have_no_scripts() {
    let mut workflows = vec![("init".to_owned(), text("src/commands/init/github.yml"))];
    let pages = walkdir::WalkDir::new(path("docs")).into_iter().map(|it| it.unwrap().into_path());
    for page in
        pages.chain([path("README.md")]).filter(|it| it.extension().is_some_and(|it| it == "md"))
    {
        let text = std::fs::read_to_string(&page).unwrap();
        let blocks = text.split("\n```yaml\n").skip(1).filter_map(|it| it.split("\n```").next());
        let blocks = blocks.filter(|block| block.contains("meshagent ci plan"));
        let blocks = blocks.filter(|block| block.contains("\non:"));
        workflows.extend(blocks.map(|block| (page.display().to_string(), block.to_owned())));
    }
    assert!(workflows.len() > 1, "no page shows the workflow");
    for (name, workflow) in workflows {
        for command in commands(&workflow) {
            assert!(command.lines().count() <= 2, "{name}: {command}");
        }
    }
}

/// The page names every input, and its examples name no others.
#[test]
fn the_page_about_installing_tells_the_inputs() {
    let page = text("docs/installing.md");
    let (before, gitlab) = page.split_once("\n## The GitLab template\n").expect("a section");
    let (_, github) = before.split_once("\n## The GitHub action\n").expect("a section");
    let action = documents(&text("action.yml")).remove(0);
    let template = documents(&text("ci/gitlab.yml")).remove(0);
    for (section, inputs) in [(github, &action["inputs"]), (gitlab, &template["spec"]["inputs"])] {
        let inputs = inputs.as_object().expect("inputs");
        let (_, table) =
            section.split_once("\n| input | default | meaning |\n|---|---|---|\n").unwrap();
        let rows = table.lines().take_while(|line| line.starts_with("| "));
        let told: Vec<(&str, &str)> = rows
            .map(|row| {
                let mut cells = row.split('|').skip(1).map(|cell| cell.trim().trim_matches('`'));
                (cells.next().expect("a name"), cells.next().expect("a default"))
            })
            .collect();
        let usual = |input: &serde_json::Value| input["default"].as_str().unwrap().to_owned();
        let there: Vec<_> = inputs.iter().map(|(name, it)| (name.clone(), usual(it))).collect();
        let there: Vec<_> = there.iter().map(|(name, it)| (name.as_str(), it.as_str())).collect();
        let (mut told, mut there) = (told, there);
        told.sort_unstable();
        there.sort_unstable();
        assert_eq!(told, there);

        let example = section.split("```yaml\n").nth(1).and_then(|it| it.split("\n```").next());
        let example = documents(example.expect("an example")).remove(0);
        let mut used = Vec::new();
        if let Some(jobs) = example["jobs"].as_object() {
            let steps = jobs.values().flat_map(|job| job["steps"].as_array().unwrap());
            let own = steps.filter(|step| step["uses"] == "OWNER/REPOSITORY@COMMIT");
            used.extend(own.flat_map(|step| step["with"].as_object().unwrap().keys().cloned()));
        } else {
            used.extend(example["include"][0]["inputs"].as_object().unwrap().keys().cloned());
        }
        assert!(!used.is_empty() && used.iter().all(|name| inputs.contains_key(name)), "{used:?}");
    }
}
