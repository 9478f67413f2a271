//! How a shortcut is run: to perform it, or to see what it would do.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::apply::execute::{Outcome, Report};
use crate::commands::own_inputs::written_file;
use crate::plan::Plan;
use crate::reconcile::report::ReportDocument;

/// Arguments of every command that writes anything.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DryRunArgs {
    /// Show the plan, and change nothing
    #[arg(long, help_heading = "Writing")]
    pub dry_run: bool,
}

/// Arguments of every command that writes one object.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct WriteArgs {
    #[command(flatten)]
    dry: DryRunArgs,
    /// Also write the result as JSON to this file
    #[arg(long, value_name = "FILE", value_parser = written_file(), conflicts_with = "dry_run", help_heading = "Writing")]
    pub report: Option<PathBuf>,
    /// Where the result is kept instead, for a command that writes several objects and has one
    /// report of them.
    #[arg(skip)]
    pub kept: Option<Kept>,
}

/// The plans of several writes, and what became of them.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<Mutex<(Plan, Vec<Outcome>)>>);

impl Kept {
    /// Adds a plan that was performed.
    pub fn add(&self, plan: &Plan, report: &Report) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (whole, outcomes) = &mut *kept;
        let mut plan = plan.clone();
        let operations = std::mem::take(&mut whole.operations);
        plan.operations.splice(0..0, operations);
        plan.projects.append(&mut whole.projects);
        plan.fingerprints.append(&mut whole.fingerprints);
        *whole = plan;
        outcomes.extend(report.outcomes.iter().cloned());
    }

    /// The report of all of them.
    #[must_use]
    pub fn report(&self) -> ReportDocument {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (plan, outcomes) = &*kept;
        match outcomes.is_empty() {
            true => ReportDocument::default(),
            false => {
                let mut report = Report::not_started(0);
                report.outcomes.clone_from(outcomes);
                ReportDocument::of(plan, &report)
            }
        }
    }
}

/// The same, for objects that a manifest can declare.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DeclareArgs {
    #[command(flatten)]
    write: WriteArgs,
    /// Print the equivalent manifest, and change nothing
    #[arg(long, conflicts_with_all = ["dry_run", "report"], help_heading = "Writing")]
    as_manifest: bool,
}

impl DeclareArgs {
    /// Whether nothing is written but the manifest.
    #[must_use]
    pub const fn is_only_declared(&self) -> bool {
        self.as_manifest
    }
}

/// What is done with an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is performed.
    Write,
    /// Its plan is shown.
    DryRun,
    /// The equivalent manifest is printed.
    Manifest,
}

/// Anything that says how a shortcut is run.
pub trait Writing {
    /// The part that all commands share.
    fn write(&self) -> &WriteArgs;
    /// Whether a manifest is requested instead.
    fn as_manifest(&self) -> bool {
        false
    }
    /// Whether only the plan is shown.
    fn is_dry(&self) -> bool {
        self.mode() == Mode::DryRun
    }
    /// What is done.
    fn mode(&self) -> Mode {
        match (self.as_manifest(), self.write().dry.dry_run) {
            (true, _) => Mode::Manifest,
            (false, true) => Mode::DryRun,
            (false, false) => Mode::Write,
        }
    }
}

impl Writing for WriteArgs {
    fn write(&self) -> &WriteArgs {
        self
    }
}

impl Writing for DeclareArgs {
    fn write(&self) -> &WriteArgs {
        &self.write
    }
    fn as_manifest(&self) -> bool {
        self.as_manifest
    }
}
