//! The process that evaluates rules, from the side of the program that is started for it.

use std::io::Read;
use std::process::ExitCode;

use nix::sys::resource::{Resource, setrlimit};

use crate::error::{Context, Error, Result};
use crate::output;
use crate::reconcile::evaluation::{MEMORY, answer};

/// Reads a question from standard input and writes the answer to standard output.
///
/// # Errors
///
/// The question cannot be read, or the answer cannot be written.
pub fn run() -> Result<ExitCode> {
    for (resource, most) in [(Resource::RLIMIT_DATA, MEMORY), (Resource::RLIMIT_CORE, 0)] {
        setrlimit(resource, most, most)
            .map_err(|cause| Error::failed("failed to limit the memory").because(cause))?;
    }
    let mut question = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut question)
        .context(|| "failed to read the input of the evaluation".to_owned())?;
    // It is read by the program that asked, and shown by that.
    output::raw(&answer(&question)?);
    output::check()?;
    Ok(ExitCode::SUCCESS)
}
