//! `source`: lists the sources of the project file, moves their pins, and fetches them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::Style;
use serde::Serialize;
use serde_json::{Value, json};

use super::show::{ListArgs, Listed, quietly};
use crate::error::{Class, Error, Problem, Result, with_causes};
use crate::listed::{counted, few, nearest};
use crate::output;
use crate::plan::unified::hunks;
use crate::project_file::{Consent, ProjectFile, SourceOf};
use crate::sources::changes::{Change, Changes, FileChange};
use crate::sources::entry::short;
use crate::sources::fetch::{self, Fetcher};
use crate::sources::{Entry, Lock, Pin, lock};
use crate::visible;

/// List the sources of the project file, move their pins, and fetch them.
#[derive(Debug, clap::Subcommand)]
pub enum SourceCommand {
    /// List the sources, with what each is pinned to
    #[command(mut_arg("quiet", quietly("names")))]
    List(ListArgs),
    /// Pin sources to what they are now, and show what changes with them
    Update(UpdateArgs),
    /// Fetch what is pinned into the cache, so that plans need no network
    Fetch(FetchArgs),
}

/// Arguments of `source update`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent source update\n  meshagent source update support --dry-run"
)]
pub struct UpdateArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Show what would change, and leave meshagent.lock as it is
    #[arg(long)]
    dry_run: bool,
    /// How the changes are printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

/// Arguments of `source fetch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  meshagent source fetch\n  meshagent source fetch support")]
pub struct FetchArgs {
    #[command(flatten)]
    which: WhichArgs,
}

/// Which sources are meant.
#[derive(Debug, clap::Args)]
struct WhichArgs {
    /// The sources, by their names in the project file; without them, all
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Let repositories and archives lie in this folder, although it is outside the folder of the
    /// project file and its repository; may be repeated
    #[arg(long, value_name = "FOLDER")]
    allow_files: Vec<PathBuf>,
}

/// How changes are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people: objects, and a unified diff of the files
    #[default]
    Text,
    /// For programs
    Json,
}

/// A source whose pin was looked at, for programs.
#[derive(Debug, Serialize)]
struct Moved {
    name: String,
    version: String,
    from: Option<String>,
    to: String,
    is_new: bool,
    /// Whether what it was before is known. If not, neither is what changes.
    is_compared: bool,
    files: Option<Vec<Value>>,
    objects: Option<Vec<Value>>,
    problems: Vec<String>,
}

/// Runs the command.
///
/// # Errors
///
/// A project file that cannot be used; sources that cannot be fetched.
pub fn run(command: SourceCommand) -> Result<ExitCode> {
    let path = ProjectFile::find().ok_or_else(|| {
        Error::usage("there is no meshagent.yaml, which would name sources")
            .hint("run this in the folder of a project file")
    })?;
    let file = ProjectFile::read(&path)?;
    match command {
        SourceCommand::List(args) => list(&file, args),
        SourceCommand::Update(args) => update(&file, &args),
        SourceCommand::Fetch(args) => fetch_pinned(&file, &args),
    }
}

fn list(file: &ProjectFile, args: ListArgs) -> Result<ExitCode> {
    let lock = Lock::read(file.folder())?;
    let fetcher = Fetcher::of_user(file.folder(), &[], true)?;
    let item = |source: &SourceOf| {
        let entry = &source.entry;
        let pin = lock.pin(entry).ok();
        let is_cached = pin.is_some_and(|pin| fetcher.cache.has(pin.content()));
        json!({
            "name": entry.name,
            "version": entry.version(),
            "from": visible::url(&entry.origin.to_string()),
            "path": entry.path,
            "locked": pin.map(|pin| short(pin.at())),
            "content": pin.map(|pin| pin.content().to_string()),
            "cached": is_cached,
        })
    };
    let items = file.versions()?.iter().map(item).collect();
    let listed = Listed {
        envelope: None,
        columns: &["name", "version", "from", "path", "locked", "cached"],
        name: "name",
        none: "the project file has no sources",
    };
    args.print(listed, items)
}

impl WhichArgs {
    /// The versions of the sources that are meant.
    fn of(&self, file: &ProjectFile) -> Result<Vec<SourceOf>> {
        let versions = file.versions()?;
        let known: BTreeSet<&str> = versions.iter().map(|it| it.entry.name.as_str()).collect();
        for name in &self.names {
            if !known.contains(name.as_str()) {
                let error = Error::usage(format!("there is no source {name:?}"));
                return Err(match nearest(name, known.iter().copied()) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None if known.is_empty() => {
                        error.hint("the project file names none; write them into `sources`")
                    }
                    None => error.hint(format!("there are {}", few(&known))),
                });
            }
        }
        let is_meant = |it: &SourceOf| self.names.is_empty() || self.names.contains(&it.entry.name);
        Ok(versions.into_iter().filter(is_meant).collect())
    }

    fn fetcher(&self, file: &ProjectFile) -> Result<Fetcher> {
        Fetcher::of_user(file.folder(), &self.allow_files, false)
    }
}

fn fetch_pinned(file: &ProjectFile, args: &FetchArgs) -> Result<ExitCode> {
    let sources = args.which.of(file)?;
    let lock = Lock::read(file.folder())?;
    let pins = lock.pins(sources.iter().map(|source| &source.entry)).map_err(unfetched)?;
    args.which.fetcher(file)?.pinned(&pins).map_err(unfetched)?;
    output::note(&format!("in the cache: {}", counted(pins.len(), "source")));
    Ok(ExitCode::SUCCESS)
}

fn unfetched(problems: Vec<Problem>) -> Error {
    let told = format!("{} cannot be fetched", counted(problems.len(), "source"));
    let mut error = Error::manifests(problems).saying(told);
    error.class = Class::Failed;
    error
}

fn update(file: &ProjectFile, args: &UpdateArgs) -> Result<ExitCode> {
    let sources = args.which.of(file)?;
    let fetcher = args.which.fetcher(file)?;
    let lock = Lock::read(file.folder())?;
    let mut moved = Vec::new();
    let mut problems = Vec::new();
    let mut pins = Vec::new();
    for source in &sources {
        let (pin, pack) = match fetcher.newest(&source.entry) {
            Ok(found) => found,
            Err(error) => {
                problems.push(fetch::problem(&source.entry, error));
                continue;
            }
        };
        let consent = Consent { may_miss: true, ..Consent::default() };
        let before = lock.before(&source.entry);
        let old = match before.map(|before| fetcher.before(&source.entry, before)).transpose() {
            Ok(old) => old,
            Err(error) => {
                output::warning(&format!(
                    "what {} was before is neither in the cache nor to be fetched, so what changes with it is not known: {}",
                    source.entry.name,
                    with_causes(&error)
                ));
                None
            }
        };
        let is_compared = before.is_none() || old.is_some();
        let old = old.map(|pack| source.imported(pack, &file.path, consent)).transpose()?;
        let changes = Changes::between(old, source.imported(pack, &file.path, consent)?);
        let pinned = pin.clone();
        moved.push(Found { source, before, pin: pinned, changes, is_compared });
        pins.push((&source.entry, pin));
    }
    if !problems.is_empty() {
        // Nothing is pinned by halves.
        return Err(unfetched(problems));
    }
    match args.output {
        Form::Json => output::json(&moved.iter().map(of_program).collect::<Vec<_>>())?,
        Form::Text => moved.iter().for_each(tell),
    }
    for found in &moved {
        for problem in &found.changes.problems {
            output::warning(&problem.to_string());
        }
    }
    if args.dry_run {
        output::note(&format!("{} was left as it is (--dry-run)", lock::NAME));
        return Ok(ExitCode::SUCCESS);
    }
    // Somebody else may have moved other pins meanwhile.
    let mut lock = Lock::read(file.folder())?;
    pins.into_iter().for_each(|(entry, pin)| lock.put(entry, pin));
    let all: Vec<Entry> = file.versions()?.into_iter().map(|source| source.entry).collect();
    let mut forgotten = lock.keep_only(&all);
    // That another version takes the place of one was told.
    forgotten.retain(|name| !sources.iter().any(|source| source.entry.name == *name));
    if !forgotten.is_empty() {
        output::note(&format!("no longer asked for, and forgotten: {}", few(forgotten)));
    }
    lock.write()?;
    output::note(&format!("locked: {} in {}", counted(moved.len(), "source"), lock::NAME));
    Ok(ExitCode::SUCCESS)
}

/// A source that was looked at.
struct Found<'a> {
    source: &'a SourceOf,
    /// What it was pinned to.
    before: Option<&'a Pin>,
    pin: Pin,
    changes: Changes,
    /// Whether what it was before is known.
    is_compared: bool,
}

fn of_program(Found { source, before, pin, changes, is_compared }: &Found<'_>) -> Moved {
    let file = |it: &FileChange| json!({"path": it.path, "change": it.change});
    let object = |(object, change): &(String, Change)| json!({"object": object, "change": change});
    Moved {
        name: source.entry.name.clone(),
        version: source.entry.version().unwrap_or_default(),
        from: before.map(|before| before.at().to_owned()),
        to: pin.at().to_owned(),
        is_new: before.is_none(),
        is_compared: *is_compared,
        files: is_compared.then(|| changes.files.iter().map(file).collect()),
        objects: is_compared.then(|| changes.objects.iter().map(object).collect()),
        problems: changes.problems.iter().map(ToString::to_string).collect(),
    }
}

/// Tells people what changes with a source.
fn tell(Found { source, before, pin, changes, is_compared }: &Found<'_>) {
    let bold = Style::new().bold();
    let to = short(pin.at());
    let at = match before.map(|before| short(before.at())) {
        None => format!("{to} (not locked before)"),
        Some(from) if from == to && changes.files.is_empty() => format!("{to}, unchanged"),
        Some(from) => format!("{from} -> {to}"),
    };
    let shown = visible::line(&source.entry.shown()).into_owned();
    output::data(&format!("{bold}{shown}{bold:#}: {}\n", visible::line(&at)));
    if !is_compared {
        output::data("  it is not known what changes\n");
        return;
    }
    let counts = changes.counts().into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts
        .map(|(count, change)| {
            let word = match change {
                Change::Added => "added",
                Change::Removed => "removed",
                Change::Changed => "changed",
            };
            format!("{} {word}", counted(count, "file"))
        })
        .collect();
    if !counts.is_empty() {
        output::data(&format!("  {}\n", counts.join(", ")));
    }
    for (object, change) in &changes.objects {
        output::data(&format!("  {change} {object}\n"));
    }
    // Of what is new as a whole, the objects say enough.
    if before.is_some() {
        changes.files.iter().for_each(|file| {
            let name = visible::line(&file.path);
            let side = |is_there: bool, side: &str| match is_there {
                true => format!("{side}/{name}"),
                false => "/dev/null".to_owned(),
            };
            let old = side(file.change != Change::Added, "a");
            let new = side(file.change != Change::Removed, "b");
            output::data(&format!("{bold}--- {old}\n+++ {new}{bold:#}\n"));
            match &file.texts {
                Some((old, new)) => output::data(&hunks(old, new, &|_| None)),
                None => output::data("(not shown: it may hold a secret, or is no text)\n"),
            }
        });
    }
}
