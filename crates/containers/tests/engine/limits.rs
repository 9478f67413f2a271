//! Containers stay within their limits, whatever they try.

use meshagent_containers::{Limits, Mount, Spec};

use crate::{ended, here, resident, said, shell};

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_bomb_stays_within_the_number_of_processes() {
    let Some(here) = here().await else { return };
    let limits = Limits { processes: 24, ..Limits::default() };
    let line = "i=0; while [ $i -lt 100 ]; do sleep 100 & i=$((i+1)); done; echo all";
    let id = here.engine.run(&Spec { limits, ..shell(line) }).await.expect("a container");
    let (code, out, err) = ended(&here.engine, &id).await;
    assert!(code != 0 && out.is_empty(), "{out}");
    assert!(err.contains("can't fork"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_bomb_is_killed_within_its_memory() {
    let Some(here) = here().await else { return };
    let limits = Limits { memory: 32 << 20, ..Limits::default() };
    let line = "a=aaaaaaaaaaaaaaaa; while :; do a=$a$a; done";
    let id = here.engine.run(&Spec { limits, ..shell(line) }).await.expect("a container");
    assert_eq!(here.engine.wait(&id).await, Ok(137));
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_folders_hold_as_much_as_they_were_given_and_count_as_memory() {
    let Some(here) = here().await else { return };
    let mounts = vec![
        Mount::Empty { target: "/own".to_owned(), size: Some(1 << 20) },
        Mount::Empty { target: "/other".to_owned(), size: None },
    ];
    let limits = Limits { empty: 2 << 20, shared_memory: 3 << 20, ..Limits::default() };
    let line = "for it in /own /other /tmp /run /var/tmp /dev/shm; do \
        dd if=/dev/zero of=$it/file bs=64k 2>/dev/null; ls -l $it/file; done | \
        while read mode links user group size rest; do echo $size; done; id -u";
    let said = said(&here.engine, &Spec { mounts, limits, ..shell(line) }).await;
    let sizes: Vec<u64> = said.lines().map(|it| it.parse().expect("a number")).collect();
    let megabytes: Vec<u64> = sizes[..6].iter().map(|it| it >> 20).collect();
    assert_eq!(megabytes, [1, 2, 2, 2, 2, 3], "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn open_files_and_the_log_have_bounds() {
    let Some(here) = here().await else { return };
    let limits = Limits { files: 40, log: 1 << 20, ..Limits::default() };
    let line = "ulimit -n; i=0; while [ $i -lt 40000 ]; do \
        echo 0123456789012345678901234567890123456789012345678901234567890123456789; i=$((i+1)); done";
    let id = here.engine.run(&Spec { limits, ..shell(line) }).await.expect("a container");
    let (code, out, _) = ended(&here.engine, &id).await;
    assert_eq!(code, 0);
    // It wrote 2.8 MB, of which the end is kept.
    assert!(out.len() < 2 << 20 && out.ends_with("6789\n"), "{}", out.len());
    let files = Limits { files: 40, ..Limits::default() };
    assert_eq!(said(&here.engine, &Spec { limits: files, ..shell("ulimit -n") }).await, "40\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_log_takes_no_memory_of_whoever_follows_it_slowly() {
    let Some(here) = here().await else { return };
    let limits = Limits { log: 8 << 20, ..Limits::default() };
    let id =
        here.engine.run(&Spec { limits, ..shell("yes 0123456789") }).await.expect("a container");
    let mut logs = here.engine.logs(&id, true).await.expect("logs");
    logs.next().await.expect("more").expect("a piece");
    let before = resident();
    // It writes much more than is read meanwhile.
    let _ = here.engine.logs(&id, false).await.expect("logs");
    let mut read = 0;
    while read < 1 << 20 {
        let (_, piece) = logs.next().await.expect("more").expect("a piece");
        assert!(piece.iter().all(|it| b"0123456789\n".contains(it)), "{piece:?}");
        read += piece.len();
    }
    let after = resident();
    assert!(after < before + (4 << 20), "{before} bytes became {after}");
    here.engine.kill(&id).await.expect("it is killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_fills_its_folders_stays_within_its_memory_and_the_next_one_runs() {
    let Some(here) = here().await else { return };
    let limits = Limits { memory: 32 << 20, empty: 64 << 20, ..Limits::default() };
    // What is in the empty folders is of the container's memory.
    let line = "dd if=/dev/zero of=/tmp/file bs=1024k count=64 2>/dev/null && echo written";
    let id = here.engine.run(&Spec { limits, ..shell(line) }).await.expect("a container");
    let (code, out, _) = ended(&here.engine, &id).await;
    assert!(code != 0 && out.is_empty(), "{code}: {out}");
    assert_eq!(said(&here.engine, &shell("echo next")).await, "next\n");
}
