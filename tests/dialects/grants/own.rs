//! What whoever runs a plan may do, and what a run that was killed left undone.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_of_the_project_may_have_less_in_a_room() {
    let mut world = World::of_kind(Spoken::V0_56, meshagent::kinds::KindName::RoleGrant).await;
    let person = "user:ada@example.com";
    let key = world.server.key_for_user("ada@example.com").await;
    let set = |roles: &[&str]| [lobby(), in_lobby(person, roles)];
    world.run(&set(&["operator", "viewer"]), &policy("s")).await;
    let owner = world.client.clone();
    for (role, may) in [("developer", false), ("admin", true)] {
        let adopting = Policy { adopt: Adopt::All, ..policy("project") };
        world.run(&[grant(person, &[role])], &adopting).await;
        with_key(&mut world, key.clone());
        if may {
            let less = set(&["viewer"]);
            world.plan(&less, &policy("s")).await;
            let gone = world.plan(&less[..1], &policy("s")).await;
            assert!(
                describe(&gone.plan).contains("- delete RoleGrant"),
                "{}",
                describe(&gone.plan)
            );
        } else {
            for (less, what) in [(&set(&["viewer"])[..], "reduced"), (&[lobby()], "deleted")] {
                let told = refused(&world, less, &policy("s")).await;
                assert!(told.contains(&format!("@lobby would be {what}")), "{told}");
            }
        }
        world.client = owner.clone();
    }
}

/// A run that dies between taking back and granting leaves a note of it in the inventory.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_took_back_is_no_drift() {
    let mut world = World::of_kind(Spoken::V0_56, meshagent::kinds::KindName::RoleGrant).await;
    let set = |roles: &[&str]| [lobby(), in_lobby("user:ada@example.com", roles)];
    let leaves_drift = Policy { ignore_drift: true, ..policy("s") };
    world.run(&set(&["operator", "viewer"]), &policy("s")).await;
    let direct = world.client.clone();
    for (at, is_taken_back) in [("policy:revoke", false), ("policy:grant", true)] {
        let decided = world.plan(&set(&["viewer"]), &policy("s")).await;
        let held = Fault::Delay(Duration::from_secs(600)).on("POST").at(at);
        let proxy = Hostile::in_front_of(&world.server).with(held).start().await;
        world.through(&proxy);
        let reached = async {
            while !proxy.writes().iter().any(|write| write.contains(at)) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            report = world.perform(&decided, 1) => panic!("{report:?}"),
            () = reached => {}
        }
        world.client = direct.clone();
        let is_gone = policy_of(&world, true).await.is_empty();
        assert_eq!(is_gone, is_taken_back, "{at}");
        let again = world.plan(&set(&["viewer"]), &leaves_drift).await;
        assert!(again.plan.notes.is_empty(), "{at}: {:?}", again.plan.notes);
        world.apply(&again).await;
        assert_eq!(policy_of(&world, true).await, ["ada@example.com viewer"], "{at}");
        assert!(world.plan(&set(&["viewer"]), &leaves_drift).await.plan.is_empty());
        world.run(&set(&["operator", "viewer"]), &policy("s")).await;
    }
    // What others take back is drift as before.
    let subject = json!({"type": "user", "email": "ada@example.com"});
    let path = format!("{}:revoke", of(&world, true).await);
    post(&world, &path, json!({ "subject": subject })).await;
    let plan = world.plan(&set(&["operator", "viewer"]), &leaves_drift).await.plan;
    let told = "was deleted on the platform, not by this set";
    assert!(plan.notes.iter().any(|note| note.contains(told)), "{:?}", plan.notes);
}
