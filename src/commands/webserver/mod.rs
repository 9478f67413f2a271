//! `webserver`: what answers requests by the routes of a file, as a service of a room.
//!
//! | module | holds |
//! |---|---|
//! | `add` | a route is added to the file, and nothing else in it changes |
//! | `around` | what else is on the platform |
//! | `check` | what the file says, and whether all of it is there |
//! | `deploy` | files, service and domain, one after the other |
//! | `file` | the file, read with its places |
//! | `init` | a file to begin with |
//! | `python` | whether handlers can be loaded, as Python says it |
//! | `sending` | files on their way into the room |
//! | `site` | what `spec` and `deploy` have in common: the service |
//! | `source` | where the sources of routes are |
//! | `there` | what is in the room already |
//! | `together` | new files that are written together, or not at all |
//! | `upload` | what goes into the room |

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueHint;
use secrecy::SecretString;

use self::site::SiteArgs;
use super::option_values::warn_of_secret;
use super::service::yaml;
use super::wait;
use crate::error::{Error, Result};
use crate::output;
use crate::settings::PlatformArgs;

mod add;
mod around;
mod check;
mod deploy;
mod file;
mod init;
mod python;
mod sending;
mod site;
mod source;
mod there;
mod together;
mod upload;

/// Commands of `webserver`.
#[derive(Debug, clap::Subcommand)]
pub enum WebserverCommand {
    /// Check a routes file, and print its routes
    Check(check::CheckArgs),
    /// Write a routes file to begin with
    Init(init::InitArgs),
    /// Add a route to the routes file
    Add(add::AddArgs),
    /// Join a room, and serve the routes in it (not here yet)
    Join(Box<JoinArgs>),
    /// Print the service that the webserver becomes
    Spec(SpecArgs),
    /// Deploy the webserver: its files, its service and its domain
    Deploy(Box<deploy::DeploySiteArgs>),
}

/// The usual name of a routes file.
const FILE: &str = "webserver.yaml";

/// Where the routes are.
#[derive(Debug, clap::Args)]
struct FileArgs {
    /// The routes file. It has kind: WebServer, version: v1, host, port, and routes with path, and
    /// with python and methods, or static. A source that begins with / is below the current folder,
    /// others are below the folder of the file
    #[arg(short = 'f', value_name = "FILE", default_value = FILE, value_hint = ValueHint::AnyPath)]
    file: PathBuf,
}

/// How handlers are checked.
#[derive(Debug, clap::Args)]
struct HandlerArgs {
    /// The folder that Python handlers import from; that of the routes file if absent
    #[arg(long, value_name = "DIR", value_hint = ValueHint::AnyPath)]
    app_dir: Option<PathBuf>,
    /// Check Python handlers by their syntax alone, and run none of their code
    #[arg(long)]
    no_import: bool,
}

/// Arguments of `webserver spec`.
#[derive(Debug, clap::Args)]
pub struct SpecArgs {
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `webserver join`.
#[derive(Debug, clap::Args)]
pub struct JoinArgs {
    /// The room [env: MESHAGENT_ROOM]
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    /// The role with which the webserver enters
    #[arg(long, default_value = "agent")]
    role: String,
    /// The name with which the webserver takes part in its room
    #[arg(long, value_name = "NAME")]
    agent_name: Option<String>,
    /// The variable that holds the token
    #[arg(long, value_name = "NAME")]
    token_from_env: Option<String>,
    /// The API key that the token is signed with
    #[arg(long, value_name = "KEY", hide_env_values = true)]
    key: Option<SecretString>,
    #[command(flatten)]
    file: FileArgs,
    /// The folder that Python handlers import from; that of the routes file if absent
    #[arg(long, value_name = "DIR", value_hint = ValueHint::AnyPath)]
    app_dir: Option<PathBuf>,
    /// The address to listen on; if given, in place of the one in the routes file
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port to listen on; if given, in place of the one in the routes file
    #[arg(long, default_value_t = crate::kinds::agents::webserver::PORT, value_parser = port())]
    port: u16,
    /// Begin anew when the routes file or a handler changes
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// A port, as an option.
fn port() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

/// Runs a command of `webserver`.
///
/// # Errors
///
/// A routes file that is wrong; sources that are missing or wrong; what the platform refuses.
pub fn run(command: WebserverCommand) -> Result<ExitCode> {
    match command {
        WebserverCommand::Check(args) => check::run(&args),
        WebserverCommand::Init(args) => init::run(&args),
        WebserverCommand::Add(args) => add::run(&args),
        WebserverCommand::Join(args) => join(&args),
        WebserverCommand::Spec(args) => spec(&args),
        WebserverCommand::Deploy(args) => {
            let site = args.prepare()?;
            wait(deploy::run(*args, site))
        }
    }
}

fn spec(args: &SpecArgs) -> Result<ExitCode> {
    let site = args.site.prepare()?;
    output::exactly(&yaml(site.service));
    Ok(ExitCode::SUCCESS)
}

fn join(args: &JoinArgs) -> Result<ExitCode> {
    if args.key.is_some() {
        warn_of_secret("--key", "activate a key, or set MESHAGENT_API_KEY, instead");
    }
    Err(Error::failed("this program serves no websites in rooms yet")
        .hint("use the Python command line, which does and reads the same routes file"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use crate::kinds::agents::options::Takes;
    use crate::kinds::agents::webserver::command::OPTIONS;

    #[derive(Debug, clap::Parser)]
    struct Whole {
        #[command(subcommand)]
        command: super::WebserverCommand,
    }

    #[test]
    fn the_words_of_every_option_are_known() {
        let mut tree = Whole::command();
        tree.build();
        let mut seen = 0;
        for name in ["spec", "deploy"] {
            for argument in tree.find_subcommand(name).unwrap().get_arguments() {
                let letter = argument.get_short().map(String::from);
                let name = argument.get_long().map(str::to_owned).or(letter.clone()).unwrap();
                if name == "help" {
                    continue;
                }
                let option = OPTIONS.iter().find(|it| it.name == name);
                let option = option.unwrap_or_else(|| panic!("--{name}"));
                let is_behind = !argument.is_require_equals_set();
                let takes_next = argument.get_action().takes_values() && is_behind;
                assert_eq!(takes_next, option.takes != Takes::Flag, "--{name}");
                assert_eq!(letter.as_deref(), option.short, "--{name}");
                seen += 1;
            }
        }
        assert!(seen > 30, "{seen}");
    }
}
