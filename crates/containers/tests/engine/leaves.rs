//! An engine that leaves in the middle is an error for everybody who waits for it.

use meshagent_containers::{Error, Exec, Session};

use crate::{here, labels, shell};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_an_engine_that_is_killed_is_told() {
    let Some(mut here) = here().await else { return };
    let engine = here.engine.clone();
    let id = engine.run(&shell("echo begun; sleep 1000")).await.expect("a container");
    let mut logs = engine.logs(&id, true).await.expect("logs");
    logs.next().await.expect("more").expect("a piece");
    let command = ["sh", "-c", "echo begun; sleep 1000"].map(str::to_owned).to_vec();
    let session = engine.exec(&id, &Exec { command, ..Exec::default() }).await.expect("a command");
    let Session { input: _input, mut output, mut control } = session;
    output.next().await.expect("more").expect("a piece");
    let waiting = tokio::spawn({
        let (engine, id) = (engine.clone(), id.clone());
        async move { engine.wait(&id).await }
    });
    here.kill_service();
    let gone = |error: &Error| matches!(error, Error::Gone { .. }) && error.may_pass();
    let waited = waiting.await.expect("a task").expect_err("no end");
    assert!(gone(&waited), "{waited:?}");
    let logged = logs.next().await.expect("an error").expect_err("no more");
    assert!(gone(&logged), "{logged:?}");
    assert!(logs.next().await.is_none());
    assert!(output.next().await.is_none_or(|it| it.is_err_and(|error| gone(&error))));
    for error in [
        control.status().await.expect_err("no status"),
        control.kill().await.expect_err("not killed"),
        engine.run(&shell("true")).await.expect_err("no container"),
        engine.list(&labels([]), true).await.expect_err("no list"),
    ] {
        assert!(gone(&error), "{error:?}");
    }
}
