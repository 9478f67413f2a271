//! `ci`: what continuous integration does with the sets of a repository: it plans pull requests,
//! applies the main branch, and tells of drift.
//!
//! It runs the commands that people run, each in a process of its own, so that everything that holds
//! for them holds here, and a stranger's pull request gets an environment with nothing in it.

mod apply;
mod base;
mod child;
mod drift;
mod gone;
mod here;
mod jobs;
mod merged;
mod options;
mod plan;
mod results;
mod steps;
mod telling;

pub use child::end_with_parent;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::checkout::Checkout;
use crate::error::Result;
use crate::output;
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
    // The text is read in a terminal, where a link needs no brackets.
    #[allow(rustdoc::bare_urls)]
    /// The URL of the forge's API, such as https://git.example.com/api/v1
    #[arg(long, value_name = "URL", help_heading = "Forge")]
    forge_url: Option<String>,
    /// The repository at the forge, as OWNER/NAME
    #[arg(long, value_name = "REPOSITORY", help_heading = "Forge")]
    repository: Option<String>,
    /// Only people who may write to the repository wrote what is checked out, although the system
    /// does not say so. Pull requests that come from another repository stay a stranger's
    #[arg(long, help_heading = "Guards")]
    trusted: bool,
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

    /// The options for what is applied from a saved plan: all that follow `--`, and of the variable's
    /// those that no plan holds, so that they are given again.
    fn options_of_saved(&self) -> Vec<String> {
        let named = self.options();
        let named = &named[..named.len() - self.more.len()];
        let (again, _) = options::parted(named, &options::IN_NO_PLAN);
        again.into_iter().chain(self.more.iter().cloned()).collect()
    }

    /// The options for planning again what a saved plan was made from.
    fn options_again(&self) -> Vec<String> {
        options::parted(&self.options(), &options::IN_NO_PLAN).0
    }

    /// The options for another command with the same manifests, on the same platform. It runs in
    /// another folder than the one that the embedded platform is named from.
    fn options_of_meant(&self, folder: &Path) -> Vec<OsString> {
        let options = self.options();
        let (these, _) = options::parted(&options, &options::OF_MEANT);
        let mut words: Vec<OsString> = these.into_iter().map(Into::into).collect();
        if let Some(embedded) = options::embedded(&options) {
            let mut word = OsString::from("--embedded=");
            word.push(folder.join(embedded));
            words.push(word);
        }
        words
    }

    /// Whether the options demand approvals.
    fn demands_approvals(&self) -> bool {
        !options::parted(&self.options(), &[("--require-approvals", true)]).0.is_empty()
    }

    /// Whether the options name who made the change.
    fn names_author(&self) -> bool {
        !options::parted(&self.options(), &[("--author", true)]).0.is_empty()
    }

    /// The names of the options that what a stranger wrote does not get, each once.
    fn kept_from_strangers(&self) -> Vec<String> {
        let (these, _) = options::parted(&self.options(), &options::NOT_OF_STRANGERS);
        let is_option = |word: &&String| word.starts_with('-');
        let names = these.iter().filter(is_option).map(|word| match word.starts_with("--") {
            true => word.split('=').next().unwrap_or_default().to_owned(),
            false => word.chars().take(2).collect(),
        });
        names.collect::<std::collections::BTreeSet<String>>().into_iter().collect()
    }

    /// The options for what a stranger wrote: none that consents to something, and none that says
    /// which platform it is.
    fn options_of_stranger(&self) -> Vec<String> {
        options::parted(&self.options(), &options::NOT_OF_STRANGERS).1
    }

    /// The same with the usual folder of manifests, where a repository has no project file and none
    /// are given.
    fn or_usual(&self, checkout: Option<&Checkout>) -> Result<Self> {
        let is_asked = self.files.is_empty() && self.folders.is_empty();
        if !is_asked || !self.environments.is_empty() || !Path::new(USUAL).is_dir() {
            return Ok(self.clone());
        }
        if let Some(checkout) = checkout
            && jobs::has_project_file(checkout)?
        {
            return Ok(self.clone());
        }
        output::note(&format!(
            "note: there is no project file, so the manifests are those in {USUAL}"
        ));
        Ok(Self { files: vec![PathBuf::from(USUAL)], ..self.clone() })
    }
}

/// The folder of manifests where nothing names another.
const USUAL: &str = "manifests";

/// Runs `ci`.
///
/// # Errors
///
/// As the command that is run; what the forge refuses.
pub async fn run(command: CiCommand) -> Result<ExitCode> {
    child::end_at_signals()?;
    match command {
        CiCommand::Plan(args) => plan::run(&args).await,
        CiCommand::Apply(args) => apply::run(&args).await,
        CiCommand::Drift(args) => drift::run(&args).await,
    }
}
