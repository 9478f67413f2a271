//! Containers stay within their limits, whatever they try.

use meshagent_containers::{Limits, Mount, Spec};

use crate::{ended, here, said, shell};

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
