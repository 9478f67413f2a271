//! `webserver init`: a routes file to begin with.

use std::io::ErrorKind;
use std::process::ExitCode;

use super::file::expanded;
use super::together::Together;
use super::{FILE, FileArgs};
use crate::commands::own_inputs::refuse_outside;
use crate::error::{Context, Error, Result};
use crate::kinds::agents::webserver::{HOST, PORT};
use crate::listed::word;
use crate::output;
use crate::whole_file;

/// Arguments of `webserver init`.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

/// What may be done with the file; `-f FILE` names it, unless it has the usual name.
const NEXT: [&str; 12] = [
    "",
    "add routes:",
    "  meshagent webserver add -f FILE --path / --python handlers/home.py",
    "  meshagent webserver add -f FILE --path /assets --static ./public",
    "",
    "look at them:",
    "  meshagent webserver check -f FILE",
    "",
    "serve them from a room, at a domain that is created or changed for it:",
    "  meshagent webserver deploy -f FILE --service-name my-web --agent-name my-web --room my-room --website-path /website --domain my-web.meshagent.app",
    "",
    "a domain that leads to another room stays as it is; without --domain, `meshagent route create` makes one",
];

/// The text of a new file.
pub fn text() -> String {
    format!("kind: WebServer\nversion: v1\nhost: {HOST}\nport: {PORT}\nroutes: []\n")
}

/// Runs `webserver init`.
///
/// # Errors
///
/// The file is there, and was not to be written over; the system's.
pub fn run(args: &InitArgs) -> Result<ExitCode> {
    let shown = args.file.file.display();
    let path = expanded(&args.file.file);
    let failed = || format!("failed to write {shown}");
    refuse_outside(&path)?;
    match path.metadata() {
        Ok(about) if args.force && about.is_file() => {
            let path = path.canonicalize().context(failed)?;
            whole_file::write(&path, text().as_bytes()).context(failed)?;
        }
        Ok(about) if args.force => {
            let what = if about.is_dir() { "a folder" } else { "not a file" };
            return Err(Error::failed(format!("{shown} is {what}, and stays as it is")));
        }
        _ => {
            let mut together = Together::default();
            let begun = together.begin(&path, &text());
            begun.and_then(|draft| together.end(draft, &path)).map_err(|error| {
                match error.kind() {
                    ErrorKind::AlreadyExists => Error::failed(format!("{shown} exists"))
                        .hint("add --force to write over it"),
                    _ => Error::failed(failed()).because(error),
                }
            })?;
            together.keep();
        }
    }
    output::note(&format!("created {shown}"));
    let option = match args.file.file.to_str() {
        Some(FILE) => String::new(),
        _ => format!(" -f {}", word(&args.file.file.display().to_string())),
    };
    NEXT.iter().for_each(|line| output::note(&line.replace(" -f FILE", &option)));
    Ok(ExitCode::SUCCESS)
}
