//! The cache of sources, with several processes, killed ones, and whoever tampers with it.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{Project, room, tells};

const SOURCE: &str = "{support: {git: agents, ref: v1}}";

#[test]
fn what_was_tampered_with_in_the_cache_is_fetched_again() {
    let project = Project::new(&[("a.yaml", &room("a"))], SOURCE);
    project.run(0, &["source", "update"]);
    let [pack] = &project.cached(".pack")[..] else { panic!("one pack") };
    let folder = pack.parent().unwrap();
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(pack.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mut bytes = std::fs::read(pack).unwrap();
    let at = bytes.windows(8).position(|it| it == b"{name: a").unwrap();
    bytes[at + 7] = b'b';
    std::fs::write(pack, &bytes).unwrap();
    let run = project.run(0, &["validate"]);
    tells(&run, "is damaged, and is fetched again");
    tells(&run, "fetching support@v1");
    assert_eq!(project.created(), ["a"]);
    // Without the repository there is nothing to plan with.
    std::fs::write(pack, &bytes).unwrap();
    std::fs::rename(project.sandbox.path("agents"), project.sandbox.path("gone")).unwrap();
    tells(&project.run(2, &["validate"]), "the source `support` cannot be read: git fetch failed");
}

#[test]
fn processes_that_fetch_at_once_end_with_one_file() {
    let project = Project::new(&[("a.yaml", &room("a"))], SOURCE);
    project.run(0, &["source", "update"]);
    std::fs::remove_dir_all(project.sandbox.path(".cache")).unwrap();
    let start = || project.sandbox.command(&["source", "fetch"]).stderr(Stdio::piped()).spawn();
    let children: Vec<_> = (0..4).map(|_| start().unwrap()).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(project.cached("").len(), 1, "{:?}", project.cached(""));
    assert_eq!(project.created(), ["a"]);
}

#[test]
fn a_run_that_is_killed_while_it_fetches_leaves_nothing_that_counts() {
    let project = Project::new(&[("a.yaml", &room("a"))], SOURCE);
    project.run(0, &["source", "update"]);
    std::fs::remove_dir_all(project.sandbox.path(".cache")).unwrap();
    // A Git that takes its time once it has fetched.
    let path = std::env::var("PATH").unwrap();
    project.write("bin/git", &format!("#!/bin/sh\nPATH='{path}'\ngit \"$@\"\ncode=$?\ncase \"$*\" in *fetch\\ -q*) sleep 30;; esac\nexit $code\n"));
    let executable = PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(project.sandbox.path("bin/git"), executable).unwrap();
    let slow = format!("{}:{path}", project.sandbox.path("bin").display());
    let mut child = project
        .sandbox
        .command(&["validate"])
        .env("PATH", slow)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    let has_objects = || {
        let folders = project.cached("").into_iter();
        folders
            .map(|it| it.join("objects.git/FETCH_HEAD"))
            .any(|it| it.metadata().is_ok_and(|it| it.len() > 0))
    };
    while !has_objects() {
        assert!(Instant::now() < end, "nothing was fetched");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(project.cached(".pack").len(), 0);
    project.run(0, &["validate"]);
    // What the killed run left is gone.
    assert_eq!(project.cached("").len(), 1, "{:?}", project.cached(""));
}
