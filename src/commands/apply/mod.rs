//! `apply` and `destroy`: plan, show, ask, perform, tell.

pub(super) mod progress;
pub mod report;

use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use self::progress::reporter;
use self::report::{ReportDocument, summary};
use super::own_inputs::{Written, written_file};
use super::plan::{print, refuse};
use super::policy::RuleArgs;
use super::saved_plan::{self, Saved};
use super::set::{
    FileArgs, GuardArgs, Planned, PolicyArgs, ReadArgs, SetArgs, decide, drop_in_background,
};
use super::signals::{STOP, Signals};
use crate::api::failure;
use crate::apply::events::{Event, Failure, Summary};
use crate::apply::execute::{Options, Outcome, Report};
use crate::apply::journal;
use crate::apply::lock;
use crate::apply::run::{Surroundings, run};
use crate::connection::Connection;
use crate::error::{Class, Error, Result};
use crate::manifest::set::Set;
use crate::output::{self, Format};
use crate::plan::planner::Policy;
use crate::plan::{Action, Plan};
use crate::settings::PlatformArgs;

/// What performing takes.
#[derive(Debug, Clone, clap::Args)]
pub struct PerformArgs {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// How many operations run at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    parallelism: u16,
    /// Also write what became of the plan as JSON to this file
    #[arg(long, value_name = "FILE", value_parser = written_file())]
    report: Option<PathBuf>,
    /// Take the set's lease over from whoever holds it
    #[arg(long)]
    break_lock: bool,
    /// How the plan and what became of it are printed
    #[arg(short, long, value_enum, default_value_t = ApplyFormat::Text)]
    output: ApplyFormat,
    #[command(flatten)]
    rules: RuleArgs,
}

impl PerformArgs {
    /// Refuses a report that would overwrite what is read.
    fn keep(&self, manifests: &[PathBuf], others: &[PathBuf]) -> Result<()> {
        Written { option: "--report", path: self.report.as_deref() }.keeps(manifests, others)
    }
}

/// How `apply` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ApplyFormat {
    /// For people.
    Text,
    /// For programs: one JSON object a line, as things happen (`meshagent schema events`).
    Json,
}

/// Arguments of `apply`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent apply -f manifests\n  meshagent apply -f manifests --embedded --yes\n  cat room.yaml | meshagent apply -f - --yes\n  meshagent plan -f manifests --out plan.json && meshagent apply plan.json"
)]
pub struct ApplyArgs {
    /// A plan that was saved with `plan --out`; it is performed as it is, or not at all
    #[arg(value_name = "PLAN", conflicts_with_all = ["set", "adopt", "prune", "no_prune", "ignore_drift", "target", "exclude", "selector", "allow_deletes", "allow_empty"])]
    plan: Option<PathBuf>,
    /// A manifest, a folder of them, or - for standard input; may be repeated
    #[arg(short, long = "file", value_name = "PATH", required_unless_present = "plan")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    reading: ReadArgs,
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
    /// Only what these manifests declare; without them, all that the set owns
    #[arg(short, long = "file", value_name = "PATH")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    reading: ReadArgs,
    #[command(flatten)]
    set: SetArgs,
    /// Refuse a plan for any project but this one, by name or id
    #[arg(long, value_name = "PROJECT", help_heading = "Guards")]
    expect_project: Option<String>,
    #[command(flatten)]
    perform: PerformArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs `apply`.
///
/// # Errors
///
/// What keeps a plan from being made; [`Class::Stale`] for a saved plan that no longer
/// fits; [`Class::Partial`] when some of it was done.
pub async fn apply(args: ApplyArgs) -> Result<ExitCode> {
    let told = args.perform.clone();
    let saved = args.plan.as_deref().map(saved_plan::read).transpose();
    let mut manifests = args.files.clone();
    let mut others = args.reading.values.values_file.clone();
    others.extend(args.plan.clone());
    others.extend_from_slice(told.rules.folders());
    if let Ok(Some(saved)) = &saved {
        manifests.extend(saved.inputs.files.iter().map(PathBuf::from));
        let inputs = [&saved.inputs.values_files, &saved.inputs.policies];
        others.extend(inputs.into_iter().flatten().map(PathBuf::from));
    }
    told.keep(&manifests, &others)?;
    match saved {
        Ok(saved) => tell(&told, apply_set(args, saved).await),
        Err(error) => tell(&told, Err(error)),
    }
}

async fn apply_set(args: ApplyArgs, mut saved: Option<Saved>) -> Result<Performed> {
    args.perform.rules.expect()?;
    let (mut policy, mut guards) =
        (args.policy.policy(args.set.name()?), args.policy.guards.clone());
    let mut files = FileArgs { files: args.files, reading: args.reading };
    let mut platform = args.platform;
    if let Some(saved) = &mut saved {
        saved.is_given_files = !files.files.is_empty();
        (policy, guards) = saved.policy();
        guards.allow_commands = args.policy.guards.allow_commands;
        files = saved.files(files)?;
        platform.project_id = platform.project_id.or_else(|| saved.inputs.project.clone());
    }
    let connection = platform.connect().await?;
    let set = files.read(connection.project.clone(), connection.fallback_project.clone());
    let run = Run {
        policy: &policy,
        guards: &guards,
        expected: args.policy.guards.expect_project.as_deref(),
        saved: saved.as_ref(),
        args: &args.perform,
    };
    let done = match set {
        Ok(set) => run.perform(&connection, set).await,
        Err(error) if saved.is_some() => Err(saved_plan::staleness(error.refusing_plan())),
        Err(error) => Err(error.refusing_plan()),
    };
    close(connection, done).await
}

/// Runs `destroy`.
///
/// # Errors
///
/// As [`apply`].
pub async fn destroy(args: DestroyArgs) -> Result<ExitCode> {
    let told = args.perform.clone();
    told.keep(&args.files, &args.reading.values.values_file)?;
    tell(&told, destroy_set(args).await)
}

async fn destroy_set(args: DestroyArgs) -> Result<Performed> {
    args.perform.rules.expect()?;
    let policy = Policy { destroy: true, ..Policy::standard(args.set.name()?) };
    let guards = GuardArgs { expect_project: args.expect_project, ..GuardArgs::default() };
    output::set_verbose(args.reading.verbose);
    let connection = args.platform.connect().await?;
    let set = if args.files.is_empty() {
        Ok(Set::default())
    } else {
        let files = FileArgs { files: args.files, reading: args.reading };
        files.read(connection.project.clone(), connection.fallback_project.clone())
    };
    let run =
        Run { policy: &policy, guards: &guards, expected: None, saved: None, args: &args.perform };
    let done = match set {
        Ok(set) => run.perform(&connection, set).await,
        Err(error) => Err(error.refusing_plan()),
    };
    close(connection, done).await
}

/// What was done is told also where the platform could not be closed after it.
async fn close(connection: Connection, done: Result<Performed>) -> Result<Performed> {
    let closed = connection.close().await;
    let performed = done?;
    if let Err(error) = closed {
        output::error(&error);
    }
    Ok(performed)
}

/// A plan that was performed, and what became of it.
struct Performed {
    plan: Plan,
    report: Report,
    end: End,
    /// Why it was not performed, where a rule or the user had it so.
    refused: Option<Error>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, Default)]
struct End {
    /// Whether a signal stopped it.
    stopped: bool,
    /// Whether its plan was a saved one, which fits no more once some of it was done.
    is_saved: bool,
}

/// Says how a run ended, also one that came to no plan: as text or as an event, and in the
/// file that was asked for.
fn tell(args: &PerformArgs, done: Result<Performed>) -> Result<ExitCode> {
    let (ledger, verdict) = match done {
        Ok(Performed { plan, report, end, refused }) => {
            if let Some(error) = &refused {
                if args.output == ApplyFormat::Json {
                    Event::Error(Failure::of(error)).print();
                }
            } else if args.output == ApplyFormat::Json {
                Event::Summary(Summary::of(&report)).print();
            } else if !plan.is_empty() {
                output::data(&summary(&plan, &report));
            }
            let ledger = match &args.report {
                Some(_) => ReportDocument::of(&plan, &report),
                None => ReportDocument::default(),
            };
            drop_in_background(plan);
            (ledger, refused.map_or_else(|| conclude(report, end), Err))
        }
        Err(error) => {
            if args.output == ApplyFormat::Json {
                Event::Error(Failure::of(&error)).print();
            }
            (ReportDocument::default(), Err(error))
        }
    };
    let Some(path) = &args.report else { return verdict };
    let error = verdict.as_ref().err().map(Failure::of);
    match (ledger.because(error).write(path), verdict) {
        (Ok(()), verdict) => verdict,
        (Err(error), Ok(_)) => Err(error),
        (Err(unwritten), Err(error)) => {
            output::error(&unwritten);
            Err(error)
        }
    }
}

/// One run of `apply` or `destroy`.
struct Run<'a> {
    policy: &'a Policy,
    guards: &'a GuardArgs,
    /// The only project that a saved plan may be for; other plans have it in their guards.
    expected: Option<&'a str>,
    saved: Option<&'a Saved>,
    args: &'a PerformArgs,
}

impl Run<'_> {
    async fn perform(&self, connection: &Connection, set: Set) -> Result<Performed> {
        let folder = Path::new(".");
        let leftover = journal::leftover(folder, &self.policy.set);
        if let Some(leftover) = &leftover {
            output::note(&format!("note: {}", leftover.sentence()));
        }
        let planned = decide(connection, set, self.policy, self.guards).await;
        let planned = match self.saved {
            Some(saved) => {
                let planned = planned.map_err(saved_plan::staleness)?;
                refuse(&planned.plan).map_err(saved_plan::staleness)?;
                saved.check(&planned.plan, self.expected)?;
                planned
            }
            None => planned?,
        };
        let plan = &planned.plan;
        if let Some(findings) = leftover.and_then(|leftover| leftover.findings(plan)) {
            output::note(&format!("note: {findings}"));
        }
        match self.args.output {
            ApplyFormat::Text => print(plan, Format::Text)?,
            ApplyFormat::Json => {
                Event::planned(plan).print();
                plan.notes.iter().for_each(|note| Event::Note { message: note.clone() }.print());
            }
        }
        let end = End { stopped: false, is_saved: self.saved.is_some() };
        if let Err(error) = self.agree(plan) {
            let report = Report::not_started(plan.operations.len());
            return Ok(Performed { plan: planned.plan, report, end, refused: Some(error) });
        }
        let (report, stopped) = self.execute(connection, &planned, folder).await?;
        let end = End { stopped, ..end };
        Ok(Performed { plan: planned.plan, report, end, refused: None })
    }

    /// Asks the guards, the rules and the user about a plan that was shown.
    fn agree(&self, plan: &Plan) -> Result<()> {
        refuse(plan)?;
        // A saved plan has passed the rules that it names; they are asked again as they are.
        let rules = self.saved.map(|saved| saved.inputs.policies.as_slice()).unwrap_or_default();
        self.args.rules.and(rules).check(plan)?;
        // Who could not be shown the plan has not agreed to it.
        output::check()?;
        if !plan.is_empty()
            && self.saved.is_none()
            && !self.args.yes
            && !confirm(&self.question(plan))?
        {
            return Err(Error::failed("nothing was done"));
        }
        Ok(())
    }

    /// What the user is asked about a plan.
    fn question(&self, plan: &Plan) -> String {
        let target = plan.target().unwrap_or_default();
        let deleted = plan.operations.iter().filter(|it| it.action() == Action::Delete).count();
        match (self.policy.destroy, deleted) {
            (false, _) => format!("Apply to {target}?"),
            // Nothing is left but to take note of that.
            (true, 0) => format!("Release {} of {target}?", objects(plan.operations.len())),
            (true, count) => format!("Destroy {} of {target}?", objects(count)),
        }
    }

    /// What became of the plan, and whether a signal stopped it.
    async fn execute(
        &self,
        connection: &Connection,
        planned: &Planned,
        folder: &Path,
    ) -> Result<(Report, bool)> {
        let plan = &planned.plan;
        let options = Options {
            bound: self.saved.is_some(),
            attempts: connection.client.tries(),
            ..Options::standard(usize::from(self.args.parallelism))
        };
        let listener = tokio::spawn(stop_on_signal(Signals::listen(&STOP)?, options.stop.clone()));
        connection.client.set_parallelism(options.parallelism);
        let progress = reporter(plan, self.args.output);
        let surroundings = Surroundings {
            folder,
            break_lock: self.args.break_lock,
            lease: lock::LASTS,
            progress: progress.as_ref(),
        };
        let report =
            run(&connection.client, plan, planned.stored.clone(), &options, surroundings).await;
        drop(progress);
        listener.abort();
        Ok((report?, options.stop.is_cancelled()))
    }
}

/// So many objects, in words.
pub(super) fn objects(count: usize) -> String {
    format!("{count} object{}", if count == 1 { "" } else { "s" })
}

/// Asks, where somebody can answer.
pub(super) fn confirm(question: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(
            Error::usage("there is no terminal to ask on, so nothing was done").hint("add --yes")
        );
    }
    output::ask(&format!("{question} [y/N] "));
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Error::failed("failed to read the answer").because(error))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// The first signal stops new work; a second one ends the program.
async fn stop_on_signal(mut signals: Signals, stop: CancellationToken) {
    signals.received().await;
    output::warning("stopping: what runs is finished, nothing new is started");
    stop.cancel();
    signals.received().await;
    output::warning(
        "stopped at once: it is not known whether what was under way was done; the same command looks, and goes on from there",
    );
    output::settle();
    std::process::exit(130);
}

fn conclude(report: Report, end: End) -> Result<ExitCode> {
    if report.is_complete() {
        return Ok(ExitCode::SUCCESS);
    }
    let done = report.count(|outcome| *outcome == Outcome::Done);
    let open = report.outcomes.len() - done;
    let is_stale = report.count(|outcome| matches!(outcome, Outcome::Stale { .. })) > 0;
    let class = match (done > 0, is_stale) {
        (true, _) => Class::Partial,
        (false, true) => Class::Stale,
        (false, false) => Class::Failed,
    };
    let what = match &report.lost_lease {
        Some(lost) => lost.as_str(),
        None if end.stopped => "stopped",
        None => "not everything was done",
    };
    let error = Error::new(
        class,
        format!("{what}: {open} of {} operations are open", report.outcomes.len()),
    );
    let way_on = way_on(&report, end, done);
    match report.inventory_error {
        // Nothing was done that could be left unrecorded.
        Some(cause) if done == 0 => Err(cause),
        Some(cause) => {
            let again =
                "run the same command again: objects that carry the owner annotation are found";
            let hint = cause.hint.clone().unwrap_or_else(|| again.to_owned());
            Err(Error::new(Class::Partial, "what was done could not be recorded in the inventory")
                .because(cause)
                .hint(hint))
        }
        None => Err(error.hint(way_on)),
    }
}

/// What to do about what is open. What the platform refused it refuses again.
fn way_on(report: &Report, end: End, done: usize) -> String {
    let refused = report.outcomes.iter().find(|outcome| outcome.is_refusal());
    let known = refused.and_then(|outcome| match outcome {
        Outcome::Failed { code: code @ Some(401 | 403), .. } => failure::hint(*code),
        _ => None,
    });
    let mend = match (refused, known) {
        (_, Some(known)) => format!("{known}; then "),
        (Some(_), None) => "mend what the platform refused; then ".to_owned(),
        (None, None) => String::new(),
    };
    mend + match (refused.is_some(), end.is_saved && done > 0) {
        (_, true) => "plan again: the saved plan was for what is no more",
        (true, false) if end.is_saved => "plan again",
        (true, false) => "apply: what is done is not done twice",
        (false, false) => "run the same command again to go on from here",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_lost_its_lease_says_so_and_how_much_is_open() {
        let report = |outcomes: Vec<Outcome>| Report {
            outcomes,
            inventory_error: None,
            lost_lease: Some("the lease of the set was taken over by ada".to_owned()),
        };
        let end = End::default();
        let error = conclude(report(vec![Outcome::Done, Outcome::NotStarted]), end).unwrap_err();
        assert_eq!(
            (error.class, error.message.as_str()),
            (
                Class::Partial,
                "the lease of the set was taken over by ada: 1 of 2 operations are open"
            )
        );
        let error = conclude(report(vec![Outcome::NotStarted]), end).unwrap_err();
        assert_eq!(error.class, Class::Failed);
    }

    #[test]
    fn the_way_on_is_one_that_leads_on() {
        let failed = |code: u16| Outcome::Failed {
            message: String::new(),
            request: None,
            refused: true,
            code: Some(code),
            request_id: None,
            attempts: 1,
        };
        let again = "run the same command again to go on from here";
        let hint = |outcomes: Vec<Outcome>, is_saved: bool| {
            let report = Report { outcomes, inventory_error: None, lost_lease: None };
            conclude(report, End { stopped: false, is_saved }).unwrap_err().hint.unwrap()
        };
        for code in [500, 503, 429, 408] {
            assert_eq!(hint(vec![failed(code)], false), again);
            assert_eq!(hint(vec![Outcome::NotStarted, failed(code)], true), again);
            assert!(hint(vec![Outcome::Done, failed(code)], true).starts_with("plan again"));
        }
        for code in [400, 404, 409, 422] {
            for outcomes in [vec![failed(code)], vec![Outcome::Done, failed(503), failed(code)]] {
                let hint = hint(outcomes, false);
                assert_eq!(
                    hint,
                    "mend what the platform refused; then apply: what is done is not done twice"
                );
            }
        }
        assert!(hint(vec![failed(403)], false).starts_with("the credential does not reach"));
        assert!(hint(vec![failed(400)], true).ends_with("then plan again"));
    }
}
