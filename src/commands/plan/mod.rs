//! `plan`, `diff`, `graph`: what apply would do, in three forms. None of them writes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::environment;
use super::own_inputs::{Written, written_file};
use super::policy::RuleArgs;
use super::saved_plan::{self, Saved, name_of};
use super::set::{FileArgs, PolicyArgs, SetArgs, decide, drop_in_background, goal};
use crate::apply::inventory;
use crate::error::{Class, Error, Result};
use crate::listed::{counted, word};
use crate::manifest::declared_in::stream;
use crate::output::{self, Format};
use crate::plan::document::{Inputs, PlanDocument};
use crate::plan::graph::{Graph, Language};
use crate::plan::planner::{self, Policy};
use crate::plan::text::Detail;
use crate::plan::{Plan, html, markdown, text, unified};
use crate::project_file::{ALL, Environment};
use crate::reconcile::Decision;
use crate::settings::PlatformArgs;

pub use self::all::PlansDocument;

mod all;
mod between;

/// Arguments of every command that plans.
#[derive(Debug, Clone, clap::Args)]
pub struct PlanningArgs {
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    set: SetArgs,
    /// The past state that is planned, if one is.
    #[arg(skip)]
    to: Option<u64>,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    platform: PlatformArgs,
}

/// The way back to a past state.
#[derive(Debug, Clone, clap::Args)]
struct BackArgs {
    /// Plan the way back to this state of the set, as `meshagent history` numbers it; manifests only
    /// say where secrets are read from then
    #[arg(long, value_name = "STATE")]
    to: Option<u64>,
}

/// Arguments of `plan`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent plan -f manifests\n  meshagent plan -f manifests --output markdown > comment.md\n  meshagent plan -f manifests --output html > plan.html\n  meshagent plan -f manifests --exit-code   # 3 when something would change\n  meshagent plan -e prod\n  meshagent plan -e all --output markdown > comment.md"
)]
pub struct PlanArgs {
    #[command(flatten)]
    planning: PlanningArgs,
    #[command(flatten)]
    back: BackArgs,
    #[command(flatten)]
    rules: RuleArgs,
    /// Output format of the plan
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Also save the plan in this file, as JSON, for `apply FILE`
    #[arg(long, value_name = "FILE", value_parser = written_file())]
    out: Option<PathBuf>,
    /// Exit with 3 when something would change, or may change because a value was not read
    #[arg(long)]
    exit_code: bool,
    /// Show only drift: what changed on the platform although no document asked for it
    #[arg(long, conflicts_with = "out")]
    drift_only: bool,
    /// Show below each change the `lifecycle.ignore` rule that would ignore it
    #[arg(long)]
    suggest_ignore: bool,
    /// Take the guards and policies of the environment from this project file instead, such as that
    /// of the branch that a pull request is made to; may be repeated: of the others counts what they
    /// say of the same set
    #[arg(long, value_name = "FILE", help_heading = "Guards")]
    rules_from: Vec<PathBuf>,
    /// How many bytes the plan may have as Markdown.
    #[arg(long, value_name = "BYTES", hide = true)]
    markdown_limit: Option<usize>,
    /// Plan again what this saved plan was made from, as it was made, and ask no rules.
    #[arg(long, value_name = "PLAN", hide = true, conflicts_with_all = ["out", "to", "rules_from"])]
    again: Option<PathBuf>,
    /// The rules that a saved plan names, if they are not those that it was judged by.
    #[arg(skip)]
    recorded: Option<RuleArgs>,
}

/// Arguments of `diff`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent diff -f manifests\n  meshagent diff -f manifests --exit-code\n  meshagent diff -e stage..prod   # how two environments differ"
)]
pub struct DiffArgs {
    #[command(flatten)]
    planning: PlanningArgs,
    #[command(flatten)]
    back: BackArgs,
    /// Of two environments, compare only what the manifests say, and ask no platform
    #[arg(long)]
    rendered: bool,
    /// Exit with 3 when something would change, or may change because a value was not read, or when
    /// two environments differ
    #[arg(long)]
    exit_code: bool,
}

/// Arguments of `graph`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent graph -f manifests\n  meshagent graph -f manifests --language svg > plan.svg\n  meshagent graph -f manifests --all --language html > set.html"
)]
pub struct GraphArgs {
    #[command(flatten)]
    planning: PlanningArgs,
    #[command(flatten)]
    back: BackArgs,
    /// The graph's language
    #[arg(short, long, value_enum, default_value = "mermaid")]
    language: Language,
    /// Draw every object of the set and what it refers to, even if nothing would change
    #[arg(long)]
    all: bool,
}

impl PlanningArgs {
    /// The same in the environment that is meant, with its manifests, if none are given.
    fn chosen(self) -> Result<Self> {
        self.chosen_under(&[])
    }

    /// The same with the guards and policies of another project file.
    fn chosen_under(mut self, rules: &[PathBuf]) -> Result<Self> {
        let environment = match self.to {
            Some(_) => environment::chosen_if_any(&mut self.files, &mut self.platform)?,
            None => environment::chosen(&mut self.files, &mut self.platform)?,
        };
        let environment = match rules {
            [] => environment,
            [own, others @ ..] => Some(environment::under(environment, own, others)?),
        };
        self.files.reading.environment.clone_from(&environment);
        Ok(self.or_of(environment.as_deref()))
    }

    /// The same as a saved plan was made: its environment, manifests and sources, state and scope.
    fn again(mut self, saved: &mut Saved) -> Result<Self> {
        saved.is_given_files = !self.files.files.is_empty();
        let environment = saved.enter(&mut self.files, &mut self.platform)?;
        let guards = self.policy.guards;
        self.policy = saved.policy_args().or_of(environment.as_deref());
        self.policy.guards.allow_commands = guards.allow_commands;
        self.policy.guards.expect_project =
            guards.expect_project.or(self.policy.guards.expect_project);
        self.set = SetArgs { set: Some(saved.document.set.clone()) };
        self.to = saved.inputs.to;
        self.files = saved.files(self.files)?;
        self.platform.project_id =
            self.platform.project_id.or_else(|| saved.inputs.project.clone());
        Ok(self)
    }

    /// Refuses a past state where several environments are meant: each has its own.
    fn refuse_state(&self) -> Result<()> {
        match self.to {
            None => Ok(()),
            Some(state) => Err(Error::usage(format!("--to {state} is a state of one environment"))
                .hint("name one environment with -e")),
        }
    }

    /// The policy for the set.
    fn policy(&self) -> Result<Policy> {
        let set = self.set.name()?;
        Ok(match self.to {
            Some(_) => self.policy.policy_back(set),
            None => self.policy.policy(set),
        })
    }

    /// Which platform is meant.
    pub fn platform(&self) -> &PlatformArgs {
        &self.platform
    }

    /// The same in an environment.
    ///
    /// # Errors
    ///
    /// What is given contradicts the environment.
    pub fn of(mut self, environment: Environment) -> Result<Self> {
        let entered = environment::enter(environment, &mut self.files, &mut self.platform)?;
        Ok(self.or_of(Some(&entered)))
    }

    /// The same with what an environment says in the place of options that are not given.
    fn or_of(self, environment: Option<&Environment>) -> Self {
        let (set, policy) = (self.set.or_of(environment), self.policy.or_of(environment));
        Self { set, policy, ..self }
    }

    /// The environment that it is for.
    fn environment(&self) -> Option<&Environment> {
        self.files.reading.environment.as_deref()
    }

    /// Makes the plan, and drops what it was made from.
    ///
    /// # Errors
    ///
    /// What keeps a plan from being made.
    pub async fn plan(&self, may_miss: bool) -> Result<Decision> {
        let mut decision = self.decided(may_miss).await?;
        drop_in_background(std::mem::take(&mut decision.basis));
        Ok(decision)
    }

    /// Makes the plan. A plan that is only for reading is made without missing secrets.
    async fn decided(&self, may_miss: bool) -> Result<Decision> {
        let policy = Policy { is_only_shown: true, may_miss, ..self.policy()? };
        let connection = self.platform.connect().await?;
        let mut files = self.files.clone();
        files.reading.may_miss = may_miss;
        let goal = goal(&files, self.to, &policy.set, &connection).await;
        let decided = match goal.map_err(Error::refusing_plan) {
            Ok(goal) => decide(&connection, goal, &policy, &self.policy.guards).await,
            Err(error) => Err(error),
        };
        let closed = connection.close().await;
        let planned = decided?;
        closed.map(|()| planned)
    }

    /// What a saved plan records about how it was made.
    fn inputs(&self, planned: &Decision, rules: &RuleArgs) -> Result<Inputs> {
        let text = |path: &PathBuf| path.display().to_string();
        let names = |pairs: &[String]| pairs.iter().map(|pair| name_of(pair)).collect();
        let reading = &self.files.reading;
        Ok(Inputs {
            files: self.files.files.iter().map(text).collect(),
            values_files: reading.values.values_file.iter().map(text).collect(),
            values: names(&reading.values.values),
            value_json: names(&reading.value_json),
            allow_env: reading.allow_env.iter().map(ToString::to_string).collect(),
            allow_files: reading.allow_files.iter().map(text).collect(),
            to: self.to,
            project: self.platform.project_id.clone().filter(|_| self.environment().is_none()),
            environment: self.policy.environment.as_ref().map(|it| it.name.clone()),
            environment_said: self.environment().map(environment::said),
            sources: reading.sources(),
            prune: self.policy.pruned(),
            adopt: self.policy.adopt.clone(),
            ignore_drift: self.policy.ignore_drift,
            enter_rooms: self.policy.enter_rooms,
            targets: self.policy.target.clone(),
            excludes: self.policy.exclude.clone(),
            selectors: self.policy.selector.clone(),
            allow_deletes: self.policy.guards.allow_deletes,
            allow_empty: self.policy.guards.allow_empty,
            policies: rules.folders().iter().map(text).collect(),
            id: Some(inventory::random::<16>()?),
            salts: planned
                .stored
                .iter()
                .filter(|(_, stored)| !stored.exists())
                .map(|(project, _)| Ok((project.clone(), inventory::random::<16>()?)))
                .collect::<Result<_>>()?,
        })
    }
}

/// Runs `plan`.
///
/// # Errors
///
/// What keeps a plan from being made or written.
pub async fn plan(mut args: PlanArgs) -> Result<ExitCode> {
    args.planning.to = args.back.to;
    if args.suggest_ignore && !matches!(args.output, Format::Text | Format::Json) {
        return Err(Error::usage("--suggest-ignore is for text and JSON")
            .hint("leave --output out, or give --output json"));
    }
    if let Some(path) = args.again.take() {
        let mut saved = saved_plan::read(&path, &args.planning.files.files)?;
        args.planning = args.planning.again(&mut saved)?;
        let decision = args.planning.plan(true).await?;
        return args.end(decision.plan, Ok(()));
    }
    if args.planning.platform.named_environment().as_deref() == Some(ALL) {
        args.planning.refuse_state()?;
        if !args.rules_from.is_empty() {
            return Err(Error::usage("--rules-from is for one environment")
                .hint("name one environment with -e"));
        }
        return all::plan(args).await;
    }
    if !args.rules_from.is_empty() {
        let as_written = args.planning.clone().chosen()?;
        args.recorded = Some(args.rules.clone().or_of(as_written.environment()));
    }
    args.planning = args.planning.chosen_under(&args.rules_from)?;
    args.rules = args.rules.or_of(args.planning.environment());
    let files = &args.planning.files;
    let others = [files.reading.values.values_file.as_slice(), args.rules.folders()].concat();
    args.rules.expect()?;
    Written { option: "--out", path: args.out.as_deref() }.keeps(&files.files, &others)?;
    let Judged { planned, verdict } = args.judged().await?;
    let is_performable = verdict.is_ok() && planned.plan.refused.is_empty();
    // A plan that is refused is shown, to be mended, but not written, to be performed.
    if let Some(path) = args.out.as_ref().filter(|_| is_performable) {
        args.save(path, &planned)?;
    }
    args.end(planned.plan, verdict)
}

/// A plan, and what the rules say of it.
struct Judged {
    planned: Decision,
    verdict: Result<()>,
}

impl PlanArgs {
    /// Makes the plan, and asks the rules. What they deny is in the plan, too.
    async fn judged(&self) -> Result<Judged> {
        let mut planned = self.planning.plan(self.out.is_none()).await?;
        let verdict = self.rules.check(&planned.plan);
        if let Err(denied) = &verdict
            && denied.class == Class::Refused
        {
            planned.plan.refused.extend_from_slice(&denied.problems);
        }
        Ok(Judged { planned, verdict })
    }

    /// Writes a plan to a file, to be applied.
    fn save(&self, path: &Path, planned: &Decision) -> Result<()> {
        if let Some(project) = planned.plan.unread.first() {
            let set = &planned.plan.set;
            let what = format!(
                "the plan does not cover what the set `{set}` owns in project `{project}`, so it cannot be applied and was not saved"
            );
            return Err(Error::new(Class::Refused, what)
                .hint("plan with a credential that may build in the project, or without --out"));
        }
        let rules = self.recorded.as_ref().unwrap_or(&self.rules);
        let inputs = self.planning.inputs(planned, rules)?;
        if let Some(stream) = inputs.files.iter().find_map(|file| stream(file)) {
            output::note(&format!(
                "note: the plan was made from {stream}: `meshagent apply FILE` needs the same manifests again, with -f",
            ));
        }
        let document = PlanDocument::salted(&planned.plan, &inputs.salts);
        let document = PlanDocument { inputs: Some(inputs), ..document };
        output::write_json(path, &document)
    }

    /// Shows a plan, and says what it comes to.
    fn end(&self, plan: Plan, verdict: Result<()>) -> Result<ExitCode> {
        let plan = self.shown(plan);
        match self.output {
            Format::Text if self.suggest_ignore => {
                output::data(&text::render_in(&plan, self.detail()));
            }
            Format::Json if self.suggest_ignore => output::json(&PlanDocument::suggesting(&plan))?,
            Format::Markdown if self.markdown_limit.is_some() => {
                let limit = self.markdown_limit.unwrap_or_default();
                output::data(&markdown::render_within(&plan, output::is_verbose(), limit));
            }
            format => print(&plan, format)?,
        }
        refuse(&plan)?;
        verdict?;
        if let Some(why) = self.planning.environment().and_then(environment::unapprovable) {
            output::warning(&why);
        }
        if let Some(path) = &self.out {
            let (file, flags) = (word(&path.display().to_string()), self.planning.platform.flags());
            let performs =
                format!("`meshagent apply {file}{flags}` performs it, without a question");
            output::note(&match self.planning.environment().and_then(environment::needed) {
                None => format!("the plan is saved; {performs}"),
                Some(needed) => format!(
                    "the plan is saved; it needs {}: `meshagent approve {file}`; then {performs}",
                    counted(needed.required, "approval")
                ),
            });
        }
        Ok(exit_code(&plan, self.exit_code))
    }

    /// The plan that is shown: the whole, or only drift.
    fn shown(&self, plan: Plan) -> Plan {
        let told = plan.notes.len();
        let plan = if self.drift_only { plan.drift() } else { plan };
        plan.notes.iter().skip(told).for_each(|note| output::note(&format!("note: {note}")));
        plan
    }

    fn detail(&self) -> Detail {
        Detail { suggests: self.suggest_ignore, is_whole: output::is_verbose() }
    }
}

/// Refuses a plan that was shown, if guards or rules refuse it.
///
/// # Errors
/// What guards and rules refuse.
pub fn refuse(plan: &Plan) -> Result<()> {
    match plan.refused.as_slice() {
        [] => Ok(()),
        refused => Err(Error::refused(refused.to_vec())),
    }
}

/// Prints a plan.
///
/// # Errors
///
/// A plan that cannot be written as JSON.
pub fn print(plan: &Plan, format: Format) -> Result<()> {
    match format {
        // There is nothing to judge, and the refusal says so.
        Format::Text if plan.is_empty() && !plan.refused.is_empty() => {}
        Format::Text => {
            let detail = Detail { suggests: false, is_whole: output::is_verbose() };
            output::data(&text::render_in(plan, detail));
        }
        Format::Markdown => output::data(&markdown::render(plan, output::is_verbose())),
        Format::Html => output::data(&html::render(plan, output::is_verbose())?),
        Format::Json => output::json(&PlanDocument::of(plan))?,
    }
    Ok(())
}

fn exit_code(plan: &Plan, wanted: bool) -> ExitCode {
    ExitCode::from(if wanted && plan.is_pending() { Class::Pending.exit_code() } else { 0 })
}

/// Runs `diff`.
///
/// # Errors
///
/// What keeps a plan from being made.
pub async fn diff(mut args: DiffArgs) -> Result<ExitCode> {
    args.planning.to = args.back.to;
    let named = args.planning.platform.named_environment();
    if let Some((one, other)) = named.as_deref().and_then(|named| named.split_once("..")) {
        args.planning.refuse_state()?;
        return between::diff(&args, (one, other)).await;
    }
    if args.rendered {
        return Err(Error::usage("--rendered is for two environments")
            .hint("name them with -e: `meshagent diff -e stage..prod --rendered`"));
    }
    let Decision { plan, .. } = args.planning.chosen()?.plan(true).await?;
    output::data(&unified::render(&plan));
    refuse(&plan)?;
    Ok(exit_code(&plan, args.exit_code))
}

/// Runs `graph`.
///
/// # Errors
///
/// What keeps a plan from being made.
pub async fn graph(mut args: GraphArgs) -> Result<ExitCode> {
    args.planning.to = args.back.to;
    let planning = args.planning.chosen()?;
    let Decision { plan, mut basis, .. } = planning.decided(true).await?;
    let policy = planning.policy()?;
    if let Some(selection) = planner::selected(&basis.desired, &basis.state, &policy) {
        basis.desired.retain(|key, _| selection.contains(key));
    }
    let graph = match args.all {
        true => Graph::of_all(&plan, &basis.desired, &basis.state),
        false => Graph::of(&plan),
    };
    drop_in_background(basis);
    if plan.is_empty() && !args.all {
        output::note("note: nothing would change; --all draws the whole set");
    }
    output::data(&graph.render(args.language)?);
    refuse(&plan)?;
    Ok(ExitCode::SUCCESS)
}
