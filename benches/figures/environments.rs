//! The plans of three environments at once, beside the same plans one after the other.

use std::fmt::Write;

use super::child::meshagent;
use super::manifests::Mix;
use super::table::{Table, megabytes, time};

const RUNS: usize = 5;

const NAMES: [&str; 3] = ["dev", "stage", "prod"];

/// Nothing in it has a name that is unique on a whole platform.
const MIX: Mix = Mix {
    rooms: 20,
    room_services: 140,
    project_services: 100,
    secrets: 50,
    mailboxes: 0,
    routes: 0,
    tasks: 30,
    webhooks: 0,
    refers: true,
};

/// Takes the figures.
pub fn figures() -> Table {
    let folder = tempfile::tempdir().expect("a folder");
    let manifests = folder.path().join("manifests");
    std::fs::create_dir(&manifests).expect("a folder");
    MIX.write(&manifests);
    let mut project = "version: v1\nenvironments:\n".to_owned();
    for name in NAMES {
        let _ = writeln!(project, "  {name}:\n    set: {name}\n    embedded: .meshagent/{name}");
    }
    std::fs::write(folder.path().join("meshagent.yaml"), project).expect("a project file");
    let before = std::env::current_dir().expect("a working folder");
    std::env::set_current_dir(folder.path()).expect("the folder");
    let plan = |name: &str| {
        let planned = meshagent().with(["plan", "--exit-code", "-e", name]).measured(RUNS);
        planned.successful()
    };
    let mut sum = 0.0;
    for name in NAMES {
        meshagent().with(["apply", "--yes", "-e", name]).measured(1).successful();
        sum += plan(name).best().cpu;
    }
    let all = plan("all");
    std::env::set_current_dir(before).expect("the folder before");
    let said = format!(": {} objects are as declared.", MIX.objects());
    assert_eq!(all.output.matches(&said).count(), NAMES.len() * RUNS, "{}", all.output);

    let mut table = Table::default();
    let cpu = all.best().cpu;
    table.row("objects of each environment", MIX.objects().to_string());
    table.row("three plans, one after the other: processor time", time(sum));
    table.aimed(
        "`plan -e all`: processor time",
        format!("{}, {:.2} times", time(cpu), cpu / sum),
        "1.2 times",
    );
    table.row("`plan -e all`: peak memory", megabytes(all.usages.peak));
    table.note(format!(
        "No-op plans on embedded platforms, which are part of the process, {RUNS} runs each."
    ));
    table
}
