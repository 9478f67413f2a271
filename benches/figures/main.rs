//! The figures that the program is held to: time, memory and requests, beside their aims.
//!
//! `cargo bench --bench figures [-- NAME...]` prints them as Markdown, with the machine they
//! were taken on; `MESHAGENT_BENCH_PROGRAM` names another build of the program to take them of.
//! Nothing here fails because something is slow: a shared machine would make
//! a liar of such a test. What must hold anywhere, such as the number of requests that a
//! plan makes, is asserted.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

mod apply;
mod child;
mod corpus;
mod documents;
#[path = "../../crates/containers/tests/engine_here/mod.rs"]
#[expect(dead_code, reason = "the tests need more")]
mod engine_here;
mod environments;
mod history;
mod load;
mod machine;
mod manifests;
mod plan;
mod platform;
mod rooms;
mod sources;
mod start_up;
mod table;
mod tunnels;
mod wire;

use table::Table;

/// A benchmark: its name on the command line, and what takes its figures.
type Benchmark = (&'static str, fn() -> Table);

const ALL: [Benchmark; 11] = [
    ("start-up", start_up::figures),
    ("corpus", corpus::figures),
    ("plan-10k", plan::figures),
    ("apply-1k", apply::figures),
    ("environments", environments::figures),
    ("history", history::figures),
    ("sources", sources::figures),
    ("load", load::figures),
    ("rooms", rooms::figures),
    ("documents", documents::figures),
    ("tunnels", tunnels::figures),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == child::MEASURE) {
        return child::measure(&arguments[1..]);
    }
    if arguments.first().is_some_and(|first| first == wire::PEER) {
        return wire::peer();
    }
    // Cargo adds `--bench`; what else starts with a dash is not ours either.
    let names: Vec<&String> = arguments.iter().filter(|name| !name.starts_with('-')).collect();
    if let Some(unknown) = names.iter().find(|name| !ALL.iter().any(|(known, _)| known == *name)) {
        let known = ALL.map(|(name, _)| name).join(", ");
        eprintln!("there is no benchmark {unknown:?}; there are {known}");
        std::process::exit(2);
    }
    println!("{}\n", machine::described());
    for (name, figures) in ALL {
        if names.is_empty() || names.iter().any(|wanted| *wanted == name) {
            println!("## {name}\n\n{}", figures());
        }
    }
}
