//! Whether handlers can be loaded, as Python says it. With `python3` they are parsed, and imported
//! where the reference imports them; without it, their text is looked at.

use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::source::shown;
use crate::bounded;
use crate::error::{Context, Error, Place, Problem, Result};
use crate::kinds::agents::webserver::handler::{SIGNATURE, Wrong, check};
use crate::kinds::path::FieldPath;
use crate::listed::few;
use crate::manifest::process::{self, Ended};
use crate::manifest::secrets::Limits;
use crate::output;

/// The interpreter: the first one on the path, as in a virtual environment that is activated.
const PYTHON: &str = "python3";

/// What it runs.
const SCRIPT: &str = include_str!("handlers.py");

/// What to do about code that does not run here.
const NO_IMPORT: &str = "--no-import checks the syntax alone";

/// How large a handler may be, in bytes. Python needs a few hundred times as much to parse one.
const MOST: usize = 1024 * 1024;

/// How long all handlers together may take, and how much may be told of them, in bytes.
const LIMITS: Limits = Limits { time: Duration::from_secs(60), bytes: 4 * 1024 * 1024 };

/// A handler.
#[derive(Debug, Clone)]
pub struct Handler {
    /// Its file.
    pub path: PathBuf,
    /// Where the routes file names it, if it does yet.
    pub at: Option<FieldPath>,
}

/// How handlers are checked.
#[derive(Debug, Clone, Copy)]
pub struct Checking<'a> {
    /// The folder that they import from; none if nobody asks for their modules.
    pub app_dir: Option<&'a Path>,
    /// Whether they are imported, which runs their code.
    pub imports: bool,
    /// The folder that commands are typed in.
    pub here: &'a Path,
}

/// What Python says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
enum Told {
    Ready,
    Seen { syntax: Box<Told>, imported: Option<Box<Told>> },
    Used { files: Vec<PathBuf> },
    Fine,
    Syntax { line: u64, column: u64, message: String },
    Methods,
    Missing,
    Elsewhere,
    Parameters,
    Uncallable,
    Absent { name: String },
    Failed { message: String },
}

/// What is known of handlers.
#[derive(Debug, Default)]
pub struct Checked {
    /// What is wrong with each of them, by its position.
    pub wrong: Vec<(usize, Problem)>,
    /// The files of modules that they import from their folder, without links, as far as Python
    /// says so.
    pub modules: Vec<PathBuf>,
}

/// Checks handlers.
///
/// # Errors
///
/// A file that cannot be read; Python takes too long.
pub fn checked(handlers: &[Handler], how: Checking<'_>) -> Result<Checked> {
    if handlers.is_empty() {
        return Ok(Checked::default());
    }
    for handler in handlers {
        let failed = || format!("failed to read {}", shown(&handler.path, how.here));
        bounded::bytes(&handler.path, MOST).context(failed)?;
    }
    let mut seen = match ask(handlers, how)? {
        Some(seen) => seen,
        None => handlers.iter().map(look).collect::<Result<_>>()?,
    };
    let modules = match seen.pop_if(|told| matches!(told, Told::Used { .. })) {
        Some(Told::Used { files }) => files,
        _ => Vec::new(),
    };
    how.note_absent(&seen);
    let judged = handlers.iter().zip(&seen).enumerate();
    let wrong = judged
        .filter_map(|(index, (handler, seen))| Some((index, how.problem(handler, seen)?)))
        .collect();
    Ok(Checked { wrong, modules })
}

/// Looks at the text of a handler, without Python.
fn look(handler: &Handler) -> Result<Told> {
    let failed = || format!("failed to read {}", handler.path.display());
    let bytes = bounded::bytes(&handler.path, MOST).context(failed)?;
    let syntax = match check(&String::from_utf8_lossy(&bytes)) {
        Ok(()) => Told::Fine,
        Err(Wrong::Syntax { line, column, message }) => Told::Syntax { line, column, message },
        Err(Wrong::Methods) => Told::Methods,
        Err(Wrong::Missing) => Told::Missing,
        Err(Wrong::FromElsewhere) => Told::Elsewhere,
        Err(Wrong::Parameters) => Told::Parameters,
    };
    Ok(Told::Seen { syntax: Box::new(syntax), imported: None })
}

/// Asks Python; none where it does not work.
fn ask(handlers: &[Handler], how: Checking<'_>) -> Result<Option<Vec<Told>>> {
    let folder = tempfile::tempdir().context(|| "failed to make a folder".to_owned())?;
    let told = folder.path().join("told");
    let unread = |path: &Path| {
        Error::failed(format!(
            "the path {} is not UTF-8, so Python is not given it",
            path.display()
        ))
    };
    let text = |path: &Path| path.to_str().map(str::to_owned).ok_or_else(|| unread(path));
    let files: Vec<String> =
        handlers.iter().map(|handler| text(&handler.path)).collect::<Result<_>>()?;
    let asked = json!({
        "files": files,
        "imports": how.imports,
        "app_dir": how.app_dir.map(text).transpose()?,
        "told": text(&told)?,
    });
    let mut command = Command::new(PYTHON);
    // What is not imported is not to find anything of its own either.
    command.args(if how.imports { &["-B"][..] } else { &["-B", "-I"] });
    let given = input(&asked.to_string()).context(|| "failed to write a file".to_owned())?;
    command.args(["-c", SCRIPT]).stdin(given).stderr(Stdio::piped());
    if how.imports {
        output::note(
            "note: handlers are imported, which runs their code; with --no-import they are only parsed",
        );
    }
    let ended = process::run(command, LIMITS);
    let answer = bounded::text(&told, LIMITS.bytes).unwrap_or_default();
    let mut answers: Vec<Told> =
        answer.lines().map_while(|line| serde_json::from_str(line).ok()).collect();
    if answers.first() != Some(&Told::Ready) {
        let why = match ended {
            Err(Ended::Unstarted(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                format!("there is no {PYTHON} here")
            }
            Err(ended) => format!("{PYTHON} {ended}"),
            Ok(_) => format!("{PYTHON} says nothing"),
        };
        output::note(&format!("note: {why}, so only the text of handlers is looked at"));
        return Ok(None);
    }
    answers.remove(0);
    let Some(stopped) = handlers.get(answers.len()) else { return Ok(Some(answers)) };
    let what = match &ended {
        Ok(_) => "ended Python".to_owned(),
        Err(Ended::Late(time)) => format!("takes longer than {} s", time.as_secs()),
        Err(ended) => format!("made Python end: {ended}"),
    };
    let doing = if how.imports { "importing" } else { "parsing" };
    let error = Error::usage(format!("{doing} {} {what}", shown(&stopped.path, how.here)));
    Err(if how.imports { error.hint(NO_IMPORT) } else { error })
}

/// A text as standard input.
fn input(text: &str) -> std::io::Result<Stdio> {
    let mut file = tempfile::tempfile()?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

impl Checking<'_> {
    /// Notes what Python has not, so that handlers are only checked by their syntax.
    fn note_absent(self, seen: &[Told]) {
        let absent = |told: &Told| match told {
            Told::Seen { imported: Some(imported), .. } => match &**imported {
                Told::Absent { name } => Some(name.clone()),
                _ => None,
            },
            _ => None,
        };
        let absent: std::collections::BTreeSet<String> = seen.iter().filter_map(absent).collect();
        if !absent.is_empty() {
            output::note(&format!(
                "note: {PYTHON} has no package {}, so handlers that need it are checked by their syntax alone",
                few(absent)
            ));
        }
    }

    /// What is wrong with a handler.
    fn problem(self, handler: &Handler, seen: &Told) -> Option<Problem> {
        let shown = shown(&handler.path, self.here);
        let Told::Seen { syntax, imported } = seen else { return None };
        let imported = imported.as_deref().filter(|it| !matches!(it, Told::Absent { .. }));
        let deciding = match (&**syntax, imported) {
            (Told::Syntax { .. }, _) => syntax,
            (_, Some(imported)) if *imported != Told::Fine => imported,
            _ => syntax,
        };
        let takes = format!("write `async def {SIGNATURE}`");
        Some(match deciding {
            Told::Syntax { line, column, message } => Problem {
                place: Some(Place { file: shown, line: *line, column: *column, from: None }),
                ..Problem::new(message.clone())
            },
            Told::Methods => {
                Problem::new(format!("{shown} defines METHOD or METHODS, which a handler must not"))
                    .hint("its methods are those of the routes file")
            }
            Told::Missing => Problem::new(format!("{shown} has no handler")).hint(takes),
            Told::Elsewhere => {
                Problem::new(format!("{shown} does not define its handler itself")).hint(takes)
            }
            Told::Parameters => Problem::new(format!(
                "the handler of {shown} cannot be called with room and req alone"
            ))
            .hint(takes),
            Told::Uncallable => Problem::new(format!("the handler of {shown} is no function")),
            Told::Failed { message } => {
                Problem::new(format!("failed to import {shown}: {message}")).hint(NO_IMPORT)
            }
            _ => return None,
        })
    }
}
