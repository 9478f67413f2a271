//! Options that match nothing are refused, with what may be meant; so are plans and manifests
//! that are given in each other's place.

use crate::cli::{Run, Sandbox};

#[track_caller]
fn tells(run: &Run, expected: &str) {
    assert!(run.stderr.contains(expected), "{expected:?} is not in\n{}", run.stderr);
}

const SET: &str = r"
version: v1
kind: Room
metadata: {name: a, annotations: {tier: gold}}
---
version: v1
kind: Service
metadata: {name: s}
room: a
container: {image: a/b:c}
";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", SET);
    sandbox
}

#[test]
fn options_that_match_nothing_are_refused() {
    let sandbox = sandbox();
    for (options, message, hint) in [
        (["--target", "Service/s"], "nothing in the set matches `Service/s`", "`Service/s@a`?"),
        (["--exclude", "Service/S"], "nothing in the set matches `Service/S`", "`Service/s@a`?"),
        (["--target", "Rom/a"], "nothing in the set matches `Rom/a`", "did you mean `Room/a`?"),
        (["--adopt", "Service/s"], "--adopt names `Service/s`", "did you mean `Service/s@a`?"),
        (["--adopt", "Room/zzz-zzz"], "--adopt names `Room/zzz-zzz`", "patterns are"),
        (["--selector", "tier=silver"], "`tier=silver`", "its values are gold"),
        (["--selector", "owner=x"], "`owner=x`", "no object has the annotation `owner`"),
    ] {
        let run = sandbox.embedded(2, &[&["plan", "-f", "set.yaml"], &options[..]].concat());
        tells(&run, message);
        tells(&run, hint);
    }
    for options in [["--target", "Service/s@a"], ["--adopt", "Room/a"], ["--selector", "tier=gold"]]
    {
        sandbox.embedded(0, &[&["plan", "-f", "set.yaml"], &options[..]].concat());
    }
}

/// A variable that is not set must not take over everything.
#[test]
fn an_empty_pattern_means_not_all() {
    let sandbox = sandbox();
    for adopt in [&["--adopt", ""][..], &["--adopt="], &["--adopt=", "--adopt=Room/a"]] {
        let run = sandbox.embedded(2, &[&["plan", "-f", "set.yaml"], adopt].concat());
        tells(&run, "a value is required for '--adopt");
    }
    sandbox.embedded(0, &["plan", "-f", "set.yaml", "--adopt"]);
}

#[test]
fn sets_that_have_never_been_are_refused() {
    let sandbox = sandbox();
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--set", "team", "--yes"]);
    for line in
        [&["destroy", "--set", "taem", "--yes"][..], &["export", "-d", "exported", "--set", "taem"]]
    {
        let run = sandbox.embedded(2, line);
        tells(&run, "there is no set `taem`");
        tells(&run, "meshagent set list");
    }
    assert!(!sandbox.path("exported").exists());
    let of_another = ["destroy", "-f", "set.yaml", "--set", "taem", "--yes"];
    tells(&sandbox.embedded(6, &of_another), "hint: did you mean --set team?");
    // A set that owns nothing any more is still one.
    for _ in 0..2 {
        sandbox.embedded(0, &["destroy", "--set", "team", "--yes"]);
    }
    sandbox.embedded(0, &["export", "-d", "exported", "--set", "team"]);
}

#[test]
fn plans_and_manifests_are_told_apart() {
    let sandbox = sandbox();
    std::fs::create_dir_all(sandbox.path("m/elsewhere")).unwrap();
    sandbox.write("m/a.yaml", SET);
    for path in ["m", "m/a.yaml"] {
        let run = sandbox.embedded(2, &["apply", path]);
        tells(&run, &format!("give manifests with -f: `meshagent apply -f {path}`"));
    }
    sandbox.embedded(0, &["plan", "-f", "m", "--out", "plan.json"]);
    sandbox.write("other.yaml", "version: v1\nkind: Room\nmetadata: {name: other}\n");
    let run = sandbox.embedded(5, &["apply", "plan.json", "-f", "other.yaml"]);
    tells(&run, "the manifests given with -f are not those that the plan was made from");
    // From another folder the plan's manifests are not found, unless they are given.
    let elsewhere = |line: &[&str]| {
        let mut command = sandbox.command(&[line, &["--embedded"]].concat());
        Run::of(command.current_dir(sandbox.path("m/elsewhere")).output().unwrap())
    };
    let run = elsewhere(&["apply", "../../plan.json"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    tells(&run, "m, which the plan was made from, is not in this folder");
    sandbox.embedded(0, &["apply", "plan.json", "-f", "./m/a.yaml"]);
    // A plan of standard input says what it needs.
    let mut command = sandbox.command(&["plan", "-f", "-", "--out", "in.json", "--embedded"]);
    let input = std::fs::File::open(sandbox.path("set.yaml")).unwrap();
    tells(&Run::of(command.stdin(input).output().unwrap()), "needs the same manifests again");
}

#[test]
fn an_empty_list_of_services_says_which_it_is() {
    let sandbox = sandbox();
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    let run = sandbox.embedded(0, &["service", "list", "-o", "table"]);
    assert!((run.stdout + &run.stderr).contains("use --room ROOM to list those of a room"));
}

#[test]
fn a_project_that_an_option_names_wrongly_is_told_once() {
    let sandbox = sandbox();
    sandbox.embedded(0, &["project", "create", "staging"]);
    let run = sandbox.embedded(1, &["plan", "-f", "set.yaml", "--project-id", "stagin"]);
    let told = "there is no project `stagin`; the name comes from --project-id";
    assert_eq!(run.stderr.matches("stagin`;").count(), 1, "{}", run.stderr);
    tells(&run, told);
    tells(&run, "did you mean `staging`?");
    // A document that names one is at fault itself.
    sandbox.write("own.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\nproject: stagin\n");
    let run = sandbox.embedded(6, &["plan", "-f", "own.yaml"]);
    tells(&run, "own.yaml:4:");
}

#[test]
fn settings_that_are_not_used_are_told() {
    let sandbox = sandbox();
    let run = |line: &[&str], (name, value): (&str, &str)| {
        Run::of(sandbox.command(line).env(name, value).output().unwrap())
    };
    let ignored = run(&["rooms", "list", "--embedded"], ("MESHAGENT_PROJECT_ID", "other"));
    assert_eq!(ignored.code, 0, "{}", ignored.stderr);
    tells(&ignored, "MESHAGENT_PROJECT_ID is ignored with --embedded");
    let named = ["rooms", "list", "--embedded", "--project-id", "nowhere"];
    let named = run(&named, ("MESHAGENT_PROJECT_ID", "other"));
    assert!(!named.stderr.contains("is ignored"), "{}", named.stderr);
    let malformed = run(&["plan", "-f", "set.yaml"], ("MESHAGENT_API_KEY", "ma-cut-off"));
    tells(&malformed, "MESHAGENT_API_KEY is not a complete MeshAgent API key");
    assert!(!malformed.stderr.contains("ma-cut-off"), "{}", malformed.stderr);
}

#[test]
fn wrong_values_are_wrong_arguments() {
    let sandbox = sandbox();
    sandbox.write("list.yaml", "- a\n");
    for (option, value, told) in [
        ("-v", "image", "there is no `=`"),
        ("--value-json", "x={", "not JSON"),
        ("--values-file", "gone.yaml", "gone.yaml: failed to read"),
        ("--values-file", "list.yaml", "list.yaml:1:1: a values file must be one map"),
    ] {
        for command in [&["plan"][..], &["apply", "--yes"], &["destroy", "--yes"]] {
            let line = [command, &["-f", "set.yaml", option, value]].concat();
            tells(&sandbox.embedded(2, &line), told);
        }
    }
}
