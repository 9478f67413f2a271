//! The question that a command asks before it does something.

use std::io::{BufRead, IsTerminal};

use crate::error::{Error, Result};
use crate::output;

/// Asks for confirmation, if somebody can answer.
pub fn confirm(question: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Error::usage(
            "there is no terminal to ask for confirmation, so nothing was done",
        )
        .hint("add --yes"));
    }
    output::ask(&format!("{question} [y/N] "));
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Error::failed("failed to read the answer").because(error))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
