//! The `meshagent` program: parse, run, render the error, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    meshagent::commands::main()
}
