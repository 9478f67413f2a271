//! One writer a set: the lease that somebody else holds, that ran out, that is renewed, and
//! that is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use meshagent::api::client::Client;
use meshagent::apply::execute::{Options, Report};
use meshagent::apply::lock::{self, Lock, Terms};
use meshagent::apply::run::{Surroundings, run};
use meshagent::error::{Class, Error};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cli::{Run, Sandbox};
use crate::hostile::plans;
use crate::hostile::proxy::{Fault, Hostile, Moment, Running};
use crate::platform::harness::Server;
use crate::reconciler::{Silent, World, policy};

const LASTS: Duration = Duration::from_millis(900);

async fn take(world: &World, set: &str, break_it: bool) -> Result<Lock, Error> {
    take_with(&world.server, &world.client, set, break_it, LASTS).await
}

async fn take_with(
    platform: &Server,
    client: &Client,
    set: &str,
    break_it: bool,
    lasts: Duration,
) -> Result<Lock, Error> {
    let terms = Terms { set, project: ("default", &platform.project), break_it, lasts };
    let taken = lock::take(client, terms, &CancellationToken::new()).await?;
    Ok(taken.expect("a platform with revisions"))
}

fn rooms(count: usize) -> Vec<Value> {
    let room = |index| json!({"version": "v1", "kind": "Room", "metadata": {"name": format!("room-{index:02}")}});
    (0..count).map(room).collect()
}

/// Applies one operation after another under a lease that is short.
async fn apply(world: &World, documents: &[Value]) -> Result<Report, Error> {
    let decided = world.plan(documents, &policy("s")).await;
    let folder = tempfile::tempdir().unwrap();
    let surroundings =
        Surroundings { folder: folder.path(), break_lock: false, lease: LASTS, progress: &Silent };
    let options = Options::standard(1);
    run(&world.client, &decided.plan, decided.stored, &options, surroundings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_second_is_told_who_was_first() {
    let platform = Server::start().await;
    let proxy = Hostile::in_front_of(&platform).start().await;
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\n");
    let client = World::on(&platform);
    let held = take_with(&platform, &client, "default", false, lock::LASTS).await.unwrap();
    let apply = ["apply", "-f", "set.yaml", "--yes"];
    let told = plans::run(&sandbox, &platform, &proxy, &apply).await;
    assert_eq!(told.code, 6, "{}", told.stderr);
    let process = format!("(process {}", std::process::id());
    for part in [
        "is being applied in project `default` by ",
        &process,
        " since 20",
        "expires at 20",
        "--break-lock",
    ] {
        assert!(told.stderr.contains(part), "{part}: {}", told.stderr);
    }
    let json =
        plans::run(&sandbox, &platform, &proxy, &[&apply[..], &["-o", "json"]].concat()).await;
    let last = json.events().pop().unwrap();
    assert_eq!((json.code, &last["event"], &last["code"]), (6, &"error".into(), &6.into()));
    assert!(last["message"].as_str().unwrap().contains(&process), "{last}");
    assert_eq!(proxy.writes(), [""; 0]);
    // Another set is another lease.
    let other = [&apply[..], &["--set", "other"]].concat();
    assert_eq!(plans::run(&sandbox, &platform, &proxy, &other).await.code, 0);
    sandbox.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: b}\n");
    let broken = [&apply[..], &["--break-lock"]].concat();
    assert_eq!(plans::run(&sandbox, &platform, &proxy, &broken).await.code, 0);
    // A lease that was given back is nobody's.
    assert_eq!(held.release().await.unwrap(), None);
    assert_eq!(plans::run(&sandbox, &platform, &proxy, &apply).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ran_out_is_taken_over() {
    let world = World::start().await;
    // Nobody renews it, as if its holder were on a machine that was lost.
    drop(take(&world, "s", false).await.unwrap());
    let error = apply(&world, &rooms(1)).await.unwrap_err();
    assert_eq!(error.class, Class::Refused, "{error}");
    tokio::time::sleep(LASTS).await;
    assert!(apply(&world, &rooms(1)).await.unwrap().is_complete());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_holder_that_was_killed_on_this_machine() {
    let platform = Server::start().await;
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\n");
    // The fourth write is that of the room; the lease, the list of sets and the claim come first.
    let proxy = Hostile::in_front_of(&platform).pausing(4, Moment::After).start().await;
    let mut command =
        sandbox.command(&["apply", "-f", "set.yaml", "--yes", "--api-url", &proxy.url]);
    let mut child = command.env("MESHAGENT_API_KEY", &platform.owner).spawn().unwrap();
    proxy.paused().await;
    child.kill().unwrap();
    child.wait().unwrap();
    let again: Run =
        plans::run(&sandbox, &platform, &proxy, &["apply", "-f", "set.yaml", "--yes"]).await;
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(
        again.stderr.contains("it is not known whether these were done: create Room/a"),
        "{}",
        again.stderr
    );
    assert!(again.stderr.contains("these are done: create Room/a"), "{}", again.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_renewed_for_as_long_as_a_run_takes() {
    let mut world = World::start().await;
    let slow = Fault::Delay(LASTS / 4).on("POST").at("/rooms");
    let proxy = Hostile::in_front_of(&world.server).with(slow).start().await;
    let second = World::on(&world.server);
    world.through(&proxy);
    let documents = rooms(8);
    let (first, second) = tokio::join!(apply(&world, &documents), async {
        tokio::time::sleep(LASTS * 3 / 2).await;
        take_with(&world.server, &second, "s", false, LASTS).await
    });
    assert_eq!(second.unwrap_err().class, Class::Refused);
    let report = first.unwrap();
    assert!(report.is_complete() && report.lost_lease.is_none(), "{report:?}");
    assert!(take(&world, "s", false).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_lost_the_lease_starts_nothing_more_and_says_so() {
    let mut world = World::start().await;
    let slow = Fault::Delay(LASTS / 4).on("POST").at("/rooms");
    let proxy = Hostile::in_front_of(&world.server).with(slow).start().await;
    let second = World::on(&world.server);
    world.through(&proxy);
    let documents = rooms(20);
    let (first, second) = tokio::join!(apply(&world, &documents), async {
        tokio::time::sleep(LASTS / 2).await;
        // Whoever renews it in the same moment keeps it, and then it is tried again.
        loop {
            let taken = take_with(&world.server, &second, "s", true, lock::LASTS).await;
            if taken.is_ok() {
                break taken;
            }
        }
    });
    let report = first.unwrap();
    let lost = report.lost_lease.as_ref().expect("a lost lease");
    assert!(lost.starts_with("the lease of the set was taken over by "), "{lost}");
    let mut counts = BTreeMap::new();
    for outcome in &report.outcomes {
        *counts.entry(format!("{outcome:?}")).or_insert(0) += 1;
    }
    // What ran was finished, and the rest is told as not started.
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["Done", "NotStarted"]);
    assert!(counts["Done"] < 10, "{counts:?}");
    assert_eq!(second.unwrap().release().await.unwrap(), None);
}

/// The file of the lease of the set `s`.
fn lease_file(world: &World, method: &str) -> crate::platform::harness::Ask {
    let server = &world.server;
    let verb = if method == "GET" { "download" } else { "upload" };
    let path = format!("/projects/{}/storage/{verb}?path=.meshagent/sets/s.lock", server.project);
    server.ask(method, &path).bearer(&server.owner)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_renewal_of_a_dead_run_keeps_nobody_out() {
    let mut world = World::start().await;
    drop(take(&world, "s", false).await.unwrap());
    // The holder is a process of this machine that is no more.
    let mut lease = lease_file(&world, "GET").send().await.json();
    lease["process"] = 999_999_999.into();
    let lasts = Timestamp::now().checked_add(Duration::from_secs(60)).unwrap();
    lease["until"] = lasts.to_string().into();
    let upload = lease_file(&world, "POST").json(&lease).send().await;
    assert!(upload.status < 300);
    let once = Fault::Status(412).on("POST").at("/storage/upload").times(1);
    let proxy = Hostile::in_front_of(&world.server).with(once).start().await;
    world.through(&proxy);
    assert_eq!(take(&world, "s", false).await.unwrap().release().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_always_changes_is_not_asked_for_without_end() {
    let mut world = World::start().await;
    let always = Fault::Status(412).on("POST").at("/storage/upload");
    let proxy = Hostile::in_front_of(&world.server).with(always).start().await;
    world.through(&proxy);
    let error = take(&world, "s", false).await.unwrap_err();
    assert_eq!(error.class, Class::Refused);
    assert!(error.to_string().contains("changed at every attempt"), "{error}");
    assert_eq!(proxy.count("POST"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_faster_is_told_by_name() {
    let mut world = World::start().await;
    let held = take(&world, "s", false).await.unwrap();
    let once = Fault::Status(412).on("POST").at("/storage/upload").times(1);
    let proxy = Hostile::in_front_of(&world.server).with(once).start().await;
    world.through(&proxy);
    // What is broken is what was there first, and nothing that came since.
    let error = take(&world, "s", true).await.unwrap_err();
    assert!(error.to_string().contains("is being applied in project `default` by"), "{error}");
    drop(held);
}

/// A run that is killed at its fourth write, the create of the room `a`.
async fn killed(moment: Moment) -> (Server, Running, Sandbox) {
    let platform = Server::start().await;
    let sandbox = Sandbox::new();
    sandbox.write("set.yaml", "version: v1\nkind: Room\nmetadata: {name: a}\n");
    let proxy = Hostile::in_front_of(&platform).pausing(4, moment).start().await;
    let mut command =
        sandbox.command(&["apply", "-f", "set.yaml", "--yes", "--api-url", &proxy.url]);
    let mut child = command.env("MESHAGENT_API_KEY", &platform.owner).spawn().unwrap();
    proxy.paused().await;
    // For as long as it runs, nothing says that it did not end.
    let beside = Hostile::in_front_of(&platform).start().await;
    let run = plans::run(&sandbox, &platform, &beside, &["apply", "-f", "set.yaml", "--yes"]).await;
    assert!(!run.stderr.contains("was interrupted"), "{}", run.stderr);
    child.kill().unwrap();
    child.wait().unwrap();
    (platform, proxy, sandbox)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_not_done_is_not_told_as_found_done() {
    let (platform, proxy, sandbox) = killed(Moment::Before).await;
    sandbox.write("other.yaml", "version: v1\nkind: Room\nmetadata: {name: b}\n");
    let other = ["plan", "-f", "other.yaml"];
    assert_eq!(plans::run(&sandbox, &platform, &proxy, &other).await.code, 0);
    let other = ["apply", "-f", "other.yaml", "--yes", "--target", "Room/b"];
    let run = plans::run(&sandbox, &platform, &proxy, &other).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("was interrupted"), "{}", run.stderr);
    assert!(run.stderr.contains("these are still not known: create Room/a"), "{}", run.stderr);
    platform.read("/rooms/a").await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_still_wanted_is_still_to_do() {
    let (platform, proxy, sandbox) = killed(Moment::Before).await;
    let apply = ["apply", "-f", "set.yaml", "--yes"];
    let run = plans::run(&sandbox, &platform, &proxy, &apply).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("still to do: create Room/a"), "{}", run.stderr);
}

/// Writes what the lease of the set `s` is to be.
async fn write_lease(world: &World, lease: &Value) {
    let upload = lease_file(world, "POST").json(lease).send().await;
    assert!(upload.status < 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_cannot_be_read_may_be_held() {
    let world = World::start().await;
    for lease in [json!({"holder": "ada"}), json!([]), json!({"until": "tomorrow"})] {
        write_lease(&world, &lease).await;
        let error = take(&world, "s", false).await.unwrap_err();
        assert_eq!(error.class, Class::Refused, "{error}");
        assert!(error.hint.as_ref().unwrap().contains(".meshagent/sets/s.lock"), "{error:?}");
        assert_eq!(take(&world, "s", true).await.unwrap().release().await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_run_out_by_the_clock_of_the_platform() {
    for ahead in [-86_400, -600, 600, 86_400] {
        let mut world = World::start().await;
        let proxy = Hostile::in_front_of(&world.server).with(Fault::Clock(ahead)).start().await;
        world.through(&proxy);
        let lease = |left: i64| {
            let until = Timestamp::now() + jiff::SignedDuration::from_secs(ahead + left);
            json!({"holder": "ada", "since": Timestamp::now(), "until": until})
        };
        write_lease(&world, &lease(30)).await;
        let error = take(&world, "s", false).await.unwrap_err();
        assert!(error.to_string().contains("is being applied"), "{ahead}: {error}");
        write_lease(&world, &lease(-30)).await;
        let lock = take(&world, "s", false).await.unwrap();
        let written = lease_file(&world, "GET").send().await.json();
        let until: Timestamp = written["until"].as_str().unwrap().parse().unwrap();
        let left = until.duration_since(Timestamp::now()).as_secs() - ahead;
        assert!((-10..=10).contains(&left), "{ahead}: {left}");
        assert_eq!(lock.release().await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_ended_and_was_not_asked_after_holds_nothing() {
    let world = World::start().await;
    drop(take(&world, "s", false).await.unwrap());
    let mut lease = lease_file(&world, "GET").send().await.json();
    lease["until"] = Timestamp::now().checked_add(LASTS * 100).unwrap().to_string().into();
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    let mut lives = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let state = |process: u32| std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    while !state(ended.id()).contains(") Z ") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (process, holds) in [(lives.id(), true), (ended.id(), false)] {
        lease["process"] = process.into();
        write_lease(&world, &lease).await;
        assert_eq!(take(&world, "s", false).await.is_err(), holds, "{process}");
    }
    lives.kill().unwrap();
    lives.wait().unwrap();
    ended.wait().unwrap();
}
