//! A project goes by its name as well as by its id, and a list of nothing is a list.

use crate::cli::{Run, Sandbox};

/// Every command that lists what is in a project.
const LISTS: [&[&str]; 8] = [
    &["rooms", "list"],
    &["mailbox", "list"],
    &["route", "list"],
    &["scheduled-task", "list"],
    &["secret", "list"],
    &["service", "list"],
    &["session", "list"],
    &["webhook", "list"],
];

#[test]
fn a_project_goes_by_its_name_everywhere() {
    let sandbox = Sandbox::new();
    let id = sandbox.embedded(0, &["project", "create", "acme support"]).stdout;
    let id = id.trim();
    sandbox.embedded(0, &["rooms", "create", "--name", "lobby", "--project-id", "acme support"]);
    for project in ["acme support", id] {
        let rooms = sandbox.embedded(0, &["rooms", "list", "-q", "--project-id", project]);
        assert_eq!(rooms.stdout, "lobby\n");
    }
    for words in LISTS {
        sandbox.embedded(0, &[words, &["--project-id", "acme support"]].concat());
        let run = sandbox.embedded(1, &[words, &["--project-id", "nowhere"]].concat());
        assert!(run.stderr.contains("there is no project \"nowhere\""), "{}", run.stderr);
    }
    sandbox.write("m.yaml", "version: v1\nkind: Room\nmetadata: {name: hall}\n");
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes", "--project-id", "acme support"]);
    sandbox.embedded(0, &["export", "-d", "out", "--project-id", "acme support"]);
    let update = ["rooms", "update", "--name", "hall", "--new-name", "attic"];
    sandbox.embedded(0, &[&update[..], &["--project-id", "acme support"]].concat());
    let activated = sandbox.embedded(0, &["project", "activate", "acme support"]);
    assert_eq!(activated.stdout.trim(), id);
    assert_eq!(sandbox.embedded(0, &["rooms", "list", "-q"]).stdout, "attic\nlobby\n");
}

/// What is activated on an embedded platform is none of another platform's projects, and the other
/// way round.
#[test]
fn what_is_activated_on_an_embedded_platform_stays_there() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path(".meshagent")).unwrap();
    let hosted = "{\"active_project\": \"p-1\", \"active_api_keys\": {\"p-1\": \"ma-x\"}}";
    sandbox.write(".meshagent/project.json", hosted);
    let id = sandbox.embedded(0, &["project", "create", "shop"]).stdout;
    let table = ["project", "list", "-o", "table"];
    assert!(!sandbox.embedded(0, &table).stdout.contains('*'));
    sandbox.embedded(0, &["project", "activate", "shop"]);
    assert!(sandbox.embedded(0, &table).stdout.contains(&format!("{}  *shop", id.trim())));
    let there = std::fs::read_to_string(sandbox.path(".meshagent/project.json")).unwrap();
    assert_eq!(there, hosted);
    let other = sandbox.run(&["project", "list", "-o", "table", "--embedded=other"]);
    assert!(other.stdout.contains("default") && !other.stdout.contains('*'), "{}", other.stdout);
}

#[test]
fn a_list_of_nothing_is_no_failure() {
    let sandbox = Sandbox::new();
    for words in LISTS {
        let table = sandbox.embedded(0, &[words, &["-o", "table"]].concat());
        assert!(table.stdout.is_empty() && table.stderr.contains("there are no "), "{words:?}");
        sandbox.embedded(0, &[words, &["-o", "json"]].concat()).json();
        assert_eq!(sandbox.embedded(0, &[words, &["-q"]].concat()).stdout, "");
    }
}

#[test]
fn what_is_created_prints_its_id_alone() {
    let sandbox = Sandbox::with_platform();
    let create = ["webhook", "create", "--name", "w", "--url", "http://x", "-e", "*"];
    let made = sandbox.embedded(0, &create);
    assert_eq!(made.stdout, sandbox.embedded(0, &["webhook", "list", "-q"]).stdout);
    assert_eq!(made.stdout.lines().count(), 1);
    assert_eq!(made.stderr, "created Webhook/w\n");
    sandbox.embedded(0, &["webhook", "delete", made.stdout.trim()]);
}

/// Without a display there is no browser, and nobody reads what goes into a pipe.
#[test]
fn signing_in_where_nobody_can_ends_at_once() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["auth", "login", "--api-url", "http://127.0.0.1:9"]);
    let started = std::time::Instant::now();
    let run = Run::of(command.env("PATH", "/nowhere").output().unwrap());
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(
        run.stderr.starts_with("error: there is neither a terminal nor a browser"),
        "{}",
        run.stderr
    );
    assert!(started.elapsed().as_secs() < 20);
}
