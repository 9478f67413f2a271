//! `destroy`: deletes what a set owns, or what manifests declare of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::{PerformArgs, Ran, Run, close, connect, tell};
use crate::apply::history::What;
use crate::commands::environment;
use crate::commands::set::{FileArgs, GuardArgs, ReadArgs, SetArgs, goal};
use crate::error::Result;
use crate::manifest::set::Set;
use crate::output;
use crate::plan::planner::Policy;
use crate::project_file::{Environment, ProjectFile};
use crate::settings::PlatformArgs;

/// Arguments of `destroy`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent destroy --set staging --dry-run\n  meshagent destroy --set staging\n  meshagent destroy -f manifests --embedded --yes"
)]
pub struct DestroyArgs {
    /// Show the plan, and change nothing
    #[arg(long, conflicts_with_all = ["yes", "report", "break_lock"])]
    dry_run: bool,
    /// Only what these manifests declare; without them, everything that the set owns
    #[arg(short, long = "file", value_name = "PATH")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    reading: ReadArgs,
    #[command(flatten)]
    set: SetArgs,
    /// Enter rooms, which starts them, and look at the files, documents and secrets in them; those
    /// count as last applied otherwise
    #[arg(long)]
    enter_rooms: bool,
    /// Refuse a plan for any project but this one, by name or id
    #[arg(long, value_name = "PROJECT", help_heading = "Guards")]
    expect_project: Option<String>,
    #[command(flatten)]
    perform: PerformArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs `destroy`.
///
/// # Errors
///
/// As `apply`.
pub async fn destroy(args: DestroyArgs) -> Result<ExitCode> {
    let told = args.perform.clone();
    told.keep(&args.files, &args.reading.values.values_file)?;
    let is_only_shown = args.dry_run;
    tell(&told, is_only_shown, destroy_set(args).await)
}

/// The environment that is destroyed, if one is named. One that is not named is never meant.
fn destroyed(args: &mut DestroyArgs) -> Result<Option<Arc<Environment>>> {
    let Some(named) = args.platform.named_environment() else { return Ok(None) };
    let environment = ProjectFile::named(&named)?.environment(Some(&named))?;
    let reading = std::mem::take(&mut args.reading);
    let mut files = FileArgs { files: std::mem::take(&mut args.files), reading };
    let is_given = !files.files.is_empty();
    let environment = environment::enter(environment, &mut files, &mut args.platform)?;
    // Without manifests, everything that the set owns is meant.
    args.files = if is_given { files.files } else { Vec::new() };
    args.reading = files.reading;
    args.set = args.set.clone().or_of(Some(&environment));
    Ok(Some(environment))
}

async fn destroy_set(mut args: DestroyArgs) -> Result<Ran> {
    let environment = destroyed(&mut args)?;
    let environment = environment.as_deref();
    args.perform.rules = args.perform.rules.clone().or_of(environment);
    args.perform.rules.expect()?;
    environment::refuse_unsaved(environment.filter(|_| !args.dry_run), |option| {
        format!(
            "take the documents out of the manifests, and save the plan of that with `meshagent plan{option} --out plan.json`"
        )
    })?;
    let policy = Policy {
        destroy: true,
        enters_rooms: args.enter_rooms,
        environment: environment.map(environment::told),
        ..Policy::standard(args.set.name()?)
    };
    let guards = GuardArgs { expect_project: args.expect_project, ..GuardArgs::default() };
    let guards = guards.or_of(environment);
    output::set_verbose(args.reading.verbose);
    let connection = connect(&args.platform, &policy.set).await?;
    let files = FileArgs { files: args.files, reading: args.reading };
    let goal = match files.files.is_empty() {
        true => Ok(Set::default().into()),
        false => goal(&files, None, &policy.set, &connection).await,
    };
    let run = Run {
        policy: &policy,
        guards: &guards,
        expected: None,
        saved: None,
        approvals: None,
        is_only_shown: args.dry_run,
        wait: None,
        platform: &args.platform,
        args: &args.perform,
        what: What::Destroy,
        back_to: None,
        manifests: &files.files,
    };
    let done = match goal {
        Ok(goal) => run.perform(&connection, goal).await,
        Err(error) => Err(error.refusing_plan()),
    };
    close(connection, done).await
}
