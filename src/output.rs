//! The one printer: data on standard output, everything else on standard error. Styles are
//! taken off where there is no terminal, or where `NO_COLOR` asks for it.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::error::{Context, Error, Problem, Result, with_causes};
use crate::manifest::source::RENDERED;

/// How data is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For a comment on a pull request.
    Markdown,
}

/// Prints data. A reader that went away is not an error.
pub fn data(text: &str) {
    let mut out = anstream::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints data as JSON: indented on a terminal and elsewhere alike, valid everywhere.
///
/// # Errors
///
/// A value that cannot be written as JSON.
pub fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::failed("failed to write JSON").because(error))?;
    data(&(text + "\n"));
    Ok(())
}

/// Prints rows in columns that fit the terminal; elsewhere no cell is broken over lines.
pub fn table(titles: &[String], rows: Vec<Vec<String>>) {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    let arrangement = match std::io::stdout().is_terminal() {
        true => comfy_table::ContentArrangement::Dynamic,
        false => comfy_table::ContentArrangement::Disabled,
    };
    table.set_content_arrangement(arrangement);
    if !titles.is_empty() {
        table.set_header(titles);
    }
    table.add_rows(rows);
    // Columns stand two apart, and no line begins or ends with a space.
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    data(&table.lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>());
}

/// Writes a file that only its owner can read, whole or not at all.
///
/// # Errors
///
/// The system's.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = || format!("failed to write {}", path.display());
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A temporary file is made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder).context(failed)?;
    file.write_all(bytes).context(failed)?;
    file.persist(path).context(failed)?;
    Ok(())
}

/// Prints a line for people beside the data.
pub fn note(line: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// Prints a warning beside the data.
pub fn warning(line: &str) {
    let style = AnsiColor::Yellow.on_default().bold();
    note(&format!("{style}warning:{style:#} {line}"));
}

/// Prints an error: the problems of manifests, what failed, why, and what to do about it.
pub fn error(error: &Error) {
    for problem in &error.problems {
        note(&render_problem(problem));
    }
    if std::env::var("GITHUB_ACTIONS").as_deref() == Ok("true") {
        annotate(&error.problems);
    }
    let style = AnsiColor::Red.on_default().bold();
    note(&format!("{style}error:{style:#} {}", with_causes(error)));
    if let Some(hint) = &error.hint {
        note(&render_hint(hint));
    }
}

/// Prints the commands that make GitHub show problems beside the lines of a pull request.
/// Its runner reads both streams, and standard output is data.
fn annotate(problems: &[Problem]) {
    let folder = std::env::var("GITHUB_WORKSPACE").ok().and_then(|workspace| {
        let folder = std::env::current_dir().ok()?;
        let below = folder.strip_prefix(&workspace).ok()?;
        Some(below.to_owned())
    });
    for problem in problems {
        if let Some(command) = annotation(problem, folder.as_deref()) {
            note(&command);
        }
    }
}

/// The workflow command for a problem with a place; `folder` is the working folder below
/// that of the repository, to which the file's name is relative there.
#[must_use]
pub fn annotation(problem: &Problem, folder: Option<&Path>) -> Option<String> {
    let place = problem.place.as_ref()?;
    // The lines of a rendered text are not those of the template.
    let (name, at) = match place.file.strip_suffix(RENDERED) {
        Some(name) => (name, String::new()),
        None => (place.file.as_str(), format!(",line={},col={}", place.line, place.column)),
    };
    let file = folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
    let message = match &problem.hint {
        Some(hint) => format!("{}\nhint: {hint}", problem.message),
        None => problem.message.clone(),
    };
    Some(format!(
        "::error file={}{at},title=meshagent::{}",
        command_property(&file.to_string_lossy()),
        command_text(&message)
    ))
}

/// The text of a workflow command, in which a line break would end it.
fn command_text(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn command_property(text: &str) -> String {
    command_text(text).replace(':', "%3A").replace(',', "%2C")
}

fn render_hint(hint: &str) -> String {
    let style = AnsiColor::Cyan.on_default().bold();
    format!("{style}hint:{style:#} {hint}")
}

/// A problem with its place, the line of the source, and a hint.
#[must_use]
pub fn render_problem(problem: &Problem) -> String {
    let (bold, dim, red) =
        (Style::new().bold(), Style::new().dimmed(), AnsiColor::Red.on_default());
    let mut out = match &problem.place {
        Some(place) => format!("{bold}{place}:{bold:#} {}", problem.message),
        None => problem.message.clone(),
    };
    if let (Some(place), Some(line)) = (&problem.place, &problem.source_line) {
        let number = place.line.to_string();
        let column = usize::try_from(place.column.max(1) - 1).unwrap_or(0);
        // Tabs stay tabs, so that the mark stands below its column.
        let indent: String =
            line.chars().take(column).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let shown: String = line.chars().take(160).collect();
        out += &format!("\n  {dim}{number} |{dim:#} {shown}");
        if column < 160 {
            out += &format!("\n  {} {dim}|{dim:#} {indent}{red}^{red:#}", " ".repeat(number.len()));
        }
    }
    if let Some(hint) = &problem.hint {
        out += &format!("\n  {}", render_hint(hint));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Place;

    #[test]
    fn an_annotation_is_one_line_whatever_it_tells() {
        let place = Place { file: "a,b:c%.yaml".to_owned(), line: 3, column: 7 };
        let problem = Problem {
            place: Some(place),
            ..Problem::new("50% of\r\n::error::this, that").hint("look: here")
        };
        assert_eq!(
            annotation(&problem, Some(Path::new("deploy"))).as_deref(),
            Some(
                "::error file=deploy/a%2Cb%3Ac%25.yaml,line=3,col=7,title=meshagent::50%25 of%0D%0A::error::this, that%0Ahint: look: here"
            )
        );
        assert_eq!(annotation(&Problem::new("of no file"), None), None);
    }
}
