//! Agents that are described by options: `chatbot`, `process`, `worker`, `mailbot`, `voicebot`,
//! `task-runner` and `codex …`. The options are those of [`crate::kinds::agents`].

use std::path::Path;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, Subcommand};
use serde_json::Value;

use super::group::{Group, Lenient};
use super::option_values::warn_of_secret;
use super::service::yaml;
use crate::bounded;
use crate::error::{Context, Error, Result};
use crate::kinds::agents::check::{Wrong, check};
use crate::kinds::agents::family::{Action, Family};
use crate::kinds::agents::given::Given;
use crate::kinds::agents::options::{AgentOption, Takes};
use crate::kinds::agents::service::service;
use crate::kinds::agents::words::{with_long_forms, without};
use crate::output;
use crate::visible;

/// A command of a family of agents, given by its place in [`Family::ALL`].
#[derive(Debug)]
pub struct Agent<const FAMILY: usize> {
    action: Action,
    given: Given,
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

impl<const FAMILY: usize> Subcommand for Agent<FAMILY> {
    fn augment_subcommands(command: Command) -> Command {
        let family = Self::FAMILY;
        let commands = family.actions().iter().map(|action| {
            let options = family.options(*action);
            let command = Command::new(action.word()).about(action.about());
            options.iter().flat_map(arguments).fold(command, Command::arg)
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
        Ok(Self { action, given: given(&family.options(action), matches) })
    }

    fn update_from_arg_matches(
        &mut self,
        matches: &ArgMatches,
    ) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The arguments of an option: itself, and its opposite.
fn arguments(option: &AgentOption) -> Vec<Arg> {
    let own = Arg::new(option.name)
        .long(option.name)
        .help(option.help)
        .hide(option.hidden)
        .required(option.required);
    let letter = option.short.filter(|short| short.len() == 1).and_then(|it| it.chars().next());
    let own = letter.map_or_else(|| own.clone(), |letter| own.clone().short(letter));
    let own = match option.takes {
        Takes::Text => own.value_name("TEXT"),
        Takes::Json => own.value_name("JSON"),
        Takes::Texts => own.value_name("TEXT").action(ArgAction::Append),
        Takes::Words => own.value_name("WORD,WORD").action(ArgAction::Append),
        Takes::Pairs => own.value_name("NAME=VALUE").action(ArgAction::Append),
        Takes::Number => own.value_name("N").value_parser(clap::value_parser!(u16)),
        Takes::OneOf(words) => own.value_name("WORD").value_parser(words.to_vec()),
        Takes::Flag | Takes::OnOff => own.action(ArgAction::SetTrue),
    };
    let own = match (option.takes, option.default) {
        (takes, _) if !takes.a_value() => own,
        (_, None) => own,
        (_, Some(default)) => own.default_value(default),
    };
    match option.negated {
        None => vec![own],
        Some(negated) => {
            let opposite = Arg::new(negated)
                .long(negated)
                .action(ArgAction::SetTrue)
                .hide(option.hidden)
                .help(format!("Negates --{}", option.name));
            vec![own.overrides_with(negated), opposite]
        }
    }
}

/// What was given.
fn given(options: &[AgentOption], matches: &ArgMatches) -> Given {
    let mut given = Given::default();
    for option in options {
        match option.takes {
            Takes::Number => {
                if let Some(number) = matches.get_one::<u16>(option.name) {
                    given.set_texts(option.name, vec![number.to_string()]);
                }
            }
            Takes::Flag => {
                if matches.get_flag(option.name) {
                    given.set_on(option.name, true);
                }
            }
            Takes::OnOff => {
                let is_off = option.negated.is_some_and(|negated| matches.get_flag(negated));
                let is_on = matches.get_flag(option.name);
                if is_on || is_off {
                    given.set_on(option.name, is_on);
                }
            }
            _ => {
                if let Some(texts) = matches.get_many::<String>(option.name) {
                    given.set_texts(option.name, texts.cloned().collect());
                }
            }
        }
    }
    given
}

/// The options with which a command line may begin, before its command.
const LOG: AgentOption = AgentOption::new("log", Takes::Text, "");

/// The family and the action that a command line names, and where its options begin.
fn named(words: &[String]) -> Option<(Family, Action, usize)> {
    let mut at = 1;
    while let Some(word) = words.get(at).filter(|word| word.starts_with("--log")) {
        at += if word.contains('=') { 1 } else { 2 };
    }
    let family = Family::ALL.into_iter().find(|family| {
        let own = family.words();
        words.get(at..at + own.len()).is_some_and(|words| words == own)
    })?;
    at += family.words().len();
    let action = family
        .actions()
        .iter()
        .find(|action| words.get(at).is_some_and(|it| it == action.word()))?;
    Some((family, *action, at + 1))
}

/// A command line in which nothing has a short form of two letters.
#[must_use]
pub fn readable(words: Vec<String>) -> Vec<String> {
    let Some((family, action, at)) = named(&words) else { return words };
    let (begins, options) = words.split_at(at);
    [begins, &with_long_forms(options, &family.options(action))].concat()
}

/// The options of the command line that was typed, without those of this program.
fn typed() -> Vec<String> {
    let words: Vec<String> =
        std::env::args_os().map(|it| it.to_string_lossy().into_owned()).collect();
    let Some((family, action, at)) = named(&words) else { return Vec::new() };
    without(&words[at..], &[&family.options(action)[..], &[LOG]].concat(), &[LOG.name])
}

/// Runs a command of a family of agents.
///
/// # Errors
///
/// Options that cannot be used; what this program does not do yet.
pub fn run<const FAMILY: usize>(agent: &Agent<FAMILY>) -> Result<ExitCode> {
    let (family, Agent { action, given }) = (Agent::<FAMILY>::FAMILY, agent);
    if given.text("key").is_some() {
        warn_of_secret("--key", "activate a key, or set MESHAGENT_API_KEY, instead");
    }
    let has_variable = |name: &str| std::env::var_os(name).is_some();
    check(family, given, has_variable).map_err(told)?;
    match action {
        Action::Spec => spec(family, given),
        Action::Deploy => Err(Error::failed("this program does not deploy agents by options yet")
            .hint("`spec` prints the service, and `meshagent service create -f FILE` creates it")),
        Action::Join | Action::Service | Action::Run | Action::Use => {
            Err(Error::failed("this program runs no agents yet")
                .hint("use the Python command line, which has it and reads the same settings"))
        }
    }
}

fn told(Wrong { option, message, is_conflict }: Wrong) -> Error {
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

/// Prints the service that an agent would be.
fn spec(family: Family, given: &Given) -> Result<ExitCode> {
    check_schema(given)?;
    for path in given.texts("rules-file") {
        if !Path::new(path).is_file() {
            let path = visible::line(path);
            output::note(&format!("note: there is no file {path} here; the agent needs it there"));
        }
    }
    warn_of_secrets(given);
    output::exactly(&yaml(service(family, Action::Spec, (given, &typed()))));
    Ok(ExitCode::SUCCESS)
}

/// Checks that a schema that is named as a file is one. What is elsewhere is read by the agent.
fn check_schema(given: &Given) -> Result<()> {
    let Some(path) = given.filled("output-schema-path") else { return Ok(()) };
    if path.starts_with("http://") || path.starts_with("https://") {
        return Ok(());
    }
    let path = Path::new(path);
    let failed = || format!("failed to read the schema {}", path.display());
    let text = bounded::text(path, bounded::STANDARD).context(failed)?;
    serde_json::from_str::<Value>(&text).context(failed).map(drop)
}

/// Warns of values that look secret and stand in the service for everybody to read.
fn warn_of_secrets(given: &Given) {
    let options = ["shell-set-env", "set-env"];
    let items = options.iter().flat_map(|option| given.texts(option));
    let names = items.filter_map(|item| item.split_once('=')).map(|(name, _)| name.trim());
    for name in names.filter(|name| looks_secret(name)) {
        let name = visible::line(name);
        output::warning(&format!(
            "{name} looks like a secret, and its value stands in the service for everybody to read; name a secret of the project under container.secrets instead"
        ));
    }
}

fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["SECRET", "TOKEN", "PASSWORD", "API_KEY", "PRIVATE_KEY"].iter().any(|it| name.contains(it))
}
