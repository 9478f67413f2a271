//! What is refused before anything is written: names that cannot be had, references to
//! names that are gone, and scopes that leave out what is needed.

use meshagent::plan::planner::{Policy, Prune};
use serde_json::{Value, json};

use super::{document, from, ids, mailbox, room, secret, service, webhook};
use crate::cli::{Run, Sandbox};
use crate::reconciler::{World, lines, policy};

/// What a plan of these documents is refused with, and that it is refused by a guard.
pub(super) async fn refused(world: &World, documents: &[Value]) -> String {
    let set = world.set_of(documents).unwrap();
    let error = world.decide(set, &policy("s")).await.err().expect("a refusal");
    assert_eq!(error.class, meshagent::error::Class::Refused, "{:?}", error.problems);
    let hints: String = error.problems.iter().filter_map(|problem| problem.hint.clone()).collect();
    lines(&error.problems) + &hints
}

#[tokio::test(flavor = "multi_thread")]
async fn two_documents_cannot_have_one_object() {
    let world = World::start().await;
    world.run(&[room("a", ""), webhook("w")], &policy("s")).await;
    let text = refused(&world, &[from("a", room("b", "")), from("a", room("c", ""))]).await;
    assert!(text.contains("Room/b and Room/c both name Room/a in `moved_from`"), "{text}");
    assert_eq!(text.matches("all.yaml:").count(), 2, "{text}");
    let text = refused(
        &world,
        &[room("a", ""), from("w", webhook("x")), from("w", webhook("y")), from("w", webhook("z"))],
    )
    .await;
    assert!(text.contains("Webhook/x and Webhook/z both"), "{text}");
    // Where it is nowhere, nobody claims anything.
    world.run(&[from("n", room("b", "")), from("n", room("c", ""))], &policy("other")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_to_a_former_name_is_refused_at_its_place() {
    let world = World::start().await;
    let task = |room: &str| {
        document("ScheduledTask", "t", json!({"room": room, "queue": "q", "schedule": "0 7 * * *"}))
    };
    let route =
        |room: &str| document("Route", "r.meshagent.app", json!({"room": room, "port": 80}));
    let services = |rooms: [&str; 2], secrets: [&str; 1]| {
        let container = json!({"image": "x", "secrets": secrets});
        service("bot", json!({"rooms": rooms, "container": container}))
    };
    let pulls =
        |name: &str| service("pull", json!({"container": {"image": "x", "pull_secret": name}}));
    let registry = |name: &str| {
        let fields = json!({"type": "docker", "server": "x", "username": "x", "password": "x"});
        document("Secret", name, fields)
    };
    let rest = [room("keep", ""), registry("pull-1")];
    let before = [
        room("a", ""),
        secret("old", ""),
        task("a"),
        route("a"),
        mailbox("m", "a"),
        services(["keep", "a"], ["old"]),
        pulls("pull-1"),
    ];
    let before: Vec<Value> = before.into_iter().chain(rest).collect();
    world.run(&before, &policy("s")).await;
    let there = ids(&world).await;
    let after = [
        from("a", room("b", "")),
        from("old", secret("new", "")),
        from("pull-1", registry("pull-2")),
        task("a"),
        route("a"),
        mailbox("m", "a"),
        services(["keep", "a"], ["old"]),
        pulls("pull-1"),
        room("keep", ""),
    ];
    let text = refused(&world, &after).await;
    for who in
        ["ScheduledTask/t", "Route/r.meshagent.app", "Mailbox/m@mail.localhost", "Service/bot@a"]
    {
        let expected = format!("{who} refers to Room/a, which this plan renames to Room/b");
        assert!(text.contains(&expected), "{who}: {text}");
    }
    for (who, expected) in [
        ("Service/bot@keep", "Secret/old, which this plan renames to Secret/new"),
        ("Service/pull", "Secret/pull-1, which this plan renames to Secret/pull-2"),
    ] {
        assert!(text.contains(&format!("{who} refers to {expected}")), "{who}: {text}");
    }
    assert!(text.contains("write `b` here"), "{text}");
    assert_eq!(ids(&world).await, there);
    // The name is another object's again, which is meant then.
    let again: Vec<Value> = after
        .iter()
        .cloned()
        .chain([room("a", "new"), secret("old", "new"), registry("pull-1")])
        .collect();
    world.run(&again, &policy("s")).await;
    assert!(world.plan(&again, &policy("s")).await.plan.is_empty());
    assert_eq!(ids(&world).await["Room/b"], there["Room/a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_somebody_else_has_cannot_be_taken() {
    let world = World::start().await;
    world.run(&[room("theirs", ""), secret("theirs", "x")], &policy("other")).await;
    let mut kept = room("kept", "");
    kept["lifecycle"] = json!({"prevent_destroy": true});
    world.run(&[room("a", ""), secret("a", "x"), kept], &policy("s")).await;
    for documents in [
        [from("a", room("theirs", "")), secret("a", "x")],
        [room("a", ""), from("a", secret("theirs", "x"))],
        [from("a", room("kept", "")), secret("a", "x")],
    ] {
        let text = refused(&world, &documents).await;
        assert!(text.contains("stays") || text.contains("protected"), "{text}");
    }
    // What the set does not own cannot be taken for what it has.
    let documents = [from("theirs", room("a", "")), secret("a", "x"), room("kept", "")];
    let decided = world.plan(&documents, &policy("s")).await;
    assert!(decided.plan.notes.iter().any(|note| note.contains("Room/theirs is not owned")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_object_of_a_former_name_is_not_deleted_in_passing() {
    let world = World::start().await;
    world.run(&[room("a", "1")], &policy("s")).await;
    let moved = from("a", room("b", "1"));
    world.run(std::slice::from_ref(&moved), &policy("s")).await;
    world.run(&[moved.clone(), room("a", "2")], &policy("s")).await;
    let there = ids(&world).await;
    let text = refused(&world, std::slice::from_ref(&moved)).await;
    assert!(
        text.contains("Room/a would be deleted, but Room/b names Room/a in `moved_from`"),
        "{text}"
    );
    // The hint works: what is there now takes the name.
    let keep = Policy { prune: Prune::None, ..policy("s") };
    world.run(&[room("b", "1")], &keep).await;
    world.run(&[moved], &policy("s")).await;
    assert_eq!(ids(&world).await["Room/b"], there["Room/a"]);
}

/// The hints with which a set is refused.
async fn hints(world: &World, documents: &[Value], set: &str) -> String {
    let error = world.decide(world.set_of(documents).unwrap(), &policy(set)).await.err();
    let problems = error.expect("a refusal").problems;
    problems.into_iter().filter_map(|problem| problem.hint).map(|hint| hint + "\n").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_still_says_a_former_name_is_told_the_new_one() {
    let world = World::start().await;
    let used = |name: &str, room: &str| {
        service("bot", json!({"room": room, "container": {"image": "i", "secrets": [name]}}))
    };
    world.run(&[room("lobby", ""), secret("token", "1")], &policy("base")).await;
    world.run(&[used("token", "lobby"), mailbox("help", "lobby")], &policy("bots")).await;
    let renamed = [from("lobby", room("entrance", "")), from("token", secret("key", "1"))];
    world.run(&renamed, &policy("base")).await;
    let told = hints(&world, &[used("token", "entrance")], "bots").await;
    assert_eq!(told, "Secret/key had that name before; write `key` here\n");
    let told = hints(&world, &[mailbox("help", "lobby")], "bots").await;
    assert_eq!(told, "Room/entrance had that name before; write `entrance` here\n");
    // The set that renamed it knows by itself.
    let still = [room("entrance", ""), secret("key", "1"), used("key", "lobby")];
    let told = hints(&world, &still, "base").await;
    assert_eq!(told, "Room/entrance had that name before; write `entrance` here\n");
    // Of a name that nothing ever had there is no new one to tell.
    let told = hints(&world, &[mailbox("help", "nowhere")], "bots").await;
    assert!(told.starts_with("declare it, fix the name, or name its project"), "{told}");
}

fn run(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    sandbox.run(&[arguments, &["--embedded"]].concat())
}

fn write(sandbox: &Sandbox, documents: &[Value]) {
    let texts: Vec<String> = documents.iter().map(|it| format!("{it}\n")).collect();
    sandbox.write("set.yaml", &texts.join("---\n"));
}

#[test]
fn a_scope_cannot_leave_out_what_it_needs() {
    let sandbox = Sandbox::new();
    let documents = [
        room("lobby", ""),
        secret("keys", "x"),
        service("bot", json!({"room": "lobby", "container": {"image": "x", "secrets": ["keys"]}})),
        mailbox("m", "lobby"),
    ];
    write(&sandbox, &documents);
    for (arguments, expected) in [
        (["--exclude", "Secret/*"], "Service/bot@lobby needs Secret/keys"),
        (["--exclude", "Room/lobby"], "Mailbox/m@mail.localhost needs Room/lobby"),
    ] {
        for command in ["plan", "apply"] {
            let mut all = vec![command, "-f", "set.yaml"];
            all.extend(arguments);
            if command == "apply" {
                all.push("--yes");
            }
            let run = run(&sandbox, &all);
            assert_eq!(run.code, 6, "{}", run.stderr);
            assert!(run.stderr.contains(expected), "{}", run.stderr);
            assert!(run.stderr.contains("set.yaml:"), "{}", run.stderr);
        }
    }
    // The hint works, and what is on the platform may be left out.
    assert_eq!(
        run(&sandbox, &["apply", "-f", "set.yaml", "--yes", "--target", "Secret/keys"]).code,
        0
    );
    let left_out = run(&sandbox, &["apply", "-f", "set.yaml", "--yes", "--exclude", "Secret/*"]);
    assert_eq!(left_out.code, 0, "{}", left_out.stderr);
}

#[test]
fn a_scope_takes_along_what_must_give_its_name_up() {
    let sandbox = Sandbox::new();
    write(&sandbox, &[room("a", "A"), room("b", "B")]);
    assert_eq!(run(&sandbox, &["apply", "-f", "set.yaml", "--yes"]).code, 0);
    write(&sandbox, &[from("a", room("b", "A")), from("b", room("c", "B"))]);
    let plan = run(&sandbox, &["plan", "-f", "set.yaml", "--target", "Room/b"]);
    assert!(plan.stdout.contains("2 to rename"), "{}{}", plan.stdout, plan.stderr);
    assert!(plan.stderr.contains("Room/c is in scope too"), "{}", plan.stderr);
    let plan = run(&sandbox, &["plan", "-f", "set.yaml", "--exclude", "Room/c"]);
    assert_eq!(plan.code, 6, "{}", plan.stdout);
    assert!(plan.stderr.contains("which is out of scope"), "{}", plan.stderr);
}

#[test]
fn a_project_that_is_to_be_created_cannot_be_left_out() {
    let sandbox = Sandbox::new();
    let mut inside = room("lobby", "");
    inside["project"] = "fresh".into();
    write(&sandbox, &[document("Project", "fresh", json!({})), inside]);
    let plan = run(&sandbox, &["plan", "-f", "set.yaml", "--exclude", "Project/*"]);
    assert_eq!(plan.code, 6, "{}{}", plan.stdout, plan.stderr);
    assert!(plan.stderr.contains("Room/lobby needs Project/fresh"), "{}", plan.stderr);
}

#[test]
fn a_saved_plan_goes_round_a_ring() {
    let sandbox = Sandbox::new();
    let uses = |name: &str| service("bot", json!({"container": {"image": "x", "secrets": [name]}}));
    let before = [
        room("a", "A"),
        room("b", "B"),
        room("c", "C"),
        room("d", "D"),
        secret("a", "A"),
        secret("b", "B"),
        secret("c", "C"),
        uses("c"),
        mailbox("m", "c"),
    ];
    write(&sandbox, &before);
    assert_eq!(run(&sandbox, &["apply", "-f", "set.yaml", "--yes"]).code, 0);
    let after = [
        from("a", room("b", "A2")),
        from("b", room("a", "B")),
        from("d", room("c", "D")),
        from("a", secret("c", "A")),
        secret("b", "B"),
        uses("c"),
        mailbox("m", "c"),
    ];
    write(&sandbox, &after);
    let plan = run(&sandbox, &["plan", "-f", "set.yaml", "--out", "plan.json"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let applied = run(&sandbox, &["apply", "plan.json", "--yes"]);
    assert_eq!(applied.code, 0, "{}{}{}", plan.stdout, applied.stdout, applied.stderr);
    let again = run(&sandbox, &["plan", "-f", "set.yaml", "--exit-code"]);
    assert_eq!(again.code, 0, "{}", again.stdout);
}
