//! The terminal: one file per command, its arguments beside the code that runs them.
//!
//! Must not live here: anything that another front end would need too.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::group::{Group, Lenient};
use crate::error::{self, Class, Error, Result};
use crate::output;
use crate::settings;

pub mod accept;
pub mod address;
pub mod agent;
pub mod api_key;
pub mod apply;
pub mod approvals;
pub mod approve;
pub mod auth;
mod author;
pub mod build;
pub mod call;
pub mod ci;
pub mod completion;
mod confirmation;
pub mod dev;
pub mod environment;
pub mod evaluation;
pub mod explain;
pub mod export;
mod group;
pub mod helper;
pub mod history;
pub mod init;
pub mod mailbox;
pub mod manual;
pub mod multi;
pub mod of_account;
pub mod option_values;
mod own_inputs;
pub mod plan;
pub mod platform_secret;
pub mod policy;
pub mod port;
pub mod project;
pub mod promote;
pub mod room;
pub mod rooms;
pub mod route;
pub mod saved_plan;
pub mod scheduled_task;
pub mod schema;
pub mod secret;
pub mod server;
pub mod service;
pub mod service_account;
pub mod session;
pub mod set;
pub mod sets;
pub mod setup;
pub mod shortcut;
pub mod show;
pub mod show_file;
mod signals;
pub mod sources;
mod toggle;
pub mod token;
pub mod usage;
pub mod validate;
pub mod webhook;
pub mod webserver;

/// Describe MeshAgent projects in YAML; see what would change; make it so.
#[derive(Debug, Parser)]
#[command(
    name = "meshagent",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = format!(
        "{}\n\nTry it without an account:\n  meshagent init",
        error::codes_told()
    )
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
    /// Write a small project to begin with, and show its first plan
    Init(init::InitArgs),
    /// Show what apply would do
    Plan(plan::PlanArgs),
    /// Show what apply would do as a unified diff of YAML
    Diff(plan::DiffArgs),
    /// Write what one environment has into another, and show the plan
    Promote(promote::PromoteArgs),
    /// Draw the order of the operations, or a whole set, as Mermaid, DOT, SVG or HTML
    Graph(plan::GraphArgs),
    /// Show a saved plan, or the report of a run
    Show(show_file::ShowArgs),
    /// Approve a saved plan with an SSH key
    Approve(approve::ApproveArgs),
    /// List the approvals of a saved plan, and say whether they are enough
    Approvals(approvals::ApprovalsArgs),
    /// Make the platform match the manifests
    Apply(apply::ApplyArgs),
    /// Write drift on the platform back into the manifests
    Accept(accept::AcceptArgs),
    /// Delete everything that a set owns
    Destroy(apply::destroy::DestroyArgs),
    /// List the past states of a set, show one, and how two differ
    History(history::HistoryArgs),
    /// Bring a set back to a past state
    Rollback(apply::rollback::RollbackArgs),
    /// List the sets of a project, and move objects between them
    #[command(subcommand)]
    Set(Group<sets::SetCommand>),
    /// Plan pull requests, apply the main branch and tell of drift, in continuous integration
    #[command(subcommand)]
    Ci(Group<ci::CiCommand>),
    /// List the sources of the project file, move their pins, and fetch them
    #[command(subcommand)]
    Source(Group<sources::SourceCommand>),
    /// Build the images that services are run from
    Build(build::BuildArgs),
    /// Run a platform of one's own that has what a folder says, and follow changes
    Dev(dev::DevArgs),
    /// Check manifests without a platform
    Validate(validate::ValidateArgs),
    /// Write the objects of a project as manifests
    Export(export::ExportArgs),
    /// Explain a kind or one of its fields
    Explain(explain::ExplainArgs),
    /// Print the JSON Schema of a kind, or of all
    Schema(schema::SchemaArgs),
    /// Sign in with a browser, choose a project and get a key for it
    Setup(auth::SignInArgs),
    /// Sign in, sign out, and see who is signed in
    #[command(subcommand)]
    Auth(Lenient<auth::AuthCommand>),
    /// Create, list and activate projects
    #[command(subcommand)]
    Project(Lenient<project::ProjectCommand>),
    /// Create, list and activate the API keys of a project
    #[command(subcommand)]
    ApiKey(Lenient<api_key::ApiKeyCommand>),
    /// Create, list and change the service accounts of a project, and their API keys
    #[command(subcommand)]
    ServiceAccount(Lenient<service_account::AccountCommand>),
    /// See what ran in the rooms of a project
    #[command(subcommand)]
    Session(Lenient<session::SessionCommand>),
    /// Create, list and change the rooms of a project
    #[command(subcommand)]
    Rooms(Lenient<rooms::RoomsCommand>),
    /// Do something in a room, as one of its participants
    #[command(subcommand)]
    Room(Lenient<room::RoomCommand>),
    /// Make ports of containers in rooms reachable on this machine
    #[command(subcommand)]
    Port(Lenient<port::PortCommand>),
    /// Create, list and change services; check and render their templates
    #[command(subcommand)]
    Service(Lenient<service::ServiceCommand>),
    /// Create, list and change mailboxes
    #[command(subcommand)]
    Mailbox(Lenient<address::AddressCommand<mailbox::Mailbox>>),
    /// Create, list and change routes
    #[command(subcommand)]
    Route(Lenient<address::AddressCommand<route::Route>>),
    /// Create, list and change scheduled tasks
    #[command(subcommand)]
    ScheduledTask(Lenient<scheduled_task::TaskCommand>),
    /// Sign participant tokens
    #[command(subcommand)]
    Token(Lenient<token::TokenCommand>),
    /// Let agents and tools enter a room
    #[command(subcommand)]
    Call(Lenient<call::CallCommand>),
    /// Describe an agent that chats
    #[command(subcommand)]
    Chatbot(Lenient<agent::Agent<0>>),
    /// Describe an agent that takes messages from several channels
    #[command(subcommand)]
    Process(Lenient<agent::Agent<1>>),
    /// Describe an agent that works through a queue
    #[command(subcommand)]
    Worker(Lenient<agent::Agent<2>>),
    /// Describe an agent that answers mails
    #[command(subcommand)]
    Mailbot(Lenient<agent::Agent<3>>),
    /// Describe an agent that talks
    #[command(subcommand)]
    Voicebot(Lenient<agent::Agent<4>>),
    /// Describe an agent that does tasks
    #[command(subcommand)]
    TaskRunner(Lenient<agent::Agent<5>>),
    /// Describe agents with codex behind them
    #[command(subcommand)]
    Codex(Group<agent::CodexCommand>),
    /// Describe several agents in one service
    #[command(subcommand)]
    Multi(Lenient<multi::MultiCommand>),
    /// Describe a webserver with the routes of a file, and deploy it
    #[command(subcommand)]
    Webserver(Lenient<webserver::WebserverCommand>),
    /// Create, list and delete webhooks
    #[command(subcommand)]
    Webhook(Lenient<webhook::WebhookCommand>),
    /// Create, list and change secrets; encrypt and decrypt those of manifests
    #[command(subcommand)]
    Secret(Lenient<secret::SecretCommand>),
    /// Serve the schemas and toolkits that rooms call during development
    #[command(subcommand, alias = "helpers")]
    Helper(Lenient<helper::HelperCommand>),
    /// Serve the embedded platform
    Server(server::ServerArgs),
    /// Print the completion script for a shell
    Completion(completion::CompletionArgs),
    /// Write the manual pages, one for each command
    Man(manual::ManArgs),
    /// Evaluate the rules of a policy; for internal use
    #[command(hide = true)]
    EvaluatePolicy,
    /// Print the help of a command, as --help does
    Help {
        /// The command, such as `set move`
        #[arg(value_name = "COMMAND")]
        words: Vec<String>,
    },
    /// Print the version
    Version,
}

/// The tree of commands; groups are built when a command line names them.
#[must_use]
pub fn tree() -> clap::Command {
    // Of an option that is given twice, the last one counts.
    let tree = Cli::command().args_override_self(true);
    let width = std::env::var("COLUMNS").ok().and_then(|width| width.parse::<usize>().ok());
    match width.is_some_and(|width| width < LEAST_WIDTH) {
        true => tree.term_width(WIDTH),
        false => tree,
    }
}

/// The tree of commands with everything in it.
#[must_use]
pub fn whole_tree() -> clap::Command {
    let mut tree = tree();
    tree.build();
    tree
}

/// The width of help where the environment names one in which nobody can read.
const WIDTH: usize = 80;

/// The least width that is taken from the environment.
const LEAST_WIDTH: usize = 20;

/// Parses the arguments, runs the command, renders its error.
pub fn main() -> ExitCode {
    signals::outlive_file_limits();
    ci::end_with_parent();
    // A shell that completes a line is answered, and nothing else happens.
    clap_complete::CompleteEnv::with_factory(|| completion::with_names(whole_tree()))
        .var(completion::VARIABLE)
        .shells(completion::SHELLS)
        .complete();
    let parsed = match std::env::args_os().map(std::ffi::OsString::into_string).collect() {
        Ok(words) => tree().try_get_matches_from(agent::readable(words)),
        // What is not UTF-8 is told by the parser.
        Err(_) => tree().try_get_matches(),
    };
    if let Some(error) = parsed.as_ref().ok().and_then(usage::environments) {
        output::error(&error);
        return ended(ExitCode::from(Class::Usage.exit_code()));
    }
    let parsed = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(parser) => {
            let words = std::env::args_os().map(|it| it.to_string_lossy().into_owned());
            let words: Vec<String> = words.collect();
            let code = if parser.use_stderr() { Class::Usage.exit_code() } else { 0 };
            if let Some(error) = usage::error(&parser, whole_tree(), &words) {
                output::error(&error);
            } else if let Err(error) = parser.print() {
                output::unwritten(error);
            }
            return ended(ExitCode::from(code));
        }
    };
    let words = std::env::args_os;
    if let Some(error) = usage::one_dash(words()).or_else(|| usage::apart(words())) {
        output::error(&error);
        return ended(ExitCode::from(Class::Usage.exit_code()));
    }
    settings::conceal_credentials();
    let code = match init_log(&cli.log).and_then(|()| run(cli.command)) {
        Ok(code) => ended(code),
        Err(error) => {
            output::error(&error);
            ExitCode::from(error.class.exit_code())
        }
    };
    output::settle();
    code
}

/// The exit code of a run that completed: data that could not be written is a failure.
fn ended(code: ExitCode) -> ExitCode {
    match output::check() {
        Ok(()) => code,
        Err(error) => {
            output::error(&error);
            ExitCode::from(error.class.exit_code())
        }
    }
}

fn init_log(level: &str) -> Result<()> {
    // The filter would take any other word for the name of a part of the program.
    let is_level =
        |word: &str| word.trim().parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    if let Some(word) = level.split(',').find(|word| !word.contains('=') && !is_level(word)) {
        return Err(Error::usage(format!("--log {word:?} is not a log level"))
            .hint("use error, warn, info, debug or trace"));
    }
    // What the MCP client logs is what servers say, at their pace; failures are told by us.
    let quiet = format!("rmcp=off,{level}");
    let filter = tracing_subscriber::EnvFilter::try_new(quiet).map_err(|error| {
        Error::usage(format!("--log {level:?} is not a log level")).because(error)
    })?;
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| output::Log)
        .with_target(false)
        .log_internal_errors(false)
        .try_init();
    std::panic::set_hook(Box::new(|panic| {
        // What a file of a stranger brings about becomes an error.
        if !meshagent_arrow::guard::is_reading() {
            output::panicked(&panic.to_string());
        }
    }));
    Ok(())
}

/// Commands that need no platform run without a runtime.
fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Init(args) => begin(&args),
        Command::Plan(args) => wait(plan::plan(args)),
        Command::Diff(args) => wait(plan::diff(args)),
        Command::Promote(args) => wait(promote::run(args)),
        Command::Graph(args) => wait(plan::graph(args)),
        Command::Show(args) => show_file::run(&args),
        Command::Approve(args) => approve::run(&args),
        Command::Approvals(args) => approvals::run(&args),
        Command::Apply(args) => wait(apply::apply(args)),
        Command::Accept(args) => wait(accept::run(args)),
        Command::Destroy(args) => wait(apply::destroy::destroy(args)),
        Command::History(args) => wait(history::run(args)),
        Command::Rollback(args) => wait(apply::rollback::rollback(args)),
        Command::Set(Group(command)) => wait(sets::run(command)),
        Command::Ci(Group(command)) => wait(ci::run(command)),
        Command::Source(Group(command)) => sources::run(command),
        Command::Build(args) => wait(build::run(args)),
        Command::Dev(args) => wait(dev::run(args)),
        Command::Validate(args) => validate::run(&args),
        Command::Export(args) => wait(export::export(args)),
        Command::Explain(args) => explain::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Setup(args) => wait(setup::run(args)),
        Command::Auth(Group(command)) => wait(auth::run(command)),
        Command::Project(Group(command)) => wait(project::run(command)),
        Command::ApiKey(Group(command)) => wait(api_key::run(command)),
        Command::ServiceAccount(Group(command)) => wait(service_account::run(command)),
        Command::Session(Group(command)) => wait(session::run(command)),
        Command::Rooms(Group(command)) => wait(rooms::run(command)),
        Command::Room(Group(command)) => wait(room::run(command)),
        Command::Port(Group(command)) => wait(port::run(command)),
        Command::Service(Group(command)) => wait(service::execute(command)),
        Command::Mailbox(Group(command)) => wait(address::run(command)),
        Command::Route(Group(command)) => wait(address::run(command)),
        Command::ScheduledTask(Group(command)) => wait(scheduled_task::run(command)),
        Command::Token(Group(command)) => wait(token::run(command)),
        Command::Call(Group(command)) => wait(call::run(command)),
        Command::Chatbot(Group(command)) => agent::run(&command),
        Command::Process(Group(command)) => agent::run(&command),
        Command::Worker(Group(command)) => agent::run(&command),
        Command::Mailbot(Group(command)) => agent::run(&command),
        Command::Voicebot(Group(command)) => agent::run(&command),
        Command::TaskRunner(Group(command)) => agent::run(&command),
        Command::Codex(Group(command)) => agent::run_codex(&command),
        Command::Multi(Group(command)) => multi::run(command),
        Command::Webserver(Group(command)) => webserver::run(command),
        Command::Webhook(Group(command)) => wait(webhook::run(command)),
        Command::Secret(Group(command)) => secret::run(command),
        Command::Helper(Group(command)) => wait(helper::run(command)),
        Command::Server(args) => {
            wait(async { server::run(args).await.map(|()| ExitCode::SUCCESS) })
        }
        Command::Completion(args) => completion::run(&args),
        Command::Man(args) => manual::run(&args),
        Command::EvaluatePolicy => evaluation::run(),
        Command::Help { words } => help(&words),
        Command::Version => {
            output::data(concat!(env!("CARGO_PKG_VERSION"), "\n"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Prints what `--help` after these words would print.
fn help(words: &[String]) -> Result<ExitCode> {
    let known = |group: clap::Command, word: &String| group.find_subcommand(word).cloned();
    if words.iter().try_fold(whole_tree(), known).is_none() {
        return Err(Error::usage(format!("there is no command {:?}", words.join(" ")))
            .hint("`meshagent --help` lists them"));
    }
    let line = ["meshagent"].into_iter().chain(words.iter().map(String::as_str)).chain(["--help"]);
    match tree().try_get_matches_from(line) {
        Err(parser) if !parser.use_stderr() => {
            parser.print().unwrap_or_else(output::unwritten);
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(Error::usage(format!("there is no command {:?}", words.join(" ")))
            .hint("`meshagent --help` lists them")),
    }
}

/// Writes a project, and plans it like the command that a user would type.
fn begin(args: &init::InitArgs) -> Result<ExitCode> {
    let init::Begun { plan, next } = init::run(args)?;
    let parsed = tree().try_get_matches_from(&plan).and_then(|it| Cli::from_arg_matches(&it));
    let cli = parsed.map_err(|error| Error::failed("failed to plan").because(error))?;
    let code = run(cli.command)?;
    next.iter().for_each(|line| output::note(line));
    Ok(code)
}

/// How long what nobody waits for any more may go on. The platform has waited already for what is its
/// own.
const LEFT: std::time::Duration = std::time::Duration::from_millis(200);

fn wait(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failed("failed to start the runtime").because(error))?;
    let done = runtime.block_on(work);
    // What was acknowledged is on disk; a document that is still being read is not waited for.
    runtime.shutdown_timeout(LEFT);
    done
}
