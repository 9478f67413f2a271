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
    tells(
        &project.run(2, &["validate"]),
        "the source `support` cannot be read: there is no such folder on this machine",
    );
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

#[test]
fn what_changes_is_known_without_a_cache_or_not_told_at_all() {
    let files = [("a.yaml", room("a")), ("b.yaml", room("b"))];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let project = Project::new(&files, "{support: {git: agents, ref: main}}");
    let first = project.git("agents", &["rev-parse", "HEAD"]);
    project.run(0, &["source", "update"]);
    std::fs::remove_file(project.sandbox.path("agents/b.yaml")).unwrap();
    project.commit("agents", &[("a.yaml", &room("c"))], "v2");
    let with = project.run(0, &["source", "update", "--dry-run"]);
    assert!(with.stdout.contains("  - Room/a\n  - Room/b\n  + Room/c\n"), "{}", with.stdout);
    std::fs::remove_dir_all(project.sandbox.path(".cache")).unwrap();
    assert_eq!(project.run(0, &["source", "update", "--dry-run"]).stdout, with.stdout);

    // A history that was written anew.
    project.git("agents", &["checkout", "-q", "--orphan", "new"]);
    project.commit("agents", &[], "v1");
    project.git("agents", &["branch", "-f", "main", "new"]);
    project.git("agents", &["tag", "-d", "v2"]);
    project.git("agents", &["reflog", "expire", "--expire=now", "--all"]);
    project.git("agents", &["gc", "-q", "--prune=now"]);
    std::fs::remove_dir_all(project.sandbox.path(".cache")).unwrap();
    let run = project.run(0, &["source", "update", "--dry-run"]);
    tells(&run, "so what changes with it is not known");
    assert!(run.stdout.ends_with("\n  it is not known what changes\n"), "{}", run.stdout);
    assert!(run.stdout.contains(&format!("{} -> ", &first[..12])), "{}", run.stdout);
    std::fs::remove_dir_all(project.sandbox.path(".cache")).unwrap();
    let told = project.run(0, &["source", "update", "-o", "json"]).json();
    let shown = ["is_new", "is_compared", "objects"].map(|field| told[0][field].clone());
    assert_eq!(shown, [false.into(), false.into(), serde_json::Value::Null]);
}

#[test]
fn a_lock_of_what_nobody_names_is_told() {
    let project = Project::new(
        &[("a.yaml", &room("a"))],
        "{support: {git: agents, ref: v1}, other: {git: agents, ref: v1, path: m}}",
    );
    project.commit("agents", &[("m/b.yaml", &room("b"))], "v1");
    project.run(0, &["source", "update"]);
    project.names("{support: {git: agents, ref: v1}}");
    let run = project.run(0, &["validate"]);
    tells(
        &run,
        "note: meshagent.lock locks what the project file does not name: other; `meshagent source update` forgets it",
    );
    project.run(0, &["source", "update"]);
    assert!(!project.run(0, &["validate"]).stderr.contains("meshagent.lock"));
    assert!(!project.lock().contains("other"));
}
