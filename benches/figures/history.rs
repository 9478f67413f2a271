//! What it costs to keep the state that an apply of a thousand creates leads to.

use super::apply::MIX;
use super::child::{Run, meshagent};
use super::platform::Served;
use super::table::{Table, smallest_and_middle, time};

const ROUNDS: usize = 7;

/// Takes the figures.
pub fn figures() -> Table {
    let folder = tempfile::tempdir().expect("a folder");
    MIX.write(folder.path());
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (keep, runs) in [("20", &mut with), ("0", &mut without)] {
            let platform = Served::start("warn");
            let measured = meshagent()
                .environment(&platform.environment)
                .with(["apply", "--yes", "--keep-states", keep, "-f"])
                .with([folder.path()])
                .measured(1)
                .successful();
            runs.push(measured.best());
        }
    }
    let wall = |runs: &[Run]| smallest_and_middle(runs.iter().map(|run| run.wall));
    let ((one, one_middle), (other, other_middle)) = (wall(&with), wall(&without));
    let mut table = Table::default();
    table.row("creates", MIX.objects().to_string());
    table.row(
        "wall with history, smallest / middle",
        format!("{} / {}", time(one), time(one_middle)),
    );
    table.row("without, smallest / middle", format!("{} / {}", time(other), time(other_middle)));
    table.aimed(
        "ratio of the smallest / of the middle",
        format!("{:.3} / {:.3}", one / other, one_middle / other_middle),
        "1.05",
    );
    table.note(format!(
        "{ROUNDS} rounds by turns, each on a new platform in another process. With history, `apply` also asks who it is, reads the list of states, and writes the state and the list."
    ));
    table
}
