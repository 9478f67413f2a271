//! `promote`: writes what one environment has into another, and shows the plan.

use std::process::ExitCode;

use anstyle::Style;

use super::plan::{PlanningArgs, print, refuse};
use super::policy::RuleArgs;
use crate::error::{Class, Error, Result};
use crate::listed::{at_most, counted, few};
use crate::output::{self, Format};
use crate::plan::unified;
use crate::project_file::{Difference, ProjectFile, Promotion};
use crate::reconcile::accept::replace_file;
use crate::visible;

/// How many values that stay are named.
const NAMED: usize = 20;

/// Arguments of `promote`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent promote stage prod --dry-run\n  meshagent promote stage prod\n  meshagent promote stage prod --only image --only 'Service/support container.image'"
)]
pub struct PromoteArgs {
    /// The environment whose values are taken
    #[arg(value_name = "FROM")]
    from: String,
    /// The environment that gets them
    #[arg(value_name = "TO")]
    to: String,
    /// Only these values and fields, with * and ?; may be repeated [default: those that `promote` in
    /// the project file names, else images, versions, tags and digests]
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Show the edits and the plan, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Only write the file: no plan
    #[arg(long)]
    no_plan: bool,
    /// Output format of the plan
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    rules: RuleArgs,
    #[command(flatten)]
    planning: PlanningArgs,
}

/// Runs `promote`.
///
/// # Errors
///
/// Environments that do not exist; a file that cannot be edited; what keeps a plan from being made.
pub async fn run(args: PromoteArgs) -> Result<ExitCode> {
    if args.planning.platform().named_environment().is_some_and(|named| named != args.to) {
        return Err(Error::usage("`promote` names its two environments without -e")
            .hint("leave -e and MESHAGENT_ENVIRONMENT out"));
    }
    let file = ProjectFile::here(&args.to)?;
    let promotion = file.promote(&args.from, &args.to, &args.only)?;
    let after = file.with_text(promotion.text.clone())?;
    let name = visible::line(&file.path.display().to_string()).into_owned();
    // What is asked for wrongly is told before anything is written.
    let environment = after.environment(Some(&args.to))?;
    let values_files = environment.values_files.clone();
    let planned = match args.no_plan {
        true => None,
        false => {
            let rules = args.rules.clone().or_of(Some(&environment));
            rules.expect()?;
            Some((args.planning.clone().of(environment)?, rules))
        }
    };
    if promotion.taken.is_empty() {
        output::note(&format!("nothing to promote from `{}` to `{}`", args.from, args.to));
    } else {
        let bold = Style::new().bold();
        let (old, new) = &promotion.shown;
        let hunks = unified::hunks(old, new, &|_| None);
        let header = format!("{bold}--- a/{name}\n+++ b/{name}{bold:#}\n");
        match args.output {
            Format::Text => output::data(&(header + &hunks)),
            _ => output::beside(&(header + &hunks)),
        }
    }
    tell(&promotion, &args);
    if !values_files.is_empty() && promotion.taken.iter().any(Difference::is_value) {
        let files = few(values_files
            .iter()
            .map(|it| visible::line(&it.display().to_string()).into_owned()));
        output::note(&format!(
            "note: values in {name} go before those of {files}, which stay as they are"
        ));
    }
    let is_written = !args.dry_run && !promotion.taken.is_empty();
    if is_written {
        replace_file(&file.path, file.text(), &promotion.text)?;
    }
    let Some((planning, rules)) = planned else { return Ok(ExitCode::SUCCESS) };
    let planned = async {
        let plan = planning.plan(true).await?.plan;
        print(&plan, args.output)?;
        refuse(&plan)?;
        rules.check(&plan)
    };
    planned.await.map(|()| ExitCode::SUCCESS).map_err(|error| match error.class {
        // They would say that nothing was done.
        Class::Usage | Class::Refused if is_written => {
            let told = match error.class {
                Class::Usage => format!("{name} was written, but no plan was made: {error}"),
                _ => format!("{name} was written, and the plan with it is refused"),
            };
            let mut failed = error.saying(told);
            failed.class = Class::Failed;
            failed
        }
        _ => error,
    })
}

/// Says what was taken, and what differs and stays.
fn tell(promotion: &Promotion, args: &PromoteArgs) {
    let names = |differences: &[Difference]| {
        at_most(NAMED, differences.iter().map(|it| visible::line(&it.name).into_owned()))
    };
    if !promotion.taken.is_empty() {
        let (count, of) = (counted(promotion.taken.len(), "value"), names(&promotion.taken));
        let verb = if args.dry_run { "would be promoted" } else { "promoted" };
        output::note(&format!("{count} {verb} to `{}`: {of}", args.to));
    }
    if !promotion.own.is_empty() {
        let of = names(&promotion.own);
        output::note(&format!("note: only `{}` says, and keeps: {of}", args.to));
    }
    if !promotion.left.is_empty() {
        output::note(&format!(
            "note: what also differs stays as it is: {}; --only promotes it",
            names(&promotion.left)
        ));
    }
}
