//! What is written into files, and what happens where it cannot be written.

use std::process::{Command, Stdio};

use super::{refused, room, write};
use crate::cli::{Run, Sandbox};

const KEY: &str = "ma-c4n4ry-k3y/with+signs=";

/// Runs the program as the holder of the key.
fn holding(sandbox: &Sandbox, words: &[&str]) -> Run {
    let mut command = sandbox.command(&[words, &["--embedded"]].concat());
    Run::of(command.env("MESHAGENT_TOKEN", KEY).output().unwrap())
}

fn read(sandbox: &Sandbox, name: &str) -> String {
    std::fs::read_to_string(sandbox.path(name)).unwrap()
}

#[test]
fn own_credentials_are_in_no_file_and_a_saved_plan_is_performed_all_the_same() {
    let sandbox = Sandbox::new();
    let rest = format!("room_metadata: {{a: {KEY:?}, b: [\"x {KEY} y\"]}}\n");
    write(&sandbox, "m/a.yaml", room("a", &rest));
    refused(&holding(&sandbox, &["plan", "-f", "m", "--out", "plan.json"]), 0, "");
    let plan = read(&sandbox, "plan.json");
    assert!(!plan.contains("c4n4ry") && plan.contains("x (secret) y"), "{plan}");
    refused(&holding(&sandbox, &["apply", "plan.json", "--yes", "--report", "report.json"]), 0, "");
    let report = read(&sandbox, "report.json");
    assert!(!report.contains("c4n4ry") && report.contains("(secret)"), "{report}");
    // What was applied is what the manifest says, as whoever has no such credential sees.
    refused(&sandbox.embedded(0, &["export", "-d", "plain"]), 0, "");
    let exported = |folder: &str| read(&sandbox, &format!("{folder}/room/a.yaml"));
    assert!(exported("plain").contains(KEY), "{}", exported("plain"));
    let told = "a.yaml: the platform's data contains one of your credentials";
    refused(&holding(&sandbox, &["export", "-d", "out"]), 0, told);
    assert!(!exported("out").contains("c4n4ry"), "{}", exported("out"));
    assert!(exported("out").contains("(secret)"), "{}", exported("out"));
}

/// Runs the program where files may not grow, with its standard output in a file.
fn without_room(sandbox: &Sandbox, words: &[&str]) -> Run {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"ulimit -f 0; exec "$0" "$@""#, env!("CARGO_BIN_EXE_meshagent")])
        .args(words)
        .current_dir(sandbox.path(""))
        .env_clear()
        .env("HOME", sandbox.path(""))
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null());
    let file = std::fs::File::create(sandbox.path("printed")).unwrap();
    Run::of(command.stdout(file).output().unwrap())
}

#[test]
fn a_file_that_may_not_grow_is_an_error_and_no_signal() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/a.yaml", room("a", ""));
    for words in [
        &["schema"][..],
        &["schema", "-d", "schemas"],
        &["explain", "Room"],
        &["completion", "bash"],
        &["version"],
        &["--help"],
        &["validate", "-f", "m", "--project-id", "p", "--help"],
        &["secret", "keygen", "-o", "age.txt"],
        &["plan", "-f", "m", "--embedded"],
    ] {
        let run = without_room(&sandbox, words);
        assert_eq!(run.code, 1, "{words:?}: {}", run.stderr);
        assert!(run.stderr.starts_with("error: "), "{words:?}: {}", run.stderr);
        assert_eq!(run.stderr.matches("error: ").count(), 1, "{words:?}: {}", run.stderr);
    }
    let run = without_room(&sandbox, &["schema", "-d", "schemas"]);
    assert!(run.stderr.contains("File too large"), "{}", run.stderr);
}

/// A run whose output nobody reads.
fn unread(sandbox: &Sandbox, words: &[&str]) -> Run {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    Run::of(sandbox.command(words).stdout(writer).output().unwrap())
}

/// What is shown once and nobody reads is lost, so it has failed.
#[test]
fn a_key_that_nobody_reads_is_a_failure() {
    let sandbox = Sandbox::new();
    let run = unread(&sandbox, &["api-key", "create", "k", "--embedded"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("failed to write to standard output"), "{}", run.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_failure_and_no_signal() {
    let sandbox = Sandbox::new();
    write(&sandbox, "m/a.yaml", room("a", ""));
    for words in [
        &["schema"][..],
        &["explain"],
        &["completion", "zsh"],
        &["--help"],
        &["plan", "--help"],
        &["version"],
        &["plan", "-f", "m", "--embedded"],
        &["plan", "-f", "m", "--embedded", "-o", "json"],
        &["diff", "-f", "m", "--embedded"],
        &["graph", "-f", "m", "--embedded"],
        &["apply", "-f", "m", "--embedded", "--yes", "-o", "json"],
        &["rooms", "list", "--embedded"],
    ] {
        let run = unread(&sandbox, words);
        assert_eq!(
            (run.code, run.stderr.contains("error")),
            (0, false),
            "{words:?} {}",
            run.stderr
        );
    }
}
