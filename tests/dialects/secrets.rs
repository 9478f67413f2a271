//! Secrets of service accounts, on the embedded platform: what becomes of project secrets, values in
//! versions, and writes that stop half-way.

mod accounts;

use std::time::Duration;

use meshagent::api::spoken::Spoken;
use meshagent::apply::execute::{Options, Outcome};
use meshagent::kinds::KindName;
use meshagent::plan::planner::{Adopt, Policy, Prune};
use meshagent::plan::scope::Scope;
use serde_json::{Value, json};

use crate::hostile::proxy::{Fault, Hostile};
use crate::reconciler::{Decided, World, describe, destroying, policy};

fn account(name: &str) -> Value {
    json!({"version": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
}

fn room() -> Value {
    json!({"version": "v1", "kind": "Room", "metadata": {"name": "lobby"}})
}

fn keys(value: &str) -> Value {
    json!({
        "version": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "type": "keys",
        "service_account": "support", "data": {"TOKEN": value, "LEVEL": "info"},
    })
}

fn registry() -> Value {
    json!({
        "version": "v1", "kind": "Secret", "metadata": {"name": "registry"}, "type": "docker",
        "service_account": "support", "server": "ghcr.io", "username": "ada", "password": "let-me-in",
    })
}

fn native(value: &str) -> Value {
    json!({
        "version": "v1", "kind": "AccountSecret", "metadata": {"name": "native"},
        "account": "support", "value": value,
    })
}

fn service(container: Value) -> Value {
    let mut all = json!({"image": "busybox"});
    crate::registry::documents::merge(&mut all, container);
    json!({
        "version": "v1", "kind": "Service", "metadata": {"name": "bot"}, "room": "lobby",
        "container": all,
    })
}

/// What the platform has below the account `support`.
async fn secrets(world: &World) -> Vec<Value> {
    let account = get(world, "/service-accounts/by-name/support").await;
    let path = format!("/service-accounts/{}/secrets", account["id"].as_str().expect("an id"));
    let list = get(world, &format!("{path}?page_size=100")).await;
    list["secrets"].as_array().expect("a list").clone()
}

/// Asks as a client of 0.56 does.
async fn get(world: &World, path: &str) -> Value {
    let reply = world.server.own("GET", path).header("consistency", "fast").send().await;
    reply.expect(200).json()
}

/// The value of a secret, as text.
async fn value(world: &World, name: &str) -> String {
    use base64::Engine as _;
    let secret = secrets(world).await.into_iter().find(|it| it["name"] == name).expect(name);
    let (owner, id) = (&secret["owner_service_account_id"], &secret["id"]);
    let (owner, id) = (owner.as_str().expect("an owner"), id.as_str().expect("an id"));
    let path = format!("/service-accounts/{owner}/secrets/{id}?include_value=true");
    let value = get(world, &path).await["value_base64"].as_str().expect("a value").to_owned();
    let bytes = base64::engine::general_purpose::STANDARD.decode(value).expect("base64");
    String::from_utf8(bytes).expect("a text")
}

#[tokio::test(flavor = "multi_thread")]
async fn project_secrets_become_secrets_of_an_account_and_services_name_those() {
    let world = World::speaking(Spoken::V0_56).await;
    let container = json!({
        "secrets": ["keys"], "pull_secret": "registry",
        "environment": [
            {"name": "LEVEL", "value": "own"},
            {"name": "NATIVE", "secret": {"id": "support/native"}},
        ],
    });
    let documents = |token: &str| {
        vec![
            account("support"),
            room(),
            keys(token),
            registry(),
            native("n"),
            service(container.clone()),
        ]
    };
    world.run(&documents("first"), &policy("s")).await;
    let again = world.plan(&documents("first"), &policy("s")).await;
    assert!(again.plan.is_empty(), "{}", describe(&again.plan));

    let account = get(&world, "/service-accounts/by-name/support").await;
    let all = secrets(&world).await;
    let id = |name: &str| all.iter().find(|it| it["name"] == name).expect(name)["id"].clone();
    let services = get(&world, "/rooms/lobby/services").await;
    let container = &services["services"][0]["container"];
    assert_eq!(
        container["environment"],
        json!([
            {"name": "LEVEL", "value": "own"},
            {"name": "NATIVE", "secret": {"id": id("native")}},
            {"name": "TOKEN", "secret": {"id": id("keys.TOKEN")}},
        ])
    );
    assert_eq!(container["pull_secret"], json!({"id": id("registry")}));
    assert_eq!(container["run_as"], json!({"email": account["email"], "scopes": ["secrets:read"]}));
    assert_eq!(value(&world, "keys.TOKEN").await, "first");
    let registry: Value = serde_json::from_str(&value(&world, "registry").await).expect("JSON");
    assert_eq!(registry["auths"]["ghcr.io"]["username"], "ada");
    assert_eq!(registry["auths"]["ghcr.io"]["auth"], "YWRhOmxldC1tZS1pbg==");
    let pulled =
        format!("/service-accounts/{}/pull-secrets", account["id"].as_str().expect("an id"));
    assert_eq!(get(&world, &pulled).await["secrets"][0]["id"], id("registry"));

    // One value changes: one version more of one secret, and the service keeps its id.
    let changed = world.run(&documents("second"), &policy("s")).await;
    assert_eq!(changed.plan.operations.len(), 1, "{}", describe(&changed.plan));
    assert_eq!(value(&world, "keys.TOKEN").await, "second");
    let still = secrets(&world).await;
    assert_eq!(
        still.iter().map(|it| &it["id"]).collect::<Vec<_>>(),
        all.iter().map(|it| &it["id"]).collect::<Vec<_>>()
    );

    world.run(&documents("second"), &destroying("s")).await;
    let list = get(&world, "/service-accounts?page_size=100").await;
    let names = list["service_accounts"].as_array().expect("a list").iter();
    assert!(names.into_iter().all(|it| it["name"] != "support"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_somebody_else_wrote_is_drift() {
    let world = World::speaking(Spoken::V0_56).await;
    let documents = [account("support"), native("ours")];
    world.run(&documents, &policy("s")).await;
    let secret = secrets(&world).await.remove(0);
    let (owner, id) = (&secret["owner_service_account_id"], &secret["id"]);
    let path = format!(
        "/service-accounts/{}/secrets/{}/versions",
        owner.as_str().expect("an owner"),
        id.as_str().expect("an id")
    );
    let version = json!({"value_base64": "dGhlaXJz", "set_current": true});
    let reply = world.server.own("POST", &path).header("consistency", "fast").json(&version);
    reply.send().await.expect(201);
    assert_eq!(value(&world, "native").await, "theirs");
    let plan = world.plan(&documents, &policy("s")).await;
    let told = describe(&plan.plan);
    assert!(told.contains("value: (secret, changed)  drifted"), "{told}");
    world.apply(&plan).await;
    assert_eq!(value(&world, "native").await, "ours");
    assert!(world.plan(&documents, &policy("s")).await.plan.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_whose_value_was_not_written_is_finished_by_the_next_apply() {
    for fault in [Fault::Status(403), Fault::DropBefore, Fault::DropAfter, Fault::Status(500)] {
        let mut world = World::speaking(Spoken::V0_56).await;
        let documents = [account("support"), native("whole")];
        let url = world.server.url.clone();
        let mischief = fault.clone().on("POST").at("/versions").times(1000);
        let proxy = Hostile::before(&url, crate::platform::harness::client()).with(mischief);
        let proxy = proxy.start().await;
        let direct = world.client.clone();
        world.through(&proxy);
        let plan = world.plan(&documents, &policy("s")).await;
        let options = Options { first_wait: Duration::from_millis(1), ..Options::standard(4) };
        let report = world.perform_with(&plan, &options).await.expect("a report");
        let told = format!("{fault:?}: {report:?}");
        let Some(Outcome::Failed { message, refused: false, .. }) = report.outcomes.get(1) else {
            panic!("{told}")
        };
        assert!(message.starts_with("it was created, but not all of it was written: "), "{told}");
        assert!(!message.contains("whole"), "{told}");
        world.client = direct;
        let rest = world.plan(&documents, &policy("s")).await;
        assert_eq!(rest.plan.operations.len(), 1, "{}", describe(&rest.plan));
        world.apply(&rest).await;
        assert_eq!((secrets(&world).await.len(), &*value(&world, "native").await), (1, "whole"));
        assert!(world.plan(&documents, &policy("s")).await.plan.is_empty(), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_a_list_does_not_show_are_neither_forgotten_nor_made_twice() {
    for fault in [Fault::Filtered, Fault::Cut(1), Fault::Status(403), Fault::Status(404)] {
        let mut world = World::speaking(Spoken::V0_56).await;
        let mut more = native("b");
        more["metadata"]["name"] = "more".into();
        let documents = [account("support"), native("a"), more];
        world.run(&documents, &policy("s")).await;
        let before = secrets(&world).await;
        let url = world.server.url.clone();
        let mischief = fault.clone().on("GET").at("/secrets").times(1000);
        let proxy = Hostile::before(&url, crate::platform::harness::client()).with(mischief);
        let proxy = proxy.start().await;
        let direct = world.client.clone();
        world.through(&proxy);
        // Whatever is planned now, one document is gone, and neither secret may be.
        for documents in [&documents[..], &documents[..2]] {
            let set = world.set_of(documents).expect("a set");
            let keep = Policy { prune: Prune::None, ..policy("s") };
            if let Ok(decided) = world.decide(set, &keep).await {
                let _ = world.perform(&decided, 4).await;
            }
            let ids = |all: &[Value]| all.iter().map(|it| it["id"].clone()).collect::<Vec<_>>();
            assert_eq!(ids(&secrets(&world).await), ids(&before), "{fault:?}");
        }
        world.client = direct;
        assert!(world.plan(&documents, &policy("s")).await.plan.is_empty(), "{fault:?}");
    }
}

/// Somebody made a second secret of one name. The set's own is meant by its id, and where nothing
/// tells which one is meant, that is asked.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_secrets_of_one_name_neither_is_taken_for_the_other() {
    let world = World::speaking(Spoken::V0_56).await;
    let named = |id: &str| json!({"environment": [{"name": "K", "secret": {"id": id}}]});
    let bot = service(named("support/native"));
    let documents = [account("support"), room(), native("ours"), bot.clone()];
    world.run(&documents, &policy("s")).await;
    let ours = secrets(&world).await.remove(0);
    let owner = ours["owner_service_account_id"].as_str().expect("an owner");
    let body = json!({"name": "native", "type": "opaque", "http_only": false});
    let path = format!("/service-accounts/{owner}/secrets");
    let theirs = world.server.send("POST", &path, body).await.expect(201).json();
    // Neither is anything to do with the list's order.
    assert!(world.plan(&documents, &policy("s")).await.plan.is_empty());
    let mut wrong = get(&world, "/rooms/lobby/services").await["services"][0].clone();
    wrong["container"]["environment"][0]["secret"]["id"] = theirs["id"].clone();
    let path = format!("/rooms/lobby/services/{}", wrong["id"].as_str().expect("an id"));
    let put = world.server.own("PUT", &path).header("consistency", "fast").json(&wrong);
    let put = put.send().await;
    assert!(put.status < 300, "{put:?}");
    let run = world.run(&documents, &policy("s")).await;
    let told = describe(&run.plan);
    assert!(told.contains("update Service/bot@lobby") && told.contains("drifted"), "{told}");
    let right = get(&world, "/rooms/lobby/services").await["services"][0].clone();
    assert_eq!(right["container"]["environment"][0]["secret"]["id"], ours["id"]);

    // Another set knows neither of them.
    let mut other = bot;
    other["metadata"]["name"] = "other".into();
    let set = world.set_of(&[other.clone()]).expect("a set");
    let refused = world.decide(set, &policy("t")).await.err().expect("a refusal");
    let told = format!("{refused} {:?}", refused.problems);
    assert!(told.contains("the platform has more than one AccountSecret/support/native"), "{told}");
    other["container"]["run_as"] = json!({"account": "support", "scopes": ["secrets:read"]});
    for id in [&ours["id"], &theirs["id"]] {
        other["container"]["environment"][0]["secret"]["id"] = id.clone();
        world.run(&[other.clone()], &policy("t")).await;
        let services = get(&world, "/rooms/lobby/services").await["services"].clone();
        let mut all = services.as_array().expect("a list").iter();
        let it = all.find(|it| it["metadata"]["name"] == "other").expect("a service");
        assert_eq!(it["container"]["environment"][0]["secret"]["id"], *id);
        assert!(world.plan(&[other.clone()], &policy("t")).await.plan.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_secret_is_in_scope_by_its_own_name() {
    let world = World::speaking(Spoken::V0_56).await;
    let documents = [account("support"), keys("a"), registry(), native("n")];
    for (target, wanted) in [
        ("Secret/keys", &["keys.TOKEN", "keys.LEVEL"][..]),
        ("Secret/registry", &["registry"]),
        ("AccountSecret/support/native", &["native"]),
    ] {
        let scope = Scope { targets: vec![target.to_owned()], ..Scope::default() };
        let planned = world.plan(&documents, &Policy { scope, ..policy("s") }).await;
        let names = planned.plan.operations.iter().map(|it| it.key.name.clone());
        let mut names: Vec<String> = names.filter(|name| name != "support").collect();
        names.sort_unstable();
        let mut wanted: Vec<String> = wanted.iter().map(|it| format!("support/{it}")).collect();
        wanted.sort_unstable();
        assert_eq!(names, wanted, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_turned_into_secrets_of_accounts_is_refused_at_its_place() {
    let world = World::speaking(Spoken::V0_56).await;
    let refused = async |documents: &[Value]| {
        let set = match world.set_of(documents) {
            Ok(set) => set,
            Err(problems) => return format!("{problems:?}"),
        };
        let error = world.decide(set, &policy("s")).await.err();
        let error = error.unwrap_or_else(|| panic!("{documents:?} is not refused"));
        format!("{error} {:?}", error.problems)
    };
    let mut without = keys("a");
    without.as_object_mut().expect("a map").shift_remove("service_account");
    let told = refused(&[account("support"), room(), without]).await;
    assert!(
        told.contains("say which service account it belongs to: `service_account: NAME`"),
        "{told}"
    );
    let mut others = keys("a");
    others["metadata"]["name"] = "more".into();
    others["service_account"] = "other".into();
    others["data"] = json!({"OTHER": "b"});
    let both = service(json!({"secrets": ["keys", "more"], "environment": []}));
    let told =
        refused(&[account("support"), account("other"), room(), keys("a"), others.clone(), both])
            .await;
    assert!(told.contains("has secrets of several service accounts"), "{told}");
    // Whoever says who reads them reads only what is that account's.
    let said = |secrets: &[&str]| {
        service(json!({
            "secrets": secrets, "environment": [],
            "run_as": {"account": "support", "scopes": ["secrets:proxy"]},
        }))
    };
    let set = |service: Value| {
        [account("support"), account("other"), room(), keys("a"), others.clone(), service]
    };
    let told = refused(&set(said(&["keys", "more"]))).await;
    assert!(told.contains("`other/more.OTHER` belongs to the service account `other`"), "{told}");
    let planned = world.plan(&set(said(&["keys"])), &policy("s")).await;
    let told = describe(&planned.plan);
    assert!(
        told.contains("container.run_as.scopes: [\"secrets:proxy\", \"secrets:read\"]"),
        "{told}"
    );
    // The account is nowhere.
    let told = refused(&[native("a")]).await;
    assert!(
        told.contains("service account `support` is neither in the set nor in the project"),
        "{told}"
    );
    // Two documents of one secret.
    let mut twin = native("a");
    twin["metadata"]["name"] = "keys.TOKEN".into();
    let told = refused(&[account("support"), keys("a"), twin]).await;
    assert!(told.contains("AccountSecret/support/keys.TOKEN"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_their_secrets_are_refused_by_name_in_0_31() {
    let world = World::start().await;
    let acts = service(json!({"run_as": {"account": "a@b.c", "scopes": ["secrets:read"]}}));
    for (documents, told) in [
        (vec![account("support")], "ServiceAccount"),
        (vec![keys("a")], "service_account"),
        (vec![room(), acts], "container.run_as"),
    ] {
        let set = world.set_of(&documents).expect("a set");
        let error = world.decide(set, &policy("s")).await.err().expect(told);
        let said = format!("{error} {:?}", error.problems);
        assert!(said.contains(told), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_comes_from_two_places_is_told() {
    let world = World::speaking(Spoken::V0_56).await;
    let mut others = keys("b");
    others["metadata"]["name"] = "more".into();
    others["data"] = json!({"TOKEN": "c"});
    let both = service(json!({"secrets": ["keys", "more"]}));
    let set = world.set_of(&[account("support"), room(), keys("a"), others, both]).expect("a set");
    let told = "Service/bot@lobby: the variable `TOKEN` is set already, so that of Secret/more does not count";
    assert!(set.notes.iter().any(|note| note == told), "{:?}", set.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_to_others_of_a_project_secret_is_left_of_all_its_pairs() {
    let world = World::speaking(Spoken::V0_56).await;
    let ignoring = |rule: &str, value: &str| {
        let mut secret = keys(value);
        secret["lifecycle"] = json!({"ignore": [rule]});
        [account("support"), secret]
    };
    for rule in ["data", "data.TOKEN"] {
        world.run(&ignoring(rule, "one"), &policy("s")).await;
        let plan = world.plan(&ignoring(rule, "two"), &policy("s")).await;
        assert!(plan.plan.is_empty(), "{rule}: {}", describe(&plan.plan));
    }
}

/// A value that others write is nowhere but on the platform, which does not give it back.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_whose_value_others_write_gets_no_other_name() {
    let world = World::speaking(Spoken::V0_56).await;
    let secret = |name: &str, lifecycle: Value| {
        let mut document = native("declared");
        document["metadata"]["name"] = name.into();
        document["lifecycle"] = lifecycle;
        [account("support"), document]
    };
    world.run(&secret("native", json!({"ignore": ["value"]})), &policy("s")).await;
    let renamed = secret("other", json!({"ignore": ["value"], "moved_from": "native"}));
    let refused = world.decide(world.set_of(&renamed).unwrap(), &policy("s")).await.err();
    let told = format!("{:?}", refused.expect("a refusal").problems);
    assert!(told.contains("cannot take the place of AccountSecret/support/native"), "{told}");
    assert!(told.contains("which `lifecycle.ignore` leaves to others"), "{told}");
    // The same where the account gets another name, and its secrets with it.
    let mut moved = secret("native", json!({"ignore": ["value"]}));
    moved[0] = account("helpers");
    moved[0]["lifecycle"] = json!({"moved_from": "support"});
    moved[1]["account"] = "helpers".into();
    let refused = world.decide(world.set_of(&moved).unwrap(), &policy("s")).await.err();
    let told = format!("{:?}", refused.expect("a refusal").problems);
    assert!(told.contains("helpers/native cannot take the place of"), "{told}");
    // Whoever declares the value loses nothing.
    world.run(&secret("other", json!({"moved_from": "native"})), &policy("s")).await;
    assert_eq!(value(&world, "other").await, "declared");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_nobody_reads_stays_so_or_is_made_anew() {
    let world = World::speaking(Spoken::V0_56).await;
    let documents = |http_only: bool| {
        let mut secret = native("a");
        secret["http_only"] = http_only.into();
        [account("support"), secret]
    };
    let actions = |told: &str| (told.contains("~ update"), told.contains("replace"));
    world.run(&documents(false), &policy("s")).await;
    let first = secrets(&world).await.remove(0)["id"].clone();
    let on = world.run(&documents(true), &policy("s")).await;
    assert_eq!(actions(&describe(&on.plan)), (true, false), "{}", describe(&on.plan));
    assert_eq!(secrets(&world).await[0]["id"], first);
    let off = world.run(&documents(false), &policy("s")).await;
    assert!(describe(&off.plan).contains("`http_only` cannot be changed in place"));
    let all = secrets(&world).await;
    assert!(all.len() == 1 && all[0]["id"] != first, "{all:?}");
    assert!(world.plan(&documents(false), &policy("s")).await.plan.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_known_by_the_list_of_accounts_and_asked_for_by_no_name() {
    let mut world = World::speaking(Spoken::V0_56).await;
    world.run(&[account("support"), native("a")], &policy("s")).await;
    let before = secrets(&world).await;
    let is_of = |secret: &Value| secret["owner_service_account_id"].clone();
    let url = world.server.url.clone();
    let other = Fault::Edited(|account| account["name"] = "other".into());
    let mischief = other.on("GET").at("/by-name/support").times(1000);
    let proxy = Hostile::before(&url, crate::platform::harness::client()).with(mischief);
    let proxy = proxy.start().await;
    world.through(&proxy);
    world.run(&[account("support"), native("b")], &policy("s")).await;
    let after = secrets(&world).await;
    assert_eq!((after.len(), is_of(&after[0])), (1, is_of(&before[0])));
    assert_ne!(after[0]["current_version_id"], before[0]["current_version_id"]);
    let asked = proxy.requests();
    assert!(!asked.keys().any(|it| it.contains("/by-name/")), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_that_this_program_does_not_know_stay() {
    let world = World::speaking(Spoken::V0_56).await;
    let roles = |site_user: bool| {
        [json!({
            "version": "v1", "kind": "RoomRoles", "metadata": {"name": "room-roles"},
            "roles": {"viewer": {"site_user": site_user}},
        })]
    };
    world.run(&roles(true), &policy("s")).await;
    let path = "/settings/room-roles";
    let mut answer = get(&world, path).await;
    answer["roles"]["viewer"]["of_later"] = true.into();
    let put = world.server.own("PUT", path).header("consistency", "fast").json(&answer);
    put.send().await.expect(200);
    world.run(&roles(false), &policy("s")).await;
    let after = get(&world, path).await;
    assert_eq!(after["roles"]["viewer"]["of_later"], true, "{after}");
    assert_ne!(after["roles"]["viewer"]["site_user"], true, "{after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_images_are_pulled_with_is_there_before_the_services_of_its_account() {
    let world = World::speaking(Spoken::V0_56).await;
    let mut pull = native("p");
    pull["metadata"]["name"] = "pull".into();
    pull["pulls_images"] = true.into();
    let acts = service(json!({"run_as": {"account": "support", "scopes": ["secrets:proxy"]}}));
    let documents = [account("support"), room(), acts, native("n"), pull];
    let waits_for = |planned: &Decided, kind: KindName| -> Vec<String> {
        let operations = &planned.plan.operations;
        let service = operations.iter().find(|it| it.key.kind == kind).expect("it");
        service.waits_for.iter().map(|it| operations[*it].key.to_string()).collect()
    };
    let planned = world.plan(&documents, &policy("s")).await;
    let before = waits_for(&planned, KindName::Service);
    assert!(before.contains(&"AccountSecret/support/pull".to_owned()), "{before:?}");
    assert!(!before.contains(&"AccountSecret/support/native".to_owned()), "{before:?}");
    // Whoever wants the service only gets that one, too.
    let scope = Scope { targets: vec!["Service/*".to_owned()], ..Scope::default() };
    let planned = world.plan(&documents, &Policy { scope, ..policy("s") }).await;
    let keys: Vec<String> = planned.plan.operations.iter().map(|it| it.key.to_string()).collect();
    assert!(keys.contains(&"AccountSecret/support/pull".to_owned()), "{keys:?}");
    assert!(!keys.contains(&"AccountSecret/support/native".to_owned()), "{keys:?}");
    world.run(&documents, &policy("s")).await;
    world.run(&documents, &destroying("s")).await;
}

/// A project secret is what its document says, and not what is called like what it became.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_of_project_secrets_takes_no_secret_of_an_account_that_is_called_so() {
    let world = World::speaking(Spoken::V0_56).await;
    let mut other = native("b");
    other["metadata"]["name"] = "k.OTHER".into();
    let turned = json!({
        "version": "v1", "kind": "Secret", "metadata": {"name": "k"}, "type": "keys",
        "service_account": "support", "data": {"A": "the-value-of-it"},
    });
    let set = [account("support"), other, turned];
    let scope = |target: &str| Scope { targets: vec![target.to_owned()], ..Scope::default() };
    for (target, takes) in
        [("Secret/k", [true, false]), ("AccountSecret/support/k.OTHER", [false, true])]
    {
        let policy = Policy { scope: scope(target), ..policy("s") };
        let told = describe(&world.plan(&set, &policy).await.plan);
        let found = ["support/k.A", "support/k.OTHER"].map(|name| told.contains(name));
        assert_eq!(found, takes, "{target}: {told}");
    }
}
