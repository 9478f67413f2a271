//! What is read of manifests, values and secrets: all of it, as it is written, and nothing
//! that is not needed.

mod accepting;
mod documents;
mod empty;
mod folders;
mod lifecycle;
mod secret_types;
mod sources;
mod templates;
mod values;

use crate::cli::{Run, Sandbox};

/// Writes a file with the folders that it is in.
fn write(sandbox: &Sandbox, name: &str, text: impl AsRef<[u8]>) {
    let path = sandbox.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn room(name: &str) -> String {
    format!("version: v1\nkind: Room\nmetadata:\n  name: {name}\n")
}

/// Runs a command and expects this exit code.
#[track_caller]
fn run(sandbox: &Sandbox, code: i32, arguments: &[&str]) -> Run {
    let run = sandbox.run(arguments);
    assert_eq!(run.code, code, "{}\n{}", run.stdout, run.stderr);
    run
}

/// The objects that a plan creates, as it shows them.
fn created(plan: &Run) -> Vec<&str> {
    let lines = plan.stdout.lines();
    lines.filter_map(|line| line.strip_prefix("+ create ")?.split_whitespace().next()).collect()
}

#[track_caller]
fn told(run: &Run, what: &str) {
    assert!(run.stderr.contains(what), "{}", run.stderr);
}
