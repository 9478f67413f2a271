//! `destroy -f` deletes what the files declare, and nothing else.

use std::process::{Command, Stdio};

use crate::cli::{Run, Sandbox};

fn room(name: &str) -> String {
    format!("version: v1\nkind: Room\nmetadata: {{name: {name}}}\n")
}

/// A sandbox with a set of a room for each file of `m`.
fn applied(names: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("m")).unwrap();
    for name in names {
        sandbox.write(&format!("m/{name}.yaml"), &room(name));
    }
    sandbox.embedded(0, &["apply", "-f", "m", "--yes"]);
    sandbox
}

fn rooms(sandbox: &Sandbox) -> Vec<String> {
    let listed = sandbox.embedded(0, &["rooms", "list", "-q"]).stdout;
    listed.lines().map(str::to_owned).collect()
}

#[track_caller]
fn tells(run: &Run, expected: &str) {
    assert!(run.stderr.contains(expected), "{expected:?} is not in\n{}", run.stderr);
}

/// The fault: what had left the files was deleted, as if it were declared in them.
#[test]
fn what_left_the_files_stays() {
    let sandbox = applied(&["a", "b", "c"]);
    std::fs::remove_file(sandbox.path("m/a.yaml")).unwrap();
    sandbox.write("m/b.yaml", &room("other"));
    let run = sandbox.embedded(0, &["destroy", "-f", "m", "--yes"]);
    assert!(run.stdout.contains("- delete Room/c  it is declared in what is destroyed\n"));
    tells(
        &run,
        "note: 2 objects of this set were declared in m/, and are not declared there any more; they stay. `apply -f` deletes them, and without -f, `destroy` deletes them, too",
    );
    assert_eq!(rooms(&sandbox), ["a", "b"]);
}

#[test]
fn a_file_that_is_gone_is_told_from_a_folder_that_is_gone() {
    let sandbox = applied(&["a", "b"]);
    std::fs::remove_file(sandbox.path("m/a.yaml")).unwrap();
    let run = sandbox.embedded(0, &["destroy", "-f", "m/b.yaml", "--dry-run"]);
    tells(
        &run,
        "1 object of this set was declared in a file of m/, which no longer exists; it stays",
    );
}

#[test]
fn files_that_declare_nothing_destroy_nothing() {
    let sandbox = applied(&["a", "b"]);
    let refused = "the manifests declare nothing, so nothing would be destroyed";
    sandbox.write("m/a.yaml", "");
    tells(&sandbox.embedded(6, &["destroy", "-f", "m/a.yaml", "--yes"]), refused);
    for name in ["a", "b"] {
        std::fs::remove_file(sandbox.path(&format!("m/{name}.yaml"))).unwrap();
    }
    tells(&sandbox.embedded(6, &["destroy", "-f", "m", "--yes"]), refused);
    // The command that was to write it may have failed.
    let run = sandbox.embedded(6, &["destroy", "-f", "-", "--yes"]);
    tells(&run, "standard input declares nothing; the command that writes it may have failed");
    assert_eq!(rooms(&sandbox), ["a", "b"]);
    // What nobody made is not called as declared.
    sandbox.write("new.yaml", &room("new"));
    let run = sandbox.embedded(0, &["destroy", "-f", "new.yaml", "--yes"]);
    let told = "Nothing to destroy: the set `default` owns nothing of what these manifests declare";
    assert!(run.stdout.starts_with(told), "{}", run.stdout);
}

/// The fault: a pipe that a shell opened counted as no files at all, and the whole set went.
#[test]
fn a_pipe_destroys_what_it_declares() {
    let sandbox = applied(&["a", "b", "c"]);
    let piped = |text: &str| {
        let program = env!("CARGO_BIN_EXE_meshagent");
        let line = format!("{program} destroy -f <(printf '{text}') --embedded --yes");
        let mut bash = Command::new("bash");
        bash.args(["-c", &line]).current_dir(sandbox.path("")).env_clear();
        bash.env("HOME", sandbox.path("")).env("PATH", std::env::var_os("PATH").unwrap());
        Run::of(bash.stdin(Stdio::null()).output().unwrap())
    };
    let run = piped(&room("a").replace('\n', "\\n"));
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(rooms(&sandbox), ["b", "c"]);
    let run = piped("");
    assert_eq!(run.code, 6, "{}", run.stdout);
    tells(&run, "a pipe declares nothing");
    assert_eq!(rooms(&sandbox), ["b", "c"]);
}

/// What is in a room goes with it, and what got another name in the files is still meant.
#[test]
fn a_room_goes_with_what_is_in_it_and_a_new_name_means_the_old_object() {
    let sandbox = Sandbox::new();
    let service =
        "version: v1\nkind: Service\nmetadata: {name: bot}\nroom: lobby\ncontainer: {image: x}\n";
    sandbox.write("m.yaml", &format!("{}---\n{service}---\n{}", room("lobby"), room("old")));
    sandbox.embedded(0, &["apply", "-f", "m.yaml", "--yes"]);
    let renamed = room("new") + "lifecycle: {moved_from: old}\n";
    sandbox.write("m.yaml", &format!("{}---\n{renamed}", room("lobby")));
    let run = sandbox.embedded(0, &["destroy", "-f", "m.yaml", "--yes"]);
    assert!(
        run.stdout.contains("- delete Service/bot@lobby  its room is destroyed\n"),
        "{}",
        run.stdout
    );
    assert_eq!(rooms(&sandbox), [""; 0]);
}

/// Every way to end has its last event, also where nothing is performed.
#[test]
fn a_plan_that_is_only_shown_ends_with_an_event() {
    let sandbox = applied(&["a"]);
    let last = |code: i32, words: &[&str]| {
        let all = [&["destroy", "--dry-run", "-o", "json"], words].concat();
        sandbox.embedded(code, &all).events().pop().expect("an event")
    };
    let summary = last(0, &[]);
    assert_eq!((&summary["event"], &summary["not_started"]), (&"summary".into(), &1.into()));
    assert_eq!(last(6, &["--expect-project", "no"])["event"], "error");
    sandbox.write("bad.yaml", "kind: [");
    assert_eq!(last(6, &["-f", "bad.yaml"])["code"], 6);
    let text = sandbox.embedded(0, &["destroy", "--dry-run"]).stdout;
    assert!(text.ends_with("Plan: 1 to delete.\n"), "{text}");
    assert_eq!(rooms(&sandbox), ["a"]);
}
