//! What a project file guards, and what may not switch that off without a word.

use super::{PROJECT, bare, ran, shop};
use crate::cli::Run;

#[test]
fn a_field_without_a_value_is_told_at_its_place() {
    let base = "version: v1\nvalues: {stage: a, image_tag: b}\nenvironments:\n";
    for (text, place, told) in [
        ("  dev:\n    project:\n", "5:5", "`environments.dev.project` has no value"),
        ("  dev: {approvals: }\n", "4:9", "`environments.dev.approvals` has no value"),
        (
            "  dev: {guards: {allow_deletes: ~}}\n",
            "4:18",
            "`environments.dev.guards.allow_deletes`",
        ),
        ("  dev: {extends: null}\n", "4:9", "`environments.dev.extends` has no value"),
        ("  dev:\n", "4:3", "`environments.dev` has no value"),
        ("  dev: {}\nci: {apply: }\n", "5:6", "`ci.apply` has no value"),
    ] {
        let sandbox = bare(&format!("{base}{text}"));
        let run = ran(&sandbox, 2, "validate");
        assert!(run.stderr.contains(&format!("meshagent.yaml:{place}: {told}")), "{}", run.stderr);
        assert!(run.stderr.contains("give it one, or leave it out"), "{}", run.stderr);
    }
    // In what others mean by it, null says something; and names are the user's own.
    let sandbox =
        bare(&format!("{base}  values:\n    overrides: {{Service/support: {{room: null}}}}\n"));
    ran(&sandbox, 0, "validate -e values");
}

#[test]
fn a_saved_plan_is_not_applied_under_other_guards_than_it_was_made_under() {
    let sandbox = shop();
    ran(&sandbox, 0, "apply -e dev --yes");
    std::fs::remove_file(sandbox.path("manifests/service.yaml")).unwrap();
    let without = PROJECT.replace("    overrides:\n      Service/support:\n        container.image: registry.test/support:5\n", "");
    let without = without.replace("    overrides:\n      Service/support:\n        container.image: registry.test/support:4 # tested\n        container.environment[name=STAGE].value: prod\n", "");
    sandbox.write("meshagent.yaml", &without);
    ran(&sandbox, 0, "plan -e dev --out plan.json");
    for (now, told) in [
        (
            "embedded: true\n    guards: {allow_deletes: 0}",
            "has another `guards.allow_deletes` now",
        ),
        ("embedded: true\n    guards: {prune: none}", "has another `guards.prune` now"),
        ("embedded: true\n    set: other", "has another `set` now"),
    ] {
        sandbox.write("meshagent.yaml", &without.replacen("embedded: true", now, 1));
        let run = ran(&sandbox, 5, "apply plan.json");
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    sandbox.write("meshagent.yaml", &without);
    ran(&sandbox, 0, "apply plan.json");
}

#[test]
fn a_project_file_is_neither_read_nor_written_through_a_link_that_leads_out() {
    let sandbox = bare(PROJECT);
    sandbox.repository(".");
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("other.yaml");
    let text = format!("# canary\n{PROJECT}");
    std::fs::write(&file, &text).unwrap();
    std::fs::remove_file(sandbox.path("meshagent.yaml")).unwrap();
    std::os::unix::fs::symlink(&file, sandbox.path("meshagent.yaml")).unwrap();
    for line in ["validate", "plan -e dev", "promote dev prod --no-plan", "rooms list -e dev"] {
        let run = ran(&sandbox, 2, line);
        assert!(run.stderr.contains("meshagent.yaml: the link leads outside"), "{}", run.stderr);
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    // Within the repository, a link is as good as the file.
    std::fs::remove_file(sandbox.path("meshagent.yaml")).unwrap();
    sandbox.write("project.yaml", PROJECT);
    std::os::unix::fs::symlink("project.yaml", sandbox.path("meshagent.yaml")).unwrap();
    ran(&sandbox, 0, "validate -e all");
}

#[test]
fn what_asks_no_platform_needs_no_credential_for_it() {
    let text = PROJECT.replace("embedded: true", "api_url: https://prod.example.com");
    let sandbox = bare(&text);
    for line in ["validate -e prod", "validate -e all", "diff -e dev..prod --rendered"] {
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = sandbox.command(&words);
        let run = Run::of(command.env("MESHAGENT_API_KEY", "ma-x").output().unwrap());
        assert_eq!(run.code, 0, "{line}: {}{}", run.stdout, run.stderr);
    }
    let mut command = sandbox.command(&["plan", "-e", "prod"]);
    let run = Run::of(command.env("MESHAGENT_API_KEY", "ma-x").output().unwrap());
    assert!(run.code == 6 && run.stderr.contains("so it is not sent there"), "{}", run.stderr);
    sandbox.write("meshagent.yaml", &text.replace("https://prod", "prod"));
    let told = ran(&sandbox, 2, "validate -e prod").stderr;
    assert!(told.contains("\"prod.example.com\" is not the URL of a platform"), "{told}");
}
