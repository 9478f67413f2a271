//! The sources of routes: where they are on this machine, and whether they are there.

use std::path::{Component, Path, PathBuf};

use super::file::{RoutesFile, expanded};
use super::python::Handler;
use crate::bounded;
use crate::error::{Context, Error, Problem, Result};
use crate::kinds::agents::webserver::{Route, Source, router};
use crate::kinds::path::{FieldPath, Step};
use crate::output;

/// A route with the place of its source.
pub struct Found<'a> {
    /// The route.
    pub route: &'a Route,
    /// Where its source is: from the root, without `.` and `..`.
    pub path: PathBuf,
    /// Where it is named in the routes file.
    pub at: FieldPath,
}

impl Found<'_> {
    /// Whether its source is a handler.
    pub fn is_python(&self) -> bool {
        matches!(self.route.source, Source::Python { .. })
    }
}

/// The folder that commands are typed in.
///
/// # Errors
///
/// The system's.
pub fn here() -> Result<PathBuf> {
    std::env::current_dir().context(|| "failed to find the current folder".to_owned())
}

/// Where a source is. What begins with a slash is below the current folder.
pub fn place(written: &str, folder: &Path, here: &Path) -> PathBuf {
    let path = match written.strip_prefix('/') {
        Some(rest) => here.join(rest.trim_start_matches('/')),
        None => folder.join(expanded(Path::new(written))),
    };
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// A path as it is told: from the current folder, if it is below it.
pub fn shown(path: &Path, here: &Path) -> String {
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// The routes of a file with the places of their sources, whether anything is there or not.
pub fn placed<'a>(file: &'a RoutesFile, here: &Path) -> Vec<Found<'a>> {
    let place = |(index, route): (usize, &'a Route)| {
        let at = FieldPath::of(&["routes"]).join(Step::Index(index)).field(route.source.field());
        Found { route, path: place(route.source.path(), file.folder(), here), at }
    };
    file.website.routes.iter().enumerate().map(place).collect()
}

/// Finds the sources of all routes.
///
/// # Errors
///
/// There are no routes; each source that is not there, or is another thing; static routes that
/// keep the server from starting.
pub fn find<'a>(file: &'a RoutesFile, here: &Path) -> Result<Vec<Found<'a>>> {
    let found = placed(file, here);
    let mut problems = Vec::new();
    for found in &found {
        if let Err(what) = look(&found.route.source, &found.path, here) {
            problems.push(file.problem(&found.at, what));
        }
    }
    if found.is_empty() {
        let at = FieldPath::of(&["routes"]);
        let problem = file.problem(&at, "there are no routes");
        problems.push(problem.hint("`meshagent webserver add` adds one"));
    }
    problems.extend(clashes(file, &found));
    if problems.is_empty() { Ok(found) } else { Err(file.wrong(problems)) }
}

/// Static routes that keep the server from starting because of each other.
pub fn clashes(file: &RoutesFile, found: &[Found<'_>]) -> Vec<Problem> {
    let clashes = router::clashes(&file.website, &folders(found)).into_iter();
    let problem = |clash: router::Remark| {
        file.problem(&path_of(clash.route), clash.told).hint("give one of them another path")
    };
    clashes.map(problem).collect()
}

/// Why a source cannot be deployed from here, and what to do about it; none if it is below the
/// current folder.
pub fn outside(path: &Path, here: &Path) -> Option<(String, &'static str)> {
    match path.strip_prefix(here) {
        Err(_) => Some((
            format!("{} is not below the current folder", shown(path, here)),
            "run the command in a folder that has all sources in it",
        )),
        Ok(below) if below.as_os_str().is_empty() => Some((
            "the source is the current folder itself".to_owned(),
            "name a folder in it, so that nothing else is uploaded",
        )),
        Ok(_) => None,
    }
}

/// Which sources are folders, of all routes in their order.
fn folders(found: &[Found<'_>]) -> Vec<bool> {
    found.iter().map(|found| !found.is_python() && found.path.is_dir()).collect()
}

/// The place of the path of a route.
fn path_of(route: usize) -> FieldPath {
    FieldPath::of(&["routes"]).join(Step::Index(route)).field("path")
}

/// Looks whether a source is there.
fn look(source: &Source, path: &Path, here: &Path) -> Result<(), String> {
    let shown = shown(path, here);
    let about = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound if path.is_symlink() => dangling(&shown),
        std::io::ErrorKind::NotFound => format!("there is no {shown}"),
        _ => format!("failed to look at {shown}: {error}"),
    })?;
    if let Some(what) = bounded::special(about.file_type()) {
        return Err(format!("{shown} is {what}, not a file"));
    }
    match source {
        Source::Python { .. } if about.is_dir() => Err(format!("{shown} is a folder, not a file")),
        Source::Python { .. } if !is_python(path) => Err(format!("{shown} does not end with .py")),
        _ => Ok(()),
    }
}

/// What is said of a link behind which there is nothing.
pub fn dangling(shown: &str) -> String {
    format!("{shown} is a link that leads nowhere")
}

/// What is said of a link out of a folder that it must not leave.
pub fn leaving(shown: &str) -> String {
    format!("{shown} is a link that leads out of its folder")
}

/// Whether a path is that of a Python file.
pub fn is_python(path: &Path) -> bool {
    path.extension().is_some_and(|it| it.eq_ignore_ascii_case("py"))
}

/// The handlers among sources; each file once, where it is named first.
pub fn handlers(found: &[Found<'_>]) -> Vec<Handler> {
    let mut handlers: Vec<Handler> = Vec::new();
    for source in found.iter().filter(|found| found.is_python()) {
        if !handlers.iter().any(|it| it.path == source.path) {
            handlers.push(Handler { path: source.path.clone(), at: Some(source.at.clone()) });
        }
    }
    handlers
}

/// The folder that handlers import from.
///
/// # Errors
///
/// It is not there, or no folder.
pub fn app_dir(given: Option<&Path>, file: &RoutesFile, here: &Path) -> Result<PathBuf> {
    let Some(given) = given else { return Ok(file.folder().to_owned()) };
    let path = here.join(expanded(given));
    match std::fs::metadata(&path) {
        Ok(about) if about.is_dir() => Ok(path),
        Ok(_) => Err(Error::usage(format!("--app-dir {} is not a folder", given.display()))),
        Err(error) => {
            let told = format!("failed to look at --app-dir {}", given.display());
            Err(Error::usage(told).because(error))
        }
    }
}

/// Warns of routes that are not answered as they look.
pub fn warn_of_hidden(file: &RoutesFile, found: &[Found<'_>]) {
    for hidden in router::hidden(&file.website, &folders(found)) {
        output::warning(&file.problem(&path_of(hidden.route), hidden.told).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_beginning_is_the_current_folder() {
        let place = |written| place(written, Path::new("/w/site"), Path::new("/w"));
        for (written, expected) in [
            ("a/b.py", "/w/site/a/b.py"),
            ("./a/../b", "/w/site/b"),
            ("../a", "/w/a"),
            ("/a", "/w/a"),
            ("//etc/passwd", "/w/etc/passwd"),
            ("../../../../x", "/x"),
        ] {
            assert_eq!(place(written), Path::new(expected), "{written}");
        }
    }
}
