//! What a create that nobody learned the end of leaves in an inventory, which is no ownership,
//! and what somebody puts into a room while a plan waits.

use meshagent::apply::execute::{Outcome, Report};
use meshagent::plan::planner::{Adopt, Policy};
use serde_json::{Value, json};

use crate::cli::Sandbox;
use crate::hostile::plans;
use crate::hostile::proxy::{Fault, Hostile};
use crate::reconciler::{World, describe, lines, policy};

fn object(kind: &str, name: &str, fields: Value) -> Value {
    let mut document = json!({"version": "v1", "kind": kind, "metadata": {"name": name}});
    document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    document
}

fn room(name: &str) -> Value {
    object("Room", name, json!({}))
}

fn webhook(url: &str) -> Value {
    object("Webhook", "hook", json!({"url": url, "events": ["room.started"]}))
}

fn secret(fields: Value) -> Value {
    object("Secret", "keys", json!({"type": "keys", "data": fields}))
}

fn service(name: &str, room: &str) -> Value {
    object("Service", name, json!({"room": room, "container": {"image": "i"}}))
}

/// Applies with this fault at creates, so that one is left whose end nobody knows.
async fn leave_claim(world: &mut World, documents: &[Value], fault: Fault, path: &'static str) {
    let direct = world.client.clone();
    let fault = fault.on("POST").at(path);
    let proxy = Hostile::in_front_of(&world.server).with(fault).start().await;
    world.through(&proxy);
    let decided = world.plan(documents, &policy("s")).await;
    let report = world.perform(&decided, 1).await.unwrap();
    let is_open = |it: &Outcome| matches!(it, Outcome::Failed { refused: false, .. });
    assert_eq!(report.count(is_open), 1, "{report:?}");
    proxy.settled().await;
    world.client = direct;
}

const BUSY: Fault = Fault::Status(503);

/// Why there is no plan.
async fn refusal(world: &World, documents: &[Value], policy: &Policy) -> String {
    let set = world.set_of(documents).unwrap();
    match world.decide(set, policy).await {
        Ok(decided) => panic!("{}", describe(&decided.plan)),
        Err(error) => lines(&error.problems),
    }
}

/// Makes an object and leaves it to nobody.
async fn make_by_hand(world: &World, document: &Value) {
    let mut left = document.clone();
    left["lifecycle"] = json!({"delete": "orphan"});
    world.run(&[left, room("of-hand")], &policy("hand")).await;
    world.run(&[room("of-hand")], &policy("hand")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_made_under_a_claim_is_neither_changed_nor_deleted() {
    let cases = [
        (room("lobby"), room("lobby"), "/rooms", "Room/lobby"),
        (service("bot", "of-hand"), service("bot", "of-hand"), "/services", "Service/bot@of-hand"),
        (webhook("https://a.test/"), webhook("https://b.test/"), "/webhooks", "Webhook/hook"),
        (secret(json!({"A": "1"})), secret(json!({"B": "1"})), "/secrets", "Secret/keys"),
    ];
    for (ours, theirs, path, name) in cases {
        let mut world = World::start().await;
        world.run(&[room("of-hand")], &policy("hand")).await;
        world.run(&[room("ours")], &policy("s")).await;
        leave_claim(&mut world, &[room("ours"), ours.clone()], BUSY, path).await;
        make_by_hand(&world, &theirs).await;
        let told = refusal(&world, &[room("ours"), ours.clone()], &policy("s")).await;
        assert!(told.contains(&format!("{name} exists and is not owned by the set `s`")), "{told}");
        // What is declared no more is let go of, and shown as that.
        let decided = world.run(&[room("ours")], &policy("s")).await;
        let shown = describe(&decided.plan);
        assert!(shown.contains("Plan: 1 to release, 1 unchanged."), "{shown}");
        assert!(shown.contains("it is not known whether the set created it"), "{shown}");
        let adopting = Policy { adopt: Adopt::All, ..policy("t") };
        let there = world.plan(&[theirs], &adopting).await;
        assert!(describe(&there.plan).contains("1 to adopt"), "{}", describe(&there.plan));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_set_has_is_not_ours_by_a_claim() {
    let cases = [
        (webhook("https://a.test/"), "/webhooks", "Webhook/hook"),
        (secret(json!({"A": "1"})), "/secrets", "Secret/keys"),
    ];
    for (document, path, name) in cases {
        let mut world = World::start().await;
        leave_claim(&mut world, std::slice::from_ref(&document), BUSY, path).await;
        // A claim keeps others from what may come to be ours.
        world.run(std::slice::from_ref(&document), &policy("other")).await;
        let told = refusal(&world, &[document, room("r")], &policy("s")).await;
        assert!(told.contains(&format!("{name} is owned by the set `other`")), "{told}");
        let decided = world.run(&[room("r")], &policy("s")).await;
        assert!(describe(&decided.plan).contains("1 to release"), "{}", describe(&decided.plan));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_set_created_late_is_its_own_where_nobody_else_has_it() {
    let late = Fault::CommitsLate(std::time::Duration::from_millis(400));
    let cases = [
        (room("lobby"), "/rooms"),
        (webhook("https://a.test/"), "/webhooks"),
        (secret(json!({"A": "1"})), "/secrets"),
    ];
    for (document, path) in cases {
        let mut world = World::start().await;
        let documents = [room("r"), document.clone()];
        world.run(&documents[..1], &policy("s")).await;
        leave_claim(&mut world, &documents, late.clone(), path).await;
        let decided = world.run(&documents, &policy("s")).await;
        assert!(!describe(&decided.plan).contains("create"), "{}", describe(&decided.plan));
        // From now on it is, also without its document.
        let decided = world.run(&documents[..1], &policy("s")).await;
        assert!(describe(&decided.plan).contains("1 to delete"), "{}", describe(&decided.plan));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_set_created_late_goes_with_its_document_or_with_the_set() {
    let late = Fault::CommitsLate(std::time::Duration::from_millis(400));
    let cases = [
        (webhook("https://a.test/"), "/webhooks"),
        (secret(json!({"A": "1", "B": "2"})), "/secrets"),
    ];
    for (document, path) in cases {
        for destroy in [false, true] {
            let mut world = World::start().await;
            world.run(&[room("r")], &policy("s")).await;
            leave_claim(&mut world, &[room("r"), document.clone()], late.clone(), path).await;
            let policy = Policy { destroy, ..policy("s") };
            let decided = world.run(&[room("r")], &policy).await;
            let shown = describe(&decided.plan);
            assert!(shown.contains(if destroy { "2 to delete" } else { "1 to delete" }), "{shown}");
            assert!(!shown.contains("release"), "{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_for_a_sets_own_stays_that_when_its_update_fails() {
    let late = Fault::CommitsLate(std::time::Duration::from_millis(400));
    let cases = [
        (webhook("https://a.test/"), webhook("https://b.test/"), "/webhooks"),
        (secret(json!({"A": "1"})), secret(json!({"A": "2"})), "/secrets"),
    ];
    for (before, after, path) in cases {
        let mut world = World::start().await;
        leave_claim(&mut world, std::slice::from_ref(&before), late.clone(), path).await;
        let direct = world.client.clone();
        let fault = Fault::CutBody.on("PUT");
        let proxy = Hostile::in_front_of(&world.server).with(fault).start().await;
        world.through(&proxy);
        let decided = world.plan(std::slice::from_ref(&after), &policy("s")).await;
        let report = world.perform(&decided, 1).await.unwrap();
        assert_eq!(report.count(|it| *it == Outcome::Done), 0, "{report:?}");
        proxy.settled().await;
        world.client = direct;
        // Whether the update arrived or not, and whatever the documents say by now.
        let decided = world.run(&[room("r")], &policy("s")).await;
        assert!(describe(&decided.plan).contains("1 to delete"), "{}", describe(&decided.plan));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_name_in_the_list_of_sets_stops_what_hangs_on_it_alone() {
    let mut world = World::start().await;
    let late = Fault::CommitsLate(std::time::Duration::from_millis(400));
    leave_claim(&mut world, &[webhook("https://a.test/")], late, "/webhooks").await;
    let path =
        format!("/projects/{}/storage/upload?path=.meshagent/sets.json", world.server.project);
    let spoiled = json!({"version": 1, "sets": ["s", "x y", "/tmp/x"]});
    let upload = world.server.ask("POST", &path).bearer(&world.server.owner).json(&spoiled);
    assert!(upload.send().await.status < 300);
    let told = refusal(&world, &[webhook("https://a.test/")], &policy("s")).await;
    assert!(told.contains("it is not known who owns Webhook/hook"), "{told}");
    assert!(told.contains("\"/tmp/x\", which cannot be the name of a set"), "{told}");
    world.run(&[room("r")], &policy("fresh")).await;
    let sandbox = Sandbox::new();
    let proxy = Hostile::in_front_of(&world.server).start().await;
    let list = plans::run(&sandbox, &world.server, &proxy, &["set", "list"]).await;
    assert_eq!(list.code, 0, "{}", list.stderr);
    assert!(list.stdout.contains("fresh") && !list.stdout.contains("x y"), "{}", list.stdout);
    assert!(list.stderr.contains("it is skipped"), "{}", list.stderr);
}

/// Deletes the room `r` of a set by a plan after which `between` was applied by another one.
async fn delete_after(world: &World, between: &[Value]) -> Report {
    let decided = world.plan(&[room("kept")], &policy("s")).await;
    world.run(between, &policy("other")).await;
    world.perform(&decided, 1).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_stays_that_has_more_in_it_than_the_plan_saw() {
    let task = json!({"room": "r", "queue": "q", "schedule": "0 0 * * *", "payload": {}});
    let cases = [
        (service("theirs", "r"), "Service/theirs"),
        (object("Mailbox", "x@mail.localhost", json!({"room": "r"})), "Mailbox/x@mail.localhost"),
        (object("Route", "x.localhost", json!({"room": "r", "port": "80"})), "Route/x.localhost"),
        (object("ScheduledTask", "nightly", task), "ScheduledTask/nightly"),
    ];
    for (theirs, name) in cases {
        let world = World::start().await;
        let ours = [room("kept"), room("r"), service("ours", "r")];
        world.run(&ours, &policy("s")).await;
        let report = delete_after(&world, std::slice::from_ref(&theirs)).await;
        let stale = report.outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Stale { message, .. } => Some(message.as_str()),
            _ => None,
        });
        let stale = stale.unwrap_or_else(|| panic!("{report:?}"));
        let told = format!("Room/r contains more than when it was read: {name}");
        assert_eq!(stale, told);
        // It is still there, with what the others have in it.
        let again = world.plan(&[theirs], &policy("other")).await;
        assert_eq!((again.plan.operations.len(), again.plan.unchanged), (0, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_the_name_of_what_went_is_not_taken_for_it() {
    let world = World::start().await;
    world.run(&[room("kept"), room("r"), service("bot", "r")], &policy("s")).await;
    let decided = world.plan(&[room("kept")], &policy("s")).await;
    let listed = world.server.read("/rooms/r/services").await.json();
    let id = listed["services"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/rooms/r/services/{id}");
    assert!(world.server.own("DELETE", &path).send().await.status < 300);
    world.run(&[service("bot", "r")], &policy("other")).await;
    let report = world.perform(&decided, 1).await.unwrap();
    assert!(!report.is_complete(), "{report:?}");
    let again = world.plan(&[service("bot", "r")], &policy("other")).await;
    assert_eq!((again.plan.operations.len(), again.plan.unchanged), (0, 1));
    // Without it the same room goes.
    world.run(&[room("other")], &policy("other")).await;
    world.run(&[room("kept")], &policy("s")).await;
    world.server.read("/rooms/r").await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_of_the_projects_in_which_it_owns_something() {
    let world = World::start().await;
    let server = &world.server;
    server.other_project("second").await;
    let sandbox = Sandbox::new();
    let documents = |names: &[&str]| -> String {
        let room =
            |name: &&str| format!("---\nversion: v1\nkind: Room\nmetadata: {{name: {name}}}\n");
        names.iter().map(room).collect()
    };
    sandbox.write("set.yaml", &documents(&["a", "b"]));
    let refusing = Fault::Status(403).on("DELETE").times(1);
    let proxy = Hostile::in_front_of(server).with(refusing).start().await;
    let apply = ["apply", "-f", "set.yaml", "--yes", "--project-id", &server.project];
    let run = plans::run(&sandbox, server, &proxy, &apply).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    let destroy = ["destroy", "--yes"];
    let run = plans::run(&sandbox, server, &proxy, &destroy).await;
    assert_eq!(run.code, 4, "{}{}", run.stdout, run.stderr);
    let path =
        format!("/projects/{}/storage/download?path=.meshagent/sets/default.json", server.project);
    let inventory = server.ask("GET", &path).bearer(&server.owner).send().await.json();
    assert_eq!(inventory["projects"], json!([server.project]), "{inventory}");
    assert_eq!(inventory["objects"].as_array().map(Vec::len), Some(1), "{inventory}");
}
