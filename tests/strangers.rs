//! Manifests, templates, rules and requests of strangers: nothing gets out, nothing
//! overflows, nothing takes for ever.

mod activated;
mod checkouts;
mod commands;
mod credentials;
mod every_field;
mod files;
mod forms;
mod fuzzed;
mod many;
mod options;
mod reading;
mod rendering;
mod rules;
mod sealed;
mod seals;
mod servers;
mod source;
mod unknown;
mod written;

use std::time::{Duration, Instant};

use crate::cli::{Run, Sandbox};

/// What is far more than anything takes here, also where the machine has much else to do.
const LONG: Duration = Duration::from_secs(60);

/// Does the work, which must not take long.
#[track_caller]
fn soon<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    assert!(start.elapsed() < LONG, "{what} took {:?}", start.elapsed());
    done
}

fn write(sandbox: &Sandbox, name: &str, text: impl AsRef<[u8]>) {
    let path = sandbox.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn room(name: &str, rest: &str) -> String {
    format!("version: v1\nkind: Room\nmetadata: {{name: {name}}}\n{rest}")
}

/// A secret with one pair, read from a source.
fn secret(source: &str) -> String {
    format!(
        "version: v1\nkind: Secret\nmetadata: {{name: s}}\ntype: keys\ndata:\n  A: {{from: {source}}}\n"
    )
}

#[track_caller]
fn refused(run: &Run, code: i32, told: &str) {
    assert!(run.code == code && run.stderr.contains(told), "{}\n{}", run.code, run.stderr);
}

/// Everything that a run printed.
fn all(run: &Run) -> String {
    format!("{}{}", run.stdout, run.stderr)
}
