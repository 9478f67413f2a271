//! How long short commands take: those that do nothing, and one that asks the platform.

use super::child::meshagent;
use super::manifests::Mix;
use super::platform::Served;
use super::table::{Table, megabytes, smallest_and_middle, time};

const RUNS: usize = 100;

const MIX: Mix = Mix {
    rooms: 20,
    room_services: 0,
    project_services: 0,
    secrets: 0,
    mailboxes: 0,
    routes: 0,
    tasks: 0,
    webhooks: 0,
    refers: false,
};

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
    let folder = tempfile::tempdir().expect("a folder");
    MIX.write(folder.path());
    let platform = Served::start("warn");
    let on = |words: &[&str]| meshagent().environment(&platform.environment).with(words);
    on(&["apply", "--yes", "-f"]).with([folder.path()]).measured(1).successful();
    let listed = on(&["rooms", "list"]).measured(RUNS).successful();
    assert!(listed.output.contains("room-019"), "{}", listed.output);
    let (wall, middle) = smallest_and_middle(listed.usages.runs.iter().map(|run| run.wall));
    table.aimed(
        format!("`meshagent rooms list`, {} rooms: wall, smallest / middle", MIX.rooms),
        format!("{} / {}", time(wall), time(middle)),
        "25 ms",
    );
    table.row("`meshagent rooms list`: peak memory", megabytes(listed.usages.peak));
    table.note(format!("{RUNS} runs each, one after the other; the platform is another process."));
    table
}
