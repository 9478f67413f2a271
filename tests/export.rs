//! Exports: what is written declares what is there, and planning it changes nothing.

use std::collections::BTreeMap;

use meshagent::kinds::document::SecretSource;
use meshagent::kinds::path::FieldPath;
use meshagent::kinds::tree::{Sealed, Tree};
use meshagent::kinds::{self, Key, KindName};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};
use crate::spoken;

#[test]
fn the_document_of_every_kind_declares_the_same_fields_again() {
    for kind in kinds::ALL {
        let example = meshagent::manifest::yaml::parse(kind.example()).unwrap().remove(0).to_json();
        for mut declared in kind.declare(&example).unwrap() {
            declared.fields.rewrite_leaves(&mut |_, leaf| {
                let source = SecretSource::Env("V".to_owned());
                let source = || Sealed::Source(Box::new(source.clone().into()));
                matches!(leaf, Tree::Secret(_)).then(|| Tree::Secret(source()))
            });
            // Of what no answer tells, no document can be made.
            for field in kind.untold() {
                declared.fields.put(&FieldPath::of(&[field]), None);
            }
            let (room, name) = (declared.room.clone(), declared.name.clone());
            let key = Key::new(kind.declares(), "p", room, name);
            let document = match kind.name() {
                KindName::Agent => {
                    KindName::Agent.kind().explained(&key, &declared.fields).unwrap()
                }
                _ => kind.document(&key, &declared.fields),
            };
            let again = kind.declare(&document).unwrap();
            assert_eq!(again.len(), 1, "{document}");
            assert_eq!(again[0].fields, declared.fields, "{document}");
            assert_eq!((&again[0].name, &again[0].room), (&declared.name, &declared.room));
        }
    }
}

/// Texts that YAML has a meaning for, or that are hard to write.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        prop::sample::select(vec![
            "yes",
            "no",
            "on",
            "null",
            "~",
            "true",
            "010",
            "0x1f",
            "1e3",
            ".5",
            "1_000",
            "12:30:45",
            "2024-01-01",
            "- x",
            "? x",
            ": x",
            "a: b",
            "a #b",
            "#",
            "{{ x }}",
            "{% if %}",
            "[a]",
            "&a",
            "*a",
            "!a",
            "|",
            ">",
            "%a",
            "@a",
            "`a`",
            "'",
            "\"",
            "\\",
            "",
            " ",
            " a",
            "a ",
            "\ta",
            "a\t",
            "a\nb",
            "a\nb\n",
            "a\n\nb\n\n",
            "\n",
            "\na",
            " a\n b",
            "a\n  b\n c",
            "a \nb",
            "---",
            "--- a",
            "a\n---\nb",
            "...",
            "<<",
            "=",
            "ünï©ødé 🔒",
            "\u{feff}a",
            "a\u{85}b",
            "a\u{2028}b",
            "\u{7}bell",
            "a\r\nb",
            "a\rb",
            "kind: ServiceTemplate",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,120}",
        "([ -~]{0,30}\n){1,4}",
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![room_name(), "[A-Z][a-z]{1,5}[0-9]"]
}

fn room_name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,12}[a-z0-9]"
}

fn free() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        (-1000_i64..1000).prop_map(Value::from),
        (-1e6..1e6_f64).prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn annotations() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("[a-z]{1,6}(\\.[a-z]{1,6})?", text(), 0..3)
}

/// The documents of a project, and the values of its secrets by variable of the export.
#[derive(Debug, Clone)]
struct Project {
    documents: Vec<Value>,
    secrets: BTreeMap<String, String>,
}

fn project() -> impl Strategy<Value = Project> {
    let room = (room_name(), annotations(), prop::collection::btree_map(text(), free(), 0..4));
    let service = (
        name(),
        annotations(),
        prop::collection::btree_map("[A-Z]{1,6}", text(), 0..4),
        text(),
        any::<[bool; 3]>(),
    );
    let secret = (
        "[a-z]{3,8}",
        prop::collection::btree_map("[A-Z]{1,6}", "[!-~]{1,20}( [!-~]{1,9})?", 1..3),
    );
    let task = (name(), text(), prop::collection::btree_map(text(), free(), 0..3), any::<bool>());
    let webhook = (name(), text(), prop::collection::btree_map("[a-z]{1,5}", free(), 0..2));
    (
        prop::collection::btree_map(room_name(), room, 1..4),
        prop::collection::btree_map(name(), service, 0..4),
        prop::collection::btree_map("[a-z]{3,8}", secret, 0..3),
        prop::collection::btree_map(name(), task, 0..3),
        prop::collection::btree_map(name(), webhook, 0..2),
        any::<[bool; 2]>(),
    )
        .prop_map(|(rooms, services, secrets, tasks, webhooks, [public, is_owned_queue])| {
            let mut documents = Vec::new();
            let document = |kind: &str, name: &str, annotations: &BTreeMap<String, String>, own: Value| {
                let mut document = json!({"version": "v1", "kind": kind, "metadata": {"name": name, "annotations": annotations}});
                document.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
                document
            };
            let plain = |kind: &str, name: &str, own: Value| {
                let mut made = document(kind, name, &BTreeMap::new(), own);
                made["metadata"].as_object_mut().unwrap().remove("annotations");
                made
            };
            let first = rooms.keys().next().unwrap().clone();
            for (name, (_, annotations, metadata)) in &rooms {
                documents.push(document("Room", name, annotations, json!({"room_metadata": metadata})));
            }
            let secret_names: Vec<&String> = secrets.keys().collect();
            for (index, (name, (_, annotations, environment, text, flags))) in services.iter().enumerate() {
                let environment: Vec<Value> = environment.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
                let mut own = json!({"container": {"image": "x:1", "command": text, "environment": environment, "on_demand": flags[0]}});
                if flags[1] {
                    own["room"] = first.clone().into();
                }
                if flags[2] && !secret_names.is_empty() {
                    own["container"]["secrets"] = json!([secret_names[0]]);
                }
                if index % 2 == 1 {
                    own["ports"] = json!([{"num": 80 + index, "published": true}]);
                }
                documents.push(document("Service", name, annotations, own));
            }
            let mut values = BTreeMap::new();
            for (name, (_, data)) in &secrets {
                for (field, value) in data {
                    values.insert(format!("SECRET_{}_{field}", name.to_uppercase()), value.clone());
                }
                documents.push(plain("Secret", name, json!({"type": "keys", "data": data})));
            }
            for (name, (_, _, payload, active)) in &tasks {
                documents.push(plain("ScheduledTask", name, json!({"room": first, "queue": "q", "schedule": "0 * * * *", "payload": payload, "active": active})));
            }
            for (name, (_, action, payload)) in &webhooks {
                let mut own = json!({"url": "https://example.com/x", "events": ["room.started"], "payload": payload});
                if !action.is_empty() {
                    own["action"] = action.clone().into();
                }
                documents.push(plain("Webhook", name, own));
            }
            let mut mailbox = json!({"room": first, "public": public});
            if is_owned_queue {
                mailbox["queue"] = "mine".into();
            }
            documents.push(plain("Mailbox", "support@mail.localhost", mailbox));
            documents.push(plain("Route", "app.example.com", json!({"room": first, "port": 81})));
            Project { documents, secrets: values }
        })
}

/// Writes the documents as JSON, which owes nothing to what is tested.
fn write(sandbox: &Sandbox, documents: &[Value]) {
    let _ = std::fs::remove_dir_all(sandbox.path("given"));
    std::fs::create_dir(sandbox.path("given")).unwrap();
    for (index, document) in documents.iter().enumerate() {
        sandbox.write(&format!("given/{index}.json"), &document.to_string());
    }
}

fn with_secrets(sandbox: &Sandbox, secrets: &BTreeMap<String, String>, arguments: &[&str]) -> Run {
    let mut command = sandbox.command(&[arguments, &["--embedded"]].concat());
    Run::of(command.envs(secrets).output().unwrap())
}

#[test]
fn planning_the_export_of_any_project_is_empty() {
    let config =
        Config { cases: 24, failure_persistence: None, max_shrink_iters: 40, ..Config::default() };
    let result = TestRunner::new(config).run(&(spoken::any(), project()), |(spoken, project)| {
        let sandbox = Sandbox::new();
        let documents = spoken::of_kinds_in(spoken, project.documents).into_iter();
        let documents: Vec<Value> = documents.map(|it| spoken::sayable(spoken, it)).collect();
        write(&sandbox, &documents);
        let secrets = BTreeMap::from([("MESHAGENT_DIALECT".to_owned(), spoken.to_string())]);
        let run = |words: &[&str]| with_secrets(&sandbox, &secrets, words);
        let applied = run(&["apply", "-f", "given", "--yes", "--set", "x"]);
        prop_assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
        let exported = run(&["export", "-d", "out", "--set", "x"]);
        prop_assert_eq!(exported.code, 0, "{}", exported.stderr);
        prop_assert!(!exported.stderr.contains("left out"), "{}", exported.stderr);
        for layout in ["out", "kinds"] {
            if layout == "kinds" {
                let words = ["export", "-d", "kinds", "--set", "x", "--layout", "kind"];
                prop_assert_eq!(run(&words).code, 0);
            }
            let all = secrets.iter().chain(&project.secrets);
            let all = all.map(|(name, value)| (name.clone(), value.clone())).collect();
            let words = ["plan", "-f", layout, "--set", "x", "-o", "json"];
            let planned = with_secrets(&sandbox, &all, &words);
            prop_assert_eq!(planned.code, 0, "{}", planned.stderr);
            let plan = planned.json();
            prop_assert_eq!(&plan["operations"], &json!([]), "{}", plan);
            prop_assert_eq!(plan["counts"]["unchanged"].as_u64(), Some(documents.len() as u64));
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn an_export_of_everything_is_adopted_without_a_change() {
    let sandbox = Sandbox::new();
    let orphan = json!({"delete": "orphan"});
    write(
        &sandbox,
        &[
            json!({"version": "v1", "kind": "Room", "metadata": {"name": "a"}, "lifecycle": orphan, "room_metadata": {"text": "one\ntwo\n"}}),
            json!({"version": "v1", "kind": "Service", "metadata": {"name": "s"}, "lifecycle": orphan, "room": "a", "container": {"image": "x:1", "secrets": ["k"]}}),
            json!({"version": "v1", "kind": "Secret", "metadata": {"name": "k"}, "lifecycle": orphan, "type": "keys", "data": {"A": "v"}}),
            json!({"version": "v1", "kind": "Mailbox", "metadata": {"name": "m@mail.localhost"}, "lifecycle": orphan, "room": "a"}),
        ],
    );
    sandbox.embedded(0, &["apply", "-f", "given", "--yes"]);
    let exported = sandbox.embedded(0, &["export", "-d", "out"]);
    insta::assert_snapshot!("export_told", format!("{}{}", exported.stderr, exported.stdout));
    let mut files = String::new();
    for entry in walkdir::WalkDir::new(sandbox.path("out")).sort_by_file_name() {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let name =
                entry.path().strip_prefix(sandbox.path("out")).unwrap().display().to_string();
            files += &format!("## {name}\n{}", std::fs::read_to_string(entry.path()).unwrap());
        }
    }
    insta::assert_snapshot!("export_files", files);
    // Its set forgets the objects, and another one takes them over.
    write(&sandbox, &[json!({"version": "v1", "kind": "Room", "metadata": {"name": "other"}})]);
    sandbox.embedded(0, &["apply", "-f", "given", "--yes"]);
    let secrets = BTreeMap::from([("SECRET_K_A".to_owned(), "v".to_owned())]);
    let words = ["plan", "-f", "out", "--set", "y", "--adopt", "-o", "json"];
    let planned = with_secrets(&sandbox, &secrets, &words);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    let plan = planned.json();
    assert_eq!(plan["counts"]["adopt"], 4, "{plan}");
    for operation in plan["operations"].as_array().unwrap() {
        assert_eq!(operation["action"], "adopt", "{operation}");
        for change in operation["changes"].as_array().unwrap() {
            // No set knows yet whether the value is the one that the platform keeps to itself.
            let is_hidden = operation["key"]["kind"] == "Secret" && change["path"] == "data.A";
            let is_owner = change["path"] == "metadata.annotations[\"meshagent.set\"]";
            assert!(is_hidden || is_owner, "{operation}");
        }
    }
}

#[test]
fn an_export_overwrites_nothing_and_keeps_what_protects() {
    let sandbox = Sandbox::new();
    write(
        &sandbox,
        &[
            json!({"version": "v1", "kind": "Service", "metadata": {"name": "../../a"}, "container": {"image": "x"}, "lifecycle": {"prevent_destroy": true, "delete": "orphan"}}),
        ],
    );
    sandbox.embedded(0, &["apply", "-f", "given", "--yes", "--set", "x"]);
    let words = ["export", "-d", "out", "--set", "x"];
    sandbox.embedded(0, &words);
    let files: Vec<_> = std::fs::read_dir(sandbox.path("out/service")).unwrap().collect();
    assert_eq!(files.len(), 1);
    let file = files[0].as_ref().unwrap().path();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("prevent_destroy: true\n  delete: orphan\n"), "{text}");
    std::fs::write(&file, "mine").unwrap();
    let refused = sandbox.embedded(6, &words);
    assert!(
        refused.stderr.contains("already exists, so nothing was written"),
        "{}",
        refused.stderr
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    sandbox.embedded(0, &[&words[..], &["--force"]].concat());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    // A folder that is a link leads out of the export.
    std::fs::remove_dir_all(sandbox.path("out/service")).unwrap();
    std::fs::create_dir(sandbox.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(sandbox.path("elsewhere"), sandbox.path("out/service")).unwrap();
    sandbox.embedded(6, &[&words[..], &["--force"]].concat());
    assert_eq!(std::fs::read_dir(sandbox.path("elsewhere")).unwrap().count(), 0);
}

#[test]
fn obscure_values_are_not_exported_unless_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "m.yaml",
        "version: v1\nkind: ServiceTemplate\nmetadata: {name: t}\nvariables:\n- {name: token, obscure: true}\ncontainer:\n  image: x:1\n  environment:\n  - {name: T, value: \"{{ token }}\"}\nvalues: {token: canary-77}\n",
    );
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
    for words in [&["export", "-d", "out"][..], &["export", "-d", "out", "--set", "default"]] {
        let refused = sandbox.embedded(6, words);
        assert!(refused.stderr.starts_with("Service/t holds values"), "{}", refused.stderr);
        assert!(!sandbox.path("out").exists());
    }
    sandbox.embedded(0, &["export", "-d", "out", "--set", "default", "--obscure-values"]);
    let plan = sandbox.embedded(0, &["plan", "-f", "out", "-o", "json"]).json();
    assert_eq!(plan["operations"], json!([]), "{plan}");
}

/// What a template read from the environment is known to be secret wherever it went.
#[test]
fn what_a_set_knows_to_be_secret_is_not_exported_unless_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.write("m.yaml", "version: v1\nkind: Room\nmetadata: {name: plain}\n");
    sandbox.write(
        "m.yaml.j2",
        "version: v1\nkind: Room\nmetadata: {name: r}\nroom_metadata: {x: \"a {{ env(\"MESHAGENT_VAR_U\") }}\"}\n",
    );
    let apply = ["apply", "-f", ".", "--embedded", "--yes"];
    let mut command = sandbox.command(&apply);
    let output = command.env("MESHAGENT_VAR_U", "hooks-canary-987654").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for words in [&["export", "-d", "out"][..], &["export", "-d", "out", "--set", "default"]] {
        let refused = sandbox.embedded(6, words);
        assert!(
            refused.stderr.starts_with("Room/r holds secret values that were given"),
            "{}",
            refused.stderr
        );
        assert!(!sandbox.path("out").exists());
    }
    sandbox.embedded(0, &["export", "-d", "out", "--obscure-values"]);
    let text = std::fs::read_to_string(sandbox.path("out/room/r.yaml")).unwrap();
    assert!(text.contains("a hooks-canary-987654"), "{text}");
}

#[test]
fn an_export_can_be_applied_to_another_project_and_leaves_its_own_alone() {
    let sandbox = Sandbox::new();
    let rooms = ["kitchen", "front"]
        .map(|name| json!({"version": "v1", "kind": "Room", "metadata": {"name": name}}));
    write(&sandbox, &rooms);
    sandbox.embedded(0, &["apply", "-f", "given", "--yes"]);
    sandbox.embedded(0, &["project", "create", "second"]);
    sandbox.embedded(0, &["export", "-d", "out"]);
    assert!(!sandbox.path("out/project").exists());
    sandbox.embedded(0, &["apply", "-f", "out", "--project-id", "second", "--yes"]);
    for project in ["default", "second"] {
        sandbox.embedded(0, &["export", "-d", project, "--project-id", project]);
        for name in ["kitchen", "front"] {
            assert!(sandbox.path(&format!("{project}/room/{name}.yaml")).exists(), "{project}");
        }
    }
}

#[test]
fn the_document_of_a_project_is_for_that_project_only() {
    let sandbox = Sandbox::new();
    write(&sandbox, &[json!({"version": "v1", "kind": "Room", "metadata": {"name": "a"}})]);
    sandbox.embedded(0, &["apply", "-f", "given", "--yes"]);
    sandbox.embedded(0, &["project", "create", "second"]);
    sandbox.embedded(0, &["export", "-d", "out", "--with-project"]);
    let text = std::fs::read_to_string(sandbox.path("out/project/default.yaml")).unwrap();
    assert!(text.contains("kind: Project"), "{text}");
    let run = sandbox.embedded(6, &["plan", "-f", "out", "--project-id", "second", "--adopt"]);
    assert!(
        run.stderr.contains("the set declares project `default`, but --project-id names `second`"),
        "{}",
        run.stderr
    );
    // By name or by id it is the same project.
    let listed = sandbox.embedded(0, &["project", "list", "-o", "json"]).json();
    let projects = listed.as_array().or_else(|| listed["projects"].as_array()).unwrap();
    let id = |name: &str| {
        let found = projects.iter().find(|project| project["name"] == name).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    let plan = |id: &str, code| {
        sandbox.embedded(code, &["plan", "-f", "out", "--project-id", id, "--adopt"])
    };
    plan("default", 0);
    plan(&id("default"), 0);
    plan(&id("second"), 6);
}

#[test]
fn an_export_keeps_how_objects_are_treated_whether_a_set_is_named_or_not() {
    let sandbox = Sandbox::new();
    let lifecycle =
        json!({"prevent_destroy": true, "delete": "orphan", "ignore": ["room_metadata"]});
    let room =
        json!({"version": "v1", "kind": "Room", "metadata": {"name": "a"}, "lifecycle": lifecycle});
    write(&sandbox, &[room]);
    sandbox.embedded(0, &["apply", "-f", "given", "--yes", "--set", "x"]);
    for (folder, more) in [("with", &["--set", "x"][..]), ("without", &[])] {
        sandbox.embedded(0, &[&["export", "-d", folder][..], more].concat());
        sandbox.embedded(0, &["plan", "-f", folder, "--set", "x", "--exit-code"]);
    }
}

/// The fault: files and documents had only the ids that the platform gave.
#[test]
fn a_task_with_an_id_of_the_platform_gets_a_name_that_tells_what_it_is_about() {
    let sandbox = Sandbox::new();
    sandbox.embedded(0, &["rooms", "create", "--name", "lobby"]);
    let add = ["scheduled-task", "add", "--room", "lobby", "--queue", "daily/news"];
    let more = ["--schedule", "@daily", "--payload", "{}"];
    let id = sandbox.embedded(0, &[&add[..], &more].concat()).stdout.trim().to_owned();
    sandbox.embedded(0, &["export", "--dir", "out"]);
    let name = format!("lobby-daily-news-{}", &id[..8]);
    let text = std::fs::read_to_string(sandbox.path(&format!("out/scheduled-task/{name}.yaml")));
    let text = text.unwrap();
    assert!(text.contains(&format!("  name: {name}\nid: {id}\n")), "{text}");
    // It declares the same task again.
    let plan = sandbox.embedded(0, &["plan", "-f", "out", "--adopt"]).stdout;
    assert!(plan.contains("Plan: 2 to adopt."), "{plan}");
}
