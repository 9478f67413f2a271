//! Failures are told once, with what is to be done; a saved plan that does not fit is stale.

use std::fmt::Write as _;

use super::{all, room};
use crate::cli::Sandbox;

/// A secret that the platform refuses, because it is larger than a request may be, which only
/// the platform knows; and what waits for it.
const REFUSED: &str = "---
version: v1
kind: Secret
metadata: {name: refused}
type: keys
data: {A: {from: {file: most}}, B: {from: {file: most}}, C: {from: {file: rest}}}
---
version: v1
kind: Service
metadata: {name: waits}
room: fine
container: {image: x, secrets: [refused]}
ports: [{num: 80, published: true}]
---
version: v1
kind: Route
metadata: {name: a.meshagent.app}
room: fine
port: 80
";

#[test]
fn a_refusal_is_told_once_with_its_place_and_its_request() {
    let sandbox = Sandbox::new();
    // In a request each of these characters takes six bytes.
    sandbox.write("most", &"\u{1}".repeat(1024 * 1024));
    sandbox.write("rest", &"\u{1}".repeat(699_060));
    let set = room("fine", "") + REFUSED;
    sandbox.write("set.yaml", &set);
    let line = 1 + set.lines().position(|line| line.contains("name: refused")).unwrap();
    let apply = ["apply", "-f", "set.yaml", "--yes", "--allow-files", "."];
    let run = sandbox.embedded(4, &apply);
    let shown = all(&run);
    let is_told = |line: &&str| line.contains("Secret/refused") && line.starts_with("failed");
    let told: Vec<&str> = shown.lines().filter(is_told).collect();
    let [told] = told.as_slice() else { panic!("{told:?}") };
    let place = format!("; set.yaml:{line}:1; ");
    let (what, rest) = told.split_once(&place).expect(told);
    let why = what.strip_prefix("failed: create Secret/refused: ").unwrap();
    assert!(why.len() > 10 && !why.contains("POST") && !why.contains("413"), "{why}");
    assert!(rest.starts_with("POST /accounts/projects/"), "{rest}");
    assert!(rest.contains("/secrets was answered with 413"), "{rest}");
    assert_eq!(shown.matches("waits for Secret/refused").count(), 1, "{shown}");
    assert!(!shown.contains("again"), "{shown}");
    assert!(run.stderr.contains("hint: fix what the platform refused; then "), "{}", run.stderr);
    assert!(run.stdout.ends_with("Applied: 1 done, 1 failed, 2 skipped.\n"), "{}", run.stdout);

    let events = sandbox.embedded(1, &[&apply[..], &["-o", "json"]].concat()).events();
    let failed = events.iter().find(|event| event["status"] == "failed").unwrap();
    assert_eq!((&failed["code"], &failed["message"]), (&413.into(), &why.into()));
    assert!(failed["request"].as_str().unwrap().starts_with("POST /"), "{failed}");
}

#[test]
fn a_saved_plan_of_what_changed_is_stale() {
    let one = |x: u8| room("a", &format!("room_metadata: {{x: {x}}}\n"));
    let by_hand = |command: &'static [&str]| {
        move |sandbox: &Sandbox| {
            sandbox.embedded(0, command);
        }
    };
    let other = |sandbox: &Sandbox| {
        sandbox.write("other.yaml", &room("b", ""));
        sandbox.embedded(0, &["apply", "-f", "other.yaml", "--set", "other", "--yes"]);
    };
    let appeared = by_hand(&["rooms", "create", "--name", "b"]);
    let vanished = by_hand(&["rooms", "delete", "--name", "a"]);
    let changed = by_hand(&[
        "rooms",
        "update",
        "--name",
        "a",
        "--new-name",
        "a",
        "--annotations",
        "{\"x\": \"9\"}",
    ]);
    let referred = by_hand(&["rooms", "delete", "--name", "outside"]);
    let mailbox =
        "---\nversion: v1\nkind: Mailbox\nmetadata: {name: m@mail.meshagent.com}\nroom: outside\n";
    type Change<'a> = &'a dyn Fn(&Sandbox);
    let cases: [(&str, Change<'_>, String, &str); 6] = [
        ("appeared", &appeared, room("b", ""), "Room/b"),
        ("another set's", &other, room("b", ""), "Room/b is owned by the set `other`"),
        ("vanished", &vanished, String::new(), "Room/a"),
        ("changed", &changed, String::new(), "Room/a"),
        ("what it refers to vanished", &referred, mailbox.to_owned(), "outside"),
        (
            "manifest",
            &|it| it.write("set.yaml", "version: v1\nkind: Rom\n"),
            String::new(),
            "set.yaml",
        ),
    ];
    for (name, change, more, told) in cases {
        let sandbox = Sandbox::new();
        sandbox.write("set.yaml", &one(1));
        sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
        sandbox.embedded(0, &["rooms", "create", "--name", "outside"]);
        sandbox.write("set.yaml", &(one(2) + &more));
        sandbox.embedded(0, &["plan", "-f", "set.yaml", "--out", "plan.json"]);
        change(&sandbox);
        for form in ["text", "json"] {
            let run = sandbox.embedded(5, &["apply", "plan.json", "-o", form]);
            assert!(run.stderr.contains("the plan is stale"), "{name}: {}", run.stderr);
            assert!(run.stderr.contains(told), "{name}: {}", run.stderr);
            assert!(run.stderr.contains("hint: plan again"), "{name}: {}", run.stderr);
        }
    }
}

#[test]
fn a_saved_plan_for_another_project_than_expected_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", &room("a", ""));
    sandbox.embedded(0, &["plan", "-f", "set.yaml", "--out", "plan.json"]);
    let run = sandbox.embedded(6, &["apply", "plan.json", "--expect-project", "x"]);
    assert!(run.stderr.contains("but --expect-project is `x`"), "{}", run.stderr);
}

#[test]
fn what_a_stopped_run_did_not_start_is_one_line() {
    use meshagent::apply::execute::{Outcome, Report};
    use meshagent::commands::apply::report::summary;
    use meshagent::plan::{Effect, Operation, Plan, Sent, Why};
    let names = ["a", "b", "c\n::warning::d", "e", "f"];
    let operations = names.map(|name| {
        let key = meshagent::kinds::Key::new(meshagent::kinds::KindName::Room, "p", None, name);
        let fields = meshagent::kinds::tree::Tree::map([]).into();
        let sent = Sent::new(fields, Vec::new());
        Operation::new(key, Effect::Create { sent, replaces: false }, Why::NotThere)
    });
    let plan = Plan { operations: operations.to_vec(), ..Plan::default() };
    let told = |done: usize| {
        let mut outcomes = vec![Outcome::NotStarted; names.len()];
        outcomes[..done].fill(Outcome::Done);
        summary(&plan, &Report::of(outcomes))
    };
    let mut expected = String::new();
    let c = "create Room/c\\n::warning::d";
    let _ = writeln!(expected, "not started: create Room/a, create Room/b, {c} and 2 more");
    assert_eq!(told(0), expected + "Applied: 5 not started.\n");
    assert_eq!(
        told(3),
        "not started: create Room/e, create Room/f\nApplied: 3 done, 2 not started.\n"
    );
    assert_eq!(told(5), "Applied: 5 done.\n");
}
