//! Every rule that `plan --suggest-ignore` tells makes its change disappear.

use std::collections::BTreeMap;
use std::sync::Arc;

use meshagent::kinds::Key;
use meshagent::kinds::path::FieldPath;
use meshagent::kinds::recorded::Recorded;
use meshagent::kinds::tree::{Sealed, Tree};
use meshagent::manifest::set::{Input, Set, read};
use meshagent::plan::planner::{Policy, plan};
use meshagent::plan::{Action, Facts, Observed, Plan, ProjectState, State, suggestion};
use serde_json::{Value, json};

fn document(kind: &str, name: &str, fields: Value) -> Value {
    let mut document = json!({"version": "v1", "kind": kind, "metadata": {"name": name}});
    for (field, value) in fields.as_object().unwrap() {
        document[field] = match field.as_str() {
            "metadata" => {
                let mut metadata = json!({"name": name});
                metadata.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
                metadata
            }
            _ => value.clone(),
        };
    }
    document
}

fn set(documents: &[Value]) -> Set {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.yaml");
    let texts: Vec<String> = documents.iter().map(ToString::to_string).collect();
    std::fs::write(&path, texts.join("\n---\n")).unwrap();
    read(&Input { paths: vec![path], project: Some("p".to_owned()), ..Input::default() })
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn mask(tree: &mut Tree) {
    match tree {
        Tree::Secret(sealed) => *sealed = Sealed::Masked,
        Tree::List(items) => items.iter_mut().for_each(mask),
        Tree::Map(fields) => fields.values_mut().for_each(mask),
        _ => {}
    }
}

/// A platform that has what these documents say.
fn state(documents: &[Value]) -> State {
    let objects = set(documents).objects.into_values().map(|desired| {
        let mut fields = desired.fields;
        mask(Arc::make_mut(&mut fields));
        let owner = desired.key.kind.kind().carries_owner().then(|| "s".to_owned());
        let observed = Observed {
            id: None,
            owner,
            fields,
            answered: None,
            revision: None,
            called: None,
            also_called: Vec::new(),
            is_remembered: false,
        };
        (desired.key, observed)
    });
    let objects: BTreeMap<Key, Observed> = objects.collect();
    // What carries no owner is owned by being in the inventory.
    let fingerprints = meshagent::plan::fingerprints::Fingerprints::new("k");
    let entries = objects
        .iter()
        .map(|(key, observed)| {
            let salt = fingerprints.salt_of(key);
            let fingerprinter = fingerprints.under(&salt);
            let applied = Some(Recorded::of(&observed.fields, &fingerprinter));
            let entry = Facts { applied, salt: Some(salt), ..Facts::default() };
            (key.clone(), entry.into())
        })
        .collect();
    State {
        projects: BTreeMap::from([("p".to_owned(), ProjectState { id: Some("id".to_owned()) })]),
        objects,
        inventories: BTreeMap::from([(
            "p".to_owned(),
            meshagent::plan::Inventory {
                entries,
                fingerprints,
                seals: BTreeMap::new(),
                is_of_other_api: false,
            },
        )]),
        ..State::default()
    }
}

fn decide(documents: &[Value], state: &State) -> Plan {
    plan(&set(documents).objects, state, &Policy::standard("s"))
        .unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

fn check(kind: &str, name: &str, old: &Value, new: &Value, beside: &[Value]) -> usize {
    let with = |fields: &Value| [&[document(kind, name, fields.clone())], beside].concat();
    let state = state(&with(old));
    let plan = decide(&with(new), &state);
    let mut tried = 0;
    for operation in plan.operations.iter().filter(|one| one.action() != Action::Delete) {
        for change in &operation.changes {
            let rule = suggestion::rule(&plan, operation, change);
            let only_secret = operation.changes.len() > 1;
            let Some(rule) = rule else {
                assert!(only_secret && kind == "Secret", "{kind} {}: no rule", change.path);
                continue;
            };
            // It stands in a manifest as it is told.
            let line = suggestion::line(&rule);
            let read = meshagent::manifest::yaml::parse(&line).unwrap().remove(0).to_json();
            let mut fields = new.clone();
            fields["lifecycle"] = read["lifecycle"].clone();
            let after = decide(&with(&fields), &state);
            let open: Vec<&FieldPath> = after
                .operations
                .iter()
                .flat_map(|operation| &operation.changes)
                .map(|change| &change.path)
                .filter(|path| path.0.starts_with(&change.path.0))
                .collect();
            assert!(open.is_empty(), "{kind}: {line} leaves {} open", change.path);
            tried += 1;
        }
    }
    tried
}

#[test]
fn each_suggested_rule_makes_its_change_disappear() {
    let room = document("Room", "r", json!({}));
    let annotated = |annotations: Value| json!({"annotations": annotations});
    let container = |fields: Value| {
        let mut container = json!({"image": "x"});
        container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"room": "r", "container": container})
    };
    let service = [
        (json!({}), json!({"image": "y", "command": "c", "private": false})),
        (
            json!({"environment": [{"name": "A", "value": "1"}, {"name": "B.C", "value": "1"}]}),
            json!({"environment": [{"name": "B.C", "value": "2"}, {"name": "D\"", "value": "3"}]}),
        ),
        (json!({"environment": [{"name": "A", "value": "1"}]}), json!({})),
        (json!({}), json!({"environment": [{"name": "A", "value": "1"}]})),
        (
            json!({"storage": {"room": [{"path": "/a", "read_only": true}]}}),
            json!({"storage": {"room": [{"path": "/a", "read_only": false}, {"path": "/b"}]}}),
        ),
        (json!({"storage": {"room": [{"path": "/a"}]}}), json!({})),
    ];
    let mut tried = 0;
    for (old, new) in &service {
        for (old, new) in [(old, new), (new, old)] {
            tried += check(
                "Service",
                "s",
                &container(old.clone()),
                &container(new.clone()),
                std::slice::from_ref(&room),
            );
        }
    }
    let mut kinds: Vec<(&str, &str, Value, Value)> = vec![
        (
            "Room",
            "x",
            json!({"room_metadata": {"a": 1, "b.c": [1, {"d": 2}], "e": {}}, "metadata": annotated(json!({"a.b/c": "1", "k": "v"}))}),
            json!({"room_metadata": {"a": 2, "b.c": [1, {"d": 3}, 4], "f": null}, "metadata": annotated(json!({"a.b/c": "2", "x[y]": "z"}))}),
        ),
        (
            "Room",
            "x",
            json!({"room_metadata": {"a": 1}, "metadata": annotated(json!({"a.b": "1"}))}),
            json!({}),
        ),
        (
            "Mailbox",
            "a@mail.meshagent.com",
            json!({"room": "r", "public": true, "queue": "q"}),
            json!({"room": "r", "metadata": annotated(json!({"a.b": "1"}))}),
        ),
        (
            "Route",
            "a.meshagent.app",
            json!({"room": "r", "port": "80"}),
            json!({"room": "r", "port": "81"}),
        ),
        (
            "ScheduledTask",
            "t",
            json!({"room": "r", "queue": "q", "schedule": "0 3 * * *", "payload": {"a": [1]}}),
            json!({"room": "r", "queue": "p", "schedule": "0 4 * * *", "payload": {"a": [2, 3]}, "active": false, "once": true}),
        ),
        (
            "Webhook",
            "w",
            json!({"url": "https://x.example", "events": ["*"], "payload": {"a": 1}}),
            json!({"url": "https://y.example", "events": ["room.started"], "action": "go", "description": "d"}),
        ),
        (
            "Secret",
            "k",
            json!({"type": "keys", "data": {"A": "1"}}),
            json!({"type": "keys", "data": {"A": "2"}}),
        ),
        (
            "Secret",
            "k",
            json!({"type": "keys", "data": {"A": "1", "B": "1"}}),
            json!({"type": "keys", "data": {"A": "2"}}),
        ),
    ];
    let backwards: Vec<_> = kinds
        .iter()
        .map(|(kind, name, old, new)| (*kind, *name, new.clone(), old.clone()))
        .collect();
    kinds.extend(backwards);
    let publisher = document(
        "Service",
        "web",
        json!({"room": "r", "container": {"image": "x"}, "ports": [{"num": 80, "published": true}, {"num": 81, "published": true}]}),
    );
    for (kind, name, old, new) in &kinds {
        let found = check(kind, name, old, new, &[room.clone(), publisher.clone()]);
        assert!(found > 0 || *kind == "Secret", "{kind}: {old} and {new} do not differ");
        tried += found;
    }
    assert!(tried > 60, "{tried} rules were tried");
}

/// What the program itself writes is no drift that could be ignored.
#[test]
fn no_rule_is_told_for_a_name_or_the_mark_of_the_set() {
    let sandbox = crate::cli::Sandbox::new();
    let room = |name: &str, rest: &str| {
        format!(
            "version: v1\nkind: Room\nmetadata: {{name: {name}, annotations: {{a: b}}}}\n{rest}"
        )
    };
    sandbox.write("set.yaml", &room("hall", ""));
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    let suggested = || {
        let plan = ["plan", "-f", "set.yaml", "--suggest-ignore"];
        sandbox.embedded(0, &plan).stdout
    };
    sandbox.write(
        "set.yaml",
        &room("lobby", "lifecycle: {moved_from: hall, prevent_destroy: true}\n"),
    );
    let plan = suggested();
    assert!(plan.contains("metadata.name: \"hall\" → \"lobby\""), "{plan}");
    assert!(!plan.contains("ignore:"), "{plan}");
    let annotated = room("lobby", "lifecycle: {moved_from: hall}\n").replace("a: b", "a: c");
    sandbox.write("set.yaml", &annotated);
    let plan = suggested();
    assert_eq!(plan.matches("lifecycle: {ignore: [metadata.annotations.a]}").count(), 1, "{plan}");
    assert_eq!(plan.matches("ignore:").count(), 1, "{plan}");
}
