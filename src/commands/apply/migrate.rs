//! `set migrate`: takes a set over that was applied in the API of 0.31, to a platform that was
//! upgraded since.

use std::process::ExitCode;

use super::{PerformArgs, Ran, Run, close, connect, tell};
use crate::apply::history::What;
use crate::commands::environment;
use crate::commands::set::{FileArgs, GuardArgs, SetArgs, goal};
use crate::error::{Error, Result};
use crate::plan::planner::{Policy, Prune};
use crate::settings::PlatformArgs;

/// Arguments of `set migrate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Objects are found again by their names and the set's mark. Secrets are created from their sources, for\nthe service accounts that their documents name, and services name them. Nothing is deleted: what no\ndocument declares stays the set's until the next apply.\n\nExamples:\n  meshagent set migrate -f manifests --dry-run\n  meshagent set migrate -f manifests --set support --let-go --yes"
)]
pub struct MigrateArgs {
    /// Show the plan, and change nothing
    #[arg(long, conflicts_with_all = ["yes", "report", "break_lock"])]
    dry_run: bool,
    /// Let the set forget what this API can neither read nor delete, such as webhooks, and what is not
    /// found again; the plan lists it
    #[arg(long, help_heading = "Guards")]
    let_go: bool,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    guards: GuardArgs,
    #[command(flatten)]
    perform: PerformArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs `set migrate`.
///
/// # Errors
///
/// As `apply`.
pub async fn migrate(mut args: MigrateArgs) -> Result<ExitCode> {
    let environment = environment::chosen(&mut args.files, &mut args.platform)?;
    let environment = environment.as_deref();
    args.set = args.set.or_of(environment);
    args.guards = args.guards.or_of(environment);
    args.perform.rules = args.perform.rules.or_of(environment);
    environment::refuse_unsaved(environment.filter(|_| !args.dry_run), |_| {
        "a migration cannot be saved; --dry-run shows it, and the environment has to require no approvals while it is done".to_owned()
    })?;
    let told = args.perform.clone();
    told.keep(&args.files.files, &args.files.reading.values.values_file)?;
    let is_only_shown = args.dry_run;
    let environment = environment.map(environment::told);
    let policy = Policy {
        prune: Prune::None,
        migrates: true,
        lets_go: args.let_go,
        environment,
        ..Policy::standard(args.set.name()?)
    };
    tell(&told, is_only_shown, take_over(args, policy).await)
}

async fn take_over(args: MigrateArgs, policy: Policy) -> Result<Ran> {
    args.perform.rules.expect()?;
    let connection = connect(&args.platform, &policy.set).await?;
    let run = Run {
        policy: &policy,
        guards: &args.guards,
        expected: None,
        saved: None,
        approvals: None,
        is_only_shown: args.dry_run,
        wait: None,
        platform: &args.platform,
        args: &args.perform,
        what: What::Apply,
        back_to: None,
        manifests: &args.files.files,
    };
    let done = match goal(&args.files, None, &policy.set, &connection).await {
        Ok(goal) => run.perform(&connection, goal).await,
        Err(error) => Err(Error::refusing_plan(error)),
    };
    close(connection, done).await
}
