//! `webserver add`: a route is added to the routes file. Everything is checked before anything is
//! written, and what the file says besides stays as it is, with its comments.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use clap::ValueHint;
use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;

use super::FileArgs;
use super::file::{RoutesFile, Unread, expanded};
use super::init::text;
use super::python::{self, Checking, Handler};
use super::source::{self, shown};
use super::together::Together;
use crate::commands::own_inputs::refuse_outside;
use crate::error::{Context, Error, Result};
use crate::kinds::agents::webserver::handler::SCAFFOLD;
use crate::kinds::agents::webserver::{METHOD, Route, Source, Website, method};
use crate::kinds::path::{FieldPath, Step};
use crate::manifest::edit;
use crate::output;

/// Arguments of `webserver add`.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// The path of the route, which starts with /
    #[arg(long, value_name = "ROUTE")]
    path: String,
    /// The Python file with the handler; it is written if it is not there
    #[arg(long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    python: Option<String>,
    /// The file, or the folder with files
    #[arg(long = "static", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    files: Option<String>,
    /// A method of the handler; GET if none is given
    #[arg(short, long = "method", value_name = "METHOD")]
    methods: Vec<String>,
    #[command(flatten)]
    file: FileArgs,
}

impl AddArgs {
    /// The route that is wanted.
    ///
    /// # Errors
    ///
    /// What is wrong with the options.
    fn route(&self) -> Result<Route> {
        let path = self.path.trim().to_owned();
        if !path.starts_with('/') {
            return Err(Error::usage("--path must start with /"));
        }
        let source = match (&self.python, &self.files) {
            (None, Some(_)) if !self.methods.is_empty() => {
                return Err(Error::usage("--method is only for --python"));
            }
            (None, Some(files)) if files.trim().is_empty() => {
                return Err(Error::usage("--static is empty"));
            }
            (None, Some(files)) => Source::Static(files.trim().to_owned()),
            (Some(file), None) => {
                let file = file.trim().to_owned();
                if !source::is_python(Path::new(&file)) {
                    return Err(Error::usage("--python must name a file that ends with .py"));
                }
                Source::Python { file, methods: self.methods()? }
            }
            _ => return Err(Error::usage("give one of --python and --static")),
        };
        Ok(Route { path, source })
    }

    fn methods(&self) -> Result<Vec<String>> {
        if self.methods.is_empty() {
            return Ok(vec![METHOD.to_owned()]);
        }
        let named = |text: &String| {
            method(text).map_err(|what| Error::usage(format!("--method {text:?} {what}")))
        };
        self.methods.iter().map(named).collect()
    }
}

/// A routes file as it is to be.
struct Wanted {
    file: RoutesFile,
    before: RoutesFile,
    /// Whether there is none until now, and the one before is only a beginning.
    is_new: bool,
}

/// Adds a route to a file.
///
/// # Errors
///
/// The file is wrong; it has such a route; its layout does not allow it.
fn added(given: &Path, route: &Route) -> Result<Wanted> {
    let (before, is_new) = match RoutesFile::open(given) {
        Ok(file) => (file, false),
        Err(Unread::Missing) => (new(given)?, true),
        Err(Unread::Wrong(error)) => return Err(error),
    };
    let mut wanted = before.website.clone();
    let at = FieldPath::of(&["routes"]).join(Step::Index(wanted.routes.len()));
    wanted.routes.push(route.clone());
    Website::read(&wanted.document()).map_err(|faults| {
        let told = faults.into_iter().next().map(|fault| fault.message).unwrap_or_default();
        Error::usage(told)
    })?;
    let by_hand = |why: String| {
        let told = format!("no route can be added to {}: {why}", given.display());
        let route = route.document();
        Error::failed(told).hint(format!("add it by hand: {route}"))
    };
    let begun = match before.website.routes.is_empty() {
        // Routes stand in lines, not in the brackets of the empty list, unless the file is JSON.
        true => {
            edit::set(before.body(), &at.clone().parent(), Some(&Value::Null)).map_err(by_hand)?
        }
        false => before.body().to_owned(),
    };
    let body = edit::set(&begun, &at, Some(&route.document())).map_err(by_hand)?;
    let file = before.with_body(&body)?;
    match file.website == wanted {
        true => Ok(Wanted { file, before, is_new }),
        false => Err(by_hand("it would say something else".to_owned())),
    }
}

/// A file that is yet to be written.
fn new(given: &Path) -> Result<RoutesFile> {
    if expanded(given).symlink_metadata().is_ok() {
        return Err(Error::usage(format!("{} is a link that leads nowhere", given.display())));
    }
    let path = std::path::absolute(expanded(given))
        .context(|| format!("failed to find {}", given.display()))?;
    // Sources are found from where the file will be, without links, as far as there is anything.
    let without_links = |folder: &Path| {
        let rest = path.strip_prefix(folder).ok()?;
        folder.canonicalize().ok().map(|folder| folder.join(rest))
    };
    let path = path.ancestors().find_map(without_links).unwrap_or_else(|| path.clone());
    RoutesFile::of(given, path, text())
}

impl Wanted {
    /// Writes the file, and with it a handler, unless that is there. Both are written, or neither.
    ///
    /// # Errors
    ///
    /// The system's; somebody else has changed the file meanwhile.
    fn write(&self, handler: Option<(&Path, &str)>) -> Result<()> {
        let mut together = Together::default();
        let Self { file, before, is_new } = self;
        let failed = || format!("failed to write {}", file.shown());
        let draft = match is_new {
            true => together.begin(&file.path, file.body()).context(failed)?,
            false => file.begin(before)?,
        };
        if let Some((path, shown)) = handler {
            together.create(path, SCAFFOLD, shown)?;
        }
        match is_new {
            true => together.end(draft, &file.path).context(failed)?,
            false => file.end(draft, before)?,
        }
        together.keep();
        Ok(())
    }
}

/// Keeps others from adding a route to a file of the same folder meanwhile; none where there is no
/// such folder.
fn alone(given: &Path) -> Result<Option<Flock<File>>> {
    let path = expanded(given);
    let folder = path.canonicalize().ok().and_then(|real| real.parent().map(Path::to_owned));
    let folder = folder.or_else(|| path.parent().map(Path::to_owned)).unwrap_or_default();
    let folder = if folder.as_os_str().is_empty() { Path::new(".").to_owned() } else { folder };
    let Ok(folder) = File::open(&folder) else { return Ok(None) };
    let locked = Flock::lock(folder, FlockArg::LockExclusive);
    locked.map(Some).map_err(|(_, error)| {
        Error::failed(format!("failed to lock the folder of {}", given.display())).because(error)
    })
}

/// Runs `webserver add`.
///
/// # Errors
///
/// What is wrong with the options, the file or the handler. Nothing was written then.
pub fn run(args: &AddArgs) -> Result<ExitCode> {
    let route = args.route()?;
    let here = source::here()?;
    let given = &args.file.file;
    let _alone = alone(given)?;
    let wanted = added(given, &route)?;
    let file = &wanted.file;
    let path = source::place(route.source.path(), file.folder(), &here);
    let told = shown(&path, &here);
    let is_there = path.symlink_metadata().is_ok();
    let is_python = matches!(route.source, Source::Python { .. });
    refuse_outside(&expanded(given))?;
    refuse_elsewhere(&path, &here)?;
    let found = source::placed(file, &here);
    if let Some(clash) = source::clashes(file, &found).into_iter().next() {
        return Err(Error::usage(clash.message).hint("give one of them another path"));
    }
    if is_python && !is_there {
        refuse_outside(&path)?;
    }
    if is_python && is_there {
        check(&path, &here)?;
    }
    let handler = (is_python && !is_there).then_some((path.as_path(), told.as_str()));
    wanted.write(handler)?;
    if handler.is_some() {
        output::note(&format!("created {told}, a handler to begin with"));
    }
    if wanted.is_new {
        output::note(&format!("created {}", given.display()));
    }
    output::note(&format!("added route: {} -> {}", route.path, route.source.path()));
    if !is_python && !is_there {
        output::note(&format!("note: there is no {told} yet"));
    }
    source::warn_of_hidden(file, &found);
    Ok(ExitCode::SUCCESS)
}

/// Refuses a source that could not be deployed from here.
fn refuse_elsewhere(path: &Path, here: &Path) -> Result<()> {
    let told = shown(path, here);
    if let Some((told, hint)) = source::outside(path, here) {
        return Err(Error::usage(told).hint(hint));
    }
    match path.canonicalize() {
        Ok(real) if !real.starts_with(here) => Err(Error::usage(source::leaving(&told))),
        _ => Ok(()),
    }
}

/// Checks a handler that is there by its syntax.
fn check(path: &Path, here: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(Error::usage(format!("{} is a folder, not a file", shown(path, here))));
    }
    let handlers = [Handler { path: path.to_owned(), at: None }];
    let how = Checking { app_dir: None, imports: false, here };
    let problems: Vec<_> =
        python::checked(&handlers, how)?.wrong.into_iter().map(|it| it.1).collect();
    match problems.is_empty() {
        true => Ok(()),
        false => {
            Err(Error::manifests(problems).saying("the handler is wrong, so no route was added"))
        }
    }
}
