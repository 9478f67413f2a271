//! `apply`, and with `destroy`, `rollback` and `set migrate` below: plan, show, ask, perform, report.

pub mod destroy;
pub mod migrate;
pub(super) mod progress;
pub mod report;
pub mod rollback;
pub(super) mod wait;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use self::progress::{print as print_event, reporter};
use self::report::summary;
use self::wait::Waiting;
use super::approvals::{self, ApprovalArgs};
use super::author::{self, Asked};
use super::confirmation::confirm;
use super::environment;
use super::own_inputs::written_file;
use super::plan::{print, refuse};
use super::policy::RuleArgs;
use super::room::entering::Entering;
use super::saved_plan::{self, Saved};
use super::set::{
    FileArgs, Goal, GuardArgs, PolicyArgs, SetArgs, decide, drop_in_background, goal,
};
use super::signals::{PERFORMING, Stopping, WAITING};
use crate::apply::history::{Author, MOST_KEPT, Occasion, What};
use crate::apply::journal;
use crate::approval::verdict::ApprovalsDocument;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::listed::counted;
use crate::output::{self, Format};
use crate::plan::planner::Policy;
use crate::plan::{Action, Plan};
use crate::reconcile::approvals::Approvals;
use crate::reconcile::events::{Event, Failure, Summary};
use crate::reconcile::health::Awaited;
use crate::reconcile::report::ReportDocument;
use crate::reconcile::restarts::{self, Restart, Restarting};
use crate::reconcile::{self, Decision, Performed, Performing, health, left_over};
use crate::settings::{self, PlatformArgs};

/// Arguments for performing a plan.
#[derive(Debug, Clone, clap::Args)]
pub struct PerformArgs {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// How many operations run at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    parallelism: u16,
    /// Also write the result as JSON to this file
    #[arg(long, value_name = "FILE", value_parser = written_file())]
    report: Option<PathBuf>,
    /// Take over the set's lease from whoever holds it
    #[arg(long)]
    break_lock: bool,
    /// How many states the history of the set keeps from now on, at most 100; 0 keeps none of this
    /// run [default: as before, 20 at first]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=i64::from(MOST_KEPT)))]
    keep_states: Option<u32>,
    /// How the plan and the result are printed
    #[arg(short, long, value_enum, default_value_t = ApplyFormat::Text)]
    output: ApplyFormat,
    #[command(flatten)]
    rules: RuleArgs,
}

/// How `apply` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ApplyFormat {
    /// For people.
    Text,
    /// For programs: one JSON object per line, as things happen (`meshagent schema events`).
    Json,
}

/// Arguments of `apply`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent apply -f manifests\n  meshagent apply -f manifests --embedded --yes\n  cat room.yaml | meshagent apply -f - --yes\n  meshagent plan -f manifests --out plan.json\n  meshagent apply plan.json   # does not ask: whoever saved the plan has seen it"
)]
pub struct ApplyArgs {
    /// A plan that was saved with `plan --out`; it is performed as it is, or not at all, and
    /// without a question
    #[arg(value_name = "PLAN", conflicts_with_all = ["set", "adopt", "prune", "no_prune", "ignore_drift", "enter_rooms", "target", "exclude", "selector", "allow_deletes", "allow_empty"])]
    plan: Option<PathBuf>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    approvals: ApprovalArgs,
    #[command(flatten)]
    perform: PerformArgs,
    /// Wait until the services that the manifests declare work, at most 5m or this long; their rooms
    /// are entered for that. Exit code 7 if they do not
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "5m", value_parser = settings::duration)]
    wait: Option<Duration>,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// Runs `apply`.
///
/// # Errors
///
/// What keeps a plan from being made; [`Stale`](crate::error::Class::Stale) for a saved plan that
/// no longer fits; [`Partial`](crate::error::Class::Partial) when some of it was done.
pub async fn apply(mut args: ApplyArgs) -> Result<ExitCode> {
    let given = args.files.files.clone();
    let saved = args.plan.as_deref().map(|plan| saved_plan::read(plan, &given)).transpose();
    if let Err(error) = args.choose(saved.as_ref().ok().and_then(Option::as_ref)) {
        return tell(&args.perform, false, Err(error));
    }
    let told = args.perform.clone();
    let mut manifests = args.files.files.clone();
    let mut others = args.files.reading.values.values_file.clone();
    others.extend(args.plan.clone());
    others.extend_from_slice(told.rules.folders());
    others.extend(args.approvals.files().cloned());
    if let Ok(Some(saved)) = &saved {
        manifests.extend(saved.inputs.files.iter().map(PathBuf::from));
        let inputs = [&saved.inputs.values_files, &saved.inputs.policies];
        others.extend(inputs.into_iter().flatten().map(PathBuf::from));
    }
    told.keep(&manifests, &others)?;
    match saved {
        Ok(saved) => tell(&told, false, apply_set(args, saved).await),
        Err(error) => tell(&told, false, Err(error)),
    }
}

impl ApplyArgs {
    /// Makes it one in the environment that is meant: that of a saved plan, or the one that is
    /// named. Without a plan, the environment has the manifests, too, if none are given.
    fn choose(&mut self, saved: Option<&Saved>) -> Result<()> {
        let environment = match saved {
            Some(saved) => saved.enter(&mut self.files, &mut self.platform)?,
            None if self.plan.is_some() => None,
            None => environment::chosen(&mut self.files, &mut self.platform)?,
        };
        let environment = environment.as_deref();
        if let (Some(saved), Some(environment)) = (saved, environment) {
            saved.same_said(environment)?;
        }
        self.set = self.set.clone().or_of(environment);
        self.policy = self.policy.clone().or_of(environment);
        self.perform.rules = self.perform.rules.clone().or_of(environment);
        self.approvals = self.approvals.clone().or_of(environment);
        Ok(())
    }
}

async fn apply_set(args: ApplyArgs, mut saved: Option<Saved>) -> Result<Ran> {
    args.perform.rules.expect()?;
    let (mut policy, mut guards) =
        (args.policy.policy(args.set.name()?), args.policy.guards.clone());
    let mut files = args.files;
    let mut platform = args.platform;
    if let Some(saved) = &mut saved {
        saved.is_given_files = !files.files.is_empty();
        (policy, guards) = saved.policy();
        policy.environment.clone_from(&args.policy.environment);
        guards.allow_commands = args.policy.guards.allow_commands;
        files = saved.files(files)?;
        platform.project_id = platform.project_id.or_else(|| saved.inputs.project.clone());
    }
    let approvals = args.approvals.of_plan(args.plan.as_deref(), saved.as_ref())?;
    let connection = connect(&platform, &policy.set).await?;
    let back_to = saved.as_ref().and_then(|saved| saved.inputs.to);
    let goal = goal(&files, back_to, &policy.set, &connection).await;
    let run = Run {
        policy: &policy,
        guards: &guards,
        expected: args.policy.guards.expect_project.as_deref(),
        saved: saved.as_ref(),
        approvals: approvals.as_ref(),
        is_only_shown: false,
        wait: args.wait,
        platform: &platform,
        args: &args.perform,
        what: back_to.map_or(What::Apply, |_| What::Rollback),
        back_to,
        manifests: &files.files,
    };
    let done = match goal {
        Ok(goal) => run.perform(&connection, goal).await,
        Err(error) if saved.is_some() => Err(saved_plan::staleness(error.refusing_plan())),
        Err(error) => Err(error.refusing_plan()),
    };
    close(connection, done).await
}

/// Connects. Where that fails, what a killed run left open is told all the same.
async fn connect(platform: &PlatformArgs, set: &str) -> Result<Connection> {
    let connected = platform.connect().await;
    if connected.is_err()
        && let Some(leftover) = journal::leftover(Path::new("."), set)
    {
        output::note(&format!("note: {}", leftover.sentence()));
    }
    connected
}

/// Reports what was done even if the platform could not be closed afterwards.
async fn close(connection: Connection, done: Result<Ran>) -> Result<Ran> {
    let closed = connection.close().await;
    let ran = done?;
    if let Err(error) = closed {
        output::error(&error);
    }
    Ok(ran)
}

/// A plan, and what became of it.
struct Ran {
    plan: Plan,
    performed: Performed,
    /// Who approved it, if that was required.
    approvals: Option<ApprovalsDocument>,
    /// What became of the services that were to be started again.
    restarts: Vec<Restart>,
    /// Why it was not performed, if a rule or the user decided so.
    refused: Option<Error>,
    /// Whether what was applied works, if that was waited for.
    health: Option<Result<()>>,
    /// What listens for signals until the program ends, if it was waited.
    _stopping: Option<Stopping>,
}

/// Reports how a run ended, even one without a plan: as text or as an event, and in the requested
/// file. A plan that was only shown ends when it was.
fn tell(args: &PerformArgs, is_only_shown: bool, done: Result<Ran>) -> Result<ExitCode> {
    let (ledger, verdict) = match done {
        Ok(Ran { plan, performed, approvals, restarts, refused, health, _stopping }) => {
            let report = &performed.report;
            if let Some(error) = &refused {
                if args.output == ApplyFormat::Json {
                    print_event(&Event::Error(Failure::of(error)));
                }
            } else if args.output == ApplyFormat::Json {
                let healthy = health.as_ref().map(Result::is_ok);
                print_event(&Event::Summary(Summary { healthy, ..Summary::of(report, &restarts) }));
            } else if !plan.is_empty() && !is_only_shown {
                output::data(&summary(&plan, report));
            }
            let ledger = match &args.report {
                Some(_) => ReportDocument {
                    restarts: restarts.clone(),
                    approvals,
                    ..ReportDocument::of(&plan, report)
                },
                None => ReportDocument::default(),
            };
            drop_in_background(plan);
            let verdict = || match is_only_shown {
                true => Ok(()),
                false => performed
                    .verdict()
                    .and(restarts::verdict(&restarts))
                    .and(health.unwrap_or(Ok(()))),
            };
            (ledger, refused.map_or_else(verdict, Err))
        }
        Err(error) => {
            if args.output == ApplyFormat::Json {
                print_event(&Event::Error(Failure::of(&error)));
            }
            (ReportDocument::default(), Err(error))
        }
    };
    let verdict = verdict.map(|()| ExitCode::SUCCESS);
    let Some(path) = &args.report else { return verdict };
    let error = verdict.as_ref().err().map(Failure::of);
    match (output::write_json(path, &ledger.because(error)), verdict) {
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
    /// The only project that a saved plan may be for; for other plans the guards hold it.
    expected: Option<&'a str>,
    saved: Option<&'a Saved>,
    /// The approvals that the plan needs.
    approvals: Option<&'a Approvals>,
    /// Whether the plan is shown and not performed.
    is_only_shown: bool,
    /// How long it is waited at most until everything works.
    wait: Option<Duration>,
    /// How rooms are reached.
    platform: &'a PlatformArgs,
    args: &'a PerformArgs,
    /// What is run, for the history of the set.
    what: What,
    /// The state that it goes back to, if it does.
    back_to: Option<u64>,
    /// The manifests, whose checkout the history names.
    manifests: &'a [PathBuf],
}

impl Run<'_> {
    async fn perform(&self, connection: &Connection, goal: Goal) -> Result<Ran> {
        let folder = Path::new(".");
        let leftover = journal::leftover(folder, &self.policy.set);
        if let Some(leftover) = &leftover {
            output::note(&format!("note: {}", leftover.sentence()));
        }
        let is_kept = !self.is_only_shown && self.args.keep_states != Some(0);
        let author = is_kept.then(|| author::ask(self.manifests));
        let decision = decide(connection, goal, self.policy, self.guards).await;
        let mut decision = match self.saved {
            Some(saved) => {
                let decision = decision.map_err(saved_plan::staleness)?;
                refuse(&decision.plan).map_err(saved_plan::staleness)?;
                saved.check(&decision.plan, self.expected)?;
                decision
            }
            None => decision?,
        };
        let awaited = self.wait.map(|_| health::awaited(&decision, self.policy));
        drop_in_background(std::mem::take(&mut decision.basis));
        let plan = &decision.plan;
        if let Some(findings) = leftover.and_then(|leftover| leftover.findings(plan)) {
            output::note(&format!("note: {findings}"));
        }
        match self.args.output {
            ApplyFormat::Text if self.destroys_nothing(plan) => self.tell_nothing(plan, connection),
            ApplyFormat::Text => print(plan, Format::Text)?,
            ApplyFormat::Json => {
                print_event(&Event::planned(plan));
                let notes = plan.notes.iter().cloned();
                notes.for_each(|message| print_event(&Event::Note { message }));
            }
        }
        let approvals = self.approvals.map(|it| it.check(Timestamp::now())).transpose()?;
        approvals.iter().for_each(|it| approvals::tell(it, self.args.output));
        let (mut restarts, mut health, mut stopping) = (Vec::new(), None, None);
        let (performed, refused) = match self.agree(plan) {
            Ok(()) if self.is_only_shown => (Performed::nothing_of(plan), None),
            Ok(()) => {
                let performed;
                let approved = approvals.as_ref();
                (performed, restarts) =
                    self.execute(connection, &decision, (folder, approved, author)).await?;
                self.end_left_over(connection, &decision).await?;
                let is_done =
                    performed.report.is_complete() && restarts::verdict(&restarts).is_ok();
                if let Some(awaited) = awaited.filter(|_| is_done) {
                    let stop = CancellationToken::new();
                    if performed.is_stopped {
                        stop.cancel();
                    }
                    // The system has allowed it once.
                    stopping = Stopping::new(stop.clone(), WAITING).ok();
                    health = self.wait(connection, plan, &awaited, &stop).await;
                }
                (performed, None)
            }
            Err(error) => (Performed::nothing_of(plan), Some(error)),
        };
        let plan = decision.plan;
        Ok(Ran { plan, performed, approvals, restarts, refused, health, _stopping: stopping })
    }

    /// Waits until services work, if that is wanted. Nothing comes of it where none is looked at.
    async fn wait(
        &self,
        connection: &Connection,
        plan: &Plan,
        awaited: &[Awaited],
        stop: &CancellationToken,
    ) -> Option<Result<()>> {
        let (platform, format) = (self.platform, self.args.output);
        let waiting = Waiting { connection, platform, plan, format, stop };
        let outcomes = waiting.wait(awaited, self.wait?).await;
        (!outcomes.is_empty()).then(|| health::verdict(&outcomes, stop.is_cancelled()))
    }

    /// Whether something is to be destroyed of which the set owns nothing where it was looked for.
    fn destroys_nothing(&self, plan: &Plan) -> bool {
        self.policy.destroy && plan.is_empty() && plan.unread.is_empty() && plan.refused.is_empty()
    }

    /// Says that nothing is destroyed, and where to look for the set that was meant.
    fn tell_nothing(&self, plan: &Plan, connection: &Connection) {
        let (set, flags) = (&self.policy.set, &connection.flags);
        let place = plan.target().map(|target| format!(" in {target}")).unwrap_or_default();
        if !plan.kept.is_empty() {
            let told = "owns nothing of what these manifests declare";
            output::data(&format!("Nothing to destroy: the set `{set}` {told}{place}.\n"));
            return;
        }
        output::data(&format!("Nothing to destroy: the set `{set}` owns nothing{place}.\n"));
        output::note(&format!(
            "hint: `meshagent set list{flags}` shows the sets, and --set names one of them"
        ));
    }

    /// Takes a destroyed set that owns nothing off the lists where an interrupted run left it.
    async fn end_left_over(&self, connection: &Connection, decision: &Decision) -> Result<()> {
        if !self.policy.destroy || !decision.plan.is_empty() {
            return Ok(());
        }
        let (target, set) = (&connection.target(), &self.policy.set);
        for (name, project) in &decision.plan.projects {
            let Some(id) = &project.id else { continue };
            if left_over::end(target, set, (name, id), self.args.break_lock).await? {
                self.note(&left_over::ended(set, name));
            }
        }
        Ok(())
    }

    /// Tells something beside the result.
    fn note(&self, message: &str) {
        match self.args.output {
            ApplyFormat::Text => output::note(&format!("note: {message}")),
            ApplyFormat::Json => print_event(&Event::Note { message: message.to_owned() }),
        }
    }

    /// What is known of the run for the history of the set.
    async fn occasion(
        &self,
        approved: Option<&ApprovalsDocument>,
        author: Option<Asked>,
    ) -> Occasion {
        let author = match author {
            Some(asked) => asked.author().await,
            None => Author::default(),
        };
        let occasion = Occasion::of(self.what, author);
        let environment = self.policy.environment.as_ref().map(|it| it.name.clone());
        let approvals = approved.map(ApprovalsDocument::names).unwrap_or_default();
        let (back_to, keep) = (self.back_to, self.args.keep_states);
        Occasion { back_to, environment, approvals, keep, ..occasion }
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
            && !self.is_only_shown
            && !self.args.yes
            && !confirm(&self.question(plan))?
        {
            return Err(Error::failed("cancelled; nothing was changed"));
        }
        Ok(())
    }

    /// The question to the user about a plan.
    fn question(&self, plan: &Plan) -> String {
        let target = plan.target().unwrap_or_default();
        let deleted = plan.operations.iter().filter(|it| it.action() == Action::Delete).count();
        match (self.policy.destroy, deleted) {
            (false, _) => format!("Apply to {target}?"),
            // Nothing is left but to take note of that.
            (true, 0) => format!("Release {} of {target}?", objects(plan.operations.len())),
            (true, count) => {
                let released = match plan.operations.len() - count {
                    0 => String::new(),
                    rest => format!(", and release {rest},"),
                };
                format!("Destroy {}{released} of {target}?", objects(count))
            }
        }
    }

    /// Performs the plan, and starts services again that it changes the variables of, until a signal
    /// stops it.
    async fn execute(
        &self,
        connection: &Connection,
        decision: &Decision,
        (folder, approved, author): (&Path, Option<&ApprovalsDocument>, Option<Asked>),
    ) -> Result<(Performed, Vec<Restart>)> {
        let occasion = match decision.plan.is_empty() {
            // Nothing is done, so no state is reached.
            true => None,
            false => Some(self.occasion(approved, author).await.into()),
        };
        let progress = reporter(&decision.plan, self.args.output);
        let performing = Performing {
            parallelism: usize::from(self.args.parallelism),
            is_saved: self.saved.is_some(),
            approvals: self.approvals,
            break_lock: self.args.break_lock,
            occasion,
            ..Performing::in_folder(folder, progress.as_ref())
        };
        let stopping = Stopping::new(performing.stop.clone(), PERFORMING)?;
        let performed = reconcile::perform(&connection.target(), decision, &performing).await;
        let stop = performing.stop;
        drop(progress);
        let performed = performed?;
        for note in &performed.report.notes {
            self.note(note);
        }
        let restarting = Restarting {
            plan: &decision.plan,
            report: &performed.report,
            reader: &connection.client.reader(),
            enter: async |project: &str, room: &str| {
                let entering = Entering::ask_in(connection, project, room).await?;
                entering.enter(self.platform).await
            },
            stop: &stop,
        };
        let tell = |restart: &Restart| match self.args.output {
            ApplyFormat::Text => output::note(&restart.line()),
            ApplyFormat::Json => print_event(&Event::Restarted(restart.clone())),
        };
        let restarts = restarting.perform(tell).await;
        drop(stopping);
        Ok((performed, restarts))
    }
}

/// The number of objects, in words.
pub(super) fn objects(count: usize) -> String {
    counted(count, "object")
}
