//! Accounts whose secrets are managed: those that somebody deleted, made again or called otherwise.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_not_deleted_with_what_others_keep_in_it() {
    let world = World::speaking(Spoken::V0_56).await;
    world.run(&[account("support"), native("a")], &policy("s")).await;
    let mut theirs = native("b");
    theirs["metadata"]["name"] = "theirs".into();
    let other = world.set_of(&[theirs]).expect("a set");
    let other = world.decide(other, &policy("other")).await.expect("a plan");
    world.apply(&other).await;
    let set = world.set_of(&[]).expect("a set");
    let refused = world.decide(set, &destroying("s")).await.err().expect("a refusal");
    let told = format!("{refused} {:?}", refused.problems);
    assert!(told.contains("AccountSecret/support/theirs"), "{told}");
    assert_eq!(secrets(&world).await.len(), 2);
}

/// Somebody deleted an account and made another one of its name: its secrets are not those of the
/// set, and nothing of the set is written to it.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_the_same_name_is_another_one() {
    let world = World::speaking(Spoken::V0_56).await;
    let run_as = json!({"environment": [{"name": "K", "secret": {"id": "support/native"}}]});
    let documents =
        |value: &str| [account("support"), room(), native(value), service(run_as.clone())];
    world.run(&documents("ours")[..3], &policy("s")).await;
    let first = get(&world, "/service-accounts/by-name/support").await["id"].clone();
    let path = format!("/service-accounts/{}", first.as_str().expect("an id"));
    let gone = world.server.own("DELETE", &path).header("consistency", "fast").send().await;
    assert!(gone.status < 300, "{gone:?}");
    let body = json!({"name": "support", "description": ""});
    let other = world.server.send("POST", "/service-accounts", body).await.expect(201).json();
    let other = other["id"].as_str().expect("an id").to_owned();
    let theirs = json!({"name": "native", "type": "opaque", "http_only": false});
    let path = format!("/service-accounts/{other}/secrets");
    let theirs = world.server.send("POST", &path, theirs).await.expect(201).json();
    for documents in [&documents("ours")[..], &documents("other")[..3], &documents("ours")[..1]] {
        let set = world.set_of(documents).expect("a set");
        let told = match world.decide(set, &policy("s")).await {
            Ok(decided) => panic!("{}", describe(&decided.plan)),
            Err(error) => format!("{error} {:?}", error.problems),
        };
        assert!(told.contains("ServiceAccount/support exists and is not owned"), "{told}");
    }
    let after = secrets(&world).await;
    assert_eq!(after.len(), 1, "{after:?}");
    assert_eq!((&after[0]["id"], &after[0]["current_version_id"]), (&theirs["id"], &Value::Null));
}

/// A list shows an account with another id than the set knows. Nothing of it is deleted or written
/// anew before it is known whose it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_another_id_costs_no_secret() {
    for id in ["../../../accounts/projects/x", "a?b=c#d", "00000000-0000-4000-8000-000000000000"] {
        let mut world = World::speaking(Spoken::V0_56).await;
        let documents = |value: &str| [account("support"), native(value)];
        world.run(&documents("ours"), &policy("s")).await;
        let before = secrets(&world).await;
        let url = world.server.url.clone();
        let fault = match id.as_bytes()[0] {
            b'.' => Fault::Edited(|it| other_id(it, "../../../accounts/projects/x")),
            b'a' => Fault::Edited(|it| other_id(it, "a?b=c#d")),
            _ => Fault::Edited(|it| other_id(it, "00000000-0000-4000-8000-000000000000")),
        };
        let proxy = Hostile::before(&url, crate::platform::harness::client())
            .with(fault.on("GET").at("/service-accounts"));
        let proxy = proxy.start().await;
        let direct = world.client.clone();
        world.through(&proxy);
        let mut changed = documents("theirs");
        changed[0]["description"] = "changed".into();
        for documents in [&documents("ours")[..], &changed] {
            let set = world.set_of(documents).expect("a set");
            if let Ok(decided) = world.decide(set, &policy("s")).await {
                let report = world.perform(&decided, 4).await;
                let is_done = report.is_ok_and(|it| it.is_complete());
                assert!(decided.plan.is_empty() || !is_done, "{}", describe(&decided.plan));
            }
        }
        world.client = direct;
        assert_eq!(secrets(&world).await, before, "{id}");
    }
}

/// Says of the account that it has another id.
fn other_id(list: &mut Value, id: &str) {
    for account in list["service_accounts"].as_array_mut().into_iter().flatten() {
        if account["name"] == "support" {
            account["id"] = id.into();
        }
    }
}

/// An account that somebody called otherwise is neither gone nor made a second time.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_another_name_is_the_same_one() {
    let world = World::speaking(Spoken::V0_56).await;
    let account = |name: &str| [account(name)];
    world.run(&account("bot"), &policy("s")).await;
    let path = "/service-accounts/by-name/bot";
    let found = world.server.own("GET", path).header("consistency", "fast").send().await;
    let found = found.expect(200).json();
    let path = format!("/service-accounts/{}", found["id"].as_str().expect("an id"));
    let body = json!({"name": "other", "annotations": {"meshagent.set": "s"}});
    let put = world.server.own("PUT", &path).header("consistency", "fast").json(&body);
    put.send().await.expect(200);
    for (documents, policy) in [(&account("bot")[..], policy("s")), (&[], destroying("s"))] {
        let set = world.set_of(documents).expect("a set");
        let refused = world.decide(set, &policy).await.err().expect("a refusal");
        let told = format!("{:?}", refused.problems);
        assert!(
            told.contains("ServiceAccount/bot is called ServiceAccount/other on the platform now"),
            "{told}"
        );
    }
    // Under its new name it stays the set's.
    let adopting = Policy { adopt: Adopt::All, ..policy("s") };
    world.run(&account("other"), &adopting).await;
    world.run(&account("other"), &destroying("s")).await;
    world.server.own("GET", &path).header("consistency", "fast").send().await.expect(404);
}
