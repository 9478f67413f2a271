//! Grants of other sets: what goes with an object that is deleted, and what two sets create at once.

use meshagent::apply::going::going;
use meshagent::apply::lock::{self, LASTS, Terms};
use tokio_util::sync::CancellationToken;

use super::*;

const ADA: &str = "user:ada@example.com";
const BOT: &str = "service_account:bot";

/// A platform with a person in the project, and a set `s` with a room and an account.
async fn with_room_and_account() -> (World, [Value; 2]) {
    let world = World::of_kind(Spoken::V0_56, meshagent::kinds::KindName::RoleGrant).await;
    let own = [lobby(), document("ServiceAccount", "bot", json!({}))];
    world.run(&own, &policy("s")).await;
    (world, own)
}

/// How often the inventory of another set was read.
fn reads_of_others(proxy: &Running) -> u64 {
    let all = proxy.requests().into_iter();
    all.filter(|(request, _)| request.contains("other.json")).map(|(_, times)| times).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_with_a_room_or_an_account_and_is_another_sets_is_refused() {
    let (mut world, own) = with_room_and_account().await;
    let theirs = [grant(BOT, &["developer"]), in_lobby(ADA, &["viewer"])];
    world.run(&theirs, &policy("other")).await;
    let account = "ServiceAccount/bot would be deleted, and RoleGrant/service_account:bot goes with it, which the set `other` owns";
    let room = "Room/lobby would be deleted, and RoleGrant/user:ada@example.com@lobby goes with it, which the set `other` owns";
    for (documents, policy, told) in [
        (&own[..1], policy("s"), [Some(account), None]),
        (&own[1..], policy("s"), [None, Some(room)]),
        (&own[..0], policy("s"), [Some(account), Some(room)]),
        (&own[..], destroying("s"), [Some(account), Some(room)]),
    ] {
        let refused = refused(&world, documents, &policy).await;
        for (one, is_told) in [(account, told[0].is_some()), (room, told[1].is_some())] {
            assert_eq!(refused.contains(one), is_told, "{one}: {refused}");
        }
        assert!(refused.contains("from the set `other` and apply that one first"), "{refused}");
    }
    // Another set is asked only where something goes.
    let proxy = watched(&mut world).await;
    let more = [&own[..], &[document("Room", "more", json!({}))]].concat();
    world.run(&more, &policy("s")).await;
    assert_eq!(reads_of_others(&proxy), 0, "{:?}", proxy.requests());
    world.run(&own, &policy("s")).await;
    assert_eq!(reads_of_others(&proxy), 1, "{:?}", proxy.requests());
    // The other set may call the account by its id.
    let bot = get(&world, "/service-accounts/by-name/bot").await;
    let by_id = format!("service_account:{}", bot["id"].as_str().expect("an id"));
    world.run(&[], &policy("other")).await;
    world.run(&[grant(&by_id, &["developer"])], &policy("other")).await;
    let told = refused(&world, &own[..1], &policy("s")).await;
    assert!(told.contains(&format!("RoleGrant/{by_id} goes with it")), "{told}");
    world.run(&[], &policy("other")).await;
    world.run(&[], &policy("s")).await;
}

/// What a set keeps, because its file was not given, does not go unsaid either.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_stays_in_the_set_does_not_go_with_its_account() {
    let (world, own) = with_room_and_account().await;
    let all = [&own[..], &[grant(BOT, &["developer"])]].concat();
    world.run(&all, &policy("s")).await;
    let scope = meshagent::plan::scope::Scope {
        targets: vec!["ServiceAccount/*".to_owned()],
        ..Default::default()
    };
    let told = refused(&world, &own[..1], &Policy { scope, ..policy("s") }).await;
    assert!(told.contains("goes with it, which stays in the set"), "{told}");
    world.run(&own[..1], &policy("s")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_in_rooms_that_nobody_owns_are_told_with_the_person_who_leaves() {
    let mut world = World::speaking(Spoken::V0_56).await;
    let person = grant("user:ada@x.example", &["developer"]);
    let all = [lobby(), document("Room", "hall", json!({})), person.clone()];
    world.run(&all, &policy("s")).await;
    let subject = json!({"type": "user", "email": "ada@x.example"});
    for (room, role) in [("lobby", "viewer"), ("hall", "operator")] {
        let room = get(&world, &format!("/rooms/{room}")).await;
        let path = format!("/iam/room/{}/policy:grant", room["id"].as_str().expect("an id"));
        post(&world, &path, json!({"subject": subject, "roles": [role]})).await;
    }
    let proxy = watched(&mut world).await;
    let asked = |proxy: &Running| {
        proxy.requests().into_iter().filter(|(it, _)| it.contains("access:bindings")).count()
    };
    let same = world.plan(&all, &policy("s")).await;
    let none: [String; 0] = [];
    assert_eq!(going(&world.client.reader(), &same.plan, &same.state).await, none);
    assert_eq!(asked(&proxy), 0);
    let gone = world.plan(&all[..2], &policy("s")).await;
    let told = going(&world.client.reader(), &gone.plan, &gone.state).await;
    let grants = "2 grants (operator in the room hall, viewer in the room lobby) go with RoleGrant/user:ada@x.example";
    assert_eq!(told, [grants]);
    assert_eq!(asked(&proxy), 1);
    // What the planner saw, it told itself.
    let other = in_lobby("user:owner@localhost", &["viewer"]);
    world
        .run(
            &[&all[..], std::slice::from_ref(&other)].concat(),
            &Policy { adopt: Adopt::All, ..policy("s") },
        )
        .await;
    let gone = world.plan(&[&all[..2], &[other]].concat(), &policy("s")).await;
    let seen = "RoleGrant/user:ada@x.example@lobby, which no set owns, goes with RoleGrant/user:ada@x.example";
    assert!(gone.plan.notes.iter().any(|note| note == seen), "{:?}", gone.plan.notes);
    let told = going(&world.client.reader(), &gone.plan, &gone.state).await;
    let rest = "the grant of operator in the room hall goes with RoleGrant/user:ada@x.example";
    assert_eq!(told, [rest]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sets_that_create_one_grant_at_once_one_is_refused() {
    let (mut world, _) = with_room_and_account().await;
    let set = [in_lobby(ADA, &["viewer"])];
    let (one, other) =
        (world.plan(&set, &policy("one")).await, world.plan(&set, &policy("other")).await);
    // The other one is being applied, has claimed the grant, and did not come so far as to make it.
    let project = ("default", world.server.project.as_str());
    let terms = Terms { set: "other", project, break_it: false, lasts: LASTS };
    let lease = lock::take(&world.client, terms, &CancellationToken::new()).await.expect("a lease");
    let direct = world.client.clone();
    let proxy = Hostile::in_front_of(&world.server)
        .with(Fault::DropBefore.on("POST").at("policy:grant"))
        .start()
        .await;
    world.through(&proxy);
    let report = world.perform(&other, 1).await.expect("a report");
    assert!(matches!(report.outcomes[0], Outcome::Failed { refused: false, .. }), "{report:?}");
    world.client = direct;
    let report = world.perform(&one, 1).await.expect("a report");
    let [Outcome::Stale { message, .. }] = report.outcomes.as_slice() else { panic!("{report:?}") };
    assert_eq!(message, "the set `other`, which is being applied, is about to create it");
    assert_eq!(policy_of(&world, true).await, Vec::<String>::new());
    // What a run that ended has claimed holds nobody up.
    lease.expect("a lease").release().await.expect("no error");
    world.run(&set, &policy("one")).await;
    let told = refused(&world, &set, &policy("other")).await;
    assert!(told.contains("is owned by the set `one`"), "{told}");
    // What another set has and somebody took back is not made for a second set.
    let subject = json!({"type": "user", "email": "ada@example.com"});
    let path = format!("{}:revoke", of(&world, true).await);
    post(&world, &path, json!({ "subject": subject })).await;
    let late = world.plan(&set, &policy("third")).await;
    let report = world.perform(&late, 1).await.expect("a report");
    let [Outcome::Stale { message, .. }] = report.outcomes.as_slice() else { panic!("{report:?}") };
    assert!(message.contains("the set `one` owns it, and it is not on the platform"), "{message}");
}

/// A set that is left in the API of 0.31 owns no grants, and holds no room up.
#[tokio::test(flavor = "multi_thread")]
async fn a_set_of_the_former_api_holds_nothing_up() {
    let (mut world, own) = with_room_and_account().await;
    let direct = world.client.clone();
    world.client = crate::spoken::speaking(World::on(&world.server), Spoken::V0_31);
    world.run(&[document("Room", "former", json!({}))], &policy("former")).await;
    world.client = direct;
    let gone = world.run(&own[1..], &policy("s")).await;
    assert!(describe(&gone.plan).contains("- delete Room/lobby"), "{}", describe(&gone.plan));
}
