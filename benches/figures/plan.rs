//! A plan of ten thousand objects of which none changes.

use super::child::meshagent;
use super::manifests::Mix;
use super::platform::Served;
use super::table::{Table, megabytes, smallest_and_middle, time};

const RUNS: usize = 5;

const MIX: Mix = Mix {
    rooms: 200,
    room_services: 43,
    project_services: 400,
    secrets: 200,
    mailboxes: 200,
    routes: 200,
    tasks: 150,
    webhooks: 50,
    refers: true,
};

/// Takes the figures.
pub fn figures() -> Table {
    let folder = tempfile::tempdir().expect("a folder");
    MIX.write(folder.path());
    let platform = Served::start("info");
    let on = |command: &str| {
        let invocation = meshagent().environment(&platform.environment);
        invocation.with([command, "-f"]).with([folder.path()])
    };
    let applied = on("apply").with(["--yes"]).measured(1).successful();
    let before = platform.requests();
    let planned = on("plan").with(["--exit-code"]).measured(RUNS).successful();
    let after = platform.requests();
    let said = format!(": {} objects are as declared.", MIX.objects());
    let is_said = planned.output.contains("Nothing to change") && planned.output.contains(&said);
    assert!(is_said, "{}", planned.output);

    let mut asked = 0;
    let mut room_lists = 0;
    for ((method, path), count) in &after {
        let count = count - before.get(&(method.clone(), path.clone())).unwrap_or(&0);
        assert_eq!(count % RUNS, 0, "{method} {path}");
        let count = count / RUNS;
        assert!(count == 0 || method == "GET", "a plan has sent {method} {path}");
        if path.contains("/rooms/") && count > 0 {
            assert!(path.ends_with("/services") && count == 1, "{count} times {method} {path}");
            room_lists += 1;
        }
        asked += count;
    }
    assert_eq!(room_lists, MIX.rooms, "one list of services for each room");
    // The projects, the inventory, and a list for each of seven kinds, of which some are paged.
    assert!(asked - room_lists <= 12, "{} requests besides", asked - room_lists);

    let mut table = Table::default();
    let best = planned.best();
    let (wall, middle) = smallest_and_middle(planned.usages.runs.iter().map(|run| run.wall));
    table.aimed("objects", MIX.objects().to_string(), "10000");
    table.aimed("processor time, user and system", time(best.cpu), "1 s");
    table.aimed("peak memory", megabytes(planned.usages.peak), "100 MB");
    table.row("wall, smallest / middle", format!("{} / {}", time(wall), time(middle)));
    table.row(
        "requests",
        format!("{asked}: {room_lists} lists of a room's services, {} others", asked - room_lists),
    );
    let run = applied.usages.runs[0];
    table.row(
        "the first apply: wall / processor / memory",
        format!("{} / {} / {}", time(run.wall), time(run.cpu), megabytes(applied.usages.peak)),
    );
    table.note(format!(
        "`meshagent plan` of {} rooms, {} services and {} other objects, {RUNS} runs; the platform is another process and not counted.",
        MIX.rooms,
        MIX.services(),
        MIX.objects() - MIX.rooms - MIX.services()
    ));
    table
}
