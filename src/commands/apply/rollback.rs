//! `rollback`: brings a set back to a past state, by an ordinary plan.

use std::process::ExitCode;
use std::time::Duration;

use super::{PerformArgs, Ran, Run, close, connect, tell};
use crate::apply::history::What;
use crate::commands::environment;
use crate::commands::own_inputs::Written;
use crate::commands::set::{FileArgs, PolicyArgs, SetArgs, goal};
use crate::error::{Error, Result};
use crate::settings::{self, PlatformArgs};

/// Arguments of `rollback`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Secrets are not kept. Those that did not change since stay as they are; others are read from where the\nmanifests of today say, or stay, and the plan says which.\n\nExamples:\n  meshagent history\n  meshagent plan --to 12\n  meshagent rollback --to 12\n  meshagent rollback --to 12 -f manifests --embedded --yes"
)]
pub struct RollbackArgs {
    /// The number of the state, as `meshagent history` lists it
    #[arg(long, value_name = "STATE")]
    to: u64,
    /// Show the plan, and change nothing
    #[arg(long, conflicts_with_all = ["yes", "report", "break_lock"])]
    dry_run: bool,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    perform: PerformArgs,
    /// Wait until the services of the state work, at most 5m or this long; their rooms are entered
    /// for that. Exit code 7 if they do not
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "5m", value_parser = settings::duration)]
    wait: Option<Duration>,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs `rollback`.
///
/// # Errors
///
/// A state that does not exist; as `apply`.
pub async fn rollback(mut args: RollbackArgs) -> Result<ExitCode> {
    let environment = environment::chosen_if_any(&mut args.files, &mut args.platform)?;
    let environment = environment.as_deref();
    args.set = args.set.or_of(environment);
    args.policy = args.policy.or_of(environment);
    args.perform.rules = args.perform.rules.or_of(environment);
    environment::refuse_unsaved(environment.filter(|_| !args.dry_run), |option| {
        format!(
            "save the plan with `meshagent plan --to {}{option} --out plan.json`, have it approved, and apply it",
            args.to
        )
    })?;
    let told = args.perform.clone();
    told.keep(&args.files.files, &args.files.reading.values.values_file)?;
    let is_only_shown = args.dry_run;
    tell(&told, is_only_shown, roll_back(args).await)
}

async fn roll_back(args: RollbackArgs) -> Result<Ran> {
    args.perform.rules.expect()?;
    let set = args.set.name()?.to_owned();
    let connection = connect(&args.platform, &set).await?;
    let run = Run {
        policy: &args.policy.policy_back(&set),
        guards: &args.policy.guards,
        expected: None,
        saved: None,
        approvals: None,
        is_only_shown: args.dry_run,
        wait: args.wait,
        platform: &args.platform,
        args: &args.perform,
        what: What::Rollback,
        back_to: Some(args.to),
        manifests: &args.files.files,
    };
    let done = match goal(&args.files, Some(args.to), &set, &connection).await {
        Ok(goal) => run.perform(&connection, goal).await,
        Err(error) => Err(Error::refusing_plan(error)),
    };
    close(connection, done).await
}

impl PerformArgs {
    /// Refuses a report that would overwrite an input.
    pub(super) fn keep(
        &self,
        manifests: &[std::path::PathBuf],
        others: &[std::path::PathBuf],
    ) -> Result<()> {
        Written { option: "--report", path: self.report.as_deref() }.keeps(manifests, others)
    }
}
