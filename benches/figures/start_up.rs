//! How long it takes until a command that does nothing has done it.

use super::child::meshagent;
use super::table::{Table, megabytes, smallest_and_middle, time};

const RUNS: usize = 100;

/// Takes the figures.
pub fn figures() -> Table {
    let mut table = Table::default();
    for argument in ["version", "--help"] {
        let measured = meshagent().with([argument]).measured(RUNS).successful();
        let (wall, middle) = smallest_and_middle(measured.usages.runs.iter().map(|run| run.wall));
        table.aimed(
            format!("`meshagent {argument}`: wall, smallest / middle"),
            format!("{} / {}", time(wall), time(middle)),
            "10 ms",
        );
        table.aimed(
            format!("`meshagent {argument}`: peak memory"),
            megabytes(measured.usages.peak),
            "15 MB",
        );
    }
    table.note(format!("{RUNS} runs each, one after the other."));
    table
}
