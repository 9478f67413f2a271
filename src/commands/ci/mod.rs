//! `ci`: what continuous integration does with the sets of a repository: it plans pull requests,
//! applies the main branch, and tells of drift.
//!
//! It runs the commands that people run, each in a process of its own, so that everything that holds
//! for them holds here, and a stranger's pull request gets an environment with nothing in it.

mod apply;
mod base;
mod child;
mod drift;
mod here;
mod jobs;
mod plan;
mod results;
mod telling;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::error::Result;
use crate::whereabouts::Sort;

/// What continuous integration does.
#[derive(Debug, clap::Subcommand)]
pub enum CiCommand {
    /// Plan what changed, and write the plan as a comment of the pull request
    #[command(
        after_help = "Examples:\n  meshagent ci plan\n  meshagent ci plan --out plans\n  meshagent ci plan -f manifests -- --set shop --policy policies\n  meshagent ci plan --base origin/main --no-comment   # on your own machine"
    )]
    Plan(plan::PlanArgs),
    /// Apply the main branch, or exactly the plans that were saved
    #[command(
        after_help = "Examples:\n  meshagent ci apply\n  meshagent ci apply --plan plans\n  meshagent ci apply shop -e prod --branch live"
    )]
    Apply(apply::ApplyArgs),
    /// Look for drift, and tell of it in an issue or a pull request
    #[command(
        after_help = "Examples:\n  meshagent ci drift\n  meshagent ci drift --pull-request\n  meshagent ci drift --no-issue"
    )]
    Drift(drift::DriftArgs),
}

/// Where the run takes place, if that is not known or is to be another place.
#[derive(Debug, Clone, clap::Args)]
pub struct WhereArgs {
    /// What the forge speaks
    #[arg(long, value_enum, value_name = "FORGE", help_heading = "Forge")]
    forge: Option<Sort>,
    /// The URL of the forge's API, such as https://git.example.com/api/v1
    #[arg(long, value_name = "URL", help_heading = "Forge")]
    forge_url: Option<String>,
    /// The repository at the forge, as OWNER/NAME
    #[arg(long, value_name = "REPOSITORY", help_heading = "Forge")]
    repository: Option<String>,
}

/// What is planned.
#[derive(Debug, Clone, clap::Args)]
pub struct WhatArgs {
    /// Folders of project files; without them, all project files of the repository
    #[arg(value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// Only these environments; may be repeated
    #[arg(short, long = "environment", value_name = "NAME")]
    environments: Vec<String>,
    /// Manifests that belong to no project file: a file or a folder; may be repeated
    #[arg(short, long = "file", value_name = "PATH", conflicts_with_all = ["folders", "environments"])]
    files: Vec<PathBuf>,
    /// The name of this job, which tells its comment from those of others about the same pull request
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// More options of the command that is run, such as `-- --policy policies`; before them come
    /// those of MESHAGENT_CI_OPTIONS, one a line
    #[arg(last = true, value_name = "OPTIONS")]
    more: Vec<String>,
}

/// The variable with more options, one a line.
const OPTIONS: &str = "MESHAGENT_CI_OPTIONS";

impl WhatArgs {
    /// The name of the job, empty if it has none.
    fn job(&self) -> &str {
        self.job.as_deref().unwrap_or_default()
    }

    /// The options for what is planned, and for what is applied without a saved plan.
    fn options(&self) -> Vec<String> {
        let named = std::env::var(OPTIONS).unwrap_or_default();
        let named = named.lines().map(str::trim).filter(|line| !line.is_empty());
        named.map(str::to_owned).chain(self.more.iter().cloned()).collect()
    }
}

/// Runs `ci`.
///
/// # Errors
///
/// As the command that is run; what the forge refuses.
pub async fn run(command: CiCommand) -> Result<ExitCode> {
    match command {
        CiCommand::Plan(args) => plan::run(&args).await,
        CiCommand::Apply(args) => apply::run(&args).await,
        CiCommand::Drift(args) => drift::run(&args).await,
    }
}
