//! `webserver check`: what a routes file says, and whether all of it is there.

use std::path::Path;
use std::process::ExitCode;

use super::file::RoutesFile;
use super::python::Checking;
use super::source::{self, Found};
use super::{FileArgs, HandlerArgs, site};
use crate::error::Result;
use crate::kinds::agents::webserver::Source;
use crate::output;
use crate::visible;

/// Arguments of `webserver check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    handlers: HandlerArgs,
}

/// Runs `webserver check`.
///
/// # Errors
///
/// What is wrong with the file and with its sources.
pub fn run(args: &CheckArgs) -> Result<ExitCode> {
    let here = source::here()?;
    let file = RoutesFile::read(&args.file.file)?;
    let app_dir = source::app_dir(args.handlers.app_dir.as_deref(), &file, &here)?;
    let found = source::find(&file, &here)?;
    let how = Checking { app_dir: Some(&app_dir), imports: !args.handlers.no_import, here: &here };
    site::check_handlers(&file, &found, how)?;
    source::warn_of_hidden(&file, &found);
    output::data(&told(&file, &found, &here));
    Ok(ExitCode::SUCCESS)
}

/// The routes, those with files before those with handlers.
fn told(file: &RoutesFile, found: &[Found<'_>], here: &Path) -> String {
    let (python, fixed): (Vec<_>, Vec<_>) = found.iter().partition(|it| it.is_python());
    let mut told = format!(
        "Routes file is valid: {}\n  static routes: {}\n  python routes: {}\n",
        visible::line(&source::shown(&file.path, here)),
        fixed.len(),
        python.len()
    );
    for it in fixed.into_iter().chain(python) {
        let path = source::shown(&it.path, here);
        let line = match &it.route.source {
            Source::Python { methods, .. } => {
                format!("  {} [{}] -> python:{path}", it.route.path, methods.join(","))
            }
            Source::Static(_) => format!("  {} -> static:{path}", it.route.path),
        };
        told += &visible::line(&line);
        told.push('\n');
    }
    told
}
