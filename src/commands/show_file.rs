//! `show`: prints a saved plan or a report.

use std::path::PathBuf;
use std::process::ExitCode;

use super::apply::report;
use super::approvals::list_beside;
use super::plan::print;
use super::saved_plan::{Shown, read_shown};
use crate::apply::execute::{Outcome, Report};
use crate::error::{Error, Result};
use crate::listed::counted;
use crate::output::{self, Format};
use crate::plan::Plan;
use crate::plan::document::{PlanDocument, TOOL};
use crate::reconcile::events::Failure;
use crate::reconcile::report::ReportDocument;
use crate::visible;

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent show plan.json\n  meshagent show plan.json --output markdown > comment.md\n  meshagent show report.json"
)]
pub struct ShowArgs {
    /// A plan of `plan --out` or `plan --output json`, or a report of `apply --report`; - for
    /// standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// List one by one what is otherwise summarized
    #[arg(long)]
    verbose: bool,
}

/// Shows a plan or a report. No platform is asked, and no manifest is read.
///
/// # Errors
///
/// A file that is neither.
pub fn run(args: &ShowArgs) -> Result<ExitCode> {
    output::set_verbose(args.verbose);
    let name = args.file.display().to_string();
    let broken = |problem: String| Error::usage(format!("{}: {problem}", visible::line(&name)));
    match (read_shown(&args.file)?, args.output) {
        (Shown::Plan(document, _), Format::Json) => {
            document.check().map_err(broken)?;
            output::json(&document)?;
        }
        (Shown::Plan(document, bound), format) => {
            tell_origin(&document);
            let plan = document.restored().map_err(broken)?;
            show_plan(&plan, format)?;
            if format == Format::Text {
                list_beside(&args.file, *bound)?;
            }
        }
        (Shown::Report(report), Format::Json) => output::json(&report)?,
        (Shown::Report(report), Format::Text) => show_report(*report, broken)?,
        (Shown::Report(_), _) => {
            return Err(Error::usage("a report is shown as text or as JSON")
                .hint("leave --output out, or give --output json"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says who made a plan, if this program would not apply it.
fn tell_origin(document: &PlanDocument) {
    let made_by = &document.tool;
    if made_by != TOOL {
        output::note(&format!("note: it was made by {made_by}, but this is {TOOL}"));
    }
}

fn show_plan(plan: &Plan, format: Format) -> Result<()> {
    output::notes(&plan.notes);
    print(plan, format)?;
    for refused in plan.refused.iter().filter(|_| format == Format::Text) {
        output::warning(&format!("the plan was refused: {refused}"));
        refused.hint.iter().for_each(|hint| output::note(&format!("  hint: {hint}")));
    }
    Ok(())
}

/// Shows the plan of a report, the outcome of each operation, and why the run failed, if it did.
fn show_report(report: ReportDocument, broken: impl Fn(String) -> Error) -> Result<()> {
    let ReportDocument { plan, outcomes, restarts, files, approvals, error } = report;
    if !files.is_empty() {
        let uploaded = files.iter().filter(|file| file.uploaded).count();
        output::value(&format!("uploaded: {uploaded} of {}", counted(files.len(), "file")));
    }
    if let Some(document) = plan {
        tell_origin(&document);
        let plan = document.restored().map_err(&broken)?;
        if plan.operations.len() != outcomes.len() {
            return Err(broken("it does not have one outcome for each operation".to_owned()));
        }
        show_plan(&plan, Format::Text)?;
        let outcomes: Vec<Outcome> = outcomes.into_iter().map(|it| it.outcome).collect();
        let told = plan.operations.iter().zip(&outcomes);
        let told = told.filter(|(_, outcome)| **outcome != Outcome::NotStarted);
        told.for_each(|(operation, outcome)| {
            output::value(&report::line(&plan, operation, outcome));
        });
        restarts.iter().for_each(|restart| output::value(&restart.line()));
        approvals.iter().for_each(|approvals| output::value(&approvals.told()));
        if !plan.is_empty() {
            let report = Report::of(outcomes);
            output::data(&report::summary(&plan, &report));
        }
    }
    if let Some(Failure { code, message, causes, hint, problems, more_problems }) = error {
        for problem in problems {
            let place = problem.place.map(|place| format!("{place}: ")).unwrap_or_default();
            output::value(&format!("{place}{}", problem.message));
            problem.hint.iter().for_each(|hint| output::value(&format!("  hint: {hint}")));
        }
        if more_problems > 0 {
            output::value(&format!("and {more_problems} more problems"));
        }
        let causes: String = causes.iter().map(|cause| format!(": {cause}")).collect();
        output::value(&format!("It ended with exit code {code}: {message}{causes}"));
        hint.iter().for_each(|hint| output::value(&format!("hint: {hint}")));
    }
    Ok(())
}
