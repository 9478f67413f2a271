//! Commands in containers: input, output, terminals, and ends that are ends.

use std::time::Duration;

use meshagent_containers::{Channel, Engine, Error, Exec, Limits, Output, Session, Size, Spec};
use tokio::io::AsyncWriteExt as _;

use crate::{here, shell};

fn exec(line: &str) -> Exec {
    Exec { command: ["sh", "-c", line].map(str::to_owned).to_vec(), ..Exec::default() }
}

/// What is written to both outputs until they end.
async fn rest(output: &mut Output) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(piece) = output.next().await {
        let (channel, piece) = piece.expect("a piece");
        if channel == Channel::Out { &mut out } else { &mut err }.extend_from_slice(&piece);
    }
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(out), text(err))
}

/// Runs a command to its end.
async fn done(engine: &Engine, id: &str, exec: &Exec) -> (i64, String, String) {
    let Session { input, mut output, mut control } =
        engine.exec(id, exec).await.expect("a command");
    drop(input);
    let (out, err) = rest(&mut output).await;
    (control.status().await.expect("an end"), out, err)
}

/// Reads until a text was written.
async fn until(output: &mut Output, wanted: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(wanted) {
        let (_, piece) = output.next().await.expect("more").expect("a piece");
        seen.push_str(std::str::from_utf8(&piece).expect("text"));
    }
    seen
}

/// Waits until there is no process left that was started with these words.
async fn gone(engine: &Engine, id: &str, words: &str) {
    for _ in 0..100 {
        let (_, out, _) = done(engine, id, &exec("ps -o pid,args")).await;
        if !out.contains(words) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{words} runs on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_reads_and_writes_and_its_code_is_told() {
    let Some(here) = here().await else { return };
    let id = here.engine.run(&shell("sleep 100")).await.expect("a container");
    let line = "cat; echo error >&2; echo $0 $A $PWD; exit 7";
    let env = vec![("A".to_owned(), "x  y".into())];
    let exec = Exec { env, working_dir: Some("/bin".to_owned()), ..exec(line) };
    let session = here.engine.exec(&id, &exec).await.expect("a command");
    let Session { mut input, mut output, mut control } = session;
    input.write_all(b"one\n").await.expect("it is written");
    assert_eq!(until(&mut output, "\n").await, "one\n");
    input.write_all("zwei ä€".as_bytes()).await.expect("it is written");
    input.shutdown().await.expect("the end of input");
    let (out, err) = rest(&mut output).await;
    assert_eq!((out.as_str(), err.as_str()), ("zwei ä€sh x y /bin\n", "error\n"));
    assert_eq!(control.status().await, Ok(7));
    assert_eq!(control.kill().await, Ok(()), "what has ended is dead");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_no_more_rights_than_its_container_and_the_same_limits() {
    let Some(here) = here().await else { return };
    let limits = Limits { processes: 24, files: 40, ..Limits::default() };
    let line =
        "grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status; ulimit -n; sleep 100";
    let id = here.engine.run(&Spec { limits, ..shell(line) }).await.expect("a container");
    let mut logs = here.engine.logs(&id, true).await.expect("logs");
    let mut of_container = String::new();
    while of_container.lines().count() < 5 {
        let (_, piece) = logs.next().await.expect("more").expect("a piece");
        of_container.push_str(std::str::from_utf8(&piece).expect("text"));
    }
    let of_command = done(&here.engine, &id, &exec(line.trim_end_matches("sleep 100"))).await;
    assert_eq!(of_command, (0, of_container, String::new()));
    let bomb = "i=0; while [ $i -lt 100 ]; do sleep 100 & i=$((i+1)); done; echo all";
    let (code, out, err) = done(&here.engine, &id, &exec(bomb)).await;
    assert!(code != 0 && out.is_empty() && err.contains("can't fork"), "{code}: {out} {err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn much_goes_through_a_command_and_none_of_it_is_lost() {
    let Some(here) = here().await else { return };
    let id = here.engine.run(&shell("sleep 100")).await.expect("a container");
    let session = here.engine.exec(&id, &exec("cat")).await.expect("a command");
    let Session { mut input, mut output, mut control } = session;
    let sent: Vec<u8> = (0..8_u32 << 20).map(|it| (it / 7 % 251) as u8).collect();
    let received = tokio::spawn(async move {
        let mut received = Vec::new();
        while let Some(piece) = output.next().await {
            received.extend_from_slice(&piece.expect("a piece").1);
        }
        received
    });
    input.write_all(&sent).await.expect("it is written");
    drop(input);
    assert!(received.await.expect("a task") == sent);
    assert_eq!(control.status().await, Ok(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_its_size_from_the_start_and_another_later() {
    let Some(here) = here().await else { return };
    let id = here.engine.run(&shell("sleep 100")).await.expect("a container");
    let size = Some(Size { rows: 31, columns: 97 });
    let line = "read a; stty size; echo error >&2; read a; stty size";
    let session = here.engine.exec(&id, &Exec { tty: true, size, ..exec(line) }).await;
    let Session { mut input, mut output, mut control } = session.expect("a command");
    input.write_all(b"\n").await.expect("it is written");
    until(&mut output, "31 97\r\nerror\r\n").await;
    control.resize(Size { rows: 5, columns: 20 }).await.expect("another size");
    input.write_all(b"\n").await.expect("it is written");
    until(&mut output, "5 20\r\n").await;
    assert_eq!(control.status().await, Ok(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_command_is_dead_with_what_it_started_and_the_container_lives() {
    let Some(here) = here().await else { return };
    let id = here.engine.run(&shell("sleep 1000")).await.expect("a container");
    let line = "trap '' TERM HUP; sleep 2000 & (sleep 2001 &) ; echo ready; sleep 2002";
    for inside in [false, true] {
        let session = here.engine.exec(&id, &exec(line)).await.expect("a command");
        let Session { input: _input, mut output, mut control } = session;
        until(&mut output, "ready").await;
        let killed = if inside { control.kill_from_inside().await } else { control.kill().await };
        killed.expect("it is killed");
        assert_eq!(control.status().await, Ok(137), "{inside}");
        gone(&here.engine, &id, "sleep 200").await;
        assert_eq!(rest(&mut output).await, (String::new(), String::new()));
    }
    let (_, out, _) = done(&here.engine, &id, &exec("ps -o pid,args")).await;
    assert!(out.contains("sleep 1000"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_holds_any_more_is_killed() {
    let Some(here) = here().await else { return };
    let id = here.engine.run(&shell("sleep 1000")).await.expect("a container");
    drop(here.engine.exec(&id, &exec("sleep 2000")).await.expect("a command"));
    gone(&here.engine, &id, "sleep 2000").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_killed_long_after_nobody_reads_it_any_more() {
    let Some(here) = here().await else { return };
    let id = here.engine.run(&shell("sleep 1000")).await.expect("a container");
    let line = "while :; do echo written; sleep 2000 & sleep 0.05; done";
    let session = here.engine.exec(&id, &exec(line)).await.expect("a command");
    let Session { input, mut output, control } = session;
    until(&mut output, "written\nwritten\n").await;
    drop((input, output));
    // It writes to nobody for a while.
    done(&here.engine, &id, &exec("sleep 1")).await;
    control.kill().await.expect("it is killed");
    gone(&here.engine, &id, "sleep 2000").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_dropped_while_it_is_started_does_not_stay() {
    let Some(here) = here().await else { return };
    let id = here.engine.run(&shell("sleep 1000")).await.expect("a container");
    for milliseconds in (0..150).step_by(10) {
        let moment = Duration::from_millis(milliseconds);
        let exec = exec("sleep 2000");
        drop(tokio::time::timeout(moment, here.engine.exec(&id, &exec)).await);
    }
    // Some may be on their way, so that none must be seen for a while.
    for _ in 0..5 {
        gone(&here.engine, &id, "sleep 2000").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_not_read_waits_and_takes_no_memory() {
    let Some(here) = here().await else { return };
    let id = here.engine.run(&shell("sleep 1000")).await.expect("a container");
    let line = "i=0; while :; do dd if=/dev/zero bs=1024k count=1 2>/dev/null; echo $i >/tmp/count; i=$((i+1)); done";
    let session = here.engine.exec(&id, &exec(line)).await.expect("a command");
    let Session { input: _input, mut output, control } = session;
    output.next().await.expect("more").expect("a piece");
    // It writes until the pipes are full, and then its count stays.
    let mut counts = vec![String::new()];
    while counts.len() < 2 || counts[counts.len() - 2] != counts[counts.len() - 1] {
        let (_, count, _) = done(&here.engine, &id, &exec("sleep 0.3; cat /tmp/count")).await;
        counts.push(count);
        assert!(counts.len() < 30, "{counts:?}");
    }
    let megabytes: usize = counts[counts.len() - 1].trim().parse().unwrap_or_default();
    assert!(megabytes < 8, "{counts:?}");
    // It is read again, and goes on.
    let mut read = 0;
    while read < 32 << 20 {
        read += output.next().await.expect("more").expect("a piece").1.len();
    }
    control.kill().await.expect("it is killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_run_says_why() {
    let Some(here) = here().await else { return };
    let id = here.engine.run(&shell("sleep 1000")).await.expect("a container");
    let none = Exec { command: vec!["no-such-program".to_owned()], ..Exec::default() };
    let (code, _, err) = done(&here.engine, &id, &none).await;
    assert!(code == 127 && err.contains("no-such-program"), "{code}: {err}");
    let odd = Exec { command: vec!["a\0".to_owned()], ..Exec::default() };
    let refused = here.engine.exec(&id, &odd).await.map(drop);
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    here.engine.kill(&id).await.expect("it is killed");
    here.engine.wait(&id).await.expect("an end");
    let refused = here.engine.exec(&id, &exec("true")).await.map(drop);
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    let unknown = here.engine.exec("none", &exec("true")).await.map(drop);
    assert_eq!(unknown, Err(Error::NoContainer { id: "none".to_owned() }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_ends_with_its_container() {
    let Some(here) = here().await else { return };
    let id = here.engine.run(&shell("sleep 1000")).await.expect("a container");
    let session = here.engine.exec(&id, &exec("sleep 2000")).await.expect("a command");
    let Session { input: _input, mut output, mut control } = session;
    here.engine.remove(&id, true).await.expect("it is removed");
    assert_eq!(rest(&mut output).await, (String::new(), String::new()));
    assert_eq!(control.status().await, Err(Error::NoContainer { id }));
}
