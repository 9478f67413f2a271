//! Completion in shells: of commands and options; of kinds and their fields; of objects, which are
//! read from the manifests; and of the names of rooms, services, sets and projects, which are
//! requested from the platform while somebody types; and of files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, ValueHint};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use serde_json::Value;

pub use self::shells::SHELLS;
use super::explain;
use super::schema;
use super::set::{FileArgs, ReadArgs, files_of_environment};
use super::shortcut::listed;
use crate::api::request::Paging;
use crate::apply::{history, sets};
use crate::connection::Connection;
use crate::dialect::{Collection, Speaks};
use crate::error::{Context, Result};
use crate::kinds::KindName;
use crate::manifest::set;
use crate::output;
use crate::project_file::ProjectFile;
use crate::reconcile::DEFAULT_SET;
use crate::settings::{PlatformArgs, variable};
use crate::visible;

mod shells;
mod words;

/// The variable by which a shell asks for candidates.
pub const VARIABLE: &str = "MESHAGENT_COMPLETE";

/// How long to keep somebody who types waiting.
const PATIENCE: Duration = Duration::from_secs(1);

/// A shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shell {
    /// Bash.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
    /// PowerShell.
    Powershell,
}

/// Arguments of `completion`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  echo 'source <(meshagent completion bash)' >> ~/.bashrc\n  echo 'source <(meshagent completion zsh)' >> ~/.zshrc\n  meshagent completion fish > ~/.config/fish/completions/meshagent.fish\n  meshagent completion powershell >> $PROFILE"
)]
pub struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the completion script for a shell.
///
/// # Errors
///
/// The text cannot be made.
pub fn run(args: &CompletionArgs) -> Result<ExitCode> {
    let name = format!("{:?}", args.shell).to_lowercase();
    let text = shells::script(&name, VARIABLE, &program())
        .context(|| format!("failed to write the completion for {name}"))?;
    output::exactly(&if args.shell == Shell::Zsh { in_zsh(&text) } else { text });
    Ok(ExitCode::SUCCESS)
}

/// The name by which the program was run, which is the one that somebody types.
fn program() -> String {
    let run = std::env::args_os().next();
    let name = run.as_deref().map(Path::new).and_then(Path::file_name).and_then(OsStr::to_str);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let named = name.filter(|name| !name.starts_with('-') && name.chars().all(is_plain));
    named.unwrap_or("meshagent").to_owned()
}

/// The script for zsh, which works in both of its places: sourced by a `.zshrc` that has not
/// started the completion, and as a file of `fpath`, which zsh runs first when somebody completes.
fn in_zsh(text: &str) -> String {
    let head = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\n";
    let name = program();
    let function = name.replace('-', "_");
    let last =
        format!("[[ ${{funcstack[1]}} = _{name} ]] && _clap_dynamic_completer_{function} \"$@\"\n");
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    format!("{first}\n{head}{rest}{last}")
}

/// The kind of names that an argument accepts.
#[derive(Clone, Copy)]
enum Names {
    Projects,
    Rooms,
    Services,
    Sets,
    States,
    Schemas,
    Fields,
    Objects,
    Levels,
    Commands,
    Environments,
    Sources,
    Files,
}

/// Lets the arguments be completed that name what the program, the platform or manifests know.
pub fn with_names(command: Command) -> Command {
    named(command, "")
}

fn named(command: Command, parent: &str) -> Command {
    let name = command.get_name().to_owned();
    let below: Vec<String> =
        command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let command = command.mut_args(|argument| match names(parent, &name, &argument) {
        None => argument,
        Some(names) => {
            argument.add(ArgValueCompleter::new(move |typed: &OsStr| candidates(names, typed)))
        }
    });
    below
        .into_iter()
        .fold(command, |command, child| command.mut_subcommand(child, |it| named(it, &name)))
}

/// What the value of an argument names.
fn names(parent: &str, command: &str, argument: &Arg) -> Option<Names> {
    Some(match (parent, command, argument.get_id().as_str()) {
        (_, _, "project_id") | ("project", "activate", "id") => Names::Projects,
        (_, _, "room") | ("rooms", "get" | "update" | "delete", "name") => Names::Rooms,
        ("service", "show" | "delete" | "update" | "update-template", "id") => Names::Services,
        (
            _,
            "plan" | "diff" | "graph" | "apply" | "destroy" | "accept" | "export" | "history"
            | "rollback",
            "set",
        )
        | ("history", "show", "set")
        | ("set", "move", "from" | "to")
        | ("set", "rename", "from") => Names::Sets,
        (_, "plan" | "diff" | "graph" | "rollback", "to")
        | ("history", "show", "state")
        | ("history", "diff", "from") => Names::States,
        (_, "schema", "kind") => Names::Schemas,
        (_, _, "environment") | (_, "promote", "from" | "to") => Names::Environments,
        ("source", "update" | "fetch", "names") => Names::Sources,
        (_, _, "log") => Names::Levels,
        (_, "help", "words") => Names::Commands,
        (_, "explain", "what") => Names::Fields,
        (_, "plan" | "diff" | "graph" | "apply", "target" | "exclude" | "adopt")
        | (_, "rollback", "target" | "exclude")
        | (_, "accept", "objects") => Names::Objects,
        _ if argument.get_value_hint() == ValueHint::AnyPath => Names::Files,
        _ => return None,
    })
}

/// The candidates for what was typed. If anything goes wrong, there are none: a shell that
/// completes has no place for errors.
fn candidates(names: Names, typed: &OsStr) -> Vec<CompletionCandidate> {
    if let Names::Files = names {
        return shells::files(typed);
    }
    let typed = typed.to_string_lossy().into_owned();
    let found = match names {
        Names::Schemas => schema::names(),
        Names::Levels => LEVELS.map(|level| (level.to_owned(), None)).to_vec(),
        Names::Commands => commands(),
        Names::Fields => explain::names_below(&typed),
        Names::Objects => in_time(declared).unwrap_or_default(),
        Names::Environments => in_time(environments).unwrap_or_default(),
        Names::Sources => in_time(sources).unwrap_or_default(),
        _ => in_time(move || on_platform(names)).unwrap_or_default(),
    };
    found
        .into_iter()
        .filter(|(value, _)| begins(value, &typed, names) && is_harmless(value))
        .map(|(value, help)| {
            let help = help.map(|help| visible::line(&help).into_owned().into());
            CompletionCandidate::new(value).help(help)
        })
        .collect()
}

/// What `--log` accepts.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Whether a name begins like what was typed. Kinds are known in small letters, too.
fn begins(name: &str, typed: &str, names: Names) -> bool {
    let begun = name.get(..typed.len());
    begun.is_some_and(|begun| match names {
        Names::Fields | Names::Schemas => begun.eq_ignore_ascii_case(typed),
        _ => begun == typed,
    })
}

/// The commands below those that stand behind `help`.
fn commands() -> Vec<Named> {
    let tree = super::whole_tree();
    let line: Vec<&str> = shells::words().iter().filter_map(|word| word.to_str()).collect();
    let behind = line.iter().skip_while(|word| **word != "help").skip(1);
    let group = behind.fold(&tree, |group, word| group.find_subcommand(word).unwrap_or(group));
    let below = group.get_subcommands().filter(|below| !below.is_hide_set());
    let named =
        |below: &Command| (below.get_name().to_owned(), below.get_about().map(ToString::to_string));
    below.map(named).collect()
}

/// A name, and what it means.
type Named = (String, Option<String>);

/// The result of a piece of work, if it is ready in time. If not, the program ends, and the work
/// with it.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> Option<T> + Send + 'static) -> Option<T> {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    receive.recv_timeout(PATIENCE).ok()?
}

/// Whether a name can be put on a command line as it is. A shell would split other names, or run a
/// part of them, and nobody would see hidden characters in them.
fn is_harmless(name: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || "-_.,:@/+=%".contains(c);
    !name.starts_with('-') && name.chars().all(is_letter) && visible::is_visible(name)
}

/// The arguments of the command on the line, if it can be parsed.
fn line() -> Option<ArgMatches> {
    let words = shells::words();
    let mut matches = super::tree().ignore_errors(true).try_get_matches_from(words).ok()?;
    while let Some((_, below)) = matches.remove_subcommand() {
        matches = below;
    }
    Some(matches)
}

/// The platform of the line; none if it is the embedded one, which would have to be started.
fn platform() -> Option<PlatformArgs> {
    let mut platform = PlatformArgs::default();
    if let Some(line) = line() {
        let given = |name: &str| line.try_get_one::<String>(name).ok().flatten().cloned();
        platform.project_id = given("project_id");
        platform.api_url = given("api_url");
        platform.environment = given("environment");
        if line.try_get_one::<PathBuf>("embedded").ok().flatten().is_some() {
            return None;
        }
    }
    let platform = platform.settled().ok().filter(|platform| platform.embedded.is_none())?;
    Some(PlatformArgs { retries: 0, timeout: PATIENCE, ..platform })
}

/// The objects in the manifests that the line or the environment names.
fn declared() -> Option<Vec<Named>> {
    let line = line()?;
    let mut files: Vec<PathBuf> =
        line.try_get_many("files").ok().flatten().into_iter().flatten().cloned().collect();
    if files.is_empty() {
        files = files_of_environment();
    }
    // Standard input belongs to the command.
    files.retain(|file| file.as_os_str() != "-");
    let files = FileArgs { files, reading: ReadArgs { may_miss: true, ..ReadArgs::default() } };
    let input = files.input(None, Some("(active project)".to_owned())).ok()?;
    let set = set::read(&input).ok()?;
    Some(set.objects.into_keys().map(|key| (key.to_string(), None)).collect())
}

/// The environments of the project file, each with its project.
fn environments() -> Option<Vec<Named>> {
    let file = ProjectFile::read(&ProjectFile::find()?).ok()?;
    let about = |name: &str| file.environment(Some(name)).ok()?.project;
    Some(file.names().map(|name| (name.to_owned(), about(name))).collect())
}

/// The sources of the project file, each with where it comes from.
fn sources() -> Option<Vec<Named>> {
    let file = ProjectFile::read(&ProjectFile::find()?).ok()?;
    let versions = file.versions().ok()?.into_iter().map(|source| source.entry);
    let mut named: Vec<Named> =
        versions.map(|entry| (entry.name, Some(visible::url(&entry.origin.to_string())))).collect();
    named.dedup_by(|one, other| one.0 == other.0);
    Some(named)
}

/// The names of this sort on the platform.
fn on_platform(names: Names) -> Option<Vec<Named>> {
    let platform = platform()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(platform.with(async |connection| list(connection, names).await)).ok()
}

/// The candidates, each with its name.
async fn list(connection: &Connection, names: Names) -> Result<Vec<Named>> {
    let reader = connection.client.reader();
    let text = |item: &Value, pointer: &str| {
        item.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
    };
    let (items, value, help) = match names {
        Names::Projects => (listed(connection, KindName::Project, None).await?, "/id", "/name"),
        Names::Rooms => {
            let spelling = reader.spelling(KindName::Room);
            let Collection { envelope, paging, .. } = spelling.collection();
            let mut request = spelling.all(connection.project_id().await?);
            if let Paging::Offset(_) = paging {
                let page = [("limit", "500"), ("offset", "0"), ("order_by", "room_name")];
                request = page.iter().fold(request, |it, (name, value)| it.query(name, *value));
            }
            let rooms = reader.items(&request, envelope).await?;
            (rooms, "/name", "/metadata/displayName")
        }
        Names::Services => {
            let room = variable("MESHAGENT_ROOM");
            let services = listed(connection, KindName::Service, room.as_deref()).await?;
            (services, "/id", "/metadata/name")
        }
        Names::Sets => {
            let sets = sets::listed(&reader, connection.project_id().await?).await?;
            return Ok(sets.names.into_iter().map(|name| (name, None)).collect());
        }
        Names::States => {
            let set = line().and_then(|it| it.try_get_one::<String>("set").ok()?.cloned());
            let set = set.as_deref().unwrap_or(DEFAULT_SET);
            let index = history::index(&reader, set, connection.project_id().await?).await??;
            let runs = index.iter().flat_map(|index| index.runs()).rev();
            let named = runs.map(|run| (run.number.to_string(), Some(format!("{:.0}", run.at))));
            return Ok(named.collect());
        }
        _ => return Ok(Vec::new()),
    };
    let pairs = items.iter().filter_map(|item| Some((text(item, value)?, text(item, help))));
    Ok(pairs.collect())
}
