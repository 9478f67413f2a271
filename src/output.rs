//! The one printer: data on standard output, everything else on standard error. Styles are removed
//! if there is no terminal, or if `NO_COLOR` asks for it.
//!
//! Text from outside is escaped by [`visible`]: every line that is printed here is checked, and a
//! message is always one line. The program's own credentials are in no line and no file
//! ([`conceal`]) except in those that are meant for them ([`credential`], [`write_credential`]). A
//! failed write to standard output is kept and reported at the end ([`check`]), so that no command
//! forgets it.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anstream::adapter::strip_str;
use anstyle::{AnsiColor, Style};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{fstat, stat};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::conceal;
use crate::error::RENDERED;
use crate::error::{Error, Problem, Result, with_causes};
use crate::listed::summed_up;
use crate::visible;

pub use destination::Destination;
pub use file::{write_credential, write_json};
pub use log::{Log, never_wait, panicked, settle};

mod destination;
mod file;
mod log;
mod target;

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
    /// A page for a browser, in one file.
    Html,
}

/// Why standard output could not be written. After that nothing more is written to it.
static UNWRITTEN: OnceLock<std::io::Error> = OnceLock::new();

/// Whether what is printed exists nowhere else.
static IS_ONLY_COPY: AtomicBool = AtomicBool::new(false);

/// How wide a terminal is taken for that does not say it, in letters.
const UNKNOWN_WIDTH: u16 = 80;

/// How often it is looked whether somebody still reads standard output.
const LOOKING: Duration = Duration::from_millis(500);

/// Prints data for people: lines with the program's own styles.
pub fn data(text: &str) {
    put(styled(&conceal::within(visible::lines(text))).as_bytes());
}

/// Prints one value as a line.
pub fn value(text: &str) {
    data(&(visible::line(text).into_owned() + "\n"));
}

/// Prints a text as it is: text for programs that this program made.
pub fn exactly(text: &str) {
    let text = conceal::within(Cow::Borrowed(text));
    put(text.as_bytes());
}

/// Prints lines with a credential that the user asked for.
pub fn credential(lines: &str) {
    put(styled(&visible::lines(lines)).as_bytes());
}

/// Prints bytes as they are: a secret that the user asked for, or a message of the program to
/// itself.
pub fn raw(bytes: &[u8]) {
    put(bytes);
}

/// Writes bytes to standard error as they are: what a command in a container wrote there.
pub fn raw_aside(bytes: &[u8]) {
    let mut out = std::io::stderr().lock();
    // There is no other place to say that it failed.
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// The text, with its styles if standard output shows them. They are removed before writing and not
/// during it, which would need one system call for each line.
fn styled(text: &str) -> Cow<'_, str> {
    match anstream::AutoStream::choice(&std::io::stdout()) {
        anstream::ColorChoice::Never => Cow::Owned(strip_str(text).to_string()),
        _ => Cow::Borrowed(text),
    }
}

fn put(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    if UNWRITTEN.get().is_none()
        && let Err(error) = out.write_all(bytes).and_then(|()| out.flush())
    {
        unwritten(error);
    }
}

/// Keeps the reason why standard output could not be written.
pub fn unwritten(error: std::io::Error) {
    let _ = UNWRITTEN.set(error);
}

/// Says that what is printed exists nowhere else, so that it must be read.
pub fn set_only_copy() {
    IS_ONLY_COPY.store(true, Ordering::Relaxed);
}

/// Whether all data was written. A reader that closed the pipe has seen what it wanted, unless the
/// data exists nowhere else.
///
/// # Errors
///
/// The first failure that the system reported.
pub fn check() -> Result<()> {
    let Some(error) = UNWRITTEN.get() else { return Ok(()) };
    if is_closed(error) && !IS_ONLY_COPY.load(Ordering::Relaxed) {
        return Ok(());
    }
    let cause =
        error.raw_os_error().map_or_else(|| error.kind().into(), std::io::Error::from_raw_os_error);
    Err(Error::failed("failed to write to standard output").because(cause))
}

fn is_closed(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::BrokenPipe
}

/// Whether there is no standard output, or one that cannot be written to. The standard library
/// puts `/dev/null` in the place of one that is closed, open to be read as well; whoever wants it
/// thrown away opens it only to be written.
fn is_not_there() -> bool {
    let out = std::io::stdout();
    let Ok(flags) = fcntl(out.as_fd(), FcntlArg::F_GETFL) else { return true };
    match OFlag::from_bits_truncate(flags) & OFlag::O_ACCMODE {
        OFlag::O_RDONLY => true,
        OFlag::O_RDWR => {
            let about = (fstat(out.as_fd()), stat("/dev/null"));
            matches!(about, (Ok(out), Ok(null)) if out.st_rdev == null.st_rdev && out.st_rdev != 0)
        }
        _ => false,
    }
}

/// Whether nobody reads standard output any more: there is none, the pipe is closed, or the terminal is gone.
#[must_use]
pub fn is_unread() -> bool {
    let out = std::io::stdout();
    let mut polled = [PollFd::new(out.as_fd(), PollFlags::empty())];
    // What has no readers says so whether it is asked or not.
    let is_gone = poll(&mut polled, PollTimeout::ZERO).is_ok()
        && polled[0]
            .revents()
            .is_some_and(|it| it.intersects(PollFlags::POLLERR | PollFlags::POLLHUP));
    is_gone || is_not_there() || UNWRITTEN.get().is_some_and(is_closed)
}

/// Waits until nobody reads standard output any more.
pub async fn unread() {
    while !is_unread() {
        tokio::time::sleep(LOOKING).await;
    }
}

/// Prints data as JSON: indented on a terminal and elsewhere alike, valid everywhere.
///
/// # Errors
///
/// A value that cannot be written as JSON.
pub fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(no_json)?;
    exactly(&visible::json(&(text + "\n")));
    Ok(())
}

/// A value as it would be in a written file, without credentials.
///
/// # Errors
///
/// A value that cannot be written as JSON, or cannot be read back.
pub fn as_written<T: Serialize + DeserializeOwned>(value: &T) -> Result<T> {
    let text = serde_json::to_string(value).map_err(no_json)?;
    serde_json::from_str(&conceal::within(text.into())).map_err(no_json)
}

/// Prints data as JSON on one line.
///
/// # Errors
///
/// A value that cannot be written as JSON.
pub fn json_line(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value).map_err(no_json)?;
    exactly(&visible::json(&(text + "\n")));
    Ok(())
}

fn no_json(error: serde_json::Error) -> Error {
    Error::failed("failed to write JSON").because(error)
}

/// Prints data as YAML.
pub fn yaml(value: &Value) {
    exactly(&visible::yaml(value));
}

/// Prints rows in columns that fit the terminal; without a terminal, no cell is wrapped.
pub fn table(titles: &[String], rows: Vec<Vec<String>>) {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    let arrangement = match std::io::stdout().is_terminal() {
        true => comfy_table::ContentArrangement::Dynamic,
        false => comfy_table::ContentArrangement::Disabled,
    };
    table.set_content_arrangement(arrangement);
    if table.width() == Some(0) {
        // A terminal of a container or of CI that does not know how wide it is.
        table.set_width(UNKNOWN_WIDTH);
    }
    if !titles.is_empty() {
        table.set_header(titles);
    }
    // Before a column that is too narrow breaks it in two.
    let cells = |row: Vec<String>| {
        row.into_iter().map(|cell| conceal::within(visible::line(&cell)).into_owned())
    };
    table.add_rows(rows.into_iter().map(|row| cells(row).collect::<Vec<_>>()));
    // Columns stand two apart, and no line begins or ends with a space.
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    data(&table.lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>());
}

/// Prints data on standard error, whole: it has no other way out.
///
/// # Errors
///
/// A value that cannot be written as JSON.
pub fn aside(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value).map_err(no_json)?;
    log::say(conceal::within(visible::json(&(text + "\n"))).into_owned());
    Ok(())
}

/// Prints a line for people beside the data.
pub fn note(line: &str) {
    say(&shortened(line));
}

/// Prints lines for people beside the data, with the program's own styles. Text from outside in them
/// has been through [`visible::line`] before.
pub fn beside(lines: &str) {
    say(lines.trim_end_matches('\n'));
}

/// Prints a line beside the data that this program made, here or as a process of its own: what is
/// shown in it is checked already, and a command for the system that runs it stays one.
pub fn relay(line: &str) {
    let line = conceal::within(Cow::Borrowed(line));
    log::say(format!("{line}\n"));
}

/// Prints a line for people beside the data that begins something new.
pub fn heading(line: &str) {
    say(&format!("\n{}", shortened(line)));
}

/// Whether long lists are printed in full; unset if the command has no `--verbose`.
static VERBOSE: OnceLock<bool> = OnceLock::new();

/// Prints long lists in full, or sums them up and says that `--verbose` shows them in full.
pub fn set_verbose(verbose: bool) {
    // A command runs once.
    let _ = VERBOSE.set(verbose);
}

/// Whether long lists are printed in full.
#[must_use]
pub fn is_verbose() -> bool {
    VERBOSE.get().copied().unwrap_or_default()
}

/// How to get the full list after a summary, if the command has `--verbose`.
#[must_use]
pub fn way_to_all() -> &'static str {
    if VERBOSE.get().is_some() { "; --verbose shows them all" } else { "" }
}

/// Prints notes beside the data; of similar ones only the first.
pub fn notes(notes: &[String]) {
    if is_verbose() {
        notes.iter().for_each(|told| note(&format!("note: {told}")));
        return;
    }
    for (told, more) in summed_up(notes) {
        note(&format!("note: {told}"));
        if more > 0 {
            note(&format!("note: and {more} more like this one{}", way_to_all()));
        }
    }
}

/// Prints lines for people beside the data, with the program's own styles.
fn say(lines: &str) {
    let lines = conceal::within(visible::lines(lines));
    log::say(format!("{lines}\n"));
}

/// Prints a warning beside the data.
pub fn warning(line: &str) {
    let style = AnsiColor::Yellow.on_default().bold();
    say(&format!("{style}warning:{style:#} {}", shortened(line)));
}

/// Asks for an answer on the same line.
pub fn ask(question: &str) {
    log::say(conceal::within(visible::line(question)).into_owned());
}

/// The maximum number of problems that are printed; the others are counted.
const MOST_PROBLEMS: usize = 100;

/// Prints an error: the problems of manifests, what failed, why, and what to do about it.
pub fn error(error: &Error) {
    let most = if is_verbose() { usize::MAX } else { MOST_PROBLEMS };
    for problem in error.problems.iter().take(most) {
        say(&render_problem(problem));
    }
    if let Some(more) = error.problems.len().checked_sub(most).filter(|more| *more > 0) {
        say(&format!("and {more} more problems{}", way_to_all()));
    }
    if std::env::var("GITHUB_ACTIONS").as_deref() == Ok("true") {
        annotate(&error.problems);
    }
    let style = AnsiColor::Red.on_default().bold();
    say(&format!("{style}error:{style:#} {}", shortened(&with_causes(error))));
    if let Some(hint) = &error.hint {
        say(&render_hint(hint));
    }
}

/// Prints the commands that make GitHub show problems beside the lines of a pull request.
/// Its runner reads both streams, and standard output is data.
fn annotate(problems: &[Problem]) {
    for problem in problems.iter().take(MOST_PROBLEMS) {
        if let Some(command) = annotation(problem, in_checkout) {
            let command = conceal::within(Cow::Owned(command));
            log::say(format!("{command}\n"));
        }
    }
}

/// The path of a file in its checkout, which is how a pull request names it. Where Git left no
/// trace, the checkout is the workspace of the job.
fn in_checkout(name: &str) -> PathBuf {
    let found = std::path::absolute(name).ok().and_then(|file| {
        let root = file.ancestors().skip(1).find(|folder| folder.join(".git").exists());
        let workspace = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
        let root = root.map(Path::to_owned).or(workspace)?;
        file.strip_prefix(root).ok().map(Path::to_owned)
    });
    found.unwrap_or_else(|| PathBuf::from(name))
}

/// The workflow command for a problem with a place; `path` gives the path that the pull request
/// has for a file. Standard input has none.
#[must_use]
pub fn annotation(problem: &Problem, path: impl FnOnce(&str) -> PathBuf) -> Option<String> {
    let place = problem.place.as_ref()?;
    // The lines of a rendered text are not those of the template.
    let (name, at) = match place.file.strip_suffix(RENDERED) {
        Some(name) => (name, String::new()),
        None => (place.file.as_str(), format!(",line={},col={}", place.line, place.column)),
    };
    let file = match name {
        "-" => String::new(),
        name => {
            let path = path(name).to_string_lossy().into_owned();
            format!("file={}{at},", command_property(&visible::line(&path)))
        }
    };
    let message = match &problem.hint {
        Some(hint) => {
            format!("{}\nhint: {}", shortened(&problem.message), shortened(hint))
        }
        None => shortened(&problem.message).into_owned(),
    };
    Some(format!("::error {file}title=meshagent::{}", command_text(&message)))
}

/// The text of a workflow command; a line break would end the command.
fn command_text(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn command_property(text: &str) -> String {
    command_text(text).replace(':', "%3A").replace(',', "%2C")
}

fn render_hint(hint: &str) -> String {
    let style = AnsiColor::Cyan.on_default().bold();
    format!("{style}hint:{style:#} {}", shortened(hint))
}

/// The maximum length of a message, in characters: it may repeat what a stranger wrote.
const LONGEST: usize = 4_000;

/// A message on one line, not longer than a screen or two. Credentials are concealed before it is
/// cut.
fn shortened(message: &str) -> Cow<'_, str> {
    // What is far longer is cut before it is looked through.
    let end = message.char_indices().nth(4 * LONGEST).map_or(message.len(), |(end, _)| end);
    let message = conceal::within(Cow::Borrowed(&message[..end]));
    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => Cow::Owned(visible::line(&message[..end]).into_owned() + "…"),
        None => Cow::Owned(visible::line(&message).into_owned()),
    }
}

/// How many characters of a line of the source are shown.
const SHOWN: usize = 160;

/// A problem with its place, the line of the source, and a hint.
#[must_use]
pub fn render_problem(problem: &Problem) -> String {
    let (bold, dim, red) =
        (Style::new().bold(), Style::new().dimmed(), AnsiColor::Red.on_default());
    let message = shortened(&problem.message);
    let mut out = match &problem.place {
        Some(place) => format!("{bold}{place}:{bold:#} {message}"),
        None => message.into_owned(),
    };
    if let (Some(place), Some(line)) = (&problem.place, &problem.source_line) {
        let number = place.line.to_string();
        let line = &conceal::within(Cow::Borrowed(line));
        let column = usize::try_from(place.column.max(1) - 1).unwrap_or(0);
        // Tabs stay tabs, so that the mark stands below its column.
        let spelled =
            |text: String| text.split('\t').map(visible::line).collect::<Vec<_>>().join("\t");
        let before = spelled(line.chars().take(column).collect());
        let indent: String = before.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let shown = spelled(line.chars().take(SHOWN).collect());
        out += &format!("\n  {dim}{number} |{dim:#} {shown}");
        if column < SHOWN {
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
        let place = Place { file: "a,b:c%.yaml".to_owned(), line: 3, column: 7, from: None };
        let problem = Problem {
            place: Some(place),
            ..Problem::new("50% of\r\n::error::this, that").hint("look: here")
        };
        assert_eq!(
            annotation(&problem, |name| Path::new("deploy").join(name)).as_deref(),
            Some(
                "::error file=deploy/a%2Cb%3Ac%25.yaml,line=3,col=7,title=meshagent::50%25 of\\r\\n::error::this, that%0Ahint: look: here"
            )
        );
        assert_eq!(annotation(&Problem::new("of no file"), |name| name.into()), None);
        let place = Place { file: "-".to_owned(), line: 3, column: 7, from: None };
        let problem = Problem { place: Some(place), ..Problem::new("no") };
        let command = annotation(&problem, |name| name.into());
        assert_eq!(command.as_deref(), Some("::error title=meshagent::no"));
    }

    #[test]
    fn a_file_is_named_as_its_checkout_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let proposed = folder.path().join("proposed");
        std::fs::create_dir_all(proposed.join("manifests")).unwrap();
        let file = proposed.join("manifests/a.yaml").display().to_string();
        assert_eq!(in_checkout(&file), Path::new(&file));
        // A worktree has a file of this name.
        std::fs::write(proposed.join(".git"), "gitdir: elsewhere").unwrap();
        assert_eq!(in_checkout(&file), Path::new("manifests/a.yaml"));
    }
}
