//! What is shown: changes where they differ, names as they are, failures once, and all of it
//! where it was asked for.

#[path = "shown/changes.rs"]
mod changes;
#[path = "shown/failures.rs"]
mod failures;
#[path = "shown/hostile.rs"]
mod hostile;
#[path = "shown/secrets.rs"]
mod secrets;
#[path = "shown/written.rs"]
mod written;

use crate::cli::Run;

/// All that a run showed.
fn all(run: &Run) -> String {
    format!("{}{}", run.stdout, run.stderr)
}

fn room(name: &str, rest: &str) -> String {
    format!("---\nversion: v1\nkind: Room\nmetadata: {{name: {name}}}\n{rest}")
}
