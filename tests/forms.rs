//! What can be no name, image, port, text or value is refused where it is written, in one go,
//! and without a word of a secret.

mod bounds;
mod images;
mod names;
mod quoting;
mod spelling;
mod taken;
mod twice;

use crate::cli::{Run, Sandbox};

/// Runs `validate` on a manifest and expects this exit code.
#[track_caller]
fn validate(sandbox: &Sandbox, code: i32, file: &str, text: &str) -> Run {
    sandbox.write(file, text);
    let run = sandbox.run(&["validate", "-f", file]);
    assert_eq!(run.code, code, "{text}\n{}{}", run.stdout, run.stderr);
    run
}

#[track_caller]
fn tells(run: &Run, expected: &str) {
    assert!(run.stderr.contains(expected), "{expected:?} is not in\n{}", run.stderr);
}

/// A service with these lines in its container.
fn service(container: &str) -> String {
    format!(
        "version: v1\nkind: Service\nmetadata:\n  name: s\nproject: p\ncontainer:\n  image: x\n{container}"
    )
}
