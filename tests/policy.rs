//! Policies: what they see, what they say, and what a refusal leaves undone.

use std::path::Path;

use meshagent::plan::policy::{Source, Verdict, evaluate};
use serde_json::{Value, json};

use crate::cli::Sandbox;

/// One of the published policies.
fn example(name: &str) -> Source {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/policies").join(name);
    Source { name: name.to_owned(), text: std::fs::read_to_string(path).unwrap() }
}

fn ask(name: &str, operation: Value) -> Verdict {
    evaluate(&[example(name)], &json!({ "operations": [operation] })).unwrap()
}

fn denied(name: &str, operation: Value) -> Vec<String> {
    ask(name, operation).denied.iter().map(ToString::to_string).collect()
}

#[test]
fn the_example_policies_deny_what_they_say_and_nothing_else() {
    let room =
        |action: &str| json!({"address": "Room/a", "key": {"kind": "Room"}, "action": action});
    assert_eq!(
        denied("rooms.rego", room("delete")),
        ["rooms.rego: Room/a: rooms are not deleted by a plan"]
    );
    assert_eq!(denied("rooms.rego", room("update")), Vec::<String>::new());

    let service = |image: &str| json!({"address": "Service/s", "key": {"kind": "Service"}, "action": "create", "fields": {"container": {"image": image}}});
    assert_eq!(denied("images.rego", service("evil.example/meshagent/x")).len(), 1);
    for image in ["meshagent/cli:default", "registry.example.com/acme/x:1"] {
        assert_eq!(denied("images.rego", service(image)), Vec::<String>::new());
    }
    let external = json!({"address": "Service/s", "key": {"kind": "Service"}, "action": "create", "fields": {"external": {"url": "https://x"}}});
    assert_eq!(denied("images.rego", external), Vec::<String>::new());

    let mailbox = |fields: Value| json!({"address": "Mailbox/m", "key": {"kind": "Mailbox"}, "action": "create", "fields": fields});
    assert_eq!(denied("reach.rego", mailbox(json!({"public": true}))).len(), 1);
    assert_eq!(denied("reach.rego", mailbox(json!({"room": "a"}))), Vec::<String>::new());
    let owned = json!({"public": true, "metadata": {"annotations": {"example.com/owner": "ops"}}});
    assert_eq!(denied("reach.rego", mailbox(owned)), Vec::<String>::new());
    assert_eq!(ask("reach.rego", service("meshagent/x")).warned.len(), 1);
    let deleted = json!({"address": "Service/s", "key": {"kind": "Service"}, "action": "delete"});
    assert_eq!(ask("reach.rego", deleted), Verdict::default());
}

#[test]
fn a_plan_that_is_denied_is_shown_and_not_performed() {
    let sandbox = Sandbox::with_platform();
    sandbox.write(
        "room.yaml",
        "version: v1\nkind: Room\nmetadata: {name: a}\nroom_metadata: {tier: gold}\n",
    );
    std::fs::create_dir(sandbox.path("rules")).unwrap();
    sandbox.write(
        "rules/tier.rego",
        "package meshagent\ndeny contains {\"msg\": \"no gold\", \"object\": o.address} if {\n\tsome o in input.operations\n\to.fields.room_metadata.tier == \"gold\"\n}\nwarn contains \"look\" if { count(input.operations) > 0 }\n",
    );
    sandbox.write("rules/tier_test.rego", "this is not a rule");
    let words = ["-f", "room.yaml", "--policy", "rules"];
    let plan = sandbox.embedded(6, &[&["plan", "--out", "plan.json"], &words[..]].concat());
    assert!(plan.stdout.contains("Room/a"), "{}", plan.stdout);
    assert_eq!(
        plan.stderr,
        "warning: rules/tier.rego: look\nrules/tier.rego: Room/a: no gold\nerror: refused, so nothing was written\n"
    );
    assert!(!sandbox.path("plan.json").exists());
    sandbox.embedded(6, &[&["apply", "--yes"], &words[..]].concat());
    let after = sandbox.embedded(0, &["plan", "-f", "room.yaml", "-o", "json"]).json();
    assert_eq!(after["counts"]["create"], 1);

    sandbox.write("rules/tier.rego", "package meshagent\ndeny contains \"gone\" if { input.operations[_].action == \"delete\" }\n");
    sandbox.embedded(0, &[&["apply", "--yes"], &words[..]].concat());
    sandbox.embedded(6, &["destroy", "--yes", "--policy", "rules"]);
    sandbox.embedded(0, &["destroy", "--yes"]);
}

#[test]
fn a_policy_that_cannot_be_asked_is_told_and_never_taken_for_a_yes() {
    let sandbox = Sandbox::with_platform();
    sandbox.write("room.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\n");
    std::fs::create_dir_all(sandbox.path("rules/empty")).unwrap();
    sandbox.write("rules/broken.rego", "package meshagent\ndeny contains if {");
    let mut shown = String::new();
    for folder in ["rules", "rules/empty", "nowhere", "room.yaml"] {
        let run = sandbox.embedded(2, &["apply", "--yes", "-f", "room.yaml", "--policy", folder]);
        shown += &run.stderr;
    }
    insta::assert_snapshot!(shown);
}
