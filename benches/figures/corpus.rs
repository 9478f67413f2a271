//! Rendering and validating the service files that people wrote, beside the reference.

use std::path::{Path, PathBuf};

use super::child::{Invocation, Measured, meshagent};
use super::table::{Table, megabytes, smallest_and_middle, time};

/// The folder of the files.
const FOLDER: &str = "MESHAGENT_CORPUS";

/// A Python interpreter with the reference installed.
const PYTHON: &str = "MESHAGENT_TEST_PYTHON";

const RUNS: usize = 5;

/// Takes the figures.
pub fn figures() -> Table {
    let mut table = Table::default();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder =
        std::env::var_os(FOLDER).map_or_else(|| root.join("../shared/corpus"), PathBuf::from);
    let files = files(&folder);
    if files.is_empty() {
        table.note(format!(
            "Skipped: {} holds no manifests; {FOLDER} names a folder that does.",
            folder.display()
        ));
        return table;
    }
    let count = files.len();
    let mut accepted = 0;
    let mut walls = Vec::new();
    let mut cpu = 0.0;
    for file in &files {
        let measured = validate([file]).measured(RUNS);
        accepted += usize::from(measured.usages.code == Some(0));
        let (wall, _) = smallest_and_middle(measured.usages.runs.iter().map(|run| run.wall));
        walls.push(wall);
        cpu += measured.best().cpu;
    }
    let each = |table: &mut Table, who: &str, walls: Vec<f64>, cpu: f64| {
        let total: f64 = walls.iter().sum();
        let largest = walls.iter().copied().fold(0.0, f64::max);
        let (_, middle) = smallest_and_middle(walls);
        table.row(
            format!("{who}, {count} files, a process each: wall of all / middle / largest"),
            format!("{} / {} / {}", time(total), time(middle), time(largest)),
        );
        table.row(format!("{who}, a process each: processor time of all"), time(cpu));
    };
    let at_once = |table: &mut Table, who: &str, measured: &Measured| {
        let best = measured.best();
        table.row(
            format!("{who}, {count} files, one process: wall / processor / memory"),
            format!(
                "{} / {} / {}",
                time(best.wall),
                time(best.cpu),
                megabytes(measured.usages.peak)
            ),
        );
    };
    each(&mut table, "`meshagent validate`", walls, cpu);
    at_once(&mut table, "`meshagent validate`", &validate(&files).measured(RUNS));
    table.note(format!("{accepted} of {count} files are valid by themselves. Together they name some services twice, which is told and does not stop the others from being read."));

    let Some(python) = std::env::var_os(PYTHON).filter(|python| !python.is_empty()) else {
        table.note(format!("The reference was skipped: {PYTHON} names no Python with it."));
        return table;
    };
    let reference = |files: &[PathBuf]| {
        Invocation::of(&python).with([root.join("benches/reference.py")]).with(files)
    };
    let mut walls = Vec::new();
    let mut cpu = 0.0;
    for file in &files {
        let measured = reference(std::slice::from_ref(file)).measured(1).successful();
        walls.push(measured.usages.runs[0].wall);
        cpu += measured.usages.runs[0].cpu;
    }
    let all = reference(&files).measured(RUNS).successful();
    each(&mut table, "the reference's models", walls, cpu);
    at_once(&mut table, "the reference's models", &all);
    table.note(format!(
        "The reference is release 0.31.4 in Python; its models read the files in one script (`benches/reference.py`), because its command line does not start where only its SDK is installed. In one process it says: {}.",
        all.output.lines().last().unwrap_or_default()
    ));
    table
}

fn validate<T: AsRef<Path>>(files: impl IntoIterator<Item = T>) -> Invocation {
    files.into_iter().fold(meshagent().with(["validate", "--project-id", "x"]), |command, file| {
        command.with(["-f"]).with([file.as_ref()])
    })
}

/// Every manifest below a folder, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let is_manifest = |path: &Path| {
        path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
    };
    walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| is_manifest(path))
        .collect()
}
