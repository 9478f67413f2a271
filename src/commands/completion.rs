//! Completion in shells: of commands and options, and of the names of rooms, services and projects,
//! which are requested from the platform while somebody types.

use std::ffi::OsStr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Command;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;
use serde_json::Value;

use super::shortcut::listed;
use crate::connection::Connection;
use crate::dialect::Speaks;
use crate::error::{Context, Error, Result};
use crate::kinds::KindName;
use crate::output;
use crate::settings::{PlatformArgs, variable};
use crate::visible;

/// The variable by which a shell asks for candidates.
pub const VARIABLE: &str = "MESHAGENT_COMPLETE";

/// How long to keep somebody who types waiting.
const PATIENCE: Duration = Duration::from_millis(1500);

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
    let shells = Shells::builtins();
    let shell =
        shells.completer(&name).ok_or_else(|| Error::usage(format!("unknown shell {name}")))?;
    let mut text = Vec::new();
    shell
        .write_registration(VARIABLE, "meshagent", "meshagent", "meshagent", &mut text)
        .context(|| format!("failed to write the completion for {name}"))?;
    output::exactly(&String::from_utf8_lossy(&text));
    Ok(ExitCode::SUCCESS)
}

/// The kind of names that an argument accepts.
#[derive(Clone, Copy)]
enum Names {
    Projects,
    Rooms,
    Services,
}

/// Lets the arguments that name rooms, services and projects be completed.
pub fn with_names(command: Command) -> Command {
    named(command, "")
}

fn named(command: Command, parent: &str) -> Command {
    let name = command.get_name().to_owned();
    let below: Vec<String> =
        command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let command = command.mut_args(|argument| {
        let names = match (parent, name.as_str(), argument.get_id().as_str()) {
            (_, _, "project_id") | ("project", "activate", "id") => Names::Projects,
            (_, _, "room") | ("rooms", "get" | "update" | "delete", "name") => Names::Rooms,
            ("service", "show" | "delete" | "update" | "update-template", "id") => Names::Services,
            _ => return argument,
        };
        argument.add(ArgValueCompleter::new(move |typed: &OsStr| candidates(names, typed)))
    });
    below
        .into_iter()
        .fold(command, |command, child| command.mut_subcommand(child, |it| named(it, &name)))
}

/// The candidates for what was typed. If anything goes wrong, there are none: a shell that
/// completes has no place for errors.
fn candidates(names: Names, typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return Vec::new() };
    let listed = runtime.block_on(async {
        let platform = PlatformArgs { retries: 0, timeout: PATIENCE, ..PlatformArgs::default() };
        tokio::time::timeout(PATIENCE, platform.with(async |it| list(it, names).await)).await
    });
    let found = listed.ok().and_then(Result::ok).unwrap_or_default();
    found
        .into_iter()
        .filter(|(value, _)| value.starts_with(typed.as_ref()) && is_harmless(value))
        .map(|(value, help)| {
            let help = help.map(|help| visible::line(&help).into_owned().into());
            CompletionCandidate::new(value).help(help)
        })
        .collect()
}

/// Whether a name can be put on a command line as it is. A shell would split other names, or run a
/// part of them, and nobody would see hidden characters in them.
fn is_harmless(name: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || "-_.,:@/+=%".contains(c);
    !name.starts_with('-') && name.chars().all(is_letter) && visible::is_visible(name)
}

/// The candidates, each with its name.
async fn list(connection: &Connection, names: Names) -> Result<Vec<(String, Option<String>)>> {
    let reader = connection.client.reader();
    let text = |item: &Value, pointer: &str| {
        item.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
    };
    let (items, value, help) = match names {
        Names::Projects => (listed(connection, KindName::Project, None).await?, "/id", "/name"),
        Names::Rooms => {
            let spelling = reader.spelling(KindName::Room);
            let request = spelling
                .all(connection.project_id().await?)
                .query("limit", "500")
                .query("offset", "0")
                .query("order_by", "room_name");
            let rooms = reader.items(&request, spelling.collection().envelope).await?;
            (rooms, "/name", "/metadata/displayName")
        }
        Names::Services => {
            let room = variable("MESHAGENT_ROOM");
            let services = listed(connection, KindName::Service, room.as_deref()).await?;
            (services, "/id", "/metadata/name")
        }
    };
    let pairs = items.iter().filter_map(|item| Some((text(item, value)?, text(item, help))));
    Ok(pairs.collect())
}
