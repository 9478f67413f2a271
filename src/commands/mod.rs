//! The terminal: one file a command, its arguments beside the code that runs them.
//!
//! Must not live here: anything that another front end would need too.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Class, Error, Result};
use crate::output;

pub mod accept;
pub mod apply;
pub mod explain;
pub mod export;
pub mod plan;
pub mod policy;
pub mod rooms;
pub mod saved;
pub mod schema;
pub mod secret;
pub mod server;
pub mod set;
pub mod shortcut;
pub mod show;
mod toggle;
pub mod validate;

/// Describe MeshAgent projects in YAML; see what would change; make it so.
#[derive(Debug, Parser)]
#[command(
    name = "meshagent",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 changes pending (--exit-code), \
4 partly applied, 5 stale plan, 6 refused by a guard.\n\n\
Try it with no account:\n  meshagent apply -f examples/manifests --embedded"
)]
struct Cli {
    /// What is logged on standard error: error, warn, info, debug or trace
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        env = "MESHAGENT_LOG",
        default_value = "warn",
        hide_env_values = true
    )]
    log: String,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what apply would do
    Plan(plan::PlanArgs),
    /// Show what apply would do as a unified difference of YAML
    Diff(plan::DiffArgs),
    /// Show the order of what apply would do, as Mermaid or DOT
    Graph(plan::GraphArgs),
    /// Make the platform what the manifests say
    Apply(apply::ApplyArgs),
    /// Write what drifted on the platform back into the manifests
    Accept(accept::AcceptArgs),
    /// Delete everything that a set owns
    Destroy(apply::DestroyArgs),
    /// Check manifests without a platform
    Validate(validate::ValidateArgs),
    /// Write what a project holds as manifests
    Export(export::ExportArgs),
    /// Explain a kind or one of its fields
    Explain(explain::ExplainArgs),
    /// Print the JSON Schema of a kind, or of all
    Schema(schema::SchemaArgs),
    /// Create, list and change the rooms of a project
    #[command(subcommand)]
    Rooms(rooms::RoomsCommand),
    /// Encrypt and decrypt the secrets of manifests
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// Serve the embedded platform
    Server(server::ServerArgs),
    /// Print the version
    Version,
}

/// Parses the arguments, runs the command, renders its error.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Class::Usage.exit_code() } else { 0 });
        }
    };
    match init_log(&cli.log).and_then(|()| run(cli.command)) {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            ExitCode::from(error.class.exit_code())
        }
    }
}

fn init_log(level: &str) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(level)
        .map_err(|error| Error::usage(format!("--log {level:?} is not a level")).because(error))?;
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(anstream::stderr)
        .with_target(false)
        .try_init();
    Ok(())
}

/// Commands that need no platform run without a runtime.
fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Plan(args) => wait(plan::plan(args)),
        Command::Diff(args) => wait(plan::diff(args)),
        Command::Graph(args) => wait(plan::graph(args)),
        Command::Apply(args) => wait(apply::apply(args)),
        Command::Accept(args) => wait(accept::run(args)),
        Command::Destroy(args) => wait(apply::destroy(args)),
        Command::Validate(args) => validate::run(&args),
        Command::Export(args) => wait(export::export(args)),
        Command::Explain(args) => explain::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Rooms(command) => wait(rooms::run(command)),
        Command::Secret(command) => secret::run(command),
        Command::Server(args) => {
            wait(async { server::run(args).await.map(|()| ExitCode::SUCCESS) })
        }
        Command::Version => {
            output::data(concat!(env!("CARGO_PKG_VERSION"), "\n"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn wait(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failed("failed to start the runtime").because(error))?
        .block_on(work)
}
