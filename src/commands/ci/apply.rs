//! `ci apply`: applies the main branch, set by set and environment by environment, or exactly the
//! plans that were saved, and stops at the first failure.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::child::{self, Ran, Surroundings};
use super::here::{Footing, Here};
use super::jobs::{Job, SetAt, refuse_unknown, sets};
use super::plan::{LIST, SavedPlans};
use super::results::{Came, class, fenced};
use super::telling::{Telling, absolute, own_folder};
use super::{WhatArgs, WhereArgs};
use crate::bounded;
use crate::checkout::Checkout;
use crate::error::{Class, Context, Error, Result};
use crate::forge::comment::Section;
use crate::output;
use crate::visible;
use crate::whereabouts::{Occasion, System};

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
}

/// Runs `ci apply`.
///
/// # Errors
///
/// This is not the branch that is applied; what the first failure was; what the forge refuses.
pub async fn run(args: &ApplyArgs) -> Result<ExitCode> {
    let here = Here::of(&args.place)?;
    here.refuse_target()?;
    let checkout = Checkout::around(Path::new("."));
    refuse_others(&here, args.branch.as_deref(), checkout.as_ref().ok())?;
    if let Footing::Stranger(_) = here.footing()? {
        return Err(Error::usage("there is no API key").hint("set MESHAGENT_API_KEY"));
    }
    let checkout = match checkout {
        Ok(checkout) => Some(checkout),
        Err(_) if !args.what.files.is_empty() || args.plan.is_some() => None,
        Err(error) => return Err(error),
    };
    let steps = steps(args, checkout.as_ref())?;
    let own = own_folder()?;
    let mut sections = Vec::new();
    let mut failed = None;
    for (at, step) in steps.iter().enumerate() {
        output::note(&format!("applying {} ({} of {})", step.job.name, at + 1, steps.len()));
        let (ran, is_applied) = perform(step, args, own.path()).await?;
        output::exactly(&visible::lines(&ran.data));
        sections.push(section(&step.job, &ran, is_applied));
        if ran.code != 0 {
            let rest = steps.len() - at - 1;
            failed = Some((step.job.name.clone(), ran.code, rest, is_applied));
            break;
        }
    }
    let telling = Telling {
        what: "apply",
        job: args.what.job(),
        heading: match &failed {
            None => "meshagent: applied".to_owned(),
            Some(_) => "meshagent: not everything was applied".to_owned(),
        },
        about: String::new(),
        sections,
    };
    telling.show(&here)?;
    let told = tell(&here, &telling, args.no_comment).await;
    let Some((name, code, rest, is_applied)) = failed else {
        told?;
        return Ok(ExitCode::SUCCESS);
    };
    // What failed matters more than that it could not be told.
    if let Err(error) = told {
        output::error(&error);
    }
    let what = match (is_applied, rest) {
        (true, _) => format!("`{name}` was applied, and something would still change"),
        (false, 0) => format!("`{name}` was not applied"),
        (false, rest) => format!("`{name}` was not applied, and so were {rest} after it"),
    };
    Err(Error::new(class(code), what))
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
        Occasion::Unknown if here.at.system == System::Plain => {
            match checkout.and_then(Checkout::branch) {
                Some(branch) => branch,
                None => {
                    return refused("no branch is checked out, so nothing is applied".to_owned());
                }
            }
        }
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
fn steps(args: &ApplyArgs, checkout: Option<&Checkout>) -> Result<Vec<Step>> {
    if let Some(plan) = &args.plan {
        return saved(plan, args, checkout);
    }
    let found = sets(&args.what, checkout)?;
    refuse_unknown(&args.what, &found)?;
    let root = checkout.map(Checkout::root).unwrap_or(Path::new("."));
    let mut steps = Vec::new();
    for set in &found {
        let names = match &set.file {
            Some(file) if args.what.environments.is_empty() => file.applied_in_ci()?,
            _ => set.ci.plan.clone(),
        };
        let jobs = set.jobs(root, &names, &args.what)?;
        steps.extend(jobs.into_iter().map(|job| Step { job, plan: None }));
    }
    Ok(steps)
}

/// What was saved, in order.
fn saved(plan: &Path, args: &ApplyArgs, checkout: Option<&Checkout>) -> Result<Vec<Step>> {
    let job = |folder: PathBuf, name: String, of: (String, String)| Job {
        folder,
        name,
        of,
        words: Vec::new(),
    };
    if !plan.is_dir() {
        let name = plan.display().to_string();
        let job = job(PathBuf::from("."), name.clone(), (name, String::new()));
        let words = args.what.files.iter().flat_map(|it| [OsString::from("-f"), it.clone().into()]);
        let job = Job { words: words.collect(), ..job };
        return Ok(vec![Step { job, plan: Some(absolute(plan)?) }]);
    }
    let path = plan.join(LIST);
    let failed = || format!("failed to read {}", path.display());
    let text = bounded::text(&path, LIST_LIMIT).context(failed)?;
    let list: SavedPlans = serde_json::from_str(&text).context(failed)?;
    let known = match checkout {
        Some(checkout) if args.what.files.is_empty() => sets(&args.what, Some(checkout))?,
        _ => Vec::new(),
    };
    let root = checkout.map(Checkout::root).unwrap_or(Path::new("."));
    let mut steps = Vec::new();
    for at in list.plans {
        let set = known.iter().find(|set| set.shown() == at.folder);
        let is_name = Path::new(&at.file).file_name().is_some_and(|name| name == at.file.as_str());
        let folder = match set {
            Some(set) => root.join(&set.folder),
            None if at.folder == "." => PathBuf::from("."),
            None => {
                let (list, folder) = (path.display(), visible::line(&at.folder));
                return Err(Error::new(
                    Class::Refused,
                    format!("{list} names a set in {folder}, where the repository has none"),
                ));
            }
        };
        if !is_name {
            let (list, file) = (path.display(), visible::line(&at.file));
            return Err(Error::new(
                Class::Refused,
                format!("{list} names {file}, which is no file beside it"),
            ));
        }
        let name = match at.environment.is_empty() {
            true => at.folder.clone(),
            false => format!("{} {}", at.folder, at.environment),
        };
        let job = job(folder, name, (at.folder.clone(), at.environment.clone()));
        steps.push((
            order(set, &at.environment),
            Step { job, plan: Some(absolute(&plan.join(&at.file))?) },
        ));
    }
    steps.sort_by(|(one, of_one), (other, of_other)| {
        (&of_one.job.of.0, one).cmp(&(&of_other.job.of.0, other))
    });
    Ok(steps.into_iter().map(|(_, step)| step).collect())
}

/// Where an environment stands among those that are applied.
fn order(set: Option<&SetAt>, environment: &str) -> usize {
    let applied = set.and_then(|set| set.ci.apply.clone()).unwrap_or_default();
    applied.iter().position(|name| name == environment).unwrap_or(usize::MAX)
}

/// Applies one of them. A plan that was saved is looked after: what else would still change is an
/// end, too, and then it is told that it was applied.
async fn perform(step: &Step, args: &ApplyArgs, own: &Path) -> Result<(Ran, bool)> {
    let (job, more) = (&step.job, args.what.options());
    let mut words: Vec<OsString> = vec!["apply".into()];
    words.extend(job.words.iter().cloned());
    let Some(plan) = &step.plan else {
        words.extend(["--yes".into(), "--report".into(), own.join("report.json").into()]);
        words.extend(more.iter().map(Into::into));
        let ran = child::run(&words, &job.folder, &Surroundings::Whole).await?;
        return Ok((ran, false));
    };
    // What it was planned with is in the plan.
    words.push(plan.into());
    words.extend(args.what.more.iter().map(Into::into));
    let ran = child::run(&words, &job.folder, &Surroundings::Whole).await?;
    let Some(mut words) = again(plan).filter(|_| ran.code == 0) else { return Ok((ran, false)) };
    words.push("--exit-code".into());
    words.extend(more.iter().map(Into::into));
    let left = child::run(&words, &job.folder, &Surroundings::Whole).await?;
    let data = ran.data + &left.data;
    Ok((Ran { code: left.code, data, told: left.told }, left.code != 0))
}

/// What of a saved plan says how it was made.
#[derive(serde::Deserialize)]
struct Made {
    set: String,
    inputs: MadeFrom,
}

/// What a saved plan was made from.
#[derive(serde::Deserialize)]
struct MadeFrom {
    files: Vec<String>,
    #[serde(default)]
    values_files: Vec<String>,
    project: Option<String>,
    environment: Option<String>,
}

/// The command that plans again what a saved plan was made from.
fn again(plan: &Path) -> Option<Vec<OsString>> {
    let text = bounded::text(plan, PLAN_LIMIT).ok()?;
    let Made { set, inputs } = serde_json::from_str(&text).ok()?;
    let mut words: Vec<OsString> = vec!["plan".into()];
    let mut add = |option: &str, value: String| words.extend([option.into(), value.into()]);
    match inputs.environment {
        Some(environment) => add("-e", environment),
        None => {
            inputs.files.into_iter().for_each(|file| add("-f", file));
            inputs.values_files.into_iter().for_each(|file| add("--values-file", file));
            add("--set", set);
            inputs.project.into_iter().for_each(|project| add("-n", project));
        }
    }
    Some(words)
}

/// The largest plan, in bytes.
const PLAN_LIMIT: usize = 256 * 1024 * 1024;

/// What is told of a set that was applied.
fn section(job: &Job, ran: &Ran, is_applied: bool) -> Section {
    let verdict = match (Came::of(ran.code), is_applied) {
        (Came::Good, _) => {
            let last = ran.data.lines().rev().find(|line| !line.trim().is_empty());
            last.unwrap_or("done").trim_end_matches('.').replace(['`', '|'], "'")
        }
        (Came::Refused, _) => "refused".to_owned(),
        _ => format!("failed with exit code {}", ran.code),
    };
    let verdict = crate::plan::markdown::code(&verdict);
    let body = match ran.code {
        0 => fenced(&ran.data),
        _ => fenced(&format!("{}\n{}", ran.data, ran.told)),
    };
    Section { title: job.title(), verdict, body, rank: u8::from(ran.code == 0) }
}

/// Writes it as a comment of the pull request that was merged, if it is known.
async fn tell(here: &Here, telling: &Telling<'_>, is_unwanted: bool) -> Result<()> {
    let (Some(commit), false) = (&here.at.commit, is_unwanted) else { return Ok(()) };
    let Some(forge) = &here.forge else { return Ok(()) };
    let found = match forge.merged_with(commit).await {
        Ok(found) => found,
        Err(error) => {
            output::note(&format!("note: it is not known which pull request was merged: {error}"));
            return Ok(());
        }
    };
    match found {
        Some(number) => telling.comment(here, number).await,
        None => Ok(()),
    }
}
