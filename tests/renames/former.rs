//! Several former names: documents that live on platforms which are at different stages.

use serde_json::{Value, json};

use super::refusals::refused;
use super::{Story, from, from_any, ids, mailbox, room, secret, service, webhook};
use crate::cli::Sandbox;
use crate::reconciler::{World, policy};

/// The same documents, wherever the object has got to.
#[tokio::test(flavor = "multi_thread")]
async fn one_set_of_documents_brings_every_stage_to_the_last_one() {
    let latest = |former: [&str; 2]| {
        [
            from_any(&former, room("c", "")),
            from_any(&former, secret("c", "x")),
            from_any(&former, webhook("c")),
            from_any(&former, service("c", json!({"container": {"image": "x"}}))),
        ]
    };
    let stages = |name: &str| {
        [
            room(name, ""),
            secret(name, "x"),
            webhook(name),
            service(name, json!({"container": {"image": "x"}})),
        ]
    };
    for former in [["a", "b"], ["b", "a"]] {
        for stage in ["a", "b", "c"] {
            let world = World::start().await;
            world.run(&stages(stage), &policy("s")).await;
            let before = ids(&world).await;
            world.run(&latest(former), &policy("s")).await;
            let after = ids(&world).await;
            for kind in ["Room", "Secret", "Webhook", "Service"] {
                let (was, is) = (format!("{kind}/{stage}"), format!("{kind}/c"));
                assert_eq!(before[&was], after[&is], "{kind} from {stage} by {former:?}");
            }
            assert_eq!(before.len(), after.len());
            let again = world.plan(&latest(former), &policy("s")).await;
            assert!(again.plan.is_empty() && again.plan.notes.is_empty(), "{:?}", again.plan.notes);
        }
        let world = World::start().await;
        let decided = world.run(&latest(former), &policy("s")).await;
        let note = format!(
            "Room/c does not exist, under this name or its former names Room/{}, Room/{}, so it is created",
            former[0], former[1]
        );
        assert!(decided.plan.notes.contains(&note), "{:?}", decided.plan.notes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_and_a_chain_of_objects_with_several_former_names() {
    Story {
        before: vec![
            secret("a", "A"),
            secret("b", "B"),
            secret("c", "C"),
            webhook("x"),
            webhook("y"),
            room("old", ""),
        ],
        after: vec![
            from_any(&["never", "a"], secret("b", "A")),
            from_any(&["b", "nowhere", "older"], secret("c", "B")),
            from_any(&["oldest", "c"], secret("a", "C")),
            from_any(&["y", "w"], webhook("z")),
            from_any(&["v", "x"], webhook("y")),
            webhook("x"),
            from_any(&["older", "old"], room("new", "")),
        ],
        becomes: vec![
            ("Secret/a", "Secret/b"),
            ("Secret/b", "Secret/c"),
            ("Secret/c", "Secret/a"),
            ("Webhook/x", "Webhook/y"),
            ("Webhook/y", "Webhook/z"),
            ("Room/old", "Room/new"),
        ],
    }
    .tell()
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_former_names_that_are_there_are_refused_with_all_of_them() {
    let world = World::start().await;
    let names = ["a", "b", "d"];
    let rooms = names.map(|name| room(name, ""));
    let rest = [webhook("a"), webhook("b"), mailbox("a", "a"), mailbox("b", "a")];
    world.run(&[&rooms[..], &rest].concat(), &policy("s")).await;
    let there = ids(&world).await;
    let told = async |documents: &[Value]| refused(&world, documents).await;
    // Declared or not, and whoever is meant.
    for others in [&rooms[..], &[]] {
        let text = told(&[others, &[from_any(&["b", "a"], room("c", ""))], &rest].concat()).await;
        let expected =
            "Room/c names Room/b and Room/a in `moved_from`, and both are on the platform";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("keep the name that the object has in `moved_from`"), "{text}");
    }
    let text = told(&[&rest[..], &[from_any(&names, room("c", ""))]].concat()).await;
    assert!(
        text.contains("names Room/a, Room/b, Room/d in `moved_from`, and they are all"),
        "{text}"
    );
    let text = told(&[&rooms[..], &[from_any(&["a", "b"], webhook("c"))]].concat()).await;
    assert!(
        text.contains("Webhook/c names Webhook/a and Webhook/b in `moved_from`, and both"),
        "{text}"
    );
    // What cannot be renamed in place was one object just as well.
    let box_names = ["a@mail.localhost", "b@mail.localhost"];
    let text = told(&[&rooms[..], &[from_any(&box_names, mailbox("c", "a"))]].concat()).await;
    assert!(text.contains("Mailbox/c@mail.localhost names Mailbox/a@mail."), "{text}");
    // Another set's counts as well.
    world.run(&[room("theirs", "")], &policy("other")).await;
    let moved = from_any(&["theirs", "d"], room("c", ""));
    let text = told(&[&rooms[..2], &rest, &[moved]].concat()).await;
    assert!(text.contains("Room/theirs and Room/d in `moved_from`, and both"), "{text}");
    let mut now = ids(&world).await;
    now.remove("Room/theirs");
    assert_eq!(now, there);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_got_a_former_name_later_is_another_object() {
    let world = World::start().await;
    world.run(&[room("a", "1")], &policy("s")).await;
    world.run(&[from("a", room("b", "1")), room("a", "2")], &policy("s")).await;
    let there = ids(&world).await;
    // The set knows that `b` was `a`, so the new `a` is not meant.
    let after = [from_any(&["a", "b"], room("c", "1")), room("a", "2")];
    world.run(&after, &policy("s")).await;
    let now = ids(&world).await;
    assert_eq!((&now["Room/c"], &now["Room/a"]), (&there["Room/b"], &there["Room/a"]));
    // A name that is added for the sake of another platform means nothing here.
    world.run(&[after[0].clone(), room("a", "2"), room("z", "3")], &policy("s")).await;
    let longer = [from_any(&["z", "b", "a"], room("c", "1")), room("a", "2"), room("z", "3")];
    assert!(world.plan(&longer, &policy("s")).await.plan.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_with_several_former_addresses_takes_the_place_of_the_one_that_is_there() {
    for stage in ["a", "b"] {
        let world = World::start().await;
        world.run(&[room("r", ""), mailbox(stage, "r")], &policy("s")).await;
        let former = ["a@mail.localhost", "b@mail.localhost"];
        let moved = [room("r", ""), from_any(&former, mailbox("c", "r"))];
        let decided = world.run(&moved, &policy("s")).await;
        let expected = format!("Mailbox/{stage}@mail.localhost cannot be renamed in place");
        let reasons: Vec<&str> =
            decided.plan.operations.iter().map(|it| it.reason.text.as_str()).collect();
        assert!(reasons.iter().any(|reason| reason.starts_with(&expected)), "{reasons:?}");
        assert!(world.plan(&moved, &policy("s")).await.plan.is_empty());
    }
}

/// What a document costs that says what its object was called, once that is dealt with.
#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_of_an_earlier_version_is_read() {
    let world = World::start().await;
    world.run(&[room("a", "")], &policy("s")).await;
    let single = [from("a", room("b", ""))];
    let decided = world.run(&single, &policy("s")).await;
    let stored =
        serde_json::to_value(&decided.plan.operations[0].entry.as_ref().unwrap().moved_from);
    // One name is written as it always was.
    assert_eq!(stored.unwrap(), json!("a"));
    let listed = [from_any(&["a"], room("b", ""))];
    assert!(world.plan(&listed, &policy("s")).await.plan.is_empty());
}

#[test]
fn export_and_accept_leave_a_list_of_former_names_as_it_is() {
    let sandbox = Sandbox::new();
    let before = "version: v1\nkind: Room\nmetadata: {name: a, annotations: {note: x}}\n";
    sandbox.write("set.yaml", before);
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    let text = "version: v1\nkind: Room\nmetadata: {name: c, annotations: {note: x}} # here\nlifecycle:\n  moved_from: # the names\n    - b\n    - \"a\"   # the first\n";
    sandbox.write("set.yaml", text);
    sandbox.embedded(0, &["apply", "-f", "set.yaml", "--yes"]);
    let update = [
        "rooms",
        "update",
        "--name",
        "c",
        "--new-name",
        "c",
        "--annotations",
        "{\"note\":\"later\"}",
    ];
    sandbox.embedded(0, &update);
    sandbox.embedded(0, &["accept", "-f", "set.yaml"]);
    let accepted = std::fs::read_to_string(sandbox.path("set.yaml")).unwrap();
    assert_eq!(accepted, text.replace("note: x", "note: later"));
    let planned = sandbox.embedded(0, &["plan", "-f", "set.yaml"]);
    assert!(planned.stdout.starts_with("Nothing to change"), "{}", planned.stdout);
    // What an object was called elsewhere, or before, is no state of the platform.
    sandbox.embedded(0, &["export", "-d", "exported", "--set", "default"]);
    let exported = std::fs::read_to_string(sandbox.path("exported/room/c.yaml")).unwrap();
    assert!(!exported.contains("moved_from"), "{exported}");
    let planned = sandbox.embedded(0, &["plan", "-f", "exported"]);
    assert!(planned.stdout.starts_with("Nothing to change"), "{}", planned.stdout);
}

#[test]
fn a_list_of_former_names_is_checked_name_by_name() {
    let sandbox = Sandbox::new();
    let many: Vec<String> = (0..65).map(|number| format!("r{number}")).collect();
    let many = format!("[{}]", many.join(", "));
    for (names, expected) in [
        ("[a, Room/b]", "m.yaml:5:19: `moved_from` must be just the former name, not `Room/b`"),
        ("[a, '']", "m.yaml:5:19: `moved_from` must not be empty"),
        ("[a, 7]", "`lifecycle.moved_from[1]` is a number, not text"),
        ("[a, b, a]", "`lifecycle.moved_from` has duplicate items"),
        ("{a: b}", "`lifecycle.moved_from` is a map, not text or a list"),
        (&many, "`lifecycle.moved_from` has more than 64 items"),
    ] {
        let text = format!(
            "version: v1\nkind: Room\nmetadata: {{name: r}}\nlifecycle:\n  moved_from: {names}\n"
        );
        sandbox.write("m.yaml", &text);
        let told = sandbox.run(&["validate", "-f", "m.yaml", "--project-id", "p"]);
        assert_eq!(told.code, 2, "{}", told.stderr);
        assert!(told.stderr.contains(expected), "{names}: {}", told.stderr);
    }
    sandbox.write(
        "m.yaml",
        "version: v1\nkind: Room\nmetadata: {name: r}\nlifecycle: {moved_from: []}\n",
    );
    let told = sandbox.run(&["validate", "-f", "m.yaml", "--project-id", "p"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
}
