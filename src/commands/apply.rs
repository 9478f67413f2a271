//! `apply` and `destroy`: plan, show, ask, perform, tell.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::plan::print;
use super::set::{FileArgs, Planned, PolicyArgs, SetArgs, decide};
use crate::apply::execute::{Options, Outcome, Progress, Report, execute};
use crate::error::{Class, Error, Result};
use crate::manifest::set::Set;
use crate::output::{self, Format};
use crate::plan::document::PlanDocument;
use crate::plan::planner::Policy;
use crate::plan::{Operation, Plan, text};
use crate::settings::{Connection, PlatformArgs};

/// What performing takes.
#[derive(Debug, Clone, clap::Args)]
pub struct PerformArgs {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// How many operations run at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    parallelism: u16,
    /// How the plan and what became of it are printed
    #[arg(short, long, value_enum, default_value_t = ApplyFormat::Text)]
    output: ApplyFormat,
}

/// How `apply` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ApplyFormat {
    /// For people.
    Text,
    /// For programs: one object with the plan and the outcome of each operation.
    Json,
}

/// Arguments of `apply`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent apply -f manifests\n  meshagent apply -f manifests --embedded --yes\n  cat room.yaml | meshagent apply -f - --yes"
)]
pub struct ApplyArgs {
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    perform: PerformArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Arguments of `destroy`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent destroy --set staging\n  meshagent destroy -f manifests --embedded --yes"
)]
pub struct DestroyArgs {
    /// Manifests of the set, to find its projects; without them, every project that is reached
    #[arg(short, long = "file", value_name = "PATH")]
    files: Vec<std::path::PathBuf>,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    perform: PerformArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs `apply`.
///
/// # Errors
///
/// What keeps a plan from being made; [`Class::Partial`] when some of it was done.
pub async fn apply(args: ApplyArgs) -> Result<ExitCode> {
    let policy = args.policy.policy(args.set.name()?);
    let connection = args.platform.connect().await?;
    let set = args.files.read(connection.project.clone(), connection.fallback_project.clone());
    let done = match set {
        Ok(set) => run(&connection, set, &policy, &args.perform).await,
        Err(error) => Err(error),
    };
    let closed = connection.close().await;
    done.and_then(|code| closed.map(|()| code))
}

/// Runs `destroy`.
///
/// # Errors
///
/// As [`apply`].
pub async fn destroy(args: DestroyArgs) -> Result<ExitCode> {
    let policy = Policy {
        set: args.set.name()?.to_owned(),
        prune: true,
        destroy: true,
        adopt: Default::default(),
    };
    let connection = args.platform.connect().await?;
    let set = if args.files.is_empty() {
        Ok(Set::default())
    } else {
        let files = FileArgs { files: args.files, values_file: Vec::new(), values: Vec::new() };
        files.read(connection.project.clone(), connection.fallback_project.clone())
    };
    let done = match set {
        Ok(set) => run(&connection, set, &policy, &args.perform).await,
        Err(error) => Err(error),
    };
    let closed = connection.close().await;
    done.and_then(|code| closed.map(|()| code))
}

async fn run(
    connection: &Connection,
    set: Set,
    policy: &Policy,
    args: &PerformArgs,
) -> Result<ExitCode> {
    let Planned { plan, stored } = decide(connection, set, policy).await?;
    if args.output == ApplyFormat::Text {
        print(&plan, Format::Text)?;
    }
    if !plan.is_empty() && !args.yes && !confirm()? {
        return Err(Error::failed("nothing was done"));
    }
    let stop = CancellationToken::new();
    let listener = tokio::spawn(stop_on_signal(stop.clone()));
    let options = Options { parallelism: usize::from(args.parallelism), stop: stop.clone() };
    connection.client.set_parallelism(options.parallelism);
    let progress = reporter(&plan);
    let report = execute(&connection.client, &plan, stored, &options, progress.as_ref()).await;
    drop(progress);
    listener.abort();
    let report = report?;
    if args.output == ApplyFormat::Json {
        output::json(&ReportDocument::of(&plan, &report))?;
    } else if !plan.is_empty() {
        output::data(&summary(&plan, &report));
    }
    conclude(report, stop.is_cancelled())
}

/// Asks, where somebody can answer.
fn confirm() -> Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(
            Error::usage("there is no terminal to ask on, so nothing was done").hint("add --yes")
        );
    }
    let _ = write!(anstream::stderr(), "Apply this plan? [y/N] ");
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Error::failed("failed to read the answer").because(error))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// The first signal stops new work; a second one ends the program.
async fn stop_on_signal(stop: CancellationToken) {
    if wait_for_signal().await {
        output::warning("stopping: what runs is finished, nothing new is started");
        stop.cancel();
    }
    if wait_for_signal().await {
        std::process::exit(130);
    }
}

async fn wait_for_signal() -> bool {
    let Ok(mut terminate) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    else {
        return tokio::signal::ctrl_c().await.is_ok();
    };
    tokio::select! {
        received = tokio::signal::ctrl_c() => received.is_ok(),
        received = terminate.recv() => received.is_some(),
    }
}

fn conclude(report: Report, stopped: bool) -> Result<ExitCode> {
    if report.is_complete() {
        return Ok(ExitCode::SUCCESS);
    }
    let done = report.count(|outcome| *outcome == Outcome::Done);
    let open = report.outcomes.len() - done;
    let class = if done > 0 { Class::Partial } else { Class::Failed };
    let what = if stopped { "stopped" } else { "not everything was done" };
    let error = Error::new(
        class,
        format!("{what}: {open} of {} operations are open", report.outcomes.len()),
    );
    match report.inventory_error {
        Some(cause) => {
            Err(Error::new(Class::Partial, "what was done could not be recorded in the inventory")
                .because(cause)
                .hint(
                    "run the same command again: objects that carry the owner annotation are found",
                ))
        }
        None => Err(error.hint("run the same command again to go on from here")),
    }
}

/// What became of the plan, as text.
fn summary(plan: &Plan, report: &Report) -> String {
    let mut out = String::new();
    for (operation, outcome) in plan.operations.iter().zip(&report.outcomes) {
        let address = plan.address(&operation.key);
        match outcome {
            Outcome::Done => {}
            Outcome::Failed { message, .. } => {
                out += &format!("failed: {} {address}: {message}\n", text::verb(operation))
            }
            Outcome::Skipped { because } => {
                out += &format!(
                    "skipped: {} {address}, because it waits for {because}\n",
                    text::verb(operation)
                );
            }
            Outcome::NotStarted => {
                out += &format!("not started: {} {address}\n", text::verb(operation))
            }
        }
    }
    let count = |wanted: fn(&Outcome) -> bool| report.count(wanted);
    let parts: Vec<String> = [
        (count(|outcome| *outcome == Outcome::Done), "done"),
        (count(|outcome| matches!(outcome, Outcome::Failed { .. })), "failed"),
        (count(|outcome| matches!(outcome, Outcome::Skipped { .. })), "skipped"),
        (count(|outcome| *outcome == Outcome::NotStarted), "not started"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    out + &format!("Applied: {}.\n", parts.join(", "))
}

/// What became of a plan, for programs.
#[derive(Serialize)]
struct ReportDocument {
    plan: PlanDocument,
    outcomes: Vec<OutcomeDocument>,
}

#[derive(Serialize)]
struct OutcomeDocument {
    address: String,
    action: crate::plan::Action,
    #[serde(flatten)]
    outcome: Outcome,
}

impl ReportDocument {
    fn of(plan: &Plan, report: &Report) -> Self {
        let outcomes = plan.operations.iter().zip(&report.outcomes).map(|(operation, outcome)| {
            OutcomeDocument {
                address: plan.address(&operation.key),
                action: operation.action,
                outcome: outcome.clone(),
            }
        });
        Self { outcomes: outcomes.collect(), plan: PlanDocument::of(plan) }
    }
}

/// A bar on a terminal, a line an operation elsewhere.
fn reporter(plan: &Plan) -> Box<dyn Progress> {
    if !std::io::stderr().is_terminal() || plan.is_empty() {
        return Box::new(Lines { address: plan.projects.len() > 1 });
    }
    let bar = ProgressBar::new(plan.operations.len() as u64);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30.cyan/dim} {pos}/{len} {elapsed} {wide_msg}")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    Box::new(Bar { bar, running: Mutex::new(Vec::new()) })
}

struct Lines {
    address: bool,
}

impl Lines {
    fn name(&self, operation: &Operation) -> String {
        let suffix =
            if self.address { format!(" in {}", operation.key.project) } else { String::new() };
        format!("{} {}{suffix}", text::verb(operation), operation.key)
    }
}

impl Progress for Lines {
    fn started(&self, _operation: &Operation) {}

    fn finished(&self, operation: &Operation, outcome: &Outcome) {
        let name = self.name(operation);
        output::note(&match outcome {
            Outcome::Done => format!("done: {name}"),
            Outcome::Failed { message, .. } => format!("failed: {name}: {message}"),
            Outcome::Skipped { because } => {
                format!("skipped: {name}, because it waits for {because}")
            }
            Outcome::NotStarted => format!("not started: {name}"),
        });
    }
}

struct Bar {
    bar: ProgressBar,
    running: Mutex<Vec<String>>,
}

impl Bar {
    fn show(&self, change: impl FnOnce(&mut Vec<String>)) {
        let mut running = self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut running);
        self.bar.set_message(running.join(", "));
    }
}

impl Progress for Bar {
    fn started(&self, operation: &Operation) {
        self.show(|running| running.push(operation.key.to_string()));
    }

    fn finished(&self, operation: &Operation, outcome: &Outcome) {
        let name = operation.key.to_string();
        if let Outcome::Failed { message, .. } = outcome {
            self.bar.suspend(|| output::note(&format!("failed: {name}: {message}")));
        }
        self.show(|running| {
            if let Some(index) = running.iter().position(|running| *running == name) {
                running.remove(index);
            }
        });
        self.bar.inc(1);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
