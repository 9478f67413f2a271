//! What `spec` and `deploy` have in common: everything is checked, and the service is made.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::file::RoutesFile;
use super::python::{self, Checking};
use super::source::{self, Found};
use super::upload::{self, Upload, Uploads};
use super::{FileArgs, HandlerArgs, port};
use crate::commands::agent::arguments::{ServiceOptions, filled};
use crate::error::{Error, Result};
use crate::kinds::agents::service::About;
use crate::kinds::agents::webserver::command::Words;
use crate::kinds::agents::webserver::service::{Described, folder};
use crate::kinds::agents::webserver::{HOST, PORT};
use crate::listed::few;
use crate::output;

/// What describes the service of a webserver.
#[derive(Debug, clap::Args)]
pub struct SiteArgs {
    #[command(flatten)]
    described: ServiceOptions<false>,
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    handlers: HandlerArgs,
    /// The address to listen on; if given, in place of the one in the routes file
    #[arg(long, value_name = "HOST", default_value = HOST, value_parser = filled)]
    web_host: String,
    /// The port to listen on; if given, in place of the one in the routes file
    #[arg(long, value_name = "PORT", default_value_t = PORT, value_parser = port())]
    web_port: u16,
    /// The folder of the room for the files, such as /website
    #[arg(long, value_name = "ROOM_PATH")]
    website_path: String,
}

/// A website that may be deployed.
#[derive(Debug)]
pub struct Site {
    /// The routes file.
    pub file: PathBuf,
    /// Its service, as a document.
    pub service: Value,
    /// The folder of the room for its files.
    pub folder: String,
    /// The port that it listens on.
    pub port: u16,
    /// What goes into the folder.
    pub uploads: Uploads,
    /// The files of modules that handlers import, as far as they are known.
    pub modules: Vec<PathBuf>,
}

/// The options that were typed.
fn typed() -> Words {
    let words = std::env::args_os().map(|it| it.to_string_lossy().into_owned());
    Words::of_line(&words.collect::<Vec<_>>())
}

impl SiteArgs {
    /// Checks everything that is here, and makes the service.
    ///
    /// # Errors
    ///
    /// What is wrong with the options, the routes file or its sources.
    pub fn prepare(&self) -> Result<Site> {
        let into = folder(&self.website_path)
            .map_err(|what| Error::usage(format!("--website-path {what}")))?;
        let here = source::here()?;
        let file = RoutesFile::read(&self.file.file)?;
        let app_dir = source::app_dir(self.handlers.app_dir.as_deref(), &file, &here)?;
        let found = source::find(&file, &here)?;
        let name = self.name_of_file()?;
        let uploads = upload::collect(&file, &found, (&name, &into), &here)?;
        self.check_app_dir(&uploads)?;
        let imports = !self.handlers.no_import;
        let how = Checking { app_dir: Some(&app_dir), imports, here: &here };
        let modules = check_handlers(&file, &found, how)?;
        source::warn_of_hidden(&file, &found);
        warn_of_modules(&modules, &uploads.files, &here);
        let words = typed();
        let port = match file.website.port {
            Some(port) if !words.has_port() => port,
            _ => self.web_port,
        };
        let host = match &file.website.host {
            Some(host) if !words.has_host() => host,
            _ => &self.web_host,
        };
        if is_of_loopback(host) {
            output::warning(&format!(
                "the webserver listens on {host}, where nobody reaches it in its container; --web-host {HOST} changes that"
            ));
        }
        // The program in the container would listen where nobody reaches it.
        let added = file.website.host.is_none().then_some(HOST);
        let ServiceOptions(given) = &self.described;
        let about = About::of(given);
        let service = Described {
            about: &about,
            agent: given.text("agent-name").unwrap_or_default(),
            port,
            folder: &into,
            command: &words.in_container(&name, added),
        };
        let service = service.service();
        Ok(Site { file: file.path, service, folder: into, port, uploads, modules })
    }

    /// Checks the folder that handlers import from: the container is told its path, too, and does
    /// not start without it.
    fn check_app_dir(&self, uploads: &Uploads) -> Result<()> {
        let Some(given) = &self.handlers.app_dir else { return Ok(()) };
        let mut parts = Vec::new();
        for part in given.components() {
            match part {
                Component::CurDir => {}
                Component::Normal(part) if part != "~" || !parts.is_empty() => parts.push(part),
                _ => {
                    let told = format!("--app-dir {} is a path of this machine", given.display());
                    return Err(Error::usage(told).hint(
                        "the container has what is below the current folder: name a folder there, such as --app-dir lib",
                    ));
                }
            }
        }
        let folder = parts.iter().collect::<PathBuf>();
        let is_there = |upload: &Upload| Path::new(&upload.name).starts_with(&folder);
        if !uploads.files.iter().any(is_there) {
            output::warning(&format!(
                "nothing in --app-dir {} is uploaded, and the webserver does not start without that folder; copy it with `meshagent room storage cp`, or put it into a static folder",
                given.display()
            ));
        }
        Ok(())
    }

    /// The name of the routes file in the room.
    fn name_of_file(&self) -> Result<String> {
        let given = &self.file.file;
        let name = given.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        name.ok_or_else(|| Error::usage(format!("{} has no name in UTF-8", given.display())))
    }
}

/// Warns of modules that handlers import and that are not in the room.
fn warn_of_modules(modules: &[PathBuf], uploads: &[Upload], here: &Path) {
    let is_there = |module: &PathBuf| {
        uploads.iter().any(|upload| upload.local().is_some_and(|local| local.real == *module))
    };
    let absent = modules.iter().filter(|module| !is_there(module));
    let absent: Vec<String> = absent.map(|module| source::shown(module, here)).collect();
    if !absent.is_empty() {
        output::warning(&format!(
            "handlers import what is not uploaded: {}; copy it with `meshagent room storage cp`, or put it into a static folder",
            few(absent)
        ));
    }
}

/// Whether only the machine itself reaches an address.
fn is_of_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Checks the handlers of routes, and returns the files of modules that they import from their
/// folder.
///
/// # Errors
///
/// What is wrong with each of them.
pub fn check_handlers(
    file: &RoutesFile,
    found: &[Found<'_>],
    how: Checking<'_>,
) -> Result<Vec<PathBuf>> {
    let handlers = source::handlers(found);
    let mut problems = Vec::new();
    let checked = python::checked(&handlers, how)?;
    for (index, mut problem) in checked.wrong {
        if let (None, Some(at)) = (&problem.place, &handlers[index].at) {
            let here = file.problem(at, "");
            (problem.place, problem.source_line) = (here.place, here.source_line);
        }
        problems.push(problem);
    }
    if !problems.is_empty() {
        let message = match problems.len() {
            1 => "1 handler is wrong".to_owned(),
            count => format!("{count} handlers are wrong"),
        };
        return Err(Error::manifests(problems).saying(message));
    }
    Ok(checked.modules)
}
