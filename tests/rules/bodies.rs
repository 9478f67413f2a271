//! What a command shows with `--dry-run` is what it changes, and nothing else.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cli::Sandbox;

const SET: &str = "version: v1
kind: Room
metadata: {name: hall, annotations: {kept: a}}
room_metadata: {displayName: Hall}
---
version: v1
kind: Room
metadata: {name: attic}
---
version: v1
kind: Mailbox
metadata: {name: a@mail.localhost, annotations: {kept: a}}
room: hall
public: true
---
version: v1
kind: Route
metadata: {name: a.example.com}
room: hall
port: 80
---
version: v1
kind: ScheduledTask
metadata: {name: t}
room: hall
queue: q
schedule: 0 * * * *
payload: {a: 1}
---
version: v1
kind: Service
metadata: {name: s, description: kept}
room: hall
container: {image: x:1}
ports: [{num: 80, published: true}]
---
version: v1
kind: ServiceTemplate
metadata: {name: made, annotations: {meshagent.service.id: acme.made}}
variables: [{name: tag}]
container: {image: \"y:{{ tag }}\"}
values: {tag: \"1\"}
room: hall
";

const TEMPLATE: &str = "version: v1
kind: ServiceTemplate
metadata: {name: made, annotations: {meshagent.service.id: acme.made}}
variables: [{name: tag}]
container: {image: \"y:{{ tag }}\"}
";

fn leaves(value: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, below)| leaves(below, &format!("{path}/{name}"), found));
        }
        Value::Array(items) => {
            for (index, below) in items.iter().enumerate() {
                // What has another name may have another place in a list.
                let known_as =
                    ["id", "address", "domain"].iter().find_map(|key| below[key].as_str());
                let name = known_as.map_or_else(|| index.to_string(), str::to_owned);
                leaves(below, &format!("{path}/{name}"), found);
            }
        }
        Value::Null => {}
        leaf => drop(found.insert(path.to_owned(), leaf.clone())),
    }
}

/// Everything on the platform, leaf by leaf.
fn state(sandbox: &Sandbox) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for words in [
        &["rooms", "list"][..],
        &["mailbox", "list"],
        &["route", "list"],
        &["scheduled-task", "list"],
        &["service", "list", "--room", "hall"],
    ] {
        let listed = sandbox.embedded(0, &[words, &["-o", "json"]].concat()).json();
        leaves(&listed, &words[..2].join(" "), &mut found);
    }
    found
}

/// The leaves that differ, without what says when or how often something was changed.
fn changed(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> Vec<String> {
    let paths = before.keys().chain(after.keys().filter(|path| !before.contains_key(*path)));
    let differing = paths.filter(|path| before.get(*path) != after.get(*path));
    let mut changed: Vec<String> =
        differing.map(|path| path.rsplit('/').next().unwrap_or_default().to_owned()).collect();
    changed.sort();
    changed
}

fn id(sandbox: &Sandbox, words: &[&str], pointer: &str, name: &str) -> String {
    let listed = sandbox.embedded(0, &[words, &["-o", "json"]].concat()).json();
    let items = listed.as_array().or_else(|| listed["services"].as_array()).expect("a list");
    let is_meant = |item: &&Value| item.pointer(pointer).and_then(Value::as_str) == Some(name);
    let item = items.iter().find(is_meant).expect(name);
    item["id"].as_str().expect("an id").to_owned()
}

#[test]
fn an_update_changes_what_its_dry_run_shows_and_leaves_the_owners_mark() {
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", SET);
    sandbox.write("made.yaml", TEMPLATE);
    sandbox.write(
        "s.yaml",
        "version: v1\nkind: Service\nmetadata: {name: s, description: kept}\ncontainer: {image: x:2}\nports: [{num: 80, published: true}]\n",
    );
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    let attic = id(&sandbox, &["rooms", "list"], "/name", "attic");
    let service = id(&sandbox, &["service", "list", "--room", "hall"], "/metadata/name", "s");
    let cases: [(&[&str], &[&str]); 10] = [
        (
            &[
                "rooms",
                "update",
                "--id",
                &attic,
                "--new-name",
                "loft",
                "--annotations",
                r#"{"a":"b"}"#,
            ],
            &["a", "name"],
        ),
        (
            &["rooms", "update", "--name", "loft", "--new-name", "attic", "--annotations", "{}"],
            &["a", "name"],
        ),
        (&["rooms", "update", "--id", &attic, "--new-name", "cellar"], &["name"]),
        (&["scheduled-task", "update", "t", "-n", r#"{"a":"b"}"#], &["a"]),
        (
            &["scheduled-task", "update", "t", "-q", "other", "--inactive"],
            &["active", "queue_name"],
        ),
        (
            &[
                "mailbox",
                "update",
                "a@mail.localhost",
                "--room",
                "hall",
                "-q",
                "other",
                "--no-public",
                "-n",
                r#"{"kept":"b"}"#,
            ],
            &["kept", "public", "queue"],
        ),
        (
            &["route", "update", "a.example.com", "--room", "hall", "-p", "81", "-n", "{}"],
            &["port"],
        ),
        (&["service", "update", "--room", "hall", "-f", "s.yaml", "--id", &service], &["image"]),
        (
            &[
                "service",
                "update-template",
                "--room",
                "hall",
                "-f",
                "made.yaml",
                "-v",
                "tag=2",
                "--replace",
            ],
            &["image", "meshagent.service.template.values"],
        ),
        (&["mailbox", "update", "a@mail.localhost", "-n", "{}"], &["kept"]),
    ];
    for (words, wanted) in cases {
        let before = state(&sandbox);
        let shown = sandbox.embedded(0, &[words, &["--dry-run"]].concat()).stdout;
        assert_eq!(changed(&before, &state(&sandbox)), [""; 0], "{words:?}");
        sandbox.embedded(0, words);
        assert_eq!(changed(&before, &state(&sandbox)), wanted, "{words:?}\n{shown}");
        // A changed name is told beside the action.
        let lines = shown.lines().filter(|line| line.starts_with("    ")).count();
        let has_name = wanted.contains(&"name");
        assert_eq!(lines + usize::from(has_name), wanted.len(), "{words:?}\n{shown}");
        assert_eq!(shown.contains("renamed from "), has_name, "{words:?}\n{shown}");
        assert!(!shown.contains("meshagent.set"), "{words:?}\n{shown}");
    }
    let marks = state(&sandbox).into_iter().filter(|(path, _)| path.ends_with("/meshagent.set"));
    assert_eq!(marks.count(), 7);
}

/// What the platform makes up by itself is not asked for, and what is there is not made again.
#[test]
fn what_is_created_is_what_was_shown() {
    let sandbox = Sandbox::new();
    sandbox.embedded(0, &["rooms", "create", "--name", "hall", "--metadata", r#"{"a":1}"#]);
    let words =
        ["scheduled-task", "add", "-r", "hall", "-q", "q", "-s", "@daily", "--payload", "{}"];
    let shown = sandbox.embedded(0, &[&words[..], &["--dry-run"]].concat()).stdout;
    assert!(shown.contains("+ create ScheduledTask\n"), "{shown}");
    let made = sandbox.embedded(0, &words).stdout;
    let listed = sandbox.embedded(0, &["scheduled-task", "list", "-q"]).stdout;
    assert_eq!(listed, made);
    let again =
        ["rooms", "create", "--name", "hall", "--if-not-exists", "--metadata", r#"{"a":2}"#];
    assert_eq!(sandbox.embedded(0, &again).json()["metadata"]["a"], 1);
}

#[test]
fn a_dry_run_tells_what_a_platform_may_refuse() {
    let sandbox = Sandbox::new();
    for (words, wanted) in [
        (&["rooms", "create", "--name", "My Room"][..], "`metadata.name` must be 1 to 63"),
        (&["webhook", "create", "--name", "w", "--url", "ftp://x", "-e", "*"], "`url` must be"),
    ] {
        let shown = sandbox.embedded(1, &[words, &["--dry-run"]].concat());
        assert!(shown.stderr.contains(wanted), "{}", shown.stderr);
        let manifest = sandbox.embedded(1, &[words, &["--as-manifest"]].concat());
        assert!(manifest.stderr.contains(wanted), "{}", manifest.stderr);
        let refused = sandbox.embedded(1, words);
        assert!(refused.stderr.contains("answered with 400"), "{}", refused.stderr);
    }
}
