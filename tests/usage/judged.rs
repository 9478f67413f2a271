//! A plan that is refused is shown, so that whoever is asked to agree to it can judge it.

use serde_json::Value;

use crate::cli::{Run, Sandbox};

#[track_caller]
fn tells(run: &Run, expected: &str) {
    assert!(run.stderr.contains(expected), "{expected:?} is not in\n{}", run.stderr);
}

fn rooms(count: usize) -> String {
    let room = |at: usize| format!("version: v1\nkind: Room\nmetadata: {{name: room-{at}}}\n");
    (0..count).map(room).collect::<Vec<_>>().join("---\n")
}

/// A set of eleven rooms, four of which left its manifests.
fn with_four_gone() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", &rooms(11));
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    sandbox.write("set.yaml", &rooms(7));
    sandbox
}

const REFUSAL: &str = "the plan deletes or replaces 4 of 11 Rooms";

#[test]
fn a_plan_that_deletes_too_much_is_shown_and_refused() {
    let sandbox = with_four_gone();
    let run = sandbox.embedded(6, &["plan", "-f", "set.yaml", "--out", "plan.json"]);
    assert!(run.stdout.contains("- delete Room/room-10"), "{}", run.stdout);
    tells(&run, REFUSAL);
    tells(&run, "--allow-deletes 4");
    assert!(!sandbox.path("plan.json").exists());
    let run = sandbox.embedded(6, &["diff", "-f", "set.yaml"]);
    assert!(run.stdout.contains("room-8"), "{}", run.stdout);
    tells(&run, REFUSAL);
    let run = sandbox.embedded(6, &["graph", "-f", "set.yaml"]);
    assert!(run.stdout.contains("delete Room/room-9"), "{}", run.stdout);
    tells(&run, REFUSAL);
    let run = sandbox.embedded(6, &["plan", "-f", "set.yaml", "--exit-code", "-o", "json"]);
    let plan = run.json();
    assert_eq!(plan.pointer("/counts/delete"), Some(&Value::from(4)));
    let refused = plan.pointer("/refused/0").unwrap();
    assert_eq!(refused["message"], REFUSAL);
    assert_eq!(refused["hint"], "if this is intended, add --allow-deletes 4");
    let run = sandbox.embedded(6, &["plan", "-f", "set.yaml", "-o", "markdown"]);
    let (refusal, delete) = (run.stdout.find(REFUSAL), run.stdout.find("**delete** `Room/room-7`"));
    assert!(refusal.is_some() && refusal < delete, "{}", run.stdout);
    tells(&run, REFUSAL);
}

#[test]
fn what_is_consented_to_is_not_refused() {
    let sandbox = with_four_gone();
    let plan = ["plan", "-f", "set.yaml", "--allow-deletes", "4", "-o", "json", "--out", "p.json"];
    assert_eq!(sandbox.embedded(0, &plan).json().get("refused"), None);
    assert!(sandbox.path("p.json").exists());
}

#[test]
fn apply_shows_what_it_refuses_and_writes_nothing() {
    let sandbox = with_four_gone();
    let run = sandbox.embedded(6, &["apply", "-f", "set.yaml", "--yes"]);
    assert!(run.stdout.contains("- delete Room/room-10"), "{}", run.stdout);
    tells(&run, REFUSAL);
    let run = sandbox.embedded(6, &["apply", "-f", "set.yaml", "--yes", "-o", "json"]);
    let last: Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "error", "{}", run.stdout);
    let left = sandbox.embedded(0, &["rooms", "list", "-q"]);
    assert_eq!(left.stdout.lines().count(), 11);
}

#[test]
fn an_empty_input_and_another_project_show_the_plan_too() {
    let sandbox = with_four_gone();
    sandbox.write("set.yaml", &rooms(11));
    let plan = ["plan", "-f", "set.yaml", "--expect-project", "prod", "-o", "json"];
    let run = sandbox.embedded(6, &plan);
    let message = run.json().pointer("/refused/0/message").cloned();
    assert!(
        message.is_some_and(|it| it.as_str().unwrap().contains("but --expect-project is `prod`"))
    );
    sandbox.write("set.yaml", "# nothing\n");
    let run = sandbox.embedded(6, &["plan", "-f", "set.yaml"]);
    assert!(run.stdout.contains("- delete Room/room-0"), "{}", run.stdout);
    tells(&run, "the manifests declare nothing, so 11 objects");
}

#[test]
fn a_rule_that_denies_stands_in_what_is_shown() {
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", &rooms(1));
    std::fs::create_dir(sandbox.path("rules")).unwrap();
    sandbox.write("rules/a.rego", "package meshagent\n\ndeny contains \"no rooms here\"\n");
    let plan = ["plan", "-f", "set.yaml", "--policy", "rules", "-o"];
    let run = sandbox.embedded(6, &[&plan[..], &["markdown"]].concat());
    assert!(run.stdout.contains("no rooms here"), "{}", run.stdout);
    tells(&run, "no rooms here");
    let run = sandbox.embedded(6, &[&plan[..], &["json"]].concat());
    let message = run.json().pointer("/refused/0/message").cloned().unwrap();
    assert!(message.as_str().unwrap().contains("no rooms here"), "{message}");
}

#[test]
fn what_ignore_files_leave_out_is_told_also_where_nothing_is_left() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("m")).unwrap();
    sandbox.write("m/set.yaml", &rooms(2));
    sandbox.write("m/.meshagentignore", "*\n");
    for command in [&["plan", "-f", "m"][..], &["apply", "-f", "m", "--yes"], &["diff", "-f", "m"]]
    {
        let run = sandbox.embedded(6, command);
        tells(&run, "not read: 1 named in an ignore file (--verbose lists them)");
        tells(&run, "the manifests declare nothing, and nothing would be deleted");
    }
}
