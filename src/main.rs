//! The `meshagent` program: parse, run, render the error, exit.

use std::process::ExitCode;

/// Plans are made of many small texts and maps, which it hands out at a fraction of the cost.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    meshagent::commands::main()
}
