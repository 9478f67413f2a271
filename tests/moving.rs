//! Sets and objects that go elsewhere: to another project, under another name while only a
//! part is looked at, and back again after a run that was cut off.

use std::slice::from_ref;

use crate::cli::{Run, Sandbox};

fn document(kind: &str, name: &str, rest: &str) -> String {
    format!("---\nversion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n{rest}")
}

fn room(name: &str) -> String {
    document("Room", name, "")
}

fn from(former: &str, document: &str) -> String {
    format!("{document}lifecycle: {{moved_from: {former}}}\n")
}

fn service(name: &str, room: &str) -> String {
    document("Service", name, &format!("room: {room}\ncontainer: {{image: x}}\n"))
}

fn webhook(name: &str) -> String {
    document("Webhook", name, "url: https://example.com/\nevents: [room.started]\n")
}

/// A set that was applied, and its documents now.
fn changed(before: &[String], after: &[String]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", &before.concat());
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    sandbox.write("set.yaml", &after.concat());
    sandbox
}

fn plan(sandbox: &Sandbox, more: &[&str]) -> Run {
    sandbox.embedded(0, &[&["plan", "-f", "set.yaml"], more].concat())
}

#[test]
fn a_part_of_a_set_leaves_alone_what_the_rest_means_under_another_name() {
    let (a, b) = (room("a"), from("a", &room("b")));
    let chain = [from("b", &room("c")), from("a", &room("b"))];
    let hooks = [webhook("old"), from("old", &webhook("new"))];
    let cases: &[(&[String], &[String], &[&str])] = &[
        (from_ref(&a), from_ref(&b), &["--exclude", "Room/b"]),
        (from_ref(&a), from_ref(&b), &["--target", "Room/a"]),
        (&hooks[..1], &hooks[1..], &["--exclude", "Webhook/new"]),
        (&hooks[..1], &hooks[1..], &["--target", "Webhook/old"]),
        (&[a.clone(), room("b")], &chain, &["--exclude", "Room/b"]),
        (
            &[a.clone(), service("bot", "a")],
            &[b.clone(), service("bot", "b")],
            &["--target", "Service/*@a"],
        ),
        (
            &[a.clone(), service("bot", "a")],
            &[b.clone(), service("bot", "b")],
            &["--exclude", "Room/b", "--exclude", "Service/bot@b"],
        ),
    ];
    for (before, after, scope) in cases {
        let sandbox =
            changed(&[before, &[room("z")][..]].concat(), &[after, &[room("z")][..]].concat());
        let planned = plan(&sandbox, scope);
        assert!(!planned.stdout.contains("delete"), "{scope:?}: {}", planned.stdout);
        let told = planned.stderr.contains(" has this former name, but is out of scope");
        assert!(told || planned.stdout.contains("rename"), "{scope:?}: {}", planned.stderr);
        sandbox.embedded(0, &[&["apply", "-f", "set.yaml", "--yes"], *scope].concat());
        // The whole set is still what it was to become, with the same objects.
        let whole = plan(&sandbox, &[]);
        assert!(!whole.stdout.contains("create"), "{scope:?}: {}", whole.stdout);
        assert!(!whole.stdout.contains("delete"), "{scope:?}: {}", whole.stdout);
    }
}

#[test]
fn a_room_that_was_renamed_by_hand_and_is_excluded_is_left_alone() {
    let set = [room("a"), room("z")];
    let sandbox = changed(&set, &set);
    sandbox.embedded(0, &["rooms", "update", "--name", "a", "--new-name", "b"]);
    for scope in [["--exclude", "Room/a"], ["--target", "Room/z"]] {
        let planned = plan(&sandbox, &scope);
        assert!(planned.stdout.starts_with("Nothing to change"), "{}", planned.stdout);
    }
}

#[test]
fn what_is_excluded_by_the_name_that_it_has_by_now_is_not_renamed() {
    let sandbox = changed(&[room("r2"), room("z")], &[from("r2", &room("r3")), room("z")]);
    for name in ["Room/r2", "Room/r3"] {
        let planned = plan(&sandbox, &["--exclude", name]);
        assert!(!planned.stdout.contains("rename"), "{name}: {}", planned.stdout);
        assert!(!planned.stdout.contains("delete"), "{name}: {}", planned.stdout);
        sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes", "--exclude", name]);
    }
    let listed = sandbox.embedded(0, &["rooms", "list", "-o", "json"]).stdout;
    assert!(listed.contains("\"r2\"") && !listed.contains("\"r3\""), "{listed}");
    assert!(plan(&sandbox, &[]).stdout.contains("rename"));
}

#[test]
fn what_is_saved_is_what_was_shown() {
    let sandbox = changed(&[room("a"), room("b")], &[room("a"), room("c")]);
    let args = ["plan", "-f", "set.yaml", "--drift-only", "--embedded"];
    let refused = sandbox.run(&[&args[..], &["--out", "plan.json"]].concat());
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(!sandbox.path("plan.json").exists());
    for form in ["text", "markdown"] {
        let planned = sandbox.embedded(0, &[&args[..4], &["-o", form]].concat());
        assert!(planned.stdout.to_lowercase().contains("nothing drifted"), "{}", planned.stdout);
        assert!(!planned.stdout.contains("3 "), "{}", planned.stdout);
    }
    let planned = sandbox.embedded(0, &args[..4]);
    assert!(planned.stderr.contains("2 operations are not shown"), "{}", planned.stderr);
}

/// A repository with a set in the project `default`, which then moves to `p1`.
fn moved_set(documents: &[String]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.repository("");
    sandbox.embedded(0, &["project", "create", "p1"]);
    sandbox.write("set.yaml", &documents.concat());
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    let there = documents.concat().replace("version: v1\n", "version: v1\nproject: p1\n");
    sandbox.write("set.yaml", &there);
    sandbox
}

#[test]
fn a_set_that_moves_to_another_project_leaves_nothing_behind() {
    let mailbox = document("Mailbox", "x@mail.localhost", "room: a\nqueue: q\n");
    let secret = document("Secret", "s", "type: keys\ndata: {A: b}\n");
    let sandbox = moved_set(&[room("a"), mailbox, secret]);
    let planned = plan(&sandbox, &[]);
    assert!(planned.stdout.contains("3 to create"), "{}", planned.stdout);
    assert!(planned.stdout.contains("3 to delete"), "{}", planned.stdout);
    // An address is one on the whole platform, so it cannot be here and stay there.
    let refused = sandbox.embedded(6, &["plan", "-f", "set.yaml", "--no-prune"]);
    assert!(refused.stderr.contains("is taken: project `default` has it"), "{}", refused.stderr);
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes", "--allow-deletes", "9"]);
    for (project, rooms) in [("default", ""), ("p1", "a\n")] {
        let left = sandbox.embedded(0, &["rooms", "list", "-q", "--project-id", project]);
        assert_eq!(left.stdout, rooms, "{project}");
    }
    assert!(plan(&sandbox, &[]).stdout.starts_with("Nothing to change"));
}

#[test]
fn what_is_protected_does_not_move_in_silence() {
    let protected = room("a") + "lifecycle: {prevent_destroy: true}\n";
    let sandbox = moved_set(&[protected]);
    let refused = sandbox.embedded(6, &["plan", "-f", "set.yaml"]);
    assert!(refused.stderr.contains("but it is protected"), "{}", refused.stderr);
}

#[test]
fn one_set_for_many_projects_that_are_told_from_outside_stays_in_each() {
    let sandbox = moved_set(&[room("a")]);
    sandbox.write("set.yaml", &room("a"));
    let there = sandbox.embedded(0, &["plan", "-f", "set.yaml", "--project-id", "p1"]);
    assert!(there.stdout.contains("Plan: 1 to create."), "{}", there.stdout);
    assert!(!there.stderr.contains("note:"), "{}", there.stderr);
    // Another repository with files of the same names is another one's.
    let theirs = "---\nversion: v1\nproject: p1\nkind: Room\nmetadata: {name: a}\n";
    sandbox.repository("theirs");
    sandbox.write("theirs/set.yaml", theirs);
    let there = sandbox.embedded(0, &["plan", "-f", "theirs/set.yaml"]);
    assert!(there.stdout.contains("Plan: 1 to create."), "{}", there.stdout);
    let others = "no document names, and keep them: 1 object in project `default`";
    assert!(there.stderr.contains(others), "{}", there.stderr);
}

#[test]
fn two_environments_have_two_comments() {
    let sandbox = Sandbox::new();
    sandbox.embedded(0, &["project", "create", "prod"]);
    sandbox.write("set.yaml", &room("a"));
    let marker = |project: &str| {
        let plan = ["plan", "-f", "set.yaml", "-o", "markdown", "--project-id", project];
        let stdout = sandbox.embedded(0, &plan).stdout;
        stdout.lines().next().unwrap().to_owned()
    };
    let prod = marker("prod");
    assert_eq!(prod, "<!-- meshagent-plan set=default project=prod platform=embedded -->");
    assert_ne!(prod, marker("default"));
    assert_eq!(prod, marker("prod"));
}

#[test]
fn what_a_run_is_to_tell_of_has_a_place_before_it_begins() {
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", &room("a"));
    let apply = ["apply", "-f", "set.yaml", "--yes", "--report"];
    for (report, what) in [("nowhere/r.json", "nowhere is not a folder"), (".", ". is a folder")] {
        let refused = sandbox.embedded(2, &[&apply[..], &[report]].concat());
        assert!(refused.stderr.contains(what), "{}", refused.stderr);
        let create = ["rooms", "create", "--name", "b", "--report", report];
        let refused = sandbox.embedded(2, &create);
        assert!(refused.stderr.contains(what), "{}", refused.stderr);
    }
    let refused = sandbox.embedded(2, &["plan", "-f", "set.yaml", "--out", "nowhere/p.json"]);
    assert!(refused.stderr.contains("nowhere is not a folder"), "{}", refused.stderr);
    assert_eq!(sandbox.embedded(0, &["rooms", "list", "-q"]).stdout, "");
}

#[test]
fn a_difference_names_both_names_of_what_is_renamed() {
    let sandbox = changed(&[room("a")], &[from("a", &room("b"))]);
    let shown = sandbox.embedded(0, &["diff", "-f", "set.yaml"]).stdout;
    assert!(shown.contains("--- platform/Room/a\n+++ manifest/Room/b\n"), "{shown}");
}
