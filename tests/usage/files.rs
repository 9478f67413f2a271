//! Files that are written beside those that are read, and folders that became empty.

use crate::cli::{Run, Sandbox};

fn room(name: &str) -> String {
    format!("---\nversion: v1\nkind: Room\nmetadata: {{name: {name}}}\n")
}

#[track_caller]
fn tells(run: &Run, expected: &str) {
    assert!(run.stderr.contains(expected), "{expected:?} is not in\n{}", run.stderr);
}

/// A sandbox with a folder `m` of two manifests and the values of one.
fn folder() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("m/rules")).unwrap();
    sandbox.write("m/a.yaml", &room("a"));
    sandbox.write("m/b.yaml.j2", &room("{{ name }}"));
    sandbox.write("m/values.yaml", "name: b\n");
    sandbox.write("more.yaml", "x: y\n");
    sandbox
}

#[test]
fn what_is_read_is_not_written_over() {
    let sandbox = folder();
    std::os::unix::fs::symlink("m/a.yaml", sandbox.path("link.json")).unwrap();
    std::fs::hard_link(sandbox.path("m/a.yaml"), sandbox.path("other-name.json")).unwrap();
    sandbox.write("m/.meshagentignore", "old\n");
    sandbox.write("m/rules/r.rego", "package meshagent\ndeny contains \"x\" if { false }\n");
    let read = ["m/a.yaml", "m/b.yaml.j2", "m/values.yaml", "more.yaml", "m/.meshagentignore"];
    let before = read.map(|file| std::fs::read_to_string(sandbox.path(file)).unwrap());
    let files = ["-f", "m", "--values-file", "more.yaml", "--policy", "m/rules"];
    let written = ["./m/../m/a.yaml", "link.json", "other-name.json", "m/rules/r.rego"];
    for target in read.iter().chain(&written) {
        let out = sandbox.embedded(6, &[&["plan"], &files[..], &["--out", target]].concat());
        tells(&out, "--out would overwrite ");
        let report = [&["apply", "--yes"], &files[..], &["--report", target]].concat();
        tells(&sandbox.embedded(6, &report), "so nothing was done");
        let report = ["destroy", "--yes", "-f", "m", "--report", target];
        if target.ends_with(".yaml") && !target.contains("more") {
            tells(&sandbox.embedded(6, &report), "--report would overwrite ");
        }
    }
    // Nor where the manifests are refused, nor where they are named one by one.
    sandbox.write("broken.yaml", "kind: [\n");
    let run =
        sandbox.embedded(6, &["apply", "--yes", "-f", "broken.yaml", "--report", "broken.yaml"]);
    tells(&run, "--report would overwrite broken.yaml");
    let beside = ["plan", "-f", "m/b.yaml.j2", "--out", "m/values.yaml"];
    tells(&sandbox.embedded(6, &beside), "--out would overwrite m/values.yaml");
    let after = read.map(|file| std::fs::read_to_string(sandbox.path(file)).unwrap());
    assert_eq!(after, before);
    assert_eq!(std::fs::read_to_string(sandbox.path("broken.yaml")).unwrap(), "kind: [\n");
    assert_eq!(sandbox.embedded(0, &["rooms", "list", "-q"]).stdout, "");
}

#[test]
fn a_service_is_not_overwritten_by_its_report() {
    let sandbox = Sandbox::new();
    let service = "version: v1\nkind: Service\nmetadata: {name: s}\ncontainer: {image: a/b:c}\n";
    sandbox.write("s.yaml", service);
    for command in ["create", "update"] {
        let line = ["service", command, "--file", "s.yaml", "--global", "--report", "./s.yaml"];
        tells(&sandbox.embedded(6, &line), "--report would overwrite s.yaml");
    }
    assert_eq!(std::fs::read_to_string(sandbox.path("s.yaml")).unwrap(), service);
    assert_eq!(sandbox.embedded(0, &["service", "list", "-q"]).stdout, "");
}

#[test]
fn plans_and_reports_may_lie_among_the_manifests() {
    let sandbox = folder();
    for _ in 0..2 {
        sandbox.embedded(0, &["plan", "-f", "m", "--out", "m/plan.json"]);
    }
    let printed = sandbox.embedded(0, &["plan", "-f", "m", "-o", "json"]);
    sandbox.write("m/printed.json", &printed.stdout);
    let done = sandbox.embedded(0, &["apply", "m/plan.json", "--report", "m/report.json"]);
    assert!(done.stdout.ends_with("Applied: 2 done.\n"), "{}", done.stdout);
    let again = sandbox.embedded(0, &["plan", "-f", "m", "--exit-code", "--verbose"]);
    tells(&again, "3 written by this program");
    tells(&again, "not read: m/report.json: it is a plan or a report of this program");
    // What is named is not passed over.
    let named = sandbox.embedded(6, &["apply", "-f", "m/plan.json", "--yes"]);
    tells(&named, "m/plan.json: this is a plan that meshagent wrote, not a manifest");
    tells(&named, "`meshagent apply m/plan.json`");
    let named = sandbox.embedded(6, &["plan", "-f", "m/report.json"]);
    tells(&named, "m/report.json: this is a report of a run, not a manifest");
    // A manifest that looks a little like one is a manifest.
    sandbox.write(
        "m/plan.json",
        r#"{"kind": "Room", "version": "v1", "tool": "meshagent 1", "operations": []}"#,
    );
    tells(&sandbox.embedded(6, &["plan", "-f", "m"]), "m/plan.json:1:");
}

#[test]
fn the_last_file_of_a_folder_is_pruned_when_that_is_meant() {
    let sandbox = Sandbox::new();
    for folder in ["m", "n"] {
        std::fs::create_dir(sandbox.path(folder)).unwrap();
        sandbox.write(&format!("{folder}/set.yaml"), &room(folder));
    }
    sandbox.embedded(0, &["apply", "-f", "m", "-f", "n", "--yes"]);
    std::fs::remove_file(sandbox.path("m/set.yaml")).unwrap();
    let refused = sandbox.embedded(6, &["apply", "-f", "m", "--yes"]);
    tells(&refused, "so 1 object that was declared in them would be deleted: Room/m");
    tells(&refused, "add --allow-empty");
    assert!(!refused.stderr.contains("destroy"), "{}", refused.stderr);
    // Beside a folder that declares something it is no empty set.
    let plan = sandbox.embedded(0, &["plan", "-f", "m", "-f", "n"]);
    assert!(plan.stdout.contains("delete Room/m"), "{}", plan.stdout);
    tells(&plan, "m: the folder holds no manifests");
    let done = sandbox.embedded(0, &["apply", "-f", "m", "--allow-empty", "--yes"]);
    assert!(done.stdout.ends_with("Applied: 1 done.\n"), "{}", done.stdout);
    assert_eq!(sandbox.embedded(0, &["rooms", "list", "-q"]).stdout, "n\n");
    // What was declared elsewhere is no part of what would be deleted.
    let refused = sandbox.embedded(6, &["plan", "-f", "m"]);
    tells(&refused, "the manifests declare nothing, and nothing would be deleted");
    // A folder that is not there is not empty.
    sandbox.embedded(6, &["apply", "-f", "gone", "--allow-empty", "--yes"]);
}

#[test]
fn a_report_says_what_was_planned_also_where_nobody_agreed() {
    let sandbox = folder();
    let report = |sandbox: &Sandbox| -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(sandbox.path("report.json")).unwrap())
            .unwrap()
    };
    // There is no terminal to ask on.
    sandbox.embedded(2, &["apply", "-f", "m", "--report", "report.json"]);
    let written = report(&sandbox);
    assert_eq!(written["plan"]["operations"].as_array().unwrap().len(), 2);
    assert_eq!(written["outcomes"].as_array().unwrap().len(), 2);
    assert!(written["error"].to_string().contains("no terminal"), "{written}");
    sandbox.write("m/rules/r.rego", "package meshagent\ndeny contains \"never\" if { true }\n");
    let denied = ["apply", "-f", "m", "--yes", "--policy", "m/rules", "--report", "report.json"];
    sandbox.embedded(6, &denied);
    assert_eq!(report(&sandbox)["outcomes"].as_array().unwrap().len(), 2);
    // No file is called `-`.
    for line in [
        &["plan", "-f", "m", "--out", "-"][..],
        &["apply", "-f", "m", "--yes", "--report", "-"],
        &["rooms", "create", "--name", "x", "--report", "-"],
    ] {
        tells(
            &sandbox.embedded(2, line),
            "give the name of a file, or /dev/stdout for standard output",
        );
    }
    assert!(!sandbox.path("-").exists());
}

/// A branch may contain a link where the recipe of the README writes.
#[test]
fn nothing_is_written_through_a_link_that_leads_out() {
    let sandbox = Sandbox::new();
    sandbox.write("precious", "a key\n");
    std::fs::create_dir_all(sandbox.path("repo/.git")).unwrap();
    sandbox.write("repo/.git/HEAD", "ref: refs/heads/main\n");
    sandbox.write("repo/m.yaml", &room("a"));
    std::os::unix::fs::symlink("../precious", sandbox.path("repo/plan.json")).unwrap();
    std::os::unix::fs::symlink("..", sandbox.path("repo/out")).unwrap();
    std::os::unix::fs::symlink("inside.json", sandbox.path("repo/near.json")).unwrap();
    let run = |words: &[&str]| {
        let mut command = sandbox.command(&[words, &["-f", "m.yaml", "--embedded"]].concat());
        command.current_dir(sandbox.path("repo"));
        Run::of(command.output().unwrap())
    };
    for words in [
        &["plan", "--out", "plan.json"][..],
        &["plan", "--out", "out/new.json"],
        &["apply", "--yes", "--report", "plan.json"],
    ] {
        let refused = run(words);
        assert_eq!(refused.code, 2, "{}", refused.stdout);
        tells(&refused, "leads outside of it and its repository, so nothing is written through it");
    }
    assert_eq!(std::fs::read_to_string(sandbox.path("precious")).unwrap(), "a key\n");
    assert!(!sandbox.path("new.json").exists());
    // A link in it is followed, and what a shell has open is its own.
    for file in ["near.json", "/dev/stdout", "/dev/null"] {
        let done = run(&["plan", "--out", file]);
        assert_eq!(done.code, 0, "{}", done.stderr);
    }
    assert!(sandbox.path("repo/inside.json").exists());
}

/// The fault: a hint led to the platform's key among the manifests.
#[test]
fn no_platform_is_made_among_other_files() {
    let sandbox = folder();
    let refused = sandbox.run(&["plan", "-f", "m/a.yaml", "--embedded=m"]);
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    tells(&refused, "m holds other files and no embedded platform, so none was created in it");
    assert!(!sandbox.path("m/platform.key").exists());
    let hinted = sandbox.run(&["plan", "--embedded", "m"]);
    tells(&hinted, "hint: give manifests with -f: `meshagent plan -f m --embedded`");
}
