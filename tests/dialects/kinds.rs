//! What is written in 0.56, and what is refused there, on a platform that speaks it.

use std::collections::BTreeMap;

use meshagent::api::spoken::Spoken;
use serde_json::{Value, json};

use super::stand_in::{Asked, StandIn};

const SET: &str = "\
version: v1
kind: Room
metadata: {name: lobby}
---
version: v1
kind: Mailbox
metadata: {name: a@mail.localhost}
room: lobby
---
version: v1
kind: Route
metadata: {name: a.meshagent.app}
room: lobby
port: 8000
---
version: v1
kind: Service
metadata: {name: bot}
room: lobby
container:
  image: busybox
  environment:
    - name: TOKEN
      token: {identity: bot, role: agent, api: {database: {list_tables: true}}}
---
version: v1
kind: Service
metadata: {name: everywhere}
external: {url: https://a.example}
ports:
  - num: 80
    endpoints: [{path: /, meshagent: {identity: e, api: {database: {}}}}]
---
version: v1
kind: ScheduledTask
metadata: {name: daily}
room: lobby
queue: q
schedule: \"0 7 * * *\"
payload: {a: 1}
";

const APPLY: [&str; 6] = ["apply", "-f", "set.yaml", "--set", "s", "--yes"];
const PLAN: [&str; 6] = ["plan", "-f", "set.yaml", "--set", "s", "--exit-code"];

fn applied() -> StandIn {
    let platform = StandIn::of(Spoken::V0_56);
    platform.sandbox.write("set.yaml", SET);
    platform.ends(0, &APPLY);
    platform
}

/// The writes since the last time, by what they write to.
fn writes(platform: &StandIn) -> BTreeMap<String, Value> {
    let is_write = |it: &Asked| it.method != "GET" && !it.path.contains("/storage");
    let writes = platform.take_asked().into_iter().filter(is_write);
    writes.map(|it| (format!("{} {}", it.method, it.path), it.body)).collect()
}

#[test]
fn a_set_is_applied_changed_and_destroyed() {
    let platform = applied();
    let writes_of = writes(&platform);
    let paths: Vec<&str> = writes_of.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "POST mailboxes",
            "POST rooms",
            "POST rooms/lobby/scheduled-tasks",
            "POST rooms/lobby/services",
            "POST routes",
            "POST services",
        ]
    );
    let mark = json!({"meshagent.set": "s"});
    assert_eq!(
        writes_of["POST rooms/lobby/services"],
        json!({
            "version": "v1", "kind": "Service", "enabled": true, "ports": [],
            "metadata": {"name": "bot", "annotations": mark},
            "container": {
                "image": "busybox", "template": "none", "private": true,
                "environment": [{
                    "name": "TOKEN",
                    "token": {"identity": "bot", "role": "agent", "api": {"dataset": {"list_tables": true}}},
                }],
            },
        })
    );
    let endpoint = &writes_of["POST services"]["ports"][0]["endpoints"][0];
    assert_eq!(endpoint["meshagent"]["api"], json!({"dataset": {"list_tables": true}}));
    assert_eq!(
        writes_of["POST rooms/lobby/scheduled-tasks"],
        json!({"spec": {
            "version": "v1", "kind": "ScheduledTask", "schedule": "0 7 * * *",
            "metadata": {"name": "daily", "annotations": mark},
            "active": true, "once": false, "queue": {"name": "q", "payload": {"a": 1}},
        }})
    );
    platform.ends(0, &PLAN);

    let changed = SET
        .replace("image: busybox", "image: alpine")
        .replace("0 7 * * *", "*/15 * * * *")
        .replace("port: 8000", "port: 8001");
    platform.sandbox.write("set.yaml", &changed);
    platform.ends(0, &APPLY);
    let paths: Vec<String> = writes(&platform).into_keys().collect();
    assert_eq!(
        paths,
        ["PUT rooms/lobby/services/id-1", "PUT routes/a.meshagent.app", "PUT scheduled-tasks/id-1"]
    );
    platform.ends(0, &PLAN);
    platform.ends(0, &["destroy", "--set", "s", "--yes"]);
    for list in ["rooms", "services", "rooms/lobby/services", "mailboxes", "routes"] {
        assert_eq!(platform.list(list), Vec::<Value>::new(), "{list}");
    }
    assert_eq!(platform.list("scheduled-tasks"), Vec::<Value>::new());
}

#[test]
fn a_change_writes_back_what_others_have_set() {
    let platform = applied();
    let mut service = platform.list("rooms/lobby/services").remove(0);
    service["enabled"] = false.into();
    service["files"] = json!([{"path": "/x", "text": "y"}]);
    service["container"]["template"] = "agent".into();
    service["container"]["storage"] = json!({"later": [{"name": "v", "path": "/v"}]});
    service["container"]["environment"][0]["token"]["api"]["sqlite"] = json!({});
    let mut task = platform.list("scheduled-tasks").remove(0);
    task["spec"]["queue"]["storage_write_path"] = "/out".into();
    let mut route = platform.list("routes").remove(0);
    route["spec"]["metadata"]["name"] = "of-somebody".into();
    route["spec"]["paths"][0]["later"] = true.into();
    platform.replace("rooms/lobby/services", service.clone());
    platform.replace("scheduled-tasks", task);
    platform.replace("routes", route);
    // Nothing of that is drift: manifests cannot say it.
    platform.ends(0, &PLAN);
    let changed = SET
        .replace("image: busybox", "image: alpine")
        .replace("queue: q", "queue: other")
        .replace("port: 8000", "port: 8001");
    platform.sandbox.write("set.yaml", &changed);
    platform.take_asked();
    platform.ends(0, &APPLY);
    let sent = writes(&platform);
    let after = &sent["PUT rooms/lobby/services/id-1"];
    assert_eq!(after["container"]["image"], "alpine");
    for kept in [
        "/enabled",
        "/files",
        "/container/template",
        "/container/storage/later",
        "/container/environment/0/token/api/sqlite",
    ] {
        assert_eq!(after.pointer(kept), service.pointer(kept), "{kept}");
    }
    for gone in ["/container/secrets", "/container/api_key", "/container/storage/project"] {
        assert_eq!(after.pointer(gone), None, "{gone}");
    }
    assert_eq!(sent["PUT scheduled-tasks/id-1"]["spec"]["queue"]["storage_write_path"], "/out");
    let spec = &sent["PUT routes/a.meshagent.app"]["spec"];
    assert_eq!(
        (&spec["metadata"]["name"], &spec["paths"][0]["later"]),
        (&"of-somebody".into(), &true.into())
    );
    platform.ends(0, &PLAN);
}

#[test]
fn a_task_that_moves_to_another_room_is_made_anew() {
    let platform = applied();
    let moved = SET
        .replace("metadata: {name: daily}\nroom: lobby", "metadata: {name: daily}\nroom: hall\n")
        + "---\nversion: v1\nkind: Room\nmetadata: {name: hall}\n";
    platform.sandbox.write("set.yaml", &moved);
    let plan = platform.ends(3, &PLAN);
    assert!(plan.stdout.contains("`room` cannot be changed in place"), "{}", plan.stdout);
    platform.take_asked();
    platform.ends(0, &[&APPLY[..], &["--allow-deletes", "1"]].concat());
    let tasks = platform.list("scheduled-tasks");
    assert_eq!((tasks.len(), &tasks[0]["room_name"]), (1, &"hall".into()));
    platform.ends(0, &PLAN);
    // Whether it runs once can be changed there.
    platform.sandbox.write("set.yaml", &moved.replace("queue: q", "queue: q\nonce: true"));
    platform.take_asked();
    platform.ends(0, &APPLY);
    assert_eq!(writes(&platform).into_keys().collect::<Vec<_>>(), ["PUT scheduled-tasks/id-1"]);
}

/// Secrets that belong to the service account `a`.
const KEYS_OF_A: &str = "---\nversion: v1\nkind: Secret\nmetadata: {name: k}\ntype: keys\nservice_account: a\ndata: {A: b}\n";

#[test]
fn what_0_56_cannot_express_is_refused_at_its_place() {
    let service = |more: &str| {
        format!(
            "version: v1\nkind: Service\nmetadata: {{name: bot}}\ncontainer:\n  image: x\n{more}"
        )
    };
    let task = |schedule: &str| {
        format!(
            "version: v1\nkind: ScheduledTask\nmetadata: {{name: t}}\nroom: lobby\nqueue: q\nschedule: \"{schedule}\"\n"
        )
    };
    let cases = [
        (service("  secrets: [k]\n"), "6:3", "has no field `container.secrets`", "which service account it belongs to"),
        (service("  pull_secret: k\n"), "6:3", "a project has no secrets on this platform", "which service account it belongs to"),
        (service("  api_key: {role: admin, name: k}\n"), "6:3", "has no field `container.api_key`", "give the container a token"),
        (service("  api_key: {role: admin, name: k}\n"), "6:3", "has no field `container.api_key`", "apply its document without `api_key` there first"),
        (
            service("  storage:\n    project: [{path: /p}]\n"),
            "7:5",
            "has no field `container.storage.project`",
            "mount files of the room",
        ),
        (
            service("  environment:\n    - {name: A, secret: {identity: i, id: x}}\n"),
            "7:26",
            "has no field `container.environment[0].secret.identity`",
            "`secret: {id: ACCOUNT/NAME}`",
        ),
        (
            service("  environment:\n    - {name: A, secret: {id: x}}\n"),
            "7:17",
            "a secret needs a service account that may read it",
            "`run_as: {account: NAME, scopes: [secrets:read]}`",
        ),
        (
            service("  run_as: {account: b}\n  environment:\n    - {name: A, secret: {id: a/x}}\n"),
            "8:26",
            "the secret `a/x` belongs to the service account `a`, and the container acts for `b`",
            "let the container act for `a`",
        ),
        (
            service("  run_as: {account: b}\n  secrets: [k]\n") + KEYS_OF_A,
            "4:1",
            "the secret `a/k.A` belongs to the service account `a`, and the container acts for `b`",
            "let the container act for `a`",
        ),
        (
            "version: v1\nkind: ManagedAgent\nmetadata: {name: m}\nallowed_models: [{provider: openai, model: m}]\nrun_as: {email: b, scopes: [secrets:read]}\nenvironment:\n- {name: A, secret: {id: a/x}}\n".to_owned(),
            "7:22",
            "names a secret of the service account `a`, and the agent acts for `b`",
            "let the agent act for `a`",
        ),
        (
            service("  environment:\n    - {name: A, token: {identity: i, role: boss}}\n"),
            "7:38",
            "a token cannot have a role of its own on this platform",
            "use one of user, agent, tool",
        ),
        (service("ports: [{num: 8078}]\n"), "6:10", "port 8078 belongs to the room", "another port"),
        (task("*/10 * * * *"), "6:1", "fires more often than every 15 minutes", "`*/15 * * * *`"),
        (task("0,5 3 * * *"), "6:1", "fires more often than every 15 minutes", "`*/15 * * * *`"),
        (task("0 0 31 2 *"), "6:1", "never fires", "name days that come"),
        (
            "version: v1\nkind: Webhook\nmetadata: {name: w}\nurl: https://a.example\nevents: [room.started]\n".to_owned(),
            "1:1",
            "has no Webhook",
            "this API has no webhooks",
        ),
        (
            "version: v1\nkind: Secret\nmetadata: {name: k}\ntype: keys\ndata: {A: b}\n".to_owned(),
            "1:1",
            "has no Secret",
            "`service_account: NAME`",
        ),
    ];
    let platform = StandIn::of(Spoken::V0_56);
    platform.put("rooms", [json!({"id": "r", "name": "lobby", "metadata": {}, "annotations": {}})]);
    for (text, place, told, hint) in cases {
        // What a service refers to is there.
        platform.sandbox.write("set.yaml", &text);
        for command in [&["plan"][..], &["apply", "--yes"]] {
            let run = platform.ends(6, &[command, &["-f", "set.yaml"]].concat());
            let line = run.stderr.lines().find(|line| line.contains(told));
            let line = line.unwrap_or_else(|| panic!("{told}: {}", run.stderr));
            assert!(line.starts_with(&format!("set.yaml:{place}: ")), "{line}");
            let mut hints = run.stderr.lines().filter(|line| line.trim().starts_with("hint: "));
            assert!(
                hints.next_back().is_some_and(|it| it.contains(hint)),
                "{hint}: {}",
                run.stderr
            );
            assert_eq!(platform.take_writes(), Vec::<String>::new(), "{told}");
        }
    }
}

#[test]
fn what_a_list_does_not_show_is_looked_up_by_its_name() {
    let platform = StandIn::of(Spoken::V0_56);
    platform.sandbox.write(
        "set.yaml",
        "version: v1\nkind: Service\nmetadata: {name: bot}\ncontainer: {image: x}\n",
    );
    // The list is cut before it comes to the service.
    let service = json!({"id": "s", "metadata": {"name": "bot"}, "container": {"image": "x"}});
    platform.put("services", [service]);
    platform.hide("services");
    let run = platform.ends(6, &["apply", "-f", "set.yaml", "--yes"]);
    assert!(run.stderr.contains("Service/bot"), "{}", run.stderr);
    let asked = platform.take_asked();
    assert!(asked.iter().any(|it| it.path == "services/by-name/bot"), "{asked:?}");
    assert!(asked.iter().all(|it| it.method == "GET" || it.path.contains("/storage")), "{asked:?}");
}

#[test]
fn a_task_of_a_shorter_interval_or_of_a_container_is_read_and_left_alone() {
    let platform = StandIn::of(Spoken::V0_56);
    platform.sandbox.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: lobby}\n");
    let of = |id: &str, spec: Value| json!({"id": id, "room_name": "lobby", "spec": spec});
    let queue = json!({"name": "q", "payload": {}});
    platform.put(
        "scheduled-tasks",
        [
            of("t1", json!({"metadata": {}, "schedule": "* * * * *", "queue": queue})),
            of("t2", json!({"metadata": {"name": "n"}, "schedule": "20 minutes", "queue": queue})),
            of("t3", json!({"metadata": {"name": "c"}, "schedule": "@daily", "container": {"image": "x"}})),
        ],
    );
    let before = platform.list("scheduled-tasks");
    let shown = platform.ends(0, &["scheduled-task", "list", "-o", "json"]).stdout;
    for part in ["t1", "20 minutes", "t3"] {
        assert!(shown.contains(part), "{shown}");
    }
    platform.ends(0, &["apply", "-f", "set.yaml", "--yes"]);
    // They are in the room, so it is not deleted with what others have in it.
    let refused = platform.ends(6, &["destroy", "--yes"]);
    for task in ["t1", "n", "c"] {
        let why = format!("ScheduledTask/{task}, which is not owned by the set, refers to it");
        assert!(refused.stderr.contains(&why), "{}", refused.stderr);
    }
    assert_eq!(platform.list("scheduled-tasks"), before);
}

#[test]
fn commands_for_single_objects_write_and_show_them_too() {
    let platform = applied();
    platform.cap(1);
    platform.sandbox.write("more.yaml", "version: v1\nkind: Mailbox\nmetadata: {name: b@mail.localhost}\nroom: hall\n---\nversion: v1\nkind: Room\nmetadata: {name: hall}\n");
    platform.ends(0, &["apply", "-f", "more.yaml", "--set", "more", "--yes"]);
    // However short its pages are, a list is shown whole, or the part of it that was asked for.
    let names = |command: &[&str]| -> Vec<String> {
        let shown = platform.ends(0, &[command, &["-o", "json"]].concat()).json();
        let list = shown.as_object().and_then(|it| it.values().next()).unwrap_or(&shown);
        let named = |item: &Value| item.get("address").or(item.get("name")).cloned();
        let names = list.as_array().expect("a list").iter().filter_map(named);
        names.map(|name| name.as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(names(&["mailbox", "list"]), ["a@mail.localhost", "b@mail.localhost"]);
    assert_eq!(names(&["mailbox", "list", "--room", "hall"]), ["b@mail.localhost"]);
    assert_eq!(names(&["rooms", "list"]), ["lobby", "hall"]);
    assert_eq!(names(&["rooms", "list", "--limit", "1", "--offset", "1"]), ["hall"]);
    let table = platform.ends(0, &["route", "list", "-o", "table"]).stdout;
    let words: Vec<&str> = table.lines().last().expect("a line").split_whitespace().collect();
    assert_eq!(words, ["a.meshagent.app", "lobby", "8000"]);
    // A task is called by the id that the platform made up, and keeps its name.
    platform.take_asked();
    platform.ends(0, &["scheduled-task", "update", "id-1", "--schedule", "30 7 * * *"]);
    let sent = writes(&platform);
    let spec = &sent["PUT scheduled-tasks/id-1"]["spec"];
    assert_eq!(
        (&spec["schedule"], &spec["metadata"]["name"], &spec["queue"]),
        (&"30 7 * * *".into(), &"daily".into(), &json!({"name": "q", "payload": {"a": 1}}))
    );
    let task = ["--room", "lobby", "--queue", "q", "--payload", "{}", "--schedule"];
    let add = [&["scheduled-task", "add"], &task[..]].concat();
    let refused = platform.ends(2, &[&add[..], &["*/5 * * * *"]].concat());
    assert!(refused.stderr.contains("more often than every 15 minutes"), "{}", refused.stderr);
    assert_eq!(platform.ends(0, &[&add[..], &["*/20 * * * *"]].concat()).stdout, "id-2\n");
    platform.ends(0, &["scheduled-task", "delete", "id-2"]);
    assert_eq!(platform.list("scheduled-tasks").len(), 1);
    let refused = platform.ends(
        6,
        &[
            "webhook",
            "create",
            "--name",
            "w",
            "--url",
            "https://a.example",
            "--event",
            "room.started",
        ],
    );
    assert!(
        refused.stderr.contains("has no Webhook\nhint: this API has no webhooks"),
        "{}",
        refused.stderr
    );
}
