//! The `meshagent` program: parse, run, render the error, exit.

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    meshagent::commands::main()
}
