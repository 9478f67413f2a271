//! What `lifecycle.ignore` and `--ignore-drift` leave to others: values of secrets that nobody
//! knows, fields of what is new, references that stay, and names that were given by hand.

use serde_json::{Value, json};

use crate::rewritten::{KEYS, PULL, Written};

/// How often a secret was written.
fn secret_writes(written: &Written) -> usize {
    written.proxy.writes().iter().filter(|write| write.contains("/secrets")).count()
}

async fn services(written: &Written, room: &str) -> Vec<Value> {
    let listed = written.platform.read(&format!("/rooms/{room}/services")).await.expect(200);
    listed.json()["services"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ignored_value_that_nobody_knows_is_never_overwritten() {
    let of_keys = format!("{KEYS}lifecycle: {{ignore: [data.A]}}\n");
    let of_pull = format!("{PULL}lifecycle: {{ignore: [password]}}\n");
    let all = format!("{KEYS}lifecycle: {{ignore: [data]}}\n").replace("keys}", "whole}");
    let before = of_keys.clone() + &of_pull + &all;
    let written = Written::start(&before).await;
    written.write("keys", json!({"A": "theirs", "B": "two"})).await;
    let count = secret_writes(&written);
    // Which of the values was written is not known, and the ignored one may be the only one.
    written.settled().await;
    let refusals = [
        (before.replace("B: two", "B: three"), "Secret/keys cannot be changed in `data.B`"),
        (
            before
                .replace("name: keys", "name: k2")
                .replace("[data.A]}", "[data.A], moved_from: keys}"),
            "Secret/keys cannot be changed in `metadata.name`",
        ),
        (
            before.replace("username: u", "username: v"),
            "Secret/pull cannot be changed in `username`",
        ),
        (
            before
                .replace("name: whole", "name: w2")
                .replace("[data]}", "[data], moved_from: whole}"),
            "Secret/whole cannot be changed in `metadata.name`",
        ),
    ];
    for (documents, message) in refusals {
        written.sandbox.write("set.yaml", &documents);
        for command in [&["plan"][..], &["apply", "--yes"]] {
            let refused = written.run(6, command).await;
            assert!(refused.stderr.contains(message), "{}", refused.stderr);
            assert!(
                refused.stderr.contains(" from `lifecycle.ignore`, or do not change "),
                "{}",
                refused.stderr
            );
        }
    }
    // What is ignored as a whole may have other pairs in the document.
    written.sandbox.write("set.yaml", &before.replace("A: one", "A: four, C: five"));
    let planned = written.run(6, &["plan"]).await;
    assert!(!planned.stderr.contains("Secret/whole"), "{}", planned.stderr);
    assert_eq!(secret_writes(&written), count);
    // A value that changes in the document is not taken for sent.
    let unsent = before.replacen("A: one", "A: four", 1);
    written.sandbox.write("set.yaml", &unsent);
    written.run(0, &["apply", "--yes"]).await;
    written.sandbox.write("set.yaml", &unsent.replace("[data.A]", "[]"));
    let planned = written.run(3, &["plan", "--exit-code"]).await;
    assert!(planned.stdout.contains("data.A: (secret, changed)"), "{}", planned.stdout);
    // The way out.
    let known = before.replacen("A: one, B: two", "A: theirs, B: three", 1);
    written.sandbox.write("set.yaml", &known.replace("[data.A]", "[]"));
    written.run(0, &["apply", "--yes"]).await;
    assert_eq!(secret_writes(&written), count + 1);
    written.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_that_nobody_knows_is_left_by_leaving_the_whole_secret() {
    let written = Written::start(&(KEYS.to_owned() + PULL)).await;
    written.write("keys", json!({"A": "theirs", "B": "two", "C": "added"})).await;
    let pull = json!({"server": "r.example", "username": "u", "password": "x", "email": "none@example.com"});
    written.write("pull", pull).await;
    let count = secret_writes(&written);
    // A pair that was added is drift like others.
    let left = written.run(0, &["plan", "--ignore-drift", "--exit-code"]).await;
    assert!(left.stdout.starts_with("Nothing to change"), "{}", left.stdout);
    let changed = (KEYS.to_owned() + PULL).replace("B: two", "B: three");
    written.sandbox.write("set.yaml", &changed.replace("username: u", "username: v"));
    let applied = written.run(0, &["apply", "--ignore-drift", "--yes"]).await;
    let told = applied.stdout + &applied.stderr;
    for name in ["Secret/keys", "Secret/pull"] {
        let note = format!("{name} stays as it is, and the changes of its document wait");
        assert!(told.contains(&note), "{told}");
    }
    assert!(told.contains("; 2 waiting"), "{told}");
    written.run(3, &["plan", "--ignore-drift", "--exit-code"]).await;
    assert_eq!(secret_writes(&written), count);
    written.run(0, &["apply", "--yes"]).await;
    written.settled().await;
}

const ROOMS: &str = "version: v1\nkind: Room\nmetadata: {name: a}\n---\nversion: v1\nkind: Room\nmetadata: {name: b}\n---\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_gets_what_is_declared_also_where_that_is_ignored() {
    let service = |rest: &str| {
        format!("{ROOMS}version: v1\nkind: Service\nmetadata: {{name: s}}\nroom: a\n{rest}")
    };
    let written = Written::start(&service("container: {image: 'x:1'}\n")).await;
    let rules = "lifecycle: {ignore: ['container.environment[name=B].value', 'ports[num=80].published', container.api_key.role, 'container.storage.files[path=/etc/x].text']}\n";
    let grown = service(
        "container:\n  image: 'x:1'\n  environment: [{name: B, value: '2'}]\n  api_key: {role: admin, name: n}\n  storage: {files: [{path: /etc/x, text: hello}]}\nports: [{num: 80, published: true}]\n",
    ) + rules;
    written.sandbox.write("set.yaml", &grown);
    let plan = written.run(0, &["plan", "-o", "json"]).await.json();
    let changes = plan["operations"][0]["changes"].as_array().unwrap();
    let sent = changes.iter().filter(|change| change["path"].as_str().unwrap().starts_with('c'));
    for change in sent {
        assert_eq!(change["cause"], "manifest", "{change}");
    }
    written.run(0, &["apply", "--yes"]).await;
    written.settled().await;
    let mut service = services(&written, "a").await.remove(0);
    assert_eq!(service["container"]["environment"][0]["value"], "2", "{service}");
    assert_eq!(service["container"]["api_key"]["role"], "admin", "{service}");
    assert_eq!(service["container"]["storage"]["files"][0]["text"], "hello", "{service}");
    assert_eq!(service["ports"][0]["published"], true, "{service}");
    // Later changes of it are left alone, and what was taken away comes back whole.
    service["container"]["environment"][0]["value"] = "9".into();
    let path = format!("/rooms/a/services/{}", service["id"].as_str().unwrap());
    written.platform.send("PUT", &path, service.clone()).await.expect(200);
    written.settled().await;
    service["container"]["environment"] = json!([]);
    service["ports"] = json!([]);
    written.platform.send("PUT", &path, service).await.expect(200);
    let drift = written.run(3, &["plan", "--exit-code"]).await;
    assert!(!drift.stdout.contains("and the manifest changed"), "{}", drift.stdout);
    written.run(0, &["apply", "--yes"]).await;
    written.settled().await;
    let service = services(&written, "a").await.remove(0);
    assert_eq!(service["container"]["environment"][0]["value"], "2", "{service}");
    assert_eq!(service["ports"][0]["published"], true, "{service}");
}

#[tokio::test(flavor = "multi_thread")]
async fn free_json_and_annotations_that_are_new_are_whole_and_stay_away_once_taken() {
    let room = "version: v1\nkind: Room\nmetadata: {name: c";
    let written = Written::start(&format!("{room}}}\n")).await;
    let grown = format!(
        "{room}, annotations: {{k: v}}}}\nroom_metadata: {{x: {{y: 1, z: 2}}}}\nlifecycle: {{ignore: [room_metadata.x.y, metadata.annotations.k]}}\n"
    );
    written.sandbox.write("set.yaml", &grown);
    written.run(0, &["apply", "--yes"]).await;
    written.settled().await;
    let mut room = written.platform.read("/rooms/c").await.expect(200).json();
    assert_eq!(room["metadata"], json!({"x": {"y": 1, "z": 2}}));
    assert_eq!(room["annotations"]["k"], "v");
    room["annotations"].as_object_mut().unwrap().remove("k");
    room["metadata"]["x"] = json!({"z": 2});
    let path = format!("/rooms/{}", room["id"].as_str().unwrap());
    written.platform.send("PUT", &path, room).await.expect(200);
    written.settled().await;
}

const MAILBOX: &str =
    "version: v1\nkind: Mailbox\nmetadata: {name: x@mail.localhost}\nqueue: q\nroom: ";

async fn turn_mailbox(written: &Written, room: &str) {
    let body = json!({"room": room, "queue": "theirs", "public": false,
        "annotations": {"meshagent.set": "default"}});
    written.platform.send("PUT", "/mailboxes/x@mail.localhost", body).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_keeps_referring_to_is_not_deleted() {
    for (lifecycle, flag) in [("lifecycle: {ignore: [room]}\n", None), ("", Some("--ignore-drift"))]
    {
        let written = Written::start(&format!("{ROOMS}{MAILBOX}a\n{lifecycle}")).await;
        turn_mailbox(&written, "b").await;
        let rest = ROOMS.split_once("---\n").unwrap().0;
        written.sandbox.write("set.yaml", &format!("{rest}---\n{MAILBOX}a\n{lifecycle}"));
        let command: Vec<&str> = ["apply", "--yes"].into_iter().chain(flag).collect();
        let refused = written.run(6, &command).await;
        let message = "Room/b would be deleted, but on the platform `room` of Mailbox/x@mail.localhost refers to it";
        assert!(refused.stderr.contains(message), "{}", refused.stderr);
        written.platform.read("/rooms/b").await.expect(200);
        // Without what leaves it alone the mailbox is turned and the room goes.
        written.sandbox.write("set.yaml", &format!("{rest}---\n{MAILBOX}a\n"));
        written.run(0, &["apply", "--yes"]).await;
        written.platform.read("/rooms/b").await.expect(404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_out_of_scope_keeps_what_it_refers_to() {
    let written = Written::start(&format!("{ROOMS}{MAILBOX}b\n")).await;
    let rest = ROOMS.split_once("---\n").unwrap().0;
    written.sandbox.write("set.yaml", &format!("{rest}---\n{MAILBOX}a\n"));
    let refused = written.run(6, &["apply", "--yes", "--exclude", "Mailbox/*"]).await;
    assert!(refused.stderr.contains("Room/b would be deleted"), "{}", refused.stderr);
    written.run(0, &["apply", "--yes"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_renamed_by_hand_and_changed_in_its_document_waits() {
    let service = |image: &str| {
        format!(
            "{ROOMS}version: v1\nkind: Service\nmetadata: {{name: s}}\nroom: a\ncontainer: {{image: '{image}'}}\n"
        )
    };
    let written = Written::start(&service("x:1")).await;
    let mut found = services(&written, "a").await.remove(0);
    found["metadata"]["name"] = "theirs".into();
    let path = format!("/rooms/a/services/{}", found["id"].as_str().unwrap());
    written.platform.send("PUT", &path, found).await.expect(200);
    let left = ["plan", "--ignore-drift", "--exit-code"];
    written.run(0, &left).await;
    written.sandbox.write("set.yaml", &service("x:2"));
    let planned = written.run(3, &left).await;
    let told = planned.stdout + &planned.stderr;
    assert!(
        told.contains("the changes of its document wait until it has the declared name again"),
        "{told}"
    );
    assert!(told.contains("; 1 waiting"), "{told}");
    written.run(0, &["apply", "--yes"]).await;
    written.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_anew_under_another_name_takes_along_what_is_ignored() {
    let task = "version: v1\nkind: ScheduledTask\nmetadata: {name: t}\nroom: a\nqueue: q\nschedule: '0 8 * * 1'\n";
    let both = format!("{ROOMS}{MAILBOX}a\nlifecycle: {{ignore: [queue]}}\n---\n{task}");
    let written = Written::start(&both).await;
    turn_mailbox(&written, "a").await;
    let tasks = written.platform.read("/scheduled-tasks").await.expect(200).json();
    let mut found = tasks["tasks"][0].clone();
    found["active"] = false.into();
    let path = format!("/scheduled-tasks/{}", found["id"].as_str().unwrap());
    written.platform.send("PUT", &path, found).await.expect(200);
    let renamed = both
        .replace("x@mail", "y@mail")
        .replace("[queue]", "[queue], moved_from: x@mail.localhost")
        .replace("{name: t}", "{name: t2}");
    let renamed = format!("{renamed}lifecycle: {{ignore: [active], moved_from: t}}\n");
    written.sandbox.write("set.yaml", &renamed);
    written.run(0, &["apply", "--yes"]).await;
    let mailbox = written.platform.read("/mailboxes/y@mail.localhost").await.expect(200).json();
    assert_eq!(mailbox["mailbox"]["queue"], "theirs", "{mailbox}");
    let tasks = written.platform.read("/scheduled-tasks").await.expect(200).json();
    assert_eq!(tasks["tasks"][0]["active"], false, "{tasks}");
    written.settled().await;
}

/// An empty map may mean more than none: an empty scope grants all that it could name.
/// What was not sent while it was ignored is a change of the document afterwards, and no drift.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ignored_any_more_is_no_drift() {
    let room = |value: &str, rule: &str| {
        format!(
            "version: v1\nkind: Room\nmetadata: {{name: lobby, annotations: {{k: {value}}}}}\n{rule}"
        )
    };
    let rule = "lifecycle: {ignore: ['metadata.annotations.k']}\n";
    let written = Written::start(&room("v", rule)).await;
    written.sandbox.write("set.yaml", &room("w", rule));
    written.run(0, &["apply", "--yes"]).await;
    written.sandbox.write("set.yaml", &room("w", ""));
    let plan = written.run(0, &["plan"]).await;
    assert!(plan.stdout.contains("\"v\" → \"w\""), "{}", plan.stdout);
    assert!(!plan.stdout.contains("drift"), "{}", plan.stdout);
    written.run(0, &["plan", "--drift-only", "--exit-code"]).await;
    written.run(0, &["apply", "--yes", "--ignore-drift"]).await;
    let read = written.platform.read("/rooms/lobby").await.expect(200).json();
    assert_eq!(read["annotations"]["k"], "w");
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_that_is_left_alone_leaves_no_empty_map_behind() {
    let head = "version: v1\nkind: Room\nmetadata: {name: r}\n---\nversion: v1\nkind: Service\nmetadata: {name: s}\nroom: r\n";
    let token = "container: {image: 'x:1', environment: [{name: T, token: {identity: i, api: {admin: {config: false}, queues: {list: false}}}}]}\n";
    for (rest, by_hand) in [
        (token, json!({"/container/environment/0/token/api/admin": null})),
        (
            "external: {url: 'https://x.example.com'}\n",
            json!({"/external": null, "/container": {"image": "x:1"}}),
        ),
        (
            "container: {image: 'x:1', api_key: {role: admin, name: key}}\n",
            json!({"/container/api_key": null}),
        ),
    ] {
        let written = Written::start(&format!("{head}{rest}")).await;
        let mut service = services(&written, "r").await.remove(0);
        for (place, value) in by_hand.as_object().unwrap() {
            *service.pointer_mut(place).unwrap() = value.clone();
        }
        let path = format!("/rooms/r/services/{}", service["id"].as_str().unwrap());
        written.platform.send("PUT", &path, service).await.expect(200);
        let mut service = services(&written, "r").await.remove(0);
        let described = head.replace("{name: s}", "{name: s, description: new}");
        written.sandbox.write("set.yaml", &format!("{described}{rest}"));
        written.run(0, &["apply", "--yes", "--ignore-drift"]).await;
        service["metadata"]["description"] = json!("new");
        assert_eq!(services(&written, "r").await, [service], "{rest}");
    }
}
