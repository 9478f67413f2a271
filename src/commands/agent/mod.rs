//! Agents that are described by options: `chatbot`, `process`, `worker`, `mailbot`, `voicebot`,
//! `task-runner` and `codex …`. The options are those of [`crate::kinds::agents`].

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use serde_json::Value;

use super::group::{Group, Lenient};
use super::option_values::warn_of_secret;
use super::service::deploy::{DeployArgs, Namesake};
use super::service::yaml;
use super::wait;
use crate::bounded;
use crate::error::{Context, Error, Result};
use crate::kinds::agents::check::{Wrong, check};
use crate::kinds::agents::family::{Action, Family};
use crate::kinds::agents::given::Given;
use crate::kinds::agents::options::AgentOption;
use crate::kinds::agents::service::service;
use crate::output;
use crate::visible;
pub use deploy::Wanted;
pub use line::readable;

pub mod arguments;
mod deploy;
mod line;

/// A command of a family of agents, given by its place in [`Family::ALL`].
#[derive(Debug)]
pub struct Agent<const FAMILY: usize> {
    action: Action,
    given: Given,
    /// How it is deployed, if that is the action.
    deploy: Option<DeployArgs>,
}

/// The families behind `codex`.
#[derive(Debug, clap::Subcommand)]
pub enum CodexCommand {
    /// Codex that chats
    #[command(subcommand)]
    Chatbot(Lenient<Agent<6>>),
    /// Codex that does tasks
    #[command(subcommand)]
    TaskRunner(Lenient<Agent<7>>),
    /// Codex that works through a queue
    #[command(subcommand)]
    Worker(Lenient<Agent<8>>),
}

impl<const FAMILY: usize> Agent<FAMILY> {
    const FAMILY: Family = Family::ALL[FAMILY];
}

/// The options of a command, without those that say which platform is used: all commands that use
/// one have them in common.
fn own_options(family: Family, action: Action) -> Vec<AgentOption> {
    let mut options = family.options(action);
    options.retain(|option| action != Action::Deploy || option.name != "project-id");
    options
}

impl<const FAMILY: usize> Subcommand for Agent<FAMILY> {
    fn augment_subcommands(command: Command) -> Command {
        let family = Self::FAMILY;
        let commands = family.actions().iter().map(|action| {
            let command = Command::new(action.word()).about(action.about());
            let command = arguments::with_options(command, &own_options(family, *action));
            match action {
                // A command says what it does, and its parts do not.
                Action::Deploy => DeployArgs::augment_args(command).about(action.about()),
                _ => command,
            }
        });
        command.subcommand_required(true).arg_required_else_help(true).subcommands(commands)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        Self::FAMILY.actions().iter().any(|action| action.word() == name)
    }
}

impl<const FAMILY: usize> FromArgMatches for Agent<FAMILY> {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let family = Self::FAMILY;
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (name, matches) = matches.subcommand().ok_or_else(missing)?;
        let action = family.actions().iter().find(|action| action.word() == name);
        let action = *action.ok_or_else(missing)?;
        let deploy = match action {
            Action::Deploy => Some(DeployArgs::from_arg_matches(matches)?),
            _ => None,
        };
        let given = arguments::given(&own_options(family, action), matches);
        Ok(Self { action, given, deploy })
    }

    fn update_from_arg_matches(
        &mut self,
        matches: &ArgMatches,
    ) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Runs a command of a family of agents.
///
/// # Errors
///
/// Options that cannot be used; what the platform refuses; what this program does not do yet.
pub fn run<const FAMILY: usize>(agent: &Agent<FAMILY>) -> Result<ExitCode> {
    let (family, Agent { action, given, deploy }) = (Agent::<FAMILY>::FAMILY, agent);
    if given.text("key").is_some() {
        warn_of_secret("--key", "activate a key, or set MESHAGENT_API_KEY, instead");
    }
    check_options(family, given)?;
    match (action, deploy) {
        (Action::Spec, _) => {
            let service = described(family, *action, given)?;
            output::exactly(&yaml(service));
            Ok(ExitCode::SUCCESS)
        }
        (_, Some(args)) => {
            let wanted = Wanted {
                service: described(family, *action, given)?,
                room: given.text("room").map(str::to_owned),
                namesake: if family.is_codex() { Namesake::First } else { Namesake::Last },
                files: files(given),
            };
            wait(wanted.deploy(args))
        }
        _ => Err(not_run()),
    }
}

/// The error of what would run agents.
pub fn not_run() -> Error {
    Error::failed("this program runs no agents yet")
        .hint("use the Python command line, which has it and reads the same settings")
}

/// Checks options beside their types.
///
/// # Errors
///
/// The first one that is wrong.
pub fn check_options(family: Family, given: &Given) -> Result<()> {
    let has_variable = |name: &str| std::env::var_os(name).is_some();
    check(family, given, has_variable).map_err(told)
}

fn told(Wrong { option, message, is_conflict, .. }: Wrong) -> Error {
    let told = format!("--{option} {message}");
    if is_conflict { Error::failed(told) } else { Error::usage(told) }
}

/// Runs a command of `codex`.
///
/// # Errors
///
/// As [`run`].
pub fn run_codex(command: &CodexCommand) -> Result<ExitCode> {
    match command {
        CodexCommand::Chatbot(Group(agent)) => run(agent),
        CodexCommand::TaskRunner(Group(agent)) => run(agent),
        CodexCommand::Worker(Group(agent)) => run(agent),
    }
}

/// The service that an agent would be.
fn described(family: Family, action: Action, given: &Given) -> Result<Value> {
    check_files(given)?;
    warn_of_secrets(given);
    let words = std::env::args_os().map(|it| it.to_string_lossy().into_owned());
    let typed = line::typed(&words.collect::<Vec<_>>());
    Ok(service(family, action, (given, &typed)))
}

/// The files on this machine that options name.
#[must_use]
pub fn files(given: &Given) -> Vec<PathBuf> {
    let options = ["rules-file", "output-schema-path", "skill-dir"];
    options.iter().flat_map(|option| given.texts(option)).map(PathBuf::from).collect()
}

/// Checks the files that options name. What is elsewhere is read by the agent.
///
/// # Errors
///
/// A schema that is none.
pub fn check_files(given: &Given) -> Result<()> {
    if let Some(path) = given.filled("output-schema-path")
        && !path.starts_with("http://")
        && !path.starts_with("https://")
    {
        let path = Path::new(path);
        let failed = || format!("failed to read the schema {}", path.display());
        let text = bounded::text(path, bounded::STANDARD).context(failed)?;
        serde_json::from_str::<Value>(&text).context(failed)?;
    }
    if given.text("command").is_some() && given.text("ws-url").is_some() {
        output::note("note: --ws-url is used, and --command is not");
    }
    let brought = [
        ("rules-file", "rules: [{file: PATH}]", Path::is_file as fn(&Path) -> bool),
        ("skill-dir", "skills: [{folder: PATH}]", Path::is_dir),
    ];
    for (option, field, is_here) in brought {
        for path in given.texts(option) {
            let (shown, path) = (visible::line(path), Path::new(path));
            let told = match is_here(path) {
                true => format!(
                    "--{option}: {shown} is read where the agent runs, not here; a document of the kind Agent takes it along with `{field}`"
                ),
                false => format!("there is no {shown} here; the agent needs it where it runs"),
            };
            output::note(&format!("note: {told}"));
        }
    }
    Ok(())
}

/// Warns of values that look secret and stand in the service for everybody to read.
pub fn warn_of_secrets(given: &Given) {
    for name in given.secret_names() {
        let name = visible::line(name);
        output::warning(&format!(
            "{name} looks like a secret, and its value stands in the service for everybody to read; name a secret of the project instead, with --secret NAME, or under `secrets` of its document (`container.secrets` of a service)"
        ));
    }
}
