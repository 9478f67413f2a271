//! A replacement is done as a whole or not at all, as far as the platform lets it.

use meshagent::api::spoken::Spoken;
use meshagent::apply::execute::{Listeners, Options, Outcome, Progress, Report, execute};
use meshagent::plan::Operation;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::hostile::proxy::{Fault, Hostile, Mischief};
use crate::platform::harness::client;
use crate::reconciler::{Decided, World, describe, policy};

/// An account with secrets whose values nobody can read, or can read, which needs other secrets.
fn documents(about: &str, http_only: bool) -> Vec<Value> {
    let secret = |name: &str| {
        json!({
            "version": "v1", "kind": "AccountSecret", "metadata": {"name": name},
            "account": "support", "value": "v", "http_only": http_only,
        })
    };
    vec![
        json!({
            "version": "v1", "kind": "ServiceAccount", "metadata": {"name": "support"},
            "description": about,
        }),
        secret("one"),
        secret("two"),
    ]
}

/// The names and ids of the account's secrets.
async fn secrets(world: &World) -> Vec<(Value, Value)> {
    let get = async |path: String| -> Value {
        let ask = world.server.own("GET", &path).header("consistency", "fast");
        ask.send().await.expect(200).json()
    };
    let account = get("/service-accounts/by-name/support".to_owned()).await;
    let id = account["id"].as_str().expect("an id");
    let list = get(format!("/service-accounts/{id}/secrets?page_size=9")).await;
    let list = list["secrets"].as_array().expect("a list").iter();
    list.map(|it| (it["name"].clone(), it["id"].clone())).collect()
}

/// A world in which both secrets are to be replaced, and what is there before.
async fn replacing() -> (World, Vec<(Value, Value)>) {
    let world = World::speaking(Spoken::V0_56).await;
    world.run(&documents("first", true), &policy("s")).await;
    let before = secrets(&world).await;
    (world, before)
}

/// Performs the replacement while something goes wrong.
async fn faulty(world: &mut World, mischief: Mischief) -> Report {
    let url = world.server.url.clone();
    let proxy = Hostile::before(&url, client()).with(mischief).start().await;
    let direct = world.client.clone();
    world.through(&proxy);
    let decided = world.plan(&documents("second", false), &policy("s")).await;
    let report = world.perform(&decided, 4).await.expect("a report");
    world.client = direct;
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_whose_successor_cannot_be_created() {
    let (mut world, before) = replacing().await;
    let refused = Fault::Status(403).on("PUT").about("/service-accounts/");
    let report = faulty(&mut world, refused).await;
    assert_eq!(report.count(|it| *it == Outcome::Done), 0, "{report:?}");
    assert_eq!(secrets(&world).await, before);
    assert_eq!(report.notes, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_created_again_is_told() {
    let (mut world, _) = replacing().await;
    let refused = Fault::Status(403).on("POST").at("/secrets").times(1);
    let report = faulty(&mut world, refused).await;
    let told = "was deleted and is not created again: the next apply creates it";
    let [note] = report.notes.as_slice() else { panic!("{report:?}") };
    assert!(note.starts_with("AccountSecret/support/") && note.ends_with(told), "{note}");
    world.run(&documents("second", false), &policy("s")).await;
    assert_eq!(secrets(&world).await.len(), 2);
}

/// Stops the run once something was deleted.
struct Stopping(CancellationToken);

impl Progress for Stopping {
    fn started(&self, _operation: &Operation) {}

    fn finished(&self, operation: &Operation, _outcome: &Outcome) {
        if operation.is_first_half() {
            self.0.cancel();
        }
    }
}

async fn stopped(world: &World, decided: &Decided, options: &Options) -> Report {
    let progress = Stopping(options.stop.clone());
    let listeners = Listeners { progress: &progress, journal: None };
    let stored = decided.stored.clone();
    execute(&world.client, &decided.plan, stored, options, listeners).await.expect("a report")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_creates_again_what_it_deleted() {
    let (world, before) = replacing().await;
    let decided = world.plan(&documents("first", false), &policy("s")).await;
    let report = stopped(&world, &decided, &Options::standard(1)).await;
    let (done, open) = (Outcome::Done, Outcome::NotStarted);
    let counts = [done, open].map(|outcome| report.count(|it| *it == outcome));
    assert_eq!(counts, [2, 2], "{report:?} of {}", describe(&decided.plan));
    let after = secrets(&world).await;
    assert_eq!(after.len(), 2, "{after:?}");
    assert_eq!(after.iter().filter(|it| before.contains(it)).count(), 1, "{after:?}");
}

/// A secret cannot be renamed: it is created under its new name, and the former one goes after that.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_before_what_takes_its_place_is_there() {
    let (mut world, before) = replacing().await;
    let mut documents = documents("first", true);
    documents[1]["metadata"]["name"] = "other".into();
    documents[1]["lifecycle"] = json!({"moved_from": "one"});
    let decided = world.plan(&documents, &policy("s")).await;
    let refused = Fault::Status(400).on("POST").at("/secrets");
    let url = world.server.url.clone();
    let proxy = Hostile::before(&url, client()).with(refused).start().await;
    let direct = world.client.clone();
    world.through(&proxy);
    let report = world.perform(&decided, 4).await.expect("a report");
    assert_eq!(report.count(|it| *it == Outcome::Done), 0, "{report:?}");
    assert_eq!(secrets(&world).await, before);
    world.client = direct;
    world.run(&documents, &policy("s")).await;
    let after = secrets(&world).await;
    let mut names: Vec<&str> = after.iter().filter_map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["other", "two"]);
}
