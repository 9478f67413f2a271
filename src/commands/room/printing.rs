//! How JSON of rooms is printed.

use std::process::ExitCode;

use serde::Serialize;

use crate::error::Result;
use crate::output;

/// On how many lines JSON is printed.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Pretty {
    /// Print JSON on several lines, which is the default
    #[arg(long, overrides_with = "no_pretty")]
    pretty: bool,
    /// Print JSON on one line
    #[arg(long)]
    no_pretty: bool,
}

impl Pretty {
    /// Whether it is on several lines.
    pub const fn is_wanted(self) -> bool {
        !self.no_pretty
    }

    /// Prints a value.
    ///
    /// # Errors
    ///
    /// A value that cannot be written as JSON.
    pub fn print(self, value: &impl Serialize) -> Result<ExitCode> {
        match self.is_wanted() {
            true => output::json(value)?,
            false => output::json_line(value)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
