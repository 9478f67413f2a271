//! Who has which roles, on the embedded platform and on one that tells less.

mod others;
mod own;
mod told;

use std::time::Duration;

use meshagent::api::client::Client;
use meshagent::api::spoken::Spoken;
use meshagent::apply::execute::{Options, Outcome};
use meshagent::plan::planner::{Adopt, Policy};
use serde_json::{Value, json};

use super::stand_in::{PROJECT, StandIn};
use crate::hostile::proxy::{Fault, Hostile, Running};
use crate::reconciler::{World, describe, destroying, policy};

fn document(kind: &str, name: &str, rest: Value) -> Value {
    let mut document = json!({"version": "v1", "kind": kind, "metadata": {"name": name}});
    crate::registry::documents::merge(&mut document, rest);
    document
}

fn grant(name: &str, roles: &[&str]) -> Value {
    document("RoleGrant", name, json!({ "roles": roles }))
}

fn in_lobby(name: &str, roles: &[&str]) -> Value {
    document("RoleGrant", name, json!({"roles": roles, "room": "lobby"}))
}

fn lobby() -> Value {
    document("Room", "lobby", json!({}))
}

/// Asks as a client of 0.56 does.
async fn get(world: &World, path: &str) -> Value {
    let reply = world.server.own("GET", path).header("consistency", "fast").send().await;
    reply.expect(200).json()
}

async fn post(world: &World, path: &str, body: Value) {
    let request = world.server.own("POST", path).header("consistency", "fast").json(&body);
    request.send().await.expect(200);
}

/// The path of the policy of the project, or of the room `lobby`.
async fn of(world: &World, room: bool) -> String {
    match room {
        true => {
            let room = get(world, "/rooms/lobby").await;
            format!("/iam/room/{}/policy", room["id"].as_str().expect("an id"))
        }
        false => format!("/iam/project/{}/policy", world.server.project),
    }
}

/// Who has which roles, without the owner, in the order of the names.
async fn policy_of(world: &World, room: bool) -> Vec<String> {
    let path = of(world, room).await;
    let answer = get(world, &path).await;
    let told = |line: &Value| {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let mut roles: Vec<String> =
            line["direct_roles"].as_array().expect("roles").iter().map(text).collect();
        roles.sort();
        format!("{} {}", text(&line["subject"]["name"]), roles.join(","))
    };
    let lines = answer["access_grants"].as_array().expect("a list").iter();
    let mut all: Vec<String> = lines.map(told).collect();
    all.retain(|line| !line.starts_with("owner@"));
    all.sort();
    all
}

/// Goes through a proxy that does no harm, and counts.
async fn watched(world: &mut World) -> Running {
    let url = world.server.url.clone();
    let proxy = Hostile::before(&url, crate::platform::harness::client()).start().await;
    world.through(&proxy);
    proxy
}

async fn refused(world: &World, documents: &[Value], policy: &Policy) -> String {
    let set = world.set_of(documents).expect("a set");
    let error = world.decide(set, policy).await.err().expect("a refusal");
    format!("{error} {:?}", error.problems)
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_are_made_changed_and_taken_back_with_few_requests() {
    let mut world = World::speaking(Spoken::V0_56).await;
    let set = |project: &[&str], account: &[&str], room: &[&str]| {
        vec![
            lobby(),
            document("ServiceAccount", "bot", json!({})),
            grant("user:Ada@x.example", project),
            grant("service_account:bot", account),
            in_lobby("user:ada@x.example", room),
        ]
    };
    let first = set(&["developer"], &["room_creator"], &["viewer", "operator"]);
    let made = world.run(&first, &policy("s")).await;
    let told = describe(&made.plan);
    assert!(!told.contains("every room"), "{told}");
    assert_eq!(
        policy_of(&world, false).await,
        ["ada@x.example developer,member", "bot room_creator"]
    );
    assert_eq!(policy_of(&world, true).await, ["ada@x.example operator,viewer"]);
    for same in
        [first.clone(), set(&["member", "developer"], &["room_creator"], &["operator", "viewer"])]
    {
        let again = world.plan(&same, &policy("s")).await;
        assert!(again.plan.is_empty(), "{}", describe(&again.plan));
    }
    let proxy = watched(&mut world).await;
    let steps = [
        // More of each is one request each.
        (
            set(
                &["developer", "room_creator"],
                &["room_creator", "agent_creator"],
                &["viewer", "operator", "developer"],
            ),
            3,
        ),
        // A person's roles in the project are said at once; other ones are taken back and given.
        (set(&["room_creator"], &["agent_creator"], &["viewer"]), 5),
        // Admin is more than developer, and the other one goes all the same.
        (set(&["admin"], &["agent_creator"], &["viewer"]), 1),
    ];
    let is_of_access = |write: &String| write.contains("policy:") || write.contains("/users/");
    let mut before = 0;
    for (documents, writes) in steps {
        world.run(&documents, &policy("s")).await;
        let count = proxy.writes().iter().filter(|it| is_of_access(it)).count();
        assert_eq!(count - before, writes, "{:?}", proxy.writes());
        before = count;
        let again = world.plan(&documents, &policy("s")).await;
        assert!(again.plan.is_empty(), "{}", describe(&again.plan));
    }
    assert_eq!(policy_of(&world, false).await, ["ada@x.example admin,member", "bot agent_creator"]);
    assert_eq!(policy_of(&world, true).await, ["ada@x.example viewer"]);
    // The room's grant goes before the project's, with which the person leaves.
    let gone = world.run(&first[..2], &policy("s")).await;
    let keys: Vec<String> = gone.plan.operations.iter().map(|it| it.key.to_string()).collect();
    let at = |key: &str| keys.iter().position(|it| it == key).expect(key);
    assert!(at("RoleGrant/user:ada@x.example@lobby") < at("RoleGrant/user:ada@x.example"));
    assert_eq!(policy_of(&world, false).await, Vec::<String>::new());
    assert!(world.plan(&first[..2], &policy("s")).await.plan.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_stopped_half_way_is_finished_by_the_next_run() {
    for fault in [Fault::Status(403), Fault::DropBefore, Fault::Status(500)] {
        let mut world = World::of_kind(Spoken::V0_56, meshagent::kinds::KindName::RoleGrant).await;
        let set = |roles: &[&str]| [lobby(), in_lobby("user:ada@example.com", roles)];
        world.run(&set(&["operator", "viewer"]), &policy("s")).await;
        let url = world.server.url.clone();
        let mischief = fault.clone().on("POST").at("policy:grant").times(1000);
        let proxy = Hostile::before(&url, crate::platform::harness::client()).with(mischief);
        let proxy = proxy.start().await;
        let direct = world.client.clone();
        world.through(&proxy);
        let plan = world.plan(&set(&["viewer"]), &policy("s")).await;
        let options = Options { first_wait: Duration::from_millis(1), ..Options::standard(4) };
        let report = world.perform_with(&plan, &options).await.expect("a report");
        let [Outcome::Failed { message, refused: false, .. }] = report.outcomes.as_slice() else {
            panic!("{fault:?}: {report:?}")
        };
        assert!(message.contains("not all of it was written"), "{message}");
        world.client = direct;
        assert_eq!(policy_of(&world, true).await, Vec::<String>::new());
        world.run(&set(&["viewer"]), &policy("s")).await;
        assert_eq!(policy_of(&world, true).await, ["ada@example.com viewer"], "{fault:?}");
        assert!(world.plan(&set(&["viewer"]), &policy("s")).await.plan.is_empty());
    }
}

/// A platform in trouble takes no access away: what was granted is granted again, and what could
/// not be is created by the next run, whatever it does about drift.
#[tokio::test(flavor = "multi_thread")]
async fn no_access_is_lost_between_taking_back_and_granting() {
    let account = || document("ServiceAccount", "bot", json!({}));
    let with = |roles: &[&str]| vec![account(), grant("service_account:bot", roles)];
    let grants = "policy:grant";
    let passing = [
        Fault::Status(503).on("POST").at(grants).times(2),
        Fault::DropAfter.on("POST").at(grants).times(1),
        Fault::DropAfter.on("POST").at("policy:revoke").times(1),
    ];
    for fault in passing {
        let mut world = World::speaking(Spoken::V0_56).await;
        world.run(&with(&["developer", "room_creator"]), &policy("s")).await;
        let decided = world.plan(&with(&["room_creator"]), &policy("s")).await;
        let proxy = Hostile::in_front_of(&world.server).with(fault.clone()).start().await;
        world.through(&proxy);
        let report = world
            .perform_with(
                &decided,
                &Options { first_wait: Duration::from_millis(1), ..Options::standard(4) },
            )
            .await
            .unwrap();
        assert!(report.is_complete(), "{fault:?}: {report:?}");
        assert_eq!(policy_of(&world, false).await, ["bot room_creator"], "{fault:?}");
    }

    let mut world = World::speaking(Spoken::V0_56).await;
    world.run(&with(&["developer", "room_creator"]), &policy("s")).await;
    let decided = world.plan(&with(&["room_creator"]), &policy("s")).await;
    let lasting = Fault::Status(503).on("POST").at(grants);
    let proxy = Hostile::in_front_of(&world.server).with(lasting).start().await;
    let direct = world.client.clone();
    world.through(&proxy);
    let report = world.perform(&decided, 2).await.unwrap();
    assert!(!report.is_complete() && report.has_written(), "{report:?}");
    world.client = direct;
    let leaves_drift = Policy { ignore_drift: true, ..policy("s") };
    let again = world.plan(&with(&["room_creator"]), &leaves_drift).await;
    let told = describe(&again.plan);
    assert!(told.contains("+ create RoleGrant") && !told.contains("not by this set"), "{told}");
    world.apply(&again).await;
    assert_eq!(policy_of(&world, false).await, ["bot room_creator"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_may_do_in_a_room_goes_with_it_and_is_not_read_for_it() {
    let mut world = World::of_kind(Spoken::V0_56, meshagent::kinds::KindName::RoleGrant).await;
    let account = document("ServiceAccount", "bot", json!({}));
    world.run(&[lobby(), account], &policy("s")).await;
    let subject = json!({"type": "user", "email": "ada@example.com"});
    let path = format!("{}:grant", of(&world, true).await);
    post(&world, &path, json!({"subject": subject, "roles": ["viewer"]})).await;
    let bot = get(&world, "/service-accounts/by-name/bot").await;
    let subject = json!({"type": "service_account", "id": bot["id"]});
    let path = format!("{}:grant", of(&world, false).await);
    post(&world, &path, json!({"subject": subject, "roles": ["developer"]})).await;
    let proxy = watched(&mut world).await;
    world.run(&[], &policy("s")).await;
    let asked: Vec<String> = proxy.requests().into_keys().collect();
    assert!(asked.iter().all(|it| !it.contains("/iam/")), "{asked:?}");
    world.server.own("GET", "/rooms/lobby").send().await.expect(404);
    assert_eq!(policy_of(&world, false).await, ["ada@example.com member"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_his_own_access_away() {
    let mut world = World::of_kind(Spoken::V0_56, meshagent::kinds::KindName::RoleGrant).await;
    let adopting = Policy { adopt: Adopt::All, ..policy("s") };
    let set = [lobby(), grant("user:ada@example.com", &["admin"])];
    world.run(&set, &adopting).await;
    let key = world.server.key_for_user("ada@example.com").await;
    let owner = world.client.clone();
    let hers = Client::new(&world.server.url, key.into(), Default::default()).expect("a client");
    world.client = crate::spoken::speaking(hers, Spoken::V0_56);
    let less = [lobby(), grant("user:ada@example.com", &["developer"])];
    for (documents, policy) in
        [(&less[..], policy("s")), (&less[..1], policy("s")), (&less[..], destroying("s"))]
    {
        let told = refused(&world, documents, &policy).await;
        assert!(told.contains("RoleGrant/user:ada@example.com would be"), "{told}");
        assert!(told.contains("is the access of whoever runs this plan"), "{told}");
    }
    // In a room that goes, it was meant.
    let in_room = [&set[..], &[in_lobby("user:ada@example.com", &["viewer"])]].concat();
    world.run(&in_room, &policy("s")).await;
    world.run(&in_room[1..2], &policy("s")).await;
    world.client = owner;
    world.run(&less, &policy("s")).await;
    assert_eq!(policy_of(&world, false).await, ["ada@example.com developer,member"]);
}

/// The same world, seen with another key.
fn with_key(world: &mut World, key: String) {
    let client = Client::new(&world.server.url, key.into(), Default::default()).expect("a client");
    world.client = crate::spoken::speaking(client, Spoken::V0_56);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_runs_a_plan_stays_and_keeps_its_roles() {
    let mut world = World::of_kind(Spoken::V0_56, meshagent::kinds::KindName::RoleGrant).await;
    let (_, key) = world.server.account("bot").await;
    let adopting = Policy { adopt: Adopt::All, ..policy("s") };
    let account = document("ServiceAccount", "bot", json!({}));
    let set = |roles: &[&str]| [account.clone(), grant("service_account:bot", roles)];
    world.run(&set(&["admin", "developer"]), &adopting).await;
    with_key(&mut world, key);
    // What takes roles back takes admin first.
    let told = refused(&world, &set(&["admin"]), &policy("s")).await;
    assert!(told.contains("RoleGrant/service_account:bot would be reduced"), "{told}");
    world.run(&set(&["admin", "developer", "room_creator"]), &policy("s")).await;
    let told = refused(&world, &[], &policy("s")).await;
    assert!(told.contains("ServiceAccount/bot would be deleted"), "{told}");
    // Without a grant in the set, too.
    let orphan =
        json!({"lifecycle": {"delete": "orphan"}, "roles": ["admin", "developer", "room_creator"]});
    let left = [account.clone(), document("RoleGrant", "service_account:bot", orphan)];
    world.run(&left, &policy("s")).await;
    world.run(&left[..1], &policy("s")).await;
    for policy in [policy("s"), destroying("s")] {
        let told = refused(&world, &[], &policy).await;
        assert!(told.contains("ServiceAccount/bot would be deleted"), "{told}");
        assert!(told.contains("is the access of whoever runs this plan"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_makes_a_project_has_roles_in_it_and_keeps_them() {
    let world = World::of_kind(Spoken::V0_56, meshagent::kinds::KindName::RoleGrant).await;
    let of = |name: &str, roles: &[&str]| {
        document("RoleGrant", name, json!({"project": "made", "roles": roles}))
    };
    let own = "user:owner@localhost";
    let mut set = vec![document("Project", "made", json!({})), of(own, &["admin"])];
    let told = refused(&world, &set, &policy("s")).await;
    assert!(told.contains("cannot be made in a project that this plan makes"), "{told}");
    set[1] = of("user:ada@x.example", &["developer"]);
    world.run(&set, &policy("s")).await;
    set.push(of(own, &["admin", "developer", "room_creator"]));
    world.run(&set, &Policy { adopt: Adopt::All, ..policy("s") }).await;
    assert!(world.plan(&set, &policy("s")).await.plan.is_empty());
    // The project stays, and so do the roles of whoever lets go of it.
    let plan = world.run(&set, &destroying("s")).await.plan;
    let told = describe(&plan);
    assert!(told.contains("stays with its project"), "{told}");
    assert!(world.plan(&[], &policy("s")).await.plan.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_stays_in_the_project_while_grants_in_rooms_stay() {
    let world = World::of_kind(Spoken::V0_56, meshagent::kinds::KindName::RoleGrant).await;
    let person = "user:ada@x.example";
    let all = [lobby(), grant(person, &["developer"]), in_lobby(person, &["viewer"])];
    world.run(&all, &policy("s")).await;
    let without = [all[0].clone(), all[2].clone()];
    let told = refused(&world, &without, &policy("s")).await;
    let goes = "RoleGrant/user:ada@x.example would be deleted, and RoleGrant/user:ada@x.example@lobby goes with it";
    assert!(told.contains(goes) && told.contains("which is declared"), "{told}");
    // One that another set owns, in a room that this one does not look into.
    world.run(&all[..2], &policy("s")).await;
    world.run(&all[2..], &policy("other")).await;
    let told = refused(&world, &all[..1], &policy("s")).await;
    assert!(told.contains(goes) && told.contains("the set `other` owns"), "{told}");
    // One that nobody owns is told, where it is seen.
    world.run(&[], &policy("other")).await;
    let subject = json!({"type": "user", "email": "ada@x.example"});
    let path = format!("{}:grant", of(&world, true).await);
    post(&world, &path, json!({"subject": subject, "roles": ["viewer"]})).await;
    let other = in_lobby("user:ada@example.com", &["viewer"]);
    world.run(&[all[0].clone(), all[1].clone(), other.clone()], &policy("s")).await;
    let plan = world.plan(&[all[0].clone(), other], &policy("s")).await.plan;
    let told = "RoleGrant/user:ada@x.example@lobby, which no set owns, goes with RoleGrant/user:ada@x.example";
    assert!(plan.notes.iter().any(|note| note == told), "{:?}", plan.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_somebody_else_makes_meanwhile_is_not_taken_over() {
    let world = World::of_kind(Spoken::V0_56, meshagent::kinds::KindName::RoleGrant).await;
    let set = [lobby(), in_lobby("user:ada@example.com", &["viewer"])];
    world.run(&set[..1], &policy("s")).await;
    let plan = world.plan(&set, &policy("s")).await;
    let subject = json!({"type": "user", "email": "ada@example.com"});
    let path = format!("{}:grant", of(&world, true).await);
    post(&world, &path, json!({"subject": subject, "roles": ["operator"]})).await;
    let report = world.perform_with(&plan, &Options::standard(4)).await.expect("a report");
    let [Outcome::Stale { message, .. }] = report.outcomes.as_slice() else { panic!("{report:?}") };
    assert!(message.contains("exists now, but did not when the plan was made"), "{message}");
    assert_eq!(policy_of(&world, true).await, ["ada@example.com operator"]);
    let told = refused(&world, &set, &policy("s")).await;
    assert!(told.contains("exists and is not owned by the set"), "{told}");
}

#[test]
fn a_platform_of_0_31_has_no_policies() {
    let platform = StandIn::of(Spoken::V0_31);
    let set = meshagent::kinds::KindName::RoleGrant.kind().example();
    platform.sandbox.write("set.yaml", set);
    let run = platform.ends(6, &["apply", "-f", "set.yaml", "--set", "s", "--yes"]);
    assert!(run.stderr.contains("has no RoleGrant"), "{}", run.stderr);
    assert_eq!(platform.take_writes(), Vec::<String>::new());
}

#[test]
fn a_wrong_grant_is_refused_at_its_place() {
    let platform = StandIn::of(Spoken::V0_56);
    for (text, place, told) in [
        ("metadata: {name: ada}\nroles: [admin]", "3:", "must be TYPE:WHO"),
        (
            "metadata: {name: \"user:a\"}\nroles: [admin, develper]",
            "4:16",
            "did you mean `developer`?",
        ),
        ("metadata: {name: \"user:a\"}\nroles: [operator]", "4:9", "name one with `room`"),
        ("metadata: {name: \"user:a\"}\nroles: []", "4:", "roles"),
        ("metadata: {name: \"user:a\"}\nroles: [admin, admin]", "4:16", "occurs twice"),
    ] {
        let set = format!("version: v1\nkind: RoleGrant\n{text}\n");
        platform.sandbox.write("set.yaml", &set);
        let run = platform.ends(2, &["validate", "-f", "set.yaml"]);
        assert!(run.stderr.contains(told), "{told}: {}", run.stderr);
        assert!(run.stderr.contains(&format!("set.yaml:{place}")), "{place}: {}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_follow_a_room_to_its_new_name() {
    let world = World::of_kind(Spoken::V0_56, meshagent::kinds::KindName::RoleGrant).await;
    let of = |name: &str, lifecycle: Value| {
        let mut grant = in_lobby("user:ada@example.com", &["viewer"]);
        grant["room"] = name.into();
        [document("Room", name, json!({ "lifecycle": lifecycle })), grant]
    };
    world.run(&of("lobby", json!({})), &policy("s")).await;
    let renamed = of("hall", json!({"moved_from": "lobby"}));
    let plan = world.run(&renamed, &policy("s")).await;
    assert_eq!(plan.plan.operations.len(), 1, "{}", describe(&plan.plan));
    let again = world.plan(&renamed, &policy("s")).await;
    assert!(again.plan.is_empty(), "{}", describe(&again.plan));
    // Somebody gives it the former name.
    let id = get(&world, "/rooms/hall").await["id"].as_str().expect("an id").to_owned();
    let path = format!("/rooms/{id}");
    let request = world.server.own("PUT", &path).header("consistency", "fast");
    request.json(&json!({"name": "lobby"})).send().await.expect(200);
    let back = world.run(&renamed, &policy("s")).await;
    assert_eq!(back.plan.operations.len(), 1, "{}", describe(&back.plan));
    let again = world.plan(&renamed, &policy("s")).await;
    assert!(again.plan.is_empty(), "{}", describe(&again.plan));
}
