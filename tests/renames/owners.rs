//! One thing, one key, one owner: spellings of addresses and domains, names that are one on
//! the whole platform, and objects that cannot say whose they are.

use meshagent::plan::planner::{Adopt, Policy, Prune};
use serde_json::{Value, json};

use super::{document, ids, mailbox, objects, room, secret, webhook};
use crate::hostile::proxy::Hostile;
use crate::reconciler::{World, describe, lines, policy};

fn route(domain: &str, room: &str, port: u16) -> Value {
    document("Route", domain, json!({"room": room, "port": port}))
}

fn in_project(project: &str, mut document: Value) -> Value {
    document["project"] = project.into();
    document
}

#[tokio::test(flavor = "multi_thread")]
async fn another_spelling_is_the_same_thing() {
    let world = World::start().await;
    world
        .run(
            &[room("r", ""), mailbox("Sales.Team", "r"), route("App.MeshAgent.app", "r", 80)],
            &policy("s"),
        )
        .await;
    let spelled = [room("r", ""), mailbox("SALES.team", "r"), route("app.meshagent.APP", "r", 80)];
    let again = world.plan(&spelled, &policy("s")).await;
    assert!(again.plan.is_empty(), "{}", describe(&again.plan));
    let changed = [room("r", ""), mailbox("sales.team", "r"), route("APP.meshagent.app", "r", 81)];
    let decided = world.run(&changed, &policy("s")).await;
    assert!(
        describe(&decided.plan).contains("1 to update, 2 unchanged"),
        "{}",
        describe(&decided.plan)
    );
    for documents in [
        [mailbox("a", "r"), mailbox("A", "r")],
        [route("x.meshagent.app", "r", 1), route("X.meshagent.app", "r", 2)],
    ] {
        let problems = world.set_of(&documents).unwrap_err();
        assert!(lines(&problems).contains("is declared twice, first at"), "{}", lines(&problems));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_spells_otherwise_is_read_changed_and_deleted() {
    let world = World::start().await;
    world.run(&[room("r", "")], &policy("s")).await;
    let path = ["accounts", "projects", &world.server.project, "mailboxes"];
    let body =
        json!({"address": "Info@mail.localhost", "room": "r", "queue": "q", "public": false});
    let create = meshagent::api::request::Request::post(&path, body);
    world.client.send(&create).await.unwrap();
    let documents = [room("r", ""), mailbox("info", "r")];
    let these = ["Mailbox/INFO@mail.localhost".to_owned()];
    let adopt = Policy { adopt: Adopt::These(these.into()), ..policy("s") };
    let decided = world.run(&documents, &adopt).await;
    assert!(describe(&decided.plan).contains("1 to adopt"), "{}", describe(&decided.plan));
    assert!(world.plan(&documents, &policy("s")).await.plan.is_empty());
    world.run(&[room("r", "")], &policy("s")).await;
    assert!(!objects(&world).await.keys().any(|key| key.name.contains("info")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_moves_between_projects_in_one_run() {
    let world = World::start().await;
    let projects = ["one", "two", "three"];
    let rest = projects.iter().flat_map(|project| {
        [document("Project", project, json!({})), in_project(project, room("r", ""))]
    });
    let rest: Vec<Value> = rest.collect();
    let set = |places: [(&str, &str); 3]| {
        let moved = places.iter().map(|(name, project)| in_project(project, mailbox(name, "r")));
        let routes = places.iter().map(|(name, project)| {
            in_project(project, route(&format!("{name}.meshagent.app"), "r", 80))
        });
        rest.iter().cloned().chain(moved).chain(routes).collect::<Vec<Value>>()
    };
    world.run(&set([("a", "one"), ("b", "two"), ("c", "three")]), &policy("s")).await;
    for _ in 0..3 {
        for places in [
            [("A", "two"), ("b", "three"), ("c", "one")],
            [("a", "one"), ("B", "two"), ("c", "three")],
        ] {
            let decided = world.run(&set(places), &policy("s")).await;
            assert!(
                describe(&decided.plan).contains("6 to create, 6 to delete"),
                "{}",
                describe(&decided.plan)
            );
            assert!(world.plan(&set(places), &policy("s")).await.plan.is_empty());
        }
    }
    // What is not given up is not taken.
    let keep = Policy { prune: Prune::None, ..policy("s") };
    let wanted = world.set_of(&set([("a", "two"), ("b", "two"), ("c", "three")])).unwrap();
    let error = world.decide(wanted, &keep).await.err().expect("a refusal");
    let text = lines(&error.problems);
    assert!(text.contains("Mailbox/a@mail.localhost is taken: project `one` has it"), "{text}");
    let twice = [in_project("one", mailbox("z", "r")), in_project("two", mailbox("Z", "r"))];
    let problems = world.set_of(&twice).unwrap_err();
    assert!(lines(&problems).contains("is declared twice, first at"), "{}", lines(&problems));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_another_project_has_is_refused_before_anything_is_written() {
    let mut world = World::start().await;
    let theirs = [
        document("Project", "one", json!({})),
        document("Project", "two", json!({})),
        in_project("one", room("r", "")),
        in_project("one", mailbox("help", "r")),
        in_project("one", route("shop.meshagent.app", "r", 80)),
    ];
    world.run(&theirs, &policy("a")).await;
    for taken in [mailbox("Help", "new"), route("SHOP.meshagent.app", "new", 80)] {
        // Nothing of the project that has it is read.
        let documents =
            [in_project("two", room("new", "")), in_project("two", taken), mailbox("free", "mine")];
        let documents = [&documents[..], &[room("mine", "")]].concat();
        let text = refusal(&world, &documents, &policy("b")).await;
        assert!(text.contains("is taken: another project has it"), "{text}");
        assert!(text.contains("all.yaml:"), "{text}");
    }
    // What is free costs one request each, and what is there none.
    let proxy = Hostile::in_front_of(&world.server).start().await;
    world.through(&proxy);
    let documents =
        [room("r", ""), mailbox("x", "r"), mailbox("y", "r"), route("z.meshagent.app", "r", 1)];
    let single = |requests: &std::collections::BTreeMap<String, u64>| -> u64 {
        let mine = requests.iter().filter(|(request, _)| {
            request.starts_with("GET")
                && (request.contains("/mailboxes/") || request.contains("/routes/"))
        });
        mine.map(|(_, count)| *count).sum()
    };
    let decided = world.plan(&documents, &policy("c")).await;
    assert_eq!(single(&proxy.requests()), 3, "{:?}", proxy.requests());
    world.apply(&decided).await;
    let before = single(&proxy.requests());
    assert!(world.plan(&documents, &policy("c")).await.plan.is_empty());
    assert_eq!(single(&proxy.requests()), before, "{:?}", proxy.requests());
}

/// What a set is refused with.
async fn refusal(world: &World, documents: &[Value], policy: &Policy) -> String {
    let set = world.set_of(documents).unwrap();
    match world.decide(set, policy).await {
        Ok(decided) => panic!("it was not refused: {}", describe(&decided.plan)),
        Err(error) => lines(&error.problems),
    }
}

fn adopting(set: &str) -> Policy {
    Policy { adopt: Adopt::All, ..policy(set) }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_set_owns_is_told_and_not_taken() {
    let world = World::start().await;
    world.run(&[secret("keys", "1"), webhook("hook")], &policy("a")).await;
    world.run(&[secret("other", "1")], &policy("third")).await;
    for documents in [[secret("keys", "2")], [webhook("hook")]] {
        for policy in [policy("b"), adopting("b")] {
            let text = refusal(&world, &documents, &policy).await;
            assert!(text.contains("is owned by the set `a`"), "{text}");
        }
    }
    let moved = super::from("other", secret("mine", "1"));
    let text = refusal(&world, &[moved], &adopting("b")).await;
    assert!(text.contains("Secret/other is owned by the set `third`"), "{text}");
    // What a set gave up is nobody's.
    world.run(&[webhook("hook")], &policy("a")).await;
    let there = ids(&world).await;
    world.run(&[secret("keys", "2")], &policy("b")).await;
    assert!(!there.contains_key("Secret/keys") && ids(&world).await.contains_key("Secret/keys"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_that_cannot_be_read_leaves_the_owner_unknown() {
    let mut world = World::start().await;
    world.run(&[secret("keys", "1")], &policy("a")).await;
    let path = ["projects", &world.server.project, "storage", "upload"];
    let spoil = |file: &str| {
        let request = meshagent::api::request::Request {
            body: meshagent::api::request::Body::Bytes(b"{".to_vec()),
            ..meshagent::api::request::Request::new(meshagent::api::request::Method::Post, &path)
        };
        request.query("path", file)
    };
    world.client.send(&spoil(".meshagent/sets/a.json")).await.unwrap();
    for policy in [policy("b"), adopting("b")] {
        let text = refusal(&world, &[secret("keys", "1")], &policy).await;
        assert!(text.contains("it is not known who owns Secret/keys"), "{text}");
        let error = world.decide(world.set_of(&[secret("keys", "1")]).unwrap(), &policy).await;
        let problems = error.err().expect("a refusal").problems;
        let hint = problems[0].hint.as_deref().unwrap_or_default();
        assert!(hint.contains(".meshagent/sets/a.json"), "{hint}");
    }
    world.client.send(&spoil(".meshagent/sets.json")).await.unwrap();
    let text = refusal(&world, &[secret("keys", "1")], &adopting("b")).await;
    assert!(text.contains("it is not known who owns Secret/keys"), "{text}");
    // Nothing is asked for where nothing is in question.
    let proxy = Hostile::in_front_of(&world.server).start().await;
    world.through(&proxy);
    let decided = world.plan(&[room("r", ""), webhook("new")], &policy("c")).await;
    assert!(describe(&decided.plan).contains("2 to create"));
    let requests = proxy.requests();
    let read = requests.iter().filter(|(request, _)| request.contains("/storage/download"));
    assert_eq!(read.map(|(_, count)| count).sum::<u64>(), 1, "{requests:?}");
}
