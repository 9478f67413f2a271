//! Containers are found, waited for, stopped and removed.

use std::time::{Duration, Instant};

use meshagent_containers::{Channel, Error, Spec, State};

use crate::{here, labels, shell, written};

#[tokio::test(flavor = "multi_thread")]
async fn containers_are_listed_by_all_of_their_labels() {
    let Some(here) = here().await else { return };
    let engine = &here.engine;
    let (one, two) = (labels([("room", "a"), ("by", "me, \"you\"")]), labels([("room", "b")]));
    let first = engine.run(&Spec { labels: one.clone(), ..shell("sleep 100") }).await.expect("one");
    let second = engine.run(&Spec { labels: two.clone(), ..shell("exit 2") }).await.expect("two");
    engine.wait(&second).await.expect("an end");
    let ids = async |labels, all| -> Vec<String> {
        let found = engine.list(&labels, all).await.expect("a list");
        found.into_iter().map(|it| it.id).collect()
    };
    assert_eq!(ids(one.clone(), false).await, Vec::from([first.clone()]));
    assert!(ids(two.clone(), false).await.is_empty());
    assert_eq!(ids(two, true).await, Vec::from([second.clone()]));
    assert!(ids(labels([("room", "a"), ("by", "other")]), true).await.is_empty());
    assert_eq!(ids(labels([]), true).await.len(), 2);
    let found = engine.inspect(&first).await.expect("a container");
    assert_eq!((found.state, found.exit_code, found.labels), (State::Running, None, one));
    assert!(found.started.is_some() && found.ended.is_none());
    let found = engine.inspect(&second).await.expect("a container");
    assert_eq!((found.state, found.exit_code), (State::Exited, Some(2)));
    assert!(found.started.is_some() && found.ended.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_does_not_listen_is_killed_after_its_grace() {
    let Some(here) = here().await else { return };
    let line = "trap '' TERM; echo ready; while :; do sleep 1; done";
    let id = here.engine.run(&shell(line)).await.expect("a container");
    let mut logs = here.engine.logs(&id, true).await.expect("logs");
    logs.next().await.expect("a piece").expect("a piece");
    let started = Instant::now();
    here.engine.stop(&id, Duration::from_secs(1)).await.expect("it stops");
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(here.engine.wait(&id).await, Ok(137));
    // What has ended can be stopped once more, and not killed.
    here.engine.stop(&id, Duration::ZERO).await.expect("it has ended");
    let killed = here.engine.kill(&id).await;
    assert!(matches!(killed, Err(Error::Conflict { .. })), "{killed:?}");
    assert!(logs.next().await.is_none(), "the log ends with the container");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_hears_of_a_kill() {
    let Some(here) = here().await else { return };
    let id = here.engine.run(&shell("sleep 100")).await.expect("a container");
    let (engine, waited) = (here.engine.clone(), id.clone());
    let waiting = tokio::spawn(async move { engine.wait(&waited).await });
    here.engine.kill(&id).await.expect("it is killed");
    assert_eq!(waiting.await.expect("a task"), Ok(137));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_hears_of_a_removal() {
    let Some(here) = here().await else { return };
    let id = here.engine.run(&shell("sleep 100")).await.expect("a container");
    let (engine, waited) = (here.engine.clone(), id.clone());
    let waiting = tokio::spawn(async move { engine.wait(&waited).await });
    here.engine.remove(&id, true).await.expect("it is removed");
    // Which of the two the engine says depends on what it noticed first.
    match waiting.await.expect("a task") {
        Ok(code) => assert_ne!(code, 0),
        Err(error) => assert_eq!(error, Error::NoContainer { id }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_containers_are_told_by_their_ids() {
    let Some(here) = here().await else { return };
    let engine = &here.engine;
    for id in ["0123456789ab", "none", "../images/json", "a?force=true", "ä b%2f"] {
        let unknown = Error::NoContainer { id: id.to_owned() };
        assert_eq!(engine.inspect(id).await, Err(unknown.clone()));
        assert_eq!(engine.wait(id).await, Err(unknown.clone()));
        assert_eq!(engine.stop(id, Duration::ZERO).await, Err(unknown.clone()));
        assert_eq!(engine.kill(id).await, Err(unknown.clone()));
        assert_eq!(engine.remove(id, true).await, Err(unknown.clone()));
        assert_eq!(engine.logs(id, true).await.map(drop), Err(unknown.clone()));
        assert_eq!(engine.reach(id, 80).await, Err(unknown));
    }
    assert!(matches!(engine.inspect("").await, Err(Error::NoContainer { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_runs_is_removed_with_force_only() {
    let Some(here) = here().await else { return };
    let id = here.engine.run(&shell("sleep 100")).await.expect("a container");
    let refused = here.engine.remove(&id, false).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    here.engine.remove(&id, true).await.expect("it is removed");
    assert_eq!(here.engine.inspect(&id).await, Err(Error::NoContainer { id }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_to_its_end_and_what_is_written_meanwhile_is_seen() {
    let Some(here) = here().await else { return };
    let line = "echo first; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo second >&2";
    let id = here.engine.run(&shell(line)).await.expect("a container");
    let mut logs = here.engine.logs(&id, true).await.expect("logs");
    let first = logs.next().await.expect("a piece").expect("a piece");
    assert_eq!((first.0, &first.1[..]), (Channel::Out, &b"first\n"[..]));
    assert_eq!(written(&here.engine, &id).await.0, "first\n");
    let touched =
        here.podman().args(["exec", &id, "touch", "/tmp/go"]).status().expect("podman runs");
    assert!(touched.success());
    let second = logs.next().await.expect("a piece").expect("a piece");
    assert_eq!((second.0, &second.1[..]), (Channel::Err, &b"second\n"[..]));
    assert!(logs.next().await.is_none());
}
