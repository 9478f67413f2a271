//! A dry run is refused where the run is, and says what goes with what is deleted.

use crate::cli::{Run, Sandbox};

/// Runs the command dry, then for good, and expects both to end with this code.
#[track_caller]
fn both(sandbox: &Sandbox, code: i32, line: &[&str]) -> Run {
    let dry = sandbox.embedded(code, &[line, &["--dry-run"]].concat());
    sandbox.embedded(code, line);
    dry
}

#[track_caller]
fn tells(run: &Run, expected: &str) {
    assert!(run.stderr.contains(expected), "{expected:?} is not in\n{}", run.stderr);
}

const SET: &str = r"
version: v1
kind: Room
metadata: {name: lobby}
---
version: v1
kind: Room
metadata: {name: empty}
---
version: v1
kind: Secret
metadata: {name: used}
type: keys
data: {k: some-value}
---
version: v1
kind: Service
metadata: {name: bot}
room: lobby
container: {image: a/b:c, secrets: [used]}
lifecycle: {prevent_destroy: true}
---
version: v1
kind: Mailbox
metadata: {name: front@mail.localhost}
room: lobby
queue: q
";

fn applied() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", SET);
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--set", "team", "--yes"]);
    sandbox
}

#[test]
fn what_the_run_is_refused_the_dry_run_is_refused() {
    let sandbox = applied();
    let mailbox = ["mailbox", "create", "--queue", "q", "--room"];
    let run = both(&sandbox, 1, &[&mailbox[..], &["lobby", "--address", "a@example.org"]].concat());
    tells(&run, "which is not served");
    let run = both(&sandbox, 1, &[&mailbox[..], &["nowhere", "-a", "a@mail.localhost"]].concat());
    tells(&run, "Room/nowhere does not exist");
    tells(&both(&sandbox, 1, &["rooms", "create", "--name", "lobby"]), "Room/lobby already exists");
    let rename = ["rooms", "update", "--name", "empty", "--new-name", "lobby"];
    tells(&both(&sandbox, 1, &rename), "Room/lobby already exists");
    let secrets = sandbox.embedded(0, &["secret", "list", "-o", "json"]).json();
    let id = secrets.pointer("/secrets/0/id").and_then(|id| id.as_str()).unwrap().to_owned();
    let run = both(&sandbox, 1, &["secret", "delete", &id]);
    tells(&run, "Service/bot@lobby refers to");
    let project = sandbox.embedded(0, &["project", "create", "second", "--dry-run"]);
    assert!(project.stdout.contains("create Project/second"), "{}", project.stdout);
    sandbox.embedded(0, &["project", "create", "second"]);
    tells(&both(&sandbox, 1, &["project", "create", "second"]), "second");
    // What is not refused is shown, for the project as it was named.
    let room = sandbox.embedded(0, &["rooms", "create", "--name", "x", "--dry-run"]);
    assert!(room.stdout.contains("create Room/x"), "{}", room.stdout);
    assert!(!room.stdout.contains(": {}"), "{}", room.stdout);
    let named = ["rooms", "create", "--name", "x", "--dry-run", "--project-id", "second"];
    let named = sandbox.embedded(0, &named);
    assert!(named.stdout.starts_with("Plan for second on "), "{}", named.stdout);
    let projects = sandbox.embedded(0, &["project", "list", "-o", "json"]).json();
    let list = projects.get("projects").and_then(|it| it.as_array()).unwrap();
    let second = list.iter().find(|it| it["name"] == "second").unwrap();
    let by_id = ["--dry-run", "--project-id", second["id"].as_str().unwrap()];
    let by_id = sandbox.embedded(0, &[&["rooms", "create", "--name", "x"], &by_id[..]].concat());
    assert_eq!(by_id.stdout, named.stdout);
}

#[test]
fn what_breaks_a_rule_of_form_is_refused_in_the_same_words() {
    let sandbox = applied();
    let webhook = ["webhook", "create", "--name", "w", "--url"];
    let lines: [(&[&str], &str); 9] = [
        (&["rooms", "create", "--name", "Bad Name"], "must be"),
        (&["rooms", "create", "--name", ""], "must"),
        (&["rooms", "update", "--name", "empty", "--new-name", "Bad Name"], "must be"),
        (&["route", "create", "-d", "a.example.com", "-p", "99999", "--room", "lobby"], "65535"),
        (&["project", "create", ""], "must not be empty"),
        (&["api-key", "create", ""], "must not be empty"),
        (&[&webhook[..], &["nowhere", "--event", "room.started"]].concat(), "http or https URL"),
        (&[&webhook[..], &["https://a.org", "--event", "room.x"]].concat(), "unknown event"),
        (&["secret", "key", "create", "--name", "", "--data", "A=b"], "must not be empty"),
    ];
    for (line, words) in lines {
        let dry = sandbox.embedded(1, &[line, &["--dry-run"]].concat());
        let run = sandbox.embedded(1, line);
        tells(&dry, words);
        tells(&run, words);
        assert!(dry.stdout.is_empty(), "{}", dry.stdout);
    }
    let renamed = ["rooms", "update", "--name", "empty", "--new-name", "Bad Name"];
    for more in [&[][..], &["--dry-run"]] {
        let run = sandbox.embedded(1, &[&renamed[..], more].concat());
        tells(&run, "Room/empty");
        assert!(!run.stderr.contains("Room/Bad Name"), "{}", run.stderr);
    }
}

#[test]
fn what_goes_with_a_room_is_told_before_it_goes() {
    let sandbox = applied();
    let run = sandbox.embedded(0, &["rooms", "delete", "--name", "lobby", "--dry-run"]);
    tells(
        &run,
        "Service/bot@lobby, which the set `team` owns and protects, will be deleted with the room",
    );
    tells(&run, "Mailbox/front@mail.localhost");
    let run = both(&sandbox, 0, &["rooms", "delete", "--name", "empty"]);
    assert!(!run.stderr.contains("deleted with"), "{}", run.stderr);
}
