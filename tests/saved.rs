//! Plans that are saved, guards that refuse, and a lease that somebody else holds.

use std::collections::BTreeSet;

use crate::cli::Sandbox;

fn rooms(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("---\nversion: v1\nkind: Room\nmetadata: {{name: {name}}}\n"))
        .collect()
}

#[test]
fn a_saved_plan_is_performed_as_it_is_or_not_at_all() {
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", &rooms(&["a", "b"]));
    sandbox.embedded(0, &["plan", "-f", "set.yaml", "--out", "plan.json"]);
    // Somebody else applies something first.
    sandbox.write("other.yaml", &rooms(&["b"]));
    sandbox.embedded(0, &["apply", "-f", "other.yaml", "--set", "other", "--yes"]);
    let refused = sandbox.embedded(5, &["apply", "plan.json"]);
    assert!(refused.stderr.contains("Room/b is owned by the set `other`"), "{}", refused.stderr);
    sandbox.embedded(0, &["destroy", "--set", "other", "--yes"]);
    let done = sandbox.embedded(0, &["apply", "plan.json"]);
    assert!(done.stdout.ends_with("Applied: 2 done.\n"), "{}", done.stdout);
    // The same plan again would create what is there.
    let stale = sandbox.embedded(5, &["apply", "plan.json"]);
    assert!(
        stale.stderr.contains("Room/a: the plan says create, but now nothing is needed"),
        "{}",
        stale.stderr
    );
}

#[test]
fn a_saved_plan_is_refused_when_its_manifests_or_objects_changed() {
    let sandbox = Sandbox::new();
    sandbox
        .write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\nroom_metadata: {x: 1}\n");
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    sandbox
        .write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\nroom_metadata: {x: 2}\n");
    sandbox.embedded(0, &["plan", "-f", "set.yaml", "--out", "plan.json"]);
    sandbox
        .write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\nroom_metadata: {x: 3}\n");
    let stale = sandbox.embedded(5, &["apply", "plan.json"]);
    assert!(
        stale.stderr.contains("the manifests, or the values for their templates, changed"),
        "{}",
        stale.stderr
    );
    assert!(
        stale.stderr.contains("Room/a: it changed since the plan was made, in room_metadata.x"),
        "{}",
        stale.stderr
    );
    let printed = sandbox.embedded(0, &["plan", "-f", "set.yaml", "-o", "json"]);
    sandbox.write("printed.json", &printed.stdout);
    let refused = sandbox.embedded(2, &["apply", "printed.json"]);
    assert!(refused.stderr.contains("it cannot be applied"), "{}", refused.stderr);
}

#[test]
fn guards_refuse_and_nothing_is_written() {
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", &rooms(&["a", "b", "c", "d", "e"]));
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    sandbox.write("set.yaml", &rooms(&["a"]));
    let refused = sandbox.embedded(6, &["apply", "-f", "set.yaml", "--yes"]);
    assert!(
        refused.stderr.contains("the plan deletes or replaces 4 of 5 Rooms"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("--allow-deletes 4"), "{}", refused.stderr);
    sandbox.embedded(6, &["apply", "-f", "set.yaml", "--yes", "--allow-deletes", "3"]);
    sandbox.embedded(
        6,
        &["apply", "-f", "set.yaml", "--yes", "--allow-deletes", "4", "--expect-project", "x"],
    );
    sandbox.write("empty.yaml", "# nothing\n");
    let empty = sandbox.embedded(6, &["apply", "-f", "empty.yaml", "--yes"]);
    assert!(empty.stderr.contains("--allow-empty"), "{}", empty.stderr);
    let done = sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes", "--allow-deletes", "4"]);
    assert!(done.stdout.ends_with("Applied: 4 done.\n"), "{}", done.stdout);
}

#[test]
fn a_scope_plans_a_part_and_deletes_nothing_outside() {
    let sandbox = Sandbox::new();
    let mailbox =
        "---\nversion: v1\nkind: Mailbox\nmetadata: {name: m@mail.meshagent.com}\nroom: a\n";
    sandbox.write("set.yaml", &(rooms(&["a", "b"]) + mailbox));
    let run =
        sandbox.embedded(0, &["plan", "-f", "set.yaml", "--target", "Mailbox/*", "-o", "json"]);
    let addresses: Vec<String> = run.json()["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|operation| operation["address"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(addresses, ["Room/a", "Mailbox/m@mail.meshagent.com"]);
    assert!(
        run.stderr
            .contains("Room/a is in scope too, because Mailbox/m@mail.meshagent.com refers to it")
    );
    assert_eq!(run.json()["partial"], true);
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    sandbox.write("set.yaml", &rooms(&["a"]));
    let run = sandbox.embedded(0, &["plan", "-f", "set.yaml", "--exclude", "Room/*", "-o", "json"]);
    assert_eq!(run.json()["operations"].as_array().unwrap().len(), 1);
    sandbox.embedded(2, &["plan", "-f", "set.yaml", "--target", "Rom/*"]);
    let team = "---\nversion: v1\nkind: Room\nmetadata: {name: c, annotations: {team: red}}\n";
    sandbox.write("set.yaml", &(rooms(&["a", "d"]) + team));
    let run =
        sandbox.embedded(0, &["plan", "-f", "set.yaml", "--selector", "team=red", "-o", "json"]);
    let plan = run.json();
    assert_eq!(plan["operations"].as_array().unwrap().len(), 1, "{plan}");
    assert_eq!(plan["operations"][0]["address"], "Room/c");
}

#[test]
fn a_room_is_renamed_in_place_and_what_is_in_it_goes_along() {
    let sandbox = Sandbox::new();
    let inside = |room: &str| {
        format!(
            "---\nversion: v1\nkind: Mailbox\nmetadata: {{name: m@mail.meshagent.com}}\nroom: {room}\n---\n\
             version: v1\nkind: Service\nmetadata: {{name: s}}\nroom: {room}\ncontainer: {{image: x}}\n"
        )
    };
    sandbox.write("set.yaml", &(rooms(&["old"]) + &inside("old")));
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    let renamed = "version: v1\nkind: Room\nmetadata: {name: new}\nlifecycle: {moved_from: old}\n";
    sandbox.write("set.yaml", &(renamed.to_owned() + &inside("new")));
    let plan = sandbox.embedded(0, &["plan", "-f", "set.yaml"]);
    assert!(
        plan.stdout.contains("\n\n→ rename Room/new  renamed from Room/old"),
        "{}",
        plan.stdout
    );
    assert!(plan.stdout.contains("Plan: 1 to rename, 2 unchanged."), "{}", plan.stdout);
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    let again = sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    assert!(again.stdout.starts_with("Nothing to change in "), "{}", again.stdout);
    assert!(again.stdout.ends_with(": 3 objects are as declared.\n"), "{}", again.stdout);
    sandbox.write(
        "set.yaml",
        "version: v1\nkind: Room\nmetadata: {name: x}\nlifecycle: {moved_from: y}\n",
    );
    let nowhere = sandbox.embedded(0, &["plan", "-f", "set.yaml", "--no-prune"]);
    assert!(nowhere.stdout.contains("+ create Room/x"), "{}", nowhere.stdout);
    assert!(
        nowhere.stderr.contains(
            "Room/x does not exist, under this name or its former name Room/y, so it is created"
        ),
        "{}",
        nowhere.stderr
    );
}

#[test]
fn a_report_is_written_and_a_killed_run_is_told_of() {
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", &rooms(&["a"]));
    std::fs::create_dir_all(sandbox.path(".meshagent/journal")).unwrap();
    sandbox.write(
        ".meshagent/journal/default.jsonl",
        "{\"what\":\"sending\",\"object\":\"Room/a\",\"action\":\"create\"}\n",
    );
    let run = sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes", "--report", "report.json"]);
    assert!(run.stderr.contains("was interrupted"), "{}", run.stderr);
    assert!(
        run.stderr.contains("it is not known whether these were done: create Room/a"),
        "{}",
        run.stderr
    );
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(sandbox.path("report.json")).unwrap())
            .unwrap();
    assert_eq!(report["outcomes"][0]["status"], "done");
    assert!(!sandbox.path(".meshagent/journal/default.jsonl").exists());
}

/// A saved plan for the room `a`, in which this was changed.
fn changed_plan(sandbox: &Sandbox, field: &str, value: serde_json::Value) {
    sandbox.write("set.yaml", &rooms(&["a"]));
    sandbox.embedded(0, &["plan", "-f", "set.yaml", "--out", "plan.json"]);
    let text = std::fs::read_to_string(sandbox.path("plan.json")).unwrap();
    let mut plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    plan[field] = value;
    sandbox.write("plan.json", &plan.to_string());
}

#[test]
fn what_a_saved_plan_calls_its_set_becomes_no_path() {
    let sandbox = Sandbox::new();
    sandbox.write("precious.jsonl", "kept");
    let absolute = sandbox.path("precious").display().to_string();
    for name in ["x y", "", "../../precious", absolute.as_str(), "a/b", ".hidden"] {
        changed_plan(&sandbox, "set", name.into());
        let refused = sandbox.embedded(2, &["apply", "plan.json"]);
        assert!(refused.stderr.contains("cannot be the name of a set"), "{}", refused.stderr);
        assert_eq!(std::fs::read_to_string(sandbox.path("precious.jsonl")).unwrap(), "kept");
    }
    // Every other set goes on.
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    let list = sandbox.embedded(0, &["set", "list"]);
    assert_eq!(list.stderr, "");
}

#[test]
fn what_a_saved_plan_says_of_its_projects_is_not_taken_for_true() {
    let sandbox = Sandbox::new();
    let other = serde_json::json!({"other": "6f1c4f4e-0000-4000-8000-000000000000"});
    for projects in [serde_json::json!({}), other] {
        changed_plan(&sandbox, "projects", projects);
        let apply = ["apply", "plan.json"];
        let refused = sandbox.embedded(6, &[&apply[..], &["--expect-project", "other"]].concat());
        assert!(refused.stderr.contains("but --expect-project is `other`"), "{}", refused.stderr);
        let stale = sandbox.embedded(5, &apply);
        assert!(stale.stderr.contains("the plan is for the projects"), "{}", stale.stderr);
        let rooms = sandbox.embedded(0, &["rooms", "list", "-q"]);
        assert_eq!(rooms.stdout, "");
    }
}

#[test]
fn a_saved_plan_holds_no_key_and_is_bound_to_its_secrets() {
    use meshagent::kinds::fingerprint::{Fingerprinter, digest};
    let sandbox = Sandbox::new();
    let secret = |name: &str, text: &str| {
        format!(
            "---\nversion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: keys\ndata: {{A: {text}, B: {text}}}\n"
        )
    };
    sandbox.write("set.yaml", &(secret("one", "hunter22") + &secret("two", "hunter22")));
    sandbox.embedded(0, &["plan", "-f", "set.yaml", "--out", "plan.json"]);
    let text = std::fs::read_to_string(sandbox.path("plan.json")).unwrap();
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    let inputs = plan["inputs"].as_object().unwrap();
    assert!(!inputs.contains_key("fingerprint_keys"), "{text}");
    let salts = inputs["salts"].as_object().unwrap();
    let salt = salts.values().next().unwrap().as_str().unwrap();
    let fingerprints: Vec<&str> = plan["operations"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|operation| operation["changes"].as_array().unwrap())
        .filter_map(|change| change["new"]["$secret"].as_str())
        .collect();
    // One secret in two objects, and in two fields of one, shows as so many.
    let expected = [("one", "A"), ("one", "B"), ("two", "A"), ("two", "B")].map(|(name, field)| {
        let fingerprint = Fingerprinter::slow(format!("{salt} Secret/{name}")).of("hunter22");
        digest(&format!("data.{field} {fingerprint}"))
    });
    assert_eq!(fingerprints, expected);
    assert_eq!(BTreeSet::from(expected).len(), 4);
    let fast = Fingerprinter::new(salt).of("hunter22");
    assert!(!text.contains(&fast) && !text.contains("hunter22"), "{text}");
    // The digest of the manifests knows no secret, and the plan is bound to it all the same.
    sandbox.write("set.yaml", &(secret("one", "hunter22") + &secret("two", "hunter23")));
    let stale = sandbox.embedded(5, &["apply", "plan.json"]);
    assert!(stale.stderr.contains("Secret/two: it changed"), "{}", stale.stderr);
    sandbox.write("set.yaml", &(secret("one", "hunter22") + &secret("two", "hunter22")));
    let done = sandbox.embedded(0, &["apply", "plan.json"]);
    assert!(done.stdout.ends_with("Applied: 2 done.\n"), "{}", done.stdout);
    // A set that has an inventory needs no salt.
    sandbox.write("set.yaml", &(secret("one", "other") + &secret("two", "hunter22")));
    sandbox.embedded(0, &["plan", "-f", "set.yaml", "--out", "plan.json"]);
    let text = std::fs::read_to_string(sandbox.path("plan.json")).unwrap();
    assert!(text.contains("\"salts\": {}"), "{text}");
    sandbox.embedded(0, &["apply", "plan.json"]);
}
