//! The terminal: one file a command, its arguments beside the code that runs them.

pub mod server;

use std::process::ExitCode;

/// Parses the arguments, runs the command and renders its error.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
