//! `ci apply`: applies the main branch, set by set and environment by environment, or exactly the
//! plans that were saved, and stops at the first failure.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::child::{self, Ran, Surroundings};
use super::here::Here;
use super::jobs;
use super::jobs::{Job, SetAt, refuse_unknown, refuse_unreadable, sets, tell_nothing};
use super::options;
use super::plan::{LIST, SavedPlans};
use super::results::{Came, class, fenced};
use super::telling::{Telling, absolute};
use super::{WhatArgs, WhereArgs};
use crate::bounded;
use crate::checkout::Checkout;
use crate::commands::saved_plan;
use crate::error::{Class, Context, Error, Result};
use crate::forge::comment::Section;
use crate::output;
use crate::project_file::ProjectFile;
use crate::visible;
use crate::whereabouts::Occasion;

/// Arguments of `ci apply`.
#[derive(Debug, clap::Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    place: WhereArgs,
    /// The branch that is applied; without it, the default branch of the repository
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// Apply exactly this saved plan, or all plans of a folder that `ci plan --out` wrote
    #[arg(long, value_name = "PATH", conflicts_with_all = ["folders", "environments"])]
    plan: Option<PathBuf>,
    /// Do not write a comment on the pull request that was merged
    #[arg(long)]
    no_comment: bool,
}

/// The largest list of saved plans, in bytes.
const LIST_LIMIT: usize = 1024 * 1024;

/// Something to apply.
struct Step {
    job: Job,
    /// The plan that it was saved as.
    plan: Option<PathBuf>,
    /// Whether it is told in a comment.
    is_told: bool,
    /// Whether its project file demands approvals.
    is_approved: bool,
}

/// What became of a step.
struct Done {
    ran: Ran,
    left: Left,
    /// The last line of the apply.
    said: String,
}

/// What is left to do once something was applied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Nothing that is known.
    Nothing,
    /// Something would still change.
    Changes,
    /// It is not known: looking for it failed with this exit code.
    Unknown(u8),
}

impl Done {
    /// What is known once it was applied.
    fn of(ran: Ran) -> Self {
        let said = ran.data.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("done");
        Self { left: Left::Nothing, said: said.to_owned(), ran }
    }

    /// Whether something was written.
    fn has_written(&self) -> bool {
        self.said.starts_with("Applied: ")
    }

    /// The exit code that comes of it.
    fn code(&self) -> u8 {
        match self.left {
            Left::Nothing => self.ran.code,
            Left::Changes => Class::Pending.exit_code(),
            Left::Unknown(code) => code,
        }
    }
}

/// The pull request that was merged, and who opened it.
type Merged = Option<(u64, String)>;

/// Runs `ci apply`.
///
/// # Errors
///
/// This is not the branch that is applied; what the first failure was; what the forge refuses.
pub async fn run(args: &ApplyArgs) -> Result<ExitCode> {
    let here = Here::of(&args.place)?;
    let checkout = Checkout::around(Path::new("."));
    refuse_others(&here, args.branch.as_deref(), checkout.as_ref().ok())?;
    here.demand_own()?;
    let what = match &args.plan {
        None => args.what.or_usual(checkout.as_ref().ok())?,
        Some(_) => args.what.clone(),
    };
    let checkout = match checkout {
        Ok(checkout) => Some(checkout),
        Err(_) if !what.files.is_empty() || args.plan.is_some() => None,
        Err(error) => return Err(error),
    };
    let steps = steps(&what, args.plan.as_deref(), checkout.as_ref())?;
    if steps.is_empty() {
        tell_nothing("nothing of it is applied by continuous integration");
        return Ok(ExitCode::SUCCESS);
    }
    let is_told = !args.no_comment && steps.iter().any(|step| step.is_told);
    let demands = |step: &Step| step.is_approved || what.demands_approvals();
    let merged = match is_told || steps.iter().any(demands) {
        true => merged(&here).await,
        false => None,
    };
    let mut sections = Vec::new();
    let (mut failed, mut has_written) = (None, false);
    for (at, step) in steps.iter().enumerate() {
        output::note(&format!("applying {} ({} of {})", step.job.name, at + 1, steps.len()));
        let author = author(&merged).filter(|_| demands(step));
        let is_demanded = demands(step);
        let done = perform(step, &what, (is_demanded, author)).await?;
        output::exactly(&visible::lines(&done.ran.data));
        sections.push(section(&step.job, &done));
        if done.code() != 0 {
            failed = Some((step.job.name.clone(), done, steps.len() - at - 1));
            break;
        }
        has_written |= done.has_written();
    }
    let telling = Telling {
        what: "apply",
        job: what.job(),
        heading: match &failed {
            None => "meshagent: applied".to_owned(),
            Some(_) => "meshagent: not everything was applied".to_owned(),
        },
        about: String::new(),
        sections,
    };
    telling.show(&here)?;
    let told = match merged.filter(|_| is_told) {
        Some((number, _)) => telling.comment(&here, number).await,
        None => Ok(()),
    };
    let Some((name, done, rest)) = failed else {
        told?;
        return Ok(ExitCode::SUCCESS);
    };
    // What failed matters more than that it could not be told.
    if let Err(error) = told {
        output::error(&error);
    }
    let after = left_out(rest);
    let what = match done.left {
        Left::Nothing => format!("`{name}` was not applied{after}"),
        Left::Changes => {
            format!("`{name}` was applied, and something would still change{after}")
        }
        Left::Unknown(_) => format!(
            "`{name}` was applied, and it is not known whether something would still change{after}"
        ),
    };
    // The classes that promise that nothing was written are not those of a run that has written.
    let class = match class(done.code()) {
        Class::Stale | Class::Refused if has_written => Class::Partial,
        class => class,
    };
    Err(Error::new(class, what))
}

/// What is told of those that come after one at which the run ended.
fn left_out(rest: usize) -> String {
    match rest {
        0 => String::new(),
        1 => "; 1 more was not applied".to_owned(),
        rest => format!("; {rest} more were not applied"),
    }
}

/// Refuses everything but the branch that is applied.
fn refuse_others(here: &Here, branch: Option<&str>, checkout: Option<&Checkout>) -> Result<()> {
    let refused = |what: String| {
        Err(Error::usage(what).hint(
            "apply on a push, a schedule or a start by hand on the default branch, or name another with --branch",
        ))
    };
    let Some(wanted) = branch.or(here.at.default_branch.as_deref()) else {
        return Err(
            Error::usage("it is not known which branch is applied").hint("name it with --branch")
        );
    };
    let found = match &here.at.occasion {
        Occasion::Branch(branch) => branch.clone(),
        // On a machine of one's own, it is what is checked out.
        Occasion::Unknown if here.is_plain() => match checkout.and_then(Checkout::branch) {
            Some(branch) => branch,
            None => {
                return refused("no branch is checked out, so nothing is applied".to_owned());
            }
        },
        Occasion::PullRequest(pull_request) => {
            return refused(format!("nothing is applied for pull request {}", pull_request.number));
        }
        Occasion::Other(event) => {
            return refused(format!("nothing is applied on the event {}", visible::line(event)));
        }
        Occasion::Unknown => {
            let system = here.at.system.name();
            return refused(format!(
                "nothing is applied: {system} does not say which branch this is"
            ));
        }
    };
    match found == wanted {
        true => Ok(()),
        false => refused(format!(
            "nothing is applied from the branch {}: {} is applied",
            visible::line(&found),
            visible::line(wanted)
        )),
    }
}

/// What is applied, in order.
fn steps(what: &WhatArgs, plan: Option<&Path>, checkout: Option<&Checkout>) -> Result<Vec<Step>> {
    if let Some(plan) = plan {
        return saved(plan, what, checkout);
    }
    let found = sets(what, checkout)?;
    refuse_unknown(what, &found)?;
    let root = checkout.map(Checkout::root).unwrap_or(Path::new("."));
    refuse_unreadable(&found, root)?;
    let mut steps = Vec::new();
    for set in &found {
        let names = match &set.file {
            Some(file) if what.environments.is_empty() => file.applied_in_ci()?,
            _ => set.ci.plan.clone(),
        };
        let jobs = set.jobs(root, &names, what)?;
        steps.extend(jobs.into_iter().map(|job| Step {
            is_told: set.ci.comments,
            is_approved: set.demands_approvals(&job.of.1),
            plan: None,
            job,
        }));
    }
    Ok(steps)
}

/// What was saved, in order.
fn saved(plan: &Path, what: &WhatArgs, checkout: Option<&Checkout>) -> Result<Vec<Step>> {
    if !plan.is_dir() {
        return one(plan, what).map(|step| vec![step]);
    }
    let path = plan.join(LIST);
    let shown = path.display();
    let failed = || format!("failed to read {shown}");
    let text = bounded::text(&path, LIST_LIMIT).context(failed)?;
    let list: SavedPlans = serde_json::from_str(&text).context(failed)?;
    let root = checkout.map(Checkout::root).unwrap_or(Path::new("."));
    let known = match checkout {
        Some(checkout) if jobs::has_project_file(checkout)? => sets(what, Some(checkout))?,
        _ => Vec::new(),
    };
    refuse_unreadable(&known, root)?;
    let refused = |told: String| Error::new(Class::Refused, format!("{shown} {told}"));
    for at in &list.unplanned {
        let set = known.iter().find(|set| set.shown() == at.folder);
        if order(set, &at.environment)?.is_some() {
            let name = named(&at.folder, &at.environment);
            return Err(refused(format!(
                "has no plan of `{}`: {}",
                visible::line(&name),
                visible::line(&at.why)
            ))
            .hint("plan again, until there is a plan of all that is applied"));
        }
    }
    let mut steps = Vec::new();
    for at in list.plans {
        let folder_shown = visible::line(&at.folder).into_owned();
        let file = visible::line(&at.file);
        if Path::new(&at.file).file_name().is_none_or(|name| name != at.file.as_str()) {
            return Err(refused(format!("names {file}, which is no file beside it")));
        }
        let of = plan.join(&at.file);
        let made_for = saved_plan::read(&of, &[])?.environment();
        // The plan of manifests that were given is for no project file.
        let set = known.iter().find(|set| set.shown() == at.folder);
        let has_environments = |set: &SetAt| set.ci.plan.iter().any(|name| !name.is_empty());
        if made_for.is_none() && set.is_some_and(has_environments) {
            return Err(refused(format!("names {file}, which was made for no environment")));
        }
        let set = set.filter(|_| made_for.is_some());
        let folder = match set {
            Some(set) => root.join(&set.folder),
            None if at.folder == "." => PathBuf::from("."),
            None => {
                return Err(refused(format!(
                    "names a set in {folder_shown}, where the repository has none"
                )));
            }
        };
        if made_for.unwrap_or_default() != at.environment {
            return Err(refused(format!(
                "names {file} for the environment {:?}, which it was not made for",
                at.environment
            )));
        }
        let name = named(&at.folder, &at.environment);
        let Some(order) = order(set, &at.environment)? else {
            output::note(&format!(
                "note: {} is only planned: `ci.apply` of its project file does not name it",
                visible::line(&name)
            ));
            continue;
        };
        let job = Job {
            folder,
            name,
            of: (at.folder.clone(), at.environment.clone()),
            words: Vec::new(),
        };
        let step = Step {
            job,
            plan: Some(absolute(&of)?),
            is_told: set.is_none_or(|set| set.ci.comments),
            is_approved: set.is_some_and(|set| set.demands_approvals(&at.environment)),
        };
        steps.push((order, step));
    }
    steps.sort_by(|(one, of_one), (other, of_other)| {
        (&of_one.job.of.0, one).cmp(&(&of_other.job.of.0, other))
    });
    Ok(steps.into_iter().map(|(_, step)| step).collect())
}

/// How what is done with a set in an environment is called.
fn named(folder: &str, environment: &str) -> String {
    match environment.is_empty() {
        true => folder.to_owned(),
        false => format!("{folder} {environment}"),
    }
}

/// One saved plan, which is applied in this folder.
fn one(plan: &Path, what: &WhatArgs) -> Result<Step> {
    let name = plan.display().to_string();
    let words = what.files.iter().flat_map(|it| [OsString::from("-f"), it.clone().into()]);
    let words = words.collect();
    let (folder, of) = (PathBuf::from("."), (name.clone(), String::new()));
    let job = Job { folder, name, of, words };
    // What is wrong with it is told when it is applied.
    let environment = saved_plan::read(plan, &[]).ok().and_then(|saved| saved.environment());
    let file = environment.as_ref().and_then(|name| ProjectFile::named(name).ok());
    let entered = file.as_ref().and_then(|file| {
        let name = environment.as_deref().filter(|name| !name.is_empty());
        file.environment(name).ok()
    });
    Ok(Step {
        job,
        plan: Some(absolute(plan)?),
        is_told: file.is_none_or(|file| file.ci().comments),
        is_approved: entered.is_some_and(|it| it.approved.is_some()),
    })
}

/// Where an environment stands among those that are applied; `None` if it is only planned.
///
/// # Errors
///
/// Nothing says which environments are applied.
fn order(set: Option<&SetAt>, environment: &str) -> Result<Option<usize>> {
    match set.and_then(|set| set.file.as_ref()) {
        None => Ok(Some(0)),
        Some(file) => Ok(file.applied_in_ci()?.iter().position(|name| name == environment)),
    }
}

/// Applies one of them. What would still change after a saved plan is looked for.
async fn perform(
    step: &Step,
    what: &WhatArgs,
    (is_demanded, author): (bool, Option<&str>),
) -> Result<Done> {
    // Approvals are given to what demands some.
    let given = |options: Vec<String>| match is_demanded {
        true => options,
        false => options::parted(&options, &options::OF_APPROVALS).1,
    };
    let job = &step.job;
    let mut words: Vec<OsString> = vec!["apply".into()];
    words.extend(job.words.iter().cloned());
    words.extend(author.into_iter().flat_map(|name| ["--author".into(), name.into()]));
    let Some(plan) = &step.plan else {
        words.push("--yes".into());
        words.extend(given(what.options()).iter().map(Into::into));
        let ran = child::run(&words, &job.folder, &Surroundings::Whole).await?;
        return Ok(Done::of(ran));
    };
    words.push(plan.into());
    words.extend(given(what.options_of_saved()).iter().map(Into::into));
    let ran = child::run(&words, &job.folder, &Surroundings::Whole).await?;
    if ran.code != 0 {
        return Ok(Done::of(ran));
    }
    let mut words: Vec<OsString> = vec!["plan".into(), "--again".into(), plan.into()];
    words.push("--exit-code".into());
    words.extend(job.words.iter().cloned());
    words.extend(what.options_again().iter().map(Into::into));
    let again = child::run(&words, &job.folder, &Surroundings::Whole).await?;
    let left = match Came::of(again.code) {
        Came::Good => Left::Nothing,
        Came::Changes => Left::Changes,
        Came::Refused | Came::Failed(_) => Left::Unknown(again.code),
    };
    let mut done = Done { left, ..Done::of(ran) };
    done.ran.data += &again.data;
    done.ran.told = again.told;
    Ok(done)
}

/// What is told of a set that was applied.
fn section(job: &Job, done: &Done) -> Section {
    let ran = &done.ran;
    let verdict = match (Came::of(ran.code), done.left) {
        (_, Left::Changes) => "applied, and something would still change".to_owned(),
        (_, Left::Unknown(_)) => "applied, and what is left is not known".to_owned(),
        (Came::Good, Left::Nothing) => done.said.trim_end_matches('.').replace(['`', '|'], "'"),
        (Came::Refused, _) => "refused".to_owned(),
        _ => format!("failed with exit code {}", ran.code),
    };
    let verdict = crate::plan::markdown::code(&verdict);
    let is_good = done.code() == 0;
    let body = match is_good {
        true => fenced(&ran.data),
        false => fenced(&format!("{}\n{}", ran.data, ran.told)),
    };
    Section { title: job.title(), verdict, body, rank: u8::from(is_good) }
}

/// The pull request that was merged, if it is known.
async fn merged(here: &Here) -> Merged {
    let (commit, forge) = (here.at.commit.as_ref()?, here.forge.as_ref()?);
    match forge.merged_with(commit).await {
        Ok(found) => found,
        Err(error) => {
            output::note(&format!("note: it is not known which pull request was merged: {error}"));
            None
        }
    }
}

/// Who opened it, whose own approval does not count.
fn author(merged: &Merged) -> Option<&str> {
    // A name that could be an option is none.
    merged
        .as_ref()
        .map(|(_, name)| name.as_str())
        .filter(|it| !it.is_empty() && !it.starts_with('-'))
}
